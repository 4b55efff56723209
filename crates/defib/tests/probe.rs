//! `defib probe`: real programs that start, and that fail at one stage of it.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use support::{Held, alive, defib, output, text, wait_for};

/// A folder with a program, and one for the state.
struct Scene {
    state: tempfile::TempDir,
    folder: tempfile::TempDir,
}

impl Scene {
    fn new(files: &[(&str, &str)]) -> Self {
        let scene = Self { state: tempfile::tempdir().expect("state"), folder: tempfile::tempdir().expect("folder") };
        for (name, content) in files {
            let file = scene.folder.path().join(name);
            fs::create_dir_all(file.parent().expect("a folder")).expect("folders");
            fs::write(file, content).expect("a file");
        }
        scene
    }

    fn command(&self, flags: &[&str], command: &[&str]) -> Command {
        let mut probe = defib(self.state.path());
        probe.current_dir(self.folder.path()).arg("probe").args(flags).arg("--").args(command);
        probe
    }

    /// Probes with `--json`: the report, and the exit code.
    fn report(&self, flags: &[&str], command: &[&str]) -> (Value, Option<i32>) {
        let flags: Vec<&str> = flags.iter().copied().chain(["--json"]).collect();
        read(&output(self.command(&flags, command).env("PYTHONPATH", self.site())))
    }

    /// A folder that counts as one of installed packages.
    fn site(&self) -> PathBuf {
        self.folder.path().join("lib/python3/site-packages")
    }
}

fn read(done: &Output) -> (Value, Option<i32>) {
    let report = serde_json::from_slice(&done.stdout).unwrap_or_else(|error| {
        unreachable!("{error}: {}{}", text(&done.stdout), text(&done.stderr));
    });
    (report, done.status.code())
}

fn stage<'r>(report: &'r Value, name: &str) -> &'r Value {
    let stages = report["stages"].as_array().expect("stages");
    stages.iter().find(|stage| stage["name"] == name).expect("the stage")
}

fn executable(file: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).expect("permissions");
}

/// Quick limits: a sign within a minute even on a loaded machine, and no long wait after it.
const QUICK: &[&str] = &["--settle", "300ms"];
const ALL: [&str; 10] =
    ["interpreter", "script", "files", "reading", "imports", "partners", "configuration", "gpu", "start", "work"];

/// The failing stage, the first cause and its place.
fn fails(report: &Value) -> (&str, &str, String) {
    let place = &report["causes"][0]["where"];
    let file = place["file"].as_str().and_then(|file| Path::new(file).file_name()?.to_str()).unwrap_or("-");
    let place = if place.is_null() { "-".to_owned() } else { format!("{file}:{}", place["line"]) };
    (report["outcome"]["stage"].as_str().unwrap_or("-"), report["causes"][0]["id"].as_str().unwrap_or("-"), place)
}

#[test]
fn a_program_that_works_passes_every_stage_and_is_ended() {
    let scene = Scene::new(&[
        ("app.py", "import json\nimport helper\nprint('ready', flush=True)\nhelper.rest()\n"),
        ("helper.py", "import time\ndef rest():\n    time.sleep(4181)\n"),
        ("data.csv", "1,2"),
    ]);
    let (report, code) = scene.report(QUICK, &["python3", "app.py", "--input", "data.csv", "--seed", "4181"]);
    assert_eq!(code, Some(0), "{report:#}");
    let names: Vec<&str> =
        report["stages"].as_array().unwrap().iter().map(|stage| stage["name"].as_str().unwrap()).collect();
    assert_eq!(names, ALL);
    assert_eq!((&report["outcome"]["kind"], &report["outcome"]["healthy"]), (&"completed".into(), &true.into()));
    assert_eq!(report["causes"], Value::Array(Vec::new()));
    assert_eq!(report["run"]["command"][1], "app.py");
    assert!(stage(&report, "start")["says"].as_str().unwrap().contains("first output"), "{report:#}");
    assert!(stage(&report, "files")["says"].as_str().unwrap().contains("data.csv"));
    for stage in report["stages"].as_array().unwrap() {
        assert!(["passed", "skipped"].contains(&stage["verdict"].as_str().unwrap()), "{stage}");
        assert!(stage["took_s"].is_f64() && stage["says"].is_string() && stage.get("ran").is_some());
        assert!(stage.get("memory_bytes").is_some());
    }
    assert!(!alive("app.py\u{0}--input"), "the program survived");
    let runs = fs::read_dir(scene.state.path().join("runs")).unwrap().count();
    assert_eq!(runs, 1, "only the run that the report is about is kept");
}

#[test]
fn the_json_follows_its_schema_and_the_report_is_kept() {
    let scene = Scene::new(&[("app.py", "print('x')\n")]);
    let (report, _) = scene.report(QUICK, &["python3", "app.py"]);
    let schema = output(defib(scene.state.path()).args(["schema", "probe"]));
    let schema: Value = serde_json::from_slice(&schema.stdout).unwrap();
    for part in schema["required"].as_array().unwrap() {
        assert!(report.get(part.as_str().unwrap()).is_some(), "{part}");
    }
    assert!(schema["properties"]["stages"].is_object() && schema["properties"]["causes"].is_object());
    let id = report["run"]["id"].as_str().unwrap();
    let shown = output(defib(scene.state.path()).args(["show", id, "--json"]));
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown["run"], report["run"]);
}

#[test]
fn a_module_that_is_not_installed_is_found_before_the_start() {
    let scene = Scene::new(&[
        ("app.py", "import os\nimport tools.render\nopen('started', 'w')\n"),
        ("tools/__init__.py", ""),
        ("tools/render.py", "import sys\n\nfrom no_such_package.part import draw\n"),
    ]);
    let (report, code) = scene.report(QUICK, &["python3", "app.py"]);
    assert_eq!(
        (fails(&report), code),
        (("imports", "import-missing", "render.py:3".to_owned()), Some(1)),
        "{report:#}"
    );
    assert_eq!(report["outcome"]["healthy"], false);
    assert!(!scene.folder.path().join("started").exists(), "the program ran");
    let imports = stage(&report, "imports");
    assert_eq!(imports["verdict"], "failed");
    let part = imports["parts"].as_array().unwrap().iter().find(|part| part["name"] == "no_such_package").unwrap();
    assert!(part["says"].as_str().unwrap().contains("ModuleNotFoundError"), "{part}");
    assert_eq!(
        (&stage(&report, "start")["verdict"], &stage(&report, "start")["says"]),
        (&"skipped".into(), &"not reached".into())
    );
}

#[test]
fn an_import_that_need_not_work_is_only_a_warning() {
    let text = "try:\n    import no_such_package\nexcept ImportError:\n    no_such_package = None\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import never_there\nprint('works', flush=True)\n";
    let scene = Scene::new(&[("app.py", text)]);
    let (report, code) = scene.report(QUICK, &["python3", "app.py"]);
    assert_eq!((code, &stage(&report, "imports")["verdict"]), (Some(0), &"warned".into()), "{report:#}");
    assert!(!report.to_string().contains("never_there"));
}

#[test]
fn a_wrong_script_interpreter_or_folder_is_named() {
    let scene = Scene::new(&[("app.py", "")]);
    let (report, code) = scene.report(QUICK, &["python3", "src/app.py"]);
    assert_eq!((fails(&report).0, fails(&report).1, code), ("script", "script-missing", Some(1)));
    let (report, code) = scene.report(QUICK, &["python9.9", "app.py"]);
    assert_eq!((fails(&report).0, fails(&report).1, code), ("interpreter", "program-missing", Some(1)));
    assert_eq!(report["outcome"]["kind"], "not-started");
    let (report, code) = scene.report(QUICK, &["bash", "run.sh"]);
    assert_eq!((fails(&report).0, fails(&report).1, code), ("script", "script-missing", Some(1)), "{report:#}");
    let (report, code) = scene.report(QUICK, &["python3", "-m", "no_such_module"]);
    assert_eq!((fails(&report).0, fails(&report).1, code), ("script", "import-missing", Some(1)));
}

#[test]
fn a_missing_file_is_a_warning_until_the_start_fails_for_it() {
    let text = "import sys\npath = sys.argv[2]\nopen(path).read()\n";
    let scene = Scene::new(&[("app.py", text), ("tolerant.py", "print('fetched by itself', flush=True)\n")]);
    let (report, code) = scene.report(QUICK, &["python3", "app.py", "--weights", "models/net.onnx"]);
    assert_eq!((fails(&report), code), (("files", "asset-missing", "app.py:3".to_owned()), Some(1)), "{report:#}");
    assert_eq!(stage(&report, "start")["verdict"], "failed");
    let (report, code) = scene.report(QUICK, &["python3", "tolerant.py", "--weights", "models/net.onnx"]);
    assert_eq!((code, &stage(&report, "files")["verdict"]), (Some(0), &"warned".into()));
}

#[test]
fn arguments_that_the_parser_refuses_are_a_wrong_configuration() {
    let text = "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('--steps', type=int)\nparser.parse_args()\nprint('go', flush=True)\n";
    let scene = Scene::new(&[("app.py", text)]);
    for arguments in [&["--steps", "many"][..], &["--step-count", "3"]] {
        let command: Vec<&str> = ["python3", "app.py"].iter().chain(arguments).copied().collect();
        let (report, code) = scene.report(QUICK, &command);
        assert_eq!(
            (fails(&report).0, fails(&report).1, code),
            ("configuration", "config-invalid", Some(1)),
            "{report:#}"
        );
    }
    let (report, code) = scene.report(QUICK, &["python3", "app.py", "--steps", "3"]);
    assert_eq!((code, &stage(&report, "configuration")["verdict"]), (Some(0), &"passed".into()), "{report:#}");
}

#[test]
fn hydra_composes_the_configuration_without_running_the_program() {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/faults-venv/bin/python");
    if !python.exists() {
        println!("not tried: hydra is not installed for the tests");
        return;
    }
    let text = "import hydra\n\n@hydra.main(version_base=None, config_path='.', config_name='conf')\ndef main(cfg):\n    open('/dev/stdout', 'w').write('ran\\n')\n\nmain()\n";
    let scene = Scene::new(&[("app.py", text), ("conf.yaml", "video: {source: x}\n")]);
    let python = python.to_str().unwrap();
    let (report, code) = scene.report(QUICK, &[python, "app.py", "video.sorce=y"]);
    assert_eq!((fails(&report).0, fails(&report).1, code), ("configuration", "config-invalid", Some(1)), "{report:#}");
    let ran = stage(&report, "configuration")["ran"].as_array().unwrap();
    assert_eq!(ran.iter().rev().take(3).rev().collect::<Vec<_>>(), ["video.sorce=y", "--cfg", "job"]);
    let (report, code) = scene.report(QUICK, &[python, "app.py", "video.source=y"]);
    assert_eq!(code, Some(0), "{report:#}");
}

#[test]
fn an_import_that_does_not_return_is_ended_at_its_deadline() {
    let scene = Scene::new(&[
        ("app.py", "import sys\nimport endless_module\n"),
        ("lib/python3/site-packages/endless_module.py", "import time\nwhile True:\n    time.sleep(0.05)\n"),
    ]);
    let (report, code) = scene.report(&["--deadline", "3s"], &["python3", "app.py"]);
    let (stage, cause, place) = fails(&report);
    assert_eq!((stage, cause, code), ("imports", "slow-import", Some(1)), "{report:#}");
    assert_eq!((place.as_str(), &report["outcome"]["kind"]), ("app.py:2", &"timed-out".into()));
    assert!(!alive("endless_module"), "the import survived");
}

#[test]
fn a_start_that_prints_nothing_says_where_it_stands() {
    let text = "import time\ndef prepare():\n    while True:\n        time.sleep(0.01)\nprepare()\n";
    let scene = Scene::new(&[("app.py", text)]);
    let (report, code) = scene.report(&["--start-within", "3s"], &["python3", "app.py", "--tag", "4182"]);
    assert_eq!((report["outcome"]["stage"].as_str(), code), (Some("start"), Some(1)), "{report:#}");
    assert_eq!(report["outcome"]["kind"], "timed-out");
    assert!(report["evidence"].to_string().contains("prepare"), "{report:#}");
    assert!(!alive("--tag\u{0}4182"), "the program survived");
}

#[test]
fn a_deadlock_at_the_start_is_explained() {
    let text =
        "import threading\nprint('loading', flush=True)\nlock = threading.Lock()\nlock.acquire()\nlock.acquire()\n";
    let scene = Scene::new(&[("app.py", text)]);
    let (report, code) = scene.report(&["--settle", "4s"], &["python3", "app.py"]);
    // Where the owner of the lock cannot be told, it is no proof, and the start counts.
    if code == Some(1) {
        assert_eq!(fails(&report).1, "lock-deadlock", "{report:#}");
    } else {
        assert_eq!(code, Some(0), "{report:#}");
    }
}

#[test]
fn a_program_that_waits_for_an_answer_has_not_started() {
    let scene =
        Scene::new(&[("app.py", "print('model zoo')\nif input('Accept? ') != 'y':\n    raise SystemExit(1)\n")]);
    let mut command = scene.command(&["--json", "--settle", "4s"], &["python3", "app.py"]);
    let said = scene.state.path().join("said");
    let stdout = fs::File::create(&said).unwrap();
    // Standard input stays open, and nobody types.
    let mut probe = Held(command.stdin(Stdio::piped()).stdout(stdout).stderr(Stdio::null()).spawn().unwrap());
    let status = wait_for(support::DEADLINE, || probe.0.try_wait().unwrap()).expect("the walk ends");
    assert_eq!(status.code(), Some(1));
    let said = fs::read_to_string(said).unwrap();
    let report: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(fails(&report), ("start", "terminal-wait", "app.py:2".to_owned()), "{report:#}");
}

#[test]
fn a_server_has_started_when_it_listens() {
    let text = "import http.server\nserver = http.server.HTTPServer(('127.0.0.1', 0), http.server.SimpleHTTPRequestHandler)\nserver.serve_forever()\n";
    let scene = Scene::new(&[("app.py", text)]);
    for command in
        [&["python3", "app.py"][..], &["env", "PORT=0", "python3", "app.py"], &["sh", "-c", "python3 app.py; true"]]
    {
        let (report, code) = scene.report(QUICK, command);
        assert_eq!(code, Some(0), "{report:#}");
        assert!(stage(&report, "start")["says"].as_str().unwrap().starts_with("listens on 127.0.0.1:"), "{report:#}");
    }
}

#[test]
fn a_port_that_is_taken_fails_the_start() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let text = "import socket, sys\nserver = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n";
    let scene = Scene::new(&[("app.py", text)]);
    let (report, code) = scene.report(QUICK, &["python3", "app.py", &port]);
    assert_eq!((fails(&report), code), (("start", "port-in-use", "app.py:2".to_owned()), Some(1)), "{report:#}");
}

#[test]
fn a_device_that_is_asked_for_and_not_there_is_a_gpu_error() {
    let torch = "class _Version:\n    cuda = None\nversion = _Version()\nclass cuda:\n    is_available = staticmethod(lambda: False)\n    device_count = staticmethod(lambda: 0)\ndef zeros(*size, device=None):\n    raise AssertionError('Torch not compiled with CUDA enabled')\n";
    let scene = Scene::new(&[
        ("app.py", "import torch\n\ndevice = 'cuda:0'\nprint('x', flush=True)\n"),
        (
            "either.py",
            "import torch\ndevice = 'cuda' if torch.cuda.is_available() else 'cpu'\nprint('x', flush=True)\n",
        ),
        ("lib/python3/site-packages/torch.py", torch),
    ]);
    let (report, code) = scene.report(QUICK, &["python3", "app.py"]);
    assert_eq!((fails(&report), code), (("gpu", "gpu-unavailable", "app.py:3".to_owned()), Some(1)), "{report:#}");
    let (report, code) = scene.report(QUICK, &["python3", "either.py"]);
    assert_eq!((code, &stage(&report, "gpu")["verdict"]), (Some(0), &"warned".into()), "{report:#}");
}

#[test]
fn cards_are_listed_where_a_package_may_use_them() {
    let scene = Scene::new(&[
        ("app.py", "import onnxruntime\nprint('x', flush=True)\n"),
        ("lib/python3/site-packages/onnxruntime.py", ""),
        ("bin/nvidia-smi", "#!/bin/sh\necho 'NVIDIA H200, 550.54.15, 142000, 143771'\n"),
    ]);
    executable(&scene.folder.path().join("bin/nvidia-smi"));
    let mut command = scene.command(&["--json", "--settle", "300ms"], &["python3", "app.py"]);
    let search = format!("{}:{}", scene.folder.path().join("bin").display(), std::env::var("PATH").unwrap());
    let (report, code) = read(&output(command.env("PYTHONPATH", scene.site()).env("PATH", search)));
    assert_eq!(code, Some(0), "{report:#}");
    let says = stage(&report, "gpu")["says"].as_str().unwrap();
    assert_eq!(says, "NVIDIA H200, 139 GiB of 140 GiB free, driver 550.54.15");
}

#[test]
fn versions_that_do_not_fit_are_a_warning() {
    let dist = |name: &str, version: &str, more: &str| {
        format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{more}\n")
    };
    let vision = dist("torchvision", "0.15.2", "Requires-Dist: torch (==2.0.1)\n");
    let torch = dist("torch", "2.3.0", "");
    let site = "lib/python3/site-packages";
    let scene = Scene::new(&[
        ("app.py", "import torchvision\nprint('x', flush=True)\n"),
        (&format!("{site}/torchvision.py"), ""),
        (&format!("{site}/torchvision-0.15.2.dist-info/METADATA"), &vision),
        (&format!("{site}/torchvision-0.15.2.dist-info/top_level.txt"), "torchvision\n"),
        (&format!("{site}/torch-2.3.0.dist-info/METADATA"), &torch),
    ]);
    let (report, code) = scene.report(QUICK, &["python3", "app.py"]);
    let partners = stage(&report, "partners");
    assert_eq!((code, &partners["verdict"]), (Some(0), &"warned".into()), "{report:#}");
    assert_eq!(partners["says"], "torchvision 0.15.2 wants torch==2.0.1, and 2.3.0 is installed");
}

#[test]
fn a_file_named_like_a_standard_module_is_told_and_not_run_by_the_checks() {
    let scene = Scene::new(&[
        ("app.py", "import json\nprint('x', flush=True)\n"),
        ("json.py", "with open('ran', 'a') as file:\n    file.write('x')\n"),
    ]);
    let (report, code) = scene.report(QUICK, &["python3", "app.py"]);
    assert_eq!((code, &stage(&report, "reading")["verdict"]), (Some(0), &"warned".into()), "{report:#}");
    assert!(stage(&report, "reading")["says"].as_str().unwrap().contains("json.py hides"), "{report:#}");
    assert_eq!(fs::read_to_string(scene.folder.path().join("ran")).unwrap(), "x", "run by the start alone");
}

#[test]
fn a_script_that_names_its_interpreter_is_a_python_program() {
    let scene = Scene::new(&[("tool", "#!/usr/bin/env python3\nimport os\nimport no_such_package\n")]);
    executable(&scene.folder.path().join("tool"));
    let (report, code) = scene.report(QUICK, &["./tool", "--fast"]);
    assert_eq!((fails(&report), code), (("imports", "import-missing", "tool:3".to_owned()), Some(1)), "{report:#}");
}

#[test]
fn a_source_that_cannot_be_compiled_is_not_started() {
    let scene = Scene::new(&[("app.py", "import os\nimport own\n"), ("own.py", "x = 1\ndef f(:\n    pass\n")]);
    let (report, code) = scene.report(QUICK, &["python3", "app.py"]);
    assert_eq!((fails(&report).0, code), ("reading", Some(1)), "{report:#}");
    assert!(report["evidence"].to_string().contains("SyntaxError"), "{report:#}");
}

#[test]
fn modules_of_a_package_are_read_through_their_dots() {
    let scene = Scene::new(&[
        ("pkg/__init__.py", "import json\n"),
        ("pkg/app.py", "from . import part\nprint('x', flush=True)\n"),
        ("pkg/part.py", "import os\nimport no_such_package\n"),
    ]);
    let (report, code) = scene.report(QUICK, &["python3", "-m", "pkg.app"]);
    assert_eq!((fails(&report), code), (("imports", "import-missing", "part.py:2".to_owned()), Some(1)), "{report:#}");
}

#[test]
fn the_list_is_plain_elsewhere_than_on_a_terminal_and_quiet_is_quiet() {
    let scene = Scene::new(&[("app.py", "print('own output', flush=True)\n")]);
    let done = output(&mut scene.command(QUICK, &["python3", "app.py"]));
    let said = text(&done.stderr);
    assert_eq!((done.status.code(), text(&done.stdout)), (Some(0), String::new()));
    for name in ALL.iter().filter(|name| **name != "configuration") {
        assert!(said.contains(&format!("✓ {name}")), "{name}: {said}");
    }
    assert!(
        said.contains("starts and works") && said.contains("$ python3 app.py") && !said.contains('\u{1b}'),
        "{said}"
    );
    let done = output(&mut scene.command(&["-q", "--settle", "300ms"], &["python3", "app.py"]));
    assert_eq!((text(&done.stderr), text(&done.stdout)), (String::new(), String::new()));
    let done = output(&mut scene.command(&["-q"], &["python3", "missing.py"]));
    assert!(text(&done.stderr).contains("script-missing"), "{}", text(&done.stderr));
}

#[test]
fn a_wrong_request_is_defibs_own_failure() {
    let scene = Scene::new(&[]);
    assert_eq!(output(defib(scene.state.path()).arg("probe")).status.code(), Some(125));
    assert_eq!(output(&mut scene.command(&["--deadline", "soon"], &["true"])).status.code(), Some(125));
}

#[test]
fn ctrl_c_ends_the_walk_and_what_it_runs() {
    let scene = Scene::new(&[("app.py", "import time\ntime.sleep(4183)\n")]);
    let mut command = scene.command(&[], &["python3", "app.py", "--tag", "4183"]);
    let mut probe = Held(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    // The probe's own command line holds the words too, with its name before them.
    let started = || {
        let program = alive("python3\u{0}app.py\u{0}--tag\u{0}4183\u{0}");
        let runs = fs::read_dir(scene.state.path().join("runs")).ok()?;
        let journals = runs.flatten().filter_map(|run| fs::read_to_string(run.path().join("journal.jsonl")).ok());
        let begun =
            journals.into_iter().any(|text| text.contains("\"4183\"") && text.contains("\"event\":\"started\""));
        (program && begun).then_some(())
    };
    assert!(wait_for(Duration::from_secs(30), started).is_some(), "it never started");
    Command::new("kill").args(["-INT", &probe.0.id().to_string()]).status().unwrap();
    let status = wait_for(Duration::from_secs(20), || probe.0.try_wait().unwrap()).expect("the walk ends");
    assert_eq!(status.code(), Some(130));
    assert!(!alive("app.py\u{0}--tag\u{0}4183"), "the program survived");
}
