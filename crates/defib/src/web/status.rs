//! How the service and its backends stand.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use defib_engine::jobs::{BackendView, Health};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::App;
use super::errors::ApiError;
use super::guard::Trusted;

/// Backends, in the order of the configuration.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct BackendList {
    backends: Vec<BackendView>,
}

/// `GET /v1/backends`.
pub(super) async fn backends(State(app): State<App>) -> Json<BackendList> {
    Json(BackendList { backends: app.service.backends() })
}

/// `GET /healthz`: 200 only if every backend has a worker that is up.
pub(super) async fn health(
    State(app): State<App>,
    Extension(Trusted(trusted)): Extension<Trusted>,
) -> Result<Response, ApiError> {
    let health: Health = app.blocking(|service| Ok(service.health()?)).await?;
    let status = if health.status == "ok" { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    if !trusted {
        return Ok((status, Json(json!({ "status": health.status }))).into_response());
    }
    Ok((status, Json(health)).into_response())
}

/// `GET /metrics`, for Prometheus.
pub(super) async fn metrics(State(app): State<App>) -> Result<Response, ApiError> {
    let text = app.blocking(|service| Ok(service.metrics()?)).await?;
    let mut headers = HeaderMap::new();
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    Ok((headers, text).into_response())
}
