//! Jobs: handed in, asked for, cancelled, tried again.

use std::time::{Duration, Instant};

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest as _, Multipart, Path, Query, Request as HttpRequest, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use defib_core::job::{JobState, JobView};
use defib_core::units;
use defib_engine::jobs::{Request, Service};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::App;
use super::errors::ApiError;
use super::events::LOOK;
use super::uploads;

/// Jobs that a list has without a limit, and at most.
const USUAL_LIST: usize = 100;
const LONGEST_LIST: usize = 1000;
/// Longest time that a request waits for the end of a job.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Jobs, newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct JobList {
    jobs: Vec<JobView>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    state: Option<String>,
    limit: Option<usize>,
}

/// How long a client waits for the end of a job.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WaitQuery {
    wait: Option<String>,
}

type Asked<T> = Result<Query<T>, axum::extract::rejection::QueryRejection>;

impl WaitQuery {
    fn read(query: Asked<Self>) -> Result<Duration, ApiError> {
        let Query(Self { wait }) = query.map_err(|error| ApiError::bad(error.body_text()))?;
        let Some(text) = wait else { return Ok(Duration::ZERO) };
        let wait = units::duration(&text).map_err(|error| ApiError::bad(format!("`wait`: {error}")))?;
        Ok(wait.min(LONGEST_WAIT))
    }
}

/// `POST /v1/jobs?wait=…`: JSON, or multipart with a part `job` and files.
pub(super) async fn submit(
    State(app): State<App>,
    query: Asked<WaitQuery>,
    request: HttpRequest,
) -> Result<Response, ApiError> {
    let wait = WaitQuery::read(query)?;
    let key = key(request.headers())?;
    let asked = read(&app, request).await?;
    let job = app.blocking(move |service| Ok(service.submit(&asked, key.as_deref())?)).await?;
    Ok(accepted(ended(&app, job, wait).await?))
}

/// The job once it is over, or as it stands after this long.
async fn ended(app: &App, mut job: JobView, wait: Duration) -> Result<JobView, ApiError> {
    let until = Instant::now() + wait;
    let wake = app.wakes.of(&job.id);
    while !job.state.over() && Instant::now() < until {
        let woken = wake.notified();
        let id = job.id.clone();
        job = app.blocking(move |service| Ok(service.job(&id)?)).await?;
        if !job.state.over() {
            let left = until.saturating_duration_since(Instant::now());
            let _ = tokio::time::timeout(left.min(LOOK), woken).await;
        }
    }
    Ok(job)
}

fn accepted(job: JobView) -> Response {
    let place = format!("/v1/jobs/{}", job.id);
    (StatusCode::ACCEPTED, [(header::LOCATION, place)], Json(job)).into_response()
}

fn key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let text = value.to_str().map_err(|_| ApiError::bad("Idempotency-Key must be plain ASCII"))?;
    Ok(Some(text.trim_matches('"').to_owned()))
}

async fn read(app: &App, request: HttpRequest) -> Result<Request, ApiError> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match kind.as_str() {
        "multipart/form-data" => {
            let parts = Multipart::from_request(request, &()).await;
            let parts = parts.map_err(|error| ApiError::new(error.status(), error.body_text()))?;
            uploads::read(app, parts).await
        }
        "application/json" => parse(&body(request.into_body(), app.limits.max_json).await?),
        other => Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("send the job as application/json or multipart/form-data, not as {other:?}"),
        )),
    }
}

async fn body(body: Body, most: usize) -> Result<Vec<u8>, ApiError> {
    let read = tokio::time::timeout(uploads::BETWEEN_PIECES, to_bytes(body, most)).await;
    let read = read.map_err(|_| ApiError::new(StatusCode::REQUEST_TIMEOUT, "the request did not come to its end"))?;
    let too_large = |_| {
        let message =
            format!("the JSON of a request may have {most} bytes (max_json under [server]); send files as parts");
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    };
    Ok(read.map_err(too_large)?.to_vec())
}

/// Reads the JSON of a job.
pub(super) fn parse(text: &[u8]) -> Result<Request, ApiError> {
    serde_json::from_slice(text).map_err(|error| {
        let example = r#"{"route":"default","inputs":{"prompt":"a cat"}}"#;
        ApiError::bad(format!("this is no job: {error}; a job is like {example}"))
    })
}

/// `POST /v1/jobs/{id}/replay`: the same again with the saved inputs, changed where the
/// request says so.
pub(super) async fn replay(
    State(app): State<App>,
    Path(id): Path<String>,
    request: HttpRequest,
) -> Result<Response, ApiError> {
    let key = key(request.headers())?;
    let text = body(request.into_body(), app.limits.max_json).await?;
    let change = if text.is_empty() { Request::default() } else { parse(&text)? };
    let again = move |service: &Service| {
        let asked = service.replay(&id, &change)?;
        Ok(service.submit(&asked, key.as_deref())?)
    };
    Ok(accepted(app.blocking(again).await?))
}

/// `GET /v1/jobs/{id}?wait=…`.
pub(super) async fn get(
    State(app): State<App>,
    Path(id): Path<String>,
    query: Asked<WaitQuery>,
) -> Result<Json<JobView>, ApiError> {
    let wait = WaitQuery::read(query)?;
    let job = app.blocking(move |service| Ok(service.job(&id)?)).await?;
    Ok(Json(ended(&app, job, wait).await?))
}

/// `GET /v1/jobs?state=…&limit=…`.
pub(super) async fn list(State(app): State<App>, query: Asked<ListQuery>) -> Result<Json<JobList>, ApiError> {
    let Query(ListQuery { state, limit }) = query.map_err(|error| ApiError::bad(error.body_text()))?;
    let state = state.filter(|name| !name.is_empty()).map(|name| {
        JobState::of(&name).ok_or_else(|| {
            let all: Vec<&str> = JobState::ALL.into_iter().map(JobState::name).collect();
            ApiError::bad(format!("there is no state {name:?}; there are: {}", all.join(", ")))
        })
    });
    let state = state.transpose()?;
    let most = limit.unwrap_or(USUAL_LIST).min(LONGEST_LIST);
    let jobs = app.blocking(move |service| Ok(service.jobs(state, most)?)).await?;
    Ok(Json(JobList { jobs }))
}

/// `DELETE /v1/jobs/{id}`: the job as it stands; one that is at work is ended soon after.
pub(super) async fn cancel(State(app): State<App>, Path(id): Path<String>) -> Result<Json<JobView>, ApiError> {
    Ok(Json(app.blocking(move |service| Ok(service.cancel(&id)?)).await?))
}

/// One input, as a file that was kept.
pub(super) fn add_file(request: &mut Request, name: &str, file: Value) -> Result<(), ApiError> {
    match request.inputs.insert(name.to_owned(), file) {
        None => Ok(()),
        Some(_) => Err(ApiError::bad(format!("the input `{name}` was given twice: in the job, or as two parts"))),
    }
}
