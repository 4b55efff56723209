//! Measures that move while a program lives.

use serde::{Deserialize, Serialize};

/// Pressure of the machine or of the run's group: share of the last ten
/// seconds in which some task waited, 0 to 100 (`/proc/pressure`, "some avg10").
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Pressure {
    /// Waiting for a CPU.
    pub cpu: f64,
    /// Waiting for io.
    pub io: f64,
    /// Waiting for memory.
    pub memory: f64,
}

/// One GPU, and the run's share of it (NVML).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct GpuVitals {
    /// Index as NVML counts.
    pub index: u32,
    /// Utilisation in percent over NVML's own window.
    pub utilization: Option<u32>,
    /// Memory in use by everybody, bytes.
    pub used_bytes: u64,
    /// Memory of the card, bytes.
    pub total_bytes: u64,
    /// Memory in use by the tree's processes, bytes, where NVML tells.
    pub tree_bytes: Option<u64>,
    /// Degrees Celsius.
    pub temperature: Option<u32>,
    /// Power in watts.
    pub power_w: Option<f64>,
    /// Clock throttle reasons, NVML's bits.
    pub throttle: Option<u64>,
}

/// Vital signs of a whole tree at one time. Counters only grow: what ended
/// processes had used stays counted.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Vitals {
    /// Seconds since the start of the run.
    pub at_s: f64,
    /// Live processes.
    pub processes: u32,
    /// Live threads.
    pub threads: u32,
    /// CPU seconds used so far.
    pub cpu_s: f64,
    /// Bytes read from storage so far.
    pub read_bytes: u64,
    /// Bytes written to storage so far.
    pub written_bytes: u64,
    /// Characters through read calls so far (files and pipes, not sockets).
    pub read_chars: u64,
    /// Characters through write calls so far.
    pub written_chars: u64,
    /// Context switches of the processes' main threads so far.
    pub switches: u64,
    /// TCP payload bytes received so far.
    pub net_received: u64,
    /// TCP payload bytes sent and acknowledged so far.
    pub net_sent: u64,
    /// Resident memory in bytes, summed (shared pages counted more than once).
    pub rss_bytes: u64,
    /// Proportional set size in bytes, where it was read recently.
    pub pss_bytes: Option<u64>,
    /// Open descriptors, where readable.
    pub descriptors: Option<u32>,
    /// Processes born so far.
    pub births: u64,
    /// Bytes of output so far, all streams.
    pub output_bytes: u64,
    /// Pressure, where the kernel tells.
    pub pressure: Option<Pressure>,
    /// CPUs that the tree may use (affinity, or the quota of its control group).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<f64>,
    /// Size of `/dev/shm` as the tree sees it, and what is free, bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared_memory: Option<(u64, u64)>,
    /// Periods in which a CPU quota stopped the tree so far (`nr_throttled`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttled: Option<u64>,
    /// GPUs; empty where there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gpus: Vec<GpuVitals>,
}
