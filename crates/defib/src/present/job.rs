//! How a job looks on a terminal: a bar while it goes on, and how it ended.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use defib_core::job::{Attempt, JobState, JobView, ResultView};
use defib_core::report::Report;
use defib_core::telling;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Sources, report, style};

/// Between two turns of the spinner.
const TURN: Duration = Duration::from_millis(120);

/// The bar of one job, on standard error, where that is a terminal.
pub(crate) struct JobBar {
    bar: ProgressBar,
    of: Option<u64>,
}

impl JobBar {
    /// A bar that shows nothing where it is not wanted.
    pub(crate) fn new(hidden: bool) -> Self {
        let target = if hidden { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(None, target);
        bar.enable_steady_tick(TURN);
        Self { bar, of: None }
    }

    /// Says a line without tearing the bar.
    pub(crate) fn sayer(&self) -> impl Fn(&str) + Send + Sync + 'static {
        let bar = self.bar.clone();
        move |text| bar.suspend(|| super::say(text))
    }

    /// The job as it stands.
    pub(crate) fn show(&mut self, job: &JobView) {
        let attempt = job.attempts.last().filter(|attempt| attempt.outcome == "running");
        let at = attempt.map_or_else(|| "waiting".to_owned(), place);
        let again = attempt.filter(|attempt| attempt.n > 1).map(|attempt| format!(" (attempt {})", attempt.n));
        let stage = job.stage.as_ref().filter(|_| job.progress.done.is_none()).map(|stage| format!(" · {stage}"));
        let message = format!("{} {at}{}{}", job.id, again.unwrap_or_default(), stage.unwrap_or_default());
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "units of work, for the eye")]
        let whole = |value: f64| value.max(0.0) as u64;
        let total = job.progress.total.map(whole).filter(|&total| total > 0);
        if total != self.of {
            self.of = total;
            self.bar.set_style(look(total.is_some()));
            self.bar.set_length(total.unwrap_or(0));
        }
        if let Some(done) = job.progress.done {
            self.bar.set_position(whole(done));
        }
        let left = job.progress.eta_s.map(|eta| format!(", {} left", telling::seconds(eta)));
        self.bar.set_message(format!("{message}{}", left.unwrap_or_default()));
    }

    /// It is over: the line goes.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

fn look(with_total: bool) -> ProgressStyle {
    let template = if with_total { "{spinner} {msg} [{bar:24}] {pos}/{len}" } else { "{spinner} {msg} {elapsed}" };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Where an attempt was made.
fn place(attempt: &Attempt) -> String {
    if attempt.profile.is_empty() || attempt.profile == "full" {
        attempt.backend.clone()
    } else {
        format!("{}/{}", attempt.backend, attempt.profile)
    }
}

/// Prints a job that is over, or how it stands: the result on standard output, how it came
/// to that on standard error. Exit status 0 only if it succeeded.
pub(crate) fn print_job(job: &JobView, saved: &[PathBuf], json: bool) -> anyhow::Result<ExitCode> {
    let failed = matches!(job.state, JobState::Failed | JobState::Cancelled);
    let code = if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    if json {
        writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(job)?)?;
        return Ok(code);
    }
    if let Some(result) = &job.result {
        writeln!(std::io::stdout(), "{}", job_result(result, saved)?)?;
    }
    let _ = anstream::stderr().write_all(job_end(job).as_bytes());
    Ok(code)
}

/// The result, for standard output: values as JSON, then the files.
fn job_result(result: &ResultView, saved: &[PathBuf]) -> anyhow::Result<String> {
    let mut out = String::new();
    // A plain return value stands for itself.
    let only = result.values.get("output").filter(|_| result.values.len() == 1);
    match only {
        // It stands for a file, which is listed below.
        Some(serde_json::Value::String(text)) if result.outputs.iter().any(|output| output.name == *text) => {}
        Some(serde_json::Value::String(text)) => write!(out, "{text}")?,
        Some(value) => write!(out, "{}", serde_json::to_string_pretty(value)?)?,
        None => write!(out, "{}", serde_json::to_string_pretty(&result.values)?)?,
    }
    for path in saved {
        write!(out, "\n{}", path.display())?;
    }
    if saved.is_empty() {
        for output in &result.outputs {
            let short: String = output.sha256.chars().take(12).collect();
            write!(out, "\n{}  {}  sha256 {short}…  (--out DIR saves it)", output.name, telling::size(output.bytes))?;
        }
    }
    Ok(out.trim_start_matches('\n').to_owned())
}

/// How it ended, for standard error: one line if well, else the report and every attempt.
fn job_end(job: &JobView) -> String {
    let mut out = String::new();
    let took = job.finished_ms.map_or(0, |at| at - job.created_ms);
    #[expect(clippy::cast_precision_loss, reason = "a time for the eye")]
    let took = telling::seconds(took as f64 / 1000.0);
    if let Some(error) = &job.error {
        let known: Option<Report> = error.report.clone().and_then(|report| serde_json::from_value(report).ok());
        match known.filter(|report| !report.causes.is_empty()) {
            Some(known) => out.push_str(&report(&known, &Sources::default())),
            None => {
                let _ = writeln!(out, "{}✖{:#} {} ({})", style::BAD, style::BAD, error.explanation, error.cause);
            }
        }
    }
    let word = match job.state {
        JobState::Succeeded => "succeeded",
        JobState::Failed => "failed",
        JobState::Cancelled => "was cancelled",
        JobState::Queued => "waits",
        JobState::Running => "is at work",
    };
    let after = job.finished_ms.map(|_| format!(" after {took}"));
    let _ = writeln!(out, "{}defib:{:#} {} {word}{}", style::NOTE, style::NOTE, job.id, after.unwrap_or_default());
    if job.attempts.len() > 1 || job.state == JobState::Failed {
        for attempt in &job.attempts {
            let why = attempt.cause.as_ref().map(|cause| format!(", {cause}"));
            let _ =
                writeln!(out, "  {}. {}: {}{}", attempt.n, place(attempt), attempt.outcome, why.unwrap_or_default());
        }
    }
    if job.state == JobState::Failed {
        let _ = writeln!(out, "  its inputs are kept: defib submit --replay {} does it again", job.id);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn job(state: &str, attempts: &serde_json::Value, error: &serde_json::Value) -> JobView {
        serde_json::from_value(json!({
            "id": "j2z8", "state": state, "route": "default", "attempts": attempts, "error": error, "result": null,
            "progress": { "done": null, "total": null, "eta_s": null }, "stage": null,
            "created_ms": 1_000, "finished_ms": 5_200,
        }))
        .unwrap()
    }

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn how_a_job_ended() {
        let attempt = |n: u32, profile: &str, outcome: &str, cause: Option<&str>| {
            json!({ "n": n, "backend": "local", "profile": profile, "outcome": outcome, "cause": cause,
                    "started_ms": 1_000, "ended_ms": 2_000 })
        };
        let lighter = json!([attempt(1, "full", "failed", Some("gpu-oom")), attempt(2, "small", "succeeded", None)]);
        let failed = json!([attempt(1, "full", "failed", Some("unknown"))]);
        let error = json!({ "cause": "unknown", "explanation": "the process exited with status 3 during predict", "report": null });
        let ends = [
            job("succeeded", &json!([attempt(1, "full", "succeeded", None)]), &json!(null)),
            job("succeeded", &lighter, &json!(null)),
            job("failed", &failed, &error),
            job("cancelled", &json!([]), &json!(null)),
        ];
        let shown: Vec<String> = ends.iter().map(|job| plain(&job_end(job))).collect();
        insta::assert_snapshot!(shown.join("---\n"));
    }

    #[test]
    fn a_plain_value_stands_for_itself() {
        let result =
            |values: serde_json::Value| ResultView { outputs: Vec::new(), values: values.as_object().unwrap().clone() };
        assert_eq!(job_result(&result(json!({ "output": "a text" })), &[]).unwrap(), "a text");
        assert_eq!(job_result(&result(json!({ "output": 7 })), &[]).unwrap(), "7");
        assert_eq!(job_result(&result(json!({ "a": 1 })), &["x/y.png".into()]).unwrap(), "{\n  \"a\": 1\n}\nx/y.png");
    }
}
