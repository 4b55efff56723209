//! Who holds the other ends: a bounded scan of all processes' descriptors.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use crate::files;

/// Where the wanted links were found.
#[derive(Debug, Default)]
pub(crate) struct Holders {
    /// Processes that hold a link (`pipe:[N]`, `socket:[N]`, a FIFO's path).
    pub(crate) by_link: HashMap<String, Vec<i32>>,
    /// Processes whose descriptors could not be read.
    pub(crate) unreadable: usize,
    /// The scan ran out of time before it saw every process.
    pub(crate) cut_short: bool,
}

/// Scans `/proc/*/fd` for the wanted links until the deadline.
pub(crate) fn scan(wanted: &HashSet<String>, deadline: Instant) -> Holders {
    let mut result = Holders::default();
    if wanted.is_empty() {
        return result;
    }
    let mut path = String::new();
    for pid in files::numbers("/proc").unwrap_or_default() {
        if Instant::now() >= deadline {
            result.cut_short = true;
            break;
        }
        path.clear();
        path.push_str(&format!("/proc/{pid}/fd"));
        match std::fs::read_dir(&path) {
            Ok(entries) => {
                for entry in entries.flatten() {
                    let Ok(link) = std::fs::read_link(entry.path()) else {
                        continue;
                    };
                    let Some(link) = link.to_str() else { continue };
                    if let Some(link) = wanted.get(link) {
                        let pids = result.by_link.entry(link.clone()).or_default();
                        if pids.last() != Some(&pid) {
                            pids.push(pid);
                        }
                    }
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                result.unreadable += 1;
            }
            Err(_) => {}
        }
    }
    result
}
