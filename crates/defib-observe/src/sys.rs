//! The system calls for which the standard library has no wrapper.
//!
//! All `unsafe` of this crate stands here, each call behind a small safe
//! function that owns its descriptors and checks its results. Nothing here
//! stops, signals or attaches to a watched process.

#![allow(unsafe_code)]

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// Copies memory of another process. Returns how many bytes were copied: a
/// range that runs into an unmapped page is cut short.
pub(crate) fn read_remote(pid: i32, address: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let local = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let remote = libc::iovec { iov_base: address as *mut libc::c_void, iov_len: buffer.len() };
    // SAFETY: `local` describes `buffer`, which is exclusively borrowed for the
    // call; `remote` is never dereferenced here, the kernel checks it.
    let count = unsafe { libc::process_vm_readv(pid, &raw const local, 1, &raw const remote, 1, 0) };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

/// A clock in seconds.
pub(crate) fn clock_s(clock: libc::clockid_t) -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the result.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return 0.0;
    }
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn system_value(name: libc::c_int, otherwise: u64) -> u64 {
    // SAFETY: `sysconf` takes any number and has no memory effects.
    let value = unsafe { libc::sysconf(name) };
    u64::try_from(value).ok().filter(|value| *value > 0).unwrap_or(otherwise)
}

/// Clock ticks per second, the unit of `/proc/PID/stat` times.
pub(crate) fn ticks_per_second() -> u64 {
    system_value(libc::_SC_CLK_TCK, 100)
}

/// Page size in bytes.
pub(crate) fn page_size() -> u64 {
    system_value(libc::_SC_PAGESIZE, 4096)
}

/// True for the super-user.
pub(crate) fn is_root() -> bool {
    user() == 0
}

fn owned(fd: libc::c_long) -> io::Result<OwnedFd> {
    let fd = RawFd::try_from(fd).unwrap_or(-1);
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just returned this descriptor to us; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A descriptor that names a process.
pub(crate) fn pidfd_open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: integers only.
    owned(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })
}

/// A duplicate of another process's descriptor. It shares the open file
/// description: its flags must not be changed and nothing be read through it.
pub(crate) fn pidfd_getfd(process: &OwnedFd, fd: i32) -> io::Result<OwnedFd> {
    // SAFETY: integers only.
    owned(unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), fd, 0) })
}

/// Bytes queued in a pipe and the size of its buffer.
pub(crate) fn pipe_fill(pipe: &OwnedFd) -> (Option<u64>, Option<u64>) {
    let mut queued: libc::c_int = 0;
    // SAFETY: FIONREAD writes one int, for which `queued` is the place.
    let status = unsafe { libc::ioctl(pipe.as_raw_fd(), libc::FIONREAD, &raw mut queued) };
    // SAFETY: integers only.
    let capacity = unsafe { libc::fcntl(pipe.as_raw_fd(), libc::F_GETPIPE_SZ) };
    ((status == 0).then_some(u64::try_from(queued).unwrap_or(0)), u64::try_from(capacity).ok())
}

/// File type bits (`S_IFMT`) behind a path, without asking a network server.
pub(crate) fn file_type(path: &str) -> Option<u32> {
    let path = CString::new(path).ok()?;
    // SAFETY: an all-zero `statx` is a valid value of that plain C struct.
    let mut result: libc::statx = unsafe { std::mem::zeroed() };
    // SAFETY: `path` is a C string and `result` a valid place, both live over the call.
    let status = unsafe {
        libc::statx(libc::AT_FDCWD, path.as_ptr(), libc::AT_STATX_DONT_SYNC, libc::STATX_TYPE, &raw mut result)
    };
    (status == 0).then_some(u32::from(result.stx_mode) & libc::S_IFMT)
}

/// Size in bytes and free bytes of the file system at a path.
pub(crate) fn file_system_size(path: &str) -> Option<(u64, u64)> {
    let path = CString::new(path).ok()?;
    // SAFETY: an all-zero `statvfs` is a valid value of that plain C struct.
    let mut result: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: `path` is a C string and `result` a valid place, both live over the call.
    let status = unsafe { libc::statvfs(path.as_ptr(), &raw mut result) };
    (status == 0).then(|| (result.f_blocks * result.f_frsize, result.f_bavail * result.f_frsize))
}

/// Figures of a file system.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct FileSystem {
    pub(crate) size_bytes: u64,
    pub(crate) free_bytes: u64,
    /// Zero where the file system has no fixed number.
    pub(crate) inodes: u64,
    pub(crate) inodes_free: u64,
    pub(crate) read_only: bool,
}

/// The file system at a path. A dead network server makes this call hang.
pub(crate) fn file_system(path: &std::path::Path) -> io::Result<FileSystem> {
    use std::os::unix::ffi::OsStrExt as _;
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: an all-zero `statvfs` is a valid value of that plain C struct.
    let mut result: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: `path` is a C string and `result` a valid place, both live over the call.
    if unsafe { libc::statvfs(path.as_ptr(), &raw mut result) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(FileSystem {
        size_bytes: result.f_blocks.saturating_mul(result.f_frsize),
        free_bytes: result.f_bavail.saturating_mul(result.f_frsize),
        inodes: result.f_files,
        inodes_free: result.f_favail,
        read_only: result.f_flag & libc::ST_RDONLY != 0,
    })
}

/// The user this process acts as.
pub(crate) fn user() -> u32 {
    // SAFETY: always succeeds, no memory effects.
    unsafe { libc::geteuid() }
}

/// A soft and hard resource limit of this process; `None` where unlimited.
pub(crate) fn limit(resource: u32) -> (Option<u64>, Option<u64>) {
    let mut result = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    #[cfg(target_env = "musl")]
    let resource = resource as libc::c_int;
    // SAFETY: `result` is a valid place for the result.
    let status = unsafe { libc::getrlimit(resource, &raw mut result) };
    if status != 0 {
        return (None, None);
    }
    let finite = |value: libc::rlim_t| (value != libc::RLIM_INFINITY).then_some(value);
    (finite(result.rlim_cur), finite(result.rlim_max))
}

/// Asks the kernel to kill this process when the thread that started it ends,
/// so that a probe never outlives its supervisor. False where that already happened.
pub(crate) fn die_with_parent(parent: i32) -> bool {
    // SAFETY: integers only.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    // SAFETY: always succeeds, no memory effects.
    let now = unsafe { libc::getppid() };
    parent == 0 || now == parent
}

/// A socket for `NETLINK_SOCK_DIAG` that never waits longer than a second.
pub(crate) fn socket_diagnosis() -> io::Result<OwnedFd> {
    // SAFETY: integers only.
    let fd = unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::NETLINK_SOCK_DIAG) };
    let socket = owned(fd.into())?;
    let limit = libc::timeval { tv_sec: 1, tv_usec: 0 };
    // SAFETY: the option's value is `limit`, of the size stated.
    let status = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVTIMEO,
            (&raw const limit).cast(),
            size_of::<libc::timeval>() as libc::socklen_t,
        )
    };
    if status == 0 { Ok(socket) } else { Err(io::Error::last_os_error()) }
}

/// Sends one message.
pub(crate) fn send(socket: &OwnedFd, message: &[u8]) -> io::Result<()> {
    // SAFETY: pointer and length describe `message`.
    let sent = unsafe { libc::send(socket.as_raw_fd(), message.as_ptr().cast(), message.len(), 0) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Receives one message; returns its length.
pub(crate) fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: pointer and length describe `buffer`, exclusively borrowed.
    let count = unsafe { libc::recv(socket.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}
