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
    // An accepted job survives a power cut: the log is synced at every commit.
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;")?;
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
    idempotency_key TEXT UNIQUE,
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
CREATE INDEX jobs_due ON jobs (backend, priority DESC, seq) WHERE state = 'queued';
CREATE INDEX jobs_leases ON jobs (lease_until_ms) WHERE state = 'running';
CREATE INDEX jobs_deadlines ON jobs (deadline_ms) WHERE state IN ('queued', 'running') AND deadline_ms IS NOT NULL;
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
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    job INTEGER NOT NULL REFERENCES jobs (seq),
    at_ms INTEGER NOT NULL,
    kind TEXT NOT NULL,
    data TEXT NOT NULL
) STRICT;
CREATE INDEX jobs_over ON jobs (finished_ms) WHERE finished_ms IS NOT NULL;
CREATE INDEX events_by_job ON events (job, id);
CREATE TABLE progress (
    job INTEGER PRIMARY KEY REFERENCES jobs (seq),
    done REAL NOT NULL,
    total REAL
) STRICT;
PRAGMA user_version = 1;
COMMIT;
";
