//! What a cause is, and what one says about a case.

use crate::case::Study;
use crate::recovery::Remedy;
use crate::report::{NextStep, Place};

/// Groups of evidence; items within one depend on each other, so at most one ratio of each counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Group {
    /// Output of the program.
    Log,
    /// Stacks.
    Stack,
    /// Waits, descriptors, sockets.
    Waits,
    /// Kernel log and counters, exit status.
    Kernel,
    /// CPU, io, memory over time.
    Vitals,
    /// GPU fields.
    Gpu,
}

/// A sign that speaks for a cause, or is missed where the cause would show it.
///
/// Its weight is not written here: [`crate::weights`] holds what the corpus
/// says about how often it is seen with the cause and without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sign {
    /// Evidence group.
    pub group: Group,
    /// Name, unique within its cause.
    pub name: &'static str,
    /// Seen, or expected and absent.
    pub seen: bool,
}

impl Sign {
    /// A sign that was seen.
    #[must_use]
    pub fn seen(group: Group, name: &'static str) -> Self {
        Self { group, name, seen: true }
    }

    /// A sign that is there or missed.
    #[must_use]
    pub fn when(seen: bool, group: Group, name: &'static str) -> Self {
        Self { group, name, seen }
    }
}

/// How a finding speaks for its cause.
#[derive(Debug, Clone, PartialEq)]
pub enum Strength {
    /// Settles it.
    Proof,
    /// Weighed by its signs, the strongest of each group.
    Signs(Vec<Sign>),
}

/// One observed fact, before it has an id.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    /// Where it was seen: `log`, `stack`, `waits`, `descriptors`, `exit`, `kernel`, `vitals`, `signal`, `limit`.
    pub source: &'static str,
    /// Seconds since the start.
    pub at_s: Option<f64>,
    /// Process.
    pub pid: Option<i32>,
    /// Thread.
    pub thread: Option<String>,
    /// The fact, in words.
    pub says: String,
    /// Looks like a cause and is none.
    pub noise: bool,
}

impl Fact {
    /// A fact about the whole run.
    #[must_use]
    pub fn new(source: &'static str, says: impl Into<String>) -> Self {
        Self { source, at_s: None, pid: None, thread: None, says: says.into(), noise: false }
    }

    /// Seen in this process.
    #[must_use]
    pub fn of(mut self, pid: i32) -> Self {
        self.pid = Some(pid);
        self
    }

    /// Seen at this time.
    #[must_use]
    pub fn at(mut self, at_s: f64) -> Self {
        self.at_s = Some(at_s);
        self
    }

    /// Seen in this thread.
    #[must_use]
    pub fn thread(mut self, name: impl Into<String>) -> Self {
        self.thread = Some(name.into());
        self
    }
}

/// What a cause says about a case.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Proof or weight.
    pub strength: Strength,
    /// Where among the proofs: the root of the trouble comes first. Lower is
    /// earlier; causes that explain others by mechanism take a low number.
    pub rank: i32,
    /// Facts it rests on; never empty.
    pub facts: Vec<Fact>,
    /// One plain sentence with the figures of this run.
    pub explanation: String,
    /// Where in the user's own code.
    pub place: Option<Place>,
    /// What to do next.
    pub next_steps: Vec<NextStep>,
}

impl Finding {
    /// A proof.
    #[must_use]
    pub fn proof(explanation: impl Into<String>, facts: Vec<Fact>) -> Self {
        Self {
            strength: Strength::Proof,
            rank: 50,
            facts,
            explanation: explanation.into(),
            place: None,
            next_steps: Vec::new(),
        }
    }

    /// A weighed finding.
    #[must_use]
    pub fn signs(signs: Vec<Sign>, explanation: impl Into<String>, facts: Vec<Fact>) -> Self {
        Self { strength: Strength::Signs(signs), ..Self::proof(explanation, facts) }
    }

    /// With this place.
    #[must_use]
    pub fn place(mut self, place: Option<Place>) -> Self {
        self.place = place;
        self
    }

    /// With this rank among the proofs.
    #[must_use]
    pub fn rank(mut self, rank: i32) -> Self {
        self.rank = rank;
        self
    }

    /// With a next step in words.
    #[must_use]
    pub fn step(mut self, say: impl Into<String>) -> Self {
        self.next_steps.push(NextStep { say: say.into(), command: None });
        self
    }

    /// With a next step to paste.
    #[must_use]
    pub fn step_command<T: Into<String>>(mut self, say: &str, command: impl IntoIterator<Item = T>) -> Self {
        let command = command.into_iter().map(Into::into).collect();
        self.next_steps.push(NextStep { say: say.to_owned(), command: Some(command) });
        self
    }
}

/// One row of the catalogue. Each lives in its own file under `causes/`.
#[derive(Debug)]
pub struct Cause {
    /// Id of the controlled vocabulary.
    pub id: &'static str,
    /// Title for people.
    pub title: &'static str,
    /// What happened, in a sentence.
    pub what: &'static str,
    /// The observation that decides fastest by hand.
    pub settled_by: &'static str,
    /// What it is usually taken for.
    pub taken_for: &'static str,
    /// How a person finds out without defib.
    pub by_hand: &'static [&'static str],
    /// What to do about it in general; a report's next steps say more.
    pub remedies: &'static [&'static str],
    /// What recovery does about it, unless the configuration says otherwise.
    pub remedy: Remedy,
    /// What it says about a case.
    pub judge: fn(&Study<'_>) -> Option<Finding>,
}
