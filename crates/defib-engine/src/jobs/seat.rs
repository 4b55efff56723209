//! The thread of a seat: from a claim to the end of the attempt.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use defib_core::job::{Choice, JobState};
use defib_store::queue::{Claimant, Claimed, Next, QueueError};
use serde_json::{Map, Value, json};

use super::backend::{Backend, Done, Failed, FailedKind, Seat, Stop, StopWhy, Task};
use super::check;
use super::files::{self, Desk, Inputs};
use super::recover::{self, Followed};
use super::settings::{BackendSettings, FULL};
use super::shared::{LEASE, Shared, Unsaved, now_ms};

/// Pause after the queue failed, and how often its answer to the end of an attempt is
/// sought: a disk that is full for a moment must not cost a result.
const QUEUE_PAUSE: Duration = Duration::from_secs(1);
const QUEUE_TRIES: u32 = 30;
/// Between two looks whether a GPU is free.
const GPU_WAIT: Duration = Duration::from_millis(500);
/// A process that ends sooner than this while idle is set up again after a pause, which
/// doubles.
const SHORT_LIFE: Duration = Duration::from_secs(30);
const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(60);
/// Time a worker has to end when the service does.
const CLOSE_WITHIN: Duration = Duration::from_secs(3);

/// Works until the service ends.
pub(super) fn work(shared: &Arc<Shared>, backend: &dyn Backend, settings: &BackendSettings, number: usize) {
    let mut seat = backend.seat(number);
    let mine = Mine { shared, settings, number };
    mine.warm(&mut *seat);
    let Some(bell) = shared.bell(&settings.name) else { return };
    let mut rest = Rest::default();
    while shared.is_working() {
        let rung = bell.rung();
        let gpus = mine.gpus(&*seat);
        let Some(held) = shared.gpus.take(&gpus, settings.jobs_per_gpu, GPU_WAIT) else { continue };
        match mine.claim() {
            Ok(Some(claimed)) => {
                if mine.attempt(&mut *seat, &claimed) == Unharmed::No {
                    seat = backend.seat(number);
                }
                drop(held);
                // Whatever becomes of its process now has to do with the job.
                rest = Rest::default();
                mine.note(&*seat);
                continue;
            }
            Ok(None) => {}
            Err(error) => {
                shared.tell(&format!("{}: no job can be claimed: {error}", settings.name));
                thread::sleep(QUEUE_PAUSE);
            }
        }
        drop(held);
        // What ended between two jobs, or is due to be replaced, is up again before the next
        // one comes; what ends at once again, after growing pauses.
        if !seat.condition().ready {
            mine.note(&*seat);
        }
        if rest.over() {
            mine.warm(&mut *seat);
            rest.warmed(seat.condition().pid);
        }
        bell.wait(rung);
    }
    seat.close(CLOSE_WITHIN);
    mine.note(&*seat);
}

/// Pauses between two processes that end by themselves while they are idle.
#[derive(Default)]
struct Rest {
    process: Option<i32>,
    until: Option<Instant>,
    pause: Duration,
    since: Option<Instant>,
}

impl Rest {
    fn over(&self) -> bool {
        self.until.is_none_or(|until| Instant::now() >= until)
    }

    /// Another process is up, or the same as before.
    fn warmed(&mut self, process: Option<i32>) {
        if process == self.process {
            return;
        }
        let now = Instant::now();
        let short = self.process.is_some() && self.since.is_some_and(|since| now - since < SHORT_LIFE);
        self.pause = if short { (self.pause * 2).clamp(FIRST_REST, LONGEST_REST) } else { Duration::ZERO };
        (self.process, self.since, self.until) = (process, Some(now), Some(now + self.pause));
    }
}

/// Whether what did an attempt is still to be trusted.
#[derive(PartialEq, Eq)]
enum Unharmed {
    Yes,
    No,
}

/// One seat, seen from its thread.
struct Mine<'a> {
    shared: &'a Arc<Shared>,
    settings: &'a BackendSettings,
    number: usize,
}

impl Mine<'_> {
    fn note(&self, seat: &dyn Seat) {
        self.shared.note(&self.settings.name, self.number, seat.condition());
    }

    /// Has a process before there is a job, where that is wanted.
    fn warm(&self, seat: &mut dyn Seat) {
        if self.shared.settings.warm {
            let stop = self.shared.warming(&self.settings.name, self.number);
            seat.warm(&stop);
        }
        self.note(seat);
    }

    /// GPUs that the next job uses: those that are configured, or that the process has open.
    fn gpus(&self, seat: &dyn Seat) -> Vec<String> {
        let configured = &self.settings.gpus;
        if configured.is_empty() { seat.gpus() } else { vec![configured[self.number % configured.len()].clone()] }
    }

    fn claim(&self) -> Result<Option<Claimed>, QueueError> {
        let claimant = Claimant {
            backend: &self.settings.name,
            only: self.shared.settings.only.as_deref(),
            owner: self.shared.owner.name(),
            lease_ms: i64::try_from(LEASE.as_millis()).unwrap_or(i64::MAX),
        };
        self.shared.queue.claim(&claimant, now_ms())
    }

    /// One attempt, to its end in the queue. A fault of defib's own fails the attempt and
    /// costs the seat, not the service.
    fn attempt(&self, seat: &mut dyn Seat, claimed: &Claimed) -> Unharmed {
        let stop = self.shared.begin(claimed, &self.settings.name, self.number);
        let begun = Instant::now();
        let (unharmed, made) = match catch_unwind(AssertUnwindSafe(|| self.make(seat, claimed, &stop))) {
            Ok(made) => (Unharmed::Yes, made),
            Err(_) => {
                (Unharmed::No, Err(Failed::new("unknown", "defib itself failed at this attempt; its log says more")))
            }
        };
        self.ended(claimed, made, &stop, begun);
        unharmed
    }

    /// How the attempt ended goes into the queue.
    fn ended(&self, claimed: &Claimed, made: Result<Value, Failed>, stop: &Stop, begun: Instant) {
        let (job, attempt) = (claimed.job.id.clone(), claimed.attempt);
        let (outcome, cause, told) = match made {
            Ok(result) => return self.succeed(job, attempt, result, begun),
            Err(failed) if failed.kind == FailedKind::Stopped => match stop.why() {
                Some(StopWhy::Cancelled) => {
                    ("cancelled", String::new(), self.told(|| self.cancelled(&job, attempt)).map(|()| true))
                }
                _ => {
                    let released = self.told(|| self.shared.queue.release(&job, attempt, now_ms()));
                    ("released", String::new(), released.map(JobState::over))
                }
            },
            Err(failed) => {
                let cause = failed.cause.clone();
                ("failed", cause, self.told(|| self.fail(claimed, &failed)))
            }
        };
        let over = matches!(told, Ok(true));
        match told {
            Ok(_) => {}
            // Given up meanwhile: another attempt has the job.
            Err(QueueError::Stale { .. }) => {
                self.shared
                    .tell(&format!("attempt {attempt} of {job} was given up; what it did ({outcome}) is dropped"));
            }
            Err(error) => {
                self.shared.tell(&format!("the end of attempt {attempt} of {job} could not be kept: {error}"))
            }
        }
        self.shared.metrics.attempt(&self.settings.name, outcome, &cause, begun.elapsed());
        self.shared.end(&job, attempt, over);
    }

    /// Tells the queue, again and again where it fails.
    fn told<T>(&self, tell: impl Fn() -> Result<T, QueueError>) -> Result<T, QueueError> {
        let mut result = tell();
        for _ in 0..QUEUE_TRIES {
            if !matches!(result, Err(QueueError::Database(_))) {
                break;
            }
            thread::sleep(QUEUE_PAUSE);
            result = tell();
        }
        result
    }

    /// The next job need not wait until this result is on disk.
    fn succeed(&self, job: String, attempt: u32, result: Value, begun: Instant) {
        self.shared.metrics.attempt(&self.settings.name, "succeeded", "", begun.elapsed());
        self.shared.save(Unsaved { job, attempt, result, tries: 0, why: String::new() });
    }

    fn cancelled(&self, job: &str, attempt: u32) -> Result<(), QueueError> {
        self.shared.queue.cancelled(job, attempt, now_ms())
    }

    /// The cause chooses what is next; whether the job is over.
    fn fail(&self, claimed: &Claimed, failed: &Failed) -> Result<bool, QueueError> {
        let job = &claimed.job;
        let history = self.shared.queue.get(&job.id)?.attempts;
        let places = self.shared.settings.places(&job.route).unwrap_or_default();
        let Followed { failure, next, again } =
            recover::follow(failed, &history, &places, &self.shared.settings.remedies, now_ms());
        let state = self.shared.queue.fail(&job.id, claimed.attempt, &failure, &next, now_ms())?;
        self.tell_failed(claimed, failed, &next, state);
        if let Some((pause, backend)) = again.filter(|_| !state.over()) {
            self.shared.ring(&backend, pause);
        }
        Ok(state.over())
    }

    /// Says in a line what failed, and what follows.
    fn tell_failed(&self, claimed: &Claimed, failed: &Failed, next: &Next, state: JobState) {
        // Whoever waits for this job alone says how it ended.
        if state.over() && self.shared.settings.only.is_some() {
            return;
        }
        let follows = match next {
            Next::Retry { choice, .. } if !state.over() => format!("again on {}", in_words(choice)),
            Next::Final(decision) => decision["why"].as_str().unwrap_or("it ends there").to_owned(),
            Next::Retry { .. } => "no attempt or no time is left".to_owned(),
        };
        let Choice { backend, .. } = &claimed.choice;
        let at = if claimed.attempt > 1 { format!(" (attempt {})", claimed.attempt) } else { String::new() };
        let Failed { cause, explanation, .. } = failed;
        self.shared.tell(&format!("{} failed on {backend}{at}: {explanation} ({cause}); {follows}", claimed.job.id));
    }

    /// Has the work done and looks at what came out.
    fn make(&self, seat: &mut dyn Seat, claimed: &Claimed, stop: &Arc<Stop>) -> Result<Value, Failed> {
        let (job, shared) = (&claimed.job, self.shared);
        let desk = Desk::new(shared.state.root(), shared.owner.name(), &job.id, claimed.attempt);
        let profile = self.settings.profile(&claimed.choice.profile);
        if profile.is_none() && claimed.choice.profile != FULL {
            shared.tell(&format!("{}: there is no profile {}; the full one is used", job.id, claimed.choice.profile));
        }
        let mut inputs = job.inputs.as_object().cloned().unwrap_or_default();
        inputs.extend(profile.map(|profile| profile.inputs.clone()).unwrap_or_default());
        let Inputs { values, files } = desk
            .lay_out(&inputs, &shared.artifacts)
            .map_err(|error| Failed::of_file("an input cannot be laid out", &error))?;
        let limit = job.timeout_ms.and_then(|ms| u64::try_from(ms).ok()).map(Duration::from_millis);
        let deadline = job.deadline_ms.map(|at| {
            let left = u64::try_from(at - now_ms()).unwrap_or(0);
            Instant::now() + Duration::from_millis(left)
        });
        let out = desk.out();
        let (id, attempt) = (job.id.as_str(), claimed.attempt);
        let progress = |done: f64, total: Option<f64>| shared.progress(id, attempt, done, total);
        let stage = |name: &str| shared.stage(id, attempt, name);
        let task = Task {
            job: id,
            attempt,
            inputs: &values,
            files: &files,
            out: &out,
            limit: limit.unwrap_or(self.settings.predict_timeout).min(self.settings.predict_timeout),
            deadline,
            profile,
            stop,
            progress: &progress,
            stage: &stage,
        };
        let done = seat.work(&task)?;
        self.accept(seat, &done, &values, &out)
    }

    /// Output that is what it should be becomes the result.
    fn accept(
        &self,
        seat: &mut dyn Seat,
        done: &Done,
        inputs: &Map<String, Value>,
        out: &std::path::Path,
    ) -> Result<Value, Failed> {
        if let Err(wrong) = check::check(done, &self.settings.checks, inputs) {
            let failed = seat.judge_output(done, wrong.made, &wrong.words);
            if wrong.spoilt {
                seat.quarantine(&wrong.words);
            }
            return Err(failed);
        }
        let outputs = files::keep(&done.files, out, &self.shared.artifacts, self.shared.settings.largest_file)
            .map_err(|error| Failed::of_file("its output cannot be kept", &error))?;
        Ok(json!({ "outputs": outputs, "values": done.values }))
    }
}

/// Backend and profile.
fn in_words(choice: &Choice) -> String {
    if choice.profile == FULL { choice.backend.clone() } else { format!("{}/{}", choice.backend, choice.profile) }
}
