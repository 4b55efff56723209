//! VRAM spilled to host memory instead of failing.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::Study;
use crate::cause::{Cause, Fact, Finding, Group, Sign};
use crate::pattern::pattern;
use crate::telling::{cut, size, told_by_line};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "gpu-oversubscribed",
    title: "GPU memory spills into host memory",
    what: "More GPU memory is used than the card has, and the driver moves it to host memory instead of failing.",
    settled_by: "Steps ten times slower without an error, and shared GPU memory above zero.",
    taken_for: "a freeze",
    by_hand: &["Task Manager or driver statistics: shared GPU memory above 0; steps ten times slower"],
    remedies: &["need less GPU memory; forbid the fallback in the driver"],
    remedy: Remedy::Elsewhere,
    judge,
};

static LINE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i)shared gpu memory\D{0,20}[1-9]|(?:sysmem|system memory) fallback|VRAM (?:usage )?exceed(?:s|ed).*(?:shared|system)|model (?:does not|doesn't) fit (?:in|into) (?:VRAM|GPU memory).*(?:shared|system|offload|swap)|UVM (?:page )?fault")
});

fn judge(study: &Study<'_>) -> Option<Finding> {
    by_vitals(study).or_else(|| by_log(study))
}

fn by_vitals(study: &Study<'_>) -> Option<Finding> {
    if !study.was_standing() || !study.limit_fired() {
        return None;
    }
    let gpu = study.case.vitals.iter().rev().flat_map(|vitals| &vitals.gpus).find(|gpu| gpu.total_bytes > 0 && gpu.tree_bytes.unwrap_or(gpu.used_bytes) * 50 >= gpu.total_bytes * 49)?;
    let facts = vec![Fact::new("vitals", format!("GPU {} has {} of {} in use", gpu.index, size(gpu.used_bytes), size(gpu.total_bytes)))];
    let signs = vec![Sign::seen(Group::Gpu, "GPU memory is full and nothing failed")];
    Some(steps(Finding::signs(signs, format!("GPU {} is full ({} of {}), and the program goes on slowly instead of failing", gpu.index, size(gpu.used_bytes), size(gpu.total_bytes)), facts)))
}

fn by_log(study: &Study<'_>) -> Option<Finding> {
    let (told, _) = told_by_line(study, &LINE)?;
    Some(steps(told.proof(format!("GPU memory spilled into host memory: {}", cut(&told.text(), 160)))))
}

fn steps(finding: Finding) -> Finding {
    finding.step("need less GPU memory: smaller size or batch, half precision, tiling, one model at a time").step("on Windows, forbid the fallback: NVIDIA Control Panel, CUDA - Sysmem Fallback Policy, Prefer No Sysmem Fallback; it then fails instead")
}
