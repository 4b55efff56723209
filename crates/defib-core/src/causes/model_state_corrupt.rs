//! The model in memory is half-loaded or half-patched.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::Study;
use crate::cause::{Cause, Fact, Finding, Group, Sign};
use crate::pattern::pattern;
use crate::telling::{cut, quoted, told};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "model-state-corrupt",
    title: "The model in memory is half-loaded",
    what: "A load, swap or patch of the model failed half way, and what is in memory is used all the same.",
    settled_by: "The same input gives another result before and after a swap; the first load that failed in this process's life.",
    taken_for: "precision-nan",
    by_hand: &["run one input before and after the swap; find the first failing load of this process"],
    remedies: &["restart the process; load into a fresh object"],
    remedy: Remedy::Fresh,
    judge,
};

/// Sentences that only a half-loaded model gives.
static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"Cannot copy out of meta tensor|Tensor on device meta is not on the expected device|expected device meta|'NoneType' object has no attribute '(?:lowvram|sd_checkpoint_info|sd_model_hash|cond_stage_key|is_sdxl|sd_model_checkpoint|first_stage_model|model_config)'",
        r"|(?i:model is (?:only )?(?:half|partially)[- ](?:loaded|patched|merged)|weights? (?:are|is) (?:partially|half)[- ](?:loaded|applied)|inconsistent model state|state of the model is (?:corrupt|inconsistent)|(?:checksum|fingerprint|digest) of (?:the )?(?:loaded )?(?:weights|parameters|model) (?:changed|differs)|same input .*(?:differ|different))",
    ))
});
/// A load or patch that failed and was survived.
static FAILED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i)\b(?:adapter|lora|checkpoint|weights?|model|state|embeddings?|vae|unet|tensors?)\b[^.]{0,80}\b(?:not (?:loaded|applied|merged|restored)|has no|lacks|stay(?:ing)? with|keeping|skipped|skipping|rendering without|continuing|partial(?:ly)?)\b|(?:fail(?:ed|ure)?|error|could not|cannot|exception|abort(?:ed)?|interrupted)\b[^.]{0,60}\b(?:load|swap|patch|merg|apply|attach|fus|switch|restor|unload|adapter|lora|checkpoint|weights)|(?:load|swap|patch|merg|apply|attach|fus|switch|restor|unload)\w*\b[^.]{0,60}\b(?:failed|error|aborted|interrupted|incomplete)")
});
/// The error that follows: shapes or values that no whole model would give.
static FOLLOWS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i)size mismatch|shapes? .*(?:not aligned|cannot be multiplied|mismatch|not compatible)|mat1 and mat2|matmul|operands could not be broadcast|expected .*(?:shape|dtype|dimension)|mismatch(?:ed)?|differs?\b|drift|inconsistent|checksum|same input|for the same")
});

fn judge(study: &Study<'_>) -> Option<Finding> {
    if let Some((told, _)) = told(study, &SENTENCE) {
        let explanation = format!("the model in memory is not whole: {}", cut(&told.text(), 200));
        let mut finding = told.proof(explanation);
        finding.facts.extend(first_failure(study).map(|line| quoted(&format!("first failing load: {line}"))));
        return Some(steps(finding));
    }
    let failed = first_failure(study)?;
    let (told, _) = told(study, &FOLLOWS)?;
    let facts = vec![quoted(&format!("first failing load: {failed}")), quoted(&format!("then: {}", told.text())), Fact::new("log", "the program went on after the load had failed")];
    let signs = vec![Sign::seen(Group::Log, "a load failed, and the model was used")];
    let explanation = format!("a load or patch of the model failed ({}), the program went on with what was in memory, and failed then", cut(&failed, 120));
    Some(steps(Finding::signs(signs, explanation, facts).place(told.place())))
}

/// The first line that tells of a failing load, well before the end.
fn first_failure(study: &Study<'_>) -> Option<String> {
    let before = study.root_traceback().map_or(study.case.log.lines.len(), |traceback| traceback.first_line);
    let lines = study.case.log.lines[..before.min(study.case.log.lines.len())].iter();
    lines.map(|line| line.text.trim()).find(|line| line.len() < 400 && FAILED.is_match(line)).map(str::to_owned)
}

fn steps(finding: Finding) -> Finding {
    finding.step("restart the process: what is half-loaded stays so until then").step("repair what made the load fail, and load into a fresh object that replaces the old one only when it is whole")
}
