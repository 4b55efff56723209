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

/// A process that listens on a port.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Listener {
    /// The port.
    pub port: u16,
    /// Its process id.
    pub pid: i32,
    /// Its parent's.
    pub ppid: i32,
    /// Its command line.
    pub command: Vec<String>,
    /// Seconds since its start.
    pub lived_s: f64,
    /// The run of defib that it was started in, by the cookie in its environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
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
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Kernel {
    /// Out-of-memory counters of the run's control groups.
    pub oom: Vec<OomCounter>,
    /// Kernel log lines that name a process of the run: out-of-memory kills,
    /// segmentation faults, GPU errors.
    pub lines: Vec<KernelLine>,
    /// Who listens on a port that the program could not have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listeners: Vec<Listener>,
    /// Why the kernel log could not be read, if so.
    pub log_denied: Option<String>,
}
