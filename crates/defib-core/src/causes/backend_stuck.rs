//! It answers, and the work there does not go on.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::Study;
use crate::cause::{Cause, Finding, Retry};
use crate::pattern::pattern;
use crate::telling::{cut, told};

pub(super) static CAUSE: Cause = Cause {
    id: "backend-stuck",
    title: "A remote service does not finish",
    what: "It answers, and the work there does not go on.",
    settled_by: "No progress within the deadline while HTTP lives; nothing running in its queue.",
    taken_for: "a slow model",
    by_hand: &["ask the server's queue and progress twice, some seconds apart: running, and no step more"],
    remedies: &["interrupt that job on the server, or restart its worker", "set a deadline for progress, not only for the answer"],
    retry: Retry::Later,
    judge,
};

static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"ReadTimeout|Read timed out|socket\.timeout|TimeoutError: (?:timed out|The read operation timed out)|The read operation timed out|APITimeoutError|ServerTimeoutError|504 Gateway Time-?out|DeadlineExceeded|DEADLINE_EXCEEDED|deadline exceeded while"#)
});

fn judge(study: &Study<'_>) -> Option<Finding> {
    let (told, _) = told(study, &SENTENCE)?;
    let explanation = format!("a remote service did not answer in time: {}", cut(&told.text(), 220));
    Some(told.proof(explanation)
        .step("look at the server's own queue and log; raise the deadline only if it is really working"))
}
