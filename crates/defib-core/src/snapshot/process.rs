//! Processes of a snapshot, and the Python environments they run in.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::telling::short_command;

/// The process trees that matter: with GPU memory, a listening port, Python or
/// more than a hundredth of the memory in them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Processes {
    /// The processes, parents before their children.
    pub list: Vec<Process>,
    /// Processes of this user that are not listed.
    pub others: u32,
    /// Processes that matter and are not listed, since there were too many.
    pub left_out: u32,
}

/// One process.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Process {
    /// Process id.
    pub pid: i32,
    /// Parent's process id.
    pub ppid: i32,
    /// Start in clock ticks since boot: with pid and boot, its identity.
    pub start_ticks: u64,
    /// When it started, RFC 3339 in UTC.
    pub started: Option<String>,
    /// Seconds since its start.
    pub age_s: f64,
    /// State letter of `/proc/PID/stat`.
    pub state: String,
    /// Command line without secrets; the kernel's name in brackets where there is none.
    pub command: Vec<String>,
    /// It matters itself, and is not only an ancestor or a descendant of one that does.
    pub matters: bool,
    /// Resident memory, bytes; shared pages count whole.
    pub rss_bytes: u64,
    /// Proportional memory, bytes, where it was read: shared pages count by their share.
    pub pss_bytes: Option<u64>,
    /// GPU memory, bytes, all GPUs together.
    pub gpu_bytes: Option<u64>,
    /// Threads.
    pub threads: u32,
    /// Open descriptors, where readable.
    pub descriptors: Option<u32>,
    /// TCP addresses it listens on.
    pub listens: Vec<String>,
    /// The run of defib it belongs to.
    pub run: Option<String>,
    /// It is a Python interpreter.
    pub python: bool,
}

/// A Python environment.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PythonEnvironment {
    /// The interpreter as it was started.
    pub executable: String,
    /// Folder of the environment (`sys.prefix`).
    pub prefix: String,
    /// Version, as far as files tell it without running it: `3.11.7` or `3.11`.
    pub version: Option<String>,
    /// It is a virtual environment.
    pub virtual_environment: bool,
    /// It is what `python3` on the PATH starts.
    pub on_path: bool,
    /// Processes that run in it.
    pub pids: Vec<i32>,
    /// Packages that matter, by name.
    pub packages: Vec<Package>,
}

/// An installed package.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Package {
    /// Name, in the normal form of package indexes.
    pub name: String,
    /// Version.
    pub version: String,
    /// Folder it is installed in.
    pub folder: String,
    /// Versions that are installed too and are hidden by this one, or lie beside
    /// it in the same folder: what an unfinished upgrade leaves.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<String>,
}

impl Process {
    /// `track.py (pid 4127)`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} (pid {})", short_command(&self.command), self.pid)
    }

    /// Proportional memory, or resident memory where that was not read, bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.pss_bytes.unwrap_or(self.rss_bytes)
    }

    /// The ports it listens on, each once.
    #[must_use]
    pub fn ports(&self) -> Vec<u16> {
        let port = |address: &String| address.rsplit(':').next()?.parse().ok();
        let mut ports: Vec<u16> = self.listens.iter().filter_map(port).collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }
}
