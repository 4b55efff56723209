//! Freed memory is not returned by malloc.

use crate::case::Study;
use crate::cause::{Cause, Fact, Finding, Group, Sign};
use crate::event::Ending;
use crate::facts::{Heap, Process};
use crate::growth::growth;
use crate::kept::{Inside, inside};
use crate::telling::{process_name, size};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "allocator-retention",
    title: "Freed memory is kept by malloc",
    what: "The program freed the memory, but malloc keeps it: small blocks that are still in use pin the large gaps between them.",
    settled_by: "malloc_trim(0) drops the resident memory, collecting garbage does not; much of the heap is free.",
    taken_for: "app-retention",
    by_hand: &["gdb -p PID -batch -ex 'call (int)malloc_trim(0)': the resident size falls", "tracemalloc shows far less than the resident size"],
    remedies: &["MALLOC_ARENA_MAX=2 and MALLOC_TRIM_THRESHOLD_=65536, or jemalloc by LD_PRELOAD", "malloc_trim(0) after each unit of work"],
    remedy: Remedy::Lighter,
    judge,
};

/// Least free memory that is worth a word.
const LEAST: u64 = 24 << 20;

fn judge(study: &Study<'_>) -> Option<Finding> {
    match inside(study) {
        Some(Inside::Freed { pid, trimmed_bytes, resident_bytes }) => {
            return Some(counted_free(study, pid, trimmed_bytes, resident_bytes));
        }
        Some(Inside::Kept { .. }) => return None,
        Some(Inside::Native { .. }) | None => {}
    }
    let over = matches!(study.case.ending, Some((_, Ending::OverMemory { .. })));
    let growth = growth(study);
    if !over && growth.is_none() {
        return None;
    }
    let graph = study.graph.as_ref()?;
    let heaps = graph.look.processes.iter().filter(|process| process.in_tree).filter_map(|process| Some((process, process.heap?)));
    let (process, heap) = heaps.max_by_key(|(_, heap)| heap.free_bytes)?;
    if heap.free_bytes < LEAST || share(heap.free_bytes, heap.bytes) < 0.25 {
        return None;
    }
    let name = process_name(process);
    let free = size(heap.free_bytes);
    let mut facts = vec![
        Fact::new("memory", format!("of the {} in malloc's heaps of {name}, {free} are free and not given back", size(heap.bytes))).of(process.pid),
        Fact::new("memory", format!("its resident memory is {}", size(process.rss_bytes))).of(process.pid),
    ];
    facts.extend(growth.as_ref().map(super::app_retention::growth_fact));
    let explanation = format!("{name} has given {free} of its {} back to malloc, which keeps them", size(process.rss_bytes));
    let finding = if most_is_free(process, heap) {
        Finding::proof(explanation, facts).rank(47)
    } else {
        Finding::signs(vec![Sign::seen(Group::Vitals, "a good part of the heap is free")], explanation, facts)
    };
    Some(with_advice(finding))
}

/// malloc gave the memory back when it was asked to.
fn counted_free(study: &Study<'_>, pid: i32, trimmed: u64, resident: u64) -> Finding {
    let says = format!("malloc_trim gave {} back, collecting garbage did not; {} were resident before", size(trimmed), size(resident));
    let mut facts = vec![Fact::new("memory", says).of(pid)];
    facts.extend(growth(study).as_ref().map(super::app_retention::growth_fact));
    let explanation = format!("malloc kept {} that the program had freed", size(trimmed));
    with_advice(Finding::proof(explanation, facts).rank(46))
}

fn with_advice(finding: Finding) -> Finding {
        finding
            .step_command("let malloc give memory back", ["env", "MALLOC_ARENA_MAX=2", "MALLOC_TRIM_THRESHOLD_=65536"])
            .step("or after each unit of work: ctypes.CDLL(\"libc.so.6\").malloc_trim(0)")
            .step("or use an allocator that returns memory: LD_PRELOAD=libjemalloc.so.2")
}

/// More of it is free than in use, and that is a good part of the process.
fn most_is_free(process: &Process, heap: Heap) -> bool {
    share(heap.free_bytes, heap.bytes) >= 0.45 && share(heap.free_bytes, process.rss_bytes) >= 0.35
}

#[expect(clippy::cast_precision_loss, reason = "a share of bytes")]
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / (whole as f64).max(1.0)
}
