//! One native call never returns, with or without the interpreter lock.

use crate::case::Study;
use crate::cause::{Cause, Fact, Finding, Group, Sign};
use crate::facts::Frame;
use crate::telling::{frame_name, node_fact, node_place, process_name, seconds, steadiness};
use crate::waits::{Grade, Graph, Node, Purpose};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "native-hang",
    title: "A native call does not return",
    what: "One call into native code (a C extension, a driver, a library through ctypes) never returns.",
    settled_by: "The same line calls the same native function in every sample, and its thread sleeps there; where it owns the interpreter lock, every other thread stands too.",
    taken_for: "a deadlock",
    by_hand: &["py-spy dump --native twice: the same native frame; its thread sleeps"],
    remedies: &["run the call in a process with a deadline"],
    remedy: Remedy::Elsewhere,
    judge,
};

fn judge(study: &Study<'_>) -> Option<Finding> {
    if !study.was_standing() {
        return None;
    }
    let graph = study.graph.as_ref()?;
    let mut nodes: Vec<&Node<'_>> = graph.nodes.iter().filter(|node| inside_native(node)).collect();
    nodes.sort_by_key(|node| (!owns_lock(node), !node.is_main()));
    let node = *nodes.first()?;
    let owner = owns_lock(node);
    if study.grade() < Grade::Probable && !study.limit_fired() && !owner {
        return None;
    }
    // Waits that say more about themselves are somebody else's.
    if super::gpu_sync_deadlock::synchronises(graph, node) {
        return None;
    }
    let frames = node.thread.python.as_ref().map_or(&[][..], |stack| &stack.frames);
    let innermost = frames.first()?;
    let same = looks_at(study, node, innermost);
    let looks = graph.looks;
    let starved = graph.nodes.iter().filter(|other| other.process.pid == node.process.pid && other.purpose == Purpose::Interpreter).count();
    let mut facts = vec![node_fact(node)];
    let line = graph.look.source_line(&innermost.file, innermost.line).map(|line| format!(": {}", line.trim())).unwrap_or_default();
    facts.push(Fact::new("stack", format!("the innermost Python frame is {} in {same} of {looks} looks{line}", frame_name(innermost))).of(node.process.pid));
    if owner {
        let says = format!("it owns the interpreter lock while it sleeps; {starved} other threads wait for it");
        facts.push(Fact::new("stack", says).of(node.process.pid));
    }
    facts.extend(steadiness(study, node));
    let name = process_name(node.process);
    let held = if owner { ", holding the interpreter lock" } else { "" };
    let explanation = format!("{name} called native code at {} and has not come back for {}{held}", frame_name(innermost), seconds(graph.span_s));
    let steady = same == looks && looks >= 2;
    let finding = if owner && steady {
        Finding::proof(explanation, facts).rank(43)
    } else {
        let signs = vec![
            Sign::seen(Group::Waits, "sleeps without limit in native code"),
            Sign::when(steady, Group::Stack, "the same line in every look"),
        ];
        Finding::signs(signs, explanation, facts)
    };
    Some(
        finding
            .place(node_place(node))
            .step_command("see the native stack", ["gdb", "-p", &node.process.pid.to_string(), "-batch", "-ex", "thread apply all bt"])
            .step("run such a call in a process of its own with a deadline: a thread cannot be ended, a process can"),
    )
}

fn inside_native(node: &Node<'_>) -> bool {
    // Call and stack are read one after the other: a thread that computes shows both by chance.
    let asleep = node.cpu_share < 0.1;
    node.process.in_tree && node.unlimited() && node.purpose == Purpose::Native && node.thread.python.is_some() && node.unchanged >= 2 && asleep
}

fn owns_lock(node: &Node<'_>) -> bool {
    node.thread.python.as_ref().is_some_and(|stack| stack.owns_gil)
}

/// In how many looks the thread stood at this very line.
fn looks_at(study: &Study<'_>, node: &Node<'_>, frame: &Frame) -> usize {
    let from = study.graph.as_ref().map_or(0, |graph: &Graph<'_>| study.case.looks.len() - graph.looks);
    let there = |look: &&crate::facts::Look| {
        let thread = look.process(node.process.pid).and_then(|process| process.threads.iter().find(|thread| thread.tid == node.thread.tid));
        let first = thread.and_then(|thread| thread.python.as_ref()).and_then(|stack| stack.frames.first());
        first.is_some_and(|first| first.file == frame.file && first.line == frame.line)
    };
    study.case.looks[from..].iter().filter(there).count()
}
