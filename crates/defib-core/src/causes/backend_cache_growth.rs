//! A library caches per shape.

use crate::case::Study;
use crate::cause::{Cause, Fact, Finding, Group, Sign};
use crate::facts::{Container, Frame, Look};
use crate::growth::{growth, keepers, threads};
use crate::kept::{Inside, container_words, inside, is_cache_name};
use crate::place::is_user_file;
use crate::report::Place;
use crate::telling::{base_name, cut, frame_name, seconds, size};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "backend-cache-growth",
    title: "A cache grows with each new shape",
    what: "A library keeps something for each new shape or key it meets, without a bound.",
    settled_by: "Memory grows on new shapes only, and stays flat on repeated input.",
    taken_for: "app-retention",
    by_hand: &["send one shape again and again (flat), then new shapes (steps)"],
    remedies: &["bound the cache", "pad or bucket inputs to few shapes"],
    remedy: Remedy::Lighter,
    judge,
};

fn judge(study: &Study<'_>) -> Option<Finding> {
    let counted = inside(study);
    match &counted {
        Some(Inside::Kept { pid, container: Some((one, items, bytes)), .. }) if one.name.as_deref().is_some_and(is_cache_name) => {
            return Some(counted_cache(study, *pid, one, *items, *bytes));
        }
        Some(Inside::Kept { .. } | Inside::Freed { .. }) => return None,
        Some(Inside::Native { .. }) | None => {}
    }
    let growth = growth(study)?;
    if threads(study).is_some() {
        return None;
    }
    let keepers = keepers(&study.case.looks);
    let keeper = keepers.iter().find(|keeper| keeper.cache);
    let library = study.case.looks.iter().filter(|look| inside_cache(look)).count();
    let native = study.case.looks.iter().find_map(native_call);
    let glanced = study.case.looks.iter().any(glanced);
    if keeper.is_none() && library == 0 && native.is_none() && counted.is_none() && !glanced {
        return None;
    }
    let mut facts = vec![super::app_retention::growth_fact(&growth)];
    if let Some(Inside::Native { pid, grown_bytes, live_bytes }) = &counted {
        let says = format!(
            "live objects grew by {} only while the process grew by {}, and malloc gave nothing back: native code holds it",
            size(*live_bytes), size(*grown_bytes)
        );
        facts.push(Fact::new("memory", says).of(*pid));
    }
    facts.extend(keeper.map(|keeper| Fact::new("stack", format!("{}:{} fills a cache: {}", base_name(&keeper.file), keeper.line, cut(&keeper.text, 120)))));
    if library > 0 {
        facts.push(Fact::new("stack", format!("inside a function of a cache in {library} of {} looks", study.case.looks.len())));
    }
    facts.extend(native.as_ref().map(|frame| Fact::new("stack", format!("it calls native code at {}, which may keep something for each shape", frame_name(frame)))));
    let signs = vec![
        Sign::seen(Group::Vitals, "memory grows in steps"),
        Sign::when(counted.is_some(), Group::Kernel, "counted: native code holds it"),
        Sign::when(native.is_some(), Group::Waits, "it calls a native library"),
        Sign::when(keeper.is_some(), Group::Stack, "a line near the frames fills a cache"),
        Sign::when(library > 0, Group::Log, "inside a function of a cache"),
    ];
    let whose = if keeper.is_none() && library == 0 { "what a library keeps for each new input may grow" } else { "a cache without a bound grows" };
    let explanation = format!("{whose}: {} more in {}", size(growth.bytes()), seconds(growth.span_s));
    let place = keeper.map(|keeper| Place { file: keeper.file.clone(), line: keeper.line, function: Some(keeper.function.clone()) });
    let place = place.or_else(|| native.as_ref().map(crate::place::of_frame));
    Some(with_advice(Finding::signs(signs, explanation, facts).place(place)))
}

/// Live objects were counted, and a cache of them is what grew.
fn counted_cache(study: &Study<'_>, pid: i32, cache: &Container, items: u64, bytes: u64) -> Finding {
    let words = container_words(cache, items, bytes);
    let mut facts = vec![Fact::new("memory", words.clone()).of(pid)];
    facts.extend(growth(study).as_ref().map(super::app_retention::growth_fact));
    with_advice(Finding::proof(format!("a cache without a bound grows: {words}"), facts).rank(46))
}

fn with_advice(finding: Finding) -> Finding {
        finding
            .step("give the cache a bound (lru_cache(maxsize=…), an eviction), or feed it few shapes: pad or bucket the inputs")
            .step("for torch: torch.backends.cudnn.benchmark = False with changing sizes; torch._dynamo.config.cache_size_limit")
}

/// The user's line that was inside a package of native code, or calls a library that
/// the program loaded itself.
fn native_call(look: &Look) -> Option<Frame> {
    let stacks = look.processes.iter().filter(|process| process.in_tree).flat_map(|process| &process.threads).filter_map(|thread| thread.python.as_ref());
    stacks.into_iter().find_map(|stack| {
        let user = stack.frames.iter().position(|frame| is_user_file(&frame.file))?;
        let package = stack.frames[..user].iter().any(|frame| super::fork_after_threads::has_threads(&frame.file));
        let line = look.source_line(&stack.frames[user].file, stack.frames[user].line).unwrap_or_default();
        let own = ["lib.", "_C.", "cdll.", "dll."].iter().any(|word| line.contains(word));
        (package || own).then(|| stack.frames[user].clone())
    })
}

/// In a burst of glances a function of a package of native code was met. Nearly every
/// program of this kind calls one, so it is worth a place among others and no weight.
fn glanced(look: &Look) -> bool {
    look.visited.iter().any(|visited| super::fork_after_threads::has_threads(&visited.frame.file))
}

fn inside_cache(look: &Look) -> bool {
    let stacks = look.processes.iter().filter(|process| process.in_tree).flat_map(|process| &process.threads).filter_map(|thread| thread.python.as_ref());
    let visited = look.visited.iter().map(|visited| &visited.frame);
    stacks.flat_map(|stack| &stack.frames).chain(visited).any(|frame| {
        let function = frame.function.to_lowercase();
        function.contains("cache") || function.contains("memo") || base_name(&frame.file).to_lowercase().contains("cache")
    })
}
