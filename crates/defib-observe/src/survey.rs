//! What processes hold, and which of all processes nobody answers for.
//!
//! One pass over `/proc/*/stat` sorts out nearly all processes; only of the few that
//! remain are descriptors, control group and memory read. Command lines, memory and
//! descriptors take locks of the process concerned, so a survey is taken in a
//! disposable child ([`survey_within`]); what it had told by the deadline counts.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::{Duration, Instant};

use defib_core::orphan::{GpuHold, Holdings, Standing};
use serde::{Deserialize, Serialize};

use crate::files::{self, Reader};
use crate::parse::{self, Stat};
use crate::probe::survey_lines;
use crate::sampler::gpu_processes;
use crate::{netlink, sys};

/// Time that the GPU library may take.
const GPUS_WITHIN: Duration = Duration::from_secs(2);
/// `LISTEN` and `ESTABLISHED` in the kernel's socket tables.
const LISTEN: u8 = 10;
const ESTABLISHED: u8 = 1;
/// Most pid files that are read.
const MOST_PID_FILES: usize = 500;

/// What is asked of a survey.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SurveyRequest {
    /// Processes whose holdings are wanted.
    pub holders: Vec<i32>,
    /// Search all processes for those that nobody answers for.
    pub unowned: bool,
    /// Search all processes for who has these files, or something in these folders, open.
    pub files: Vec<String>,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Found {
    /// What an asked-for process holds.
    Holds(i32, Holdings),
    /// A process that nobody answers for.
    Unowned(Box<Standing>),
    /// GPUs could not be asked: why.
    NoGpu(String),
    /// A process has this file open or mapped.
    Open(String, i32),
    /// Everything was told.
    Done,
}

/// What a survey found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Survey {
    /// What the processes asked for hold; those that are gone are missing.
    pub holders: HashMap<i32, Holdings>,
    /// Processes whose session leader is gone, whose parent was re-assigned and that
    /// have no terminal, if they hold something.
    pub unowned: Vec<Standing>,
    /// Who has which of the files open.
    pub open: HashMap<String, Vec<i32>>,
    /// Why memory on GPUs is not among it.
    pub no_gpu: Option<String>,
    /// It was ended by the deadline: a process did not let itself be read.
    pub incomplete: bool,
}

/// Takes a survey in a disposable child of `exe`, and returns by the deadline.
#[must_use]
pub fn survey_within(exe: &Path, request: &SurveyRequest, deadline: Duration) -> Survey {
    let mut survey = Survey { incomplete: true, ..Survey::default() };
    survey_lines(exe, request, Instant::now() + deadline, |found| match found {
        Found::Holds(pid, holdings) => drop(survey.holders.insert(pid, holdings)),
        Found::Unowned(standing) => survey.unowned.push(*standing),
        Found::Open(file, pid) => survey.open.entry(file).or_default().push(pid),
        Found::NoGpu(why) => survey.no_gpu = Some(why),
        Found::Done => survey.incomplete = false,
    });
    survey
}

/// The survey itself; tells each finding as it goes.
pub(crate) fn survey(request: &SurveyRequest, tell: &mut dyn FnMut(Found)) {
    open_files(&request.files, tell);
    if request.holders.is_empty() && !request.unowned {
        return tell(Found::Done);
    }
    let mut tables = Tables::read();
    if let Some(why) = tables.no_gpu.take() {
        tell(Found::NoGpu(why));
    }
    for &pid in &request.holders {
        if files::link(&format!("/proc/{pid}/exe")).is_ok() || std::path::Path::new(&format!("/proc/{pid}")).exists() {
            tell(Found::Holds(pid, tables.holdings(pid)));
        }
    }
    if request.unowned {
        unowned(&tables, tell);
    }
    tell(Found::Done);
}

/// Tells who has these files, or something in these folders, open or mapped.
fn open_files(files: &[String], tell: &mut dyn FnMut(Found)) {
    if files.is_empty() {
        return;
    }
    let wanted = |path: &str| {
        let path = path.trim_end_matches(" (deleted)");
        files
            .iter()
            .find(|file| path.strip_prefix(file.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    };
    let mut reader = Reader::default();
    for pid in files::numbers("/proc").unwrap_or_default() {
        let mut found = HashSet::new();
        let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        for entry in entries {
            found.extend(
                std::fs::read_link(entry.path()).ok().and_then(|path| wanted(&path.to_string_lossy()).cloned()),
            );
        }
        let maps = reader.process(pid, "maps").map(String::from_utf8_lossy).unwrap_or_default();
        found.extend(maps.lines().filter_map(|line| wanted(&line[line.find('/')?..]).cloned()));
        found.into_iter().for_each(|file| tell(Found::Open(file, pid)));
    }
}

/// What is read once for all processes.
struct Tables {
    /// Addresses on which somebody listens, by the inode of the socket.
    listening: HashMap<u64, (String, u16)>,
    /// Connections to a port of this machine, by port.
    clients: HashMap<u16, usize>,
    /// Memory on GPUs, by process.
    gpus: HashMap<i32, Vec<GpuHold>>,
    no_gpu: Option<String>,
}

impl Tables {
    fn read() -> Self {
        let sockets = netlink::internet(libc::IPPROTO_TCP).unwrap_or_else(|_| {
            let mut reader = Reader::default();
            let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
            let mut read = |path: &&str| reader.file(path).map(netlink::text_table).unwrap_or_default();
            tables.iter().flat_map(&mut read).collect()
        });
        let mut listening = HashMap::new();
        let mut clients = HashMap::new();
        for socket in &sockets {
            let (address, port) = socket.local;
            match socket.state {
                LISTEN => drop(listening.insert(socket.inode, (address.show(port), port))),
                ESTABLISHED => *clients.entry(port).or_default() += 1,
                _ => {}
            }
        }
        let (gpus, no_gpu) = match gpu_processes(GPUS_WITHIN) {
            Ok(gpus) => (gpus, None),
            Err(why) => (HashMap::new(), Some(why)),
        };
        Self { listening, clients, gpus, no_gpu }
    }

    fn holdings(&self, pid: i32) -> Holdings {
        let (memory_bytes, memory_is_share) = memory(pid);
        Holdings { memory_bytes, memory_is_share, ..self.held(pid) }
    }

    /// What a process holds, without its memory.
    fn held(&self, pid: i32) -> Holdings {
        let mut held = Holdings { gpus: self.gpus.get(&pid).cloned().unwrap_or_default(), ..Holdings::default() };
        for entry in std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
            let Ok(target) = std::fs::read_link(entry.path()) else { continue };
            let target = target.to_string_lossy();
            if let Some(inode) = target.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']')) {
                let listens = inode.parse().ok().and_then(|inode: u64| self.listening.get(&inode));
                held.ports.extend(listens.map(|(address, _)| address.clone()));
            } else if is_gpu_device(&target) && held.device.is_none() {
                held.device = Some(target.into_owned());
            }
        }
        held.ports.sort_unstable();
        held.ports.dedup();
        held
    }

    fn clients_of(&self, holdings: &Holdings) -> usize {
        let ports = holdings.ports.iter().filter_map(|address| address.rsplit(':').next()?.parse::<u16>().ok());
        ports.filter_map(|port| self.clients.get(&port)).sum()
    }
}

/// `/dev/nvidia0`, `/dev/kfd` (AMD), `/dev/dri/renderD128`; not the control devices,
/// which a mere question to the driver opens.
fn is_gpu_device(path: &str) -> bool {
    let nvidia =
        path.strip_prefix("/dev/nvidia").is_some_and(|rest| rest.starts_with(|digit: char| digit.is_ascii_digit()));
    nvidia || path == "/dev/kfd" || path.starts_with("/dev/dri/renderD")
}

/// Proportional set size, else resident size; and whether it is the former.
fn memory(pid: i32) -> (u64, bool) {
    let mut reader = Reader::default();
    let share = reader.process(pid, "smaps_rollup").ok().and_then(|text| parse::field_number(text, "Pss"));
    if let Some(kib) = share {
        return (kib * 1024, true);
    }
    let stat = reader.process(pid, "stat").ok().and_then(parse::stat);
    (stat.map_or(0, |stat| stat.rss_pages * sys::page_size()), false)
}

/// Tells every process that looks like nobody's.
fn unowned(tables: &Tables, tell: &mut dyn FnMut(Found)) {
    let mut reader = Reader::default();
    let mut all: HashMap<i32, Stat> = HashMap::new();
    for pid in files::numbers("/proc").unwrap_or_default() {
        if let Some(stat) = reader.process(pid, "stat").ok().and_then(parse::stat) {
            all.insert(pid, stat);
        }
    }
    let mut pid_files = None;
    let mut pids: Vec<i32> = all.keys().copied().collect();
    pids.sort_unstable();
    for pid in pids {
        let Some(top) = left_alone(pid, &all) else { continue };
        let held = tables.held(pid);
        if !held.any() {
            continue;
        }
        let pid_files = pid_files.get_or_insert_with(read_pid_files);
        let mut standing = standing(pid, top, &all, &mut reader);
        standing.pid_file = pid_files.get(&pid).cloned();
        standing.clients = tables.clients_of(&held);
        let (memory_bytes, memory_is_share) = memory(pid);
        standing.holdings = Holdings { memory_bytes, memory_is_share, ..held };
        tell(Found::Unowned(Box::new(standing)));
    }
}

/// The process itself, or that of its session which started it, has lost its parent, and
/// the leader of the session is gone: then the pid of that one.
fn left_alone(pid: i32, all: &HashMap<i32, Stat>) -> Option<i32> {
    let stat = all.get(&pid)?;
    let leads = stat.sid == pid || stat.sid == 0;
    let alive = |stat: &Stat| !matches!(stat.state, b'Z' | b'X' | b'x');
    if leads || stat.terminal || !alive(stat) || all.get(&stat.sid).is_some_and(alive) {
        return None;
    }
    // Up to the first whose parent is not of its session: who never made a session of its
    // own was born into that of its parent.
    let mut top = pid;
    for _ in 0..1000 {
        let parent = all.get(&top)?.ppid;
        match all.get(&parent) {
            Some(above) if above.sid == stat.sid => top = parent,
            Some(_) => return Some(top),
            // Parent of another pid namespace: nothing can be said.
            None => return None,
        }
    }
    None
}

fn standing(pid: i32, top: i32, all: &HashMap<i32, Stat>, reader: &mut Reader) -> Standing {
    let stat = all.get(&pid).cloned().unwrap_or_default();
    let mut command = |pid: i32| reader.process(pid, "cmdline").map(parse::strings).unwrap_or_default();
    let parent = all.get(&top).map_or(0, |stat| stat.ppid);
    let own = command(pid);
    let parent_command = command(parent);
    let under = (top != pid).then(|| (top, command(top)));
    let status = reader.process(pid, "status").map(<[u8]>::to_vec).unwrap_or_default();
    let ignored = parse::field(&status, "SigIgn").and_then(parse::hexadecimal).unwrap_or(0);
    let uid = parse::field(&status, "Uid").and_then(|ids| parse::number(ids.split(|byte| *byte == b'\t').next()?));
    let group = files::text(&format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let born = stat.start_ticks as f64 / sys::ticks_per_second() as f64;
    Standing {
        pid,
        start_ticks: stat.start_ticks,
        age_s: (sys::clock_s(libc::CLOCK_BOOTTIME) - born).max(0.0),
        uid: uid.and_then(|uid| u32::try_from(uid).ok()).unwrap_or(0),
        command: own,
        session: stat.sid,
        leader_lives: false,
        terminal: stat.terminal,
        parent,
        parent_command,
        parent_in_session: false,
        under,
        hangup_ignored: ignored & 1 == 1,
        service: service(&group),
        container: container(&group, pid),
        pid_file: None,
        clients: 0,
        holdings: Holdings::default(),
    }
}

/// The service in a control group's path; the manager of a user (`user@1000.service`)
/// answers for the services below it, not for everything of that user.
fn service(groups: &str) -> Option<String> {
    let names = groups.lines().flat_map(|line| line.rsplit('/'));
    let mut services = names.filter(|name| name.ends_with(".service") && !name.starts_with("user@"));
    services.next().map(str::to_owned)
}

/// The container of a process, where it is in another one than this process.
fn container(groups: &str, pid: i32) -> Option<String> {
    let namespace = |pid: &str| files::link(&format!("/proc/{pid}/ns/pid")).ok();
    let (own, theirs) = (namespace("self"), namespace(&pid.to_string()));
    if own.is_none() || theirs.is_none() || own == theirs {
        return None;
    }
    let marks = ["docker", "kubepods", "libpod", "lxc"];
    let mark = marks.into_iter().find(|mark| groups.contains(mark)).unwrap_or("another pid namespace");
    Some(mark.to_owned())
}

/// The pids that files of `/run` name.
fn read_pid_files() -> HashMap<i32, String> {
    let mut found = HashMap::new();
    let mut folders = vec![(std::path::PathBuf::from("/run"), 0)];
    let mut budget = MOST_PID_FILES * 4;
    while let Some((folder, depth)) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            budget = budget.saturating_sub(1);
            if budget == 0 || found.len() >= MOST_PID_FILES {
                return found;
            }
            let path = entry.path();
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() && depth < 1 {
                folders.push((path, depth + 1));
            } else if kind.is_file() && path.extension().is_some_and(|ending| ending == "pid") {
                let pid =
                    files::text(&path.to_string_lossy()).and_then(|text| text.lines().next()?.trim().parse().ok());
                found.extend(pid.map(|pid| (pid, path.display().to_string())));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_and_the_manager_of_a_user_are_told_apart() {
        assert_eq!(service("0::/system.slice/ssh.service").as_deref(), Some("ssh.service"));
        assert_eq!(service("0::/user.slice/user-1000.slice/session-3.scope"), None);
        assert_eq!(service("0::/user.slice/user-1000.slice/user@1000.service/app.slice/x.scope"), None);
        let below = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/web.service";
        assert_eq!(service(below).as_deref(), Some("web.service"));
    }

    #[test]
    fn devices_of_gpus_are_known() {
        for path in ["/dev/nvidia0", "/dev/nvidia12", "/dev/kfd", "/dev/dri/renderD128"] {
            assert!(is_gpu_device(path), "{path}");
        }
        for path in ["/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/null", "/dev/dri/card0"] {
            assert!(!is_gpu_device(path), "{path}");
        }
    }

    #[test]
    fn this_process_holds_its_port_and_memory() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap().to_string();
        let pid = i32::try_from(std::process::id()).unwrap();
        let mut holdings = None;
        let request = SurveyRequest { holders: vec![pid, i32::MAX], ..SurveyRequest::default() };
        survey(&request, &mut |found| {
            if let Found::Holds(of, held) = found {
                assert_eq!(of, pid);
                holdings = Some(held);
            }
        });
        let holdings = holdings.unwrap();
        assert!(holdings.ports.contains(&address) && holdings.memory_bytes > 1 << 20, "{holdings:?}");
    }

    #[test]
    fn only_who_lost_its_parent_and_leader_is_left_alone() {
        let stat = |ppid, sid| Stat { ppid, sid, state: b'S', ..Stat::default() };
        let mut all: HashMap<i32, Stat> =
            [(1, stat(0, 1)), (10, stat(1, 10)), (11, stat(10, 10)), (20, stat(1, 19)), (21, stat(20, 19))].into();
        assert_eq!(left_alone(11, &all), None, "its leader lives");
        assert_eq!(left_alone(20, &all), Some(20));
        assert_eq!(left_alone(21, &all), Some(20), "by whom it was started");
        assert_eq!(left_alone(10, &all), None, "leads a session");
        all.entry(21).and_modify(|stat| stat.terminal = true);
        assert_eq!(left_alone(21, &all), None, "has a terminal");
    }
}
