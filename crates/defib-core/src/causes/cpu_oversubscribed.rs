//! More threads than CPUs.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::Study;
use crate::pattern::pattern;
use crate::cause::{Cause, Fact, Finding, Group, Sign};
use crate::facts::{Look, Wait};
use crate::telling::{frame_name, process_name, seconds};
use crate::waits::Grade;
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "cpu-oversubscribed",
    title: "More threads than CPUs",
    what: "More threads want to compute than there are CPUs, or than a quota allows; they get in each other's way.",
    settled_by: "nr_throttled of the group's cpu.stat rises, or many more threads are ready to run than there are CPUs.",
    taken_for: "a slow model",
    by_hand: &["cat cpu.stat of the control group twice: nr_throttled", "vmstat 1: more in r than there are CPUs"],
    remedies: &["OMP_NUM_THREADS and workers: product no more than the CPUs", "raise the quota"],
    remedy: Remedy::Lighter,
    judge,
};

/// Ready threads for each CPU from which on they get in each other's way.
const CROWDED: f64 = 2.5;

fn judge(study: &Study<'_>) -> Option<Finding> {
    if !study.was_standing() {
        return by_log(study);
    }
    if study.grade() >= Grade::Probable || !study.limit_fired() {
        return None;
    }
    let graph = study.graph.as_ref()?;
    let last = study.case.vitals.last()?;
    let cpus = last.cpus?;
    let ready: Vec<usize> = study.case.looks.iter().map(ready).collect();
    let most = ready.iter().copied().max()?;
    #[expect(clippy::cast_precision_loss, reason = "numbers of threads")]
    let crowded = ready.iter().filter(|&&ready| ready as f64 >= CROWDED * cpus.max(1.0)).count();
    let first = study.case.vitals.iter().find(|vitals| vitals.throttled.is_some());
    let throttled = first.and_then(|first| Some((last.throttled?.saturating_sub(first.throttled?), last.at_s - first.at_s)));
    // Periods last a tenth of a second by default: throttled in most of them.
    #[expect(clippy::cast_precision_loss, reason = "numbers of periods")]
    let stopped = throttled.is_some_and(|(count, span)| span > 0.5 && count as f64 / span > 4.0);
    if crowded * 2 < ready.len() && !stopped || most < 2 {
        return None;
    }
    let busiest = graph.nodes.iter().filter(|node| node.process.in_tree && node.active()).max_by(|one, other| one.cpu_share.total_cmp(&other.cpu_share))?;
    let mut facts = vec![Fact::new("waits", format!("{} threads were ready to run at once, on {} CPUs, in {crowded} of {} looks", most, shown(cpus), ready.len()))];
    if let Some((count, span)) = throttled.filter(|throttled| throttled.0 > 0) {
        facts.push(Fact::new("kernel", format!("its CPU quota of {} CPUs stopped it {count} times in {}", shown(cpus), seconds(span))));
    }
    if let Some(pressure) = last.pressure {
        facts.push(Fact::new("vitals", format!("some task waited for a CPU {:.0} % of the last ten seconds", pressure.cpu)));
    }
    let explanation = if stopped && crowded * 2 < ready.len() {
        format!("{} wants more CPU than its quota of {} allows, and is stopped again and again", process_name(busiest.process), shown(cpus))
    } else {
        format!("{most} threads of {} compute at once on {} CPUs and get in each other's way", process_name(busiest.process), shown(cpus))
    };
    let signs = vec![
        Sign::when(crowded * 2 >= ready.len(), Group::Waits, "more threads ready than CPUs in most looks"),
        Sign::when(stopped, Group::Kernel, "a CPU quota stops it"),
    ];
    let threads = format!("{:.0}", cpus.max(1.0));
    let place = busiest.frame.map(crate::place::of_frame);
    let at = busiest.frame.map(frame_name).unwrap_or_default();
    Some(
        Finding::signs(signs, explanation, facts)
            .place(place)
            .step_command("use as many threads as there are CPUs", ["env".to_owned(), format!("OMP_NUM_THREADS={threads}"), format!("OPENBLAS_NUM_THREADS={threads}"), format!("MKL_NUM_THREADS={threads}")])
            .step(format!("torch.set_num_threads({threads}), and workers times threads no more than {threads}{}", if at.is_empty() { String::new() } else { format!("; the busiest stands at {at}") })),
    )
}

/// A pool that is pinned to CPUs it may not use says so once a thread.
fn by_log(study: &Study<'_>) -> Option<Finding> {
    static LINE: LazyLock<Regex> = LazyLock::new(|| pattern(r"pthread_setaffinity_np failed for thread|This DataLoader will create \d+ worker processes in total\. Our suggested max number of worker|OMP: Warning #\d+: .*(?:affinity|oversubscri)|nr_throttled [1-9]\d{2,}|CPU (?:quota|limit) .*throttl"));
    let line = study.case.log.lines.iter().find(|line| LINE.is_match(&line.text)).filter(|_| study.failed())?;
    let signs = vec![Sign::seen(Group::Log, "a library complains of its threads")];
    let facts = vec![crate::telling::quoted(&line.text)];
    Some(Finding::signs(signs, format!("a library made more threads than the CPUs it may use: {}", crate::telling::cut(&line.text, 160)), facts).step("set the number of threads explicitly: intra_op_num_threads, OMP_NUM_THREADS, torch.set_num_threads"))
}

fn shown(cpus: f64) -> String {
    if cpus.fract() < 0.05 { format!("{cpus:.0}") } else { format!("{cpus:.1}") }
}

/// Threads of the tree that run or are ready to.
fn ready(look: &Look) -> usize {
    let threads = look.processes.iter().filter(|process| process.in_tree).flat_map(|process| &process.threads);
    threads.filter(|thread| thread.wait == Wait::Running).count()
}
