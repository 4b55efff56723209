//! One process as /proc tells it, and who it is.
//!
//! A pid alone is no identity: it is reused. A pid with the start time is, as
//! long as the machine runs; [`Process::signal`] opens a pidfd, proves that it
//! still is this very process, and signals through the pidfd.

use std::fs;
use std::io;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// A process as it was seen: what /proc/PID/stat says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Process {
    /// Process id.
    pub pid: i32,
    /// Start time in clock ticks since boot.
    pub start_ticks: u64,
    /// Parent.
    pub parent: i32,
    /// State letter: `R`, `S`, `D`, `T`, `Z`, …
    pub state: char,
    /// Threads that still run.
    pub threads: u32,
}

impl Process {
    /// Looks at a process; `None` if there is none (any more).
    #[must_use]
    pub fn look(pid: i32) -> Option<Self> {
        let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
        // The name is in parentheses and may hold any byte, also parentheses.
        let after = stat.iter().rposition(|&byte| byte == b')')? + 2;
        let rest = std::str::from_utf8(stat.get(after..)?).ok()?;
        let mut fields = rest.split(' ');
        let state = fields.next()?.chars().next()?;
        let parent = fields.next()?.parse().ok()?;
        let threads = fields.nth(15)?.parse().ok()?;
        let start_ticks = fields.nth(1)?.parse().ok()?;
        Some(Self { pid, start_ticks, parent, state, threads })
    }

    /// It runs or could run again. A zombie is not alive, but a process whose main
    /// thread has ended before the others looks like one and is.
    #[must_use]
    pub fn alive(&self) -> bool {
        !matches!(self.state, 'Z' | 'X' | 'x') || (self.state == 'Z' && self.threads > 1)
    }

    /// It was killed, or exits, and has not let go of everything yet.
    pub(crate) fn dying(&self) -> bool {
        const KILL: u64 = 1 << 8;
        if self.again().is_none_or(|now| !now.alive()) {
            return true;
        }
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let pending = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            u64::from_str_radix(line.trim(), 16).ok()
        };
        let killed = ["SigPnd:", "ShdPnd:"].into_iter().filter_map(pending).any(|bits| bits & KILL != 0);
        // Without memory of its own it is past the middle of its exit.
        killed || !status.contains("VmRSS:")
    }

    /// Seconds since its start.
    #[must_use]
    pub fn age_s(&self) -> f64 {
        let up = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let born = self.start_ticks as f64 / rustix::param::clock_ticks_per_second() as f64;
        (up.tv_sec as f64 + up.tv_nsec as f64 / 1e9 - born).max(0.0)
    }

    /// Looks again: `None` unless it is still the same process.
    #[must_use]
    pub fn again(&self) -> Option<Self> {
        Self::look(self.pid).filter(|now| now.start_ticks == self.start_ticks)
    }

    /// The id is that of a process, not of one of its further threads.
    pub(crate) fn leads(&self) -> bool {
        Pid::from_raw(self.pid).is_some_and(|pid| pidfd_open(pid, PidfdFlags::empty()).is_ok())
    }

    /// Sends a signal to exactly this process, never to a later one of that pid.
    ///
    /// # Errors
    /// `ESRCH` if it is gone, `EPERM` if it belongs to somebody else.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let gone = || io::Error::from_raw_os_error(libc::ESRCH);
        let pid = Pid::from_raw(self.pid).ok_or_else(gone)?;
        let handle = pidfd_open(pid, PidfdFlags::empty())?;
        self.again().ok_or_else(gone)?;
        Ok(pidfd_send_signal(handle, signal)?)
    }

    /// Command line, arguments separated by spaces; the name in brackets where
    /// there is none (kernel threads, zombies).
    #[must_use]
    pub fn command(&self) -> String {
        command_of(self.pid).unwrap_or_default()
    }

    /// Kernel function it waits in; empty where the kernel does not tell.
    #[must_use]
    pub fn wchan(&self) -> String {
        let text = fs::read_to_string(format!("/proc/{}/wchan", self.pid)).unwrap_or_default();
        if text == "0" { String::new() } else { text }
    }

    /// Value of a variable in the environment it was started with; `None` also
    /// where it may not be read.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<String> {
        let environ = fs::read(format!("/proc/{}/environ", self.pid)).ok()?;
        environ.split(|&byte| byte == 0).find_map(|pair| {
            let value = pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
            Some(String::from_utf8_lossy(value).into_owned())
        })
    }

    /// Its soft limit of bytes in message queues, the mark of [`crate::mark`].
    pub(crate) fn queue_limit(&self) -> Option<u64> {
        let limits = fs::read_to_string(format!("/proc/{}/limits", self.pid)).ok()?;
        let line = limits.lines().find_map(|line| line.strip_prefix("Max msgqueue size"))?;
        line.split_whitespace().next()?.parse().ok()
    }
}

/// Command line of a process, for people.
pub(crate) fn command_of(pid: i32) -> Option<String> {
    let raw = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let text = String::from_utf8_lossy(&raw);
    let words: Vec<&str> = text.trim_end_matches('\0').split('\0').collect();
    if words.iter().any(|word| !word.is_empty()) {
        return Some(words.join(" "));
    }
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(format!("[{}]", name.trim_end()))
}

/// Children of a process, over all its threads, living or not.
#[must_use]
pub fn children(pid: i32) -> Vec<Process> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for thread in threads.flatten() {
        let Ok(list) = fs::read_to_string(thread.path().join("children")) else {
            if thread.path().exists() {
                // A kernel without CONFIG_PROC_CHILDREN.
                return all().into_iter().filter(|process| process.parent == pid).collect();
            }
            continue;
        };
        let pids = list.split_ascii_whitespace().filter_map(|word| word.parse().ok());
        found.extend(pids.filter_map(Process::look));
    }
    found
}

/// Every process there is.
#[must_use]
pub fn all() -> Vec<Process> {
    pids().filter_map(Process::look).collect()
}

/// The ids of all processes.
pub(crate) fn pids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The id that the kernel gave out last; 0 where it does not tell.
pub(crate) fn newest_pid() -> i32 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let last = text.split_ascii_whitespace().next_back();
    last.and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// Id of this boot of the machine: start times compare only within one.
#[must_use]
pub fn boot_id() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_at_itself() {
        let me = Process::look(std::process::id() as i32).unwrap();
        assert!(me.alive());
        assert_eq!(me.again().as_ref().map(|again| again.start_ticks), Some(me.start_ticks));
        assert_eq!(me.variable("PATH"), std::env::var("PATH").ok());
        assert!(me.queue_limit().is_some());
        assert!(me.leads());
        let other = Process { start_ticks: me.start_ticks + 1, ..me };
        let refused = other.signal(Signal::KILL).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::ESRCH));
    }
}
