//! Bytes to lines: escape sequences removed, `\r` overwrites split, length bounded.

use crate::event::Stream;

use super::{Traceback, tracebacks};

/// Longest line kept, in bytes; what is cut is irrelevant to any signature.
const LONGEST_LINE: usize = 4096;

/// Most lines of one stream that are judged: a tenth from its beginning, the rest from its end.
const MOST_LINES: usize = 20_000;

/// One clean line of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Where it came from; `None` for a log file of unknown origin.
    pub stream: Option<Stream>,
    /// Number of the line within what was read, from 1.
    pub number: usize,
    /// Text without escape sequences and line end.
    pub text: String,
    /// No line end followed, as for a prompt.
    pub unfinished: bool,
}

/// Everything a program printed, as far as it was kept and read.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// Lines: standard output first, then standard error.
    pub lines: Vec<Line>,
    /// Python tracebacks found in them, in order of lines.
    pub tracebacks: Vec<Traceback>,
}

impl Log {
    /// Reads streams of bytes.
    #[must_use]
    pub fn read<'a>(streams: impl IntoIterator<Item = (Option<Stream>, &'a [u8])>) -> Self {
        let mut lines = Vec::new();
        for (stream, bytes) in streams {
            let from = lines.len();
            clean_lines(stream, bytes, &mut lines);
            // Half a million lines of a letter each say no more than their ends.
            let surplus = (lines.len() - from).saturating_sub(MOST_LINES);
            let first = (from + MOST_LINES / 10).min(lines.len());
            lines.drain(first..first + surplus);
        }
        let tracebacks = tracebacks(&lines);
        Self { lines, tracebacks }
    }

    /// The last `count` non-empty lines, oldest first, progress bars folded.
    #[must_use]
    pub fn last_lines(&self, count: usize) -> Vec<&Line> {
        let mut last: Vec<&Line> =
            self.lines.iter().rev().filter(|line| !line.text.trim().is_empty()).take(count).collect();
        last.reverse();
        last
    }

    /// Is there any text at all?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.iter().all(|line| line.text.trim().is_empty())
    }
}

/// Appends the clean lines of one stream, numbered from 1.
pub fn clean_lines(stream: Option<Stream>, bytes: &[u8], lines: &mut Vec<Line>) {
    let mut number = 0;
    let mut rest = bytes;
    while !rest.is_empty() {
        let end = rest.iter().position(|&byte| byte == b'\n');
        let (raw, after) = match end {
            Some(end) => (&rest[..end], &rest[end + 1..]),
            None => (rest, &rest[rest.len()..]),
        };
        number += 1;
        // A terminal shows the text after the last carriage return; a progress
        // bar that was redrawn a thousand times is one line.
        let trimmed = raw.strip_suffix(b"\r").unwrap_or(raw);
        let visible = trimmed.rsplit(|&byte| byte == b'\r').find(|part| !part.is_empty()).unwrap_or(trimmed);
        lines.push(Line { stream, number, text: strip_escapes(visible), unfinished: end.is_none() });
        rest = after;
    }
}

/// Removes ANSI escape sequences and control characters; invalid UTF-8 is replaced.
fn strip_escapes(bytes: &[u8]) -> String {
    let bytes = &bytes[..bytes.len().min(LONGEST_LINE)];
    let mut clean = Vec::with_capacity(bytes.len());
    let mut index = 0;
    while let Some(&byte) = bytes.get(index) {
        match byte {
            0x1b => index += escape_length(&bytes[index..]),
            b'\t' => {
                clean.push(b'\t');
                index += 1;
            }
            0x08 => {
                clean.pop();
                index += 1;
            }
            0..=0x1f | 0x7f => index += 1,
            _ => {
                clean.push(byte);
                index += 1;
            }
        }
    }
    String::from_utf8_lossy(&clean).into_owned()
}

/// Length of the escape sequence that starts `bytes` (ECMA-48: CSI, OSC and two-byte forms).
fn escape_length(bytes: &[u8]) -> usize {
    match bytes.get(1) {
        Some(b'[') => {
            let end = bytes[2..].iter().position(|byte| (0x40..=0x7e).contains(byte));
            end.map_or(bytes.len(), |end| end + 3)
        }
        Some(b']') => {
            let end = bytes[2..].iter().position(|&byte| byte == 0x07 || byte == 0x1b);
            end.map_or(bytes.len(), |end| end + 3 + usize::from(bytes[end + 2] == 0x1b))
        }
        Some(_) => 2,
        None => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        clean_lines(None, bytes, &mut lines);
        lines.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn colours_and_overwritten_progress_disappear() {
        assert_eq!(texts(b"\x1b[31mred\x1b[0m\n 10%|#\r 90%|######\r\ndone"), ["red", " 90%|######", "done"]);
        assert_eq!(texts(b"\x1b]0;title\x07shell\x1b]8;;http://x\x1b\\link"), ["shelllink"]);
    }

    #[test]
    fn a_prompt_without_line_end_is_marked() {
        let log = Log::read([(None, &b"ready\nContinue? [y/N] "[..])]);
        assert!(log.lines[1].unfinished && !log.lines[0].unfinished);
    }

    #[test]
    fn of_very_many_lines_the_ends_are_kept() {
        let text: String = (0..100_000).map(|number| format!("{number}\n")).collect();
        let log = Log::read([(None, text.as_bytes())]);
        assert_eq!(log.lines.len(), MOST_LINES);
        assert_eq!((log.lines[0].text.as_str(), log.lines[MOST_LINES - 1].text.as_str()), ("0", "99999"));
        assert_eq!(log.lines[MOST_LINES - 1].number, 100_000);
    }

    proptest! {
        #[test]
        fn any_bytes_give_bounded_text(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
            let log = Log::read([(None, &bytes[..])]);
            for line in &log.lines {
                prop_assert!(!line.text.contains('\x1b'));
                prop_assert!(line.text.len() <= LONGEST_LINE * 3);
            }
        }
    }
}
