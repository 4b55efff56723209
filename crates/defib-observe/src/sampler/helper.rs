//! Reads that take the target's memory lock, in a thread that may hang alone.
//!
//! Command lines and proportional set sizes are asked for through a channel;
//! answers are picked up when they are there. A thread that hangs answers
//! nothing more, and nothing waits for it.

use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use crate::files::Reader;
use crate::parse;

/// Longest wait for the command lines of new processes.
const COMMANDS_WITHIN: Duration = Duration::from_millis(5);
/// PSS is read at most this often, and so seldom that it costs at most a
/// 500th of the time.
const PSS_EVERY: Duration = Duration::from_secs(10);
const PSS_SHARE: u32 = 500;

#[derive(Debug)]
enum Ask {
    Command(i32),
    Pss(Vec<i32>),
}

#[derive(Debug)]
enum Answer {
    Command(i32, Vec<String>),
    Pss { bytes: Option<u64>, took: Duration },
}

/// The helper thread's owner.
#[derive(Debug, Default)]
pub(crate) struct Helper {
    ends: Option<(Sender<Ask>, Receiver<Answer>)>,
    commands_due: usize,
    commands: Vec<(i32, Vec<String>)>,
    pss: Option<(u64, Instant)>,
    pss_due: Option<Instant>,
    pss_asked: bool,
}

impl Helper {
    fn ends(&mut self) -> &(Sender<Ask>, Receiver<Answer>) {
        self.ends.get_or_insert_with(|| {
            let (ask, asked) = mpsc::channel();
            let (answer, answers) = mpsc::channel();
            let body = move || serve(&asked, &answer);
            // Without a thread the channel is closed: nothing will be answered.
            let _ = std::thread::Builder::new().name("defib-memory".to_owned()).spawn(body);
            (ask, answers)
        })
    }

    pub(crate) fn ask_command(&mut self, pid: i32) {
        if self.ends().0.send(Ask::Command(pid)).is_ok() {
            self.commands_due += 1;
        }
    }

    /// Command lines that have arrived; waits a few milliseconds for those asked.
    pub(crate) fn commands(&mut self) -> Vec<(i32, Vec<String>)> {
        let deadline = Instant::now() + COMMANDS_WITHIN;
        self.take(None);
        while self.commands_due > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || !self.take(Some(left)) {
                break;
            }
        }
        std::mem::take(&mut self.commands)
    }

    /// The newest PSS sum, if it is recent; asks for another when it is due.
    pub(crate) fn pss(&mut self, pids: &[i32]) -> Option<u64> {
        self.take(None);
        let due = self.pss_due.is_none_or(|due| Instant::now() >= due);
        if due && !self.pss_asked && !pids.is_empty() {
            self.pss_asked = self.ends().0.send(Ask::Pss(pids.to_vec())).is_ok();
        }
        let (bytes, at) = self.pss?;
        (at.elapsed() < PSS_EVERY * 6).then_some(bytes)
    }

    /// Takes answers; with a wait, at least one. False where none came.
    fn take(&mut self, wait: Option<Duration>) -> bool {
        let Some((_, answers)) = &self.ends else {
            return false;
        };
        let mut found: Vec<Answer> = wait.and_then(|wait| answers.recv_timeout(wait).ok()).into_iter().collect();
        found.extend(answers.try_iter());
        let any = !found.is_empty();
        for answer in found {
            match answer {
                Answer::Command(pid, command) => {
                    self.commands_due = self.commands_due.saturating_sub(1);
                    self.commands.push((pid, command));
                }
                Answer::Pss { bytes, took } => {
                    self.pss_asked = false;
                    self.pss_due = Some(Instant::now() + PSS_EVERY.max(took * PSS_SHARE));
                    self.pss = bytes.map(|bytes| (bytes, Instant::now())).or(self.pss);
                }
            }
        }
        any
    }
}

fn serve(asked: &Receiver<Ask>, answer: &Sender<Answer>) {
    let mut reader = Reader::default();
    while let Ok(ask) = asked.recv() {
        let reply = match ask {
            Ask::Command(pid) => {
                let command = reader.process(pid, "cmdline").map(parse::strings);
                Answer::Command(pid, command.unwrap_or_default())
            }
            Ask::Pss(pids) => {
                let start = Instant::now();
                let mut one = |pid: &i32| {
                    let text = reader.process(*pid, "smaps_rollup").ok()?;
                    parse::field_number(text, "Pss").map(|kilobytes| kilobytes * 1024)
                };
                let sizes: Vec<u64> = pids.iter().filter_map(&mut one).collect();
                let bytes = (!sizes.is_empty()).then(|| sizes.iter().sum());
                Answer::Pss { bytes, took: start.elapsed() }
            }
        };
        if answer.send(reply).is_err() {
            return;
        }
    }
}
