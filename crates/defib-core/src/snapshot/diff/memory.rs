//! Memory, swap, pressure, and `/dev/shm`.

use super::{Changes, Group, Importance, moved, paired, sizes};
use crate::snapshot::{Memory, SharedFile, SharedMemory, Snapshot};
use crate::telling::{grouped, size};

/// Share of the memory, in percent, from which on a difference is told.
const SHARE: u64 = 2;
/// Percentage points of pressure from which on a difference is told.
const PRESSURE: f64 = 10.0;
/// Bytes of a file in `/dev/shm` from which on its coming and going is told.
const FILE: u64 = 64 << 20;

pub(super) fn compare(a: &Snapshot, b: &Snapshot, changes: &mut Changes) {
    memory(&a.memory, &b.memory, changes);
    pressure(&a.memory, &b.memory, changes);
    match (&a.shared_memory, &b.shared_memory) {
        (Some(before), Some(after)) => shared(before, after, changes),
        (None, Some(after)) => {
            let draft = changes.of(Group::SharedMemory, "/dev/shm", None, Some(size(after.size_bytes)));
            draft.says("there is a /dev/shm now");
        }
        (Some(before), None) => {
            let draft = changes.of(Group::SharedMemory, "/dev/shm", Some(size(before.size_bytes)), None);
            draft.rated(Importance::High).says("there is no /dev/shm any more");
        }
        (None, None) => {}
    }
}

fn memory(before: &Memory, after: &Memory, changes: &mut Changes) {
    let whole = before.total_bytes.max(after.total_bytes);
    if moved(before.total_bytes, after.total_bytes, whole, SHARE) {
        let says = format!("memory of the machine: {}", sizes(before.total_bytes, after.total_bytes));
        let (from, to) = (size(before.total_bytes), size(after.total_bytes));
        changes.of(Group::Memory, "memory", Some(from), Some(to)).rated(Importance::High).says(says);
    }
    let (from, to) = (before.available_bytes, after.available_bytes);
    if moved(from, to, whole, SHARE) {
        let much = moved(from, to, whole, 25) || from.min(to) < whole / 10;
        let says = format!("memory available: {} of {}", sizes(from, to), size(after.total_bytes));
        let draft = changes.of(Group::Memory, "memory available", Some(size(from)), Some(size(to)));
        draft.rated(if much { Importance::High } else { Importance::Medium }).says(says);
    }
    let (from, to) = (before.swap_used_bytes, after.swap_used_bytes);
    let swap = before.swap_total_bytes.max(after.swap_total_bytes);
    if swap > 0 && moved(from, to, swap, SHARE) {
        let says = format!("swap used: {} of {}", sizes(from, to), size(after.swap_total_bytes));
        changes.of(Group::Memory, "swap used", Some(size(from)), Some(size(to))).says(says);
    }
    if moved(before.swap_total_bytes, after.swap_total_bytes, swap, SHARE) {
        let (from, to) = (size(before.swap_total_bytes), size(after.swap_total_bytes));
        changes.text(Group::Memory, Importance::Medium, "swap space", &from, &to);
    }
}

fn pressure(before: &Memory, after: &Memory, changes: &mut Changes) {
    for (resource, before, after) in paired(&before.pressure, &after.pressure, |one| one.resource.as_str()) {
        if let (Some(before), Some(after)) = (before, after)
            && (before.some_10s - after.some_10s).abs() >= PRESSURE
        {
            let (from, to) = (format!("{:.0} %", before.some_10s), format!("{:.0} %", after.some_10s));
            let says = format!("pressure on {resource}, share of the time that some task waited for it: {from} → {to}");
            changes.of(Group::Memory, format!("pressure on {resource}"), Some(from), Some(to)).says(says);
        }
    }
}

fn shared(before: &SharedMemory, after: &SharedMemory, changes: &mut Changes) {
    let group = Group::SharedMemory;
    let whole = before.size_bytes.max(after.size_bytes);
    if moved(before.size_bytes, after.size_bytes, whole, SHARE) {
        let (from, to) = (size(before.size_bytes), size(after.size_bytes));
        changes.text(group, Importance::High, "size of /dev/shm", &from, &to);
    }
    let (from, to) = (before.free_bytes, after.free_bytes);
    if moved(from, to, whole, SHARE) {
        let few = from.min(to) < whole / 10;
        let says = format!("free in /dev/shm: {} of {}", sizes(from, to), size(after.size_bytes));
        let draft = changes.of(group, "free in /dev/shm", Some(size(from)), Some(size(to)));
        draft.rated(if few { Importance::High } else { Importance::Medium }).says(says);
    }
    for (path, before, after) in paired(&before.largest, &after.largest, |file| file.path.as_str()) {
        file(path, before, after, changes);
    }
    let (from, to) = (before.files, after.files);
    if from.abs_diff(to) >= 20 && moved(from, to, from.max(to), 50) {
        let (from, to) = (grouped(from), grouped(to));
        let says = format!("files in /dev/shm: {from} → {to}");
        changes.of(group, "files in /dev/shm", Some(from), Some(to)).rated(Importance::Low).says(says);
    }
}

fn file(path: &str, before: Option<&SharedFile>, after: Option<&SharedFile>, changes: &mut Changes) {
    let group = Group::SharedMemory;
    match (before, after) {
        (None, Some(new)) if new.bytes >= FILE => {
            let says = format!("{path} is new: {}{}", size(new.bytes), nobody(new));
            changes.of(group, path, None, Some(size(new.bytes))).says(says);
        }
        (Some(gone), None) if gone.bytes >= FILE => {
            let says = format!("{path} is gone; it took {}", size(gone.bytes));
            changes.of(group, path, Some(size(gone.bytes)), None).says(says);
        }
        (Some(before), Some(after)) => {
            if before.bytes.max(after.bytes) >= FILE && before.held != after.held {
                let word = |file: &SharedFile| match file.held {
                    Some(true) => "held by a process",
                    Some(false) => "held by nobody",
                    None => "holders unknown",
                };
                let (from, to) = (word(before).to_owned(), word(after).to_owned());
                let says = format!("{path} ({}): {from} → {to}", size(after.bytes));
                changes.of(group, format!("{path}: held"), Some(from), Some(to)).says(says);
            }
            let (from, to) = (before.bytes, after.bytes);
            if from.abs_diff(to) >= FILE && moved(from, to, from.max(to), 10) {
                let says = format!("{path}: {}", sizes(from, to));
                changes.of(group, path, Some(size(from)), Some(size(to))).says(says);
            }
        }
        _ => {}
    }
}

fn nobody(file: &SharedFile) -> &'static str {
    if file.held == Some(false) { ", and no process holds it" } else { "" }
}
