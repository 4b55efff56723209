//! Exit codes, by the fixed interface, and errors that carry one.

use std::process::ExitCode;

/// defib itself failed, or the request was wrong.
pub(crate) const DEFIB_FAILED: u8 = 125;

/// Prints an error and gives the code for it.
pub(crate) fn failed(error: &anyhow::Error) -> ExitCode {
    let mut text = error.to_string();
    // Many messages hold their source already; it is not said twice.
    for source in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&source) {
            text.push_str(": ");
            text.push_str(&source);
        }
    }
    anstream::eprintln!("{}error:{:#} {text}", crate::present::style::BAD, crate::present::style::BAD);
    ExitCode::from(DEFIB_FAILED)
}
