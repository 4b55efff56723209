//! Random calls against a model: whatever happens, each job ends in exactly one way.

use std::collections::HashMap;

use defib_core::job::{Choice, JobState, NewJob};
use defib_store::queue::{Claimant, Failure, Next, Queue, Spared, Submitted};
use proptest::prelude::*;
use serde_json::json;

use super::sqlite;

const CLAIMANT: Claimant<'_> = Claimant { backend: "b", only: None, owner: "w", lease_ms: 100 };

fn start() -> Choice {
    Choice { backend: "b".into(), profile: "full".into() }
}

#[derive(Debug, Clone)]
enum Call {
    Submit { priority: i64, deadline_in: Option<i64> },
    Claim,
    Succeed { which: usize },
    Fail { which: usize, again: bool },
    Release { which: usize },
    Cancel { job: usize },
    Wait { ms: i64 },
    Expire,
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        3 => (0i64..3, proptest::option::of(1i64..400)).prop_map(|(priority, deadline_in)| Call::Submit { priority, deadline_in }),
        4 => Just(Call::Claim),
        2 => (0usize..20).prop_map(|which| Call::Succeed { which }),
        2 => (0usize..20, any::<bool>()).prop_map(|(which, again)| Call::Fail { which, again }),
        1 => (0usize..20).prop_map(|which| Call::Release { which }),
        1 => (0usize..20).prop_map(|job| Call::Cancel { job }),
        2 => (1i64..150).prop_map(|ms| Call::Wait { ms }),
        2 => Just(Call::Expire),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn each_job_ends_once_and_its_attempts_rise(calls in proptest::collection::vec(call(), 1..80)) {
        let (_folder, queue) = sqlite(1000);
        let (mut now, mut jobs) = (1000i64, Vec::new());
        // Every attempt that was ever claimed, also those that were given up.
        let mut claimed: Vec<(String, u32)> = Vec::new();
        let mut ended: HashMap<String, JobState> = HashMap::new();
        for call in calls {
            match call {
                Call::Submit { priority, deadline_in } => {
                    let id = format!("j{}", jobs.len());
                    let deadline_ms = deadline_in.map(|ms| now + ms);
                    let new = NewJob { id: id.clone(), route: "r".into(), start: start(), inputs: json!({}), priority, deadline_ms, max_attempts: 3, ..NewJob::default() };
                    prop_assert_eq!(queue.submit(&new, now).unwrap(), Submitted::New);
                    jobs.push(id);
                }
                Call::Claim => {
                    if let Some(found) = queue.claim(&CLAIMANT, now).unwrap() {
                        let last = claimed.iter().filter(|(id, _)| *id == found.job.id).map(|(_, n)| *n).max();
                        prop_assert!(last.is_none_or(|last| found.attempt > last));
                        prop_assert!(!ended.contains_key(&found.job.id));
                        claimed.push((found.job.id, found.attempt));
                    }
                }
                Call::Succeed { which } if !claimed.is_empty() => {
                    let (id, attempt) = &claimed[which % claimed.len()];
                    let done = queue.succeed(id, *attempt, &json!(attempt), now).is_ok();
                    prop_assert!(!done || ended.insert(id.clone(), JobState::Succeeded).is_none());
                }
                Call::Fail { which, again } if !claimed.is_empty() => {
                    let (id, attempt) = &claimed[which % claimed.len()];
                    let next = if again { Next::Retry { not_before_ms: now + 20, choice: start(), decision: json!(null) } } else { Next::Final(json!(null)) };
                    let failure = Failure { cause: "x".into(), error: json!({}) };
                    if let Ok(state) = queue.fail(id, *attempt, &failure, &next, now) {
                        prop_assert!(!state.over() || ended.insert(id.clone(), state).is_none());
                    }
                }
                Call::Release { which } if !claimed.is_empty() => {
                    let (id, attempt) = &claimed[which % claimed.len()];
                    let _ = queue.release(id, *attempt, now);
                }
                Call::Cancel { job } if !jobs.is_empty() => {
                    let _ = queue.cancel(&jobs[job % jobs.len()], now).unwrap();
                }
                Call::Wait { ms } => now += ms,
                Call::Expire => drop(queue.expire(&HashMap::new(), &Spared::default(), now).unwrap()),
                _ => {}
            }
            // Whatever was over stays what it was.
            for id in &jobs {
                let state = queue.get(id).unwrap().state;
                if let Some(known) = ended.get(id) {
                    prop_assert_eq!(*known, state);
                } else if state.over() {
                    ended.insert(id.clone(), state);
                }
            }
        }
        // Everything ends at last: workers come, or leases and deadlines run out.
        for _ in 0..200 {
            now += 1000;
            queue.expire(&HashMap::new(), &Spared::default(), now).unwrap();
            while let Some(found) = queue.claim(&CLAIMANT, now).unwrap() {
                queue.succeed(&found.job.id, found.attempt, &json!(0), now).unwrap();
            }
        }
        for id in &jobs {
            let job = queue.get(id).unwrap();
            prop_assert!(job.state.over(), "{:?}", job);
            prop_assert_eq!(job.state == JobState::Succeeded, job.result.is_some());
            prop_assert_eq!(job.state == JobState::Failed, job.error.is_some());
            let told = queue.events(id, 0).unwrap();
            let ends = told.iter().filter(|event| ["succeeded", "failed", "cancelled"].contains(&event.kind.as_str()));
            prop_assert_eq!(ends.count(), 1);
        }
    }
}
