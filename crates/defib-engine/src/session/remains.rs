//! After the end: what is left of the run besides processes.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use defib_core::account;
use defib_core::event::{Entry, Event, Fate};
use defib_core::remains::Remains;
use defib_observe::{RemainsRequest, SurveyRequest, remains, survey_within};
use defib_process::Journal;

/// Time the question for the ports of survivors may take.
const PORTS_WITHIN: Duration = Duration::from_secs(1);

/// Searches what is left of the run in `entries`, and writes it down.
pub(super) fn note(exe: &Path, folder: &Path, pids: &[i32], journal: &Journal, entries: &mut Vec<Entry>) {
    let found = search(exe, folder, pids, entries);
    // A full disk must not end a run that went well: the report still has it.
    let (entry, _) = journal.append(Event::Remains(found));
    entries.push(entry);
}

fn search(exe: &Path, folder: &Path, pids: &[i32], entries: &[Entry]) -> Remains {
    let started = Duration::from_millis(account::header(entries).started_ms);
    let on_gpu = |entry: &Entry| matches!(&entry.event, Event::Sample { vitals } if !vitals.gpus.is_empty());
    let request = RemainsRequest {
        since: SystemTime::UNIX_EPOCH + started,
        pids: pids.to_vec(),
        temporary: std::env::var_os("TMPDIR").map_or_else(|| PathBuf::from("/tmp"), PathBuf::from),
        spared: folder.to_owned(),
        gpu: entries.iter().any(on_gpu),
    };
    let mut found = remains(exe, &request);
    let survivors: Vec<i32> = entries
        .iter()
        .filter_map(|entry| match entry.event {
            Event::Leftover { pid, fate: Fate::Survives, .. } => Some(pid),
            _ => None,
        })
        .collect();
    if !survivors.is_empty() {
        found.processes = u32::try_from(survivors.len()).unwrap_or(u32::MAX);
        let survey =
            survey_within(exe, &SurveyRequest { holders: survivors, ..SurveyRequest::default() }, PORTS_WITHIN);
        found.ports = survey.holders.into_values().flat_map(|holdings| holdings.ports).collect();
    }
    found
}
