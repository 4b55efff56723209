//! The service: everything that works on the jobs of one state folder in this process.

use std::io::Read;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use defib_core::job::{self, Choice, JobState, JobView};
use defib_store::queue::{Cancelling, Counts, JobEvent, QueueError, SqliteQueue, Submitted};
use defib_store::{Artifact, Artifacts, State};
use serde_json::Value;

use super::backend::{Backend, StopWhy};
use super::command::CommandBackend;
use super::host::{Host, Tell};
use super::owner::{self, Owner};
use super::request::{Request, ServiceError};
use super::settings::{Kind, Settings};
use super::shared::{Shared, locked, now_ms};
use super::status::{BackendView, Health};
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

/// Longest time from the wish to stop to the end of all seats: evidence and endings are
/// bounded, this is more.
const SEATS_END_WITHIN: Duration = Duration::from_secs(30);

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
        let shared = Arc::new(Shared::new(settings, state, Arc::new(queue), artifacts, owner, tell));
        keeper::take_up(&shared);
        redirect(&shared)?;
        let service = Self { shared: shared.clone(), threads: Mutex::default() };
        let keeper = shared.clone();
        service.spawn("defib-keeper", move || keeper::keep(&keeper))?;
        let forgetting = shared.clone();
        service.spawn("defib-forget", move || keeper::forget_from_time_to_time(&forgetting))?;
        for settings in shared.settings.backends.clone() {
            let host = Host::new(&shared.settings, &settings, &shared.state, shared.teller());
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
        let new = request.job(id, key, &self.shared.settings, &self.shared.artifacts)?;
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

    /// What asks for a job again, with its saved inputs, changed where the request says so.
    ///
    /// # Errors
    /// Where there is no such job.
    pub fn replay(&self, id: &str, request: &Request) -> Result<Request, ServiceError> {
        Ok(request.replaying(self.shared.queue.get(id)?.new))
    }

    /// A job as it stands.
    ///
    /// # Errors
    /// Where there is none, or the queue cannot be read.
    pub fn job(&self, id: &str) -> Result<JobView, ServiceError> {
        let job = self.shared.queue.get(id)?;
        Ok(self.shared.view(job))
    }

    /// Jobs, newest first.
    ///
    /// # Errors
    /// Where the queue cannot be read.
    pub fn jobs(&self, state: Option<JobState>, most: usize) -> Result<Vec<JobView>, ServiceError> {
        let jobs = self.shared.queue.list(state, most)?;
        Ok(jobs.into_iter().map(|job| self.shared.view(job)).collect())
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
            let stop = self.shared.running().into_iter().find(|(job, ..)| job == id).map(|(_, _, stop)| stop);
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
        self.shared.on_change(Box::new(listener));
    }

    /// Hears the id of each job that is over, as soon as that is on disk.
    pub fn on_end(&self, listener: impl Fn(&str) + Send + Sync + 'static) {
        self.shared.on_end(Box::new(listener));
    }

    /// Waits until something has changed about any job, or this long; returns the number of
    /// changes so far, to be handed in again.
    pub fn wait_change(&self, seen: u64, within: Duration) -> u64 {
        self.shared.wait_change(seen, within)
    }

    /// Takes no more jobs, and begins none.
    pub fn leave(&self) {
        self.shared.leave();
    }

    /// Jobs at work.
    #[must_use]
    pub fn at_work(&self) -> usize {
        self.shared.at_work()
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
        let keepers: Vec<_> = threads.drain(..threads.len().min(2)).collect();
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
        self.shared.finish();
        for keeper in keepers {
            while !keeper.is_finished() && Instant::now() < until {
                thread::sleep(Duration::from_millis(2));
            }
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.end();
    }
}

/// Jobs that wait for a backend which is no longer configured go to the beginning of their
/// route, or fail if that is gone too. Not while another process works here: its backends
/// may be others.
fn redirect(shared: &Shared) -> Result<(), ServiceError> {
    let others = owner::others(shared.state.root(), shared.owner.name());
    if shared.settings.only.is_some() || others {
        return Ok(());
    }
    let known: Vec<String> = shared.settings.backends.iter().map(|backend| backend.name.clone()).collect();
    for (id, route, backend) in shared.queue.strays(&known)? {
        let done = match shared.settings.places(&route).and_then(|places| places.into_iter().next()) {
            Some(place) => {
                let choice = Choice { backend: place.backend, profile: place.profile };
                shared.queue.redirect(&id, &choice, now_ms())
            }
            None => {
                let explanation = format!("the backend `{backend}` and the route `{route}` are no longer configured");
                let error = serde_json::json!({ "cause": "config-invalid", "explanation": explanation });
                shared.queue.reject(&id, &error, now_ms())
            }
        };
        match done {
            // It waits no longer.
            Err(QueueError::NoSuchJob(_)) => {}
            done => done?,
        }
    }
    Ok(())
}
