//! The user's page of causes, made from the catalogue.

use std::fmt::Write as _;

use crate::cause::Cause;
use crate::causes::CATALOGUE;

/// The page in Markdown: `docs/causes.md`.
#[must_use]
pub fn page() -> String {
    let mut text = String::from(
        "# Causes\n\nWhat defib can name, and how you would find out by hand. This page is made from the catalogue \
         (`defib causes --markdown > docs/causes.md`); edit `crates/defib-core/src/causes/` instead.\n\n\
         A report names causes by these ids and by no others. `unknown` is an honest answer: what was seen does not settle any of them.\n",
    );
    let mut causes: Vec<&Cause> = CATALOGUE.to_vec();
    causes.sort_by_key(|cause| cause.id);
    for cause in causes {
        let _ = write!(
            text,
            "\n## {}\n\n**{}.** {}\n\n- Settled by: {}\n",
            cause.id,
            cause.title,
            cause.what,
            uncapitalised(cause.settled_by)
        );
        if cause.taken_for != "—" {
            let _ = writeln!(text, "- Often taken for: {}.", cause.taken_for);
        }
        text.push_str("- By hand:\n");
        for step in cause.by_hand {
            let _ = writeln!(text, "  - {step}");
        }
        text.push_str("- What to do:\n");
        for step in cause.remedies {
            let _ = writeln!(text, "  - {step}");
        }
        let _ = writeln!(text, "- {}", cause.remedy.words());
    }
    text
}

/// A sentence that follows a colon; abbreviations stay as they are.
fn uncapitalised(text: &str) -> String {
    let mut letters = text.chars();
    match (letters.next(), letters.clone().next()) {
        (Some(first), Some(second)) if second.is_lowercase() || second == ' ' => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => text.to_owned(),
    }
}
