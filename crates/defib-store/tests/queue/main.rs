//! The queue: its contract, its model, and what a crash leaves.

#![allow(clippy::unwrap_used, missing_docs)]

mod contract;
mod crash;
mod formats;
mod model;

use defib_store::queue::{Queue, SqliteQueue};

/// An embedded queue in a folder of its own.
fn sqlite(most_queued: u64) -> (tempfile::TempDir, SqliteQueue) {
    let folder = tempfile::tempdir().unwrap();
    let queue = SqliteQueue::open(&folder.path().join("queue.sqlite"), most_queued).unwrap();
    (folder, queue)
}

#[test]
fn the_embedded_queue_keeps_the_contract() {
    for (name, test) in contract::ALL {
        let (_folder, queue) = sqlite(5);
        let queue: &dyn Queue = &queue;
        let kept = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(queue)));
        assert!(kept.is_ok(), "{name}");
    }
}

#[test]
fn a_queue_of_a_later_format_is_refused() {
    let (folder, queue) = sqlite(5);
    drop(queue);
    let file = folder.path().join("queue.sqlite");
    let connection = rusqlite::Connection::open(&file).unwrap();
    connection.execute_batch("PRAGMA user_version = 9").unwrap();
    let error = SqliteQueue::open(&file, 5).unwrap_err().to_string();
    assert!(error.contains("format 9"), "{error}");
}
