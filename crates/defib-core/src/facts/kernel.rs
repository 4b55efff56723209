//! What only the kernel knows about an end.

use serde::{Deserialize, Serialize};

/// Out-of-memory kills of one control group over the run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OomCounter {
    /// File the counter was read from.
    pub file: String,
    /// Value at the start.
    pub before: u64,
    /// Value after the end.
    pub after: u64,
    /// Memory limit of the group in bytes, if it has one.
    pub limit_bytes: Option<u64>,
}

/// A line of the kernel log that names a process of the run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct KernelLine {
    /// Process the line names.
    pub pid: i32,
    /// Its text.
    pub text: String,
}

/// What the kernel told.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Kernel {
    /// Out-of-memory counters of the run's control groups.
    pub oom: Vec<OomCounter>,
    /// Kernel log lines that name a process of the run: out-of-memory kills,
    /// segmentation faults, GPU errors.
    pub lines: Vec<KernelLine>,
    /// Why the kernel log could not be read, if so.
    pub log_denied: Option<String>,
}
