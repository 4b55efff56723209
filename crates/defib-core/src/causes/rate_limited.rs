//! Too many requests for now.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::Study;
use crate::cause::{Cause, Finding, Retry};
use crate::pattern::pattern;
use crate::telling::{cut, told};

pub(super) static CAUSE: Cause = Cause {
    id: "rate-limited",
    title: "Too many requests",
    what: "Too many requests for now.",
    settled_by: "420 or 429, with or without Retry-After.",
    taken_for: "quota-exhausted",
    by_hand: &["status 429 or 420; the Retry-After header"],
    remedies: &["wait as long as it says; fewer at once"],
    retry: Retry::Later,
    judge,
};

static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"\b429\b.*(?i:too many|rate|client error)|Too Many Requests|(?i:rate limit (?:exceeded|reached))|RateLimitError(?:.*rate)|ThrottlingException|HTTP Error 42[09]|SlowDown\b"#)
});

fn judge(study: &Study<'_>) -> Option<Finding> {
    let (told, _) = told(study, &SENTENCE)?;
    let explanation = format!("a remote service asks for fewer requests: {}", cut(&told.text(), 220));
    Some(told.proof(explanation)
        .step("send fewer at a time and wait as Retry-After says"))
}
