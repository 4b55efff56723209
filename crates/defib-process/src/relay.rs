//! Passes one stream of output on: program → kept log → user.
//!
//! One thread per stream, so that a reader that does not read, a terminal on hold
//! or a slow disk blocks this thread and never the one that ends the tree. What
//! is read goes to the kept log first. The user's descriptor is never made
//! non-blocking, it is shared with the user's shell; a thread that is blocked in
//! a write is interrupted by a signal instead ([`Relay::press`]).
//!
//! When the user's reader is gone, the program's pipe is closed, so the program
//! learns it by SIGPIPE or EPIPE as it would without defib.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use defib_core::event::{Event, Stream};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, read, write};

use crate::kept::KeptWriter;
use crate::sys;

/// The signal that interrupts a relay thread.
const INTERRUPT: i32 = libc::SIGUSR2;
/// Most that is read at once. Half a pipe: the program fills one half while the other is
/// copied; more only costs cache.
const BUFFER: usize = 256 * 1024;

/// What a relay thread shall do, other than pass on until the end of the stream (0).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Order {
    /// Pass on what is there, then go on for the log alone.
    Detach = 1,
    /// Pass on what is there, then stop.
    Finish = 2,
}

/// What thread and main loop share.
#[derive(Debug, Default)]
struct Shared {
    bytes: AtomicU64,
    order: AtomicU8,
    /// The order the thread has seen.
    noticed: AtomicU8,
    /// The order it has carried out.
    answered: AtomicU8,
    /// What is read still goes to the user.
    deliver: AtomicBool,
    delivering: AtomicBool,
    /// The next bytes wake the main loop.
    armed: AtomicBool,
    thread: AtomicI32,
    end: Mutex<Option<Event>>,
}

/// One stream.
#[derive(Debug)]
pub(crate) struct Relay {
    stream: Stream,
    shared: Arc<Shared>,
    told: u64,
}

impl Relay {
    /// Prepares this process for relay threads: call once, before the first.
    pub(crate) fn prepare() -> io::Result<()> {
        sys::interrupt_calls_on(INTERRUPT)
    }

    /// Starts the thread of a stream.
    pub(crate) fn start(
        stream: Stream,
        source: OwnedFd,
        out: BorrowedFd<'static>,
        kept: KeptWriter,
        wake: Arc<OwnedFd>,
    ) -> io::Result<Self> {
        let shared =
            Arc::new(Shared { deliver: AtomicBool::new(true), armed: AtomicBool::new(true), ..Shared::default() });
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name(stream.stem().to_owned());
        thread.stack_size(128 * 1024).spawn(move || {
            Pump { stream, source, out, kept, shared: theirs, wake, reader_gone: false }.run();
        })?;
        Ok(Self { stream, shared, told: 0 })
    }

    /// Gives an order; orders only go up.
    pub(crate) fn order(&self, order: Order) {
        self.shared.order.fetch_max(order as u8, Ordering::SeqCst);
    }

    /// No more to the user: what is not delivered stays in the kept log.
    pub(crate) fn keep_only(&self) {
        self.shared.deliver.store(false, Ordering::SeqCst);
    }

    /// Interrupts the thread if it has not noticed yet what it shall do; call again
    /// after a millisecond while this is true.
    pub(crate) fn press(&self) -> bool {
        let shared = &self.shared;
        let unheard = shared.noticed.load(Ordering::SeqCst) != shared.order.load(Ordering::SeqCst)
            && !shared.delivering.load(Ordering::SeqCst);
        let unwanted = shared.delivering.load(Ordering::SeqCst) && !shared.deliver.load(Ordering::SeqCst);
        let needed = (unheard || unwanted) && !self.ended();
        let thread = shared.thread.load(Ordering::SeqCst);
        if needed && thread != 0 {
            sys::signal_thread(thread, INTERRUPT);
        }
        needed
    }

    /// The order was carried out, or the stream has ended.
    pub(crate) fn answered(&self, order: Order) -> bool {
        self.ended() || self.shared.answered.load(Ordering::SeqCst) >= order as u8
    }

    /// The thread is done with the stream.
    pub(crate) fn ended(&self) -> bool {
        self.shared.end.lock().map_or(true, |end| end.is_some())
    }

    /// It waits for the user's reader.
    pub(crate) fn delivering(&self) -> bool {
        self.shared.delivering.load(Ordering::SeqCst)
    }

    /// What it is delivering is not wanted any more.
    pub(crate) fn unwanted(&self) -> bool {
        !self.shared.deliver.load(Ordering::SeqCst)
    }

    /// It has brought bytes, and none were told yet.
    pub(crate) fn first(&self) -> bool {
        self.told == 0 && self.shared.bytes.load(Ordering::Relaxed) > 0
    }

    /// The event that tells the end of the stream.
    pub(crate) fn end(&self) -> Event {
        let told = self.shared.end.lock().ok().and_then(|end| end.clone());
        told.unwrap_or_else(|| Event::StreamEnded {
            stream: self.stream,
            bytes: self.shared.bytes.load(Ordering::SeqCst),
            not_kept: 0,
            reason: Some("the disk or the user's terminal did not answer".to_owned()),
            reader_gone: false,
        })
    }

    /// How much there is, if more than was told before.
    pub(crate) fn news(&mut self) -> Option<Event> {
        let bytes = self.shared.bytes.load(Ordering::Relaxed);
        let news = bytes > self.told;
        self.told = bytes;
        news.then_some(Event::Output { stream: self.stream, bytes })
    }

    /// Lets the next bytes wake the main loop.
    pub(crate) fn arm(&self) {
        self.shared.armed.store(true, Ordering::SeqCst);
    }
}

/// Wakes whoever polls this event descriptor.
fn ring(wake: &OwnedFd) {
    // A full counter means that it is awake already.
    let _ = write(wake, &1_u64.to_ne_bytes());
}

/// The thread's side.
struct Pump {
    stream: Stream,
    source: OwnedFd,
    out: BorrowedFd<'static>,
    kept: KeptWriter,
    shared: Arc<Shared>,
    wake: Arc<OwnedFd>,
    reader_gone: bool,
}

impl Pump {
    fn run(mut self) {
        self.shared.thread.store(sys::thread_id(), Ordering::SeqCst);
        // Without it a blocked write could not be interrupted, and is waited for instead.
        let _ = sys::unblock_signal(INTERRUPT);
        let mut buffer = vec![0; BUFFER];
        loop {
            let order = self.shared.order.load(Ordering::SeqCst);
            if self.shared.noticed.swap(order, Ordering::SeqCst) != order {
                self.set_blocking(false);
            }
            match read(&self.source, &mut buffer[..]) {
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if order == Order::Detach as u8 => self.detach(),
                // A terminal nobody has open any more reads as an input/output error.
                Ok(0) | Err(_) => break,
                Ok(length) => {
                    self.pass_on(&buffer[..length]);
                    if self.reader_gone && self.stream != Stream::Terminal {
                        break;
                    }
                }
            }
        }
        self.finish();
    }

    fn detach(&self) {
        self.shared.deliver.store(false, Ordering::SeqCst);
        self.set_blocking(true);
        self.shared.answered.store(Order::Detach as u8, Ordering::SeqCst);
        ring(&self.wake);
    }

    /// The program's side of the pipe is another open file: this is ours alone.
    fn set_blocking(&self, blocking: bool) {
        if let Ok(flags) = fcntl_getfl(&self.source) {
            let flags = if blocking { flags - OFlags::NONBLOCK } else { flags | OFlags::NONBLOCK };
            let _ = fcntl_setfl(&self.source, flags);
        }
    }

    fn pass_on(&mut self, bytes: &[u8]) {
        self.kept.append(bytes);
        self.shared.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if self.shared.armed.load(Ordering::Relaxed) && self.shared.armed.swap(false, Ordering::SeqCst) {
            ring(&self.wake);
        }
        if !self.reader_gone && self.shared.deliver.load(Ordering::SeqCst) {
            self.shared.delivering.store(true, Ordering::SeqCst);
            self.deliver(bytes);
            self.shared.delivering.store(false, Ordering::SeqCst);
        }
    }

    fn deliver(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.shared.deliver.load(Ordering::SeqCst) {
            match write(self.out, bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(Errno::INTR) => {}
                // Somebody else made the user's descriptor non-blocking.
                Err(Errno::AGAIN) => {
                    let _ = poll(&mut [PollFd::new(&self.out, PollFlags::OUT)], None);
                }
                Err(_) => {
                    self.reader_gone = true;
                    return;
                }
            }
        }
    }

    fn finish(self) {
        let (not_kept, reason) = self.kept.not_kept();
        let bytes = self.shared.bytes.load(Ordering::Relaxed);
        let (stream, reader_gone) = (self.stream, self.reader_gone);
        // First: the program shall learn at once that nobody reads any more.
        drop(self.source);
        if let Ok(mut end) = self.shared.end.lock() {
            *end = Some(Event::StreamEnded { stream, bytes, not_kept, reason, reader_gone });
        }
        ring(&self.wake);
    }
}

/// Makes this pipe as large as the kernel allows, up to 1 MiB; anything else stays.
pub(crate) fn enlarge(pipe: BorrowedFd<'_>) {
    for size in [1 << 20, 512 << 10, 256 << 10] {
        match rustix::pipe::fcntl_getpipe_size(pipe.as_fd()) {
            Ok(now) if now < size => {}
            _ => return,
        }
        if rustix::pipe::fcntl_setpipe_size(pipe.as_fd(), size).is_ok() {
            return;
        }
    }
}
