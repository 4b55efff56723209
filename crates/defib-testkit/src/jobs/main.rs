//! No-op jobs through the queue and real workers: how many a second, and how long one takes.
//!
//! `bench/jobs` calls this beside its peers. One JSON line on standard output:
//! `{"jobs","seconds","per_second","p50_ms","p99_ms"}`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use clap::{Parser, Subcommand};
use defib_engine::jobs::{BackendSettings, Checks, Kind, Request, Route, Service, Settings};
use defib_engine::session::MemoryPlan;
use defib_store::State;
use serde_json::{Map, Value, json};

/// Longest time for anything here.
const LIMIT: Duration = Duration::from_secs(300);
/// Threads that hand in jobs.
const CLIENTS: usize = 16;
/// The predictor.
const NOOP: &str = "class Predictor:\n    def predict(self, x: int = 0):\n        return x\n";

#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// All jobs at once
    Throughput {
        #[arg(long, default_value_t = 4000)]
        jobs: usize,
        #[arg(long, default_value_t = 2)]
        workers: usize,
    },
    /// One after the other, or so many a second whatever the answers take
    Latency {
        #[arg(long, default_value_t = 1000)]
        jobs: usize,
        #[arg(long)]
        rate: Option<f64>,
        #[arg(long, default_value_t = 2)]
        workers: usize,
    },
    /// One after the other, over HTTP from a `defib serve` beside this program
    Http {
        #[arg(long, default_value_t = 1000)]
        jobs: usize,
        #[arg(long, default_value_t = 2)]
        workers: usize,
    },
}

fn main() -> ExitCode {
    // Shims and probes of the workers are this binary again.
    match std::env::args_os().nth(1).as_deref().and_then(std::ffi::OsStr::to_str) {
        Some("__shim") => return defib_process::shim_main(),
        Some(defib_observe::PROBE_ARGUMENT) => return defib_observe::probe_main(),
        _ => {}
    }
    let measured = match Arguments::parse().what {
        What::Throughput { jobs, workers } => throughput(jobs, workers),
        What::Latency { jobs, rate, workers } => latency(jobs, rate, workers),
        What::Http { jobs, workers } => http(jobs, workers),
    };
    match measured {
        Ok(figures) => {
            say(&figures.to_string());
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "the figures are what it is for")]
fn say(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "a tool of developers")]
fn complain(error: &anyhow::Error) {
    eprintln!("jobs: {error:#}");
}

/// A service with no-op workers, and when each of its jobs was over.
struct Bench {
    service: Arc<Service>,
    over: Receiver<(String, Instant)>,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn start(workers: usize) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("predict.py"), NOOP)?;
        let state = State::open(&folder.path().join("state"))?;
        let service = Arc::new(Service::start(settings(folder.path(), workers), state, Arc::new(|_| {}))?);
        let (sender, over) = channel();
        let sender = Mutex::new(sender);
        service.on_end(move |job| {
            let now = Instant::now();
            let sender = sender.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let _ = sender.send((job.to_owned(), now));
        });
        let until = Instant::now() + LIMIT;
        while !service.backends()[0].seats.iter().all(|seat| seat.ready) {
            ensure!(Instant::now() < until, "the workers do not get ready");
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(Self { service, over, _folder: folder })
    }

    fn submit(&self, number: usize) -> anyhow::Result<String> {
        submit(&self.service, number)
    }

    /// The next job that is over.
    fn next(&self) -> anyhow::Result<(String, Instant)> {
        self.over.recv_timeout(LIMIT).context("no job ends any more")
    }

    /// Every job has its own result.
    fn check(&self, ids: &[String]) -> anyhow::Result<()> {
        for (number, id) in ids.iter().enumerate() {
            let job = self.service.job(id)?;
            let value = job.result.and_then(|result| result.values.get("output").and_then(Value::as_u64));
            ensure!(value == Some(number as u64), "job {number} has the result {value:?}");
        }
        Ok(())
    }
}

fn submit(service: &Service, number: usize) -> anyhow::Result<String> {
    let request = Request { inputs: Map::from_iter([("x".to_owned(), number.into())]), ..Request::default() };
    Ok(service.submit(&request, None)?.id)
}

fn settings(folder: &Path, workers: usize) -> Settings {
    let backend = BackendSettings {
        name: "noop".to_owned(),
        kind: Kind::Worker {
            predictor: folder.join("predict.py:Predictor").display().to_string(),
            python: "python3".to_owned(),
            options: Map::new(),
        },
        workers,
        setup_timeout: LIMIT,
        predict_timeout: LIMIT,
        heartbeat_timeout: None,
        stall_after: None,
        profiles: Vec::new(),
        checks: Checks::default(),
        recycle_after: None,
        recycle_on_change: Vec::new(),
        memory: MemoryPlan::default(),
        gpus: Vec::new(),
        jobs_per_gpu: 1,
        env: Vec::new(),
        folder: folder.to_owned(),
    };
    Settings {
        backends: vec![backend],
        routes: vec![Route { name: "default".to_owned(), backends: vec!["noop".to_owned()] }],
        remedies: HashMap::new(),
        most_queued: u64::MAX >> 1,
        max_attempts: 1,
        deadline: Duration::from_secs(3600),
        keep_jobs: Duration::from_secs(3600),
        keep_artifacts: Duration::from_secs(3600),
        retention: defib_store::Retention::default(),
        artifact_bytes: 1 << 30,
        largest_file: 1 << 30,
        only: None,
        warm: true,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        exe: PathBuf::from("/proc/self/exe"),
    }
}

/// Hands in all jobs from several threads, each after `wait`; number, id and time of each, in
/// their order.
fn from_clients(
    service: &Service,
    jobs: usize,
    wait: impl Fn(usize) + Sync,
) -> anyhow::Result<Vec<(usize, String, Instant)>> {
    let one = |client: usize| -> anyhow::Result<Vec<(usize, String, Instant)>> {
        let mine = (client..jobs).step_by(CLIENTS).map(|number| {
            wait(number);
            let at = Instant::now();
            Ok((number, submit(service, number)?, at))
        });
        mine.collect()
    };
    let mut all = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CLIENTS).map(|client| scope.spawn(move || one(client))).collect();
        let told = threads.into_iter().map(|thread| thread.join().map_err(|_| anyhow::anyhow!("a client panicked"))?);
        told.collect::<anyhow::Result<Vec<_>>>()
    })?
    .concat();
    all.sort_by_key(|(number, ..)| *number);
    Ok(all)
}

fn throughput(jobs: usize, workers: usize) -> anyhow::Result<Value> {
    let bench = Bench::start(workers)?;
    let begun = Instant::now();
    let all = from_clients(&bench.service, jobs, |_| {})?;
    let mut last = begun;
    let mut ends = HashMap::new();
    for _ in 0..jobs {
        let (id, at) = bench.next()?;
        last = last.max(at);
        ends.insert(id, at);
    }
    let took = all.iter().filter_map(|(_, id, from)| Some(ends.get(id)?.duration_since(*from))).collect();
    let ids: Vec<String> = all.into_iter().map(|(_, id, _)| id).collect();
    bench.check(&ids)?;
    figures(jobs, last - begun, took)
}

fn latency(jobs: usize, rate: Option<f64>, workers: usize) -> anyhow::Result<Value> {
    let bench = Bench::start(workers)?;
    let begun = Instant::now();
    let (mut ids, mut took) = (Vec::new(), Vec::new());
    match rate {
        None => {
            for number in 0..jobs {
                let from = Instant::now();
                ids.push(bench.submit(number)?);
                took.push(bench.next()?.1 - from);
            }
        }
        Some(rate) if rate > 0.0 => {
            // By the clock: a client that lags behind does not make answers look fast. Each
            // hand-in waits for the disk, so several clients share them.
            let due = |number: usize| begun + Duration::from_secs_f64(number as f64 / rate);
            ids = from_clients(&bench.service, jobs, |number| {
                std::thread::sleep(due(number).saturating_duration_since(Instant::now()));
            })?
            .into_iter()
            .map(|(_, id, _)| id)
            .collect();
            let numbers: HashMap<&String, usize> = ids.iter().enumerate().map(|(number, id)| (id, number)).collect();
            for _ in 0..jobs {
                let (id, at) = bench.next()?;
                let number = numbers.get(&id).context("a job that nobody handed in")?;
                took.push(at.saturating_duration_since(due(*number)));
            }
        }
        Some(rate) => bail!("--rate must be above 0, not {rate}"),
    }
    let seconds = begun.elapsed();
    bench.check(&ids)?;
    figures(jobs, seconds, took)
}

/// A server that is ended with this program.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn http(jobs: usize, workers: usize) -> anyhow::Result<Value> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("predict.py"), NOOP)?;
    let config = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[[backend]]\nname = \"noop\"\nkind = \"worker\"\n\
         predictor = \"predict.py:Predictor\"\nworkers = {workers}\n"
    );
    std::fs::write(folder.path().join("defib.toml"), config)?;
    let program = std::env::current_exe()?.with_file_name("defib");
    ensure!(program.is_file(), "{} is not built", program.display());
    let state = folder.path().join("state");
    let server = Command::new(program)
        .arg("serve")
        .current_dir(folder.path())
        .env("DEFIB_STATE", &state)
        .env_remove("DEFIB_TOKEN")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start the server")?;
    let _server = Server(server);
    let until = Instant::now() + LIMIT;
    let url = loop {
        let told =
            std::fs::read(state.join("server.json")).ok().and_then(|text| serde_json::from_slice::<Value>(&text).ok());
        if let Some(url) = told.as_ref().and_then(|told| told["url"].as_str()) {
            break url.to_owned();
        }
        ensure!(Instant::now() < until, "the server does not start");
        std::thread::sleep(Duration::from_millis(20));
    };
    let client = reqwest::blocking::Client::builder().timeout(LIMIT).no_proxy().build()?;
    while !client.get(format!("{url}/healthz")).send()?.status().is_success() {
        ensure!(Instant::now() < until, "the workers do not get ready");
        std::thread::sleep(Duration::from_millis(20));
    }
    let begun = Instant::now();
    let mut took = Vec::new();
    for number in 0..jobs {
        let from = Instant::now();
        let body = json!({ "inputs": { "x": number } });
        let job: Value = client.post(format!("{url}/v1/jobs?wait=60s")).json(&body).send()?.json()?;
        took.push(from.elapsed());
        ensure!(job["result"]["values"]["output"] == number, "{job}");
    }
    figures(jobs, begun.elapsed(), took)
}

fn figures(jobs: usize, seconds: Duration, mut took: Vec<Duration>) -> anyhow::Result<Value> {
    ensure!(took.len() == jobs, "{} of {jobs} jobs ended", took.len());
    took.sort();
    let at = |share: f64| took[((jobs - 1) as f64 * share).round() as usize].as_secs_f64() * 1000.0;
    Ok(json!({
        "jobs": jobs,
        "seconds": seconds.as_secs_f64(),
        "per_second": jobs as f64 / seconds.as_secs_f64(),
        "p50_ms": at(0.5),
        "p99_ms": at(0.99),
    }))
}
