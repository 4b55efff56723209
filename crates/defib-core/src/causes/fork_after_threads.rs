//! A forked child needs a thread or lock that exists only in its parent.

use crate::case::Study;
use crate::cause::{Cause, Fact, Finding, Group, Retry, Sign};
use crate::telling::{frame_name, node_fact, node_place, process_name, steadiness};
use crate::waits::{Grade, Graph, Node};

pub(super) static CAUSE: Cause = Cause {
    id: "fork-after-threads",
    title: "Forked while threads were running",
    what: "A forked child waits for a lock or thread that exists only in its parent: fork copies the memory, and only the thread that called it.",
    settled_by: "The child has one thread in a futex wait and never executed another program, while its parent has several threads.",
    taken_for: "its own deadlock",
    by_hand: &["ps -o nlwp,stat,wchan -p CHILD: one thread in a futex wait", "py-spy dump of child and parent"],
    remedies: &["set_start_method(\"spawn\") or \"forkserver\", or fork before the first thread"],
    retry: Retry::Fresh,
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
    let id = (0..graph.nodes.len()).find(|&id| graph.waits_for_lost_thread(id))?;
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

fn waiting_parent(graph: &Graph<'_>, node: &Node<'_>) -> Option<Fact> {
    let main = graph.main_of(node.process.ppid)?;
    graph.nodes[main].pending().then(|| node_fact(&graph.nodes[main]))
}
