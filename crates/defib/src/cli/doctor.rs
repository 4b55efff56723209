//! `defib doctor`: what this machine allows, and the command that would allow more.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use defib_core::run::RunId;
use defib_core::telling::size;
use defib_observe::machine::{self, Machine};
use defib_process::cgroup::{self, Tier};
use defib_store::State;
use serde_json::json;

use crate::present::style;

/// Python versions whose stacks can be read from outside.
const PYTHON: &str = "2.7 and 3.3 to 3.13";

/// Tell what this machine allows, and the command that would allow more
#[derive(Debug, Args)]
pub(super) struct Doctor {
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// One thing that was checked.
struct Check {
    name: &'static str,
    good: bool,
    finding: String,
    advice: Option<String>,
}

impl Doctor {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let machine = machine::read(Duration::from_secs(5));
        let checks = checks(&machine);
        if self.json {
            let list: Vec<_> = checks
                .iter()
                .map(|check| json!({ "name": check.name, "ok": check.good, "finding": check.finding, "advice": check.advice }))
                .collect();
            let all = json!({ "version": env!("CARGO_PKG_VERSION"), "machine": machine, "checks": list });
            writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&all)?)?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut out = anstream::stdout();
        for check in &checks {
            let (mark, look) = if check.good { ("✔", style::GOOD) } else { ("•", style::WARN) };
            writeln!(out, "{look}{mark}{look:#} {:<16} {}", check.name, check.finding)?;
            if let Some(advice) = &check.advice {
                writeln!(out, "  {:<16} {}{advice}{:#}", "", style::DIM, style::DIM)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn checks(machine: &Machine) -> Vec<Check> {
    vec![
        system(machine),
        state(),
        own_processes(machine),
        strangers(machine),
        groups(),
        memory_limit(),
        gpus(machine),
        pressure(machine),
        kernel_log(machine),
        shared_memory(machine),
        Check {
            name: "python",
            good: true,
            finding: format!("stacks of {PYTHON} can be read without stopping the program"),
            advice: None,
        },
    ]
}

fn system(machine: &Machine) -> Check {
    let place = match (&machine.container, machine.wsl) {
        (Some(engine), _) => format!(", in a container ({engine})"),
        (None, true) => ", under WSL".to_owned(),
        (None, false) => String::new(),
    };
    let quota = machine.cpu_quota.map(|quota| format!(", {quota:.1} allowed")).unwrap_or_default();
    let finding = format!(
        "Linux {} on {}, {} cores{quota}, {} of {} memory free{place}",
        machine.kernel,
        machine.architecture,
        machine.cores,
        size(machine.memory_available_bytes),
        size(machine.memory_bytes)
    );
    Check { name: "machine", good: true, finding, advice: None }
}

fn state() -> Check {
    let opened = State::place(|name| std::env::var(name).ok()).and_then(|place| State::open(&place));
    match opened {
        Ok(state) => {
            Check { name: "state folder", good: true, finding: state.root().display().to_string(), advice: None }
        }
        Err(error) => Check { name: "state folder", good: false, finding: error.to_string(), advice: None },
    }
}

fn own_processes(machine: &Machine) -> Check {
    let good = machine.ptrace_scope.is_none_or(|scope| scope <= 1) || machine.can_trace_all;
    let scope = machine.ptrace_scope.map_or_else(|| "no Yama".to_owned(), |scope| format!("ptrace_scope {scope}"));
    let finding = if good {
        format!("waits and stacks of supervised programs can be read ({scope})")
    } else {
        format!("waits and stacks of supervised programs are hidden ({scope})")
    };
    let advice = (!good).then(|| "sudo sysctl kernel.yama.ptrace_scope=1".to_owned());
    Check { name: "defib run", good, finding, advice }
}

fn strangers(machine: &Machine) -> Check {
    let same_user = machine.ptrace_scope.is_none_or(|scope| scope == 0);
    let (good, finding, advice) = match (machine.can_trace_all, same_user) {
        (true, _) => (true, "every process can be looked at".to_owned(), None),
        (false, true) => (true, "your own processes can be looked at; those of others need sudo".to_owned(), None),
        (false, false) => (
            false,
            "only processes under defib run can be looked at; strangers need sudo".to_owned(),
            Some("sudo defib why PID, or: sudo sysctl kernel.yama.ptrace_scope=0".to_owned()),
        ),
    };
    Check { name: "defib why PID", good, finding, advice }
}

fn groups() -> Check {
    let (good, finding, advice) = match Tier::find() {
        Tier::Delegated { .. } => (true, "control groups v2 are delegated: limits and kill by group", None),
        Tier::Unified { .. } => (true, "a unified control group can be made: kill by group, no limits", None),
        Tier::Nothing => (
            false,
            "no control group is writable: processes are held by the shim alone, which suffices",
            Some("systemd-run --user --scope -p Delegate=yes defib run -- …".to_owned()),
        ),
    };
    Check { name: "control groups", good, finding: finding.to_owned(), advice }
}

/// Who can hold a memory limit, found out by making a group with one.
fn memory_limit() -> Check {
    let trial = RunId::from_entropy(u64::from(std::process::id()));
    let made = cgroup::memory_group(&trial, 1 << 30);
    cgroup::remove_groups(&trial);
    let finding = match &made {
        Ok(_) => "the kernel can hold --memory in a control group of the run".to_owned(),
        Err(error) => format!("--memory is polled: no control group with a limit can be made ({error})"),
    };
    let advice = made.is_err().then(|| "systemd-run --user --scope -p Delegate=yes defib run -- …".to_owned());
    Check { name: "memory limit", good: made.is_ok(), finding, advice }
}

fn gpus(machine: &Machine) -> Check {
    let gpus = &machine.gpus;
    let finding = match &gpus.absent {
        Some(why) => format!("none is watched: {why}"),
        None => format!("{} (driver {})", gpus.names.join(", "), gpus.driver.as_deref().unwrap_or("unknown")),
    };
    Check { name: "GPU", good: gpus.absent.is_none(), finding, advice: None }
}

fn pressure(machine: &Machine) -> Check {
    let finding = if machine.pressure { "/proc/pressure can be read" } else { "this kernel has no /proc/pressure" };
    Check { name: "pressure", good: machine.pressure, finding: finding.to_owned(), advice: None }
}

fn kernel_log(machine: &Machine) -> Check {
    let finding = if machine.kernel_log {
        "out-of-memory kills and crashes are read from the kernel log"
    } else {
        "the kernel log is hidden: an out-of-memory kill is known by its counter only"
    };
    let advice = (!machine.kernel_log).then(|| "sudo sysctl kernel.dmesg_restrict=0".to_owned());
    Check { name: "kernel log", good: machine.kernel_log, finding: finding.to_owned(), advice }
}

fn shared_memory(machine: &Machine) -> Check {
    const ENOUGH: u64 = 1 << 30;
    let (good, finding) = match (machine.shm_bytes, machine.shm_free_bytes) {
        (Some(all), Some(free)) => (all >= ENOUGH, format!("/dev/shm has {} free of {}", size(free), size(all))),
        _ => (false, "there is no /dev/shm".to_owned()),
    };
    let advice = (!good).then(|| "in a container: --shm-size=8g".to_owned());
    Check { name: "shared memory", good, finding, advice }
}
