//! GPUs of a snapshot, as NVML tells.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The GPUs of the machine.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Gpus {
    /// Why none is listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub absent: Option<String>,
    /// Driver version.
    pub driver: Option<String>,
    /// Newest CUDA version that the driver serves (`12.4`).
    pub cuda: Option<String>,
    /// The GPUs, in NVML's order.
    pub list: Vec<Gpu>,
}

/// One GPU.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Gpu {
    /// Index as NVML counts.
    pub index: u32,
    /// NVML's id of the card.
    pub uuid: String,
    /// Name.
    pub name: String,
    /// Memory of the card, bytes.
    pub total_bytes: u64,
    /// Memory in use, bytes.
    pub used_bytes: u64,
    /// Share of the last moments in which a kernel ran, percent.
    pub utilization: Option<u32>,
    /// Degrees Celsius.
    pub temperature: Option<u32>,
    /// Power, watts.
    pub power_w: Option<f64>,
    /// Clock of the multiprocessors, MHz.
    pub clock_mhz: Option<u32>,
    /// Highest clock of the multiprocessors, MHz.
    pub clock_max_mhz: Option<u32>,
    /// Clock of the memory, MHz.
    pub memory_clock_mhz: Option<u32>,
    /// Why the clocks are lower than they could be: `thermal slowdown`, `power limit`, …
    pub throttle: Vec<String>,
    /// Memory errors since the driver was loaded that ECC could not correct; `None` without ECC.
    pub ecc_uncorrected: Option<u64>,
    /// Memory errors since the driver was loaded that ECC corrected.
    pub ecc_corrected: Option<u64>,
    /// Processes that use it.
    pub processes: Vec<GpuProcess>,
}

/// A process's share of a GPU.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GpuProcess {
    /// Process id, in the namespace of the driver: inside a container it may name nobody.
    pub pid: i32,
    /// Memory it holds, bytes, where NVML tells.
    pub bytes: Option<u64>,
}
