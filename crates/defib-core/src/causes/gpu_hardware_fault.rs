//! Card, power or bus.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::Study;
use crate::cause::{Cause, Finding, Retry};
use crate::pattern::pattern;
use crate::telling::{cut, told};

pub(super) static CAUSE: Cause = Cause {
    id: "gpu-hardware-fault",
    title: "The GPU reported a hardware fault",
    what: "Card, power or bus.",
    settled_by: "A kernel \"NVRM: Xid\" line (13 and 31 are often the program's own fault, 79 needs a restart of the machine).",
    taken_for: "a driver bug",
    by_hand: &["dmesg | grep -i xid: the number tells (13 and 31: often the program; 79: off the bus)", "nvidia-smi -q: ECC, retired pages"],
    remedies: &["restart the machine for 79; check power, seat and heat"],
    retry: Retry::Never,
    judge,
};

static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"NVRM: Xid|GPU has fallen off the bus|uncorrectable ECC error|CUDA_ERROR_ECC_UNCORRECTABLE|CUDA error: (?:uncorrectable|hardware)|Unable to determine the device handle for GPU|GPU is lost|hardware exception|amdgpu.*GPU reset|ring \w+ timeout"#)
});

fn judge(study: &Study<'_>) -> Option<Finding> {
    let (told, _) = told(study, &SENTENCE)?;
    let explanation = format!("the GPU or its bus reported a fault: {}", cut(&told.text(), 220));
    Some(told.proof(explanation)
        .step("see the kernel's lines: dmesg -T | grep -i xid"))
}
