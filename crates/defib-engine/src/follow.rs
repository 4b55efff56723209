//! Prints kept output as it comes.

use std::collections::HashMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use defib_core::event::Stream;
use defib_process::KeptLog;

/// Time between two looks for new output.
const POLL: Duration = Duration::from_millis(100);
/// Longest wait for a reader to take the last output.
const LAST_WITHIN: Duration = Duration::from_secs(5);

/// The streams of a run, each with the offset printed so far.
#[derive(Debug, Default)]
pub struct Following {
    folder: PathBuf,
    from: HashMap<Stream, u64>,
    open: Vec<(Stream, KeptLog, u64)>,
}

impl Following {
    /// Of the run in `folder`, each stream from this offset on, in bytes.
    #[must_use]
    pub fn new(folder: &Path, from: HashMap<Stream, u64>) -> Self {
        Self { folder: folder.to_owned(), from, open: Vec::new() }
    }

    /// Prints what has come: standard output to standard output, errors to errors, as
    /// the program wrote them. Bytes that are not kept are told.
    ///
    /// # Errors
    /// Those of reading the kept output and of writing ours.
    pub fn copy(&mut self) -> io::Result<()> {
        self.find();
        let gap = |bytes: u64| format!("[defib: {bytes} bytes between are not kept]");
        for (stream, log, offset) in &mut self.open {
            *offset = if *stream == Stream::Stderr {
                log.copy_to(*offset, &mut io::stderr().lock(), gap)?
            } else {
                let mut out = io::stdout().lock();
                let reached = log.copy_to(*offset, &mut out, gap)?;
                out.flush()?;
                reached
            };
        }
        Ok(())
    }

    /// A stream's file appears when the run starts.
    fn find(&mut self) {
        for stream in [Stream::Terminal, Stream::Stdout, Stream::Stderr] {
            if !self.open.iter().any(|(open, ..)| *open == stream)
                && let Ok(log) = KeptLog::open(&self.folder, stream)
            {
                self.open.push((stream, log, self.from.get(&stream).copied().unwrap_or(0)));
            }
        }
    }

    /// Goes on printing in a thread, until [`Printing::finish`].
    pub(crate) fn print(mut self) -> Printing {
        let (stop, stopped) = channel();
        let (done, finished) = channel();
        thread::spawn(move || {
            // A reader that goes away ends the printing, not the run.
            while self.copy().is_ok() {
                if !matches!(stopped.recv_timeout(POLL), Err(RecvTimeoutError::Timeout)) {
                    // What came before the stop.
                    let _ = self.copy();
                    break;
                }
            }
            let _ = done.send(());
        });
        Printing { stop, finished }
    }
}

/// Output that is printed in a thread.
pub(crate) struct Printing {
    stop: Sender<()>,
    finished: Receiver<()>,
}

impl Printing {
    /// Prints what has come, and ends; a reader that does not read is given up.
    pub(crate) fn finish(self) {
        let _ = self.stop.send(());
        let _ = self.finished.recv_timeout(LAST_WITHIN);
    }
}
