//! Files that come with a job: straight to disk, piece by piece.
//!
//! Each is on disk, complete and under its digest, before the job is accepted. One that
//! breaks off is never taken for a whole one: its end is told by a word of its own.

use std::io::{self, Read};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::Multipart;
use axum::extract::multipart::{Field, MultipartError};
use axum::http::StatusCode;
use defib_engine::jobs::{Request, ServiceError};
use serde_json::Value;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::App;
use super::errors::ApiError;
use super::jobs::{add_file, parse};

/// Longest time between two pieces of a request.
pub(super) const BETWEEN_PIECES: Duration = Duration::from_secs(30);
/// Parts of a request.
const MOST_PARTS: usize = 64;
/// Pieces that wait for the disk.
const PIECES: usize = 8;

/// Reads all parts; files are kept as they come.
pub(super) async fn read(app: &App, mut parts: Multipart) -> Result<Request, ApiError> {
    let mut request: Option<Request> = None;
    let mut files: Vec<(String, Value)> = Vec::new();
    while let Some(part) = in_time(parts.next_field()).await? {
        let name = part.name().unwrap_or_default().to_owned();
        if name.is_empty() || files.len() == MOST_PARTS {
            return Err(ApiError::bad(format!(
                "every part needs the name of an input, and there are at most {MOST_PARTS}"
            )));
        }
        if name == "job" && part.file_name().is_none() {
            if request.is_some() {
                return Err(ApiError::bad("the part `job` was sent twice"));
            }
            request = Some(parse(&text(part, app.limits.max_json).await?)?);
        } else {
            let file = keep(app, part, &name).await?;
            files.push((name, file));
        }
    }
    let mut request = request.ok_or_else(|| ApiError::bad("a part named `job` with the JSON of the job is missing"))?;
    for (name, file) in files {
        add_file(&mut request, &name, file)?;
    }
    Ok(request)
}

async fn in_time<T>(piece: impl Future<Output = Result<T, MultipartError>>) -> Result<T, ApiError> {
    let late = |_| ApiError::new(StatusCode::REQUEST_TIMEOUT, "the next piece of the request did not come in time");
    let piece = tokio::time::timeout(BETWEEN_PIECES, piece).await.map_err(late)?;
    piece.map_err(|error| ApiError::new(error.status(), error.body_text()))
}

async fn text(mut part: Field<'_>, most: usize) -> Result<Vec<u8>, ApiError> {
    let mut text = Vec::new();
    while let Some(piece) = in_time(part.chunk()).await? {
        if text.len() + piece.len() > most {
            let message = format!("the part `job` may have {most} bytes (max_json under [server])");
            return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, message));
        }
        text.extend_from_slice(&piece);
    }
    Ok(text)
}

/// A piece, or the word that it is complete.
enum Piece {
    Bytes(Bytes),
    Complete,
}

async fn keep(app: &App, mut part: Field<'_>, input: &str) -> Result<Value, ApiError> {
    let name = part.file_name().unwrap_or(input).to_owned();
    let (pieces, incoming) = channel(PIECES);
    let service = app.service.clone();
    let writer = tokio::task::spawn_blocking(move || service.keep_file(&name, &mut Incoming::new(incoming)));
    let sent = send(&mut part, &pieces).await;
    drop(pieces);
    let kept = writer.await.map_err(|_| ApiError::broken())?;
    // That the sender broke off says more than that the file is not complete.
    match (sent, kept) {
        (Err(error), Err(ServiceError::Artifact(defib_store::ArtifactError::Disk { .. }))) | (Err(error), Ok(_)) => {
            Err(error)
        }
        (_, kept) => Ok(kept?),
    }
}

async fn send(part: &mut Field<'_>, pieces: &Sender<Piece>) -> Result<(), ApiError> {
    while let Some(piece) = in_time(part.chunk()).await? {
        // Where the writer has given up the rest is read all the same, as far as a request
        // may be long: a client that cannot send does not read why.
        let _ = pieces.send(Piece::Bytes(piece)).await;
    }
    let _ = pieces.send(Piece::Complete).await;
    Ok(())
}

/// The pieces, for one who reads in a blocking thread.
struct Incoming {
    pieces: Receiver<Piece>,
    piece: Bytes,
    complete: bool,
}

impl Incoming {
    fn new(pieces: Receiver<Piece>) -> Self {
        Self { pieces, piece: Bytes::new(), complete: false }
    }
}

impl Read for Incoming {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() && !self.complete {
            match self.pieces.blocking_recv() {
                Some(Piece::Bytes(piece)) => self.piece = piece,
                Some(Piece::Complete) => self.complete = true,
                None => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the upload broke off")),
            }
        }
        let length = self.piece.len().min(space.len());
        space[..length].copy_from_slice(&self.piece.split_to(length));
        Ok(length)
    }
}
