//! What only the kernel knows about an end: out-of-memory kills and its log.
//!
//! A SIGKILL has no sender in an exit status. If the `oom_kill` counter of the
//! run's control group (or of one above it) grew meanwhile, or the kernel's log
//! names the process, it was the kernel. Counters are read before and after;
//! the log is read from the end as it was at the start.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use defib_core::facts::{Kernel, KernelLine, OomCounter};

use crate::{files, parse};

/// Most log lines kept.
const MOST_LINES: usize = 50;

/// Watches the kernel's counters and log over a run.
#[derive(Debug)]
pub struct OomWatch {
    counters: Vec<Counter>,
    log: Result<File, String>,
}

#[derive(Debug)]
struct Counter {
    file: PathBuf,
    limit: PathBuf,
    before: u64,
}

impl OomWatch {
    /// Notes the counters of this process's control groups, which a run that it
    /// starts shares, and the present end of the kernel log.
    #[must_use]
    pub fn start() -> Self {
        Self::start_for(i32::try_from(std::process::id()).unwrap_or(0))
    }

    /// The same for the groups of another process.
    #[must_use]
    pub fn start_for(pid: i32) -> Self {
        let groups = files::text(&format!("/proc/{pid}/cgroup")).unwrap_or_default();
        let mounts = files::text("/proc/self/mountinfo").unwrap_or_default();
        let counters = candidates(&groups, &mounts)
            .into_iter()
            .filter_map(|(file, limit)| {
                let before = kills(&file)?;
                Some(Counter { file, limit, before })
            })
            .collect();
        Self { counters, log: open_log() }
    }

    /// Reads the counters again, and the log lines since the start that name
    /// one of these processes.
    #[must_use]
    pub fn finish(self, pids: &[i32]) -> Kernel {
        let oom = self.counters.iter().map(|counter| OomCounter {
            file: counter.file.to_string_lossy().into_owned(),
            before: counter.before,
            after: kills(&counter.file).unwrap_or(counter.before),
            limit_bytes: limit(&counter.limit),
        });
        let oom = oom.collect();
        match self.log {
            Ok(log) => Kernel { oom, lines: log_lines(log, pids), ..Kernel::default() },
            Err(why) => Kernel { oom, log_denied: Some(why), ..Kernel::default() },
        }
    }
}

/// The lowest memory limit of this process's control groups, bytes.
pub(crate) fn group_limit() -> Option<u64> {
    let groups = files::text("/proc/self/cgroup").unwrap_or_default();
    let mounts = files::text("/proc/self/mountinfo").unwrap_or_default();
    candidates(&groups, &mounts).iter().filter_map(|(_, file)| limit(file)).min()
}

/// Counter and limit files of the memory groups, innermost first.
fn candidates(groups: &str, mounts: &str) -> Vec<(PathBuf, PathBuf)> {
    let mut found = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(group)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let (kind, counter, limit) = if controllers.is_empty() {
            ("cgroup2", "memory.events", "memory.max")
        } else if controllers.split(',').any(|name| name == "memory") {
            ("cgroup", "memory.oom_control", "memory.limit_in_bytes")
        } else {
            continue;
        };
        let Some((root, mount)) = mount_of(mounts, kind) else {
            continue;
        };
        let inner = group.strip_prefix(root.trim_end_matches('/')).unwrap_or(group);
        let folder = Path::new(&mount).join(inner.trim_start_matches('/'));
        let up = folder.ancestors().take_while(|folder| folder.starts_with(&mount));
        found.extend(up.map(|folder| (folder.join(counter), folder.join(limit))));
    }
    found
}

/// Root and mount point of the memory hierarchy of this kind in `mountinfo`.
pub(crate) fn mount_of(mounts: &str, kind: &str) -> Option<(String, String)> {
    mounts.lines().find_map(|line| {
        let (mount, system) = line.split_once(" - ")?;
        let mut system = system.split(' ');
        let options = system.by_ref().nth(2).map(str::to_owned);
        let is_kind = line.split_once(" - ")?.1.split(' ').next() == Some(kind);
        let has_memory = kind == "cgroup2" || options.is_some_and(|all| all.split(',').any(|o| o == "memory"));
        let mut words = mount.split(' ').skip(3);
        (is_kind && has_memory).then(|| Some((words.next()?.to_owned(), words.next()?.to_owned())))?
    })
}

/// `oom_kill N` in either version's file.
fn kills(file: &Path) -> Option<u64> {
    let text = files::text(file.to_str()?)?;
    text.lines().find_map(|line| parse::number(line.strip_prefix("oom_kill ")?.as_bytes()))
}

/// A limit in bytes; version 1 shows "none" as a huge number.
fn limit(file: &Path) -> Option<u64> {
    let bytes = parse::number(files::text(file.to_str()?)?.as_bytes())?;
    (bytes < 1 << 60).then_some(bytes)
}

fn open_log() -> Result<File, String> {
    let open = || {
        let mut options = File::options();
        let mut log = options.read(true).custom_flags(libc::O_NONBLOCK).open("/dev/kmsg")?;
        log.seek(SeekFrom::End(0))?;
        Ok(log)
    };
    open().map_err(|error: std::io::Error| format!("/dev/kmsg: {error}"))
}

fn log_lines(mut log: File, pids: &[i32]) -> Vec<KernelLine> {
    let mut lines = Vec::new();
    let mut record = vec![0; 8192];
    // One record a read. The kernel writes on; a bound keeps this finite.
    for _ in 0..100_000 {
        match log.read(&mut record) {
            Ok(0) => break,
            Ok(length) => {
                let text = String::from_utf8_lossy(&record[..length]).into_owned();
                lines.extend(named(&text, pids));
            }
            // Records were overwritten before they were read: go on after them.
            Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {}
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
        if lines.len() >= MOST_LINES {
            break;
        }
    }
    lines
}

/// The process that a record names, if it is one of these.
fn named(record: &str, pids: &[i32]) -> Option<KernelLine> {
    let (_, text) = record.split_once(';')?;
    let text = text.lines().next()?;
    let pid = process_of(text)?;
    pids.contains(&pid).then(|| KernelLine { pid, text: text.to_owned() })
}

/// The process a kernel line is about:
/// - `Out of memory: Killed process 123 (python) …`, also of a control group,
///   and `oom_reaper: reaped process 123 (python)`, `oom-kill:…,pid=123,uid=0`
/// - `python[123]: segfault at … in lib…`, `traps: python[123] general protection …`
/// - `NVRM: Xid (PCI:0000:01:00): 31, pid=123, name=python, …`
fn process_of(text: &str) -> Option<i32> {
    let leading = |rest: &str| -> Option<i32> {
        let rest = rest.trim_start_matches(['\'', '"', ' ']);
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[..end].parse().ok()
    };
    let after = |needle: &str| text.find(needle).and_then(|at| leading(&text[at + needle.len()..]));
    if text.contains("Killed process ") || text.contains("reaped process ") {
        return after("Killed process ").or_else(|| after("reaped process "));
    }
    if text.starts_with("NVRM: Xid") || text.starts_with("oom-kill:") {
        return after("pid=");
    }
    let crash = ["segfault at ", "traps: ", "general protection", "trap invalid opcode", "bad frame"];
    if crash.iter().any(|word| text.contains(word)) {
        let at = text.find("]:").or_else(|| text.find("] "))?;
        let open = text[..at].rfind('[')?;
        return leading(&text[open + 1..at]);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn kernel_lines_name_their_process() {
        let of = process_of;
        let killed = "Memory cgroup out of memory: Killed process 4127 (python3) total-vm:1kB";
        assert_eq!(of(killed), Some(4127));
        assert_eq!(of("oom_reaper: reaped process 12 (stress), now anon-rss:0kB"), Some(12));
        assert_eq!(of("python3[77]: segfault at 0 ip 00 sp 00 error 4 in libc.so.6[7f+1]"), Some(77));
        assert_eq!(of("traps: python[78] general protection fault ip:1 sp:2 in a.so[3+4]"), Some(78));
        assert_eq!(of("NVRM: Xid (PCI:0000:01:00): 31, pid=99, name=python, Ch 8"), Some(99));
        assert_eq!(of("NVRM: Xid (PCI:0000:01:00): 31, pid='99', name=python"), Some(99));
        assert_eq!(of("idle-reclaim (85): drop_caches: 1"), None);
        let record = "6,339,5140900,-;x[5]: segfault at 0 ip 1\n SUBSYSTEM=a\n";
        assert_eq!(named(record, &[5]).unwrap().pid, 5);
        assert_eq!(named(record, &[6]), None);
    }

    #[test]
    fn both_group_versions_are_found_up_to_their_mounts() {
        let mounts = "1 2 0:1 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                      3 2 0:2 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let found = candidates("4:memory:/a/b\n2:cpu:/x\n0::/c\n", mounts);
        let names: Vec<_> = found.iter().map(|(file, _)| file.to_str().unwrap()).collect();
        assert_eq!(
            names,
            [
                "/sys/fs/cgroup/memory/a/b/memory.oom_control",
                "/sys/fs/cgroup/memory/a/memory.oom_control",
                "/sys/fs/cgroup/memory/memory.oom_control",
                "/sys/fs/cgroup/unified/c/memory.events",
                "/sys/fs/cgroup/unified/memory.events",
            ]
        );
    }

    proptest! {
        #[test]
        fn arbitrary_lines_never_panic(text in ".{0,200}") {
            let _ = process_of(&text);
            let _ = named(&text, &[1]);
            let _ = candidates(&text, &text);
            let _ = process_of(&format!("traps: {text}] segfault at "));
        }
    }
}
