//! A GPU or native object is used from a thread it does not belong to.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::Study;
use crate::cause::{Cause, Finding};
use crate::pattern::pattern;
use crate::telling::{cut, told};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "gpu-thread-affinity",
    title: "A GPU object used from the wrong thread",
    what: "A GPU or native object is used from a thread it does not belong to.",
    settled_by: "It fails only from the second request on with a pool larger than one; the thread of first use is not the failing thread.",
    taken_for: "a leak",
    by_hand: &["it works once, fails from request 2 with several workers"],
    remedies: &["use the object only in the thread that made it"],
    remedy: Remedy::Fresh,
    judge,
};

static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"is bound to a different event loop|attached to a different loop|Non-thread-safe operation invoked on an event loop|main thread is not in main loop|Calling Tcl from different apartment|Timers cannot be started from another thread|Cannot create children for a parent that is in a different thread|PyCUDA ERROR: .*context|explicit_context_dependent failed|invalid device context|cuCtx\w+ failed: (?:invalid device context|context is destroyed)|no currently active context|SQLite objects created in a thread can only be used in that same thread|EGL_BAD_ACCESS|cannot switch to a different thread|Variable .* was created on a different (?:graph|thread)|is not an element of this graph|must be (?:called|used|created) (?:from|on|in) the (?:same|main|creating|original) thread"#)
});

fn judge(study: &Study<'_>) -> Option<Finding> {
    let (told, _) = told(study, &SENTENCE)?;
    let explanation = format!("a GPU or native object was used from a thread it does not belong to: {}", cut(&told.text(), 220));
    Some(told.proof(explanation)
        .step("use the object only in the thread that made it: one worker thread, or one process per model"))
}
