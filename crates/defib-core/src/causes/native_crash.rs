//! SIGSEGV, SIGABRT, SIGBUS or SIGFPE in native code, and none of the more specific causes.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::{End, Study};
use crate::cause::{Cause, Fact, Finding};
use crate::log::FaultDump;
use crate::pattern::pattern;
use crate::telling::{cut, quoted, signal_name};
use crate::waits::Grade;
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "native-crash",
    title: "Native code crashed",
    what: "SIGSEGV, SIGABRT, SIGBUS or SIGFPE in native code, and none of the more specific causes.",
    settled_by: "The signal, the faulthandler text, and the library that the kernel line names.",
    taken_for: "unhandled-exception",
    by_hand: &["PYTHONFAULTHANDLER=1; dmesg: the library in the segfault line"],
    remedies: &["another version of that library; a smaller input that crashes alone"],
    remedy: Remedy::Fresh,
    judge,
};

const CRASHES: [i32; 6] = [11, 6, 7, 8, 5, 31];

static WORDS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^terminate called (?:after throwing|without an active)|^(?:free|malloc|realloc|corrupted size|double free|munmap_chunk|malloc_consolidate)\S*.*(?:invalid|corrupt|detected)",
        r"|^\*\*\* (?:stack smashing|buffer overflow) detected|^pure virtual method called|Assertion [`'].*' failed\.?$",
        r"|^Fatal Python error: (?P<fatal>.+)$",
        r"|(?i)\bsegmentation fault\b|^Aborted\b|\(core dumped\)|^Bus error\b|^Floating point exception\b",
        r"|died with <Signals\.(?P<name>SIG(?:SEGV|ABRT|BUS|FPE|TRAP)): \d+>",
        r"|killed by signal: (?P<dl>Segmentation fault|Aborted|Bus error)",
        r"|(?:exit ?code|exitcode|returncode|signal)[:= ]+\(?-(?P<code>11|6|7|8)\b",
        r"|Windows fatal exception: (?P<win>.+)|exit code (?P<nt>3221225477|-1073741819|0xC0000005)|access violation",
    ))
});
static LIBRARY: LazyLock<Regex> = LazyLock::new(|| pattern(r" in (?P<library>[^\s\[]+)\["));

fn judge(study: &Study<'_>) -> Option<Finding> {
    if study.case.end == End::Exited(0) {
        return None;
    }
    if study.was_standing() {
        return crashed_child(study);
    }
    let signal = study.signal().filter(|signal| CRASHES.contains(signal));
    let told = crate::telling::told(study, &WORDS);
    let told = told.filter(|_| signal.is_some() || study.case.end == End::Unknown || second_hand(study));
    // A child's dump, and a parent that only says that a child is gone.
    let child_dumped = !study.faults.is_empty() && study.root_traceback().is_some() && second_hand(study);
    if signal.is_none() && told.is_none() && !child_dumped {
        return None;
    }
    let mut facts = Vec::new();
    if let Some(signal) = signal {
        let how = if matches!(study.case.end, End::Exited(_)) { " (reported by a shell as 128+n)" } else { "" };
        facts.push(Fact::new("exit", format!("ended by {}{how}", signal_name(signal))).at(study.case.wall_s));
    }
    let library = kernel_library(study, &mut facts);
    let dump = study.faults.last();
    if let Some(dump) = dump {
        facts.push(quoted(&format!("Fatal Python error: {}", dump.fault)));
    }
    if let Some((told, _)) = &told {
        facts.push(quoted(&told.text()));
    }
    let place = dump.and_then(FaultDump::place);
    let place = place.or_else(|| told.as_ref().and_then(|(told, _)| told.place()));
    let explanation = explain(study, signal, library.as_deref(), dump.map(|dump| dump.fault.as_str()), &facts);
    let inside = dump.and_then(|dump| dump.frames.first()).map(|frame| format!("{} ({})", frame.function, frame.file));
    let mut finding = Finding::proof(explanation, facts).place(place).rank(80);
    if let Some(inside) = inside {
        finding = finding.step(format!("the call that crashed was made in {inside}"));
    }
    Some(
        finding
            .step("run the smallest input that crashes alone; a different version of the library named above often decides")
            .step_command("see the native stack", ["sh", "-c", "coredumpctl debug 2>/dev/null || ulimit -c unlimited"]),
    )
}

/// A child crashed, and the others stand because of that.
fn crashed_child(study: &Study<'_>) -> Option<Finding> {
    let graph = study.graph.as_ref().filter(|_| study.grade() >= Grade::Probable)?;
    let crashed = study.case.lifetimes.iter().find(|life| life.signal().is_some_and(|signal| CRASHES.contains(&signal)));
    let dump = study.faults.last();
    // A dump may also have been asked for; it means a crash where its process is gone.
    let gone = dump.is_some() && (!study.case.lifetimes.is_empty() || !study.case.kernel.lines.is_empty());
    if crashed.is_none() && !gone {
        return None;
    }
    let mut facts: Vec<Fact> = crashed.map(|life| Fact::new("exit", format!("{} (pid {}) was ended by {}", cut(&life.command, 80), life.pid, signal_name(life.signal().unwrap_or(11)))).of(life.pid)).into_iter().collect();
    kernel_library(study, &mut facts);
    facts.extend(dump.map(|dump| quoted(&format!("Fatal Python error: {}", dump.fault))));
    let waits = graph.main_of(study.case.root).map(|id| crate::telling::wait_words(&graph.nodes[id])).unwrap_or_default();
    let place = dump.and_then(FaultDump::place);
    let what = dump.map_or_else(|| "in native code".to_owned(), |dump| dump.fault.clone());
    Some(Finding::proof(format!("a child process crashed ({what}), and the program still {waits}"), facts).place(place).rank(32).step("run the smallest input that crashes alone").step("wait with a time limit and ask whether the child lives"))
}

fn second_hand(study: &Study<'_>) -> bool {
    study.root_traceback().is_none_or(|traceback| crate::case::SECOND_HAND.contains(&traceback.last().name()))
        || study.root_traceback().is_some_and(|traceback| WORDS.is_match(&traceback.root().headline()))
}

fn kernel_library(study: &Study<'_>, facts: &mut Vec<Fact>) -> Option<String> {
    let line = study.case.kernel.lines.iter().find(|line| {
        line.text.contains("segfault") || line.text.contains("traps:") || line.text.contains("general protection")
    })?;
    facts.push(Fact::new("kernel", cut(&line.text, 300)).of(line.pid));
    LIBRARY.captures(&line.text).map(|found| found["library"].to_owned())
}

fn explain(study: &Study<'_>, signal: Option<i32>, library: Option<&str>, fault: Option<&str>, facts: &[Fact]) -> String {
    let what = match (signal, fault) {
        (Some(6), _) => "native code called abort".to_owned(),
        (Some(11), _) => "native code touched memory that is not its own (segmentation fault)".to_owned(),
        (Some(7), _) => "native code touched memory that could not be provided (bus error)".to_owned(),
        (Some(8), _) => "native code made an impossible calculation (SIGFPE)".to_owned(),
        (Some(other), _) => format!("native code ended with {}", signal_name(other)),
        (None, Some(fault)) => format!("native code of a child process crashed: {fault}"),
        (None, None) => format!("a process of the program crashed in native code: {}", facts.last().map_or("", |fact| fact.says.as_str())),
    };
    let inside = library.map(|library| format!(" inside {library}")).unwrap_or_default();
    let when = if study.case.wall_s > 0.0 { format!(" after {}", crate::telling::seconds(study.case.wall_s)) } else { String::new() };
    format!("{what}{inside}{when}")
}
