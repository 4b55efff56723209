//! How facts are put into words, and the questions most causes ask.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::case::Study;
use crate::cause::{Fact, Finding, Group, Sign};
use crate::event::Sender;
use crate::facts::{Frame, Process, Target, Thread};
use crate::log::{Exception, TraceFrame};
use crate::pattern::pattern;
use crate::place::{innermost_user_trace, of_trace};
use crate::redact::redact;
use crate::report::Place;
use crate::waits::{Limit, Node, NodeId, Purpose};

/// A command as a person calls it: the script's name for an interpreter, else
/// the program's, with the first words of what follows.
#[must_use]
pub fn short_command(command: &[String]) -> String {
    let Some(program) = command.first() else {
        return "the program".to_owned();
    };
    let base = base_name(program);
    let interpreter =
        ["python", "pypy", "bash", "sh", "dash", "node", "perl", "ruby"].iter().any(|name| base.starts_with(name));
    if !interpreter {
        return base.to_owned();
    }
    let mut rest = command.iter().skip(1);
    while let Some(word) = rest.next() {
        match word.as_str() {
            "-m" => {
                return rest.next().map_or_else(|| base.to_owned(), |module| format!("{base} -m {module}"));
            }
            "-c" => return format!("{base} -c …"),
            "-W" | "-X" => {
                rest.next();
            }
            flag if flag.starts_with('-') => {}
            script => return base_name(script).to_owned(),
        }
    }
    base.to_owned()
}

/// Last part of a path.
#[must_use]
pub fn base_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// A process in words: `track.py (pid 4127)`.
#[must_use]
pub fn process_name(process: &Process) -> String {
    let name = if process.command.is_empty() { process.name.clone() } else { short_command(&process.command) };
    format!("{name} (pid {})", process.pid)
}

/// A thread in words, within its process.
#[must_use]
pub fn thread_name(thread: &Thread, process: &Process) -> String {
    let given = thread.python.as_ref().and_then(|stack| stack.thread_name.clone());
    match given {
        _ if thread.tid == process.pid => "main thread".to_owned(),
        Some(name) if !name.is_empty() => format!("thread {name}"),
        _ => format!("thread {} ({})", thread.tid, thread.name),
    }
}

/// A number of bytes with thousands separated: `64,784`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A size: `512 MiB`, `22.4 GiB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 || value >= 100.0 {
        format!("{value:.0} {}", UNITS[unit])
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

/// A span of time: `0.4 s`, `12 s`, `3 min 5 s`.
#[must_use]
pub fn seconds(seconds: f64) -> String {
    let whole = seconds.round();
    if seconds < 10.0 {
        format!("{seconds:.1} s")
    } else if whole < 120.0 {
        format!("{whole:.0} s")
    } else if whole < 7200.0 {
        format!("{} min {} s", (whole / 60.0).floor(), whole % 60.0)
    } else {
        format!("{} h {} min", (whole / 3600.0).floor(), ((whole % 3600.0) / 60.0).floor())
    }
}

/// Name of a signal number.
#[must_use]
pub fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        10 => "SIGUSR1",
        11 => "SIGSEGV",
        12 => "SIGUSR2",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        _ => return format!("signal {signal}"),
    };
    name.to_owned()
}

/// Who sent a signal, in words.
#[must_use]
pub fn sender_name(sender: &Sender) -> String {
    match (&sender.command, sender.pid) {
        (_, 0) => "the terminal (Ctrl+C or a closed window)".to_owned(),
        (Some(command), pid) => format!("{command} (pid {pid}, uid {})", sender.uid),
        (None, pid) => format!("pid {pid} (uid {}), which is gone", sender.uid),
    }
}

/// A line of text cut to a readable length.
#[must_use]
pub fn cut(text: &str, longest: usize) -> String {
    let text = text.trim();
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    let kept: String = text.chars().take(longest.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// A command line on one line, without secrets, cut to a readable length.
#[must_use]
pub fn one_line(command: &str, longest: usize) -> String {
    let line: Vec<&str> = command.split(|letter: char| letter.is_whitespace() || letter.is_control()).collect();
    let line = line.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    cut(&redact(&line), longest)
}

/// The log says this: evidence with the line quoted.
#[must_use]
pub fn quoted(text: &str) -> Fact {
    Fact::new("log", cut(text, 300))
}

/// A frame in words: `track.py:58 main`.
#[must_use]
pub fn frame_name(frame: &Frame) -> String {
    format!("{}:{} {}", base_name(&frame.file), frame.line, frame.function)
}

/// The place where the exception that began the trouble left the user's code.
#[must_use]
pub fn trace_place(frames: &[TraceFrame]) -> Option<Place> {
    innermost_user_trace(frames).map(of_trace)
}

/// The exception where the trouble began and the rest of its chain, in order.
#[must_use]
pub fn exceptions<'a>(study: &Study<'a>) -> Vec<&'a Exception> {
    study.root_traceback().map(|traceback| traceback.chain.iter().collect()).unwrap_or_default()
}

/// Where a sentence stood.
pub enum Told<'a> {
    /// It is the message of an exception that ended the program.
    Exception(&'a Exception),
    /// It is a line near the end of the log.
    Line(&'a str),
}

impl Told<'_> {
    /// The sentence.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Exception(exception) => exception.headline(),
            Self::Line(line) => (*line).to_owned(),
        }
    }

    /// Where in the user's code.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        match self {
            Self::Exception(exception) => trace_place(&exception.frames),
            Self::Line(_) => None,
        }
    }

    /// Rank among proofs: an exception's message before a mere line.
    #[must_use]
    pub fn rank(&self) -> i32 {
        match self {
            Self::Exception(_) => 10,
            Self::Line(_) => 30,
        }
    }

    /// A finding whose first evidence is the sentence itself.
    #[must_use]
    pub fn proof(&self, explanation: impl Into<String>) -> Finding {
        Finding::proof(explanation, vec![quoted(&self.text())]).place(self.place()).rank(self.rank())
    }
}

/// Looks for a sentence in the exceptions that ended the program, then in the
/// lines about the end. A program that stands, or ended well, is not judged by
/// what it printed.
#[must_use]
pub fn told<'a>(study: &Study<'a>, pattern: &Regex) -> Option<(Told<'a>, Captures<'a>)> {
    let dead_worker = study.was_standing() && study.root_trace.is_some();
    if !dead_worker && (study.was_standing() || !study.failed()) {
        return None;
    }
    let chain = study.root_traceback().map(|traceback| &traceback.chain);
    for exception in chain.into_iter().flatten() {
        let line = &study.case.log.lines[exception.line].text;
        let further = exception.message.lines().skip(1);
        if let Some(found) = std::iter::once(line.as_str()).chain(further).find_map(|text| pattern.captures(text)) {
            return Some((Told::Exception(exception), found));
        }
    }
    told_by_line(study, pattern)
}

/// Looks only at lines near the end that are not part of another story.
#[must_use]
pub fn told_by_line<'a>(study: &Study<'a>, pattern: &Regex) -> Option<(Told<'a>, Captures<'a>)> {
    if study.was_standing() || !study.failed() {
        return None;
    }
    let after = study.root_traceback().map_or(0, |traceback| traceback.first_line.saturating_sub(3));
    let inside = |index: usize| {
        study.case.log.tracebacks.iter().any(|traceback| {
            (traceback.first_line..traceback.end_line).contains(&index)
                && !traceback.chain.iter().any(|exception| exception.line == index)
        })
    };
    let lines = study.case.log.lines.iter().enumerate().rev().take_while(|(index, _)| *index >= after);
    let mut near = lines.filter(|(index, _)| study.is_near_end(*index) && !inside(*index));
    let found = near.find_map(|(_, line)| Some((line.text.as_str(), pattern.captures(&line.text)?)));
    found.map(|(line, captures)| (Told::Line(line), captures))
}

/// The interpreter or program that was started, as a person would type it.
#[must_use]
pub fn program(study: &Study<'_>) -> String {
    study.case.command.first().cloned().unwrap_or_else(|| "python3".to_owned())
}

/// Stuck nodes of the verdict.
pub fn stuck<'s>(study: &'s Study<'_>) -> impl Iterator<Item = NodeId> + 's {
    study.verdict.iter().flat_map(|verdict| verdict.stuck.iter().copied())
}

/// How often a node was seen unchanged: `the same in 3 of 3 looks over 2 s`.
#[must_use]
pub fn steadiness(study: &Study<'_>, node: &Node<'_>) -> Option<Fact> {
    let graph = study.graph.as_ref()?;
    (graph.looks > 1).then(|| {
        Fact::new(
            "waits",
            format!("the same in {} of {} looks over {}", node.unchanged, graph.looks, seconds(graph.span_s)),
        )
        .of(node.process.pid)
    })
}

/// A wait in words: `waits in read for bytes from a pipe`.
#[must_use]
pub fn wait_words(node: &Node<'_>) -> String {
    let what = match &node.purpose {
        Purpose::Active => "computes".to_owned(),
        Purpose::Sleep if node.polls => "sleeps and wakes in a loop".to_owned(),
        Purpose::Sleep => "sleeps".to_owned(),
        Purpose::Child(Some(pid)) if *pid > 0 => format!("waits for process {pid} to end"),
        Purpose::Child(_) => "waits for a child process to end".to_owned(),
        Purpose::PipeRead { fd, .. } => format!("reads a pipe (descriptor {fd})"),
        Purpose::PipeWrite { fd, .. } => format!("waits in write to {}", stream_words(*fd)),
        Purpose::Any(fds) => format!("waits for any of {} descriptors", fds.len()),
        Purpose::Receive { fd } => {
            format!("waits for data from {}", socket_words(node.process, *fd))
        }
        Purpose::Send { fd } => format!("waits to send to {}", socket_words(node.process, *fd)),
        Purpose::Connect { fd } => format!("waits for a connection to {}", socket_words(node.process, *fd)),
        Purpose::Clients => "waits for clients".to_owned(),
        Purpose::Lock => match &node.wants {
            Some(lock) => format!("waits for the lock {}", lock.name),
            None => "waits for a lock".to_owned(),
        },
        Purpose::Join => "waits for a thread to end".to_owned(),
        Purpose::Notify => "waits for a queue, event or condition".to_owned(),
        Purpose::Future => "waits for a result".to_owned(),
        Purpose::Helper => "is a helper at rest".to_owned(),
        Purpose::LoopIdle => "runs an event loop with nothing to do".to_owned(),
        Purpose::TerminalRead { .. } => "waits for something to be typed".to_owned(),
        Purpose::TerminalWrite { .. } => "waits to write to a terminal".to_owned(),
        Purpose::Input { .. } => "waits for input".to_owned(),
        Purpose::Signal => "waits for a signal".to_owned(),
        Purpose::FileLock { .. } => match &node.wants {
            Some(lock) => format!("waits for the file lock of {}", lock.name),
            None => "waits for a file lock".to_owned(),
        },
        Purpose::LockFile { path } => format!("waits in a loop for the lock file {path} to go away"),
        Purpose::Device { .. } => "waits for a device".to_owned(),
        Purpose::Native => "waits inside native code".to_owned(),
        Purpose::Stopped => "is stopped".to_owned(),
        Purpose::Interpreter => "waits for the interpreter lock".to_owned(),
        Purpose::Traced => "is held by a debugger".to_owned(),
        Purpose::Unreadable => "cannot be read".to_owned(),
        Purpose::Other(call) => format!("waits in {call}"),
    };
    match node.limit {
        Limit::Bounded { left_s: Some(left), .. } if node.purpose != Purpose::Active => {
            format!("{what} (gives up in {})", seconds(left))
        }
        _ => what,
    }
}

/// Standard streams by name.
#[must_use]
pub fn stream_words(fd: i32) -> String {
    match fd {
        0 => "its standard input".to_owned(),
        1 => "its standard output".to_owned(),
        2 => "its error output".to_owned(),
        fd => format!("a pipe (descriptor {fd})"),
    }
}

/// A socket by its other end.
#[must_use]
pub fn socket_words(process: &Process, fd: i32) -> String {
    match process.descriptor(fd).map(|descriptor| &descriptor.target) {
        Some(Target::Socket { socket: Some(socket), .. }) => match &socket.remote {
            Some(remote) => format!("{} ({}, {})", remote, socket.protocol, socket.state),
            None if socket.local.is_empty() => format!("a {} socket", socket.protocol),
            None => format!("{} ({})", socket.local, socket.protocol),
        },
        _ => format!("a socket (descriptor {fd})"),
    }
}

/// A node with its wait and place as one fact.
#[must_use]
pub fn node_fact(node: &Node<'_>) -> Fact {
    let at = node.frame.map(|frame| format!(", at {}", frame_name(frame))).unwrap_or_default();
    let says = format!(
        "{} of {} {}{at}",
        thread_name(node.thread, node.process),
        process_name(node.process),
        wait_words(node)
    );
    Fact::new("waits", says).of(node.process.pid).thread(thread_name(node.thread, node.process))
}

/// The place of a node in the user's code.
#[must_use]
pub fn node_place(node: &Node<'_>) -> Option<Place> {
    node.frame.map(crate::place::of_frame)
}

/// A line near the end that logs an HTTP answer with one of these statuses, before
/// an error that comes of reading the answer as if it were another.
#[must_use]
pub fn logged_status<'a>(study: &Study<'a>, statuses: &[u16]) -> Option<&'a str> {
    static STATUS: LazyLock<Regex> = LazyLock::new(|| {
        pattern(
            r#"(?:HTTP/[\d.]+"?:?|status(?:[ _-]?code)?\W{1,3}|HTTP (?:status )?|-> |returned |response |answer(?:ed)? |\()\s?(?P<status>[45]\d\d)\b"#,
        )
    });
    const READING: [&str; 7] = [
        "KeyError",
        "TypeError",
        "IndexError",
        "AttributeError",
        "JSONDecodeError",
        "ValueError",
        "UnidentifiedImageError",
    ];
    let reading = exceptions(study).iter().any(|exception| READING.contains(&exception.name()));
    if study.was_standing() || !study.failed() || !reading {
        return None;
    }
    let before = study.root_traceback().map_or(usize::MAX, |traceback| traceback.first_line);
    let lines = study.case.log.lines.iter().enumerate().filter(|(index, _)| *index < before);
    lines.rev().take(15).find_map(|(_, line)| {
        let found = STATUS.captures(&line.text)?;
        statuses.contains(&found["status"].parse().ok()?).then_some(line.text.as_str())
    })
}

/// A weighed finding from such a line.
#[must_use]
pub fn by_logged_status(study: &Study<'_>, statuses: &[u16], what: &str) -> Option<Finding> {
    let line = logged_status(study, statuses)?;
    let last = exceptions(study).first().map(|exception| exception.headline()).unwrap_or_default();
    let facts = vec![quoted(line), quoted(&format!("then: {last}"))];
    let signs = vec![Sign::seen(Group::Log, "such an answer was logged before an error of reading it")];
    Some(Finding::signs(
        signs,
        format!("{what}, and the program read the answer as if it were a good one: {}", cut(line, 120)),
        facts,
    ))
}
