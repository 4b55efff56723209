//! What lives in a Python process, counted from inside where the user asked for it.

use serde::{Deserialize, Serialize};

/// One count of live objects, after a garbage collection.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Objects {
    /// Process id.
    #[serde(default)]
    pub pid: i32,
    /// Seconds since the start of the run.
    #[serde(default)]
    pub at_s: f64,
    /// Resident memory before, bytes.
    pub resident_bytes: u64,
    /// Bytes of all live objects together, buffers of arrays included.
    pub live_bytes: u64,
    /// How many there are.
    pub objects: u64,
    /// Objects that the garbage collection freed.
    pub collected: u64,
    /// Resident memory that this gave back, bytes.
    pub collected_bytes: u64,
    /// Resident memory that `malloc_trim` gave back then, bytes.
    pub trimmed_bytes: u64,
    /// Every object was counted; otherwise time ran out.
    pub complete: bool,
    /// Largest types first.
    pub types: Vec<TypeCount>,
    /// Containers that hold most first.
    pub containers: Vec<Container>,
    /// Seconds that the program stood still for it.
    pub took_s: f64,
}

/// Objects of one type.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TypeCount {
    /// `numpy.ndarray`.
    #[serde(rename = "type")]
    pub kind: String,
    /// How many.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A list, dictionary, set or queue.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Container {
    /// `list`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `__main__.HISTORY`, `app.Session.results`, `found in main`; `None` if it was not found.
    pub name: Option<String>,
    /// How many items it has.
    pub items: u64,
    /// Bytes of what it holds, estimated from a sample where it is large.
    pub bytes: u64,
    /// Type of the first item.
    pub of: String,
}

impl Objects {
    fn count(&self, kind: &str) -> Option<&TypeCount> {
        self.types.iter().find(|one| one.kind == kind)
    }

    /// The type that grew most since an earlier count: its count and bytes added.
    #[must_use]
    pub fn grown(&self, earlier: &Self) -> Option<TypeCount> {
        let added = |now: &TypeCount| {
            let before = earlier.count(&now.kind).cloned().unwrap_or_default();
            TypeCount {
                kind: now.kind.clone(),
                count: now.count.saturating_sub(before.count),
                bytes: now.bytes.saturating_sub(before.bytes),
            }
        };
        self.types.iter().map(added).max_by_key(|one| one.bytes).filter(|one| one.bytes > 0)
    }

    /// The named container that grew most since an earlier count, and by how many items
    /// and bytes.
    #[must_use]
    pub fn fuller(&self, earlier: &Self) -> Option<(&Container, u64, u64)> {
        let added = |now: &'_ Container| {
            let name = now.name.as_ref()?;
            let before = earlier.containers.iter().find(|one| one.name.as_ref() == Some(name));
            let (items, bytes) = before.map_or((0, 0), |one| (one.items, one.bytes));
            Some((now.items.saturating_sub(items), now.bytes.saturating_sub(bytes)))
        };
        let all = self.containers.iter().filter_map(|one| added(one).map(|(items, bytes)| (one, items, bytes)));
        all.filter(|(_, items, bytes)| *items > 0 && *bytes > 0).max_by_key(|(_, _, bytes)| *bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grew_is_named() {
        let arrays = |count, bytes| vec![TypeCount { kind: "numpy.ndarray".into(), count, bytes }];
        let list = |items, bytes| {
            vec![Container { kind: "list".into(), name: Some("app.HISTORY".into()), items, bytes, of: "x".into() }]
        };
        let first = Objects { types: arrays(10, 1000), containers: list(10, 1000), ..Objects::default() };
        let last = Objects { types: arrays(40, 4000), containers: list(40, 4000), ..Objects::default() };
        assert_eq!(last.grown(&first).map(|one| (one.count, one.bytes)), Some((30, 3000)));
        assert_eq!(last.fuller(&first).map(|(_, items, bytes)| (items, bytes)), Some((30, 3000)));
        assert_eq!(last.grown(&last), None);
        assert!(last.fuller(&last).is_none());
    }
}
