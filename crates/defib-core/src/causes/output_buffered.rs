//! Working, but its text sits in a buffer.

use crate::case::{End, Study};
use crate::cause::{Cause, Fact, Finding, Group, Sign};
use crate::facts::{Frame, Look, Process, Target};
use crate::place::is_user_file;
use crate::telling::{base_name, frame_name, grouped, process_name, seconds};
use crate::waits::{Grade, Graph, Node, function_lines, loop_around, loop_body};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "output-buffered",
    title: "Its output sits in a buffer",
    what: "The program works, but its text sits in a buffer.",
    settled_by: "No write to descriptor 1 while CPU or io moves, and standard output is a pipe or file.",
    taken_for: "\"crashed before its first print\"",
    by_hand: &["strace -e write -p PID: no write to 1 while it works"],
    remedies: &["PYTHONUNBUFFERED=1, python -u, flush=True; stdbuf -oL for filters"],
    remedy: Remedy::Never,
    judge,
};

fn judge(study: &Study<'_>) -> Option<Finding> {
    let standing = study.case.end == End::Alive || study.ended_by_defib();
    if !standing || study.grade() >= Grade::Probable {
        return None;
    }
    let graph = study.graph.as_ref()?;
    let main = graph.nodes.iter().filter(|node| node.process.in_tree && node.is_main());
    let holds_back = |process: &Process| {
        process.unbuffered == Some(false) && stdout_is_buffered(process) && !wrote(study, process)
    };
    let mut printing = main.filter(|node| holds_back(node.process)).filter_map(|node| prints(graph.look, node));
    let Some((node, frame, printed)) = printing.next() else {
        return by_library(study, graph).or_else(|| by_round(study, graph)).or_else(|| by_filter(study));
    };
    let process = node.process;
    let kind = if matches!(stdout(process), Some(Target::Pipe { .. })) { "a pipe" } else { "a file" };
    let name = process_name(process);
    let silent = study.case.output_bytes == 0;
    let facts = vec![
        Fact::new("stack", format!("{} prints ({}), without flush", place_name(&frame), printed.trim())).of(process.pid),
        Fact::new("descriptors", format!("standard output of {name} is {kind}, where Python keeps up to 8 KiB back")).of(process.pid),
        Fact::new("vitals", format!("it moves, and wrote nothing to it in {}", seconds(graph.span_s))).of(process.pid),
    ];
    let signs = vec![
        Sign::seen(Group::Stack, "prints without flush near where it stands"),
        Sign::seen(Group::Waits, "standard output is a pipe or file"),
        Sign::when(silent, Group::Vitals, "no output at all"),
    ];
    let explanation = format!("{name} works, but what it prints stays in Python's buffer, because its standard output is {kind}");
    Some(
        Finding::signs(signs, explanation, facts)
            .place(Some(crate::report::Place { file: frame.file.clone(), line: frame.line, function: Some(frame.function.clone()) }))
            .step_command("let Python print at once", ["env", "PYTHONUNBUFFERED=1"])
            .step("or start it with python -u, or write print(…, flush=True)"),
    )
}

/// The C library of a process holds text back that was printed.
fn by_library(study: &Study<'_>, graph: &Graph<'_>) -> Option<Finding> {
    let holds = |process: &&Process| process.in_tree && process.held_back.is_some_and(|held| held > 0) && stdout_is_buffered(process);
    let process = graph.look.processes.iter().find(|process| holds(process) && !wrote(study, process))?;
    let held = process.held_back?;
    let name = process_name(process);
    let silent = study.case.output_bytes == 0;
    let facts = vec![
        Fact::new("memory", format!("{} bytes that {name} has printed wait in its C library's buffer for standard output", grouped(held))).of(process.pid),
        Fact::new("vitals", format!("it wrote nothing to standard output in {}", seconds(graph.span_s))).of(process.pid),
    ];
    let explanation = format!("{name} works and has printed {} bytes, but its C library keeps them back, because its standard output is no terminal", grouped(held));
    let finding = if silent && study.limit_fired() {
        Finding::proof(explanation, facts).rank(45)
    } else {
        Finding::signs(vec![Sign::seen(Group::Waits, "the C library holds text back"), Sign::when(silent, Group::Vitals, "no output at all")], explanation, facts)
    };
    Some(
        finding
            .step_command("let the C library write line by line", ["stdbuf", "-oL", process.command.first().map_or("PROGRAM", String::as_str)])
            .step("in its source: setvbuf(stdout, NULL, _IOLBF, 0) at the start, or fflush(stdout) after each line"),
    )
}

/// A loop that prints has gone round, and nothing came: the program has put a buffer of
/// its own before standard output.
fn by_round(study: &Study<'_>, graph: &Graph<'_>) -> Option<Finding> {
    if study.case.output_bytes > 0 || study.case.relay.is_none() || !study.limit_fired() {
        return None;
    }
    // Text that goes elsewhere, as into a file of the program's own, is not held back.
    let writes = |process: &Process| {
        let first = study.case.looks.iter().find_map(|look| look.process(process.pid)).and_then(|before| before.written_chars);
        first.is_none() || first != process.written_chars
    };
    let main = |node: &&Node<'_>| node.process.in_tree && node.is_main() && stdout_is_buffered(node.process) && !writes(node.process);
    let (node, frame, line, text, rounds) = graph.nodes.iter().filter(main).find_map(|node| {
        let frames = &node.thread.python.as_ref()?.frames;
        frames.iter().filter(|frame| is_user_file(&frame.file)).find_map(|frame| {
            let (line, text, rounds) = printed_in_rounds(graph.look, frame)?;
            Some((node, frame, line, text, rounds))
        })
    })?;
    let name = process_name(node.process);
    let facts = vec![
        Fact::new("stack", format!("the loop at {} is in round {rounds}, and prints in each: {}", frame_name(frame), text.trim())).of(node.process.pid),
        Fact::new("vitals", format!("not one byte has come in {}", seconds(study.case.wall_s))),
    ];
    let explanation = format!("{name} works and has printed in {rounds} rounds of its loop, but the text stays in a buffer that the program itself put before its output");
    Some(
        Finding::proof(explanation, facts)
            .rank(45)
            .place(Some(crate::report::Place { file: frame.file.clone(), line, function: Some(frame.function.clone()) }))
            .step("flush: print(…, flush=True), or open the replaced sys.stdout with line_buffering=True")
            .step("sys.stdout.reconfigure(encoding=…, line_buffering=True) changes the encoding without a new buffer"),
    )
}

/// The loop counts its rounds, more than one is over, and each prints.
fn printed_in_rounds<'a>(look: &'a Look, frame: &Frame) -> Option<(u32, &'a str, u64)> {
    let (head, text) = loop_around(look, frame)?;
    let counter = round_counter(text)?;
    let value = &frame.locals.iter().find(|local| local.name == counter)?.value;
    let rounds = value.parse::<u64>().ok().filter(|&round| round > 1)?;
    let body = loop_body(look, &frame.file, head);
    let skips = body.iter().any(|(_, text)| text.contains("continue"));
    let (line, print) = body.into_iter().find(|(_, text)| is_buffered_print(text))?;
    (!skips).then_some((line, print, rounds))
}

/// The variable that counts a loop's rounds from 0: `for i in range(n):`,
/// `for i, x in enumerate(xs):`. Any other number that a loop runs over counts nothing.
fn round_counter(head: &str) -> Option<&str> {
    let (variables, over) = head.strip_prefix("for ")?.split_once(" in ")?;
    let first = variables.split(',').next()?.trim().trim_start_matches('(');
    let over = over.trim_end().trim_end_matches(':');
    if over.starts_with("enumerate(") {
        let from_elsewhere = over.contains("start") || over.trim_end_matches(')').ends_with(|last: char| last.is_ascii_digit());
        return (variables.contains(',') && !from_elsewhere).then_some(first);
    }
    let range = over.strip_prefix("range(")?;
    (!range.contains(',') && !variables.contains(',')).then_some(first)
}

/// Programs that hold their output back where it goes to a pipe, and how to stop that.
const FILTERS: &[(&str, &str)] = &[
    ("sed", "sed -u"),
    ("grep", "grep --line-buffered"),
    ("egrep", "grep -E --line-buffered"),
    ("fgrep", "grep -F --line-buffered"),
    ("awk", "awk with fflush() after each print"),
    ("gawk", "gawk with fflush() after each print"),
    ("mawk", "mawk -W interactive"),
    ("cut", "stdbuf -oL cut"),
    ("tr", "stdbuf -oL tr"),
    ("uniq", "stdbuf -oL uniq"),
    ("perl", "perl with $| = 1"),
    ("jq", "jq --unbuffered"),
    ("head", "stdbuf -oL head"),
    ("rev", "stdbuf -oL rev"),
];

/// A filter behind the program takes its lines in and keeps them.
fn by_filter(study: &Study<'_>) -> Option<Finding> {
    let graph = study.graph.as_ref()?;
    let first = study.case.looks.first()?;
    if study.case.output_bytes > 0 && study.case.relay.is_some() {
        return None;
    }
    let (process, advice, read) = graph.look.processes.iter().filter(|process| process.in_tree).find_map(|process| {
        let command = process.command.first().map_or(process.name.as_str(), |command| base_name(command));
        let advice = FILTERS.iter().find(|(name, _)| *name == command)?.1;
        let before = first.process(process.pid).and_then(|before| before.read_chars).unwrap_or(0);
        let pipes = matches!(process.descriptor(0).map(|input| &input.target), Some(Target::Pipe { .. })) && stdout_is_buffered(process);
        let read = process.read_chars?.saturating_sub(before);
        let told = process.command.iter().any(|word| ["-u", "--unbuffered", "--line-buffered", "interactive"].contains(&word.as_str()));
        (pipes && read > 0 && !told && !wrote(study, process)).then_some((process, advice, read))
    })?;
    let name = process_name(process);
    let facts = vec![
        Fact::new("vitals", format!("{name} read {read} more bytes in {} and wrote none", seconds(graph.span_s))).of(process.pid),
        Fact::new("descriptors", format!("standard output of {name} is a pipe or file, where it keeps up to 4 KiB back")).of(process.pid),
    ];
    let signs = vec![Sign::seen(Group::Vitals, "a filter reads and writes nothing")];
    let explanation = format!("the program works, but {name}, which its output goes through, holds the lines back in a buffer");
    Some(Finding::signs(signs, explanation, facts).step(format!("let the filter pass each line on at once: {advice}")))
}

fn place_name(frame: &Frame) -> String {
    format!("{}:{} {}", base_name(&frame.file), frame.line, frame.function)
}

/// A user's function on the stack that prints near where it stands, and that line.
fn prints<'n, 'a>(look: &'a Look, node: &'n Node<'a>) -> Option<(&'n Node<'a>, Frame, &'a str)> {
    let frames = &node.thread.python.as_ref()?.frames;
    let own: Vec<&Frame> = frames.iter().filter(|frame| is_user_file(&frame.file)).collect();
    own.iter().enumerate().take(4).find_map(|(index, frame)| {
        // What stands below has been printed only where a loop has come by before.
        let repeated = own[index..].iter().any(|frame| loop_around(look, frame).is_some());
        let last = if repeated { frame.line + 15 } else { frame.line.saturating_sub(1) };
        let near = function_lines(look, frame).into_iter().filter(|(line, _)| (frame.line.saturating_sub(25)..=last).contains(line));
        let print = near.filter(|(_, text)| is_buffered_print(text)).min_by_key(|(line, _)| line.abs_diff(frame.line))?;
        let at = Frame { line: print.0, ..(*frame).clone() };
        Some((node, at, print.1))
    })
}

fn is_buffered_print(text: &str) -> bool {
    let text = text.trim_start();
    let prints = text.starts_with("print(") || text.starts_with("sys.stdout.write(") || text.contains(": print(");
    prints && !text.contains("flush=True") && !text.contains("file=sys.stderr") && !text.contains("file=")
}

fn stdout(process: &Process) -> Option<&Target> {
    process.descriptor(1).map(|descriptor| &descriptor.target)
}

fn stdout_is_buffered(process: &Process) -> bool {
    matches!(stdout(process), Some(Target::Pipe { .. } | Target::File { .. } | Target::Socket { .. }))
}

/// Did it write to its standard output between the looks?
fn wrote(study: &Study<'_>, process: &Process) -> bool {
    let looks = &study.case.looks;
    let Some(first) = looks.iter().find_map(|look| look.process(process.pid)) else { return false };
    match (stdout(first), stdout(process)) {
        (Some(Target::File { position: before, .. }), Some(Target::File { position: after, .. })) => after > before,
        // The relay counts every byte that leaves the program.
        _ if study.case.relay.is_some() => study.case.output_s.is_some_and(|(_, last)| last >= looks[0].at_s),
        _ => matches!((first.written_chars, process.written_chars), (Some(before), Some(after)) if after > before),
    }
}

#[cfg(test)]
mod tests {
    use super::round_counter;

    #[test]
    fn only_what_counts_from_nought_is_a_round() {
        assert_eq!(round_counter("for i in range(400):"), Some("i"));
        assert_eq!(round_counter("for step in range(len(steps)):"), Some("step"));
        assert_eq!(round_counter("for n, (size, name) in enumerate(rows):"), Some("n"));
        for head in [
            "for size in [512, 1024]:",
            "for seed in seeds:",
            "for i in range(100, 200):",
            "for n, row in enumerate(rows, 100):",
            "for n, row in enumerate(rows, start=7):",
            "for pair in enumerate(rows):",
            "while True:",
        ] {
            assert_eq!(round_counter(head), None, "{head}");
        }
    }
}
