//! What every queue must keep, whatever database is behind it. Each test gets an empty
//! queue in which at most five jobs may wait.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};

use defib_core::job::{Choice, JobState, NewJob};
use defib_store::queue::{Cancelling, Claimant, Claimed, Expired, Failure, Next, Queue, QueueError, Spared, Submitted};
use serde_json::{Value, json};

type Test = (&'static str, fn(&dyn Queue));

pub(crate) const ALL: [Test; 15] = [
    ("a job goes from hand to hand to its result", a_job_ends_in_its_result),
    ("priority first, then age, and only when it is time", the_order),
    ("backends are apart, and one job can be asked for", backends_are_apart),
    ("the same key is the same job", the_same_key_is_the_same_job),
    ("a full queue refuses and loses nothing", a_full_queue_refuses),
    ("a retry waits, keeps the choice and ends with the last attempt", retries),
    ("who was given up is not heard", who_was_given_up_is_not_heard),
    ("a lost worker's job goes to another, and not for ever", lost_workers),
    ("what a dead owner had goes to another at once", dead_owners),
    ("what is over is forgotten in time, and its files are free", forgetting),
    ("what is given back does not count", given_back),
    ("a heartbeat keeps the job and hears of the wish to cancel", heartbeats),
    ("cancelling", cancelling),
    ("a deadline ends what waits and what runs", deadlines),
    ("two claims never get the same job", concurrent_claims),
];

const BACKEND: &str = "local";
const LEASE: i64 = 30_000;

fn choice(backend: &str) -> Choice {
    Choice { backend: backend.into(), profile: "full".into() }
}

fn retry(not_before_ms: i64) -> Next {
    Next::Retry { not_before_ms, choice: choice(BACKEND), decision: json!({ "remedy": "later" }) }
}

fn take(queue: &dyn Queue, backend: &str, only: Option<&str>, now: i64) -> Option<Claimed> {
    queue.claim(&Claimant { backend, only, owner: "w1", lease_ms: LEASE }, now).unwrap()
}

fn expire(queue: &dyn Queue, now: i64) -> Expired {
    queue.expire(&HashMap::new(), &Spared::default(), now).unwrap()
}

fn job(id: &str) -> NewJob {
    NewJob {
        id: id.into(),
        route: "default".into(),
        start: choice(BACKEND),
        inputs: json!({ "prompt": id }),
        max_attempts: 2,
        ..NewJob::default()
    }
}

fn submit(queue: &dyn Queue, job: &NewJob, now: i64) {
    assert_eq!(queue.submit(job, now).unwrap(), Submitted::New);
}

fn claim(queue: &dyn Queue, now: i64) -> Option<(String, u32)> {
    let claimed = take(queue, BACKEND, None, now)?;
    Some((claimed.job.id, claimed.attempt))
}

fn failure() -> Failure {
    Failure { cause: "gpu-oom".into(), error: json!({ "cause": "gpu-oom" }) }
}

fn kinds(queue: &dyn Queue, job: &str) -> Vec<String> {
    queue.events(job, 0).unwrap().into_iter().map(|event| event.kind).collect()
}

fn a_job_ends_in_its_result(queue: &dyn Queue) {
    submit(queue, &job("j1"), 10);
    let found = queue.get("j1").unwrap();
    assert_eq!(
        (found.state, found.created_ms, found.new.inputs["prompt"].as_str()),
        (JobState::Queued, 10, Some("j1"))
    );
    assert_eq!(claim(queue, 20), Some(("j1".into(), 1)));
    assert_eq!(claim(queue, 20), None);
    queue.progress("j1", 1, 3.0, Some(10.0)).unwrap();
    assert_eq!(queue.get("j1").unwrap().progress, Some((3.0, Some(10.0))));
    queue.succeed("j1", 1, &json!({ "values": 7 }), 30).unwrap();
    let found = queue.get("j1").unwrap();
    assert_eq!((found.state, found.finished_ms, found.progress), (JobState::Succeeded, Some(30), None));
    assert_eq!(found.result, Some(json!({ "values": 7 })));
    let attempt = &found.attempts[0];
    assert_eq!((attempt.n, attempt.backend.as_str(), attempt.outcome.as_str()), (1, "local", "succeeded"));
    assert_eq!((attempt.started_ms, attempt.ended_ms), (20, Some(30)));
    assert_eq!(kinds(queue, "j1"), ["accepted", "claimed", "succeeded"]);
    let second = queue.events("j1", 0).unwrap()[1].id;
    assert_eq!(queue.events("j1", second).unwrap().len(), 1, "events go on after a number");
    assert!(matches!(queue.get("none"), Err(QueueError::NoSuchJob(_))));
}

fn the_order(queue: &dyn Queue) {
    submit(queue, &job("old"), 1);
    submit(queue, &NewJob { priority: 5, ..job("high") }, 2);
    submit(queue, &NewJob { not_before_ms: Some(100), priority: 9, ..job("later") }, 3);
    let order: Vec<_> = (0..3).map(|_| claim(queue, 50).map(|(id, _)| id)).collect();
    assert_eq!(order, [Some("high".into()), Some("old".into()), None]);
    assert_eq!(claim(queue, 100), Some(("later".into(), 1)));
}

fn backends_are_apart(queue: &dyn Queue) {
    submit(queue, &NewJob { start: choice("other"), ..job("j1") }, 1);
    submit(queue, &NewJob { start: choice("other"), ..job("j2") }, 1);
    assert_eq!(claim(queue, 2), None);
    assert_eq!(take(queue, "other", Some("none"), 2), None);
    assert_eq!(take(queue, "other", Some("j2"), 2).unwrap().job.id, "j2");
    assert_eq!(take(queue, BACKEND, Some("j1"), 2), None);
    // Its backend is no longer there: it goes elsewhere, or fails.
    queue.redirect("j1", &choice(BACKEND), 3).unwrap();
    assert_eq!(claim(queue, 4), Some(("j1".into(), 1)));
    assert!(matches!(queue.redirect("j1", &choice("other"), 5), Err(QueueError::NoSuchJob(_))), "it is at work");
    submit(queue, &NewJob { start: choice("gone"), ..job("j3") }, 6);
    let known = [BACKEND.to_owned(), "other".to_owned()];
    assert_eq!(queue.strays(&known).unwrap(), [("j3".to_owned(), "default".to_owned(), "gone".to_owned())]);
    queue.reject("j3", &json!({ "cause": "config-invalid" }), 7).unwrap();
    assert_eq!(queue.get("j3").unwrap().state, JobState::Failed);
    assert_eq!(kinds(queue, "j1"), ["accepted", "redirected", "claimed"]);
}

fn the_same_key_is_the_same_job(queue: &dyn Queue) {
    let keyed = |id: &str| NewJob { idempotency_key: Some("k".into()), inputs: json!({ "a": 1 }), ..job(id) };
    submit(queue, &keyed("j1"), 1);
    assert_eq!(queue.submit(&keyed("j2"), 2).unwrap(), Submitted::Known("j1".into()));
    let (id, attempt) = claim(queue, 3).unwrap();
    queue.succeed(&id, attempt, &Value::Null, 4).unwrap();
    // Also after its end, and never for something else.
    assert_eq!(queue.submit(&keyed("j3"), 5).unwrap(), Submitted::Known("j1".into()));
    let another = NewJob { inputs: json!({ "a": 2 }), ..keyed("j4") };
    assert!(matches!(queue.submit(&another, 6), Err(QueueError::KeyUsed(_))));
    assert_eq!(queue.list(None, 10).unwrap().len(), 1);
}

fn a_full_queue_refuses(queue: &dyn Queue) {
    for number in 0..5 {
        submit(queue, &job(&format!("j{number}")), number);
    }
    match queue.submit(&job("j5"), 9) {
        Err(QueueError::Full { queued: 5, retry_after_s }) => assert!(retry_after_s > 0),
        other => unreachable!("{other:?}"),
    }
    // What is at work makes room.
    assert_eq!(claim(queue, 10), Some(("j0".into(), 1)));
    submit(queue, &job("j6"), 11);
    assert!(matches!(queue.get("j5"), Err(QueueError::NoSuchJob(_))));
    assert_eq!(queue.counts().unwrap().queued, 5);
}

fn retries(queue: &dyn Queue) {
    submit(queue, &job("j1"), 1);
    let (id, attempt) = claim(queue, 2).unwrap();
    let choice = Choice { backend: "comfy".into(), profile: "light".into() };
    let retry = Next::Retry { not_before_ms: 50, choice: choice.clone(), decision: json!({ "remedy": "lighter" }) };
    assert_eq!(queue.fail(&id, attempt, &failure(), &retry, 3).unwrap(), JobState::Queued);
    assert_eq!(claim(queue, 49), None);
    assert_eq!(claim(queue, 50), None, "it goes elsewhere");
    let claimed = take(queue, "comfy", None, 50).unwrap();
    assert_eq!((claimed.attempt, claimed.choice), (2, choice));
    // The last attempt was made: what recovery wishes is final.
    assert_eq!(queue.fail("j1", 2, &failure(), &retry, 60).unwrap(), JobState::Failed);
    let found = queue.get("j1").unwrap();
    assert_eq!((found.state, found.error), (JobState::Failed, Some(json!({ "cause": "gpu-oom" }))));
    let causes: Vec<_> = found.attempts.iter().map(|attempt| attempt.cause.clone()).collect();
    assert_eq!(causes, [Some("gpu-oom".into()), Some("gpu-oom".into())]);
    let told = queue.events("j1", 0).unwrap();
    assert_eq!(told[2].data["decision"]["remedy"], "lighter");
    assert_eq!(kinds(queue, "j1"), ["accepted", "claimed", "retry", "claimed", "failed"]);
}

fn who_was_given_up_is_not_heard(queue: &dyn Queue) {
    submit(queue, &job("j1"), 1);
    let (id, old) = claim(queue, 2).unwrap();
    expire(queue, 2 + LEASE);
    let (_, new) = claim(queue, 3 + LEASE).unwrap();
    assert!(new > old);
    let stale = |result: Result<(), QueueError>| assert!(matches!(result, Err(QueueError::Stale { .. })), "{result:?}");
    stale(queue.succeed(&id, old, &json!("late"), 5 + LEASE));
    stale(queue.fail(&id, old, &failure(), &Next::Final(Value::Null), 5 + LEASE).map(drop));
    stale(queue.release(&id, old, 5 + LEASE).map(drop));
    stale(queue.heartbeat(&id, old, LEASE, 5 + LEASE).map(drop));
    stale(queue.progress(&id, old, 1.0, None));
    stale(queue.cancelled(&id, old, 5 + LEASE));
    queue.succeed(&id, new, &json!("right"), 6 + LEASE).unwrap();
    stale(queue.succeed(&id, new, &json!("twice"), 7 + LEASE));
    assert_eq!(queue.get("j1").unwrap().result, Some(json!("right")));
}

fn lost_workers(queue: &dyn Queue) {
    submit(queue, &job("j1"), 0);
    claim(queue, 0).unwrap();
    assert_eq!(expire(queue, LEASE - 1).requeued, []);
    assert_eq!(expire(queue, LEASE).requeued, [("j1".to_owned(), 1)]);
    claim(queue, LEASE).unwrap();
    // Known to be at work, whatever the clock says.
    let own = Spared { attempts: [("j1".to_owned(), 2)].into(), ..Spared::default() };
    let other = Spared { owners: ["w1".to_owned()].into(), ..Spared::default() };
    for spared in [own, other] {
        assert_eq!(queue.expire(&HashMap::new(), &spared, 9 * LEASE).unwrap(), Expired::default());
    }
    let expired = expire(queue, 2 * LEASE);
    assert_eq!((expired.requeued, expired.failed), (vec![], vec!["j1".to_owned()]));
    let found = queue.get("j1").unwrap();
    assert_eq!((found.state, found.attempts[1].outcome.as_str()), (JobState::Failed, "lost"));
    assert!(found.error.unwrap()["explanation"].as_str().unwrap().contains("attempt 2 of 2"));
}

fn dead_owners(queue: &dyn Queue) {
    submit(queue, &job("j1"), 0);
    submit(queue, &job("j2"), 0);
    claim(queue, 1).unwrap();
    let other = Claimant { backend: BACKEND, only: None, owner: "w2", lease_ms: LEASE };
    queue.claim(&other, 1).unwrap().unwrap();
    let mut owners = queue.owners().unwrap();
    owners.sort();
    assert_eq!(owners, ["w1", "w2"]);
    assert_eq!(queue.expire_owner("w1", 2).unwrap().requeued, [("j1".to_owned(), 1)]);
    assert_eq!(queue.owners().unwrap(), ["w2"]);
    assert_eq!(queue.get("j2").unwrap().state, JobState::Running);
    assert_eq!(claim(queue, 3), Some(("j1".into(), 2)));
}

fn forgetting(queue: &dyn Queue) {
    let with = |id: &str, digest: &str| NewJob { inputs: json!({ "files": [{ "sha256": digest }] }), ..job(id) };
    for (id, digest) in [("done", "d1"), ("failed", "d2"), ("waits", "d3")] {
        submit(queue, &with(id, digest), 0);
    }
    let (id, attempt) = claim(queue, 1).unwrap();
    queue.succeed(&id, attempt, &json!(1), 2).unwrap();
    let (id, attempt) = claim(queue, 3).unwrap();
    queue.fail(&id, attempt, &failure(), &Next::Final(Value::Null), 4).unwrap();
    let used = |queue: &dyn Queue| {
        let mut used: Vec<_> = queue.inputs_in_use().unwrap().into_iter().collect();
        used.sort();
        used
    };
    assert_eq!(used(queue), ["d2", "d3"], "inputs of what failed stay, so that it can be tried again");
    assert_eq!(queue.forget(4, 10).unwrap(), 1);
    assert!(matches!(queue.get("done"), Err(QueueError::NoSuchJob(_))));
    assert_eq!(queue.forget(5, 10).unwrap(), 1);
    assert_eq!(used(queue), ["d3"]);
    assert_eq!(queue.forget(i64::MAX, 10).unwrap(), 0, "what waits is not over");
}

fn given_back(queue: &dyn Queue) {
    submit(queue, &job("j1"), 0);
    for turn in 1..=4 {
        let (id, attempt) = claim(queue, turn).unwrap();
        assert_eq!(attempt, u32::try_from(turn).unwrap());
        queue.release(&id, attempt, turn).unwrap();
    }
    // Two attempts that count are left.
    let retry = retry(0);
    let (id, attempt) = claim(queue, 9).unwrap();
    assert_eq!(queue.fail(&id, attempt, &failure(), &retry, 9).unwrap(), JobState::Queued);
    let (id, attempt) = claim(queue, 10).unwrap();
    assert_eq!(queue.fail(&id, attempt, &failure(), &retry, 10).unwrap(), JobState::Failed);
}

fn heartbeats(queue: &dyn Queue) {
    submit(queue, &job("j1"), 0);
    let (id, attempt) = claim(queue, 0).unwrap();
    assert!(!queue.heartbeat(&id, attempt, LEASE, 20_000).unwrap().cancel_wanted);
    assert_eq!(expire(queue, LEASE).requeued, []);
    assert_eq!(queue.cancel(&id, 31_000).unwrap(), Cancelling::Wanted);
    assert!(queue.heartbeat(&id, attempt, LEASE, 32_000).unwrap().cancel_wanted);
}

fn cancelling(queue: &dyn Queue) {
    submit(queue, &job("waits"), 0);
    assert_eq!(queue.cancel("waits", 1).unwrap(), Cancelling::Done);
    assert_eq!(queue.cancel("waits", 2).unwrap(), Cancelling::Over(JobState::Cancelled));
    assert_eq!(claim(queue, 3), None);
    for (id, end) in [("a", 0), ("b", 1), ("c", 2)] {
        submit(queue, &job(id), 4);
        let (_, attempt) = claim(queue, 5).unwrap();
        assert_eq!(queue.cancel(id, 6).unwrap(), Cancelling::Wanted);
        match end {
            // The worker ended it; it failed meanwhile and is not tried again; it was lost.
            0 => queue.cancelled(id, attempt, 7).unwrap(),
            1 => {
                assert_eq!(queue.fail(id, attempt, &failure(), &retry(0), 7).unwrap(), JobState::Cancelled);
            }
            _ => assert_eq!(expire(queue, 5 + LEASE).requeued, []),
        }
        assert_eq!(queue.get(id).unwrap().state, JobState::Cancelled);
    }
    // Given back by a worker that ends before it has heard of the wish.
    submit(queue, &job("e"), 4);
    let (_, attempt) = claim(queue, 5).unwrap();
    queue.cancel("e", 6).unwrap();
    assert_eq!(queue.release("e", attempt, 7).unwrap(), JobState::Cancelled);
    // A result that comes before the wish is heard counts.
    submit(queue, &job("d"), 8);
    let (_, attempt) = claim(queue, 9).unwrap();
    queue.cancel("d", 10).unwrap();
    queue.succeed("d", attempt, &json!(1), 11).unwrap();
    assert_eq!(queue.get("d").unwrap().state, JobState::Succeeded);
    assert!(matches!(queue.cancel("none", 1), Err(QueueError::NoSuchJob(_))));
}

fn deadlines(queue: &dyn Queue) {
    submit(queue, &NewJob { deadline_ms: Some(100), ..job("waits") }, 0);
    submit(queue, &NewJob { deadline_ms: Some(100), priority: 1, ..job("runs") }, 0);
    let (id, attempt) = claim(queue, 50).unwrap();
    assert_eq!(id, "runs");
    assert_eq!(claim(queue, 100), None, "nobody begins what is too late");
    let waits = HashMap::from([(BACKEND.to_owned(), json!({ "cause": "slots-exhausted" }))]);
    let expired = queue.expire(&waits, &Spared::default(), 100).unwrap();
    assert_eq!(expired.failed, ["waits"], "what runs is ended by its worker, with evidence");
    assert_eq!(queue.get("waits").unwrap().error.unwrap()["cause"], "slots-exhausted");
    // Unless that is gone too.
    assert_eq!(expire(queue, 50 + LEASE).failed, ["runs"]);
    assert!(matches!(queue.succeed(&id, attempt, &json!(1), 51 + LEASE), Err(QueueError::Stale { .. })));
    let error = queue.get("runs").unwrap().error.unwrap();
    assert!(error["explanation"].as_str().unwrap().contains("deadline"), "{error}");
    // A retry that would come too late is none.
    submit(queue, &NewJob { deadline_ms: Some(500), ..job("late") }, 200);
    let (id, attempt) = claim(queue, 201).unwrap();
    assert_eq!(queue.fail(&id, attempt, &failure(), &retry(600), 202).unwrap(), JobState::Failed);
}

fn concurrent_claims(queue: &dyn Queue) {
    for number in 0..5 {
        submit(queue, &job(&format!("j{number}")), 0);
    }
    let got = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while let Some((id, attempt)) = claim(queue, 1) {
                    assert_eq!(attempt, 1, "{id} was claimed twice");
                    queue.succeed(&id, attempt, &json!(1), 2).unwrap();
                    got.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!((got.load(Ordering::Relaxed), queue.counts().unwrap().over), (5, 5));
}
