//! A parent waits for a child that is dead.

use crate::case::{Lifetime, Study};
use crate::cause::{Cause, Fact, Finding, Group, Sign, Strength};
use crate::facts::{ProcessState, Wait};
use crate::telling::{cut, node_fact, node_place, process_name, seconds, short_command, signal_name, steadiness, wait_words};
use crate::waits::{Grade, Graph, Node, NodeId, Purpose};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "worker-death-unnoticed",
    title: "Waits for a worker that is dead",
    what: "A parent waits for the result of a child that has died, and nothing tells it.",
    settled_by: "A child that is dead (or was replaced), and a parent that waits for a queue, result or semaphore.",
    taken_for: "a deadlock",
    by_hand: &["ps --ppid PARENT: a zombie, or a younger worker than the others", "py-spy dump of the parent: queue, result or semaphore"],
    remedies: &["wait with a time limit and ask whether the child lives; ProcessPoolExecutor"],
    remedy: Remedy::Elsewhere,
    judge,
};

fn judge(study: &Study<'_>) -> Option<Finding> {
    if !study.was_standing() || study.grade() < Grade::Probable && !study.limit_fired() {
        return None;
    }
    let graph = study.graph.as_ref()?;
    let by_child = by_child(study, graph);
    // A pool reaps its workers itself, so how one ended is often not seen; that the
    // others are idle proves as much.
    let proved = by_child.as_ref().is_some_and(|finding| finding.strength == Strength::Proof);
    if proved { by_child } else { by_idle_pool(study, graph).or(by_child) }
}

/// A thread waits for what a child should bring, and the child is gone.
fn by_child(study: &Study<'_>, graph: &Graph<'_>) -> Option<Finding> {
    let (id, dead) = waiters(graph).into_iter().find_map(|id| Some((id, dead_child(study, graph, id)?)))?;
    let node = &graph.nodes[id];
    let bad = dead.failed() == Some(true);
    if !graph.escaped_holders(id).is_empty() {
        return None;
    }
    let zombie = graph.look.process(dead.pid).is_some_and(|process| process.state == ProcessState::Zombie);
    let dead_name = name_of(&dead);
    let how = how(&dead);
    let mut facts = vec![
        node_fact(node),
        Fact::new("waits", format!("its child {dead_name} {how} at {}{}", seconds(dead.gone_s), if zombie { ", and nobody has waited for it" } else { "" })).of(dead.pid),
    ];
    let trace = study.case.log.tracebacks.iter().rev().find(|traceback| !traceback.ignored && traceback.last().kind != "KeyboardInterrupt");
    facts.extend(trace.map(|traceback| crate::telling::quoted(&traceback.last().headline())));
    facts.extend(steadiness(study, node));
    let does = wait_words(node);
    let explanation = format!("{} {does}, but its child {dead_name} {how} and will never answer", process_name(node.process));
    let finding = if bad {
        Finding::proof(explanation, facts).rank(34)
    } else {
        let signs = vec![
            Sign::seen(Group::Waits, "waits, and a child is gone"),
            Sign::when(zombie, Group::Stack, "nobody has waited for the child"),
            Sign::when(trace.is_some(), Group::Log, "a traceback was printed"),
            Sign::when(holds_shared(graph, node), Group::Kernel, "all who share the lock wait for it"),
        ];
        Finding::signs(signs, explanation, facts)
    };
    Some(
        finding
            .place(node_place(node))
            .step("ask whether the child lives while waiting: a time limit on the wait, then exitcode or poll()")
            .step_command("use a pool that notices", ["concurrent.futures.ProcessPoolExecutor"]),
    )
}

/// A result of a process pool is waited for, and every worker of it waits for work:
/// the one that had taken the job is gone, and was replaced by another.
fn by_idle_pool(study: &Study<'_>, graph: &Graph<'_>) -> Option<Finding> {
    let in_pool = |node: &Node<'_>, functions: &[&str]| {
        let frames = node.thread.python.as_ref().map_or(&[][..], |stack| &stack.frames);
        frames.iter().any(|frame| frame.file.ends_with("multiprocessing/pool.py") && functions.contains(&frame.function.as_str()))
    };
    let node = graph.nodes.iter().find(|node| node.process.in_tree && node.unlimited() && node.flat(graph) && in_pool(node, &["get", "wait", "next"]))?;
    let workers: Vec<&Node<'_>> = graph.nodes.iter().filter(|other| other.process.ppid == node.process.pid && other.is_main() && in_pool(other, &["worker"])).collect();
    let idle = workers.iter().all(|worker| worker.purpose == Purpose::Helper && worker.flat(graph));
    let handlers = graph.nodes.iter().filter(|other| other.process.pid == node.process.pid && in_pool(other, &["_handle_tasks"]));
    let handed_out = handlers.into_iter().all(|handler| !handler.active());
    if workers.is_empty() || !idle || !handed_out {
        return None;
    }
    let youngest = workers.iter().map(|worker| worker.process.pid).max()?;
    let mut facts = vec![node_fact(node), Fact::new("waits", format!("all {} workers of its pool wait for work, and the job is handed out", workers.len())).of(node.process.pid)];
    facts.push(Fact::new("waits", format!("the youngest of them is pid {youngest}; a pool replaces a worker that dies, and says nothing")).of(youngest));
    facts.extend(steadiness(study, node));
    let explanation = format!("{} waits for a result of its pool, but no worker has the job any more: the one that took it died", process_name(node.process));
    Some(
        Finding::proof(explanation, facts)
            .rank(34)
            .place(node_place(node))
            .step_command("use a pool that notices", ["concurrent.futures.ProcessPoolExecutor"])
            .step("wait with a time limit: result.get(timeout=…)"),
    )
}

/// Threads that wait for what a child process should bring, main threads first.
fn waiters(graph: &Graph<'_>) -> Vec<NodeId> {
    let waits = |id: &NodeId| {
        let node = &graph.nodes[*id];
        let kind = matches!(node.purpose, Purpose::Notify | Purpose::Future | Purpose::Join | Purpose::PipeRead { .. } | Purpose::Any(_) | Purpose::Receive { .. } | Purpose::Lock);
        node.process.in_tree && kind && !node.rests() && (node.unlimited() || node.polls)
    };
    let mut ids: Vec<NodeId> = (0..graph.nodes.len()).filter(waits).collect();
    ids.sort_by_key(|&id| !graph.nodes[id].is_main());
    ids
}

/// A child of the waiting process that has ended: the one that ended worst.
fn dead_child(study: &Study<'_>, graph: &Graph<'_>, id: NodeId) -> Option<Lifetime> {
    let node: &Node<'_> = &graph.nodes[id];
    let sibling = holds_shared(graph, node).then_some(node.process.ppid);
    let own = |life: &&Lifetime| (life.ppid == node.process.pid || Some(life.ppid) == sibling) && is_worker(life, node);
    let dead: Vec<&Lifetime> = study.case.lifetimes.iter().filter(own).collect();
    // While others of its kind still work, their result may be what is waited for.
    let busy = graph.nodes.iter().any(|other| other.process.ppid == node.process.pid && other.active());
    if busy {
        return None;
    }
    dead.into_iter().max_by_key(|life| life.failed()).cloned()
}

/// It waits for a lock in shared memory that no live process can hold, since all that
/// are left of its kind wait for it too: a dead one took it along.
fn holds_shared(graph: &Graph<'_>, node: &Node<'_>) -> bool {
    let shared = |node: &Node<'_>| node.purpose == Purpose::Lock && matches!(node.thread.wait, Wait::Futex { shared: true, .. });
    let mut siblings = graph.nodes.iter().filter(|other| other.process.ppid == node.process.ppid && other.is_main());
    shared(node) && node.unlimited() && siblings.all(|other| shared(other) || other.rests())
}

/// A worker shares its parent's program, or speaks with it; tools that were run and ended are none.
fn is_worker(life: &Lifetime, node: &Node<'_>) -> bool {
    let helper = life.command.contains("resource_tracker") || life.command.contains("forkserver");
    let same = node.process.command.first().is_some_and(|first| life.command.split(' ').next() == Some(first.as_str()));
    !helper && (same || life.failed() == Some(true) || life.wait_status.is_some())
}

fn name_of(life: &Lifetime) -> String {
    let words: Vec<String> = life.command.split(' ').map(str::to_owned).collect();
    if life.command.is_empty() { format!("pid {}", life.pid) } else { format!("{} (pid {})", cut(&short_command(&words), 60), life.pid) }
}

fn how(life: &Lifetime) -> String {
    match (life.signal(), life.wait_status) {
        (Some(signal), _) => format!("was ended by {}", signal_name(signal)),
        (None, Some(0)) => "has ended".to_owned(),
        (None, Some(status)) => format!("ended with status {}", status >> 8 & 0xff),
        (None, None) => "is gone".to_owned(),
    }
}
