//! What changed between two snapshots, in words, the most important first.
//!
//! A pure function, and fair to both sides: `diff(a, a)` is empty, and
//! `diff(b, a)` mentions what `diff(a, b)` mentions, with before and after
//! exchanged. Small differences are noise and left out; each part says from
//! which size on it speaks.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Snapshot;
use crate::telling::size;

mod events;
mod gpus;
mod machine;
mod memory;
mod processes;
mod python;
#[cfg(test)]
mod tests;

/// What a change is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// The machine itself.
    Machine,
    /// Runs and how they ended.
    Runs,
    /// Lines of the kernel log.
    KernelLog,
    /// Memory, swap and pressure.
    Memory,
    /// GPUs.
    Gpus,
    /// Limits of the control group.
    Limits,
    /// Processes.
    Processes,
    /// Disks.
    Disks,
    /// `/dev/shm`.
    SharedMemory,
    /// Python environments and their packages.
    Python,
    /// Variables of the environment.
    Environment,
}

/// How much a change matters; the most important is the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Importance {
    /// Look here first.
    High,
    /// Worth knowing.
    Medium,
    /// For completeness.
    Low,
}

/// What became of its subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Not in the first snapshot.
    Appeared,
    /// Not in the second.
    Gone,
    /// In both, and different.
    Changed,
}

/// One difference between two snapshots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// How much it matters.
    pub importance: Importance,
    /// What it is about.
    pub group: Group,
    /// What became of it.
    pub kind: Kind,
    /// What exactly: `memory available`, `port 7860`, `torch in /venv`.
    pub subject: String,
    /// Its value in the first snapshot, for people.
    pub before: Option<String>,
    /// Its value in the second.
    pub after: Option<String>,
    /// The change as a sentence.
    pub says: String,
}

/// What changed from `a` to `b`: groups in the order of their most important
/// change, and within a group the most important first.
#[must_use]
pub fn diff(a: &Snapshot, b: &Snapshot) -> Vec<Change> {
    let mut changes = Changes::default();
    machine::compare(a, b, &mut changes);
    events::compare(a, b, &mut changes);
    memory::compare(a, b, &mut changes);
    gpus::compare(a, b, &mut changes);
    processes::compare(a, b, &mut changes);
    python::compare(a, b, &mut changes);
    changes.sorted()
}

impl Group {
    /// The name used as a heading.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Machine => "machine",
            Self::Runs => "runs",
            Self::KernelLog => "kernel log",
            Self::Memory => "memory",
            Self::Gpus => "GPUs",
            Self::Limits => "limits",
            Self::Processes => "processes",
            Self::Disks => "disks",
            Self::SharedMemory => "shared memory",
            Self::Python => "Python",
            Self::Environment => "environment",
        }
    }
}

/// The changes found so far.
#[derive(Debug, Default)]
struct Changes(Vec<Change>);

/// A change before it has its sentence.
#[derive(Debug)]
struct Draft<'c> {
    changes: &'c mut Changes,
    change: Change,
}

impl Changes {
    /// Begins a change of a value; the kind follows from which side has one.
    fn of(
        &mut self,
        group: Group,
        subject: impl Into<String>,
        before: Option<String>,
        after: Option<String>,
    ) -> Draft<'_> {
        let kind = match (&before, &after) {
            (None, Some(_)) => Kind::Appeared,
            (Some(_), None) => Kind::Gone,
            _ => Kind::Changed,
        };
        let subject = subject.into();
        let change =
            Change { importance: Importance::Medium, group, kind, subject, before, after, says: String::new() };
        Draft { changes: self, change }
    }

    /// A text that differs: `subject: before → after`.
    fn text(&mut self, group: Group, importance: Importance, subject: &str, before: &str, after: &str) {
        if before != after {
            let shown = |text: &str| if text.is_empty() { "none".to_owned() } else { text.to_owned() };
            let (before, after) = (shown(before), shown(after));
            let says = format!("{subject}: {before} → {after}");
            self.of(group, subject, Some(before), Some(after)).rated(importance).says(says);
        }
    }

    /// A limit that differs.
    fn limit(&mut self, group: Group, subject: &str, before: Option<String>, after: Option<String>) {
        let shown = |limit: Option<String>| limit.unwrap_or_else(|| "no limit".to_owned());
        self.text(group, Importance::High, subject, &shown(before), &shown(after));
    }

    fn sorted(self) -> Vec<Change> {
        let mut changes = self.0;
        let mut best: BTreeMap<Group, Importance> = BTreeMap::new();
        for change in &changes {
            let known = best.entry(change.group).or_insert(change.importance);
            *known = change.importance.min(*known);
        }
        changes.sort_by(|one, other| {
            let rank = |change: &Change| (best.get(&change.group).copied(), change.group, change.importance);
            rank(one).cmp(&rank(other))
        });
        changes
    }
}

impl Draft<'_> {
    fn rated(mut self, importance: Importance) -> Self {
        self.change.importance = importance;
        self
    }

    fn says(mut self, says: impl Into<String>) {
        self.change.says = says.into();
        self.changes.0.push(self.change);
    }
}

/// Entries of both lists, brought together by their key, in the order of keys.
/// Of entries with the same key the first counts.
fn paired<'s, T, K: Ord>(
    before: &'s [T],
    after: &'s [T],
    key: impl Fn(&'s T) -> K,
) -> Vec<(K, Option<&'s T>, Option<&'s T>)> {
    let mut all: BTreeMap<K, (Option<&'s T>, Option<&'s T>)> = BTreeMap::new();
    for entry in before {
        all.entry(key(entry)).or_default().0.get_or_insert(entry);
    }
    for entry in after {
        all.entry(key(entry)).or_default().1.get_or_insert(entry);
    }
    all.into_iter().map(|(key, (before, after))| (key, before, after)).collect()
}

/// The difference is at least so many percent of the whole.
fn moved(before: u64, after: u64, whole: u64, percent: u64) -> bool {
    let difference = u128::from(before.abs_diff(after));
    difference > 0 && difference * 100 >= u128::from(whole) * u128::from(percent)
}

/// `20.1 GiB → 3.2 GiB`.
fn sizes(before: u64, after: u64) -> String {
    format!("{} → {}", size(before), size(after))
}
