//! `defib submit`, with a server and without one.

use std::process::Stdio;

use serde_json::{Value, json};

use super::harness::{LONG, Place, file, gone, local, started};
use super::support::{Held, output, text, wait_for};

#[test]
fn without_a_server_it_does_the_job_itself() {
    let place = Place::new("", &local("predict_timeout = \"2s\""));
    let done = output(&mut place.command(&["submit", "text=hello you"]));
    assert_eq!((done.status.code(), text(&done.stdout).as_str()), (Some(0), "hello you\n"), "{}", text(&done.stderr));
    assert!(text(&done.stderr).contains("succeeded after"), "{}", text(&done.stderr));
    let picture = output(&mut place.command(&["submit", "what=picture", "--out", "results"]));
    assert_eq!(picture.status.code(), Some(0));
    assert!(std::fs::read(place.path("results/output.png")).unwrap().starts_with(b"\x89PNG"));
    let failed = output(&mut place.command(&["submit", "what=deadlock", "--max-attempts", "1"]));
    let said = text(&failed.stderr);
    assert_eq!(failed.status.code(), Some(1));
    assert!(said.contains("lock-deadlock") && said.contains("submit --replay j"), "{said}");
    assert!(!super::support::alive(place.folder.path().to_str().unwrap()));
}

#[test]
fn a_failed_job_is_done_again_with_its_saved_inputs() {
    let backends = format!(
        "{}[[backend]]\nname = \"other\"\nkind = \"command\"\ncommand = [\"cat\", \"{{image}}\"]\n[[route]]\nname = \"default\"\nbackends = [\"local\"]\n",
        local("")
    );
    let place = Place::new("", &backends);
    let image = file(place.folder.path(), "frame.txt", b"the frame");
    let given = format!("image=@{}", image.display());
    let failed = output(&mut place.command(&["submit", "what=crash", &given, "--max-attempts", "1", "--json"]));
    assert_eq!(failed.status.code(), Some(1));
    let job: Value = serde_json::from_slice(&failed.stdout).unwrap();
    assert_eq!(job["error"]["cause"], "native-crash");
    // The file it came from is gone; the job has its own.
    std::fs::remove_file(&image).unwrap();
    let id = job["id"].as_str().unwrap();
    let again = output(&mut place.command(&["submit", "--replay", id, "--backend", "other", "--json"]));
    let job: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(
        (again.status.code(), job["result"]["values"]["stdout"].as_str()),
        (Some(0), Some("the frame")),
        "{job}"
    );
    let changed = output(&mut place.command(&["submit", "--replay", id, "what=size", "--json"]));
    let job: Value = serde_json::from_slice(&changed.stdout).unwrap();
    assert_eq!(job["result"]["values"]["bytes"], 9, "{job}");
    let listed = text(&output(&mut place.command(&["jobs", "--state", "failed"])).stdout);
    assert!(listed.contains(id) && listed.contains("native-crash") && listed.lines().count() == 1, "{listed}");
    let shown = output(&mut place.command(&["show", id]));
    assert!(shown.status.code() == Some(1) && text(&shown.stderr).contains("native-crash"), "{shown:?}");
    let none = output(&mut place.command(&["submit", "--replay", "jnone"]));
    assert!(none.status.code() == Some(125) && text(&none.stderr).contains("there is no job jnone"));
}

#[test]
fn with_a_server_it_asks_that_one() {
    let (place, server) = started("");
    let image = file(place.folder.path(), "a.bin", &[3; 700]);
    let given = format!("image=@{}", image.display());
    let done = output(&mut place.command(&["submit", "what=size", &given, "--json"]));
    let job: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(job["result"]["values"]["bytes"], 700);
    let listed = server.json("/v1/jobs");
    assert_eq!(listed["jobs"][0]["id"], job["id"]);
    let detached = output(&mut place.command(&["submit", "text=x", "--detach"]));
    let id = text(&detached.stdout).trim().to_owned();
    assert_eq!(server.ends(&id)["result"]["values"]["output"], "x");
    let picture = output(&mut place.command(&["submit", "what=picture", "-o", "out"]));
    assert!(picture.status.success() && place.path("out/output.png").is_file());
    let failed = output(&mut place.command(&["submit", "what=raise", "--max-attempts", "1"]));
    assert!(failed.status.code() == Some(1) && text(&failed.stderr).contains("unhandled-exception"));
    let wrong = output(&mut place.command(&["submit", "--route", "far"]));
    assert!(
        wrong.status.code() == Some(125) && text(&wrong.stderr).contains("no route `far`"),
        "{}",
        text(&wrong.stderr)
    );
}

/// What a killed server left is done by a worker that ends when nothing is left.
#[test]
fn a_worker_does_what_waits_and_ends() {
    let (place, mut server) = started("");
    let first = server.asks("nap", json!({ "seconds": 30.0 }));
    server.at_work(&first);
    let waits = server.asks("echo", json!({ "text": "later" }));
    server.http.delete(format!("{}/v1/jobs/{first}", server.url)).send().unwrap();
    server.child.0.kill().unwrap();
    server.child.0.wait().unwrap();
    let drained = output(&mut place.command(&["worker", "--drain"]));
    assert!(drained.status.success(), "{}", text(&drained.stderr));
    let server = place.serve();
    assert_eq!(server.job(&waits)["result"]["values"]["output"], "later");
    assert_eq!(server.job(&first)["state"], "cancelled");
}

#[test]
fn bad_input_says_what_to_do() {
    let place = Place::new("", &local(""));
    for (words, says) in [
        (vec!["submit", "prompt"], "NAME=VALUE"),
        (vec!["submit", "image=@gone.png"], "there is no file gone.png"),
        (vec!["submit", "--detach"], "start `defib serve`"),
        (vec!["submit", "--config", "gone.toml"], "--config"),
        (vec!["submit", "--server", "http://127.0.0.1:9"], "no server answers at http://127.0.0.1:9"),
    ] {
        let said = output(&mut place.command(&words));
        assert!(
            said.status.code() == Some(125) && text(&said.stderr).contains(says),
            "{words:?}: {}",
            text(&said.stderr)
        );
    }
}

#[test]
fn ctrl_c_cancels_the_job_and_its_worker() {
    let place = Place::new("", &local(""));
    let mark = place.path("mark");
    let inputs = json!({ "what": "hang", "mark": mark.display().to_string() }).to_string();
    let mut command = place.command(&["submit", "--json", "--json-inputs", &inputs]);
    let mut child = Held(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    wait_for(LONG, || mark.exists().then_some(())).expect("it works");
    let worker = worker_of(child.0.id());
    std::process::Command::new("kill").args(["-INT", &child.0.id().to_string()]).status().unwrap();
    let status = wait_for(LONG, || child.0.try_wait().unwrap()).expect("it ends");
    assert_eq!(status.code(), Some(1));
    let mut said = String::new();
    std::io::Read::read_to_string(&mut child.0.stdout.take().unwrap(), &mut said).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&said).unwrap()["state"], "cancelled");
    assert!(worker.is_none_or(gone), "its worker lives on");
}

/// The Python process below this one, through its shim.
fn worker_of(pid: u32) -> Option<i64> {
    let child = |pid: i64| {
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
        children.split_whitespace().next()?.parse::<i64>().ok()
    };
    child(i64::from(pid)).and_then(child)
}
