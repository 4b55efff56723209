//! A forked child needs a thread or lock that exists only in its parent.

use crate::case::Study;
use crate::cause::{Cause, Fact, Finding, Group, Sign};
use crate::facts::{Look, Thread};
use crate::telling::{frame_name, node_fact, node_place, process_name, steadiness};
use crate::waits::{Grade, Graph, Node};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "fork-after-threads",
    title: "Forked while threads were running",
    what: "A forked child waits for a lock or thread that exists only in its parent: fork copies the memory, and only the thread that called it.",
    settled_by: "The child has one thread in a futex wait and never executed another program, while its parent has several threads.",
    taken_for: "its own deadlock",
    by_hand: &["ps -o nlwp,stat,wchan -p CHILD: one thread in a futex wait", "py-spy dump of child and parent"],
    remedies: &["set_start_method(\"spawn\") or \"forkserver\", or fork before the first thread"],
    remedy: Remedy::Elsewhere,
    judge,
};

fn judge(study: &Study<'_>) -> Option<Finding> {
    if !study.was_standing() {
        return None;
    }
    let graph = study.graph.as_ref()?;
    if study.grade() < Grade::Part && !study.limit_fired() {
        return None;
    }
    let Some(id) = (0..graph.nodes.len()).find(|&id| graph.waits_for_lost_thread(id)) else {
        return by_spinning(study, graph);
    };
    let node = &graph.nodes[id];
    let parent = graph.look.process(node.process.ppid)?;
    let now = parent.threads.len();
    let before = study.case.vitals.iter().map(|vitals| vitals.threads.saturating_sub(vitals.processes)).max().unwrap_or(0);
    let threads = now.max(1 + before as usize);
    let had = if now > 1 { "has" } else { "had" };
    let name = process_name(node.process);
    let mut facts = vec![
        node_fact(node),
        Fact::new("waits", format!("{name} was forked and never executed another program; it has one thread, its parent {} {had} {threads}", process_name(parent))).of(node.process.pid),
    ];
    facts.extend(waiting_parent(graph, node));
    facts.extend(steadiness(study, node));
    let at = node.frame.map(|frame| format!(" at {}", frame_name(frame))).unwrap_or_default();
    let explanation = format!("{name}, forked from a process with {threads} threads, waits{at} for a lock whose holder exists only in its parent");
    let finding = if threads > 1 {
        Finding::proof(explanation, facts).rank(36)
    } else {
        Finding::signs(vec![Sign::seen(Group::Waits, "a forked child waits alone for a lock")], explanation, facts)
    };
    Some(
        finding
            .place(node_place(node))
            .step_command("start workers without fork", ["multiprocessing.set_start_method(\"spawn\")"])
            .step("or start the workers before the first thread, and before libraries that start threads of their own"),
    )
}

/// Packages whose native code hands work to threads of its own, and waits for them by
/// spinning.
const POOLED: [&str; 12] = [
    "/onnxruntime/", "/torch/", "/tensorflow/", "/jax/", "/jaxlib/", "/faiss/", "/sklearn/", "/xgboost/", "/lightgbm/",
    "/openvino/", "/numba/", "/paddle/",
];

/// A file of such a package.
pub(super) fn has_threads(file: &str) -> bool {
    POOLED.iter().any(|part| file.contains(part))
}

/// A forked child computes alone inside one call of such a package, and never comes back:
/// it turns round and round for workers that exist only in the parent.
fn by_spinning(study: &Study<'_>, graph: &Graph<'_>) -> Option<Finding> {
    let node = graph.nodes.iter().find(|node| study.limit_fired() && spins_alone(graph, study, node))?;
    let parent = graph.look.process(node.process.ppid)?;
    let inside = node.thread.python.as_ref()?.frames.first()?;
    let name = process_name(node.process);
    let mut facts = vec![
        Fact::new("stack", format!("{name} is inside {} in every look, and computes", frame_name(inside))).of(node.process.pid),
        Fact::new("waits", format!("it was forked and never executed another program; it has one thread, its parent {} has {}", process_name(parent), parent.threads.len())).of(node.process.pid),
    ];
    facts.extend(waiting_parent(graph, node));
    let at = node.frame.map(|frame| format!(" at {}", frame_name(frame))).unwrap_or_default();
    let explanation = format!("{name}, forked from a process with {} threads, turns round and round{at}: the workers of that library exist only in its parent", parent.threads.len());
    Some(
        Finding::signs(vec![Sign::seen(Group::Stack, "a forked child spins in a library that has threads")], explanation, facts)
            .place(node_place(node))
            .step_command("start workers without fork", ["multiprocessing.set_start_method(\"spawn\")"])
            .step("or load the model in each worker, after the fork"),
    )
}

/// See [`by_spinning`].
pub(super) fn spins_alone(graph: &Graph<'_>, study: &Study<'_>, node: &Node<'_>) -> bool {
    let first = |thread: &Thread| thread.python.as_ref().and_then(|stack| stack.frames.first().cloned());
    let Some(inside) = first(node.thread).filter(|frame| has_threads(&frame.file)) else {
        return false;
    };
    let there = |look: &Look| {
        let thread = look.process(node.process.pid).and_then(|process| process.threads.first());
        thread.and_then(first).is_some_and(|frame| frame.file == inside.file && frame.line == inside.line)
    };
    let alone = node.process.in_tree && node.process.forked_without_exec && node.process.threads.len() == 1;
    let threaded = graph.look.process(node.process.ppid).is_some_and(|parent| parent.threads.len() > 1);
    let looks = study.case.looks.iter().rev().take(graph.looks.min(3));
    alone && threaded && node.active() && graph.looks >= 2 && looks.into_iter().all(there)
}

fn waiting_parent(graph: &Graph<'_>, node: &Node<'_>) -> Option<Fact> {
    let main = graph.main_of(node.process.ppid)?;
    graph.nodes[main].pending().then(|| node_fact(&graph.nodes[main]))
}
