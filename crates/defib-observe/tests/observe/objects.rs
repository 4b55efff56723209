//! Live objects, counted in real Python processes.

use std::process::Command;
use std::time::Duration;

use defib_observe::{OBJECTS_SOURCE, count_objects, countable};

use crate::support::{Program, SOON, until};

/// Keeps 60 blocks in an attribute and 40 in a dictionary that only a module names.
const KEEPER: &str = "
import gc, os, sys
gc.disable()
class Gallery:
    def __init__(self):
        self.pictures = []
gallery = Gallery()
THUMBNAILS = {}
for number in range(60):
    gallery.pictures.append(bytearray(b'x' * 500_000))
for number in range(40):
    THUMBNAILS[number] = b'y' * (200_000 + number)
class Ring:
    pass
for number in range(50):
    one, two = Ring(), Ring()
    one.other, two.other = two, one
del one, two
print(getattr(sys.modules.get('sitecustomize'), 'MARK', 'none'), flush=True)
child = os.fork()
if child == 0:
    THUMBNAILS.clear()
    print('child', flush=True)
    os.read(0, 1)
    os._exit(0)
os.waitpid(child, 0)
";

#[test]
fn types_and_the_names_of_containers_are_told_by_parent_and_forked_child() {
    let run = format!("r{}", std::process::id());
    let folder = tempfile::tempdir().unwrap();
    let ours = folder.path().join("ours");
    let users = folder.path().join("users");
    for (place, text) in [(&ours, OBJECTS_SOURCE), (&users, "MARK = 'chained'\n")] {
        std::fs::create_dir(place).unwrap();
        std::fs::write(place.join("sitecustomize.py"), text).unwrap();
    }
    let script = folder.path().join("program.py");
    std::fs::write(&script, KEEPER).unwrap();
    let mut command = Command::new("python3");
    command.arg(&script).env("DEFIB_RUN", &run);
    command.env("PYTHONPATH", std::env::join_paths([&ours, &users]).unwrap());
    let mut program = Program::start_with_input(command, folder);
    assert_eq!(program.line(), "chained", "the user's own sitecustomize runs too");
    assert_eq!(program.line(), "child");
    let mut pids = Vec::new();
    until(|| {
        pids = countable(&run);
        (pids.len() == 2).then_some(())
    });
    assert!(pids.contains(&program.pid()), "{pids:?}");
    for pid in pids {
        let objects = count_objects(&run, pid, SOON).unwrap();
        let kept = objects.types.iter().find(|one| one.kind == "bytearray").unwrap();
        assert!(kept.count >= 60 && kept.bytes >= 30_000_000, "{kept:?}");
        let named = |name: &str| objects.containers.iter().find(|one| one.name.as_deref() == Some(name));
        let pictures = named("__main__.Gallery.pictures").expect("the attribute is named");
        assert_eq!((pictures.items, pictures.of.as_str()), (60, "bytearray"));
        assert!(pictures.bytes >= 30_000_000);
        let thumbnails = named("__main__.THUMBNAILS");
        if pid == program.pid() {
            assert!(thumbnails.expect("the module's variable is named").bytes >= 8_000_000);
        } else {
            assert!(thumbnails.is_none(), "the child has cleared its own");
        }
        assert!(objects.complete && objects.resident_bytes > 30_000_000 && objects.collected >= 100, "{objects:?}");
    }
}

#[test]
fn a_program_that_never_lets_the_thread_run_costs_its_deadline_only() {
    let run = format!("s{}", std::process::id());
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("sitecustomize.py"), OBJECTS_SOURCE).unwrap();
    let script = folder.path().join("program.py");
    // Stopped as a whole: it accepts the connection in the kernel and never answers.
    std::fs::write(&script, "import os, signal\nprint('up', flush=True)\nos.kill(os.getpid(), signal.SIGSTOP)\n")
        .unwrap();
    let mut command = Command::new("python3");
    command.arg(&script).env("DEFIB_RUN", &run).env("PYTHONPATH", folder.path());
    let mut program = Program::start(command, folder);
    assert_eq!(program.line(), "up");
    let error = count_objects(&run, program.pid(), Duration::from_millis(300)).unwrap_err();
    assert!(error.contains("did not count its objects"), "{error}");
}
