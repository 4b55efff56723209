//! One bounded run of a stage: a whole session, so that nothing outlives it, a
//! deadline holds, and what it shows is judged by the same diagnosis as any run.

use std::path::PathBuf;
use std::time::Duration;

use defib_core::account;
use defib_core::event::{Ending, Entry, Event, Stream};
use defib_core::log::Log;
use defib_core::report::{OutcomeKind, Report};
use defib_core::run::RunId;
use defib_process::{Keep, KeptLog};
use defib_store::State;

use super::importtime::{self, ImportTime};
use crate::session::Finished;

/// Output that is kept of a stage.
pub(super) const KEEP: Keep = Keep::Budget { bytes: 16 << 20 };
/// Time between the request to end and the kill.
pub(super) const GRACE: Duration = Duration::from_secs(3);
/// Output read for the judgement, bytes.
const READ: usize = 4 << 20;

/// A run that is over.
#[derive(Debug)]
pub(super) struct Ran {
    /// The command that was run.
    pub(super) command: Vec<String>,
    /// Its id.
    pub(super) run: RunId,
    /// Its journal.
    pub(super) entries: Vec<Entry>,
    /// When it began, seconds after the probe did.
    pub(super) began_s: f64,
    folder: PathBuf,
    kind: OutcomeKind,
    exit_code: Option<i32>,
}

impl Ran {
    pub(super) fn new(command: Vec<String>, began_s: f64, finished: Finished) -> Self {
        let outcome = finished.report.outcome;
        Self {
            command,
            run: finished.run,
            entries: finished.entries,
            began_s,
            folder: finished.folder,
            kind: outcome.kind,
            exit_code: outcome.exit_code,
        }
    }

    /// It ended well, or was seen to work.
    pub(super) fn passed(&self) -> bool {
        self.kind == OutcomeKind::Completed
    }

    /// A person ended it: by which signal.
    pub(super) fn cancelled(&self) -> Option<i32> {
        const SIGINT: i32 = 2;
        let by = self.entries.iter().find_map(|entry| match &entry.event {
            Event::Ending(Ending::Cancelled { signal, .. }) => Some(*signal),
            _ => None,
        });
        (self.kind == OutcomeKind::Cancelled).then(|| by.unwrap_or(SIGINT))
    }

    /// Its exit code, if it had one.
    pub(super) fn exit_code(&self) -> Option<i32> {
        self.exit_code
    }

    /// Seconds from its start to its end.
    pub(super) fn took_s(&self) -> f64 {
        let at =
            |wanted: fn(&Event) -> bool| self.entries.iter().find(|entry| wanted(&entry.event)).map(|entry| entry.at_s);
        let began = at(|event| matches!(event, Event::Started { .. })).unwrap_or(0.0);
        at(|event| matches!(event, Event::Exited { .. })).map_or(0.0, |ended| (ended - began).max(0.0))
    }

    /// Largest resident memory: of the largest process at its end, or of the whole tree
    /// as it was seen.
    pub(super) fn memory_bytes(&self) -> Option<u64> {
        let of = |entry: &Entry| match &entry.event {
            Event::Exited { max_rss_bytes, .. } => Some(*max_rss_bytes),
            Event::Sample { vitals } => Some(vitals.rss_bytes),
            _ => None,
        };
        self.entries.iter().filter_map(of).max().filter(|&bytes| bytes > 0)
    }

    fn output(&self, stream: Stream) -> Vec<u8> {
        KeptLog::open(&self.folder, stream).and_then(|mut log| log.read_tail(READ)).unwrap_or_default()
    }

    /// What it printed on standard output.
    pub(super) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output(Stream::Stdout)).into_owned()
    }

    /// The import times it printed.
    pub(super) fn import_times(&self) -> Vec<ImportTime> {
        importtime::split(&self.output(Stream::Stderr)).0
    }

    /// Its last line of output, for one line of a list.
    pub(super) fn last_line(&self) -> Option<String> {
        self.log().last_lines(1).first().map(|line| defib_core::telling::cut(&line.text, 200))
    }

    fn log(&self) -> Log {
        let stdout = self.output(Stream::Stdout);
        let (_, stderr) = importtime::split(&self.output(Stream::Stderr));
        Log::read([(Some(Stream::Stdout), stdout.as_slice()), (Some(Stream::Stderr), stderr.as_slice())])
    }

    /// The report on it, as of a run of `command`: of the program that the stage is about.
    pub(super) fn judged(&self, command: &[String]) -> Report {
        let mut entries = self.entries.clone();
        for entry in &mut entries {
            if let Event::Run { command: own, .. } = &mut entry.event {
                *own = command.to_vec();
            }
        }
        account::report(&entries, self.log())
    }

    /// Removes its folder: what passed need not be kept.
    pub(super) fn forget(self, state: &State) {
        let _ = std::fs::remove_dir_all(&self.folder);
        state.finished(&self.run);
    }
}
