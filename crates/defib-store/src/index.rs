//! The index of runs: one row each, in SQLite.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};

/// One run as `defib runs` lists it.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRow {
    /// Run id.
    pub id: String,
    /// Command, as JSON list.
    pub command: String,
    /// Working directory.
    pub cwd: String,
    /// Start, milliseconds since the Unix epoch.
    pub started_ms: i64,
    /// End, milliseconds since the Unix epoch; `None` while it runs.
    pub ended_ms: Option<i64>,
    /// Outcome's name, or `running`.
    pub outcome: String,
    /// Likeliest cause's id.
    pub cause: Option<String>,
    /// Nothing to worry about.
    pub healthy: bool,
}

/// The open index.
#[derive(Debug)]
pub struct Index {
    connection: Connection,
}

impl Index {
    /// Opens the index in a state folder, making it if it is not there.
    ///
    /// # Errors
    /// Where SQLite cannot open or prepare the file.
    pub fn open(root: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(root.join("index.sqlite"))?;
        connection.busy_timeout(Duration::from_secs(2))?;
        // A cache: what a power cut takes is read again from the folders.
        connection.execute_batch(
            "PRAGMA journal_mode = WAL;
             PRAGMA synchronous = OFF;
             CREATE TABLE IF NOT EXISTS runs (
                 id TEXT PRIMARY KEY,
                 command TEXT NOT NULL,
                 cwd TEXT NOT NULL,
                 started_ms INTEGER NOT NULL,
                 ended_ms INTEGER,
                 outcome TEXT NOT NULL,
                 cause TEXT,
                 healthy INTEGER NOT NULL
             ) STRICT;
             CREATE INDEX IF NOT EXISTS runs_by_start ON runs (started_ms);",
        )?;
        Ok(Self { connection })
    }

    /// Enters or replaces a run.
    ///
    /// # Errors
    /// Where SQLite refuses.
    pub fn put(&self, row: &RunRow) -> rusqlite::Result<()> {
        let text = "INSERT INTO runs (id, command, cwd, started_ms, ended_ms, outcome, cause, healthy)
                    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                    ON CONFLICT (id) DO UPDATE SET ended_ms = ?5, outcome = ?6, cause = ?7, healthy = ?8";
        let row =
            params![row.id, row.command, row.cwd, row.started_ms, row.ended_ms, row.outcome, row.cause, row.healthy];
        self.connection.execute(text, row).map(drop)
    }

    /// One run.
    ///
    /// # Errors
    /// Where SQLite refuses.
    pub fn get(&self, id: &str) -> rusqlite::Result<Option<RunRow>> {
        self.connection.query_row("SELECT * FROM runs WHERE id = ?1", [id], read).optional()
    }

    /// Runs, newest first.
    ///
    /// # Errors
    /// Where SQLite refuses.
    pub fn list(&self, most: usize) -> rusqlite::Result<Vec<RunRow>> {
        let mut statement = self.connection.prepare("SELECT * FROM runs ORDER BY started_ms DESC, id LIMIT ?1")?;
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let rows = statement.query_map([most], read)?;
        rows.collect()
    }

    /// Forgets a run whose folder is gone.
    ///
    /// # Errors
    /// Where SQLite refuses.
    pub fn remove(&self, id: &str) -> rusqlite::Result<()> {
        self.connection.execute("DELETE FROM runs WHERE id = ?1", [id]).map(drop)
    }
}

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<RunRow> {
    Ok(RunRow {
        id: row.get("id")?,
        command: row.get("command")?,
        cwd: row.get("cwd")?,
        started_ms: row.get("started_ms")?,
        ended_ms: row.get("ended_ms")?,
        outcome: row.get("outcome")?,
        cause: row.get("cause")?,
        healthy: row.get("healthy")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, started_ms: i64) -> RunRow {
        RunRow {
            id: id.into(),
            command: "[\"true\"]".into(),
            cwd: "/".into(),
            started_ms,
            ended_ms: None,
            outcome: "running".into(),
            cause: None,
            healthy: true,
        }
    }

    #[test]
    fn a_run_is_entered_replaced_listed_and_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let index = Index::open(folder.path()).unwrap();
        index.put(&row("ra", 1)).unwrap();
        index.put(&row("rb", 2)).unwrap();
        let ended = RunRow {
            ended_ms: Some(9),
            outcome: "stalled".into(),
            cause: Some("pipe-full".into()),
            healthy: false,
            ..row("ra", 1)
        };
        index.put(&ended).unwrap();
        // A second connection sees it: the index is shared by all runs.
        let other = Index::open(folder.path()).unwrap();
        assert_eq!(other.get("ra").unwrap(), Some(ended.clone()));
        assert_eq!(other.list(10).unwrap(), [row("rb", 2), ended]);
        other.remove("ra").unwrap();
        assert_eq!(index.get("ra").unwrap(), None);
    }
}
