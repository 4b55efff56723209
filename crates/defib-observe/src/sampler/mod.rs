//! Vital signs of a tree once a second, cheap enough to run in the supervisor.
//!
//! Theory of operation. Each sample walks the tree, reads `stat`, `status` and
//! `io` of each process, and adds up. What takes a lock of the target (command
//! lines, PSS), walks a driver (GPU) or may take long runs in helper threads
//! that are asked and never waited for beyond a few milliseconds.
//!
//! Counters only grow. A process's last seen use stays counted when it ends.
//! Two things are added that a plain sum would get wrong: CPU time of children
//! that lived only between two samples (their parent's waited-for time tells),
//! and the io of ended children, which the kernel moves into the parent that
//! waits for them: it is kept here only if nobody in the tree took it over.

mod gpu;
mod helper;
mod network;
mod quota;
mod tally;

use std::collections::HashMap;

use defib_core::facts::{Pressure, ProcessState, Vitals};

use crate::files::Reader;
use crate::parse::{self, Image, Io, Stat};
use crate::{sys, tree};
use gpu::GpuWatch;
pub(crate) use gpu::{absence, gpu_processes};
use helper::Helper;
use network::Network;
use quota::Quota;
use tally::{Ended, Tally};

/// What one process of the tree does.
#[derive(Debug, Clone, PartialEq)]
pub struct ProcessActivity {
    /// Process id.
    pub pid: i32,
    /// Parent's process id.
    pub ppid: i32,
    /// Start time in clock ticks since boot: with the pid, its identity.
    pub start_ticks: u64,
    /// Kernel name.
    pub name: String,
    /// Command line, read once per executed program; empty until it is known.
    pub command: Vec<String>,
    /// Scheduler state of the main thread.
    pub state: ProcessState,
    /// CPU seconds used so far by this process, without its children.
    pub cpu_s: f64,
    /// Characters through read calls so far; includes children it waited for.
    pub read_chars: u64,
    /// Characters through write calls so far; includes children it waited for.
    pub written_chars: u64,
    /// Context switches of the main thread so far.
    pub switches: u64,
    /// Resident memory in bytes.
    pub rss_bytes: u64,
}

/// A process that has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct GoneProcess {
    /// Process id.
    pub pid: i32,
    /// Parent's process id.
    pub ppid: i32,
    /// Command line, or the kernel name where it was too short-lived to be asked.
    pub command: Vec<String>,
    /// Seconds it lived, at most one interval more.
    pub lived_s: f64,
    /// Wait status, where it was seen as a zombie.
    pub wait_status: Option<i32>,
}

/// One sample.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sample {
    /// Sums over the tree. `output_bytes` is for the caller to fill.
    pub vitals: Vitals,
    /// Each live process.
    pub processes: Vec<ProcessActivity>,
    /// Processes that have ended since the last sample.
    pub gone: Vec<GoneProcess>,
}

/// Takes vital signs of one tree.
#[derive(Debug)]
pub struct Sampler {
    root: i32,
    include_root: bool,
    reader: Reader,
    known: HashMap<i32, Known>,
    tally: Tally,
    births: u64,
    helper: Helper,
    network: Network,
    gpus: GpuWatch,
    quota: Quota,
    ticks_per_second: f64,
    page_size: u64,
    last_task: Option<Vec<u8>>,
}

/// `/dev/shm` in the process's own view: a container's is small.
fn shared_memory(pid: i32) -> Option<(u64, u64)> {
    sys::file_system_size(&format!("/proc/{pid}/root/dev/shm"))
}

/// What is remembered of a live process.
#[derive(Debug, Default)]
struct Known {
    stat: Stat,
    io: Io,
    switches: u64,
    command: Vec<String>,
    /// Image whose command line was read or asked for.
    asked: Option<Image>,
}

impl Sampler {
    /// A sampler of the descendants of `root` (and of `root` itself, if so wished).
    #[must_use]
    pub fn new(root: i32, include_root: bool) -> Self {
        Self {
            root,
            include_root,
            reader: Reader::default(),
            known: HashMap::new(),
            tally: Tally::default(),
            births: 0,
            helper: Helper::default(),
            network: Network::default(),
            gpus: GpuWatch::default(),
            quota: Quota::default(),
            ticks_per_second: sys::ticks_per_second() as f64,
            page_size: sys::page_size(),
            last_task: None,
        }
    }

    /// Why there are no GPUs in the vital signs, once that is known.
    #[must_use]
    pub fn gpus_absent(&self) -> Option<String> {
        self.gpus.absent()
    }

    /// Takes a sample. `at_s` is copied into it.
    pub fn sample(&mut self, at_s: f64) -> Sample {
        let ended = self.refresh();
        self.count(&ended);
        self.commands();
        let mut pids: Vec<i32> = self.known.keys().copied().collect();
        pids.sort_unstable();
        let mut vitals = self.sums(at_s);
        let (descriptors, received, sent) = self.network.measure(&pids);
        vitals.descriptors = descriptors;
        vitals.net_received = received;
        vitals.net_sent = sent;
        vitals.pss_bytes = self.helper.pss(&pids);
        vitals.pressure = self.pressure();
        if let Some(&first) = pids.first() {
            vitals.shared_memory = shared_memory(first);
            (vitals.cpus, vitals.throttled) = self.quota.measure(first, &mut self.reader);
        }
        vitals.gpus = self.gpus.latest(&pids);
        let processes = pids.iter().filter_map(|pid| self.activity(*pid)).collect();
        let now = sys::clock_s(libc::CLOCK_BOOTTIME);
        let gone = ended.into_iter().map(|ended| self.gone(ended, now)).collect();
        Sample { vitals, processes, gone }
    }

    /// Finds who is there and reads their `stat`. Returns who has ended.
    fn refresh(&mut self) -> Vec<Ended> {
        let mut present: Vec<i32> = self.known.keys().copied().collect();
        if self.tasks_were_born() {
            present.extend(tree::descendants(self.root, &mut self.reader));
            if self.include_root {
                present.push(self.root);
            }
            present.sort_unstable();
            present.dedup();
        }
        let mut ended = Vec::new();
        for pid in present {
            let stat = self.reader.process(pid, "stat").ok().and_then(parse::stat);
            let same = |known: &Known, stat: &Stat| known.stat.start_ticks == stat.start_ticks;
            match (stat, self.known.get_mut(&pid)) {
                (Some(stat), Some(known)) if same(known, &stat) => known.stat = stat,
                (stat, known) => {
                    if known.is_some()
                        && let Some(known) = self.known.remove(&pid)
                    {
                        let Known { stat, io, switches, command, .. } = known;
                        ended.push(Ended { pid, stat, io, switches, command });
                    }
                    // An id that was known and now names another process is no
                    // relative by that; the next walk tells.
                    let stranger = ended.last().is_some_and(|ended| ended.pid == pid);
                    if let Some(stat) = stat.filter(|_| !stranger) {
                        self.births += 1;
                        self.known.insert(pid, Known { stat, ..Known::default() });
                    }
                }
            }
        }
        ended
    }

    /// False where the kernel has started no task since the last sample (its
    /// newest id is the same), so that no process can be new.
    fn tasks_were_born(&mut self) -> bool {
        let newest = self.reader.file("/proc/loadavg").ok();
        let newest = newest.and_then(|text| text.split(|byte| *byte == b' ').nth(4));
        let newest = newest.map(<[u8]>::to_vec);
        let same = newest.is_some() && newest == self.last_task;
        self.last_task = newest;
        !same
    }

    /// Reads the counters. This comes after it is known who has ended: their
    /// io has reached whoever waited for them before they disappeared.
    fn count(&mut self, ended: &[Ended]) {
        for (pid, known) in &mut self.known {
            if let Some(io) = self.reader.process(*pid, "io").ok().and_then(parse::io) {
                known.io = known.io.at_least(io);
            }
            if let Ok(status) = self.reader.process(*pid, "status") {
                known.switches = parse::switches(status).max(known.switches);
            }
        }
        let root =
            (!self.include_root).then(|| self.reader.process(self.root, "stat").ok().and_then(parse::stat)).flatten();
        let live = self.known.iter().map(|(pid, known)| (*pid, &known.stat, known.io));
        self.tally.update(live, root.as_ref().map(|stat| (self.root, stat)), ended);
    }

    fn commands(&mut self) {
        for (pid, known) in &mut self.known {
            let image = Some(known.stat.image);
            if known.asked != image && known.stat.state != b'Z' {
                known.asked = image;
                self.helper.ask_command(*pid);
            }
        }
        for (pid, command) in self.helper.commands() {
            if let Some(known) = self.known.get_mut(&pid) {
                known.command = command;
            }
        }
    }

    fn sums(&mut self, at_s: f64) -> Vitals {
        let mut vitals = Vitals { at_s, births: self.births, ..Vitals::default() };
        let mut switches = 0;
        for known in self.known.values() {
            vitals.processes += 1;
            vitals.threads += known.stat.threads;
            vitals.rss_bytes += known.stat.rss_pages.saturating_mul(self.page_size);
            switches += known.switches;
        }
        let total = self.tally.total(switches);
        vitals.cpu_s = total.ticks as f64 / self.ticks_per_second;
        vitals.read_bytes = total.io.read_bytes;
        vitals.written_bytes = total.io.written_bytes;
        vitals.read_chars = total.io.read_chars;
        vitals.written_chars = total.io.written_chars;
        vitals.switches = total.switches;
        vitals
    }

    fn gone(&self, ended: Ended, now: f64) -> GoneProcess {
        let born = ended.stat.start_ticks as f64 / self.ticks_per_second;
        let command = if ended.command.is_empty() { vec![ended.stat.name] } else { ended.command };
        GoneProcess {
            pid: ended.pid,
            ppid: ended.stat.ppid,
            command,
            lived_s: (now - born).max(0.0),
            wait_status: (ended.stat.state == b'Z').then_some(ended.stat.exit_status),
        }
    }

    fn pressure(&mut self) -> Option<Pressure> {
        let mut read = |path: &str| self.reader.file(path).ok().and_then(parse::pressure);
        Some(Pressure {
            cpu: read("/proc/pressure/cpu")?,
            io: read("/proc/pressure/io")?,
            memory: read("/proc/pressure/memory")?,
        })
    }

    fn activity(&self, pid: i32) -> Option<ProcessActivity> {
        let known = self.known.get(&pid)?;
        Some(ProcessActivity {
            pid,
            ppid: known.stat.ppid,
            start_ticks: known.stat.start_ticks,
            name: known.stat.name.clone(),
            command: known.command.clone(),
            state: parse::state(known.stat.state),
            cpu_s: known.stat.ticks as f64 / self.ticks_per_second,
            read_chars: known.io.read_chars,
            written_chars: known.io.written_chars,
            switches: known.switches,
            rss_bytes: known.stat.rss_pages.saturating_mul(self.page_size),
        })
    }
}
