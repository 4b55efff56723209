//! Runs for ever in the program's own code.

use crate::case::Study;
use crate::cause::{Cause, Fact, Finding, Group, Sign};
use crate::event::Ending;
use crate::facts::{Frame, Look};
use crate::place::{innermost_user_frame, is_user_file, of_frame};
use crate::telling::{base_name, frame_name, process_name, seconds};
use crate::waits::{Graph, Node, enclosing_loop};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "endless-loop",
    title: "Computes without end",
    what: "Runs for ever in the program's own code.",
    settled_by: "One thread uses a whole CPU, its stacks stay inside one function, and there is no output or io.",
    taken_for: "a freeze",
    by_hand: &["top: one thread at 100 %; py-spy dump thrice: the same function"],
    remedies: &["check what should end the loop"],
    remedy: Remedy::Elsewhere,
    judge,
};

/// Importing, compiling and buffered printing look alike and are judged by their own files.
fn judge(study: &Study<'_>) -> Option<Finding> {
    let over = matches!(study.case.ending, Some((_, Ending::OverMemory { .. })));
    if !study.limit_fired() || over {
        return None;
    }
    let graph = study.graph.as_ref()?;
    let busiest = graph
        .nodes
        .iter()
        .filter(|node| node.process.in_tree && is_busy(graph, node))
        .max_by(|one, other| one.cpu_share.total_cmp(&other.cpu_share))?;
    if super::slow_import::importing(busiest.thread) || super::fork_after_threads::spins_alone(graph, study, busiest) {
        return None;
    }
    let frames = busiest.thread.python.as_ref().map_or(&[][..], |stack| &stack.frames);
    if super::jit_compile_wait::is_compiler(&busiest.process.name) {
        return None;
    }
    let Some(frame) = innermost_user_frame(frames) else { return without_stack(study, busiest) };
    let seen = looks_inside(&study.case.looks, busiest, frame);
    let looks = study.case.looks.len();
    let everywhere = seen == looks && looks >= 2;
    let native = frames.first().is_some_and(|first| !is_user_file(&first.file));
    let endless = loop_without_end(graph, frames);
    let stack = match (everywhere, endless.is_some()) {
        (true, true) => "in an endless loop in every look",
        (true, false) if native => "in a library call of one function in every look",
        (true, false) => "in one function in every look",
        (false, _) => "in one function in some looks",
    };
    let quiet = quiet(study);
    let signs = vec![Sign::seen(Group::Stack, stack), Sign::when(quiet, Group::Vitals, "no output and no traffic")];
    let name = process_name(busiest.process);
    let mut facts = vec![
        Fact::new("vitals", format!("one thread of {name} uses {:.0} % of a core", busiest.cpu_share * 100.0)).of(busiest.process.pid),
        Fact::new("stack", format!("inside {} in {seen} of {looks} looks over {}", frame_name(frame), seconds(graph.span_s))).of(busiest.process.pid),
    ];
    if quiet {
        facts.push(Fact::new("vitals", "no output, no file and no network traffic meanwhile"));
    }
    facts.extend(endless.map(|text| Fact::new("stack", format!("the loop around it: {text}"))));
    let explanation = format!(
        "{name} computes in {} ({}:{}) with nothing to show for {}",
        frame.function,
        base_name(&frame.file),
        frame.line,
        seconds(silence(study))
    );
    Some(
        Finding::signs(signs, explanation, facts)
            .place(Some(of_frame(frame)))
            .step("check what should end this loop, and print or log its progress")
            .step("a long computation looks the same from outside: raise the limit if it is one"),
    )
}

/// A whole core, or all that a crowded machine gives it.
fn is_busy(graph: &Graph<'_>, node: &Node<'_>) -> bool {
    let always_ready = node.running == graph.looks && (node.cpu_share > 0.1 || graph.looks == 1);
    node.cpu_share > 0.6 || always_ready
}

/// A busy program without Python: all that can be said is that it computes.
fn without_stack(study: &Study<'_>, node: &Node<'_>) -> Option<Finding> {
    let name = process_name(node.process);
    let quiet = quiet(study);
    let facts = vec![Fact::new("vitals", format!("{name} uses {:.0} % of a core", node.cpu_share * 100.0)).of(node.process.pid)];
    let explanation = format!("{name} computes with nothing to show for {}", seconds(silence(study)));
    quiet.then(|| Finding::signs(vec![Sign::seen(Group::Vitals, "busy without a stack")], explanation, facts))
}

fn looks_inside(looks: &[Look], node: &Node<'_>, frame: &Frame) -> usize {
    let inside = |look: &&Look| {
        let process = look.process(node.process.pid);
        let thread = process.and_then(|process| process.threads.iter().find(|thread| thread.tid == node.thread.tid));
        let frames = thread.and_then(|thread| thread.python.as_ref()).map_or(&[][..], |stack| &stack.frames);
        frames.iter().any(|earlier| earlier.function == frame.function && earlier.file == frame.file && is_user_file(&earlier.file))
    };
    looks.iter().filter(inside).count()
}

/// `while True:` around one of the user's frames, without a `break` in sight.
fn loop_without_end<'a>(graph: &Graph<'a>, frames: &[Frame]) -> Option<&'a str> {
    frames.iter().filter(|frame| is_user_file(&frame.file)).find_map(|frame| {
        let text = enclosing_loop(graph.look, frame)?;
        text.starts_with("while ").then_some(text)
    })
}

fn quiet(study: &Study<'_>) -> bool {
    let looks = &study.case.looks;
    let chars = |look: &Look| look.processes.iter().filter(|process| process.in_tree).filter_map(|process| process.written_chars).sum::<u64>();
    let written = match (looks.first(), looks.last()) {
        (Some(first), Some(last)) => chars(last).saturating_sub(chars(first)),
        _ => 0,
    };
    written < 256 && !study.case.moving
}

/// Seconds since the last output, or since the start.
fn silence(study: &Study<'_>) -> f64 {
    let now = study.case.ending.as_ref().map_or(study.case.wall_s, |(at_s, _)| *at_s);
    let last = study.case.output_s.map_or(0.0, |(_, last)| last);
    (now - last).max(0.0)
}
