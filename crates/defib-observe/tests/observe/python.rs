//! Python stacks on every interpreter that is here.

use std::path::PathBuf;

use defib_core::facts::{Look, PythonStack, Wait};
use defib_observe::{LookRequest, look};

use crate::support::{Program, main_thread, request, root};

const VERSIONS: [&str; 9] = ["2.7.18", "3.6.15", "3.7.16", "3.8.18", "3.9.18", "3.10.13", "3.11.7", "3.12.1", "3.13.0"];

fn interpreter(version: &str) -> Option<PathBuf> {
    let home = std::env::var_os("HOME")?;
    let exe = PathBuf::from(home).join(".pyenv/versions").join(version).join("bin/python");
    let runs = std::process::Command::new(&exe).arg("-V").output();
    runs.is_ok_and(|output| output.status.success()).then_some(exe)
}

const DEADLOCK: &str = "\
import threading
first, second = threading.Lock(), threading.Lock()
one, two = threading.Event(), threading.Event()
def work(mine, other, ready, wait):
    with mine:
        ready.set()
        wait.wait()
        with other:  # line 8
            pass
thread = threading.Thread(target=work, args=(first, second, one, two))
thread.start()
work(second, first, two, one)  # line 12
";

fn stack_of(look: &Look, main: bool) -> Option<&PythonStack> {
    let process = root(look);
    let thread = process.threads.iter().find(|thread| (thread.tid == process.pid) == main)?;
    thread.python.as_ref()
}

fn is_deadlocked(look: &Look) -> bool {
    let at_lock = |stack: Option<&PythonStack>| {
        let frame = stack.and_then(|stack| stack.frames.first());
        frame.is_some_and(|frame| frame.function == "work" && frame.line == 8)
    };
    let unlimited = root(look)
        .threads
        .iter()
        .all(|thread| matches!(thread.wait, Wait::Futex { bound, .. } if bound.is_unlimited()));
    unlimited && at_lock(stack_of(look, true)) && at_lock(stack_of(look, false))
}

#[test]
fn deadlocked_threads_have_correct_lines_and_thread_ids() {
    let mut tried = 0;
    for version in VERSIONS {
        let Some(exe) = interpreter(version) else {
            eprintln!("Python {version} is not here: skipped");
            continue;
        };
        tried += 1;
        let program = Program::python_at(&exe, DEADLOCK);
        let legacy = version.starts_with("2.");
        let found = program.look_until(true, |look| {
            if !legacy {
                return is_deadlocked(look);
            }
            // Python 2 waits for an event in short sleeps, the lock comes after.
            stack_of(look, true).is_some_and(|stack| stack.frames.iter().any(|f| f.line == 8))
        });
        let main = stack_of(&found, true).unwrap();
        let last = main.frames.last().unwrap();
        assert_eq!((last.function.as_str(), last.line), ("<module>", 12), "{version}");
        let short = version.rsplit_once('.').unwrap().0;
        assert_eq!(root(&found).python.as_deref(), Some(short));
        assert!(found.denied.is_empty(), "{version}: {:?}", found.denied);
        assert_eq!(found.source_line(&last.file, 12), Some("work(second, first, two, one)  # line 12"));
        eprintln!("Python {version}: correct");
    }
    eprintln!("{tried} interpreters tried");
}

#[test]
fn locals_are_short_and_carry_addresses() {
    let program = Program::python(DEADLOCK);
    program.look_until(true, is_deadlocked);
    let found = look(&LookRequest { python: true, locals: true, ..request(program.pid()) });
    let local = |main: bool, name: &str| {
        let frame = &stack_of(&found, main).unwrap().frames[0];
        frame.locals.iter().find(|local| local.name == name).unwrap().clone()
    };
    assert_eq!(local(true, "mine").address, local(false, "other").address);
    assert_eq!(local(true, "other").address, local(false, "mine").address);
    assert!(local(true, "mine").value.len() <= 200);
}

#[test]
fn imports_keep_their_frozen_frames() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("slow.py"), "import time\ntime.sleep(60)\n").unwrap();
    let code = format!("import sys\nsys.path.insert(0, {:?})\nimport slow\n", folder.path());
    let program = Program::python(&code);
    let found = program.look_until(true, |look| {
        main_thread(look)
            .and_then(|thread| thread.python.as_ref())
            .is_some_and(|stack| stack.frames.iter().any(|frame| frame.file.ends_with("slow.py")))
    });
    let stack = main_thread(&found).unwrap().python.as_ref().unwrap();
    assert!(stack.frames.iter().any(|frame| frame.file.starts_with("<frozen importlib")));
    assert!(found.sources.iter().all(|excerpt| !excerpt.file.starts_with('<')));
    assert_eq!(found.sources.len(), 2);
}
