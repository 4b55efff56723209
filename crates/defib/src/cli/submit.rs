//! `defib submit`: hand in one job, and wait for its end.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use clap::Args;
use defib_core::job::{JobView, OutputView};
use defib_core::units;
use defib_engine::jobs::{Request, Service, ServiceError};
use defib_process::signals::Signals;
use defib_store::State;
use serde_json::{Map, Value};

use super::serve::{TOKEN, configured};
use super::state;
use crate::client::Client;
use crate::present::{self, JobBar};
use crate::server_file::ServerFile;

/// Between two looks at a job: at first, and at most.
const FIRST_LOOK: Duration = Duration::from_millis(20);
const LAST_LOOK: Duration = Duration::from_millis(500);

/// Hand in a job and wait for its end
///
/// With the server of this machine if one runs, else within this command, with the
/// backends of defib.toml. Exit status: 0 if the job succeeded, 1 if it failed.
#[derive(Debug, Args)]
pub(super) struct Submit {
    /// Inputs: NAME=VALUE (numbers, true, false and null are such, all else is text),
    /// NAME:=JSON, NAME=@FILE
    #[arg(value_name = "INPUT")]
    inputs: Vec<String>,
    /// All inputs as a JSON object, or @FILE with one
    #[arg(long, value_name = "JSON")]
    json_inputs: Option<String>,
    /// Route [default: default]
    #[arg(long, value_name = "NAME", conflicts_with = "backend")]
    route: Option<String>,
    /// One backend instead of a route
    #[arg(long, value_name = "NAME")]
    backend: Option<String>,
    /// Time for one attempt
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<String>,
    /// Time for the job, waiting and all attempts included
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    deadline: Option<String>,
    /// Most attempts [default: 3]
    #[arg(long, value_name = "N")]
    max_attempts: Option<u32>,
    /// Higher goes first
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    priority: i64,
    /// Handed in again with this key, it is the same job
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// The job again, with its saved inputs; inputs given here change them
    #[arg(long, value_name = "JOB")]
    replay: Option<String>,
    /// Do not wait: print the id
    #[arg(long)]
    detach: bool,
    /// Save the files of the result in this folder
    #[arg(short, long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Server
    #[arg(long, value_name = "URL", env = "DEFIB_SERVER")]
    server: Option<String>,
    /// Do it within this command, even if a server runs
    #[arg(long, conflicts_with = "server")]
    embedded: bool,
    /// Configuration, without a server [default: defib.toml]
    #[arg(long, value_name = "FILE", env = "DEFIB_CONFIG")]
    config: Option<PathBuf>,
    /// Print the job as JSON
    #[arg(long)]
    json: bool,
    /// Print no progress
    #[arg(short, long)]
    quiet: bool,
}

fn duration(text: &str) -> Result<String, String> {
    units::duration(text).map(|_| text.to_owned())
}

/// Who does the job.
enum Place {
    Server(Client),
    Here(Box<Service>),
}

impl Place {
    fn job(&self, id: &str) -> anyhow::Result<JobView> {
        match self {
            Self::Server(client) => client.job(id),
            Self::Here(service) => Ok(service.job(id)?),
        }
    }

    fn cancel(&self, id: &str) -> anyhow::Result<JobView> {
        match self {
            Self::Server(client) => client.cancel(id),
            Self::Here(service) => Ok(service.cancel(id)?),
        }
    }

    /// Writes a file of the result.
    fn fetch(&self, sha256: &str, place: &Path) -> anyhow::Result<()> {
        match self {
            Self::Server(client) => client.download(sha256, place),
            Self::Here(service) => {
                let mut kept = service.artifact(sha256)?;
                let mut file =
                    std::fs::File::create(place).with_context(|| format!("cannot write {}", place.display()))?;
                std::io::copy(&mut kept, &mut file)?;
                Ok(())
            }
        }
    }
}

impl Submit {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let (request, files) = self.request()?;
        let state = state()?;
        let mut interrupts = Interrupts::hear()?;
        let mut bar = JobBar::new(self.quiet || self.json);
        let (place, job) = match self.client(&state)? {
            Some(client) => {
                let key = self.key.clone().unwrap_or_else(key);
                let job = match &self.replay {
                    Some(_) if !files.is_empty() => {
                        bail!("files cannot be changed in a replay by a server; hand in a new job with them")
                    }
                    Some(old) => client.replay(old, &request, &key)?,
                    None => client.submit(&request, &files, &key)?,
                };
                (Place::Server(client), job)
            }
            None => self.begin_here(&state, request, &files, &bar)?,
        };
        if self.detach {
            return self.told_detached(&job);
        }
        let job = self.wait(&place, job, &mut bar, &mut interrupts)?;
        let saved = self.save(&place, &job)?;
        let code = present::print_job(&job, &saved, self.json)?;
        if let Place::Here(service) = &place {
            service.stop(Duration::ZERO, &|| true);
        }
        Ok(code)
    }

    /// The server that is asked for, or that works in this state folder.
    fn client(&self, state: &State) -> anyhow::Result<Option<Client>> {
        if self.embedded {
            return Ok(None);
        }
        let live = || ServerFile::live(state.root()).map(|server| server.url);
        let Some(url) = self.server.clone().or_else(live) else { return Ok(None) };
        let client = Client::new(&url, std::env::var(TOKEN).ok().map(|token| token.trim().to_owned()))?;
        client.check()?;
        Ok(Some(client))
    }

    fn begin_here(
        &self,
        state: &State,
        request: Request,
        files: &[(String, PathBuf)],
        bar: &JobBar,
    ) -> anyhow::Result<(Place, JobView)> {
        ensure!(!self.detach, "no server runs that would do the job: start `defib serve`, or leave out --detach");
        let (_, mut settings, _) = configured(self.config.as_deref(), state)?;
        let id = defib_core::job::id(entropy());
        settings.only = Some(id.clone());
        settings.warm = false;
        for backend in &mut settings.backends {
            backend.workers = 1;
        }
        let (quiet, say) = (self.quiet, bar.sayer());
        let tell = move |text: &str| {
            if !quiet {
                say(text);
            }
        };
        let service = Service::start(settings, state.clone(), Arc::new(tell))?;
        let mut request = match &self.replay {
            Some(old) => service.replay(old, &request).map_err(|error| advice(error, old))?,
            None => request,
        };
        for (name, path) in files {
            let mut file = std::fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
            let given = path.file_name().map_or_else(|| name.clone(), |it| it.to_string_lossy().into_owned());
            request.inputs.insert(name.clone(), service.keep_file(&given, &mut file)?);
        }
        let job = service.submit_as(id.clone(), &request, self.key.as_deref())?;
        ensure!(
            job.id == id || job.state.over(),
            "the job {} has this key already and is not over; start `defib serve` to have it done",
            job.id
        );
        Ok((Place::Here(Box::new(service)), job))
    }

    /// The request that the flags make, and its files.
    fn request(&self) -> anyhow::Result<(Request, Vec<(String, PathBuf)>)> {
        let mut inputs = match &self.json_inputs {
            Some(text) => read_object(text)?,
            None => Map::new(),
        };
        let mut files = Vec::new();
        for input in &self.inputs {
            match Input::read(input)? {
                Input::Value(name, value) => drop(inputs.insert(name, value)),
                Input::File(name, path) => {
                    ensure!(path.is_file(), "{name}: there is no file {}", path.display());
                    files.push((name, path));
                }
            }
        }
        let request = Request {
            route: self.route.clone(),
            backend: self.backend.clone(),
            inputs,
            timeout: self.timeout.clone(),
            deadline: self.deadline.clone(),
            delay: None,
            max_attempts: self.max_attempts,
            priority: self.priority,
        };
        Ok((request, files))
    }

    fn told_detached(&self, job: &JobView) -> anyhow::Result<ExitCode> {
        let mut out = std::io::stdout();
        if self.json {
            writeln!(out, "{}", serde_json::to_string_pretty(job)?)?;
        } else {
            writeln!(out, "{}", job.id)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Waits for the end; Ctrl+C cancels the job, a second one gives up waiting.
    fn wait(
        &self,
        place: &Place,
        mut job: JobView,
        bar: &mut JobBar,
        interrupts: &mut Interrupts,
    ) -> anyhow::Result<JobView> {
        let mut seen = 0;
        let mut pause = FIRST_LOOK;
        let mut cancelled = false;
        while !job.state.over() {
            bar.show(&job);
            match interrupts.count() {
                0 => {}
                1 if !cancelled => {
                    cancelled = true;
                    job = place.cancel(&job.id)?;
                    continue;
                }
                1 => {}
                _ => bail!("gave up waiting for {}; it was told to end", job.id),
            }
            match place {
                // Woken by the change itself.
                Place::Here(service) => seen = service.wait_change(seen, LAST_LOOK),
                Place::Server(_) => {
                    std::thread::sleep(pause);
                    pause = (pause * 3 / 2).min(LAST_LOOK);
                }
            }
            job = place.job(&job.id)?;
        }
        bar.end();
        Ok(job)
    }

    /// Saves the files of the result.
    fn save(&self, place: &Place, job: &JobView) -> anyhow::Result<Vec<PathBuf>> {
        let (Some(folder), Some(result)) = (&self.out, &job.result) else { return Ok(Vec::new()) };
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let mut saved = Vec::new();
        for OutputView { name, sha256, .. } in &result.outputs {
            // Whatever it is called, it stays in this folder.
            let safe = name.replace(['/', '\\'], "_");
            let safe = safe.trim_start_matches('.');
            let path = folder.join(if safe.is_empty() { sha256 } else { safe });
            let beside = folder.join(format!(".{sha256}.part"));
            place.fetch(sha256, &beside)?;
            std::fs::rename(&beside, &path).with_context(|| format!("cannot write {}", path.display()))?;
            saved.push(path);
        }
        Ok(saved)
    }
}

/// One input of the command line.
#[derive(Debug, PartialEq)]
enum Input {
    Value(String, Value),
    File(String, PathBuf),
}

impl Input {
    fn read(text: &str) -> anyhow::Result<Self> {
        let wrong = || anyhow!("{text:?} is no input: write NAME=VALUE, NAME:=JSON or NAME=@FILE");
        let (name, value) = text.split_once('=').ok_or_else(wrong)?;
        let (name, exact) = name.strip_suffix(':').map_or((name, false), |name| (name, true));
        ensure!(!name.is_empty(), wrong());
        if exact {
            let value = serde_json::from_str(value).with_context(|| format!("{name}: {value:?} is no JSON"))?;
            return Ok(Self::Value(name.to_owned(), value));
        }
        if let Some(path) = value.strip_prefix('@') {
            return Ok(Self::File(name.to_owned(), PathBuf::from(path)));
        }
        let plain = serde_json::from_str(value).ok().filter(|value: &Value| !value.is_object() && !value.is_array());
        let plain = plain.filter(|value| !value.is_string());
        Ok(Self::Value(name.to_owned(), plain.unwrap_or_else(|| value.into())))
    }
}

fn read_object(text: &str) -> anyhow::Result<Map<String, Value>> {
    let read;
    let text = match text.strip_prefix('@') {
        Some(path) => {
            read = std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
            &read
        }
        None => text,
    };
    serde_json::from_str(text).context("--json-inputs must be a JSON object, like {\"prompt\": \"a cat\"}")
}

/// A new key: it makes that a request which is sent twice is one job.
fn key() -> String {
    format!("submit-{:016x}{:016x}", entropy(), entropy())
}

fn entropy() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

fn advice(error: ServiceError, job: &str) -> anyhow::Error {
    anyhow!("{job} cannot be done again: {error}")
}

/// Counts the wishes to stop. Made before any thread: those inherit what is blocked.
struct Interrupts {
    signals: Signals,
    count: u32,
}

impl Interrupts {
    fn hear() -> anyhow::Result<Self> {
        Ok(Self { signals: Signals::block(&[1, 2, 15]).context("cannot hear signals")?, count: 0 })
    }

    fn count(&mut self) -> u32 {
        while let Ok(Some(_)) = self.signals.next_signal() {
            self.count += 1;
        }
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn inputs_as_people_write_them() {
        let value = |name: &str, value: Value| Input::Value(name.into(), value);
        for (text, read) in [
            ("prompt=a cat", value("prompt", json!("a cat"))),
            ("steps=10", value("steps", json!(10))),
            ("scale=7.5", value("scale", json!(7.5))),
            ("tile=true", value("tile", json!(true))),
            ("prompt=\"quoted\"", value("prompt", json!("\"quoted\""))),
            ("prompt=[1, 2]", value("prompt", json!("[1, 2]"))),
            ("size:=[768, 448]", value("size", json!([768, 448]))),
            ("prompt:=\"42\"", value("prompt", json!("42"))),
            ("equation=a=b", value("equation", json!("a=b"))),
            ("empty=", value("empty", json!(""))),
            ("image=@a b.png", Input::File("image".into(), "a b.png".into())),
        ] {
            assert_eq!(Input::read(text).unwrap(), read, "{text}");
        }
        for wrong in ["prompt", "=x", ":=1", "size:=[1"] {
            assert!(Input::read(wrong).is_err(), "{wrong}");
        }
    }
}
