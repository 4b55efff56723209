//! One thread: what it waits for, where it stands, and how it moved between the looks.

use std::collections::BTreeSet;

use crate::facts::{Frame, Look, Process, Target, Thread, Wait};
use crate::place::innermost_user_frame;

use super::code::{Lock, held_locks, named_lock};
use super::graph::{Graph, NodeId, Outside};
use super::meaning::{Limit, Purpose, meaning};

/// One thread in the graph.
#[derive(Debug)]
pub struct Node<'a> {
    /// Its process.
    pub process: &'a Process,
    /// The thread.
    pub thread: &'a Thread,
    /// What it waits for.
    pub purpose: Purpose,
    /// Time limit of the wait.
    pub limit: Limit,
    /// Innermost frame in the user's code.
    pub frame: Option<&'a Frame>,
    /// The lock it waits for, as named in the source.
    pub wants: Option<Lock>,
    /// Locks it holds, as named in the source.
    pub holds: Vec<(Lock, &'a Frame)>,
    /// It slept and woke between the looks, at the same place: a polling loop.
    pub polls: bool,
    /// CPU share between the looks, 1.0 for a whole core.
    pub cpu_share: f64,
    /// On a CPU or ready to run in this many of the looks.
    pub running: usize,
    /// Unchanged in this many of the looks, the last included.
    pub unchanged: usize,
    /// Nodes that could end the wait.
    pub providers: Vec<NodeId>,
    /// Outsiders that could.
    pub outside: BTreeSet<Outside>,
}

impl Node<'_> {
    /// The main thread of its process.
    #[must_use]
    pub fn is_main(&self) -> bool {
        self.thread.tid == self.process.pid
    }

    /// Waits with no time limit.
    #[must_use]
    pub fn unlimited(&self) -> bool {
        self.limit == Limit::Unlimited
    }

    /// Has not woken once in any of the looks. A thread that is handed something
    /// now and then is not stuck, however long it waits in between.
    #[must_use]
    pub fn flat(&self, graph: &Graph<'_>) -> bool {
        self.unchanged >= graph.looks
    }

    /// Computes, or moved too much between the looks to be waiting.
    #[must_use]
    pub fn active(&self) -> bool {
        self.purpose == Purpose::Active || self.cpu_share > 0.2
    }

    /// At rest by design: it serves clients, signals or a pool, and holds nothing
    /// that anybody else waits for.
    #[must_use]
    pub fn rests(&self) -> bool {
        matches!(self.purpose, Purpose::Helper | Purpose::Clients | Purpose::Signal) && !self.active()
    }

    /// A wait that means work is pending, and not a helper at rest.
    #[must_use]
    pub fn pending(&self) -> bool {
        match self.purpose {
            Purpose::Child(_)
            | Purpose::PipeWrite { .. }
            | Purpose::PipeRead { .. }
            | Purpose::Any(_)
            | Purpose::Receive { .. }
            | Purpose::Send { .. }
            | Purpose::Connect { .. }
            | Purpose::Lock
            | Purpose::Join
            | Purpose::Future
            | Purpose::Native
            | Purpose::TerminalRead { .. }
            | Purpose::TerminalWrite { .. }
            | Purpose::Input { .. }
            | Purpose::FileLock { .. }
            | Purpose::LockFile { .. }
            | Purpose::Device { .. }
            | Purpose::Stopped => !self.outside.contains(&Outside::Idle),
            _ => false,
        }
    }
}

/// Reads a thread of the last look, with what the earlier ones tell of it.
pub(super) fn node<'a>(looks: &'a [Look], look: &'a Look, process: &'a Process, thread: &'a Thread) -> Node<'a> {
    let (purpose, limit) = meaning(look, process, thread);
    let frames = thread.python.as_ref().map_or(&[][..], |stack| &stack.frames);
    // A loop with nothing to run stands where its tasks do.
    let task = thread.python.as_ref().and_then(|stack| waiting_task(&stack.tasks));
    let in_loop = frames.first().is_some_and(|frame| frame.function == "select" || frame.function == "_run_once");
    let frame = task.filter(|_| in_loop).or_else(|| innermost_user_frame(frames));
    let wants = match purpose {
        Purpose::Lock => frame.and_then(|frame| named_lock(look, frame)),
        Purpose::FileLock { fd } => locked_file(process, fd),
        _ => None,
    };
    let user_frames = frames.iter().filter(|frame| crate::place::is_user_file(&frame.file));
    let mut holds = Vec::new();
    for frame in user_frames {
        holds.extend(held_locks(look, frame).into_iter().map(|lock| (lock, frame)));
    }
    let mut moved = movement(looks, process, thread);
    let by_stack = match purpose {
        // It wakes and sleeps again: what counts is that it stays in that loop.
        Purpose::LockFile { .. } | Purpose::Future => limit == Limit::Unlimited && sleeps(thread),
        Purpose::Native => sleeps(thread),
        _ => false,
    };
    if by_stack {
        let line = purpose == Purpose::Native;
        moved.unchanged = looks_in_function(looks, process, thread, frame, line);
    }
    Node {
        process,
        thread,
        purpose,
        limit,
        frame,
        wants,
        holds,
        polls: moved.polls,
        cpu_share: moved.cpu_share,
        running: moved.running,
        unchanged: moved.unchanged,
        providers: Vec::new(),
        outside: BTreeSet::new(),
    }
}

/// A file lock goes by the name of its file.
fn locked_file(process: &Process, fd: i32) -> Option<Lock> {
    let Target::File { path, .. } = &process.descriptor(fd)?.target else { return None };
    let name = path.rsplit('/').next().unwrap_or(path).to_owned();
    Some(Lock { name, key: path.clone(), line: 0 })
}

/// Where the tasks of a loop stand: at a lock or slot if one does, else the first.
fn waiting_task(tasks: &[Vec<Frame>]) -> Option<&Frame> {
    let at = |task: &&Vec<Frame>, words: &[&str]| {
        task.first().is_some_and(|frame| words.iter().any(|word| frame.function.ends_with(word)))
    };
    let slot = tasks.iter().find(|task| {
        at(task, &["Semaphore.acquire", "Lock.acquire", "BaseConnector.connect", "_wait_for_available_connection"])
    });
    let other = tasks.iter().find(|task| !at(task, &["Queue.get", "Queue.join", "sleep", "TaskGroup.__aexit__"]));
    slot.or(other).or(tasks.first()).and_then(|task| innermost_user_frame(task))
}

/// The call itself ends soon; what stays is the loop around it.
fn sleeps(thread: &Thread) -> bool {
    !matches!(thread.wait, Wait::Futex { bound: crate::facts::Bound::Unlimited, .. })
}

/// Looks, the last included, in which the thread was in this function (or at this
/// very line) of the user.
fn looks_in_function(looks: &[Look], process: &Process, thread: &Thread, frame: Option<&Frame>, line: bool) -> usize {
    let there = |look: &&Look| {
        let before =
            look.process(process.pid).and_then(|process| process.threads.iter().find(|other| other.tid == thread.tid));
        let frames = before.and_then(|before| before.python.as_ref()).map_or(&[][..], |stack| &stack.frames);
        let before = innermost_user_frame(frames);
        let place = |frame: &Frame| (frame.file.clone(), frame.function.clone(), if line { frame.line } else { 0 });
        before.map(place) == frame.map(place)
    };
    looks.iter().rev().take_while(there).count().max(1)
}

struct Movement {
    polls: bool,
    cpu_share: f64,
    running: usize,
    unchanged: usize,
}

/// How a thread changed over the looks.
fn movement(looks: &[Look], process: &Process, thread: &Thread) -> Movement {
    let earlier = |look: &'_ Look| -> Option<(f64, f64, u64, Wait)> {
        let before = look.process(process.pid).filter(|before| before.start_ticks == process.start_ticks)?;
        let before = before.threads.iter().find(|before| before.tid == thread.tid)?;
        Some((look.at_s, before.cpu_s, before.switches, before.wait.clone()))
    };
    let history: Vec<_> = looks.iter().filter_map(earlier).collect();
    let Some((first_at, first_cpu, first_switches, _)) = history.first().cloned() else {
        return Movement {
            polls: false,
            cpu_share: 0.0,
            running: usize::from(thread.wait == Wait::Running),
            unchanged: 1,
        };
    };
    let last = history.last().cloned().unwrap_or((first_at, first_cpu, first_switches, thread.wait.clone()));
    let seconds = last.0 - first_at;
    let cpu_share = if seconds > 0.05 { ((last.1 - first_cpu) / seconds).max(0.0) } else { 0.0 };
    let same = history.iter().rev().take_while(|entry| entry.2 == last.2 && same_wait(&entry.3, &thread.wait));
    let unchanged = same.count().max(1);
    let running = history.iter().filter(|entry| entry.3 == Wait::Running).count();
    let bounded = matches!(
        thread.wait,
        Wait::Sleep { .. }
            | Wait::Futex { bound: crate::facts::Bound::Within(_) | crate::facts::Bound::Unknown, .. }
            | Wait::Poll { bound: crate::facts::Bound::Within(_) | crate::facts::Bound::Unknown, .. }
    );
    Movement { polls: bounded && history.len() > 1 && last.2 > first_switches, cpu_share, running, unchanged }
}

/// The same call on the same object; time limits may differ.
fn same_wait(one: &Wait, other: &Wait) -> bool {
    match (one, other) {
        (Wait::Futex { address: a, .. }, Wait::Futex { address: b, .. }) => a == b,
        (Wait::Poll { descriptors: a, .. }, Wait::Poll { descriptors: b, .. }) => a == b,
        (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
    }
}
