//! A run as one page: the same words as on the terminal, and the proof in full.
//!
//! Flow: each part of the page is a file here and gives [`Markup`]; maud
//! escapes. Whatever comes from the program or the machine passes through
//! [`tell`], which bounds it, drops control characters and hides secrets.
//! The page loads nothing; it reads the journal and no other file.

use defib_core::account;
use defib_core::case::Study;
use defib_core::event::Entry;
use defib_core::log::Log;
use defib_core::redact::{redact, redact_words};
use defib_core::report::Report;
use maud::{DOCTYPE, Markup, PreEscaped, html};

mod causes;
mod charts;
mod did;
mod events;
mod head;
mod log;
mod series;
mod snapshot;
mod stacks;
#[cfg(test)]
mod tests;
mod timeline;

pub(crate) use snapshot::snapshot_page;

/// Longest text shown, in characters.
const LONGEST: usize = 2000;

/// The page of a run, complete in itself.
pub(crate) fn page(report: &Report, entries: &[Entry], log: &Log) -> String {
    let case = account::case(entries, log.clone());
    let study = Study::new(&case);
    let parts = html! {
        (head::head(report))
        (causes::causes(report, entries, log))
        (timeline::timeline(report, entries))
        (stacks::stacks(&study))
        (log::section(report, entries, log, &study))
        (did::did(report))
    };
    document(&head::title(report), &parts).into_string()
}

fn document(title: &str, parts: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
                title { (title) }
                style { (PreEscaped(include_str!("page.css"))) }
            }
            body {
                main { (parts) }
                script { (PreEscaped(include_str!("page.js"))) }
            }
        }
    }
}

/// Text from outside, fit to be shown.
fn tell(text: &str) -> String {
    tell_within(text, LONGEST)
}

/// As [`tell`], cut after `longest` characters.
fn tell_within(text: &str, longest: usize) -> String {
    let harmless = |part: &char| matches!(part, '\n' | '\t') || !(part.is_control() || turns(*part));
    let mut kept: String = text.chars().filter(harmless).take(longest).collect();
    // Counting stops soon: a bound on work as well as on size.
    if text.len() > longest && text.chars().filter(harmless).nth(longest).is_some() {
        kept.push_str(" … (cut)");
    }
    redact(&kept).into_owned()
}

/// Characters that change the direction of what follows, and so its meaning.
fn turns(part: char) -> bool {
    matches!(part, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

/// A command as a shell takes it; a single word is code and stays as it is.
///
/// Secrets are taken out word by word: quoting would hide where they end.
fn pasteable(command: &[String]) -> String {
    let quoted = |word: &String| {
        let plain = word.chars().all(|part| part.is_ascii_alphanumeric() || "-_./=:,+@%•".contains(part));
        if plain && !word.is_empty() { word.clone() } else { format!("'{}'", word.replace('\'', "'\\''")) }
    };
    match command {
        [code] => code.clone(),
        words => redact_words(&words[..words.len().min(400)]).iter().map(quoted).collect::<Vec<_>>().join(" "),
    }
}

/// A path as short as it can be from where the program ran.
fn shown<'a>(cwd: &str, file: &'a str) -> &'a str {
    file.strip_prefix(cwd).and_then(|rest| rest.strip_prefix('/')).filter(|_| !cwd.is_empty()).unwrap_or(file)
}

/// A time since the start: `4.68 s`, `12:05`, `3:07:40`.
fn clock(at_s: f64) -> String {
    let at_s = at_s.max(0.0);
    if at_s < 100.0 {
        return format!("{at_s:.2} s");
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of a run")]
    let whole = at_s as u64;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02} h") } else { format!("{minutes}:{seconds:02} min") }
}

/// `1 look`, `2 looks`.
fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
