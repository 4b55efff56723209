//! Card, power or bus.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::Study;
use crate::cause::{Cause, Finding};
use crate::pattern::pattern;
use crate::telling::{cut, told};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "gpu-hardware-fault",
    title: "The GPU reported a hardware fault",
    what: "Card, power or bus.",
    settled_by: "A kernel \"NVRM: Xid\" line (13 and 31 are often the program's own fault, 79 needs a restart of the machine).",
    taken_for: "a driver bug",
    by_hand: &["dmesg | grep -i xid: the number tells (13 and 31: often the program; 79: off the bus)", "nvidia-smi -q: ECC, retired pages"],
    remedies: &["restart the machine for 79; check power, seat and heat"],
    remedy: Remedy::Elsewhere,
    judge,
};

static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"NVRM: Xid|GPU has fallen off the bus|uncorrectable ECC error|CUDA_ERROR_ECC_UNCORRECTABLE|CUDA error: (?:uncorrectable|hardware)|Unable to determine the device handle for GPU|GPU is lost|hardware exception|amdgpu.*GPU reset|ring \w+ timeout"#)
});

/// Numbers of Xid that the card, its power or the bus reports; 13, 31, 43 and 45 are
/// often the program's own fault (NVIDIA, "XID errors").
static XID: LazyLock<Regex> = LazyLock::new(|| pattern(r"NVRM: Xid \([^)]*\): (?P<number>\d+)"));
const HARDWARE: [u32; 16] = [46, 48, 54, 61, 62, 63, 64, 74, 79, 92, 94, 95, 119, 120, 140, 143];

fn by_xid(study: &Study<'_>) -> Option<Finding> {
    let lines = study.case.log.lines.iter().map(|line| line.text.as_str());
    let kernel = study.case.kernel.lines.iter().map(|line| line.text.as_str());
    let (line, number) = lines.chain(kernel).find_map(|text| {
        let number: u32 = XID.captures(text)?["number"].parse().ok()?;
        HARDWARE.contains(&number).then_some((text, number))
    })?;
    if !study.failed() && !study.was_standing() {
        return None;
    }
    let facts = vec![crate::telling::quoted(line)];
    Some(Finding::proof(format!("the driver reported a fault of the card, its power or the bus (Xid {number}): {}", cut(line, 160)), facts).rank(2).step(if number == 79 { "the card has fallen off the bus: restart the machine, then check power and seat" } else { "check heat, power and seat of the card; nvidia-smi -q -d ECC,ROW_REMAPPER" }).step("see the kernel's lines: dmesg -T | grep -i xid"))
}

fn judge(study: &Study<'_>) -> Option<Finding> {
    // A kernel line may stand anywhere: it is often pasted below the program's own output.
    if let Some(finding) = by_xid(study) {
        return Some(finding);
    }
    let (told, _) = told(study, &SENTENCE)?;
    let explanation = format!("the GPU or its bus reported a fault: {}", cut(&told.text(), 220));
    Some(told.proof(explanation)
        .step("see the kernel's lines: dmesg -T | grep -i xid"))
}
