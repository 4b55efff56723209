//! Lines of the kernel log that explain ends: GPU faults, out-of-memory kills,
//! crashes, hung tasks, disk errors.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt as _;

use defib_core::snapshot::{KernelLine, KernelLog};

/// Most lines kept; the newest stay.
const MOST: usize = 100;
/// Most records read: a bound on a log that grows while it is read.
const RECORDS: usize = 200_000;
/// Longest text of a line, in characters.
const LONGEST: usize = 500;

/// What lines are about, and the texts that betray it.
const ABOUT: [(&str, &[&str]); 5] = [
    ("gpu", &["NVRM: Xid", "NVRM: GPU", "nvidia-nvlink", "amdgpu: ring", "GPU reset"]),
    ("out-of-memory", &["Out of memory", "out of memory: Killed", "oom-kill:", "oom_reaper:", "invoked oom-killer"]),
    ("crash", &["segfault at ", "general protection", "trap invalid opcode", "trap divide error", "bad frame in"]),
    ("hang", &["blocked for more than", "soft lockup", "hard LOCKUP", "rcu_sched self-detected stall"]),
    (
        "disk",
        &[
            "I/O error",
            "EXT4-fs error",
            "XFS internal error",
            "BTRFS error",
            "not responding, still trying",
            "Remounting filesystem read-only",
        ],
    ),
];

pub(super) fn read() -> KernelLog {
    let opened = File::options().read(true).custom_flags(libc::O_NONBLOCK).open("/dev/kmsg");
    match opened {
        Ok(log) => lines(log),
        Err(error) => KernelLog { denied: Some(format!("/dev/kmsg: {error}")), ..KernelLog::default() },
    }
}

fn lines(mut log: File) -> KernelLog {
    let mut found = KernelLog::default();
    let mut record = vec![0; 8192];
    for _ in 0..RECORDS {
        match log.read(&mut record) {
            Ok(0) => break,
            Ok(length) => found.lines.extend(line(&String::from_utf8_lossy(&record[..length]))),
            // Records were overwritten before they were read: go on after them.
            Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => {
                found.denied = Some(format!("/dev/kmsg: {error}"));
                break;
            }
        }
        if found.lines.len() >= 2 * MOST {
            forget(&mut found);
        }
    }
    forget(&mut found);
    found
}

/// Keeps the newest lines.
fn forget(log: &mut KernelLog) {
    let over = log.lines.len().saturating_sub(MOST);
    log.lines.drain(..over);
    log.left_out += over as u64;
}

/// The line of a record `priority,sequence,microseconds,flags;text`, if it matters.
fn line(record: &str) -> Option<KernelLine> {
    let (head, text) = record.split_once(';')?;
    let text = text.lines().next()?;
    let (about, _) = ABOUT.iter().find(|(_, marks)| marks.iter().any(|mark| text.contains(mark)))?;
    let micros: u64 = head.split(',').nth(2)?.parse().ok()?;
    Some(KernelLine {
        at_s: micros as f64 / 1e6,
        about: (*about).to_owned(),
        text: defib_core::redact::redact(&text.chars().take(LONGEST).collect::<String>()).into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_matter_are_told_apart_from_others() {
        let about = |text: &str| line(&format!("6,339,5140900,-;{text}\n SUBSYSTEM=a\n")).map(|line| line.about);
        assert_eq!(about("NVRM: Xid (PCI:0000:01:00): 31, pid=9").as_deref(), Some("gpu"));
        assert_eq!(
            about("Memory cgroup out of memory: Killed process 4127 (python3)").as_deref(),
            Some("out-of-memory")
        );
        assert_eq!(about("python3[77]: segfault at 0 ip 00 sp 00 error 4 in libc.so.6").as_deref(), Some("crash"));
        assert_eq!(about("INFO: task python:4 blocked for more than 120 seconds.").as_deref(), Some("hang"));
        assert_eq!(about("nfs: server files not responding, still trying").as_deref(), Some("disk"));
        assert_eq!(about("eth0: link up"), None);
        let found = line("6,339,5140900,-;x[5]: segfault at 0 ip 1\n SUBSYSTEM=a\n").unwrap();
        assert_eq!((found.at_s, found.text.as_str()), (5.1409, "x[5]: segfault at 0 ip 1"));
    }

    #[test]
    fn the_newest_lines_stay_and_the_others_are_counted() {
        let one = |at: usize| KernelLine { at_s: at as f64, ..KernelLine::default() };
        let mut log = KernelLog { lines: (0..150).map(one).collect(), ..KernelLog::default() };
        forget(&mut log);
        assert_eq!((log.lines.len(), log.left_out, log.lines[0].at_s), (100, 50, 50.0));
    }
}
