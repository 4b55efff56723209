//! A tree of processes, and how to end it so that nothing is left.
//!
//! A group signal misses those that left the group, a walk misses those born
//! during the walk and those whose parent dies during it, for they move to whoever
//! holds the tree. One empty walk therefore proves nothing ([`Holder::nobody`]). So: walk and SIGSTOP until a walk finds nobody new, then kill all, reap,
//! and begin again, until nobody is left or nothing moves for the limit. Every
//! signal goes through a pidfd after the start time was compared.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::process::{Process, children};
use crate::sweep::EMPTY_WALKS;

/// A process that outlived the program, as it was before anything was done to it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// The process.
    pub(crate) process: Process,
    /// Its command line.
    pub(crate) command: String,
    /// Kernel function it waits in.
    pub(crate) wchan: String,
}

impl Seen {
    pub(crate) fn of(process: Process) -> Self {
        Self { command: process.command(), wchan: process.wchan(), process }
    }
}

/// Who holds a tree: knows its top and takes its dead.
pub(crate) trait Holder {
    /// The processes at the top of the tree.
    fn tops(&self) -> Vec<Process>;
    /// Reaps the dead among them.
    fn reap(&mut self);
    /// Waits until something has died, at most so long.
    fn wait(&mut self, limit: Duration);
    /// Nobody is left, proved by more than the walk that found none: one that forks and
    /// exits all the time can slip through a walk.
    fn nobody(&mut self) -> bool {
        (0..EMPTY_WALKS).all(|_| living(self.tops()).is_empty())
    }
    /// Kills by other means as well, such as a cgroup.
    fn kill_otherwise(&mut self) {}
}

/// Nothing moves for so long: give up. A process in state D cannot be killed.
const PATIENCE: Duration = Duration::from_secs(2);
const LIMIT: Duration = Duration::from_secs(15);

/// Every process from these on down, zombies too.
pub(crate) fn walk(tops: Vec<Process>) -> Vec<Process> {
    let mut known: HashSet<i32> = tops.iter().map(|top| top.pid).collect();
    let mut found = tops;
    let mut at = 0;
    while at < found.len() {
        for child in children(found[at].pid) {
            if known.insert(child.pid) {
                found.push(child);
            }
        }
        at += 1;
    }
    found
}

/// The living from these on down.
pub(crate) fn living(tops: Vec<Process>) -> Vec<Process> {
    let mut found = walk(tops);
    found.retain(Process::alive);
    found
}

/// Walks of [`ask_all`] at most; who still escapes them is killed after the grace.
const ASK_WALKS: u32 = 8;

/// Asks everybody in a tree to end, each once; adds to `asked` who was.
pub(crate) fn ask_all(holder: &impl Holder, asked: &mut HashSet<(i32, u64)>) {
    for _ in 0..ASK_WALKS {
        let mut fresh = living(holder.tops());
        fresh.retain(|process| asked.insert((process.pid, process.start_ticks)));
        if fresh.is_empty() {
            return;
        }
        ask(&fresh);
    }
}

/// Asks each to end: SIGTERM, then SIGCONT so that the stopped hear it.
pub(crate) fn ask(processes: &[Process]) {
    for signal in [Signal::TERM, Signal::CONT] {
        for process in processes {
            // Gone is what we want; not ours to signal shows in the survivors.
            let _ = process.signal(signal);
        }
    }
}

/// Kills the whole tree. Returns who could not be killed; adds to `killed` who was.
pub(crate) fn kill(holder: &mut impl Holder, killed: &mut HashSet<(i32, u64)>) -> Vec<Process> {
    let begun = Instant::now();
    let mut moved = begun;
    let mut fewest = usize::MAX;
    loop {
        let mut stopped = HashSet::new();
        let left = loop {
            let left = living(holder.tops());
            let fresh = left.iter().filter(|it| stopped.insert((it.pid, it.start_ticks)));
            let mut any = false;
            for process in fresh {
                any |= process.signal(Signal::STOP).is_ok();
            }
            if !any || begun.elapsed() > LIMIT {
                break left;
            }
        };
        for process in &left {
            if process.signal(Signal::KILL).is_ok() {
                killed.insert((process.pid, process.start_ticks));
            }
        }
        holder.kill_otherwise();
        holder.reap();
        let left = living(holder.tops());
        if left.is_empty() && holder.nobody() {
            return left;
        }
        if left.len() < fewest {
            (fewest, moved) = (left.len(), Instant::now());
        }
        if moved.elapsed() > PATIENCE || begun.elapsed() > LIMIT {
            return left;
        }
        holder.wait(Duration::from_millis(1));
        holder.reap();
    }
}
