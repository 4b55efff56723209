//! How a run ended, in one word.

use crate::case::{Case, End, Study};
use crate::event::Ending;
use crate::report::{Outcome, OutcomeKind};
use crate::waits::Grade;

/// Signals by which a program ends through a fault of its own.
const FAULTS: [i32; 7] = [3, 4, 5, 6, 7, 8, 11];

/// The outcome of a case, before its causes are known: `healthy` is completed
/// with them by [`crate::diagnose::diagnose`].
#[must_use]
pub fn outcome(study: &Study<'_>) -> Outcome {
    let case = study.case;
    let kind = kind(study);
    let (exit_code, signal) = match case.end {
        // It works: the signal that ended it then says nothing of it.
        _ if matches!(case.ending, Some((_, Ending::StartSeen { .. }))) => (None, None),
        End::Exited(code) => (Some(code), None),
        End::Signaled(signal) => (None, Some(signal)),
        _ => (None, None),
    };
    let healthy = matches!(kind, OutcomeKind::Completed | OutcomeKind::Running | OutcomeKind::Idle);
    Outcome { kind, exit_code, signal, healthy, stage: stage(case) }
}

fn kind(study: &Study<'_>) -> OutcomeKind {
    let case = study.case;
    if let Some((_, ending)) = &case.ending {
        return by_ending(ending);
    }
    match case.end {
        End::NotStarted { .. } => OutcomeKind::NotStarted,
        End::Exited(0) => OutcomeKind::Completed,
        End::Exited(_) => match study.signal() {
            // A shell in between reports a signal as 128+n; a program may also
            // choose such a number, so only real faults and kills are believed.
            Some(signal) if FAULTS.contains(&signal) => OutcomeKind::Crashed,
            Some(9) => OutcomeKind::Killed,
            _ => OutcomeKind::Failed,
        },
        End::Signaled(signal) if FAULTS.contains(&signal) => OutcomeKind::Crashed,
        End::Signaled(_) => OutcomeKind::Killed,
        End::Alive => match study.grade() {
            Grade::Proved | Grade::Probable => OutcomeKind::Stalled,
            Grade::Idle => OutcomeKind::Idle,
            Grade::None | Grade::Part => OutcomeKind::Running,
        },
        End::Unknown => OutcomeKind::Failed,
    }
}

fn by_ending(ending: &Ending) -> OutcomeKind {
    match ending {
        Ending::Stalled { .. } | Ending::NoHeartbeat { .. } => OutcomeKind::Stalled,
        Ending::TimedOut { .. } | Ending::NoFirstOutput { .. } => OutcomeKind::TimedOut,
        Ending::OverMemory { .. } => OutcomeKind::OverMemory,
        Ending::Cancelled { .. } | Ending::StopRequested => OutcomeKind::Cancelled,
        Ending::StartSeen { .. } => OutcomeKind::Completed,
        Ending::SupervisorGone => OutcomeKind::Killed,
    }
}

/// What the program itself reported, else what was seen.
fn stage(case: &Case) -> Option<String> {
    if let Some(stage) = &case.stage {
        return Some(stage.clone());
    }
    if let Some((done, total, _)) = case.progress {
        let total = total.map(|total| format!(" of {total}")).unwrap_or_default();
        return Some(format!("progress {done}{total}"));
    }
    match (&case.end, case.output_s) {
        (End::NotStarted { .. }, _) => Some("start".to_owned()),
        (_, None) if case.output_bytes == 0 && case.relay.is_some() => Some("before first output".to_owned()),
        _ => None,
    }
}
