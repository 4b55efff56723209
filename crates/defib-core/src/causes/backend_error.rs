//! It failed by itself (5xx, or an execution error of its own).

use std::sync::LazyLock;

use regex::Regex;

use crate::case::Study;
use crate::cause::{Cause, Finding};
use crate::pattern::pattern;
use crate::telling::{by_logged_status, cut, told};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "backend-error",
    title: "A remote service failed",
    what: "It failed by itself (5xx, or an execution error of its own).",
    settled_by: "Status and body.",
    taken_for: "request-rejected",
    by_hand: &["curl -i the same request; read the body and the server's log at that time"],
    remedies: &["try again later, or another backend"],
    remedy: Remedy::Later,
    judge,
};

static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"too many 5\d\d error responses|ClientResponseError: 5\d\d, message|HTTPStatusError: Server error '5\d\d|\b(?:HTTPError|HTTPStatusError|HTTP status|status[ _]?code|Server Error|response status|HTTP/[\d.]+\"?)\W{0,4}(?:code )?(?:for url )?\W?\b5\d\d\b|\b5\d\d (?:Internal Server Error|Server Error|Service Unavailable)|Internal Server Error|InternalServerError|ServiceUnavailable|HTTP Error 5\d\d|execution_error"#)
});

fn judge(study: &Study<'_>) -> Option<Finding> {
    let Some((told, _)) = told(study, &SENTENCE) else {
        return by_logged_status(study, &[500, 501, 502, 503, 504, 529], "a remote service failed by itself");
    };
    let explanation = format!("a remote service failed by itself: {}", cut(&told.text(), 220));
    Some(told.proof(explanation)
        .step("look at the server's log for the same time"))
}
