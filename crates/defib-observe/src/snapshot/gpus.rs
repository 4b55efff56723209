//! GPUs through NVML. The library can hang in the driver: ask this in a thread.

use std::collections::BTreeMap;

use defib_core::snapshot::{Gpu, GpuProcess, Gpus};
use nvml_wrapper::bitmasks::device::ThrottleReasons;
use nvml_wrapper::enum_wrappers::device::{Clock, EccCounter, MemoryError, TemperatureSensor};
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::struct_wrappers::device::ProcessInfo;
use nvml_wrapper::{Device, Nvml, cuda_driver_version_major, cuda_driver_version_minor};

use crate::sampler::absence;

/// Most processes kept of one GPU; those with the most memory stay.
const MOST_PROCESSES: usize = 200;

pub(super) fn read() -> Gpus {
    let nvml = match Nvml::init() {
        Ok(nvml) => nvml,
        Err(error) => return Gpus { absent: Some(absence(&error)), ..Gpus::default() },
    };
    let cuda = |version| format!("{}.{}", cuda_driver_version_major(version), cuda_driver_version_minor(version));
    let list: Vec<Gpu> = (0..nvml.device_count().unwrap_or(0)).filter_map(|index| gpu(&nvml, index)).collect();
    Gpus {
        absent: list.is_empty().then(|| "NVML lists no GPU".to_owned()),
        driver: nvml.sys_driver_version().ok(),
        cuda: nvml.sys_cuda_driver_version().ok().map(cuda),
        list,
    }
}

fn gpu(nvml: &Nvml, index: u32) -> Option<Gpu> {
    let device = nvml.device_by_index(index).ok()?;
    let memory = device.memory_info().ok()?;
    let errors = |kind| device.total_ecc_errors(kind, EccCounter::Volatile).ok();
    Some(Gpu {
        index,
        uuid: device.uuid().unwrap_or_default(),
        name: device.name().unwrap_or_default(),
        total_bytes: memory.total,
        used_bytes: memory.used,
        utilization: device.utilization_rates().ok().map(|rates| rates.gpu),
        temperature: device.temperature(TemperatureSensor::Gpu).ok(),
        power_w: device.power_usage().ok().map(|milliwatts| f64::from(milliwatts) / 1e3),
        clock_mhz: device.clock_info(Clock::SM).ok(),
        clock_max_mhz: device.max_clock_info(Clock::SM).ok(),
        memory_clock_mhz: device.clock_info(Clock::Memory).ok(),
        throttle: device.current_throttle_reasons().map(reasons).unwrap_or_default(),
        ecc_uncorrected: errors(MemoryError::Uncorrected),
        ecc_corrected: errors(MemoryError::Corrected),
        processes: processes(&device),
    })
}

/// A process may be listed under computing and under graphics: it counts once.
fn processes(device: &Device<'_>) -> Vec<GpuProcess> {
    let mut all = device.running_compute_processes().unwrap_or_default();
    all.extend(device.running_graphics_processes().unwrap_or_default());
    merged(all)
}

fn merged(all: Vec<ProcessInfo>) -> Vec<GpuProcess> {
    let mut by_pid: BTreeMap<i32, Option<u64>> = BTreeMap::new();
    for process in all {
        let Ok(pid) = i32::try_from(process.pid) else { continue };
        let bytes = match process.used_gpu_memory {
            UsedGpuMemory::Used(bytes) => Some(bytes),
            UsedGpuMemory::Unavailable => None,
        };
        let known = by_pid.entry(pid).or_default();
        *known = (*known).max(bytes);
    }
    let mut list: Vec<GpuProcess> = by_pid.into_iter().map(|(pid, bytes)| GpuProcess { pid, bytes }).collect();
    list.sort_by_key(|process| std::cmp::Reverse(process.bytes));
    list.truncate(MOST_PROCESSES);
    list
}

/// In words.
fn reasons(bits: ThrottleReasons) -> Vec<String> {
    let words = [
        (ThrottleReasons::GPU_IDLE, "idle"),
        (ThrottleReasons::APPLICATIONS_CLOCKS_SETTING, "set clocks"),
        (ThrottleReasons::SW_POWER_CAP, "power limit"),
        (ThrottleReasons::HW_SLOWDOWN, "hardware slowdown"),
        (ThrottleReasons::SYNC_BOOST, "sync boost"),
        (ThrottleReasons::SW_THERMAL_SLOWDOWN, "thermal slowdown by the driver"),
        (ThrottleReasons::HW_THERMAL_SLOWDOWN, "thermal slowdown by the hardware"),
        (ThrottleReasons::HW_POWER_BRAKE_SLOWDOWN, "power brake"),
        (ThrottleReasons::DISPLAY_CLOCK_SETTING, "display clocks"),
    ];
    words.into_iter().filter(|(bit, _)| bits.contains(*bit)).map(|(_, word)| word.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_gpus_or_a_reason_why_not() {
        let found = read();
        assert!(found.absent.is_some() == found.list.is_empty(), "{found:?}");
    }

    #[test]
    fn a_process_that_is_listed_twice_counts_once() {
        let one = |pid, used_gpu_memory| ProcessInfo {
            pid,
            used_gpu_memory,
            gpu_instance_id: None,
            compute_instance_id: None,
        };
        let found = merged(vec![
            one(7, UsedGpuMemory::Used(10)),
            one(8, UsedGpuMemory::Used(30)),
            one(7, UsedGpuMemory::Unavailable),
        ]);
        assert_eq!(found, [GpuProcess { pid: 8, bytes: Some(30) }, GpuProcess { pid: 7, bytes: Some(10) }]);
    }

    #[test]
    fn throttle_reasons_have_words() {
        let bits = ThrottleReasons::SW_POWER_CAP | ThrottleReasons::HW_THERMAL_SLOWDOWN;
        assert_eq!(reasons(bits), ["power limit", "thermal slowdown by the hardware"]);
    }
}
