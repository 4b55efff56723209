//! A safety checker blanked the image.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::Study;
use crate::cause::{Cause, Finding};
use crate::pattern::pattern;
use crate::telling::{cut, told};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "content-filter",
    title: "The content filter blanked the image",
    what: "A safety checker blanked the image.",
    settled_by: "Its own sentence in the log.",
    taken_for: "precision-nan",
    by_hand: &["look for the safety checker's own sentence in the log", "another seed or prompt gives a picture"],
    remedies: &["change the prompt, or the filter's setting where that is allowed"],
    remedy: Remedy::Never,
    judge,
};

static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"Potential NSFW content was detected|moderation_blocked|content_policy_violation|Your request was rejected (?:as a result of|by) (?:our|the) safety system"#)
});

fn judge(study: &Study<'_>) -> Option<Finding> {
    let (told, _) = told(study, &SENTENCE)?;
    let explanation = format!("a safety checker refused the content: {}", cut(&told.text(), 220));
    Some(told.proof(explanation)
        .step("if every prompt is refused, or only on the GPU, look at the values first: half precision that overflows gives pictures the checker takes for unsafe")
        .step("change the prompt or input; the model and the GPU are fine"))
}
