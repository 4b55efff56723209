//! Weights from counts, and verdicts with each program left out in turn.

use std::collections::BTreeMap;

use defib_core::case::Study;
use defib_core::cause::Sign;
use defib_core::diagnose::{Diagnosis, diagnose_with};
use defib_core::weights::{Ratio, Weights};

use crate::seen::{Found, Seen};

/// What is assumed of a sign before any count, worth one program: how often it is
/// seen with its cause and without, and how often it is missed.
const SEEN: (f64, f64) = (0.6, 0.1);
/// See [`SEEN`].
const MISSED: (f64, f64) = (0.3, 0.5);
/// Weight of the pooled rate in the rate of a class of proofs.
const POOLED: f64 = 4.0;

/// Verdicts on each program by weights that never saw it.
pub(crate) struct LeftOut {
    /// In the order of the programs; `None` where only the program's own report exists.
    pub(crate) diagnoses: Vec<Option<Diagnosis>>,
    pub(crate) prior: f64,
    pub(crate) temperature: f64,
}

/// Leaves each program out in turn. Prior and temperature are the pair of a
/// small grid with the least surprise (log loss) over the programs left out.
pub(crate) fn left_out(all: &[Seen]) -> LeftOut {
    let others = |index: usize| -> Vec<&Seen> {
        all.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, seen)| seen).collect()
    };
    let raw: Vec<Weights> = (0..all.len()).map(|index| fit(&others(index), 0.0, 1.0)).collect();
    let mut best = (f64::INFINITY, -2.0, 1.0);
    for prior in [-3.5, -3.0, -2.5, -2.0, -1.5, -1.0, -0.5, 0.0] {
        for temperature in [0.5, 0.7, 0.85, 1.0, 1.25, 1.5, 2.0] {
            let loss: f64 = all.iter().zip(&raw).map(|(seen, raw)| surprise(seen, raw, prior, temperature)).sum();
            if loss < best.0 {
                best = (loss, prior, temperature);
            }
        }
    }
    let (_, prior, temperature) = best;
    let diagnoses = all.iter().zip(raw).map(|(seen, raw)| {
        let weights = Weights { prior, temperature, ..raw };
        seen.case.as_ref().map(|case| diagnose_with(&Study::new(case), &weights))
    });
    LeftOut { diagnoses: diagnoses.collect(), prior, temperature }
}

/// Negative logarithm of the share that the weighed findings give the truth.
fn surprise(seen: &Seen, raw: &Weights, prior: f64, temperature: f64) -> f64 {
    let weighed: Vec<&Found> = seen.found.iter().filter(|found| found.proof.is_none()).collect();
    let proved = seen.found.iter().any(|found| found.proof.is_some());
    if proved || weighed.is_empty() {
        return 0.0;
    }
    let weights = Weights { prior, temperature, ..raw.clone() };
    let odds = |found: &Found| weights.log_odds(found.cause, &found.signs).exp();
    let total: f64 = 1.0 + weighed.iter().map(|found| odds(found)).sum::<f64>();
    let right = weighed.iter().find(|found| Some(found.cause) == seen.truth.as_deref());
    // Where the truth is not among them, `unknown` is the honest answer.
    let share = right.map_or(1.0, |found| odds(found)) / total;
    -share.max(1e-6).ln()
}

/// Fits weights to these programs.
pub(crate) fn fit(all: &[&Seen], prior: f64, temperature: f64) -> Weights {
    let judged: Vec<&&Seen> = all.iter().filter(|seen| seen.case.is_some()).collect();
    Weights {
        programs: u32::try_from(judged.len()).unwrap_or(u32::MAX),
        prior,
        temperature,
        proofs: proofs(&judged),
        signs: signs(&judged),
    }
}

/// A sign's ratios: how often it is seen with its cause, against how often in
/// the other runs in which anything had to be weighed.
fn signs(judged: &[&&Seen]) -> BTreeMap<String, BTreeMap<String, Ratio>> {
    let weighed = |seen: &Seen| seen.found.iter().any(|found| found.proof.is_none());
    let population: Vec<&&&Seen> = judged.iter().filter(|seen| weighed(seen)).collect();
    let mut known: BTreeMap<(&str, &str), ()> = BTreeMap::new();
    for found in population.iter().flat_map(|seen| &seen.found) {
        for sign in &found.signs {
            known.insert((found.cause, sign.name), ());
        }
    }
    let mut ratios: BTreeMap<String, BTreeMap<String, Ratio>> = BTreeMap::new();
    for (cause, name) in known.into_keys() {
        let sign = |seen: &Seen| -> Option<Sign> {
            let found = seen.found.iter().find(|found| found.cause == cause)?;
            found.signs.iter().find(|sign| sign.name == name).copied()
        };
        let rate = |with: bool, seen_as: bool| -> f64 {
            let of: Vec<&&&&Seen> =
                population.iter().filter(|seen| (seen.truth.as_deref() == Some(cause)) == with).collect();
            let listed: Vec<Sign> = of.iter().filter_map(|seen| sign(seen)).collect();
            let hits = listed.iter().filter(|sign| sign.seen == seen_as).count();
            // A missed sign speaks only where it was looked for.
            let base = if seen_as { of.len() } else { listed.len() };
            let assumed = match (seen_as, with) {
                (true, true) => SEEN.0,
                (true, false) => SEEN.1,
                (false, true) => MISSED.0,
                (false, false) => MISSED.1,
            };
            (count(hits) + assumed) / (count(base) + 1.0)
        };
        let ratio = Ratio {
            seen: round((rate(true, true) / rate(false, true)).ln()),
            missed: round((rate(true, false) / rate(false, false)).ln()),
        };
        ratios.entry(cause.to_owned()).or_default().insert(name.to_owned(), ratio);
    }
    ratios
}

/// How often the first proof of a run was right, by class.
fn proofs(judged: &[&&Seen]) -> BTreeMap<String, f64> {
    let mut classes: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for seen in judged {
        let first = seen.found.iter().filter(|found| found.proof.is_some()).min_by_key(|found| found.rank);
        let Some(class) = first.and_then(|found| found.proof.clone()) else { continue };
        let right = first.map(|found| found.cause) == seen.truth.as_deref();
        for class in [class, "all".to_owned()] {
            let entry = classes.entry(class).or_default();
            entry.0 += usize::from(right);
            entry.1 += 1;
        }
    }
    let (right, total) = classes.get("all").copied().unwrap_or((0, 0));
    let pooled = (count(right) + 1.0) / (count(total) + 2.0);
    let rate = |(right, total): (usize, usize)| round((count(right) + POOLED * pooled) / (count(total) + POOLED));
    classes.into_iter().map(|(class, counts)| (class, rate(counts))).collect()
}

#[expect(clippy::cast_precision_loss, reason = "counts of programs")]
fn count(number: usize) -> f64 {
    number as f64
}

fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
