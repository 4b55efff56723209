//! The figures: how often right, how sure, how fast, against a baseline.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use defib_core::diagnose::Diagnosis;
use serde::Serialize;

use crate::baseline;
use crate::seen::Seen;

/// A share with its 95 % interval (Wilson).
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Share {
    pub(crate) hits: usize,
    pub(crate) of: usize,
    pub(crate) share: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// A value with its 95 % bootstrap interval.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Value {
    pub(crate) value: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// Programs whose first cause was stated with about the same probability.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Bin {
    pub(crate) stated: f64,
    pub(crate) right: f64,
    pub(crate) programs: usize,
}

/// Everything.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    pub(crate) faulty: usize,
    pub(crate) healthy: usize,
    pub(crate) top1: Share,
    pub(crate) top3: Share,
    pub(crate) macro_f1: f64,
    pub(crate) outcome: Share,
    pub(crate) place: Share,
    pub(crate) brier: Value,
    pub(crate) ece: Value,
    pub(crate) reliability: Vec<Bin>,
    pub(crate) false_alarms: usize,
    pub(crate) healthy_hours: f64,
    pub(crate) delay_p50_s: f64,
    pub(crate) delay_p95_s: f64,
    pub(crate) baseline_top1: Share,
    pub(crate) baseline_alarms: usize,
    /// Cause → what was named instead → how often.
    pub(crate) confusion: BTreeMap<String, BTreeMap<String, usize>>,
    pub(crate) wrong: BTreeMap<String, Vec<String>>,
}

/// One judged program: what was named, how sure.
struct Answer<'a> {
    seen: &'a Seen,
    ids: Vec<String>,
    probability: f64,
}

/// Measures the verdicts; without a verdict the program's own report counts.
pub(crate) fn measure(all: &[Seen], diagnoses: &[Option<Diagnosis>]) -> Measured {
    let answers: Vec<Answer<'_>> = all.iter().zip(diagnoses).map(|(seen, diagnosis)| answer(seen, diagnosis)).collect();
    let (healthy, faulty): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.seen.healthy);
    let rank = |answer: &Answer<'_>| answer.ids.iter().position(|id| Some(id) == answer.seen.truth.as_ref());
    let top = |most: usize| faulty.iter().filter(|answer| rank(answer).is_some_and(|rank| rank < most)).count();
    let sure: Vec<(f64, bool)> = faulty
        .iter()
        .filter(|answer| answer.ids.first().is_some_and(|id| id != "unknown"))
        .map(|answer| (answer.probability, rank(answer) == Some(0)))
        .collect();
    let alarm = |answer: &&&Answer<'_>| {
        let named = answer.ids.iter().any(|id| id != "interrupted");
        named || answer.seen.report["outcome"]["kind"] == "stalled"
    };
    let alarms: Vec<&&Answer<'_>> = healthy.iter().filter(alarm).collect();
    let mut delays: Vec<f64> = all.iter().filter_map(|seen| seen.delay).map(|(delay, _)| delay).collect();
    delays.sort_by(f64::total_cmp);
    let places = all.iter().filter_map(|seen| seen.marks.place).collect::<Vec<_>>();
    let guess = |seen: &Seen| seen.case.as_ref().and_then(baseline::read);
    let guessed = faulty.iter().filter(|answer| guess(answer.seen) == answer.seen.truth.as_deref()).count();
    let mut wrong: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for answer in &answers {
        let mut what = answer.seen.marks.wrong.clone();
        let right = if answer.seen.healthy { !alarm(&&answer) } else { rank(answer) == Some(0) };
        if !right && what.is_empty() {
            what.push(format!("left out, it is called {:?}", answer.ids.first()));
        }
        if !what.is_empty() {
            wrong.insert(answer.seen.name.clone(), what);
        }
    }
    Measured {
        faulty: faulty.len(),
        healthy: healthy.len(),
        top1: share(top(1), faulty.len()),
        top3: share(top(3), faulty.len()),
        macro_f1: macro_f1(&faulty),
        outcome: share(all.iter().filter(|seen| seen.marks.outcome).count(), all.len()),
        place: share(places.iter().filter(|right| **right).count(), places.len()),
        brier: bootstrap(&sure, brier),
        ece: bootstrap(&sure, |sure| ece(&bins(sure), sure.len())),
        reliability: bins(&sure),
        false_alarms: alarms.len(),
        healthy_hours: healthy.iter().map(|answer| answer.seen.wall_s).sum::<f64>() / 3600.0,
        delay_p50_s: quantile(&delays, 0.5),
        delay_p95_s: quantile(&delays, 0.95),
        baseline_top1: share(guessed, faulty.len()),
        baseline_alarms: healthy
            .iter()
            .filter(|answer| guess(answer.seen).is_some_and(|id| id != "interrupted"))
            .count(),
        confusion: confusion(&faulty),
        wrong,
    }
}

fn answer<'a>(seen: &'a Seen, diagnosis: &Option<Diagnosis>) -> Answer<'a> {
    let (ids, probability) = match diagnosis {
        Some(diagnosis) => {
            let ids = diagnosis.causes.iter().map(|cause| cause.id.clone()).collect();
            (ids, diagnosis.causes.first().map_or(0.0, |cause| cause.probability))
        }
        None => {
            let causes = seen.report["causes"].as_array().map_or(&[][..], Vec::as_slice);
            let ids = causes.iter().filter_map(|cause| cause["id"].as_str().map(str::to_owned)).collect();
            (ids, causes.first().and_then(|cause| cause["probability"].as_f64()).unwrap_or(0.0))
        }
    };
    Answer { seen, ids, probability }
}

#[expect(clippy::cast_precision_loss, reason = "counts of programs")]
fn number(count: usize) -> f64 {
    count as f64
}

fn share(hits: usize, of: usize) -> Share {
    const Z: f64 = 1.96;
    let n = number(of).max(1.0);
    let p = number(hits) / n;
    let centre = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    Share { hits, of, share: p, low: (centre - half).max(0.0), high: (centre + half).min(1.0) }
}

fn macro_f1(faulty: &[&Answer<'_>]) -> f64 {
    let truth = |answer: &Answer<'_>| answer.seen.truth.clone().unwrap_or_default();
    let first = |answer: &Answer<'_>| answer.ids.first().cloned().unwrap_or_default();
    let causes: BTreeSet<String> = faulty.iter().map(|answer| truth(answer)).collect();
    let f1 = causes.iter().map(|cause| {
        let named = faulty.iter().filter(|answer| first(answer) == *cause).count();
        let is = faulty.iter().filter(|answer| truth(answer) == *cause).count();
        let both = faulty.iter().filter(|answer| first(answer) == *cause && truth(answer) == *cause).count();
        2.0 * number(both) / number(named + is).max(1.0)
    });
    f1.sum::<f64>() / number(causes.len()).max(1.0)
}

fn brier(sure: &[(f64, bool)]) -> f64 {
    let error = |(stated, right): &(f64, bool)| (stated - f64::from(u8::from(*right))).powi(2);
    sure.iter().map(error).sum::<f64>() / number(sure.len()).max(1.0)
}

/// Ten bins of equal width.
fn bins(sure: &[(f64, bool)]) -> Vec<Bin> {
    (0..10)
        .map(|index| {
            let (low, high) = (f64::from(index) / 10.0, f64::from(index + 1) / 10.0);
            let inside = |stated: f64| stated >= low && (stated < high || index == 9);
            let of: Vec<&(f64, bool)> = sure.iter().filter(|(stated, _)| inside(*stated)).collect();
            let n = number(of.len()).max(1.0);
            Bin {
                stated: of.iter().map(|(stated, _)| stated).sum::<f64>() / n,
                right: number(of.iter().filter(|(_, right)| *right).count()) / n,
                programs: of.len(),
            }
        })
        .collect()
}

fn ece(bins: &[Bin], all: usize) -> f64 {
    bins.iter().map(|bin| number(bin.programs) * (bin.stated - bin.right).abs()).sum::<f64>() / number(all).max(1.0)
}

/// Resamples whole programs a thousand times, always in the same way.
fn bootstrap(sure: &[(f64, bool)], of: impl Fn(&[(f64, bool)]) -> f64) -> Value {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap_or(0)
    };
    let mut values: Vec<f64> = (0..1000)
        .map(|_| {
            let again: Vec<(f64, bool)> = (0..sure.len()).map(|_| sure[draw() % sure.len()]).collect();
            of(&again)
        })
        .collect();
    values.sort_by(f64::total_cmp);
    Value { value: of(sure), low: quantile(&values, 0.025), high: quantile(&values, 0.975) }
}

fn quantile(sorted: &[f64], share: f64) -> f64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
    let index = (share * number(sorted.len().saturating_sub(1))).round() as usize;
    sorted.get(index).copied().unwrap_or(0.0)
}

fn confusion(faulty: &[&Answer<'_>]) -> BTreeMap<String, BTreeMap<String, usize>> {
    let mut table: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    for answer in faulty {
        let named = answer.ids.first().cloned().unwrap_or_else(|| "none".to_owned());
        *table.entry(answer.seen.truth.clone().unwrap_or_default()).or_default().entry(named).or_default() += 1;
    }
    table
}

/// The page. `left_out`: each program was judged by weights fitted to the others.
pub(crate) fn text(measured: &Measured, untried: &BTreeMap<String, String>, left_out: bool) -> String {
    let mut text = String::new();
    let shown = |share: &Share| {
        format!("{:.3} ({} of {}; {:.3} to {:.3})", share.share, share.hits, share.of, share.low, share.high)
    };
    let value = |value: &Value| format!("{:.3} ({:.3} to {:.3})", value.value, value.low, value.high);
    let verdict = |met: bool| if met { "met" } else { "FAIL" };
    let hours = measured.healthy_hours;
    // With none seen in so many hours, the rate is below this with 95 % confidence.
    let bound = 3.0 / hours.max(1e-9);
    let m = measured;
    let how = if left_out {
        "`bench/accuracy`: every program of `faults/` runs under defib and is judged by weights that were fitted to all the others."
    } else {
        "`bench/accuracy --programs`: programs that are not in `faults/` run under defib and are judged by the weights that it ships with."
    };
    let _ = write!(
        text,
        "# Accuracy\n\n{how} {} programs fail, {} are healthy. Intervals are 95 %.\n\n\
         | measure | defib | target | exit status, last line and `py-spy dump` |\n|---|---|---|---|\n\
         | first cause right | {} | ≥ 0.95 {} | {} |\n\
         | among the first three | {} | ≥ 0.99 {} | |\n\
         | macro F1 | {:.3} | | |\n\
         | outcome right | {} | | |\n\
         | place right, where one is expected | {} | | |\n\
         | Brier score of the first cause | {} | | |\n\
         | expected calibration error | {} | ≤ 0.05 {} | |\n\
         | false alarms | {} in {hours:.2} healthy hours (rate below {bound:.0} an hour) | 0 {} | {} |\n\
         | delay from the end (or last movement) to the report | p50 {:.2} s, p95 {:.2} s | | |\n\n![reliability](reliability.svg)\n",
        m.faulty,
        m.healthy,
        shown(&m.top1),
        verdict(m.top1.share >= 0.95),
        shown(&m.baseline_top1),
        shown(&m.top3),
        verdict(m.top3.share >= 0.99),
        m.macro_f1,
        shown(&m.outcome),
        shown(&m.place),
        value(&m.brier),
        value(&m.ece),
        verdict(m.ece.value <= 0.05),
        m.false_alarms,
        verdict(m.false_alarms == 0),
        m.baseline_alarms,
        m.delay_p50_s,
        m.delay_p95_s,
    );
    let _ = write!(
        text,
        "\nThe delay of a stall includes the patience that the program was given (3 s in most).\n\n## By cause\n\n| cause | programs | right | named instead |\n|---|---|---|---|\n"
    );
    for (cause, named) in &m.confusion {
        let all: usize = named.values().sum();
        let right = named.get(cause).copied().unwrap_or(0);
        let others = named.iter().filter(|(id, _)| *id != cause).map(|(id, times)| format!("{id} {times}"));
        let _ = writeln!(text, "| {cause} | {all} | {right} | {} |", others.collect::<Vec<_>>().join(", "));
    }
    if !m.wrong.is_empty() {
        text.push_str("\n## What was wrong\n\n");
        for (name, what) in &m.wrong {
            let _ = writeln!(text, "- `{name}`: {}", what.join("; "));
        }
    }
    if !untried.is_empty() {
        text.push_str("\n## Not tried\n\n");
        for (name, why) in untried {
            let _ = writeln!(text, "- `{name}`: {why}");
        }
    }
    text
}
