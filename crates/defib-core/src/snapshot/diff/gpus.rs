//! GPUs: memory, who holds it, clocks and errors.

use super::{Changes, Group, Importance, moved, paired, sizes};
use crate::snapshot::{Gpu, GpuProcess, Snapshot};
use crate::telling::{grouped, size};

/// Share of a card's memory, in percent, from which on a difference is told.
const SHARE: u64 = 2;
/// Degrees Celsius from which on a difference is told.
const DEGREES: u32 = 15;

pub(super) fn compare(a: &Snapshot, b: &Snapshot, changes: &mut Changes) {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let (before, after) = (&a.gpus, &b.gpus);
    if before.absent.is_some() != after.absent.is_some() {
        let says = match &after.absent {
            Some(why) => format!("no GPU is seen any more: {why}"),
            None => "GPUs are seen now".to_owned(),
        };
        let word = |absent: &Option<String>| absent.clone().unwrap_or_else(|| "seen".to_owned());
        let draft = changes.of(Group::Gpus, "GPUs", Some(word(&before.absent)), Some(word(&after.absent)));
        draft.rated(Importance::High).says(says);
    }
    changes.text(Group::Gpus, Importance::High, "driver", &text(&before.driver), &text(&after.driver));
    changes.text(Group::Gpus, Importance::High, "CUDA of the driver", &text(&before.cuda), &text(&after.cuda));
    let same_boot = a.system.boot_id == b.system.boot_id;
    for (_, before, after) in paired(&before.list, &after.list, |gpu| (gpu.uuid.as_str(), gpu.index)) {
        match (before, after) {
            (Some(before), Some(after)) => {
                gpu(before, after, changes);
                if same_boot {
                    holders(before, after, changes);
                }
            }
            (Some(gone), None) => {
                let says = format!("{} is gone", name(gone));
                let draft = changes.of(Group::Gpus, name(gone), Some(gone.uuid.clone()), None);
                draft.rated(Importance::High).says(says);
            }
            (None, Some(new)) => {
                let says = format!("{} is new", name(new));
                let draft = changes.of(Group::Gpus, name(new), None, Some(new.uuid.clone()));
                draft.rated(Importance::High).says(says);
            }
            (None, None) => {}
        }
    }
}

/// `GPU 0 (NVIDIA A10)`.
fn name(gpu: &Gpu) -> String {
    format!("GPU {} ({})", gpu.index, gpu.name)
}

fn gpu(before: &Gpu, after: &Gpu, changes: &mut Changes) {
    let name = name(after);
    let number = format!("GPU {}", after.index);
    let (from, to) = (before.used_bytes, after.used_bytes);
    let whole = before.total_bytes.max(after.total_bytes);
    if moved(from, to, whole, SHARE) {
        let much = moved(from, to, whole, 25) || from.max(to) > whole / 10 * 9;
        let says = format!("memory used of {name}: {} of {}", sizes(from, to), size(after.total_bytes));
        let draft = changes.of(Group::Gpus, format!("{number}: memory"), Some(size(from)), Some(size(to)));
        draft.rated(if much { Importance::High } else { Importance::Medium }).says(says);
    }
    let (from, to) = (reasons(before), reasons(after));
    let subject = format!("{number}: clocks held down by");
    changes.text(Group::Gpus, Importance::Medium, &subject, &from.join(", "), &to.join(", "));
    let errors = (before.ecc_uncorrected.unwrap_or(0), after.ecc_uncorrected.unwrap_or(0));
    if errors.0 != errors.1 {
        let (from, to) = (grouped(errors.0), grouped(errors.1));
        changes.text(Group::Gpus, Importance::High, &format!("{number}: uncorrected memory errors"), &from, &to);
    }
    if let Some((from, to)) = before.temperature.zip(after.temperature)
        && from.abs_diff(to) >= DEGREES
    {
        let subject = format!("{number}: temperature");
        changes.text(Group::Gpus, Importance::Low, &subject, &format!("{from} °C"), &format!("{to} °C"));
    }
}

/// Reasons but that there is nothing to do, which comes and goes.
fn reasons(gpu: &Gpu) -> Vec<&str> {
    gpu.throttle.iter().map(String::as_str).filter(|reason| *reason != "idle").collect()
}

fn holders(before: &Gpu, after: &Gpu, changes: &mut Changes) {
    let bytes = |process: &GpuProcess| process.bytes.unwrap_or(0);
    let told = |process: &GpuProcess| process.bytes.map_or_else(|| "memory".to_owned(), size);
    for (pid, old, new) in paired(&before.processes, &after.processes, |process| process.pid) {
        let subject = format!("GPU {}: memory of pid {pid}", after.index);
        match (old, new) {
            (None, Some(new)) => {
                let says = format!("pid {pid} holds {} of GPU {} now", told(new), after.index);
                changes.of(Group::Gpus, subject, None, Some(told(new))).rated(Importance::High).says(says);
            }
            (Some(old), None) => {
                let says = format!("pid {pid} no longer holds {} of GPU {}", told(old), after.index);
                changes.of(Group::Gpus, subject, Some(told(old)), None).says(says);
            }
            (Some(old), Some(new))
                if moved(bytes(old), bytes(new), after.total_bytes.max(before.total_bytes), SHARE) =>
            {
                let says = format!("pid {pid} holds {} of GPU {}", sizes(bytes(old), bytes(new)), after.index);
                changes.of(Group::Gpus, subject, Some(told(old)), Some(told(new))).says(says);
            }
            _ => {}
        }
    }
}
