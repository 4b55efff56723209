//! The journal file of a run: `<folder>/journal.jsonl`.
//!
//! Shim, supervisor and late comers append to the same file: each entry is one
//! line, written with one `write(2)` to an `O_APPEND` descriptor, so lines never
//! mix. A crash of the process loses nothing that was written, the page cache
//! keeps it; only a crash of the machine can, and [`Journal::sync`] narrows that.
//!
//! The reader accepts what crashes and newer versions leave behind: a torn last
//! line, and events it does not know. What it passed over is counted.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use defib_core::event::{Entry, Event};

use crate::clock::Clock;

/// Name of the journal in the folder of a run.
pub const JOURNAL_FILE: &str = "journal.jsonl";

/// The journal, open for appending.
#[derive(Debug)]
pub struct Journal {
    file: File,
    clock: Clock,
    /// The file ends in the middle of a line (full disk, crash of a writer).
    torn: AtomicBool,
}

impl Journal {
    /// Creates the journal of a new run, or goes on with it.
    ///
    /// # Errors
    /// Those of opening a file.
    pub fn create(folder: &Path, clock: Clock) -> io::Result<Self> {
        let path = folder.join(JOURNAL_FILE);
        let file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let torn = AtomicBool::new(ends_torn(&file)?);
        Ok(Self { file, clock, torn })
    }

    /// Opens the journal of a run that another process started.
    ///
    /// # Errors
    /// Those of opening a file; `InvalidData` if its first line is no `run` event.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let path = folder.join(JOURNAL_FILE);
        let first = JournalReader::open(folder)?.next_entry()?;
        let Some(Entry { event: Event::Run { started_ms, .. }, .. }) = first else {
            let text = format!("{}: the first line is no run event", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        };
        let file = OpenOptions::new().read(true).append(true).open(path)?;
        let torn = AtomicBool::new(ends_torn(&file)?);
        Ok(Self { file, clock: Clock::of_journal(started_ms), torn })
    }

    /// Nothing is in it yet.
    ///
    /// # Errors
    /// Those of `fstat(2)`.
    pub fn is_empty(&self) -> io::Result<bool> {
        Ok(self.file.metadata()?.len() == 0)
    }

    /// The clock of the run.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Appends an entry.
    ///
    /// # Errors
    /// Those of writing a file; the entry may then be cut, which readers accept.
    pub fn write(&self, entry: &Entry) -> io::Result<()> {
        let mut line = Vec::with_capacity(256);
        if self.torn.load(Ordering::Relaxed) {
            line.push(b'\n');
        }
        serde_json::to_writer(&mut line, entry)?;
        line.push(b'\n');
        let written = loop {
            match (&self.file).write(&line) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.torn.store(written < line.len(), Ordering::Relaxed);
        if written < line.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    /// Makes an entry of an event that happens now and appends it. The entry
    /// comes back also when it could not be written.
    pub fn append(&self, event: Event) -> (Entry, io::Result<()>) {
        let entry = Entry { at_s: self.clock.at_s(), event };
        let written = self.write(&entry);
        (entry, written)
    }

    /// Brings what was written to the disk.
    ///
    /// # Errors
    /// Those of `fdatasync(2)`.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

fn ends_torn(mut file: &File) -> io::Result<bool> {
    let length = file.seek(SeekFrom::End(0))?;
    if length == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::Start(length - 1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

/// Reads a journal from its start, also while it still grows.
#[derive(Debug)]
pub struct JournalReader {
    file: File,
    path: PathBuf,
    pending: Vec<u8>,
    at: usize,
    skipped: u64,
}

impl JournalReader {
    /// Opens the journal of the run in this folder.
    ///
    /// # Errors
    /// Those of opening a file.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let path = folder.join(JOURNAL_FILE);
        let file = File::open(&path)?;
        Ok(Self { file, path, pending: Vec::new(), at: 0, skipped: 0 })
    }

    /// The next whole entry; `None` if there is none yet. Call again later to
    /// follow a journal that grows.
    ///
    /// # Errors
    /// Those of reading a file.
    pub fn next_entry(&mut self) -> io::Result<Option<Entry>> {
        loop {
            while let Some(length) = self.pending[self.at..].iter().position(|&byte| byte == b'\n') {
                let line = &self.pending[self.at..self.at + length];
                self.at += length + 1;
                match serde_json::from_slice(line) {
                    Ok(entry) => return Ok(Some(entry)),
                    Err(_) if line.is_empty() => {}
                    Err(_) => self.skipped += 1,
                }
            }
            self.pending.drain(..self.at);
            self.at = 0;
            let mut piece = vec![0; 64 * 1024];
            let read = self.file.read(&mut piece)?;
            if read == 0 {
                return Ok(None);
            }
            self.pending.extend_from_slice(&piece[..read]);
        }
    }

    /// Lines passed over so far: torn, or written by a newer version.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// What has been read ends in the middle of a line.
    #[must_use]
    pub fn torn(&self) -> bool {
        !self.pending[self.at..].is_empty()
    }

    /// Path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// All entries of a journal; torn and unknown lines are left out.
///
/// # Errors
/// Those of opening and reading a file.
pub fn read_journal(folder: &Path) -> io::Result<Vec<Entry>> {
    let mut reader = JournalReader::open(folder)?;
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        entries.push(entry);
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_event() -> Event {
        Event::Run {
            schema: 1,
            run: defib_core::run::RunId::from_entropy(7),
            command: vec!["true".into()],
            cwd: "/".into(),
            started_ms: 1000,
            pty: false,
            version: "0".into(),
        }
    }

    #[test]
    fn torn_line_and_unknown_event_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::create(folder.path(), Clock::start()).unwrap();
        journal.append(run_event()).1.unwrap();
        let path = folder.path().join(JOURNAL_FILE);
        let mut raw = OpenOptions::new().append(true).open(path).unwrap();
        raw.write_all(b"{\"at_s\":1.0,\"event\":\"of-tomorrow\",\"x\":1}\n{\"at_s\":2.0,\"ev").unwrap();
        assert_eq!(read_journal(folder.path()).unwrap().len(), 1);

        let late = Journal::open(folder.path()).unwrap();
        late.append(Event::Heartbeat).1.unwrap();
        let mut reader = JournalReader::open(folder.path()).unwrap();
        assert!(matches!(reader.next_entry().unwrap().unwrap().event, Event::Run { .. }));
        assert_eq!(reader.next_entry().unwrap().unwrap().event, Event::Heartbeat);
        assert_eq!((reader.skipped(), reader.torn()), (2, false));
        assert!(reader.next_entry().unwrap().is_none());
        journal.append(Event::Continued).1.unwrap();
        assert_eq!(reader.next_entry().unwrap().unwrap().event, Event::Continued);
    }
}
