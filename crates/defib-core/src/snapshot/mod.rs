//! A snapshot: the state of the machine at one time, as far as it explains why
//! a program of this user fails. Facts only; [`diff()`] says what changed
//! between two.
//!
//! The JSON form is read by later versions: fields are added, never changed or
//! removed, and a field that is missing has its default.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod diff;
mod gpu;
mod process;

pub use diff::{Change, Group, Importance, Kind, diff};
pub use gpu::{Gpu, GpuProcess, Gpus};
pub use process::{Package, Process, Processes, PythonEnvironment};

/// Version of the snapshot's format.
pub const SNAPSHOT_VERSION: u32 = 1;

/// Most runs that a snapshot lists.
pub const MOST_RUNS: usize = 20;

/// The state of the machine at one time. Secrets are taken out of all text.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Snapshot {
    /// [`SNAPSHOT_VERSION`].
    pub schema: u32,
    /// When it was taken, RFC 3339 in UTC.
    pub taken: String,
    /// The same in milliseconds since the epoch.
    pub taken_ms: u64,
    /// How long taking it took, in seconds.
    pub took_s: f64,
    /// Version of the defib that took it.
    pub defib: String,
    /// The run at whose end it was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The machine.
    pub system: System,
    /// Limits of the control group that defib runs in.
    pub limits: GroupLimits,
    /// Memory, swap and pressure.
    pub memory: Memory,
    /// The file systems that matter.
    pub disks: Vec<Disk>,
    /// `/dev/shm`; `None` where there is none.
    pub shared_memory: Option<SharedMemory>,
    /// GPUs.
    pub gpus: Gpus,
    /// What the kernel said of memory, crashes and hardware.
    pub kernel_log: KernelLog,
    /// The process trees that matter.
    pub processes: Processes,
    /// Python environments of running processes, and that of `python3`.
    pub python: Vec<PythonEnvironment>,
    /// The last runs, newest first; at most [`MOST_RUNS`].
    pub runs: Vec<RunOutcome>,
    /// The environment defib was started with, sorted by name.
    pub environment: Vec<Variable>,
    /// What could not be read, or did not answer in time.
    pub unanswered: Vec<Unanswered>,
}

/// The machine.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct System {
    /// Name of the host.
    pub host: String,
    /// The kernel's id of this boot: process ids mean the same only within one.
    pub boot_id: String,
    /// Seconds since boot.
    pub up_s: f64,
    /// Kernel release.
    pub kernel: String,
    /// `x86_64`, `aarch64`.
    pub architecture: String,
    /// Distribution, by `/etc/os-release`.
    pub distribution: Option<String>,
    /// Cores that defib may use.
    pub cores: u32,
    /// Container engine by whose marks this looks like a container.
    pub container: Option<String>,
    /// Load averages over 1, 5 and 15 minutes.
    pub load: Vec<f64>,
}

/// Limits of a control group and what is used of them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GroupLimits {
    /// 1 or 2: version of the hierarchy the memory limit was read from; 0 where there is none.
    pub version: u32,
    /// Path of the group.
    pub group: String,
    /// Tightest memory limit of the group and those above it, bytes; `None` is unlimited.
    pub memory_limit_bytes: Option<u64>,
    /// Memory charged to the group that has the limit (else to the own group), bytes.
    pub memory_used_bytes: Option<u64>,
    /// Of that, file cache that the kernel can drop at once, bytes.
    pub memory_reclaimable_bytes: Option<u64>,
    /// Swap limit of that group, bytes; `None` is unlimited or not told.
    pub swap_limit_bytes: Option<u64>,
    /// Out-of-memory kills of that group so far.
    pub oom_kills: Option<u64>,
    /// Tightest limit of processes and threads; `None` is unlimited.
    pub pids_limit: Option<u64>,
    /// Processes and threads of the group that has it.
    pub pids_used: Option<u64>,
    /// Tightest CPU quota, in cores; `None` is unlimited.
    pub cpu_quota: Option<f64>,
    /// Periods in which that quota stopped the group so far.
    pub cpu_throttled_periods: Option<u64>,
}

/// Memory of the machine.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Memory {
    /// All, bytes.
    pub total_bytes: u64,
    /// Available without swapping, bytes.
    pub available_bytes: u64,
    /// Page cache and buffers, bytes.
    pub cache_bytes: u64,
    /// Shared memory and tmpfs, bytes.
    pub shared_bytes: u64,
    /// Swap space, bytes.
    pub swap_total_bytes: u64,
    /// Swap in use, bytes.
    pub swap_used_bytes: u64,
    /// Pressure by resource; empty where the kernel does not tell.
    pub pressure: Vec<Pressure>,
}

/// Pressure stall information of one resource.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Pressure {
    /// `cpu`, `memory` or `io`.
    pub resource: String,
    /// Share of the last 10 s in which some task waited for it, percent.
    pub some_10s: f64,
    /// The same over 60 s.
    pub some_60s: f64,
    /// Share of the last 10 s in which all tasks waited for it, percent.
    pub full_10s: Option<f64>,
}

/// A file system that holds a place that matters.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Disk {
    /// Mount point; empty where it is not known.
    pub mount: String,
    /// Kind of file system (`ext4`, `nfs4`).
    pub kind: String,
    /// What it is here for.
    pub places: Vec<Place>,
    /// Size, bytes.
    pub size_bytes: u64,
    /// Free for this user, bytes.
    pub free_bytes: u64,
    /// Inodes; `None` where the file system has no fixed number.
    pub inodes: Option<u64>,
    /// Free inodes.
    pub inodes_free: Option<u64>,
    /// Mounted read-only.
    pub read_only: bool,
    /// False where it did not answer within the time given; then the figures are zero.
    pub answered: bool,
}

/// A folder that matters, and why.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Place {
    /// `state folder`, `home`, `temporary files`, `working folder`, `Hugging Face cache`, `torch cache`, `root`.
    pub role: String,
    /// The folder; it need not exist yet.
    pub path: String,
}

/// `/dev/shm`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SharedMemory {
    /// Size, bytes.
    pub size_bytes: u64,
    /// Free, bytes.
    pub free_bytes: u64,
    /// Number of files in it.
    pub files: u64,
    /// Bytes in files that were deleted and that some process still holds.
    pub deleted_bytes: u64,
    /// The largest files, largest first.
    pub largest: Vec<SharedFile>,
}

/// A file in `/dev/shm`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SharedFile {
    /// Path.
    pub path: String,
    /// User id of its owner.
    pub uid: u32,
    /// Memory it takes, bytes.
    pub bytes: u64,
    /// Processes that have it open or mapped, of those that could be read.
    pub holders: Vec<i32>,
    /// Whether a live process has it open or mapped; `None` where processes of
    /// others, which could not be read, may.
    pub held: Option<bool>,
}

/// Lines of the kernel log that matter.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct KernelLog {
    /// The lines, oldest first.
    pub lines: Vec<KernelLine>,
    /// Lines that matter and are older than those listed.
    pub left_out: u64,
    /// Why the log could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denied: Option<String>,
}

/// A line of the kernel log.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct KernelLine {
    /// Seconds since boot, by the kernel's clock.
    pub at_s: f64,
    /// `gpu`, `out-of-memory`, `crash`, `hang` or `disk`.
    pub about: String,
    /// The text.
    pub text: String,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RunOutcome {
    /// Its id.
    pub id: String,
    /// Command line.
    pub command: Vec<String>,
    /// When it began, milliseconds since the epoch.
    pub started_ms: u64,
    /// How it ended, as in its report; `running` where it goes on.
    pub outcome: String,
    /// Id of the likeliest cause.
    pub cause: Option<String>,
    /// It ended well.
    pub healthy: bool,
}

/// A variable of the environment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Variable {
    /// Name.
    pub name: String,
    /// Value, without secrets; `None` for a variable of which only the name is kept.
    pub value: Option<String>,
}

/// Something that could not be read, or did not answer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Unanswered {
    /// What was asked: `disk /mnt/data`, `pid 4127`, `GPUs`.
    pub what: String,
    /// Why there is no answer.
    pub why: String,
}

impl Snapshot {
    /// The runs that did not end well, newest first.
    pub fn failed_runs(&self) -> impl Iterator<Item = &RunOutcome> {
        self.runs.iter().filter(|run| !run.healthy)
    }
}

impl Memory {
    /// Pressure of a resource, percent of the last 10 s in which some task waited for it.
    #[must_use]
    pub fn pressure_of(&self, resource: &str) -> Option<f64> {
        self.pressure.iter().find(|pressure| pressure.resource == resource).map(|pressure| pressure.some_10s)
    }
}

impl Disk {
    /// Less than a twentieth of its space or of its inodes is free.
    #[must_use]
    pub fn nearly_full(&self) -> bool {
        let few = |free: u64, all: u64| all > 0 && free < all / 20;
        let inodes = self.inodes.zip(self.inodes_free).is_some_and(|(all, free)| few(free, all));
        self.answered && !self.read_only && (few(self.free_bytes, self.size_bytes) || inodes)
    }

    /// Why it is here: `home, temporary files`.
    #[must_use]
    pub fn roles(&self) -> String {
        self.places.iter().map(|place| place.role.as_str()).collect::<Vec<_>>().join(", ")
    }
}
