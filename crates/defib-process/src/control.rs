//! Where a shim whose supervisor is gone waits for another one.
//!
//! A socket in the run's folder, made only for runs that outlive their supervisor. The
//! shim accepts while it has no supervisor, so that two can never hold one run: whoever
//! comes second waits in the kernel's queue and gives up. The folder is its owner's
//! alone, and the kernel says who connects.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Name of the socket in the folder of a run.
const SOCKET: &str = "control.sock";

/// The waiting socket of a shim.
#[derive(Debug)]
pub(crate) struct Control {
    listening: UnixListener,
}

/// The socket's path through a descriptor of its folder: a socket's address holds 107
/// bytes, and a state folder may lie deeper.
fn address(folder: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", folder.as_raw_fd()))
}

impl Control {
    /// Makes the socket.
    ///
    /// # Errors
    /// Those of making a socket in the folder.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        let folder = File::open(folder)?;
        let address = address(&folder);
        let listening = UnixListener::bind(&address)?;
        std::fs::set_permissions(&address, std::fs::Permissions::from_mode(0o600))?;
        listening.set_nonblocking(true)?;
        Ok(Self { listening })
    }

    /// The next who wants to be the supervisor, if the user may.
    pub(crate) fn accept(&self) -> Option<OwnedFd> {
        let (stream, _) = self.listening.accept().ok()?;
        let peer = rustix::net::sockopt::socket_peercred(&stream).ok()?;
        let own = rustix::process::geteuid();
        (peer.uid == own || peer.uid.is_root()).then(|| stream.into())
    }
}

impl AsFd for Control {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listening.as_fd()
    }
}

/// Connects to the shim of a run.
///
/// # Errors
/// `NotFound` where the run was not started to be taken over, `ConnectionRefused` where
/// its shim is gone.
pub(crate) fn connect(folder: &Path) -> io::Result<OwnedFd> {
    let folder = File::open(folder)?;
    Ok(UnixStream::connect(address(&folder))?.into())
}
