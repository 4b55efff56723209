//! One process: identity, threads with their waits, descriptors.
//!
//! Reading a command line, environment, memory map or remote memory takes the
//! target's memory lock, which a thread stuck in the kernel may hold for ever.
//! A process on which that happened is read again *carefully*: only files that
//! need no such lock.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::os::unix::fs::MetadataExt as _;

use defib_core::facts::{Denied, Process, Thread, Wait};

use super::descriptors::{self, Fills};
use crate::files::{self, Reader};
use crate::parse::{self, Image, Stat};
use crate::wait::{self, Surroundings};
use crate::{lockfile, python, sys};

/// Most threads read of one process.
const MOST_THREADS: usize = 2000;

/// How a process is read.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct How {
    pub(crate) in_tree: bool,
    pub(crate) careful: bool,
}

/// A process and what only the comparison with others needs.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) process: Process,
    pub(crate) image: Image,
    pub(crate) denied: Vec<Denied>,
}

/// Reads one process; `None` where it is gone.
pub(crate) fn read(pid: i32, how: How, wanted: Option<&dyn Fn(&str) -> bool>, fills: &mut Fills) -> Option<Seen> {
    let mut reader = Reader::default();
    let stat = parse::stat(reader.process(pid, "stat").ok()?)?;
    let mut process = identity(pid, &stat, how, &mut reader);
    let mut denied = Vec::new();
    let around = Around::new(pid, how.careful);
    if let Err(error) = threads(&mut process, &around, &mut reader) {
        denied.push(denial(pid, "waits", &error));
    }
    match descriptors::read(pid, wanted, fills, &mut reader) {
        Ok(found) => process.descriptors = found,
        Err(_) if stat.state == b'Z' => {}
        Err(error) => denied.push(denial(pid, "descriptors", &error)),
    }
    Some(Seen { process, image: stat.image, denied })
}

/// A refusal in words, with the command that would lift it.
pub(crate) fn denial(pid: i32, what: &str, error: &std::io::Error) -> Denied {
    let refused = error.kind() == std::io::ErrorKind::PermissionDenied;
    let command = ["sudo", "defib", "why"].map(str::to_owned).into_iter();
    Denied {
        pid,
        what: what.to_owned(),
        why: error.to_string(),
        command: (refused && !sys::is_root()).then(|| command.chain([pid.to_string()]).collect()),
    }
}

fn identity(pid: i32, stat: &Stat, how: How, reader: &mut Reader) -> Process {
    let status = reader.process(pid, "status").map(<[u8]>::to_vec).unwrap_or_default();
    let caught = parse::field(&status, "SigCgt").and_then(parse::hexadecimal).unwrap_or(0);
    let catches = |signal: i32| caught >> (signal - 1) & 1 == 1;
    let io = reader.process(pid, "io").ok().and_then(parse::io);
    let executable = files::link(&format!("/proc/{pid}/exe")).ok();
    let mut process = Process {
        pid,
        ppid: stat.ppid,
        pgid: stat.pgid,
        sid: stat.sid,
        start_ticks: stat.start_ticks,
        name: stat.name.clone(),
        command: Vec::new(),
        cwd: files::link(&format!("/proc/{pid}/cwd")).ok(),
        state: parse::state(stat.state),
        in_tree: how.in_tree,
        threads: Vec::new(),
        descriptors: Vec::new(),
        read_chars: io.map(|io| io.read_chars),
        written_chars: io.map(|io| io.written_chars),
        rss_bytes: stat.rss_pages.saturating_mul(sys::page_size()),
        python: executable.as_deref().and_then(python::version_of_path),
        executable,
        catches_sigterm: catches(libc::SIGTERM),
        heeds_signals: [libc::SIGUSR1, libc::SIGUSR2, libc::SIGCHLD, libc::SIGALRM, libc::SIGIO]
            .into_iter()
            .any(catches),
        catches_sigint: catches(libc::SIGINT),
        held_back: None,
        heap: None,
        forked_without_exec: false,
        unbuffered: None,
        wait_status: (stat.state == b'Z').then_some(stat.exit_status),
        tracer: parse::field(&status, "TracerPid").and_then(parse::signed).filter(|pid| *pid > 0),
    };
    if !how.careful {
        memory_facts(&mut process, reader);
    }
    process
}

/// What lies in the process's memory (and so takes its memory lock).
fn memory_facts(process: &mut Process, reader: &mut Reader) {
    let pid = process.pid;
    process.command = reader.process(pid, "cmdline").map(parse::strings).unwrap_or_default();
    let by_option = process.python.is_some() && has_option(&process.command, "u");
    // With these the interpreter does not read its variables.
    let ignores = process.python.is_some() && has_option(&process.command, "EI");
    process.unbuffered = match reader.process(pid, "environ") {
        _ if by_option => Some(true),
        Ok(environment) => Some(
            !ignores
                && environment
                    .split(|byte| *byte == 0)
                    .any(|variable| variable.strip_prefix(b"PYTHONUNBUFFERED=").is_some_and(|value| !value.is_empty())),
        ),
        Err(_) => None,
    };
    if process.python.is_none() && process.in_tree {
        let maps = reader.process(pid, "maps").unwrap_or_default();
        process.python = python::version_of_maps(maps);
    }
}

/// One of these letters among the interpreter's own options, also joined with others (`-Bu`).
fn has_option(command: &[String], wanted: &str) -> bool {
    let options = command.iter().skip(1).map_while(|word| word.strip_prefix('-'));
    options.take_while(|word| !word.starts_with('-')).any(|word| {
        // What follows these letters is their argument.
        word.chars().take_while(|letter| !"cmWX".contains(*letter)).any(|letter| wanted.contains(letter))
    })
}

fn threads(process: &mut Process, around: &Around, reader: &mut Reader) -> std::io::Result<()> {
    let pid = process.pid;
    let ticks = sys::ticks_per_second() as f64;
    let mut refused = Ok(());
    let mut tids = files::numbers(&format!("/proc/{pid}/task"))?;
    // Main thread first.
    tids.sort_by_key(|tid| (*tid != pid, *tid));
    for tid in tids.into_iter().take(MOST_THREADS) {
        let Some(stat) = reader.thread(pid, tid, "stat").ok().and_then(parse::stat) else {
            continue;
        };
        let switches = reader.thread(pid, tid, "status").map(parse::switches).unwrap_or(0);
        let wchan = reader.thread(pid, tid, "wchan").ok().map(String::from_utf8_lossy);
        let wchan = wchan.map(String::from).filter(|name| !name.is_empty() && name != "0");
        let state = parse::state(stat.state);
        let call = reader.thread(pid, tid, "syscall").map(parse::call);
        let call = call.unwrap_or_else(|error| {
            if !matches!(stat.state, b'Z' | b'X' | b'x' | b'R') {
                refused = Err(error);
            }
            None
        });
        let wait: Wait = wait::decode(state, call, &around.of(wchan.as_deref()));
        process.threads.push(Thread {
            tid,
            name: stat.name,
            state,
            wait,
            wchan,
            cpu_s: stat.ticks as f64 / ticks,
            switches,
            python: None,
        });
    }
    refused
}

/// Answers the decoder's questions about one process.
struct Around {
    pid: i32,
    careful: bool,
    threads: OnceCell<HashMap<u32, i32>>,
}

impl Around {
    fn new(pid: i32, careful: bool) -> Self {
        Self { pid, careful, threads: OnceCell::new() }
    }

    fn of<'a>(&'a self, wchan: Option<&'a str>) -> AroundThread<'a> {
        AroundThread { process: self, wchan }
    }
}

struct AroundThread<'a> {
    process: &'a Around,
    wchan: Option<&'a str>,
}

impl Surroundings for AroundThread<'_> {
    fn read(&self, address: u64, buffer: &mut [u8]) -> bool {
        !self.process.careful && sys::read_remote(self.process.pid, address, buffer).is_ok_and(|n| n == buffer.len())
    }

    fn is_socket(&self, fd: i32) -> bool {
        files::link(&format!("/proc/{}/fd/{fd}", self.process.pid)).is_ok_and(|link| link.starts_with("socket:"))
    }

    fn watched(&self, epoll: i32) -> Vec<(i32, u32)> {
        let mut reader = Reader::default();
        let name = format!("fdinfo/{epoll}");
        reader.process(self.process.pid, &name).map(parse::epoll_watched).unwrap_or_default()
    }

    fn thread(&self, tid: u32) -> Option<i32> {
        let threads = self.process.threads.get_or_init(|| thread_ids(self.process.pid));
        threads.get(&tid).copied()
    }

    fn lock_owner(&self, fd: i32) -> Option<i32> {
        let facts = std::fs::metadata(format!("/proc/{}/fd/{fd}", self.process.pid)).ok()?;
        lockfile::holder(facts.dev(), facts.ino())
    }

    fn now(&self, clock: i32) -> f64 {
        sys::clock_s(clock)
    }

    fn wchan(&self) -> Option<&str> {
        self.wchan
    }
}

/// Live threads: their id as the process itself sees it (its own pid
/// namespace), to their id here.
pub(crate) fn thread_ids(pid: i32) -> HashMap<u32, i32> {
    let mut reader = Reader::default();
    let mut inner = |tid: i32| {
        let status = reader.thread(pid, tid, "status").ok()?;
        let names = parse::field(status, "NSpid")?;
        let last = names.split(u8::is_ascii_whitespace).next_back()?;
        u32::try_from(parse::number(last)?).ok()
    };
    let namespaced = inner(pid).is_some_and(|own| own != pid as u32);
    let tids = files::numbers(&format!("/proc/{pid}/task")).unwrap_or_default();
    tids.into_iter().filter_map(|tid| Some((if namespaced { inner(tid)? } else { tid as u32 }, tid))).collect()
}

/// True where the two have the same program image: the kernel draws its stack
/// and argument addresses, and 16 random bytes on that stack, anew at each exec.
pub(crate) fn same_image(one: (i32, Image), other: (i32, Image), careful: bool) -> bool {
    if one.1 != other.1 || one.1.arg_start == 0 || one.1.start_stack == 0 {
        return false;
    }
    // Without address randomisation equal addresses prove nothing.
    if careful {
        return true;
    }
    match (random_bytes(one.0), random_bytes(other.0)) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    }
}

/// The bytes that `AT_RANDOM` points to.
fn random_bytes(pid: i32) -> Option<[u8; 16]> {
    let mut reader = Reader::default();
    let vector = reader.process(pid, "auxv").ok()?;
    let word = |bytes: &[u8]| bytes.try_into().map(u64::from_ne_bytes).ok();
    let address = vector
        .chunks_exact(16)
        .find_map(|entry| (word(&entry[..8])? == libc::AT_RANDOM).then(|| word(&entry[8..]))?)?;
    let mut bytes = [0; 16];
    (sys::read_remote(pid, address, &mut bytes).ok()? == bytes.len()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::has_option;

    #[test]
    fn only_the_interpreters_own_option_counts() {
        let has = |line: &str| has_option(&line.split(' ').map(str::to_owned).collect::<Vec<_>>(), "u");
        assert!(has("python -u a.py") && has("python -Bu a.py") && has("python -B -u a.py"));
        assert!(!has("python a.py -u") && !has("python -munittest") && !has("python -m u"));
        assert!(!has("python --useless") && !has("python"));
    }
}
