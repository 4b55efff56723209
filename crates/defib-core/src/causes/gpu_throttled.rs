//! Clocks reduced by heat or by the power brake.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::Study;
use crate::cause::{Cause, Fact, Finding, Group, Sign};
use crate::pattern::pattern;
use crate::telling::{cut, quoted};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "gpu-throttled",
    title: "The GPU slows itself down",
    what: "The GPU's clocks are reduced by heat or by a power brake.",
    settled_by: "NVML throttle reasons 0x8, 0x20, 0x40 or 0x80; 0x1 (idle) and 0x4 (power cap) are normal.",
    taken_for: "a slow model",
    by_hand: &["nvidia-smi -q -d PERFORMANCE: reasons that are Active"],
    remedies: &["cool it; limit its power"],
    remedy: Remedy::Elsewhere,
    judge,
};

/// NVML's bits: hardware slowdown, software thermal, hardware thermal, hardware power brake.
const BITS: [(u64, &str); 4] = [(0x8, "hardware slowdown"), (0x20, "software thermal slowdown"), (0x40, "hardware thermal slowdown"), (0x80, "hardware power brake")];

static LINE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i)(?:HW (?:Thermal )?Slowdown|SW Thermal Slowdown|HW Power Brake(?: Slowdown)?)\s*:\s*Active|clocks_(?:throttle|event)_reasons\.(?:hw_slowdown|hw_thermal_slowdown|sw_thermal_slowdown|hw_power_brake_slowdown)\W+Active|GPU .*(?:thermal(?:ly)? throttl|throttling due to (?:heat|temperature|thermal))|temperature .*throttl")
});

/// The head of a table that `nvidia-smi --query-gpu` prints.
static HEAD: LazyLock<Regex> = LazyLock::new(|| pattern(r"clocks_(?:throttle|event)_reasons\.active\b"));

/// A line of that table: a mask with one of [`BITS`].
fn has_mask(text: &str) -> bool {
    let masks = text.split([',', ' ']).filter_map(|word| u64::from_str_radix(word.strip_prefix("0x")?, 16).ok());
    masks.into_iter().any(|mask| BITS.iter().any(|(bit, _)| mask & bit != 0))
}

fn judge(study: &Study<'_>) -> Option<Finding> {
    by_vitals(study).or_else(|| by_log(study))
}

fn by_vitals(study: &Study<'_>) -> Option<Finding> {
    if !study.was_standing() || !study.limit_fired() {
        return None;
    }
    let gpus = || study.case.vitals.iter().flat_map(|vitals| &vitals.gpus);
    let (bit, name) = BITS.into_iter().find(|(bit, _)| gpus().any(|gpu| gpu.throttle.is_some_and(|reasons| reasons & bit != 0)))?;
    let all = gpus().filter(|gpu| gpu.throttle.is_some()).count();
    let slowed = gpus().filter(|gpu| gpu.throttle.is_some_and(|reasons| reasons & bit != 0)).count();
    let hottest = gpus().filter_map(|gpu| gpu.temperature).max();
    let heat = hottest.map(|degrees| format!(", at up to {degrees} °C")).unwrap_or_default();
    let facts = vec![Fact::new("vitals", format!("{name} (0x{bit:x}) in {slowed} of {all} samples{heat}"))];
    let signs = vec![Sign::when(slowed * 2 >= all, Group::Gpu, "throttled in most samples")];
    Some(steps(Finding::signs(signs, format!("the GPU slows itself down ({name}{heat})"), facts)))
}

fn by_log(study: &Study<'_>) -> Option<Finding> {
    let lines = &study.case.log.lines;
    let table = lines.iter().any(|line| HEAD.is_match(&line.text));
    let line = lines.iter().rev().find(|line| LINE.is_match(&line.text) || table && has_mask(&line.text));
    let line = line.filter(|_| study.failed() && !study.was_standing())?;
    Some(steps(Finding::proof(format!("the GPU slowed itself down: {}", cut(line.text.trim(), 160)), vec![quoted(&line.text)]).rank(62)))
}

fn steps(finding: Finding) -> Finding {
    finding.step("cool it: dust, fans, the room; or give it less power: nvidia-smi -pl WATTS").step_command("see the reasons", ["nvidia-smi", "-q", "-d", "PERFORMANCE,TEMPERATURE"])
}
