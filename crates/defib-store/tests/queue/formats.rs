//! Every format of the queue that was ever released still opens.
//!
//! `fixtures/queue-1.sql` is what `sqlite3 .dump` says of a queue of format 1: one job in
//! each state. A new format adds a file, and changes none.

use defib_core::job::JobState;
use defib_store::queue::{Claimant, Queue, SqliteQueue};
use rusqlite::Connection;

const FORMAT_1: &str = include_str!("../fixtures/queue-1.sql");

#[test]
fn a_queue_of_the_first_format_still_opens() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("queue.sqlite");
    Connection::open(&file).unwrap().execute_batch(FORMAT_1).unwrap();
    let queue = SqliteQueue::open(&file, 100).unwrap();
    for (id, state) in [
        ("jdone", JobState::Succeeded),
        ("jfailed", JobState::Failed),
        ("jgone", JobState::Cancelled),
        ("jworks", JobState::Running),
        ("jwaits", JobState::Queued),
    ] {
        assert_eq!(queue.get(id).unwrap().state, state, "{id}");
    }
    let done = queue.get("jdone").unwrap();
    assert_eq!(
        (done.attempts[0].backend.as_str(), done.result.unwrap()["values"]["seed"].as_i64()),
        ("local", Some(4))
    );
    let failed = queue.get("jfailed").unwrap();
    assert_eq!((failed.attempts.len(), failed.attempts[1].profile.as_str()), (2, "small"));
    let kinds: Vec<String> = queue.events("jfailed", 0).unwrap().into_iter().map(|event| event.kind).collect();
    assert_eq!(kinds, ["accepted", "claimed", "retry", "claimed", "failed"]);
    // And it goes on: what waited is claimed, what was at work is lost and tried again.
    let claimant = Claimant { backend: "local", only: None, owner: "w2", lease_ms: 1000 };
    assert_eq!(queue.claim(&claimant, 9_000).unwrap().unwrap().job.id, "jwaits");
    assert_eq!(queue.expire_owner("w1", 9_000).unwrap().requeued, [("jworks".to_owned(), 1)]);
}
