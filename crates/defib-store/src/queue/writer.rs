//! The one thread that writes: what comes together is committed together.
//!
//! A sync of the disk costs far more than the change itself, so all changes that wait
//! share one, and what only must outlive this process needs none. Each runs in a savepoint of its own: one that is refused undoes nothing of
//! the others. A caller hears its answer only after the commit.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use rusqlite::Connection;

use super::QueueError;

/// Most changes of one commit.
const MOST: usize = 256;
/// Changes that may wait before callers do.
const WAITING: usize = 1024;

/// Tells the caller; with an error where the commit failed.
type Answer = Box<dyn FnOnce(Option<QueueError>) + Send>;
/// Runs within a transaction, or hears why there is none, and gives its answer for after
/// the commit.
type Change = Box<dyn FnOnce(Result<&Connection, QueueError>) -> Answer + Send>;

/// What a change must survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Safety {
    /// That processes are killed: the system has it.
    Process,
    /// A power cut: the disk has it.
    Power,
}

/// The way to the thread. When the last is dropped, the thread ends.
#[derive(Debug)]
pub(super) struct Writer {
    changes: SyncSender<(Safety, Change)>,
}

impl Writer {
    pub(super) fn start(connection: Connection) -> std::io::Result<Self> {
        let (changes, waiting) = sync_channel(WAITING);
        thread::Builder::new().name("defib-queue".to_owned()).spawn(move || serve(&connection, &waiting))?;
        Ok(Self { changes })
    }

    /// Runs a change and returns once it is on disk.
    pub(super) fn change<T: Send + 'static>(
        &self,
        safety: Safety,
        change: impl FnOnce(&Connection) -> Result<T, QueueError> + Send + 'static,
    ) -> Result<T, QueueError> {
        let (answer, answered) = sync_channel(1);
        let body: Change = Box::new(move |connection| {
            let result = connection.and_then(|connection| in_savepoint(connection, change));
            Box::new(move |failed| {
                // The caller may be gone; nobody else wants to know.
                let _ = answer.send(failed.map_or(result, Err));
            })
        });
        self.changes.send((safety, body)).map_err(|_| QueueError::Closed)?;
        answered.recv().map_err(|_| QueueError::Closed)?
    }
}

fn in_savepoint<T>(
    connection: &Connection,
    change: impl FnOnce(&Connection) -> Result<T, QueueError>,
) -> Result<T, QueueError> {
    connection.execute_batch("SAVEPOINT one")?;
    let result = change(connection);
    let end = if result.is_ok() { "RELEASE one" } else { "ROLLBACK TO one; RELEASE one" };
    connection.execute_batch(end)?;
    result
}

fn serve(connection: &Connection, waiting: &Receiver<(Safety, Change)>) {
    let mut safety = Safety::Power;
    while let Ok(first) = waiting.recv() {
        let mut batch = vec![first];
        while let Some(next) = (batch.len() < MOST).then(|| waiting.try_recv().ok()).flatten() {
            batch.push(next);
        }
        let wanted =
            if batch.iter().any(|(safety, _)| *safety == Safety::Power) { Safety::Power } else { Safety::Process };
        let begun = adjust(connection, &mut safety, wanted).and_then(|()| connection.execute_batch("BEGIN IMMEDIATE"));
        if let Err(error) = begun {
            let error = error.to_string();
            for (_, change) in batch {
                change(Err(QueueError::Database(error.clone())))(None);
            }
            continue;
        }
        let answers: Vec<Answer> = batch.into_iter().map(|(_, change)| change(Ok(connection))).collect();
        let committed = connection.execute_batch("COMMIT");
        if committed.is_err() {
            let _ = connection.execute_batch("ROLLBACK");
        }
        for answer in answers {
            // Each caller gets the same error.
            answer(committed.as_ref().err().map(|error| QueueError::Database(error.to_string())));
        }
    }
}

/// Synced at every commit, or only when the log is folded into the database.
fn adjust(connection: &Connection, safety: &mut Safety, wanted: Safety) -> rusqlite::Result<()> {
    if *safety != wanted {
        connection.execute_batch(match wanted {
            Safety::Power => "PRAGMA synchronous = FULL",
            Safety::Process => "PRAGMA synchronous = NORMAL",
        })?;
        *safety = wanted;
    }
    Ok(())
}
