//! The cause of an attempt that failed.
//!
//! The same judgement as of a run: what a process left behind when it was ended comes with
//! its report; what one raised that goes on is a case of its own, with what it printed
//! meanwhile.

use defib_core::case::{Case, End, Made};
use defib_core::diagnose::diagnose;
use defib_core::log::{Log, LogReader};
use defib_core::report::{OutcomeKind, Report};

use super::backend::{Failed, FailedKind};
use crate::session::Finished;
use crate::why;

/// Where an attempt was made.
#[derive(Debug, Clone, Default)]
pub(super) struct Scene {
    /// Command of the process.
    pub(super) command: Vec<String>,
    /// Its folder.
    pub(super) cwd: String,
    /// Its run.
    pub(super) run: Option<String>,
}

/// A process that is gone: what its report says. `what` it was at, in words.
pub(super) fn of_end(finished: &Finished, what: &str) -> Failed {
    let report = &finished.report;
    let kind = match report.outcome.kind {
        OutcomeKind::TimedOut | OutcomeKind::Stalled => FailedKind::Overdue,
        _ => FailedKind::Failed,
    };
    let failed = match report.causes.first() {
        // That it ended by itself is more than that nothing is settled.
        Some(cause) if cause.id != "unknown" || kind == FailedKind::Overdue => {
            Failed::new(&cause.id, cause.explanation.clone())
        }
        _ => Failed::new("unknown", ended_in_words(report, what)),
    };
    Failed { kind, report: Some(Box::new(report.clone())), ..failed }
}

/// An end without a cause, as far as it is seen.
fn ended_in_words(report: &Report, what: &str) -> String {
    match (report.outcome.exit_code, report.outcome.signal) {
        (Some(code), _) => format!("the process exited with status {code} during {what}"),
        (None, Some(signal)) => format!("signal {signal} ended the process during {what}"),
        (None, None) => format!("the process ended during {what}"),
    }
}

/// An exception, in a process that goes on.
pub(super) fn of_exception(scene: &Scene, mut printed: Vec<LogReader>, headline: &str, traceback: &str) -> Failed {
    let mut reader = LogReader::new(None);
    reader.push(traceback.as_bytes());
    printed.push(reader);
    let report = judged(scene, Log::of(printed), Made::default());
    match report.causes.first() {
        Some(cause) => {
            let (id, words) = (cause.id.clone(), cause.explanation.clone());
            Failed { report: Some(Box::new(report)), ..Failed::new(&id, words) }
        }
        None => Failed::new("unknown", headline),
    }
}

/// Output that is not what it should be; `words` say what is wrong.
pub(super) fn of_output(scene: &Scene, printed: Vec<LogReader>, made: Made, words: &str) -> Failed {
    let report = judged(scene, Log::of(printed), made);
    let first = report.causes.first().filter(|cause| ["precision-nan", "content-filter"].contains(&cause.id.as_str()));
    let failed = match first {
        // The explanation of the former says what is wrong with the output.
        Some(cause) if cause.id == "precision-nan" => Failed::new(&cause.id, cause.explanation.clone()),
        Some(cause) => Failed::new(&cause.id, format!("{words}: {}", cause.explanation)),
        None => Failed::new("unknown", words),
    };
    Failed { report: Some(Box::new(report)), ..failed }
}

fn judged(scene: &Scene, log: Log, made: Made) -> Report {
    let case = Case {
        command: scene.command.clone(),
        cwd: scene.cwd.clone(),
        end: End::Exited(1),
        log,
        made,
        ..Case::default()
    };
    why::report(&case, diagnose(&case), scene.run.as_deref().unwrap_or("job"))
}
