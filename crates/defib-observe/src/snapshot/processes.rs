//! Processes: all are read, those that matter are kept.
//!
//! Command lines, environments and maps take the target's memory lock, which a
//! thread stuck in the kernel may hold for ever. So each process is asked
//! within a bound, and one that hangs costs only itself. Environments are
//! read for the few variables named here; no others are kept.

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::MetadataExt as _;
use std::time::Instant;

use defib_core::account::timestamp;
use defib_core::redact::redact_words;
use defib_core::snapshot::{Process, Processes, Unanswered};

use super::patience::{ONE_WITHIN, each};
use super::{silent, up_s};
use crate::files::{self, Reader};
use crate::{machine, parse, python, sys};

/// Most processes kept.
const MOST: usize = 300;
/// Most descriptors of one process whose targets are read.
const MOST_DESCRIPTORS: usize = 20_000;
/// Longest command line kept, in bytes, all words together.
const LONGEST_COMMAND: usize = 4096;
/// Variables that are looked at.
const VARIABLES: [&str; 6] = ["DEFIB_RUN", "HOME", "PATH", "PYTHONNOUSERSITE", "PYTHONPATH", "VIRTUAL_ENV"];

/// One process as read.
#[derive(Debug, Clone, Default)]
pub(super) struct Raw {
    pub(super) pid: i32,
    ppid: i32,
    start_ticks: u64,
    state: u8,
    name: String,
    rss_bytes: u64,
    threads: u32,
    /// Of this user; of anybody for the super-user.
    own: bool,
    pub(super) command: Vec<String>,
    pub(super) executable: String,
    pub(super) cwd: String,
    /// The variables of [`VARIABLES`] that are set.
    pub(super) variables: HashMap<&'static str, String>,
    descriptors: Option<u32>,
    sockets: Vec<u64>,
    /// Paths in `/dev/shm` that it has open or mapped.
    pub(super) shared_files: HashSet<String>,
    pub(super) python: bool,
}

/// All processes that could be read.
#[derive(Debug, Clone, Default)]
pub(super) struct All {
    pub(super) list: Vec<Raw>,
    /// Nothing of any process was hidden.
    pub(super) complete: bool,
    /// Nothing of this user's processes was hidden.
    pub(super) own_complete: bool,
}

/// What is known beside the processes themselves.
#[derive(Debug, Clone, Default)]
pub(super) struct Surroundings {
    /// Listening addresses by socket inode.
    pub(super) sockets: HashMap<u64, String>,
    /// GPU memory by process.
    pub(super) gpu_bytes: HashMap<i32, u64>,
    /// Memory of the machine.
    pub(super) total_bytes: u64,
    /// The wall clock, milliseconds since the epoch.
    pub(super) now_ms: u64,
}

/// Reads all processes; `maps` to learn what they have mapped of `/dev/shm`.
pub(super) fn read_all(maps: bool, until: Instant) -> (All, Vec<Unanswered>) {
    let pids = files::numbers("/proc").unwrap_or_default();
    let (answers, hung) = each("processes", pids, ONE_WITHIN, until, move |pid| read(*pid, maps));
    let list: Vec<Raw> = answers.into_iter().flatten().collect();
    let hidden = |raw: &&Raw| raw.descriptors.is_none() && raw.state != b'Z';
    let own_complete = hung.is_empty() && !list.iter().filter(hidden).any(|raw| raw.own);
    let complete = own_complete && machine::can_trace_all() && !list.iter().any(|raw| hidden(&raw));
    let unanswered = hung.into_iter().map(|pid| silent(format!("pid {pid}"))).collect();
    (All { list, complete, own_complete }, unanswered)
}

fn read(pid: i32, maps: bool) -> Option<Raw> {
    let mut reader = Reader::default();
    let stat = parse::stat(reader.process(pid, "stat").ok()?)?;
    // Kernel threads hold nothing of a user's.
    if pid == 2 || stat.ppid == 2 {
        return None;
    }
    let uid = std::fs::metadata(format!("/proc/{pid}")).ok()?.uid();
    let mut raw = Raw {
        pid,
        ppid: stat.ppid,
        start_ticks: stat.start_ticks,
        state: stat.state,
        name: stat.name,
        rss_bytes: stat.rss_pages.saturating_mul(sys::page_size()),
        threads: stat.threads,
        own: uid == sys::user() || sys::is_root(),
        executable: files::link(&format!("/proc/{pid}/exe")).unwrap_or_default(),
        cwd: files::link(&format!("/proc/{pid}/cwd")).unwrap_or_default(),
        ..Raw::default()
    };
    descriptors(&mut raw);
    raw.command = reader.process(pid, "cmdline").map(parse::strings).unwrap_or_default();
    if raw.own {
        let environment = reader.process(pid, "environ").map(<[u8]>::to_vec).unwrap_or_default();
        raw.variables = variables(&environment);
    }
    raw.python = python::version_of_path(&raw.executable).is_some();
    if maps {
        let maps = reader.process(pid, "maps").map(<[u8]>::to_vec).unwrap_or_default();
        raw.python = raw.python || python::version_of_maps(&maps).is_some();
        raw.shared_files.extend(shared_maps(&maps));
    }
    Some(raw)
}

fn descriptors(raw: &mut Raw) {
    let Ok(entries) = std::fs::read_dir(format!("/proc/{}/fd", raw.pid)) else { return };
    let mut count = 0;
    for entry in entries.flatten() {
        count += 1;
        if count > MOST_DESCRIPTORS {
            continue;
        }
        let Ok(link) = std::fs::read_link(entry.path()) else { continue };
        let Some(link) = link.to_str() else { continue };
        if let Some(inode) = parse::link_inode(link, "socket") {
            raw.sockets.push(inode);
        } else if link.starts_with("/dev/shm/") {
            raw.shared_files.insert(link.to_owned());
        }
    }
    raw.descriptors = u32::try_from(count).ok();
}

fn variables(environment: &[u8]) -> HashMap<&'static str, String> {
    let mut found = HashMap::new();
    for pair in environment.split(|byte| *byte == 0) {
        let named = VARIABLES.into_iter().find_map(|name| {
            let value = pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
            Some((name, String::from_utf8_lossy(value).into_owned()))
        });
        // Of a name that stands twice the first counts, as for getenv.
        if let Some((name, value)) = named {
            found.entry(name).or_insert(value);
        }
    }
    found
}

/// `7f…-7f… rw-s 00000000 00:1a 5   /dev/shm/name`.
fn shared_maps(maps: &[u8]) -> HashSet<String> {
    let line = |line: &[u8]| {
        let at = line.windows(9).position(|window| window == b"/dev/shm/")?;
        Some(String::from_utf8_lossy(line.get(at..)?).into_owned())
    };
    maps.split(|byte| *byte == b'\n').filter_map(line).collect()
}

/// The trees that matter.
pub(super) fn select(all: &All, around: &Surroundings, until: Instant) -> Processes {
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let by_pid: HashMap<i32, &Raw> =
        all.list.iter().filter(|raw| raw.own && raw.pid != own).map(|raw| (raw.pid, raw)).collect();
    let mut matters: Vec<i32> = by_pid.values().filter(|raw| does_matter(raw, around)).map(|raw| raw.pid).collect();
    // Where there are too many, the largest are kept.
    matters.sort_unstable_by_key(|pid| (std::cmp::Reverse(by_pid.get(pid).map_or(0, |raw| raw.rss_bytes)), *pid));
    let mut kept: HashSet<i32> = HashSet::new();
    let mut left_out = 0;
    let mut order = matters.clone();
    order.extend(matters.iter().flat_map(|pid| ancestors(*pid, &by_pid)));
    order.extend(descendants(&matters, &by_pid));
    for pid in order {
        if kept.contains(&pid) {
            continue;
        }
        if kept.len() < MOST {
            kept.insert(pid);
        } else {
            left_out += 1;
        }
    }
    let matters: HashSet<i32> = matters.into_iter().collect();
    let largest: Vec<i32> = kept.iter().copied().filter(|pid| matters.contains(pid)).collect();
    let proportional = proportional(largest, until);
    let list = in_order(&kept, &by_pid);
    let process = |pid: &i32| by_pid.get(pid).map(|raw| shown(raw, around, matters.contains(pid), &proportional));
    Processes {
        list: list.iter().filter_map(process).collect(),
        others: u32::try_from(by_pid.len().saturating_sub(kept.len())).unwrap_or(u32::MAX),
        left_out,
    }
}

fn does_matter(raw: &Raw, around: &Surroundings) -> bool {
    raw.python
        || around.gpu_bytes.contains_key(&raw.pid)
        || raw.sockets.iter().any(|inode| around.sockets.contains_key(inode))
        || raw.rss_bytes.saturating_mul(100) > around.total_bytes
}

fn ancestors(pid: i32, by_pid: &HashMap<i32, &Raw>) -> Vec<i32> {
    let mut found = Vec::new();
    let mut current = pid;
    // A circle cannot be; a torn read could show one.
    while let Some(raw) = by_pid.get(&current)
        && found.len() < 100
    {
        current = raw.ppid;
        if by_pid.contains_key(&current) {
            found.push(current);
        }
    }
    found
}

fn descendants(roots: &[i32], by_pid: &HashMap<i32, &Raw>) -> Vec<i32> {
    let children = children(by_pid.keys().copied(), by_pid);
    let mut found = Vec::new();
    let mut seen: HashSet<i32> = roots.iter().copied().collect();
    let mut queue = roots.to_vec();
    while let Some(pid) = queue.pop() {
        for child in children.get(&pid).into_iter().flatten() {
            if seen.insert(*child) {
                found.push(*child);
                queue.push(*child);
            }
        }
    }
    found
}

fn children(pids: impl Iterator<Item = i32>, by_pid: &HashMap<i32, &Raw>) -> HashMap<i32, Vec<i32>> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for pid in pids {
        if let Some(raw) = by_pid.get(&pid) {
            children.entry(raw.ppid).or_default().push(pid);
        }
    }
    children
}

/// Parents before their children, by pid.
fn in_order(kept: &HashSet<i32>, by_pid: &HashMap<i32, &Raw>) -> Vec<i32> {
    let mut children = children(kept.iter().copied(), by_pid);
    let root = |pid: &&i32| by_pid.get(pid).is_none_or(|raw| !kept.contains(&raw.ppid));
    let mut queue: Vec<i32> = kept.iter().filter(root).copied().collect();
    queue.sort_unstable_by_key(|pid| std::cmp::Reverse(*pid));
    let mut order = Vec::new();
    while let Some(pid) = queue.pop() {
        order.push(pid);
        let mut below = children.remove(&pid).unwrap_or_default();
        below.sort_unstable_by_key(|pid| std::cmp::Reverse(*pid));
        queue.extend(below);
    }
    order
}

/// Proportional memory by process, bytes, of as many as the time allows.
fn proportional(pids: Vec<i32>, until: Instant) -> HashMap<i32, u64> {
    let question = |pid: &i32| {
        let mut reader = Reader::default();
        let text = reader.process(*pid, "smaps_rollup").ok()?;
        Some((*pid, parse::field_number(text, "Pss")?.saturating_mul(1024)))
    };
    each("memory", pids, ONE_WITHIN, until, question).0.into_iter().flatten().collect()
}

fn shown(raw: &Raw, around: &Surroundings, matters: bool, proportional: &HashMap<i32, u64>) -> Process {
    let age_s = (up_s() - raw.start_ticks as f64 / sys::ticks_per_second() as f64).max(0.0);
    let mut listens: Vec<String> = raw.sockets.iter().filter_map(|inode| around.sockets.get(inode)).cloned().collect();
    listens.sort();
    listens.dedup();
    let command = if raw.command.is_empty() { vec![format!("[{}]", raw.name)] } else { bounded(&raw.command) };
    Process {
        pid: raw.pid,
        ppid: raw.ppid,
        start_ticks: raw.start_ticks,
        started: timestamp(around.now_ms, -age_s),
        age_s,
        state: char::from(raw.state).to_string(),
        command: redact_words(&command),
        matters,
        rss_bytes: raw.rss_bytes,
        pss_bytes: proportional.get(&raw.pid).copied(),
        gpu_bytes: around.gpu_bytes.get(&raw.pid).copied(),
        threads: raw.threads,
        descriptors: raw.descriptors,
        listens,
        run: raw.variables.get("DEFIB_RUN").map(|run| run.chars().take(40).collect()),
        python: raw.python,
    }
}

/// The words of a command up to a bound.
fn bounded(command: &[String]) -> Vec<String> {
    let mut room = LONGEST_COMMAND;
    let mut kept = Vec::new();
    for word in command {
        if room == 0 {
            kept.push("…".to_owned());
            break;
        }
        let cut: String = word.chars().take(room).collect();
        room -= cut.chars().count().min(room);
        kept.push(if cut.len() < word.len() { format!("{cut}…") } else { cut });
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(pid: i32, ppid: i32, python: bool) -> Raw {
        Raw { pid, ppid, python, own: true, state: b'S', descriptors: Some(3), ..Raw::default() }
    }

    #[test]
    fn trees_that_matter_are_kept_with_their_ancestors_and_descendants() {
        let list = vec![raw(-10, 1, false), raw(-11, -10, true), raw(-12, -11, false), raw(-13, -10, false)];
        let all = All { list, complete: true, own_complete: true };
        let around = Surroundings { total_bytes: 1 << 30, ..Surroundings::default() };
        let found = select(&all, &around, Instant::now());
        let pids: Vec<(i32, bool)> = found.list.iter().map(|process| (process.pid, process.matters)).collect();
        assert_eq!(pids, [(-10, false), (-11, true), (-12, false)]);
        assert_eq!((found.others, found.left_out), (1, 0));
    }

    #[test]
    fn too_many_are_counted() {
        let list = (0..MOST as i32 + 7).map(|at| raw(-10 - at, 1, true)).collect();
        let all = All { list, ..All::default() };
        let found = select(&all, &Surroundings::default(), Instant::now());
        assert_eq!((found.list.len(), found.left_out), (MOST, 7));
    }

    #[test]
    fn of_an_environment_only_few_variables_are_kept() {
        let found = variables(b"PATH=/a\0HF_TOKEN=secret\0PATH=/b\0DEFIB_RUN=r1\0broken\0");
        assert_eq!((found.len(), found["PATH"].as_str(), found["DEFIB_RUN"].as_str()), (2, "/a", "r1"));
    }

    #[test]
    fn long_commands_are_cut() {
        let kept = bounded(&["a".repeat(5000), "b".to_owned()]);
        assert_eq!(kept.len(), 2);
        assert!(kept[0].ends_with('…') && kept[1] == "…", "{kept:?}");
    }

    #[test]
    fn mapped_files_of_dev_shm_are_found() {
        let maps = b"7f0-7f1 rw-s 0 00:1a 5   /dev/shm/sem.x\n7f2-7f3 r-xp 0 08:1 9 /usr/lib/libc.so\n";
        assert_eq!(shared_maps(maps), HashSet::from(["/dev/shm/sem.x".to_owned()]));
    }
}
