//! Names of system calls, for those that are shown and not interpreted.
//!
//! Numbers come from `libc` for the architecture built for; the few newer than
//! its tables stand here (they are the same on every architecture).

/// `epoll_pwait2`, Linux 5.11.
pub(crate) const EPOLL_PWAIT2: i64 = 441;
/// `futex_waitv`, Linux 5.16.
pub(crate) const FUTEX_WAITV: i64 = 449;

macro_rules! names {
    ($number:expr; $($name:ident = $constant:ident),+ $(,)?) => {
        match $number {
            $(libc::$constant => Some(stringify!($name)),)+
            _ => None,
        }
    };
}

/// The name of a system call, or its number as text where it has none here.
pub(crate) fn name(number: i64) -> String {
    let name = common(number).or_else(|| native(number)).or(match number {
        EPOLL_PWAIT2 => Some("epoll_pwait2"),
        FUTEX_WAITV => Some("futex_waitv"),
        _ => None,
    });
    name.map_or_else(|| number.to_string(), str::to_owned)
}

#[rustfmt::skip]
fn common(number: i64) -> Option<&'static str> {
    names! { number;
        read = SYS_read, write = SYS_write, close = SYS_close, lseek = SYS_lseek, mmap = SYS_mmap,
        mprotect = SYS_mprotect, munmap = SYS_munmap, brk = SYS_brk,
        rt_sigaction = SYS_rt_sigaction, rt_sigprocmask = SYS_rt_sigprocmask, ioctl = SYS_ioctl,
        pread64 = SYS_pread64, pwrite64 = SYS_pwrite64, readv = SYS_readv, writev = SYS_writev,
        sched_yield = SYS_sched_yield, mremap = SYS_mremap, msync = SYS_msync,
        mincore = SYS_mincore, madvise = SYS_madvise, shmget = SYS_shmget, shmat = SYS_shmat,
        shmctl = SYS_shmctl, dup = SYS_dup, dup3 = SYS_dup3, nanosleep = SYS_nanosleep,
        getitimer = SYS_getitimer, setitimer = SYS_setitimer, getpid = SYS_getpid,
        sendfile = SYS_sendfile, socket = SYS_socket, connect = SYS_connect, accept = SYS_accept,
        sendto = SYS_sendto, recvfrom = SYS_recvfrom, sendmsg = SYS_sendmsg,
        recvmsg = SYS_recvmsg, shutdown = SYS_shutdown, bind = SYS_bind, listen = SYS_listen,
        getsockname = SYS_getsockname, getpeername = SYS_getpeername, socketpair = SYS_socketpair,
        setsockopt = SYS_setsockopt, getsockopt = SYS_getsockopt, clone = SYS_clone,
        execve = SYS_execve, exit = SYS_exit, wait4 = SYS_wait4, kill = SYS_kill,
        semget = SYS_semget, semop = SYS_semop, semctl = SYS_semctl, shmdt = SYS_shmdt,
        msgget = SYS_msgget, msgsnd = SYS_msgsnd, msgrcv = SYS_msgrcv, msgctl = SYS_msgctl,
        fcntl = SYS_fcntl, flock = SYS_flock, fsync = SYS_fsync, fdatasync = SYS_fdatasync,
        truncate = SYS_truncate, ftruncate = SYS_ftruncate, getcwd = SYS_getcwd,
        chdir = SYS_chdir, fchdir = SYS_fchdir, fchmod = SYS_fchmod, fchown = SYS_fchown,
        umask = SYS_umask, ptrace = SYS_ptrace, rt_sigpending = SYS_rt_sigpending,
        rt_sigtimedwait = SYS_rt_sigtimedwait, rt_sigqueueinfo = SYS_rt_sigqueueinfo,
        rt_sigsuspend = SYS_rt_sigsuspend, sigaltstack = SYS_sigaltstack, mlock = SYS_mlock,
        munlock = SYS_munlock, mlockall = SYS_mlockall, munlockall = SYS_munlockall,
        prctl = SYS_prctl, sync = SYS_sync, mount = SYS_mount, umount2 = SYS_umount2,
        swapon = SYS_swapon, swapoff = SYS_swapoff, reboot = SYS_reboot, futex = SYS_futex,
        io_setup = SYS_io_setup, io_destroy = SYS_io_destroy, io_getevents = SYS_io_getevents,
        io_submit = SYS_io_submit, io_cancel = SYS_io_cancel, semtimedop = SYS_semtimedop,
        restart_syscall = SYS_restart_syscall, fadvise64 = SYS_fadvise64,
        timer_create = SYS_timer_create, timer_settime = SYS_timer_settime,
        clock_gettime = SYS_clock_gettime, clock_nanosleep = SYS_clock_nanosleep,
        exit_group = SYS_exit_group, epoll_ctl = SYS_epoll_ctl, mq_open = SYS_mq_open,
        mq_timedsend = SYS_mq_timedsend, mq_timedreceive = SYS_mq_timedreceive,
        waitid = SYS_waitid, inotify_add_watch = SYS_inotify_add_watch, openat = SYS_openat,
        mkdirat = SYS_mkdirat, unlinkat = SYS_unlinkat, renameat = SYS_renameat,
        linkat = SYS_linkat, symlinkat = SYS_symlinkat, readlinkat = SYS_readlinkat,
        fchmodat = SYS_fchmodat, faccessat = SYS_faccessat, pselect6 = SYS_pselect6,
        ppoll = SYS_ppoll, unshare = SYS_unshare, splice = SYS_splice, tee = SYS_tee,
        sync_file_range = SYS_sync_file_range, vmsplice = SYS_vmsplice,
        move_pages = SYS_move_pages, utimensat = SYS_utimensat, epoll_pwait = SYS_epoll_pwait,
        timerfd_create = SYS_timerfd_create, fallocate = SYS_fallocate,
        timerfd_settime = SYS_timerfd_settime, accept4 = SYS_accept4, signalfd4 = SYS_signalfd4,
        eventfd2 = SYS_eventfd2, epoll_create1 = SYS_epoll_create1, pipe2 = SYS_pipe2,
        inotify_init1 = SYS_inotify_init1, preadv = SYS_preadv, pwritev = SYS_pwritev,
        recvmmsg = SYS_recvmmsg, syncfs = SYS_syncfs, sendmmsg = SYS_sendmmsg, setns = SYS_setns,
        process_vm_readv = SYS_process_vm_readv, process_vm_writev = SYS_process_vm_writev,
        finit_module = SYS_finit_module, renameat2 = SYS_renameat2, seccomp = SYS_seccomp,
        getrandom = SYS_getrandom, memfd_create = SYS_memfd_create, bpf = SYS_bpf,
        execveat = SYS_execveat, userfaultfd = SYS_userfaultfd, membarrier = SYS_membarrier,
        mlock2 = SYS_mlock2, copy_file_range = SYS_copy_file_range, preadv2 = SYS_preadv2,
        pwritev2 = SYS_pwritev2, statx = SYS_statx, newfstatat = SYS_newfstatat,
        fstat = SYS_fstat,
        pidfd_send_signal = SYS_pidfd_send_signal, io_uring_setup = SYS_io_uring_setup,
        io_uring_enter = SYS_io_uring_enter, io_uring_register = SYS_io_uring_register,
        pidfd_open = SYS_pidfd_open, clone3 = SYS_clone3, close_range = SYS_close_range,
        openat2 = SYS_openat2, pidfd_getfd = SYS_pidfd_getfd, getdents64 = SYS_getdents64,
        lgetxattr = SYS_lgetxattr, getxattr = SYS_getxattr, migrate_pages = SYS_migrate_pages,
        mbind = SYS_mbind, init_module = SYS_init_module, delete_module = SYS_delete_module,
        quotactl = SYS_quotactl, personality = SYS_personality,
        perf_event_open = SYS_perf_event_open, fanotify_init = SYS_fanotify_init,
    }
}

#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
fn native(number: i64) -> Option<&'static str> {
    names! { number;
        open = SYS_open, stat = SYS_stat, lstat = SYS_lstat, poll = SYS_poll, access = SYS_access,
        pipe = SYS_pipe, select = SYS_select, pause = SYS_pause, dup2 = SYS_dup2, fork = SYS_fork,
        vfork = SYS_vfork, creat = SYS_creat, rename = SYS_rename, mkdir = SYS_mkdir,
        rmdir = SYS_rmdir, link = SYS_link, unlink = SYS_unlink, symlink = SYS_symlink,
        readlink = SYS_readlink, chmod = SYS_chmod, chown = SYS_chown,
        epoll_wait = SYS_epoll_wait, epoll_create = SYS_epoll_create,
        inotify_init = SYS_inotify_init, eventfd = SYS_eventfd, signalfd = SYS_signalfd,
        getdents = SYS_getdents, utime = SYS_utime, alarm = SYS_alarm,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn native(_: i64) -> Option<&'static str> {
    None
}
