//! File descriptors, threads or processes, or committed memory.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::Study;
use crate::cause::{Cause, Finding};
use crate::pattern::pattern;
use crate::telling::{cut, told};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "os-limit",
    title: "A limit of the operating system",
    what: "File descriptors, threads or processes, or committed memory.",
    settled_by: "EMFILE, EAGAIN or ENOMEM, and the count against the limit.",
    taken_for: "out of memory",
    by_hand: &["ulimit -a; ls /proc/PID/fd | wc -l; cat /proc/PID/limits"],
    remedies: &["close what is not needed; raise the limit"],
    remedy: Remedy::Never,
    judge,
};

static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"(?i:too many open files|\[Errno 24\]|EMFILE|ENFILE|can't start new thread|Resource temporarily unavailable|\[Errno 11\].*(?:fork|thread)|BlockingIOError: \[Errno 11\]|pthread_create failed|Cannot allocate memory|\[Errno 12\]|\bMemoryError\b|Unable to allocate [\d.]+ [KMGTP]iB|std::bad_alloc|DefaultCPUAllocator: can't allocate memory|not enough memory: you tried to allocate|The paging file is too small|WinError 1455|vm\.max_map_count|fork: retry|inotify watch limit|OpenBLAS blas_thread_init: pthread_create|received \d+ items of ancdata|filename too long|Argument list too long)"#)
});

fn judge(study: &Study<'_>) -> Option<Finding> {
    let (told, _) = told(study, &SENTENCE)?;
    let explanation = format!("a limit of the operating system was reached: {}", cut(&told.text(), 220));
    Some(told.proof(explanation)
        .step("see the limits: ulimit -a; and what is in use: ls /proc/PID/fd | wc -l"))
}
