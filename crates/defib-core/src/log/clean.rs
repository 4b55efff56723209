//! Bytes to lines: escape sequences removed, `\r` overwrites split, length bounded.

use std::borrow::Cow;

use crate::event::Stream;

use super::reader::LogReader;
use super::{Traceback, tracebacks};

/// Longest line kept, in bytes; what is cut is irrelevant to any signature.
pub(super) const LONGEST_LINE: usize = 4096;

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

/// What of a program's output was passed over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Lines read.
    pub lines_read: u64,
    /// Lines read and not kept.
    pub lines: u64,
    /// Of these, lines with a text that a judgement looks for, beyond the first and last ones.
    pub matches: u64,
    /// Bytes that were not read at all.
    pub unread_bytes: u64,
}

/// What a program printed, as far as it was kept, read and can matter.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// Lines: standard output first, then standard error. Of a large stream the
    /// beginning, the end, and from between the lines that a judgement looks for.
    pub lines: Vec<Line>,
    /// Python tracebacks found in them, in order of lines.
    pub tracebacks: Vec<Traceback>,
    /// What was passed over.
    pub left_out: LeftOut,
}

impl Log {
    /// Reads streams of bytes.
    #[must_use]
    pub fn read<'a>(streams: impl IntoIterator<Item = (Option<Stream>, &'a [u8])>) -> Self {
        let readers = streams.into_iter().map(|(stream, bytes)| {
            let mut reader = LogReader::new(stream);
            reader.push(bytes);
            reader
        });
        Self::of(readers)
    }

    /// What these readers have read.
    #[must_use]
    pub fn of(readers: impl IntoIterator<Item = LogReader>) -> Self {
        let mut log = Self::default();
        for reader in readers {
            let left_out = reader.finish(&mut log.lines);
            log.left_out.lines_read += left_out.lines_read;
            log.left_out.lines += left_out.lines;
            log.left_out.matches += left_out.matches;
            log.left_out.unread_bytes += left_out.unread_bytes;
        }
        log.tracebacks = tracebacks(&log.lines);
        log
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

/// The part of a line that a terminal shows: the text after the last carriage
/// return. A progress bar that was redrawn a thousand times is one line.
pub(super) fn visible(raw: &[u8]) -> &[u8] {
    let mut end = raw.len();
    while let Some(at) = memchr::memrchr(b'\r', &raw[..end]) {
        if at + 1 < end {
            return &raw[at + 1..end];
        }
        end = at;
    }
    &raw[..end]
}

/// A raw line without its line end as clean text; invalid UTF-8 is replaced.
pub(super) fn clean_text(raw: &[u8]) -> Cow<'_, str> {
    let shown = visible(raw);
    let shown = &shown[..shown.len().min(LONGEST_LINE)];
    if !has_controls(shown) {
        return String::from_utf8_lossy(shown);
    }
    let mut clean = Vec::with_capacity(shown.len());
    strip_controls(shown, &mut clean);
    Cow::Owned(match String::from_utf8_lossy(&clean) {
        Cow::Owned(text) => text,
        Cow::Borrowed(text) => text.to_owned(),
    })
}

/// Is there a byte that a terminal does not show as it is (tabs and line ends apart)?
pub(super) fn has_controls(bytes: &[u8]) -> bool {
    // In pieces without an early end, so that the compiler makes wide comparisons of it.
    bytes.chunks(4096).any(|piece| {
        let strange = |byte: u8| (byte < 0x20 && byte != b'\t' && byte != b'\n' && byte != b'\r') || byte == 0x7f;
        piece.iter().fold(false, |found, &byte| found | strange(byte))
    })
}

/// Appends bytes without ANSI escape sequences and control characters.
pub(super) fn strip_controls(bytes: &[u8], clean: &mut Vec<u8>) {
    let from = clean.len();
    let mut index = 0;
    while index < bytes.len() {
        let rest = &bytes[index..];
        let plain = rest.iter().position(|&byte| (byte < 0x20 && byte != b'\t') || byte == 0x7f).unwrap_or(rest.len());
        clean.extend_from_slice(&rest[..plain]);
        index += plain;
        match bytes.get(index) {
            Some(0x1b) => index += escape_length(&bytes[index..]),
            Some(0x08) => {
                clean.truncate(clean.len().saturating_sub(1).max(from));
                index += 1;
            }
            _ => index += 1,
        }
    }
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
        Log::read([(None, bytes)]).lines.into_iter().map(|line| line.text).collect()
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
        assert_eq!(log.lines.len(), crate::log::reader::MOST_LINES);
        assert_eq!(
            (log.lines[0].text.as_str(), log.lines[crate::log::reader::MOST_LINES - 1].text.as_str()),
            ("0", "99999")
        );
        assert_eq!(log.lines[crate::log::reader::MOST_LINES - 1].number, 100_000);
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
