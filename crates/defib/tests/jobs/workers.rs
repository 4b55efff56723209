//! Workers stay warm, are replaced when asked for, and share nothing they should not.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::harness::{LONG, Server, gone, started};
use super::support::wait_for;

fn who(server: &Server, inputs: Value) -> (i64, i64) {
    let job = server.ends(&server.asks("who", inputs));
    let values = &job["result"]["values"];
    (values["pid"].as_i64().unwrap(), values["calls"].as_i64().unwrap())
}

#[test]
fn a_worker_stays_warm_and_is_replaced_after_its_jobs() {
    let (_place, server) = started("recycle_after = 3");
    let seen: Vec<(i64, i64)> = (0..7).map(|_| who(&server, json!({}))).collect();
    let calls: Vec<i64> = seen.iter().map(|(_, calls)| *calls).collect();
    assert_eq!(calls, [1, 2, 3, 1, 2, 3, 1]);
    assert_eq!(seen.iter().map(|(pid, _)| pid).collect::<HashSet<_>>().len(), 3);
    assert!(gone(seen[0].0));
}

#[test]
fn another_model_asks_for_another_worker_where_that_is_wanted() {
    let (_place, server) = started("recycle_on_change = [\"model\"]");
    let (first, _) = who(&server, json!({ "model": "a" }));
    assert_eq!(who(&server, json!({ "model": "a" })), (first, 2));
    let (second, calls) = who(&server, json!({ "model": "b" }));
    assert!(second != first && calls == 1);
}

#[test]
fn two_workers_work_at_the_same_time() {
    let (_place, server) = started("workers = 2");
    server.ready();
    let both = [server.asks("nap", json!({ "seconds": 20.0 })), server.asks("nap", json!({ "seconds": 20.0 }))];
    let pids: HashSet<i64> = both.iter().map(|id| server.at_work(id)).collect();
    assert_eq!(pids.len(), 2);
    for id in &both {
        server.http.delete(format!("{}/v1/jobs/{id}", server.url)).send().unwrap();
        server.ends(id);
    }
}

#[test]
fn one_job_at_a_time_on_a_gpu() {
    let (_place, server) = started("workers = 2\ngpus = [0]");
    server.ready();
    let first = server.asks("nap", json!({ "seconds": 20.0 }));
    server.at_work(&first);
    let second = server.asks("echo", json!({}));
    // A job that needs no GPU of its own would be over in a moment.
    let begun =
        wait_for(std::time::Duration::from_secs(2), || (server.job(&second)["state"] != "queued").then_some(()));
    assert!(begun.is_none(), "{}", server.job(&second));
    server.http.delete(format!("{}/v1/jobs/{first}", server.url)).send().unwrap();
    assert_eq!(server.ends(&second)["state"], "succeeded");
}

#[test]
fn memory_that_grows_from_job_to_job_replaces_the_worker_between_two() {
    let (_place, server) = started("[backend.memory]\nrecycle = \"150M\"\ncgroup = false");
    let mut kept = Vec::new();
    let replaced = wait_for(LONG, || {
        let job = server.ends(&server.asks("leak", json!({})));
        assert_eq!(job["state"], "succeeded", "no job is lost to it: {job}");
        let count = job["result"]["values"]["output"].as_i64().unwrap();
        kept.push(count);
        // The policy looks a few times a second.
        std::thread::sleep(std::time::Duration::from_millis(300));
        (count == 1 && kept.len() > 1).then_some(())
    });
    assert!(replaced.is_some(), "{kept:?}");
}

#[test]
fn one_that_dies_between_two_jobs_is_replaced_before_the_next() {
    let (_place, server) = started("");
    let (pid, _) = who(&server, json!({}));
    std::process::Command::new("kill").args(["-KILL", &pid.to_string()]).status().unwrap();
    wait_for(LONG, || gone(pid).then_some(())).unwrap();
    let (next, calls) = who(&server, json!({}));
    assert!(next != pid && calls == 1);
}
