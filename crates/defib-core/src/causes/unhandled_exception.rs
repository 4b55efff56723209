//! The program's own error, when none of the more specific causes fits.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::{SECOND_HAND, Study};
use crate::cause::{Cause, Fact, Finding};
use crate::pattern::pattern;
use crate::telling::{cut, quoted, told_by_line, trace_place};
use crate::waits::{Grade, Purpose};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "unhandled-exception",
    title: "The program's own error",
    what: "An error of the program itself that nothing handled, and none of the other causes.",
    settled_by: "The innermost exception and its frame in the user's files.",
    taken_for: "—",
    by_hand: &["the innermost frame of the traceback in your own files"],
    remedies: &["correct that line"],
    remedy: Remedy::Again,
    judge,
};

/// Rank among proofs: after every more specific cause.
pub(crate) const RANK: i32 = 90;

static OTHERS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^thread '(?P<rust>[^']*)'.* panicked at (?P<rust_at>.*)$",
        r"|^panic: (?P<go>.+)$",
        r#"|^Exception in thread "(?P<java>[^"]+)" (?P<java_at>.+)$"#,
        r"|^(?:Uncaught )?(?P<js>(?:Type|Reference|Range|Syntax)?Error: .+)$",
        r"|^(?P<python>(?:[a-z_]\w*\.)*[A-Z]\w*(?:Error|Exception)(?:: .+)?)$",
    ))
});

static SYNTAX: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(?:SyntaxError|IndentationError|TabError): (?P<what>.+)$"));
static SYNTAX_AT: LazyLock<Regex> = LazyLock::new(|| pattern(r#"^\s*File "(?P<file>[^"]+)", line (?P<line>\d+)$"#));

fn judge(study: &Study<'_>) -> Option<Finding> {
    died_thread(study).or_else(|| syntax(study)).or_else(|| fatal(study)).or_else(|| other_language(study))
}

fn fatal(study: &Study<'_>) -> Option<Finding> {
    if study.was_standing() {
        return None;
    }
    let traceback = study.root_traceback()?;
    let root = traceback.root();
    let place = traceback.chain.iter().find_map(|exception| trace_place(&exception.frames));
    let at = place.as_ref().map(|place| format!(" at {}:{}", crate::telling::base_name(&place.file), place.line));
    let explanation = format!("the program ended with {}{}", cut(&root.headline(), 240), at.unwrap_or_default());
    let mut facts = vec![quoted(&root.headline())];
    if let Some(place) = &place {
        let function = place.function.clone().unwrap_or_default();
        facts.push(Fact::new("log", format!("raised in {}:{} {function}", place.file, place.line)));
    }
    for later in &traceback.chain[1..] {
        facts.push(quoted(&format!("then: {}", later.headline())));
    }
    let mut finding = Finding::proof(explanation, facts).place(place.clone()).rank(RANK);
    if SECOND_HAND.contains(&root.name()) {
        finding.rank += 2;
    }
    if let Some(place) = place {
        finding = finding.step(format!("look at {}:{}", place.file, place.line));
    }
    Some(finding)
}

/// A thread died of an exception and the others wait for what it should have done.
fn died_thread(study: &Study<'_>) -> Option<Finding> {
    if !study.was_standing() || study.grade() < Grade::Probable {
        return None;
    }
    let traceback = study.case.log.tracebacks.iter().rev().find(|traceback| {
        let name = traceback.last().name();
        !traceback.ignored && name != "KeyboardInterrupt" && traceback.thread.is_some()
    })?;
    let graph = study.graph.as_ref()?;
    let waits = crate::telling::stuck(study)
        .any(|id| matches!(graph.nodes[id].purpose, Purpose::Notify | Purpose::Future | Purpose::Lock | Purpose::Join));
    let thread = traceback.thread.clone().unwrap_or_default();
    let root = traceback.root();
    waits.then(|| {
        Finding::proof(
            format!("{thread} died of {}, and what it should have done is still waited for", cut(&root.headline(), 200)),
            vec![quoted(&format!("Exception in thread {thread}: {}", root.headline()))],
        )
        .place(trace_place(&root.frames))
        .rank(35)
        .step("let the thread pass its exception on (a future does), or give the wait a time limit")
    })
}

/// A syntax error of the script itself is printed without a traceback header.
fn syntax(study: &Study<'_>) -> Option<Finding> {
    if study.fatal.is_some() {
        return None;
    }
    let (told, found) = told_by_line(study, &SYNTAX)?;
    let at = study.case.log.lines.iter().rev().find_map(|line| SYNTAX_AT.captures(&line.text));
    let place = at.map(|at| crate::report::Place {
        file: at["file"].to_owned(),
        line: at["line"].parse().unwrap_or(1),
        function: None,
    });
    Some(told.proof(format!("Python cannot read the program: {}", &found["what"])).place(place).rank(RANK))
}

fn other_language(study: &Study<'_>) -> Option<Finding> {
    if study.fatal.is_some() || study.signal().is_some_and(|signal| signal != 6) {
        return None;
    }
    let (told, _) = told_by_line(study, &OTHERS)?;
    let text = told.text();
    Some(told.proof(format!("the program ended with {}", cut(&text, 240))).rank(RANK))
}
