//! The event loop's thread runs blocking code.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::Study;
use crate::cause::{Cause, Fact, Finding, Group, Sign};
use crate::facts::{Frame, Look, Thread, Wait};
use crate::place::{is_user_file, of_frame};
use crate::pattern::pattern;
use crate::telling::{base_name, cut, frame_name, process_name, seconds, thread_name, told_by_line, wait_words};
use crate::waits::{Graph, Node};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "event-loop-blocked",
    title: "The event loop is blocked",
    what: "The event loop's thread runs blocking code, or another thread holds the interpreter lock and starves it.",
    settled_by: "The loop's thread shows _run_once, then a frame of the user, then a blocking call, over several samples.",
    taken_for: "network, deadlock",
    by_hand: &["py-spy dump: _run_once, then your function, then a blocking call", "PYTHONASYNCIODEBUG=1 names slow steps"],
    remedies: &["asyncio.to_thread(…), or an asynchronous client"],
    remedy: Remedy::Elsewhere,
    judge,
};

static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i)\bExecuting <(?:Task|Handle|TimerHandle).* took \d+\.\d+ seconds|\b(?:event )?loop (?:was |is )?(?:stalled|blocked)\b|blocking (?:call|the event loop)")
});

fn judge(study: &Study<'_>) -> Option<Finding> {
    if !study.was_standing() {
        return by_log(study);
    }
    let graph = study.graph.as_ref()?;
    let node = graph.nodes.iter().find(|node| node.process.in_tree && !step_frames(node.thread).is_empty())?;
    let looks = &study.case.looks;
    let (frame, seen) = blocking_frame(graph.look, looks, node)?;
    let span_s = span(looks, seen);
    let name = process_name(node.process);
    let mut facts = vec![
        Fact::new("stack", format!("the loop's thread of {name} is inside {}, called from the loop's _run_once", frame_name(frame))).of(node.process.pid),
    ];
    let holder = starver(graph, node);
    let (place, explanation) = if let Some((other, at)) = holder {
        facts.push(Fact::new("stack", format!("{} holds the interpreter lock and computes at {}", thread_name(other.thread, other.process), frame_name(at))).of(node.process.pid));
        let thread = thread_name(other.thread, other.process);
        let starved = format!("the event loop of {name} is starved: {thread} computes in {}:{} ({}) and keeps the interpreter lock", base_name(&at.file), at.line, at.function);
        (at, starved)
    } else {
        let does = wait_words(node);
        facts.push(Fact::new("waits", format!("there it {does}")).of(node.process.pid));
        let inside = node.thread.python.as_ref().and_then(|stack| stack.frames.first());
        facts.extend(inside.filter(|inside| !std::ptr::eq(*inside, frame)).map(|inside| Fact::new("stack", format!("innermost frame: {}", frame_name(inside))).of(node.process.pid)));
        let blocked = format!("the event loop of {name} is blocked: {}:{} ({}) {does} in the loop's own thread, so every other task stands still", base_name(&frame.file), frame.line, frame.function);
        (frame, blocked)
    };
    facts.push(Fact::new("stack", format!("in the same step in {seen} of {} looks over {}", looks.len(), seconds(span_s))).of(node.process.pid));
    let finding = if seen >= 2 && span_s >= 0.5 {
        Finding::proof(explanation, facts).rank(42)
    } else {
        Finding::signs(vec![Sign::seen(Group::Stack, "once inside a blocking call")], explanation, facts)
    };
    let finding = finding.place(Some(of_frame(place)));
    Some(if holder.is_some() {
        finding.step("run it in a process: concurrent.futures.ProcessPoolExecutor with loop.run_in_executor; a thread shares the interpreter lock")
    } else {
        finding
            .step_command("move the blocking call out of the loop", ["await asyncio.to_thread(blocking_call, …)"])
            .step("or use the library's asynchronous client, with a time limit")
    })
}

/// The thread that keeps the interpreter lock while the loop's thread wants it, and
/// where in the user's code it computes.
fn starver<'g, 'a>(graph: &'g Graph<'a>, node: &Node<'a>) -> Option<(&'g Node<'a>, &'a Frame)> {
    let owns = |node: &Node<'_>| node.thread.python.as_ref().is_some_and(|stack| stack.owns_gil);
    let other = graph.nodes.iter().find(|other| {
        other.process.pid == node.process.pid && other.thread.tid != node.thread.tid && owns(other) && other.active()
    })?;
    let wants = !owns(node) && matches!(node.thread.wait, Wait::Futex { .. } | Wait::Running);
    Some((other, other.frame?)).filter(|_| wants && other.cpu_share > 2.0 * node.cpu_share)
}

/// What loops in debug mode, and watchers of loops, print.
fn by_log(study: &Study<'_>) -> Option<Finding> {
    let (told, _) = told_by_line(study, &SENTENCE)?;
    let text = told.text();
    Some(
        told.proof(format!("the event loop was blocked: {}", cut(&text, 160)))
            .step_command("move the blocking call out of the loop", ["await asyncio.to_thread(blocking_call, …)"]),
    )
}

fn span(looks: &[Look], seen: usize) -> f64 {
    let first = looks.len().saturating_sub(seen.max(1));
    looks.last().map_or(0.0, |last| last.at_s - looks[first].at_s)
}

/// The user's frames inside a step of an event loop, innermost first; none for a
/// thread that is in no step.
fn step_frames(thread: &Thread) -> Vec<&Frame> {
    let frames = thread.python.as_ref().map_or(&[][..], |stack| &stack.frames);
    let Some(step) = frames.iter().position(is_loop_step) else { return Vec::new() };
    // A thread pool of the same program has its own frames, not those of a loop.
    frames[..step].iter().filter(|frame| is_user_file(&frame.file)).collect()
}

/// Where the step was again and again, and in how many looks. A call that waits is
/// named itself. What computes changes from look to look, so there the line of the task
/// is named: that is the call to move out of the loop.
fn blocking_frame<'a>(look: &Look, looks: &[Look], node: &Node<'a>) -> Option<(&'a Frame, usize)> {
    let seen = |frame: &Frame| looks.iter().filter(|look| was_inside(look, node, frame)).count();
    let counted: Vec<(&Frame, usize)> =
        step_frames(node.thread).into_iter().map(|frame| (frame, seen(frame))).collect();
    let most = counted.iter().map(|(_, seen)| *seen).max()?;
    let stays = |(_, seen): &&(&Frame, usize)| *seen >= most.min(2);
    let awaits = |frame: &Frame| look.source_line(&frame.file, frame.line).is_some_and(|line| line.contains("await "));
    let call = counted.iter().rev().filter(stays).find(|(frame, _)| !awaits(frame));
    call.filter(|_| node.active()).or_else(|| counted.iter().find(stays)).copied()
}

/// The function of a loop that runs one ready step, for asyncio, trio, tornado and curio.
fn is_loop_step(frame: &Frame) -> bool {
    let file = frame.file.replace('\\', "/");
    (file.ends_with("asyncio/base_events.py") && frame.function == "_run_once")
        || (file.ends_with("trio/_core/_run.py") && frame.function == "unrolled_run")
        || (file.ends_with("curio/kernel.py") && frame.function == "_runner")
        || (file.ends_with("asyncio/runners.py") && frame.function == "run" && file.contains("uvloop"))
}

/// In this look the same thread was inside the same function of the user, within a step.
fn was_inside(look: &Look, node: &Node<'_>, frame: &Frame) -> bool {
    let process = look.process(node.process.pid);
    let thread = process.and_then(|process| process.threads.iter().find(|thread| thread.tid == node.thread.tid));
    let same = |earlier: &&Frame| earlier.function == frame.function && earlier.file == frame.file;
    thread.is_some_and(|thread| step_frames(thread).iter().any(same))
}
