//! A program that is started for each job, with the job's inputs among its arguments.
//!
//! `{name}` stands for an input: its text, or the path of its file. `{out}` is the folder
//! whose files become outputs, `{inputs}` a JSON file with all inputs. Nothing goes through
//! a shell, and braces around anything but a name stay. What the program leaves in `values.json` becomes the values of the result, and
//! the end of its standard output is there as `stdout`.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use defib_core::case::Made;
use defib_core::event::{Ending, Stream};
use serde_json::{Map, Value};

use super::backend::{Backend, Condition, Done, Failed, MadeFile, Seat, Task};
use super::files::media_type;
use super::host::Host;
use super::judge::{self, Scene};
use crate::archive;
use crate::session::{Audience, Desk, Duty, Finished, Plan, Work, supervise_worker};

/// Standard output that becomes a value: its end, bytes.
const STDOUT_VALUE: u64 = 64 << 10;
/// File in the folder for outputs that holds values.
const VALUES: &str = "values.json";
/// Largest such file, bytes.
const LARGEST_VALUES: u64 = 16 << 20;

/// The backend.
pub(super) struct CommandBackend {
    host: Host,
    command: Vec<String>,
}

impl CommandBackend {
    pub(super) fn new(host: Host, command: &[String]) -> Self {
        Self { host, command: command.to_vec() }
    }
}

impl Backend for CommandBackend {
    fn seat(&self, number: usize) -> Box<dyn Seat> {
        Box::new(CommandSeat {
            host: self.host.clone(),
            command: self.command.clone(),
            number,
            jobs: 0,
            last: Scene::default(),
            folder: None,
        })
    }
}

struct CommandSeat {
    host: Host,
    command: Vec<String>,
    number: usize,
    jobs: u64,
    /// The last run.
    last: Scene,
    folder: Option<PathBuf>,
}

/// Passes on what the session says.
struct Listener<'a>(&'a Host);

impl Audience for Listener<'_> {
    fn notice(&mut self, text: &str) {
        self.0.tell(text);
    }
}

impl CommandSeat {
    fn plan(&self, task: &Task<'_>, command: Vec<String>, inputs: &Path) -> Plan {
        let mut env: Vec<_> = task.profile.iter().flat_map(|profile| profile.env.iter().cloned()).collect();
        env.push(("DEFIB_OUT".to_owned(), task.out.display().to_string()));
        env.push(("DEFIB_INPUTS".to_owned(), inputs.display().to_string()));
        self.host.plan(self.number, command, env)
    }

    fn run(&self, plan: &Plan, task: &Task<'_>) -> Result<Finished, Failed> {
        let (desk, duty) = (Desk::quiet(), Arc::new(Duty::default()));
        let left = task.deadline.map(|at| at.saturating_duration_since(Instant::now()));
        let limit = left.map_or(task.limit, |left| left.min(task.limit));
        let work = Work {
            what: format!("job {}", task.job),
            deadline: Instant::now() + limit,
            limit,
            heartbeat: None,
            output_from: HashMap::new(),
        };
        if !duty.begin(work) {
            return Err(Failed::stopped());
        }
        let orders = desk.clone();
        task.stop.on_stop(move || orders.order(Ending::StopRequested, Some(1.0)));
        let mut listener = Listener(&self.host);
        let finished = supervise_worker(&desk, None, &duty, plan, &self.host.state, &mut listener);
        task.stop.clear();
        let finished = finished.map_err(|error| Failed::new("unknown", error.to_string()))?;
        self.host.enter(&finished);
        Ok(finished)
    }
}

impl Seat for CommandSeat {
    fn work(&mut self, task: &Task<'_>) -> Result<Done, Failed> {
        let disk = |error: io::Error| Failed::of_system("the inputs cannot be written", &error);
        let mut all = task.inputs.clone();
        for (name, path) in task.files {
            all.insert(name.clone(), path.display().to_string().into());
        }
        fs::create_dir_all(task.out).map_err(disk)?;
        let inputs = task.out.with_file_name("inputs.json");
        fs::write(&inputs, Value::Object(all.clone()).to_string()).map_err(disk)?;
        all.insert("out".to_owned(), task.out.display().to_string().into());
        all.insert("inputs".to_owned(), inputs.display().to_string().into());
        let command: Vec<String> =
            self.command.iter().map(|word| filled(word, &all)).collect::<Result<_, String>>().map_err(|name| {
                Failed::new("request-rejected", format!("the command of this backend needs the input `{name}`"))
            })?;
        let plan = self.plan(task, command, &inputs);
        let finished = self.run(&plan, task)?;
        self.jobs += 1;
        let cwd = plan.cwd.display().to_string();
        self.last = Scene { command: plan.command, cwd, run: Some(finished.run.to_string()) };
        self.folder = Some(finished.folder.clone());
        if task.stop.why().is_some() && finished.status != 0 {
            return Err(Failed::stopped());
        }
        if finished.status != 0 {
            return Err(judge::of_end(&finished, "the job"));
        }
        collect(task.out, &finished)
    }

    /// Nothing of it is used again.
    fn quarantine(&mut self, _why: &str) {}

    fn judge_output(&self, _done: &Done, made: Made, words: &str) -> Failed {
        let printed = self.folder.as_ref().map(|folder| archive::readers_from(folder, &HashMap::new()));
        judge::of_output(&self.last, printed.unwrap_or_default(), made, words)
    }

    fn condition(&self) -> Condition {
        Condition { ready: true, run: self.last.run.clone(), jobs: self.jobs, ..Condition::default() }
    }

    fn close(&mut self, _within: Duration) {}
}

/// The word with inputs for their names; other braces stay as they are, and `{{name}}` is
/// `{name}`. The error is the missing name.
fn filled(word: &str, inputs: &Map<String, Value>) -> Result<String, String> {
    let mut text = String::new();
    let mut rest = word;
    while let Some(at) = rest.find('{') {
        let (before, from) = rest.split_at(at);
        text.push_str(before);
        let doubled = from[1..]
            .strip_prefix('{')
            .and_then(|from| name_in_braces(from))
            .filter(|(_, after)| after.starts_with('}'));
        if let Some((name, after)) = doubled {
            text.push_str(&format!("{{{name}}}"));
            rest = &after[1..];
        } else if let Some((name, after)) = name_in_braces(&from[1..]) {
            match inputs.get(name) {
                Some(Value::String(value)) => text.push_str(value),
                Some(value) => text.push_str(&value.to_string()),
                None => return Err(name.to_owned()),
            }
            rest = after;
        } else {
            text.push('{');
            rest = &from[1..];
        }
    }
    text.push_str(rest);
    Ok(text)
}

/// A name up to its closing brace, and what follows that.
fn name_in_braces(text: &str) -> Option<(&str, &str)> {
    let (name, after) = text.split_once('}')?;
    let sound = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_') && name.chars().all(sound))
        .then_some((name, after))
}

/// What the program left.
fn collect(out: &Path, finished: &Finished) -> Result<Done, Failed> {
    let wrong = |error: &dyn std::fmt::Display| Failed::new("unknown", format!("its outputs cannot be read: {error}"));
    let mut done = Done::default();
    let mut folders = vec![out.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(|error| wrong(&error))? {
            let entry = entry.map_err(|error| wrong(&error))?;
            let (path, kind) = (entry.path(), entry.file_type().map_err(|error| wrong(&error))?);
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() && path != out.join(VALUES) {
                let name = path.strip_prefix(out).unwrap_or(&path).display().to_string();
                let media_type = media_type(&name).to_owned();
                done.files.push(MadeFile { name, path, media_type });
            }
        }
    }
    done.files.sort_by(|one, other| one.name.cmp(&other.name));
    if let Some(text) = stdout(&finished.folder).filter(|text| !text.is_empty()) {
        done.values.insert("stdout".to_owned(), text.into());
    }
    let values = out.join(VALUES);
    if values.is_file() {
        let mut text = String::new();
        let file = fs::File::open(&values).map_err(|error| wrong(&error))?;
        file.take(LARGEST_VALUES).read_to_string(&mut text).map_err(|error| wrong(&error))?;
        match serde_json::from_str(&text) {
            Ok(Value::Object(fields)) => done.values.extend(fields),
            Ok(value) => drop(done.values.insert("output".to_owned(), value)),
            // Python writes NaN, which is no JSON.
            Err(_) if ["NaN", "Infinity"].iter().any(|text_of| text.contains(text_of)) => {
                done.nonfinite.push(VALUES.to_owned());
            }
            Err(error) => return Err(Failed::new("unknown", format!("its {VALUES} is no JSON: {error}"))),
        }
    }
    Ok(done)
}

/// The end of what the run printed.
fn stdout(folder: &Path) -> Option<String> {
    let mut file = fs::File::open(folder.join(format!("{}.log", Stream::Stdout.stem()))).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(io::SeekFrom::Start(length.saturating_sub(STDOUT_VALUE))).ok()?;
    let mut bytes = Vec::new();
    file.take(STDOUT_VALUE).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn inputs_stand_for_their_names() {
        let inputs = Map::from_iter([
            ("prompt".to_owned(), Value::from("a {steps} cat; rm -rf /")),
            ("steps".to_owned(), Value::from(4)),
        ]);
        assert_eq!(filled("--prompt={prompt}", &inputs).unwrap(), "--prompt=a {steps} cat; rm -rf /");
        assert_eq!(filled("{steps}/{{steps}}", &inputs).unwrap(), "4/{steps}");
        assert_eq!(filled("{seed}", &inputs), Err("seed".to_owned()));
        for code in ["a { b } c {", "{'a': 1}", "{}", "f\"{x!r}\"", "{{}}", "${1}"] {
            assert_eq!(filled(code, &inputs).unwrap(), code);
        }
    }

    proptest! {
        /// What is put in is never read again, and nothing else changes.
        #[test]
        fn inputs_are_put_in_as_they_are(value in ".{0,40}", before in "[^{]{0,20}", after in "[^{]{0,20}") {
            let inputs = Map::from_iter([("x".to_owned(), Value::from(value.clone()))]);
            prop_assert_eq!(filled(&format!("{before}{{x}}{after}"), &inputs), Ok(format!("{before}{value}{after}")));
        }
    }
}
