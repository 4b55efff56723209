//! Is it a stall, and how sure is that?

use std::collections::BTreeSet;

use super::graph::{Graph, NodeId, Outside, Status};
use super::meaning::{Limit, Purpose};

/// How sure a stall is. The grades of the design, in order of weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// It goes on.
    None,
    /// It waits for somebody outside, as servers and daemons do.
    Idle,
    /// One part is stuck while the rest moves.
    Part,
    /// Work is pending and every way on waits without limit.
    Probable,
    /// What it waits for can come only from itself.
    Proved,
}

/// The judgement of a wait graph.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// Grade.
    pub grade: Grade,
    /// Nodes that cannot go on, the one nearest to the root of the trouble first.
    pub stuck: Vec<NodeId>,
    /// Outsiders that could end it.
    pub outside: BTreeSet<Outside>,
    /// Seconds until a time limit of the program's own ends the wait, where known.
    pub gives_up_in_s: Option<f64>,
}

impl Verdict {
    /// Network and terminal waits get more patience.
    #[must_use]
    pub fn is_patient(&self) -> bool {
        self.outside.iter().any(|kind| matches!(kind, Outside::Network | Outside::Terminal | Outside::Process))
    }

    fn none(grade: Grade) -> Self {
        Self { grade, stuck: Vec::new(), outside: BTreeSet::new(), gives_up_in_s: None }
    }
}

/// Judges the graph. `root` is the process whose work it is about; `moving`
/// tells that bytes, processes or progress moved during the looks.
#[must_use]
pub fn judge(graph: &Graph<'_>, root: i32, moving: bool) -> Verdict {
    let plain = graph.status(false);
    let with_pollers = graph.status(true);
    let pending = stuck_work(graph, &with_pollers);
    let Some(main) = graph.main_of(root) else {
        return without_main(graph, &with_pollers, pending, moving);
    };
    let busy = moving || graph.nodes.iter().any(|node| node.process.in_tree && node.active());
    if busy {
        return part(graph, pending, &with_pollers);
    }
    if let Some(verdict) = escaped_holder(graph, main) {
        return verdict;
    }
    let status = if plain[main] == Status::Live { &with_pollers } else { &plain };
    if plain[main] == Status::Live && pending.is_empty() {
        return Verdict::none(Grade::None);
    }
    match &status[main] {
        Status::Live => part(graph, pending, &with_pollers),
        Status::Outside(kinds) if kinds.iter().any(|kind| kind.is_idle()) => {
            let grade = part(graph, pending, &with_pollers);
            if grade.grade == Grade::Part { grade } else { Verdict::none(Grade::Idle) }
        }
        Status::Outside(kinds) => whole(graph, main, Grade::Probable, kinds.clone(), status),
        Status::Stuck => whole(graph, main, closed_grade(graph, status), BTreeSet::new(), status),
    }
}

/// Pending work that cannot go on: unlimited waits of nodes that are not at rest.
fn stuck_work(graph: &Graph<'_>, status: &[Status]) -> Vec<NodeId> {
    let stuck = |id: &NodeId| {
        let node = &graph.nodes[*id];
        let waits = match &status[*id] {
            Status::Live => false,
            Status::Outside(kinds) => !kinds.iter().any(|kind| kind.is_idle()),
            Status::Stuck => true,
        };
        node.process.in_tree && waits && node.unlimited() && node.pending() && node.flat(graph)
    };
    (0..graph.nodes.len()).filter(stuck).collect()
}

/// The main thread has ended and others live on, or the root is only a zombie.
fn without_main(graph: &Graph<'_>, status: &[Status], pending: Vec<NodeId>, moving: bool) -> Verdict {
    let all_stuck = graph
        .nodes
        .iter()
        .zip(status)
        .all(|(node, status)| !node.process.in_tree || node.purpose == Purpose::Helper || *status != Status::Live);
    if moving || !all_stuck || pending.is_empty() {
        return part(graph, pending, status);
    }
    whole(graph, pending[0], Grade::Probable, BTreeSet::new(), status)
}

fn part(graph: &Graph<'_>, pending: Vec<NodeId>, status: &[Status]) -> Verdict {
    // A connection that waits for its server is work, not a fault, while the rest moves.
    let faults: Vec<NodeId> = pending
        .into_iter()
        .filter(|&id| {
            let node = &graph.nodes[id];
            match node.purpose {
                Purpose::Lock => status[id] == Status::Stuck,
                Purpose::PipeWrite { .. } | Purpose::Stopped => true,
                Purpose::Join | Purpose::Future | Purpose::Child(_) => false,
                _ => status[id] == Status::Stuck,
            }
        })
        .collect();
    let known = faults.iter().any(|id| {
        graph.cycles.iter().any(|cycle| cycle.nodes.contains(id))
            || matches!(graph.nodes[*id].purpose, Purpose::PipeWrite { .. } | Purpose::Stopped)
    });
    if !known {
        return Verdict::none(Grade::None);
    }
    Verdict { grade: Grade::Part, stuck: faults, outside: BTreeSet::new(), gives_up_in_s: None }
}

/// A reader that waits for the end of a file which only an escaped descendant
/// holds open: its direct child is dead, nobody it knows of will write.
fn escaped_holder(graph: &Graph<'_>, main: NodeId) -> Option<Verdict> {
    let reader = |&id: &NodeId| {
        let node = &graph.nodes[id];
        node.process.in_tree && node.unlimited() && !graph.escaped_holders(id).is_empty()
    };
    let stuck = (0..graph.nodes.len()).find(reader)?;
    let whole = stuck == main || graph.reaches(main, stuck);
    whole.then(|| Verdict { grade: Grade::Probable, stuck: vec![stuck], outside: BTreeSet::new(), gives_up_in_s: None })
}

/// Closed: proved where every edge is known, probable where a lock or event has no known owner.
fn closed_grade(graph: &Graph<'_>, status: &[Status]) -> Grade {
    let unknown_owner = |id: NodeId| {
        let node = &graph.nodes[id];
        let cyclic = graph.cycles.iter().any(|cycle| cycle.nodes.contains(&id));
        let owner_known = cyclic || (node.purpose == Purpose::Lock && waits_for_cycle(graph, id));
        match node.purpose {
            _ if graph.waits_for_lost_thread(id) => false,
            Purpose::Lock => !owner_known,
            Purpose::Notify | Purpose::LoopIdle | Purpose::Native | Purpose::Other(_) => true,
            // Which thread or job is meant is not known, unless all are in a known cycle.
            Purpose::Join | Purpose::Future => node.providers.is_empty(),
            _ => false,
        }
    };
    let stuck = (0..graph.nodes.len())
        .filter(|&id| graph.nodes[id].process.in_tree && status[id] == Status::Stuck)
        .filter(|&id| graph.nodes[id].purpose != Purpose::Helper);
    let stable = |id: NodeId| graph.nodes[id].flat(graph) || !graph.nodes[id].unlimited();
    let stuck: Vec<NodeId> = stuck.collect();
    if stuck.iter().all(|&id| !unknown_owner(id) && stable(id)) { Grade::Proved } else { Grade::Probable }
}

/// The lock is held by a node that is itself in a cycle.
fn waits_for_cycle(graph: &Graph<'_>, id: NodeId) -> bool {
    let node = &graph.nodes[id];
    let Some(wants) = &node.wants else {
        return false;
    };
    graph.cycles.iter().flat_map(|cycle| &cycle.nodes).any(|&other| {
        graph.nodes[other].process.pid == node.process.pid
            && graph.nodes[other].holds.iter().any(|(lock, _)| lock.key == wants.key)
    })
}

fn whole(graph: &Graph<'_>, main: NodeId, grade: Grade, outside: BTreeSet<Outside>, status: &[Status]) -> Verdict {
    let mut stuck: Vec<NodeId> = (0..graph.nodes.len())
        .filter(|&id| graph.nodes[id].process.in_tree && status[id] != Status::Live)
        .filter(|&id| graph.nodes[id].pending() || id == main)
        .collect();
    stuck.sort_by_key(|&id| (!graph.nodes[id].unlimited(), id != main));
    let unlimited = stuck.iter().any(|&id| graph.nodes[id].unlimited());
    let moved = stuck.iter().any(|&id| graph.nodes[id].unlimited() && !graph.nodes[id].flat(graph));
    if !unlimited || moved {
        return Verdict::none(Grade::None);
    }
    let left = |id: &NodeId| match graph.nodes[*id].limit {
        Limit::Bounded { left_s, .. } => left_s,
        Limit::Unlimited => None,
    };
    let gives_up_in_s = stuck
        .iter()
        .filter_map(left)
        .fold(None, |least: Option<f64>, left| Some(least.map_or(left, |least| least.min(left))));
    Verdict { grade, stuck, outside, gives_up_in_s }
}

impl Graph<'_> {
    /// For a node that waits for the end of a pipe: the holders of its other
    /// end, if none of them is its child or ancestor any more.
    #[must_use]
    pub fn escaped_holders(&self, id: NodeId) -> Vec<i32> {
        let node = &self.nodes[id];
        let inodes: Vec<u64> = match &node.purpose {
            // What comes on standard input is somebody else's to end.
            Purpose::PipeRead { fd: 0, .. } => return Vec::new(),
            Purpose::PipeRead { inode, .. } => vec![*inode],
            Purpose::Any(fds) => fds.iter().filter_map(|&fd| read_pipe(node.process, fd)).collect(),
            _ => return Vec::new(),
        };
        let mut escaped = Vec::new();
        for inode in inodes {
            let holders: Vec<i32> =
                self.holders(inode, true).into_iter().filter(|&pid| pid != node.process.pid).collect();
            let related = |&pid: &i32| {
                self.is_ancestor(node.process.pid, pid)
                    || self.is_ancestor(pid, node.process.pid)
                    || Some(pid) == self.relay
                    || self.look.process(pid).is_some_and(|process| {
                        // The reader's own sibling in a shell pipeline is no escapee.
                        let siblings = process.ppid == node.process.ppid && process.pgid == node.process.pgid;
                        siblings && Some(process.ppid) != self.relay
                    })
            };
            if holders.iter().any(related) {
                return Vec::new();
            }
            escaped.extend(holders);
        }
        escaped.sort_unstable();
        escaped.dedup();
        escaped
    }

    /// Does `from` wait, directly or through others, for `to`?
    #[must_use]
    pub fn reaches(&self, from: NodeId, to: NodeId) -> bool {
        let mut seen = vec![false; self.nodes.len()];
        let mut next = vec![from];
        while let Some(id) = next.pop() {
            if id == to {
                return true;
            }
            if !std::mem::replace(&mut seen[id], true) {
                next.extend(self.nodes[id].providers.iter().copied());
            }
        }
        false
    }
}

fn read_pipe(process: &crate::facts::Process, fd: i32) -> Option<u64> {
    let descriptor = process.descriptor(fd)?;
    match &descriptor.target {
        crate::facts::Target::Pipe { inode, .. } if descriptor.access.reads() => Some(*inode),
        _ => None,
    }
}
