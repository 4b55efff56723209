//! Nodes, who could end their waits, and who can go on.
//!
//! A node is a thread. Each has a way on: by itself (it computes, or its sleep
//! ends), from outside (a client, the network, a terminal), or through other
//! nodes. What cannot be reached from a node that can go on is stuck. Threads
//! that poll in short sleeps count as able to go on at first; [`super::judge`]
//! asks a second time with them as waiting for the rest.

use std::collections::BTreeSet;

use crate::facts::{Look, Process, ProcessState, Target, Wait};

use super::meaning::{Limit, Purpose};
use super::node::{Node, node};

/// Index of a node in its graph.
pub type NodeId = usize;

/// Somebody outside the tree (or nobody known) who could end a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outside {
    /// A client of a server, a signal to a daemon, the next job of a helper: idle.
    Idle,
    /// The network.
    Network,
    /// A person at a terminal, or whoever holds the other end of standard input.
    Terminal,
    /// Whoever reads the program's output.
    Downstream,
    /// A device or file system.
    Device,
    /// The holder of a file lock.
    FileLock,
    /// A process outside the tree, at the other end of a pipe.
    Process,
    /// Job control: somebody who continues it.
    JobControl,
    /// What native code waits for is not known.
    Unknown,
}

impl Outside {
    /// Waiting for this is not being stuck.
    #[must_use]
    pub fn is_idle(self) -> bool {
        matches!(self, Self::Idle | Self::Downstream)
    }
}

/// Can this node go on?
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Yes.
    Live,
    /// Only if one of these does something.
    Outside(BTreeSet<Outside>),
    /// No: what it waits for can come only from nodes that are stuck too.
    Stuck,
}

/// A cycle of lock owners.
#[derive(Debug, Clone)]
pub struct LockCycle {
    /// Nodes in order: each waits for a lock that the next holds.
    pub nodes: Vec<NodeId>,
}

/// The wait graph of the last of several looks.
#[derive(Debug)]
pub struct Graph<'a> {
    /// The look it was made from.
    pub look: &'a Look,
    /// How many looks were compared.
    pub looks: usize,
    /// Seconds between the first and last look.
    pub span_s: f64,
    /// Threads of live processes, in the look's order.
    pub nodes: Vec<Node<'a>>,
    /// Lock cycles with known owners.
    pub cycles: Vec<LockCycle>,
    /// The process that relays output; waiting for it is waiting for the reader behind it.
    pub relay: Option<i32>,
}

impl<'a> Graph<'a> {
    /// Builds the graph of the last look; the earlier ones tell what moved.
    #[must_use]
    pub fn new(looks: &'a [Look], relay: Option<i32>) -> Option<Self> {
        let look = looks.last()?;
        let span_s = look.at_s - looks[0].at_s;
        let mut nodes = Vec::new();
        for process in &look.processes {
            if Some(process.pid) == relay || process.state == ProcessState::Zombie {
                continue;
            }
            for thread in process.threads.iter().filter(|thread| thread.wait != Wait::Dead) {
                nodes.push(node(looks, look, process, thread));
            }
        }
        let mut graph = Self { look, looks: looks.len(), span_s, nodes, cycles: Vec::new(), relay };
        for id in 0..graph.nodes.len() {
            let (providers, outside) = graph.ways(id);
            graph.nodes[id].providers = providers;
            graph.nodes[id].outside = outside;
        }
        graph.cycles = graph.find_cycles();
        Some(graph)
    }

    /// The main thread of a process.
    #[must_use]
    pub fn main_of(&self, pid: i32) -> Option<NodeId> {
        self.nodes.iter().position(|node| node.process.pid == pid && node.is_main())
    }

    /// Nodes of a process.
    pub fn of_process(&self, pid: i32) -> impl Iterator<Item = NodeId> + '_ {
        (0..self.nodes.len()).filter(move |&id| self.nodes[id].process.pid == pid)
    }

    /// Who can go on. With `pollers_wait`, a thread that polls in short sleeps
    /// cannot go on by itself but waits for the rest of the tree.
    #[must_use]
    pub fn status(&self, pollers_wait: bool) -> Vec<Status> {
        let mut status: Vec<Status> = (0..self.nodes.len()).map(|id| self.first_status(id, pollers_wait)).collect();
        loop {
            let mut changed = false;
            for id in 0..self.nodes.len() {
                let next = self.next_status(id, &status, pollers_wait);
                if next != status[id] {
                    status[id] = next;
                    changed = true;
                }
            }
            if !changed {
                return status;
            }
        }
    }

    fn first_status(&self, id: NodeId, pollers_wait: bool) -> Status {
        let node = &self.nodes[id];
        if self.goes_on(id, pollers_wait) {
            Status::Live
        } else if node.outside.is_empty() {
            Status::Stuck
        } else {
            Status::Outside(node.outside.clone())
        }
    }

    /// By itself: it computes, sleeps, is being debugged, or cannot be seen.
    fn goes_on(&self, id: NodeId, pollers_wait: bool) -> bool {
        let node = &self.nodes[id];
        let limited = !node.unlimited();
        node.active()
            || match node.purpose {
                Purpose::Sleep | Purpose::Notify | Purpose::LoopIdle | Purpose::Other(_) if limited => {
                    !(pollers_wait && (node.polls || node.purpose == Purpose::Notify) && self.has_pending_work(id))
                }
                // A network call with a deadline ends by itself.
                Purpose::Receive { .. } | Purpose::Connect { .. } | Purpose::Send { .. } => limited,
                Purpose::Traced | Purpose::Unreadable => true,
                Purpose::Interpreter => self.interpreter_owner(node).is_empty(),
                _ => false,
            }
    }

    /// Pending work that a polling thread may be waiting for: in its own process
    /// or its children. Those who wait for this very thread to finish are none: for
    /// them it is the worker.
    fn has_pending_work(&self, id: NodeId) -> bool {
        let own = self.nodes[id].process.pid;
        (0..self.nodes.len()).any(|other| {
            let node = &self.nodes[other];
            let below = node.process.pid == own || self.is_ancestor(own, node.process.pid);
            let for_this =
                matches!(node.purpose, Purpose::Join | Purpose::Future | Purpose::Child(_)) && self.reaches(other, id);
            other != id && below && node.pending() && node.unlimited() && !for_this
        })
    }

    fn next_status(&self, id: NodeId, status: &[Status], pollers_wait: bool) -> Status {
        if status[id] == Status::Live {
            return Status::Live;
        }
        let node = &self.nodes[id];
        let mut outside = node.outside.clone();
        let poller = pollers_wait && !node.unlimited() && node.providers.is_empty() && !node.pending();
        let everyone: Vec<NodeId>;
        let providers: &[NodeId] = if poller {
            everyone = self.waited_by_poller(id);
            &everyone
        } else {
            &node.providers
        };
        for &provider in providers {
            match &status[provider] {
                Status::Live => return Status::Live,
                Status::Outside(kinds) => outside.extend(kinds.iter().copied()),
                Status::Stuck => {}
            }
        }
        if outside.is_empty() { Status::Stuck } else { Status::Outside(outside) }
    }

    /// Whom a polling thread may wait for: the pending work of the tree.
    fn waited_by_poller(&self, id: NodeId) -> Vec<NodeId> {
        let mine = |other: NodeId| {
            other != id
                && self.nodes[other].process.in_tree
                && (self.nodes[other].pending() || self.nodes[other].active())
        };
        (0..self.nodes.len()).filter(|&other| mine(other)).collect()
    }

    fn ways(&self, id: NodeId) -> (Vec<NodeId>, BTreeSet<Outside>) {
        let node = &self.nodes[id];
        let nobody = || (Vec::new(), BTreeSet::new());
        let outside = |kind: Outside| (Vec::new(), BTreeSet::from([kind]));
        match &node.purpose {
            Purpose::Active | Purpose::Sleep | Purpose::Traced | Purpose::Unreadable => nobody(),
            Purpose::Child(pid) => (self.children(node.process.pid, *pid), BTreeSet::new()),
            Purpose::PipeRead { fd, inode } => self.pipe(node, *fd, *inode, true),
            Purpose::PipeWrite { fd, inode } => self.pipe(node, *fd, *inode, false),
            Purpose::Any(fds) => self.any(node, fds),
            Purpose::Receive { fd } | Purpose::Send { fd } | Purpose::Connect { fd } => self.socket(node, *fd),
            Purpose::Lock => self.lock(id),
            Purpose::Join | Purpose::Future => (self.workers(id), BTreeSet::new()),
            Purpose::Notify => self.notifiers(id, true),
            // A loop is woken by its own threads; what children do comes through descriptors.
            Purpose::LoopIdle => self.notifiers(id, false),
            Purpose::Interpreter => (self.interpreter_owner(node), BTreeSet::new()),
            Purpose::Clients | Purpose::Signal | Purpose::Helper => outside(Outside::Idle),
            Purpose::TerminalRead { .. } | Purpose::TerminalWrite { .. } | Purpose::Input { .. } => {
                outside(Outside::Terminal)
            }
            Purpose::FileLock { fd } => self.file_lock(node, *fd),
            Purpose::LockFile { .. } => outside(Outside::FileLock),
            Purpose::Device { .. } => outside(Outside::Device),
            Purpose::Stopped => outside(Outside::JobControl),
            Purpose::Native => (self.active_in(node.process.pid), BTreeSet::from([Outside::Unknown])),
            Purpose::Other(_) => outside(Outside::Unknown),
        }
    }

    /// The children whose end is waited for.
    fn children(&self, parent: i32, pid: Option<i32>) -> Vec<NodeId> {
        let wanted = |node: &Node<'_>| match pid {
            Some(pid) if pid > 0 => node.process.pid == pid,
            _ => node.process.ppid == parent,
        };
        (0..self.nodes.len()).filter(|&id| self.nodes[id].is_main() && wanted(&self.nodes[id])).collect()
    }

    /// Whoever holds the other end of a pipe.
    fn pipe(&self, node: &Node<'_>, fd: i32, inode: u64, reads: bool) -> (Vec<NodeId>, BTreeSet<Outside>) {
        let holders = self.holders(inode, reads);
        if !reads && holders.iter().any(|&pid| Some(pid) == self.relay) {
            return (Vec::new(), BTreeSet::from([Outside::Downstream]));
        }
        let others: Vec<i32> = holders.iter().copied().filter(|&pid| pid != node.process.pid).collect();
        let mut outside = BTreeSet::new();
        for &pid in &others {
            if self.look.process(pid).is_some_and(|process| !process.in_tree) {
                outside.insert(if fd == 0 && reads { Outside::Terminal } else { Outside::Process });
            }
        }
        if holders.is_empty() {
            // Nobody was seen: a process that may not be read holds it.
            outside.insert(if fd == 0 && reads { Outside::Terminal } else { Outside::Process });
        }
        let outsiders = others.iter().all(|&pid| self.look.process(pid).is_none_or(|process| !process.in_tree));
        if reads && fd == 0 && outsiders && self.serves_input(node) {
            outside.insert(Outside::Idle);
        }
        let mut providers: Vec<NodeId> = others
            .iter()
            .filter(|&&pid| self.look.process(pid).is_some_and(|process| process.in_tree))
            .flat_map(|&pid| self.of_process(pid))
            .filter(|&id| !self.nodes[id].rests())
            .collect();
        // Another thread of the same process may serve the other end.
        if holders.contains(&node.process.pid) && others.is_empty() {
            providers.extend(self.siblings(node));
        }
        (providers, outside)
    }

    /// The program reads job after job from its standard input, as filters and
    /// workers do; a prompt reads one answer.
    fn serves_input(&self, node: &Node<'_>) -> bool {
        let Some(frame) = node.frame else { return false };
        let Some(line) = self.look.source_line(&frame.file, frame.line) else { return false };
        let around = super::code::enclosing_loop(self.look, frame).unwrap_or_default();
        let asks = ["input(", "getpass(", "prompt(", "confirm("].iter().any(|call| line.contains(call));
        !asks && line.contains("stdin") && (line.trim_start().starts_with("for ") || !around.is_empty())
    }

    /// Processes that hold the end of a pipe opposite to a reader (or writer); for
    /// a socket pair, those that hold the socket with this inode.
    #[must_use]
    pub fn holders(&self, inode: u64, of_write_end: bool) -> Vec<i32> {
        let holds = |process: &&Process| {
            process.descriptors.iter().any(|descriptor| {
                let right_end = if of_write_end { descriptor.access.writes() } else { descriptor.access.reads() };
                match &descriptor.target {
                    Target::Pipe { inode: same, .. } | Target::Socket { inode: same, .. } => {
                        right_end && *same == inode
                    }
                    _ => false,
                }
            })
        };
        self.look.processes.iter().filter(holds).map(|process| process.pid).collect()
    }

    /// Is `ancestor` a parent, grandparent, … of `pid`?
    #[must_use]
    pub fn is_ancestor(&self, ancestor: i32, pid: i32) -> bool {
        let mut current = pid;
        for _ in 0..64 {
            let Some(process) = self.look.process(current) else {
                return false;
            };
            if process.ppid == ancestor {
                return true;
            }
            current = process.ppid;
        }
        false
    }

    fn socket(&self, node: &Node<'_>, fd: i32) -> (Vec<NodeId>, BTreeSet<Outside>) {
        let Some(Target::Socket { socket: Some(socket), .. }) =
            node.process.descriptor(fd).map(|descriptor| &descriptor.target)
        else {
            return (Vec::new(), BTreeSet::from([Outside::Network]));
        };
        if self.serves(socket) || socket.state == "listen" {
            return (Vec::new(), BTreeSet::from([Outside::Idle]));
        }
        let peers = socket.peer.as_ref().map_or(&[][..], |peer| &peer.pids);
        let in_tree = |pid: &&i32| self.look.process(**pid).is_some_and(|process| process.in_tree);
        let inside: Vec<i32> = peers.iter().filter(in_tree).copied().collect();
        let mut outside = BTreeSet::new();
        let others = inside.iter().flat_map(|&pid| self.of_process(pid));
        let providers: Vec<NodeId> =
            others.filter(|&id| !std::ptr::eq(self.nodes[id].thread, node.thread) && self.provides_soon(id)).collect();
        if providers.is_empty() {
            outside.insert(Outside::Network);
        }
        (providers, outside)
    }

    /// A peer that sleeps for an hour provides nothing that is worth waiting for.
    fn provides_soon(&self, id: NodeId) -> bool {
        const LONG_S: f64 = 600.0;
        let node = &self.nodes[id];
        let long = matches!(node.limit, Limit::Bounded { total_s: Some(total), .. } if total >= LONG_S);
        let sleeps_long = long && node.purpose == Purpose::Sleep;
        !node.rests() && !sleeps_long
    }

    /// The socket was accepted by a server of the tree: its local address is one that listens.
    fn serves(&self, socket: &crate::facts::Socket) -> bool {
        let port = |address: &str| address.rsplit(':').next().map(str::to_owned);
        let local = port(&socket.local);
        socket.protocol == "tcp"
            && self.look.processes.iter().filter(|process| process.in_tree).any(|process| {
                process.descriptors.iter().any(|descriptor| {
                    matches!(&descriptor.target, Target::Socket { socket: Some(other), .. }
                        if other.state == "listen" && port(&other.local) == local)
                })
            })
    }

    fn any(&self, node: &Node<'_>, fds: &[i32]) -> (Vec<NodeId>, BTreeSet<Outside>) {
        let mut providers = Vec::new();
        let mut outside = BTreeSet::new();
        for &fd in fds {
            let (more, kinds) = match node.process.descriptor(fd).map(|descriptor| &descriptor.target) {
                Some(Target::Pipe { inode, .. }) => {
                    let reads = node.process.descriptor(fd).is_some_and(|descriptor| descriptor.access.reads());
                    self.pipe(node, fd, *inode, reads)
                }
                Some(Target::Socket { .. }) => self.socket(node, fd),
                Some(Target::Terminal { .. }) => (Vec::new(), BTreeSet::from([Outside::Terminal])),
                Some(Target::Anonymous { name }) if name.starts_with("pidfd") => {
                    (self.children(node.process.pid, None), BTreeSet::new())
                }
                Some(Target::Anonymous { name }) if name.contains("inotify") || name.contains("signalfd") => {
                    (Vec::new(), BTreeSet::from([Outside::Idle]))
                }
                Some(Target::Anonymous { .. }) => (self.siblings(node), BTreeSet::new()),
                _ => (Vec::new(), BTreeSet::from([Outside::Unknown])),
            };
            providers.extend(more);
            outside.extend(kinds);
        }
        (providers, outside)
    }

    /// Other threads of the process that run the program's own code.
    fn siblings(&self, node: &Node<'_>) -> Vec<NodeId> {
        let same = |id: &NodeId| {
            let other = &self.nodes[*id];
            other.process.pid == node.process.pid && !std::ptr::eq(other.thread, node.thread) && !other.rests()
        };
        (0..self.nodes.len()).filter(same).collect()
    }

    fn active_in(&self, pid: i32) -> Vec<NodeId> {
        self.of_process(pid).filter(|&id| self.nodes[id].active()).collect()
    }

    /// The process that took the lock, where the kernel names it; else those of the tree
    /// that have the same file open and do not wait for its lock themselves: one of them
    /// holds it. Otherwise it is somebody outside.
    fn file_lock(&self, node: &Node<'_>, fd: i32) -> (Vec<NodeId>, BTreeSet<Outside>) {
        if let Some(owner) = self.lock_file_owner(node) {
            if owner.pid != node.process.pid {
                return (self.of_process(owner.pid).filter(|&id| !self.nodes[id].rests()).collect(), BTreeSet::new());
            }
            return (self.siblings(node), BTreeSet::new());
        }
        let path = |process: &Process, fd: i32| match process.descriptor(fd).map(|descriptor| &descriptor.target) {
            Some(Target::File { path, .. }) => Some(path.clone()),
            _ => None,
        };
        let wanted = path(node.process, fd);
        let holds = |id: &NodeId| {
            let other = &self.nodes[*id];
            let open = other.process.descriptors.iter().any(
                |descriptor| matches!(&descriptor.target, Target::File { path, .. } if Some(path) == wanted.as_ref()),
            );
            other.process.pid != node.process.pid && other.process.in_tree && open
        };
        let holders: Vec<NodeId> = (0..self.nodes.len()).filter(holds).collect();
        let held_here = holders.iter().any(|&id| !matches!(self.nodes[id].purpose, Purpose::FileLock { .. }));
        if held_here { (holders, BTreeSet::new()) } else { (Vec::new(), BTreeSet::from([Outside::FileLock])) }
    }

    /// The process of the tree that holds the file lock that a node waits for.
    fn lock_file_owner(&self, node: &Node<'_>) -> Option<&'a Process> {
        let Wait::FileLock { owner: Some(owner), .. } = node.thread.wait else { return None };
        self.look.process(owner).filter(|process| process.in_tree && process.state != ProcessState::Zombie)
    }

    /// Those who could release a lock.
    fn lock(&self, id: NodeId) -> (Vec<NodeId>, BTreeSet<Outside>) {
        let node = &self.nodes[id];
        if let Wait::Futex { owner: Some(owner), .. } = node.thread.wait
            && let Some(holder) = self.nodes.iter().position(|other| other.thread.tid == owner)
        {
            return (vec![holder], BTreeSet::new());
        }
        if let Some(wants) = &node.wants {
            let holds = |other: &NodeId| self.nodes[*other].holds.iter().any(|(lock, _)| lock.key == wants.key);
            let holders: Vec<NodeId> = self.of_process(node.process.pid).filter(holds).collect();
            if !holders.is_empty() {
                return (holders, BTreeSet::new());
            }
        }
        let mut providers = self.siblings(node);
        if matches!(node.thread.wait, Wait::Futex { shared: true, .. }) {
            providers.extend(self.others_of_tree(node));
        }
        (providers, BTreeSet::new())
    }

    /// Threads of the tree's other processes: any may share memory with this one.
    fn others_of_tree(&self, node: &Node<'_>) -> Vec<NodeId> {
        let other = |id: &NodeId| {
            let other = &self.nodes[*id];
            other.process.in_tree && other.process.pid != node.process.pid && other.purpose != Purpose::Helper
        };
        (0..self.nodes.len()).filter(other).collect()
    }

    /// Threads and child processes whose end or result may be awaited.
    fn workers(&self, id: NodeId) -> Vec<NodeId> {
        let node = &self.nodes[id];
        let child = |other: &NodeId| {
            let other = &self.nodes[*other];
            other.process.ppid == node.process.pid && other.is_main() && other.purpose != Purpose::Helper
        };
        let mut workers: Vec<NodeId> = self.siblings(node);
        workers.retain(|&other| !self.nodes[other].is_main());
        if self.hears_of_children(node) {
            workers.extend((0..self.nodes.len()).filter(child));
        }
        workers
    }

    /// Can what a child does end this wait? A lock word of the process's own memory is
    /// woken by its own threads alone: by one that serves children (those of a process
    /// pool or queue), or by a signal's handler.
    fn hears_of_children(&self, node: &Node<'_>) -> bool {
        let serves_children = |id: NodeId| {
            let other = &self.nodes[id];
            let frames = other.thread.python.as_ref().map_or(&[][..], |stack| &stack.frames);
            let in_pool = frames.iter().any(|frame| frame.file.ends_with("/concurrent/futures/thread.py"));
            other.purpose == Purpose::Helper && !frames.is_empty() && !in_pool
        };
        !matches!(node.thread.wait, Wait::Futex { shared: false, .. })
            || node.process.heeds_signals
            || self.of_process(node.process.pid).any(serves_children)
    }

    /// The thread that owns the interpreter lock.
    fn interpreter_owner(&self, node: &Node<'_>) -> Vec<NodeId> {
        let owner = |id: &NodeId| self.nodes[*id].thread.python.as_ref().is_some_and(|stack| stack.owns_gil);
        self.of_process(node.process.pid).filter(owner).collect()
    }

    /// Those who could put into a queue or set an event.
    fn notifiers(&self, id: NodeId, by_children: bool) -> (Vec<NodeId>, BTreeSet<Outside>) {
        let node = &self.nodes[id];
        let mut outside = BTreeSet::new();
        // A main thread that waits for an event and catches SIGTERM is a daemon
        // that waits to be told to stop.
        if node.is_main() && node.process.catches_sigterm {
            outside.insert(Outside::Idle);
        }
        let mut providers = self.siblings(node);
        if by_children && self.hears_of_children(node) {
            providers.extend(self.children(node.process.pid, None));
        }
        let parent = self.of_process(node.process.ppid);
        if matches!(node.thread.wait, Wait::Futex { shared: true, .. }) {
            providers.extend(self.others_of_tree(node));
        } else if node.process.forked_without_exec && !matches!(node.thread.wait, Wait::Futex { .. }) {
            providers.extend(parent.filter(|&id| self.nodes[id].purpose != Purpose::Helper));
        }
        (providers, outside)
    }

    /// A forked child whose only thread waits, without limit, for what another
    /// thread of the same process would have to give: fork copied none of them.
    #[must_use]
    pub fn waits_for_lost_thread(&self, id: NodeId) -> bool {
        let node = &self.nodes[id];
        let private =
            matches!(node.thread.wait, Wait::Futex { shared: false, bound: crate::facts::Bound::Unlimited, .. });
        let alone = node.process.threads.len() == 1 && node.process.forked_without_exec && node.process.in_tree;
        let cyclic = self.cycles.iter().any(|cycle| cycle.nodes.contains(&id));
        let owned = matches!(node.thread.wait, Wait::Futex { owner: Some(owner), .. } if owner == node.thread.tid);
        private && alone && !cyclic && !owned && node.unchanged >= self.looks.min(2)
    }

    fn find_cycles(&self) -> Vec<LockCycle> {
        let mut cycles: Vec<LockCycle> = Vec::new();
        for start in 0..self.nodes.len() {
            if cycles.iter().any(|cycle| cycle.nodes.contains(&start)) {
                continue;
            }
            if let Some(nodes) = self.follow(start) {
                cycles.push(LockCycle { nodes });
            }
        }
        cycles
    }

    /// Follows known owners from a node until it comes back to the start.
    fn follow(&self, start: NodeId) -> Option<Vec<NodeId>> {
        let mut path = vec![start];
        let mut current = start;
        loop {
            let next = self.owner(current)?;
            if next == start {
                return Some(path);
            }
            if path.contains(&next) {
                return None;
            }
            path.push(next);
            current = next;
        }
    }

    /// The one known owner of the lock that a node waits for.
    fn owner(&self, id: NodeId) -> Option<NodeId> {
        let node = &self.nodes[id];
        if !node.unlimited() {
            return None;
        }
        if matches!(node.purpose, Purpose::FileLock { .. }) {
            let owner = self.lock_file_owner(node)?.pid;
            let waits = |id: &NodeId| matches!(self.nodes[*id].purpose, Purpose::FileLock { .. });
            let several = self.of_process(owner).filter(|&id| !self.nodes[id].rests()).count() > 1;
            // Of several threads it is not known which would let go.
            return self.of_process(owner).find(waits).filter(|_| !several);
        }
        if node.purpose != Purpose::Lock {
            return None;
        }
        if let Wait::Futex { owner: Some(owner), .. } = node.thread.wait {
            return self.nodes.iter().position(|other| other.thread.tid == owner);
        }
        let wants = node.wants.as_ref()?;
        let holds = |other: &NodeId| self.nodes[*other].holds.iter().any(|(lock, _)| lock.key == wants.key);
        let mut holders = self.of_process(node.process.pid).filter(holds);
        let holder = holders.next()?;
        holders.next().is_none().then_some(holder)
    }
}
