//! Facts in, ranked causes out.
//!
//! Proofs come first, the root of the trouble before its consequences. Where
//! nothing is proved, log-odds are added, at most one ratio a group, each
//! capped; a mass for `unknown` is always kept, so that weak signs stay weak.

use crate::account::ending_words;
use crate::case::{Case, End, Study};
use crate::cause::{Cause, Fact, Finding, Strength};
use crate::causes::CATALOGUE;
use crate::event::Ending;
use crate::growth::growth;
use crate::kept::freed_much;
use crate::log::{FaultDump, LeftOut};
use crate::memory::Measure;
use crate::outcome::outcome;
use crate::place::{innermost_user_frame, of_frame};
use crate::report::{Evidence, NextStep, Outcome, Place, RankedCause};
use crate::telling;
use crate::waits::Purpose;
use crate::weights::{Weights, proof_class, signs};

/// Beginning of the fact that says what of a large log was judged.
pub const PASSED_OVER: &str = "not all of the log was judged";

/// Causes below this probability are not named.
const WORTH_NAMING: f64 = 0.03;

/// Causes of memory that grows.
const GROWTH: [&str; 4] = ["app-retention", "allocator-retention", "backend-cache-growth", "abandoned-threads"];

/// The verdict on a case.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagnosis {
    /// How it ended.
    pub outcome: Outcome,
    /// Causes, likeliest first; empty for a healthy run.
    pub causes: Vec<RankedCause>,
    /// Evidence, numbered.
    pub evidence: Vec<Evidence>,
}

/// Diagnoses a case with the weights that the program was built with.
#[must_use]
pub fn diagnose(case: &Case) -> Diagnosis {
    diagnose_with(&Study::new(case), Weights::fitted())
}

/// What each cause says about a case.
#[must_use]
pub fn findings(study: &Study<'_>) -> Vec<(&'static Cause, Finding)> {
    let started = matches!(study.case.ending, Some((_, Ending::StartSeen { .. })));
    let completed = study.case.end == End::Exited(0) && study.case.ending.is_none();
    // Memory that grew with the work up to the end is trouble, though it ended well.
    let grew = || growth(study).is_some_and(|growth| growth.slope.is_some()) || freed_much(study);
    if started || completed && !grew() {
        return Vec::new();
    }
    let asked = CATALOGUE.iter().filter(|cause| !completed || GROWTH.contains(&cause.id));
    asked.filter_map(|cause| Some((*cause, (cause.judge)(study)?))).collect()
}

/// Diagnoses a case with these weights, as the measurement does with a program left out.
#[must_use]
pub fn diagnose_with(study: &Study<'_>, weights: &Weights) -> Diagnosis {
    let mut outcome = outcome(study);
    let mut book = EvidenceBook { fallback: traced(study), ..EvidenceBook::default() };
    let mut causes = rank(findings(study), weights, &mut book);
    if causes.is_empty() && needs_explanation(study, &outcome) {
        causes.push(unknown(study, &mut book));
    }
    book.noise(study);
    book.passed_over(&study.case.log.left_out);
    if !causes.is_empty() {
        outcome.healthy = false;
    }
    Diagnosis { outcome, causes, evidence: book.evidence }
}

/// Where the traceback that ended the program left the user's code; of one that stood,
/// the line that waits for what is stuck.
fn traced(study: &Study<'_>) -> Option<Place> {
    if study.was_standing() {
        return waiting_line(study);
    }
    let traced = study
        .root_traceback()
        .and_then(|traceback| traceback.chain.iter().find_map(|exception| telling::trace_place(&exception.frames)));
    traced.or_else(|| study.faults.last().and_then(FaultDump::place))
}

/// The nearest line of the user's code from which the stuck process is waited for: what
/// is stuck itself may be no Python.
fn waiting_line(study: &Study<'_>) -> Option<Place> {
    // Where it stood when its memory was over tells nothing of what fills it.
    if matches!(study.case.ending, Some((_, Ending::OverMemory { .. }))) {
        return None;
    }
    let graph = study.graph.as_ref()?;
    let stuck = telling::stuck(study).next().map_or(study.case.root, |id| graph.nodes[id].process.pid);
    let mut pid = stuck;
    for _ in &graph.look.processes {
        let process = graph.look.process(pid)?;
        let node = graph.main_of(process.pid).map(|id| &graph.nodes[id]);
        if let Some(place) = node.filter(|node| process.in_tree && !node.rests()).and_then(telling::node_place) {
            return Some(place);
        }
        pid = process.ppid;
    }
    None
}

/// Orders the findings and gives them probabilities.
fn rank(found: Vec<(&Cause, Finding)>, weights: &Weights, book: &mut EvidenceBook) -> Vec<RankedCause> {
    let (mut proofs, weighed): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|(_, finding)| finding.strength == Strength::Proof);
    proofs.sort_by_key(|(_, finding)| finding.rank);
    // The generic causes say "none of the others": they yield to any other proof,
    // and to signs of others they are what `unknown` is elsewhere.
    let specific = proofs.iter().any(|(_, finding)| finding.rank < GENERIC);
    proofs.retain(|(_, finding)| !specific || finding.rank < GENERIC);
    let mut ranked = Vec::new();
    let mut left = 1.0;
    let shares = weigh(weighed, weights);
    if !specific && !proofs.is_empty() {
        left -= shares.iter().map(|(_, _, share)| share).sum::<f64>();
    }
    let mut first = None;
    for (index, (cause, finding)) in proofs.into_iter().enumerate() {
        let probability = left * weights.proved(&proof_class(&finding, !shares.is_empty()));
        left -= probability;
        let proved = specific || shares.is_empty();
        let says = finding.facts.first().map(|fact| fact.says.clone());
        let mut named = book.cause(cause, finding, round(probability), proved);
        // Two readings of one sentence are no cause and consequence.
        named.consequence = index > 0 && specific && says != first;
        if index == 0 {
            first = says;
        }
        ranked.push(named);
    }
    let left = if specific { left } else { 1.0 };
    for (cause, finding, share) in shares {
        let probability = share * left;
        if probability >= WORTH_NAMING {
            ranked.push(book.cause(cause, finding, round(probability), false));
        }
    }
    if !specific {
        ranked.sort_by(|one, other| other.probability.total_cmp(&one.probability));
        ranked.retain(|cause| cause.probability >= WORTH_NAMING);
    }
    ranked
}

/// Ranks from here on mean "none of the others".
pub(crate) const GENERIC: i32 = 80;

/// Normalises log-odds against the mass for `unknown`; likeliest first.
fn weigh<'c>(weighed: Vec<(&'c Cause, Finding)>, weights: &Weights) -> Vec<(&'c Cause, Finding, f64)> {
    let odds = |cause: &Cause, finding: &Finding| weights.log_odds(cause.id, signs(finding)).exp();
    let total: f64 = 1.0 + weighed.iter().map(|(cause, finding)| odds(cause, finding)).sum::<f64>();
    let mut shares: Vec<_> = weighed
        .into_iter()
        .map(|(cause, finding)| {
            let share = odds(cause, &finding) / total;
            (cause, finding, share)
        })
        .collect();
    shares.sort_by(|one, other| other.2.total_cmp(&one.2));
    shares
}

fn round(probability: f64) -> f64 {
    (probability * 1000.0).round() / 1000.0
}

/// Something went wrong, and no cause could be named.
fn needs_explanation(study: &Study<'_>, outcome: &Outcome) -> bool {
    let silent_end = matches!(study.case.end, End::Unknown) && study.case.log.is_empty();
    (!outcome.healthy && !silent_end) || is_blind(study)
}

/// A live process whose waits are hidden: nothing can be said of it.
fn is_blind(study: &Study<'_>) -> bool {
    let Some(graph) = study.graph.as_ref().filter(|_| study.case.end == End::Alive) else { return false };
    let mut own = graph.of_process(study.case.root).map(|id| &graph.nodes[id]).peekable();
    own.peek().is_some() && own.all(|node| node.purpose == Purpose::Unreadable)
}

fn unknown(study: &Study<'_>, book: &mut EvidenceBook) -> RankedCause {
    let mut facts = Vec::new();
    if let Some((at_s, ending)) = &study.case.ending {
        facts.push(Fact::new("limit", format!("defib {}", ending_words(ending))).at(*at_s));
    }
    match study.case.end {
        _ if study.case.ending.is_some() => {}
        End::Exited(code) => facts.push(Fact::new("exit", format!("exit status {code}"))),
        End::Signaled(signal) => facts.push(Fact::new("exit", format!("ended by {}", telling::signal_name(signal)))),
        _ => {}
    }
    facts.extend(study.case.log.last_lines(3).into_iter().map(|line| telling::quoted(&line.text)));
    if let Some(graph) = &study.graph {
        let nodes = graph.nodes.iter().filter(|node| node.process.in_tree && node.is_main());
        facts.extend(nodes.take(3).map(telling::node_fact));
    }
    // Where it was when its time was over says something, if not why.
    let place = study.graph.as_ref().filter(|_| study.limit_fired()).and_then(|graph| {
        let stacks = graph.nodes.iter().filter(|node| node.process.in_tree && node.is_main());
        let frames = stacks.filter_map(|node| node.thread.python.as_ref()).map(|stack| &stack.frames);
        frames.filter_map(|frames| innermost_user_frame(frames)).next().map(of_frame)
    });
    let next_steps = vec![
        NextStep { say: "read the end of its output".to_owned(), command: None },
        NextStep { say: "run it again with its own verbose or debug option".to_owned(), command: None },
    ];
    let evidence = facts.into_iter().map(|fact| book.add(fact)).collect();
    RankedCause {
        id: "unknown".to_owned(),
        title: "Not known".to_owned(),
        probability: 1.0,
        proved: false,
        evidence,
        explanation: match &place {
            Some(place) if study.limit_fired() => format!("{}; it was at {}", without_cause(study), words(place)),
            _ => without_cause(study),
        },
        consequence: false,
        place,
        next_steps,
    }
}

fn words(place: &Place) -> String {
    let file = place.file.rsplit('/').next().unwrap_or(&place.file);
    let function = place.function.as_ref().map(|function| format!(" in {function}"));
    format!("{file}:{}{}", place.line, function.unwrap_or_default())
}

/// The outcome in a sentence, where no cause is settled.
fn without_cause(study: &Study<'_>) -> String {
    if is_blind(study) {
        return "what it waits for is hidden from this user, so nothing can be said".to_owned();
    }
    match study.case.ending.as_ref().map(|(_, ending)| ending) {
        Some(Ending::OverMemory { limit_bytes, used_bytes, measure, .. }) => format!(
            "{} {}, more than the {} it was allowed; what fills the memory is not settled",
            match measure {
                None | Some(Measure::Host) => "it used",
                Some(measure) => measure.words(),
            },
            telling::size(*used_bytes),
            telling::size(*limit_bytes)
        ),
        Some(Ending::TimedOut { limit_s }) => {
            format!("its time of {} was over; what it did meanwhile settles no cause", telling::seconds(*limit_s))
        }
        Some(Ending::NoHeartbeat { limit_s }) => {
            format!("no heartbeat came within {}; what it did meanwhile settles no cause", telling::seconds(*limit_s))
        }
        Some(Ending::NoFirstOutput { limit_s }) => {
            format!("it printed nothing within {}; what it did meanwhile settles no cause", telling::seconds(*limit_s))
        }
        _ => "what was seen does not settle any cause, so none is named".to_owned(),
    }
}

/// Numbers evidence; the same fact is entered once.
#[derive(Default)]
struct EvidenceBook {
    evidence: Vec<Evidence>,
    /// Where the program's own traceback points, for causes that know no better.
    fallback: Option<Place>,
}

impl EvidenceBook {
    fn cause(&mut self, cause: &Cause, finding: Finding, probability: f64, proved: bool) -> RankedCause {
        RankedCause {
            id: cause.id.to_owned(),
            title: cause.title.to_owned(),
            probability,
            proved,
            evidence: finding.facts.into_iter().map(|fact| self.add(fact)).collect(),
            explanation: finding.explanation,
            consequence: false,
            place: finding.place.or_else(|| self.fallback.clone()),
            next_steps: finding.next_steps,
        }
    }

    fn add(&mut self, fact: Fact) -> String {
        let same = |known: &&Evidence| known.says == fact.says && known.source == fact.source && known.pid == fact.pid;
        if let Some(known) = self.evidence.iter().find(same) {
            return known.id.clone();
        }
        let id = format!("e{}", self.evidence.len() + 1);
        self.evidence.push(Evidence {
            id: id.clone(),
            source: fact.source.to_owned(),
            at_s: fact.at_s,
            pid: fact.pid,
            thread: fact.thread,
            says: fact.says,
            noise: fact.noise,
        });
        id
    }

    /// Lines that might have spoken for another cause and were not judged.
    fn passed_over(&mut self, left_out: &LeftOut) {
        if self.evidence.is_empty() || left_out.matches == 0 && left_out.unread_bytes == 0 {
            return;
        }
        let mut says = format!(
            "{PASSED_OVER}: of {} lines read, both ends and what matters between",
            telling::grouped(left_out.lines_read)
        );
        if left_out.matches > 0 {
            let more = telling::grouped(left_out.matches);
            says.push_str(&format!("; {more} more lines with texts like those kept were passed over"));
        }
        if left_out.unread_bytes > 0 {
            says.push_str(&format!("; {} were not read", telling::size(left_out.unread_bytes)));
        }
        self.add(Fact::new("log", says));
    }

    /// What a reader would take for the cause, and why it is none.
    fn noise(&mut self, study: &Study<'_>) {
        if self.evidence.is_empty() {
            return;
        }
        for (part, why) in NOISE {
            let line = study.case.log.lines.iter().rev().find(|line| line.text.contains(part));
            if let Some(line) = line {
                let quoted = telling::cut(&line.text, 160);
                self.add(Fact { noise: true, ..Fact::new("log", format!("\"{quoted}\": {why}")) });
            }
        }
        let gave_up = study.case.log.tracebacks.iter().any(|traceback| traceback.last().kind == "KeyboardInterrupt");
        if gave_up && study.was_standing() {
            self.add(Fact {
                noise: true,
                ..Fact::new("log", "KeyboardInterrupt: printed because somebody gave up, not the reason to give up")
            });
        }
    }
}

/// Lines that look like causes and are none.
const NOISE: &[(&str, &str)] = &[
    ("leaked semaphore", "Python's resource tracker prints this after any abrupt end; it is never the cause"),
    ("leaked shared_memory", "Python's resource tracker prints this after any abrupt end; it is never the cause"),
    ("Perhaps out of memory?", "a web server's guess, printed after a kill of its own"),
    ("Set the environment variable HYDRA_FULL_ERROR=1", "Hydra's footer, printed below any exception"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cause::{Group, Sign};
    use crate::weights::Ratio;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn finding(seen: bool) -> Finding {
        Finding::signs(vec![Sign::when(seen, Group::Log, "x")], "x", vec![Fact::new("log", "x")])
    }

    fn weights(ratio: f64) -> Weights {
        let signs = BTreeMap::from([("x".to_owned(), Ratio { seen: ratio, missed: 0.5 })]);
        let signs = BTreeMap::from([(CATALOGUE[0].id.to_owned(), signs)]);
        Weights { signs, ..Weights::fitted().clone() }
    }

    proptest! {
        #[test]
        fn probabilities_stay_below_one_and_ordered(ratio in -6.0f64..6.0, seen in proptest::collection::vec(any::<bool>(), 0..8), proofs in 0usize..4) {
            let cause = CATALOGUE[0];
            let mut found: Vec<_> = seen.iter().map(|&seen| (cause, finding(seen))).collect();
            found.extend((0..proofs).map(|_| (cause, Finding::proof("p", vec![Fact::new("log", "p")]))));
            let ranked = rank(found, &weights(ratio), &mut EvidenceBook::default());
            let total: f64 = ranked.iter().map(|cause| cause.probability).sum();
            prop_assert!(total <= 1.0 + 1e-6);
            prop_assert!(ranked.windows(2).all(|pair| pair[0].probability >= pair[1].probability - 1e-9));
            prop_assert!(ranked.iter().take(proofs).all(|cause| cause.proved));
        }

        #[test]
        fn stronger_evidence_never_lowers_a_cause(low in 0.5f64..3.0, more in 0.0f64..1.0) {
            let cause = CATALOGUE[0];
            let share = |ratio: f64| {
                let ranked = weigh(vec![(cause, finding(true)), (cause, finding(false))], &weights(ratio));
                ranked.iter().map(|row| row.2).fold(0.0, f64::max)
            };
            prop_assert!(share(low + more) >= share(low) - 1e-9);
        }
    }
}
