//! Lock files that a polling thread may be waiting for.
//!
//! A loop of `sleep` says nothing about what it waits for; its text and its
//! locals do. Paths are taken from local variables and from the string
//! literals near the user's frames, and looked for in the process's own view of
//! the file system. A lock file usually holds its owner's process id: whether
//! that process lives settles whether the lock is stale.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use defib_core::facts::{Excerpt, LockFile, PythonStack};

use crate::files::Reader;
use crate::{parse, sys};

/// Most files that are reported.
const MOST: usize = 16;
/// Most folder entries that are looked at.
const MOST_ENTRIES: usize = 3000;
/// Lines around a frame in which a literal counts as near.
const NEAR: u32 = 30;
/// Words in the name of a file that marks something as taken.
const WORDS: [&str; 9] = ["lock", "lck", ".pid", "mutex", "busy", "claim", "lease", "inuse", "in_use"];

/// The lock files that the stacks of this process point at, and those that lie
/// in its working directory.
pub(crate) fn near(pid: i32, stacks: &[(i32, PythonStack)], sources: &[Excerpt]) -> Vec<LockFile> {
    let cwd = fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
    let mut texts: BTreeSet<String> = BTreeSet::new();
    for (_, stack) in stacks {
        for frame in &stack.frames {
            texts.extend(frame.locals.iter().flat_map(|local| quoted(&local.value)));
            texts.extend(literals(sources, &frame.file, frame.line));
        }
    }
    let mut found: Vec<LockFile> = Vec::new();
    let mut keep = |path: &Path, named: bool| {
        if found.len() < MOST && !found.iter().any(|known| Path::new(&known.path) == path) {
            found.extend(lock_file(pid, path, named));
        }
    };
    for text in texts.iter().filter(|text| text.contains('/') || marks(text)) {
        let path = if text.starts_with('/') { PathBuf::from(text) } else { cwd.join(text) };
        if marks(&path.file_name().unwrap_or_default().to_string_lossy()) {
            keep(&path, true);
        }
    }
    let mut folders: Vec<PathBuf> = vec![cwd];
    folders.extend(texts.iter().filter(|text| text.starts_with('/')).map(PathBuf::from));
    let mut left = MOST_ENTRIES;
    for folder in folders.into_iter().take(8) {
        for path in marked_below(pid, &folder, 3, &mut left) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let named = texts.iter().any(|text| {
                let last = text.rsplit('/').next().unwrap_or_default();
                !last.is_empty() && marks(last) && name.ends_with(last)
            });
            keep(&path, named);
        }
    }
    found
}

fn marks(name: &str) -> bool {
    let name = name.to_lowercase();
    name.len() < 200 && WORDS.iter().any(|word| name.contains(word)) && !name.ends_with(".py")
}

/// The strings in a local variable's representation: `'a/b.lock'`, `["x", "y"]`.
fn quoted(value: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = value;
    while let Some(at) = rest.find(['\'', '"']) {
        let quote = rest.as_bytes()[at] as char;
        let inside = &rest[at + 1..];
        let Some(end) = inside.find(quote) else { break };
        found.push(inside[..end].to_owned());
        rest = &inside[end + 1..];
    }
    found.retain(|text| (3..200).contains(&text.len()) && !text.contains('\n'));
    found
}

/// String literals near a line of the user's source.
fn literals(sources: &[Excerpt], file: &str, line: u32) -> Vec<String> {
    let near = sources.iter().filter(|excerpt| excerpt.file == file).flat_map(|excerpt| {
        let lines = (excerpt.first_line..).zip(&excerpt.lines);
        lines.filter(|(number, _)| number.abs_diff(line) <= NEAR).map(|(_, text)| text)
    });
    near.flat_map(|text| quoted(text)).filter(|text| marks(text)).collect()
}

/// Paths below a folder whose names mark something as taken.
fn marked_below(pid: i32, folder: &Path, depth: u32, left: &mut usize) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(in_view(pid, folder)) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        if *left == 0 {
            break;
        }
        *left -= 1;
        let path = folder.join(entry.file_name());
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if marks(&entry.file_name().to_string_lossy()) {
            found.push(path);
        } else if is_folder && depth > 1 && !entry.file_name().to_string_lossy().starts_with("__") {
            found.extend(marked_below(pid, &path, depth - 1, left));
        }
    }
    found
}

/// The path as this process can open it.
fn in_view(pid: i32, path: &Path) -> PathBuf {
    let inside = PathBuf::from(format!("/proc/{pid}/root{}", path.display()));
    if inside.exists() { inside } else { path.to_owned() }
}

fn lock_file(pid: i32, path: &Path, named: bool) -> Option<LockFile> {
    let view = in_view(pid, path);
    let facts = fs::symlink_metadata(&view).ok()?;
    let modified = facts.modified().ok()?;
    let age_s = SystemTime::now().duration_since(modified).map_or(0.0, |age| age.as_secs_f64());
    let owner = if facts.is_file() && facts.len() < 4096 {
        text_of(&view).and_then(|text| owner_in(&text))
    } else if facts.is_symlink() {
        // Firefox and Emacs style: the link's target names host and process.
        fs::read_link(&view).ok().and_then(|target| owner_in(&target.to_string_lossy()))
    } else {
        None
    };
    Some(LockFile {
        path: path.display().to_string(),
        seen_by: pid,
        named,
        age_s,
        owner,
        owner_alive: owner.is_some_and(|owner| lives_since(owner, age_s)),
        held: !holders(facts.dev(), facts.ino()).is_empty(),
    })
}

fn text_of(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(512).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The number that is most likely a process id: one after the word `pid`, else
/// the first that can be one.
fn owner_in(text: &str) -> Option<i32> {
    let possible = |text: &str| {
        let numbers = text.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty());
        numbers.filter_map(|part| part.parse::<i32>().ok()).find(|pid| (2..=4_194_304).contains(pid))
    };
    let after_word = text.to_lowercase().find("pid").and_then(|at| possible(text.get(at..)?));
    after_word.or_else(|| possible(text))
}

/// The process lives, and did already when the file was written.
fn lives_since(pid: i32, age_s: f64) -> bool {
    let stat = Reader::default().process(pid, "stat").ok().and_then(parse::stat);
    let now = sys::clock_s(libc::CLOCK_BOOTTIME);
    let hertz = sys::ticks_per_second() as f64;
    stat.is_some_and(|stat| stat.state != b'Z' && now - stat.start_ticks as f64 / hertz + 5.0 >= age_s)
}

/// The one process that holds a lock of this file, as `/proc/locks` tells. Where several
/// do (parts of it, or shared locks), whose end is waited for is not known.
pub(crate) fn holder(device: u64, inode: u64) -> Option<i32> {
    let mut pids = holders(device, inode);
    pids.dedup();
    match pids.as_slice() {
        [pid] if *pid > 0 => Some(*pid),
        _ => None,
    }
}

fn holders(device: u64, inode: u64) -> Vec<i32> {
    holders_in(&fs::read_to_string("/proc/locks").unwrap_or_default(), device, inode)
}

/// Lines are `1: FLOCK  ADVISORY  WRITE 4127 fd:01:1234 0 EOF`; those that wait have an
/// arrow, and a lock that belongs to an open file and to no process has -1. In order.
fn holders_in(locks: &str, device: u64, inode: u64) -> Vec<i32> {
    let (major, minor) = (libc::major(device), libc::minor(device));
    let name = format!("{major:02x}:{minor:02x}:{inode}");
    let pid = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let at = words.iter().position(|word| *word == name)?;
        words.get(at.checked_sub(1)?)?.parse().ok()
    };
    let mut pids: Vec<i32> = locks.lines().filter(|line| !line.contains("->")).filter_map(pid).collect();
    pids.sort_unstable();
    pids
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_read_from_usual_forms() {
        assert_eq!(owner_in("4127\n"), Some(4127));
        assert_eq!(owner_in("{\"host\": \"lab3\", \"pid\": 812, \"at\": 1700000000}"), Some(812));
        assert_eq!(owner_in("host7:991"), Some(7));
        assert_eq!(owner_in(""), None);
        assert_eq!(owner_in("1700000000"), None);
    }

    #[test]
    fn the_holders_of_a_lock_are_named_and_not_who_waits_for_it() {
        let locks = "1: POSIX  ADVISORY  WRITE 77 fd:01:900 0 EOF\n1: -> POSIX  ADVISORY  WRITE 78 fd:01:900 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 79 fd:01:901 0 EOF\n2: -> FLOCK  ADVISORY  WRITE 77 fd:01:901 0 EOF\n\
                     3: OFDLCK ADVISORY  READ -1 00:1f:5 0 EOF\n4: POSIX ADVISORY READ 8 fd:01:903 0 9\n\
                     5: POSIX ADVISORY READ 6 fd:01:903 10 19\ntorn fd:01:902";
        let device = libc::makedev(0xfd, 1);
        assert_eq!(holders_in(locks, device, 900), [77]);
        assert_eq!(holders_in(locks, device, 901), [79]);
        assert!(holders_in(locks, device, 902).is_empty());
        assert_eq!(holders_in(locks, device, 903), [6, 8]);
        assert_eq!(holders_in(locks, libc::makedev(0, 0x1f), 5), [-1]);
    }

    #[test]
    fn strings_are_taken_out_of_representations() {
        assert_eq!(quoted("'/tmp/a.lock'"), ["/tmp/a.lock"]);
        assert_eq!(quoted("['one', \"two\"]"), ["one", "two"]);
        assert_eq!(quoted("17"), Vec::<String>::new());
    }

    #[test]
    fn a_file_of_a_dead_owner_is_found_and_told() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("weights.lock");
        fs::write(&path, "4194303").expect("write");
        let own = i32::try_from(std::process::id()).expect("pid");
        let local =
            defib_core::facts::Local { name: "lock".to_owned(), value: format!("'{}'", path.display()), address: 1 };
        let frame = defib_core::facts::Frame { locals: vec![local], ..Default::default() };
        let stack = PythonStack { frames: vec![frame], ..PythonStack::default() };
        let found = near(own, &[(own, stack)], &[]);
        let file = found.iter().find(|file| file.path == path.display().to_string()).expect("the file");
        assert!(file.named && file.owner == Some(4_194_303) && !file.owner_alive && !file.held);
    }
}
