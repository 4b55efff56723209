//! The checklist of a probe: a line a stage, written as stages end.
//!
//! On a terminal the stage in progress stands in the last line and is written over;
//! elsewhere only ended stages are written.

use std::fmt::Write as _;

use defib_core::stage::{Stage, Verdict};
use defib_core::telling::{base_name, cut, size};

use super::report::pasteable;
use super::style::{BAD, DIM, GOOD, WARN};

/// Checks within a stage that are listed: the slowest, and all that went wrong.
const SLOWEST: usize = 4;
/// Columns before what a stage says.
const INDENT: usize = 39;
/// Columns where there is no terminal to measure.
const WIDTH: usize = 100;

/// The list, as far as it is written.
#[derive(Debug)]
pub(crate) struct Checklist {
    live: bool,
    width: usize,
    /// Stages that were passed over for the same reason, told together.
    skipped: Vec<String>,
    reason: String,
}

impl Checklist {
    /// For standard error as it is.
    pub(crate) fn new() -> Self {
        let live = rustix::termios::isatty(rustix::stdio::stderr());
        Self {
            live,
            width: super::width().filter(|_| live).unwrap_or(WIDTH),
            skipped: Vec::new(),
            reason: String::new(),
        }
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
        let mut text = if self.reason == stage.says { String::new() } else { self.finish() };
        if stage.verdict == Verdict::Skipped {
            self.reason.clone_from(&stage.says);
            self.skipped.push(stage.name.clone());
            return text;
        }
        self.clear(&mut text);
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

    /// What is left to say when the walk is over.
    pub(crate) fn finish(&mut self) -> String {
        let mut text = String::new();
        self.clear(&mut text);
        let (names, reason) = (std::mem::take(&mut self.skipped), std::mem::take(&mut self.reason));
        if !names.is_empty() {
            let line = self.folded(&format!("{}: {reason}", names.join(", ")), 4);
            let _ = writeln!(text, "  {DIM}– {line}{DIM:#}");
        }
        text
    }

    /// Takes the stage in progress away again.
    fn clear(&self, text: &mut String) {
        if self.live {
            text.push_str("\r\x1b[2K");
        }
    }

    fn line(&self, text: &mut String, stage: &Stage, indent: &str) {
        let (mark, style) = match stage.verdict {
            Verdict::Passed => ('✓', GOOD),
            Verdict::Failed => ('✖', BAD),
            Verdict::Skipped => ('–', DIM),
            Verdict::Warned => ('!', WARN),
        };
        let name = cut(&stage.name, 20 - indent.len());
        let took = took(stage.took_s);
        let memory = stage.memory_bytes.map(size).unwrap_or_default();
        let width = 18 - indent.len();
        let says = self.folded(&stage.says, INDENT);
        let line = format!("{indent}{style}{mark}{style:#} {name:<width$}{DIM}{took:>7} {memory:>9}{DIM:#}  {says}");
        let _ = writeln!(text, "{}", line.trim_end());
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
    fn folded(&self, says: &str, indent: usize) -> String {
        let room = self.width.saturating_sub(indent + 1).max(30);
        let options = textwrap::Options::new(room).word_splitter(textwrap::WordSplitter::NoHyphenation);
        let lines: Vec<_> =
            textwrap::wrap(says, options).into_iter().take(4).map(std::borrow::Cow::into_owned).collect();
        lines.join(&format!("\n{}", " ".repeat(indent)))
    }
}

/// A command in one line; code is told, not shown: the report has it whole.
fn short(words: &[String]) -> String {
    let mut shown = Vec::new();
    let mut words = words.iter();
    shown.extend(words.next().map(|program| base_name(program).to_owned()));
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

/// `12 ms`, `3.4 s`, `62 s`; nothing for what took no time.
fn took(seconds: f64) -> String {
    if seconds < 0.0005 {
        String::new()
    } else if seconds < 0.0995 {
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
        let mut list = Checklist { live: false, width: 80, skipped: Vec::new(), reason: String::new() };
        let part = |name: &str, verdict, took_s| Stage { took_s, ..Stage::new(name, verdict, "") };
        let stage = Stage {
            took_s: 3.21,
            memory_bytes: Some(210 << 20),
            parts: vec![part("torch", Verdict::Passed, 3.0), part("trimesh", Verdict::Failed, 0.05)],
            ..Stage::new(
                "imports",
                Verdict::Failed,
                "the module trimesh is not installed for python3, the interpreter that ran",
            )
        };
        let text = anstream::adapter::strip_str(&list.ended(&stage)).to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "  ✖ imports           3.2 s   210 MiB  the module trimesh is not installed for");
        assert_eq!(lines[1], format!("{}python3, the interpreter that ran", " ".repeat(INDENT)));
        assert_eq!(lines[2].trim_end(), "    ✓ torch           3.0 s");
        assert_eq!(lines[3].trim_end(), "    ✖ trimesh         50 ms");
        assert_eq!(list.begins("gpu", None), "");
        for name in ["gpu", "start"] {
            assert_eq!(list.ended(&Stage::new(name, Verdict::Skipped, "not reached")), "");
        }
        let text = anstream::adapter::strip_str(&list.finish()).to_string();
        assert_eq!(text, "  – gpu, start: not reached\n");
    }
}
