//! Starts the program of a run: fork and exec by hand.
//!
//! By hand, because the shim wants the exact errno and step of a failure, its own
//! session, a parent-death signal that cannot be raced, and a child that inherits
//! nothing but its three standard descriptors, and the line to who started it if it has
//! one. Everything the child needs is laid
//! out before the fork; between fork and exec it makes plain system calls only.
#![allow(unsafe_code, reason = "fork and exec with steps that std's Command does not offer")]

use std::ffi::{CString, OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::ptr;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

use crate::link::wait_for;
use crate::mark::mark_of;
use crate::spec::{RUN_VARIABLE, ShimSpec};

/// The program could not be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotStarted {
    pub(crate) errno: i32,
    pub(crate) step: &'static str,
    pub(crate) path: String,
}

impl NotStarted {
    fn new(error: &io::Error, step: &'static str, path: impl Into<String>) -> Self {
        Self { errno: error.raw_os_error().unwrap_or(libc::EIO), step, path: path.into() }
    }
}

/// Descriptors of the program; `None` leaves ours in place.
pub(crate) struct Standard {
    pub(crate) descriptors: [Option<OwnedFd>; 3],
    /// Which of them is the terminal that shall control its session.
    pub(crate) controlling: Option<usize>,
    /// A fourth descriptor that it inherits, under the number it has here.
    pub(crate) line: Option<OwnedFd>,
}

/// A program that runs.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) pid: i32,
    /// It could not be put into its cgroup.
    pub(crate) cgroup_error: Option<io::Error>,
}

/// What the child tells over the pipe; a successful exec closes it without a word.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Step {
    Prepare = 1,
    Cgroup = 2,
    Directory = 3,
    Execute = 4,
}

const SHELL: &std::ffi::CStr = c"/bin/sh";

/// Everything the child needs, laid out before the fork.
struct Plan {
    candidates: Vec<CString>,
    /// Argument pointers, null-terminated, with a free first place: for a script
    /// without `#!` that place and the next become `/bin/sh` and the script.
    arguments: Vec<*const libc::c_char>,
    environment: Vec<*const libc::c_char>,
    directory: CString,
    cgroup: Option<CString>,
    mark: Option<u64>,
    descriptors: [RawFd; 3],
    controlling: Option<RawFd>,
    line: RawFd,
    parent: libc::pid_t,
    report: RawFd,
}

/// Starts the program.
///
/// # Errors
/// What failed, at which step, and the path concerned.
pub(crate) fn start(
    spec: &ShimSpec,
    standard: Standard,
    extra_env: &[(&str, &str)],
    supervisor: BorrowedFd<'_>,
) -> Result<Job, NotStarted> {
    let text = |bytes: &OsStr| {
        CString::new(bytes.as_bytes()).map_err(|_| NotStarted {
            errno: libc::EINVAL,
            step: "read the command",
            path: bytes.to_string_lossy().into_owned(),
        })
    };
    let environment = environment_of(spec, extra_env);
    let search = environment.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value);
    let program = spec.command.first().map_or("", String::as_str);
    let candidates = candidates_of(program, search.map(OsString::as_os_str));
    let arguments: Vec<CString> = spec.command.iter().map(|word| text(OsStr::new(word))).collect::<Result<_, _>>()?;
    let environment: Vec<CString> = environment
        .into_iter()
        .filter_map(|(mut name, value)| {
            name.push("=");
            name.push(value);
            CString::new(name.into_vec()).ok()
        })
        .collect();
    let (report_read, report) =
        pipe_with(PipeFlags::CLOEXEC).map_err(|error| NotStarted::new(&error.into(), "open a pipe", ""))?;
    let descriptor = |index: usize| standard.descriptors[index].as_ref().map_or(-1, |fd| fd.as_raw_fd());
    let mut plan = Plan {
        candidates: candidates.iter().map(|path| text(path.as_os_str())).collect::<Result<_, _>>()?,
        arguments: [ptr::null()].into_iter().chain(pointers(&arguments)).collect(),
        environment: pointers(&environment).collect(),
        directory: text(spec.cwd.as_os_str())?,
        cgroup: spec.cgroup.as_ref().map(|group| text(group.join("cgroup.procs").as_os_str())).transpose()?,
        mark: spec.mark.then(|| mark_of(&spec.run)),
        descriptors: [descriptor(0), descriptor(1), descriptor(2)],
        controlling: standard.controlling.map(|index| index as RawFd),
        line: standard.line.as_ref().map_or(-1, AsRawFd::as_raw_fd),
        parent: std::process::id() as libc::pid_t,
        report: report.as_raw_fd(),
    };
    // SAFETY: the shim has one thread at this point, and the child calls nothing but
    // async-signal-safe functions on memory laid out above.
    let pid = unsafe {
        match libc::fork() {
            -1 => return Err(NotStarted::new(&io::Error::last_os_error(), "fork", "")),
            0 => run_child(&mut plan),
            pid => pid,
        }
    };
    drop(report);
    drop(standard);
    wait_for_exec(report_read.as_fd(), supervisor, pid);
    let mut told = Vec::new();
    // An error here reads as no failure; the exit status then tells.
    let _ = File::from(report_read).read_to_end(&mut told);
    outcome(spec, pid, &told, &candidates)
}

/// How long a child may take to get to exec once the supervisor wants something.
const EXEC_WITHIN: Duration = Duration::from_secs(1);

/// Waits until the child has executed or failed. Somebody may have stopped it before
/// that, or its program lies on a disk that does not answer: as soon as the supervisor
/// asks for anything, or is gone, it has a second left. Its end is then told as usual.
fn wait_for_exec(report: BorrowedFd<'_>, supervisor: BorrowedFd<'_>, pid: i32) {
    let both =
        &mut [PollFd::from_borrowed_fd(report, PollFlags::IN), PollFd::from_borrowed_fd(supervisor, PollFlags::IN)];
    while let Err(Errno::INTR) = poll(both, None) {}
    let deadline = Some(Instant::now() + EXEC_WITHIN);
    if both[0].revents().is_empty() && !wait_for(report, PollFlags::IN, deadline) {
        // It is our child and not reaped: the pid is its own.
        let pid = rustix::process::Pid::from_raw(pid);
        let _ = pid.map(|pid| rustix::process::kill_process(pid, rustix::process::Signal::KILL));
    }
}

pub(crate) fn pointers(texts: &[CString]) -> impl Iterator<Item = *const libc::c_char> {
    texts.iter().map(|text| text.as_ptr()).chain([ptr::null()])
}

fn environment_of(spec: &ShimSpec, extra: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    let mut all: std::collections::BTreeMap<OsString, OsString> = std::env::vars_os().collect();
    for name in &spec.unset_env {
        all.remove(OsStr::new(name));
    }
    let set = spec.set_env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let run = [(RUN_VARIABLE, spec.run.as_str())];
    for (name, value) in set.chain(extra.iter().copied()).chain(run) {
        all.insert(name.into(), value.into());
    }
    all.into_iter().collect()
}

/// The paths `execvp(3)` would try.
fn candidates_of(program: &str, search: Option<&OsStr>) -> Vec<PathBuf> {
    if program.is_empty() || program.contains('/') {
        return vec![PathBuf::from(program)];
    }
    let search = search.unwrap_or(OsStr::new("/bin:/usr/bin"));
    let folders = search.as_bytes().split(|&byte| byte == b':');
    folders
        .map(|folder| if folder.is_empty() { b"." } else { folder })
        .map(|folder| Path::new(OsStr::from_bytes(folder)).join(program))
        .collect()
}

/// Reads what the child told; each report is a step, an index and an errno.
fn outcome(spec: &ShimSpec, pid: i32, told: &[u8], candidates: &[PathBuf]) -> Result<Job, NotStarted> {
    let mut job = Job { pid, cgroup_error: None };
    for report in told.chunks_exact(6) {
        let errno = i32::from_le_bytes([report[2], report[3], report[4], report[5]]);
        let (step, path) = match report[0] {
            step if step == Step::Cgroup as u8 => {
                job.cgroup_error = Some(io::Error::from_raw_os_error(errno));
                continue;
            }
            step if step == Step::Directory as u8 => ("change directory", spec.cwd.display().to_string()),
            step if step == Step::Execute as u8 => {
                let tried = candidates.get(usize::from(report[1]));
                execute_failure(spec, errno, candidates, tried)
            }
            _ => ("prepare", spec.command[0].clone()),
        };
        let _ = crate::sys::reap_blocking(pid);
        return Err(NotStarted { errno, step, path });
    }
    Ok(job)
}

fn execute_failure(
    spec: &ShimSpec,
    errno: i32,
    candidates: &[PathBuf],
    tried: Option<&PathBuf>,
) -> (&'static str, String) {
    if errno == libc::ENOENT {
        // The file is there: what is missing is what shall run it.
        let existing = candidates.iter().map(|path| spec.cwd.join(path)).find(|path| path.is_file());
        return match existing.as_deref().and_then(interpreter_of) {
            Some(interpreter) => ("execute the interpreter", interpreter),
            None => ("execute", spec.command[0].clone()),
        };
    }
    let tried = tried.map(|path| path.display().to_string());
    ("execute", tried.unwrap_or_else(|| spec.command[0].clone()))
}

/// The interpreter a script names after `#!`.
fn interpreter_of(script: &Path) -> Option<String> {
    let mut start = Vec::new();
    fs::File::open(script).ok()?.take(512).read_to_end(&mut start).ok()?;
    let line = start.strip_prefix(b"#!")?.split(|&byte| byte == b'\n').next()?;
    let text = String::from_utf8_lossy(line);
    // A carriage return at the end is a frequent reason why it is missing: keep it visible.
    let name = text.trim_start_matches([' ', '\t']).split([' ', '\t']).next()?;
    Some(name.escape_debug().to_string())
}

/// In the child: everything up to exec. Async-signal-safe only.
///
/// # Safety
/// Only between fork and exec, with the pointers in `plan` valid.
unsafe fn run_child(plan: &mut Plan) -> ! {
    // SAFETY: all of these are async-signal-safe calls on memory that is laid out.
    unsafe {
        prepare_child(plan);
        enter_cgroup(plan);
        if libc::chdir(plan.directory.as_ptr()) < 0 {
            fail(plan, Step::Directory, 0);
        }
        reset_signals();
        libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
        if plan.line >= 0 {
            libc::fcntl(plan.line, libc::F_SETFD, 0);
        }
        execute(plan)
    }
}

unsafe fn prepare_child(plan: &Plan) {
    // SAFETY: plain system calls with values.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        if libc::getppid() != plan.parent {
            libc::_exit(125); // The shim died before it could take us with it.
        }
        libc::setsid();
        for (target, &source) in plan.descriptors.iter().enumerate() {
            if source >= 0 && libc::dup2(source, target as RawFd) < 0 {
                fail(plan, Step::Prepare, 0);
            }
        }
        if let Some(terminal) = plan.controlling
            && libc::ioctl(terminal, libc::TIOCSCTTY, 0) < 0
        {
            fail(plan, Step::Prepare, 0);
        }
        if let Some(mark) = plan.mark {
            let mut limit: libc::rlimit = std::mem::zeroed();
            if libc::getrlimit(libc::RLIMIT_MSGQUEUE, &raw mut limit) == 0 && mark <= limit.rlim_max {
                limit.rlim_cur = mark;
                libc::setrlimit(libc::RLIMIT_MSGQUEUE, &raw const limit);
            }
        }
    }
}

unsafe fn enter_cgroup(plan: &Plan) {
    let Some(path) = &plan.cgroup else { return };
    // SAFETY: plain system calls; the path is a valid C string.
    unsafe {
        let file = libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        if file < 0 || libc::write(file, c"0".as_ptr().cast(), 1) < 0 {
            tell(plan, Step::Cgroup, 0);
        }
        if file >= 0 {
            libc::close(file);
        }
    }
}

unsafe fn reset_signals() {
    // SAFETY: a zeroed sigaction of the kernel (at most four words) is SIG_DFL without
    // flags; KILL and STOP fail harmlessly. The raw call, because libc refuses those it
    // keeps for itself, and some parents leave them ignored.
    unsafe {
        let action = [0_u64; 4];
        for signal in 1..=64 {
            let none = ptr::null_mut::<u64>();
            libc::syscall(libc::SYS_rt_sigaction, signal, action.as_ptr(), none, 8);
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
    }
}

/// Tries the candidates the way `execvp(3)` does.
unsafe fn execute(plan: &mut Plan) -> ! {
    let searched = plan.candidates.len() > 1;
    let mut denied = None;
    let mut index = 0;
    // SAFETY: the vectors are null-terminated arrays of valid C strings.
    unsafe {
        while index < plan.candidates.len() {
            let path = plan.candidates[index].as_ptr();
            libc::execve(path, plan.arguments[1..].as_ptr(), plan.environment.as_ptr());
            match *libc::__errno_location() {
                // A folder of the search path that may not be looked into holds nothing for us.
                libc::EACCES if searched && libc::access(path, libc::F_OK) < 0 => {}
                libc::EACCES => denied = denied.or(Some(index)),
                libc::ENOENT | libc::ENOTDIR | libc::ESTALE | libc::ENODEV | libc::ETIMEDOUT => {}
                libc::ENOEXEC if is_text(path) => {
                    plan.arguments[0] = SHELL.as_ptr();
                    plan.arguments[1] = path;
                    libc::execve(SHELL.as_ptr(), plan.arguments.as_ptr(), plan.environment.as_ptr());
                    fail(plan, Step::Execute, index);
                }
                _ => fail(plan, Step::Execute, index),
            }
            index += 1;
        }
        if let Some(index) = denied {
            *libc::__errno_location() = libc::EACCES;
            fail(plan, Step::Execute, index);
        }
        *libc::__errno_location() = libc::ENOENT;
        fail(plan, Step::Execute, 0)
    }
}

/// A file without `#!` is given to the shell only if it has no NUL at its start: a
/// program for another machine would make the shell print rubbish. Keeps errno.
unsafe fn is_text(path: *const libc::c_char) -> bool {
    // SAFETY: plain system calls into a buffer on the stack.
    unsafe {
        let errno = *libc::__errno_location();
        let mut start = [0_u8; 128];
        let file = libc::open(path, libc::O_RDONLY | libc::O_CLOEXEC);
        let read = if file < 0 { -1 } else { libc::read(file, start.as_mut_ptr().cast(), start.len()) };
        if file >= 0 {
            libc::close(file);
        }
        *libc::__errno_location() = errno;
        read > 0 && !start[..read as usize].contains(&0)
    }
}

unsafe fn tell(plan: &Plan, step: Step, index: usize) {
    // SAFETY: writes six bytes from the stack to our own pipe.
    unsafe {
        let errno = (*libc::__errno_location()).to_le_bytes();
        let report = [step as u8, index.min(255) as u8, errno[0], errno[1], errno[2], errno[3]];
        libc::write(plan.report, report.as_ptr().cast(), report.len());
    }
}

unsafe fn fail(plan: &Plan, step: Step, index: usize) -> ! {
    // SAFETY: as for `tell`; _exit runs no destructors.
    unsafe {
        tell(plan, step, index);
        libc::_exit(127)
    }
}
