//! Python tracebacks in a program's output, chains included.

use std::sync::LazyLock;

use regex::Regex;

use crate::pattern::pattern;

use super::Line;

/// A frame of a traceback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceFrame {
    /// File.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Function.
    pub function: String,
    /// Source text printed below the frame.
    pub source: Option<String>,
}

/// One exception of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// Type as printed, with its module where printed: `subprocess.TimeoutExpired`.
    pub kind: String,
    /// Message, further lines joined with line ends.
    pub message: String,
    /// Frames, outermost first as Python prints them.
    pub frames: Vec<TraceFrame>,
    /// Index of the exception's own line in the log.
    pub line: usize,
}

impl Exception {
    /// Type without its module.
    #[must_use]
    pub fn name(&self) -> &str {
        self.kind.rsplit('.').next().unwrap_or(&self.kind)
    }

    /// Type and message on one line.
    #[must_use]
    pub fn headline(&self) -> String {
        let first = self.message.lines().next().unwrap_or_default();
        if first.is_empty() { self.kind.clone() } else { format!("{}: {first}", self.kind) }
    }
}

/// A traceback as printed: a chain of exceptions, the first raised first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traceback {
    /// The chain; never empty.
    pub chain: Vec<Exception>,
    /// Index of the first line in the log.
    pub first_line: usize,
    /// Index after the last line in the log.
    pub end_line: usize,
    /// Printed for a thread (`Exception in thread …`), not for the program.
    pub thread: Option<String>,
    /// Printed by Python while it ignored the exception.
    pub ignored: bool,
}

impl Traceback {
    /// The exception that was raised first.
    #[must_use]
    pub fn root(&self) -> &Exception {
        // What a time limit cancels is no beginning: the limit is.
        let limit = |exception: &&Exception| exception.name() != "CancelledError";
        self.chain.iter().find(limit).unwrap_or(&self.chain[0])
    }

    /// The exception that ended the program.
    #[must_use]
    pub fn last(&self) -> &Exception {
        &self.chain[self.chain.len() - 1]
    }
}

pub(super) const HEADER: &str = "Traceback (most recent call last):";
const CHAINED: [&str; 2] = [
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:",
];

static FRAME: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"^\s*File "(?P<file>[^"]+)", line (?P<line>\d+)(?:, in (?P<function>.+))?$"#));
static KIND: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^(?P<kind>[A-Za-z_][\w]*(?:\.[A-Za-z_<][\w<>]*)*)(?:: (?P<message>.*)|:?)$"));
static THREAD: LazyLock<Regex> = LazyLock::new(|| pattern(r"^Exception in thread (?P<name>.+):$"));
// torchrun, docker compose, multiprocessing loggers and tmux panes put their own
// text before every line of a child: `[rank0]: `, `web-1  | `.
static PREFIX: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^(?:\[rank\d+\]:\s?|\[\d+\]:\s?|[\w.-]+\s+\| |\([\w .=-]+\) )"));

/// The tracebacks in these lines, in order.
#[must_use]
pub fn tracebacks(lines: &[Line]) -> Vec<Traceback> {
    let mut found = Vec::new();
    let mut index = 0;
    while index < lines.len() {
        let prefix = header_prefix(&lines[index].text);
        let Some(prefix) = prefix else {
            index += 1;
            continue;
        };
        let reader = Reader { lines, start: index, prefix };
        let traceback = reader.read_chain(index);
        index = traceback.as_ref().map_or(index + 1, |traceback| traceback.end_line.max(index + 1));
        found.extend(traceback);
    }
    found
}

/// What stands before the header of a traceback, if the line is one.
fn header_prefix(line: &str) -> Option<String> {
    let at = line.find(HEADER)?;
    Some(line[..at].to_owned())
}

/// The line without what a launcher puts before the lines of its children.
pub(super) fn without_prefix(line: &str) -> &str {
    PREFIX.find(line).map_or(line, |found| &line[found.end()..])
}

struct Reader<'a> {
    lines: &'a [Line],
    /// Index of the first header.
    start: usize,
    prefix: String,
}

impl Reader<'_> {
    /// The line without the prefix of the block.
    fn text(&self, index: usize) -> Option<&str> {
        let line = self.lines.get(index)?;
        // Lines between two kept ones may be missing; nothing goes on across a hole.
        let first = &self.lines[self.start];
        if line.stream != first.stream || line.number + self.start != first.number + index {
            return None;
        }
        let text = line.text.as_str();
        if self.prefix.is_empty() {
            return Some(text);
        }
        match text.strip_prefix(&self.prefix) {
            Some(rest) => Some(rest),
            None => Some(without_prefix(text)),
        }
    }

    fn read_chain(&self, start: usize) -> Option<Traceback> {
        let before = start.checked_sub(1).and_then(|before| self.text(before)).unwrap_or_default();
        let thread = THREAD.captures(before.trim()).map(|found| found["name"].to_owned());
        let ignored = before.starts_with("Exception ignored in");
        let mut chain = Vec::new();
        let mut index = start;
        let mut end = start;
        loop {
            let (exception, after) = self.read_exception(index + 1)?;
            chain.push(exception);
            end = end.max(after);
            match self.next_of_chain(after) {
                Some(next) => index = next,
                None => break,
            }
        }
        Some(Traceback { chain, first_line: start, end_line: end, thread, ignored })
    }

    /// Index of the header of the next exception of the chain.
    fn next_of_chain(&self, after: usize) -> Option<usize> {
        let mut index = after;
        // A pool quotes the traceback of its worker between lines of quotation marks.
        while index < after + 4 && matches!(self.text(index)?.trim(), "" | "\"\"\"") {
            index += 1;
        }
        let sentence = self.text(index)?.trim();
        if !CHAINED.contains(&sentence) {
            return None;
        }
        (index + 1..index + 4).find(|&next| self.text(next).is_some_and(|text| text.trim() == HEADER))
    }

    /// Frames and the exception's line, from the line after the header.
    fn read_exception(&self, start: usize) -> Option<(Exception, usize)> {
        let mut frames: Vec<TraceFrame> = Vec::new();
        let mut index = start;
        loop {
            let text = self.text(index)?;
            if let Some(found) = FRAME.captures(text) {
                frames.push(TraceFrame {
                    file: found["file"].to_owned(),
                    line: found["line"].parse().unwrap_or(0),
                    function: found.name("function").map_or("<module>", |name| name.as_str()).trim().to_owned(),
                    source: None,
                });
            } else if text.starts_with("    ") || text.starts_with("  [Previous line repeated") {
                self.attach_source(&mut frames, text);
            } else if let Some(found) = KIND.captures(text.trim_end()) {
                let message = found.name("message").map_or("", |message| message.as_str());
                let (message, end) = self.further_lines(message.to_owned(), index + 1);
                let kind = found["kind"].to_owned();
                return Some((Exception { kind, message, frames, line: index }, end));
            } else {
                return None;
            }
            index += 1;
        }
    }

    fn attach_source(&self, frames: &mut [TraceFrame], text: &str) {
        let marks = text.trim().chars().all(|mark| "^~ ".contains(mark));
        if let (Some(frame), false) = (frames.last_mut(), marks) {
            frame.source.get_or_insert_with(|| text.trim().to_owned());
        }
    }

    /// Further lines of a message. Python prints them without indent, so only
    /// what cannot be anything else is taken: indented lines right below.
    fn further_lines(&self, mut message: String, mut index: usize) -> (String, usize) {
        let start = index;
        while let Some(text) = self.text(index) {
            if !(text.starts_with(' ') || text.starts_with('\t')) || index - start >= 20 {
                break;
            }
            message.push('\n');
            message.push_str(text);
            index += 1;
        }
        (message, index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Log;
    use proptest::prelude::*;

    fn read(text: &str) -> Vec<Traceback> {
        Log::read([(None, text.as_bytes())]).tracebacks
    }

    const CHAIN: &str = r#"start
Traceback (most recent call last):
  File "/home/u/app/track.py", line 7, in load
    import phalp
ModuleNotFoundError: No module named 'phalp'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/home/u/app/track.py", line 12, in <module>
    main()
    ~~~~^^
  File "/home/u/app/track.py", line 9, in main
    raise RuntimeError("setup failed") from None
RuntimeError: setup failed
  see README
done
"#;

    #[test]
    fn a_chain_is_one_traceback_with_its_root_first() {
        let found = read(CHAIN);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].root().headline(), "ModuleNotFoundError: No module named 'phalp'");
        assert_eq!(found[0].root().frames[0].source.as_deref(), Some("import phalp"));
        assert_eq!(found[0].last().message, "setup failed\n  see README");
        assert_eq!(found[0].last().frames[0].source.as_deref(), Some("main()"));
        assert_eq!(found[0].last().frames.len(), 2);
    }

    #[test]
    fn prefixes_of_launchers_are_removed() {
        let text = "[rank0]: Traceback (most recent call last):\n[rank0]:   File \"t.py\", line 3, in <module>\n[rank0]:     x()\n[rank0]: torch.cuda.OutOfMemoryError: CUDA out of memory.\n";
        let found = read(text);
        assert_eq!(found[0].root().kind, "torch.cuda.OutOfMemoryError");
        assert_eq!(found[0].root().name(), "OutOfMemoryError");
    }

    #[test]
    fn threads_are_told_apart() {
        let text = "Exception in thread Thread-1 (work):\nTraceback (most recent call last):\n  File \"a.py\", line 1, in work\nValueError\n";
        assert_eq!(read(text)[0].thread.as_deref(), Some("Thread-1 (work)"));
    }

    proptest! {
        #[test]
        fn broken_tracebacks_never_panic(cut in 0usize..700, noise in "[ -~\\n]{0,60}") {
            let mut text: String = CHAIN.chars().take(cut).collect();
            text.push_str(&noise);
            text.push_str(CHAIN);
            prop_assert!(read(&text).iter().all(|traceback| !traceback.chain.is_empty()));
        }
    }
}
