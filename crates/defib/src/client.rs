//! The client's side of the HTTP interface.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use defib_core::job::JobView;
use defib_engine::jobs::Request;
use reqwest::StatusCode;
use reqwest::blocking::multipart::{Form, Part};
use reqwest::blocking::{Client as Http, RequestBuilder, Response};
use serde_json::Value;

/// Longest time to connect, and for an answer that is no file.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// Longest time for a file, either way.
const FILE_WITHIN: Duration = Duration::from_secs(3600);
/// How long a server that is full, stops or is gone for a moment is asked again.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A server.
#[derive(Debug)]
pub(crate) struct Client {
    http: Http,
    url: String,
    token: Option<String>,
}

impl Client {
    pub(crate) fn new(url: &str, token: Option<String>) -> anyhow::Result<Self> {
        let http = Http::builder().connect_timeout(CONNECT_WITHIN).timeout(ANSWER_WITHIN).no_proxy().build()?;
        Ok(Self { http, url: url.trim_end_matches('/').to_owned(), token })
    }

    fn send(&self, request: RequestBuilder) -> reqwest::Result<Response> {
        match &self.token {
            Some(token) => request.bearer_auth(token).send(),
            None => request.send(),
        }
    }

    fn unreachable(&self, error: &reqwest::Error) -> anyhow::Error {
        let because = std::error::Error::source(error).map_or_else(|| error.to_string(), innermost);
        anyhow!("no server answers at {}: {because}; `defib serve` starts one, or leave out --server", self.url)
    }

    /// Asks, and again while the server is full or gone for a moment.
    fn ask(&self, make: impl Fn() -> anyhow::Result<RequestBuilder>) -> anyhow::Result<Value> {
        let until = Instant::now() + PATIENCE;
        let mut pause = Duration::from_millis(200);
        loop {
            let (problem, asked) = match self.send(make()?) {
                Ok(response) if response.status().is_success() => {
                    return response.json().with_context(|| format!("{} gave no JSON", self.url));
                }
                Ok(response) => {
                    let status = response.status();
                    let busy = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&status);
                    let asked = response.headers().get("retry-after").and_then(|it| it.to_str().ok()?.parse().ok());
                    let problem = anyhow!("{}", said(response));
                    if !busy {
                        return Err(problem);
                    }
                    (problem, asked.map(Duration::from_secs))
                }
                Err(error) => (self.unreachable(&error), None),
            };
            let wait = asked.unwrap_or(pause).min(LONGEST_PAUSE);
            if Instant::now() + wait > until {
                return Err(problem);
            }
            std::thread::sleep(wait);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// A server answers, and lets this client in.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let url = format!("{}/v1/backends", self.url);
        let response = self.send(self.http.get(url)).map_err(|error| self.unreachable(&error))?;
        if !response.status().is_success() {
            bail!("{}", said(response));
        }
        Ok(())
    }

    /// Hands in a job. The key makes that a second try cannot make a second job.
    pub(crate) fn submit(&self, request: &Request, files: &[(String, PathBuf)], key: &str) -> anyhow::Result<JobView> {
        let url = format!("{}/v1/jobs", self.url);
        let answer = self.ask(|| {
            let post = self.http.post(&url).header("idempotency-key", key);
            if files.is_empty() {
                return Ok(post.json(request));
            }
            let job = Part::text(serde_json::to_string(request)?).mime_str("application/json")?;
            let mut form = Form::new().part("job", job);
            for (name, path) in files {
                form = form.file(name.clone(), path).with_context(|| format!("cannot read {}", path.display()))?;
            }
            Ok(post.timeout(FILE_WITHIN).multipart(form))
        })?;
        Ok(serde_json::from_value(answer)?)
    }

    /// The same job again.
    pub(crate) fn replay(&self, id: &str, request: &Request, key: &str) -> anyhow::Result<JobView> {
        let url = format!("{}/v1/jobs/{id}/replay", self.url);
        let answer = self.ask(|| Ok(self.http.post(&url).header("idempotency-key", key).json(request)))?;
        Ok(serde_json::from_value(answer)?)
    }

    /// A job as it stands.
    pub(crate) fn job(&self, id: &str) -> anyhow::Result<JobView> {
        let url = format!("{}/v1/jobs/{id}", self.url);
        Ok(serde_json::from_value(self.ask(|| Ok(self.http.get(&url)))?)?)
    }

    /// Wants a job to end.
    pub(crate) fn cancel(&self, id: &str) -> anyhow::Result<JobView> {
        let url = format!("{}/v1/jobs/{id}", self.url);
        Ok(serde_json::from_value(self.ask(|| Ok(self.http.delete(&url)))?)?)
    }

    /// Writes an artifact into a file.
    pub(crate) fn download(&self, sha256: &str, place: &Path) -> anyhow::Result<()> {
        let url = format!("{}/v1/artifacts/{sha256}", self.url);
        let get = self.http.get(url).timeout(FILE_WITHIN);
        let mut response = self.send(get).map_err(|error| self.unreachable(&error))?;
        if !response.status().is_success() {
            bail!("{}", said(response));
        }
        let mut file = std::fs::File::create(place).with_context(|| format!("cannot write {}", place.display()))?;
        response.copy_to(&mut file).with_context(|| format!("the download of {sha256} broke off"))?;
        Ok(())
    }
}

/// What the server said was wrong.
fn said(response: Response) -> String {
    let status = response.status();
    let text = response.text().unwrap_or_default();
    let message = serde_json::from_str::<Value>(&text).ok();
    let message = message.and_then(|it| it["error"]["message"].as_str().map(str::to_owned));
    message.unwrap_or_else(|| format!("the server answered {status}: {}", text.chars().take(300).collect::<String>()))
}

fn innermost(mut error: &dyn std::error::Error) -> String {
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
