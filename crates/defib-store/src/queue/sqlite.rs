//! The embedded queue: one SQLite file, one writing thread, readers beside it.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use defib_core::job::{Attempt, Choice, Job, JobState, Move, NewJob, after};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde_json::{Value, json};

use super::writer::{When, Writer};
use super::{
    Beat, Cancelling, Claimant, Claimed, Counts, Expired, Failure, JobEvent, Next, Queue, QueueError, Spared,
    Submitted, Then, schema,
};

/// Seconds after which a full queue may be worth another try.
const RETRY_AFTER_S: u64 = 5;
/// Most jobs that one [`Queue::expire`] handles.
const MOST_EXPIRED: usize = 1000;

/// The queue in one SQLite file.
#[derive(Debug)]
pub struct SqliteQueue {
    writer: Writer,
    reader: Mutex<Connection>,
    most_queued: u64,
    /// Jobs that wait, or waited when this was last counted.
    queued: Arc<AtomicU64>,
}

impl SqliteQueue {
    /// Opens the file, making it if it is not there. At most `most_queued` jobs may wait.
    ///
    /// # Errors
    /// Where SQLite cannot open it, or a later version made it.
    pub fn open(file: &Path, most_queued: u64) -> Result<Self, QueueError> {
        let connection = Connection::open(file)?;
        schema::prepare(&connection)?;
        let reader = Connection::open(file)?;
        schema::prepare(&reader)?;
        let writer = Writer::start(connection, file).map_err(|_| QueueError::Closed)?;
        let queued = Arc::new(AtomicU64::new(count_queued(&reader)?));
        Ok(Self { writer, reader: Mutex::new(reader), most_queued, queued })
    }

    fn reader(&self) -> Result<MutexGuard<'_, Connection>, QueueError> {
        self.writer.settle()?;
        Ok(self.reader.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A change to the job that this attempt has now.
    fn at_work<T: Send + 'static>(
        &self,
        when: When,
        job: &str,
        attempt: u32,
        change: impl FnOnce(&Connection, &Held) -> Result<T, QueueError> + Send + 'static,
    ) -> Result<T, QueueError> {
        let job = job.to_owned();
        self.writer.change(when, move |connection| {
            let held = at_work(connection, job, attempt)?;
            change(connection, &held)
        })
    }
}

/// The job, if this attempt has it now. The number is the fencing token: who was given up
/// carries an older one.
fn at_work(connection: &Connection, job: String, attempt: u32) -> Result<Held, QueueError> {
    let held = held(connection, &job)?;
    if held.state != JobState::Running || held.attempt != attempt {
        return Err(QueueError::Stale { job, attempt });
    }
    Ok(held)
}

fn succeed(connection: &Connection, held: &Held, result: &str, now_ms: i64) -> Result<(), QueueError> {
    go(connection, held, Move::Succeed, now_ms, Some(result))?;
    end_attempt(connection, held, "succeeded", None, now_ms)?;
    tell(connection, held.seq, now_ms, "succeeded", &json!({ "attempt": held.attempt }))
}

impl SqliteQueue {
    /// A change to a job that waits.
    fn waiting(
        &self,
        job: &str,
        change: impl FnOnce(&Connection, &Held) -> Result<(), QueueError> + Send + 'static,
    ) -> Result<(), QueueError> {
        let job = job.to_owned();
        self.writer.change(When::Synced, move |connection| {
            let held = held(connection, &job)?;
            if held.state == JobState::Queued { change(connection, &held) } else { Err(QueueError::NoSuchJob(job)) }
        })
    }
}

/// What is needed of a job to change it.
struct Held {
    seq: i64,
    state: JobState,
    attempt: u32,
    /// Attempts that count.
    counted: u32,
    max_attempts: u32,
    deadline_ms: Option<i64>,
    cancel_wanted: bool,
    backend: String,
    /// Whose attempt it is, if it is at work.
    owner: String,
}

const HELD: &str = "(SELECT owner FROM attempts WHERE job = jobs.seq AND n = jobs.attempt) AS owner, seq, backend, state, attempt, attempt - uncounted AS counted, max_attempts, deadline_ms, cancel_wanted";

fn read_held(row: &Row<'_>) -> rusqlite::Result<Held> {
    Ok(Held {
        seq: row.get("seq")?,
        state: state_of(row)?,
        attempt: row.get("attempt")?,
        counted: row.get("counted")?,
        max_attempts: row.get("max_attempts")?,
        deadline_ms: row.get("deadline_ms")?,
        cancel_wanted: row.get("cancel_wanted")?,
        backend: row.get("backend")?,
        owner: row.get::<_, Option<String>>("owner")?.unwrap_or_default(),
    })
}

fn count_queued(connection: &Connection) -> Result<u64, QueueError> {
    let mut statement = connection.prepare_cached("SELECT count(*) FROM jobs WHERE state = 'queued'")?;
    Ok(statement.query_row([], |row| number(row, 0))?)
}

/// A count, which is never negative.
fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0))
}

fn state_of(row: &Row<'_>) -> rusqlite::Result<JobState> {
    let name: String = row.get("state")?;
    JobState::of(&name).ok_or(rusqlite::Error::InvalidQuery)
}

fn held(connection: &Connection, job: &str) -> Result<Held, QueueError> {
    let mut statement = connection.prepare_cached(&format!("SELECT {HELD} FROM jobs WHERE id = ?1"))?;
    let found = statement.query_row([job], read_held).optional()?;
    found.ok_or_else(|| QueueError::NoSuchJob(job.to_owned()))
}

/// Makes a legal move; the caller has looked at the state in the same transaction.
/// A result comes with its success.
fn go(
    connection: &Connection,
    held: &Held,
    what: Move,
    now_ms: i64,
    result: Option<&str>,
) -> Result<JobState, QueueError> {
    let next = after(held.state, what).ok_or(rusqlite::Error::InvalidQuery)?;
    let finished = next.over().then_some(now_ms);
    let mut statement = connection.prepare_cached(
        "UPDATE jobs SET state = ?2, finished_ms = ?3, lease_until_ms = NULL, result = ?4 WHERE seq = ?1",
    )?;
    statement.execute(params![held.seq, next.name(), finished, result])?;
    if next.over() {
        connection.prepare_cached("DELETE FROM progress WHERE job = ?1")?.execute([held.seq])?;
    }
    Ok(next)
}

fn tell(connection: &Connection, seq: i64, at_ms: i64, kind: &str, data: &Value) -> Result<(), QueueError> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO events (job, id, at_ms, kind, data)
         VALUES (?1, (SELECT coalesce(max(id), 0) + 1 FROM events WHERE job = ?1), ?2, ?3, ?4)",
    )?;
    statement.execute(params![seq, at_ms, kind, data.to_string()])?;
    Ok(())
}

fn end_attempt(
    connection: &Connection,
    held: &Held,
    outcome: &str,
    cause: Option<&str>,
    now_ms: i64,
) -> Result<(), QueueError> {
    let mut statement = connection
        .prepare_cached("UPDATE attempts SET outcome = ?3, cause = ?4, ended_ms = ?5 WHERE job = ?1 AND n = ?2")?;
    statement.execute(params![held.seq, held.attempt, outcome, cause, now_ms])?;
    Ok(())
}

/// Fails the job with this error.
fn fail_with(connection: &Connection, held: &Held, what: Move, error: &Value, now_ms: i64) -> Result<(), QueueError> {
    fail_for(connection, held, what, (error, &Value::Null), now_ms)
}

/// Fails the job with this error, for this reason.
fn fail_for(
    connection: &Connection,
    held: &Held,
    what: Move,
    (error, decision): (&Value, &Value),
    now_ms: i64,
) -> Result<(), QueueError> {
    go(connection, held, what, now_ms, None)?;
    connection
        .prepare_cached("UPDATE jobs SET error = ?2 WHERE seq = ?1")?
        .execute(params![held.seq, error.to_string()])?;
    // The history is short; the report stands with the job.
    let data = json!({
        "attempt": held.attempt, "cause": error["cause"], "explanation": error["explanation"], "decision": decision,
    });
    tell(connection, held.seq, now_ms, "failed", &data)
}

impl Queue for SqliteQueue {
    fn submit(&self, job: &NewJob, now_ms: i64) -> Result<Submitted, QueueError> {
        let (job, most, known) = (job.clone(), self.most_queued, self.queued.clone());
        self.writer.change(When::Synced, move |connection| accept(connection, &job, most, &known, now_ms))
    }

    fn claim(&self, claimant: &Claimant<'_>, now_ms: i64) -> Result<Option<Claimed>, QueueError> {
        let Claimant { backend, only, owner, lease_ms } = *claimant;
        let (backend, only, owner) = (backend.to_owned(), only.map(str::to_owned), owner.to_owned());
        let undone = self.writer.undone();
        self.writer.change(When::Early, move |connection| {
            let claimant = Claimant { backend: &backend, only: only.as_deref(), owner: &owner, lease_ms };
            take(connection, &claimant, undone(), now_ms)
        })
    }

    fn heartbeat(&self, job: &str, attempt: u32, lease_ms: i64, now_ms: i64) -> Result<Beat, QueueError> {
        self.at_work(When::Committed, job, attempt, move |connection, held| {
            let mut statement = connection.prepare_cached("UPDATE jobs SET lease_until_ms = ?2 WHERE seq = ?1")?;
            statement.execute(params![held.seq, now_ms + lease_ms])?;
            Ok(Beat { cancel_wanted: held.cancel_wanted })
        })
    }

    fn progress(&self, job: &str, attempt: u32, done: f64, total: Option<f64>) -> Result<(), QueueError> {
        self.at_work(When::Committed, job, attempt, move |connection, held| {
            let mut statement =
                connection.prepare_cached("INSERT OR REPLACE INTO progress (job, done, total) VALUES (?1, ?2, ?3)")?;
            statement.execute(params![held.seq, done, total])?;
            Ok(())
        })
    }

    fn succeed(&self, job: &str, attempt: u32, result: &Value, now_ms: i64) -> Result<(), QueueError> {
        let result = result.to_string();
        self.at_work(When::Synced, job, attempt, move |connection, held| succeed(connection, held, &result, now_ms))
    }

    fn succeed_then(&self, job: &str, attempt: u32, result: &Value, now_ms: i64, then: Then) {
        let (job, result) = (job.to_owned(), result.to_string());
        let change = move |connection: &Connection| {
            let held = at_work(connection, job, attempt)?;
            succeed(connection, &held, &result, now_ms)
        };
        self.writer.post(When::Synced, change, then);
    }

    fn fail(
        &self,
        job: &str,
        attempt: u32,
        failure: &Failure,
        next: &Next,
        now_ms: i64,
    ) -> Result<JobState, QueueError> {
        let (failure, next) = (failure.clone(), next.clone());
        self.at_work(When::Synced, job, attempt, move |connection, held| {
            end_attempt(connection, held, "failed", Some(&failure.cause), now_ms)?;
            let beyond = |not_before_ms: i64| {
                held.counted >= held.max_attempts || held.deadline_ms.is_some_and(|deadline| not_before_ms >= deadline)
            };
            match next {
                _ if held.cancel_wanted => {
                    tell(connection, held.seq, now_ms, "cancelled", &json!({ "attempt": held.attempt }))?;
                    go(connection, held, Move::Cancel, now_ms, None)
                }
                Next::Retry { not_before_ms, choice, decision } if !beyond(not_before_ms) => {
                    let state = go(connection, held, Move::Retry, now_ms, None)?;
                    connection
                        .prepare_cached("UPDATE jobs SET not_before_ms = ?2 WHERE seq = ?1")?
                        .execute(params![held.seq, not_before_ms])?;
                    direct(connection, held, &choice)?;
                    let data = json!({
                        "attempt": held.attempt, "cause": failure.cause, "not_before_ms": not_before_ms,
                        "choice": choice, "decision": decision,
                    });
                    tell(connection, held.seq, now_ms, "retry", &data)?;
                    Ok(state)
                }
                Next::Final(decision) | Next::Retry { decision, .. } => {
                    fail_for(connection, held, Move::Fail, (&failure.error, &decision), now_ms)?;
                    Ok(JobState::Failed)
                }
            }
        })
    }

    fn release(&self, job: &str, attempt: u32, now_ms: i64) -> Result<JobState, QueueError> {
        self.at_work(When::Synced, job, attempt, move |connection, held| {
            end_attempt(connection, held, "released", None, now_ms)?;
            if held.cancel_wanted {
                let data = json!({ "attempt": held.attempt });
                tell(connection, held.seq, now_ms, "cancelled", &data)?;
                return go(connection, held, Move::Cancel, now_ms, None);
            }
            let state = go(connection, held, Move::Release, now_ms, None)?;
            connection
                .prepare_cached("UPDATE jobs SET uncounted = uncounted + 1 WHERE seq = ?1")?
                .execute([held.seq])?;
            tell(connection, held.seq, now_ms, "released", &json!({ "attempt": held.attempt }))?;
            Ok(state)
        })
    }

    fn cancel(&self, job: &str, now_ms: i64) -> Result<Cancelling, QueueError> {
        let job = job.to_owned();
        self.writer.change(When::Synced, move |connection| {
            let held = held(connection, &job)?;
            match held.state {
                JobState::Queued => {
                    go(connection, &held, Move::Cancel, now_ms, None)?;
                    tell(connection, held.seq, now_ms, "cancelled", &json!({}))?;
                    Ok(Cancelling::Done)
                }
                JobState::Running => {
                    connection
                        .prepare_cached("UPDATE jobs SET cancel_wanted = 1 WHERE seq = ?1")?
                        .execute([held.seq])?;
                    if !held.cancel_wanted {
                        tell(connection, held.seq, now_ms, "cancel-wanted", &json!({ "attempt": held.attempt }))?;
                    }
                    Ok(Cancelling::Wanted)
                }
                over => Ok(Cancelling::Over(over)),
            }
        })
    }

    fn cancelled(&self, job: &str, attempt: u32, now_ms: i64) -> Result<(), QueueError> {
        self.at_work(When::Synced, job, attempt, move |connection, held| {
            go(connection, held, Move::Cancel, now_ms, None)?;
            end_attempt(connection, held, "cancelled", None, now_ms)?;
            tell(connection, held.seq, now_ms, "cancelled", &json!({ "attempt": held.attempt }))
        })
    }

    fn expire(&self, waits: &HashMap<String, Value>, spared: &Spared, now_ms: i64) -> Result<Expired, QueueError> {
        const LATE: &str = "state = 'queued' AND deadline_ms IS NOT NULL AND deadline_ms <= ?1";
        const LOST: &str = "state = 'running' AND lease_until_ms <= ?1";
        // Mostly there is nothing, and then nothing is written.
        let any =
            format!("SELECT EXISTS (SELECT 1 FROM jobs WHERE {LATE}) OR EXISTS (SELECT 1 FROM jobs WHERE {LOST})");
        let some: bool = self.reader()?.prepare_cached(&any)?.query_row([now_ms], |row| row.get(0))?;
        if !some {
            return Ok(Expired::default());
        }
        let (waits, spared) = (waits.clone(), spared.clone());
        self.writer.change(When::Synced, move |connection| {
            let mut expired = Expired { failed: fail_late(connection, &waits, LATE, now_ms)?, ..Expired::default() };
            let mut lost = find(connection, LOST, &now_ms)?;
            lost.retain(|(id, held)| !spared.holds(id, held.attempt, &held.owner));
            lose(connection, lost, &mut expired, now_ms)?;
            Ok(expired)
        })
    }

    fn owners(&self) -> Result<Vec<String>, QueueError> {
        let reader = self.reader()?;
        let mut statement = reader.prepare_cached(
            "SELECT DISTINCT a.owner FROM jobs j JOIN attempts a ON a.job = j.seq AND a.n = j.attempt
             WHERE j.state = 'running'",
        )?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn expire_owner(&self, owner: &str, now_ms: i64) -> Result<Expired, QueueError> {
        let owner = owner.to_owned();
        self.writer.change(When::Synced, move |connection| {
            let mut expired = Expired::default();
            let condition = "state = 'running' AND
                             (SELECT owner FROM attempts WHERE job = jobs.seq AND n = jobs.attempt) = ?1";
            let lost = find(connection, condition, &owner)?;
            lose(connection, lost, &mut expired, now_ms)?;
            Ok(expired)
        })
    }

    fn redirect(&self, job: &str, choice: &Choice, now_ms: i64) -> Result<(), QueueError> {
        let choice = choice.clone();
        self.waiting(job, move |connection, held| {
            direct(connection, held, &choice)?;
            tell(connection, held.seq, now_ms, "redirected", &json!({ "choice": choice }))
        })
    }

    fn reject(&self, job: &str, error: &Value, now_ms: i64) -> Result<(), QueueError> {
        let error = error.clone();
        self.waiting(job, move |connection, held| fail_with(connection, held, Move::PassDeadline, &error, now_ms))
    }

    fn strays(&self, known: &[String]) -> Result<Vec<(String, String, String)>, QueueError> {
        let reader = self.reader()?;
        let mut statement = reader.prepare_cached(
            "SELECT id, route, backend FROM jobs
             WHERE state = 'queued' AND backend NOT IN (SELECT value FROM json_each(?1)) ORDER BY seq",
        )?;
        let rows =
            statement.query_map([json!(known).to_string()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn forget(&self, before_ms: i64, most: usize) -> Result<u64, QueueError> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        self.writer.change(When::Committed, move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT seq FROM jobs WHERE finished_ms IS NOT NULL AND finished_ms < ?1 ORDER BY seq LIMIT ?2",
            )?;
            let old: Vec<i64> =
                statement.query_map(params![before_ms, most], |row| row.get(0))?.collect::<Result<_, _>>()?;
            for seq in &old {
                for table in ["attempts", "events", "progress"] {
                    connection.prepare_cached(&format!("DELETE FROM {table} WHERE job = ?1"))?.execute([seq])?;
                }
                connection.prepare_cached("DELETE FROM jobs WHERE seq = ?1")?.execute([seq])?;
            }
            Ok(old.len() as u64)
        })
    }

    fn inputs_in_use(&self) -> Result<HashSet<String>, QueueError> {
        let reader = self.reader()?;
        let mut statement =
            reader.prepare_cached("SELECT inputs FROM jobs WHERE state IN ('queued', 'running', 'failed')")?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
        let mut used = HashSet::new();
        for row in rows {
            digests(&serde_json::from_str(&row?)?, &mut used);
        }
        Ok(used)
    }

    fn get(&self, job: &str) -> Result<Job, QueueError> {
        let reader = self.reader()?;
        let mut statement = reader.prepare_cached(&format!("{JOB} WHERE id = ?1"))?;
        let found = statement.query_row([job], |row| Ok(read_job(row))).optional()?;
        let (seq, mut job) = found.ok_or_else(|| QueueError::NoSuchJob(job.to_owned()))??;
        job.attempts = attempts(&reader, seq)?;
        Ok(job)
    }

    fn list(&self, state: Option<JobState>, most: usize) -> Result<Vec<Job>, QueueError> {
        let reader = self.reader()?;
        let mut statement =
            reader.prepare_cached(&format!("{LISTED} WHERE ?1 IS NULL OR state = ?1 ORDER BY seq DESC LIMIT ?2"))?;
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let rows = statement.query_map(params![state.map(JobState::name), most], |row| Ok(read_job(row)))?;
        let mut jobs = Vec::new();
        for row in rows {
            let (seq, mut job) = row??;
            job.attempts = attempts(&reader, seq)?;
            jobs.push(job);
        }
        Ok(jobs)
    }

    fn events(&self, job: &str, after: i64) -> Result<Vec<JobEvent>, QueueError> {
        let reader = self.reader()?;
        let mut statement = reader.prepare_cached(
            "SELECT e.id, e.at_ms, e.kind, e.data FROM events e JOIN jobs j ON j.seq = e.job
             WHERE j.id = ?1 AND e.id > ?2 ORDER BY e.id",
        )?;
        let rows = statement.query_map(params![job, after], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get::<_, String>(3)?))
        })?;
        let event = |row: rusqlite::Result<(i64, i64, String, String)>| {
            let (id, at_ms, kind, data) = row?;
            Ok(JobEvent { id, at_ms, kind, data: serde_json::from_str(&data)? })
        };
        rows.map(event).collect()
    }

    fn counts(&self) -> Result<Counts, QueueError> {
        let reader = self.reader()?;
        let count = |text: &str| -> Result<u64, QueueError> {
            Ok(reader.prepare_cached(text)?.query_row([], |row| number(row, 0))?)
        };
        let queued = count("SELECT count(*) FROM jobs WHERE state = 'queued'")?;
        let running = count("SELECT count(*) FROM jobs WHERE state = 'running'")?;
        let all = count("SELECT count(*) FROM jobs")?;
        Ok(Counts { queued, running, over: all.saturating_sub(queued + running) })
    }
}

fn accept(
    connection: &Connection,
    job: &NewJob,
    most: u64,
    known: &AtomicU64,
    now_ms: i64,
) -> Result<Submitted, QueueError> {
    if let Some(key) = &job.idempotency_key {
        let known = connection
            .prepare_cached("SELECT id, route, inputs FROM jobs WHERE idempotency_key = ?1")?
            .query_row([key], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?)))
            .optional()?;
        match known {
            Some((id, route, inputs))
                if route == job.route && serde_json::from_str::<Value>(&inputs)? == job.inputs =>
            {
                return Ok(Submitted::Known(id));
            }
            Some(_) => return Err(QueueError::KeyUsed(key.clone())),
            None => {}
        }
    }
    // Counting is dear where many wait. What is known is never less than there are, but for
    // those that other processes hand in.
    let mut queued = known.load(Ordering::Relaxed);
    if queued >= most {
        queued = count_queued(connection)?;
        known.store(queued, Ordering::Relaxed);
    }
    if queued >= most {
        return Err(QueueError::Full { queued, retry_after_s: RETRY_AFTER_S });
    }
    let mut statement = connection.prepare_cached(
        "INSERT INTO jobs (id, route, backend, profile, inputs, priority, not_before_ms, deadline_ms, timeout_ms,
                           max_attempts, idempotency_key, state, created_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 'queued', ?12)",
    )?;
    statement.execute(params![
        job.id,
        job.route,
        job.start.backend,
        job.start.profile,
        job.inputs.to_string(),
        job.priority,
        job.not_before_ms.unwrap_or(0),
        job.deadline_ms,
        job.timeout_ms,
        job.max_attempts.max(1),
        job.idempotency_key,
        now_ms
    ])?;
    known.fetch_add(1, Ordering::Relaxed);
    tell(connection, connection.last_insert_rowid(), now_ms, "accepted", &json!({ "route": job.route }))?;
    Ok(Submitted::New)
}

/// Where a waiting job goes next.
fn direct(connection: &Connection, held: &Held, choice: &Choice) -> Result<(), QueueError> {
    let mut statement = connection.prepare_cached("UPDATE jobs SET backend = ?2, profile = ?3 WHERE seq = ?1")?;
    statement.execute(params![held.seq, choice.backend, choice.profile])?;
    Ok(())
}

/// Takes the job that is due first. `undone` claims were answered and then rolled back:
/// their numbers are passed over and do not count.
fn take(
    connection: &Connection,
    claimant: &Claimant<'_>,
    undone: u32,
    now_ms: i64,
) -> Result<Option<Claimed>, QueueError> {
    let text = format!(
        "SELECT seq FROM jobs
         WHERE state = 'queued' AND backend = ?1 AND not_before_ms <= ?2
           AND (deadline_ms IS NULL OR deadline_ms > ?2) {}
         ORDER BY priority DESC, seq LIMIT 1",
        if claimant.only.is_some() { "AND id = ?3" } else { "AND ?3 IS NULL" }
    );
    let found = connection
        .prepare_cached(&text)?
        .query_row(params![claimant.backend, now_ms, claimant.only], |row| row.get(0))
        .optional()?;
    let Some(seq): Option<i64> = found else { return Ok(None) };
    let mut statement = connection.prepare_cached(
        "UPDATE jobs SET state = 'running', attempt = attempt + 1 + ?3, uncounted = uncounted + ?3, lease_until_ms = ?2
         WHERE seq = ?1
         RETURNING *, NULL AS done, NULL AS total",
    )?;
    let (attempt, job) = statement.query_row(params![seq, now_ms + claimant.lease_ms, undone], |row| {
        Ok((row.get::<_, u32>("attempt")?, read_job(row)))
    })?;
    let (_, job) = job?;
    let choice = job.new.start.clone();
    connection
        .prepare_cached(
            "INSERT INTO attempts (job, n, owner, backend, profile, outcome, started_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, 'running', ?6)",
        )?
        .execute(params![seq, attempt, claimant.owner, choice.backend, choice.profile, now_ms])?;
    let data = json!({ "attempt": attempt, "backend": choice.backend, "profile": choice.profile });
    tell(connection, seq, now_ms, "claimed", &data)?;
    Ok(Some(Claimed { job: job.new, attempt, choice }))
}

/// Jobs that fit a condition on `?1`, a bounded number of them.
fn find(
    connection: &Connection,
    condition: &str,
    value: &dyn rusqlite::ToSql,
) -> Result<Vec<(String, Held)>, QueueError> {
    let text = format!("SELECT id, {HELD} FROM jobs WHERE {condition} ORDER BY seq LIMIT {MOST_EXPIRED}");
    let mut statement = connection.prepare_cached(&text)?;
    let rows = statement.query_map([value], |row| Ok((row.get("id")?, read_held(row)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Fails what waits beyond its deadline. What is at work is ended by its worker, with
/// evidence.
fn fail_late(
    connection: &Connection,
    waits: &HashMap<String, Value>,
    late: &str,
    now_ms: i64,
) -> Result<Vec<String>, QueueError> {
    let mut failed = Vec::new();
    for (id, held) in find(connection, late, &now_ms)? {
        let unknown = || json!({ "cause": "unknown", "explanation": "its deadline passed while it waited" });
        let error = waits.get(&held.backend).cloned().unwrap_or_else(unknown);
        fail_with(connection, &held, Move::PassDeadline, &error, now_ms)?;
        failed.push(id);
    }
    Ok(failed)
}

/// Queues again what a lost worker had, or ends it.
fn lose(
    connection: &Connection,
    lost: Vec<(String, Held)>,
    expired: &mut Expired,
    now_ms: i64,
) -> Result<(), QueueError> {
    for (id, held) in lost {
        end_attempt(connection, &held, "lost", None, now_ms)?;
        let late = held.deadline_ms.is_some_and(|deadline| deadline <= now_ms);
        if held.cancel_wanted {
            go(connection, &held, Move::Cancel, now_ms, None)?;
            tell(connection, held.seq, now_ms, "cancelled", &json!({ "attempt": held.attempt }))?;
        } else if late || held.counted >= held.max_attempts {
            let explanation = format!(
                "the defib that worked on it was gone in attempt {} of {}{}",
                held.counted,
                held.max_attempts,
                if late { ", and its deadline has passed" } else { "" }
            );
            let error = json!({ "cause": "unknown", "explanation": explanation });
            fail_with(connection, &held, Move::Fail, &error, now_ms)?;
            expired.failed.push(id);
        } else {
            go(connection, &held, Move::Expire, now_ms, None)?;
            tell(connection, held.seq, now_ms, "lost", &json!({ "attempt": held.attempt }))?;
            expired.requeued.push((id, held.attempt));
        }
    }
    Ok(())
}

/// Every file that inputs name: `{"sha256": …}`, at any depth.
fn digests(inputs: &Value, found: &mut HashSet<String>) {
    match inputs {
        Value::Object(fields) => {
            found.extend(fields.get("sha256").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|value| digests(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| digests(item, found)),
        _ => {}
    }
}

const JOB: &str = "SELECT jobs.*, (SELECT done FROM progress WHERE job = jobs.seq) AS done,
                          (SELECT total FROM progress WHERE job = jobs.seq) AS total FROM jobs";

/// The same for lists, without inputs: those may be long.
const LISTED: &str = "SELECT seq, id, route, backend, profile, 'null' AS inputs, priority, not_before_ms, deadline_ms,
                             timeout_ms, max_attempts, idempotency_key, state, cancel_wanted, result, error, created_ms,
                             finished_ms, (SELECT done FROM progress WHERE job = jobs.seq) AS done,
                             (SELECT total FROM progress WHERE job = jobs.seq) AS total FROM jobs";

/// A job without its attempts, and its number in the file.
fn read_job(row: &Row<'_>) -> Result<(i64, Job), QueueError> {
    let value = |name: &str| -> Result<Option<Value>, QueueError> {
        let text: Option<String> = row.get(name)?;
        Ok(text.map(|text| serde_json::from_str(&text)).transpose()?)
    };
    let done: Option<f64> = row.get("done")?;
    let total: Option<f64> = row.get("total")?;
    let not_before: i64 = row.get("not_before_ms")?;
    let created_ms: i64 = row.get("created_ms")?;
    let new = NewJob {
        id: row.get("id")?,
        route: row.get("route")?,
        start: Choice { backend: row.get("backend")?, profile: row.get("profile")? },
        inputs: value("inputs")?.unwrap_or_default(),
        priority: row.get("priority")?,
        not_before_ms: (not_before > created_ms).then_some(not_before),
        deadline_ms: row.get("deadline_ms")?,
        timeout_ms: row.get("timeout_ms")?,
        max_attempts: row.get("max_attempts")?,
        idempotency_key: row.get("idempotency_key")?,
    };
    let job = Job {
        new,
        state: state_of(row)?,
        attempts: Vec::new(),
        result: value("result")?,
        error: value("error")?,
        cancel_wanted: row.get("cancel_wanted")?,
        progress: done.map(|done| (done, total)),
        created_ms,
        finished_ms: row.get("finished_ms")?,
    };
    Ok((row.get("seq")?, job))
}

fn attempts(connection: &Connection, seq: i64) -> Result<Vec<Attempt>, QueueError> {
    let mut statement = connection.prepare_cached(
        "SELECT n, backend, profile, outcome, cause, started_ms, ended_ms FROM attempts WHERE job = ?1 ORDER BY n",
    )?;
    let rows = statement.query_map([seq], |row| {
        Ok(Attempt {
            n: row.get(0)?,
            backend: row.get(1)?,
            profile: row.get(2)?,
            outcome: row.get(3)?,
            cause: row.get(4)?,
            started_ms: row.get(5)?,
            ended_ms: row.get(6)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
