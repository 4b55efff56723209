//! Looks at a process by hand: `observe PID [look|sample|machine] [count]`.
//! It is also the probe that the tests start.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use defib_observe::{LookRequest, PROBE_ARGUMENT, Sampler, look_within, machine, probe_main};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == PROBE_ARGUMENT) {
        return probe_main();
    }
    let Some(root) = arguments.first().and_then(|pid| pid.parse().ok()) else {
        return ExitCode::from(2);
    };
    let text = match arguments.get(1).map(String::as_str) {
        None | Some("look") => look(root),
        Some("sample") => {
            let count = arguments.get(2).and_then(|count| count.parse().ok()).unwrap_or(3);
            let pause = arguments.get(3).and_then(|pause| pause.parse().ok()).unwrap_or(1000);
            sample(root, count, Duration::from_millis(pause))
        }
        _ => serde_json::to_string_pretty(&machine::read(Duration::from_secs(5))).ok(),
    };
    let text = text.unwrap_or_default() + "\n";
    let written = std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes());
    if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn look(root: i32) -> Option<String> {
    let request =
        LookRequest { root, include_root: true, python: true, locals: true, others: true, ..LookRequest::default() };
    let look = look_within(&std::env::current_exe().ok()?, &request, Duration::from_secs(5));
    serde_json::to_string_pretty(&look).ok()
}

fn sample(root: i32, count: u32, pause: Duration) -> Option<String> {
    let mut sampler = Sampler::new(root, true);
    let start = Instant::now();
    let mut last = sampler.sample(0.0);
    let before = std::fs::read_to_string("/proc/self/schedstat").ok()?;
    for _ in 0..count {
        std::thread::sleep(pause);
        last = sampler.sample(start.elapsed().as_secs_f64());
    }
    let after = std::fs::read_to_string("/proc/self/schedstat").ok()?;
    let used = |text: &str| text.split(' ').next()?.parse::<f64>().ok();
    let each = (used(&after)? - used(&before)?) / 1e6 / f64::from(count);
    let vitals = serde_json::to_string_pretty(&last.vitals).ok()?;
    let absent = sampler.gpus_absent();
    Some(format!("{vitals}\n{each:.3} ms CPU a sample (main thread); GPUs absent: {absent:?}"))
}
