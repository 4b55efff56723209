//! Finds and ends what a lost run left behind, by proven identity.
//!
//! A process belongs to a run if its environment says so ([`crate::RUN_VARIABLE`]),
//! or, where it wiped that, if it carries the run's mark ([`crate::mark_of`]). It is
//! an orphan only if moreover the run is known in this state folder, was started
//! in this boot of the machine, not after the process, and its shim no longer
//! holds the lock `<folder>/lock`. Names, age and `ppid == 1` prove nothing. Just
//! before the kill the identity is compared again, through a pidfd.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use defib_core::event::Event;
use defib_core::run::RunId;
use rustix::fs::{FlockOperation, flock};

use crate::clock::Clock;
use crate::journal::JournalReader;
use crate::mark::mark_of;
use crate::process::{Process, boot_id, newest_pid, pids};
use crate::spec::{RUN_VARIABLE, ShimSpec};
use crate::tree::{self, Holder};

/// Name of the lock in the folder of a run.
pub const LOCK_FILE: &str = "lock";

/// How a process is known to belong to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Its environment names the run.
    Environment,
    /// It carries the run's mark in a resource limit.
    Mark,
}

/// A living process whose run has ended.
#[derive(Debug, Clone)]
pub struct Orphan {
    /// Its run.
    pub run: RunId,
    /// The process.
    pub process: Process,
    /// Its command line.
    pub command: String,
    /// How it is known.
    pub proof: Proof,
    /// Start of the run's shim, in clock ticks since boot.
    since: u64,
}

/// The shim of this run lives: nobody else may touch the run.
///
/// # Errors
/// Those of opening the lock, but a missing one is not held.
pub fn is_held(folder: &Path) -> io::Result<bool> {
    let file = match File::open(folder.join(LOCK_FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        other => other?,
    };
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(rustix::io::Errno::AGAIN) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// The orphans of the ended runs whose folders lie in `runs`, each named by its id.
///
/// # Errors
/// Those of reading the folder; a run that cannot be read is passed over.
pub fn orphans(runs: &Path) -> io::Result<Vec<Orphan>> {
    let names = fs::read_dir(runs)?.flatten().map(|entry| entry.file_name());
    let ids: Vec<RunId> = names.filter_map(|name| name.to_str()?.parse().ok()).collect();
    Ok(orphans_of(runs, &ids))
}

/// As [`orphans`], of these runs alone: how many others there are costs nothing.
#[must_use]
pub fn orphans_of(runs: &Path, ids: &[RunId]) -> Vec<Orphan> {
    let boot = boot_id();
    let ended: HashMap<&RunId, u64> = ids
        .iter()
        .filter_map(|id| {
            let folder = runs.join(id.as_str());
            let (since, started_in) = shim_start(&folder)?;
            let ended = started_in == boot && matches!(held_for_long(&folder), Ok(false));
            ended.then_some((id, since))
        })
        .collect();
    if ended.is_empty() {
        return Vec::new();
    }
    let marks: HashMap<u64, &RunId> = ended.keys().map(|id| (mark_of(id), *id)).collect();
    // Nearly all processes are older than the oldest lost run: they need not be read further.
    let oldest = ended.values().copied().min().unwrap_or(0);
    for _ in 0..EMPTY_WALKS {
        let found =
            candidates(|process| (process.start_ticks >= oldest).then(|| orphan(process, &ended, &marks)).flatten());
        if !found.is_empty() {
            return found;
        }
    }
    Vec::new()
}

/// Walks over all processes that must find nobody: one that forks and exits all the
/// time can slip through one.
pub(crate) const EMPTY_WALKS: u32 = 5;

fn orphan(process: Process, ended: &HashMap<&RunId, u64>, marks: &HashMap<u64, &RunId>) -> Option<Orphan> {
    let (run, proof) = match process.variable(RUN_VARIABLE) {
        Some(named) => (named.parse().ok()?, Proof::Environment),
        None => ((*marks.get(&process.queue_limit()?)?).clone(), Proof::Mark),
    };
    let since = *ended.get(&run)?;
    let command = process.command();
    (process.start_ticks >= since).then_some(Orphan { run, process, command, proof, since })
}

/// What became of a run whose folder this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Its shim has not said yet that it is there, or the folder cannot be read.
    NotBegun,
    /// Its shim lives.
    Held,
    /// Its shim is gone; somebody may be left.
    Ended,
    /// The machine was started anew since.
    Past,
}

/// What became of a run, without a look at any process.
#[must_use]
pub fn standing(folder: &Path) -> Standing {
    match shim_start(folder) {
        None => Standing::NotBegun,
        Some((_, boot)) if boot != boot_id() => Standing::Past,
        Some(_) => match held_for_long(folder) {
            Ok(false) => Standing::Ended,
            _ => Standing::Held,
        },
    }
}

/// Time that a killed shim has to let go of its lock.
const LETS_GO_WITHIN: Duration = Duration::from_millis(500);

/// As [`is_held`], but a shim that was killed and is on its way out counts as gone: the
/// kernel releases its lock some moments after the signal.
fn held_for_long(folder: &Path) -> io::Result<bool> {
    let deadline = Instant::now() + LETS_GO_WITHIN;
    while is_held(folder)? {
        let dying = match shim_of(folder)? {
            Some((_, shim)) => shim.dying(),
            None => true,
        };
        if !dying || Instant::now() >= deadline {
            return Ok(true);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(false)
}

/// Start of the run's shim in clock ticks, and the boot of the machine that was in.
fn shim_start(folder: &Path) -> Option<(u64, String)> {
    let mut reader = JournalReader::open(folder).ok()?;
    for _ in 0..16 {
        if let Event::Shim { start_ticks, boot_id, .. } = reader.next_entry().ok()??.event {
            return Some((start_ticks, boot_id));
        }
    }
    None
}

/// The living processes, other than this one and its ancestors, for which `judge` has an
/// answer. It is asked about each as soon as that is seen, and first about the newest:
/// who forks and exits all the time is gone once the others have been looked at.
fn candidates<T>(mut judge: impl FnMut(Process) -> Option<T>) -> Vec<T> {
    let spared = spared();
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    let mut visit = |pid: i32, listed: bool| {
        if !spared.contains(&pid)
            && let Some(process) = Process::look(pid)
            && process.alive()
            // Unlisted, it may be the id of a thread.
            && (listed || process.leads())
            && seen.insert((pid, process.start_ticks))
        {
            found.extend(judge(process));
        }
    };
    let newest = newest_pid();
    for pid in (newest - NEWEST..=newest).rev() {
        visit(pid, false);
    }
    for pid in pids() {
        visit(pid, true);
    }
    let now = newest_pid();
    for pid in (newest.max(now - NEWEST)..=now).rev() {
        visit(pid, false);
    }
    found
}

/// So many of the newest ids are looked at before and after all the others.
const NEWEST: i32 = 32;

/// Whether a process carries the sign of this run, and which.
pub(crate) fn belongs(process: &Process, run: &RunId) -> Option<Proof> {
    match process.variable(RUN_VARIABLE) {
        Some(named) => (named == run.as_str()).then_some(Proof::Environment),
        None => (process.queue_limit() == Some(mark_of(run))).then_some(Proof::Mark),
    }
}

/// Ends orphans: asks, waits for at most the grace, kills, also what they start
/// meanwhile. Returns those of their runs that could not be ended.
#[must_use]
pub fn end(orphans: &[Orphan], grace: Duration) -> Vec<Orphan> {
    let processes: Vec<Process> = orphans.iter().map(|orphan| orphan.process.clone()).collect();
    tree::ask(&processes);
    let deadline = Instant::now() + grace;
    let lives = |process: &Process| process.again().is_some_and(|now| now.alive());
    while processes.iter().any(lives) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(2));
    }
    let mut left = Vec::new();
    let runs: HashMap<&RunId, u64> = orphans.iter().map(|it| (&it.run, it.since)).collect();
    for (&run, &since) in &runs {
        let survivors = end_marked(run, since, &[], &mut HashSet::new());
        left.extend(survivors.into_iter().map(|process| Orphan {
            run: run.clone(),
            command: process.command(),
            proof: belongs(&process, run).unwrap_or(Proof::Environment),
            since,
            process,
        }));
    }
    left
}

/// Time a killed process has to go.
const GONE_WITHIN: Duration = Duration::from_secs(3);

/// Ends exactly this process, and with `tree` its descendants: asks, waits for at most
/// the grace, kills. Returns those that live on. Nobody who is asked for by identity is
/// spared but this process and those above it.
///
/// # Errors
/// `ESRCH` if another process has the pid by now, `EPERM` if it is somebody else's,
/// `InvalidInput` if it is pid 1, this process or one above it.
pub fn end_one(target: &Process, tree: bool, grace: Duration) -> io::Result<Vec<Process>> {
    if spared().contains(&target.pid) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let now = target.again().ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))?;
    let all = if tree { tree::living(vec![now]) } else { vec![now] };
    target.signal(rustix::process::Signal::TERM)?;
    tree::ask(&all);
    let lives = |one: &Process| one.again().is_some_and(|now| now.alive());
    let wait = |limit: Duration| {
        let deadline = Instant::now() + limit;
        while all.iter().any(lives) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    wait(grace);
    for one in all.iter().filter(|one| lives(one)) {
        let _ = one.signal(rustix::process::Signal::KILL);
    }
    wait(GONE_WITHIN);
    Ok(all.into_iter().filter(lives).collect())
}

/// The init process, this one and those above it.
fn spared() -> HashSet<i32> {
    let mut spared = HashSet::from([1]);
    let mut at = Process::look(std::process::id() as i32);
    while let Some(process) = at {
        spared.insert(process.pid);
        at = Process::look(process.parent).filter(|parent| !spared.contains(&parent.pid));
    }
    spared
}

/// Kills every process that carries the sign of this run and did not start before
/// it; returns those that could not be killed.
pub(crate) fn end_marked(run: &RunId, since: u64, spared: &[i32], killed: &mut HashSet<(i32, u64)>) -> Vec<Process> {
    tree::kill(&mut Marked { run, since, spared }, killed)
}

struct Marked<'a> {
    run: &'a RunId,
    since: u64,
    spared: &'a [i32],
}

impl Holder for Marked<'_> {
    fn tops(&self) -> Vec<Process> {
        candidates(|process| {
            let ours = process.start_ticks >= self.since
                && !self.spared.contains(&process.pid)
                && belongs(&process, self.run).is_some();
            if ours {
                // Held at once: it may be about to hand over to a child and exit.
                let _ = process.signal(rustix::process::Signal::STOP);
            }
            ours.then_some(process)
        })
    }

    fn reap(&mut self) {}

    fn wait(&mut self, limit: Duration) {
        std::thread::sleep(limit);
    }
}

/// The living shim of a run, and the spec that can be told from its journal: enough to
/// end the run, not to start it again.
pub(crate) fn shim_of(folder: &Path) -> io::Result<Option<(ShimSpec, Process)>> {
    let mut reader = JournalReader::open(folder)?;
    let mut spec = None;
    for _ in 0..16 {
        let Some(entry) = reader.next_entry()? else { break };
        match entry.event {
            Event::Run { run, command, cwd, started_ms, version, .. } => {
                let clock = Clock::of_journal(started_ms);
                let of = ShimSpec { clock, cwd: cwd.into(), version, ..ShimSpec::new(run, command, folder.to_owned()) };
                spec = Some(of);
            }
            Event::Shim { pid, start_ticks, boot_id: boot } => {
                let lives = Process::look(pid).filter(|shim| shim.start_ticks == start_ticks && boot == boot_id());
                return Ok(spec.zip(lives));
            }
            _ => {}
        }
    }
    Ok(None)
}

/// Asks the shim of a run, from any process, to end it as `defib stop` does. False if
/// the run is not held by a shim.
///
/// # Errors
/// Those of reading the run's folder and of sending a signal.
pub fn request_stop(folder: &Path) -> io::Result<bool> {
    if !is_held(folder)? {
        return Ok(false);
    }
    let mut reader = JournalReader::open(folder)?;
    while let Some(entry) = reader.next_entry()? {
        if let Event::Shim { pid, start_ticks, .. } = entry.event
            && let Some(shim) = Process::look(pid)
            && shim.start_ticks == start_ticks
        {
            shim.signal(rustix::process::Signal::USR1)?;
            return Ok(true);
        }
    }
    Ok(false)
}
