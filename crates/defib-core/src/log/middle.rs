//! The middle of a large log: blocks pass through, and the lines that a
//! judgement looks for stay, with their numbers and a few lines around them.
//!
//! A group begins with a line that matches. Tracebacks and dumps of faulthandler
//! are kept whole. Of each signature the first and the last groups are kept, so
//! that a flood of one text never pushes out another.

use std::collections::VecDeque;

use crate::event::Stream;

use super::Line;
use super::clean::{LONGEST_LINE, clean_text, has_controls, strip_controls, visible};
use super::faulthandler::HEADLINE;
use super::reader::count_lines;
use super::signatures::{Hit, Signatures, signatures};
use super::traceback::{HEADER, without_prefix};

/// Lines kept before a line that matches.
const BEFORE: usize = 2;
/// Lines kept after it.
const AFTER: usize = 4;
/// Lines kept after the frames of a traceback: its exception and further lines of the message.
const AFTER_FRAMES: usize = 12;
/// Longest group of lines that match one after another.
const LONGEST_GROUP: usize = 60;
/// Longest traceback or dump.
const LONGEST_TRACE: usize = 4000;
/// Groups kept of each signature: so many first ones, and so many last ones.
const GROUPS: usize = 40;
/// Most lines kept of the middle.
const MOST_LINES: usize = 20_000;
/// Most bytes kept of the middle.
const MOST_BYTES: usize = 6 << 20;

/// Passes blocks of one stream.
pub(super) struct Middle {
    stream: Option<Stream>,
    signatures: Option<&'static Signatures>,
    /// Lines passed, and those before the first block.
    number: usize,
    /// The last lines of the block before that are in no group.
    above: Vec<Line>,
    /// Number of the last line that is in a group, or was.
    kept_to: usize,
    open: Option<Group>,
    shelves: Vec<Shelf>,
    lines: usize,
    bytes: usize,
    matched: u64,
    hits: Vec<Hit>,
    scratch: Vec<u8>,
}

/// Neighbouring lines.
struct Group {
    lines: Vec<Line>,
    bytes: usize,
    matches: u64,
    /// Signatures that matched in it.
    owners: Vec<u16>,
    frames: Frames,
    /// Lines still wanted.
    left: usize,
}

/// What a group is inside of.
enum Frames {
    None,
    /// A traceback, with what stands before each of its lines.
    Traceback(String),
    Dump,
}

/// The groups of one signature.
#[derive(Default)]
struct Shelf {
    first: Vec<Group>,
    last: VecDeque<Group>,
}

/// Where in a block reading stands.
struct Cursor<'a> {
    block: &'a [u8],
    at: usize,
    /// Number of the last line that was read.
    number: usize,
}

impl<'a> Cursor<'a> {
    /// Goes to the beginning of the line that holds this offset.
    fn skip_to(&mut self, offset: usize) {
        if let Some(end) = memchr::memrchr(b'\n', &self.block[self.at..offset]) {
            self.number += memchr::memchr_iter(b'\n', &self.block[self.at..=self.at + end]).count();
            self.at += end + 1;
        }
    }

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.block.get(self.at..).filter(|rest| !rest.is_empty())?;
        let end = memchr::memchr(b'\n', rest);
        self.at += end.map_or(rest.len(), |end| end + 1);
        self.number += 1;
        Some(&rest[..end.unwrap_or(rest.len())])
    }
}

impl Group {
    fn new(lines: Vec<Line>) -> Self {
        let bytes = lines.iter().map(cost).sum();
        Self { lines, bytes, matches: 0, owners: Vec::new(), frames: Frames::None, left: AFTER }
    }

    /// Takes a line, and finds out how many more are wanted.
    fn take(&mut self, line: Line, owners: &[u16]) {
        let text = line.text.as_str();
        self.left = self.left.saturating_sub(usize::from(!self.frames.go_on(text)));
        if !owners.is_empty() {
            self.matches += 1;
            if let Some(at) = text.find(HEADER) {
                self.frames = Frames::Traceback(text[..at].to_owned());
                self.left = AFTER_FRAMES;
            } else if text.starts_with(HEADLINE) {
                self.frames = Frames::Dump;
                self.left = AFTER_FRAMES;
            } else if self.lines.len() < LONGEST_GROUP {
                self.left = self.left.max(AFTER);
            }
        }
        for owner in owners {
            if !self.owners.contains(owner) {
                self.owners.push(*owner);
            }
        }
        self.bytes += cost(&line);
        self.lines.push(line);
        if self.lines.len() >= LONGEST_TRACE || self.bytes >= MOST_BYTES / 12 {
            self.left = 0;
        }
    }
}

impl Frames {
    /// Is this line inside of it?
    fn go_on(&self, text: &str) -> bool {
        match self {
            Self::None => false,
            Self::Traceback(prefix) => {
                let inner = text.strip_prefix(prefix.as_str()).unwrap_or_else(|| without_prefix(text));
                inner.is_empty() || inner.starts_with([' ', '\t'])
            }
            Self::Dump => {
                const PARTS: [&str; 6] =
                    ["  ", "Thread ", "Current thread ", "Stack (", "Python runtime ", "Extension modules"];
                text.is_empty() || PARTS.iter().any(|part| text.starts_with(part))
            }
        }
    }
}

/// Memory that a kept line takes.
fn cost(line: &Line) -> usize {
    size_of::<Line>() + line.text.len()
}

impl Middle {
    /// A middle that follows these lines.
    pub(super) fn new(stream: Option<Stream>, head: &[Line]) -> Self {
        let signatures = signatures();
        let mut shelves = Vec::new();
        shelves.resize_with(signatures.map_or(0, Signatures::len), Shelf::default);
        Self {
            stream,
            signatures,
            number: head.last().map_or(0, |line| line.number),
            above: Vec::new(),
            kept_to: head.last().map_or(0, |line| line.number),
            open: unfinished_group(head),
            shelves,
            lines: 0,
            bytes: 0,
            matched: 0,
            hits: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// Passes whole lines.
    pub(super) fn pass(&mut self, block: &[u8]) {
        let Some(signatures) = self.signatures else {
            self.number += count_lines(block);
            return;
        };
        if !has_controls(block) {
            self.pass_plain(signatures, block);
            return;
        }
        // A colour inside a text would hide it from the search.
        let mut plain = std::mem::take(&mut self.scratch);
        plain.clear();
        for piece in block.split_inclusive(|&byte| byte == b'\n') {
            let shown = visible(piece.strip_suffix(b"\n").unwrap_or(piece));
            strip_controls(&shown[..shown.len().min(LONGEST_LINE)], &mut plain);
            plain.push(b'\n');
        }
        self.pass_plain(signatures, &plain);
        self.scratch = plain;
    }

    /// Passes whole lines without escape sequences.
    fn pass_plain(&mut self, signatures: &Signatures, block: &[u8]) {
        let mut hits = std::mem::take(&mut self.hits);
        hits.clear();
        signatures.seek(block, &mut hits);
        let mut rest = hits.as_slice();
        let mut cursor = Cursor { block, at: 0, number: self.number };
        loop {
            if self.open.is_none() {
                let Some(hit) = rest.first() else { break };
                cursor.skip_to(hit.at);
            }
            let from = cursor.at;
            let Some(raw) = cursor.next() else { break };
            let mine = rest.partition_point(|hit| hit.at < cursor.at);
            let text = clean_text(raw);
            let owners = if mine > 0 { signatures.matching(&rest[..mine], &text) } else { Vec::new() };
            rest = &rest[mine..];
            if owners.is_empty() && self.open.is_none() {
                continue;
            }
            if self.open.is_none() {
                self.open = Some(Group::new(self.lines_above(&block[..from], cursor.number)));
            }
            self.matched += u64::from(!owners.is_empty());
            self.take(self.line(cursor.number, text.into_owned()), &owners);
        }
        self.number += count_lines(block);
        let above = self.lines_above(block, self.number + 1);
        self.above = above;
        self.hits = hits;
    }

    fn line(&self, number: usize, text: String) -> Line {
        Line { stream: self.stream, number, text, unfinished: false }
    }

    /// The lines just above the one of this number that no group has; `block` ends there.
    fn lines_above(&mut self, mut block: &[u8], mut number: usize) -> Vec<Line> {
        let mut found = VecDeque::new();
        while found.len() < BEFORE && !block.is_empty() && number > self.kept_to + 1 {
            number -= 1;
            let inner = block.strip_suffix(b"\n").unwrap_or(block);
            let start = memchr::memrchr(b'\n', inner).map_or(0, |end| end + 1);
            found.push_front(self.line(number, clean_text(&inner[start..]).into_owned()));
            block = &block[..start];
        }
        // At the beginning of a block, the last lines of the block before.
        while found.len() < BEFORE && number > self.kept_to + 1 {
            let Some(line) = self.above.pop().filter(|line| line.number + 1 == number) else { break };
            number -= 1;
            found.push_front(line);
        }
        found.into()
    }

    fn take(&mut self, line: Line, owners: &[u16]) {
        let Some(group) = &mut self.open else { return };
        self.kept_to = line.number;
        group.take(line, owners);
        if group.left == 0 {
            self.close();
        }
    }

    /// Puts the open group on the shelf of the rarest signature in it.
    fn close(&mut self) {
        let Some(group) = self.open.take().filter(|group| !group.lines.is_empty()) else { return };
        let count = |owner: &usize| self.shelves[*owner].first.len() + self.shelves[*owner].last.len();
        let rarest = group.owners.iter().map(|&owner| usize::from(owner)).min_by_key(count);
        let Some(owner) = rarest.or(self.shelves.len().checked_sub(1)) else { return };
        self.lines += group.lines.len();
        self.bytes += group.bytes;
        let shelf = &mut self.shelves[owner];
        if shelf.first.len() < GROUPS {
            shelf.first.push(group);
        } else {
            shelf.last.push_back(group);
        }
        if shelf.last.len() > GROUPS {
            self.drop_from(owner);
        }
        while self.lines > MOST_LINES || self.bytes > MOST_BYTES {
            let fullest = (0..self.shelves.len()).max_by_key(|&owner| self.shelves[owner].lines());
            let Some(fullest) = fullest.filter(|&owner| self.shelves[owner].lines() > 0) else { return };
            self.drop_from(fullest);
        }
    }

    /// Drops the group of a shelf that is farthest from both ends.
    fn drop_from(&mut self, owner: usize) {
        let shelf = &mut self.shelves[owner];
        if let Some(group) = shelf.last.pop_front().or_else(|| shelf.first.pop()) {
            self.lines -= group.lines.len();
            self.bytes -= group.bytes;
        }
    }

    /// Appends the kept lines, and returns how many that match are not among them.
    pub(super) fn finish(mut self, lines: &mut Vec<Line>) -> u64 {
        self.close();
        let mut groups: Vec<Group> = Vec::new();
        for shelf in self.shelves {
            groups.extend(shelf.first);
            groups.extend(shelf.last);
        }
        groups.sort_by_key(|group| group.lines.first().map_or(0, |line| line.number));
        let kept: u64 = groups.iter().map(|group| group.matches).sum();
        lines.extend(groups.into_iter().flat_map(|group| group.lines));
        self.matched - kept
    }
}

impl Shelf {
    fn lines(&self) -> usize {
        self.first.iter().chain(&self.last).map(|group| group.lines.len()).sum()
    }
}

/// A group that goes on after these lines: they end within a traceback or dump.
fn unfinished_group(head: &[Line]) -> Option<Group> {
    let last = &head[head.len().saturating_sub(LONGEST_GROUP)..];
    let begin = last.iter().rposition(|line| line.text.contains(HEADER) || line.text.starts_with(HEADLINE))?;
    let mut group = Group::new(Vec::new());
    for line in &last[begin..] {
        group.take(line.clone(), if group.lines.is_empty() { &[0] } else { &[] });
    }
    let left = group.left;
    (left > 0).then_some(Group { left, frames: group.frames, ..Group::new(Vec::new()) })
}
