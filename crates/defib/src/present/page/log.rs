//! The program's own words: the end of each stream, and the fatal traceback.

use std::ops::Range;

use defib_core::case::Study;
use defib_core::event::{Entry, Event, Stream};
use defib_core::log::{Line, Log};
use defib_core::report::Report;
use defib_core::telling::size;
use maud::{Markup, html};

use super::{count, tell_within};

/// Lines shown from the end of each stream.
const LAST: usize = 80;
/// Of these so many are open to see at once.
const OPEN: usize = 25;
/// Lines shown before a traceback.
const BEFORE: usize = 5;
/// Lines shown of a long traceback, from its beginning and its end.
const TRACE: (usize, usize) = (60, 100);
/// Longest line shown, in characters.
const LONGEST: usize = 500;
/// Beyond so many bytes not all of a stream is read, and lines cannot be numbered.
const ALL_READ: u64 = 1 << 20;

/// The section.
pub(super) fn section(report: &Report, entries: &[Entry], log: &Log, study: &Study<'_>) -> Markup {
    let fatal = study.root_traceback().filter(|_| !report.outcome.healthy);
    let fatal = fatal.map(|traceback| traceback.first_line..traceback.end_line.min(log.lines.len()));
    let mut streams: Vec<Option<Stream>> = log.lines.iter().map(|line| line.stream).collect();
    streams.dedup();
    streams.extend(told_streams(entries));
    // The stream with the traceback first.
    let first = fatal.as_ref().and_then(|fatal| log.lines.get(fatal.start)).map(|line| line.stream);
    streams.sort_by_key(|stream| first != Some(*stream));
    let mut seen = Vec::new();
    streams.retain(|stream| {
        !seen.contains(stream) && {
            seen.push(*stream);
            true
        }
    });
    html! {
        section #log aria-labelledby="log-title" {
            h2 #log-title { "What it printed" }
            @if log.is_empty() { p.quiet { "Not one line was kept: it printed nothing, or its output went elsewhere." } }
            @for stream in streams { (one(stream, entries, log, fatal.as_ref())) }
        }
    }
}

fn told_streams(entries: &[Entry]) -> Vec<Option<Stream>> {
    let ended = entries.iter().filter_map(|entry| match &entry.event {
        Event::StreamEnded { stream, .. } => Some(Some(*stream)),
        _ => None,
    });
    ended.collect()
}

/// What the journal says of a stream: bytes, bytes not kept, why, a lost reader.
#[derive(Default)]
struct Fate {
    bytes: u64,
    not_kept: u64,
    reason: Option<String>,
    reader_gone: bool,
}

fn fate(entries: &[Entry], of: Option<Stream>) -> Fate {
    let mut fate = Fate::default();
    for entry in entries {
        match &entry.event {
            Event::Output { stream, bytes } if Some(*stream) == of => fate.bytes = fate.bytes.max(*bytes),
            Event::StreamEnded { stream, bytes, not_kept, reason, reader_gone } if Some(*stream) == of => {
                fate.bytes = fate.bytes.max(*bytes);
                fate.not_kept += not_kept;
                fate.reason = reason.clone().or(fate.reason.take());
                fate.reader_gone |= reader_gone;
            }
            _ => {}
        }
    }
    fate
}

fn one(stream: Option<Stream>, entries: &[Entry], log: &Log, fatal: Option<&Range<usize>>) -> Markup {
    let indices: Vec<usize> = (0..log.lines.len()).filter(|index| log.lines[*index].stream == stream).collect();
    let fate = fate(entries, stream);
    let chosen = chosen(log, &indices, fatal);
    let numbered = fate.bytes <= ALL_READ;
    html! {
        h3 { (name(stream)) " " span.quiet { (size(fate.bytes)) @if numbered && !indices.is_empty() { ", " (count(indices.len(), "line", "lines")) } } }
        @if fate.not_kept > 0 {
            p.warn { "⚠ " (size(fate.not_kept)) " of it are not kept (" (tell_within(fate.reason.as_deref().unwrap_or("log budget"), 200)) "); all of it was passed on." }
        }
        @if fate.reader_gone { p.quiet { "The reader of this output went away before the end." } }
        @if !numbered { p.quiet { "Of so much only the beginning, the end and the lines that a cause looks for were read for this page." } }
        @if chosen.is_empty() { p.quiet { "nothing" } }
        @else {
            @let open = opened(&chosen, fatal);
            @let rows = |part: Range<usize>| html! {
                pre.log tabindex="0" {
                    @for place in part {
                        @let index = chosen[place];
                        @let skipped = skipped(&indices, place.checked_sub(1).map(|before| chosen[before]), index);
                        @if skipped > 0 { span.gap { "… " (count(skipped, "line", "lines")) " not shown here …\n" } }
                        (row(&log.lines[index], numbered, fatal.is_some_and(|fatal| fatal.contains(&index))))
                    }
                }
            };
            @if open > 0 { details { summary.quiet { (count(open, "earlier line", "earlier lines")) } (rows(0..open)) } }
            (rows(open..chosen.len()))
        }
    }
}

/// The last lines, and those of the traceback with a few before it.
fn chosen(log: &Log, indices: &[usize], fatal: Option<&Range<usize>>) -> Vec<usize> {
    let last = indices.len().saturating_sub(LAST);
    let mut chosen: Vec<usize> = indices[last..].to_vec();
    if let Some(fatal) = fatal {
        let wanted = fatal.start.saturating_sub(BEFORE)..fatal.end.min(log.lines.len());
        let length = wanted.len();
        let near = |index: usize| {
            let offset = index - wanted.start;
            offset < TRACE.0 || offset + TRACE.1 >= length
        };
        chosen.extend(indices.iter().copied().filter(|index| wanted.contains(index) && near(*index)));
    }
    chosen.sort_unstable();
    chosen.dedup();
    chosen
}

/// From which of the chosen lines on they are open to see: the end, and the
/// traceback where it is not far from it.
fn opened(chosen: &[usize], fatal: Option<&Range<usize>>) -> usize {
    let end = chosen.len().saturating_sub(OPEN);
    let trace = fatal.and_then(|fatal| chosen.iter().position(|index| fatal.contains(index)));
    let open = trace.map_or(end, |trace| end.min(trace.saturating_sub(BEFORE)));
    // Folding a handful saves nothing.
    if open < 8 { 0 } else { open }
}

/// Lines of the stream left out between two shown ones.
fn skipped(indices: &[usize], before: Option<usize>, now: usize) -> usize {
    let place = |index| indices.binary_search(&index).unwrap_or_default();
    let from = before.map_or(0, |before| place(before) + 1);
    place(now).saturating_sub(from)
}

fn row(line: &Line, numbered: bool, fatal: bool) -> Markup {
    html! {
        span.line.fatal[fatal] {
            @if numbered { span.number { (line.number) } }
            (tell_within(&line.text, LONGEST))
            @if line.unfinished { span.quiet { " ⏎ no line end" } }
            "\n"
        }
    }
}

fn name(stream: Option<Stream>) -> &'static str {
    match stream {
        Some(Stream::Stdout) => "Standard output",
        Some(Stream::Stderr) => "Error output",
        Some(Stream::Terminal) => "Terminal",
        None => "Log",
    }
}
