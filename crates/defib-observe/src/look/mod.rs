//! One snapshot of a tree: waits, descriptors, other ends, Python stacks.
//!
//! The order is by value and by risk: first every process of the tree by
//! itself (each is handed on as soon as it is read), then what joins them
//! (sockets, holders of other ends, forks), then Python stacks with the source
//! around them. [`look`] does all of it in the calling process; normally it
//! runs in a disposable child, see [`crate::probe`].

mod descriptors;
pub(crate) mod holders;
pub(crate) mod process;
mod sockets;

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use defib_core::facts::{Denied, Descriptor, Look, Process, Target, Wait};
use serde::{Deserialize, Serialize};

use crate::files::Reader;
use crate::python::{self, PythonRead};
use crate::{excerpt, heap, stdio, sys, tree};
use process::{How, Seen};
use sockets::SocketTable;

/// Longest time spent on searching other ends.
const OTHERS_WITHIN: Duration = Duration::from_millis(250);
/// Most processes outside the tree that are added.
const MOST_OTHERS: usize = 32;
/// A process outside the tree with more descriptors shows only the shared ones.
const MOST_FOREIGN_DESCRIPTORS: usize = 64;

/// What a look shall show.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct LookRequest {
    /// The process whose descendants are looked at.
    pub root: i32,
    /// The root itself belongs to the tree (it is the program, not its shim).
    pub include_root: bool,
    /// Seconds since the start of the run, copied into the look.
    pub at_s: f64,
    /// Read Python stacks, and the source around the user's frames.
    pub python: bool,
    /// Read local variables too.
    pub locals: bool,
    /// Add processes outside the tree that hold other ends of its pipes and sockets.
    pub others: bool,
    /// Read the stacks of Python a few times more, to see where it comes by.
    #[serde(default)]
    pub burst: bool,
    /// Look only at these processes of the tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<Vec<i32>>,
    /// Processes whose memory must not be touched: an earlier look hung on them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub careful: Vec<i32>,
    /// Look from a thread of this process, even where a child could. Only an
    /// ancestor may look under Yama's ptrace scope 1; `look_within` finds that
    /// out by itself.
    #[serde(default)]
    pub from_here: bool,
    /// A fault to act out, for tests.
    #[doc(hidden)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
}

/// A fault that a probe acts out when it comes to a process.
#[doc(hidden)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The process.
    pub pid: i32,
    /// While reading its Python stacks, or else its basics.
    pub python: bool,
    /// End instead of hanging.
    pub die: bool,
}

impl Fault {
    /// Acts it out, where it is meant for this process and stage.
    pub(crate) fn act(fault: Option<&Self>, pid: i32, python: bool) {
        match fault {
            Some(fault) if fault.pid == pid && fault.python == python => {
                if fault.die {
                    std::process::abort();
                }
                std::thread::sleep(Duration::from_secs(60));
            }
            _ => {}
        }
    }
}

/// What becomes known during the basic part of a look.
pub(crate) enum Step<'a> {
    /// This process is read now.
    Begin(i32),
    /// It has been read.
    Process(&'a Process),
}

/// Takes a look in the calling process, without a deadline of its own.
#[must_use]
pub fn look(request: &LookRequest) -> Look {
    let start = Instant::now();
    let mut result = basics(request, &mut |_| {});
    if request.python {
        let mut excerpts = excerpt::Collection::default();
        for pid in python_pids(&result) {
            let read = python::read(pid, request.locals, request.burst);
            excerpts.add(&read.sources);
            merge_python(&mut result, read);
        }
        result.sources = excerpts.finish();
    }
    result.took_s = start.elapsed().as_secs_f64();
    result
}

/// Live Python processes of the tree.
pub(crate) fn python_pids(look: &Look) -> Vec<i32> {
    // The reader of a stranger's pipe is often its parent, outside the tree: the
    // line that must change stands in its stack.
    let related = |process: &&Process| look.processes.iter().any(|own| own.in_tree && own.ppid == process.pid);
    let whole_tree = look.processes.iter().any(|process| process.in_tree && process.pid == look.root);
    let alive = |process: &&Process| {
        (process.in_tree || (whole_tree && related(process)))
            && process.python.is_some()
            && !matches!(process.threads.first().map(|thread| &thread.wait), None | Some(Wait::Dead))
    };
    look.processes.iter().filter(alive).map(|process| process.pid).collect()
}

/// Puts the stacks of one process where they belong.
pub(crate) fn merge_python(look: &mut Look, read: PythonRead) {
    if let Some(denied) = read.denied {
        look.denied.push(denied);
    }
    let Some(process) = look.processes.iter_mut().find(|process| process.pid == read.pid) else {
        return;
    };
    if read.version.is_some() {
        process.python = read.version;
    }
    look.lock_files.extend(read.lock_files);
    look.visited.extend(read.visited);
    for (tid, stack) in read.stacks {
        if let Some(thread) = process.threads.iter_mut().find(|thread| thread.tid == tid) {
            thread.python = Some(stack);
        }
    }
}

/// Everything but Python stacks.
pub(crate) fn basics(request: &LookRequest, step: &mut dyn FnMut(Step<'_>)) -> Look {
    let start = Instant::now();
    let mut result = Look {
        at_s: request.at_s,
        monotonic_s: sys::clock_s(libc::CLOCK_MONOTONIC),
        root: request.root,
        ..Look::default()
    };
    let mut fills = HashMap::new();
    let mut images = HashMap::new();
    for pid in members(request) {
        step(Step::Begin(pid));
        let careful = request.careful.contains(&pid);
        if !careful {
            Fault::act(request.fault.as_ref(), pid, false);
        }
        let how = How { in_tree: true, careful };
        if let Some(mut seen) = process::read(pid, how, None, &mut fills) {
            if request.locals && !careful {
                seen.process.held_back = stdio::held_back(pid);
            }
            step(Step::Process(&seen.process));
            images.insert(pid, seen.image);
            keep(&mut result, seen);
        }
    }
    mark_forks(&mut result.processes, &images, request);
    join_sockets(&mut result, request);
    if request.others {
        add_others(&mut result, request, &mut fills);
    }
    share_fills(&mut result, &fills);
    if request.locals {
        weigh_largest(&mut result, request);
    }
    result.took_s = start.elapsed().as_secs_f64();
    result
}

/// Smaller processes are not worth a walk through their heap.
const WORTH_WALKING: u64 = 48 << 20;

/// How much of the largest process's heap is free.
fn weigh_largest(look: &mut Look, request: &LookRequest) {
    let readable = |process: &&mut Process| process.in_tree && !request.careful.contains(&process.pid);
    let largest = look.processes.iter_mut().filter(readable).max_by_key(|process| process.rss_bytes);
    if let Some(process) = largest.filter(|process| process.rss_bytes >= WORTH_WALKING) {
        process.heap = heap::usage(process.pid);
    }
}

fn members(request: &LookRequest) -> Vec<i32> {
    let mut pids = tree::descendants(request.root, &mut Reader::default());
    if request.include_root {
        pids.insert(0, request.root);
    }
    // A look at its own supervisor must not show the probe itself.
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    pids.retain(|pid| *pid != own || *pid == request.root);
    if let Some(only) = &request.only {
        pids.retain(|pid| only.contains(pid));
    }
    pids
}

fn keep(look: &mut Look, seen: Seen) {
    look.denied.extend(seen.denied);
    look.processes.push(seen.process);
}

/// A process with its parent's image never executed another. Where the parent
/// has ended, an older relative with the same image tells as much.
fn mark_forks(processes: &mut [Process], images: &HashMap<i32, crate::parse::Image>, request: &LookRequest) {
    let ages: Vec<(i32, u64)> = processes.iter().map(|process| (process.pid, process.start_ticks)).collect();
    for process in processes {
        let Some(own) = images.get(&process.pid) else {
            continue;
        };
        let age = (process.start_ticks, process.pid);
        let from =
            ages.iter().filter(|(pid, ticks)| *pid == process.ppid || (*pid != process.pid && (*ticks, *pid) < age));
        process.forked_without_exec = from.into_iter().any(|(pid, _)| {
            let careful = request.careful.contains(pid) || request.careful.contains(&process.pid);
            images.get(pid).is_some_and(|image| process::same_image((process.pid, *own), (*pid, *image), careful))
        });
    }
}

fn socket_inodes(look: &Look) -> HashSet<u64> {
    let descriptors = look.processes.iter().flat_map(|process| &process.descriptors);
    descriptors
        .filter_map(|descriptor| match descriptor.target {
            Target::Socket { inode, .. } => Some(inode),
            _ => None,
        })
        .collect()
}

fn join_sockets(look: &mut Look, request: &LookRequest) {
    let wanted = socket_inodes(look);
    let first = look.processes.first().map_or(request.root, |process| process.pid);
    let table = SocketTable::read(first, &wanted);
    fill_sockets(&mut look.processes, &table);
    let holders = holders_in(&look.processes);
    for_each_peer(&mut look.processes, |inode, pids| {
        pids.extend(holders.get(&format!("socket:[{inode}]")).into_iter().flatten());
    });
}

fn fill_sockets(processes: &mut [Process], table: &SocketTable) {
    for descriptor in processes.iter_mut().flat_map(|process| &mut process.descriptors) {
        if let Target::Socket { inode, socket } = &mut descriptor.target {
            *socket = table.get(*inode).cloned();
        }
    }
}

fn for_each_peer(processes: &mut [Process], mut each: impl FnMut(u64, &mut Vec<i32>)) {
    for descriptor in processes.iter_mut().flat_map(|process| &mut process.descriptors) {
        if let Target::Socket { socket: Some(socket), .. } = &mut descriptor.target
            && let Some(peer) = &mut socket.peer
        {
            each(peer.inode, &mut peer.pids);
            peer.pids.sort_unstable();
            peer.pids.dedup();
        }
    }
}

/// The link text by which an end of this descriptor is found in other processes.
fn link_of(descriptor: &Descriptor) -> Option<String> {
    match &descriptor.target {
        Target::Pipe { path: Some(path), .. } => Some(path.clone()),
        Target::Pipe { inode, .. } => Some(format!("pipe:[{inode}]")),
        Target::Socket { inode, .. } => Some(format!("socket:[{inode}]")),
        _ => None,
    }
}

fn holders_in(processes: &[Process]) -> HashMap<String, Vec<i32>> {
    let mut holders: HashMap<String, Vec<i32>> = HashMap::new();
    for process in processes {
        for link in process.descriptors.iter().filter_map(link_of) {
            holders.entry(link).or_default().push(process.pid);
        }
    }
    holders
}

/// Links whose holders outside the tree matter: all pipes, and peers of sockets.
fn wanted_links(look: &Look) -> HashSet<String> {
    let descriptors = look.processes.iter().flat_map(|process| &process.descriptors);
    descriptors
        .filter_map(|descriptor| match &descriptor.target {
            Target::Pipe { .. } => link_of(descriptor),
            Target::Socket { socket: Some(socket), .. } => {
                socket.peer.as_ref().map(|peer| format!("socket:[{}]", peer.inode))
            }
            _ => None,
        })
        .collect()
}

fn add_others(look: &mut Look, request: &LookRequest, fills: &mut descriptors::Fills) {
    let wanted = wanted_links(look);
    let found = holders::scan(&wanted, Instant::now() + OTHERS_WITHIN);
    let inside: HashSet<i32> = look.processes.iter().map(|process| process.pid).collect();
    for_each_peer(&mut look.processes, |inode, pids| {
        pids.extend(found.by_link.get(&format!("socket:[{inode}]")).into_iter().flatten());
    });
    note_unseen(look, request, &found, &wanted);
    let mut outside: Vec<i32> = found.by_link.into_values().flatten().collect();
    outside.sort_unstable();
    outside.dedup();
    outside.retain(|pid| !inside.contains(pid) && !crate::probe::is_this(*pid));
    let shared = |link: &str| wanted.contains(link);
    for pid in outside.into_iter().take(MOST_OTHERS) {
        let how = How { in_tree: false, careful: request.careful.contains(&pid) };
        let all = std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
        let limit = (all > MOST_FOREIGN_DESCRIPTORS).then_some(&shared as &dyn Fn(&str) -> bool);
        if let Some(seen) = process::read(pid, how, limit, fills) {
            // What is refused about a stranger is no gap in the tree.
            look.processes.push(seen.process);
        }
    }
    let foreign = socket_inodes(look);
    let table = SocketTable::read(request.root, &foreign);
    let others = look.processes.iter_mut().filter(|process| !process.in_tree);
    others.for_each(|process| fill_sockets(std::slice::from_mut(process), &table));
}

/// Says when an other end may exist that could not be seen.
fn note_unseen(look: &mut Look, request: &LookRequest, found: &holders::Holders, wanted: &HashSet<String>) {
    let lonely = wanted.iter().any(|link| found.by_link.get(link).is_none_or(|pids| pids.len() < 2));
    if found.cut_short {
        let why = format!("not all processes could be searched within {OTHERS_WITHIN:?}");
        look.denied.push(Denied { pid: request.root, what: "other ends".to_owned(), why, command: None });
    } else if lonely && found.unreadable > 0 {
        let refused = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        let mut denied = process::denial(request.root, "other ends", &refused);
        denied.why = format!("{} processes of other users may hold them", found.unreadable);
        look.denied.push(denied);
    }
}

/// Gives every descriptor of a pipe the fill that was asked through one of them.
fn share_fills(look: &mut Look, fills: &descriptors::Fills) {
    for descriptor in look.processes.iter_mut().flat_map(|process| &mut process.descriptors) {
        if let Target::Pipe { inode, queued, capacity, .. } = &mut descriptor.target
            && let Some(fill) = fills.get(inode)
        {
            (*queued, *capacity) = *fill;
        }
    }
}
