//! Snapshots of the real machine, and what changed between two.

mod support;

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use support::{DEADLINE, Held, defib, output, text, wait_for};

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).expect("a file")).expect("JSON")
}

/// A server in a folder that looks like a virtual environment with a package.
fn server(folder: &Path) -> (Held, u16) {
    let python = "
import os, socket, sys, signal
listening = socket.socket()
listening.bind(('127.0.0.1', 0))
listening.listen()
open(sys.argv[1], 'w').write(str(listening.getsockname()[1]) + '\\n')
signal.pause()
";
    let file = folder.join("port");
    let mut command = Command::new("python3");
    command.args(["-c", python]).arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let server = Held(command.spawn().expect("start"));
    let port = wait_for(DEADLINE, || std::fs::read_to_string(&file).ok()?.strip_suffix('\n')?.parse().ok());
    (server, port.expect("it listens"))
}

#[test]
fn a_snapshot_names_who_holds_a_port_and_the_diff_tells_that_it_came() {
    let state = tempfile::tempdir().unwrap();
    let path = |name: &str| state.path().join(name);
    let take = |name: &str| {
        let taken =
            output(defib(state.path()).env("HF_TOKEN", "hf_abcdefghijklmnop").args(["snapshot", "-o"]).arg(path(name)));
        assert!(taken.status.success(), "{}", text(&taken.stderr));
        text(&taken.stdout)
    };
    take("a.json");
    let (held, port) = server(state.path());
    let said = take("b.json");
    assert!(said.contains("memory") && said.contains("--diff"), "{said}");
    let snapshot = read(&path("b.json"));
    let pid = held.0.id();
    let process = snapshot["processes"]["list"].as_array().unwrap().iter().find(|one| one["pid"] == pid);
    let process = process.expect("the server is listed");
    assert!(process["listens"].to_string().contains(&format!(":{port}")) && process["python"] == true, "{process}");
    let environments = snapshot["python"].as_array().unwrap();
    let own = environments.iter().find(|one| one["pids"].as_array().unwrap().contains(&pid.into()));
    assert!(own.expect("its Python is listed")["version"].as_str().unwrap().starts_with('3'));
    assert!(snapshot["memory"]["total_bytes"].as_u64().unwrap() > 1 << 26);
    for kept in ["b.json", "b.html"] {
        assert!(!std::fs::read_to_string(path(kept)).unwrap().contains("hf_abcdefghijklmnop"), "{kept}");
    }
    let diff = |more: &[&str]| {
        let asked =
            output(defib(state.path()).args(["snapshot", "--diff"]).args([path("a.json"), path("b.json")]).args(more));
        assert!(asked.status.success(), "{}", text(&asked.stderr));
        text(&asked.stdout)
    };
    assert!(diff(&[]).contains(&format!("port {port}")), "{}", diff(&[]));
    let changes: Value = serde_json::from_str(&diff(&["--json"])).unwrap();
    let found = changes["changes"].as_array().unwrap().iter().any(|change| {
        change["group"] == "processes" && change["kind"] == "appeared" && change.to_string().contains(&port.to_string())
    });
    assert!(found, "{changes}");
}

#[test]
fn a_run_that_ends_badly_keeps_the_machine_as_it_was_and_a_good_one_does_not() {
    let state = tempfile::tempdir().unwrap();
    let newest = || {
        let runs = output(defib(state.path()).args(["runs", "--json"]));
        let runs: Value = serde_json::from_slice(&runs.stdout).unwrap();
        runs[0]["id"].as_str().unwrap().to_owned()
    };
    let kept = |run: &str| state.path().join("runs").join(run).join("snapshot.json");
    output(defib(state.path()).args(["run", "--", "true"]));
    assert!(!kept(&newest()).exists());
    output(defib(state.path()).args(["run", "--no-snapshot", "--", "sh", "-c", "exit 3"]));
    let without = newest();
    assert!(!kept(&without).exists());
    output(defib(state.path()).args(["run", "--", "sh", "-c", "exit 3"]));
    let run = newest();
    assert_eq!(read(&kept(&run))["run"], *run);
    let shown = output(defib(state.path()).args(["show", &run]));
    assert!(text(&shown.stdout).contains("snapshot.json"), "{}", text(&shown.stdout));
    // Runs name their snapshots, and one that has none says what to do.
    let same = output(defib(state.path()).args(["snapshot", "--diff", &run, &run]));
    assert!(text(&same.stdout).contains("nothing that matters changed"), "{}", text(&same.stdout));
    let none = output(defib(state.path()).args(["snapshot", "--diff", &run, &without]));
    assert_eq!(none.status.code(), Some(125));
    assert!(text(&none.stderr).contains("only a run that ends badly takes one"), "{}", text(&none.stderr));
}

#[test]
fn what_is_no_snapshot_is_refused_and_a_later_format_too() {
    let state = tempfile::tempdir().unwrap();
    for (content, part) in [("{}", "is no snapshot"), ("x", "is no snapshot"), ("{\"schema\": 99}", "has format 99")] {
        let file = state.path().join("x.json");
        std::fs::write(&file, content).unwrap();
        let refused = output(defib(state.path()).args(["snapshot", "--diff"]).args([&file, &file]));
        assert_eq!(refused.status.code(), Some(125));
        assert!(text(&refused.stderr).contains(part), "{content}: {}", text(&refused.stderr));
    }
}
