//! The memory policy and growth over units of work, on real programs.

mod support;

use std::path::Path;
use std::process::Output;
use std::sync::{PoisonError, RwLock};

use serde_json::Value;
use support::{defib, output, text};

/// Keeps 8 MiB a unit, with a bar: `UNITS SECONDS [PLATEAU]`.
const GROWS: &str = "
import sys, time
class Gallery:
    def __init__(self):
        self.pictures = []
gallery = Gallery()
units, step = int(sys.argv[1]), float(sys.argv[2])
most = int(sys.argv[3]) if len(sys.argv) > 3 else units
for unit in range(1, units + 1):
    if unit <= most:
        gallery.pictures.append(bytearray(b'x' * (8 << 20)))
    print(f'{unit}/{units} pictures', flush=True)
    time.sleep(step)
";

/// Held by a test that must not run beside the others, shared by those.
static ALONE: RwLock<()> = RwLock::new(());

fn run(state: &Path, flags: &[&str], command: &[&str]) -> (Output, Value) {
    let _beside = ALONE.read().unwrap_or_else(PoisonError::into_inner);
    run_now(state, flags, command)
}

fn run_now(state: &Path, flags: &[&str], command: &[&str]) -> (Output, Value) {
    let mut all = vec!["run", "--report", "report.json"];
    all.extend(flags);
    all.push("--");
    all.extend(command);
    let ran = output(defib(state).current_dir(state).args(all));
    let report = std::fs::read(state.join("report.json")).unwrap_or_default();
    let report = serde_json::from_slice(&report);
    assert!(report.is_ok(), "no report: {}", text(&ran.stderr));
    (ran, report.expect("a report"))
}

fn cause(report: &Value) -> &str {
    report["causes"][0]["id"].as_str().unwrap_or("none")
}

fn evidence(report: &Value) -> String {
    report["evidence"].to_string()
}

#[test]
fn a_warning_is_logged_and_the_limit_ends_it_with_the_container_named() {
    let state = tempfile::tempdir().unwrap();
    let flags = ["--memory", "150M", "--memory-warn", "90M", "--memory-probe"];
    let (ran, report) = run(state.path(), &flags, &["python3", "-c", GROWS, "60", "0.15"]);
    assert_eq!((ran.status.code(), report["outcome"]["kind"].as_str()), (Some(124), Some("over-memory")));
    assert!(text(&ran.stderr).contains("is over 90.0 MiB; it goes on"), "{}", text(&ran.stderr));
    let log = std::fs::read_to_string(state.path().join("memory.log")).unwrap();
    let (warn, stop) = (log.find(" warn: ").unwrap(), log.find(" stop: ").unwrap());
    assert!(warn < stop && log.contains(report["run"]["id"].as_str().unwrap()), "{log}");
    assert_eq!((cause(&report), &report["causes"][0]["proved"]), ("app-retention", &Value::Bool(true)));
    let told = evidence(&report);
    assert!(told.contains("__main__.Gallery.pictures") && told.contains("bytearray more"), "{told}");
    assert!(report["vitals"]["memory_limit"]["held"].as_str().unwrap().starts_with("polled each 250 ms"));
}

#[test]
fn what_is_faster_than_the_samples_is_held_by_the_kernel_where_a_group_can_be_made() {
    let state = tempfile::tempdir().unwrap();
    let hungry = "kept = []\nwhile True: kept.append(bytearray(b'x' * (4 << 20)))";
    let (ran, report) = run(state.path(), &["--memory", "200M"], &["python3", "-c", hungry]);
    assert_eq!((ran.status.code(), report["outcome"]["kind"].as_str()), (Some(124), Some("over-memory")), "{report}");
    assert_ne!(cause(&report), "host-oom-kill");
    let held = report["vitals"]["memory_limit"]["held"].as_str().unwrap();
    let peak = report["vitals"]["rss_peak_bytes"].as_u64();
    // 200 MiB and the slack of 64 MiB: beyond that only where nothing but polling holds it.
    let within = peak.is_none_or(|peak| peak < 300 << 20);
    assert!(within || !held.contains("held by the kernel"), "{held}: {peak:?}");
}

#[test]
fn a_run_is_started_afresh_after_its_unit_of_work() {
    let state = tempfile::tempdir().unwrap();
    // The second life finds the mark of the first and ends well.
    let lives = "
import os, sys, time
again = os.path.exists('lived')
open('lived', 'a').write('x')
kept = []
for unit in range(1, 80):
    if again and unit > 2:
        sys.exit(0)
    kept.append(bytearray(b'x' * (8 << 20)))
    time.sleep(0.15)
    print(f'{unit}/80 pictures', flush=True)
";
    let (ran, report) = run(state.path(), &["--memory-recycle", "growth=2M"], &["python3", "-c", lives]);
    let said = text(&ran.stderr);
    assert!(ran.status.success(), "{said}");
    assert!(said.contains("started afresh as soon as its unit of work is done") && said.contains("starting it afresh"));
    assert_eq!(std::fs::read_to_string(state.path().join("lived")).unwrap(), "xx");
    assert_eq!(report["outcome"]["kind"], "completed");
    let runs = output(defib(state.path()).args(["runs", "--json"]));
    assert!(text(&runs.stdout).contains("over-memory"), "{}", text(&runs.stdout));
    let log = std::fs::read_to_string(state.path().join("memory.log")).unwrap();
    assert!(log.contains("recycle: memory growth for each unit of work"), "{log}");
}

#[test]
fn a_policy_that_is_switched_off_does_nothing() {
    let state = tempfile::tempdir().unwrap();
    let config = "[memory]\nenabled = false\nwarn = \"1%\"\nstop = \"30M\"\n";
    std::fs::write(state.path().join("defib.toml"), config).unwrap();
    let (ran, report) = run(state.path(), &[], &["python3", "-c", GROWS, "6", "0.1"]);
    assert!(ran.status.success() && report["vitals"]["memory_limit"].is_null(), "{}", text(&ran.stderr));
    assert!(!state.path().join("memory.log").exists());
    std::fs::write(state.path().join("defib.toml"), config.replace("false", "true")).unwrap();
    let (ran, _) = run(state.path(), &[], &["python3", "-c", GROWS, "40", "0.1"]);
    assert_eq!(ran.status.code(), Some(124), "{}", text(&ran.stderr));
}

#[test]
fn growth_that_goes_on_to_the_end_is_named_and_a_plateau_is_not() {
    let state = tempfile::tempdir().unwrap();
    // Each second a sample, each unit a second: twenty of either.
    // It is judged by when samples come: the other tests of this file, which fill memory, wait.
    let _alone = ALONE.write().unwrap();
    let (ran, report) = run_now(state.path(), &["--stall-after", "3s"], &["python3", "-c", GROWS, "40", "0.25"]);
    assert!(ran.status.success());
    assert_eq!((cause(&report), &report["outcome"]["healthy"]), ("app-retention", &Value::Bool(false)), "{report}");
    assert!(evidence(&report).contains("units of work"), "{report}");
    let (_, report) = run_now(state.path(), &["--stall-after", "3s"], &["python3", "-c", GROWS, "40", "0.25", "16"]);
    assert_eq!((cause(&report), &report["outcome"]["healthy"]), ("none", &Value::Bool(true)), "{report}");
}

#[test]
fn memory_that_malloc_keeps_is_told_from_what_the_program_keeps() {
    let state = tempfile::tempdir().unwrap();
    // Each batch is larger than the gaps that the last one left, and a few small blocks
    // that stay pin these.
    let ragged = "
import time
kept = []
for unit in range(1, 25):
    blocks = [b'x' * (2000 + 150 * unit + number % 7) for number in range(6000)]
    kept.append([bytes(block[:600]) for block in blocks[::500]])
    del blocks
    print(f'{unit}/25 batches', flush=True)
    time.sleep(0.25)
time.sleep(1)
";
    let flags = ["--memory-probe", "--memory", "1500M"];
    let (ran, report) = run(state.path(), &flags, &["python3", "-c", ragged]);
    assert_ne!(cause(&report), "app-retention", "{report}");
    let journal = std::fs::read_dir(state.path().join("runs")).unwrap().flatten().next().unwrap().path();
    let journal = std::fs::read_to_string(journal.join("journal.jsonl")).unwrap();
    assert!(journal.contains("\"event\":\"objects\""), "{}", text(&ran.stderr));
}

#[test]
fn bad_thresholds_say_what_is_accepted() {
    let state = tempfile::tempdir().unwrap();
    for bad in ["lots", "vram=", "growth=5%", "200%"] {
        let refused = output(defib(state.path()).args(["run", "--memory", bad, "--", "true"]));
        assert_eq!(refused.status.code(), Some(125));
        assert!(text(&refused.stderr).contains("like 16GiB or 80%"), "{bad}: {}", text(&refused.stderr));
    }
}

#[test]
fn a_bar_that_begins_anew_goes_on_and_a_waiting_program_does_not_grow() {
    let state = tempfile::tempdir().unwrap();
    // Three epochs of a bar each; all memory comes with the units, none while it waits.
    let epochs = "
import time
kept = []
for epoch in range(3):
    for unit in range(1, 13):
        kept.append(bytearray(b'x' * (6 << 20)))
        print(f'{unit}/12 batches', flush=True)
        time.sleep(0.2)
    time.sleep(1)
";
    let (_, report) = run(state.path(), &["--stall-after", "3s"], &["python3", "-c", epochs]);
    assert_eq!(cause(&report), "app-retention", "{report}");
    let told = evidence(&report);
    assert!(told.contains("6.0 MiB with each"), "{told}");
}
