//! `[server]`, `[[backend]]`, `[[route]]` and `[remedy]`: what jobs need.
//!
//! Paths are relative to the file. Everything is checked before anything starts, and every
//! complaint names the backend and the key.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use defib_core::causes;
use defib_core::recovery::{Aim, Remedy};
use defib_core::units;
use defib_engine::jobs::{BackendSettings, Checks, Extent, FULL, Kind, Profile, Route, Settings};
use defib_store::State;
use serde::Deserialize;
use serde_json::{Map, Value};

/// `[server]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ServerConfig {
    pub(crate) listen: Option<String>,
    pub(crate) token_file: Option<PathBuf>,
    /// Jobs that may wait.
    pub(crate) max_queued: Option<u64>,
    /// Largest JSON of a request.
    pub(crate) max_json: Option<String>,
    /// Largest request in all, with its files.
    pub(crate) max_upload: Option<String>,
    /// Largest single file, in or out.
    pub(crate) max_file: Option<String>,
    /// Connections at the same time.
    pub(crate) max_connections: Option<usize>,
    /// Time for the jobs at work when the server stops.
    pub(crate) stop_grace: Option<String>,
    /// Attempts of a job that asks for no number.
    pub(crate) max_attempts: Option<u32>,
    /// Life of a job that asks for no deadline.
    pub(crate) deadline: Option<String>,
    /// How long jobs that are over are remembered.
    pub(crate) keep_jobs: Option<String>,
    /// How long files are kept that no job needs.
    pub(crate) keep_files: Option<String>,
    /// How many bytes of them.
    pub(crate) max_files: Option<String>,
}

/// `[[backend]]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct BackendConfig {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) predictor: Option<String>,
    pub(crate) python: Option<String>,
    pub(crate) options: Map<String, Value>,
    pub(crate) command: Vec<String>,
    pub(crate) folder: Option<PathBuf>,
    pub(crate) workers: Option<usize>,
    pub(crate) setup_timeout: Option<String>,
    pub(crate) predict_timeout: Option<String>,
    pub(crate) heartbeat_timeout: Option<String>,
    pub(crate) stall_after: Option<String>,
    pub(crate) recycle_after: Option<u64>,
    pub(crate) recycle_on_change: Vec<String>,
    pub(crate) memory: super::MemoryDefaults,
    pub(crate) gpus: Vec<Text>,
    pub(crate) jobs_per_gpu: Option<usize>,
    pub(crate) env: BTreeMap<String, Text>,
    pub(crate) check: CheckConfig,
    pub(crate) profile: Vec<ProfileConfig>,
}

/// A text that may be written as a number.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Text {
    Words(String),
    Number(i64),
    Switch(bool),
}

impl Text {
    fn text(&self) -> String {
        match self {
            Self::Words(text) => text.clone(),
            Self::Number(number) => number.to_string(),
            Self::Switch(on) => on.to_string(),
        }
    }
}

/// `[backend.check]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CheckConfig {
    pub(crate) images: Option<bool>,
    pub(crate) flat: Option<bool>,
    pub(crate) nonfinite: Option<bool>,
    pub(crate) width: Option<Side>,
    pub(crate) height: Option<Side>,
}

/// Pixels, or the name of the input that says how many.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Side {
    Pixels(u32),
    Input(String),
}

/// `[[backend.profile]]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ProfileConfig {
    pub(crate) name: String,
    pub(crate) aim: Option<String>,
    pub(crate) inputs: Map<String, Value>,
    pub(crate) options: Map<String, Value>,
    pub(crate) env: BTreeMap<String, Text>,
}

/// `[[route]]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RouteConfig {
    pub(crate) name: String,
    pub(crate) backends: Vec<String>,
}

/// Ten minutes for an attempt suit most pictures; what takes longer says so.
const PREDICT_TIMEOUT: Duration = Duration::from_secs(600);
/// Large models load for minutes from a cold disk.
const SETUP_TIMEOUT: Duration = Duration::from_secs(600);
/// Native code may hold the interpreter for a while; two minutes are no while.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(120);
const DAY: Duration = Duration::from_secs(86_400);

fn duration(text: Option<&String>, what: &str, usual: Duration) -> anyhow::Result<Duration> {
    text.map_or(Ok(usual), |text| units::duration(text).map_err(|error| anyhow!("{what}: {error}")))
}

fn size(text: Option<&String>, what: &str, usual: u64) -> anyhow::Result<u64> {
    text.map_or(Ok(usual), |text| units::size(text).map_err(|error| anyhow!("{what}: {error}")))
}

/// What the engine needs, from the file in `base`.
///
/// # Errors
/// The first thing that makes no sense, with its name.
pub(crate) fn settings(config: &super::Config, base: &Path, state: &State) -> anyhow::Result<Settings> {
    let server = &config.server;
    ensure!(!config.backend.is_empty(), "there is no [[backend]]; {EXAMPLE}");
    let mut names = HashSet::new();
    let mut backends = Vec::new();
    for backend in &config.backend {
        let name = &backend.name;
        ensure!(is_name(name), "a [[backend]] needs a name of letters, digits, - and _, not {name:?}");
        ensure!(names.insert(name.clone()), "two backends are named `{name}`");
        backends.push(resolve(backend, config, base, state).with_context(|| format!("backend `{name}`"))?);
    }
    let mut routes: Vec<Route> = Vec::new();
    for RouteConfig { name, backends: of } in &config.route {
        ensure!(is_name(name), "a [[route]] needs a name of letters, digits, - and _, not {name:?}");
        ensure!(!of.is_empty(), "route `{name}` has no backends");
        ensure!(!routes.iter().any(|route| route.name == *name), "two routes are named `{name}`");
        if let Some(missing) = of.iter().find(|backend| !names.contains(*backend)) {
            bail!("route `{name}` names the backend `{missing}`, which is not there");
        }
        routes.push(Route { name: name.clone(), backends: of.clone() });
    }
    // One backend needs no route to be written down.
    if !routes.iter().any(|route| route.name == "default") {
        let all = backends.iter().map(|backend| backend.name.clone()).collect();
        routes.push(Route { name: "default".to_owned(), backends: all });
    }
    Ok(Settings {
        backends,
        routes,
        remedies: remedies(&config.remedy)?,
        most_queued: server.max_queued.unwrap_or(10_000),
        max_attempts: server.max_attempts.unwrap_or(3).max(1),
        deadline: duration(server.deadline.as_ref(), "deadline", DAY)?,
        keep_jobs: duration(server.keep_jobs.as_ref(), "keep_jobs", DAY * 30)?,
        keep_artifacts: duration(server.keep_files.as_ref(), "keep_files", DAY * 7)?,
        retention: config.keep.retention()?,
        artifact_bytes: size(server.max_files.as_ref(), "max_files", 20 << 30)?,
        largest_file: size(server.max_file.as_ref(), "max_file", 1 << 30)?,
        only: None,
        warm: true,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        exe: crate::cli::own_binary()?,
    })
}

const EXAMPLE: &str =
    "for example:\n\n[[backend]]\nname = \"local\"\nkind = \"worker\"\npredictor = \"predict.py:Predictor\"\n";

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 64 && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

fn remedies(table: &BTreeMap<String, String>) -> anyhow::Result<HashMap<String, Remedy>> {
    let mut remedies = HashMap::new();
    for (cause, remedy) in table {
        if causes::find(cause).is_none() && cause != "unknown" {
            bail!("[remedy] names the cause `{cause}`, which is not in the catalogue; `defib causes` lists them");
        }
        let known = Remedy::of(remedy).ok_or_else(|| {
            let all = Remedy::ALL.map(Remedy::name).join(", ");
            anyhow!("[remedy] {cause}: there is no remedy `{remedy}`; there are: {all}")
        })?;
        remedies.insert(cause.clone(), known);
    }
    Ok(remedies)
}

fn resolve(
    backend: &BackendConfig,
    config: &super::Config,
    base: &Path,
    state: &State,
) -> anyhow::Result<BackendSettings> {
    let workers = backend.workers.unwrap_or(1);
    ensure!((1..=256).contains(&workers), "workers must be between 1 and 256, not {workers}");
    let heartbeat = match backend.heartbeat_timeout.as_deref() {
        Some("off") => None,
        _ => Some(duration(backend.heartbeat_timeout.as_ref(), "heartbeat_timeout", HEARTBEAT_TIMEOUT)?),
    };
    let stall_after = backend.stall_after.as_ref();
    let own = backend.memory != super::MemoryDefaults::default();
    let memory = if own { &backend.memory } else { &config.memory };
    Ok(BackendSettings {
        name: backend.name.clone(),
        kind: kind(backend, base)?,
        workers,
        setup_timeout: duration(backend.setup_timeout.as_ref(), "setup_timeout", SETUP_TIMEOUT)?,
        predict_timeout: duration(backend.predict_timeout.as_ref(), "predict_timeout", PREDICT_TIMEOUT)?,
        heartbeat_timeout: heartbeat,
        stall_after: stall_after
            .map(|text| units::duration(text).map_err(|error| anyhow!("stall_after: {error}")))
            .transpose()?,
        profiles: profiles(&backend.profile)?,
        checks: checks(&backend.check)?,
        recycle_after: backend.recycle_after.filter(|&jobs| jobs > 0),
        recycle_on_change: backend.recycle_on_change.clone(),
        memory: crate::cli::memory_plan(memory, state)?,
        gpus: backend.gpus.iter().map(Text::text).collect(),
        jobs_per_gpu: backend.jobs_per_gpu.unwrap_or(1).max(1),
        env: environment(&backend.env),
        folder: folder(backend, base)?,
    })
}

fn environment(table: &BTreeMap<String, Text>) -> Vec<(String, String)> {
    table.iter().map(|(name, value)| (name.clone(), value.text())).collect()
}

fn folder(backend: &BackendConfig, base: &Path) -> anyhow::Result<PathBuf> {
    let folder = backend.folder.as_ref().map_or_else(|| base.to_owned(), |folder| base.join(folder));
    let folder = folder.canonicalize().with_context(|| format!("the folder {} is not there", folder.display()))?;
    Ok(folder)
}

fn kind(backend: &BackendConfig, base: &Path) -> anyhow::Result<Kind> {
    match backend.kind.as_str() {
        "worker" => {
            let predictor = backend
                .predictor
                .clone()
                .context("a worker needs `predictor`, the class that does the work, as \"predict.py:Predictor\"")?;
            ensure!(backend.command.is_empty(), "`command` belongs to kind = \"command\"");
            let (place, class) = predictor.rsplit_once(':').unwrap_or((&predictor, ""));
            ensure!(
                !place.is_empty() && !class.is_empty(),
                "predictor must be like \"predict.py:Predictor\", not {predictor:?}"
            );
            let predictor = if Path::new(place).extension().is_some_and(|it| it == "py") {
                let path = base.join(place);
                ensure!(path.is_file(), "predictor: there is no file {}", path.display());
                format!("{}:{class}", path.canonicalize()?.display())
            } else {
                predictor
            };
            let python = backend.python.clone().unwrap_or_else(|| "python3".to_owned());
            Ok(Kind::Worker { predictor, python: program(&python, base), options: backend.options.clone() })
        }
        "command" => {
            ensure!(
                !backend.command.is_empty(),
                "a command needs `command`, as [\"python3\", \"draw.py\", \"{{prompt}}\"]"
            );
            ensure!(backend.predictor.is_none(), "`predictor` belongs to kind = \"worker\"");
            Ok(Kind::Command { command: backend.command.clone() })
        }
        "" => bail!("`kind` is missing: \"worker\" or \"command\""),
        other => bail!("there is no kind {other:?}: \"worker\" or \"command\""),
    }
}

/// A program that is named by a path, as seen from the file; others are sought in `PATH`.
fn program(name: &str, base: &Path) -> String {
    if !name.contains('/') || Path::new(name).is_absolute() {
        return name.to_owned();
    }
    // Not resolved: an interpreter of a virtual environment is a link and finds it by its name.
    std::path::absolute(base.join(name)).map_or_else(|_| name.to_owned(), |path| path.display().to_string())
}

fn profiles(all: &[ProfileConfig]) -> anyhow::Result<Vec<Profile>> {
    let mut names = HashSet::from([FULL]);
    let mut profiles = Vec::new();
    for profile in all {
        let ProfileConfig { name, aim, inputs, options, env } = profile;
        ensure!(is_name(name), "a profile needs a name of letters, digits, - and _, not {name:?}");
        ensure!(names.insert(name), "two profiles are named `{name}` (`{FULL}` is the job as it was asked for)");
        let aim = match aim.as_deref() {
            None | Some("lighter") => Aim::Lighter,
            Some("precise") => Aim::Precise,
            Some(other) => bail!("profile `{name}`: there is no aim {other:?}: \"lighter\" or \"precise\""),
        };
        let (inputs, options) = (inputs.clone(), options.clone());
        profiles.push(Profile { name: name.clone(), aim, inputs, options, env: environment(env) });
    }
    Ok(profiles)
}

fn checks(check: &CheckConfig) -> anyhow::Result<Checks> {
    let usual = Checks::default();
    let side = |side: &Side| match side {
        Side::Pixels(pixels) => Extent::Pixels(*pixels),
        Side::Input(name) => Extent::Input(name.clone()),
    };
    let size = match (&check.width, &check.height) {
        (Some(width), Some(height)) => Some((side(width), side(height))),
        (None, None) => None,
        _ => bail!("check: give width and height, or neither"),
    };
    Ok(Checks {
        images: check.images.unwrap_or(usual.images),
        flat: check.flat.unwrap_or(usual.flat),
        nonfinite: check.nonfinite.unwrap_or(usual.nonfinite),
        size,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> anyhow::Result<Settings> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("predict.py"), "").unwrap();
        let state = State::open(&folder.path().join("state"))?;
        settings(&super::super::parse(text)?, folder.path(), &state)
    }

    const GOOD: &str = "[[backend]]\nname = \"local\"\nkind = \"worker\"\npredictor = \"predict.py:Predictor\"\n";

    #[test]
    fn one_backend_is_enough() {
        let settings = read(GOOD).unwrap();
        let backend = &settings.backends[0];
        assert_eq!((backend.workers, backend.predict_timeout), (1, PREDICT_TIMEOUT));
        assert_eq!(settings.routes, [Route { name: "default".into(), backends: vec!["local".into()] }]);
        assert!(matches!(&backend.kind, Kind::Worker { predictor, .. } if predictor.starts_with('/')));
    }

    #[test]
    fn everything_can_be_said() {
        let text = format!(
            "{GOOD}workers = 2\npredict_timeout = \"10s\"\nheartbeat-timeout = \"off\"\ngpus = [0, \"1\"]\n\
             recycle_on_change = [\"model\"]\n[backend.options]\ndtype = \"float16\"\n[backend.env]\nA = 1\n\
             [backend.check]\nwidth = \"width\"\nheight = 384\n[backend.memory]\nstop = \"4GiB\"\n\
             [[backend.profile]]\nname = \"small\"\ninputs = {{ steps = 5 }}\n\
             [[backend.profile]]\nname = \"exact\"\naim = \"precise\"\noptions = {{ dtype = \"float32\" }}\n\
             [[route]]\nname = \"default\"\nbackends = [\"local\"]\n[remedy]\nnative-crash = \"elsewhere\"\n"
        );
        let settings = read(&text).unwrap();
        let backend = &settings.backends[0];
        assert_eq!(
            (backend.heartbeat_timeout, backend.gpus.as_slice()),
            (None, ["0".to_owned(), "1".to_owned()].as_slice())
        );
        assert_eq!(backend.checks.size, Some((Extent::Input("width".into()), Extent::Pixels(384))));
        assert_eq!(backend.memory.stop_bytes(), Some(4 << 30));
        let places: Vec<_> = settings.places("default").unwrap().into_iter().map(|place| place.profile).collect();
        assert_eq!(places, ["full", "small", "exact"]);
        assert_eq!(settings.remedies["native-crash"], Remedy::Elsewhere);
    }

    #[test]
    fn what_makes_no_sense_is_said_with_its_name() {
        let complaint = |text: &str| format!("{:#}", read(text).unwrap_err());
        for (text, says) in [
            ("[server]\n", "no [[backend]]"),
            ("[[backend]]\nname = \"a\"\n", "`kind` is missing"),
            ("[[backend]]\nname = \"a\"\nkind = \"magic\"\n", "no kind \"magic\""),
            ("[[backend]]\nname = \"a\"\nkind = \"worker\"\n", "needs `predictor`"),
            ("[[backend]]\nname = \"a\"\nkind = \"worker\"\npredictor = \"gone.py:P\"\n", "there is no file"),
            ("[[backend]]\nname = \"a\"\nkind = \"worker\"\npredictor = \"predict.py\"\n", "must be like"),
            (&format!("{GOOD}predict_timeout = \"soon\"\n"), "backend `local`: predict_timeout"),
            (&format!("{GOOD}{GOOD}"), "two backends are named `local`"),
            (&format!("{GOOD}[[route]]\nname = \"r\"\nbackends = [\"far\"]\n"), "which is not there"),
            (&format!("{GOOD}[remedy]\nbad-luck = \"never\"\n"), "not in the catalogue"),
            (&format!("{GOOD}[remedy]\ngpu-oom = \"pray\"\n"), "no remedy `pray`"),
            (&format!("{GOOD}worker = 3\n"), "unknown field `worker`"),
        ] {
            let said = complaint(text);
            assert!(said.contains(says), "{text}\n{said}");
        }
    }

    #[test]
    fn fuzz_config() {
        const EXAMPLES: &[&[u8]] = &[
            b"[server]\nlisten = \"127.0.0.1:0\"\nmax-json = \"8MiB\"\n[[backend]]\nname = \"a\"\nkind = \"command\"\ncommand = [\"x\", \"{y}\"]\n",
            b"[[backend]]\nname = \"b\"\nkind = \"worker\"\npredictor = \"p.py:P\"\nworkers = 2\ngpus = [0]\n[backend.check]\nwidth = 3\nheight = \"h\"\n[[backend.profile]]\nname = \"s\"\naim = \"precise\"\n",
            b"[[route]]\nname = \"default\"\nbackends = [\"a\"]\n[remedy]\ngpu-oom = \"never\"\n[memory]\nwarn = \"80%\"\n",
        ];
        let folder = tempfile::tempdir().unwrap();
        let state = State::open(&folder.path().join("state")).unwrap();
        defib_fuzz::fuzz("config", EXAMPLES, |input| {
            let Ok(text) = std::str::from_utf8(input) else { return };
            // Refused with a reason, or sound: every route leads to a backend that is there.
            let Ok(config) = super::super::parse(text) else { return };
            if let Ok(settings) = settings(&config, folder.path(), &state) {
                assert!(settings.places("default").is_some_and(|places| !places.is_empty()));
                assert!(settings.backends.iter().all(|backend| backend.workers > 0));
            }
        });
    }
}
