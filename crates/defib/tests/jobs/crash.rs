//! Whoever is killed, no accepted job is lost and none is done twice.

use std::time::Duration;

use serde_json::{Value, json};

use super::harness::{LONG, Place, asked, gone, local, outcomes, started};
use super::support::{output, text, wait_for};

#[test]
fn a_killed_server_loses_nothing_and_leaves_nothing() {
    let (place, mut server) = started("");
    let uploaded = server.upload(&asked("nap", json!({ "seconds": 2.0 })), "image", "a.bin", vec![1; 100]);
    let works = uploaded.json::<Value>().unwrap()["id"].as_str().unwrap().to_owned();
    let pid = server.at_work(&works);
    let waits = server.asks("echo", json!({ "text": "later" }));
    server.child.0.kill().unwrap();
    // Not waited for: to its parent it is a zombie, and it counts as gone.
    wait_for(LONG, || gone(pid).then_some(())).expect("its worker ends with it");
    let next = place.serve();
    let job = next.ends(&works);
    let lost = ("local".into(), "full".into(), "lost".into());
    assert_eq!(outcomes(&job), [lost, ("local".into(), "full".into(), "succeeded".into())], "{job}");
    assert_eq!(next.ends(&waits)["result"]["values"]["output"], "later");
    let owners = std::fs::read_dir(place.state().join("work")).unwrap().flatten().count();
    assert!(owners <= 1, "the folder of the dead one was left");
}

#[test]
fn what_brings_it_down_again_and_again_ends() {
    let (place, mut server) = started("");
    let mut job = asked("nap", json!({ "seconds": 60.0 }));
    job["max_attempts"] = json!(2);
    let id = server.submit(&job);
    for _ in 0..2 {
        server.at_work(&id);
        server.child.0.kill().unwrap();
        server.child.0.wait().unwrap();
        server = place.serve();
    }
    let job = server.ends(&id);
    assert_eq!((job["state"].as_str(), outcomes(&job).len()), (Some("failed"), 2), "{job}");
    assert!(job["error"]["explanation"].as_str().unwrap().contains("attempt 2 of 2"), "{job}");
}

#[test]
fn the_loss_of_one_shim_costs_nobody_else() {
    let (_place, server) = started("workers = 3");
    server.ready();
    let jobs: Vec<String> = (0..3).map(|_| server.asks("nap", json!({ "seconds": 3.0 }))).collect();
    let mut pids: Vec<i64> = jobs.iter().map(|id| server.at_work(id)).collect();
    pids.sort_unstable();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pids[0])).unwrap();
    let shim = stat.rsplit(')').next().unwrap().split_whitespace().nth(1).unwrap().to_owned();
    std::process::Command::new("kill").args(["-KILL", &shim]).status().unwrap();
    let attempts: Vec<usize> = jobs.iter().map(|id| outcomes(&server.ends(id)).len()).collect();
    let states: Vec<Value> = jobs.iter().map(|id| server.job(id)["state"].clone()).collect();
    assert_eq!(states, ["succeeded", "succeeded", "succeeded"]);
    assert_eq!(attempts.iter().sum::<usize>(), 4, "only the one that was hit is tried again: {attempts:?}");
}

#[test]
fn a_server_that_stops_lets_work_finish() {
    let (_place, server) = started("");
    let id = server.asks("nap", json!({ "seconds": 1.5 }));
    server.at_work(&id);
    let followed = std::thread::spawn({
        let (http, url) = (server.http.clone(), format!("{}/v1/jobs/{id}/events", server.url));
        move || http.get(url).send().unwrap().text().unwrap()
    });
    server.signal("TERM");
    let refused = wait_for(Duration::from_secs(2), || {
        let post = server.http.post(format!("{}/v1/jobs", server.url)).json(&asked("echo", json!({}))).send().ok()?;
        (post.status() == 503).then(|| post.headers().contains_key("retry-after"))
    });
    assert_eq!(refused, Some(true), "no new job is taken");
    assert_eq!(server.ended(), Some(0));
    assert!(followed.join().unwrap().contains("event: succeeded"));
}

#[test]
fn a_server_that_stops_while_models_load_does_not_wait_for_them() {
    let (_place, server) = started("workers = 2\nsetup_timeout = \"60s\"\n[backend.options]\nslow = 30.0");
    let loading = wait_for(LONG, || (children(server.pid()) >= 2).then_some(()));
    loading.expect("both are started");
    let begun = std::time::Instant::now();
    server.signal("TERM");
    assert_eq!(server.ended(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn what_is_not_done_in_time_is_handed_back_unharmed() {
    let place = Place::new("stop_grace = \"300ms\"", &local(""));
    let server = place.serve();
    let mark = place.path("mark");
    let mut job = asked("hang-once", json!({ "mark": mark.display().to_string() }));
    job["max_attempts"] = json!(1);
    let id = server.submit(&job);
    let pid = server.at_work(&id);
    wait_for(LONG, || mark.exists().then_some(())).unwrap();
    server.signal("INT");
    assert_eq!(server.ended(), Some(0));
    assert!(gone(pid));
    let next = place.serve();
    let job = next.ends(&id);
    assert_eq!(job["state"], "succeeded", "the attempt that was given back does not count: {job}");
    assert_eq!(job["attempts"][0]["outcome"], "released");
}

#[test]
fn two_servers_do_not_share_a_state_folder() {
    let (place, server) = started("");
    let second = output(&mut place.command(&["serve"]));
    assert_eq!(second.status.code(), Some(125));
    assert!(text(&second.stderr).contains(&format!("pid {}", server.pid())), "{}", text(&second.stderr));
}

#[test]
fn a_backend_that_is_gone_from_the_configuration_strands_no_job() {
    let other = "[[backend]]\nname = \"other\"\nkind = \"command\"\ncommand = [\"sleep\", \"60\"]\n";
    let route = |name: &str| format!("[[route]]\nname = \"default\"\nbackends = [\"{name}\"]\n");
    let place = Place::new("", &format!("{}{other}{}", local(""), route("other")));
    let mut server = place.serve();
    let first = server.submit(&json!({ "backend": "other" }));
    wait_for(LONG, || (server.job(&first)["state"] == "running").then_some(())).unwrap();
    let by_route = server.asks("echo", json!({}));
    let by_name = server.submit(&json!({ "backend": "other" }));
    server.child.0.kill().unwrap();
    server.child.0.wait().unwrap();
    place.configure("", &format!("{}{}", local(""), route("local")));
    let server = place.serve();
    assert_eq!(server.ends(&by_route)["state"], "succeeded");
    let lost: Value = server.ends(&by_name);
    assert_eq!((lost["state"].as_str(), lost["error"]["cause"].as_str()), (Some("failed"), Some("config-invalid")));
    assert_eq!(server.ends(&first)["state"], "failed");
}

/// Processes whose parent is this one.
fn children(pid: u32) -> usize {
    let parent = |entry: std::fs::DirEntry| {
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse::<u32>().ok()
    };
    std::fs::read_dir("/proc").unwrap().flatten().filter_map(parent).filter(|&parent| parent == pid).count()
}
