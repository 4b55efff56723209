//! ENOSPC or EDQUOT on some file system, bytes or inodes.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::Study;
use crate::cause::{Cause, Finding, Group, Sign};
use crate::pattern::pattern;
use crate::telling::{cut, quoted, told};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "disk-full",
    title: "No space left",
    what: "ENOSPC or EDQUOT on some file system, bytes or inodes.",
    settled_by: "statvfs of the path in the error, not of the home folder.",
    taken_for: "a corrupt file",
    by_hand: &["df -h and df -i of the path in the message"],
    remedies: &["free space there, or write elsewhere"],
    remedy: Remedy::Never,
    judge,
};

static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"\b\d+ requested and \d+ written|failed to write .*: disk|No space left|(?i:no space left on device|\(os error 28\)|\(os error 122\)|\[Errno 28\]|ENOSPC|disk quota exceeded|\[Errno 122\]|EDQUOT|not enough (?:disk )?space|database or disk is full|There is not enough space on the disk|WinError 112|Not enough free disk space)"#)
});

/// A write that failed without its reason.
static CUT_SHORT: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"PytorchStreamWriter failed writing (?:file|central directory)|inline_container\.cc:\d+.*unexpected pos|basic_ios::clear: iostream error|error writing .*: short write"));

fn judge(study: &Study<'_>) -> Option<Finding> {
    let Some((told, _)) = told(study, &SENTENCE) else { return cut_short(study) };
    let explanation = format!("a file system is full: {}", cut(&told.text(), 220));
    Some(told.proof(explanation)
        .step("see which: df -h; df -i"))
}

fn cut_short(study: &Study<'_>) -> Option<Finding> {
    let (told, _) = told(study, &CUT_SHORT)?;
    let text = told.text();
    let explanation = format!("a file could not be written to its end, as on a full file system: {}", cut(&text, 200));
    let signs = vec![Sign::seen(Group::Log, "a write was cut short")];
    Some(Finding::signs(signs, explanation, vec![quoted(&text)]).place(told.place()).step("see which: df -h; df -i"))
}
