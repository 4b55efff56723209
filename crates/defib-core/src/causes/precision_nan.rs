//! Half precision overflow gave values that are not numbers.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::Study;
use crate::cause::{Cause, Finding, Retry};
use crate::pattern::pattern;
use crate::telling::{cut, told};

pub(super) static CAUSE: Cause = Cause {
    id: "precision-nan",
    title: "Half precision overflowed",
    what: "Half precision overflow gave values that are not numbers.",
    settled_by: "Non-finite values per stage, and which component first.",
    taken_for: "a corrupt model",
    by_hand: &["check for non-finite values after each stage: which component is first?"],
    remedies: &["full precision or bfloat16 for that component; restart the process"],
    retry: Retry::Fresh,
    judge,
};

static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"A tensor with all NaNs was produced|NansException|invalid value encountered in (?:cast|divide|multiply)|(?i:(?:loss|output|latents?|activations?|logits) (?:is|are|contains?|became) (?:nan|inf)|non-?finite (?:values?|loss|gradients?)|contains (?:nan|inf)|nan or inf|NaN/Inf|FloatingPointError: (?:overflow|invalid value))"#)
});

fn judge(study: &Study<'_>) -> Option<Finding> {
    let (told, _) = told(study, &SENTENCE)?;
    let explanation = format!("a half-precision calculation overflowed: {}", cut(&told.text(), 220));
    Some(told.proof(explanation)
        .step("calculate in full precision (float32, --no-half, --no-half-vae) or bfloat16, and restart the process: the values stay in it"))
}
