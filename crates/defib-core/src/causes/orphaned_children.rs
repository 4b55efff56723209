//! Descendants outlived their owner and hold memory, VRAM or a port.

use crate::case::Study;
use crate::cause::{Cause, Fact, Finding};
use crate::facts::{Listener, Process, Target};
use crate::telling::{cut, process_name, seconds, short_command, told};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "orphaned-children",
    title: "Left-over processes hold what it needs",
    what: "Processes of an earlier owner outlived it and hold memory, GPU memory or a port.",
    settled_by: "An identity recorded when they were started (start time, session, control group, cookie); never name, age, size or a parent of 1.",
    taken_for: "a VRAM leak",
    by_hand: &["pstree -p; ss -ltnp; nvidia-smi: whose parent is 1? (that alone proves nothing)"],
    remedies: &["end them by identity: defib orphans", "start children in a group that ends with their parent"],
    remedy: Remedy::Fresh,
    judge,
};

fn judge(study: &Study<'_>) -> Option<Finding> {
    let (told, _) = told(study, &super::port_in_use::SENTENCE)?;
    let finding = by_tree(study).or_else(|| by_cookie(study))?;
    let mut finding = finding.place(told.place());
    finding.facts.push(crate::telling::quoted(&told.text()));
    Some(finding)
}

/// The port is held by a process of this very run whose parent has gone.
fn by_tree(study: &Study<'_>) -> Option<Finding> {
    let relay = study.case.relay?;
    let look = study.case.looks.last()?;
    let orphan = look.processes.iter().find(|process| {
        process.in_tree && process.ppid == relay && process.pid != study.case.root && !listening(process).is_empty()
    })?;
    let parent = study.case.lifetimes.iter().rev().find(|life| life.gone_s <= look.at_s && life.ppid != orphan.pid);
    let name = process_name(orphan);
    let ports: Vec<String> = listening(orphan).iter().map(ToString::to_string).collect();
    let mut facts = vec![Fact::new("descriptors", format!("{name} listens on port {} and its parent is gone: it belongs to the run's own shim now", ports.join(", "))).of(orphan.pid)];
    facts.extend(parent.map(|life| Fact::new("exit", format!("{} (pid {}) had ended before, after {}", cut(&life.command, 80), life.pid, seconds(life.lived_s))).of(life.pid)));
    let explanation = format!("{name} outlived the process that started it and still holds port {}", ports.join(", "));
    Some(
        Finding::proof(explanation, facts)
            .rank(4)
            .step("end the whole group of the earlier process, not only its first one: start it with start_new_session=True and end it with os.killpg")
            .step("or let the child end with its parent: prctl(PR_SET_PDEATHSIG), or a pipe whose end it watches"),
    )
}

/// The port is held by a process that an earlier run of defib started.
fn by_cookie(study: &Study<'_>) -> Option<Finding> {
    let listener: &Listener = study.case.kernel.listeners.iter().find(|listener| listener.run.is_some())?;
    let run = listener.run.clone()?;
    let name = format!("{} (pid {})", short_command(&listener.command), listener.pid);
    let facts = vec![Fact::new("kernel", format!("{name} listens on port {}, has lived {}, and carries the mark of run {run}", listener.port, seconds(listener.lived_s))).of(listener.pid)];
    Some(
        Finding::proof(format!("{name}, left over from the earlier run {run}, still holds port {}", listener.port), facts)
            .rank(4)
            .step_command("end it", ["kill", &listener.pid.to_string()])
            .step_command("look for others", ["defib", "orphans"]),
    )
}

/// Ports this process listens on.
fn listening(process: &Process) -> Vec<u16> {
    let ports = process.descriptors.iter().filter_map(|descriptor| match &descriptor.target {
        Target::Socket { socket: Some(socket), .. } if socket.state == "listen" => socket.local.rsplit(':').next()?.parse().ok(),
        _ => None,
    });
    let mut ports: Vec<u16> = ports.collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}
