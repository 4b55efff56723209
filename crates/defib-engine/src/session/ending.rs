//! After the end: what the kernel knows, what is left, the report, the exit status.

use std::path::Path;
use std::time::{Duration, Instant};

use defib_core::account;
use defib_core::causes::ports_named;
use defib_core::event::{Ending, Entry, Event};
use defib_core::log::Log;
use defib_core::report::{OutcomeKind, Report};
use defib_core::run::RunId;
use defib_observe::{OomWatch, listeners};
use defib_process::Journal;
use defib_store::State;

use super::remains;
use super::signals::{SIGHUP, SIGINT, SIGTERM};
use super::supervisor::{Finished, Session, SessionError};
use crate::archive;

/// How long the shim may take to say that it is done, after it has closed its side.
const FAREWELL: Duration = Duration::from_secs(5);

impl Session<'_> {
    /// After the end: kernel facts, report, exit status.
    pub(super) fn close(mut self, run: &RunId, kernel: OomWatch, state: &State) -> Result<Finished, SessionError> {
        self.sampler = None;
        self.listening = None;
        if let Ok(None) | Err(_) = self.shim.wait(Some(Instant::now() + self.farewell())) {
            // With daemons allowed the shim stays behind; otherwise it hangs, and is ended.
            if !self.plan.allow_daemons {
                self.shim.sweep_after_loss();
            }
        } else if matches!(self.shim.wait(None), Ok(Some(waited)) if waited.signal.is_some()) {
            self.write(Event::Trouble {
                text: "the shim was killed; its processes were ended by the supervisor".to_owned(),
            });
            self.shim.sweep_after_loss();
        }
        self.raw = None;
        // What the last second brought.
        if let Some(progress) = self.progress.read(self.folder, self.output.values().sum()) {
            self.write(progress);
        }
        let read = |folder: &Path| {
            defib_process::read_journal(folder)
                .map_err(|source| SessionError::Journal { folder: folder.to_owned(), source })
        };
        let mut entries = read(self.folder)?;
        if nobody_left(&entries) && !self.plan.allow_daemons {
            state.finished(run);
        }
        self.pids.push(self.root);
        remains::note(&self.plan.exe, self.folder, &self.pids, self.shim.journal(), &mut entries);
        let mut log = Log::default();
        if !ended_well(&entries) {
            log = archive::output_from(self.folder, self.on_duty.output_from());
            kernel_facts(kernel, &self.pids, &log, self.shim.journal());
            entries = read(self.folder)?;
        }
        let report = account::report(&entries, log);
        if let Err(error) = state.write_report(run, &report) {
            self.audience.notice(&format!("the report could not be kept in {}: {error}", self.folder.display()));
        }
        let status = status(&entries, &report);
        Ok(Finished { run: run.clone(), folder: self.folder.to_owned(), report, entries, status })
    }

    fn farewell(&self) -> Duration {
        if self.plan.allow_daemons { Duration::from_millis(200) } else { FAREWELL }
    }
}

fn ended_well(entries: &[Entry]) -> bool {
    entries.iter().any(|entry| matches!(entry.event, Event::Exited { code: Some(0), .. }))
        && !entries.iter().any(|entry| matches!(entry.event, Event::Ending(_) | Event::Signal { .. }))
}

/// The end of the tree was told, and nobody survived it.
fn nobody_left(entries: &[Entry]) -> bool {
    let told = entries.iter().rev().find_map(|entry| match &entry.event {
        Event::TreeEnded { survivors, .. } => Some(*survivors == 0),
        Event::NotStarted { .. } => Some(true),
        _ => None,
    });
    told.unwrap_or(false)
}

fn kernel_facts(kernel: OomWatch, pids: &[i32], log: &Log, journal: &Journal) {
    let mut facts = kernel.finish(pids);
    let texts = log.lines.iter().rev().take(200).map(|line| line.text.as_str());
    facts.listeners = ports_named(texts).into_iter().flat_map(listeners).collect();
    let _ = journal.append(Event::Kernel(facts));
}

/// Exit status of `defib run`, by the fixed interface.
pub(crate) fn status(entries: &[Entry], report: &Report) -> u8 {
    const ENOENT: i32 = 2;
    let not_started = entries.iter().find_map(|entry| match &entry.event {
        Event::NotStarted { errno, step, .. } => Some((*errno, step.clone())),
        _ => None,
    });
    if let Some((errno, step)) = not_started {
        return match (step.as_str(), errno) {
            ("execute", ENOENT) => 127,
            ("execute", _) => 126,
            _ => 125,
        };
    }
    let number = |code: i32| u8::try_from(code).unwrap_or(255);
    let cancelled_by = entries.iter().rev().find_map(|entry| match &entry.event {
        Event::Ending(Ending::Cancelled { signal, .. }) => Some(*signal),
        Event::Signal { signal: signal @ (SIGINT | SIGTERM | SIGHUP), .. } => Some(*signal),
        _ => None,
    });
    match report.outcome.kind {
        OutcomeKind::Stalled | OutcomeKind::TimedOut | OutcomeKind::OverMemory => 124,
        OutcomeKind::Cancelled => number(128 + cancelled_by.unwrap_or(SIGTERM)),
        _ => match (report.outcome.exit_code, report.outcome.signal) {
            (Some(code), _) => number(code),
            (None, Some(signal)) => number(128 + signal),
            (None, None) => 125,
        },
    }
}
