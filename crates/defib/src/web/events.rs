//! What happens to a job, as it happens: server-sent events.
//!
//! Each event of the job's history has its number as id, so that a client that lost the
//! connection goes on with `Last-Event-ID`. Progress comes between them without an id: the
//! newest is all that counts. The stream ends with the job.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use defib_core::job::JobView;
use defib_store::queue::JobEvent;
use futures_util::Stream;
use futures_util::stream::unfold;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::App;
use super::errors::ApiError;

/// Longest wait between two looks, should a wake be missed.
pub(super) const LOOK: Duration = Duration::from_secs(1);
/// Progress comes no more often.
const PROGRESS_APART: Duration = Duration::from_millis(200);
/// A sign that the stream lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Wakes the streams of a job when something has changed about it.
#[derive(Debug, Clone, Default)]
pub(super) struct Wakes {
    by_job: Arc<Mutex<HashMap<String, Weak<Notify>>>>,
}

impl Wakes {
    pub(super) fn wake(&self, job: &str) {
        let by_job = self.by_job.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(notify) = by_job.get(job).and_then(Weak::upgrade) {
            notify.notify_waiters();
        }
    }

    pub(super) fn of(&self, job: &str) -> Arc<Notify> {
        let mut by_job = self.by_job.lock().unwrap_or_else(PoisonError::into_inner);
        by_job.retain(|_, notify| notify.strong_count() > 0);
        if let Some(known) = by_job.get(job).and_then(Weak::upgrade) {
            return known;
        }
        let notify = Arc::new(Notify::new());
        by_job.insert(job.to_owned(), Arc::downgrade(&notify));
        notify
    }
}

/// `GET /v1/jobs/{id}/events`.
pub(super) async fn events(
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let last = match headers.get("last-event-id") {
        None => 0,
        Some(text) => {
            let number = text.to_str().ok().and_then(|text| text.trim().parse().ok());
            number.ok_or_else(|| ApiError::bad("Last-Event-ID must be the id of an event"))?
        }
    };
    let known = id.clone();
    app.blocking(move |service| Ok(service.job(&known)?)).await?;
    let following =
        Following { wake: app.wakes.of(&id), app, id, last, ready: VecDeque::new(), told: None, over: false };
    let stream = unfold(following, |mut following| async move {
        let event = following.next().await?;
        Some((Ok(event), following))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

struct Following {
    app: App,
    id: String,
    wake: Arc<Notify>,
    last: i64,
    ready: VecDeque<Event>,
    /// The progress that was told, and when.
    told: Option<(Value, Instant)>,
    over: bool,
}

impl Following {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.over {
                return None;
            }
            let wake = self.wake.clone();
            let woken = wake.notified();
            let (id, last) = (self.id.clone(), self.last);
            let looked = self.app.blocking(move |service| Ok((service.events(&id, last)?, service.job(&id)?))).await;
            // Forgotten meanwhile, or the queue is broken: the client asks again and hears it.
            let Ok((events, job)) = looked else { return None };
            self.take(events, &job);
            if self.ready.is_empty() && !self.over {
                let _ = tokio::time::timeout(self.patience(), woken).await;
            }
        }
    }

    /// Told too often, progress costs more than it says.
    fn patience(&self) -> Duration {
        let since = self.told.as_ref().map_or(PROGRESS_APART, |(_, at)| at.elapsed());
        if since < PROGRESS_APART { PROGRESS_APART - since } else { LOOK }
    }

    fn take(&mut self, events: Vec<JobEvent>, job: &JobView) {
        for JobEvent { id, at_ms, kind, data } in events {
            self.last = id;
            self.over |= ["succeeded", "failed", "cancelled"].contains(&kind.as_str());
            let mut told = json!({ "job": self.id, "at_ms": at_ms });
            if let (Some(told), Value::Object(data)) = (told.as_object_mut(), data) {
                told.extend(data);
            }
            self.ready.push_back(Event::default().id(id.to_string()).event(kind).data(told.to_string()));
        }
        // Asked to go on after the last event, there is nothing more to wait for.
        self.over |= job.state.over() && self.ready.is_empty();
        let progress = json!({
            "job": self.id, "done": job.progress.done, "total": job.progress.total, "stage": job.stage,
        });
        let some = job.progress.done.is_some() || job.stage.is_some();
        let new = self.told.as_ref().is_none_or(|(told, at)| *told != progress && at.elapsed() >= PROGRESS_APART);
        if some && new && !self.over {
            let mut with_time = progress.clone();
            with_time["eta_s"] = json!(job.progress.eta_s);
            self.told = Some((progress, Instant::now()));
            self.ready.push_back(Event::default().event("progress").data(with_time.to_string()));
        }
    }
}
