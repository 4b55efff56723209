//! Ranked causes: the proof, the line, the way out; and what is no cause.

use defib_core::event::{Entry, Event};
use defib_core::facts::Excerpt;
use defib_core::log::Log;
use defib_core::report::{Evidence, NextStep, Place, RankedCause, Report};
use maud::{Markup, html};

use super::{count, pasteable, shown, tell, tell_within};

/// Causes shown.
const CAUSES: usize = 12;
/// Facts shown of one cause, and of what is no cause.
const FACTS: usize = 40;
/// Lines shown before and after the one that matters.
const AROUND: u32 = 4;

/// The section.
pub(super) fn causes(report: &Report, entries: &[Entry], log: &Log) -> Markup {
    let sources = Sources { excerpts: excerpts(entries), log };
    html! {
        section #causes aria-labelledby="causes-title" {
            h2 #causes-title { "Why" }
            @if report.causes.is_empty() {
                p.quiet { @if report.outcome.healthy { "Nothing speaks for any trouble." } @else { "No cause was found." } }
            }
            @for (index, cause) in report.causes.iter().take(CAUSES).enumerate() {
                (one(report, cause, index, &sources))
            }
            @if report.causes.len() > CAUSES { p.quiet { (report.causes.len() - CAUSES) " less likely causes are left out here." } }
            (noise(report))
        }
    }
}

fn one(report: &Report, cause: &RankedCause, index: usize, sources: &Sources<'_>) -> Markup {
    let facts = cause.evidence.iter().filter_map(|id| report.evidence.iter().find(|evidence| &evidence.id == id));
    let facts: Vec<_> = facts.filter(|evidence| !evidence.noise).collect();
    html! {
        article.cause.first[index == 0] {
            h3 {
                span.rank { (index + 1) } " "
                code { (tell(&cause.id)) } " "
                (weight(cause))
            }
            p.title { (tell(&cause.title)) }
            // The first one's explanation is the headline.
            @if index > 0 { p { (tell(&cause.explanation)) } }
            @if !facts.is_empty() {
                h4 { "What was seen" }
                ul.evidence { @for fact in facts.iter().take(FACTS) { (evidence(fact)) } }
                @if facts.len() > FACTS { p.quiet { (count(facts.len() - FACTS, "further fact", "further facts")) } }
            }
            @if let Some(place) = &cause.place { (excerpt(report, place, sources)) }
            (steps(&cause.next_steps))
        }
    }
}

/// Proved, or how likely in words and figures.
fn weight(cause: &RankedCause) -> Markup {
    if cause.proved {
        return html! { span.weight.proved { "proved" } };
    }
    // A share of certainty about not knowing says nothing.
    if cause.id == "unknown" {
        return html! {};
    }
    let share = (cause.probability * 100.0).clamp(0.0, 100.0);
    html! { span.weight { (format!("{share:.0} %")) " likely" span.bar aria-hidden="true" { span style=(format!("width:{share:.0}%")) {} } } }
}

fn evidence(fact: &Evidence) -> Markup {
    html! {
        li {
            span.says { (tell(&fact.says)) }
            span.source {
                (tell_within(&fact.source, 40))
                @if let Some(pid) = fact.pid { " · pid " (pid) }
                @if let Some(thread) = &fact.thread { " · " (tell_within(thread, 80)) }
                @if let Some(at_s) = fact.at_s { " · at " (super::clock(at_s)) }
            }
        }
    }
}

/// Where lines come from: excerpts taken by the looks, else what a traceback
/// printed. No file is read: a page is given away.
struct Sources<'a> {
    excerpts: Vec<&'a Excerpt>,
    log: &'a Log,
}

impl Sources<'_> {
    /// `matters`: a traceback prints single lines of which only this one is wanted.
    fn line(&self, file: &str, line: u32, matters: bool) -> Option<&str> {
        let seen = self.excerpts.iter().find_map(|excerpt| {
            let index = line.checked_sub(excerpt.first_line)? as usize;
            (excerpt.file == file).then(|| excerpt.lines.get(index).map(String::as_str))?
        });
        let frames = || {
            self.log
                .tracebacks
                .iter()
                .rev()
                .flat_map(|traceback| &traceback.chain)
                .flat_map(|exception| &exception.frames)
        };
        seen.or_else(|| {
            frames().filter(|_| matters).find(|frame| frame.file == file && frame.line == line)?.source.as_deref()
        })
    }
}

fn excerpts(entries: &[Entry]) -> Vec<&Excerpt> {
    let looks = entries.iter().rev().filter_map(|entry| match &entry.event {
        Event::Look { look } => Some(look),
        _ => None,
    });
    looks.take(50).flat_map(|look| &look.sources).collect()
}

fn excerpt(report: &Report, place: &Place, sources: &Sources<'_>) -> Markup {
    let numbers = place.line.saturating_sub(AROUND).max(1)..=place.line.saturating_add(AROUND);
    let lines: Vec<_> =
        numbers.filter_map(|number| Some((number, sources.line(&place.file, number, number == place.line)?))).collect();
    html! {
        figure.code {
            figcaption {
                code { (tell_within(shown(&report.run.cwd, &place.file), 300)) ":" (place.line) }
                @if let Some(function) = &place.function { " in " code { (tell_within(function, 120)) } }
            }
            @if !lines.is_empty() {
                pre tabindex="0" {
                    @for (number, line) in lines {
                        span.line.here[number == place.line] {
                            span.number { @if number == place.line { "▶ " } (number) }
                            (tell_within(line, 300)) "\n"
                        }
                    }
                }
            }
        }
    }
}

fn steps(steps: &[NextStep]) -> Markup {
    html! {
        @if !steps.is_empty() {
            h4 { "What to do" }
            ol.steps {
                @for step in steps.iter().take(20) {
                    li {
                        (tell(&step.say))
                        @if let Some(command) = &step.command { pre.copy tabindex="0" { code { (tell(&pasteable(command))) } } }
                    }
                }
            }
        }
    }
}

fn noise(report: &Report) -> Markup {
    let noise: Vec<_> = report.evidence.iter().filter(|evidence| evidence.noise).collect();
    html! {
        @if !noise.is_empty() {
            div.noise {
                h3 { "Not the cause" }
                p.quiet { "This looks like trouble and is none here:" }
                ul.evidence { @for fact in noise.iter().take(FACTS) { (evidence(fact)) } }
                @if noise.len() > FACTS { p.quiet { (count(noise.len() - FACTS, "further fact", "further facts")) } }
            }
        }
    }
}
