//! The pseudo-terminal a program sees, and the terminal of the user.
//!
//! The supervisor makes the pair and gives both ends to the shim: the shim reads
//! what the program prints; the supervisor keeps a copy of the master to write
//! the keyboard into it, because only the foreground process may read a terminal.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, Termios, Winsize, tcgetattr, tcgetpgrp, tcgetwinsize, tcsetattr, tcsetwinsize};
use serde::{Deserialize, Serialize};

/// Size of a terminal's window, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowSize {
    /// Lines.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
}

impl Default for WindowSize {
    fn default() -> Self {
        Self { rows: 24, columns: 80 }
    }
}

/// Size of the window of this terminal.
///
/// # Errors
/// `ENOTTY` if it is none.
pub fn window_size(terminal: impl AsFd) -> io::Result<WindowSize> {
    let size = tcgetwinsize(terminal)?;
    Ok(WindowSize { rows: size.ws_row, columns: size.ws_col })
}

/// Tells this terminal its size; what runs in it gets SIGWINCH if that changes it.
///
/// # Errors
/// `ENOTTY` if it is none.
pub fn set_window_size(terminal: impl AsFd, size: WindowSize) -> io::Result<()> {
    let size = Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    Ok(tcsetwinsize(terminal, size)?)
}

/// Makes a pseudo-terminal: master and slave. It starts with the modes of `like`,
/// where that is a terminal.
///
/// # Errors
/// Those of opening `/dev/ptmx` and the slave.
pub(crate) fn open_pair(size: WindowSize, like: BorrowedFd<'_>) -> io::Result<(OwnedFd, OwnedFd)> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let name = ptsname(&master, Vec::new())?;
    let slave = open(name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
    if let Ok(modes) = tcgetattr(like) {
        tcsetattr(&slave, OptionalActions::Now, &modes)?;
    }
    set_window_size(&slave, size)?;
    Ok((master, slave))
}

/// The user's terminal in raw mode: keys go to the program as they are. Leaves raw
/// mode when dropped, or for a while with [`RawMode::suspend`].
#[derive(Debug)]
pub struct RawMode {
    terminal: OwnedFd,
    before: Termios,
    raw: bool,
}

impl RawMode {
    /// Puts this terminal into raw mode; `None` unless we are its foreground
    /// process group, for then it is not ours to change.
    ///
    /// # Errors
    /// `ENOTTY` if it is no terminal.
    pub fn enter(terminal: impl AsFd) -> io::Result<Option<Self>> {
        let terminal = terminal.as_fd().try_clone_to_owned()?;
        let before = tcgetattr(&terminal)?;
        let mut mode = Self { terminal, before, raw: false };
        mode.resume()?;
        Ok(mode.raw.then_some(mode))
    }

    /// Back to how the terminal was, as before we are stopped.
    ///
    /// # Errors
    /// Those of `tcsetattr(3)`.
    pub fn suspend(&mut self) -> io::Result<()> {
        if self.raw && in_foreground(&self.terminal) {
            tcsetattr(&self.terminal, OptionalActions::Drain, &self.before)?;
        }
        self.raw = false;
        Ok(())
    }

    /// Raw again, if we are in the foreground.
    ///
    /// # Errors
    /// Those of `tcsetattr(3)`.
    pub fn resume(&mut self) -> io::Result<()> {
        if !self.raw && in_foreground(&self.terminal) {
            let mut raw = self.before.clone();
            raw.make_raw();
            tcsetattr(&self.terminal, OptionalActions::Now, &raw)?;
            self.raw = true;
        }
        Ok(())
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // Nothing can be done about a terminal that has gone away.
        let _ = self.suspend();
    }
}

/// We are the foreground process group of this terminal.
#[must_use]
pub fn in_foreground(terminal: impl AsFd) -> bool {
    tcgetpgrp(terminal).is_ok_and(|group| group == rustix::process::getpgrp())
}
