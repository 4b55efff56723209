//! What defib did, what is left, and how to see the rest.

use defib_core::remains::Remains;
use defib_core::report::Report;
use defib_core::telling::size;
use maud::{Markup, html};

use super::{clock, count, tell, tell_within};

/// Actions shown from the beginning, and from the end.
const FIRST: usize = 40;
/// See [`FIRST`].
const LAST: usize = 160;
/// Leftovers shown.
const LEFT: usize = 100;

/// The section.
pub(super) fn did(report: &Report) -> Markup {
    let actions = &report.actions;
    let skipped = actions.len().saturating_sub(FIRST + LAST);
    html! {
        section #did aria-labelledby="did-title" {
            h2 #did-title { "What defib did" }
            @if actions.is_empty() { p.quiet { "It watched; nothing else was needed." } }
            @else {
                ol.actions {
                    @for (index, action) in actions.iter().enumerate() {
                        @if skipped > 0 && index == FIRST { li.quiet { span.at {} span { "… " (count(skipped, "action", "actions")) " left out here …" } } }
                        @if skipped == 0 || index < FIRST || index >= FIRST + skipped {
                            li { span.at { (clock(action.at_s)) } span { (tell(&action.did)) } }
                        }
                    }
                }
            }
            (leftovers(report))
            @if let Some(remains) = &report.remains { (rest(remains)) }
            @if report.run.started.is_some() { (more(&tell_within(&report.run.id, 40))) }
        }
    }
}

fn leftovers(report: &Report) -> Markup {
    html! {
        @if !report.leftovers.is_empty() {
            h3 { "Processes that outlived the program" }
            div.scroll tabindex="0" {
                table {
                    thead { tr { th scope="col" { "pid" } th scope="col" { "command" } th scope="col" { "state" } th scope="col" { "waits in" } th scope="col" { "what became of it" } } }
                    tbody {
                        @for left in report.leftovers.iter().take(LEFT) {
                            tr {
                                td.figure { (left.pid) }
                                td { code { (tell_within(&left.command, 400)) } }
                                td { (tell_within(&left.state, 10)) }
                                td { code { (tell_within(&left.wchan, 60)) } }
                                td { (tell_within(fate(&left.fate), 40)) }
                            }
                        }
                    }
                }
            }
            @if report.leftovers.len() > LEFT { p.quiet { (report.leftovers.len() - LEFT) " more are in the JSON report." } }
        }
    }
}

/// What the run left besides processes.
fn rest(remains: &Remains) -> Markup {
    let clean = remains.nothing() && remains.unused_memory().next().is_none();
    html! {
        h3 { "What is left of it" }
        @if clean { p { "Nothing: no process, port, GPU memory or shared memory of the run." } }
        @else {
            ul {
                @if remains.processes > 0 { li { (count(remains.processes as usize, "process", "processes")) } }
                @for port in remains.ports.iter().take(LEFT) { li { "port " (tell_within(port, 60)) } }
                @if let Some(bytes) = remains.gpu_bytes.filter(|&bytes| bytes > 0) { li { (size(bytes)) " of GPU memory" } }
                @for one in remains.all().filter(|one| one.holders.is_empty()).take(LEFT) {
                    li {
                        code { (tell_within(&one.name, 200)) } ", " (size(one.bytes))
                        span.quiet { ", " (tell_within(one.proof.as_deref().unwrap_or("made while it ran"), 120)) }
                    }
                }
            }
        }
        @for one in remains.unchecked.iter().take(LEFT) { p.quiet { "Not checked: " (tell_within(one, 200)) } }
    }
}

fn fate(fate: &str) -> &str {
    match fate {
        "ended" => "ended by defib",
        "survives" => "could not be ended: still there",
        "allowed" => "left running, as asked",
        other => other,
    }
}

fn more(id: &str) -> Markup {
    html! {
        h3 { "Everything else" }
        ul.more {
            li { pre.copy tabindex="0" { code { "defib show " (id) " --json" } } span { "this report as data" } }
            li { pre.copy tabindex="0" { code { "defib show " (id) " --stacks" } } span { "stacks of all threads" } }
            li { pre.copy tabindex="0" { code { "defib logs " (id) } } span { "all output that was kept" } }
        }
        p.quiet { "What looked like a key, token or password is shown as " code { "•••" } ". Look the page over before you give it away: a safety net is not a proof." }
    }
}
