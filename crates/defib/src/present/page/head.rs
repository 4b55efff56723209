//! The one sentence, and which run it is about.

use defib_core::report::{OutcomeKind, Report};
use defib_core::telling::{seconds, short_command, signal_name};
use maud::{Markup, html};

use super::{pasteable, tell, tell_within};

/// The title of the page.
pub(super) fn title(report: &Report) -> String {
    let name = tell_within(&short_command(&report.run.command), 80);
    format!("{name}: {} · defib {}", report.outcome.kind.name(), tell_within(&report.run.id, 40))
}

/// Headline and facts of the run.
pub(super) fn head(report: &Report) -> Markup {
    let (mark, class) = mark(report);
    html! {
        header {
            p.badge.(class) { span aria-hidden="true" { (mark) } " " (report.outcome.kind.name()) }
            h1 { (tell(&sentence(report))) }
            dl.facts {
                div.wide { dt { "command" } dd { code { (tell(&pasteable(&report.run.command))) } } }
                div.wide { dt { "folder" } dd { code { (tell(&report.run.cwd)) } } }
                @if let Some(started) = &report.run.started {
                    div { dt { "started" } dd { time datetime=(tell_within(started, 40)) { (day(started)) } } }
                    div { dt { "lasted" } dd { (seconds(report.run.wall_s)) } }
                }
                div { dt { "end" } dd { (ending(report)) } }
                @if let Some(stage) = &report.outcome.stage {
                    div { dt { "last stage" } dd { (tell(stage)) } }
                }
                div { dt { "run" } dd { code { (tell(&report.run.id)) } } }
            }
        }
    }
}

fn mark(report: &Report) -> (&'static str, &'static str) {
    match (report.outcome.healthy, report.outcome.kind) {
        (true, OutcomeKind::Running | OutcomeKind::Idle) => ("▶", "note"),
        (true, _) => ("✔", "good"),
        (false, OutcomeKind::Cancelled) => ("■", "warn"),
        (false, _) => ("✖", "bad"),
    }
}

/// What a tired person reads first; the same words as on the terminal.
fn sentence(report: &Report) -> String {
    if let Some(cause) = report.causes.first() {
        return cause.explanation.clone();
    }
    let name = short_command(&report.run.command);
    match report.outcome.kind {
        OutcomeKind::Completed => format!("{name} ended well"),
        OutcomeKind::Running => format!("{name} runs, and nothing stands in its way"),
        OutcomeKind::Idle => format!("{name} is idle: it waits for somebody outside, as servers and daemons do"),
        kind => format!("{name}: {}", kind.name()),
    }
}

fn ending(report: &Report) -> String {
    match (report.outcome.exit_code, report.outcome.signal) {
        (Some(code), _) => format!("exit {code}"),
        (None, Some(signal)) => format!("ended by {}", signal_name(signal)),
        (None, None) if matches!(report.outcome.kind, OutcomeKind::Running | OutcomeKind::Idle) => "goes on".to_owned(),
        (None, None) => "no exit status".to_owned(),
    }
}

/// `2026-11-21T03:15:32.308Z` as `2026-11-21 03:15:32 UTC`.
fn day(stamp: &str) -> String {
    let plain = stamp.split('.').next().unwrap_or(stamp).trim_end_matches('Z').replace('T', " ");
    format!("{} UTC", tell_within(&plain, 40))
}
