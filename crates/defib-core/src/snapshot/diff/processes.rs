//! Processes: which came, which went, and what those that stayed hold.
//!
//! A process is the same by pid, start time and boot. Over a restart of the
//! machine none is, so there only the ports are compared.

use std::collections::BTreeSet;

use super::{Changes, Group, Importance, moved, paired, sizes};
use crate::snapshot::{Process, Snapshot};
use crate::telling::{seconds, short_command, size};

/// Memory of a process from which on a difference is told, bytes.
const BYTES: u64 = 64 << 20;
/// The same as a share of its own memory, in percent.
const OWN_SHARE: u64 = 10;
/// Share of the machine's memory, in percent, which makes a process or its growth important.
const MACHINE_SHARE: u64 = 10;

pub(super) fn compare(a: &Snapshot, b: &Snapshot, changes: &mut Changes) {
    if a.system.boot_id != b.system.boot_id {
        ports_over_restart(a, b, changes);
        return;
    }
    let whole = a.memory.total_bytes.max(b.memory.total_bytes);
    let mut others = (0, 0);
    let pairs = paired(&a.processes.list, &b.processes.list, |process| (process.pid, process.start_ticks));
    for (_, before, after) in pairs {
        match (before, after) {
            (Some(before), Some(after)) => stayed(before, after, whole, changes),
            (None, Some(new)) if new.matters => {
                let older = new.age_s * 1000.0 > apart_ms(a, b);
                appeared(new, older, whole, changes);
            }
            (Some(old), None) if old.matters => gone(old, whole, changes),
            (None, Some(_)) => others.1 += 1,
            (Some(_), None) => others.0 += 1,
            (None, None) => {}
        }
    }
    if others != (0, 0) {
        let (ended, new) = (others.0.to_string(), others.1.to_string());
        let says = format!("of other listed processes {ended} went and {new} came");
        let draft = changes.of(Group::Processes, "other processes", Some(ended), Some(new));
        draft.rated(Importance::Low).says(says);
    }
}

/// Milliseconds between the two, as far as the first comes first.
#[expect(clippy::cast_precision_loss, reason = "a span of time")]
fn apart_ms(a: &Snapshot, b: &Snapshot) -> f64 {
    b.taken_ms.saturating_sub(a.taken_ms) as f64
}

fn large(bytes: u64, whole: u64) -> bool {
    whole > 0 && bytes >= whole / 100 * MACHINE_SHARE
}

/// `, 1.2 GiB, 8.0 GiB of GPU memory, of run r7f3a`.
fn holds(process: &Process) -> String {
    let mut text = size(process.memory_bytes());
    if let Some(bytes) = process.gpu_bytes.filter(|bytes| *bytes > 0) {
        text.push_str(&format!(", {} of GPU memory", size(bytes)));
    }
    if let Some(run) = &process.run {
        text.push_str(&format!(", of run {run}"));
    }
    text
}

/// `port 7860`, `ports 7860 and 7861`.
fn ports(ports: &[u16]) -> String {
    let numbers: Vec<String> = ports.iter().map(ToString::to_string).collect();
    match numbers.as_slice() {
        [one] => format!("port {one}"),
        [first @ .., last] => format!("ports {} and {last}", first.join(", ")),
        [] => "no port".to_owned(),
    }
}

fn appeared(process: &Process, older: bool, whole: u64, changes: &mut Changes) {
    let name = process.name();
    let held = process.ports();
    let says = match (held.is_empty(), older) {
        (false, false) => format!("new process holding {}: {name}, {}", ports(&held), holds(process)),
        (false, true) => format!("{name} holds {} now, {}", ports(&held), holds(process)),
        (true, false) => format!("new process: {name}, {}", holds(process)),
        (true, true) => format!("{name}, which is {} old, matters now: {}", seconds(process.age_s), holds(process)),
    };
    let weighty = !held.is_empty() || process.gpu_bytes.is_some() || large(process.memory_bytes(), whole);
    let draft = changes.of(Group::Processes, format!("pid {}", process.pid), None, Some(holds(process)));
    draft.rated(if weighty { Importance::High } else { Importance::Medium }).says(says);
}

fn gone(process: &Process, whole: u64, changes: &mut Changes) {
    let held = process.ports();
    let port = if held.is_empty() { String::new() } else { format!("{}, ", ports(&held)) };
    let says = format!("{} is gone; it held {port}{}", process.name(), holds(process));
    let weighty = !held.is_empty() || process.gpu_bytes.is_some() || large(process.memory_bytes(), whole);
    let draft = changes.of(Group::Processes, format!("pid {}", process.pid), Some(holds(process)), None);
    draft.rated(if weighty { Importance::Medium } else { Importance::Low }).says(says);
}

fn stayed(before: &Process, after: &Process, whole: u64, changes: &mut Changes) {
    let name = after.name();
    let subject = |what: &str| format!("pid {}: {what}", after.pid);
    ports_of(before, after, changes);
    memory_of(before, after, whole, changes);
    let gpu = (before.gpu_bytes.unwrap_or(0), after.gpu_bytes.unwrap_or(0));
    if gpu.0.abs_diff(gpu.1) >= BYTES && moved(gpu.0, gpu.1, gpu.0.max(gpu.1), OWN_SHARE) {
        let says = format!("GPU memory of {name}: {}", sizes(gpu.0, gpu.1));
        let draft = changes.of(Group::Processes, subject("GPU memory"), Some(size(gpu.0)), Some(size(gpu.1)));
        draft.rated(Importance::High).says(says);
    }
    // R and S come and go.
    let stuck = |process: &Process| matches!(process.state.as_str(), "D" | "T" | "t" | "Z");
    if before.state != after.state && (stuck(before) || stuck(after)) {
        let (from, to) = (before.state.clone(), after.state.clone());
        let says = format!("state of {name}: {from} → {to}");
        changes.of(Group::Processes, subject("state"), Some(from), Some(to)).says(says);
    }
    let (from, to) = (before.threads, after.threads);
    if from.abs_diff(to) >= 20 && (from * 2 <= to || to * 2 <= from) {
        let says = format!("threads of {name}: {from} → {to}");
        let draft = changes.of(Group::Processes, subject("threads"), Some(from.to_string()), Some(to.to_string()));
        draft.says(says);
    }
    if let Some((from, to)) = before.descriptors.zip(after.descriptors)
        && from.abs_diff(to) >= 100
        && (from * 2 <= to || to * 2 <= from)
    {
        let says = format!("open descriptors of {name}: {from} → {to}");
        let counts = (Some(from.to_string()), Some(to.to_string()));
        changes.of(Group::Processes, subject("descriptors"), counts.0, counts.1).says(says);
    }
    if before.command != after.command {
        let (from, to) = (short_command(&before.command), short_command(&after.command));
        let says = format!("pid {} runs another command: {from} → {to}", after.pid);
        let draft = changes.of(Group::Processes, subject("command"), Some(from), Some(to));
        draft.rated(Importance::Low).says(says);
    }
}

fn ports_of(before: &Process, after: &Process, changes: &mut Changes) {
    let (old, new): (BTreeSet<u16>, BTreeSet<u16>) =
        (before.ports().into_iter().collect(), after.ports().into_iter().collect());
    for port in new.difference(&old) {
        let says = format!("{} listens on port {port} now", after.name());
        let draft = changes.of(Group::Processes, format!("port {port}"), None, Some(after.name()));
        draft.rated(Importance::High).says(says);
    }
    for port in old.difference(&new) {
        let says = format!("{} no longer listens on port {port}", after.name());
        let draft = changes.of(Group::Processes, format!("port {port}"), Some(before.name()), None);
        draft.rated(Importance::High).says(says);
    }
}

fn memory_of(before: &Process, after: &Process, whole: u64, changes: &mut Changes) {
    // Resident and proportional memory are different measures.
    let (from, to) = match (before.pss_bytes, after.pss_bytes) {
        (Some(from), Some(to)) => (from, to),
        _ => (before.rss_bytes, after.rss_bytes),
    };
    if from.abs_diff(to) >= BYTES && moved(from, to, from.max(to), OWN_SHARE) {
        let says = format!("memory of {}: {}", after.name(), sizes(from, to));
        let subject = format!("pid {}: memory", after.pid);
        let importance = if large(from.abs_diff(to), whole) { Importance::High } else { Importance::Medium };
        changes.of(Group::Processes, subject, Some(size(from)), Some(size(to))).rated(importance).says(says);
    }
}

fn ports_over_restart(a: &Snapshot, b: &Snapshot, changes: &mut Changes) {
    let held = |snapshot: &Snapshot| -> Vec<(u16, String)> {
        let each = |process: &Process| {
            let name = short_command(&process.command);
            process.ports().into_iter().map(move |port| (port, name.clone())).collect::<Vec<_>>()
        };
        snapshot.processes.list.iter().flat_map(each).collect()
    };
    let (before, after) = (held(a), held(b));
    for (port, before, after) in paired(&before, &after, |(port, _)| *port) {
        let subject = format!("port {port}");
        let (from, to) = (before.map(|(_, name)| name.clone()), after.map(|(_, name)| name.clone()));
        let says = match (&from, &to) {
            (None, Some(name)) => format!("{name} holds port {port} now"),
            (Some(name), None) => format!("nobody holds port {port} any more; it was {name}"),
            (Some(old), Some(new)) if old != new => format!("port {port} was held by {old}, and now by {new}"),
            _ => continue,
        };
        changes.of(Group::Processes, subject, from, to).says(says);
    }
}
