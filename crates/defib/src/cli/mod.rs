//! The command line: one file a command, named by its verb.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser, Subcommand};
use defib_store::State;

use crate::exit;

pub(crate) use memory::memory_plan;

mod causes;
mod doctor;
mod jobs;
mod logs;
mod memory;
mod orphans;
mod probe;
mod run;
mod runs;
mod schema;
mod serve;
mod show;
mod snapshot;
mod stop;
mod submit;
mod why;
mod worker;

/// Runs AI programs so that they cannot hang for ever, leak or be orphaned, and says why each one failed.
#[derive(Debug, Parser)]
#[command(name = "defib", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(Box<run::Run>),
    Why(why::Why),
    Probe(probe::Probe),
    Runs(runs::Runs),
    Show(show::Show),
    Logs(logs::Logs),
    Stop(stop::Stop),
    Orphans(orphans::Orphans),
    Snapshot(snapshot::Snapshot),
    Serve(serve::Serve),
    Worker(worker::Worker),
    Jobs(jobs::Jobs),
    Submit(Box<submit::Submit>),
    Causes(causes::Causes),
    Doctor(doctor::Doctor),
    Schema(schema::Schema),
    /// Print completions for a shell
    ///
    /// For example: defib completions bash > ~/.local/share/bash-completion/completions/defib
    Completions {
        /// Shell
        shell: clap_complete::Shell,
    },
}

/// Reads the command line and carries it out.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(exit::DEFIB_FAILED) } else { ExitCode::SUCCESS };
        }
    };
    let done = match cli.command {
        Command::Run(run) => run.execute(),
        Command::Why(why) => why.execute(),
        Command::Probe(probe) => probe.execute(),
        Command::Runs(runs) => runs.execute(),
        Command::Show(show) => show.execute(),
        Command::Logs(logs) => logs.execute(),
        Command::Stop(stop) => stop.execute(),
        Command::Orphans(orphans) => orphans.execute(),
        Command::Snapshot(snapshot) => snapshot.execute(),
        Command::Serve(serve) => serve.execute(),
        Command::Worker(worker) => worker.execute(),
        Command::Jobs(jobs) => jobs.execute(),
        Command::Submit(submit) => submit.execute(),
        Command::Causes(causes) => causes.execute(),
        Command::Doctor(doctor) => doctor.execute(),
        Command::Schema(schema) => schema.execute(),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "defib", &mut script);
            std::io::Write::write_all(&mut std::io::stdout(), &script).map(|()| ExitCode::SUCCESS).map_err(Into::into)
        }
    };
    match done {
        Ok(code) => code,
        // The reader of a listing went away (`| head`): nothing is wrong.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => exit::failed(&error),
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let source = error.downcast_ref::<std::io::Error>();
    source.is_some_and(|source| source.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Opens the state folder.
fn state() -> anyhow::Result<State> {
    let place = State::place(|name| std::env::var(name).ok())?;
    Ok(State::open(&place)?)
}

/// This program's own binary, which the shim and probes are started from.
pub(crate) fn own_binary() -> anyhow::Result<PathBuf> {
    // The link still works when the file was replaced by an update meanwhile.
    let link = PathBuf::from("/proc/self/exe");
    if link.exists() { Ok(link) } else { std::env::current_exe().context("cannot find defib's own binary") }
}
