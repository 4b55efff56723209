//! Runs that outlive their supervisor, and supervisors that take them over.

mod support;

use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use support::{DEADLINE, Held, alive, defib, output, text, wait_for};

/// Prints a number each time a file `step-N` appears, and ends with 7 when `end` does.
const STEPPER: &str = "
import os, sys, time
step = 0
print('ready', flush=True)
while not os.path.exists('end'):
    if os.path.exists(f'step-{step + 1}'):
        step += 1
        print(f'did {step}', flush=True)
    time.sleep(0.01)
sys.exit(7)
";

/// A kept run, its id, and its supervisor.
struct Kept {
    state: tempfile::TempDir,
    supervisor: Held,
    run: String,
}

impl Kept {
    fn start(flags: &[&str], command: &[&str]) -> Self {
        let state = tempfile::tempdir().expect("a folder");
        let mut all = vec!["run", "--if-supervisor-dies", "keep"];
        all.extend(flags);
        all.push("--");
        all.extend(command);
        let mut command = defib(state.path());
        command.current_dir(state.path()).args(all).stdout(Stdio::null()).stderr(Stdio::null());
        let supervisor = Held(command.spawn().expect("start"));
        let run = wait_for(DEADLINE, || {
            let runs = runs(state.path());
            let run = runs.as_array()?.first()?["id"].as_str()?.to_owned();
            let log = output(defib(state.path()).args(["logs", &run]));
            text(&log.stdout).contains("ready").then_some(run)
        });
        Self { run: run.expect("it starts"), state, supervisor }
    }

    fn path(&self) -> &Path {
        self.state.path()
    }

    /// Kills the supervisor, and waits until the shim has seen it.
    fn lose_supervisor(&mut self) {
        self.supervisor.0.kill().expect("kill");
        self.supervisor.0.wait().expect("wait");
        let seen = wait_for(DEADLINE, || (self.outcome() == "unwatched").then_some(()));
        assert!(seen.is_some(), "{}", self.outcome());
    }

    fn outcome(&self) -> String {
        runs(self.path())[0]["outcome"].as_str().unwrap_or_default().to_owned()
    }

    fn touch(&self, name: &str) {
        std::fs::write(self.path().join(name), "").expect("write");
    }

    fn logs(&self) -> String {
        text(&output(defib(self.path()).args(["logs", &self.run])).stdout)
    }

    fn adopt(&self, flags: &[&str]) -> Child {
        let mut command = defib(self.path());
        command.current_dir(self.path()).args(["run", "--adopt", &self.run]).args(flags);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("start")
    }

    fn report(&self) -> Value {
        let shown = output(defib(self.path()).args(["show", &self.run, "--json"]));
        serde_json::from_slice(&shown.stdout).unwrap_or_default()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = output(defib(self.state.path()).args(["stop", &self.run]));
    }
}

fn runs(state: &Path) -> Value {
    let listed = output(defib(state).args(["runs", "--json"]));
    serde_json::from_slice(&listed.stdout).unwrap_or_default()
}

/// Reads a child's output to its end, within the deadline.
fn finish(child: Child) -> (Option<i32>, String, String) {
    let pid = child.id();
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    let Ok(output) = receiver.recv_timeout(DEADLINE) else {
        let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
        unreachable!("not over after {DEADLINE:?}")
    };
    let output = output.expect("wait");
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_run_goes_on_without_its_supervisor_and_is_taken_over() {
    let mut kept = Kept::start(&[], &["python3", "-c", STEPPER]);
    kept.lose_supervisor();
    kept.touch("step-1");
    let went_on = wait_for(DEADLINE, || kept.logs().contains("did 1").then_some(()));
    assert!(went_on.is_some());
    // The start of another run sweeps, and leaves it alone.
    assert!(output(defib(kept.path()).args(["run", "--", "true"])).status.success());
    let orphans = output(defib(kept.path()).args(["orphans", "--kill"]));
    assert!(text(&orphans.stdout).contains("no run has left anything"), "{}", text(&orphans.stdout));
    let adopter = kept.adopt(&[]);
    let taken = wait_for(DEADLINE, || {
        let mine = runs(kept.path()).as_array()?.iter().find(|row| row["id"] == kept.run)?.clone();
        (mine["outcome"] == "running").then_some(())
    });
    assert!(taken.is_some());
    kept.touch("step-2");
    assert!(wait_for(DEADLINE, || kept.logs().contains("did 2").then_some(())).is_some());
    kept.touch("end");
    let (code, out, err) = finish(adopter);
    assert_eq!(code, Some(7), "{err}");
    // What was printed while nobody watched comes too.
    assert!(out.contains("did 1\n") && out.contains("did 2\n"), "{out}");
    let report = kept.report();
    assert_eq!((&report["run"]["id"], &report["outcome"]["exit_code"]), (&Value::from(&*kept.run), &Value::from(7)));
    let did = report["actions"].to_string();
    assert!(did.contains("went on without one") && did.contains("took it over"), "{did}");
}

#[test]
fn limits_go_on_after_the_take_over_and_new_ones_count() {
    let mut kept = Kept::start(&["--timeout", "1h"], &["python3", "-c", STEPPER, "marked-734"]);
    kept.lose_supervisor();
    let (code, _, err) = finish(kept.adopt(&["--timeout", "1s", "--grace", "1s"]));
    assert_eq!(code, Some(124), "{err}");
    assert_eq!(kept.report()["outcome"]["kind"], "timed-out");
    assert!(!alive("marked-734"), "the tree is ended");
}

#[test]
fn of_two_that_want_it_one_has_it_and_a_third_is_refused_later() {
    let mut kept = Kept::start(&[], &["python3", "-c", STEPPER]);
    // As long as the first supervisor lives, nobody else may.
    let (code, _, err) = finish(kept.adopt(&[]));
    assert_eq!(code, Some(125));
    assert!(err.contains("has a supervisor"), "{err}");
    kept.lose_supervisor();
    let (one, two) = (kept.adopt(&[]), kept.adopt(&[]));
    let ended = wait_for(DEADLINE, || {
        let did = std::fs::read_to_string(kept.path().join("runs").join(&kept.run).join("journal.jsonl")).ok()?;
        did.contains("\"adopted\"").then_some(())
    });
    assert!(ended.is_some());
    let (third, _, err) = finish(kept.adopt(&[]));
    assert_eq!(third, Some(125), "{err}");
    kept.touch("end");
    let mut codes = [finish(one).0, finish(two).0];
    codes.sort_unstable();
    assert_eq!(codes, [Some(7), Some(125)]);
}

#[test]
fn what_ended_while_nobody_watched_is_told_and_stop_ends_what_goes_on() {
    let mut kept = Kept::start(&[], &["python3", "-c", STEPPER]);
    kept.lose_supervisor();
    kept.touch("end");
    assert!(wait_for(DEADLINE, || (kept.outcome() == "failed").then_some(())).is_some(), "{}", kept.outcome());
    let (code, _, err) = finish(kept.adopt(&[]));
    assert_eq!(code, Some(7), "{err}");

    let mut kept = Kept::start(&[], &["sh", "-c", "setsid sleep 731 & echo ready; sleep 731"]);
    kept.lose_supervisor();
    assert!(output(defib(kept.path()).args(["stop", &kept.run])).status.success());
    let gone = wait_for(DEADLINE, || (!alive("sleep 731")).then_some(()));
    assert!(gone.is_some());
    assert!(wait_for(DEADLINE, || (kept.outcome() == "cancelled").then_some(())).is_some(), "{}", kept.outcome());
}

#[test]
fn a_shim_that_is_killed_after_the_take_over_leaves_nobody() {
    let mut kept = Kept::start(&[], &["sh", "-c", "setsid sleep 732 & env -i sleep 732 & echo ready; wait"]);
    kept.lose_supervisor();
    let adopter = kept.adopt(&[]);
    let journal = kept.path().join("runs").join(&kept.run).join("journal.jsonl");
    let taken = wait_for(DEADLINE, || std::fs::read_to_string(&journal).ok()?.contains("\"adopted\"").then_some(()));
    assert!(taken.is_some());
    let text = std::fs::read_to_string(&journal).unwrap();
    let shim = text.lines().find(|line| line.contains("\"event\":\"shim\"")).unwrap();
    let shim: Value = serde_json::from_str(shim).unwrap();
    assert!(Command::new("kill").args(["-KILL", &shim["pid"].to_string()]).status().unwrap().success());
    let (code, _, err) = finish(adopter);
    assert_ne!(code, Some(0), "{err}");
    let gone = wait_for(DEADLINE, || (!alive("sleep 732")).then_some(()));
    assert!(gone.is_some());
}

#[test]
fn a_terminal_that_goes_leaves_a_kept_run_and_ends_any_other() {
    let kept = Kept::start(&[], &["python3", "-c", STEPPER]);
    let supervisor = kept.supervisor.0.id();
    assert!(Command::new("kill").args(["-HUP", &supervisor.to_string()]).status().unwrap().success());
    assert!(wait_for(DEADLINE, || (kept.outcome() == "unwatched").then_some(())).is_some(), "{}", kept.outcome());
    kept.touch("end");
    assert_eq!(finish(kept.adopt(&[])).0, Some(7));
}

#[test]
fn refusals_say_what_to_do() {
    let state = tempfile::tempdir().unwrap();
    let mut command = defib(state.path());
    command.args(["run", "--", "sleep", "733"]).stdout(Stdio::null()).stderr(Stdio::null());
    let held = Held(command.spawn().unwrap());
    let run = wait_for(DEADLINE, || Some(runs(state.path()).as_array()?.first()?["id"].as_str()?.to_owned())).unwrap();
    let refused = output(defib(state.path()).args(["run", "--adopt", &run]));
    assert!(text(&refused.stderr).contains("--if-supervisor-dies keep"), "{}", text(&refused.stderr));
    let _ = output(defib(state.path()).args(["stop", &run]));
    drop(held);
    let unknown = output(defib(state.path()).args(["run", "--adopt", "rnone"]));
    assert!(text(&unknown.stderr).contains("defib runs"), "{}", text(&unknown.stderr));
    let both = output(defib(state.path()).args(["run", "--adopt", &run, "--", "true"]));
    assert_eq!(both.status.code(), Some(125));
}
