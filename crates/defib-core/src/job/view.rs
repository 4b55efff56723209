//! A job as it is shown: the JSON of the HTTP interface and of `defib submit --json`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Attempt, Job, JobState, NewJob};

/// A job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JobView {
    /// Its id.
    pub id: String,
    /// How it stands.
    pub state: JobState,
    /// Route, or `backend/NAME` where one backend was asked for.
    pub route: String,
    /// Tries, oldest first.
    pub attempts: Vec<Attempt>,
    /// What it made, where it succeeded.
    pub result: Option<ResultView>,
    /// Why it failed, where it did.
    pub error: Option<ErrorView>,
    /// How far it is.
    pub progress: ProgressView,
    /// What it is at, where that is told.
    pub stage: Option<String>,
    /// When it was accepted, milliseconds since the epoch.
    pub created_ms: i64,
    /// When it was over, milliseconds since the epoch.
    pub finished_ms: Option<i64>,
}

/// What a job made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ResultView {
    /// Files.
    pub outputs: Vec<OutputView>,
    /// Values by name; a plain return value is `output`.
    pub values: Map<String, Value>,
}

/// A file that a job made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OutputView {
    /// Name.
    pub name: String,
    /// SHA-256 of its bytes, 64 hexadecimal digits.
    pub sha256: String,
    /// Bytes.
    pub bytes: u64,
    /// MIME type.
    pub media_type: String,
    /// Where it is fetched, relative to the server.
    pub url: String,
}

/// Why a job failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorView {
    /// Id of the catalogue of causes, or `unknown`.
    pub cause: String,
    /// In words.
    pub explanation: String,
    /// The report of the last attempt (`defib schema report`), where there is one.
    #[serde(default)]
    pub report: Option<Value>,
}

/// How far a job is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProgressView {
    /// Units done.
    pub done: Option<f64>,
    /// Units in all.
    pub total: Option<f64>,
    /// Seconds until it is done, at its pace so far.
    pub eta_s: Option<f64>,
}

impl JobView {
    /// A job that was just accepted.
    #[must_use]
    pub fn accepted(new: NewJob, now_ms: i64) -> Self {
        let job = Job {
            new,
            state: JobState::Queued,
            attempts: Vec::new(),
            result: None,
            error: None,
            cancel_wanted: false,
            progress: None,
            created_ms: now_ms,
            finished_ms: None,
        };
        Self::new(job, None, None)
    }

    /// A job from the queue, with what only its worker knows.
    #[must_use]
    pub fn new(job: Job, progress: Option<ProgressView>, stage: Option<String>) -> Self {
        let stored = job.progress.map(|(done, total)| ProgressView { done: Some(done), total, eta_s: None });
        let read = |value: Option<Value>| value.and_then(|value| serde_json::from_value(value).ok());
        let error = job.error.map(|error| {
            serde_json::from_value(error.clone()).unwrap_or_else(|_| ErrorView {
                cause: "unknown".to_owned(),
                explanation: error.to_string(),
                report: None,
            })
        });
        Self {
            id: job.new.id,
            state: job.state,
            route: job.new.route,
            attempts: job.attempts,
            result: read(job.result),
            error,
            progress: progress.or(stored).unwrap_or_default(),
            stage,
            created_ms: job.created_ms,
            finished_ms: job.finished_ms,
        }
    }
}

/// Tells how long it still takes: the pace since the first sign of progress.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Pace {
    first: Option<(f64, f64)>,
    last: Option<(f64, f64, Option<f64>)>,
}

impl Pace {
    /// Progress at this time, in seconds of any clock that does not go back.
    pub fn note(&mut self, at_s: f64, done: f64, total: Option<f64>) {
        // A bar that begins anew has another pace.
        let again = self.last.is_some_and(|(_, before, of)| done < before || of != total);
        if self.first.is_none() || again {
            self.first = Some((at_s, done));
        }
        self.last = Some((at_s, done, total));
    }

    /// How far it is, and for how long it goes on after this time.
    #[must_use]
    pub fn view(&self, now_s: f64) -> Option<ProgressView> {
        let (at_s, done, total) = self.last?;
        let eta_s = self.first.zip(total).and_then(|((from_s, from), total)| {
            let (span, units) = (at_s - from_s, done - from);
            (units > 0.0 && span > 0.0).then(|| ((total - done).max(0.0) * span / units - (now_s - at_s)).max(0.0))
        });
        Some(ProgressView { done: Some(done), total, eta_s })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The JSON that clients rely on: fields are added, never changed.
    #[test]
    fn a_job_has_its_form() {
        let new = NewJob { id: "j1".into(), route: "default".into(), ..NewJob::default() };
        let attempt = |n: u32, profile: &str, outcome: &str, cause: Option<&str>| Attempt {
            n,
            backend: "local".into(),
            profile: profile.into(),
            outcome: outcome.into(),
            cause: cause.map(str::to_owned),
            started_ms: 1_000,
            ended_ms: Some(2_000),
        };
        let job = Job {
            new,
            state: JobState::Succeeded,
            attempts: vec![attempt(1, "full", "failed", Some("gpu-oom")), attempt(2, "small", "succeeded", None)],
            result: Some(serde_json::json!({
                "outputs": [{
                    "name": "output.png", "sha256": "ab", "bytes": 7, "media_type": "image/png",
                    "url": "/v1/artifacts/ab",
                }],
                "values": { "seed": 4 },
            })),
            error: None,
            cancel_wanted: false,
            progress: None,
            created_ms: 900,
            finished_ms: Some(2_000),
        };
        let failed = Job {
            state: JobState::Failed,
            result: None,
            error: Some(serde_json::json!({ "cause": "unknown", "explanation": "it exited with status 3" })),
            ..job.clone()
        };
        let progress = ProgressView { done: Some(3.0), total: Some(10.0), eta_s: Some(1.5) };
        let running = Job { state: JobState::Running, result: None, finished_ms: None, ..job.clone() };
        let views = [
            JobView::new(job, None, None),
            JobView::new(failed, None, None),
            JobView::new(running, Some(progress), Some("denoise".into())),
        ];
        insta::assert_json_snapshot!(views);
    }

    #[test]
    fn the_pace_so_far_tells_how_long_it_still_takes() {
        let mut pace = Pace::default();
        assert_eq!(pace.view(0.0), None);
        pace.note(10.0, 1.0, Some(11.0));
        assert_eq!(pace.view(10.0).and_then(|view| view.eta_s), None, "one point has no pace");
        pace.note(14.0, 3.0, Some(11.0));
        assert_eq!(pace.view(15.0).and_then(|view| view.eta_s), Some(15.0));
        assert_eq!(pace.view(99.0).and_then(|view| view.eta_s), Some(0.0));
        // The next stage counts from its own beginning.
        pace.note(20.0, 1.0, Some(4.0));
        pace.note(21.0, 2.0, Some(4.0));
        assert_eq!(pace.view(21.0).and_then(|view| view.eta_s), Some(2.0));
    }
}
