//! Half precision overflow gave values that are not numbers.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::Study;
use crate::cause::{Cause, Fact, Finding, Group, Sign};
use crate::pattern::pattern;
use crate::telling::{cut, exceptions, quoted, told};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "precision-nan",
    title: "Half precision overflowed",
    what: "Half precision overflow gave values that are not numbers.",
    settled_by: "Non-finite values per stage, and which component first.",
    taken_for: "a corrupt model",
    by_hand: &["check for non-finite values after each stage: which component is first?"],
    remedies: &["full precision or bfloat16 for that component; restart the process"],
    remedy: Remedy::Precise,
    judge,
};

static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"cannot convert float (?:NaN|infinity) to integer|range of \[?-?(?:nan|inf)[^\]]*\]? is not finite|Input (?:X |y )?contains (?:NaN|infinity)|array must not contain infs or NaNs|(?:NaN|nan|infinite|inf)s? (?:value|loss|gradient|output|weight)s? (?:found|detected|encountered|in)|probability tensor contains either `inf`, `nan`|A tensor with all NaNs was produced|NansException|invalid value encountered in (?:cast|divide|multiply)|(?i:(?:loss|output|latents?|activations?|logits) (?:is|are|contains?|became) (?:nan|inf)|non-?finite (?:values?|loss|gradients?)|contains (?:nan|inf)|nan or inf|NaN/Inf|FloatingPointError: (?:overflow|invalid value))"#)
});

/// numpy's warnings, torch's and printed values: signs that may stand anywhere.
static SIGN: LazyLock<Regex> = LazyLock::new(|| pattern(r"RuntimeWarning: (?:overflow|invalid value) encountered|\bnan\b.*\bnan\b|\b(?:loss|score|mean|value|norm|scale)\b\W{1,3}(?:nan|-?inf)\b"));
static ABOUT: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)\b(?:nan|nans|inf|infinity|infinite|finite|non-?finite|isfinite|isnan|black|blank|uniform|overflow)\b"));
static HALF: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)float16|\bfp16\b|\.half\(|\bhalf\b|bfloat16|autocast|--precision"));

fn judge(study: &Study<'_>) -> Option<Finding> {
    let Some((told, _)) = told(study, &SENTENCE) else { return by_output(study).or_else(|| by_signs(study)) };
    let explanation = format!("a half-precision calculation overflowed: {}", cut(&told.text(), 220));
    Some(told.proof(explanation)
        .step("calculate in full precision (float32, --no-half, --no-half-vae) or bfloat16, and restart the process: the values stay in it"))
}

/// A job's own output: numbers that are none settle it, a black image speaks for it.
fn by_output(study: &Study<'_>) -> Option<Finding> {
    const FULL: &str = "calculate in full precision (float32) or bfloat16, and restart the process: the values stay in it";
    let made = &study.case.made;
    if let Some(name) = made.nonfinite.first() {
        let fact = Fact::new("output", format!("`{name}` holds NaN or infinity"));
        let explanation = format!("values stopped being numbers: the output `{name}` holds NaN or infinity");
        return Some(Finding::proof(explanation, vec![fact]).step(FULL));
    }
    let name = made.black.first()?;
    let facts = vec![Fact::new("output", format!("every pixel of `{name}` is black")), Fact::new("log", "no content filter said that it blanked the image".to_owned())];
    let signs = vec![Sign::seen(Group::Log, "a black image without a content filter's sentence")];
    let explanation = format!("`{name}` is black all over, and no content filter says that it blanked it: values that are not numbers become black pixels");
    Some(Finding::signs(signs, explanation, facts).step(FULL).step("check for non-finite values after each stage: text encoder, denoiser, decoder"))
}

/// Warnings of overflow before an error that speaks of values that are no numbers.
fn by_signs(study: &Study<'_>) -> Option<Finding> {
    if study.was_standing() || !study.failed() {
        return None;
    }
    let warning = study.case.log.lines.iter().find(|line| SIGN.is_match(&line.text))?;
    let last = exceptions(study).first().map(|exception| exception.headline()).or_else(|| study.case.log.last_lines(1).first().map(|line| line.text.clone()))?;
    let about = ABOUT.is_match(&last);
    let traced = study.root_traceback().is_some_and(|traceback| traceback.chain.iter().flat_map(|exception| &exception.frames).any(|frame| frame.source.as_ref().is_some_and(|text| HALF.is_match(text))));
    let half = traced || study.case.command.iter().any(|word| HALF.is_match(word)) || study.case.log.lines.iter().any(|line| HALF.is_match(&line.text));
    let facts = vec![quoted(&warning.text), quoted(&last)];
    let signs = vec![Sign::seen(Group::Log, "a warning of overflow, or nan printed"), Sign::when(about, Group::Stack, "the error speaks of such values"), Sign::when(half, Group::Vitals, "half precision is mentioned")];
    let explanation = format!("values stopped being numbers before the end: first \"{}\", then {}", cut(warning.text.trim(), 120), cut(&last, 120));
    Some(Finding::signs(signs, explanation, facts).step("calculate in full precision (float32) or bfloat16 in the stage that the first warning names, and check its values"))
}
