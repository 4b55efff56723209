//! What is asked of the service, and what is wrong with it.

use defib_core::job::{Choice, NewJob};
use defib_store::queue::QueueError;
use defib_store::{ArtifactError, Artifacts};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::files;
use super::settings::{ONE_BACKEND, Settings};
use super::shared::now_ms;

/// The service cannot do what was asked. Every text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// No such route.
    #[error("there is no route `{name}`; there are: {known}")]
    NoSuchRoute {
        /// What was asked for.
        name: String,
        /// Those there are.
        known: String,
    },
    /// No such backend.
    #[error("there is no backend `{name}`; there are: {known}")]
    NoSuchBackend {
        /// What was asked for.
        name: String,
        /// Those there are.
        known: String,
    },
    /// The request makes no sense.
    #[error("{0}")]
    Request(String),
    /// It is about to end.
    #[error("this defib is about to stop and takes no more jobs; hand the job in again when it is back")]
    Leaving,
    /// The queue.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// A file.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// Something with the system.
    #[error("the service cannot be set up: {0}")]
    System(#[from] std::io::Error),
}

/// A job that is handed in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Route; `default` if neither this nor a backend is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// One backend instead of a route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// Inputs by name. A file is `{"sha256": …}` of an artifact, or a part of the request.
    #[serde(default)]
    pub inputs: Map<String, Value>,
    /// Time for one attempt, as `60s`; no longer than the backend allows.
    #[serde(default, deserialize_with = "span", skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// Time for the job, waiting and all attempts included, as `1h`.
    #[serde(default, deserialize_with = "span", skip_serializing_if = "Option::is_none")]
    pub deadline: Option<String>,
    /// Wait so long before the first attempt, as `10m`.
    #[serde(default, deserialize_with = "span", skip_serializing_if = "Option::is_none")]
    pub delay: Option<String>,
    /// Most attempts, at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// Higher goes first.
    #[serde(default)]
    pub priority: i64,
}

/// A duration as text, or as a number of seconds.
fn span<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Span {
        Text(String),
        Seconds(f64),
    }
    let span = Option::<Span>::deserialize(from)?;
    Ok(span.map(|span| match span {
        Span::Text(text) => text,
        Span::Seconds(seconds) => format!("{seconds}s"),
    }))
}

impl Request {
    /// The job that a request makes.
    pub(super) fn job(
        &self,
        id: String,
        key: Option<&str>,
        settings: &Settings,
        artifacts: &Artifacts,
    ) -> Result<NewJob, ServiceError> {
        let now = now_ms();
        let (route, start) = self.start(settings)?;
        for (name, value) in &self.inputs {
            if let Some(digest) = files::digest(value) {
                artifacts.read(digest).map_err(|error| {
                    ServiceError::Request(format!("the input `{name}` names a file that is not here: {error}"))
                })?;
            }
        }
        let span = |name: &str, text: &Option<String>| -> Result<Option<i64>, ServiceError> {
            let Some(text) = text else { return Ok(None) };
            let span = defib_core::units::duration(text)
                .map_err(|error| ServiceError::Request(format!("`{name}`: {error}")))?;
            Ok(Some(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
        };
        if self.max_attempts == Some(0) {
            return Err(ServiceError::Request("`max_attempts` must be at least 1".to_owned()));
        }
        if key.is_some_and(|key| key.is_empty() || key.len() > 200) {
            return Err(ServiceError::Request("the idempotency key must have 1 to 200 characters".to_owned()));
        }
        let delay = span("delay", &self.delay)?;
        let life = i64::try_from(settings.deadline.as_millis()).unwrap_or(i64::MAX);
        let life = span("deadline", &self.deadline)?.unwrap_or(life.saturating_add(delay.unwrap_or(0)));
        Ok(NewJob {
            id,
            route,
            start,
            inputs: Value::Object(self.inputs.clone()),
            priority: self.priority,
            not_before_ms: delay.map(|delay| now.saturating_add(delay)),
            deadline_ms: Some(now.saturating_add(life)),
            timeout_ms: span("timeout", &self.timeout)?,
            max_attempts: self.max_attempts.unwrap_or(settings.max_attempts),
            idempotency_key: key.map(str::to_owned),
        })
    }

    /// The route of a request and its first place.
    fn start(&self, settings: &Settings) -> Result<(String, Choice), ServiceError> {
        let known = |names: Vec<&str>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let route = match (&self.route, &self.backend) {
            (Some(_), Some(_)) => {
                return Err(ServiceError::Request("give `route` or `backend`, not both".to_owned()));
            }
            (None, Some(name)) => {
                let names = settings.backends.iter().map(|backend| backend.name.as_str());
                settings
                    .backend(name)
                    .ok_or_else(|| ServiceError::NoSuchBackend { name: name.clone(), known: known(names.collect()) })?;
                format!("{ONE_BACKEND}{name}")
            }
            (route, None) => route.clone().unwrap_or_else(|| "default".to_owned()),
        };
        let first = settings.places(&route).and_then(|places| places.into_iter().next());
        let first = first.ok_or_else(|| ServiceError::NoSuchRoute {
            name: route.clone(),
            known: known(settings.routes.iter().map(|route| route.name.as_str()).collect()),
        })?;
        Ok((route, Choice { backend: first.backend, profile: first.profile }))
    }

    /// This job again, with its saved inputs, changed where the request says so.
    pub(super) fn replaying(&self, old: NewJob) -> Self {
        let mut inputs = old.inputs.as_object().cloned().unwrap_or_default();
        inputs.extend(self.inputs.clone());
        let (route, backend) = match (&self.route, &self.backend, old.route.strip_prefix(ONE_BACKEND)) {
            (None, None, Some(backend)) => (None, Some(backend.to_owned())),
            (None, None, None) => (Some(old.route), None),
            (route, backend, _) => (route.clone(), backend.clone()),
        };
        let timeout = old.timeout_ms.map(|ms| format!("{ms}ms"));
        Self {
            route,
            backend,
            inputs,
            timeout: self.timeout.clone().or(timeout),
            max_attempts: self.max_attempts.or(Some(old.max_attempts)),
            ..self.clone()
        }
    }
}
