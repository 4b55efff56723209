//! What this machine allows, for `defib doctor`. Plain facts; what to make of
//! them is the caller's.

use std::sync::mpsc;
use std::time::Duration;

use nvml_wrapper::Nvml;
use serde::{Deserialize, Serialize};

use crate::sampler::absence;
use crate::{files, oom, parse, sys};

/// Facts about this machine and this process's rights on it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Machine {
    /// Kernel release.
    pub kernel: String,
    /// `x86_64`, `aarch64`.
    pub architecture: String,
    /// Runs as the super-user.
    pub root: bool,
    /// Yama's `ptrace_scope`; `None` where there is no Yama (as 0).
    pub ptrace_scope: Option<u32>,
    /// Has CAP_SYS_PTRACE: may look at every process.
    pub can_trace_all: bool,
    /// Mount point of control groups version 2.
    pub cgroup2: Option<String>,
    /// Mount point of the memory controller of version 1.
    pub cgroup1_memory: Option<String>,
    /// This process's lines of `/proc/self/cgroup`.
    pub cgroups: Vec<String>,
    /// GPUs, or why there are none.
    pub gpus: Gpus,
    /// `/proc/pressure` can be read.
    pub pressure: bool,
    /// `hidepid` option of the `/proc` mount: other users' processes are hidden.
    pub hidepid: Option<String>,
    /// `/proc/PID/task/TID/children` exists.
    pub children_file: bool,
    /// Runs under the Windows Subsystem for Linux.
    pub wsl: bool,
    /// Container engine by whose marks this looks like a container.
    pub container: Option<String>,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Memory available without swapping, in bytes.
    pub memory_available_bytes: u64,
    /// Swap space in bytes.
    pub swap_bytes: u64,
    /// Size of `/dev/shm` in bytes.
    pub shm_bytes: Option<u64>,
    /// Free bytes of `/dev/shm`.
    pub shm_free_bytes: Option<u64>,
    /// Cores this process may use.
    pub cores: u32,
    /// CPU quota of its control group, in cores.
    pub cpu_quota: Option<f64>,
    /// Soft and hard limits by name; `None` is unlimited.
    pub limits: Vec<Limit>,
    /// The kernel log can be read.
    pub kernel_log: bool,
}

/// A resource limit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Limit {
    /// `open-files`, `processes`, `address-space`, `locked-memory`, `core-size`.
    pub name: String,
    /// Soft limit; `None` is unlimited.
    pub soft: Option<u64>,
    /// Hard limit; `None` is unlimited.
    pub hard: Option<u64>,
}

/// What NVML tells.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Gpus {
    /// Driver version.
    pub driver: Option<String>,
    /// Names, in NVML's order.
    pub names: Vec<String>,
    /// One line that says why there are none.
    pub absent: Option<String>,
}

/// Gathers the facts. NVML is given `gpus_within` to answer.
#[must_use]
pub fn read(gpus_within: Duration) -> Machine {
    let memory = files::text("/proc/meminfo").unwrap_or_default();
    let kilobytes = |key: &str| parse::field_number(memory.as_bytes(), key).unwrap_or(0) * 1024;
    let mounts = files::text("/proc/self/mountinfo").unwrap_or_default();
    let mount = |kind: &str| oom::mount_of(&mounts, kind).map(|(_, path)| path);
    let kernel = files::text("/proc/sys/kernel/osrelease").unwrap_or_default();
    let shm = sys::file_system_size("/dev/shm");
    let cgroups = files::text("/proc/self/cgroup").unwrap_or_default();
    let scope = files::text("/proc/sys/kernel/yama/ptrace_scope");
    Machine {
        architecture: std::env::consts::ARCH.to_owned(),
        root: sys::is_root(),
        ptrace_scope: scope.and_then(|text| text.parse().ok()),
        can_trace_all: can_trace_all(),
        cgroup2: mount("cgroup2"),
        cgroup1_memory: mount("cgroup"),
        cpu_quota: cpu_quota(&cgroups, &mounts),
        cgroups: cgroups.lines().map(str::to_owned).collect(),
        gpus: gpus(gpus_within),
        pressure: std::fs::read("/proc/pressure/cpu").is_ok(),
        hidepid: hidepid(&mounts),
        children_file: std::path::Path::new("/proc/thread-self/children").exists(),
        wsl: kernel.to_ascii_lowercase().contains("microsoft"),
        kernel,
        container: container(),
        memory_bytes: kilobytes("MemTotal"),
        memory_available_bytes: kilobytes("MemAvailable"),
        swap_bytes: kilobytes("SwapTotal"),
        shm_bytes: shm.map(|(size, _)| size),
        shm_free_bytes: shm.map(|(_, free)| free),
        cores: std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(1)),
        limits: limits(),
        kernel_log: std::fs::File::open("/dev/kmsg").is_ok(),
    }
}

/// Memory that this process can have: that of the machine, or of its control groups if
/// that is less. Bytes.
#[must_use]
pub fn memory_bytes() -> u64 {
    let memory = files::text("/proc/meminfo").unwrap_or_default();
    let machine = parse::field_number(memory.as_bytes(), "MemTotal").unwrap_or(0) * 1024;
    oom::group_limit().map_or(machine, |limit| limit.min(machine))
}

pub(crate) fn can_trace_all() -> bool {
    const CAP_SYS_PTRACE: u64 = 19;
    let status = files::text("/proc/self/status").unwrap_or_default();
    let effective = parse::field(status.as_bytes(), "CapEff").and_then(parse::hexadecimal);
    effective.is_some_and(|bits| bits >> CAP_SYS_PTRACE & 1 == 1)
}

fn hidepid(mounts: &str) -> Option<String> {
    let line = mounts.lines().find(|line| line.split(' ').nth(4) == Some("/proc"))?;
    let option = line.split([' ', ',']).find_map(|word| word.strip_prefix("hidepid="))?;
    (option != "0" && option != "off").then(|| option.to_owned())
}

/// The marks of container engines; a container without any is not recognised.
pub(crate) fn container() -> Option<String> {
    if std::path::Path::new("/.dockerenv").exists() {
        return Some("docker".to_owned());
    }
    if let Some(text) = files::text("/run/.containerenv") {
        let engine = text.lines().find_map(|line| line.strip_prefix("engine=\""));
        return Some(engine.and_then(|name| name.split('-').next()).unwrap_or("podman").to_owned());
    }
    if std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
        return Some("kubernetes".to_owned());
    }
    let groups = files::text("/proc/1/cgroup").unwrap_or_default();
    let marks = [("docker", "docker"), ("kubepods", "kubernetes"), ("lxc", "lxc")];
    marks.into_iter().find(|(mark, _)| groups.contains(mark)).map(|(_, name)| name.to_owned())
}

/// The tightest CPU quota of the group and those above it.
fn cpu_quota(groups: &str, mounts: &str) -> Option<f64> {
    let (_, mount) = oom::mount_of(mounts, "cgroup2")?;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let folder = std::path::Path::new(&mount).join(group.trim_start_matches('/'));
    let quota = |folder: &std::path::Path| {
        let text = files::text(folder.join("cpu.max").to_str()?)?;
        let (quota, period) = text.split_once(' ')?;
        Some(quota.parse::<f64>().ok()? / period.parse::<f64>().ok()?)
    };
    let quotas = folder.ancestors().take_while(|at| at.starts_with(&mount)).filter_map(quota);
    quotas.min_by(f64::total_cmp)
}

fn limits() -> Vec<Limit> {
    let all = [
        ("open-files", libc::RLIMIT_NOFILE),
        ("processes", libc::RLIMIT_NPROC),
        ("address-space", libc::RLIMIT_AS),
        ("locked-memory", libc::RLIMIT_MEMLOCK),
        ("core-size", libc::RLIMIT_CORE),
    ];
    let limit = |(name, resource): (&str, _)| {
        let (soft, hard) = sys::limit(resource);
        Limit { name: name.to_owned(), soft, hard }
    };
    all.into_iter().map(limit).collect()
}

/// NVML in a thread, which is abandoned if the driver hangs.
fn gpus(within: Duration) -> Gpus {
    let (sender, receiver) = mpsc::channel();
    let body = move || {
        let answer = Nvml::init().map(|nvml| {
            let count = nvml.device_count().unwrap_or(0);
            let name = |index| nvml.device_by_index(index).ok()?.name().ok();
            let names = (0..count).filter_map(name).collect();
            Gpus { driver: nvml.sys_driver_version().ok(), names, absent: None }
        });
        let absent = |why| Gpus { absent: Some(why), ..Gpus::default() };
        let _ = sender.send(answer.unwrap_or_else(|error| absent(absence(&error))));
    };
    let started = std::thread::Builder::new().name("defib-nvml".to_owned()).spawn(body);
    let answer = started.ok().and_then(|_| receiver.recv_timeout(within).ok());
    answer.unwrap_or_else(|| Gpus { absent: Some(format!("NVML did not answer within {within:?}")), ..Gpus::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_described() {
        let found = read(Duration::from_secs(5));
        assert!((1..=found.memory_bytes).contains(&memory_bytes()));
        assert!(found.memory_bytes > 1 << 20 && found.cores > 0 && !found.kernel.is_empty());
        assert_eq!(found.limits.len(), 5);
        assert!(found.gpus.driver.is_some() || found.gpus.absent.is_some());
    }

    #[test]
    fn hidepid_is_found() {
        let line = "22 1 0:5 / /proc rw,relatime shared:1 - proc proc rw,hidepid=invisible";
        assert_eq!(hidepid(line).as_deref(), Some("invisible"));
        assert_eq!(hidepid("22 1 0:5 / /proc rw - proc proc rw"), None);
    }
}
