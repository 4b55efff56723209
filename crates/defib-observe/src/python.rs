//! Python stacks through py-spy, without stopping the program.
//!
//! py-spy copies the interpreter's structures while they move, so a read can
//! be torn: it is repeated a few times. From 3.11 on the interpreter records
//! the kernel's thread id; before, it is found in the C library's own thread
//! record, at an offset that is accepted only if it names distinct live
//! threads for every Python thread.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use defib_core::facts::{Denied, Excerpt, Frame, Local, LockFile, PythonStack, Visited};
use py_spy::config::{Config, LockingStrategy};
use py_spy::{PythonSpy, StackTrace};
use serde::{Deserialize, Serialize};

use crate::look::process::{denial, thread_ids};
use crate::{coroutine, excerpt, lockfile, sys};

/// How often a torn read is repeated, and for how long.
const TRIES: u32 = 4;
const TRIES_WITHIN: Duration = Duration::from_millis(50);
/// Bytes of a thread record searched for the thread id.
const RECORD: usize = 1024;
/// Where known C libraries keep it: glibc on x86-64 and aarch64, musl.
const KNOWN_OFFSETS: [usize; 4] = [720, 208, 48, 56];

/// The Python stacks of one process.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct PythonRead {
    pub(crate) pid: i32,
    /// `3.11`, where it was found.
    pub(crate) version: Option<String>,
    /// By thread id.
    pub(crate) stacks: Vec<(i32, PythonStack)>,
    pub(crate) sources: Vec<Excerpt>,
    #[serde(default)]
    pub(crate) lock_files: Vec<LockFile>,
    #[serde(default)]
    pub(crate) visited: Vec<Visited>,
    pub(crate) denied: Option<Denied>,
}

/// Reads the stacks of a Python process and the source around the user's frames.
pub(crate) fn read(pid: i32, locals: bool, burst: bool) -> PythonRead {
    let mut result = PythonRead { pid, ..PythonRead::default() };
    let config = Config {
        blocking: LockingStrategy::NonBlocking,
        include_idle: true,
        dump_locals: u64::from(locals),
        ..Config::default()
    };
    match traces(pid, &config) {
        Ok((version, traces, mut spy)) => {
            result.version = Some(version);
            place(&mut result, traces);
            let version = result.version.clone().unwrap_or_default();
            for (_, stack) in result.stacks.iter_mut().filter(|_| locals) {
                stack.tasks = coroutine::tasks(pid, &version, stack);
            }
            if burst {
                result.visited = visited(pid, &mut spy);
            }
            result.sources =
                excerpt::around(pid, result.stacks.iter().map(|(_, stack)| stack), &result.visited, locals);
            if locals || polls(&result) {
                result.lock_files = lockfile::near(pid, &result.stacks, &result.sources);
            }
        }
        Err(why) => result.denied = Some(refusal(pid, why)),
    }
    result
}

/// A thread sleeps in the user's code, or a library waits for a lock file.
fn polls(read: &PythonRead) -> bool {
    let line = |frame: &Frame| {
        let near = read.sources.iter().filter(|excerpt| excerpt.file == frame.file);
        near.filter_map(|excerpt| excerpt.lines.get(frame.line.checked_sub(excerpt.first_line)? as usize)).next()
    };
    read.stacks.iter().filter_map(|(_, stack)| stack.frames.first()).any(|frame| {
        line(frame).is_some_and(|text| text.contains("sleep") || text.contains("wait")) || frame.file.contains("lock")
    })
}

/// Reads in a burst, and the time between two.
const READS: u32 = 10;
const APART: Duration = Duration::from_millis(13);

/// The frames that a short series of reads comes by, most frequent first.
fn visited(pid: i32, spy: &mut PythonSpy) -> Vec<Visited> {
    let mut found: Vec<Visited> = Vec::new();
    for _ in 0..READS {
        std::thread::sleep(APART);
        let Ok(traces) = spy.get_stack_traces() else { continue };
        for trace in traces.iter().filter(|trace| trace.active) {
            for seen in trace.frames.iter().take(12) {
                let (function, line) = (plain_name(&seen.name), u32::try_from(seen.line).unwrap_or(0));
                let same = |known: &Visited| {
                    known.frame.function == function && known.frame.file == seen.filename && known.frame.line == line
                };
                if let Some(at) = found.iter().position(same) {
                    found[at].times += 1;
                } else if found.len() < 200 {
                    let file = seen.filename.clone();
                    let frame = Frame { function: function.to_owned(), file, line, locals: Vec::new() };
                    found.push(Visited { pid, frame, times: 1 });
                }
            }
        }
    }
    found.sort_by_key(|visited| std::cmp::Reverse(visited.times));
    found
}

fn refusal(pid: i32, why: String) -> Denied {
    let refused = ["not permitted", "Permission denied"].iter().any(|text| why.contains(text));
    let kind = if refused { std::io::ErrorKind::PermissionDenied } else { std::io::ErrorKind::Other };
    Denied { why, ..denial(pid, "python stacks", &kind.into()) }
}

fn traces(pid: i32, config: &Config) -> Result<(String, Vec<StackTrace>, PythonSpy), String> {
    let start = Instant::now();
    let mut last = String::new();
    let mut spy = None;
    let mut best: Option<(usize, Vec<StackTrace>)> = None;
    for attempt in 0..TRIES {
        if attempt > 0 {
            if start.elapsed() >= TRIES_WITHIN {
                break;
            }
            // The interpreter moves on meanwhile; there is nothing to wait on.
            std::thread::sleep(Duration::from_millis(5));
        }
        if spy.is_none() {
            match PythonSpy::new(pid, config) {
                Ok(attached) => spy = Some(attached),
                Err(error) => last = format!("{error:#}"),
            }
        }
        let Some(mut attached) = spy.take() else { continue };
        match attached.get_stack_traces() {
            Ok(traces) => {
                let torn = traces.iter().filter(|trace| is_torn(trace)).count();
                if best.as_ref().is_none_or(|(least, _)| torn < *least) {
                    best = Some((torn, traces));
                }
            }
            Err(error) => last = format!("{error:#}"),
        }
        spy = Some(attached);
        if best.as_ref().is_some_and(|(torn, _)| *torn == 0) {
            break;
        }
    }
    match (best, spy) {
        (Some((_, traces)), Some(spy)) => {
            let version = format!("{}.{}", spy.version.major, spy.version.minor);
            Ok((version, traces, spy))
        }
        _ => Err(last),
    }
}

/// A running thread whose stack ends in the middle: a generator's frame is not linked
/// to its caller while it is resumed. A thread that native code started ends in any
/// function of its own and is read again for nothing.
fn is_torn(trace: &StackTrace) -> bool {
    let ends_well = |frame: &py_spy::Frame| {
        matches!(plain_name(&frame.name), "<module>" | "_bootstrap" | "_run_module_as_main" | "__bootstrap")
    };
    trace.active && !trace.frames.last().is_some_and(ends_well)
}

/// Finds the kernel's thread of each Python thread.
fn place(result: &mut PythonRead, traces: Vec<StackTrace>) {
    let pid = result.pid;
    let live = thread_ids(pid);
    let mut ids: Vec<Option<i32>> =
        traces.iter().map(|trace| live.get(&u32::try_from(trace.os_thread_id?).ok()?).copied()).collect();
    if ids.iter().any(Option::is_none) && live.len() > 1 {
        let records: Vec<u64> = traces.iter().map(|trace| trace.thread_id).collect();
        if let Some(found) = ids_in_records(pid, &records, &live) {
            for (id, found) in ids.iter_mut().zip(found) {
                *id = id.or(Some(found));
            }
        }
    }
    if live.len() == 1 && traces.len() == 1 {
        ids = live.values().copied().map(Some).collect();
    }
    let lost = ids.iter().filter(|id| id.is_none()).count();
    if lost > 0 {
        let why = format!("{lost} Python threads could not be matched to kernel threads");
        let what = "python thread ids".to_owned();
        result.denied = Some(Denied { pid, what, why, command: None });
    }
    let stacks = ids.into_iter().zip(traces);
    result.stacks = stacks.filter_map(|(id, trace)| Some((id?, stack(trace)))).collect();
}

/// Reads the thread id from each C library thread record (`pthread_self`).
fn ids_in_records(pid: i32, records: &[u64], live: &HashMap<u32, i32>) -> Option<Vec<i32>> {
    let copies: Vec<Vec<u8>> = records
        .iter()
        .map(|address| {
            let mut bytes = vec![0; RECORD];
            let length = sys::read_remote(pid, *address, &mut bytes).unwrap_or(0);
            bytes.truncate(length);
            bytes
        })
        .collect();
    let at = |offset: usize| -> Option<Vec<i32>> {
        let mut distinct = BTreeSet::new();
        let ids = copies.iter().map(|copy| {
            let word = copy.get(offset..offset + 4)?.try_into().ok()?;
            live.get(&u32::from_ne_bytes(word)).copied().filter(|id| distinct.insert(*id))
        });
        ids.collect()
    };
    KNOWN_OFFSETS.into_iter().chain((0..RECORD - 4).step_by(4)).find_map(at)
}

fn stack(trace: StackTrace) -> PythonStack {
    PythonStack {
        thread_name: trace.thread_name,
        owns_gil: trace.owns_gil,
        tasks: Vec::new(),
        frames: trace.frames.into_iter().map(frame).collect(),
    }
}

fn frame(frame: py_spy::Frame) -> Frame {
    let local = |local: py_spy::stack_trace::LocalVariable| Local {
        name: local.name,
        value: local.repr.unwrap_or_default(),
        address: local.addr as u64,
    };
    Frame {
        function: plain_name(&frame.name).to_owned(),
        file: frame.filename,
        line: u32::try_from(frame.line).unwrap_or(0),
        locals: frame.locals.unwrap_or_default().into_iter().map(local).collect(),
    }
}

/// From 3.11 on names come qualified (`Thread.run`, `main.<locals>.inner`);
/// before they do not. The plain name is the same everywhere.
fn plain_name(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// Version of an interpreter by its path: `3.11` of `/usr/bin/python3.11`, an
/// empty text of `/usr/bin/python`; `None` for other programs.
pub(crate) fn version_of_path(path: &str) -> Option<String> {
    let name = path.trim_end_matches(" (deleted)").rsplit('/').next()?;
    version(name.strip_prefix("python")?)
}

/// The same by a mapped `libpython`.
pub(crate) fn version_of_maps(maps: &[u8]) -> Option<String> {
    let needle = b"/libpython";
    let at = maps.windows(needle.len()).position(|window| window == needle)?;
    let rest = &maps[at + needle.len()..];
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let name = String::from_utf8_lossy(&rest[..end]).into_owned();
    version(name.split(".so").next()?)
}

/// `3.11` of `3.11`, `3.11d` or `3.6m`; empty where there is no full version.
fn version(text: &str) -> Option<String> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    if !matches!(rest, "" | "d" | "m" | "dm" | "t" | "td" | "-dbg" | "-debug") {
        return None;
    }
    let mut parts = number.split('.');
    match (parts.next(), parts.next()) {
        (Some(major), Some(minor)) if !minor.is_empty() => Some(format!("{major}.{minor}")),
        _ => Some(String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpreters_are_known_by_name() {
        let of = |path: &str| version_of_path(path);
        assert_eq!(of("/usr/bin/python3.11").as_deref(), Some("3.11"));
        assert_eq!(of("/x/bin/python3.6m").as_deref(), Some("3.6"));
        assert_eq!(of("/usr/bin/python").as_deref(), Some(""));
        assert_eq!(of("/usr/bin/python3-config"), None);
        assert_eq!(of("/usr/bin/bash"), None);
        let maps = b"7f00-7f01 r-xp 0 0:0 1 /usr/lib/libpython3.12.so.1.0\n";
        assert_eq!(version_of_maps(maps).as_deref(), Some("3.12"));
        assert_eq!(version_of_maps(b"7f00 /usr/lib/libc.so.6\n"), None);
    }

    #[test]
    fn names_are_plain() {
        assert_eq!(plain_name("Thread.run"), "run");
        assert_eq!(plain_name("main.<locals>.<lambda>"), "<lambda>");
        assert_eq!(plain_name("<module>"), "<module>");
    }
}
