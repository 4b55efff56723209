//! Too many requests for now.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::Study;
use crate::cause::{Cause, Finding};
use crate::pattern::pattern;
use crate::telling::{by_logged_status, cut, told};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "rate-limited",
    title: "Too many requests",
    what: "Too many requests for now.",
    settled_by: "420 or 429, with or without Retry-After.",
    taken_for: "quota-exhausted",
    by_hand: &["status 429 or 420; the Retry-After header"],
    remedies: &["wait as long as it says; fewer at once"],
    remedy: Remedy::Later,
    judge,
};

static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"too many 429 error responses|ClientResponseError: 4(?:29|20), message|status(?:_?code)?[\W]{1,3}(?:is )?429\b|HTTPStatusError: Client error '429|\b429\b.*(?i:too many|rate|client error)|Too Many Requests|(?i:rate limit (?:exceeded|reached))|RateLimitError(?:.*rate)|ThrottlingException|HTTP Error 42[09]|SlowDown\b"#)
});

fn judge(study: &Study<'_>) -> Option<Finding> {
    let Some((told, _)) = told(study, &SENTENCE) else {
        return by_logged_status(study, &[429, 420], "a remote service asked for fewer requests");
    };
    let explanation = format!("a remote service asks for fewer requests: {}", cut(&told.text(), 220));
    Some(told.proof(explanation)
        .step("send fewer at a time and wait as Retry-After says"))
}
