//! The threads that bring happenings to the session.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use defib_core::event::{Ending, Entry, Event};
use defib_core::facts::{Look, Target};
use defib_observe::{LookRequest, Sample, Sampler, look_within};
use defib_process::signals::Received;
use defib_process::{Clock, Events, Next};

/// Something the session must know.
#[derive(Debug)]
pub enum Happening {
    /// The shim tells; it is in the journal already.
    Told(Box<Entry>),
    /// The shim has told everything, or is gone.
    ShimClosed,
    /// A signal arrived at defib.
    Signal(Received),
    /// Vital signs.
    Sampled(Box<Sample>),
    /// A look has been taken.
    Looked(Box<Look>),
    /// Ctrl+C was typed at the terminal and went to the program.
    Interrupt,
    /// Ctrl+Z was typed at the terminal.
    Suspend,
    /// A process of the tree listens on this address.
    Listening(String),
    /// Live objects were counted, or could not be.
    Counted(Box<Event>),
    /// The tree's memory has been read: proportional set size, bytes.
    Weighed(u64),
    /// Whoever gives a worker its work wants it to end, within this grace in seconds.
    Order(Ending, Option<f64>),
    /// There is no GPU, or it cannot be asked: why.
    NoGpu(String),
}

/// Passes on what the shim tells. What comes back is the tree's lifeline: dropped, the
/// descriptor is closed.
#[must_use]
pub(super) fn shim(mut events: Events, out: Sender<Happening>) -> Sender<()> {
    let (lifeline, cut): (Sender<()>, Receiver<()>) = channel();
    thread::spawn(move || {
        loop {
            let (happening, last) = match events.next_entry(None) {
                Next::Entry(entry) => (Happening::Told(entry), false),
                Next::Timeout => continue,
                Next::Closed => (Happening::ShimClosed, true),
            };
            if out.send(happening).is_err() || last {
                break;
            }
        }
        // It stays open until the session ends.
        let _ = cut.recv();
        drop(events);
    });
    lifeline
}

/// Shortest time between two samples.
const DENSE: Duration = Duration::from_millis(60);

/// Takes vital signs until the session drops its end.
pub(super) fn sampler(root: i32, every: Duration, clock: Clock, out: Sender<Happening>) -> Sender<()> {
    let (stop, stopped): (Sender<()>, Receiver<()>) = channel();
    thread::spawn(move || {
        // Most short programs are over before the first sample is due.
        let mut next = Duration::from_millis(40);
        let mut sampler = None;
        let mut births = 0;
        let mut told = false;
        while matches!(stopped.recv_timeout(next), Err(RecvTimeoutError::Timeout)) {
            let begun = Instant::now();
            let sampler = sampler.get_or_insert_with(|| Sampler::new(root, false));
            let sample = sampler.sample(clock.at_s());
            let born = std::mem::replace(&mut births, sample.vitals.births) < births;
            if out.send(Happening::Sampled(Box::new(sample))).is_err() {
                return;
            }
            if let (false, Some(why)) = (told, sampler.gpus_absent()) {
                told = true;
                let _ = out.send(Happening::NoGpu(why));
            }
            // Denser at first, when most starts fail, and while processes are born:
            // those that die young are seen only so. A large tree pays less for it.
            let took = begun.elapsed();
            let dense = clock.at_s() < 0.5 || born;
            let pace = if dense { DENSE.max(took * 30) } else { next * 2 };
            next = pace.min(every).max(DENSE).saturating_sub(took);
        }
    });
    stop
}

/// Reads the proportional set size of these processes now. In a thread of its own:
/// a hung mapping of one of them must not hold up the session.
pub(super) fn weigh(pids: Vec<i32>, out: Sender<Happening>) {
    thread::spawn(move || {
        let total = pids.into_iter().filter_map(proportional_bytes).sum();
        let _ = out.send(Happening::Weighed(total));
    });
}

/// `Pss:` of `/proc/PID/smaps_rollup`, else resident pages of `statm`.
fn proportional_bytes(pid: i32) -> Option<u64> {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let kib =
        rollup.lines().find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    let resident = || {
        let pages =
            std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?.split(' ').nth(1)?.parse::<u64>().ok()?;
        Some(pages * rustix::param::page_size() as u64)
    };
    kib.map(|kib| kib << 10).or_else(resident)
}

/// Takes one look in a disposable child.
pub(super) fn look(exe: PathBuf, request: LookRequest, within: Duration, out: Sender<Happening>) {
    thread::spawn(move || {
        let look = look_within(&exe, &request, within);
        let _ = out.send(Happening::Looked(Box::new(look)));
    });
}

/// Time between two looks at the sockets.
const LISTEN_EVERY: Duration = Duration::from_millis(400);
/// Time such a look may take.
const LISTEN_WITHIN: Duration = Duration::from_secs(2);

/// Tells the first port that the tree listens on, until the session drops its end.
pub(super) fn listening(exe: PathBuf, root: i32, out: Sender<Happening>) -> Sender<()> {
    let (stop, stopped): (Sender<()>, Receiver<()>) = channel();
    thread::spawn(move || {
        let request = LookRequest { root, ..LookRequest::default() };
        while matches!(stopped.recv_timeout(LISTEN_EVERY), Err(RecvTimeoutError::Timeout)) {
            let look = look_within(&exe, &request, LISTEN_WITHIN);
            if let Some(address) = port(&look) {
                let _ = out.send(Happening::Listening(address));
                return;
            }
        }
    });
    stop
}

/// The address of a TCP socket on which the tree waits for clients.
fn port(look: &Look) -> Option<String> {
    let descriptors = look.processes.iter().filter(|process| process.in_tree).flat_map(|process| &process.descriptors);
    let mut sockets = descriptors.filter_map(|descriptor| match &descriptor.target {
        Target::Socket { socket: Some(socket), .. } => Some(socket),
        _ => None,
    });
    let listens = sockets.find(|socket| socket.protocol.starts_with("tcp") && socket.state == "listen")?;
    Some(listens.local.clone())
}
