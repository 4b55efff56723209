//! Tables of the queue, and their format.

use rusqlite::Connection;

use super::QueueError;

/// Format of the tables: `PRAGMA user_version`.
pub(super) const FORMAT: i64 = 1;

/// Opens the tables, making them if they are not there.
///
/// # Errors
/// Where a later version made them, or SQLite refuses.
pub(super) fn prepare(connection: &Connection) -> Result<(), QueueError> {
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    // What must survive a power cut is synced by the writer, beside the next transaction.
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;")?;
    connection.set_prepared_statement_cache_capacity(64);
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    match found {
        0 => connection.execute_batch(TABLES)?,
        FORMAT => {}
        _ => return Err(QueueError::Newer { found, known: FORMAT }),
    }
    Ok(())
}

/// Progress stands apart: it changes often, and the hot table stays small.
const TABLES: &str = "
BEGIN;
CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    route TEXT NOT NULL,
    backend TEXT NOT NULL,
    profile TEXT NOT NULL,
    inputs TEXT NOT NULL,
    priority INTEGER NOT NULL,
    not_before_ms INTEGER NOT NULL,
    deadline_ms INTEGER,
    timeout_ms INTEGER,
    max_attempts INTEGER NOT NULL,
    idempotency_key TEXT,
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    attempt INTEGER NOT NULL DEFAULT 0,
    uncounted INTEGER NOT NULL DEFAULT 0,
    lease_until_ms INTEGER,
    cancel_wanted INTEGER NOT NULL DEFAULT 0,
    result TEXT,
    error TEXT,
    created_ms INTEGER NOT NULL,
    finished_ms INTEGER
) STRICT;
CREATE UNIQUE INDEX jobs_keys ON jobs (idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX jobs_due ON jobs (backend, priority DESC, seq, not_before_ms, deadline_ms) WHERE state = 'queued';
CREATE INDEX jobs_at_work ON jobs (seq) WHERE state = 'running';
CREATE TABLE attempts (
    job INTEGER NOT NULL REFERENCES jobs (seq),
    n INTEGER NOT NULL,
    owner TEXT NOT NULL,
    backend TEXT NOT NULL,
    profile TEXT NOT NULL,
    outcome TEXT NOT NULL,
    cause TEXT,
    started_ms INTEGER NOT NULL,
    ended_ms INTEGER,
    PRIMARY KEY (job, n)
) STRICT, WITHOUT ROWID;
CREATE TABLE events (
    job INTEGER NOT NULL REFERENCES jobs (seq),
    id INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    kind TEXT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (job, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE progress (
    job INTEGER PRIMARY KEY REFERENCES jobs (seq),
    done REAL NOT NULL,
    total REAL
) STRICT;
PRAGMA user_version = 1;
COMMIT;
";
