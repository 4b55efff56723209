//! `defib orphans`: what is left over, and its end.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use defib_core::orphan::Candidate;
use defib_core::redact::{redact, redact_words};
use defib_core::telling::one_line;
use defib_engine::orphans::{self, LeftOver, Listing};
use defib_process::process::{Process, boot_id};
use defib_process::sweep::{Proof, end_one};
use defib_store::State;
use serde_json::{Value, json};

use super::{own_binary, state};
use crate::present;
use defib_core::units;

/// Time between the request to end and the kill.
const GRACE: Duration = Duration::from_secs(2);

/// List processes that are left over, and end them
///
/// First those of earlier runs, proven by the signs every run gives its processes;
/// every start of a run ends these by itself. Then processes that defib did not start
/// and that look left over: the leader of their session is gone, their parent was
/// re-assigned, they have no terminal, and they hold a port or a GPU. For these the
/// evidence for and against is shown, and only --kill --pid ends one.
///
/// Exit status: 0, or 1 if something that was to be ended lives on.
#[derive(Debug, Args)]
pub(super) struct Orphans {
    /// End what earlier runs left; with --pid, that one process
    #[arg(long)]
    kill: bool,
    /// The one process to end
    #[arg(long, value_name = "PID", requires = "kill")]
    pid: Option<i32>,
    /// Its start time, as the list shows it [default: as last listed]
    #[arg(long, value_name = "TICKS", requires = "pid")]
    start: Option<u64>,
    /// End also what that process started
    #[arg(long, requires = "pid")]
    tree: bool,
    /// Time between the request to end and the kill [default: 2s]
    #[arg(long, value_name = "DURATION", value_parser = units::duration, requires = "kill")]
    grace: Option<Duration>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

impl Orphans {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let state = state()?;
        let listing = orphans::list(&state, &own_binary()?)?;
        match (self.kill, self.pid) {
            (false, _) => {
                state.remember_listed(&boot_id(), &identities(&listing));
                self.show(&listing)
            }
            (true, None) => self.kill_all(&state, listing),
            (true, Some(pid)) => self.kill_one(&state, listing, pid),
        }
    }

    fn show(&self, listing: &Listing) -> anyhow::Result<ExitCode> {
        if self.json {
            let text = serde_json::to_string_pretty(&as_json(listing))?;
            writeln!(std::io::stdout(), "{text}")?;
        } else {
            write!(anstream::stdout(), "{}", present::orphans::listing(listing))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn kill_all(&self, state: &State, listing: Listing) -> anyhow::Result<ExitCode> {
        let nothing = listing.orphans.is_empty();
        let swept = orphans::end(state, listing.orphans, self.grace.unwrap_or(GRACE));
        if self.json {
            let list = |all: &[LeftOver]| all.iter().map(orphan_json).collect::<Vec<Value>>();
            let told = json!({ "schema": 1, "ended": list(&swept.ended), "left": list(&swept.left) });
            writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&told)?)?;
        } else {
            let mut out = anstream::stdout();
            if nothing {
                writeln!(out, "no run has left anything")?;
            }
            for (did, all) in [("ended", &swept.ended), ("could not end", &swept.left)] {
                if !all.is_empty() {
                    writeln!(out, "{}", present::orphans::swept_line(did, all))?;
                }
            }
            if !listing.candidates.is_empty() {
                writeln!(
                    out,
                    "left alone: {} that defib did not start; defib orphans tells",
                    listing.candidates.len()
                )?;
            }
        }
        Ok(ExitCode::from(u8::from(!swept.left.is_empty())))
    }

    fn kill_one(&self, state: &State, listing: Listing, pid: i32) -> anyhow::Result<ExitCode> {
        if let Some(orphan) = listing.orphans.iter().find(|one| one.orphan.process.pid == pid) {
            let one = Listing { orphans: vec![orphan.clone()], ..Listing::default() };
            return self.kill_all(state, one);
        }
        let process = Process::look(pid).ok_or_else(|| anyhow!("there is no process {pid}"))?;
        let Some(candidate) = listing.candidates.iter().find(|candidate| candidate.standing.pid == pid) else {
            bail!(
                "pid {pid} ({}) does not look left over: its session, its parent, a terminal, a service or a \
                 container answers for it, or it holds neither a port nor a GPU; if you know better, kill {pid} ends it",
                present_command(&process.command())
            );
        };
        let listed = self.start.or_else(|| state.listed(&boot_id(), pid));
        match listed {
            None => bail!(
                "pid {pid} ({}) started at {}; say --start {} to end it, once defib orphans has shown you what it is",
                present_command(&process.command()),
                process.start_ticks,
                process.start_ticks
            ),
            Some(start) if start != process.start_ticks => bail!(
                "pid {pid} is another process by now ({}): it started at {}, not at {start}; defib orphans lists anew",
                present_command(&process.command()),
                process.start_ticks
            ),
            Some(_) => {}
        }
        self.end_candidate(candidate, &process)
    }

    fn end_candidate(&self, candidate: &Candidate, process: &Process) -> anyhow::Result<ExitCode> {
        if !self.json {
            let mut out = anstream::stdout();
            writeln!(out, "about to end this process{}:", if self.tree { " and what it started" } else { "" })?;
            write!(out, "{}", present::orphans::candidate(candidate))?;
            out.flush()?;
        }
        let begun = std::time::Instant::now();
        let left = end_one(process, self.tree, self.grace.unwrap_or(GRACE))
            .with_context(|| format!("cannot end pid {}", process.pid))?;
        let took_s = begun.elapsed().as_secs_f64();
        if self.json {
            let left: Vec<i32> = left.iter().map(|one| one.pid).collect();
            let told = json!({ "schema": 1, "ended": if left.contains(&process.pid) { vec![] } else {
                vec![candidate_json(candidate)] }, "left": left });
            writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&told)?)?;
        } else if left.is_empty() {
            writeln!(anstream::stdout(), "ended pid {} in {took_s:.1} s", process.pid)?;
        } else {
            let pids: Vec<String> = left.iter().map(|one| one.pid.to_string()).collect();
            writeln!(anstream::stdout(), "could not end pid {}", pids.join(", "))?;
        }
        Ok(ExitCode::from(u8::from(!left.is_empty())))
    }
}

fn present_command(command: &str) -> String {
    one_line(command, 60)
}

fn identities(listing: &Listing) -> Vec<(i32, u64)> {
    listing.candidates.iter().map(|one| (one.standing.pid, one.standing.start_ticks)).collect()
}

fn as_json(listing: &Listing) -> Value {
    json!({
        "schema": 1,
        "orphans": listing.orphans.iter().map(orphan_json).collect::<Vec<_>>(),
        "candidates": listing.candidates.iter().map(candidate_json).collect::<Vec<_>>(),
        "no_gpu": listing.no_gpu,
        "complete": !listing.incomplete,
    })
}

fn orphan_json(one: &LeftOver) -> Value {
    let proof = match one.orphan.proof {
        Proof::Environment => "environment",
        Proof::Mark => "mark",
    };
    let holdings = &one.holdings;
    json!({
        "pid": one.orphan.process.pid,
        "start_ticks": one.orphan.process.start_ticks,
        "age_s": one.age_s,
        "command": redact(&one.orphan.command),
        "run": one.orphan.run,
        "proof": proof,
        "memory_bytes": holdings.memory_bytes,
        "gpu_bytes": holdings.gpu_bytes(),
        "gpus": holdings.gpus,
        "ports": holdings.ports,
    })
}

fn candidate_json(one: &Candidate) -> Value {
    let standing = &one.standing;
    let holdings = &standing.holdings;
    let against: Vec<_> = one.against.iter().map(|text| redact(text)).collect();
    json!({
        "pid": standing.pid,
        "start_ticks": standing.start_ticks,
        "age_s": standing.age_s,
        "uid": standing.uid,
        "command": redact_words(&standing.command).join(" "),
        "session": standing.session,
        "parent": standing.parent,
        "memory_bytes": holdings.memory_bytes,
        "gpu_bytes": holdings.gpu_bytes(),
        "gpus": holdings.gpus,
        "ports": holdings.ports,
        "clients": standing.clients,
        "for": one.reasons.iter().map(|text| redact(text)).collect::<Vec<_>>(),
        "against": against,
    })
}
