//! Vital signs as lines over time: rates from counters, gauges as they are.

use defib_core::event::{Entry, Event};
use defib_core::facts::Vitals;
use defib_core::telling::{grouped, size};

/// Points kept of a line.
pub(super) const MOST_POINTS: usize = 600;
/// GPUs shown.
const GPUS: usize = 8;

/// Time in seconds, value.
pub(super) type Point = (f64, f64);

/// What a value means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// Whole CPU cores.
    Cores,
    /// Bytes.
    Bytes,
    /// Bytes a second.
    ByteRate,
    /// Times a second.
    Rate,
    /// A number of things.
    Count,
    /// 0 to 100.
    Percent,
}

impl Unit {
    /// A value in words.
    pub(super) fn tell(self, value: f64) -> String {
        match self {
            Self::Cores if value < 0.995 => format!("{value:.2} cores"),
            Self::Cores => format!("{value:.1} cores"),
            Self::Bytes => size(whole(value)),
            Self::ByteRate => format!("{}/s", size(whole(value))),
            Self::Rate if value > 0.0 && value < 10.0 => format!("{value:.1}/s"),
            Self::Rate => format!("{}/s", grouped(whole(value))),
            Self::Count => grouped(whole(value)),
            Self::Percent if value > 0.0 && value < 10.0 => format!("{value:.1} %"),
            Self::Percent => format!("{value:.0} %"),
        }
    }

    /// A round value at or above the peak, for the top of the chart.
    pub(super) fn ceiling(self, peak: f64) -> f64 {
        let base: f64 = if matches!(self, Self::Bytes | Self::ByteRate) { 1024.0 } else { 1000.0 };
        let mut scale = if self == Self::Cores || self == Self::Percent { 0.1 } else { 1.0 };
        while scale * base < peak && scale < 1e300 {
            scale *= base;
        }
        let steps = [
            1.0, 2.0, 4.0, 8.0, 10.0, 16.0, 20.0, 32.0, 40.0, 64.0, 80.0, 100.0, 128.0, 200.0, 256.0, 400.0, 512.0,
            800.0,
        ];
        steps.iter().map(|step| step * scale).find(|top| *top >= peak).unwrap_or(scale * base)
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, and is only shown")]
fn whole(value: f64) -> u64 {
    value.round() as u64
}

/// One line of a chart.
#[derive(Debug, Clone)]
pub(super) struct Line {
    /// What it shows.
    pub(super) name: String,
    /// At most [`MOST_POINTS`].
    pub(super) points: Vec<Point>,
    /// Highest value before points were left out.
    pub(super) peak: f64,
    /// Last value.
    pub(super) last: f64,
}

/// Lines that share a scale.
#[derive(Debug, Clone)]
pub(super) struct Chart {
    /// What it shows.
    pub(super) title: String,
    /// Of all its lines.
    pub(super) unit: Unit,
    /// The lines.
    pub(super) lines: Vec<Line>,
}

impl Chart {
    /// Highest value of all lines.
    pub(super) fn peak(&self) -> f64 {
        self.lines.iter().map(|line| line.peak).fold(0.0, f64::max)
    }
}

/// Samples in order of time.
pub(super) fn samples(entries: &[Entry]) -> Vec<&Vitals> {
    let vitals = entries.iter().filter_map(|entry| match &entry.event {
        Event::Sample { vitals } if vitals.at_s.is_finite() && vitals.at_s >= 0.0 => Some(vitals),
        _ => None,
    });
    let mut samples: Vec<&Vitals> = vitals.collect();
    samples.sort_by(|one, other| one.at_s.total_cmp(&other.at_s));
    samples
}

/// All charts, those with nothing to show included.
pub(super) fn charts(samples: &[&Vitals]) -> Vec<Chart> {
    let rate = |name: &str, of: fn(&Vitals) -> f64| line(name, rates(samples, of));
    let gauge = |name: &str, of: fn(&Vitals) -> Option<f64>| line(name, gauges(samples, of));
    let chart = |title: &str, unit, lines: Vec<Option<Line>>| Chart {
        title: title.to_owned(),
        unit,
        lines: lines.into_iter().flatten().collect(),
    };
    let mut charts = vec![
        chart("CPU", Unit::Cores, vec![rate("used", |vitals| vitals.cpu_s)]),
        chart(
            "Memory",
            Unit::Bytes,
            vec![
                gauge("resident (RSS)", |vitals| Some(float(vitals.rss_bytes))),
                gauge("own share (PSS)", |vitals| vitals.pss_bytes.map(float)),
            ],
        ),
        chart("Output", Unit::ByteRate, vec![rate("printed", |vitals| float(vitals.output_bytes))]),
        chart(
            "Storage",
            Unit::ByteRate,
            vec![
                rate("read", |vitals| float(vitals.read_bytes)),
                rate("written", |vitals| float(vitals.written_bytes)),
            ],
        ),
        chart(
            "Network",
            Unit::ByteRate,
            vec![rate("received", |vitals| float(vitals.net_received)), rate("sent", |vitals| float(vitals.net_sent))],
        ),
        chart("Context switches", Unit::Rate, vec![rate("of main threads", |vitals| float(vitals.switches))]),
        chart(
            "Processes and threads",
            Unit::Count,
            vec![
                gauge("threads", |vitals| Some(f64::from(vitals.threads))),
                gauge("processes", |vitals| Some(f64::from(vitals.processes))),
            ],
        ),
        chart(
            "Pressure",
            Unit::Percent,
            vec![
                gauge("waits for CPU", |vitals| vitals.pressure.map(|pressure| pressure.cpu)),
                gauge("for memory", |vitals| vitals.pressure.map(|pressure| pressure.memory)),
                gauge("for storage", |vitals| vitals.pressure.map(|pressure| pressure.io)),
            ],
        ),
    ];
    charts.extend(gpus(samples));
    charts
}

fn gpus(samples: &[&Vitals]) -> Vec<Chart> {
    let mut indices: Vec<u32> = samples.iter().flat_map(|vitals| &vitals.gpus).map(|gpu| gpu.index).collect();
    indices.sort_unstable();
    indices.dedup();
    let mut charts = Vec::new();
    for index in indices.into_iter().take(GPUS) {
        let gpu = |vitals: &Vitals| vitals.gpus.iter().find(|gpu| gpu.index == index).cloned();
        let used = gauges(samples, |vitals| gpu(vitals)?.utilization.map(f64::from));
        let own = gauges(samples, |vitals| gpu(vitals)?.tree_bytes.map(float));
        let all = gauges(samples, |vitals| gpu(vitals).map(|gpu| float(gpu.used_bytes)));
        charts.push(Chart {
            title: format!("GPU {index}"),
            unit: Unit::Percent,
            lines: line("in use", used).into_iter().collect(),
        });
        let lines = [line("this run", own), line("everybody", all)].into_iter().flatten().collect();
        charts.push(Chart { title: format!("GPU {index} memory"), unit: Unit::Bytes, lines });
    }
    charts
}

#[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
fn float(number: u64) -> f64 {
    number as f64
}

fn line(name: &str, points: Vec<Point>) -> Option<Line> {
    let last = points.last()?.1;
    let peak = points.iter().map(|point| point.1).fold(0.0, f64::max);
    Some(Line { name: name.to_owned(), points: thin(points, MOST_POINTS), peak, last })
}

/// Growth of a counter a second, as steps. A counter that falls (the run was
/// started again) has not grown.
fn rates(samples: &[&Vitals], of: impl Fn(&Vitals) -> f64) -> Vec<Point> {
    let mut points = Vec::new();
    let mut before: Option<&Vitals> = None;
    for sample in samples {
        let Some(earlier) = before else {
            before = Some(sample);
            continue;
        };
        let passed = sample.at_s - earlier.at_s;
        if passed < 0.01 {
            continue;
        }
        let rate = ((of(sample) - of(earlier)) / passed).max(0.0);
        if rate.is_finite() {
            points.extend([(earlier.at_s, rate), (sample.at_s, rate)]);
        }
        before = Some(sample);
    }
    points
}

fn gauges(samples: &[&Vitals], of: impl Fn(&Vitals) -> Option<f64>) -> Vec<Point> {
    let points = samples.iter().filter_map(|sample| Some((sample.at_s, of(sample)?)));
    points.filter(|point| point.1.is_finite()).collect()
}

/// At most `most` points; the lowest and highest of each part stay.
pub(super) fn thin(points: Vec<Point>, most: usize) -> Vec<Point> {
    if points.len() <= most {
        return points;
    }
    let parts = (most / 2).saturating_sub(1).max(1);
    let mut kept: Vec<Point> = points.first().copied().into_iter().collect();
    for part in points.chunks(points.len().div_ceil(parts)) {
        let index = |best: fn(f64, f64) -> bool| {
            (1..part.len()).fold(0, |chosen, next| if best(part[next].1, part[chosen].1) { next } else { chosen })
        };
        let (low, high) = (index(|one, other| one < other), index(|one, other| one > other));
        kept.push(part[low.min(high)]);
        if low != high {
            kept.push(part[low.max(high)]);
        }
    }
    kept.extend(points.last().copied());
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_the_peaks() {
        let mut points: Vec<Point> = (0..100_000).map(|index| (f64::from(index), 1.0)).collect();
        points[54_321].1 = 9.0;
        points[77_777].1 = -3.0;
        let kept = thin(points, 600);
        assert!(kept.len() <= 600 && kept.contains(&(54_321.0, 9.0)) && kept.contains(&(77_777.0, -3.0)));
        assert!(kept.is_sorted_by(|one, other| one.0 <= other.0));
        assert_eq!((kept[0].0, kept[kept.len() - 1].0), (0.0, 99_999.0));
    }

    #[test]
    fn a_rate_is_growth_over_time_and_never_negative() {
        let at = |at_s, cpu_s| Vitals { at_s, cpu_s, ..Vitals::default() };
        let (one, two, three) = (at(0.0, 1.0), at(2.0, 5.0), at(3.0, 0.5));
        let points = rates(&[&one, &two, &three], |vitals| vitals.cpu_s);
        assert_eq!(points, [(0.0, 2.0), (2.0, 2.0), (2.0, 0.0), (3.0, 0.0)]);
        assert!(rates(&[&one], |vitals| vitals.cpu_s).is_empty());
    }

    #[test]
    fn the_top_is_round_and_not_below_the_peak() {
        for (unit, peak) in [
            (Unit::Bytes, 37_621_760.0),
            (Unit::Cores, 1.02),
            (Unit::Count, 4.0),
            (Unit::Percent, 87.0),
            (Unit::Rate, 0.3),
            (Unit::ByteRate, 1e18),
        ] {
            let top = unit.ceiling(peak);
            assert!(top >= peak && top <= peak.max(1.0) * 2.6, "{unit:?} {peak} {top}");
        }
        assert_eq!(Unit::Bytes.tell(Unit::Bytes.ceiling(37_621_760.0)), "40.0 MiB");
    }
}
