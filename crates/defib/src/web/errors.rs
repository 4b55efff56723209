//! What is said when something cannot be done: `{"error": {"message": …}}`, with the status
//! that HTTP has for it.

use axum::Json;
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use defib_engine::jobs::ServiceError;
use defib_store::ArtifactError;
use defib_store::queue::QueueError;
use serde_json::json;

/// An answer that is none.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    message: String,
    retry_after_s: Option<u64>,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), retry_after_s: None }
    }

    /// A request that makes no sense.
    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// Something of our own broke.
    pub(super) fn broken() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "defib itself failed at this request; its log says more")
    }
}

impl From<ServiceError> for ApiError {
    fn from(error: ServiceError) -> Self {
        let message = error.to_string();
        let status = match &error {
            ServiceError::NoSuchRoute { .. } | ServiceError::NoSuchBackend { .. } | ServiceError::Request(_) => {
                StatusCode::BAD_REQUEST
            }
            ServiceError::Leaving => StatusCode::SERVICE_UNAVAILABLE,
            ServiceError::Queue(QueueError::Full { retry_after_s, .. }) => {
                let retry_after_s = Some(*retry_after_s);
                return Self { status: StatusCode::TOO_MANY_REQUESTS, message, retry_after_s };
            }
            ServiceError::Queue(QueueError::NoSuchJob(_)) => StatusCode::NOT_FOUND,
            ServiceError::Queue(QueueError::KeyUsed(_)) => StatusCode::UNPROCESSABLE_ENTITY,
            ServiceError::Artifact(ArtifactError::Missing(_)) => StatusCode::NOT_FOUND,
            ServiceError::Artifact(ArtifactError::NoDigest(_)) => StatusCode::BAD_REQUEST,
            ServiceError::Artifact(ArtifactError::TooLarge { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
            ServiceError::Artifact(ArtifactError::Disk { .. }) => StatusCode::INSUFFICIENT_STORAGE,
            ServiceError::Queue(_) | ServiceError::System(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let retry_after_s = (status == StatusCode::SERVICE_UNAVAILABLE).then_some(10);
        Self { status, message, retry_after_s }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(json!({ "error": { "message": self.message } }))).into_response();
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

pub(super) async fn no_such_path(uri: Uri) -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        format!("there is nothing at {}; /openapi.json lists what there is", uri.path()),
    )
}

pub(super) async fn wrong_method(method: Method, uri: Uri) -> ApiError {
    let message = format!("{} does not take {method}; /openapi.json lists what it takes", uri.path());
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, message)
}
