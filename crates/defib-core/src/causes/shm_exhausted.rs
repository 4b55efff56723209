//! /dev/shm is too small or missing.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::Study;
use crate::cause::{Cause, Finding, Retry};
use crate::pattern::pattern;
use crate::telling::{cut, told};

pub(super) static CAUSE: Cause = Cause {
    id: "shm-exhausted",
    title: "Shared memory is too small",
    what: "/dev/shm is too small or missing.",
    settled_by: "SIGBUS (135) and statvfs of /dev/shm; ENOSYS, EACCES or ENOENT from shm_open.",
    taken_for: "native-crash",
    by_hand: &["df -h /dev/shm; status 135 (SIGBUS)"],
    remedies: &["docker run --shm-size; fewer workers; another sharing strategy"],
    retry: Retry::Never,
    judge,
};

static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"insufficient shared memory|/dev/shm|unable to (?:open|write|allocate) shared memory|shm_open|Bus error.*shm|out of shared memory|shared memory (?:limit|segment).*(?:exceed|fail|exhaust)|DataLoader worker \(pid[^)]*\) is killed by signal: Bus error|OSError: \[Errno 38\] Function not implemented|unable to mmap \d+ bytes from file </torch"#)
});

fn judge(study: &Study<'_>) -> Option<Finding> {
    let (told, _) = told(study, &SENTENCE)?;
    let explanation = format!("shared memory (/dev/shm) does not suffice: {}", cut(&told.text(), 220));
    let rank = told.rank() - 2;
    // Its sentences also speak of full disks and crashes: this is the reason behind them.
    Some(told.proof(explanation).rank(rank)
        .step("see its size: df -h /dev/shm; in a container start it with --shm-size=8g or --ipc=host, or use num_workers=0"))
}
