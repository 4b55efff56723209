//! What happened meanwhile: runs, lines of the kernel log; and the environment.

use super::{Changes, Group, Importance, paired};
use crate::snapshot::{KernelLine, MOST_RUNS, RunOutcome, Snapshot, Variable};
use crate::telling::{cut, short_command};

/// Longest text that is quoted, in characters.
const LONGEST: usize = 300;

pub(super) fn compare(a: &Snapshot, b: &Snapshot, changes: &mut Changes) {
    runs(&a.runs, &b.runs, changes);
    if a.system.boot_id == b.system.boot_id {
        kernel_log(&a.kernel_log.lines, &b.kernel_log.lines, changes);
    }
    for (name, before, after) in paired(&a.environment, &b.environment, |variable| variable.name.as_str()) {
        variable(name, before, after, changes);
    }
}

fn runs(a: &[RunOutcome], b: &[RunOutcome], changes: &mut Changes) {
    for (id, before, after) in paired(a, b, |run| run.id.as_str()) {
        match (before, after) {
            (None, Some(new)) if within(a, new) => {
                let says = format!("run {id}, new: {}", told(new));
                changes.of(Group::Runs, id, None, Some(outcome(new))).rated(rated(new)).says(says);
            }
            (Some(gone), None) if within(b, gone) => {
                let says = format!("run {id} is no longer kept; it was: {}", told(gone));
                changes.of(Group::Runs, id, Some(outcome(gone)), None).rated(Importance::Low).says(says);
            }
            (Some(before), Some(after)) if outcome(before) != outcome(after) => {
                let says =
                    format!("run {id} ({}): {} → {}", short_command(&after.command), outcome(before), outcome(after));
                let draft = changes.of(Group::Runs, id, Some(outcome(before)), Some(outcome(after)));
                draft.rated(rated(after)).says(says);
            }
            _ => {}
        }
    }
}

/// The list reaches back to this run: its absence there is no matter of the list's length.
fn within(list: &[RunOutcome], run: &RunOutcome) -> bool {
    list.len() < MOST_RUNS || list.iter().any(|other| other.started_ms < run.started_ms)
}

fn rated(run: &RunOutcome) -> Importance {
    if run.healthy { Importance::Low } else { Importance::High }
}

/// `stalled, pipe-full`.
fn outcome(run: &RunOutcome) -> String {
    match &run.cause {
        Some(cause) => format!("{}, {cause}", run.outcome),
        None => run.outcome.clone(),
    }
}

fn told(run: &RunOutcome) -> String {
    format!("{}: {}", short_command(&run.command), outcome(run))
}

fn kernel_log(a: &[KernelLine], b: &[KernelLine], changes: &mut Changes) {
    // Microseconds: the kernel's own resolution.
    for ((_, text), before, after) in paired(a, b, |line| ((line.at_s * 1e6).round().to_bits(), line.text.as_str())) {
        let quoted = cut(text, LONGEST);
        match (before, after) {
            (None, Some(_)) => {
                let draft = changes.of(Group::KernelLog, quoted.clone(), None, Some(quoted.clone()));
                draft.rated(Importance::High).says(quoted);
            }
            (Some(_), None) => {
                let says = format!("no longer in the kernel log: {quoted}");
                let draft = changes.of(Group::KernelLog, quoted.clone(), Some(quoted), None);
                draft.rated(Importance::Low).says(says);
            }
            _ => {}
        }
    }
}

fn variable(name: &str, before: Option<&Variable>, after: Option<&Variable>, changes: &mut Changes) {
    let shown = |variable: &Variable| variable.value.as_deref().map_or_else(|| "set".to_owned(), |v| cut(v, LONGEST));
    let rated = |variable: &Variable| if variable.value.is_some() { Importance::Medium } else { Importance::Low };
    match (before, after) {
        (None, Some(new)) => {
            let value = new.value.as_ref().map(|_| format!(" to {}", shown(new))).unwrap_or_default();
            let draft = changes.of(Group::Environment, name, None, Some(shown(new)));
            draft.rated(rated(new)).says(format!("{name} is set now{value}"));
        }
        (Some(gone), None) => {
            let value = gone.value.as_ref().map(|_| format!("; it was {}", shown(gone))).unwrap_or_default();
            let draft = changes.of(Group::Environment, name, Some(shown(gone)), None);
            draft.rated(rated(gone)).says(format!("{name} is no longer set{value}"));
        }
        (Some(before), Some(after)) if before.value != after.value => {
            let says = format!("{name}: {} → {}", shown(before), shown(after));
            changes.of(Group::Environment, name, Some(shown(before)), Some(shown(after))).says(says);
        }
        _ => {}
    }
}
