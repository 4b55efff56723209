//! Looks at a process by hand: `observe PID [look|sample|machine] [count]`.
//! It is also the probe that the tests start.

use std::process::ExitCode;
use std::time::Duration;

use defib_observe::{LookRequest, PROBE_ARGUMENT, look_within, probe_main};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments
        .first()
        .is_some_and(|first| first == PROBE_ARGUMENT)
    {
        return probe_main();
    }
    let Some(root) = arguments.first().and_then(|pid| pid.parse().ok()) else {
        return ExitCode::from(2);
    };
    let request = LookRequest {
        root,
        include_root: true,
        python: true,
        locals: true,
        others: true,
        ..LookRequest::default()
    };
    let Ok(exe) = std::env::current_exe() else {
        return ExitCode::FAILURE;
    };
    let look = look_within(&exe, &request, Duration::from_secs(5));
    let text = serde_json::to_string_pretty(&look).unwrap_or_default();
    let written = std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes());
    if written.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
