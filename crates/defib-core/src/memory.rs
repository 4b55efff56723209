//! The memory policy: what is done when a run uses too much, or grows too fast.
//!
//! Thresholds are absolute, a share of the machine, or a growth for each unit of work,
//! of host memory or of GPU memory. Three things can be done: warn, recycle (let the
//! unit of work be finished, then start afresh) and stop. [`Watch`] is a state machine
//! without a clock: readings go in, decisions come out.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::slope::{Point, slope};
use crate::telling::size;

/// What a threshold is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// Host memory of the whole tree, shared pages counted once (PSS).
    Host,
    /// GPU memory of the whole tree on one GPU.
    Gpu,
    /// Growth of host memory for each unit of work.
    Growth,
    /// Growth of GPU memory for each unit of work.
    GpuGrowth,
}

impl Measure {
    /// As it is written in front of a threshold.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Gpu => "vram",
            Self::Growth => "growth",
            Self::GpuGrowth => "vram-growth",
        }
    }

    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Host => "memory",
            Self::Gpu => "GPU memory",
            Self::Growth => "memory growth for each unit of work",
            Self::GpuGrowth => "GPU memory growth for each unit of work",
        }
    }

    fn grows(self) -> bool {
        matches!(self, Self::Growth | Self::GpuGrowth)
    }
}

/// How much.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Amount {
    /// So many bytes.
    Bytes(u64),
    /// This share of what there is, 0 to 1.
    Share(f64),
}

impl Amount {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of bytes"
    )]
    fn of(self, whole: u64) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Share(share) => (whole as f64 * share) as u64,
        }
    }
}

/// One threshold: `16GiB`, `80%`, `vram=10GiB`, `growth=200MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// Of what.
    pub measure: Measure,
    /// How much.
    pub amount: Amount,
}

/// A threshold cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no memory threshold; write a size or a share of the machine, like 16GiB or 80%, \
     after vram= for GPU memory, or a size after growth= or vram-growth= for each unit of work"
)]
pub struct InvalidThreshold(pub String);

impl Threshold {
    /// Reads a threshold; `size` reads what is written like `4GiB`.
    ///
    /// # Errors
    /// Where it is none: an unknown measure, a share over 100 %, a share of a growth.
    pub fn read(text: &str, size: impl Fn(&str) -> Option<u64>) -> Result<Self, InvalidThreshold> {
        let wrong = || InvalidThreshold(text.to_owned());
        let (measure, amount) = match text.trim().split_once('=') {
            None => (Measure::Host, text.trim()),
            Some((name, amount)) => {
                let all = [Measure::Host, Measure::Gpu, Measure::Growth, Measure::GpuGrowth];
                let found = all.into_iter().find(|measure| measure.name() == name.trim());
                (found.ok_or_else(wrong)?, amount.trim())
            }
        };
        let amount = match amount.strip_suffix('%') {
            None => Amount::Bytes(size(amount).filter(|&bytes| bytes > 0).ok_or_else(wrong)?),
            Some(percent) => {
                let percent = f64::from_str(percent.trim()).map_err(|_| wrong())?;
                let sound = !measure.grows() && percent > 0.0 && percent <= 100.0;
                Amount::Share(if sound { percent / 100.0 } else { return Err(wrong()) })
            }
        };
        Ok(Self { measure, amount })
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.measure != Measure::Host {
            write!(out, "{}=", self.measure.name())?;
        }
        match self.amount {
            Amount::Bytes(bytes) => write!(out, "{}", size(bytes)),
            Amount::Share(share) => write!(out, "{:.0}%", share * 100.0),
        }
    }
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// Say so.
    Warn,
    /// Let the unit of work be finished, then start afresh.
    Recycle,
    /// End it.
    Stop,
}

impl Act {
    /// Its name in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Recycle => "recycle",
            Self::Stop => "stop",
        }
    }
}

/// The policy of a run or worker.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Policy {
    /// Each threshold with what is done when it is passed.
    pub rules: Vec<(Act, Threshold)>,
}

impl Policy {
    /// Adds a threshold.
    pub fn add(&mut self, act: Act, threshold: Threshold) {
        self.rules.push((act, threshold));
    }

    /// There is a rule with this act.
    #[must_use]
    pub fn has(&self, act: Act) -> bool {
        self.rules.iter().any(|(own, _)| *own == act)
    }

    /// The lowest host memory at which the run is stopped, bytes, on a machine of this
    /// size: what a control group can hold.
    #[must_use]
    pub fn stop_bytes(&self, machine_bytes: u64) -> Option<u64> {
        let stops = self.rules.iter().filter(|(act, rule)| *act == Act::Stop && rule.measure == Measure::Host);
        stops.map(|(_, rule)| rule.amount.of(machine_bytes)).min()
    }
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reading {
    /// Seconds since the start of the run.
    pub at_s: f64,
    /// Host memory of the tree, bytes.
    pub host_bytes: u64,
    /// `host_bytes` counts shared pages once; otherwise it is an upper bound.
    pub exact: bool,
    /// GPU memory of the tree and size of the GPU, for each GPU, bytes.
    pub gpus: Vec<(u64, u64)>,
    /// Units of work that are done, where they are told.
    pub units: Option<f64>,
}

/// What the policy wants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// What is to be done.
    pub act: Act,
    /// Because of which measure.
    pub measure: Measure,
    /// What was used, or the growth for each unit, bytes.
    pub used_bytes: u64,
    /// The threshold, bytes.
    pub limit_bytes: u64,
}

impl Decision {
    /// `memory 12.1 GiB is over 12.0 GiB`.
    #[must_use]
    pub fn words(&self) -> String {
        format!("{} {} is over {}", self.measure.words(), size(self.used_bytes), size(self.limit_bytes))
    }
}

/// What comes of a reading.
#[derive(Debug, Clone, PartialEq)]
pub enum Advice {
    /// A threshold may be passed: weigh the tree exactly, and come again.
    Weigh,
    /// Do this.
    Do(Decision),
}

/// Points of growth that are kept.
const MOST_POINTS: usize = 120;
/// A warning is given again once the measure has fallen below this share of the threshold.
const REARM: f64 = 0.9;

/// The policy at work on one run.
#[derive(Debug, Clone)]
pub struct Watch {
    policy: Policy,
    machine_bytes: u64,
    /// Which rules have fired and not been rearmed.
    fired: Vec<bool>,
    host: Vec<Point>,
    gpu: Vec<Point>,
}

impl Watch {
    /// Shares of host memory are shares of `machine_bytes`.
    #[must_use]
    pub fn new(policy: Policy, machine_bytes: u64) -> Self {
        let fired = vec![false; policy.rules.len()];
        Self { policy, machine_bytes, fired, host: Vec::new(), gpu: Vec::new() }
    }

    /// Takes a reading; the gravest decision last.
    pub fn read(&mut self, reading: &Reading) -> Vec<Advice> {
        self.note(reading);
        let mut advice = Vec::new();
        for index in 0..self.policy.rules.len() {
            let (act, threshold) = self.policy.rules[index];
            let Some((used, limit)) = self.measured(threshold, reading) else { continue };
            if used <= limit {
                #[expect(clippy::cast_precision_loss, reason = "compared roughly")]
                let low = (used as f64) < limit as f64 * REARM;
                self.fired[index] &= !low || act != Act::Warn;
                continue;
            }
            if self.fired[index] {
                continue;
            }
            if threshold.measure == Measure::Host && !reading.exact {
                if !advice.contains(&Advice::Weigh) {
                    advice.push(Advice::Weigh);
                }
                continue;
            }
            self.fired[index] = true;
            let decision = Decision { act, measure: threshold.measure, used_bytes: used, limit_bytes: limit };
            advice.push(Advice::Do(decision));
        }
        advice.sort_by_key(|one| match one {
            Advice::Weigh => None,
            Advice::Do(decision) => Some(decision.act),
        });
        advice
    }

    fn note(&mut self, reading: &Reading) {
        let Some(units) = reading.units else { return };
        let gpu: u64 = reading.gpus.iter().map(|(used, _)| used).sum();
        for (points, bytes) in [(&mut self.host, reading.host_bytes), (&mut self.gpu, gpu)] {
            // Exact and inexact readings must not be mixed into one line.
            let new = points.last().is_none_or(|last| units > last.units) && !reading.exact;
            if new {
                points.push(Point { units, bytes });
            }
            if points.len() > MOST_POINTS {
                // The beginning matters least: it holds what every start needs.
                points.remove(0);
            }
        }
    }

    /// What is used and what is allowed, in bytes; `None` where nothing can be said.
    fn measured(&self, threshold: Threshold, reading: &Reading) -> Option<(u64, u64)> {
        match threshold.measure {
            Measure::Host => Some((reading.host_bytes, threshold.amount.of(self.machine_bytes))),
            Measure::Gpu => {
                let over = |&(used, whole): &(u64, u64)| (used, threshold.amount.of(whole));
                reading.gpus.iter().map(over).max_by_key(|(used, limit)| used.saturating_sub(*limit))
            }
            Measure::Growth => Some((growing(&self.host)?, threshold.amount.of(0))),
            Measure::GpuGrowth => Some((growing(&self.gpu)?, threshold.amount.of(0))),
        }
    }
}

/// Bytes for each unit of work, once that is known and goes on.
fn growing(points: &[Point]) -> Option<u64> {
    let slope = slope(points)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive number of bytes")]
    slope.goes_on().then_some(slope.bytes_per_unit.max(0.0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GIB: u64 = 1 << 30;

    fn mib(text: &str) -> Option<u64> {
        text.strip_suffix("MiB")?.parse::<u64>().ok().map(|mib| mib << 20)
    }

    fn policy(rules: &[(Act, &str)]) -> Policy {
        let rules = rules.iter().map(|(act, text)| (*act, Threshold::read(text, mib).unwrap())).collect();
        Policy { rules }
    }

    fn decisions(advice: &[Advice]) -> Vec<(Act, Measure)> {
        let one = |one: &Advice| match one {
            Advice::Do(decision) => Some((decision.act, decision.measure)),
            Advice::Weigh => None,
        };
        advice.iter().filter_map(one).collect()
    }

    #[test]
    fn thresholds_read_and_are_shown() {
        for (text, shown) in [("100MiB", "100 MiB"), (" vram = 80% ", "vram=80%"), ("growth=5MiB", "growth=5.0 MiB")] {
            assert_eq!(Threshold::read(text, mib).unwrap().to_string(), shown);
        }
        for text in ["", "12", "ram=1MiB", "growth=5%", "0%", "101%", "vram=", "0MiB", "x%"] {
            let error = Threshold::read(text, mib).unwrap_err().to_string();
            assert!(error.contains("like 16GiB or 80%"), "{text}: {error}");
        }
    }

    #[test]
    fn an_upper_bound_is_weighed_before_anything_is_done() {
        let mut watch = Watch::new(policy(&[(Act::Stop, "100MiB")]), GIB);
        let reading = Reading { host_bytes: 200 << 20, ..Reading::default() };
        assert_eq!(watch.read(&reading), [Advice::Weigh]);
        let weighed = Reading { host_bytes: 90 << 20, exact: true, ..reading.clone() };
        assert_eq!(watch.read(&weighed), []);
        let weighed = Reading { host_bytes: 101 << 20, exact: true, ..reading };
        assert_eq!(decisions(&watch.read(&weighed)), [(Act::Stop, Measure::Host)]);
    }

    #[test]
    fn a_warning_is_said_once_and_again_after_a_fall() {
        let mut watch = Watch::new(policy(&[(Act::Warn, "50%")]), 100);
        let mut at =
            |bytes| decisions(&watch.read(&Reading { host_bytes: bytes, exact: true, ..Reading::default() })).len();
        assert_eq!([at(51), at(60), at(49), at(60), at(44), at(60)], [1, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn growth_counts_units_and_not_time() {
        let rules = [(Act::Recycle, "growth=10MiB")];
        let step = |watch: &mut Watch, unit: f64, mib: u64| {
            let reading = Reading { at_s: unit, host_bytes: mib << 20, units: Some(unit), exact: false, gpus: vec![] };
            decisions(&watch.read(&reading)).len()
        };
        let mut grows = Watch::new(policy(&rules), GIB);
        let fired: usize =
            (0..20).map(|unit| step(&mut grows, f64::from(unit), 500 + 12 * u64::from(unit as u32))).sum();
        assert_eq!(fired, 1);
        // A plateau after the first units is none, however steep they were.
        let mut flat = Watch::new(policy(&rules), GIB);
        let fired: usize =
            (0..40).map(|unit| step(&mut flat, f64::from(unit), 500 + 50 * u64::from(unit.min(4) as u32))).sum();
        assert_eq!(fired, 0);
    }

    #[test]
    fn the_fullest_gpu_counts() {
        let mut watch = Watch::new(policy(&[(Act::Stop, "vram=80%")]), GIB);
        let reading = Reading { gpus: vec![(10, 100), (85, 100)], ..Reading::default() };
        assert_eq!(decisions(&watch.read(&reading)), [(Act::Stop, Measure::Gpu)]);
    }

    proptest! {
        /// Nothing is ever done for an inexact reading of host memory, or below every
        /// threshold; no rule fires twice in a row; the gravest comes last.
        #[test]
        fn decisions_follow_from_what_was_read(
            sizes in proptest::collection::vec((0u64..200, any::<bool>()), 1..60),
            warn in 1u64..150, stop in 1u64..150,
        ) {
            let rules = vec![
                (Act::Warn, Threshold { measure: Measure::Host, amount: Amount::Bytes(warn) }),
                (Act::Stop, Threshold { measure: Measure::Host, amount: Amount::Bytes(stop) }),
            ];
            let mut watch = Watch::new(Policy { rules }, 100);
            let mut stops = 0;
            for (host_bytes, exact) in sizes {
                let advice = watch.read(&Reading { host_bytes, exact, ..Reading::default() });
                let done = decisions(&advice);
                prop_assert!(done.is_empty() || exact);
                prop_assert!(done.is_empty() || host_bytes > warn.min(stop));
                prop_assert!(done.windows(2).all(|pair| pair[0].0 <= pair[1].0));
                prop_assert!(!advice.contains(&Advice::Weigh) || !exact);
                stops += done.iter().filter(|(act, _)| *act == Act::Stop).count();
            }
            prop_assert!(stops <= 1);
        }
    }
}
