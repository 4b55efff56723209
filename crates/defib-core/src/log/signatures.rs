//! Which lines can matter to a judgement: all texts that the causes look for,
//! sought at once.
//!
//! The build collects the patterns of all causes. From each the literals are
//! derived that it needs, and one automaton seeks all of them in whole blocks,
//! so that text without any flies by. A line with a literal is then checked
//! with the patterns that own it.

use std::sync::{LazyLock, OnceLock};

use aho_corasick::automaton::{Automaton as _, StateID};
use aho_corasick::dfa::DFA;
use aho_corasick::{Anchored, MatchKind};
use regex::Regex;

use super::literals::{FOLDING, required};

/// A text that a judgement looks for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Text {
    /// A regular expression.
    Pattern(&'static str),
    /// The text itself.
    Plain(&'static str),
}

/// Such a text, made ready when first needed.
pub(super) struct Signature {
    text: Text,
    compiled: OnceLock<Regex>,
}

impl Signature {
    /// Does it match this line?
    pub(super) fn is_match(&self, line: &str) -> bool {
        match self.text {
            Text::Plain(text) => line.contains(text),
            Text::Pattern(text) => self.compiled.get_or_init(|| crate::pattern::pattern(text)).is_match(line),
        }
    }
}

static OF_CAUSES: &[Text] = include!(concat!(env!("OUT_DIR"), "/signatures.rs"));

/// What the readers of tracebacks, dumps and noise look for.
static OF_READERS: &[Text] = &[
    Text::Plain(super::traceback::HEADER),
    Text::Plain(super::faulthandler::HEADLINE),
    Text::Pattern(r"^Exception (?:in thread|ignored in)"),
    Text::Plain("leaked semaphore"),
    Text::Plain("leaked shared_memory"),
    Text::Plain("Perhaps out of memory?"),
];

/// Parts of a block that are searched side by side: one step of the automaton
/// waits for the step before, so that four of them cost little more than one.
const LANES: usize = 4;

/// All signatures with the automaton that seeks them.
pub(super) struct Signatures {
    all: Vec<Signature>,
    automaton: DFA,
    /// For each literal, the signatures that need it; all that need any for a letter that folds to ASCII.
    owners: Vec<Vec<u16>>,
}

static SIGNATURES: LazyLock<Option<Signatures>> = LazyLock::new(Signatures::build);

/// The signatures of this program; built when a log is so large that they are needed.
/// `None` if the automaton could not be built: then the middle of a log is not searched.
pub(super) fn signatures() -> Option<&'static Signatures> {
    SIGNATURES.as_ref()
}

/// Patterns of the lines that are kept from the middle of a large log, without names of groups.
#[must_use]
pub fn log_patterns() -> Vec<String> {
    let texts = OF_CAUSES.iter().chain(OF_READERS);
    let sought = texts.filter(|&&text| !literals(text).is_empty());
    let names = crate::pattern::pattern(r"\(\?P<\w+>");
    let as_pattern = |text: &Text| match text {
        Text::Pattern(pattern) => names.replace_all(pattern, "(?:").into_owned(),
        Text::Plain(text) => regex::escape(text),
    };
    sought.map(as_pattern).collect()
}

/// The literals of which such a line has at least one, in whatever case.
#[must_use]
pub fn log_literals() -> Vec<String> {
    let texts = OF_CAUSES.iter().chain(OF_READERS);
    let mut all: Vec<Vec<u8>> = texts.flat_map(|&text| literals(text)).collect();
    all.sort();
    all.dedup();
    all.into_iter().map(|literal| String::from_utf8_lossy(&literal).into_owned()).collect()
}

/// The literals that a text needs; a pattern without any is not sought.
fn literals(text: Text) -> Vec<Vec<u8>> {
    match text {
        Text::Plain(text) => vec![text.as_bytes().to_ascii_lowercase()],
        Text::Pattern(text) => required(text),
    }
}

impl Signatures {
    fn build() -> Option<Self> {
        let texts = OF_CAUSES.iter().chain(OF_READERS);
        let all: Vec<Signature> = texts.map(|&text| Signature { text, compiled: OnceLock::new() }).collect();
        let mut needed: Vec<(Vec<u8>, u16)> = Vec::new();
        for (owner, signature) in (0_u16..).zip(&all) {
            needed.extend(literals(signature.text).into_iter().map(|literal| (literal, owner)));
        }
        needed.sort();
        let mut sought: Vec<u16> = needed.iter().map(|(_, owner)| *owner).collect();
        sought.sort_unstable();
        sought.dedup();
        let mut texts: Vec<Vec<u8>> = Vec::new();
        let mut owners: Vec<Vec<u16>> = Vec::new();
        for (literal, owner) in needed {
            if texts.last() != Some(&literal) {
                texts.push(literal);
                owners.push(Vec::new());
            }
            if let Some(of) = owners.last_mut() {
                of.push(owner);
            }
        }
        // A pattern that ignores case takes these for s and k; the automaton folds ASCII only.
        for letter in FOLDING {
            texts.push(letter.to_string().into_bytes());
            owners.push(sought.clone());
        }
        let mut builder = DFA::builder();
        builder.match_kind(MatchKind::Standard).ascii_case_insensitive(true).prefilter(false);
        let automaton = builder.build(&texts).ok()?;
        Some(Self { all, automaton, owners })
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Those of the owners of these hits that match the clean line.
    pub(super) fn matching(&self, hits: &[Hit], line: &str) -> Vec<u16> {
        let mut owners: Vec<u16> = Vec::new();
        for hit in hits {
            for index in 0..self.automaton.match_len(hit.state) {
                owners.extend(&self.owners[self.automaton.match_pattern(hit.state, index).as_usize()]);
            }
        }
        owners.sort_unstable();
        owners.dedup();
        owners.retain(|&owner| self.all[usize::from(owner)].is_match(line));
        owners
    }

    /// Appends where literals end in a block, ascending.
    pub(super) fn seek(&self, block: &[u8], hits: &mut Vec<Hit>) {
        let Ok(start) = self.automaton.start_state(Anchored::No) else { return };
        let mut lanes = lanes(block).map(|(from, to)| Lane { at: from, to, state: start, hits: Vec::new() });
        let together = lanes.iter().map(|lane| lane.to - lane.at).min().unwrap_or(0);
        self.step_together(block, &mut lanes, together);
        for lane in &mut lanes {
            while lane.at < lane.to {
                let state = self.automaton.next_state(Anchored::No, lane.state, block[lane.at]);
                lane.step(state, self.automaton.is_match(state));
            }
            hits.append(&mut lane.hits);
        }
    }

    /// Moves all lanes by so many bytes.
    fn step_together(&self, block: &[u8], lanes: &mut [Lane; LANES], steps: usize) {
        let [one, two, three, four] = [0, 1, 2, 3].map(|lane: usize| &block[lanes[lane].at..lanes[lane].at + steps]);
        let mut states = [0, 1, 2, 3].map(|lane: usize| lanes[lane].state);
        let next = |state, byte| self.automaton.next_state(Anchored::No, state, byte);
        let bytes = one.iter().zip(two).zip(three.iter().zip(four)).enumerate();
        for (step, ((&one, &two), (&three, &four))) in bytes {
            states = [next(states[0], one), next(states[1], two), next(states[2], three), next(states[3], four)];
            if states.iter().any(|&state| self.automaton.is_special(state)) {
                for (lane, &state) in lanes.iter_mut().zip(&states) {
                    if self.automaton.is_match(state) {
                        lane.hits.push(Hit { at: lane.at + step, state });
                    }
                }
            }
        }
        for (lane, state) in lanes.iter_mut().zip(states) {
            lane.at += steps;
            lane.state = state;
        }
    }
}

/// A place where a literal ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hit {
    /// Offset of its last byte.
    pub(super) at: usize,
    state: StateID,
}

/// A part of a block that is searched.
struct Lane {
    at: usize,
    to: usize,
    state: StateID,
    hits: Vec<Hit>,
}

impl Lane {
    fn step(&mut self, state: StateID, is_match: bool) {
        if is_match {
            self.hits.push(Hit { at: self.at, state });
        }
        self.at += 1;
        self.state = state;
    }
}

/// Splits a block into parts of about the same length at line ends.
fn lanes(block: &[u8]) -> [(usize, usize); LANES] {
    let mut from = 0;
    [1, 2, 3, 4].map(|number| {
        let about = (block.len() * number / LANES).max(from);
        let to = memchr::memchr(b'\n', &block[about..]).map_or(block.len(), |end| about + end);
        let lane = (from, to);
        from = to;
        lane
    })
}

#[cfg(test)]
#[path = "signatures_tests.rs"]
mod tests;
