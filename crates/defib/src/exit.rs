//! Exit codes, by the fixed interface, and errors that carry one.

use std::process::ExitCode;

/// defib itself failed, or the request was wrong.
pub(crate) const DEFIB_FAILED: u8 = 125;

/// Prints an error and gives the code for it.
pub(crate) fn failed(error: &anyhow::Error) -> ExitCode {
    anstream::eprintln!("{}error:{:#} {error:#}", crate::present::style::BAD, crate::present::style::BAD);
    ExitCode::from(DEFIB_FAILED)
}
