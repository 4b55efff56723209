//! Files, by their SHA-256.

use std::io::{Read as _, Seek as _};

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use tokio_util::io::ReaderStream;

use super::App;
use super::errors::ApiError;

/// Bytes that are read at once.
const PIECE: usize = 64 << 10;

/// `GET /v1/artifacts/{sha256}`.
pub(super) async fn get(
    State(app): State<App>,
    Path(sha256): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let tag = format!("\"{sha256}\"");
    let name = sha256.clone();
    let (file, bytes, kind) = app
        .blocking(move |service| {
            let mut file = service.artifact(&name)?;
            let mut start = Vec::new();
            let read = file.by_ref().take(16).read_to_end(&mut start).and_then(|_| file.rewind());
            read.map_err(|_| ApiError::broken())?;
            let bytes = file.metadata().map_err(|_| ApiError::broken())?.len();
            Ok((file, bytes, media_type(&start)))
        })
        .await?;
    // What is named by its content never changes.
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return Ok(StatusCode::NOT_MODIFIED.into_response());
    }
    let stream = ReaderStream::with_capacity(tokio::fs::File::from_std(file), PIECE);
    let mut response = Body::from_stream(stream).into_response();
    let out = response.headers_mut();
    out.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    out.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
    out.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // A predictor's HTML must not run as a page of this server.
    out.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=31536000, immutable"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        out.insert(header::ETAG, tag);
    }
    Ok(response)
}

/// By how the file begins: only pictures that a browser shows.
fn media_type(start: &[u8]) -> &'static str {
    match start {
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [b'G', b'I', b'F', b'8', ..] => "image/gif",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "image/webp",
        _ => "application/octet-stream",
    }
}
