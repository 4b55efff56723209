//! A server with its state folder, and a client that waits with a deadline.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::blocking::multipart::{Form, Part};
use reqwest::blocking::{Client, Response};
use serde_json::{Value, json};

use super::support::{DEADLINE, Held, defib, wait_for};

/// The predictor of these tests.
pub(crate) const PREDICTOR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/jobs/predict.py");

/// A folder with configuration and state.
pub(crate) struct Place {
    pub(crate) folder: tempfile::TempDir,
}

impl Place {
    /// `backends` is TOML below the server's section; `PREDICTOR` stands for the predictor.
    pub(crate) fn new(server: &str, backends: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Self { folder };
        place.configure(server, backends);
        place
    }

    pub(crate) fn configure(&self, server: &str, backends: &str) {
        let backends = backends.replace("PREDICTOR", &format!("{PREDICTOR}:Predictor"));
        let text = format!("[server]\nlisten = \"127.0.0.1:0\"\n{server}\n{backends}");
        std::fs::write(self.path("defib.toml"), text).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// A command of defib in this place.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = defib(&self.state());
        command.current_dir(self.folder.path()).args(words).env_remove("DEFIB_TOKEN").env_remove("DEFIB_SERVER");
        command
    }

    pub(crate) fn serve(&self) -> Server {
        Server::start(self.command(&["serve"]))
    }
}

/// One worker backend with these further keys, named `local`.
pub(crate) fn local(keys: &str) -> String {
    format!("[[backend]]\nname = \"local\"\nkind = \"worker\"\npredictor = \"PREDICTOR\"\n{keys}\n")
}

/// A server with one worker backend.
pub(crate) fn started(keys: &str) -> (Place, Server) {
    let place = Place::new("", &local(keys));
    let server = place.serve();
    (place, server)
}

/// A server that runs.
pub(crate) struct Server {
    pub(crate) child: Held,
    pub(crate) url: String,
    pub(crate) http: Client,
}

impl Server {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = String::new();
        let url = loop {
            let Some(Ok(line)) = lines.next() else { unreachable!("the server ended: {said}") };
            if let Some((_, rest)) = line.split_once("listening on ") {
                break rest.split(',').next().unwrap().to_owned();
            }
            said.push_str(&line);
        };
        // Its later words go to the output of the test.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| eprintln!("{line}")));
        let http = Client::builder().timeout(DEADLINE).no_proxy().build().unwrap();
        Self { child: Held(child), url, http }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.0.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for its end; the exit status.
    pub(crate) fn ended(mut self) -> Option<i32> {
        let child: &mut Child = &mut self.child.0;
        let status = wait_for(DEADLINE, || child.try_wait().unwrap());
        status.expect("the server ends").code()
    }

    pub(crate) fn get(&self, path: &str) -> Response {
        self.http.get(format!("{}{path}", self.url)).send().unwrap()
    }

    pub(crate) fn json(&self, path: &str) -> Value {
        self.get(path).json().unwrap()
    }

    pub(crate) fn post(&self, body: &Value) -> Response {
        self.http.post(format!("{}/v1/jobs", self.url)).json(body).send().unwrap()
    }

    /// Hands in a job; its id.
    pub(crate) fn submit(&self, body: &Value) -> String {
        let response = self.post(body);
        let status = response.status();
        let job: Value = response.json().unwrap();
        assert_eq!(status, 202, "{job}");
        job["id"].as_str().unwrap().to_owned()
    }

    /// One that does this with further inputs.
    pub(crate) fn asks(&self, what: &str, inputs: Value) -> String {
        self.submit(&asked(what, inputs))
    }

    pub(crate) fn upload(&self, job: &Value, name: &str, file: &str, bytes: Vec<u8>) -> Response {
        let job = Part::text(job.to_string()).mime_str("application/json").unwrap();
        let form = Form::new().part("job", job).part(name.to_owned(), Part::bytes(bytes).file_name(file.to_owned()));
        self.http.post(format!("{}/v1/jobs", self.url)).multipart(form).send().unwrap()
    }

    pub(crate) fn job(&self, id: &str) -> Value {
        self.json(&format!("/v1/jobs/{id}"))
    }

    /// Waits for the end of a job.
    pub(crate) fn ends(&self, id: &str) -> Value {
        let over = |job: &Value| ["succeeded", "failed", "cancelled"].contains(&job["state"].as_str().unwrap());
        let job = wait_for(DEADLINE, || Some(self.job(id)).filter(over));
        job.unwrap_or_else(|| unreachable!("not over: {}", self.job(id)))
    }

    /// Waits until a job is at work in its process; the process id of that.
    pub(crate) fn at_work(&self, id: &str) -> i64 {
        let pid = wait_for(DEADLINE, || {
            let backends = self.json("/v1/backends");
            let seats = backends["backends"].as_array()?.iter().flat_map(|it| it["seats"].as_array().unwrap().clone());
            let pid = seats.filter(|seat| seat["job"] == id).find_map(|seat| seat["pid"].as_i64());
            pid.filter(|_| self.job(id)["stage"] != "setup")
        });
        pid.expect("it is at work")
    }

    /// Waits until every backend has a worker.
    pub(crate) fn ready(&self) {
        wait_for(DEADLINE, || self.get("/healthz").status().is_success().then_some(())).expect("it gets ready");
    }

    pub(crate) fn events(&self, id: &str, after: &str) -> Vec<(String, String, Value)> {
        let url = format!("{}/v1/jobs/{id}/events", self.url);
        let text = self.http.get(url).header("last-event-id", after).send().unwrap().text().unwrap();
        text.split("\n\n").filter(|block| block.contains("event:")).map(event).collect()
    }
}

/// Id, kind and data.
fn event(block: &str) -> (String, String, Value) {
    let field = |name: &str| {
        let lines = block.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        lines.map(str::trim).next().unwrap_or_default().to_owned()
    };
    (field("id"), field("event"), serde_json::from_str(&field("data")).unwrap())
}

pub(crate) fn asked(what: &str, inputs: Value) -> Value {
    let mut all = json!({ "what": what });
    all.as_object_mut().unwrap().extend(inputs.as_object().cloned().unwrap_or_default());
    json!({ "inputs": all })
}

/// This job, but with one attempt.
pub(crate) fn once(what: &str, inputs: Value) -> Value {
    let mut job = asked(what, inputs);
    job["max_attempts"] = json!(1);
    job
}

pub(crate) fn outcomes(job: &Value) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let attempts = job["attempts"].as_array().unwrap().iter();
    attempts.map(|it| (text(&it["backend"]), text(&it["profile"]), text(&it["outcome"]))).collect()
}

/// No live process has this id.
pub(crate) fn gone(pid: i64) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.is_empty() || stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with(['Z', 'X']))
}

/// A file with these bytes.
pub(crate) fn file(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// Time that nothing here should take.
pub(crate) const LONG: Duration = Duration::from_secs(40);
