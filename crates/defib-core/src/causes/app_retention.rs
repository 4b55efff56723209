//! The program keeps references: results, sessions, old models.

use crate::case::Study;
use crate::cause::{Cause, Fact, Finding, Group, Sign};
use crate::facts::{Container, TypeCount};
use crate::growth::{Growth, Keeper, growth, keepers, threads};
use crate::kept::{Inside, container_words, inside, is_cache_name, type_words};
use crate::report::Place;
use crate::telling::{base_name, cut, seconds, size};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "app-retention",
    title: "The program keeps what it no longer needs",
    what: "The program keeps references to results, sessions or old models, so its memory grows with each unit of work.",
    settled_by: "A constant step of memory for each request, and live objects that grow.",
    taken_for: "a leak in the library",
    by_hand: &["repeat one request and note RSS after each: a constant step", "tracemalloc, or objgraph.show_growth() between two requests"],
    remedies: &["bound what is kept; write results to disk", "drop the old model before the next is loaded"],
    remedy: Remedy::Lighter,
    judge,
};

fn judge(study: &Study<'_>) -> Option<Finding> {
    let counted = inside(study);
    if let Some(Inside::Kept { pid, live_bytes, grown_bytes, kind, container }) = &counted {
        let cache = container.as_ref().is_some_and(|(one, ..)| one.name.as_deref().is_some_and(is_cache_name));
        return (!cache).then(|| counted_kept(study, *pid, (*live_bytes, *grown_bytes), kind, container.as_ref()));
    }
    let growth = growth(study)?;
    // Counted from inside, it is not what the program keeps.
    if threads(study).is_some() || counted.is_some() {
        return None;
    }
    let keepers = keepers(&study.case.looks);
    let keeper = keepers.iter().find(|keeper| !keeper.cache);
    let cache = keepers.iter().any(|keeper| keeper.cache);
    let mut facts = vec![growth_fact(&growth)];
    facts.extend(keeper.map(|keeper| Fact::new("stack", format!("near where it computes, {}:{} keeps something: {}", base_name(&keeper.file), keeper.line, cut(&keeper.text, 120)))));
    let signs = vec![
        Sign::seen(Group::Vitals, "memory grows in steps"),
        Sign::when(keeper.is_some(), Group::Stack, "a line near the frames keeps something"),
        Sign::when(!cache, Group::Log, "no cache near the frames"),
    ];
    let explanation = format!("its memory grows with its work, by {} in {}, and does not come back", size(growth.bytes()), seconds(growth.span_s));
    let place = keeper.map(|keeper| Place { file: keeper.file.clone(), line: keeper.line, function: Some(keeper.function.clone()) });
    Some(
        Finding::signs(signs, explanation, facts)
            .place(place)
            .step("keep only what is still needed: write results to disk, bound the list or dictionary, drop the old model before loading the next")
            .step_command("see what is kept", ["python3", "-X", "tracemalloc=10", "…"]),
    )
}

/// Live objects were counted, and they are what grew.
fn counted_kept(study: &Study<'_>, pid: i32, (live, grown): (u64, u64), kind: &TypeCount, container: Option<&(Container, u64, u64)>) -> Finding {
    let mut facts = vec![
        Fact::new("memory", format!("live objects grew by {} of the {} that the process grew by: {}", size(live), size(grown), type_words(kind))).of(pid),
    ];
    facts.extend(container.map(|(one, items, bytes)| Fact::new("memory", container_words(one, *items, *bytes)).of(pid)));
    facts.extend(growth(study).as_ref().map(growth_fact));
    let what = match container {
        Some((one, items, bytes)) => container_words(one, *items, *bytes),
        None => format!("there are {}", type_words(kind)),
    };
    let keepers = keepers(&study.case.looks);
    let place = container.and_then(|(one, ..)| kept_at(&keepers, one.name.as_deref()?));
    Finding::proof(format!("it keeps what it makes: {what}"), facts)
        .rank(46)
        .place(place)
        .step("keep only what is still needed: write results to disk, bound the list or dictionary, drop the old model before loading the next")
}

/// The line near the frames that fills the container of this name.
fn kept_at(keepers: &[Keeper], name: &str) -> Option<Place> {
    let own = name.split(" in ").next()?.rsplit('.').next()?;
    let keeper = keepers.iter().find(|keeper| keeper.text.contains(own))?;
    Some(Place { file: keeper.file.clone(), line: keeper.line, function: Some(keeper.function.clone()) })
}

/// The growth in words.
pub(super) fn growth_fact(growth: &Growth) -> Fact {
    if let Some(slope) = growth.slope {
        let says = format!(
            "resident memory grew from {} to {} in {:.0} units of work: {} with each, {} with each of the last half",
            size(growth.from_bytes), size(growth.to_bytes), slope.units, bytes(slope.bytes_per_unit), bytes(slope.last_half)
        );
        return Fact::new("vitals", says);
    }
    let says = format!("resident memory grew from {} to {} in {}, in {} of {} samples", size(growth.from_bytes), size(growth.to_bytes), seconds(growth.span_s), growth.grew, growth.samples);
    Fact::new("vitals", says)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive number of bytes")]
fn bytes(number: f64) -> String {
    size(number.max(0.0) as u64)
}
