//! The request is wrong and stays wrong.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::Study;
use crate::cause::{Cause, Finding};
use crate::pattern::pattern;
use crate::telling::{by_logged_status, cut, told};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "request-rejected",
    title: "The request is wrong",
    what: "The request is wrong and stays wrong.",
    settled_by: "400, 404, 413 or 422, with the node or field named.",
    taken_for: "backend-error",
    by_hand: &["the body names the field or node"],
    remedies: &["correct the request; the same one fails again"],
    remedy: Remedy::Never,
    judge,
};

static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"ClientResponseError: 4(?:00|04|05|06|09|10|13|14|15|16|17|22), message|HTTPStatusError: Client error '4(?:00|04|05|13|15|22)|too many 4(?:00|04|22) error responses|\b(?:400|404|405|413|415|422)\b (?i:client error|bad request|not found|unprocessable|payload too large|request entity too large|unsupported media)|HTTP Error 4(?:00|04|05|13|15|22)|BadRequestError|UnprocessableEntityError|invalid_prompt|prompt_outputs_failed_validation|value_not_in_list|invalid_request_error|\bNotFoundError: .*(?i:model|endpoint)"#)
});

fn judge(study: &Study<'_>) -> Option<Finding> {
    let Some((told, _)) = told(study, &SENTENCE) else {
        return by_logged_status(study, &[400, 404, 405, 409, 413, 415, 422], "a remote service rejected the request");
    };
    let explanation = format!("a remote service rejected the request as wrong: {}", cut(&told.text(), 220));
    Some(told.proof(explanation)
        .step("correct the field that the answer names"))
}
