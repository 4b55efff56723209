//! Runs the programs of `faults/`, with each left out in turn, and says how
//! often the answer is right: `bench/accuracy [--fit] [--again] [NAME…]`.
//! `--programs FOLDER` asks the same of programs that nobody of us knew.

mod baseline;
mod fit;
mod measure;
mod picture;
mod seen;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result};
use clap::Parser;
use defib_core::diagnose::diagnose;
use defib_testkit::corpus::{Program, Runner, programs};

use seen::Seen;

/// How often is the answer right?
#[derive(Debug, Parser)]
struct Options {
    /// Programs to take, by a part of their names; all without.
    names: Vec<String>,
    /// Take the programs of another folder, and judge them by the weights that defib
    /// ships with: how well answers carry over.
    #[arg(long, conflicts_with = "fit")]
    programs: Option<PathBuf>,
    /// Write the fitted weights into the program's source.
    #[arg(long)]
    fit: bool,
    /// Judge the runs that were kept the last time instead of running again.
    #[arg(long)]
    again: bool,
    /// Programs run at once.
    #[arg(long, default_value_t = 3)]
    jobs: usize,
    /// The defib to try.
    #[arg(long)]
    defib: Option<PathBuf>,
    /// Folder for the results; `bench/results` without, and none for `--programs`.
    #[arg(long)]
    results: Option<PathBuf>,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let defib = options.defib.clone().unwrap_or_else(|| target.join("release/defib"));
    let folder = options.programs.clone().unwrap_or_else(|| root.join("faults"));
    let mut corpus = programs(&folder).with_context(|| folder.display().to_string())?;
    let wanted = |program: &Program| {
        options.names.is_empty() || options.names.iter().any(|name| program.name.contains(name.as_str()))
    };
    corpus.retain(wanted);
    let kept = target.join(if options.programs.is_some() { "accuracy-other" } else { "accuracy" });
    fs::create_dir_all(&kept)?;
    // A build meanwhile must not change what is measured.
    let copy = fs::canonicalize(&kept)?.join("defib");
    if !options.again {
        fs::copy(&defib, &copy).with_context(|| defib.display().to_string())?;
    }
    let runner = Runner::new(copy, &target);
    let (all, untried) = see(&options, &runner, &corpus, &kept)?;
    if options.programs.is_some() {
        let shipped: Vec<_> = all.iter().map(|seen| seen.case.as_ref().map(diagnose)).collect();
        return report(&options, &measure::measure(&all, &shipped), &untried, options.results.as_deref());
    }
    let left_out = fit::left_out(&all);
    let measured = measure::measure(&all, &left_out.diagnoses);
    let results = options.results.clone().unwrap_or_else(|| root.join("bench/results"));
    report(&options, &measured, &untried, Some(&results))?;
    if options.fit {
        let weights = fit::fit(&all.iter().collect::<Vec<_>>(), left_out.prior, left_out.temperature);
        let path = root.join("crates/defib-core/data/weights.json");
        fs::write(&path, format!("{}\n", serde_json::to_string_pretty(&weights)?))?;
        say(&format!("weights of {} programs are written to {}", weights.programs, path.display()));
    }
    Ok(())
}

/// Prints the table, and keeps it where a folder is given.
fn report(
    options: &Options,
    measured: &measure::Measured,
    untried: &BTreeMap<String, String>,
    results: Option<&Path>,
) -> Result<()> {
    let text = measure::text(measured, untried, options.programs.is_none());
    if let Some(results) = results {
        fs::create_dir_all(results)?;
        picture::reliability(&measured.reliability, &results.join("reliability.svg"))?;
        fs::write(results.join("ACCURACY.md"), &text)?;
        fs::write(results.join("accuracy.json"), serde_json::to_vec_pretty(measured)?)?;
    }
    say(&text);
    Ok(())
}

/// Runs every program, or reads back what was kept of the last time.
fn see(
    options: &Options,
    runner: &Runner,
    corpus: &[Program],
    kept: &Path,
) -> Result<(Vec<Seen>, BTreeMap<String, String>)> {
    let next = AtomicUsize::new(0);
    let found: Mutex<Vec<Seen>> = Mutex::new(Vec::new());
    let untried: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.max(1) {
            scope.spawn(|| {
                while let Some(program) = corpus.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let folder = kept.join(program.name.replace('/', "__"));
                    match one(options, runner, program, &folder) {
                        Ok(seen) => push(&found, seen),
                        Err(error) => {
                            let mut untried = untried.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                            untried.insert(program.name.clone(), format!("{error:#}"));
                        }
                    }
                }
            });
        }
    });
    let mut found = found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok((found, untried.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)))
}

fn push(found: &Mutex<Vec<Seen>>, seen: Seen) {
    found.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(seen);
}

fn one(options: &Options, runner: &Runner, program: &Program, folder: &Path) -> Result<Seen> {
    if !options.again || !folder.join("ran.json").exists() {
        if let Some(need) = runner.lacks(&program.fault) {
            anyhow::bail!("this machine lacks {need}");
        }
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder)?;
        let ran = runner.run(program, folder)?;
        let wall_s = ran.wall.as_secs_f64();
        let text = serde_json::json!({ "report": ran.report, "exit": ran.exit, "wall_s": wall_s });
        fs::write(folder.join("ran.json"), serde_json::to_vec(&text)?)?;
    }
    let text = fs::read(folder.join("ran.json")).context("ran.json")?;
    let kept: serde_json::Value = serde_json::from_slice(&text)?;
    let ran = defib_testkit::corpus::Ran {
        report: kept["report"].clone(),
        exit: i32::try_from(kept["exit"].as_i64().unwrap_or(-1))?,
        wall: std::time::Duration::from_secs_f64(kept["wall_s"].as_f64().unwrap_or(0.0)),
    };
    seen::seen(program, folder, ran, options.again)
}

#[expect(clippy::print_stdout, reason = "the output of a measurement")]
fn say(text: &str) {
    println!("{text}");
}
