//! Finished runs, read back: journal, kept output, report.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use defib_core::account;
use defib_core::event::{Entry, Event, Stream};
use defib_core::log::{Log, LogReader};
use defib_core::report::Report;
use defib_core::run::RunId;
use defib_process::{KeptLog, Piece};
use defib_store::{Index, Retention, RunRow, State, StateError};

use crate::session::{self, Finished, SessionError};

/// Most bytes of a stream that are read for the judgement.
const MOST_BYTES: u64 = 512 << 20;
/// Time that reading may take, all streams together: the report must not wait for it.
const WITHIN: Duration = Duration::from_millis(600);
/// The end of a stream is read in any case.
const TAIL: u64 = 1 << 20;

/// The kept output of a run, as far as the judgement needs it.
#[must_use]
pub fn output(folder: &Path) -> Log {
    output_from(folder, HashMap::new())
}

/// The same from these offsets on, bytes: the output of one piece of work.
#[must_use]
#[expect(clippy::implicit_hasher, reason = "one caller's offsets")]
pub fn output_from(folder: &Path, from: HashMap<Stream, u64>) -> Log {
    Log::of(readers_from(folder, &from))
}

/// The kept streams from these offsets on, read but not yet put together.
pub(crate) fn readers_from(folder: &Path, from: &HashMap<Stream, u64>) -> Vec<LogReader> {
    let until = Instant::now() + WITHIN;
    let streams = [Stream::Stdout, Stream::Terminal, Stream::Stderr];
    let readers = streams.into_iter().filter_map(|stream| {
        let mut kept = KeptLog::open(folder, stream).ok()?;
        let mut reader = LogReader::new(Some(stream));
        // What could be read counts, also where the rest cannot be.
        let from = from.get(&stream).copied().unwrap_or(0);
        let _ = read_kept(&mut kept, &mut reader, from, MOST_BYTES, until);
        Some(reader)
    });
    readers.collect()
}

/// Reads a stream up to what is there now: all of it, or after so many bytes or at
/// this time only its end.
fn read_kept(kept: &mut KeptLog, reader: &mut LogReader, from: u64, most: u64, until: Instant) -> io::Result<()> {
    let total = kept.extent()?.total;
    let tail = total.saturating_sub(TAIL);
    let mut offset = from;
    while offset < total {
        if offset < tail && (offset - from >= most || Instant::now() >= until) {
            reader.gap(tail - offset);
            offset = tail;
        }
        let mut piece = Piece { start: offset, length: 0 };
        let mut hole = 0;
        reader.fill(|space| {
            piece = kept.read_at(offset, space)?;
            hole = piece.start.saturating_sub(offset);
            // Behind a hole the bytes are asked for again, once the reader knows of it.
            Ok::<usize, io::Error>(if hole > 0 { 0 } else { piece.length })
        })?;
        if hole > 0 {
            reader.gap(hole);
        } else if piece.length == 0 {
            break;
        }
        offset = if hole > 0 { piece.start } else { piece.end() };
    }
    Ok(())
}

/// Outcome of a run that goes on without a supervisor, as it was asked to.
pub const UNWATCHED: &str = "unwatched";

/// All runs, newest first: rows of the index, completed from the folders: a run that goes on, or whose
/// supervisor was killed, has no row yet.
///
/// # Errors
/// Where the folder of runs cannot be read.
pub fn rows(state: &State) -> Result<Vec<RunRow>, StateError> {
    let index = Index::open(state.root()).ok();
    let mut rows = Vec::new();
    for run in state.ids()? {
        let known = index.as_ref().and_then(|index| index.get(run.as_str()).ok().flatten());
        let row = match known {
            Some(row) if row.ended_ms.is_some() => Some(row),
            _ => row(state, &run),
        };
        rows.extend(row);
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.started_ms));
    Ok(rows)
}

pub(crate) fn row(state: &State, run: &RunId) -> Option<RunRow> {
    let entries = journal(state, run).ok()?;
    let header = account::header(&entries);
    if header.id.is_empty() {
        return None;
    }
    let running = is_running(&state.folder(run));
    let report = if running { None } else { report(state, run).ok() };
    let started_ms = i64::try_from(header.started_ms).unwrap_or(0);
    #[expect(clippy::cast_possible_truncation, reason = "a run lasts less than 2^63 ms")]
    let ended_ms = (!running).then_some(started_ms + (header.wall_s * 1000.0) as i64);
    Some(RunRow {
        id: run.to_string(),
        command: serde_json::to_string(&header.command).ok()?,
        cwd: header.cwd,
        started_ms,
        ended_ms,
        outcome: match &report {
            Some(report) => report.outcome.kind.name(),
            None if is_unwatched(&entries) => UNWATCHED,
            None => "running",
        }
        .to_owned(),
        cause: report.as_ref().and_then(|report| Some(report.causes.first()?.id.clone())),
        healthy: report.is_none_or(|report| report.outcome.healthy),
    })
}

/// The row of a run that is over, for the index.
#[must_use]
pub fn row_of(finished: &Finished) -> RunRow {
    let header = account::header(&finished.entries);
    let report = &finished.report;
    let started_ms = i64::try_from(header.started_ms).unwrap_or(0);
    #[expect(clippy::cast_possible_truncation, reason = "a run lasts less than 2^63 ms")]
    let ended_ms = started_ms + (report.run.wall_s * 1000.0) as i64;
    RunRow {
        id: finished.run.to_string(),
        command: serde_json::to_string(&report.run.command).unwrap_or_default(),
        cwd: report.run.cwd.clone(),
        started_ms,
        ended_ms: Some(ended_ms),
        outcome: report.outcome.kind.name().to_owned(),
        cause: report.causes.first().map(|cause| cause.id.clone()),
        healthy: report.outcome.healthy,
    }
}

/// Removes the oldest run folders beyond what may be kept, and their rows.
pub fn keep_within(retention: &Retention, state: &State, index: &Index) {
    let swept = retention.sweep(state, SystemTime::now(), is_running);
    for run in swept.map(|swept| swept.runs).unwrap_or_default() {
        // The index is a cache: a row too many is found out when it is shown.
        let _ = index.remove(run.as_str());
    }
}

/// The journal of a run.
///
/// # Errors
/// Those of reading the file.
pub fn journal(state: &State, run: &RunId) -> std::io::Result<Vec<Entry>> {
    defib_process::read_journal(&state.folder(run))
}

/// The report of a run: the one written at its end, or one made now from the
/// journal, where the run goes on or its supervisor was killed.
///
/// # Errors
/// Those of reading the journal.
pub fn report(state: &State, run: &RunId) -> std::io::Result<Report> {
    if let Some(report) = state.report(run) {
        return Ok(report);
    }
    let entries = journal(state, run)?;
    let folder = state.folder(run);
    let mut report = account::report(&entries, output(&folder));
    let over = entries.iter().any(|entry| matches!(entry.event, Event::TreeEnded { .. } | Event::NotStarted { .. }));
    if over && !is_running(&folder) {
        let _ = state.write_report(run, &report);
    } else if !is_running(&folder) {
        report.outcome.kind = defib_core::report::OutcomeKind::Killed;
        report.outcome.healthy = false;
    }
    Ok(report)
}

/// A run that is over, as its session would have returned it: also one that ended
/// while nobody watched.
///
/// # Errors
/// Where its journal cannot be read.
pub fn finished(state: &State, run: &RunId) -> Result<Finished, SessionError> {
    let folder = state.folder(run);
    let unreadable = |source| SessionError::Journal { folder: folder.clone(), source };
    let entries = journal(state, run).map_err(unreadable)?;
    let report = report(state, run).map_err(unreadable)?;
    let status = session::status(&entries, &report);
    Ok(Finished { run: run.clone(), folder: folder.clone(), report, entries, status })
}

/// Nobody supervises the run at the moment, and it goes on.
#[must_use]
pub fn is_unwatched(entries: &[Entry]) -> bool {
    let last = entries.iter().rev().find(|it| matches!(it.event, Event::SupervisorLost | Event::Adopted { .. }));
    last.is_some_and(|entry| matches!(entry.event, Event::SupervisorLost))
}

/// The run is held by a live shim.
#[must_use]
pub fn is_running(folder: &Path) -> bool {
    defib_process::sweep::is_held(folder).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run whose output names the trouble far from both ends.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let filler = "INFO frame rendered and handed to the encoder\n".repeat(60_000);
        let text = format!("{filler}Out of memory: Killed process 4127 (python3)\n{filler}");
        std::fs::write(folder.path().join("stderr.log"), text).unwrap();
        folder
    }

    #[test]
    fn a_decisive_line_in_the_middle_of_long_output_is_found() {
        let folder = folder();
        let log = output(folder.path());
        let found = log.lines.iter().find(|line| line.text.starts_with("Out of memory")).unwrap();
        assert_eq!(found.number, 60_001);
        assert_eq!((log.left_out.unread_bytes, log.left_out.lines_read), (0, 120_001));
    }

    #[test]
    fn without_time_both_ends_are_read_and_the_rest_is_told() {
        let folder = folder();
        let mut kept = KeptLog::open(folder.path(), Stream::Stderr).unwrap();
        let mut reader = LogReader::new(None);
        read_kept(&mut kept, &mut reader, 0, 1 << 20, Instant::now() + Duration::from_secs(60)).unwrap();
        let log = Log::of([reader]);
        assert!(log.left_out.unread_bytes > 1 << 20);
        assert_eq!(log.lines[0].number, 1);
        assert!(log.lines[log.lines.len() - 1].text.ends_with("encoder"));
    }
}
