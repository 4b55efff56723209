//! The user's keys, to the program's pseudo-terminal.
//!
//! The supervisor pumps them, not the shim: a process in the background must not
//! read the terminal, and the kernel sees to that only for this process group.

use std::os::fd::OwnedFd;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use defib_process::in_foreground;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, read, write};
use rustix::termios::{LocalModes, tcgetattr};

use super::feeds::Happening;

/// Ctrl+C as a byte.
const INTERRUPT: u8 = 3;
/// Ctrl+Z as a byte. The program leads an orphaned process group, in which the
/// kernel ignores it: defib stops the program, and itself with it.
const SUSPEND: u8 = 26;

/// Copies the keyboard to the master until either goes away.
pub(super) fn pump(master: OwnedFd, out: Sender<Happening>) {
    thread::spawn(move || {
        let mut keys = [0_u8; 4096];
        loop {
            // Reading from the background would stop this whole process.
            if !in_foreground(rustix::stdio::stdin()) || !is_readable() {
                thread::sleep(Duration::from_millis(50));
                continue;
            }
            let length = match read(rustix::stdio::stdin(), &mut keys) {
                Ok(0) => return,
                Ok(length) => length,
                Err(Errno::INTR) => continue,
                Err(_) => return,
            };
            // Where the program reads raw keys, Ctrl+C is just one of them.
            let interrupts = tcgetattr(&master).is_ok_and(|modes| modes.local_modes.contains(LocalModes::ISIG));
            if !write_all(&master, &keys[..length]) {
                return;
            }
            for &key in keys[..length].iter().filter(|_| interrupts) {
                let happening = match key {
                    INTERRUPT => Happening::Interrupt,
                    SUSPEND => Happening::Suspend,
                    _ => continue,
                };
                if out.send(happening).is_err() {
                    return;
                }
            }
        }
    });
}

/// Is a key waiting (or the end of input)? Waits a moment for one.
fn is_readable() -> bool {
    let stdin = rustix::stdio::stdin();
    let mut descriptors = [PollFd::from_borrowed_fd(stdin, PollFlags::IN)];
    let moment = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
    poll(&mut descriptors, Some(&moment)).is_ok_and(|ready| ready > 0) && in_foreground(stdin)
}

fn write_all(master: &OwnedFd, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        match write(master, bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => return false,
        }
    }
    true
}
