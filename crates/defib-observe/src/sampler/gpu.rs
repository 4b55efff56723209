//! GPUs through NVML, in a thread: the library can hang in the driver.
//!
//! `libnvidia-ml.so.1` is loaded at run time, on the first sample. The thread
//! answers one question at a time; a sample takes the newest answer that is
//! there and asks again. Without the library there is one line that says so.

use std::collections::HashMap;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use defib_core::facts::GpuVitals;
use defib_core::orphan::GpuHold;
use nvml_wrapper::Nvml;
use nvml_wrapper::enum_wrappers::device::TemperatureSensor;
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::struct_wrappers::device::ProcessInfo;

/// An answer older than this is not shown.
const FRESH: Duration = Duration::from_secs(5);

/// Where process ids are sent and measures, or why there are none, come back.
type Ends = (Sender<Vec<i32>>, Receiver<Result<Vec<GpuVitals>, String>>);

/// Asks NVML without waiting for it.
#[derive(Debug, Default)]
pub(crate) struct GpuWatch {
    ends: Option<Ends>,
    asked: bool,
    latest: Option<(Vec<GpuVitals>, Instant)>,
    absent: Option<String>,
}

impl GpuWatch {
    /// The newest measures; asks for the next.
    pub(crate) fn latest(&mut self, pids: &[i32]) -> Vec<GpuVitals> {
        if self.absent.is_some() {
            return Vec::new();
        }
        let (ask, answers) = self.ends.get_or_insert_with(start);
        while let Ok(answer) = answers.try_recv() {
            self.asked = false;
            match answer {
                Ok(gpus) => self.latest = Some((gpus, Instant::now())),
                Err(why) => self.absent = Some(why),
            }
        }
        if !self.asked {
            self.asked = ask.send(pids.to_vec()).is_ok();
        }
        let fresh = self.latest.as_ref().filter(|(_, at)| at.elapsed() < FRESH);
        fresh.map(|(gpus, _)| gpus.clone()).unwrap_or_default()
    }

    pub(crate) fn absent(&self) -> Option<String> {
        self.absent.clone()
    }
}

fn start() -> Ends {
    let (ask, asked) = mpsc::channel::<Vec<i32>>();
    let (answer, answers) = mpsc::channel();
    let body = move || {
        let nvml = match Nvml::init() {
            Ok(nvml) => nvml,
            Err(error) => {
                let _ = answer.send(Err(absence(&error)));
                return;
            }
        };
        while let Ok(pids) = asked.recv() {
            if answer.send(Ok(measure(&nvml, &pids))).is_err() {
                return;
            }
        }
    };
    // Without a thread both channels are closed: there are no GPUs to show.
    let _ = std::thread::Builder::new().name("defib-nvml".to_owned()).spawn(body);
    (ask, answers)
}

/// One line for a user who expected a GPU.
pub(crate) fn absence(error: &nvml_wrapper::error::NvmlError) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    format!("NVML is not available: {line}")
}

fn measure(nvml: &Nvml, pids: &[i32]) -> Vec<GpuVitals> {
    (0..nvml.device_count().unwrap_or(0)).filter_map(|index| gpu(nvml, index, pids)).collect()
}

fn gpu(nvml: &Nvml, index: u32, pids: &[i32]) -> Option<GpuVitals> {
    let device = nvml.device_by_index(index).ok()?;
    let memory = device.memory_info().ok()?;
    Some(GpuVitals {
        index,
        utilization: device.utilization_rates().ok().map(|rates| rates.gpu),
        used_bytes: memory.used,
        total_bytes: memory.total,
        tree_bytes: tree_memory(&device, pids),
        temperature: device.temperature(TemperatureSensor::Gpu).ok(),
        power_w: device.power_usage().ok().map(|milliwatts| f64::from(milliwatts) / 1e3),
        throttle: device.current_throttle_reasons().ok().map(|reasons| reasons.bits()),
    })
}

/// Which processes have memory on which GPUs, or why that is not known.
pub(crate) fn gpu_processes(within: Duration) -> Result<HashMap<i32, Vec<GpuHold>>, String> {
    let (answer, answered) = mpsc::channel();
    let body = move || {
        let _ = answer.send(Nvml::init().map_err(|error| absence(&error)).map(|nvml| all_processes(&nvml)));
    };
    let started = std::thread::Builder::new().name("defib-nvml".to_owned()).spawn(body);
    let late = || format!("NVML did not answer within {} s", within.as_secs());
    started.ok().and_then(|_| answered.recv_timeout(within).ok()).unwrap_or_else(|| Err(late()))
}

fn all_processes(nvml: &Nvml) -> HashMap<i32, Vec<GpuHold>> {
    let mut found: HashMap<i32, Vec<GpuHold>> = HashMap::new();
    for index in 0..nvml.device_count().unwrap_or(0) {
        let Ok(device) = nvml.device_by_index(index) else { continue };
        for process in processes_on(&device).unwrap_or_default() {
            let bytes = match process.used_gpu_memory {
                UsedGpuMemory::Used(bytes) => Some(bytes),
                UsedGpuMemory::Unavailable => None,
            };
            if let Ok(pid) = i32::try_from(process.pid) {
                found.entry(pid).or_default().push(GpuHold { index, bytes });
            }
        }
    }
    found
}

fn processes_on(device: &nvml_wrapper::Device<'_>) -> Option<Vec<ProcessInfo>> {
    let mut processes = device.running_compute_processes().ok()?;
    processes.extend(device.running_graphics_processes().unwrap_or_default());
    // A process may be listed under both.
    processes.sort_by_key(|process| process.pid);
    processes.dedup_by_key(|process| process.pid);
    Some(processes)
}

fn tree_memory(device: &nvml_wrapper::Device<'_>, pids: &[i32]) -> Option<u64> {
    let processes = processes_on(device)?;
    let ours = |pid: u32| i32::try_from(pid).is_ok_and(|pid| pids.binary_search(&pid).is_ok());
    processes.iter().filter(|process| ours(process.pid)).try_fold(0, |sum, process| match process.used_gpu_memory {
        UsedGpuMemory::Used(bytes) => Some(sum + bytes),
        UsedGpuMemory::Unavailable => None,
    })
}
