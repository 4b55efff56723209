//! What the threads of a service share: what is at work, how the seats stand, who listens.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use defib_core::job::{Job, JobState, JobView, Pace};
use defib_store::queue::{Claimed, Failure, Next, Queue, QueueError};
use defib_store::{Artifacts, State};
use serde_json::Value;

use super::backend::{Condition, Stop, StopWhy};
use super::bell::Bell;
use super::gpus::Gpus;
use super::host::Tell;
use super::metrics::Metrics;
use super::owner::Owner;
use super::settings::{BackendSettings, Settings};
use super::status::{BackendView, SeatView};

/// How long a claim holds without being renewed.
pub(super) const LEASE: Duration = Duration::from_secs(30);

/// A result that is not on disk yet.
pub(super) struct Unsaved {
    pub(super) job: String,
    pub(super) attempt: u32,
    pub(super) result: Value,
    pub(super) tries: u32,
    /// Why it is not, once it was tried.
    pub(super) why: String,
}

/// How often a result is tried to be kept, once each round of the keeper: a disk that is
/// full for a moment must not cost one.
const MOST_TRIES: u32 = 240;

/// A job at work.
struct Running {
    stop: Arc<Stop>,
    began: Instant,
    pace: Pace,
    last: Option<(f64, Option<f64>)>,
    stage: Option<String>,
}

const WORKING: u8 = 0;
const LEAVING: u8 = 1;
const OVER: u8 = 2;

pub(super) type Listener = Box<dyn Fn(&str) + Send + Sync>;

/// What all threads share.
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) state: State,
    pub(super) queue: Arc<dyn Queue>,
    pub(super) artifacts: Artifacts,
    pub(super) owner: Owner,
    pub(super) gpus: Gpus,
    pub(super) metrics: Metrics,
    bells: HashMap<String, Bell>,
    seats: Mutex<BTreeMap<(String, usize), SeatView>>,
    running: Mutex<HashMap<(String, u32), Running>>,
    /// What stops a process that is being set up ahead of jobs.
    warming: Mutex<HashMap<(String, usize), Arc<Stop>>>,
    phase: AtomicU8,
    unsaved: Mutex<Vec<Unsaved>>,
    over: (Mutex<bool>, Condvar),
    /// Rises with each change to any job.
    changes: (Mutex<u64>, Condvar),
    listeners: Mutex<Vec<Listener>>,
    end_listeners: Mutex<Vec<Listener>>,
    tell: Tell,
}

pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn new(
        settings: Settings,
        state: State,
        queue: Arc<dyn Queue>,
        artifacts: Artifacts,
        owner: Owner,
        tell: Tell,
    ) -> Self {
        let bells = settings.backends.iter().map(|backend| (backend.name.clone(), Bell::default())).collect();
        Self {
            settings,
            state,
            queue,
            artifacts,
            owner,
            gpus: Gpus::default(),
            metrics: Metrics::new(),
            bells,
            seats: Mutex::default(),
            running: Mutex::default(),
            warming: Mutex::default(),
            phase: AtomicU8::new(WORKING),
            unsaved: Mutex::default(),
            over: <_>::default(),
            changes: <_>::default(),
            listeners: Mutex::default(),
            end_listeners: Mutex::default(),
            tell,
        }
    }

    /// What the backends of this service say.
    pub(super) fn teller(&self) -> Tell {
        self.tell.clone()
    }

    /// Nothing new is begun from now on.
    pub(super) fn leave(&self) {
        let _ = self.phase.compare_exchange(WORKING, LEAVING, Ordering::AcqRel, Ordering::Acquire);
        locked(&self.warming).values().for_each(|stop| stop.stop(StopWhy::Leaving));
        self.ring_all();
    }

    /// Everything has ended.
    pub(super) fn finish(&self) {
        self.phase.store(OVER, Ordering::Release);
        *locked(&self.over.0) = true;
        self.over.1.notify_all();
    }

    /// Hears the id of each job about which something has changed.
    pub(super) fn on_change(&self, listener: Listener) {
        locked(&self.listeners).push(listener);
    }

    /// Hears the id of each job that is over.
    pub(super) fn on_end(&self, listener: Listener) {
        locked(&self.end_listeners).push(listener);
    }

    /// Waits until the number of changes is another one, or this long; returns it.
    pub(super) fn wait_change(&self, seen: u64, within: Duration) -> u64 {
        let changes = locked(&self.changes.0);
        let waits = self.changes.1.wait_timeout_while(changes, within, |now| *now == seen);
        *waits.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Jobs at work, or whose result is on its way to the disk.
    pub(super) fn at_work(&self) -> usize {
        locked(&self.running).len()
    }

    /// A job as it stands, with what only its seat knows.
    pub(super) fn view(&self, job: Job) -> JobView {
        let running = locked(&self.running);
        let attempt = job.attempts.last().map_or(0, |attempt| attempt.n);
        let at_work = running.get(&(job.new.id.clone(), attempt)).filter(|_| job.state == JobState::Running);
        let progress = at_work.and_then(|it| it.pace.view(it.began.elapsed().as_secs_f64()));
        let stage = at_work.and_then(|it| it.stage.clone());
        drop(running);
        JobView::new(job, progress, stage)
    }

    pub(super) fn tell(&self, text: &str) {
        (self.tell)(text);
    }

    pub(super) fn is_working(&self) -> bool {
        self.phase.load(Ordering::Acquire) == WORKING
    }

    pub(super) fn is_over(&self) -> bool {
        self.phase.load(Ordering::Acquire) == OVER
    }

    /// Waits so long, or until the service is over.
    pub(super) fn wait_over(&self, within: Duration) {
        let over = locked(&self.over.0);
        drop(self.over.1.wait_timeout_while(over, within, |over| !*over));
    }

    pub(super) fn bell(&self, backend: &str) -> Option<&Bell> {
        self.bells.get(backend)
    }

    pub(super) fn ring(&self, backend: &str, pause: Duration) {
        if let Some(bell) = self.bell(backend) {
            bell.ring_after(pause);
        }
    }

    pub(super) fn ring_all(&self) {
        self.bells.values().for_each(Bell::ring_all);
    }

    /// How a seat stands now.
    pub(super) fn note(&self, backend: &str, number: usize, condition: Condition) {
        let Condition { ready, run, pid, jobs, trouble } = condition;
        let mut seats = locked(&self.seats);
        let view = seats.entry((backend.to_owned(), number)).or_default();
        *view = SeatView { ready, job: view.job.take(), run, pid, jobs, trouble };
    }

    /// A seat is about to set up a process: what stops that when the service ends.
    pub(super) fn warming(&self, backend: &str, number: usize) -> Arc<Stop> {
        let stop = Arc::new(Stop::default());
        locked(&self.warming).insert((backend.to_owned(), number), stop.clone());
        // Told so before or after: one of both sees the other.
        if !self.is_working() {
            stop.stop(StopWhy::Leaving);
        }
        stop
    }

    /// An attempt begins.
    pub(super) fn begin(&self, claimed: &Claimed, backend: &str, number: usize) -> Arc<Stop> {
        let stop = Arc::new(Stop::default());
        let running =
            Running { stop: stop.clone(), began: Instant::now(), pace: Pace::default(), last: None, stage: None };
        let id = &claimed.job.id;
        locked(&self.running).insert((id.clone(), claimed.attempt), running);
        // Told so before or after: one of both sees the other.
        if !self.is_working() {
            stop.stop(StopWhy::Leaving);
        }
        locked(&self.seats).entry((backend.to_owned(), number)).or_default().job = Some(id.clone());
        self.changed(id);
        stop
    }

    /// Keeps a result, without a wait.
    pub(super) fn save(self: &Arc<Self>, unsaved: Unsaved) {
        let shared = self.clone();
        let Unsaved { job, attempt, result, tries, .. } = unsaved;
        let (id, kept) = (job.clone(), result.clone());
        let then = move |told: Result<(), QueueError>| match told {
            Ok(()) => shared.end(&job, attempt, true),
            Err(QueueError::Stale { .. } | QueueError::NoSuchJob(_)) => {
                shared.tell(&format!("attempt {attempt} of {job} was given up; its result is dropped"));
                shared.end(&job, attempt, false);
            }
            // The keeper tries again.
            Err(error) => {
                if tries == 0 {
                    shared.tell(&format!("the result of {job} cannot be kept yet: {error}"));
                }
                locked(&shared.unsaved).push(Unsaved {
                    job,
                    attempt,
                    result,
                    tries: tries + 1,
                    why: error.to_string(),
                });
            }
        };
        self.queue.succeed_then(&id, attempt, &kept, now_ms(), Box::new(then));
    }

    /// Tries again what could not be kept; what cannot be kept at all fails with that reason.
    pub(super) fn save_again(self: &Arc<Self>) {
        let unsaved = std::mem::take(&mut *locked(&self.unsaved));
        for unsaved in unsaved {
            if unsaved.tries < MOST_TRIES {
                self.save(unsaved);
                continue;
            }
            let Unsaved { job, attempt, .. } = &unsaved;
            // SQLite's own words for ENOSPC.
            let cause = if unsaved.why.contains("disk is full") { "disk-full" } else { "unknown" };
            let explanation = format!("its result could not be kept, tried again and again: {}", unsaved.why);
            let error = serde_json::json!({ "cause": cause, "explanation": explanation, "report": null });
            let failure = Failure { cause: cause.to_owned(), error };
            match self.queue.fail(job, *attempt, &failure, &Next::Final(Value::Null), now_ms()) {
                Err(QueueError::Database(_)) => locked(&self.unsaved).push(unsaved),
                told => self.end(job, *attempt, told.is_ok_and(JobState::over)),
            }
        }
    }

    /// An attempt is over, and with it the job or not.
    pub(super) fn end(&self, job: &str, attempt: u32, over: bool) {
        locked(&self.running).remove(&(job.to_owned(), attempt));
        for view in locked(&self.seats).values_mut() {
            view.job.take_if(|at| at == job);
        }
        self.changed(job);
        if over {
            for listener in locked(&self.end_listeners).iter() {
                listener(job);
            }
        }
    }

    pub(super) fn progress(&self, job: &str, attempt: u32, done: f64, total: Option<f64>) {
        if let Some(running) = locked(&self.running).get_mut(&(job.to_owned(), attempt)) {
            running.pace.note(running.began.elapsed().as_secs_f64(), done, total);
            running.last = Some((done, total));
        }
        self.changed(job);
    }

    pub(super) fn stage(&self, job: &str, attempt: u32, name: &str) {
        if let Some(running) = locked(&self.running).get_mut(&(job.to_owned(), attempt)) {
            running.stage = Some(name.to_owned());
        }
        self.changed(job);
    }

    /// Attempts at work, with what stops them.
    pub(super) fn running(&self) -> Vec<(String, u32, Arc<Stop>)> {
        locked(&self.running).iter().map(|((job, attempt), it)| (job.clone(), *attempt, it.stop.clone())).collect()
    }

    pub(super) fn progress_now(&self) -> BTreeMap<String, (u32, f64, Option<f64>)> {
        let running = locked(&self.running);
        let told = running
            .iter()
            .filter_map(|((job, attempt), it)| it.last.map(|(done, of)| (job.clone(), (*attempt, done, of))));
        told.collect()
    }

    /// Something has changed about a job.
    pub(super) fn changed(&self, job: &str) {
        *locked(&self.changes.0) += 1;
        self.changes.1.notify_all();
        for listener in locked(&self.listeners).iter() {
            listener(job);
        }
    }

    pub(super) fn backends(&self) -> Vec<BackendView> {
        let seats = locked(&self.seats);
        let view = |settings: &BackendSettings| {
            let of = |number| seats.get(&(settings.name.clone(), number)).cloned().unwrap_or_default();
            let views: Vec<SeatView> = (0..settings.workers).map(of).collect();
            let names = settings.profiles.iter().map(|profile| profile.name.clone());
            BackendView {
                name: settings.name.clone(),
                kind: settings.kind.name().to_owned(),
                profiles: std::iter::once(super::FULL.to_owned()).chain(names).collect(),
                healthy: views.iter().any(|seat| seat.ready || seat.job.is_some()),
                seats: views,
            }
        };
        self.settings.backends.iter().map(view).collect()
    }
}
