//! No credit or quota is left at a remote service.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::Study;
use crate::cause::{Cause, Finding};
use crate::pattern::pattern;
use crate::telling::{by_logged_status, cut, told};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "quota-exhausted",
    title: "No credit or quota left",
    what: "No credit or quota is left at a remote service.",
    settled_by: "insufficient_quota and the like.",
    taken_for: "rate-limited",
    by_hand: &["the body of the answer: insufficient_quota and the like"],
    remedies: &["buy or raise the quota, or use another backend"],
    remedy: Remedy::Never,
    judge,
};

static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"\b402\b.{0,40}(?:Payment Required|[Cc]lient [Ee]rror)|ClientResponseError: 402, message|insufficient_quota|exceeded your current quota|billing (?:hard )?limit|Quota exceeded for|quotaExceeded|QuotaExceeded|[Ii]nsufficient (?:credits?|balance|funds)|\bstatus(?:[ _]code)?: 402\b|402 Payment Required|out of credits"#)
});

fn judge(study: &Study<'_>) -> Option<Finding> {
    let Some((told, _)) = told(study, &SENTENCE) else {
        return by_logged_status(study, &[402], "no credit or quota was left at the remote service");
    };
    let explanation = format!("no credit or quota is left at the remote service: {}", cut(&told.text(), 220));
    // The same status is used for both; the body that speaks of a quota decides.
    let rank = told.rank().min(10) - 1;
    Some(told.proof(explanation).rank(rank)
        .step("add credit, or use another backend"))
}
