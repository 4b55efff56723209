//! The words between a worker and who gives it jobs: one JSON object a line.
//!
//! Version 1; `docs/python.md` has the table. Fields and messages are added, never changed
//! or removed; what is not known is passed over.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Version of the protocol.
pub(super) const PROTOCOL: u32 = 1;

/// To the worker.
#[derive(Debug, Serialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub(super) enum Ask<'a> {
    /// Load this class and call its `setup`.
    Setup { predictor: &'a str, options: &'a Map<String, Value> },
    /// Call `predict`.
    Predict {
        job: &'a str,
        attempt: u32,
        inputs: &'a Map<String, Value>,
        files: &'a BTreeMap<String, PathBuf>,
        out: &'a Path,
    },
    /// End.
    Shutdown,
}

/// From the worker.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub(super) enum Say {
    /// It is there.
    Hello {
        protocol: u32,
        #[serde(default)]
        python: String,
    },
    /// `setup` is done.
    Ready {
        /// Inputs of `predict`, by name.
        #[serde(default)]
        inputs: Value,
    },
    /// `setup` raised.
    SetupFailed { error: Raised },
    /// `predict` has returned.
    Done {
        #[serde(default)]
        job: String,
        #[serde(default)]
        attempt: u32,
        #[serde(default)]
        values: Value,
        #[serde(default)]
        outputs: Vec<Made>,
        #[serde(default)]
        nonfinite: Vec<String>,
    },
    /// `predict` raised.
    Failed {
        #[serde(default)]
        job: String,
        #[serde(default)]
        attempt: u32,
        error: Raised,
        #[serde(default)]
        poisoned: bool,
    },
    /// It lives.
    Heartbeat,
    /// What it is at.
    Stage {
        #[serde(default)]
        name: String,
    },
    /// How far it is.
    Progress {
        done: f64,
        #[serde(default)]
        total: Option<f64>,
    },
    /// What cannot be read, and why. Never sent.
    #[serde(skip)]
    Garbled(String),
    /// Something that a newer package says.
    #[serde(other)]
    Other,
}

/// An exception.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Raised {
    /// Its class.
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// Its text.
    #[serde(default)]
    pub(super) message: String,
    /// Where it was raised.
    #[serde(default)]
    pub(super) traceback: String,
}

/// A file.
#[derive(Debug, PartialEq, Deserialize)]
pub(super) struct Made {
    pub(super) name: String,
    pub(super) path: PathBuf,
    #[serde(default)]
    pub(super) media_type: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_has_its_form() {
        let options = Map::from_iter([("dtype".to_owned(), Value::from("float32"))]);
        let files = BTreeMap::from([("image".to_owned(), PathBuf::from("/in/a.png"))]);
        let asks = [
            Ask::Setup { predictor: "predict.py:Predictor", options: &options },
            Ask::Predict { job: "j1", attempt: 2, inputs: &options, files: &files, out: Path::new("/out") },
            Ask::Shutdown,
        ];
        let lines: Vec<String> = asks.iter().map(|ask| serde_json::to_string(ask).unwrap()).collect();
        assert_eq!(
            lines,
            [
                r#"{"do":"setup","predictor":"predict.py:Predictor","options":{"dtype":"float32"}}"#,
                r#"{"do":"predict","job":"j1","attempt":2,"inputs":{"dtype":"float32"},"files":{"image":"/in/a.png"},"out":"/out"}"#,
                r#"{"do":"shutdown"}"#,
            ]
        );
    }

    #[test]
    fn what_the_first_package_said_is_understood_for_ever() {
        let say = |line: &str| serde_json::from_str::<Say>(line).unwrap();
        assert_eq!(
            say(r#"{"is":"hello","protocol":1,"pid":7,"python":"3.11.2"}"#),
            Say::Hello { protocol: 1, python: "3.11.2".into() }
        );
        let done = say(
            r#"{"is":"done","job":"j1","attempt":1,"values":{"a":1},"outputs":[{"name":"o.png","path":"/o","media_type":"image/png"}],"took_s":0.1,"nonfinite":["a"]}"#,
        );
        assert!(matches!(done, Say::Done { attempt: 1, ref outputs, .. } if outputs.len() == 1), "{done:?}");
        let failed = say(
            r#"{"is":"failed","job":"j1","attempt":3,"error":{"type":"ValueError","message":"no","traceback":"…"},"poisoned":true}"#,
        );
        assert!(matches!(failed, Say::Failed { attempt: 3, poisoned: true, .. }), "{failed:?}");
        assert_eq!(
            say(r#"{"is":"progress","job":"j1","done":3,"total":null,"text":null}"#),
            Say::Progress { done: 3.0, total: None }
        );
        assert_eq!(say(r#"{"is":"stage","name":"loading"}"#), Say::Stage { name: "loading".into() });
        assert_eq!(say(r#"{"is":"heartbeat"}"#), Say::Heartbeat);
        assert_eq!(say(r#"{"is":"something-new","x":[1]}"#), Say::Other);
    }

    #[test]
    fn fuzz_control_lines() {
        const EXAMPLES: &[&[u8]] = &[
            br#"{"is":"hello","protocol":1,"pid":7,"python":"3.11.2"}"#,
            br#"{"is":"done","job":"j1","attempt":1,"values":{"a":1},"outputs":[{"name":"o","path":"/o","media_type":"a/b"}],"nonfinite":["a"]}"#,
            br#"{"is":"failed","job":"j1","attempt":3,"error":{"type":"E","message":"m","traceback":"t"},"poisoned":true}"#,
            br#"{"is":"progress","job":"j1","done":3,"total":null,"text":null}"#,
        ];
        defib_fuzz::fuzz("control_lines", EXAMPLES, |input| {
            // Whatever a predictor writes there: words of ours, or none.
            if let Ok(Say::Progress { done, .. }) = serde_json::from_slice::<Say>(input) {
                assert!(done.is_finite());
            }
        });
    }
}
