//! How a snapshot, and what changed between two, look on a terminal.

use std::fmt::Write as _;
use std::path::Path;

use defib_core::snapshot::{Change, Importance, Kind, Process, Snapshot};
use defib_core::telling::{one_line, seconds, size};

use super::style::{BAD, DIM, GOOD, NOTE, STRONG, WARN};

/// Most processes, environments and lines that the summary names.
const NAMED: usize = 6;

/// The snapshot in a screenful.
pub(crate) fn summary(snapshot: &Snapshot, file: &Path, page: &Path) -> String {
    let mut out = String::new();
    let mut row = |name: &str, text: &str| {
        let _ = writeln!(out, "{STRONG}{name:<14}{STRONG:#} {text}");
    };
    let system = &snapshot.system;
    let distribution = system.distribution.as_deref().unwrap_or("Linux");
    row("machine", &format!("{}, {distribution}, kernel {}, {} cores", system.host, system.kernel, system.cores));
    let memory = &snapshot.memory;
    let swap = match memory.swap_total_bytes {
        0 => "no swap".to_owned(),
        all => format!("swap {} of {} in use", size(memory.swap_used_bytes), size(all)),
    };
    row("memory", &format!("{} of {} available, {swap}", size(memory.available_bytes), size(memory.total_bytes)));
    if let Some(limit) = snapshot.limits.memory_limit_bytes {
        let used = snapshot.limits.memory_used_bytes.map(|used| format!(", {} used", size(used))).unwrap_or_default();
        row("memory limit", &format!("{} by the control group{used}", size(limit)));
    }
    for gpu in &snapshot.gpus.list {
        let throttle = if gpu.throttle.is_empty() { String::new() } else { format!(", {}", gpu.throttle.join(", ")) };
        let text = format!("{}: {} of {} in use{throttle}", gpu.name, size(gpu.used_bytes), size(gpu.total_bytes));
        row(&format!("GPU {}", gpu.index), &text);
    }
    if let Some(why) = &snapshot.gpus.absent {
        row("GPUs", &one_line(why, 90));
    }
    for disk in &snapshot.disks {
        row("disk", &disk_words(disk));
    }
    if let Some(shm) = &snapshot.shared_memory {
        row("/dev/shm", &format!("{} of {} free, {} files", size(shm.free_bytes), size(shm.size_bytes), shm.files));
    }
    largest(&mut out, snapshot);
    environments(&mut out, snapshot);
    troubles(&mut out, snapshot);
    let _ = writeln!(out, "\n{DIM}kept   {}{DIM:#}\n{DIM}page   {}{DIM:#}", file.display(), page.display());
    let _ = writeln!(out, "{DIM}later  defib snapshot --diff {} NEWER{DIM:#}", file.display());
    out
}

fn disk_words(disk: &defib_core::snapshot::Disk) -> String {
    let place = if disk.mount.is_empty() { "?" } else { &disk.mount };
    if !disk.answered {
        return format!("{BAD}{place} does not answer{BAD:#} ({})", disk.roles());
    }
    let inodes =
        disk.inodes.zip(disk.inodes_free).map(|(all, free)| format!(", {}% inodes free", free * 100 / all.max(1)));
    let full = if disk.nearly_full() { format!("{WARN}nearly full{WARN:#}, ") } else { String::new() };
    let (free, all) = (size(disk.free_bytes), size(disk.size_bytes));
    format!("{place}: {full}{free} of {all} free{} ({})", inodes.unwrap_or_default(), disk.roles())
}

/// What holds most: memory, a GPU, a port.
fn largest(out: &mut String, snapshot: &Snapshot) {
    let mut all: Vec<&Process> = snapshot.processes.list.iter().filter(|process| process.matters).collect();
    all.sort_by_key(|one| std::cmp::Reverse((one.gpu_bytes.unwrap_or(0), one.memory_bytes())));
    for (index, process) in all.iter().take(NAMED).enumerate() {
        let name = if index == 0 { "processes" } else { "" };
        let mut held = vec![size(process.memory_bytes())];
        held.extend(process.gpu_bytes.filter(|&bytes| bytes > 0).map(|bytes| format!("{} of GPU memory", size(bytes))));
        held.extend(process.ports().iter().map(|port| format!("port {port}")));
        held.extend(process.run.as_ref().map(|run| format!("run {run}")));
        let command = one_line(&process.command.join(" "), 60);
        let _ = writeln!(
            out,
            "{STRONG}{name:<14}{STRONG:#} {} {command}  {DIM}{}, {} old{DIM:#}",
            process.pid,
            held.join(", "),
            seconds(process.age_s)
        );
    }
    let more = all.len().saturating_sub(NAMED) + snapshot.processes.left_out as usize;
    if more > 0 {
        let _ = writeln!(out, "{:<14} {DIM}and {more} more{DIM:#}", "");
    }
}

fn environments(out: &mut String, snapshot: &Snapshot) {
    for (index, python) in snapshot.python.iter().take(NAMED).enumerate() {
        let name = if index == 0 { "Python" } else { "" };
        let version = python.version.as_deref().unwrap_or("?");
        let packages: Vec<String> =
            python.packages.iter().take(8).map(|package| format!("{} {}", package.name, package.version)).collect();
        let packages =
            if packages.is_empty() { "none of the packages that matter".to_owned() } else { packages.join(", ") };
        let _ = writeln!(out, "{STRONG}{name:<14}{STRONG:#} {version} in {}: {packages}", python.prefix);
    }
}

/// What deserves a look: kernel lines, failed runs, what did not answer.
fn troubles(out: &mut String, snapshot: &Snapshot) {
    let lines = snapshot.kernel_log.lines.iter().rev().take(3);
    for line in lines {
        let _ = writeln!(out, "{WARN}{:<14}{WARN:#} {}", "kernel", one_line(&line.text, 100));
    }
    for run in snapshot.failed_runs().take(3) {
        let cause = run.cause.as_deref().map(|cause| format!(", {cause}")).unwrap_or_default();
        let command = one_line(&run.command.join(" "), 50);
        let _ = writeln!(out, "{WARN}{:<14}{WARN:#} {} {}{cause}  {DIM}{command}{DIM:#}", "run", run.id, run.outcome);
    }
    for one in &snapshot.unanswered {
        let _ = writeln!(out, "{WARN}{:<14}{WARN:#} {}: {}", "not read", one.what, one.why);
    }
}

/// What changed, group by group, the most important first.
pub(crate) fn changes(before: &Snapshot, after: &Snapshot, changes: &[Change]) -> String {
    let mut out = String::new();
    let (from, to) = (&before.taken, &after.taken);
    if changes.is_empty() {
        let _ = writeln!(out, "{GOOD}✔{GOOD:#} nothing that matters changed {DIM}from {from} to {to}{DIM:#}");
        return out;
    }
    let _ = writeln!(out, "{DIM}from {from} to {to}{DIM:#}");
    let mut group = None;
    for change in changes {
        if group.replace(change.group) != Some(change.group) {
            let _ = writeln!(out, "\n{STRONG}{}{STRONG:#}", change.group.title());
        }
        let mark = match change.kind {
            Kind::Appeared => "+",
            Kind::Gone => "-",
            Kind::Changed => "~",
        };
        let style = match change.importance {
            Importance::High => BAD,
            Importance::Medium => NOTE,
            Importance::Low => DIM,
        };
        let _ = writeln!(out, "  {style}{mark}{style:#} {}", one_line(&change.says, 240));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use defib_core::snapshot::{Disk, Package, Place, PythonEnvironment, RunOutcome, diff};

    pub(crate) fn example() -> Snapshot {
        let mut snapshot =
            Snapshot { schema: 1, taken: "2026-01-02T03:04:05Z".into(), taken_ms: 1, ..Snapshot::default() };
        snapshot.system.host = "lab".into();
        snapshot.system.kernel = "6.8.0".into();
        snapshot.system.cores = 8;
        snapshot.system.boot_id = "b".into();
        snapshot.memory.total_bytes = 32 << 30;
        snapshot.memory.available_bytes = 20 << 30;
        snapshot.gpus.absent = Some("NVML is not available".into());
        snapshot.disks = vec![Disk {
            mount: "/".into(),
            size_bytes: 100 << 30,
            free_bytes: 2 << 30,
            places: vec![Place { role: "home".into(), path: "/home/u".into() }],
            answered: true,
            ..Disk::default()
        }];
        snapshot.processes.list = vec![Process {
            pid: 4127,
            start_ticks: 9,
            command: vec!["python".into(), "launch.py".into()],
            matters: true,
            rss_bytes: 23 << 30,
            listens: vec!["127.0.0.1:7860".into()],
            age_s: 7300.0,
            python: true,
            ..Process::default()
        }];
        snapshot.python = vec![PythonEnvironment {
            prefix: "/home/u/venv".into(),
            version: Some("3.11.7".into()),
            packages: vec![Package { name: "torch".into(), version: "2.3.0".into(), ..Package::default() }],
            ..PythonEnvironment::default()
        }];
        snapshot.runs = vec![RunOutcome {
            id: "r7f3a".into(),
            command: vec!["python".into(), "track.py".into()],
            outcome: "stalled".into(),
            cause: Some("pipe-full".into()),
            ..RunOutcome::default()
        }];
        snapshot
    }

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn a_snapshot_reads_like_this() {
        let text = summary(&example(), Path::new("/s/a.json"), Path::new("/s/a.html"));
        insta::assert_snapshot!(plain(&text));
    }

    #[test]
    fn changes_read_like_this() {
        let before = example();
        let mut after = example();
        after.taken = "2026-01-02T04:00:00Z".into();
        after.memory.available_bytes = 3 << 30;
        after.python[0].packages[0].version = "2.4.0".into();
        let mut held = after.processes.list[0].clone();
        (held.pid, held.start_ticks, held.listens) = (5000, 20, vec!["0.0.0.0:7861".into()]);
        after.processes.list.push(held);
        insta::assert_snapshot!(plain(&changes(&before, &after, &diff(&before, &after))));
        assert!(plain(&changes(&before, &before, &diff(&before, &before))).contains("nothing that matters changed"));
    }
}
