//! The start itself: the program as the user gave it, until it is seen to work.

use defib_core::event::{Ending, Event};
use defib_core::stage::{Stage, Verdict};
use defib_core::telling::seconds;

use super::ran::Ran;
use super::walk::{Walk, stage_of};
use crate::session::SessionError;

/// Starts the program, and ends it once it works.
pub(super) fn start(walk: &mut Walk<'_>) -> Result<Stage, SessionError> {
    let ran = walk.start()?;
    if !ran.passed() {
        walk.work = None;
        let stage = walk.blame(&ran);
        blame_earlier(walk);
        return Ok(stage);
    }
    walk.take(&ran);
    let seen = sign(&ran).or_else(|| first_output_s(&ran).map(|first_s| ("first output".to_owned(), first_s)));
    let (sign, took_s) = seen.unwrap_or_else(|| ("it ended well without a word".to_owned(), ran.took_s()));
    let says = format!("{sign} after {}", seconds(took_s));
    let work = match ended(&ran) {
        true => "exit 0",
        false => "it went on without trouble, and was ended for that",
    };
    let rest_s = (ran.took_s() - took_s).max(0.001);
    walk.work = Some(Stage { took_s: rest_s, ..Stage::new("", Verdict::Passed, work) });
    Ok(Stage { took_s, ..stage_of(&ran, Verdict::Passed, says) })
}

/// It ended by itself.
fn ended(ran: &Ran) -> bool {
    !ran.entries.iter().any(|entry| matches!(entry.event, Event::Ending(_)))
}

/// What the start has shown of it.
pub(super) fn work(walk: &mut Walk<'_>) -> Result<Stage, SessionError> {
    Ok(walk.work.take().unwrap_or_else(|| Stage::new("", Verdict::Skipped, "not reached")))
}

/// By what it was seen to start, and after how many seconds, where it was ended for it.
fn sign(ran: &Ran) -> Option<(String, f64)> {
    let began_s = began_s(ran)?;
    ran.entries.iter().find_map(|entry| match &entry.event {
        Event::Ending(Ending::StartSeen { sign, sign_s }) => Some((sign.clone(), (sign_s - began_s).max(0.0))),
        _ => None,
    })
}

fn began_s(ran: &Ran) -> Option<f64> {
    ran.entries.iter().find_map(|entry| matches!(entry.event, Event::Started { .. }).then_some(entry.at_s))
}

fn first_output_s(ran: &Ran) -> Option<f64> {
    let began_s = began_s(ran)?;
    let first =
        |event: &Event| matches!(event, Event::Output { bytes, .. } | Event::StreamEnded { bytes, .. } if *bytes > 0);
    let entry = ran.entries.iter().find(|entry| first(&entry.event))?;
    Some((entry.at_s - began_s).max(0.0))
}

/// What went wrong in the start may be what an earlier stage is about, and could not
/// know before.
fn blame_earlier(walk: &mut Walk<'_>) {
    let Some(cause) = walk.report().and_then(|report| report.causes.first()) else { return };
    let explanation = cause.explanation.clone();
    let facts = || {
        let evidence = walk.report().map(|report| report.evidence.as_slice()).unwrap_or_default();
        evidence.iter().map(|evidence| evidence.says.clone()).collect::<Vec<_>>().join("\n")
    };
    let stage = match cause.id.as_str() {
        "config-invalid" if walk.is_python() => "configuration",
        "gpu-unavailable" => "gpu",
        "import-missing" | "binary-mismatch" if walk.is_python() => "imports",
        "asset-missing" => {
            let said = format!("{explanation}\n{}", facts());
            if !walk.missing.iter().any(|path| said.contains(path.as_str())) {
                return;
            }
            "files"
        }
        _ => return,
    };
    walk.blame_earlier(stage, &format!("the start shows: {explanation}"));
}
