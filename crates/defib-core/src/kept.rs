//! What the counts of live objects say of the memory that a Python process grew by.

use crate::case::Study;
use crate::facts::{Container, Objects, TypeCount};
use crate::growth::is_cache;
use crate::telling::{grouped, size};

/// Less growth than this is not told apart, bytes.
const LEAST: u64 = 16 << 20;

/// Where the memory is that came between two counts.
#[derive(Debug, Clone, PartialEq)]
pub enum Inside {
    /// malloc gave it back when it was asked to: nobody used it.
    Freed {
        /// The process.
        pid: i32,
        /// Resident bytes given back.
        trimmed_bytes: u64,
        /// Resident bytes before.
        resident_bytes: u64,
    },
    /// Live objects hold it.
    Kept {
        /// The process.
        pid: i32,
        /// Growth of all live objects, bytes.
        live_bytes: u64,
        /// Growth of resident memory, bytes.
        grown_bytes: u64,
        /// The type that grew most: how many more, and their bytes.
        kind: TypeCount,
        /// The named container that grew most, with items and bytes more.
        container: Option<(Container, u64, u64)>,
    },
    /// Neither: native code holds it, outside of Python's objects.
    Native {
        /// The process.
        pid: i32,
        /// Growth of resident memory, bytes.
        grown_bytes: u64,
        /// Growth of all live objects, bytes.
        live_bytes: u64,
    },
}

/// Tells apart, by the first and the last count of the process that grew most.
#[must_use]
pub fn inside(study: &Study<'_>) -> Option<Inside> {
    let all = &study.case.objects;
    let last = |pid: i32| all.iter().rev().find(|one| one.pid == pid);
    let largest = all.iter().filter_map(|one| last(one.pid)).max_by_key(|one| one.resident_bytes)?;
    let pid = largest.pid;
    let first = all.iter().find(|one| one.pid == pid).filter(|first| first.at_s < largest.at_s);
    // What was given back between the counts was grown as well.
    let back: u64 = all.iter().filter(|one| one.pid == pid).map(|one| one.trimmed_bytes).sum();
    let nothing = Objects::default();
    let before = first.unwrap_or(&nothing);
    let grown = (largest.resident_bytes + back - largest.trimmed_bytes).saturating_sub(before.resident_bytes);
    let live = largest.live_bytes.saturating_sub(before.live_bytes);
    if back >= LEAST && share(back, grown.max(largest.resident_bytes / 2)) >= 0.35 {
        return Some(Inside::Freed { pid, trimmed_bytes: back, resident_bytes: largest.resident_bytes });
    }
    let first = first?;
    if grown < LEAST {
        return None;
    }
    if share(live, grown) >= 0.5 {
        let container = largest.fuller(first).filter(|(_, _, bytes)| share(*bytes, live) >= 0.3);
        let container = container.map(|(one, items, bytes)| (one.clone(), items, bytes));
        return Some(Inside::Kept {
            pid,
            live_bytes: live,
            grown_bytes: grown,
            kind: largest.grown(first)?,
            container,
        });
    }
    let native = largest.complete && share(live, grown) < 0.25 && share(largest.collected_bytes, grown) < 0.25;
    native.then_some(Inside::Native { pid, grown_bytes: grown, live_bytes: live })
}

/// A container whose name says that it is there to be looked up again: a cache, or the
/// plans, kernels, graphs or workspaces that a library makes for each shape.
#[must_use]
pub fn is_cache_name(name: &str) -> bool {
    const FOR_SHAPES: [&str; 7] = ["plans", "kernels", "graphs", "compiled", "workspaces", "engines", "tables"];
    let last = name.split(" in ").next().unwrap_or(name).rsplit('.').next().unwrap_or(name);
    is_cache(name) || FOR_SHAPES.contains(&last.trim_start_matches('_'))
}

/// malloc gave so much back that it is worth a word, whatever came of the run.
#[must_use]
pub fn freed_much(study: &Study<'_>) -> bool {
    const MUCH: u64 = 64 << 20;
    matches!(inside(study), Some(Inside::Freed { trimmed_bytes, .. }) if trimmed_bytes >= MUCH)
}

/// `the list app.Session.results has 1,204 items more (numpy.ndarray), 301 MiB`.
#[must_use]
pub fn container_words(container: &Container, items: u64, bytes: u64) -> String {
    let name = container.name.as_deref().unwrap_or("without a name");
    format!(
        "the {} {name} has {} items more (the first is a {}), {}",
        container.kind,
        grouped(items),
        container.of,
        size(bytes)
    )
}

/// `1,204 numpy.ndarray more, 301 MiB`.
#[must_use]
pub fn type_words(kind: &TypeCount) -> String {
    format!("{} {} more, {}", grouped(kind.count), kind.kind, size(kind.bytes))
}

#[expect(clippy::cast_precision_loss, reason = "a share of bytes")]
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / (whole as f64).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Case;

    const MIB: u64 = 1 << 20;

    fn count(at_s: f64, resident: u64, live: u64, trimmed: u64) -> Objects {
        let kinds = vec![TypeCount { kind: "bytes".into(), count: live, bytes: live * MIB }];
        Objects {
            pid: 7,
            at_s,
            resident_bytes: resident * MIB,
            live_bytes: live * MIB,
            trimmed_bytes: trimmed * MIB,
            complete: true,
            types: kinds,
            ..Objects::default()
        }
    }

    fn told(counts: Vec<Objects>) -> Option<Inside> {
        inside(&Study::new(&Case { objects: counts, ..Case::default() }))
    }

    #[test]
    fn what_is_kept_freed_and_native_is_told_apart() {
        assert!(matches!(told(vec![count(1.0, 50, 30, 0), count(2.0, 150, 128, 0)]), Some(Inside::Kept { .. })));
        assert!(matches!(told(vec![count(1.0, 50, 30, 0), count(2.0, 150, 31, 90)]), Some(Inside::Freed { .. })));
        assert!(matches!(told(vec![count(1.0, 50, 30, 0), count(2.0, 150, 31, 2)]), Some(Inside::Native { .. })));
        // Each count gives the free memory back, so the next sees less of it.
        let sawtooth = vec![count(1.0, 90, 30, 40), count(2.0, 95, 30, 45), count(3.0, 97, 31, 46)];
        assert!(matches!(told(sawtooth), Some(Inside::Freed { .. })));
    }

    #[test]
    fn names_of_caches_are_known() {
        for name in ["app.Model._kv_cache", "vendor.fastconv.Planner.plans", "memo in solve", "tri._kernels"] {
            assert!(is_cache_name(name), "{name}");
        }
        for name in ["app.Session.results", "__main__.HISTORY", "floorplans.rooms"] {
            assert!(!is_cache_name(name), "{name}");
        }
    }

    #[test]
    fn little_growth_and_a_single_count_settle_nothing() {
        assert_eq!(told(vec![count(1.0, 50, 30, 0), count(2.0, 60, 31, 1)]), None);
        assert_eq!(told(vec![count(1.0, 150, 30, 0)]), None);
        assert_eq!(told(vec![]), None);
    }
}
