//! Credentials are missing, wrong or not allowed.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::Study;
use crate::cause::{Cause, Finding};
use crate::pattern::pattern;
use crate::telling::{by_logged_status, cut, told};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "auth-failed",
    title: "Credentials missing or refused",
    what: "Credentials are missing, wrong or not allowed.",
    settled_by: "401 or 403.",
    taken_for: "backend-unreachable",
    by_hand: &["repeat the request with curl -i and the same key"],
    remedies: &["set the key where the program really reads it; ask for the right"],
    remedy: Remedy::Never,
    judge,
};

static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"ClientResponseError: 40[13], message|HTTPStatusError: Client error '40[13]|\b401\b.*(?i:unauthorized|client error|authentication)|\b403\b.*(?i:forbidden|client error|permission)|HTTP Error 40[13]|401 Unauthorized|403 Forbidden|AuthenticationError|PermissionDeniedError|(?i:invalid (?:api[ _-]?key|access key|credentials|token)|incorrect api key|api key .*(?:not set|missing|invalid)|no (?:api key|credentials) (?:provided|found))|NoCredentialsError|InvalidAccessKeyId|SignatureDoesNotMatch|Unable to locate credentials|GatedRepoError|Access to model .* is restricted|ExpiredToken"#)
});

fn judge(study: &Study<'_>) -> Option<Finding> {
    let Some((told, _)) = told(study, &SENTENCE) else {
        return by_logged_status(study, &[401, 403], "a remote service refused the credentials");
    };
    let explanation = format!("a remote service refused the credentials: {}", cut(&told.text(), 220));
    Some(told.proof(explanation)
        .step("check the key or token that the program really had (defib never prints it)"))
}
