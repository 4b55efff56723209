//! Another process listens on the port.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::Study;
use crate::cause::{Cause, Finding, Retry};
use crate::pattern::pattern;
use crate::telling::{cut, told};

pub(super) static CAUSE: Cause = Cause {
    id: "port-in-use",
    title: "The port is taken",
    what: "Another process listens on the port.",
    settled_by: "EADDRINUSE and the owner of the LISTEN inode.",
    retry: Retry::Later,
    judge,
};

static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"(?i:address already in use|EADDRINUSE|\[Errno 98\]|\[Errno 48\]|WinError 10048|port \d+ is (?:already )?(?:in use|allocated|occupied|taken)|cannot find (?:an )?empty port in range|only one usage of each socket address)"#)
});

fn judge(study: &Study<'_>) -> Option<Finding> {
    let (told, _) = told(study, &SENTENCE)?;
    let explanation = format!("its port is taken by another process: {}", cut(&told.text(), 220));
    Some(told.proof(explanation)
        .step("see who has it: ss -ltnp")
        .step("end that process (an earlier run?) or choose another port"))
}
