//! One worker process: a supervised run with a line to it.

use std::collections::HashMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use defib_core::event::{Ending, Stream};
use defib_core::log::LogReader;
use defib_core::run::RunId;
use rustix::fs::{Mode, OFlags};

use super::super::host::Host;
use super::protocol::{Ask, Say};
use crate::archive;
use crate::session::{Audience, Desk, Duty, Finished, Plan, Work, supervise_worker};

/// Between two looks whether the line has ended.
const LINE_WITHIN: Duration = Duration::from_secs(1);
/// Longest time from the end of the line to the report: the shim and the last look are
/// bounded, this is more than both.
const REPORT_WITHIN: Duration = Duration::from_secs(60);

/// Longest wait for what it has printed.
const PRINTED_WITHIN: Duration = Duration::from_millis(500);

/// Longest thing that a worker may say, bytes: large data are files.
const LONGEST_LINE: usize = 64 << 20;

/// What became of the run, once it is over.
type Outcome = Arc<(Mutex<Option<Result<Box<Finished>, String>>>, Condvar)>;

/// A process that takes work.
pub(super) struct Process {
    line: BufReader<UnixStream>,
    text: Vec<u8>,
    desk: Desk,
    duty: Arc<Duty>,
    outcome: Outcome,
    place: Arc<Mutex<Place>>,
    /// It said something longer than may be.
    too_long: bool,
    /// Jobs it has done.
    pub(super) jobs: u64,
}

/// Ends the line when the session is over, also where a process that outlived it holds the
/// other end.
struct EndOfLine(UnixStream);

impl Drop for EndOfLine {
    fn drop(&mut self) {
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

/// Where the run is.
#[derive(Debug, Clone, Default)]
pub(super) struct Place {
    pub(super) run: Option<String>,
    pub(super) folder: Option<PathBuf>,
    pub(super) pid: Option<i32>,
}

/// Passes on what the session says.
struct Listener<'a> {
    host: &'a Host,
    place: &'a Mutex<Place>,
}

impl Audience for Listener<'_> {
    fn notice(&mut self, text: &str) {
        self.host.tell(text);
    }

    fn started(&mut self, run: &RunId, folder: &std::path::Path, pid: i32) {
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        *place = Place { run: Some(run.to_string()), folder: Some(folder.to_owned()), pid: Some(pid) };
    }
}

impl Process {
    /// Starts one.
    ///
    /// # Errors
    /// Where no socket can be made.
    pub(super) fn start(plan: Plan, host: Host) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_read_timeout(Some(LINE_WITHIN))?;
        let (desk, duty) = (Desk::quiet(), Arc::new(Duty::default()));
        let (outcome, place) = (Outcome::default(), Arc::new(Mutex::new(Place::default())));
        let end = ours.try_clone()?;
        let session = {
            let (desk, duty, outcome, place) = (desk.clone(), duty.clone(), outcome.clone(), place.clone());
            move || {
                let _line = EndOfLine(end);
                let mut listener = Listener { host: &host, place: &place };
                let supervised = catch_unwind(AssertUnwindSafe(|| {
                    supervise_worker(&desk, Some(theirs.into()), &duty, &plan, &host.state, &mut listener)
                }));
                duty.close();
                let result = match supervised {
                    Ok(Ok(finished)) => {
                        host.enter(&finished);
                        Ok(Box::new(finished))
                    }
                    Ok(Err(error)) => Err(error.to_string()),
                    Err(_) => Err("defib itself failed at supervising it; its log says more".to_owned()),
                };
                *outcome.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
                outcome.1.notify_all();
            }
        };
        thread::Builder::new().name("defib-worker".to_owned()).spawn(session)?;
        Ok(Self { line: BufReader::new(ours), text: Vec::new(), desk, duty, outcome, place, too_long: false, jobs: 0 })
    }

    /// Where its run is, once it has started.
    pub(super) fn place(&self) -> Place {
        self.place.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// It takes work.
    pub(super) fn is_open(&self) -> bool {
        self.duty.is_open()
    }

    /// Where the output of what comes next begins, bytes.
    pub(super) fn output_from(&self) -> HashMap<Stream, u64> {
        let Some(folder) = self.place().folder else { return HashMap::new() };
        let length = |stream: Stream| {
            let file = folder.join(format!("{}.log", stream.stem()));
            (stream, file.metadata().map_or(0, |meta| meta.len()))
        };
        [Stream::Stdout, Stream::Stderr].map(length).into()
    }

    /// What it has printed since then, as far as a judgement needs it: what is on its way
    /// through a pipe is waited for.
    pub(super) fn printed(&self, from: &HashMap<Stream, u64>) -> Vec<LogReader> {
        let Place { folder, pid, .. } = self.place();
        let Some(folder) = folder else { return Vec::new() };
        let until = Instant::now() + PRINTED_WITHIN;
        let mut empty = 0;
        // Read from the pipe, a line is on disk a moment later.
        while empty < 2 && Instant::now() < until {
            empty = if pid.is_some_and(|pid| queued(pid) > 0) { 0 } else { empty + 1 };
            thread::sleep(Duration::from_millis(3));
        }
        archive::readers_from(&folder, from)
    }

    /// A piece of work begins; false if it takes none.
    pub(super) fn begin(&self, work: Work) -> bool {
        self.duty.begin(work)
    }

    /// It is done.
    pub(super) fn done(&self) {
        self.duty.end();
    }

    /// Why it is not heard any more although it lives.
    pub(super) fn offence(&self) -> Option<String> {
        let most = LONGEST_LINE >> 20;
        self.too_long
            .then(|| format!("its answer is longer than {most} MiB; return large data as files: paths, bytes, arrays"))
    }

    /// Says something to the worker.
    ///
    /// # Errors
    /// Where it is gone.
    pub(super) fn ask(&mut self, ask: &Ask<'_>) -> io::Result<()> {
        let mut line = serde_json::to_vec(ask)?;
        line.push(b'\n');
        self.line.get_mut().write_all(&line)
    }

    /// What it says next; `None` once the line has ended. Bounded by the deadline of the
    /// work at hand: its session ends the process then, and with it the line.
    pub(super) fn hear(&mut self) -> Option<Say> {
        loop {
            let room = (LONGEST_LINE - self.text.len()) as u64;
            match self.line.by_ref().take(room).read_until(b'\n', &mut self.text) {
                Ok(_) if self.text.len() >= LONGEST_LINE => {
                    self.too_long = true;
                    return None;
                }
                Ok(0) => return None,
                Ok(_) if self.text.last() == Some(&b'\n') => {
                    let said = serde_json::from_slice(&self.text);
                    self.text.clear();
                    self.duty.heard();
                    return Some(said.unwrap_or_else(|error| Say::Garbled(error.to_string())));
                }
                // The end came in the middle of a line.
                Ok(_) => return None,
                Err(error) if is_pause(&error) => {}
                Err(_) => return None,
            }
        }
    }

    /// Orders its end, within this grace.
    pub(super) fn end(&self, grace: Duration) {
        self.duty.close();
        self.desk.order(Ending::StopRequested, Some(grace.as_secs_f64()));
    }

    /// What ends it from another thread.
    pub(super) fn ender(&self) -> impl Fn() + Send + 'static {
        let (desk, duty) = (self.desk.clone(), self.duty.clone());
        move || {
            duty.close();
            desk.order(Ending::StopRequested, Some(0.5));
        }
    }

    /// Lets it end by itself and ends it if it does not, within this time.
    ///
    /// # Errors
    /// Why there is no report.
    pub(super) fn dismiss(mut self, within: Duration) -> Result<Box<Finished>, String> {
        self.duty.close();
        let _ = self.ask(&Ask::Shutdown);
        let outcome = self.outcome.clone();
        if !is_over(&outcome, within) {
            self.end(Duration::from_millis(500));
        }
        self.finished()
    }

    /// Its report, once its line has ended.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn finished(self) -> Result<Box<Finished>, String> {
        let Self { outcome, desk, .. } = self;
        if !is_over(&outcome, LINE_WITHIN) {
            // It has closed its line and lives on, or its session is about to end it.
            desk.order(Ending::StopRequested, Some(1.0));
        }
        if !is_over(&outcome, REPORT_WITHIN) {
            return Err("its supervisor did not come to an end in time".to_owned());
        }
        let told = outcome.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        told.unwrap_or_else(|| Err("its end was told before".to_owned()))
    }
}

/// Bytes in the pipes of standard output and standard error that nobody has read yet.
fn queued(pid: i32) -> u64 {
    let pipe = |number: i32| {
        let place = format!("/proc/{pid}/fd/{number}");
        let opened =
            rustix::fs::open(place, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()).ok()?;
        rustix::io::ioctl_fionread(&opened).ok()
    };
    [1, 2].into_iter().filter_map(pipe).sum()
}

/// The run is over, now or within this time.
fn is_over(outcome: &Outcome, within: Duration) -> bool {
    let result = outcome.0.lock().unwrap_or_else(PoisonError::into_inner);
    let waits = outcome.1.wait_timeout_while(result, within, |result| result.is_none());
    waits.unwrap_or_else(PoisonError::into_inner).0.is_some()
}

fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}
