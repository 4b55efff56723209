//! The file systems that hold places that matter. A dead network server makes
//! every call on its disk hang, so each place is asked within a bound.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use defib_core::snapshot::{Disk, Place, Unanswered};

use super::patience::{ONE_WITHIN, each};
use super::silent;
use crate::{files, sys};

/// Mount point and kind of a file system.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mount {
    point: PathBuf,
    kind: String,
}

pub(super) fn read(places: Vec<Place>, until: Instant) -> (Vec<Disk>, Vec<Unanswered>) {
    let mounts = mounts(&files::text("/proc/self/mountinfo").unwrap_or_default());
    let (answers, hung) =
        each("disk", places, ONE_WITHIN, until, |place| (place.clone(), measure(Path::new(&place.path))));
    let mut disks: BTreeMap<PathBuf, Disk> = BTreeMap::new();
    for (place, measured) in answers {
        let Some((path, figures)) = measured else { continue };
        let disk = disk_of(&path, &mounts, &mut disks);
        disk.places.push(place);
        disk.answered = true;
        disk.size_bytes = figures.size_bytes;
        disk.free_bytes = figures.free_bytes;
        disk.inodes = (figures.inodes > 0).then_some(figures.inodes);
        disk.inodes_free = disk.inodes.map(|_| figures.inodes_free);
        disk.read_only = figures.read_only;
    }
    let mut unanswered = Vec::new();
    for place in hung {
        unanswered.push(silent(format!("disk of {} ({})", place.path, place.role)));
        let path = PathBuf::from(&place.path);
        disk_of(&path, &mounts, &mut disks).places.push(place);
    }
    (disks.into_values().collect(), unanswered)
}

fn disk_of<'d>(path: &Path, mounts: &[Mount], disks: &'d mut BTreeMap<PathBuf, Disk>) -> &'d mut Disk {
    let mount = mount_of(path, mounts);
    let point = mount.map_or(path, |mount| &mount.point).to_owned();
    let shown = mount.map(|mount| mount.point.to_string_lossy().into_owned()).unwrap_or_default();
    let kind = mount.map(|mount| mount.kind.clone()).unwrap_or_default();
    disks.entry(point).or_insert_with(|| Disk { mount: shown, kind, ..Disk::default() })
}

/// The file system of a folder, or of the nearest above it that exists.
fn measure(path: &Path) -> Option<(PathBuf, sys::FileSystem)> {
    let real = path.ancestors().find_map(|path| path.canonicalize().ok())?;
    let figures = sys::file_system(&real).ok()?;
    Some((real, figures))
}

/// The innermost mount that a path lies on; of several at one point the last covers the others.
fn mount_of<'m>(path: &Path, mounts: &'m [Mount]) -> Option<&'m Mount> {
    let over = mounts.iter().filter(|mount| path.starts_with(&mount.point));
    over.max_by_key(|mount| mount.point.components().count())
}

fn mounts(text: &str) -> Vec<Mount> {
    let mount = |line: &str| {
        let (mount, system) = line.split_once(" - ")?;
        let point = PathBuf::from(unescaped(mount.split(' ').nth(4)?));
        Some(Mount { point, kind: system.split(' ').next()?.to_owned() })
    };
    text.lines().filter_map(mount).collect()
}

/// Blanks and backslashes of a mount point are written in octal (`\040`).
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = tail.get(..3).and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 8).ok());
        match (first, code) {
            (b'\\', Some(code)) => {
                bytes.push(code);
                rest = tail.get(3..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn places_of_one_disk_stand_together_also_where_they_do_not_exist_yet() {
        let scratch = tempfile::tempdir().unwrap();
        let place = |role: &str, path: PathBuf| Place { role: role.to_owned(), path: path.display().to_string() };
        let places =
            vec![place("home", scratch.path().to_owned()), place("torch cache", scratch.path().join("not/there/yet"))];
        let (disks, silent) = read(places, Instant::now() + Duration::from_secs(30));
        assert_eq!((disks.len(), silent.len()), (1, 0), "{disks:?}");
        assert!(disks[0].answered && disks[0].size_bytes > 0 && disks[0].mount.starts_with('/'), "{disks:?}");
        assert_eq!(disks[0].roles(), "home, torch cache");
    }

    #[test]
    fn without_time_a_disk_is_named_as_silent() {
        let place = Place { role: "home".to_owned(), path: "/".to_owned() };
        let (disks, unanswered) = read(vec![place], Instant::now());
        assert_eq!((disks.len(), disks[0].answered), (1, false));
        assert!(unanswered[0].what.contains("home"), "{unanswered:?}");
    }

    #[test]
    fn the_innermost_mount_counts() {
        let text = "1 0 0:1 / / rw - ext4 /dev/a rw\n2 1 0:2 / /mnt/my\\040data rw shared:1 - nfs4 host:/x rw\n";
        let mounts = mounts(text);
        assert_eq!(mount_of(Path::new("/mnt/my data/x"), &mounts).unwrap().kind, "nfs4");
        assert_eq!(mount_of(Path::new("/mnt/my database"), &mounts).unwrap().kind, "ext4");
        assert_eq!(unescaped("a\\134b\\04"), "a\\b\\04");
    }
}
