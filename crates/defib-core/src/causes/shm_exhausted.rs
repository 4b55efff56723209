//! /dev/shm is too small or missing.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::Study;
use crate::cause::{Cause, Fact, Finding, Group, Sign};
use crate::facts::Target;
use crate::log::FaultDump;
use crate::pattern::pattern;
use crate::telling::{cut, exceptions, quoted, size, told, trace_place};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "shm-exhausted",
    title: "Shared memory is too small",
    what: "/dev/shm is too small or missing.",
    settled_by: "SIGBUS (135) and statvfs of /dev/shm; ENOSYS, EACCES or ENOENT from shm_open.",
    taken_for: "native-crash",
    by_hand: &["df -h /dev/shm; status 135 (SIGBUS)"],
    remedies: &["docker run --shm-size; fewer workers; another sharing strategy"],
    remedy: Remedy::Lighter,
    judge,
};

static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"insufficient shared memory|/dev/shm|unable to (?:open|write|allocate) shared memory|shm_open|Bus error.*shm|out of shared memory|shared memory (?:limit|segment).*(?:exceed|fail|exhaust)|DataLoader worker \(pid[^)]*\) is killed by signal: Bus error|OSError: \[Errno 38\] Function not implemented|unable to mmap \d+ bytes from file </torch"#)
});

/// Files of the standard library that make shared memory and semaphores.
const MAKERS: &[&str] = &["multiprocessing/synchronize.py", "multiprocessing/shared_memory.py", "multiprocessing/heap.py", "multiprocessing/sharedctypes.py", "multiprocessing/queues.py", "torch/multiprocessing", "torch/storage.py"];
static FULL: LazyLock<Regex> = LazyLock::new(|| pattern(r"\[Errno (?:28|12|38|13|2)\]"));

static DESCRIPTORS: LazyLock<Regex> = LazyLock::new(|| pattern(r"Too many open files|\[Errno 24\]"));

fn judge(study: &Study<'_>) -> Option<Finding> {
    by_sentence(study).or_else(|| by_maker(study)).or_else(|| by_bus_error(study))
}

fn steps(finding: Finding) -> Finding {
    finding.step("give the container more: docker run --shm-size=8g; or use fewer workers, or file_system sharing")
}

fn by_sentence(study: &Study<'_>) -> Option<Finding> {
    let (told, _) = told(study, &SENTENCE)?;
    // Shared memory travels through descriptors, and these are what ran out.
    if DESCRIPTORS.is_match(&told.text()) {
        return None;
    }
    let rank = told.rank() - 1;
    Some(steps(told.proof(format!("shared memory (/dev/shm) does not suffice: {}", cut(&told.text(), 220))).rank(rank)))
}

/// ENOSPC and its kin, raised where shared memory or a semaphore is made.
fn by_maker(study: &Study<'_>) -> Option<Finding> {
    let exception = exceptions(study).into_iter().find(|exception| {
        let frame = exception.frames.last();
        FULL.is_match(&exception.headline()) && frame.is_some_and(|frame| MAKERS.iter().any(|maker| frame.file.replace('\\', "/").contains(maker)))
    })?;
    let frame = exception.frames.last()?;
    let facts = vec![quoted(&exception.headline()), Fact::new("log", format!("raised in {}:{} {}, which makes shared memory", frame.file, frame.line, frame.function))];
    let explanation = format!("there is no room in shared memory (/dev/shm): {}{}", cut(&exception.headline(), 160), room(study).map(|text| format!("; {text}")).unwrap_or_default());
    Some(steps(Finding::proof(explanation, facts).place(trace_place(&exception.frames)).rank(9)))
}

/// The least free space that was seen, in words, and whether it is little.
fn room(study: &Study<'_>) -> Option<String> {
    let (total, free) = least(study)?;
    Some(format!("/dev/shm has {} in all, {} were free at the least", size(total), size(free)))
}

fn least(study: &Study<'_>) -> Option<(u64, u64)> {
    study.case.vitals.iter().filter_map(|vitals| vitals.shared_memory).min_by_key(|(_, free)| *free)
}

/// SIGBUS: memory that was mapped and could not be provided.
fn by_bus_error(study: &Study<'_>) -> Option<Finding> {
    let dumped = study.faults.last().is_some_and(|dump| dump.fault.contains("Bus error"));
    let killed = study.case.lifetimes.iter().any(|life| life.signal() == Some(7));
    if study.signal() != Some(7) && !dumped && !killed {
        return None;
    }
    let (total, free) = least(study).unwrap_or((0, 0));
    let small = total > 0 && (total <= 64 << 20 || free * 10 < total);
    let mut facts = vec![Fact::new("exit", "ended by SIGBUS: memory that was mapped could not be provided").at(study.case.wall_s)];
    facts.extend(room(study).map(|text| Fact::new("vitals", text)));
    let shares = study.case.looks.iter().flat_map(|look| &look.processes).flat_map(|process| &process.descriptors).any(|descriptor| matches!(&descriptor.target, Target::File { path, .. } if path.starts_with("/dev/shm/")));
    if shares {
        facts.push(Fact::new("descriptors", "a process of the run had a file in /dev/shm open"));
    }
    let signs = vec![Sign::seen(Group::Kernel, "SIGBUS"), Sign::when(small, Group::Vitals, "little room in /dev/shm"), Sign::when(shares, Group::Waits, "a file in /dev/shm is open")];
    let explanation = format!("it touched shared memory that could not be provided (SIGBUS){}", room(study).map(|text| format!("; {text}")).unwrap_or_default());
    Some(steps(Finding::signs(signs, explanation, facts).place(study.faults.last().and_then(FaultDump::place))))
}
