//! It answers, and the work there does not go on.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::Study;
use crate::cause::{Cause, Finding, Group, Sign};
use crate::pattern::pattern;
use crate::telling::{cut, quoted, told};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "backend-stuck",
    title: "A remote service does not finish",
    what: "It answers, and the work there does not go on.",
    settled_by: "No progress within the deadline while HTTP lives; nothing running in its queue.",
    taken_for: "a slow model",
    by_hand: &["ask the server's queue and progress twice, some seconds apart: running, and no step more"],
    remedies: &["interrupt that job on the server, or restart its worker", "set a deadline for progress, not only for the answer"],
    remedy: Remedy::Elsewhere,
    judge,
};

static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"ReadTimeout|Read timed out|socket\.timeout|TimeoutError: (?:timed out|The read operation timed out)|The read operation timed out|APITimeoutError|ServerTimeoutError|504 Gateway Time-?out|DeadlineExceeded|DEADLINE_EXCEEDED|deadline exceeded while"#)
});

/// A deadline of the program's own passed.
static DEADLINE: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)^(?:[\w.]*TimeoutError|[\w.]*Timeout(?:Exception)?|[\w.]*(?:NotFinished|Stalled|DeadlineExceeded|NoProgress)\w*)\b|\b(?:not (?:finished|done|completed?|ready)|did not (?:finish|complete|end|move)|no progress|still (?:running|pending|queued|in progress)|gave up|giving up|timed? ?out|deadline)\b"));
/// It is about work that somebody else does.
static REMOTE: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)\b(?:prompt|job|task|queue|pending|running|progress|poll\w*|workflow|server|backend|history|submitted|step \d+|render|https?://|status)\b"));

fn judge(study: &Study<'_>) -> Option<Finding> {
    let Some((told, _)) = told(study, &SENTENCE) else { return by_deadline(study) };
    let explanation = format!("a remote service did not answer in time: {}", cut(&told.text(), 220));
    Some(told.proof(explanation)
        .step("look at the server's own queue and log; raise the deadline only if it is really working"))
}

/// The program watched work elsewhere, and its own deadline for it passed.
fn by_deadline(study: &Study<'_>) -> Option<Finding> {
    let (told, _) = told(study, &DEADLINE)?;
    let crate::telling::Told::Exception(exception) = &told else { return None };
    let lines = study.case.log.last_lines(60);
    let before: Vec<&str> = lines.iter().map(|line| line.text.as_str()).filter(|text| REMOTE.is_match(text) && !text.starts_with(' ')).collect();
    let repeated = before.windows(2).any(|pair| tail(pair[0]) == tail(pair[1]));
    let client = exception.frames.iter().any(|frame| ["http", "requests", "aiohttp", "urllib", "httpx", "websocket", "asyncio"].iter().any(|part| frame.file.contains(part)));
    let speaks = REMOTE.is_match(&exception.headline());
    let mut facts = vec![quoted(&exception.headline())];
    facts.extend(before.iter().rev().take(2).map(|text| quoted(text)));
    let signs = vec![
        Sign::seen(Group::Log, "a deadline of the program's own passed"),
        Sign::when(speaks || !before.is_empty(), Group::Stack, "it is about work elsewhere"),
        Sign::when(repeated, Group::Vitals, "the same state is told again and again"),
        Sign::when(client, Group::Waits, "raised inside a network client or event loop"),
    ];
    let explanation = format!("the work elsewhere did not go on until the program's own deadline passed: {}", cut(&told.text(), 160));
    Some(Finding::signs(signs, explanation, facts).place(told.place()).step("look at the server's own queue and log: does anything run there?"))
}

/// A log line without its time.
fn tail(text: &str) -> &str {
    text.trim_start_matches(|c: char| c.is_ascii_digit() || "-:.,TZ[] ".contains(c))
}
