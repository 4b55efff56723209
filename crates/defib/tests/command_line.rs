//! The command line: exit codes, bad input, passing through, listing and stopping runs.

mod support;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::Duration;

use support::{Held, alive, defib, output, text, wait_for};

fn state() -> tempfile::TempDir {
    tempfile::tempdir().expect("scratch")
}

#[test]
fn the_programs_own_exit_code_and_output_pass_through() {
    let state = state();
    let done =
        output(defib(state.path()).args(["run", "-q", "--", "sh", "-c", "printf 'a\\0b\\r'; printf err >&2; exit 7"]));
    assert_eq!(done.status.code(), Some(7));
    assert_eq!(done.stdout, b"a\0b\r");
    assert_eq!(done.stderr, b"err");
}

#[test]
fn standard_input_is_passed_on() {
    let state = state();
    let mut child = defib(state.path())
        .args(["run", "-q", "--", "tr", "a-z", "A-Z"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"hello").unwrap();
    assert_eq!(child.wait_with_output().unwrap().stdout, b"HELLO");
}

#[test]
fn a_reader_that_goes_away_ends_the_program_and_the_run() {
    let state = state();
    // Half a million short lines are judged in time that does not grow with their square.
    let mut run = Held(defib(state.path()).args(["run", "-q", "--", "yes"]).stdout(Stdio::piped()).spawn().unwrap());
    let mut first = [0; 4];
    std::io::Read::read_exact(run.0.stdout.as_mut().unwrap(), &mut first).unwrap();
    drop(run.0.stdout.take());
    let status = wait_for(Duration::from_secs(30), || run.0.try_wait().unwrap()).expect("the run ends");
    assert_eq!((&first, status.code()), (b"y\ny\n", Some(141)));
}

#[test]
fn exit_codes_follow_the_fixed_interface() {
    let state = state();
    let code = |arguments: &[&str]| output(defib(state.path()).args(arguments)).status.code();
    assert_eq!(code(&["run", "-q", "--", "true"]), Some(0));
    assert_eq!(code(&["run", "-q", "--", "no-such-program-anywhere"]), Some(127));
    assert_eq!(code(&["run", "-q", "--", "/etc/passwd"]), Some(126));
    assert_eq!(code(&["run", "-q", "--", "sh", "-c", "kill -KILL $$"]), Some(137));
    assert_eq!(code(&["run", "-q", "--timeout", "500ms", "--", "sleep", "60"]), Some(124));
    assert_eq!(
        code(&[
            "run",
            "-q",
            "--memory",
            "30M",
            "--",
            "python3",
            "-c",
            "import time\nx = bytearray(80 << 20)\ntime.sleep(60)"
        ]),
        Some(124)
    );
    assert_eq!(code(&["run", "--no-such-flag", "--", "true"]), Some(125));
    assert_eq!(code(&["run", "--timeout", "soon", "--", "true"]), Some(125));
    assert_eq!(code(&["run"]), Some(125));
    assert_eq!(code(&["show", "rnosuchrun"]), Some(125));
    assert_eq!(code(&["why", "999999999"]), Some(125));
    assert_eq!(code(&["why", "--log", "/no/such/file"]), Some(125));
    assert_eq!(code(&["--help"]), Some(0));
}

#[test]
fn every_refusal_says_what_to_do() {
    let state = state();
    let said = |arguments: &[&str]| text(&output(defib(state.path()).args(arguments)).stderr);
    assert!(said(&["run", "--stal-after", "5s", "--", "true"]).contains("--stall-after"));
    assert!(said(&["run", "--timeout", "soon", "--", "true"]).contains("10s, 5m"));
    assert!(said(&["show", "rnosuchrun"]).contains("defib runs"));
    assert!(said(&["run", "--report", "/no/such/folder/r.json", "--", "true"]).contains("/no/such/folder/r.json"));
}

#[test]
fn a_state_folder_of_another_version_is_left_alone() {
    let state = state();
    fs::write(state.path().join("version"), "99\n").unwrap();
    let done = output(defib(state.path()).args(["run", "--", "true"]));
    assert_eq!(done.status.code(), Some(125));
    assert!(text(&done.stderr).contains("format 99"), "{}", text(&done.stderr));
    assert_eq!(fs::read_dir(state.path()).unwrap().count(), 1);
}

#[test]
fn a_state_folder_that_cannot_be_written_is_said() {
    let place = state();
    let blocked = place.path().join("file");
    fs::write(&blocked, "").unwrap();
    let done = output(defib(&blocked.join("state")).args(["run", "--", "true"]));
    assert_eq!(done.status.code(), Some(125));
    assert!(text(&done.stderr).contains("DEFIB_STATE"), "{}", text(&done.stderr));
}

#[test]
fn a_wrong_key_in_the_configuration_is_named() {
    let state = state();
    fs::write(state.path().join("defib.toml"), "[run]\ntimeot = \"5s\"\n").unwrap();
    let done = output(defib(state.path()).current_dir(state.path()).args(["run", "--", "true"]));
    assert_eq!(done.status.code(), Some(125));
    assert!(text(&done.stderr).contains("timeot"), "{}", text(&done.stderr));
}

#[test]
fn the_configuration_gives_defaults_and_flags_win() {
    let state = state();
    fs::write(state.path().join("defib.toml"), "[run]\ntimeout = \"300ms\"\n").unwrap();
    let run = |flags: &[&str]| {
        let mut command = defib(state.path());
        command.current_dir(state.path()).args(["run", "-q"]).args(flags).args(["--", "sleep", "2"]);
        output(&mut command).status.code()
    };
    assert_eq!(run(&[]), Some(124));
    assert_eq!(run(&["--timeout", "20s"]), Some(0));
}

#[test]
fn a_run_is_listed_shown_and_its_output_kept() {
    let state = state();
    output(defib(state.path()).args(["run", "-q", "--", "sh", "-c", "echo kept; echo wrong >&2; exit 3"]));
    let listed = output(defib(state.path()).args(["runs", "--json"]));
    let runs: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(runs[0]["outcome"], "failed");
    assert_eq!(runs[0]["healthy"], false);
    let id = runs[0]["id"].as_str().unwrap();
    let shown = output(defib(state.path()).args(["show", id, "--json"]));
    let report: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(report["outcome"]["exit_code"], 3);
    let kept = output(defib(state.path()).args(["show", "last", "--log"]));
    assert_eq!((text(&kept.stdout), text(&kept.stderr)), ("kept\n".into(), "wrong\n".into()));
    assert!(text(&output(defib(state.path()).args(["runs"])).stdout).contains(id));
}

#[test]
fn a_lost_index_is_made_again_from_the_folders() {
    let state = state();
    output(defib(state.path()).args(["run", "-q", "--", "false"]));
    for file in ["index.sqlite", "index.sqlite-wal", "index.sqlite-shm"] {
        let _ = fs::remove_file(state.path().join(file));
    }
    let listed = output(defib(state.path()).args(["runs", "--json"]));
    let runs: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(runs[0]["outcome"], "failed");
}

#[test]
fn a_run_is_followed_and_stopped_from_elsewhere() {
    let state = state();
    let marker = format!("follow-{}", std::process::id());
    let script = format!("echo {marker}; exec sleep 300");
    let mut run =
        Held(defib(state.path()).args(["run", "-q", "--", "sh", "-c", &script]).stdout(Stdio::null()).spawn().unwrap());
    let started = wait_for(Duration::from_secs(20), || {
        let kept = output(defib(state.path()).args(["logs", "last"]));
        text(&kept.stdout).contains(&marker).then_some(())
    });
    assert!(started.is_some(), "the output never came");
    let follow = defib(state.path()).args(["logs", "last", "-f"]).stdout(Stdio::piped()).spawn().unwrap();
    let stopped = output(defib(state.path()).args(["stop", "last"]));
    assert_eq!(stopped.status.code(), Some(0), "{}", text(&stopped.stderr));
    let status = wait_for(Duration::from_secs(20), || run.0.try_wait().unwrap()).expect("the run ends");
    assert_eq!(status.code(), Some(143));
    assert!(text(&follow.wait_with_output().unwrap().stdout).contains(&marker));
    let again = output(defib(state.path()).args(["stop", "last"]));
    assert_eq!(again.status.code(), Some(125));
    let report: serde_json::Value =
        serde_json::from_slice(&output(defib(state.path()).args(["show", "last", "--json"])).stdout).unwrap();
    assert_eq!(report["outcome"]["kind"], "cancelled");
    assert_eq!(report["causes"][0]["id"], "interrupted");
}

#[test]
fn what_outlives_the_program_is_ended_and_listed() {
    let state = state();
    let report = state.path().join("r.json");
    let script = "setsid sleep 4177 >/dev/null 2>&1 & echo started";
    let done =
        output(defib(state.path()).args(["run", "-q", "--report"]).arg(&report).args(["--", "sh", "-c", script]));
    assert_eq!(done.status.code(), Some(0));
    assert!(!alive("sleep\u{0}4177"), "the daemon survived");
    let report: serde_json::Value = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
    assert_eq!(report["leftovers"][0]["command"], "sleep 4177");
    assert_eq!(report["leftovers"][0]["fate"], "ended");
}

#[test]
fn a_killed_supervisor_leaves_no_process_and_a_readable_run() {
    let state = state();
    let script = "setsid sleep 4178 & trap '' TERM; sleep 4178";
    let mut run =
        defib(state.path()).args(["run", "-q", "--", "sh", "-c", script]).stdout(Stdio::null()).spawn().unwrap();
    assert!(wait_for(Duration::from_secs(20), || alive("sleep\u{0}4178").then_some(())).is_some());
    run.kill().unwrap();
    run.wait().unwrap();
    assert!(
        wait_for(Duration::from_secs(20), || (!alive("sleep\u{0}4178")).then_some(())).is_some(),
        "something survived"
    );
    let shown = wait_for(Duration::from_secs(20), || {
        let shown = output(defib(state.path()).args(["show", "last", "--json"]));
        let report: serde_json::Value = serde_json::from_slice(&shown.stdout).ok()?;
        (report["outcome"]["kind"] == "killed").then_some(report)
    });
    assert!(shown.is_some());
}

#[test]
fn ctrl_c_is_passed_on_and_the_second_one_ends_the_tree() {
    let state = state();
    let script = "trap '' INT TERM; echo ready; while :; do sleep 0.1; done";
    let mut run =
        Held(defib(state.path()).args(["run", "-q", "--", "sh", "-c", script]).stdout(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(run.0.stdout.take().unwrap()), &mut line).unwrap();
    let interrupt = || std::process::Command::new("kill").args(["-INT", &run.0.id().to_string()]).status().unwrap();
    interrupt();
    let journal_says = |part: &str| {
        let id = fs::read_dir(state.path().join("runs")).unwrap().flatten().next()?;
        fs::read_to_string(id.path().join("journal.jsonl")).ok()?.contains(part).then_some(())
    };
    assert!(wait_for(Duration::from_secs(10), || journal_says("\"signal\":2")).is_some());
    interrupt();
    let status = wait_for(Duration::from_secs(10), || run.0.try_wait().unwrap()).expect("ended by the second");
    assert_eq!(status.code(), Some(130));
}

#[test]
fn a_report_can_notify_and_stall_can_restart() {
    let state = state();
    let told = state.path().join("told");
    let notify = format!("cat > {}; echo $DEFIB_OUTCOME $DEFIB_CAUSE >> {0}", told.display());
    let program = "import threading\nlock = threading.Lock()\nlock.acquire()\nlock.acquire()\n";
    let done = output(defib(state.path()).args([
        "run",
        "--stall-after",
        "1s",
        "--on-stall",
        "restart",
        "--restarts",
        "1",
        "--notify",
        &notify,
        "--",
        "python3",
        "-c",
        program,
    ]));
    assert_eq!(done.status.code(), Some(124), "{}", text(&done.stderr));
    assert!(text(&done.stderr).contains("starting it again (1 of 1)"), "{}", text(&done.stderr));
    let told = fs::read_to_string(told).unwrap();
    assert!(told.contains("\"schema\"") && told.contains("stalled lock-deadlock"), "{told}");
    let runs: serde_json::Value =
        serde_json::from_slice(&output(defib(state.path()).args(["runs", "--json"])).stdout).unwrap();
    assert_eq!(runs.as_array().unwrap().len(), 2);
}

#[test]
fn a_stall_can_be_reported_without_ending_the_run() {
    let state = state();
    let program = "import os\nr, w = os.pipe()\nimport signal\nsignal.alarm(5)\nsignal.signal(signal.SIGALRM, lambda *_: os.write(w, b'x'))\nos.read(r, 1)\nprint('went on')";
    let done = output(defib(state.path()).args([
        "run",
        "--stall-after",
        "1s",
        "--on-stall",
        "report",
        "--",
        "python3",
        "-c",
        program,
    ]));
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    assert_eq!(text(&done.stdout), "went on\n");
}

#[test]
fn sd_notify_gives_stages() {
    let state = state();
    let program = "import os, socket\ns = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\na = os.environ['NOTIFY_SOCKET']\ns.connect(chr(0) + a[1:] if a[0] == '@' else a)\ns.send(b'READY=1\\nSTATUS=loading weights')\nraise SystemExit(4)";
    output(defib(state.path()).args(["run", "-q", "--", "python3", "-c", program]));
    let report: serde_json::Value =
        serde_json::from_slice(&output(defib(state.path()).args(["show", "last", "--json"])).stdout).unwrap();
    assert_eq!(report["outcome"]["stage"], "loading weights");
}

#[test]
fn the_schema_names_every_part_of_a_report() {
    let state = state();
    let schema: serde_json::Value =
        serde_json::from_slice(&output(defib(state.path()).args(["schema", "report"])).stdout).unwrap();
    for part in ["schema", "run", "outcome", "causes", "evidence", "vitals", "actions", "leftovers"] {
        assert!(schema["properties"][part].is_object(), "{part}");
    }
}

#[test]
fn doctor_and_completions_answer() {
    let state = state();
    let doctor: serde_json::Value =
        serde_json::from_slice(&output(defib(state.path()).args(["doctor", "--json"])).stdout).unwrap();
    assert!(doctor["checks"].as_array().unwrap().len() >= 8);
    let shell = output(defib(state.path()).args(["completions", "bash"]));
    assert!(text(&shell.stdout).contains("_defib"));
}

#[test]
fn a_missing_right_is_said_with_the_command_that_helps() {
    let state = state();
    fs::set_permissions(state.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let root = fs::read_to_string("/proc/self/status").unwrap().contains("Uid:\t0");
    if !root {
        println!("skipped: only the super-user can start a process that another user may not look at");
        return;
    }
    let target = Held(std::process::Command::new("sleep").arg("4179").spawn().unwrap());
    let mut command = std::process::Command::new("setpriv");
    command.args([
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        support::DEFIB,
        "why",
        &target.0.id().to_string(),
    ]);
    command.env("DEFIB_STATE", state.path()).stdin(Stdio::null());
    let said = output(&mut command);
    if text(&said.stderr).contains("Permission denied") {
        println!("skipped: the unprivileged user may not execute the program under test in its folder");
        return;
    }
    assert!(text(&said.stdout).contains("sudo"), "{}{}", text(&said.stdout), text(&said.stderr));
}
