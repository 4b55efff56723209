//! The run over time: marks and vital signs over one axis.

use defib_core::event::Entry;
use defib_core::facts::Vitals;
use defib_core::report::Report;
use defib_core::telling::{seconds, size};
use maud::{Markup, html};

use super::charts::{CLASSES, svg};
use super::events::{Happening, Lane, Mark, happenings, marks, quiet};
use super::series::{Chart, Line, charts, samples};
use super::{clock, count};

/// Events listed in words.
const LISTED: usize = 300;

/// What all rows share.
struct Axis {
    end_s: f64,
    ticks: Vec<f64>,
    quiet: Option<(f64, f64, String)>,
}

impl Axis {
    fn new(report: &Report, entries: &[Entry]) -> Self {
        let last =
            entries.iter().map(|entry| entry.at_s).filter(|at_s| at_s.is_finite()).fold(report.run.wall_s, f64::max);
        let end_s = last.max(0.001);
        Self { end_s, ticks: ticks(end_s), quiet: quiet(entries) }
    }

    /// A time as a share of the width.
    fn percent(&self, at_s: f64) -> String {
        format!("{:.2}%", (at_s / self.end_s * 100.0).clamp(0.0, 100.0))
    }

    /// Grid and shade, behind what a row shows.
    fn back(&self) -> Markup {
        html! {
            @if let Some((from, to, words)) = &self.quiet {
                span.still style=(format!("left:{};width:{:.2}%", self.percent(*from), ((to - from.max(0.0)) / self.end_s * 100.0).clamp(0.2, 100.0))) title=(words) {}
            }
            @for tick in &self.ticks { span.grid style=(format!("left:{}", self.percent(*tick))) {} }
        }
    }

    fn scale(&self) -> Markup {
        html! {
            div.row.scale aria-hidden="true" {
                div.label {}
                div.plot {
                    @for tick in &self.ticks { span style=(format!("left:{}", self.percent(*tick))) { (tick_words(*tick)) } }
                }
            }
        }
    }
}

/// Round times, at most eight.
fn ticks(end_s: f64) -> Vec<f64> {
    const STEPS: [f64; 22] = [
        0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 1800.0,
        3600.0, 7200.0, 14_400.0, 43_200.0,
    ];
    let days = (end_s / 86_400.0 / 7.0).ceil() * 86_400.0;
    let step = STEPS.into_iter().find(|step| end_s / step <= 7.5).unwrap_or(days);
    let mut ticks = Vec::new();
    let mut at_s = 0.0;
    while at_s <= end_s && ticks.len() < 10 {
        ticks.push(at_s);
        at_s += step;
    }
    ticks
}

/// `0.5 s`, `20 s`, `2 min`, `1:30 h`.
fn tick_words(at_s: f64) -> String {
    if at_s < 120.0 {
        return format!("{} s", (at_s * 100.0).round() / 100.0);
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of a run")]
    let minutes = (at_s / 60.0).round() as u64;
    match (at_s % 60.0 < 0.5, minutes < 120) {
        (false, true) => clock(at_s),
        (_, true) => format!("{minutes} min"),
        _ => format!("{}:{:02} h", minutes / 60, minutes % 60),
    }
}

/// The section.
pub(super) fn timeline(report: &Report, entries: &[Entry]) -> Markup {
    let axis = Axis::new(report, entries);
    let happened = happenings(entries);
    let samples = samples(entries);
    let (shown, silent): (Vec<Chart>, Vec<Chart>) = charts(&samples).into_iter().partition(|chart| chart.peak() > 0.0);
    html! {
        section #timeline aria-labelledby="timeline-title" {
            h2 #timeline-title { "Over time" }
            @if let Some((_, _, words)) = &axis.quiet { p.quiet { span.shade aria-hidden="true" {} " shaded: " (words) } }
            div.chart data-end=(axis.end_s) {
                @for lane in Lane::ALL { (lane_row(&happened, lane, &axis)) }
                @if samples.len() > 1 { @for chart in &shown { (chart_row(chart, &axis)) } }
                (axis.scale())
            }
            (taken(&samples))
            @if samples.len() > 1 && !silent.is_empty() {
                p.quiet { "Nothing to show: " (silent.iter().map(|chart| chart.title.to_lowercase().replace("cpu", "CPU").replace("gpu", "GPU")).collect::<Vec<_>>().join(", ")) " (always 0, or not readable)." }
            }
            (list(&happened))
        }
    }
}

/// How much the charts rest on; with a single sample, its figures.
fn taken(samples: &[&Vitals]) -> Markup {
    html! {
        @match samples {
            [] => p.quiet { "No vital signs were taken: the run was over before the first sample, or had not begun." },
            [only] => p.quiet {
                "One sample, at " (clock(only.at_s)) ": " (count(only.processes as usize, "process", "processes")) ", "
                (count(only.threads as usize, "thread", "threads")) ", " (size(only.rss_bytes)) " resident, " (format!("{:.2} s", only.cpu_s)) " of CPU time. A chart needs two."
            },
            [first, .., last] => p.quiet {
                (count(samples.len(), "sample", "samples")) " from " (clock(first.at_s)) " to " (clock(last.at_s))
                ". Counters are shown as growth per second."
            },
        }
    }
}

fn lane_row(happened: &[Happening<'_>], lane: Lane, axis: &Axis) -> Markup {
    let marks = marks(happened, lane, axis.end_s);
    let number = happened.iter().filter(|one| one.lane == lane).count();
    html! {
        @if !marks.is_empty() {
            div.row.lane {
                div.label { b { (lane.name()) } " " span.quiet { (number) } }
                div.plot {
                    (axis.back())
                    @for mark in &marks {
                        span.mark style=(format!("left:{}", axis.percent(mark.at_s))) title=(format!("{}: {}", clock(mark.at_s), mark.words)) { (mark.glyph) }
                    }
                    @if lane == Lane::Stages { (stage_names(&marks, axis)) }
                }
            }
        }
    }
}

/// Names beside the marks, where there is room before the next.
fn stage_names(marks: &[Mark], axis: &Axis) -> Markup {
    html! {
        @for (index, mark) in marks.iter().enumerate() {
            @let until = marks.get(index + 1).map_or(axis.end_s, |next| next.at_s);
            @let room = (until - mark.at_s) / axis.end_s * 100.0;
            @if room > 6.0 { span.stage style=(format!("left:{};max-width:{:.1}%", axis.percent(mark.at_s), room - 1.0)) { (mark.words) } }
        }
    }
}

fn chart_row(chart: &Chart, axis: &Axis) -> Markup {
    let (most, last) = (|line: &Line| chart.unit.tell(line.peak), |line: &Line| chart.unit.tell(line.last));
    let lines = chart
        .lines
        .iter()
        .map(|line| format!("{}: most {}, last {}", line.name, most(line), last(line)))
        .collect::<Vec<_>>()
        .join("; ");
    let spoken = format!("{} over {}. {lines}", chart.title, seconds(axis.end_s));
    html! {
        div.row.vital {
            div.label {
                div { b { (chart.title) } span.quiet { "most · last" } }
                ul {
                    @for (line, class) in chart.lines.iter().zip(CLASSES) {
                        li { span { span.swatch.(class) aria-hidden="true" {} " " (line.name) } " " span.quiet { (most(line)) " · " (last(line)) } }
                    }
                }
            }
            div.plot {
                (axis.back())
                (svg(chart, axis.end_s, &spoken))
                span.top aria-hidden="true" { (chart.unit.tell(chart.unit.ceiling(chart.peak()))) }
            }
        }
    }
}

/// The marks in words; heartbeats and progress only by their number.
fn list(happened: &[Happening<'_>]) -> Markup {
    let told: Vec<_> = happened.iter().filter(|one| !matches!(one.lane, Lane::Heartbeats | Lane::Progress)).collect();
    let skipped = told.len().saturating_sub(LISTED);
    html! {
        @if !told.is_empty() {
            details.events {
                summary { "The marks in words (" (told.len()) ")" }
                ol.actions {
                    @for (index, one) in told.iter().enumerate() {
                        @if skipped > 0 && index == LISTED / 3 { li.quiet { span.at {} span { "… " (skipped) " left out here …" } } }
                        @if skipped == 0 || index < LISTED / 3 || index >= LISTED / 3 + skipped {
                            li { span.at { (clock(one.at_s)) } span { (one.lane.name()) ": " (one.words()) } }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_has_a_few_round_ticks() {
        for end_s in [0.001, 0.05, 0.1, 5.3, 59.0, 600.0, 36_000.0, 4e6] {
            let ticks = ticks(end_s);
            assert!(!ticks.is_empty() && ticks.len() <= 9, "{end_s}: {ticks:?}");
        }
        assert_eq!(ticks(5.3), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(
            (tick_words(0.5), tick_words(300.0), tick_words(9000.0)),
            ("0.5 s".to_owned(), "5 min".to_owned(), "2:30 h".to_owned())
        );
    }
}
