//! What one run left behind, fit for judging again with other weights.

use std::path::Path;

use anyhow::{Context as _, Result};
use defib_core::account;
use defib_core::case::{Case, Study};
use defib_core::cause::Sign;
use defib_core::diagnose::findings;
use defib_core::event::{Ending, Entry, Event};
use defib_core::weights::{proof_class, signs};
use defib_testkit::corpus::{Marks, Program, Ran, marks};
use serde_json::Value;

/// One finding of one run, without its words.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) cause: &'static str,
    pub(crate) signs: Vec<Sign>,
    /// Class of a proof; `None` for a weighed finding.
    pub(crate) proof: Option<String>,
    pub(crate) rank: i32,
}

/// One run.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) name: String,
    /// The right cause; `None` for a healthy program.
    pub(crate) truth: Option<String>,
    pub(crate) healthy: bool,
    pub(crate) report: Value,
    pub(crate) marks: Marks,
    pub(crate) wall_s: f64,
    /// The case, where it can be judged again (`why` keeps none).
    pub(crate) case: Option<Case>,
    pub(crate) found: Vec<Found>,
    /// Seconds from the end of the program (or of its movement) to the report, and
    /// how much of that is the patience that was asked for.
    pub(crate) delay: Option<(f64, f64)>,
}

/// What a run left in `folder`. With `again` its report is made anew from what was kept.
pub(crate) fn seen(program: &Program, folder: &Path, mut ran: Ran, again: bool) -> Result<Seen> {
    let (case, delay) = match program.fault.mode.as_deref() {
        Some("why") => (None, None),
        Some("log") => {
            let log = program.fault.log.as_deref().unwrap_or("output.log");
            let path = folder.join("program").join(log);
            if again {
                let report = defib_engine::why::log(&path, program.fault.exit_code)?;
                ran.report = serde_json::to_value(report)?;
            }
            (Some(defib_engine::why::case_of_log(&path, program.fault.exit_code)?), None)
        }
        _ => {
            let runs = folder.join("state/runs");
            let run = std::fs::read_dir(&runs)
                .with_context(|| runs.display().to_string())?
                .flatten()
                .map(|entry| entry.path())
                .filter(|path| path.is_dir())
                .max()
                .context("no run was kept")?;
            let entries = defib_process::read_journal(&run)?;
            let delay = delay(&entries, &run);
            if again {
                let report = account::report(&entries, defib_engine::archive::output(&run));
                ran.report = serde_json::to_value(report)?;
            }
            (Some(account::case(&entries, defib_engine::archive::output(&run))), delay)
        }
    };
    let found = case.as_ref().map(found).unwrap_or_default();
    Ok(Seen {
        name: program.name.clone(),
        truth: program.fault.cause.clone(),
        healthy: program.fault.healthy || program.fault.cause.is_none() || program.name.starts_with("healthy/"),
        marks: marks(program, &folder.join("program"), &ran),
        report: ran.report,
        wall_s: ran.wall.as_secs_f64(),
        case,
        found,
        delay,
    })
}

fn found(case: &Case) -> Vec<Found> {
    let study = Study::new(case);
    let all = findings(&study);
    let beside = all.iter().any(|(_, finding)| !signs(finding).is_empty());
    let all = all.into_iter().map(|(cause, finding)| {
        let signs = signs(&finding).to_vec();
        let proof = signs.is_empty().then(|| proof_class(&finding, beside));
        Found { cause: cause.id, signs, proof, rank: finding.rank }
    });
    all.collect()
}

/// From the end of the program, or of its last movement, to the written report.
fn delay(entries: &[Entry], run: &Path) -> Option<(f64, f64)> {
    let written = std::fs::metadata(run.join("report.json")).and_then(|facts| facts.modified()).ok()?;
    let written_ms = written.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs_f64() * 1000.0;
    let started_ms = entries.iter().find_map(|entry| match entry.event {
        Event::Run { started_ms, .. } => Some(started_ms),
        _ => None,
    })?;
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit")]
    let report_s = (written_ms - started_ms as f64) / 1000.0;
    entries.iter().find_map(|entry| match &entry.event {
        Event::Ending(Ending::Stalled { quiet_s }) => Some((report_s - (entry.at_s - quiet_s), *quiet_s)),
        Event::Ending(_) | Event::Exited { .. } | Event::NotStarted { .. } => Some((report_s - entry.at_s, 0.0)),
        _ => None,
    })
}
