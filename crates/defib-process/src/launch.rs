//! Executes this very binary again, as a shim.
//!
//! The shim gets its descriptors under fixed numbers and nothing else: the socket,
//! the spec in a memory file, and a pseudo-terminal if there is one. The supervisor
//! may have threads, so between fork and exec there are plain system calls only.
#![allow(unsafe_code, reason = "fork and exec with descriptors under fixed numbers")]

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt as _;
use std::ptr;

use rustix::pipe::{PipeFlags, pipe_with};

use crate::job::pointers;

/// Forks and executes `/proc/self/exe` as a shim, with `descriptors` as 3, 4, … and
/// nothing else but the standard ones.
///
/// # Errors
/// Those of fork and exec.
pub(crate) fn start_shim(descriptors: &[RawFd]) -> io::Result<i32> {
    let arguments = [c"defib".as_ptr(), c"__shim".as_ptr(), ptr::null()];
    let environment: Vec<CString> = std::env::vars_os()
        .filter_map(|(mut name, value)| {
            name.push("=");
            name.push(value);
            CString::new(name.into_vec()).ok()
        })
        .collect();
    let environment: Vec<*const libc::c_char> = pointers(&environment).collect();
    let (read, report) = pipe_with(PipeFlags::CLOEXEC)?;
    // Out of the way of the numbers they are going to have.
    let high = 64 + descriptors.len() as RawFd;
    // SAFETY: between fork and exec only async-signal-safe calls on memory laid out
    // above, for other threads of this process may hold locks.
    let pid = unsafe {
        let pid = libc::fork();
        if pid == 0 {
            let report = libc::fcntl(report.as_raw_fd(), libc::F_DUPFD_CLOEXEC, high);
            let mut moved = [-1; 8];
            for (place, &fd) in moved.iter_mut().zip(descriptors) {
                *place = libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, high);
            }
            libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
            for (index, &fd) in moved.iter().take(descriptors.len()).enumerate() {
                libc::dup2(fd, 3 + index as RawFd);
            }
            libc::execve(c"/proc/self/exe".as_ptr(), arguments.as_ptr(), environment.as_ptr());
            let errno = (*libc::__errno_location()).to_le_bytes();
            libc::write(report, errno.as_ptr().cast(), errno.len());
            libc::_exit(127);
        }
        pid
    };
    if pid < 0 {
        return Err(io::Error::last_os_error());
    }
    drop(report);
    let mut errno = [0; 4];
    match File::from(read).read_exact(&mut errno) {
        Ok(()) => {
            let _ = crate::sys::reap_blocking(pid);
            Err(io::Error::from_raw_os_error(i32::from_le_bytes(errno)))
        }
        Err(_) => Ok(pid),
    }
}

/// A memory file holding these bytes, positioned at its start.
pub(crate) fn memory_file(bytes: &[u8]) -> io::Result<OwnedFd> {
    // SAFETY: the name is a C string; a non-negative result is a new descriptor.
    let fd = unsafe {
        let fd = libc::memfd_create(c"defib-spec".as_ptr(), libc::MFD_CLOEXEC);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        OwnedFd::from_raw_fd(fd)
    };
    let mut file = File::from(fd);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file.into())
}
