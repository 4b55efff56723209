//! The one thread that writes, and the one that syncs the disk: what comes together is
//! committed together, and nobody waits for a sync that does not concern him.
//!
//! Each change runs in a savepoint of its own: one that is refused undoes nothing of the
//! others. A caller whose change must survive a power cut hears its answer only after the
//! write-ahead log is synced; that happens beside the next transaction. SQLite itself syncs
//! when the log is folded into the database (`synchronous = NORMAL`), and with the sync of
//! the log after each commit that is what `FULL` does, without its wait.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use rusqlite::Connection;

use super::QueueError;

/// Most changes of one commit.
const MOST: usize = 256;
/// Changes that may wait before callers do.
const WAITING: usize = 1024;

/// When a caller hears its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// At once, within the transaction: should its commit fail, the change is undone after
    /// the answer was heard. For a claim, which then is stale: its number is never given
    /// out again ([`Writer::undone`]).
    Early,
    /// Once it is committed: it survives that processes are killed.
    Committed,
    /// Once the disk has it: it survives a power cut.
    Synced,
}

/// Tells the caller; with an error where the commit or the sync failed.
type Answer = Box<dyn FnOnce(Option<QueueError>) + Send>;
/// Runs within a transaction, or hears why there is none, and gives its answer for later.
type Change = Box<dyn FnOnce(Result<&Connection, QueueError>) -> Answer + Send>;

/// The way to the thread. When the last is dropped, both threads end, all work done.
#[derive(Debug)]
pub(super) struct Writer {
    changes: SyncSender<(When, Change)>,
    early: Arc<Early>,
}

/// Early answers.
#[derive(Debug, Default)]
struct Early {
    /// How many were given.
    given: AtomicU64,
    /// How many of them are committed, or undone.
    settled: AtomicU64,
    /// How many were undone.
    undone: AtomicU32,
}

impl Writer {
    /// `file` is the database that the connection is to.
    pub(super) fn start(connection: Connection, file: &Path) -> std::io::Result<Self> {
        let (changes, waiting) = sync_channel(WAITING);
        let (committed, unsynced) = channel();
        let mut log = file.as_os_str().to_owned();
        log.push("-wal");
        let log = PathBuf::from(log);
        thread::Builder::new()
            .name("defib-queue".to_owned())
            .spawn(move || write(&connection, &waiting, &committed))?;
        thread::Builder::new().name("defib-sync".to_owned()).spawn(move || sync(&log, &unsynced))?;
        Ok(Self { changes, early: Arc::default() })
    }

    /// Runs a change and returns its answer, when that is to be heard.
    pub(super) fn change<T: Send + 'static>(
        &self,
        when: When,
        change: impl FnOnce(&Connection) -> Result<T, QueueError> + Send + 'static,
    ) -> Result<T, QueueError> {
        let (answer, answered) = sync_channel(1);
        // The caller may be gone; nobody else wants to know.
        let body: Change = if when == When::Early {
            let early = self.early.clone();
            Box::new(move |connection| {
                let result = connection.and_then(|connection| in_savepoint(connection, change));
                early.given.fetch_add(1, Ordering::AcqRel);
                let _ = answer.send(result);
                Box::new(move |failed| {
                    early.undone.fetch_add(u32::from(failed.is_some()), Ordering::AcqRel);
                    early.settled.fetch_add(1, Ordering::AcqRel);
                })
            })
        } else {
            later(change, move |result| drop(answer.send(result)))
        };
        self.changes.send((when, body)).map_err(|_| QueueError::Closed)?;
        answered.recv().map_err(|_| QueueError::Closed)?
    }

    /// Waits until what was answered early is committed: who reads then reads what he was
    /// told.
    pub(super) fn settle(&self) -> Result<(), QueueError> {
        let Early { given, settled, .. } = &*self.early;
        if settled.load(Ordering::Acquire) == given.load(Ordering::Acquire) {
            return Ok(());
        }
        // Changes keep their order: this one comes after those.
        self.change(When::Committed, |_| Ok(()))
    }

    /// Reads, within a change, how many early answers were undone so far.
    pub(super) fn undone(&self) -> impl Fn() -> u32 + Send + 'static {
        let early = self.early.clone();
        move || early.undone.load(Ordering::Acquire)
    }

    /// Runs a change some time; `then` hears the answer, in one of the threads here: it
    /// must be short.
    pub(super) fn post<T: Send + 'static>(
        &self,
        when: When,
        change: impl FnOnce(&Connection) -> Result<T, QueueError> + Send + 'static,
        then: impl FnOnce(Result<T, QueueError>) + Send + 'static,
    ) {
        if let Err(error) = self.changes.send((when, later(change, then))) {
            // The thread is gone: the change itself tells its caller.
            let (_, change) = error.0;
            change(Err(QueueError::Closed))(None);
        }
    }
}

/// A change whose answer is told after the commit.
fn later<T: Send + 'static>(
    change: impl FnOnce(&Connection) -> Result<T, QueueError> + Send + 'static,
    then: impl FnOnce(Result<T, QueueError>) + Send + 'static,
) -> Change {
    Box::new(move |connection| {
        let result = connection.and_then(|connection| in_savepoint(connection, change));
        Box::new(move |failed| then(failed.map_or(result, Err)))
    })
}

fn in_savepoint<T>(
    connection: &Connection,
    change: impl FnOnce(&Connection) -> Result<T, QueueError>,
) -> Result<T, QueueError> {
    connection.prepare_cached("SAVEPOINT one")?.execute([])?;
    let result = change(connection);
    if result.is_err() {
        connection.prepare_cached("ROLLBACK TO one")?.execute([])?;
    }
    connection.prepare_cached("RELEASE one")?.execute([])?;
    result
}

fn write(connection: &Connection, waiting: &Receiver<(When, Change)>, committed: &Sender<Vec<Answer>>) {
    while let Ok(first) = waiting.recv() {
        if let Err(error) = connection.execute_batch("BEGIN IMMEDIATE") {
            first.1(Err(error.into()))(None);
            continue;
        }
        let (mut at_once, mut after_sync) = (Vec::new(), Vec::new());
        let mut next = Some(first);
        let mut count = 0;
        while let Some((when, change)) = next {
            // One that panics is undone by its savepoint's end, and its caller hears that the
            // way is closed.
            if let Ok(answer) = catch_unwind(AssertUnwindSafe(|| change(Ok(connection)))) {
                let of = if when == When::Synced { &mut after_sync } else { &mut at_once };
                of.push(answer);
            } else {
                let _ = connection.execute_batch("ROLLBACK TO one; RELEASE one");
            }
            count += 1;
            // What comes while this is being written still goes along.
            next = (count < MOST).then(|| waiting.try_recv().ok()).flatten();
        }
        if let Err(error) = connection.execute_batch("COMMIT") {
            let _ = connection.execute_batch("ROLLBACK");
            fail(at_once.into_iter().chain(after_sync), &error.to_string());
            continue;
        }
        at_once.into_iter().for_each(|answer| hear(answer, None));
        if !after_sync.is_empty()
            && let Err(error) = committed.send(after_sync)
        {
            fail(error.0, "the thread that syncs the disk is gone");
        }
    }
}

/// A caller that panics at its answer must not end the thread of all others.
fn hear(answer: Answer, failed: Option<QueueError>) {
    let _ = catch_unwind(AssertUnwindSafe(|| answer(failed)));
}

/// Each caller gets the same error.
fn fail(answers: impl IntoIterator<Item = Answer>, text: &str) {
    answers.into_iter().for_each(|answer| hear(answer, Some(QueueError::Database(text.to_owned()))));
}

fn sync(log: &Path, unsynced: &Receiver<Vec<Answer>>) {
    let mut file = None;
    while let Ok(mut answers) = unsynced.recv() {
        while let Ok(more) = unsynced.try_recv() {
            answers.extend(more);
        }
        // It is there once something was written, and stays as long as a connection does.
        let synced = match &file {
            Some(file) => File::sync_data(file),
            None => File::open(log).and_then(|opened| file.insert(opened).sync_all()),
        };
        match synced {
            Ok(()) => answers.into_iter().for_each(|answer| hear(answer, None)),
            Err(error) => fail(answers, &format!("the disk cannot be synced: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A commit that fails: rows that refer to nothing, which is found out only then.
    fn doomed(connection: &Connection) -> Result<u32, QueueError> {
        connection.execute("INSERT INTO child VALUES (7)", [])?;
        Ok(7)
    }

    #[test]
    fn an_early_answer_whose_commit_fails_is_counted_and_undone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("q.sqlite");
        let connection = Connection::open(&file).unwrap();
        let tables =
            "PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON; CREATE TABLE parent (id INTEGER PRIMARY KEY);
             CREATE TABLE child (parent REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED);";
        connection.execute_batch(tables).unwrap();
        let writer = Writer::start(connection, &file).unwrap();
        let undone = writer.undone();
        assert_eq!(writer.change(When::Early, doomed).unwrap(), 7, "it is answered before the commit");
        writer.settle().unwrap();
        assert_eq!(undone(), 1);
        let count = |connection: &Connection| -> Result<u32, QueueError> {
            Ok(connection.query_row("SELECT count(*) FROM child", [], |row| row.get(0))?)
        };
        assert_eq!(writer.change(When::Synced, count).unwrap(), 0_u32, "and undone with it");
        // Others hear of a commit that failed, and the thread goes on.
        assert!(matches!(writer.change(When::Committed, doomed), Err(QueueError::Database(_))));
        // So it does after a change that panics.
        let panics = |_: &Connection| -> Result<u32, QueueError> { unreachable!("on purpose") };
        assert!(matches!(writer.change(When::Committed, panics), Err(QueueError::Closed)));
        assert_eq!(writer.change(When::Early, |_| Ok(5_u32)).unwrap(), 5);
    }
}
