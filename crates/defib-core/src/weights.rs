//! What the corpus says about signs and proofs: a data file, made by a command.
//!
//! `data/weights.json` is written by `bench/accuracy --fit` from counts over the
//! programs of `faults/`, and is never edited. For each sign of each cause it
//! holds how often the sign was seen in runs with the cause and in all others,
//! and the logarithm of the ratio of both rates, with additive smoothing.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::cause::{Finding, Group, Sign, Strength};

/// Largest log-likelihood ratio that one group of evidence may bring.
pub const CAP: f64 = 4.0;

/// Natural-log likelihood ratios of a sign.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// Where it is seen.
    pub seen: f64,
    /// Where it is missed; 0 for a sign that is one of several alternatives.
    pub missed: f64,
}

/// A sign that the corpus does not know: worth something, and not much.
const UNMEASURED: Ratio = Ratio { seen: 1.0, missed: -0.5 };

/// Everything that was fitted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Weights {
    /// Programs that were counted.
    pub programs: u32,
    /// Prior log-odds of any one cause against `unknown`. Flat, since the rates
    /// of a laboratory are not those of the field.
    pub prior: f64,
    /// Log-odds are divided by this, so that probabilities mean frequencies.
    pub temperature: f64,
    /// How often a proof of this class was right, by class ([`proof_class`]).
    pub proofs: BTreeMap<String, f64>,
    /// Ratios by cause id and name of the sign.
    pub signs: BTreeMap<String, BTreeMap<String, Ratio>>,
}

static FITTED: LazyLock<Weights> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the file is part of the program, and a test reads it")]
    serde_json::from_str(include_str!("../data/weights.json")).expect("data/weights.json")
});

impl Weights {
    /// The weights that this program was built with.
    #[must_use]
    pub fn fitted() -> &'static Self {
        &FITTED
    }

    /// Log-odds of a weighed finding against `unknown`.
    #[must_use]
    pub fn log_odds(&self, cause: &str, signs: &[Sign]) -> f64 {
        (self.prior + self.evidence(cause, signs)) / self.temperature
    }

    /// The strongest ratio of each group, capped, summed over the groups.
    fn evidence(&self, cause: &str, signs: &[Sign]) -> f64 {
        let mut best: BTreeMap<Group, f64> = BTreeMap::new();
        for sign in signs {
            let ratio = self.ratio(cause, sign).clamp(-CAP, CAP);
            let kept = best.entry(sign.group).or_insert(ratio);
            if ratio.abs() > kept.abs() {
                *kept = ratio;
            }
        }
        best.values().sum()
    }

    fn ratio(&self, cause: &str, sign: &Sign) -> f64 {
        let known = self.signs.get(cause).and_then(|signs| signs.get(sign.name));
        let ratio = known.copied().unwrap_or(UNMEASURED);
        if sign.seen { ratio.seen } else { ratio.missed }
    }

    /// How often a proof of this class is right.
    #[must_use]
    pub fn proved(&self, class: &str) -> f64 {
        let known = self.proofs.get(class).or_else(|| self.proofs.get("all"));
        known.copied().unwrap_or(0.9).clamp(0.5, 0.995)
    }
}

/// The class of a proof: where its first fact was seen, and whether it says more
/// than "none of the others"; such a one is worth less `beside` signs of others.
#[must_use]
pub fn proof_class(finding: &Finding, beside: bool) -> String {
    let source = finding.facts.first().map_or("none", |fact| fact.source);
    match (finding.rank >= crate::diagnose::GENERIC, beside) {
        (false, _) => source.to_owned(),
        (true, false) => format!("generic {source}"),
        (true, true) => "generic, beside signs".to_owned(),
    }
}

/// The signs of a weighed finding.
#[must_use]
pub fn signs(finding: &Finding) -> &[Sign] {
    match &finding.strength {
        Strength::Signs(signs) => signs,
        Strength::Proof => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(seen: f64) -> Weights {
        let signs = BTreeMap::from([
            ("one".to_owned(), Ratio { seen, missed: -1.0 }),
            ("two".to_owned(), Ratio { seen: 9.0, missed: 0.0 }),
        ]);
        Weights {
            programs: 1,
            prior: -2.0,
            temperature: 1.0,
            proofs: BTreeMap::new(),
            signs: BTreeMap::from([("c".to_owned(), signs)]),
        }
    }

    #[test]
    fn a_group_counts_once_and_is_capped() {
        let same = [Sign::seen(Group::Log, "one"), Sign::seen(Group::Log, "two")];
        assert!((weights(1.0).log_odds("c", &same) - (CAP - 2.0)).abs() < 1e-9);
        let two = [Sign::seen(Group::Stack, "one"), Sign::seen(Group::Log, "two")];
        assert!((weights(1.0).log_odds("c", &two) - (1.0 + CAP - 2.0)).abs() < 1e-9);
    }

    #[test]
    fn a_missed_sign_speaks_against() {
        assert!(weights(1.0).log_odds("c", &[Sign::when(false, Group::Log, "one")]) < -2.9);
    }

    #[test]
    fn the_fitted_weights_can_be_read() {
        assert!(Weights::fitted().temperature > 0.0);
    }
}
