//! The kernel, a cgroup or the VM ended the program because host memory ran out.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::{End, Study};
use crate::cause::{Cause, Fact, Finding, Group, Sign};
use crate::pattern::pattern;
use crate::telling::{quoted, size};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "host-oom-kill",
    title: "Killed because host memory ran out",
    what: "The kernel, a control group or the virtual machine ended the program because host memory ran out.",
    settled_by: "A kernel line naming the pid, or the control group's oom_kill counter one higher at its death.",
    taken_for: "a semaphore leak, ^C, a bad node",
    by_hand: &["dmesg -T | grep -i \"out of memory\"; memory.events of the control group"],
    remedies: &["need less: batch, size, workers, precision", "raise the limit of the container or WSL"],
    remedy: Remedy::Lighter,
    judge,
};

static LINE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?i)\b(?:Memory cgroup out of memory|Out of memory): Kill(?:ed)? process (?P<pid>\d+)",
        r"|\boom-kill:constraint=|\boom_reaper: reaped process|invoked oom-killer",
        r"|\bOOMKilled\b|\boom-kill event|Out Of Memory killer|OOM Killed|out-of-memory handler|killed by the (?:cgroup )?out-of-memory",
        r"|memory usage threshold exceeded|exceeded memory limit, being killed",
        r"|systemd-oomd.*[Kk]illed|A worker .*exceeded \d+% memory budget",
    ))
});
static KERNEL: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)out of memory|oom-kill|oom_reaper|invoked oom-killer"));
static KILLED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i)^(?:.*: line \d+: +\d+ )?Killed\b|killed by signal: Killed|SIGKILL|signal 9\b|exit ?code:? ?-9\b|^\^C$")
});

fn judge(study: &Study<'_>) -> Option<Finding> {
    if study.case.end == End::Exited(0) || study.ended_by_defib() {
        return None;
    }
    by_kernel(study).or_else(|| by_log(study)).or_else(|| by_sign(study))
}

fn advice(finding: Finding) -> Finding {
    finding
        .step("let it need less: smaller batch or image size, half precision, fewer workers, a model loaded once")
        .step_command("see what memory there is and who uses it", ["sh", "-c", "free -h; ps axo rss,pid,args --sort=-rss | head"])
}

fn by_kernel(study: &Study<'_>) -> Option<Finding> {
    let kernel = &study.case.kernel;
    let line = kernel.lines.iter().find(|line| KERNEL.is_match(&line.text));
    let risen = kernel.oom.iter().find(|counter| counter.after > counter.before);
    let killed = study.signal() == Some(9) || died_of_nine(study);
    if line.is_none() && !(risen.is_some() && killed) {
        return None;
    }
    let mut facts = Vec::new();
    if let Some(line) = line {
        facts.push(Fact::new("kernel", crate::telling::cut(&line.text, 300)).of(line.pid));
    }
    if let Some(counter) = risen {
        let limit = counter.limit_bytes.map(|limit| format!(", limit {}", size(limit))).unwrap_or_default();
        let says = format!("oom_kill counter rose from {} to {} during the run ({}{limit})", counter.before, counter.after, counter.file);
        facts.push(Fact::new("kernel", says));
    }
    if study.signal() == Some(9) {
        facts.push(Fact::new("exit", "ended by SIGKILL, which a program cannot catch").at(study.case.wall_s));
    }
    let peak = study.case.vitals.iter().map(|vitals| vitals.rss_bytes).max().filter(|&peak| peak > 0);
    if let Some(peak) = peak {
        facts.push(Fact::new("vitals", format!("largest resident memory seen: {}", size(peak))));
    }
    let group = line.is_some_and(|line| line.text.contains("emory cgroup") || line.text.contains("CONSTRAINT_MEMCG"));
    let limit = risen.and_then(|counter| counter.limit_bytes).filter(|&limit| limit < 1 << 50);
    let whose = match (limit, group) {
        (Some(limit), _) => format!("its control group reached its limit of {}", size(limit)),
        (None, true) => "its control group (a container's or job's limit) ran out of memory".to_owned(),
        _ => "the machine ran out of memory".to_owned(),
    };
    let used = peak.map(|peak| format!(" (it used {})", size(peak))).unwrap_or_default();
    Some(advice(Finding::proof(format!("the kernel killed it because {whose}{used}"), facts).rank(3)))
}

/// A child of the program died of SIGKILL, as its parent reports.
fn died_of_nine(study: &Study<'_>) -> bool {
    let last = study.case.log.last_lines(60);
    study.failed() && last.iter().any(|line| KILLED.is_match(&line.text) || line.text.contains("terminated abruptly"))
}

fn by_log(study: &Study<'_>) -> Option<Finding> {
    // Unlike other sentences, this one may stand anywhere: the kernel's ring is
    // often pasted above or below the program's own output.
    let line = study.case.log.lines.iter().rev().find(|line| LINE.is_match(&line.text))?;
    study.failed().then(|| {
        let facts = vec![quoted(&line.text)];
        advice(Finding::proof("the log shows that it was killed because memory ran out", facts).rank(9))
    })
}

/// A bare "Killed" with status 137: the usual sign, and no proof.
fn by_sign(study: &Study<'_>) -> Option<Finding> {
    let unseen = study.case.kernel.oom.is_empty() && study.case.kernel.log_denied.is_some() || study.case.root == 0;
    let nine = study.signal() == Some(9);
    let line = study.case.log.last_lines(15).into_iter().rev().find(|line| KILLED.is_match(&line.text));
    if !(nine || line.is_some()) || !unseen || study.fatal.is_some() && line.is_none() {
        return None;
    }
    let mut facts: Vec<Fact> = line.map(|line| quoted(&line.text)).into_iter().collect();
    if nine {
        facts.push(Fact::new("exit", "ended by SIGKILL (status 137)"));
    }
    let loading = study.case.log.last_lines(6).iter().any(|line| line.text.to_lowercase().contains("load"));
    let signs = vec![
        Sign::when(nine, Group::Kernel, "ended by SIGKILL"),
        Sign::when(line.is_some(), Group::Log, "a shell or parent says Killed"),
        Sign::when(loading, Group::Vitals, "while loading"),
    ];
    let finding = Finding::signs(signs, "it was killed by SIGKILL, most often the kernel's answer to exhausted memory; the kernel's own line is not at hand", facts);
    Some(finding.step_command("see the kernel's line", ["sh", "-c", "dmesg -T | grep -iE 'out of memory|oom'"]))
}
