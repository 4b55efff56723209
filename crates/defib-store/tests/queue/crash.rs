//! A process that dies in the middle loses nothing that it had accepted.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use defib_core::job::NewJob;
use defib_store::queue::{Queue, SqliteQueue};
use serde_json::json;

/// The variable that makes this test binary the victim.
const VICTIM: &str = "DEFIB_QUEUE_VICTIM";

/// Submits from four threads and prints each id once it is accepted, until it is killed.
#[test]
fn victim() {
    let Some(file) = std::env::var_os(VICTIM) else { return };
    let queue = SqliteQueue::open(file.as_ref(), 1_000_000).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let queue = &queue;
            scope.spawn(move || {
                for number in 0..100_000 {
                    let id = format!("j{thread}x{number}");
                    let new = NewJob {
                        id: id.clone(),
                        route: "r".into(),
                        inputs: json!({}),
                        max_attempts: 1,
                        ..NewJob::default()
                    };
                    queue.submit(&new, 0).unwrap();
                    say(&format!("accepted {id}\n"));
                }
            });
        }
    });
}

/// Past the test harness, which would keep it.
fn say(line: &str) {
    use std::io::Write as _;
    let _ = std::io::stderr().write_all(line.as_bytes());
}

#[test]
fn what_was_accepted_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("queue.sqlite");
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["crash::victim", "--exact", "--nocapture"])
        .env(VICTIM, &file)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut accepted = Vec::new();
    let mut lines = BufReader::new(victim.stderr.take().unwrap()).lines();
    while accepted.len() < 400 {
        let line = lines.next().expect("it goes on").unwrap();
        accepted.extend(line.strip_prefix("accepted ").map(str::to_owned));
    }
    victim.kill().unwrap();
    victim.wait().unwrap();
    accepted.extend(lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("accepted ").map(str::to_owned)));
    let queue = SqliteQueue::open(&file, 1_000_000).unwrap();
    for id in &accepted {
        assert!(queue.get(id).is_ok(), "{id} was accepted and is lost");
    }
}
