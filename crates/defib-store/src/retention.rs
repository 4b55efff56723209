//! Run folders are kept within a byte and age budget: the oldest go first, a
//! running one never goes.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use defib_core::run::RunId;

use crate::state::{State, StateError};

/// The user's budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Bytes that all run folders may use together.
    pub bytes: u64,
    /// Longest time a finished run is kept.
    pub age: Duration,
    /// How many run folders there may be.
    pub count: usize,
}

impl Default for Retention {
    /// 10 GiB, 30 days, and 10,000 runs: a worker that dies at each job makes many small ones.
    fn default() -> Self {
        Self { bytes: 10 << 30, age: Duration::from_secs(30 * 86_400), count: 10_000 }
    }
}

/// What a sweep removed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Swept {
    /// Runs removed, oldest first.
    pub runs: Vec<RunId>,
    /// Bytes they used.
    pub bytes: u64,
}

struct Kept {
    run: RunId,
    bytes: u64,
    last_change: SystemTime,
}

impl Retention {
    /// Removes what is over the budget. `is_running` tells whether a folder
    /// belongs to a live run.
    ///
    /// # Errors
    /// Where the folder of runs cannot be read.
    pub fn sweep(
        self,
        state: &State,
        now: SystemTime,
        is_running: impl Fn(&Path) -> bool,
    ) -> Result<Swept, StateError> {
        let mut kept: Vec<Kept> = state.ids()?.into_iter().map(|run| measure(state, run)).collect();
        kept.sort_by_key(|kept| kept.last_change);
        let mut total: u64 = kept.iter().map(|kept| kept.bytes).sum();
        let mut count = kept.len();
        let mut swept = Swept::default();
        for old in kept {
            let aged = now.duration_since(old.last_change).is_ok_and(|age| age > self.age);
            if !aged && total <= self.bytes && count <= self.count {
                continue;
            }
            let folder = state.folder(&old.run);
            if is_running(&folder) || fs::remove_dir_all(&folder).is_err() {
                continue;
            }
            total = total.saturating_sub(old.bytes);
            count -= 1;
            swept.bytes += old.bytes;
            swept.runs.push(old.run);
        }
        Ok(swept)
    }
}

fn measure(state: &State, run: RunId) -> Kept {
    let folder = state.folder(&run);
    let (bytes, last_change) = size_of(&folder).unwrap_or((0, SystemTime::UNIX_EPOCH));
    Kept { run, bytes, last_change }
}

/// Bytes on disk and latest change of a folder's files.
fn size_of(folder: &Path) -> io::Result<(u64, SystemTime)> {
    use std::os::unix::fs::MetadataExt as _;
    let mut bytes = 0;
    let mut latest = fs::metadata(folder)?.modified()?;
    for entry in fs::read_dir(folder)?.flatten() {
        let found = entry.metadata()?;
        bytes += found.blocks() * 512;
        latest = latest.max(found.modified()?);
    }
    Ok((bytes, latest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn make(state: &State, id: &str, kib: usize, age_s: u64, now: SystemTime) {
        let folder = state.create(&id.parse().unwrap()).unwrap();
        let file = fs::File::create(folder.join("stdout.log")).unwrap();
        std::io::Write::write_all(&mut &file, &vec![1; kib << 10]).unwrap();
        file.set_modified(now - Duration::from_secs(age_s)).unwrap();
        fs::File::open(&folder).unwrap().set_modified(now - Duration::from_secs(age_s)).unwrap();
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn the_oldest_go_first_and_a_running_one_never(
            sizes in proptest::collection::vec((1usize..64, any::<bool>()), 1..7),
            budget_kib in 0u64..200,
            count in 1usize..8,
        ) {
            let place = tempfile::tempdir().unwrap();
            let state = State::open(place.path()).unwrap();
            let now = SystemTime::now();
            for (age, (kib, _)) in sizes.iter().enumerate() {
                make(&state, &format!("r{age}"), *kib, 100 * (age as u64 + 1), now);
            }
            let running = |folder: &Path| {
                let age: usize = folder.file_name().unwrap().to_str().unwrap()[1..].parse().unwrap();
                sizes[age].1
            };
            let budget = Retention { bytes: budget_kib << 10, age: Duration::from_secs(10_000), count };
            let swept = budget.sweep(&state, now, running).unwrap();
            for run in &swept.runs {
                let age: usize = run.as_str()[1..].parse().unwrap();
                prop_assert!(!sizes[age].1, "a running one was removed");
                // Everything older that could go is gone too.
                for (older, (_, runs)) in sizes.iter().enumerate().skip(age + 1) {
                    let name = format!("r{older}");
                    let gone = swept.runs.iter().any(|run| run.as_str() == name);
                    prop_assert!(*runs || gone);
                }
            }
            let left: u64 = state.ids().unwrap().into_iter().map(|run| measure(&state, run)).filter(|kept| !running(&state.folder(&kept.run))).map(|kept| kept.bytes).sum();
            let all_running: u64 = state.ids().unwrap().into_iter().map(|run| measure(&state, run).bytes).sum::<u64>() - left;
            prop_assert!(left + all_running <= budget.bytes || left == 0);
            prop_assert!(state.ids().unwrap().len() <= count || left == 0);
        }
    }
}
