//! Stopped by job control, or waiting at a prompt.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::Study;
use crate::cause::{Cause, Fact, Finding, Group, Sign};
use crate::pattern::pattern;
use crate::telling::{told_by_line, cut, node_fact, node_place, process_name, quoted, steadiness, stuck};
use crate::waits::{Grade, Graph, Node, NodeId, Outside, Purpose};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "terminal-wait",
    title: "Waits at a terminal",
    what: "Stopped by job control, or waiting for something to be typed, or for a terminal that takes no output.",
    settled_by: "State T, or a read on descriptor 0, or a write on a terminal.",
    taken_for: "a freeze",
    by_hand: &["ps -o stat,wchan: T, or a read of the terminal"],
    remedies: &["answer it; --yes; stdin from /dev/null"],
    remedy: Remedy::Elsewhere,
    judge,
};

static JOB: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)\bStopped \(tty (?:in|out)put\)|suspended \(tty (?:in|out)put\)|\bSIGTT(?:IN|OU)\b"));

fn judge(study: &Study<'_>) -> Option<Finding> {
    if !study.was_standing() {
        return by_log(study);
    }
    let graph = study.graph.as_ref()?;
    let candidates: Vec<NodeId> = stuck(study).chain(0..graph.nodes.len()).filter(|&id| graph.nodes[id].process.in_tree).collect();
    let find = |wanted: &dyn Fn(&Node<'_>) -> bool| candidates.iter().copied().find(|&id| wanted(&graph.nodes[id]));
    if let Some(id) = find(&|node| node.purpose == Purpose::Stopped && node.is_main()) {
        return Some(stopped(study, &graph.nodes[id]));
    }
    if let Some(id) = find(&|node| matches!(node.purpose, Purpose::TerminalRead { .. }) && node.unlimited()) {
        return Some(prompt(study, graph, id));
    }
    if let Some(id) = find(&|node| matches!(node.purpose, Purpose::TerminalWrite { .. })) {
        return Some(output(study, &graph.nodes[id]));
    }
    let input = find(&|node| {
        let reads_input = matches!(node.purpose, Purpose::Input { fd: 0 } | Purpose::PipeRead { fd: 0, .. } | Purpose::Receive { fd: 0 });
        reads_input && node.unlimited() && node.outside.contains(&Outside::Terminal)
    })?;
    (study.grade() >= Grade::Probable || study.ended_by_defib()).then(|| prompt(study, graph, input))
}

/// A shell's own line about a job that the terminal stopped.
fn by_log(study: &Study<'_>) -> Option<Finding> {
    let (told, _) = told_by_line(study, &JOB)?;
    let text = told.text();
    Some(
        told.proof(format!("it was stopped by the terminal: {}", cut(&text, 160)))
            .step("a background job that reads or sets the terminal is stopped at once: start it with </dev/null"),
    )
}

fn stopped(study: &Study<'_>, node: &Node<'_>) -> Finding {
    let name = process_name(node.process);
    let mut facts = vec![Fact::new("waits", format!("{name} is in state T (stopped)")).of(node.process.pid)];
    facts.extend(steadiness(study, node));
    let pid = node.process.pid.to_string();
    Finding::proof(format!("{name} is stopped by job control (SIGTSTP, SIGTTIN, SIGTTOU or SIGSTOP), and nobody continues it"), facts)
        .rank(38)
        .step_command("continue it", ["kill", "-CONT", &pid])
        .step("a background job that reads the terminal is stopped at once: give it stdin=subprocess.DEVNULL")
}

fn prompt(study: &Study<'_>, graph: &Graph<'_>, id: NodeId) -> Finding {
    let node = &graph.nodes[id];
    let name = process_name(node.process);
    let question = study.case.log.lines.iter().rev().find(|line| line.unfinished && !line.text.trim().is_empty());
    let question = question.filter(|line| looks_like_prompt(&line.text));
    let source = node.frame.and_then(|frame| graph.look.source_line(&frame.file, frame.line)).unwrap_or_default();
    let asks = ["input(", "getpass(", "stdin.read", "prompt(", "confirm(", "breakpoint(", "set_trace("].iter().any(|call| source.contains(call));
    let terminal = matches!(node.purpose, Purpose::TerminalRead { .. });
    let mut facts = vec![node_fact(node)];
    facts.extend(question.map(|line| quoted(&format!("the last text has no line end, as a question has: {}", cut(&line.text, 160)))));
    facts.extend(steadiness(study, node));
    let asked = question.map(|line| format!(" after printing \"{}\"", cut(&line.text, 80))).unwrap_or_default();
    let explanation = if terminal {
        format!("{name} waits for something to be typed{asked}")
    } else {
        format!("{name} waits for input on its standard input{asked}")
    };
    let sure = terminal || asks || question.is_some();
    let finding = if sure {
        Finding::proof(explanation, facts).rank(39)
    } else {
        Finding::signs(vec![Sign::seen(Group::Waits, "reads standard input")], explanation, facts)
    };
    finding
        .place(node_place(node))
        .step("answer it, or pass the answer: an option such as --yes, a variable, or a pipe")
        .step("a program that must never ask is started with stdin from /dev/null: it then fails at once and says why")
}

fn looks_like_prompt(text: &str) -> bool {
    let text = text.trim_end();
    text.ends_with([':', '?', '>', ']', ')', '$', '#']) || text.contains("[y/") || text.contains("(y/") || text.contains("assword")
}

fn output(study: &Study<'_>, node: &Node<'_>) -> Finding {
    let name = process_name(node.process);
    let mut facts = vec![node_fact(node)];
    facts.extend(steadiness(study, node));
    Finding::proof(format!("{name} waits to write to its terminal, which takes no output (Ctrl+S, or a selection in the window)"), facts)
        .rank(39)
        .place(node_place(node))
        .step("press Ctrl+Q in that terminal, or Enter in a Windows console")
}
