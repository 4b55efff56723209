//! The service: everything that works on the jobs of one state folder in this process.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use defib_core::job::{self, Choice, JobState, JobView, NewJob, Pace};
use defib_store::queue::{Cancelling, Claimed, Counts, JobEvent, Queue, QueueError, SqliteQueue, Submitted};
use defib_store::{Artifact, ArtifactError, Artifacts, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::backend::{Backend, Condition, Stop, StopWhy};
use super::bell::Bell;
use super::command::CommandBackend;
use super::gpus::Gpus;
use super::host::{Host, Tell};
use super::metrics::Metrics;
use super::owner::Owner;
use super::settings::{BackendSettings, Kind, ONE_BACKEND, Settings};
use super::worker::WorkerBackend;
use super::{files, keeper, seat};

/// File of the queue in the state folder.
const QUEUE_FILE: &str = "queue.sqlite";
/// The queue of a state folder, for those who only read; `None` where there never was a job.
///
/// # Errors
/// Where it cannot be opened.
pub fn queue_of(state: &State) -> Result<Option<SqliteQueue>, QueueError> {
    let file = state.root().join(QUEUE_FILE);
    file.is_file().then(|| SqliteQueue::open(&file, u64::MAX)).transpose()
}

/// How long a claim holds without being renewed.
pub(super) const LEASE: Duration = Duration::from_secs(30);
/// Longest time from the wish to stop to the end of all seats: evidence and endings are
/// bounded, this is more.
const SEATS_END_WITHIN: Duration = Duration::from_secs(30);

/// The service cannot do what was asked. Every text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// No such route.
    #[error("there is no route `{name}`; there are: {known}")]
    NoSuchRoute {
        /// What was asked for.
        name: String,
        /// Those there are.
        known: String,
    },
    /// No such backend.
    #[error("there is no backend `{name}`; there are: {known}")]
    NoSuchBackend {
        /// What was asked for.
        name: String,
        /// Those there are.
        known: String,
    },
    /// The request makes no sense.
    #[error("{0}")]
    Request(String),
    /// It is about to end.
    #[error("this defib is about to stop and takes no more jobs; hand the job in again when it is back")]
    Leaving,
    /// The queue.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// A file.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// Something with the system.
    #[error("the service cannot be set up: {0}")]
    System(#[from] std::io::Error),
}

/// A job that is handed in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Route; `default` if neither this nor a backend is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// One backend instead of a route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// Inputs by name. A file is `{"sha256": …}` of an artifact, or a part of the request.
    #[serde(default)]
    pub inputs: Map<String, Value>,
    /// Time for one attempt, as `60s`; no longer than the backend allows.
    #[serde(default, deserialize_with = "span", skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// Time for the job, waiting and all attempts included, as `1h`.
    #[serde(default, deserialize_with = "span", skip_serializing_if = "Option::is_none")]
    pub deadline: Option<String>,
    /// Wait so long before the first attempt, as `10m`.
    #[serde(default, deserialize_with = "span", skip_serializing_if = "Option::is_none")]
    pub delay: Option<String>,
    /// Most attempts, at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// Higher goes first.
    #[serde(default)]
    pub priority: i64,
}

/// A duration as text, or as a number of seconds.
fn span<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Span {
        Text(String),
        Seconds(f64),
    }
    let span = Option::<Span>::deserialize(from)?;
    Ok(span.map(|span| match span {
        Span::Text(text) => text,
        Span::Seconds(seconds) => format!("{seconds}s"),
    }))
}

/// How a backend stands.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct BackendView {
    /// Name.
    pub name: String,
    /// `worker` or `command`.
    pub kind: String,
    /// Its profiles.
    pub profiles: Vec<String>,
    /// Its seats.
    pub seats: Vec<SeatView>,
    /// At least one seat takes a job at once, or is at work.
    pub healthy: bool,
}

/// How a seat stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct SeatView {
    /// Its process is up.
    pub ready: bool,
    /// Job it is at.
    pub job: Option<String>,
    /// Run of its process: `defib show RUN`.
    pub run: Option<String>,
    /// Process id.
    pub pid: Option<i32>,
    /// Jobs that its process has done.
    pub jobs: u64,
    /// Why its process is not up: cause and explanation.
    pub trouble: Option<(String, String)>,
}

/// How the service stands.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Health {
    /// `ok`; `degraded` where a backend has no worker that is up; `stopping`.
    pub status: String,
    /// Backends.
    pub backends: Vec<BackendView>,
    /// Jobs that wait.
    pub queued: u64,
    /// Jobs at work.
    pub running: u64,
}

/// A result that is not on disk yet.
pub(super) struct Unsaved {
    pub(super) job: String,
    pub(super) attempt: u32,
    pub(super) result: Value,
    pub(super) tries: u32,
}

/// How often a result is tried to be kept, once each round of the keeper: a disk that is
/// full for a moment must not cost one.
const MOST_TRIES: u32 = 240;

/// A job at work.
struct Running {
    attempt: u32,
    stop: Arc<Stop>,
    began: Instant,
    pace: Pace,
    last: Option<(f64, Option<f64>)>,
    stage: Option<String>,
}

const WORKING: u8 = 0;
const LEAVING: u8 = 1;
const OVER: u8 = 2;

type Listener = Box<dyn Fn(&str) + Send + Sync>;

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
    running: Mutex<HashMap<String, Running>>,
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

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
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

    /// An attempt begins.
    pub(super) fn begin(&self, claimed: &Claimed, backend: &str, number: usize) -> Arc<Stop> {
        let stop = Arc::new(Stop::default());
        let running = Running {
            attempt: claimed.attempt,
            stop: stop.clone(),
            began: Instant::now(),
            pace: Pace::default(),
            last: None,
            stage: None,
        };
        let id = &claimed.job.id;
        locked(&self.running).insert(id.clone(), running);
        locked(&self.seats).entry((backend.to_owned(), number)).or_default().job = Some(id.clone());
        self.changed(id);
        stop
    }

    /// Keeps a result, without a wait.
    pub(super) fn save(self: &Arc<Self>, unsaved: Unsaved) {
        let shared = self.clone();
        let Unsaved { job, attempt, result, tries } = unsaved;
        let queue = self.queue.clone();
        let again = result.clone();
        let id = job.clone();
        let then = move |told: Result<(), QueueError>| match told {
            Ok(()) => shared.end(&job, true),
            Err(QueueError::Database(_)) if tries < MOST_TRIES => {
                locked(&shared.unsaved).push(Unsaved { job, attempt, result: again, tries: tries + 1 });
            }
            Err(error) => {
                shared.tell(&format!("the result of attempt {attempt} of {job} is dropped: {error}"));
                shared.end(&job, false);
            }
        };
        queue.succeed_then(&id, attempt, &result, now_ms(), Box::new(then));
    }

    /// Tries again what could not be kept.
    pub(super) fn save_again(self: &Arc<Self>) {
        let unsaved = std::mem::take(&mut *locked(&self.unsaved));
        unsaved.into_iter().for_each(|unsaved| self.save(unsaved));
    }

    /// An attempt is over, and with it the job or not.
    pub(super) fn end(&self, job: &str, over: bool) {
        locked(&self.running).remove(job);
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
        if let Some(running) = locked(&self.running).get_mut(job).filter(|running| running.attempt == attempt) {
            running.pace.note(running.began.elapsed().as_secs_f64(), done, total);
            running.last = Some((done, total));
        }
        self.changed(job);
    }

    pub(super) fn stage(&self, job: &str, name: &str) {
        if let Some(running) = locked(&self.running).get_mut(job) {
            running.stage = Some(name.to_owned());
        }
        self.changed(job);
    }

    /// Attempts at work, with what stops them.
    pub(super) fn running(&self) -> Vec<(String, u32, Arc<Stop>)> {
        locked(&self.running).iter().map(|(job, it)| (job.clone(), it.attempt, it.stop.clone())).collect()
    }

    pub(super) fn progress_now(&self) -> BTreeMap<String, (u32, f64, Option<f64>)> {
        let running = locked(&self.running);
        let told =
            running.iter().filter_map(|(job, it)| it.last.map(|(done, of)| (job.clone(), (it.attempt, done, of))));
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

/// The service. Dropped without [`Service::stop`], it ends at once and hands back what is
/// at work.
pub struct Service {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Service").field("owner", &self.shared.owner).finish_non_exhaustive()
    }
}

impl Service {
    /// Opens the queue of the state folder, takes up what dead processes had, and begins to
    /// work. `tell` hears what is worth saying.
    ///
    /// # Errors
    /// Where the queue cannot be opened or a backend cannot be set up.
    pub fn start(settings: Settings, state: State, tell: Tell) -> Result<Self, ServiceError> {
        let queue = SqliteQueue::open(&state.root().join(QUEUE_FILE), settings.most_queued)?;
        let artifacts = Artifacts::open(state.root())?;
        let owner = Owner::new(state.root(), crate::entropy())?;
        let bells = settings.backends.iter().map(|backend| (backend.name.clone(), Bell::default())).collect();
        let shared = Arc::new(Shared {
            settings,
            state,
            queue: Arc::new(queue),
            artifacts,
            owner,
            gpus: Gpus::default(),
            metrics: Metrics::new(),
            bells,
            seats: Mutex::default(),
            running: Mutex::default(),
            phase: AtomicU8::new(WORKING),
            unsaved: Mutex::default(),
            over: <_>::default(),
            changes: <_>::default(),
            listeners: Mutex::default(),
            end_listeners: Mutex::default(),
            tell,
        });
        keeper::take_up(&shared);
        redirect(&shared)?;
        let service = Self { shared: shared.clone(), threads: Mutex::default() };
        let keeper = shared.clone();
        service.spawn("defib-keeper", move || keeper::keep(&keeper))?;
        for settings in shared.settings.backends.clone() {
            let host = Host::new(&shared.settings, &settings, &shared.state, shared.tell.clone());
            let backend: Arc<dyn Backend> = match &settings.kind {
                Kind::Worker { predictor, python, options } => {
                    Arc::new(WorkerBackend::new(host, predictor, python, options)?)
                }
                Kind::Command { command } => Arc::new(CommandBackend::new(host, command)),
            };
            for number in 0..settings.workers {
                let (shared, backend, settings) = (shared.clone(), backend.clone(), settings.clone());
                service.spawn("defib-seat", move || seat::work(&shared, &*backend, &settings, number))?;
            }
        }
        Ok(service)
    }

    fn spawn(&self, name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), ServiceError> {
        locked(&self.threads).push(thread::Builder::new().name(name.to_owned()).spawn(body)?);
        Ok(())
    }

    /// Keeps a file for a job that is about to be handed in, and says how it stands among
    /// the inputs.
    ///
    /// # Errors
    /// Where it is too large or cannot be kept.
    pub fn keep_file(&self, name: &str, source: &mut dyn Read) -> Result<Value, ServiceError> {
        let Artifact { sha256, bytes } = self.shared.artifacts.keep(source, self.shared.settings.largest_file)?;
        Ok(files::reference(&sha256, name, bytes))
    }

    /// Accepts a job: once this returns it is on disk. Handed in again with the same key,
    /// it is the same job.
    ///
    /// # Errors
    /// Where the request makes no sense, or the queue is full.
    pub fn submit(&self, request: &Request, key: Option<&str>) -> Result<JobView, ServiceError> {
        self.submit_as(job::id(crate::entropy()), request, key)
    }

    /// The same under an id that the caller has chosen.
    ///
    /// # Errors
    /// As [`Service::submit`].
    pub fn submit_as(&self, id: String, request: &Request, key: Option<&str>) -> Result<JobView, ServiceError> {
        if !self.shared.is_working() {
            return Err(ServiceError::Leaving);
        }
        let new = self.accepted(id, request, key)?;
        let submitted = self.shared.queue.submit(&new, now_ms());
        if let Err(QueueError::Full { .. }) = submitted {
            self.shared.metrics.refused();
        }
        match submitted? {
            Submitted::Known(id) => self.job(&id),
            Submitted::New => {
                self.shared.metrics.accepted();
                let pause = new.not_before_ms.map_or(0, |at| u64::try_from(at - now_ms()).unwrap_or(0));
                self.shared.ring(&new.start.backend, Duration::from_millis(pause));
                Ok(JobView::accepted(new, now_ms()))
            }
        }
    }

    /// The job that a request makes.
    fn accepted(&self, id: String, request: &Request, key: Option<&str>) -> Result<NewJob, ServiceError> {
        let settings = &self.shared.settings;
        let now = now_ms();
        let (route, start) = self.start_of(request)?;
        for (name, value) in &request.inputs {
            if let Some(digest) = files::digest(value) {
                self.shared.artifacts.read(digest).map_err(|error| {
                    ServiceError::Request(format!("the input `{name}` names a file that is not here: {error}"))
                })?;
            }
        }
        let span = |name: &str, text: &Option<String>| -> Result<Option<i64>, ServiceError> {
            let Some(text) = text else { return Ok(None) };
            let span = defib_core::units::duration(text)
                .map_err(|error| ServiceError::Request(format!("`{name}`: {error}")))?;
            Ok(Some(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
        };
        if request.max_attempts == Some(0) {
            return Err(ServiceError::Request("`max_attempts` must be at least 1".to_owned()));
        }
        if key.is_some_and(|key| key.is_empty() || key.len() > 200) {
            return Err(ServiceError::Request("the idempotency key must have 1 to 200 characters".to_owned()));
        }
        let delay = span("delay", &request.delay)?;
        let life = i64::try_from(settings.deadline.as_millis()).unwrap_or(i64::MAX);
        let life = span("deadline", &request.deadline)?.unwrap_or(life.saturating_add(delay.unwrap_or(0)));
        Ok(NewJob {
            id,
            route,
            start,
            inputs: Value::Object(request.inputs.clone()),
            priority: request.priority,
            not_before_ms: delay.map(|delay| now.saturating_add(delay)),
            deadline_ms: Some(now.saturating_add(life)),
            timeout_ms: span("timeout", &request.timeout)?,
            max_attempts: request.max_attempts.unwrap_or(settings.max_attempts),
            idempotency_key: key.map(str::to_owned),
        })
    }

    /// The route of a request and its first place.
    fn start_of(&self, request: &Request) -> Result<(String, Choice), ServiceError> {
        let settings = &self.shared.settings;
        let known = |names: Vec<&str>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let route = match (&request.route, &request.backend) {
            (Some(_), Some(_)) => {
                return Err(ServiceError::Request("give `route` or `backend`, not both".to_owned()));
            }
            (None, Some(name)) => {
                let names = settings.backends.iter().map(|backend| backend.name.as_str());
                settings
                    .backend(name)
                    .ok_or_else(|| ServiceError::NoSuchBackend { name: name.clone(), known: known(names.collect()) })?;
                format!("{ONE_BACKEND}{name}")
            }
            (route, None) => route.clone().unwrap_or_else(|| "default".to_owned()),
        };
        let first = settings.places(&route).and_then(|places| places.into_iter().next());
        let first = first.ok_or_else(|| ServiceError::NoSuchRoute {
            name: route.clone(),
            known: known(settings.routes.iter().map(|route| route.name.as_str()).collect()),
        })?;
        Ok((route, Choice { backend: first.backend, profile: first.profile }))
    }

    /// The same job again, with its saved inputs: a new one.
    ///
    /// # Errors
    /// Where there is no such job, or as [`Service::submit`].
    pub fn replay(&self, id: &str, request: &Request) -> Result<Request, ServiceError> {
        let old = self.shared.queue.get(id)?.new;
        let mut inputs = old.inputs.as_object().cloned().unwrap_or_default();
        inputs.extend(request.inputs.clone());
        let (route, backend) = match (&request.route, &request.backend, old.route.strip_prefix(ONE_BACKEND)) {
            (None, None, Some(backend)) => (None, Some(backend.to_owned())),
            (None, None, None) => (Some(old.route), None),
            (route, backend, _) => (route.clone(), backend.clone()),
        };
        let timeout = old.timeout_ms.map(|ms| format!("{ms}ms"));
        Ok(Request {
            route,
            backend,
            inputs,
            timeout: request.timeout.clone().or(timeout),
            max_attempts: request.max_attempts.or(Some(old.max_attempts)),
            ..request.clone()
        })
    }

    /// A job as it stands.
    ///
    /// # Errors
    /// Where there is none, or the queue cannot be read.
    pub fn job(&self, id: &str) -> Result<JobView, ServiceError> {
        let job = self.shared.queue.get(id)?;
        Ok(self.view(job))
    }

    fn view(&self, job: job::Job) -> JobView {
        let running = locked(&self.shared.running);
        let at_work = running.get(&job.new.id).filter(|_| job.state == JobState::Running);
        let progress = at_work.and_then(|it| it.pace.view(it.began.elapsed().as_secs_f64()));
        let stage = at_work.and_then(|it| it.stage.clone());
        drop(running);
        JobView::new(job, progress, stage)
    }

    /// Jobs, newest first.
    ///
    /// # Errors
    /// Where the queue cannot be read.
    pub fn jobs(&self, state: Option<JobState>, most: usize) -> Result<Vec<JobView>, ServiceError> {
        let jobs = self.shared.queue.list(state, most)?;
        Ok(jobs.into_iter().map(|job| self.view(job)).collect())
    }

    /// What happened to a job after the event of this number.
    ///
    /// # Errors
    /// Where there is no such job, or the queue cannot be read.
    pub fn events(&self, id: &str, after: i64) -> Result<Vec<JobEvent>, ServiceError> {
        let events = self.shared.queue.events(id, after)?;
        if events.is_empty() {
            self.shared.queue.get(id)?;
        }
        Ok(events)
    }

    /// Somebody wants a job to end. One that is at work ends soon after.
    ///
    /// # Errors
    /// Where there is no such job.
    pub fn cancel(&self, id: &str) -> Result<JobView, ServiceError> {
        let cancelling = self.shared.queue.cancel(id, now_ms())?;
        if cancelling == Cancelling::Wanted {
            let stop = locked(&self.shared.running).get(id).map(|running| running.stop.clone());
            if let Some(stop) = stop {
                stop.stop(StopWhy::Cancelled);
            }
        }
        self.shared.changed(id);
        self.job(id)
    }

    /// An artifact, to be read.
    ///
    /// # Errors
    /// Where there is none of this digest.
    pub fn artifact(&self, sha256: &str) -> Result<std::fs::File, ServiceError> {
        Ok(self.shared.artifacts.read(sha256)?)
    }

    /// How the backends stand.
    #[must_use]
    pub fn backends(&self) -> Vec<BackendView> {
        self.shared.backends()
    }

    /// How the service stands.
    ///
    /// # Errors
    /// Where the queue cannot be read.
    pub fn health(&self) -> Result<Health, ServiceError> {
        let Counts { queued, running, .. } = self.shared.queue.counts()?;
        let backends = self.backends();
        let status = match backends.iter().all(|backend| backend.healthy) {
            _ if !self.shared.is_working() => "stopping",
            true => "ok",
            false => "degraded",
        };
        Ok(Health { status: status.to_owned(), backends, queued, running })
    }

    /// Figures for Prometheus.
    ///
    /// # Errors
    /// Where the queue cannot be read.
    pub fn metrics(&self) -> Result<String, ServiceError> {
        let seats = |backend: BackendView| {
            (backend.name, backend.seats.iter().filter(|seat| seat.ready).count(), backend.seats.len())
        };
        let seats: Vec<_> = self.backends().into_iter().map(seats).collect();
        Ok(self.shared.metrics.text(self.shared.queue.counts()?, &seats))
    }

    /// Hears the id of each job about which something has changed.
    pub fn on_change(&self, listener: impl Fn(&str) + Send + Sync + 'static) {
        locked(&self.shared.listeners).push(Box::new(listener));
    }

    /// Hears the id of each job that is over, as soon as that is on disk.
    pub fn on_end(&self, listener: impl Fn(&str) + Send + Sync + 'static) {
        locked(&self.shared.end_listeners).push(Box::new(listener));
    }

    /// Waits until something has changed about any job, or this long; returns the number of
    /// changes so far, to be handed in again.
    pub fn wait_change(&self, seen: u64, within: Duration) -> u64 {
        let changes = locked(&self.shared.changes.0);
        let waits = self.shared.changes.1.wait_timeout_while(changes, within, |now| *now == seen);
        let (changes, _) = waits.unwrap_or_else(PoisonError::into_inner);
        *changes
    }

    /// Takes no more jobs, and begins none.
    pub fn leave(&self) {
        let _ = self.shared.phase.compare_exchange(WORKING, LEAVING, Ordering::AcqRel, Ordering::Acquire);
        self.shared.ring_all();
    }

    /// Jobs at work.
    #[must_use]
    pub fn at_work(&self) -> usize {
        locked(&self.shared.running).len()
    }

    /// Ends: takes no more jobs, lets those at work finish within the grace or until
    /// `hurry` says so, and hands the rest back to the queue.
    pub fn stop(&self, grace: Duration, hurry: &dyn Fn() -> bool) {
        self.leave();
        let until = Instant::now() + grace;
        let mut seen = 0;
        while self.at_work() > 0 && Instant::now() < until && !hurry() {
            seen = self.wait_change(seen, Duration::from_millis(100));
        }
        self.end();
    }

    fn end(&self) {
        self.leave();
        for (_, _, stop) in self.shared.running() {
            stop.stop(StopWhy::Leaving);
        }
        let until = Instant::now() + SEATS_END_WITHIN;
        let mut threads = std::mem::take(&mut *locked(&self.threads));
        let keeper = (!threads.is_empty()).then(|| threads.remove(0));
        for thread in threads {
            while !thread.is_finished() && Instant::now() < until {
                thread::sleep(Duration::from_millis(2));
            }
            if thread.is_finished() {
                let _ = thread.join();
            }
        }
        // Results on their way to the disk.
        let mut seen = 0;
        while self.at_work() > 0 && Instant::now() < until {
            seen = self.wait_change(seen, Duration::from_millis(20));
        }
        self.shared.phase.store(OVER, Ordering::Release);
        *locked(&self.shared.over.0) = true;
        self.shared.over.1.notify_all();
        if let Some(keeper) = keeper {
            let _ = keeper.join();
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.end();
    }
}

/// Jobs that wait for a backend which is no longer configured go to the beginning of their
/// route, or fail if that is gone too.
fn redirect(shared: &Shared) -> Result<(), ServiceError> {
    if shared.settings.only.is_some() {
        return Ok(());
    }
    for job in shared.queue.list(Some(JobState::Queued), usize::MAX)? {
        let NewJob { id, route, start, .. } = &job.new;
        if shared.settings.backend(&start.backend).is_some() {
            continue;
        }
        match shared.settings.places(route).and_then(|places| places.into_iter().next()) {
            Some(place) => {
                let choice = Choice { backend: place.backend, profile: place.profile };
                shared.queue.redirect(id, &choice, now_ms())?;
            }
            None => {
                let explanation =
                    format!("the backend `{}` and the route `{route}` are no longer configured", start.backend);
                let error = serde_json::json!({ "cause": "config-invalid", "explanation": explanation });
                shared.queue.reject(id, &error, now_ms())?;
            }
        }
    }
    Ok(())
}
