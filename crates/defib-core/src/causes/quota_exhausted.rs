//! No credit or quota is left at a remote service.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::Study;
use crate::cause::{Cause, Finding, Retry};
use crate::pattern::pattern;
use crate::telling::{cut, told};

pub(super) static CAUSE: Cause = Cause {
    id: "quota-exhausted",
    title: "No credit or quota left",
    what: "No credit or quota is left at a remote service.",
    settled_by: "insufficient_quota and the like.",
    taken_for: "rate-limited",
    by_hand: &["the body of the answer: insufficient_quota and the like"],
    remedies: &["buy or raise the quota, or use another backend"],
    retry: Retry::Never,
    judge,
};

static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"insufficient_quota|exceeded your current quota|billing (?:hard )?limit|Quota exceeded for|quotaExceeded|QuotaExceeded|insufficient (?:credits|balance|funds)|402 Payment Required|out of credits"#)
});

fn judge(study: &Study<'_>) -> Option<Finding> {
    let (told, _) = told(study, &SENTENCE)?;
    let explanation = format!("no credit or quota is left at the remote service: {}", cut(&told.text(), 220));
    Some(told.proof(explanation)
        .step("add credit, or use another backend"))
}
