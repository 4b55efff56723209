//! What is left of a run besides processes: shared memory, semaphores, temporary files.
//!
//! Only local folders are read here; who has a file open is asked of a disposable child
//! ([`crate::survey_within`]), and only where there is something to ask for.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use defib_core::remains::{Remain, Remains, named_by};

use crate::files;
use crate::sampler::gpu_processes;
use crate::survey::{SurveyRequest, survey_within};
use crate::sys;

/// Most entries of a folder that are looked at.
const MOST_ENTRIES: usize = 20_000;
/// Most files of a temporary folder that are counted.
const MOST_COUNTED: usize = 2_000;
/// Most things that are told of each kind.
const MOST_TOLD: usize = 50;
/// Time the folders may take.
const FOLDERS_WITHIN: Duration = Duration::from_millis(400);
/// Time the question who has something open may take.
const HOLDERS_WITHIN: Duration = Duration::from_secs(1);
/// Time the GPU library may take.
const GPUS_WITHIN: Duration = Duration::from_secs(1);
/// File systems round the times of files.
const ROUNDING: Duration = Duration::from_millis(20);

/// Which run's remains are searched.
#[derive(Debug, Clone)]
pub struct RemainsRequest {
    /// Start of the run.
    pub since: SystemTime,
    /// Process ids that belonged to it.
    pub pids: Vec<i32>,
    /// Folder for temporary files, as the program had it.
    pub temporary: PathBuf,
    /// defib's own folder, which may lie among them.
    pub spared: PathBuf,
    /// The run was seen on a GPU, so it is asked.
    pub gpu: bool,
}

/// What is left now. Processes and their ports are the caller's to add.
#[must_use]
pub fn remains(exe: &Path, request: &RemainsRequest) -> Remains {
    let (sender, receiver) = std::sync::mpsc::channel();
    let asked = request.clone();
    // A temporary folder on a disk that does not answer must not hold up the report.
    std::thread::spawn(move || drop(sender.send(folders(&asked))));
    let Ok(mut found) = receiver.recv_timeout(FOLDERS_WITHIN * 2) else {
        let why = format!("shared memory and {}: no answer in time", request.temporary.display());
        return Remains { unchecked: vec![why], ..Remains::default() };
    };
    if request.gpu {
        match gpu_processes(GPUS_WITHIN) {
            Ok(all) => {
                let ours = all.iter().filter(|(pid, _)| request.pids.contains(pid)).flat_map(|(_, holds)| holds);
                found.gpu_bytes = Some(ours.filter_map(|hold| hold.bytes).sum());
            }
            Err(why) => found.unchecked.push(format!("GPU memory: {why}")),
        }
    }
    add_holders(exe, &mut found);
    found
}

fn folders(request: &RemainsRequest) -> Remains {
    let deadline = Instant::now() + FOLDERS_WITHIN;
    let mut found = Remains::default();
    for (path, bytes) in fresh(Path::new("/dev/shm"), request, deadline, &mut found.unchecked) {
        let remain = remain(path, bytes, request);
        let semaphore = remain.name.starts_with("/dev/shm/sem.");
        if semaphore { found.semaphores.push(remain) } else { found.shared_memory.push(remain) }
    }
    found.shared_memory.extend(segments(request));
    let temporary = fresh(&request.temporary, request, deadline, &mut found.unchecked);
    found.temporary = temporary.into_iter().map(|(path, bytes)| remain(path, bytes, request)).collect();
    found
}

fn remain(path: PathBuf, bytes: u64, request: &RemainsRequest) -> Remain {
    let name = path.to_string_lossy().into_owned();
    let proof = named_by(&name, &request.pids).map(|pid| format!("its name holds pid {pid} of the run"));
    Remain { name, bytes, proof, holders: Vec::new() }
}

/// Entries of this user that were made since the start of the run.
fn fresh(
    folder: &Path,
    request: &RemainsRequest,
    deadline: Instant,
    unchecked: &mut Vec<String>,
) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    let since = request.since.checked_sub(ROUNDING).unwrap_or(request.since);
    let own = sys::user();
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            unchecked.push(format!("{}: {error}", folder.display()));
            return found;
        }
    };
    for (number, entry) in entries.flatten().enumerate() {
        if number >= MOST_ENTRIES || found.len() >= MOST_TOLD || Instant::now() >= deadline {
            unchecked.push(format!("{}: not all of it, there is too much", folder.display()));
            break;
        }
        let path = entry.path();
        let Ok(meta) = entry.metadata() else { continue };
        // Where the file system does not keep the time of birth, that of the last change
        // of name or owner is the best there is.
        let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(meta.ctime()).unwrap_or(0));
        let made = meta.created().unwrap_or(changed);
        if made < since || meta.uid() != own || request.spared.starts_with(&path) {
            continue;
        }
        let bytes = if meta.is_dir() { weight(&path, deadline) } else { meta.blocks() * 512 };
        found.push((path, bytes));
    }
    found
}

/// Bytes of the files in a folder, as far as they were counted.
fn weight(folder: &Path, deadline: Instant) -> u64 {
    let mut bytes = 0;
    let mut counted = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            counted += 1;
            if counted > MOST_COUNTED || Instant::now() >= deadline {
                return bytes;
            }
            match entry.metadata() {
                Ok(meta) if meta.is_dir() => folders.push(entry.path()),
                Ok(meta) => bytes += meta.blocks() * 512,
                Err(_) => {}
            }
        }
    }
    bytes
}

/// System V segments that processes of the run made: the kernel keeps who did.
fn segments(request: &RemainsRequest) -> Vec<Remain> {
    let since = request.since.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let text = files::text("/proc/sysvipc/shm").unwrap_or_default();
    text.lines().skip(1).filter_map(|line| segment(line, since, &request.pids)).take(MOST_TOLD).collect()
}

/// `key shmid perms size cpid lpid nattch uid gid cuid cgid atime dtime ctime …`.
fn segment(line: &str, since_s: u64, pids: &[i32]) -> Option<Remain> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    let creator = i32::try_from(number(4)?).ok()?;
    let made = number(13)?;
    (pids.contains(&creator) && made >= since_s).then(|| Remain {
        name: format!("System V segment {}", fields[1]),
        bytes: number(3).unwrap_or(0),
        proof: Some(format!("the kernel says that pid {creator} of the run made it")),
        // Who is attached is not told, only how many: then it is in use.
        holders: if number(6) == Some(0) {
            Vec::new()
        } else {
            vec![i32::try_from(number(5).unwrap_or(0)).unwrap_or(0)]
        },
    })
}

fn add_holders(exe: &Path, found: &mut Remains) {
    let paths: Vec<String> =
        found.all().map(|remain| remain.name.clone()).filter(|name| name.starts_with('/')).collect();
    if paths.is_empty() {
        return;
    }
    let request = SurveyRequest { files: paths, ..SurveyRequest::default() };
    let survey = survey_within(exe, &request, HOLDERS_WITHIN);
    if survey.incomplete {
        found.unchecked.push("who has shared memory open: no answer in time".to_owned());
    }
    let all = found.shared_memory.iter_mut().chain(&mut found.semaphores).chain(&mut found.temporary);
    for remain in all {
        if let Some(holders) = survey.open.get(&remain.name) {
            remain.holders.clone_from(holders);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_proven_by_its_maker() {
        let line = "         0     32769  1600    4194304 4127 4127      0     0     0     0     0          0          0 1700000000    0    0";
        let found = segment(line, 1_699_999_999, &[4127]).unwrap();
        assert_eq!((found.bytes, found.holders.len()), (4 << 20, 0));
        assert_eq!(segment(line, 1_699_999_999, &[4128]), None, "somebody else's");
        assert_eq!(segment(line, 1_700_000_001, &[4127]), None, "an older process of that pid");
    }
}
