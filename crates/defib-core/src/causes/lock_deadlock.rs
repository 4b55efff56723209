//! Threads wait on locks that no running thread will release.

use crate::case::Study;
use crate::cause::{Cause, Fact, Finding, Group, Sign};
use crate::facts::Wait;
use crate::telling::{base_name, node_fact, node_place, process_name, seconds, steadiness, stuck, thread_name};
use crate::waits::{Grade, Graph, Node, NodeId, Purpose};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "lock-deadlock",
    title: "Threads wait for each other's locks",
    what: "Threads wait on locks (or for an event or a queue) that no running thread will release.",
    settled_by: "Two or more threads in futex waits without time limit on distinct addresses, none able to run, unchanged over samples.",
    taken_for: "a GPU hang",
    by_hand: &["py-spy dump: two or more threads in acquire; none runs", "cat /proc/PID/task/*/syscall: 202 (futex) without a time limit"],
    remedies: &["take locks in one order; give acquire a timeout"],
    remedy: Remedy::Elsewhere,
    judge,
};

fn judge(study: &Study<'_>) -> Option<Finding> {
    if !study.was_standing() {
        return None;
    }
    let graph = study.graph.as_ref()?;
    by_cycle(study, graph).or_else(|| by_waits(study, graph))
}

/// A child of the waiting process is gone, or a sibling that shared the lock: then it may
/// be that one which is missed.
fn child_died(study: &Study<'_>, node: &Node<'_>) -> bool {
    let shared = matches!(node.thread.wait, Wait::Futex { shared: true, .. });
    let missed = |ppid: i32| ppid == node.process.pid || shared && ppid == node.process.ppid;
    study.case.lifetimes.iter().any(|life| missed(life.ppid))
}

/// Each waits for a lock that the next holds.
fn by_cycle(study: &Study<'_>, graph: &Graph<'_>) -> Option<Finding> {
    let cycle = graph.cycles.iter().find(|cycle| cycle.nodes.iter().all(|&id| graph.nodes[id].process.in_tree))?;
    let first = &graph.nodes[cycle.nodes[0]];
    let mut facts: Vec<Fact> = cycle.nodes.iter().map(|&id| holder_fact(&graph.nodes[id])).collect();
    facts.extend(steadiness(study, first));
    facts.extend(waiting_for_them(graph, &cycle.nodes));
    let explanation = match cycle.nodes.as_slice() {
        [_] => self_deadlock(first),
        [_, second] => two(first, &graph.nodes[*second]),
        several => format!("{} of them wait for each other's locks in a circle, {} among them", several.len(), process_name(first.process)),
    };
    let finding = Finding::proof(explanation, facts).place(node_place(first)).rank(40);
    Some(if cycle.nodes.len() == 1 {
        finding.step("take the lock once, or make it a threading.RLock()")
    } else {
        finding.step("take the locks in the same order everywhere, or give acquire a timeout")
    })
}

fn two(first: &Node<'_>, second: &Node<'_>) -> String {
    let lock = |node: &Node<'_>| node.wants.as_ref().map_or_else(|| "a lock".to_owned(), |lock| lock.name.clone());
    let who = if first.process.pid == second.process.pid {
        let thread = |node: &Node<'_>| thread_name(node.thread, node.process);
        format!("{} and {} of {}", thread(first), thread(second), process_name(first.process))
    } else {
        format!("{} and {}", process_name(first.process), process_name(second.process))
    };
    format!(
        "{who} wait for each other: one holds {} and wants {}, the other the reverse",
        lock(second),
        lock(first),
    )
}

fn self_deadlock(node: &Node<'_>) -> String {
    let lock = node.wants.as_ref().map_or("a lock", |lock| lock.name.as_str());
    format!("{} of {} waits for {lock}, which it holds itself", thread_name(node.thread, node.process), process_name(node.process))
}

fn holder_fact(node: &Node<'_>) -> Fact {
    let mut fact = node_fact(node);
    let held = node.holds.iter().map(|(lock, frame)| format!("{} (taken at {}:{})", lock.name, base_name(&frame.file), lock.line));
    let held: Vec<String> = held.collect();
    if !held.is_empty() {
        fact.says = format!("{}, holding {}", fact.says, held.join(" and "));
    }
    fact
}

fn waiting_for_them(graph: &Graph<'_>, cycle: &[NodeId]) -> Option<Fact> {
    let others = (0..graph.nodes.len()).filter(|id| !cycle.contains(id));
    let waiting: Vec<NodeId> = others.filter(|&id| graph.nodes[id].pending() && graph.reaches(id, cycle[0])).collect();
    let main = waiting.iter().find(|&&id| graph.nodes[id].is_main()).or(waiting.first())?;
    Some(node_fact(&graph.nodes[*main]))
}

/// Of threads that wait for what nobody provides, one that the others wait for: who
/// only waits for a worker to finish is not where to look.
fn root_of(graph: &Graph<'_>, nodes: &[NodeId]) -> Option<NodeId> {
    let first = *nodes.first()?;
    let waits_for_worker = |node: &Node<'_>| matches!(node.purpose, Purpose::Join | Purpose::Future);
    let worker = |id: &NodeId| {
        let node = &graph.nodes[*id];
        !node.is_main() && node.frame.is_some() && node.process.pid == graph.nodes[first].process.pid
    };
    let worker = nodes.iter().copied().find(worker).filter(|_| waits_for_worker(&graph.nodes[first]));
    worker.or(Some(first))
}

/// No owners known: several threads in lock waits, or a main thread that waits
/// for something nobody is left to provide.
fn by_waits(study: &Study<'_>, graph: &Graph<'_>) -> Option<Finding> {
    if study.grade() < Grade::Probable {
        return None;
    }
    let waits = |id: &NodeId| {
        let node = &graph.nodes[*id];
        node.unlimited() && matches!(node.purpose, Purpose::Lock | Purpose::Notify | Purpose::Join | Purpose::Future | Purpose::LoopIdle)
    };
    let nodes: Vec<NodeId> = stuck(study).filter(waits).collect();
    let locks: Vec<NodeId> = nodes.iter().copied().filter(|&id| graph.nodes[id].purpose == Purpose::Lock).collect();
    let other_reason = stuck(study).any(|id| !waits(&id) && graph.nodes[id].unlimited() && !matches!(graph.nodes[id].purpose, Purpose::Child(_)));
    if other_reason && locks.is_empty() {
        return None;
    }
    let first = locks.first().copied().or_else(|| root_of(graph, &nodes)).map(|id| &graph.nodes[id])?;
    let mut facts: Vec<Fact> = nodes.iter().take(8).map(|&id| node_fact(&graph.nodes[id])).collect();
    facts.extend(steadiness(study, first));
    let slots = super::slots_exhausted::waits_for_slot(graph) || super::slots_exhausted::is_full_pool_awaited(graph);
    let threads = first.process.threads.len();
    let steady = first.unchanged >= 3 || first.unchanged == graph.looks && graph.span_s > 1.0;
    let who = thread_name(first.thread, first.process);
    let place = node_place(first);
    let at = place.as_ref().map(|place| format!(" at {}:{}", base_name(&place.file), place.line)).unwrap_or_default();
    let finding = if locks.len() >= 2 && steady && !child_died(study, first) {
        Finding::proof(
            format!("{} threads of {} wait for locks without a time limit, and none that could release them can run", locks.len(), process_name(first.process)),
            facts,
        )
        .rank(44)
    } else if !locks.is_empty() {
        let explanation = format!("{who} of {} waits for a lock{at} that none of its {threads} threads can release", process_name(first.process));
        Finding::signs(vec![Sign::seen(Group::Waits, "one thread waits for a lock"), Sign::when(steady, Group::Stack, "unchanged"), Sign::when(!child_died(study, first), Group::Kernel, "no child of it has died"), Sign::when(!slots, Group::Vitals, "nothing waits for a slot")], explanation, facts)
    } else {
        let what = crate::telling::wait_words(first);
        let explanation = format!("{who} of {} {what}{at}, and no other thread is left that could provide it (unchanged for {})", process_name(first.process), seconds(graph.span_s));
        Finding::signs(vec![Sign::seen(Group::Waits, "waits for what nobody provides"), Sign::when(steady, Group::Stack, "unchanged"), Sign::when(!child_died(study, first), Group::Kernel, "no child of it has died"), Sign::when(!slots, Group::Vitals, "nothing waits for a slot")], explanation, facts)
    };
    let finding = if locks.len() >= 2 {
        finding.step("take the locks in the same order everywhere, or give acquire a timeout")
    } else {
        finding
    };
    Some(
        finding
            .place(place)
            .step("give the wait a time limit, so that the program can say what it misses")
            .step("make sure whoever should answer still runs: an exception in a thread ends it silently for the others"),
    )
}
