//! Reads a stream of any length in bounded memory.
//!
//! Bytes come in blocks that end at a line end. The first lines are the
//! beginning; the newest blocks are the end; a block that is no longer part of
//! the end passes through [`Middle`], which keeps what can matter. Lines are made
//! clean only when they are kept.

use std::collections::VecDeque;

use crate::event::Stream;

use super::Line;
use super::clean::{LONGEST_LINE, LeftOut, clean_text, visible};
use super::middle::Middle;

/// Lines kept from the beginning and the end together: a tenth from the beginning.
pub(super) const MOST_LINES: usize = 20_000;
const HEAD_LINES: usize = MOST_LINES / 10;
const TAIL_LINES: usize = MOST_LINES - HEAD_LINES;
/// Bytes kept likewise, where lines are long.
const HEAD_BYTES: usize = 1 << 20;
const TAIL_BYTES: usize = 8 << 20;
/// Bytes that are searched at once: they stay in the processor's cache.
const BLOCK: usize = 256 << 10;

/// Whole lines.
struct Block {
    bytes: Vec<u8>,
    lines: usize,
}

/// Reads one stream.
pub struct LogReader {
    stream: Option<Stream>,
    /// What came and is not yet a block: `filling[..filled]`.
    filling: Vec<u8>,
    filled: usize,
    head: Vec<Line>,
    head_bytes: usize,
    head_done: bool,
    tail: VecDeque<Block>,
    tail_lines: usize,
    tail_bytes: usize,
    spare: Vec<Vec<u8>>,
    middle: Option<Middle>,
    /// Lines that have left the filling block.
    number: usize,
    unread: u64,
}

impl std::fmt::Debug for LogReader {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("LogReader")
            .field("stream", &self.stream)
            .field("lines", &self.number)
            .finish_non_exhaustive()
    }
}

impl LogReader {
    /// A reader of this stream.
    #[must_use]
    pub fn new(stream: Option<Stream>) -> Self {
        Self {
            stream,
            filling: Vec::new(),
            filled: 0,
            head: Vec::new(),
            head_bytes: 0,
            head_done: false,
            tail: VecDeque::new(),
            tail_lines: 0,
            tail_bytes: 0,
            spare: Vec::new(),
            middle: None,
            number: 0,
            unread: 0,
        }
    }

    /// Takes bytes.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = bytes.len().min(BLOCK - self.filled);
            self.filling.truncate(self.filled);
            self.filling.extend_from_slice(&bytes[..room]);
            self.advance(room);
            bytes = &bytes[room..];
        }
    }

    /// Lets `read` put bytes where they are needed, and returns how many it put there.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn fill<E>(&mut self, read: impl FnOnce(&mut [u8]) -> Result<usize, E>) -> Result<usize, E> {
        self.filling.resize(BLOCK, 0);
        let count = read(&mut self.filling[self.filled..])?.min(BLOCK - self.filled);
        self.advance(count);
        Ok(count)
    }

    /// So many bytes of the stream are not there, or will not be read: what follows is
    /// no continuation of the line before.
    pub fn gap(&mut self, bytes: u64) {
        if self.filled > 0 {
            self.push(b"\n");
        }
        self.seal(self.filled);
        // An empty line parts what is not neighbours.
        self.head_done = true;
        self.number += 1;
        self.tail.push_back(Block { bytes: b"\n".to_vec(), lines: 1 });
        self.tail_lines += 1;
        self.tail_bytes += 1;
        self.unread += bytes;
    }

    fn advance(&mut self, count: usize) {
        self.filled += count;
        if self.filled == BLOCK {
            match memchr::memrchr(b'\n', &self.filling[..self.filled]) {
                Some(end) => self.seal(end + 1),
                None => self.shorten(),
            }
        }
    }

    /// Keeps of a line longer than a block what can still be shown of it.
    fn shorten(&mut self) {
        let line = &self.filling[..self.filled];
        let shown = visible(line);
        let overwritten = line.last() == Some(&b'\r');
        let mut short = shown[..shown.len().min(LONGEST_LINE)].to_vec();
        if overwritten {
            short.push(b'\r');
        }
        self.filling[..short.len()].copy_from_slice(&short);
        self.filled = short.len();
    }

    /// Takes the first bytes, which end at a line end, as a block.
    fn seal(&mut self, length: usize) {
        if length == 0 {
            return;
        }
        let mut next = self.spare.pop().unwrap_or_default();
        let rest = &self.filling[length..self.filled];
        if next.len() < rest.len() {
            next.resize(rest.len(), 0);
        }
        next[..rest.len()].copy_from_slice(rest);
        self.filled = rest.len();
        let mut bytes = std::mem::replace(&mut self.filling, next);
        bytes.truncate(length);
        let from = self.take_head(&bytes);
        if from > 0 {
            bytes.drain(..from);
        }
        if bytes.is_empty() {
            return;
        }
        let lines = count_lines(&bytes);
        self.number += lines;
        self.tail_lines += lines;
        self.tail_bytes += bytes.len();
        self.tail.push_back(Block { bytes, lines });
        self.forget();
    }

    /// Takes the first lines of a block as long as the beginning lasts; their length.
    fn take_head(&mut self, bytes: &[u8]) -> usize {
        let mut from = 0;
        while !self.head_done && from < bytes.len() {
            let rest = &bytes[from..];
            let end = memchr::memchr(b'\n', rest);
            let raw = &rest[..end.unwrap_or(rest.len())];
            self.number += 1;
            self.head.push(self.line(self.number, raw, end.is_none()));
            from += raw.len() + usize::from(end.is_some());
            self.head_bytes += raw.len();
            self.head_done = self.head.len() >= HEAD_LINES || self.head_bytes >= HEAD_BYTES;
        }
        from
    }

    fn line(&self, number: usize, raw: &[u8], unfinished: bool) -> Line {
        Line { stream: self.stream, number, text: clean_text(raw).into_owned(), unfinished }
    }

    /// Lets blocks go that the end does not need.
    fn forget(&mut self) {
        while let Some(oldest) = self.tail.front() {
            let lines = self.tail_lines - oldest.lines;
            let bytes = self.tail_bytes - oldest.bytes.len();
            if lines < TAIL_LINES && bytes < TAIL_BYTES {
                return;
            }
            (self.tail_lines, self.tail_bytes) = (lines, bytes);
            if let Some(block) = self.tail.pop_front() {
                self.pass_over(&block.bytes);
                if self.spare.len() < 2 {
                    self.spare.push(block.bytes);
                }
            }
        }
    }

    fn pass_over(&mut self, bytes: &[u8]) {
        self.middle.get_or_insert_with(|| Middle::new(self.stream, &self.head)).pass(bytes);
    }

    /// Appends the kept lines, and says what was passed over.
    #[must_use]
    pub fn finish(mut self, lines: &mut Vec<Line>) -> LeftOut {
        self.seal(self.filled);
        while self.tail_lines > TAIL_LINES {
            let Some(mut block) = self.tail.pop_front() else { break };
            let surplus = (self.tail_lines - TAIL_LINES).min(block.lines);
            let length =
                memchr::memchr_iter(b'\n', &block.bytes).nth(surplus - 1).map_or(block.bytes.len(), |end| end + 1);
            self.pass_over(&block.bytes[..length]);
            self.tail_lines -= surplus;
            block.bytes.drain(..length);
            block.lines -= surplus;
            if block.lines > 0 {
                self.tail.push_front(block);
            }
        }
        let from = lines.len();
        lines.append(&mut self.head);
        let matches = self.middle.take().map_or(0, |middle| middle.finish(lines));
        let mut number = self.number - self.tail_lines;
        while let Some(block) = self.tail.pop_front() {
            for piece in block.bytes.split_inclusive(|&byte| byte == b'\n') {
                number += 1;
                let raw = piece.strip_suffix(b"\n").unwrap_or(piece);
                lines.push(self.line(number, raw, raw.len() == piece.len()));
            }
        }
        let kept = lines.len() - from;
        LeftOut {
            lines_read: self.number as u64,
            lines: (self.number - kept) as u64,
            matches,
            unread_bytes: self.unread,
        }
    }
}

/// Lines in whole lines, the last of which may have no end.
pub(super) fn count_lines(bytes: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', bytes).count() + usize::from(!bytes.is_empty() && bytes.last() != Some(&b'\n'))
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
