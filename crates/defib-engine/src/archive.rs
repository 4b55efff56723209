//! Finished runs, read back: journal, kept output, report.

use std::path::Path;

use defib_core::account;
use defib_core::event::{Entry, Event, Stream};
use defib_core::log::Log;
use defib_core::report::Report;
use defib_core::run::RunId;
use defib_process::KeptLog;
use defib_store::State;

/// Bytes read for the judgement from the beginning and from the end of a stream.
const HEAD: usize = 64 << 10;
/// See [`HEAD`].
const TAIL: usize = 1 << 20;

/// The kept output of a run, as far as the judgement needs it.
#[must_use]
pub fn output(folder: &Path) -> Log {
    let mut texts = Vec::new();
    for stream in [Stream::Stdout, Stream::Terminal, Stream::Stderr] {
        let Ok(mut log) = KeptLog::open(folder, stream) else { continue };
        let mut bytes = Vec::new();
        let total = log.extent().map_or(0, |extent| extent.total);
        if total > (HEAD + TAIL) as u64 {
            bytes = log.read_head(HEAD).unwrap_or_default();
            bytes.push(b'\n');
        }
        bytes.extend(log.read_tail(TAIL + HEAD).unwrap_or_default());
        texts.push((stream, bytes));
    }
    Log::read(texts.iter().map(|(stream, bytes)| (Some(*stream), bytes.as_slice())))
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

/// The run is held by a live shim.
#[must_use]
pub fn is_running(folder: &Path) -> bool {
    defib_process::sweep::is_held(folder).unwrap_or(false)
}
