//! The thread that keeps the books: claims renewed, wishes to cancel heard, the jobs of
//! dead processes taken up, what is old forgotten.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use defib_store::Index;
use defib_store::queue::{QueueError, Spared};
use serde_json::{Value, json};

use super::backend::StopWhy;
use super::shared::{LEASE, Shared, now_ms};
use super::{files, owner};
use crate::archive;

/// Between two rounds.
const ROUND: Duration = Duration::from_millis(250);
/// Between two looks for owners that are gone.
const OWNERS_EVERY: Duration = Duration::from_secs(3);
/// Between two rounds of forgetting.
const FORGET_EVERY: Duration = Duration::from_secs(600);
/// Jobs that are forgotten at once.
const MOST_FORGOTTEN: usize = 10_000;

/// Keeps the books until the service ends.
pub(super) fn keep(shared: &Arc<Shared>) {
    let mut renewed = Instant::now();
    let mut owners: Option<Instant> = None;
    let mut written = HashMap::new();
    while !shared.is_over() {
        if renewed.elapsed() >= LEASE / 3 {
            renewed = Instant::now();
            renew(shared);
        }
        if owners.is_none_or(|at| at.elapsed() >= OWNERS_EVERY) {
            owners = Some(Instant::now());
            take_up(shared);
        }
        // A fault in one round must not be the last of them.
        let round = || {
            expire(shared);
            shared.save_again();
            write_progress(shared, &mut written);
        };
        if catch_unwind(AssertUnwindSafe(round)).is_err() {
            shared.tell("defib itself failed at keeping its books; it goes on");
        }
        shared.wait_over(ROUND);
    }
}

/// Forgets what is old, until the service ends. It may take long, where there is much.
pub(super) fn forget_from_time_to_time(shared: &Arc<Shared>) {
    while !shared.is_over() {
        let _ = catch_unwind(AssertUnwindSafe(|| forget(shared)));
        shared.wait_over(FORGET_EVERY);
    }
}

/// Renews what this process has claimed; hears what others wish.
fn renew(shared: &Shared) {
    let lease_ms = i64::try_from(LEASE.as_millis()).unwrap_or(i64::MAX);
    for (job, attempt, stop) in shared.running() {
        match shared.queue.heartbeat(&job, attempt, lease_ms, now_ms()) {
            Ok(beat) if beat.cancel_wanted => stop.stop(StopWhy::Cancelled),
            Ok(_) => {}
            // Somebody else has it: what is done here is not heard any more.
            Err(QueueError::Stale { .. }) => stop.stop(StopWhy::Leaving),
            Err(error) => shared.tell(&format!("the claim on {job} cannot be renewed: {error}")),
        }
    }
}

/// Takes up what dead processes had.
pub(super) fn take_up(shared: &Shared) {
    let state = shared.state.root();
    let owners = match shared.queue.owners() {
        Ok(owners) => owners,
        Err(error) => return shared.tell(&format!("the queue cannot be read: {error}")),
    };
    for name in owners.iter().filter(|name| name.as_str() != shared.owner.name() && owner::is_gone(state, name)) {
        match shared.queue.expire_owner(name, now_ms()) {
            Ok(expired) => {
                let (again, failed) = (expired.requeued.len(), expired.failed.len());
                shared.tell(&format!(
                    "a defib that is gone had {} jobs: {again} are queued again, {failed} had no attempt left",
                    again + failed
                ));
                expired.failed.iter().for_each(|job| shared.changed(job));
                expired.requeued.iter().for_each(|(job, _)| shared.changed(job));
                shared.ring_all();
            }
            Err(error) => shared.tell(&format!("the jobs of a defib that is gone cannot be taken up: {error}")),
        }
    }
    files::clear(state, |name| name != shared.owner.name() && owner::is_gone(state, name));
    owner::clear(state);
}

fn expire(shared: &Shared) {
    let attempts = shared.running().into_iter().map(|(job, attempt, _)| (job, attempt)).collect();
    let owners = shared.queue.owners().unwrap_or_default().into_iter();
    let state = shared.state.root();
    let live = owners.filter(|name| name.as_str() != shared.owner.name() && !owner::is_gone(state, name)).collect();
    match shared.queue.expire(&waits(shared), &Spared { owners: live, attempts }, now_ms()) {
        Ok(expired) => {
            expired.failed.iter().for_each(|job| shared.changed(job));
            if !expired.requeued.is_empty() {
                expired.requeued.iter().for_each(|(job, _)| shared.changed(job));
                shared.ring_all();
            }
        }
        Err(error) => shared.tell(&format!("the queue cannot be looked through: {error}")),
    }
}

/// Why a job of each backend would still wait at this moment.
fn waits(shared: &Shared) -> HashMap<String, Value> {
    let mut waits = HashMap::new();
    for backend in shared.backends() {
        let all = backend.seats.len();
        let busy = backend.seats.iter().filter(|seat| seat.job.is_some()).count();
        let trouble = backend.seats.iter().find_map(|seat| seat.trouble.clone());
        let name = &backend.name;
        let why = if let Some((cause, explanation)) = trouble {
            json!({ "cause": cause, "explanation": format!("its deadline passed while `{name}` had no worker: {explanation}") })
        } else if busy == all {
            let explanation = format!("its deadline passed while all {all} workers of `{name}` were at other jobs");
            json!({ "cause": "slots-exhausted", "explanation": explanation })
        } else {
            continue;
        };
        waits.insert(backend.name, why);
    }
    waits
}

/// Progress for those who read the queue; a crash may lose the last of it.
fn write_progress(shared: &Shared, written: &mut HashMap<String, (Instant, f64)>) {
    const EVERY: Duration = Duration::from_secs(1);
    let now: BTreeMap<String, (u32, f64, Option<f64>)> = shared.progress_now();
    written.retain(|job, _| now.contains_key(job));
    for (job, (attempt, done, total)) in now {
        let due = written.get(&job).is_none_or(|(at, before)| at.elapsed() >= EVERY && (before - done).abs() > 0.0);
        if due && shared.queue.progress(&job, attempt, done, total).is_ok() {
            written.insert(job, (Instant::now(), done));
        }
    }
}

/// What is over and old goes: jobs, files that no job needs, folders of runs.
fn forget(shared: &Shared) {
    let settings = &shared.settings;
    let keep_ms = i64::try_from(settings.keep_jobs.as_millis()).unwrap_or(i64::MAX);
    let forgotten = shared.queue.forget(now_ms().saturating_sub(keep_ms), MOST_FORGOTTEN);
    let removed = shared.queue.inputs_in_use().map_err(|error| error.to_string()).and_then(|used| {
        let cleaned =
            shared.artifacts.clean(settings.artifact_bytes, settings.keep_artifacts, SystemTime::now(), &used);
        cleaned.map_err(|error| error.to_string())
    });
    if let Ok(index) = Index::open(shared.state.root()) {
        archive::keep_within(&settings.retention, &shared.state, &index);
    }
    match (forgotten, removed) {
        (Ok(0), Ok(removed)) if removed.files == 0 => {}
        (Ok(jobs), Ok(removed)) => shared.tell(&format!(
            "forgot {jobs} old jobs, and {} files of {} bytes that no job needs",
            removed.files, removed.bytes
        )),
        (Err(error), _) => shared.tell(&format!("old jobs cannot be forgotten: {error}")),
        (_, Err(error)) => shared.tell(&format!("old files cannot be removed: {error}")),
    }
}
