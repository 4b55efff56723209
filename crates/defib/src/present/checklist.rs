//! The checklist of a probe: a line a stage, written as stages end.
//!
//! On a terminal the stage in progress stands in the last line and is written over;
//! elsewhere only ended stages are written.

use std::fmt::Write as _;

use defib_core::stage::{Stage, Verdict};
use defib_core::telling::{cut, size};

use super::report::pasteable;
use super::style::{BAD, DIM, GOOD, WARN};

/// Checks within a stage that are listed: the slowest, and all that went wrong.
const SLOWEST: usize = 4;
/// Columns before what a stage says.
const INDENT: usize = 38;
/// Columns where there is no terminal to measure.
const WIDTH: usize = 100;

/// The list, as far as it is written.
#[derive(Debug)]
pub(crate) struct Checklist {
    live: bool,
    width: usize,
}

impl Checklist {
    /// For standard error as it is.
    pub(crate) fn new() -> Self {
        let live = rustix::termios::isatty(rustix::stdio::stderr());
        Self { live, width: super::width().filter(|_| live).unwrap_or(WIDTH) }
    }

    /// A stage begins, or a check within it.
    pub(crate) fn begins(&mut self, stage: &str, check: Option<&str>) -> String {
        if !self.live {
            return String::new();
        }
        let what = check.map(|check| format!(": {check}")).unwrap_or_default();
        let line = cut(&format!("  … {stage}{what}"), self.width.saturating_sub(1));
        format!("\r\x1b[2K{DIM}{line}{DIM:#}")
    }

    /// A stage has ended: its line, those of its checks, and what was run.
    pub(crate) fn ended(&mut self, stage: &Stage) -> String {
        let mut text = String::new();
        if self.live {
            text.push_str("\r\x1b[2K");
        }
        self.line(&mut text, stage, "  ");
        for part in listed(&stage.parts) {
            self.line(&mut text, part, "    ");
        }
        let rest = stage.parts.len() - listed(&stage.parts).count();
        if rest > 0 {
            let _ = writeln!(text, "      {DIM}{rest} more, each faster{DIM:#}");
        }
        self.ran(&mut text, stage);
        text
    }

    fn line(&self, text: &mut String, stage: &Stage, indent: &str) {
        let (mark, style) = match stage.verdict {
            Verdict::Passed => ('✓', GOOD),
            Verdict::Failed => ('✖', BAD),
            Verdict::Skipped => ('–', DIM),
            Verdict::Warned => ('!', WARN),
        };
        let name = cut(&stage.name, 20 - indent.len());
        let took = if stage.verdict == Verdict::Skipped { String::new() } else { took(stage.took_s) };
        let memory = stage.memory_bytes.map(size).unwrap_or_default();
        let width = 18 - indent.len();
        let _ = write!(text, "{indent}{style}{mark}{style:#} {name:<width$}{DIM}{took:>7} {memory:>9}{DIM:#}  ");
        let says = self.wrapped(&stage.says);
        let _ = match stage.verdict {
            Verdict::Skipped => writeln!(text, "{DIM}{says}{DIM:#}"),
            _ => writeln!(text, "{says}"),
        };
    }

    /// The command that was run for a stage: nothing is done behind a person's back.
    fn ran(&self, text: &mut String, stage: &Stage) {
        let command = match (&stage.ran, stage.parts.first()) {
            (_, Some(part)) => part.ran.as_deref().map(|words| format!("{}  (each alone)", short(words))),
            (Some(words), None) => Some(short(words)),
            (None, None) => None,
        };
        if let Some(command) = command {
            let _ = writeln!(text, "    {DIM}$ {}{DIM:#}", cut(&command, self.width.saturating_sub(7)));
        }
    }

    /// What does not fit goes on below, in the same column.
    fn wrapped(&self, says: &str) -> String {
        let room = self.width.saturating_sub(INDENT + 1).max(30);
        let lines = textwrap::wrap(says, textwrap::Options::new(room).word_splitter(textwrap::WordSplitter::NoHyphenation));
        let lines: Vec<String> = lines.into_iter().take(4).map(std::borrow::Cow::into_owned).collect();
        lines.join(&format!("\n{}", " ".repeat(INDENT)))
    }
}

/// A command in one line; code is told, not shown: the report has it whole.
fn short(words: &[String]) -> String {
    let mut shown = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        shown.push(word.clone());
        if word == "-c"
            && let Some(code) = words.next()
        {
            let first = code.lines().next().unwrap_or_default();
            let more = code.lines().count() > 1;
            shown.push(if more { format!("{}; …", cut(first, 40)) } else { code.clone() });
        }
    }
    pasteable(&shown)
}

/// The slowest checks, and those that did not pass.
fn listed(parts: &[Stage]) -> impl Iterator<Item = &Stage> {
    let worth = |(place, part): &(usize, &Stage)| *place < SLOWEST || part.verdict != Verdict::Passed;
    parts.iter().enumerate().filter(worth).map(|(_, part)| part)
}

/// `12 ms`, `3.4 s`, `62 s`.
fn took(seconds: f64) -> String {
    if seconds < 0.0995 {
        format!("{:.0} ms", seconds * 1000.0)
    } else if seconds < 9.95 {
        format!("{seconds:.1} s")
    } else {
        format!("{seconds:.0} s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stand_in_columns() {
        let mut list = Checklist { live: false, width: 80 };
        let part = |name: &str, verdict, took_s| Stage { took_s, ..Stage::new(name, verdict, "") };
        let stage = Stage {
            took_s: 3.21,
            memory_bytes: Some(210 << 20),
            parts: vec![part("torch", Verdict::Passed, 3.0), part("trimesh", Verdict::Failed, 0.05)],
            ..Stage::new("imports", Verdict::Failed, "the module trimesh is not installed for python3, the interpreter that ran")
        };
        let text = anstream::adapter::strip_str(&list.ended(&stage)).to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "  ✖ imports           3.2 s   210 MiB  the module trimesh is not installed for");
        assert_eq!(lines[1], format!("{}python3, the interpreter that ran", " ".repeat(INDENT)));
        assert_eq!(lines[2].trim_end(), "    ✓ torch           3.0 s");
        assert_eq!(lines[3].trim_end(), "    ✖ trimesh         50 ms");
        assert_eq!(list.begins("gpu", None), "");
    }
}
