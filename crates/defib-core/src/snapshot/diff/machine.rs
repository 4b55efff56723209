//! The machine, its limits, its disks, and what did not answer.

use super::{Changes, Group, Importance, moved, paired, sizes};
use crate::snapshot::{Disk, GroupLimits, Snapshot, Unanswered};
use crate::telling::{grouped, size};

/// Share of a disk, in percent, from which on a difference is told.
const DISK_SHARE: u64 = 2;
/// Bytes of a disk from which on a difference is told, however large the disk is.
const DISK_BYTES: u64 = 5 << 30;
/// Throttled periods from which on they are told.
const THROTTLED: u64 = 10;

pub(super) fn compare(a: &Snapshot, b: &Snapshot, changes: &mut Changes) {
    system(a, b, changes);
    unanswered(&a.unanswered, &b.unanswered, changes);
    limits(&a.limits, &b.limits, changes);
    for (mount, before, after) in paired(&a.disks, &b.disks, |disk| disk.mount.as_str()) {
        match (before, after) {
            (Some(before), Some(after)) => disk(before, after, changes),
            (Some(gone), None) => {
                let says = format!("{mount} ({}) is no longer among the disks", gone.roles());
                changes.of(Group::Disks, mount, Some(gone.kind.clone()), None).says(says);
            }
            (None, Some(new)) => {
                let says = format!("{mount} ({}) is a disk of its own now", new.roles());
                changes.of(Group::Disks, mount, None, Some(new.kind.clone())).says(says);
            }
            (None, None) => {}
        }
    }
}

fn system(a: &Snapshot, b: &Snapshot, changes: &mut Changes) {
    let (before, after) = (&a.system, &b.system);
    let optional = |text: &Option<String>| text.clone().unwrap_or_default();
    if before.host != after.host {
        let says = format!("these are two machines: {} and {}", before.host, after.host);
        let draft = changes.of(Group::Machine, "host", Some(before.host.clone()), Some(after.host.clone()));
        draft.rated(Importance::High).says(says);
    } else if before.boot_id != after.boot_id {
        let ids = (Some(before.boot_id.clone()), Some(after.boot_id.clone()));
        let draft = changes.of(Group::Machine, "boot", ids.0, ids.1);
        draft.rated(Importance::High).says("the machine was restarted between the two");
    }
    changes.text(Group::Machine, Importance::High, "kernel", &before.kernel, &after.kernel);
    changes.text(Group::Machine, Importance::High, "architecture", &before.architecture, &after.architecture);
    let (cores, cores_after) = (before.cores.to_string(), after.cores.to_string());
    changes.text(Group::Machine, Importance::High, "cores that may be used", &cores, &cores_after);
    let (container, container_after) = (optional(&before.container), optional(&after.container));
    changes.text(Group::Machine, Importance::Medium, "container", &container, &container_after);
    let (system, system_after) = (optional(&before.distribution), optional(&after.distribution));
    changes.text(Group::Machine, Importance::Medium, "distribution", &system, &system_after);
}

fn unanswered(before: &[Unanswered], after: &[Unanswered], changes: &mut Changes) {
    for (what, before, after) in paired(before, after, |one| one.what.as_str()) {
        match (before, after) {
            (None, Some(new)) => {
                let says = format!("{what} no longer answers: {}", new.why);
                changes.of(Group::Machine, what, None, Some(new.why.clone())).rated(Importance::High).says(says);
            }
            (Some(gone), None) => {
                let says = format!("{what} answers again, or is gone; before: {}", gone.why);
                changes.of(Group::Machine, what, Some(gone.why.clone()), None).says(says);
            }
            _ => {}
        }
    }
}

fn limits(before: &GroupLimits, after: &GroupLimits, changes: &mut Changes) {
    let bytes = |limit: Option<u64>| limit.map(size);
    let count = |limit: Option<u64>| limit.map(grouped);
    let cores = |limit: Option<f64>| limit.map(|cores| format!("{cores:.1} cores"));
    let group = Group::Limits;
    let memory = (bytes(before.memory_limit_bytes), bytes(after.memory_limit_bytes));
    changes.limit(group, "memory limit of the control group", memory.0, memory.1);
    changes.limit(group, "swap limit", bytes(before.swap_limit_bytes), bytes(after.swap_limit_bytes));
    changes.limit(group, "limit of processes and threads", count(before.pids_limit), count(after.pids_limit));
    changes.limit(group, "CPU quota", cores(before.cpu_quota), cores(after.cpu_quota));
    used_of_limit(before, after, changes);
    let kills = (before.oom_kills.unwrap_or(0), after.oom_kills.unwrap_or(0));
    if kills.0 != kills.1 {
        let (from, to) = (grouped(kills.0), grouped(kills.1));
        let says = format!("out-of-memory kills in the control group: {from} → {to}");
        let draft = changes.of(group, "out-of-memory kills", Some(from), Some(to));
        draft.rated(Importance::High).says(says);
    }
    let stops = (before.cpu_throttled_periods.unwrap_or(0), after.cpu_throttled_periods.unwrap_or(0));
    if stops.0.abs_diff(stops.1) >= THROTTLED {
        let (from, to) = (grouped(stops.0), grouped(stops.1));
        let says = format!("periods in which the CPU quota stopped the group: {from} → {to}");
        changes.of(group, "CPU quota reached", Some(from), Some(to)).rated(Importance::Low).says(says);
    }
}

fn used_of_limit(before: &GroupLimits, after: &GroupLimits, changes: &mut Changes) {
    let limit = before.memory_limit_bytes.max(after.memory_limit_bytes);
    let used = before.memory_used_bytes.zip(after.memory_used_bytes);
    if let (Some(limit), Some((from, to))) = (limit, used)
        && moved(from, to, limit, 2)
    {
        let tight = from.max(to) > limit / 10 * 9;
        let says = format!("memory used of the control group's limit: {} of {}", sizes(from, to), size(limit));
        let draft = changes.of(Group::Limits, "memory of the control group", Some(size(from)), Some(size(to)));
        draft.rated(if tight { Importance::High } else { Importance::Medium }).says(says);
    }
    let most = before.pids_limit.max(after.pids_limit);
    if let (Some(most), Some((from, to))) = (most, before.pids_used.zip(after.pids_used))
        && moved(from, to, most, 10)
    {
        let (from, to) = (grouped(from), grouped(to));
        let says = format!("processes and threads: {from} → {to} of {} allowed", grouped(most));
        changes.of(Group::Limits, "processes and threads", Some(from), Some(to)).says(says);
    }
}

fn disk(before: &Disk, after: &Disk, changes: &mut Changes) {
    let name = format!("{} ({})", after.mount, after.roles());
    let mount = after.mount.as_str();
    if before.answered != after.answered {
        let word = |answered| if answered { "answers" } else { "does not answer" }.to_owned();
        let (from, to) = (word(before.answered), word(after.answered));
        let draft = changes.of(Group::Disks, format!("{mount}: answers"), Some(from), Some(to.clone()));
        draft.rated(Importance::High).says(format!("{name} {to} now"));
        return;
    }
    if before.read_only != after.read_only {
        let word = |read_only| if read_only { "read-only" } else { "writable" }.to_owned();
        let (from, to) = (word(before.read_only), word(after.read_only));
        let draft = changes.of(Group::Disks, format!("{mount}: writable"), Some(from), Some(to.clone()));
        draft.rated(Importance::High).says(format!("{name} is {to} now"));
    }
    changes.text(Group::Disks, Importance::Medium, &format!("{mount}: kind"), &before.kind, &after.kind);
    let whole = before.size_bytes.max(after.size_bytes);
    let full = before.nearly_full() || after.nearly_full();
    let importance = if full { Importance::High } else { Importance::Medium };
    if moved(before.size_bytes, after.size_bytes, whole, DISK_SHARE) {
        let (from, to) = (size(before.size_bytes), size(after.size_bytes));
        let says = format!("size of {name}: {from} → {to}");
        changes.of(Group::Disks, format!("{mount}: size"), Some(from), Some(to)).says(says);
    }
    let (from, to) = (before.free_bytes, after.free_bytes);
    if moved(from, to, whole, DISK_SHARE) || from.abs_diff(to) >= DISK_BYTES {
        let says = format!("free on {name}: {} of {}", sizes(from, to), size(after.size_bytes));
        let draft = changes.of(Group::Disks, format!("{mount}: free"), Some(size(from)), Some(size(to)));
        draft.rated(importance).says(says);
    }
    let inodes = before.inodes_free.zip(after.inodes_free);
    if let (Some((from, to)), Some(all)) = (inodes, before.inodes.max(after.inodes))
        && moved(from, to, all, DISK_SHARE)
    {
        let (from, to) = (grouped(from), grouped(to));
        let says = format!("free inodes on {name}: {from} → {to} of {}", grouped(all));
        let draft = changes.of(Group::Disks, format!("{mount}: inodes"), Some(from), Some(to));
        draft.rated(importance).says(says);
    }
}
