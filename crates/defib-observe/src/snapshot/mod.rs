//! The state of the whole machine at one time, for `defib snapshot`.
//!
//! Theory of operation. Whatever may hang (a dead network disk, a GPU driver,
//! the memory lock of a stuck process) is asked in a thread of its own, and is
//! abandoned at its deadline ([`patience`]); what did not answer is reported
//! as such. GPUs, disks and the kernel log are asked first and answer while
//! the processes are read. Every list is bounded, and what it leaves out is
//! counted.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use defib_core::snapshot::{
    Disk, Gpus, GroupLimits, KernelLog, Memory, Place, Processes, PythonEnvironment, SharedMemory, System, Unanswered,
};

use crate::sys;

mod cgroups;
mod disks;
mod gpus;
mod kernel_log;
mod listening;
mod memory;
mod packages;
mod patience;
mod processes;
mod python_envs;
mod shm;
mod system;

/// What to read, and how long that may take.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Folders whose disks matter.
    pub places: Vec<Place>,
    /// Longest time for everything together.
    pub within: Duration,
    /// The wall clock now, milliseconds since the epoch.
    pub now_ms: u64,
    /// The search path, for `python3`.
    pub path: String,
}

/// What was read.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// The machine.
    pub system: System,
    /// Limits of the own control group.
    pub limits: GroupLimits,
    /// Memory, swap and pressure.
    pub memory: Memory,
    /// Disks.
    pub disks: Vec<Disk>,
    /// `/dev/shm`.
    pub shared_memory: Option<SharedMemory>,
    /// GPUs.
    pub gpus: Gpus,
    /// The kernel log.
    pub kernel_log: KernelLog,
    /// Processes.
    pub processes: Processes,
    /// Python environments.
    pub python: Vec<PythonEnvironment>,
    /// What did not answer.
    pub unanswered: Vec<Unanswered>,
}

/// Reads everything. Returns within the time given, whatever hangs.
#[must_use]
pub fn read(request: &Request) -> Seen {
    let until = Instant::now() + request.within;
    // What comes after has its share of the time, also where something hangs.
    let share = |percent: u32| Instant::now() + request.within * percent / 100;
    let gpus = patience::ask("gpus", gpus::read);
    let log = patience::ask("kernel-log", kernel_log::read);
    let places = request.places.clone();
    let disks_until = share(45);
    let disks = patience::ask("disks", move || disks::read(places, disks_until));
    let sockets = patience::ask("sockets", listening::sockets);
    let files = patience::ask("shm", shm::files);

    let mut seen = Seen { system: system::read(), memory: memory::read(), ..Seen::default() };
    seen.limits = cgroups::read();
    let files = or_unanswered(files.by(share(15)), "/dev/shm", &mut seen.unanswered).flatten();
    let sockets = or_unanswered(sockets.by(share(15)), "listening sockets", &mut seen.unanswered).unwrap_or_default();
    let maps = files.as_ref().is_some_and(|found| found.files > 0);
    let (all, silent) = processes::read_all(maps, share(40));
    seen.unanswered.extend(silent);

    // The library needs up to a second where a driver has to be woken.
    seen.gpus = gpus.by(share(30)).unwrap_or_else(|| Gpus {
        absent: Some(format!("NVML did not answer within {:.1} s", request.within.as_secs_f64())),
        ..Gpus::default()
    });
    let gpu_bytes = gpu_bytes(&seen.gpus);
    let surroundings =
        processes::Surroundings { sockets, gpu_bytes, total_bytes: seen.memory.total_bytes, now_ms: request.now_ms };
    seen.shared_memory = files.map(|files| shm::held(files, &all));
    let (python, silent) = python_envs::read(&all, &request.path, share(40).min(until));
    seen.python = python;
    seen.unanswered.extend(silent);
    seen.processes = processes::select(&all, &surroundings, until);
    if let Some((disks, silent)) = or_unanswered(disks.by(until), "disks", &mut seen.unanswered) {
        seen.disks = disks;
        seen.unanswered.extend(silent);
    }
    seen.kernel_log = or_unanswered(log.by(until), "kernel log", &mut seen.unanswered).unwrap_or_default();
    seen
}

fn or_unanswered<T>(answer: Option<T>, what: &str, unanswered: &mut Vec<Unanswered>) -> Option<T> {
    if answer.is_none() {
        unanswered.push(silent(what.to_owned()));
    }
    answer
}

/// What is said of something that hangs.
fn silent(what: String) -> Unanswered {
    Unanswered { what, why: "did not answer in time".to_owned() }
}

/// GPU memory by process, all GPUs together.
fn gpu_bytes(gpus: &Gpus) -> HashMap<i32, u64> {
    let mut found = HashMap::new();
    for process in gpus.list.iter().flat_map(|gpu| &gpu.processes) {
        *found.entry(process.pid).or_default() += process.bytes.unwrap_or(0);
    }
    found
}

/// Time since boot, seconds, as start times of processes count.
fn up_s() -> f64 {
    sys::clock_s(libc::CLOCK_BOOTTIME)
}
