//! Timed-out work keeps running in threads.

use std::collections::BTreeMap;

use std::sync::LazyLock;

use regex::Regex;

use crate::case::Study;
use crate::facts::Look;
use crate::pattern::pattern;
use crate::cause::{Cause, Fact, Finding, Group, Sign};
use crate::growth::{growth, threads};
use crate::report::Place;
use crate::telling::{base_name, process_name, size};
use crate::waits::{Graph, NodeId, Purpose};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "abandoned-threads",
    title: "Given-up work goes on in threads",
    what: "Work that was given up after a time limit keeps running in its thread: a thread cannot be ended from outside.",
    settled_by: "One thread more for each time limit, and the CPU still busy after the answer.",
    taken_for: "app-retention",
    by_hand: &["ps -o nlwp -p PID (the number of threads) after each time limit", "py-spy dump --pid PID: several threads inside the same function"],
    remedies: &["run work with a time limit in a process (defib.isolated, ProcessPoolExecutor, subprocess) and end that", "let the work look at a flag between steps"],
    remedy: Remedy::Fresh,
    judge,
};

fn judge(study: &Study<'_>) -> Option<Finding> {
    if !study.was_standing() || !study.limit_fired() && growth(study).is_none() {
        return None;
    }
    let graph = study.graph.as_ref()?;
    let (function, ids) = crowd(graph)?;
    let grew = threads(study);
    let node = &graph.nodes[ids[0]];
    let busy = ids.iter().filter(|&&id| graph.nodes[id].active()).count();
    let timeouts = study.case.log.lines.iter().filter(|line| gives_up(&line.text)).count();
    let awaited = graph.nodes.iter().enumerate().any(|(id, other)| other.unlimited() && matches!(other.purpose, Purpose::Join | Purpose::Future) && graph.reaches(id, ids[0]));
    let waits = grew.is_none() && timeouts == 0 || awaited;
    if waits || ids.len() < 3 {
        return None;
    }
    let mut facts = vec![Fact::new("stack", format!("{} threads are inside {} ({}:{}) at once, {busy} of them computing", ids.len(), function.1, base_name(&function.0), function.2)).of(node.process.pid)];
    if let Some((first, last)) = grew {
        facts.push(Fact::new("vitals", format!("the number of threads rose from {first} to {last}")));
    }
    if timeouts > 0 {
        facts.push(Fact::new("log", format!("{timeouts} lines speak of a time limit that passed")));
    }
    let memory = growth(study).map(|growth| format!(", and memory grew from {} to {}", size(growth.from_bytes), size(growth.to_bytes))).unwrap_or_default();
    let explanation = format!("{} threads of {} still run {}, although nobody waits for them any more{memory}", ids.len(), process_name(node.process), function.1);
    let signs = vec![
        Sign::when(grew.is_some(), Group::Vitals, "the number of threads rises"),
        Sign::when(timeouts > 0, Group::Log, "the log speaks of time limits"),
        Sign::when(busy > 0, Group::Stack, "threads of one function compute"),
    ];
    let place = giving_up_line(graph.look).unwrap_or(Place { file: function.0.clone(), line: function.2, function: Some(function.1.clone()) });
    Some(
        Finding::signs(signs, explanation, facts)
            .place(Some(place))
            .step("run work that needs a time limit in a process: a process can be ended, a thread cannot")
            .step("or let the work look at a flag between its steps, and set the flag when the limit passes"),
    )
}

type Function = (String, String, u32);

/// The function of the user that most threads besides the main thread are in.
fn crowd(graph: &Graph<'_>) -> Option<(Function, Vec<NodeId>)> {
    let mut by_function: BTreeMap<(i32, String, String), Vec<NodeId>> = BTreeMap::new();
    for (id, node) in graph.nodes.iter().enumerate() {
        let frames = node.thread.python.as_ref().map_or(&[][..], |stack| &stack.frames);
        // The outermost function of the user is what the thread was started for.
        let target = frames.iter().rev().find(|frame| crate::place::is_user_file(&frame.file));
        // One that waits for its next work is a worker, and given up by nobody.
        let idle = node.rests() || node.purpose == Purpose::Notify;
        if let Some(target) = target.filter(|_| node.process.in_tree && !node.is_main() && !idle) {
            by_function.entry((node.process.pid, target.file.clone(), target.function.clone())).or_default().push(id);
        }
    }
    let ((_, file, function), ids) = by_function.into_iter().max_by_key(|(_, ids)| ids.len())?;
    let line = graph.nodes[ids[0]].frame.map_or(0, |frame| frame.line);
    let file = graph.nodes[ids[0]].frame.map_or(file, |frame| frame.file.clone());
    Some(((file, function, line), ids))
}

/// The line that stops waiting for the thread: the remedy belongs there.
fn giving_up_line(look: &Look) -> Option<Place> {
    static LINE: LazyLock<Regex> = LazyLock::new(|| pattern(r"\bwait_for\(|\.result\([^)\s]|\b(?:\w*(?:thread|worker|task|job|child|runner)\w*|t|th|w|p)\.join\([^)\s]|\.get\(timeout\s*=|\.wait\((?:timeout\s*=|\d)|\bwait\([^)]*timeout\s*=|\bfail_after\(|\bmove_on_after\(|\bfunc_timeout\("));
    look.sources.iter().find_map(|excerpt| {
        let at = excerpt.lines.iter().position(|text| LINE.is_match(text) && !text.trim_start().starts_with('#'))?;
        Some(Place { file: excerpt.file.clone(), line: excerpt.first_line + u32::try_from(at).ok()?, function: None })
    })
}

fn gives_up(text: &str) -> bool {
    let text = text.to_lowercase();
    ["timed out", "timeout", "time limit", "gave up", "giving up", "took too long", "deadline", "did not answer", "did not finish", "no answer within", "no result within"].iter().any(|word| text.contains(word))
}
