//! A person or a parent sent SIGINT, SIGTERM or SIGHUP.

use crate::case::{End, Study};
use crate::cause::{Cause, Fact, Finding};
use crate::event::Ending;
use crate::telling::{quoted, seconds, sender_name, signal_name};
use crate::waits::Grade;
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "interrupted",
    title: "Interrupted from outside",
    what: "A person or a parent process sent SIGINT, SIGTERM or SIGHUP.",
    settled_by: "The signal and, where known, its sender.",
    taken_for: "a crash",
    by_hand: &["ask who sends the signal: a closed session, a service manager, a script"],
    remedies: &["start it detached from the session, or as a service"],
    remedy: Remedy::Again,
    judge,
};

const POLITE: [i32; 3] = [2, 15, 1];

fn judge(study: &Study<'_>) -> Option<Finding> {
    by_defib(study).or_else(|| by_signal(study)).or_else(|| by_log(study))
}

/// The signal went through defib, which knows the sender.
fn by_defib(study: &Study<'_>) -> Option<Finding> {
    let (at_s, ending) = study.case.ending.as_ref()?;
    if matches!(ending, Ending::StopRequested) {
        let fact = Fact::new("signal", "defib stop asked for the end").at(*at_s);
        return Some(Finding::proof(format!("it was ended by defib stop after {}", seconds(*at_s)), vec![fact]).rank(60));
    }
    let Ending::Cancelled { signal, sender } = ending else { return None };
    let who = sender.as_ref().map_or_else(|| "an unknown sender".to_owned(), sender_name);
    // It was asked first and only then got stuck: what it stood at follows from that.
    let asked_s = study.case.signals.iter().find(|seen| seen.signal == *signal).map_or(*at_s, |seen| seen.at_s);
    let stood_s = at_s - asked_s;
    let after = study.case.looks.first().is_some_and(|look| look.at_s > asked_s);
    let late = stood_s > 1.0 && after && study.grade() >= Grade::Probable;
    let fact = Fact::new("signal", format!("{} arrived from {who}", signal_name(*signal))).at(asked_s);
    let how = if sender.as_ref().is_some_and(|sender| sender.pid == 0) {
        format!("{} at the terminal", if *signal == 2 { "Ctrl+C" } else { "a closed window" })
    } else {
        format!("{} from {who}", signal_name(*signal))
    };
    let explanation = if late {
        format!("{how} came after {}; it did not end by itself within {}, so defib ended it", seconds(asked_s), seconds(stood_s))
    } else {
        format!("{how} ended it after {}", seconds(asked_s))
    };
    Some(Finding::proof(explanation, vec![fact]).rank(if late { ROOT } else { 60 }))
}

/// Before everything that only follows.
const ROOT: i32 = 2;

/// The signal went to the program itself.
fn by_signal(study: &Study<'_>) -> Option<Finding> {
    if study.ended_by_defib() {
        return None;
    }
    let signal = study.signal().filter(|signal| POLITE.contains(signal))?;
    let known = study.case.signals.iter().rev().find(|seen| seen.signal == signal);
    let who = known.and_then(|seen| seen.sender.as_ref()).map(sender_name);
    let from = who.as_ref().map_or_else(
        || "; it was sent to the program itself, so its sender is not known".to_owned(),
        |who| format!(" from {who}"),
    );
    let after = if study.case.wall_s > 0.0 { format!(" after {}", seconds(study.case.wall_s)) } else { String::new() };
    let fact = Fact::new("exit", format!("ended by {}{from}", signal_name(signal))).at(study.case.wall_s);
    Some(
        Finding::proof(format!("somebody outside ended it with {}{after}", signal_name(signal)), vec![fact])
            .rank(60)
            .step("look for who sends it: a session that closed, a service manager, a script with kill or pkill"),
    )
}

/// A KeyboardInterrupt in the log: a person gave up.
fn by_log(study: &Study<'_>) -> Option<Finding> {
    if study.was_standing() || !matches!(study.case.end, End::Exited(_) | End::Unknown) || study.case.end == End::Exited(0) {
        return None;
    }
    let traceback = study.case.log.tracebacks.iter().rev().find(|traceback| traceback.last().kind == "KeyboardInterrupt")?;
    let near = study.is_near_end(traceback.end_line.saturating_sub(1));
    if !near || study.fatal.is_some() && study.case.end != End::Exited(130) {
        return None;
    }
    let place = crate::telling::trace_place(&traceback.last().frames);
    let facts = vec![quoted("KeyboardInterrupt"), Fact::new("log", "the traceback shows where it stood when it was interrupted, not a fault")];
    Some(Finding::proof("a person interrupted it (KeyboardInterrupt)", facts).place(place).rank(60))
}
