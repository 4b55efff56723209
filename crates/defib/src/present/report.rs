//! The report on a terminal: one sentence, the proof, the line, the way out.

use std::fmt::Write as _;

use defib_core::diagnose::PASSED_OVER;
use defib_core::facts::Denied;
use defib_core::remains::Remains;
use defib_core::report::{Evidence, NextStep, OutcomeKind, Place, RankedCause, Report};
use defib_core::telling::{base_name, seconds, short_command, signal_name};

use super::sources::Sources;
use super::style::{BAD, DIM, GOOD, NOTE, STRONG, WARN};

/// Further causes shown after the first.
const OTHERS: usize = 3;
/// Probability from which on a further cause gets a line.
const WORTH_A_LINE: f64 = 0.08;

/// A run that ended well and left nothing is not worth a word.
pub(crate) fn worth_showing(report: &Report) -> bool {
    !report.outcome.healthy
        || !report.leftovers.is_empty()
        || report.actions.iter().any(|action| action.did.contains("not kept"))
}

/// The report as text with colours.
pub(crate) fn report(report: &Report, sources: &Sources) -> String {
    written(report, sources, Of::Run)
}

/// The report of a probe: its own exit status is not the program's.
pub(crate) fn of_probe(name: &str, report: &Report, sources: &Sources) -> String {
    let mut report = report.clone();
    // The wrapper before the program is not what it is about.
    report.run.command = vec![name.to_owned()];
    // What `run` calls its limits has other names here.
    for text in report.evidence.iter_mut().map(|evidence| &mut evidence.says) {
        *text = text.replace("--first-output", "--start-within").replace("--timeout", "--deadline");
    }
    written(&report, sources, Of::Probe)
}

/// What a report is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Run,
    Probe,
}

fn written(report: &Report, sources: &Sources, of: Of) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "\n{}", headline(report, of));
    if own_ctrl_c(report) {
        footer(&mut text, report);
        return text;
    }
    let mut causes = report.causes.iter();
    if let Some(first) = causes.next() {
        cause(&mut text, report, first);
        place(&mut text, report, first, sources);
        steps(&mut text, &first.next_steps);
        // The JSON report names weaker ones too.
        let worth = |other: &&RankedCause| other.proved || other.probability >= WORTH_A_LINE;
        for other in causes.filter(worth).take(OTHERS) {
            let _ = writeln!(
                text,
                "\n  {STRONG}{} {}{STRONG:#}, {}: {}",
                if other.consequence { "then" } else { "also" },
                other.id,
                weight(other),
                wrapped(&other.explanation, 4)
            );
        }
    }
    noise(&mut text, report);
    footer(&mut text, report);
    text
}

/// A person who pressed Ctrl+C knows why it ended.
fn own_ctrl_c(report: &Report) -> bool {
    let first = report.causes.first();
    report.outcome.kind == OutcomeKind::Cancelled
        && first.is_some_and(|cause| cause.id == "interrupted" && cause.explanation.starts_with("Ctrl+C"))
}

/// Breaks a text into lines that fit the terminal, the further ones indented.
fn wrapped(text: &str, indent: usize) -> String {
    let Some(width) = super::width() else { return text.to_owned() };
    let further = " ".repeat(indent);
    let options = textwrap::Options::new(width.saturating_sub(1).max(30)).subsequent_indent(&further);
    // What stands before the text on its first line takes room too.
    textwrap::fill(
        &format!("{}{text}", "\u{1}".repeat(indent)),
        options.word_splitter(textwrap::WordSplitter::NoHyphenation),
    )
    .replace('\u{1}', "")
}

/// One sentence, with the outcome and time behind it.
fn headline(report: &Report, of: Of) -> String {
    let (mark, style) = match (report.outcome.healthy, report.outcome.kind) {
        (true, OutcomeKind::Running | OutcomeKind::Idle) => ("▶", NOTE),
        (true, _) => ("✔", GOOD),
        (false, OutcomeKind::Cancelled) => ("■", WARN),
        (false, _) => ("✖", BAD),
    };
    let name = short_command(&report.run.command);
    let sentence = match report.causes.first() {
        Some(cause) => cause.explanation.clone(),
        None if of == Of::Probe && report.outcome.healthy => format!("{name} starts and works"),
        None => plain_sentence(report, &name),
    };
    let sentence = wrapped(&sentence, 2);
    format!("{style}{mark} {sentence}{style:#}\n  {DIM}{}{DIM:#}", ending(report, &name, of))
}

fn plain_sentence(report: &Report, name: &str) -> String {
    match report.outcome.kind {
        OutcomeKind::Completed => format!("{name} ended well"),
        OutcomeKind::Running => format!("{name} runs, and nothing stands in its way"),
        OutcomeKind::Idle => format!("{name} is idle: it waits for somebody outside, as servers and daemons do"),
        kind => format!("{name}: {}", kind.name()),
    }
}

/// `track.py · stalled · exit 124 · 9.2 s`
fn ending(report: &Report, name: &str, of: Of) -> String {
    let mut parts = vec![name.to_owned(), report.outcome.kind.name().to_owned()];
    if matches!(report.outcome.kind, OutcomeKind::Stalled | OutcomeKind::TimedOut | OutcomeKind::OverMemory)
        && report.run.ended.is_some()
    {
        // The signal was defib's own; what a script sees is this.
        parts.extend((of == Of::Run).then(|| "exit 124".to_owned()));
    } else {
        parts.extend(report.outcome.exit_code.map(|code| format!("exit {code}")));
        parts.extend(report.outcome.signal.map(signal_name));
    }
    parts.extend(report.outcome.stage.clone());
    if report.run.wall_s > 0.0 && report.run.started.is_some() {
        parts.push(seconds(report.run.wall_s));
    }
    parts.retain(|part| !part.is_empty());
    parts.join(" · ")
}

fn weight(cause: &RankedCause) -> String {
    if cause.id == "unknown" {
        "nothing is settled".to_owned()
    } else if cause.proved {
        "proved".to_owned()
    } else {
        format!("{:.0} %", cause.probability * 100.0)
    }
}

fn cause(text: &mut String, report: &Report, cause: &RankedCause) {
    let _ = writeln!(text, "\n  {STRONG}{}{STRONG:#}, {}", cause.id, weight(cause));
    for id in &cause.evidence {
        if let Some(evidence) = report.evidence.iter().find(|evidence| &evidence.id == id && !evidence.noise) {
            let _ = writeln!(text, "  {}", fact(evidence));
        }
    }
}

fn fact(evidence: &Evidence) -> String {
    let mut lines = evidence.says.lines();
    let mut text = format!("{DIM}·{DIM:#} {}", wrapped(lines.next().unwrap_or_default(), 4));
    for line in lines.take(4) {
        let _ = write!(text, "\n    {line}");
    }
    text
}

/// The line that must change, and the ones the evidence names besides.
fn place(text: &mut String, report: &Report, cause: &RankedCause, sources: &Sources) {
    let Some(place) = &cause.place else { return };
    let function = place.function.as_ref().map(|function| format!("  {DIM}{function}{DIM:#}")).unwrap_or_default();
    let _ = writeln!(
        text,
        "\n    {STRONG}{}:{}{STRONG:#}{function}{}",
        shown(report, &place.file),
        place.line,
        stuck_elsewhere(report, cause, place)
    );
    let first = place.line.saturating_sub(2).max(1);
    let width = (place.line + 1).to_string().len();
    for number in first..=place.line + 1 {
        let Some(line) = sources.line(&place.file, number) else { continue };
        let line = line.trim_end();
        if line.trim().is_empty() && number != place.line {
            continue;
        }
        if number == place.line {
            let _ = writeln!(text, "  {BAD}›{BAD:#} {number:>width$} │ {STRONG}{line}{STRONG:#}");
        } else {
            let _ = writeln!(text, "    {DIM}{number:>width$} │ {line}{DIM:#}");
        }
    }
}

/// Other lines of the user's that the evidence points at: `stuck: track.py:58 main`.
fn stuck_elsewhere(report: &Report, cause: &RankedCause, place: &Place) -> String {
    let own = format!("{}:{}", base_name(&place.file), place.line);
    let evidence =
        report.evidence.iter().filter(|evidence| cause.evidence.contains(&evidence.id) && evidence.source == "stack");
    let other =
        evidence.filter_map(|evidence| evidence.says.strip_prefix("it writes at ")).find(|at| !at.starts_with(&own));
    other.map(|at| format!("      {DIM}stuck:{DIM:#} {at}")).unwrap_or_default()
}

/// A path as short as it can be from where the program ran.
fn shown<'a>(report: &Report, file: &'a str) -> &'a str {
    let cwd = Some(report.run.cwd.as_str()).filter(|cwd| cwd.len() > 1);
    let inside = cwd.and_then(|cwd| file.strip_prefix(cwd)).and_then(|rest| rest.strip_prefix('/'));
    inside.unwrap_or(file)
}

fn steps(text: &mut String, steps: &[NextStep]) {
    for (number, step) in steps.iter().enumerate() {
        let label = if number == 0 { "\n  next  " } else { "        " };
        match &step.command {
            Some(command) => {
                let _ = writeln!(text, "{label}{}:  {STRONG}{}{STRONG:#}", step.say, pasteable(command));
            }
            None => {
                let _ = writeln!(text, "{label}{}", wrapped(&step.say, 8));
            }
        }
    }
}

/// A command as a shell takes it; a single word is code and stays as it is.
pub(super) fn pasteable(command: &[String]) -> String {
    let quoted = |word: &String| {
        let plain = word.chars().all(|part| part.is_ascii_alphanumeric() || "-_./=:,+@%".contains(part));
        if plain && !word.is_empty() { word.clone() } else { format!("'{}'", word.replace('\'', "'\\''")) }
    };
    match command {
        [code] => code.clone(),
        words => words.iter().map(quoted).collect::<Vec<_>>().join(" "),
    }
}

fn noise(text: &mut String, report: &Report) {
    for evidence in report.evidence.iter().filter(|evidence| evidence.noise) {
        let _ = writeln!(text, "\n  {DIM}not the cause: {}{DIM:#}", wrapped(&evidence.says, 4));
    }
}

/// What was ended, what is left, where the files are.
fn footer(text: &mut String, report: &Report) {
    let did = |part: &'static str| report.actions.iter().filter(move |action| action.did.contains(part));
    let mut said = Vec::new();
    for action in
        did("leftover").chain(did("daemon")).chain(did("could not end")).chain(did("not kept")).chain(did("shim"))
    {
        let _ = writeln!(text, "\n  {}", action.did);
    }
    said.extend(
        report
            .actions
            .iter()
            .find(|action| action.did.starts_with("ended ") && action.did.contains(" in "))
            .map(|action| action.did.clone()),
    );
    for leftover in report.leftovers.iter().filter(|leftover| leftover.fate == "survives") {
        let _ = writeln!(
            text,
            "\n  {BAD}left:{BAD:#} pid {} {} (state {}, in {})",
            leftover.pid, leftover.command, leftover.state, leftover.wchan
        );
    }
    if let Some(words) = report.remains.as_ref().and_then(Remains::words) {
        let _ = writeln!(text, "\n  {}", wrapped(&words, 2));
    }
    // A log that was not judged as a whole: the reader must know before trusting "not known".
    if let Some(fact) = report.evidence.iter().find(|fact| fact.source == "log" && fact.says.starts_with(PASSED_OVER)) {
        let _ = writeln!(text, "\n  {DIM}{}{DIM:#}", wrapped(&fact.says, 2));
    }
    if report.run.started.is_some() {
        said.push("output kept".to_owned());
        said.push(format!("defib show {} [--html report.html]", report.run.id));
    }
    if !said.is_empty() {
        let _ = writeln!(text, "\n  {DIM}{}{DIM:#}", said.join(" · "));
    }
}

/// What could not be read, and the command that would show it.
pub(crate) fn hidden(hidden: &[Denied]) -> String {
    let mut text = String::new();
    for denied in hidden.iter().take(8) {
        let command = denied
            .command
            .as_ref()
            .map(|command| format!("; to see them: {STRONG}{}{STRONG:#}", pasteable(command)))
            .unwrap_or_default();
        let _ =
            writeln!(text, "  {WARN}hidden:{WARN:#} {} of pid {} ({}){command}", denied.what, denied.pid, denied.why);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use defib_core::account;
    use defib_core::event::Entry;
    use defib_core::log::Log;

    /// The report of the recorded silent-start run, its lines joined so that the
    /// width of the terminal it is tested in does not matter.
    #[test]
    fn the_silent_start_reads_like_this() {
        let journal = include_str!("../../tests/fixtures/silent_start/journal.jsonl");
        let entries: Vec<Entry> = journal.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let report = account::report(&entries, Log::default());
        let text = super::report(&report, &Sources::of(&entries));
        let plain = anstream::adapter::strip_str(&text).to_string();
        let words: Vec<&str> = plain.split_whitespace().collect();
        insta::assert_snapshot!(words.join(" "));
    }

    #[test]
    fn a_report_of_the_first_format_still_opens() {
        let text = include_str!("../../tests/fixtures/silent_start/report.json");
        let report: Report = serde_json::from_str(text).unwrap();
        assert_eq!(report.causes[0].id, "pipe-full");
        assert_eq!(report.schema, 1);
    }
}
