//! The cause chooses the remedy.
//!
//! A pure function: cause, history and what there is to choose from in, a decision out.
//! What is permanent is not tried again; the network gets time; what did not fit gets a
//! lighter profile or a bigger backend, never the same again; a poisoned worker is started
//! afresh.

use serde::{Deserialize, Serialize};

/// What is done about a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remedy {
    /// Trying again cannot help.
    Never,
    /// The same once more; then the next backend.
    Again,
    /// The same again, after a growing pause; after a few tries the next backend.
    Later,
    /// The same once more in a fresh worker; then the next backend, if there is one.
    Fresh,
    /// A lighter profile, else the next backend.
    Lighter,
    /// The next profile that is more exact, in a fresh worker: full precision after half.
    Precise,
    /// The worker is ended, and the next backend has a try; else a lighter profile, else
    /// a fresh worker, once.
    Elsewhere,
}

impl Remedy {
    /// Every remedy.
    pub const ALL: [Self; 7] =
        [Self::Never, Self::Again, Self::Later, Self::Fresh, Self::Lighter, Self::Precise, Self::Elsewhere];

    /// Its name in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Again => "again",
            Self::Later => "later",
            Self::Fresh => "fresh",
            Self::Lighter => "lighter",
            Self::Precise => "precise",
            Self::Elsewhere => "elsewhere",
        }
    }

    /// The remedy of this name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|remedy| remedy.name() == name)
    }

    /// In words, for the page of causes.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Never => "The same run fails the same way: change something first.",
            Self::Again => "The same run may succeed; if it fails again, change something first.",
            Self::Later => "The same run may succeed later.",
            Self::Fresh => "A fresh process may succeed.",
            Self::Lighter => "A lighter run may succeed.",
            Self::Precise => "A fresh process at a higher precision may succeed.",
            Self::Elsewhere => "A fresh process, a lighter run or another machine may succeed.",
        }
    }
}

/// What a profile does differently from the full one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aim {
    /// The job as it was asked for.
    #[default]
    Full,
    /// Fewer steps, a smaller size, tiles.
    Lighter,
    /// A higher precision.
    Precise,
}

/// One place where an attempt can go: a profile of a backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Backend.
    pub backend: String,
    /// Profile.
    pub profile: String,
    /// What the profile is for.
    pub aim: Aim,
}

/// A failed attempt, as recovery needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// Index of its place in the route.
    pub place: usize,
    /// Id of its cause.
    pub cause: String,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The job fails.
    GiveUp {
        /// Why no other attempt is made.
        why: &'static str,
    },
    /// Another attempt.
    Again {
        /// Index of the place in the route.
        place: usize,
        /// Pause before it, milliseconds.
        after_ms: u64,
        /// In a worker that was started afresh.
        fresh: bool,
    },
}

/// First pause, milliseconds; it doubles with each attempt at the same place.
const FIRST_PAUSE_MS: u64 = 1_000;
/// Longest pause.
const LONGEST_PAUSE_MS: u64 = 60_000;
/// Attempts at one place with the remedy [`Remedy::Later`] before the next backend has a try.
const MOST_AT_ONE_PLACE: usize = 3;

/// The remedy for a cause, unless the configuration says otherwise: that of the catalogue.
/// What is not known may be the state of the process.
#[must_use]
pub fn remedy(cause: &str) -> Remedy {
    crate::causes::find(cause).map_or(Remedy::Fresh, |cause| cause.remedy)
}

/// Decides what follows a failed attempt. `places` is the route with all profiles, in the
/// order of preference; `tried` are the failed attempts, the last of them the newest.
/// `retry_after_ms` is what the backend asked for; `chance` from 0 to 1 spreads pauses.
#[must_use]
pub fn decide(places: &[Place], tried: &[Tried], remedy: Remedy, retry_after_ms: Option<u64>, chance: f64) -> Decision {
    let Some(last) = tried.last() else {
        return Decision::Again { place: 0, after_ms: 0, fresh: false };
    };
    let at = last.place;
    let times = tried.iter().filter(|one| one.place == at).count();
    let was_tried = |place: usize| tried.iter().any(|one| one.place == place);
    let backend = places.get(at).map(|place| place.backend.as_str());
    // The next place that was not tried and that fits the remedy.
    let next =
        |fits: &dyn Fn(&Place) -> bool| (0..places.len()).find(|&index| !was_tried(index) && fits(&places[index]));
    let new = |place: &Place| {
        !tried.iter().any(|one| places.get(one.place).is_some_and(|known| known.backend == place.backend))
    };
    let elsewhere = || next(&|place: &Place| new(place) && place.aim == Aim::Full).or_else(|| next(&new));
    let go = |place: Option<usize>, fresh: bool, why: &'static str| match place {
        Some(place) => Decision::Again { place, after_ms: 0, fresh },
        None => Decision::GiveUp { why },
    };
    let beside = |aim: Aim| next(&|place: &Place| Some(place.backend.as_str()) == backend && place.aim == aim);
    match remedy {
        Remedy::Never => Decision::GiveUp { why: "the same would fail the same way" },
        // Another backend after a few tries; without one the job's own number of attempts
        // is the limit, and the pauses grow.
        Remedy::Later => match elsewhere().filter(|_| times >= MOST_AT_ONE_PLACE) {
            Some(place) => go(Some(place), false, ""),
            None => Decision::Again { place: at, after_ms: pause_ms(times, retry_after_ms, chance), fresh: false },
        },
        Remedy::Again if times < 2 => go(Some(at), false, ""),
        Remedy::Again => go(elsewhere(), false, "it failed again, and there is no other backend"),
        Remedy::Fresh if times < 2 => go(Some(at), true, ""),
        Remedy::Fresh => match elsewhere() {
            Some(place) => go(Some(place), true, ""),
            None => Decision::Again { place: at, after_ms: pause_ms(times - 1, None, chance), fresh: true },
        },
        Remedy::Lighter => go(
            beside(Aim::Lighter).or_else(elsewhere),
            true,
            "it does not fit, and there is no lighter profile and no other backend",
        ),
        Remedy::Precise => go(
            beside(Aim::Precise).or_else(elsewhere),
            true,
            "there is no profile of higher precision and no other backend",
        ),
        Remedy::Elsewhere => {
            let lighter = next(&|place: &Place| place.aim == Aim::Lighter);
            let once_more = (times < 2).then_some(at);
            go(elsewhere().or(lighter).or(once_more), true, "it stood still twice, and there is no other backend")
        }
    }
}

/// The pause before attempt `times + 1` at one place: doubled each time, between half and
/// the whole of it by chance, and never shorter than the backend asked for.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "milliseconds"
)]
fn pause_ms(times: usize, retry_after_ms: Option<u64>, chance: f64) -> u64 {
    let doubled = FIRST_PAUSE_MS.saturating_mul(1 << times.saturating_sub(1).min(16)).min(LONGEST_PAUSE_MS);
    let spread = (doubled as f64 * (0.5 + chance.clamp(0.0, 1.0) / 2.0)) as u64;
    spread.max(retry_after_ms.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn route() -> Vec<Place> {
        let place = |backend: &str, profile: &str, aim| Place { backend: backend.into(), profile: profile.into(), aim };
        vec![
            place("local", "full", Aim::Full),
            place("local", "small", Aim::Lighter),
            place("local", "fp32", Aim::Precise),
            place("comfy", "full", Aim::Full),
        ]
    }

    fn after(tried: &[(usize, &str)]) -> Decision {
        let tried: Vec<Tried> =
            tried.iter().map(|(place, cause)| Tried { place: *place, cause: (*cause).into() }).collect();
        let remedy = remedy(&tried[tried.len() - 1].cause);
        decide(&route(), &tried, remedy, None, 0.5)
    }

    fn again(place: usize, fresh: bool) -> Decision {
        Decision::Again { place, after_ms: 0, fresh }
    }

    #[test]
    fn the_cause_chooses() {
        assert!(matches!(after(&[(0, "config-invalid")]), Decision::GiveUp { .. }));
        assert_eq!(after(&[(0, "gpu-oom")]), again(1, true));
        assert_eq!(after(&[(0, "gpu-oom"), (1, "gpu-oom")]), again(3, true));
        assert_eq!(after(&[(0, "precision-nan")]), again(2, true));
        assert_eq!(after(&[(0, "native-hang")]), again(3, true));
        // Nothing else is left: a lighter profile, once more in a fresh worker, and no further.
        assert_eq!(after(&[(0, "native-hang"), (3, "backend-stuck")]), again(1, true));
        assert_eq!(after(&[(0, "native-hang"), (3, "backend-stuck"), (1, "native-hang")]), again(1, true));
        let twice = [(0, "native-hang"), (3, "backend-stuck"), (1, "native-hang"), (1, "native-hang")];
        assert!(matches!(after(&twice), Decision::GiveUp { .. }));
        assert_eq!(after(&[(0, "unhandled-exception")]), again(0, false));
        assert_eq!(after(&[(0, "unhandled-exception"), (0, "unhandled-exception")]), again(3, false));
        assert_eq!(after(&[(0, "native-crash")]), again(0, true));
        assert_eq!(after(&[(0, "native-crash"), (0, "native-crash")]), again(3, true));
        assert_eq!(after(&[(0, "backend-unreachable")]), Decision::Again { place: 0, after_ms: 750, fresh: false });
    }

    #[test]
    fn pauses_double_and_what_the_backend_asks_for_is_honoured() {
        assert_eq!([1, 2, 3].map(|times| pause_ms(times, None, 1.0)), [1000, 2000, 4000]);
        assert_eq!(pause_ms(1, Some(30_000), 0.0), 30_000);
        assert_eq!(pause_ms(60, None, 1.0), LONGEST_PAUSE_MS);
    }

    proptest! {
        /// Recovery always ends, never tries what did not fit again, and a permanent cause never.
        #[test]
        fn recovery_ends(causes in proptest::collection::vec(0usize..6, 1..40), chance in 0.0..1.0f64) {
            const CAUSES: [&str; 6] = ["gpu-oom", "precision-nan", "native-hang", "backend-unreachable", "native-crash", "config-invalid"];
            let places = route();
            let mut tried: Vec<Tried> = Vec::new();
            let mut place = 0;
            let mut over = false;
            for cause in causes {
                let cause = CAUSES[cause];
                tried.push(Tried { place, cause: cause.into() });
                match decide(&places, &tried, remedy(cause), None, chance) {
                    Decision::GiveUp { .. } => { over = true; break; }
                    Decision::Again { place: next, after_ms, .. } => {
                        prop_assert!(next < places.len() && after_ms <= LONGEST_PAUSE_MS);
                        prop_assert!(cause != "config-invalid");
                        prop_assert!(cause != "gpu-oom" || next != place);
                        place = next;
                    }
                }
            }
            // Where it goes on without end, every backend has had its tries: the rest is the
            // job's own number of attempts.
            let everywhere = tried.iter().any(|one| one.place == 3);
            prop_assert!(over || tried.len() <= 3 * (MOST_AT_ONE_PLACE + 1) || everywhere);
        }
    }
}
