//! What a person gets today from the exit status, the last line of the log and
//! one `py-spy dump`: the usual reading of each, as forums give it.

use defib_core::case::{Case, End, Study};
use defib_core::facts::Frame;

/// The cause that this reading names, if it names one.
pub(crate) fn read(case: &Case) -> Option<&'static str> {
    if case.end == End::Exited(0) && case.ending.is_none() {
        return None;
    }
    if Study::new(case).was_standing() {
        return by_stack(case).or(Some("lock-deadlock"));
    }
    by_last_line(case).or_else(|| by_status(case))
}

fn by_status(case: &Case) -> Option<&'static str> {
    let code = match case.end {
        End::NotStarted { .. } => return Some("program-missing"),
        End::Signaled(signal) => 128 + signal,
        End::Exited(code) => code,
        _ => return None,
    };
    Some(match code {
        126 | 127 => "program-missing",
        130 | 143 | 129 => "interrupted",
        137 => "host-oom-kill",
        132 => "illegal-instruction",
        134 | 135 | 136 | 139 => "native-crash",
        124 => "watchdog-kill",
        2 => "config-invalid",
        _ => "unhandled-exception",
    })
}

/// The last line that is not empty, by its best-known words.
fn by_last_line(case: &Case) -> Option<&'static str> {
    let line = case.log.last_lines(1).first()?.text.clone();
    let table: &[(&str, &str)] = &[
        ("ModuleNotFoundError", "import-missing"),
        ("ImportError", "binary-mismatch"),
        ("can't open file", "script-missing"),
        ("FileNotFoundError", "asset-missing"),
        ("CUDA out of memory", "gpu-oom"),
        ("MemoryError", "os-limit"),
        ("Too many open files", "os-limit"),
        ("No space left", "disk-full"),
        ("Address already in use", "port-in-use"),
        ("Connection refused", "backend-unreachable"),
        ("timed out", "backend-stuck"),
        ("401", "auth-failed"),
        ("403", "auth-failed"),
        ("429", "rate-limited"),
        ("500", "backend-error"),
        ("503", "backend-error"),
        ("400", "request-rejected"),
        ("404", "request-rejected"),
        ("nan", "precision-nan"),
        ("BrokenPipeError", "stdio-broken"),
        ("KeyboardInterrupt", "interrupted"),
        ("Killed", "host-oom-kill"),
        ("Segmentation fault", "native-crash"),
        ("leaked semaphore", "os-limit"),
        ("error: ", "config-invalid"),
        ("Error", "unhandled-exception"),
    ];
    table.iter().find(|(words, _)| line.contains(words)).map(|(_, cause)| *cause)
}

/// The innermost frames of the main thread.
fn by_stack(case: &Case) -> Option<&'static str> {
    let look = case.looks.last()?;
    let process = look.processes.iter().find(|process| process.pid == case.root)?;
    let frames: &[Frame] = process.main_thread()?.python.as_ref().map_or(&[], |stack| &stack.frames);
    let top: Vec<&str> = frames.iter().take(3).map(|frame| frame.function.as_str()).collect();
    let any = |names: &[&str]| top.iter().any(|name| names.contains(name));
    let import = frames.iter().any(|frame| frame.function == "_find_and_load");
    Some(if import {
        "slow-import"
    } else if any(&["recv", "recv_into", "readinto", "read", "_read_status", "connect"]) {
        "no-io-timeout"
    } else if any(&["acquire", "__enter__", "wait", "join", "_wait_for_tstate_lock", "get", "result"]) {
        "lock-deadlock"
    } else if any(&["select", "run_forever", "_run_once"]) {
        "no-io-timeout"
    } else {
        "endless-loop"
    })
}
