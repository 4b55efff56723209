//! A reader waits for end-of-file that a surviving grandchild prevents.

use crate::case::Study;
use crate::cause::{Cause, Fact, Finding};
use crate::telling::{node_fact, node_place, process_name, steadiness, wait_words};
use crate::waits::{Graph, NodeId};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "pipe-held-by-descendant",
    title: "A surviving grandchild keeps a pipe open",
    what: "A reader waits for the end of a pipe that a surviving grandchild prevents.",
    settled_by: "The direct child is dead, and another process holds the inode.",
    taken_for: "a timeout that does not work",
    by_hand: &["ls -l /proc/*/fd | grep the pipe's inode: a process that is not the child"],
    remedies: &["end the whole process group; redirect the output of background processes"],
    remedy: Remedy::Elsewhere,
    judge,
};

fn judge(study: &Study<'_>) -> Option<Finding> {
    if !study.was_standing() {
        return None;
    }
    let graph = study.graph.as_ref()?;
    let found = (0..graph.nodes.len()).find_map(|id| {
        let node = &graph.nodes[id];
        let holders = if node.process.in_tree { graph.escaped_holders(id) } else { Vec::new() };
        (!holders.is_empty()).then_some((id, holders))
    });
    let (reader, holders) = found?;
    let node = &graph.nodes[reader];
    let names: Vec<String> = holders.iter().filter_map(|&pid| Some(process_name(graph.look.process(pid)?))).collect();
    let mut facts = vec![node_fact(node)];
    facts.extend(holders.iter().filter_map(|&pid| holder_fact(graph, pid)));
    facts.push(Fact::new("waits", format!("no child of {} holds the writing end any more: the process it started has ended", process_name(node.process))).of(node.process.pid));
    facts.extend(steadiness(study, node));
    let explanation = format!(
        "{} waits for the end of its child's output, but the child is gone and {} still holds the pipe open",
        process_name(node.process),
        names.join(" and ")
    );
    let pid = holders.first().map(ToString::to_string).unwrap_or_default();
    Some(
        Finding::proof(explanation, facts)
            .rank(41)
            .place(node_place(node))
            .step("start the child in its own session (start_new_session=True) and end the whole group: os.killpg(child.pid, signal.SIGKILL)")
            .step("or let the background process redirect its output (>/dev/null 2>&1), so that it does not inherit the pipe")
            .step_command("end the holder now", ["kill", &pid]),
    )
}

fn holder_fact(graph: &Graph<'_>, pid: i32) -> Option<Fact> {
    let process = graph.look.process(pid)?;
    let main: Option<NodeId> = graph.main_of(pid);
    let does = main.map(|id| format!(" and {}", wait_words(&graph.nodes[id]))).unwrap_or_default();
    let says = format!("{} holds the writing end{does}; its parent is pid {}, not the reader", process_name(process), process.ppid);
    Some(Fact::new("descriptors", says).of(pid))
}
