//! From a failed attempt to the next one: the cause, the history of the job and its route
//! go into the decision; what is decided, and on what evidence, into the job's history.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hasher as _};
use std::time::Duration;

use defib_core::job::{Attempt, Choice};
use defib_core::recovery::{Decision, Place, Remedy, Tried, decide, remedy};
use defib_store::queue::{Failure, Next};
use serde_json::{Value, json};

use super::backend::{Failed, FailedKind};

/// Evidence that the history of a job quotes.
const MOST_EVIDENCE: usize = 5;

/// What follows a failed attempt.
#[derive(Debug)]
pub(super) struct Followed {
    pub(super) failure: Failure,
    pub(super) next: Next,
    /// Pause before the next attempt, and where that is made.
    pub(super) again: Option<(Duration, String)>,
}

/// The remedy for this failure. What stood or took too long, without a cause that says
/// more, would take as long again at the same place.
fn remedy_for(failed: &Failed, overrides: &HashMap<String, Remedy>) -> Remedy {
    let own = overrides.get(&failed.cause).copied();
    let usual = remedy(&failed.cause);
    let overdue = failed.kind == FailedKind::Overdue && matches!(usual, Remedy::Fresh | Remedy::Again | Remedy::Later);
    own.unwrap_or(if overdue { Remedy::Elsewhere } else { usual })
}

/// Decides. `history` are the attempts so far, with the one that failed now as the last;
/// `places` are those of its route.
pub(super) fn follow(
    failed: &Failed,
    history: &[Attempt],
    places: &[Place],
    overrides: &HashMap<String, Remedy>,
    now_ms: i64,
) -> Followed {
    let remedy = remedy_for(failed, overrides);
    let place = |attempt: &Attempt| {
        places.iter().position(|it| it.backend == attempt.backend && it.profile == attempt.profile).unwrap_or(0)
    };
    let counts = |attempt: &&Attempt| attempt.outcome == "failed" || attempt.outcome == "running";
    let tried: Vec<Tried> = history
        .iter()
        .filter(counts)
        .map(|attempt| Tried { place: place(attempt), cause: attempt.cause.clone().unwrap_or_default() })
        .collect();
    let asked_ms = failed.retry_after.map(|pause| u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
    let decision = decide(places, &tried, remedy, asked_ms, chance());
    let error = json!({
        "cause": failed.cause,
        "explanation": failed.explanation,
        "report": failed.report,
    });
    let failure = Failure { cause: failed.cause.clone(), error };
    let told = |action: &str, why: &str| {
        json!({
            "action": action, "why": why, "remedy": remedy.name(),
            "cause": failed.cause, "explanation": failed.explanation, "evidence": evidence(failed),
            "run": failed.report.as_ref().map(|report| report.run.id.clone()),
        })
    };
    match decision {
        Decision::Again { place, after_ms, .. } if place < places.len() => {
            let chosen = &places[place];
            let choice = Choice { backend: chosen.backend.clone(), profile: chosen.profile.clone() };
            let not_before_ms = now_ms.saturating_add(i64::try_from(after_ms).unwrap_or(i64::MAX));
            let again = Some((Duration::from_millis(after_ms), chosen.backend.clone()));
            let next = Next::Retry { not_before_ms, choice, decision: told("again", remedy.words()) };
            Followed { failure, next, again }
        }
        Decision::Again { .. } => {
            Followed { failure, next: Next::Final(told("give-up", "its route is gone")), again: None }
        }
        Decision::GiveUp { why } => Followed { failure, next: Next::Final(told("give-up", why)), again: None },
    }
}

/// What the first cause of the report rests on.
fn evidence(failed: &Failed) -> Vec<Value> {
    let Some(report) = &failed.report else { return Vec::new() };
    let Some(cause) = report.causes.first() else { return Vec::new() };
    let of_it = report.evidence.iter().filter(|it| cause.evidence.contains(&it.id));
    of_it.take(MOST_EVIDENCE).map(|it| json!({ "source": it.source, "says": it.says })).collect()
}

/// A number from 0 to 1 that spreads pauses.
#[expect(clippy::cast_precision_loss, reason = "a share")]
fn chance() -> f64 {
    let random = std::collections::hash_map::RandomState::new().build_hasher().finish();
    (random >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use defib_core::recovery::Aim;

    fn places() -> Vec<Place> {
        let place = |backend: &str, profile: &str, aim| Place { backend: backend.into(), profile: profile.into(), aim };
        vec![place("local", "full", Aim::Full), place("local", "small", Aim::Lighter), place("far", "full", Aim::Full)]
    }

    fn attempt(backend: &str, profile: &str) -> Attempt {
        Attempt { backend: backend.into(), profile: profile.into(), outcome: "running".into(), ..Attempt::default() }
    }

    fn choice(next: &Next) -> Option<(&str, &str)> {
        match next {
            Next::Retry { choice, .. } => Some((&choice.backend, &choice.profile)),
            Next::Final(_) => None,
        }
    }

    #[test]
    fn the_cause_chooses_and_the_history_says_why() {
        let none = HashMap::new();
        let after = |failed: &Failed, history: &[Attempt]| follow(failed, history, &places(), &none, 1000);
        let full = attempt("local", "full");
        let oom = Failed::new("gpu-oom", "20 MiB more than there is");
        let followed = after(&oom, std::slice::from_ref(&full));
        assert_eq!(choice(&followed.next), Some(("local", "small")));
        let Next::Retry { decision, .. } = &followed.next else { unreachable!() };
        assert_eq!((decision["remedy"].as_str(), decision["cause"].as_str()), (Some("lighter"), Some("gpu-oom")));
        assert_eq!(choice(&after(&oom, &[full.clone(), attempt("local", "small")]).next), Some(("far", "full")));
        let permanent = after(&Failed::new("config-invalid", "no such key"), std::slice::from_ref(&full));
        assert!(matches!(permanent.next, Next::Final(ref told) if told["why"] == "the same would fail the same way"));
    }

    #[test]
    fn what_took_too_long_goes_elsewhere_and_the_configuration_wins() {
        let none = HashMap::new();
        let full = [attempt("local", "full")];
        let slow = Failed { kind: FailedKind::Overdue, ..Failed::new("unknown", "10 s were over") };
        assert_eq!(choice(&follow(&slow, &full, &places(), &none, 0).next), Some(("far", "full")));
        let unknown = Failed::new("unknown", "it exited with 3");
        assert_eq!(choice(&follow(&unknown, &full, &places(), &none, 0).next), Some(("local", "full")));
        let never = HashMap::from([("unknown".to_owned(), Remedy::Never)]);
        assert_eq!(choice(&follow(&slow, &full, &places(), &never, 0).next), None);
    }

    #[test]
    fn a_pause_that_was_asked_for_is_kept() {
        let limited = Failed {
            retry_after: Some(Duration::from_secs(30)),
            ..Failed::new("rate-limited", "429 with Retry-After")
        };
        let followed = follow(&limited, &[attempt("far", "full")], &places(), &HashMap::new(), 5000);
        assert_eq!(followed.again, Some((Duration::from_secs(30), "far".to_owned())));
        assert!(matches!(followed.next, Next::Retry { not_before_ms: 35_000, .. }));
    }
}
