//! The embedded queue: one SQLite file, one writing thread, readers beside it.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use defib_core::job::{Attempt, Job, JobState, Move, NewJob, after};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde_json::{Value, json};

use super::writer::Writer;
use super::{
    Beat, Cancelling, Choice, Claimed, Counts, Expired, Failure, JobEvent, Next, Queue, QueueError, Submitted, schema,
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
        let writer = Writer::start(connection).map_err(|_| QueueError::Closed)?;
        Ok(Self { writer, reader: Mutex::new(reader), most_queued })
    }

    fn reader(&self) -> MutexGuard<'_, Connection> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A change to the job that this attempt has now.
    fn at_work<T: Send + 'static>(
        &self,
        job: &str,
        attempt: u32,
        change: impl FnOnce(&Connection, &Held) -> Result<T, QueueError> + Send + 'static,
    ) -> Result<T, QueueError> {
        let job = job.to_owned();
        self.writer.change(move |connection| {
            let held = held(connection, &job)?;
            // The fencing token: who was given up carries an older number.
            if held.state != JobState::Running || held.attempt != attempt {
                return Err(QueueError::Stale { job, attempt });
            }
            change(connection, &held)
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
}

const HELD: &str = "seq, state, attempt, attempt - uncounted AS counted, max_attempts, deadline_ms, cancel_wanted";

fn read_held(row: &Row<'_>) -> rusqlite::Result<Held> {
    Ok(Held {
        seq: row.get("seq")?,
        state: state_of(row)?,
        attempt: row.get("attempt")?,
        counted: row.get("counted")?,
        max_attempts: row.get("max_attempts")?,
        deadline_ms: row.get("deadline_ms")?,
        cancel_wanted: row.get("cancel_wanted")?,
    })
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
fn go(connection: &Connection, held: &Held, what: Move, now_ms: i64) -> Result<JobState, QueueError> {
    let next = after(held.state, what).ok_or(rusqlite::Error::InvalidQuery)?;
    let finished = next.over().then_some(now_ms);
    let mut statement = connection
        .prepare_cached("UPDATE jobs SET state = ?2, finished_ms = ?3, lease_until_ms = NULL WHERE seq = ?1")?;
    statement.execute(params![held.seq, next.name(), finished])?;
    if next.over() {
        connection.prepare_cached("DELETE FROM progress WHERE job = ?1")?.execute([held.seq])?;
    }
    Ok(next)
}

fn tell(connection: &Connection, seq: i64, at_ms: i64, kind: &str, data: &Value) -> Result<(), QueueError> {
    let mut statement =
        connection.prepare_cached("INSERT INTO events (job, at_ms, kind, data) VALUES (?1, ?2, ?3, ?4)")?;
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
    go(connection, held, what, now_ms)?;
    connection
        .prepare_cached("UPDATE jobs SET error = ?2 WHERE seq = ?1")?
        .execute(params![held.seq, error.to_string()])?;
    tell(connection, held.seq, now_ms, "failed", error)
}

impl Queue for SqliteQueue {
    fn submit(&self, job: &NewJob, now_ms: i64) -> Result<Submitted, QueueError> {
        let (job, most) = (job.clone(), self.most_queued);
        self.writer.change(move |connection| accept(connection, &job, most, now_ms))
    }

    fn claim(&self, routes: &[String], owner: &str, lease_ms: i64, now_ms: i64) -> Result<Option<Claimed>, QueueError> {
        let (routes, owner) = (routes.to_vec(), owner.to_owned());
        self.writer.change(move |connection| take(connection, &routes, &owner, now_ms + lease_ms, now_ms))
    }

    fn chosen(&self, job: &str, attempt: u32, choice: &Choice) -> Result<(), QueueError> {
        let choice = choice.clone();
        self.at_work(job, attempt, move |connection, held| {
            let mut statement = connection
                .prepare_cached("UPDATE attempts SET backend = ?3, profile = ?4 WHERE job = ?1 AND n = ?2")?;
            statement.execute(params![held.seq, held.attempt, choice.backend, choice.profile])?;
            Ok(())
        })
    }

    fn heartbeat(&self, job: &str, attempt: u32, lease_ms: i64, now_ms: i64) -> Result<Beat, QueueError> {
        self.at_work(job, attempt, move |connection, held| {
            let mut statement = connection.prepare_cached("UPDATE jobs SET lease_until_ms = ?2 WHERE seq = ?1")?;
            statement.execute(params![held.seq, now_ms + lease_ms])?;
            Ok(Beat { cancel_wanted: held.cancel_wanted })
        })
    }

    fn progress(&self, job: &str, attempt: u32, done: f64, total: Option<f64>) -> Result<(), QueueError> {
        self.at_work(job, attempt, move |connection, held| {
            let mut statement =
                connection.prepare_cached("INSERT OR REPLACE INTO progress (job, done, total) VALUES (?1, ?2, ?3)")?;
            statement.execute(params![held.seq, done, total])?;
            Ok(())
        })
    }

    fn succeed(&self, job: &str, attempt: u32, result: &Value, now_ms: i64) -> Result<(), QueueError> {
        let result = result.to_string();
        self.at_work(job, attempt, move |connection, held| {
            go(connection, held, Move::Succeed, now_ms)?;
            end_attempt(connection, held, "succeeded", None, now_ms)?;
            connection
                .prepare_cached("UPDATE jobs SET result = ?2 WHERE seq = ?1")?
                .execute(params![held.seq, result])?;
            tell(connection, held.seq, now_ms, "succeeded", &json!({ "attempt": held.attempt }))
        })
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
        self.at_work(job, attempt, move |connection, held| {
            end_attempt(connection, held, "failed", Some(&failure.cause), now_ms)?;
            let beyond = |not_before_ms: i64| {
                held.counted >= held.max_attempts || held.deadline_ms.is_some_and(|deadline| not_before_ms >= deadline)
            };
            match next {
                _ if held.cancel_wanted => {
                    tell(connection, held.seq, now_ms, "cancelled", &json!({ "attempt": held.attempt }))?;
                    go(connection, held, Move::Cancel, now_ms)
                }
                Next::Retry { not_before_ms, choice } if !beyond(not_before_ms) => {
                    let state = go(connection, held, Move::Retry, now_ms)?;
                    let text = choice.as_ref().map(serde_json::to_string).transpose()?;
                    let mut statement =
                        connection.prepare_cached("UPDATE jobs SET not_before_ms = ?2, choice = ?3 WHERE seq = ?1")?;
                    statement.execute(params![held.seq, not_before_ms, text])?;
                    let data = json!({
                        "attempt": held.attempt, "cause": failure.cause, "not_before_ms": not_before_ms, "choice": choice,
                        "error": failure.error,
                    });
                    tell(connection, held.seq, now_ms, "retry", &data)?;
                    Ok(state)
                }
                Next::Final | Next::Retry { .. } => {
                    fail_with(connection, held, Move::Fail, &failure.error, now_ms)?;
                    Ok(JobState::Failed)
                }
            }
        })
    }

    fn release(&self, job: &str, attempt: u32, now_ms: i64) -> Result<(), QueueError> {
        self.at_work(job, attempt, move |connection, held| {
            go(connection, held, Move::Release, now_ms)?;
            end_attempt(connection, held, "released", None, now_ms)?;
            connection
                .prepare_cached("UPDATE jobs SET uncounted = uncounted + 1 WHERE seq = ?1")?
                .execute([held.seq])?;
            tell(connection, held.seq, now_ms, "released", &json!({ "attempt": held.attempt }))
        })
    }

    fn cancel(&self, job: &str, now_ms: i64) -> Result<Cancelling, QueueError> {
        let job = job.to_owned();
        self.writer.change(move |connection| {
            let held = held(connection, &job)?;
            match held.state {
                JobState::Queued => {
                    go(connection, &held, Move::Cancel, now_ms)?;
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
        self.at_work(job, attempt, move |connection, held| {
            go(connection, held, Move::Cancel, now_ms)?;
            end_attempt(connection, held, "cancelled", None, now_ms)?;
            tell(connection, held.seq, now_ms, "cancelled", &json!({ "attempt": held.attempt }))
        })
    }

    fn expire(&self, now_ms: i64) -> Result<Expired, QueueError> {
        self.writer.change(move |connection| expire(connection, now_ms))
    }

    fn get(&self, job: &str) -> Result<Job, QueueError> {
        let reader = self.reader();
        let mut statement = reader.prepare_cached(&format!("{JOB} WHERE id = ?1"))?;
        let found = statement.query_row([job], |row| Ok(read_job(row))).optional()?;
        let (seq, mut job) = found.ok_or_else(|| QueueError::NoSuchJob(job.to_owned()))??;
        job.attempts = attempts(&reader, seq)?;
        Ok(job)
    }

    fn list(&self, state: Option<JobState>, most: usize) -> Result<Vec<Job>, QueueError> {
        let reader = self.reader();
        let mut statement =
            reader.prepare_cached(&format!("{JOB} WHERE ?1 IS NULL OR state = ?1 ORDER BY seq DESC LIMIT ?2"))?;
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
        let reader = self.reader();
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
        let reader = self.reader();
        let mut statement = reader.prepare_cached("SELECT state, count(*) FROM jobs GROUP BY state")?;
        let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, number(row, 1)?)))?;
        let mut counts = Counts::default();
        for row in rows {
            match row? {
                (state, number) if state == "queued" => counts.queued = number,
                (state, number) if state == "running" => counts.running = number,
                (_, number) => counts.over += number,
            }
        }
        Ok(counts)
    }

    fn next_due_ms(&self) -> Result<Option<i64>, QueueError> {
        let reader = self.reader();
        Ok(reader.query_row("SELECT min(not_before_ms) FROM jobs WHERE state = 'queued'", [], |row| row.get(0))?)
    }
}

fn accept(connection: &Connection, job: &NewJob, most: u64, now_ms: i64) -> Result<Submitted, QueueError> {
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
    let queued: u64 = connection
        .prepare_cached("SELECT count(*) FROM jobs WHERE state = 'queued'")?
        .query_row([], |row| number(row, 0))?;
    if queued >= most {
        return Err(QueueError::Full { queued, retry_after_s: RETRY_AFTER_S });
    }
    let mut statement = connection.prepare_cached(
        "INSERT INTO jobs (id, route, inputs, priority, not_before_ms, deadline_ms, timeout_ms, max_attempts,
                           idempotency_key, state, created_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 'queued', ?10)",
    )?;
    statement.execute(params![
        job.id,
        job.route,
        job.inputs.to_string(),
        job.priority,
        job.not_before_ms.unwrap_or(now_ms),
        job.deadline_ms,
        job.timeout_ms,
        job.max_attempts.max(1),
        job.idempotency_key,
        now_ms
    ])?;
    tell(connection, connection.last_insert_rowid(), now_ms, "accepted", &json!({ "route": job.route }))?;
    Ok(Submitted::New)
}

fn take(
    connection: &Connection,
    routes: &[String],
    owner: &str,
    lease_until_ms: i64,
    now_ms: i64,
) -> Result<Option<Claimed>, QueueError> {
    // The first of each route is found by the index; the first of these goes.
    let mut first: Option<(i64, i64)> = None;
    for route in routes {
        let mut statement = connection.prepare_cached(
            "SELECT priority, seq FROM jobs
             WHERE state = 'queued' AND route = ?1 AND not_before_ms <= ?2
               AND (deadline_ms IS NULL OR deadline_ms > ?2)
             ORDER BY priority DESC, seq LIMIT 1",
        )?;
        let found =
            statement.query_row(params![route, now_ms], |row| Ok((-row.get::<_, i64>(0)?, row.get(1)?))).optional()?;
        first = [first, found].into_iter().flatten().min();
    }
    let Some((_, seq)) = first else { return Ok(None) };
    let mut statement = connection.prepare_cached(
        "UPDATE jobs SET state = 'running', attempt = attempt + 1, lease_until_ms = ?2 WHERE seq = ?1
         RETURNING attempt, choice",
    )?;
    let (attempt, choice): (u32, Option<String>) =
        statement.query_row(params![seq, lease_until_ms], |row| Ok((row.get(0)?, row.get(1)?)))?;
    connection
        .prepare_cached("INSERT INTO attempts (job, n, owner, outcome, started_ms) VALUES (?1, ?2, ?3, 'running', ?4)")?
        .execute(params![seq, attempt, owner, now_ms])?;
    tell(connection, seq, now_ms, "claimed", &json!({ "attempt": attempt, "owner": owner }))?;
    let mut statement = connection.prepare_cached(&format!("{JOB} WHERE seq = ?1"))?;
    let (_, job) = statement.query_row([seq], |row| Ok(read_job(row)))??;
    let choice = choice.map(|text| serde_json::from_str(&text)).transpose()?;
    Ok(Some(Claimed { job: job.new, attempt, choice }))
}

fn expire(connection: &Connection, now_ms: i64) -> Result<Expired, QueueError> {
    let mut expired = Expired::default();
    let most = i64::try_from(MOST_EXPIRED).unwrap_or(i64::MAX);
    let find = |condition: &str| -> Result<Vec<(String, Held)>, QueueError> {
        let text = format!("SELECT id, {HELD} FROM jobs WHERE {condition} ORDER BY seq LIMIT ?2");
        let mut statement = connection.prepare_cached(&text)?;
        let rows = statement.query_map(params![now_ms, most], |row| Ok((row.get("id")?, read_held(row)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    };
    for (id, held) in find("state IN ('queued', 'running') AND deadline_ms IS NOT NULL AND deadline_ms <= ?1")? {
        if held.state == JobState::Running {
            end_attempt(connection, &held, "failed", Some("deadline"), now_ms)?;
        }
        let error = json!({ "cause": "deadline", "explanation": "its deadline passed before it was done" });
        fail_with(connection, &held, Move::PassDeadline, &error, now_ms)?;
        expired.failed.push(id);
    }
    for (id, held) in find("state = 'running' AND lease_until_ms <= ?1")? {
        end_attempt(connection, &held, "lost", Some("worker-lost"), now_ms)?;
        if held.cancel_wanted {
            go(connection, &held, Move::Cancel, now_ms)?;
            tell(connection, held.seq, now_ms, "cancelled", &json!({ "attempt": held.attempt }))?;
        } else if held.counted >= held.max_attempts {
            let explanation = format!("its worker was lost in attempt {} of {}", held.counted, held.max_attempts);
            let error = json!({ "cause": "worker-lost", "explanation": explanation });
            fail_with(connection, &held, Move::Fail, &error, now_ms)?;
            expired.failed.push(id);
        } else {
            go(connection, &held, Move::Expire, now_ms)?;
            tell(connection, held.seq, now_ms, "lost", &json!({ "attempt": held.attempt }))?;
            expired.requeued.push((id, held.attempt));
        }
    }
    Ok(expired)
}

const JOB: &str = "SELECT jobs.*, (SELECT done FROM progress WHERE job = jobs.seq) AS done,
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
