//! Every byte a program prints.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use defib_core::event::{Event, Stream};
use defib_process::{Keep, KeptLog, ShimSpec};
use rustix::process::Signal;

use crate::harness::{Run, Test, run_with, shell, spec, supervisor, wait_until};

pub const TESTS: &[Test] = &[
    ("bytes_pass_untouched", bytes_pass_untouched),
    ("one_line_of_64_mib", one_line_of_64_mib),
    ("slow_reader_gets_every_line", slow_reader_gets_every_line),
    ("reader_that_stops_does_not_hold_up_the_end", reader_that_stops),
    ("reader_gone_ends_the_program", reader_gone_ends_the_program),
    ("closed_standard_descriptors", closed_standard_descriptors),
    ("budget_keeps_head_and_tail", budget_keeps_head_and_tail),
    ("disk_full", disk_full),
    ("kept_after_the_shim_is_killed", kept_after_the_shim_is_killed),
    ("output_events_are_few_and_the_first_is_prompt", output_events),
    ("descriptor_of_the_user_stays_blocking", descriptor_stays_blocking),
    ("follow_while_it_is_written", follow_while_it_is_written),
];

/// A run whose standard output is a pipe to the test.
fn piped(command: &[&str], set: impl FnOnce(&mut ShimSpec)) -> (Run, OwnedFd) {
    let (folder, mut spec) = spec(command);
    set(&mut spec);
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    let supervisor = supervisor(&spec).stdout(write).spawn().unwrap();
    (Run { folder, spec, supervisor }, read)
}

fn read_all(pipe: OwnedFd) -> Vec<u8> {
    let mut bytes = Vec::new();
    std::fs::File::from(pipe).read_to_end(&mut bytes).unwrap();
    bytes
}

fn bytes_pass_untouched() {
    let script = "import sys\nfor n in range(3):\n sys.stdout.buffer.write(bytes(range(256))+b'\\r50%\\r\\0\\xff')\nsys.stderr.buffer.write(b'\\xfe\\0e')";
    let (mut run, pipe) = piped(&["python3", "-c", script], |_| {});
    let expected = [(0..=255).collect::<Vec<u8>>().as_slice(), b"\r50%\r\0\xff"].concat().repeat(3);
    assert_eq!(read_all(pipe), expected);
    assert_eq!(run.exit(), 0);
    assert_eq!(run.kept(Stream::Stdout), expected);
    assert_eq!(run.kept(Stream::Stderr), b"\xfe\0e");
    assert_eq!(run.stream_end(Stream::Stdout), (expected.len() as u64, 0, None, false));
}

fn one_line_of_64_mib() {
    const SIZE: usize = 64 << 20;
    let (mut run, pipe) = piped(&["head", "-c", "67108864", "/dev/zero"], |spec| spec.keep = Keep::All);
    assert_eq!(read_all(pipe).len(), SIZE);
    assert_eq!(run.exit(), 0);
    assert_eq!(run.kept(Stream::Stdout).len(), SIZE);
}

fn slow_reader_gets_every_line() {
    let (mut run, pipe) = piped(&["seq", "100000"], |_| {});
    let mut lines = 0;
    for line in BufReader::with_capacity(512, std::fs::File::from(pipe)).lines() {
        lines += 1;
        assert_eq!(line.unwrap(), lines.to_string());
        if lines % 2000 == 0 {
            std::thread::yield_now();
        }
    }
    assert_eq!(lines, 100_000);
    assert_eq!(run.exit(), 0);
}

fn reader_that_stops() {
    // Nobody reads, and yet the tree ends, and what was printed is kept.
    let (mut run, pipe) = piped(&["sh", "-c", "head -c 3000000 /dev/zero; echo x > done; sleep 300"], |_| {});
    let bytes = |event: &Event| matches!(event, Event::Output { bytes, .. } if *bytes > 500_000).then_some(());
    run.event("output", bytes);
    let begun = Instant::now();
    run.signal(Signal::TERM);
    run.tree_ended();
    assert!(begun.elapsed() < Duration::from_secs(2));
    // The reader lives, so the rest waits for it; a second signal gives it up.
    assert!(run.supervisor.try_wait().unwrap().is_none());
    run.signal(Signal::INT);
    run.exit();
    let (total, not_kept, _, gone) = run.stream_end(Stream::Stdout);
    assert_eq!((run.kept(Stream::Stdout).len() as u64, not_kept, gone), (total, 0, false));
    assert!(total > 1_000_000, "{total}");
    drop(pipe);
}

fn reader_gone_ends_the_program() {
    let (mut run, pipe) = piped(&["yes"], |_| {});
    let mut first = [0; 2];
    std::fs::File::from(pipe).read_exact(&mut first).unwrap();
    assert_eq!(run.exit(), 128 + 13);
    let (total, _, _, gone) = run.stream_end(Stream::Stdout);
    assert!(gone && total > 0);
}

fn closed_standard_descriptors() {
    let (folder, spec) = spec(&["sh", "-c", "echo out; echo err >&2; read line || echo eof"]);
    let mut command = supervisor(&spec);
    close_standard(&mut command);
    let mut run = Run { folder, spec, supervisor: command.spawn().unwrap() };
    assert_eq!(run.exit(), 0);
    assert_eq!(run.kept(Stream::Stdout), b"out\neof\n");
    assert_eq!(run.kept(Stream::Stderr), b"err\n");
}

#[allow(unsafe_code, reason = "descriptors can only be closed between fork and exec")]
fn close_standard(command: &mut std::process::Command) {
    // SAFETY: close is async-signal-safe.
    unsafe {
        command.pre_exec(|| {
            (0..3).for_each(|number| {
                libc::close(number);
            });
            Ok(())
        });
    }
}

fn budget_keeps_head_and_tail() {
    let (mut run, pipe) = piped(&["seq", "300000"], |spec| {
        spec.keep = Keep::Budget { bytes: 400_000 };
    });
    let all = read_all(pipe);
    assert_eq!(run.exit(), 0);
    let mut log = KeptLog::open(&run.spec.folder, Stream::Stdout).unwrap();
    let extent = log.extent().unwrap();
    assert_eq!((extent.head_end, extent.total), (100_000, all.len() as u64));
    assert_eq!(extent.tail_start, all.len() as u64 - 100_000);
    assert_eq!(log.read_head(usize::MAX).unwrap(), &all[..100_000]);
    assert_eq!(log.read_tail(usize::MAX).unwrap(), &all[all.len() - 100_000..]);
    let (total, not_kept, reason, _) = run.stream_end(Stream::Stdout);
    assert_eq!((total, not_kept), (all.len() as u64, extent.gap()));
    assert!(reason.unwrap().contains("budget"));
}

fn disk_full() {
    // A limit on file size stands for a full disk, also without root. It must not hit
    // the journal, which is smaller.
    let (folder, spec) = spec(&["sh", "-c", "head -c 1000000 /dev/zero; echo end"]);
    let text = serde_json::to_string(&spec).unwrap();
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    let me = std::env::current_exe().unwrap();
    let supervisor = std::process::Command::new("sh")
        .args(["-c", "ulimit -f 100; trap '' XFSZ; exec \"$@\"", "sh"])
        .args([me.to_str().unwrap(), "supervise", &text])
        .stdin(Stdio::null())
        .stdout(write)
        .spawn()
        .unwrap();
    let mut run = Run { folder, spec, supervisor };
    assert_eq!(read_all(read).len(), 1_000_004);
    assert_eq!(run.exit(), 0);
    let (total, not_kept, reason, _) = run.stream_end(Stream::Stdout);
    let kept = run.kept(Stream::Stdout).len() as u64;
    assert!(kept > 0);
    assert_eq!((total, not_kept), (1_000_004, total - kept));
    assert!(reason.unwrap().contains("File too large"));
}

fn kept_after_the_shim_is_killed() {
    let mut run = run_with(&["sh", "-c", "while :; do seq 1000000; done"], |spec| {
        spec.keep = Keep::Budget { bytes: 1 << 20 };
    });
    run.event("a round of the ring", |event| {
        matches!(event, Event::Output { bytes, .. } if *bytes > 3_000_000).then_some(())
    });
    run.shim().signal(Signal::KILL).unwrap();
    run.exit();
    let mut log = KeptLog::open(&run.spec.folder, Stream::Stdout).unwrap();
    let extent = log.extent().unwrap();
    assert!(extent.total > 3_000_000 && extent.gap() > 0);
    let tail = String::from_utf8(log.read_tail(usize::MAX).unwrap()).unwrap();
    assert_eq!(tail.len() as u64, extent.total - extent.tail_start);
    // Whole lines in sequence, over the seam of the ring too.
    let mut lines = tail.lines().skip(1).collect::<Vec<_>>();
    lines.pop();
    for pair in lines.windows(2) {
        let (one, next): (u64, u64) = (pair[0].parse().unwrap(), pair[1].parse().unwrap());
        assert!(next == one + 1 || (one == 1_000_000 && next == 1), "{pair:?}");
    }
    run.assert_nobody_left();
}

fn output_events() {
    let mut run = shell("echo first; sleep 0.4; i=0; while [ $i -lt 300 ]; do echo $i; sleep 0.002; i=$((i+1)); done");
    assert_eq!(run.exit(), 0);
    let outputs: Vec<_> =
        run.entries().into_iter().filter(|entry| matches!(entry.event, Event::Output { .. })).collect();
    assert!(outputs[0].at_s < 0.4, "{outputs:?}");
    let lasted = outputs.last().unwrap().at_s - outputs[0].at_s;
    assert!((outputs.len() as f64) < lasted * 5.0 + 3.0, "{outputs:?}");
}

fn descriptor_stays_blocking() {
    let (run, pipe) = piped(&["sh", "-c", "echo x; sleep 300"], |_| {});
    run.event("output", |event| matches!(event, Event::Output { .. }).then_some(()));
    let path = format!("/proc/{}/fdinfo/1", run.supervisor.id());
    let info = std::fs::read_to_string(path).unwrap();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
    let flags = u32::from_str_radix(flags.trim(), 8).unwrap();
    assert_eq!(flags & libc::O_NONBLOCK as u32, 0);
    drop(pipe);
}

fn follow_while_it_is_written() {
    let run = shell("for n in 1 2 3 4 5; do echo line $n; sleep 0.02; done; sleep 300");
    run.job();
    let mut log = wait_until("the log", || KeptLog::open(&run.spec.folder, Stream::Stdout).ok());
    let (mut at, mut text, mut buffer) = (0, Vec::new(), [0; 7]);
    wait_until("five lines", || {
        let piece = log.read_at(at, &mut buffer).unwrap();
        text.extend_from_slice(&buffer[..piece.length]);
        at = piece.end();
        text.ends_with(b"line 5\n").then_some(())
    });
    assert_eq!(text, b"line 1\nline 2\nline 3\nline 4\nline 5\n");
}
