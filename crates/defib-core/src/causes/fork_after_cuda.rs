//! A CUDA context was made before fork.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::Study;
use crate::cause::{Cause, Finding};
use crate::pattern::pattern;
use crate::telling::{cut, told};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "fork-after-cuda",
    title: "CUDA was used before fork",
    what: "A CUDA context was made before fork.",
    settled_by: "The exact sentence \"re-initialize CUDA in forked subprocess\".",
    taken_for: "gpu-unavailable",
    by_hand: &["the sentence about re-initialising CUDA in a forked subprocess"],
    remedies: &["multiprocessing.set_start_method(\"spawn\")"],
    remedy: Remedy::Never,
    judge,
};

static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"Cannot re-initialize CUDA in forked subprocess|CUDA initialization error.*fork|cudaErrorInitializationError|CUDA error: initialization error"#)
});

fn judge(study: &Study<'_>) -> Option<Finding> {
    let (told, _) = told(study, &SENTENCE)?;
    let explanation = format!("CUDA was used before a fork: {}", cut(&told.text(), 220));
    Some(told.proof(explanation)
        .step("start workers with multiprocessing.set_start_method('spawn')"))
}
