//! From a journal to a case, and from a case to the report.
//!
//! A report is made from the journal and the kept output alone. So the report
//! of a run whose supervisor was killed is made by the same code, later.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::case::{Case, End, Lifetime, SignalSeen};
use crate::diagnose::diagnose;
use crate::event::{Ending, Entry, Event, Fate, Stream};
use crate::facts::{Look, Process, ProcessState, Vitals};
use crate::log::Log;
use crate::memory::Measure;
use crate::orphan::Holdings;
use crate::redact::{redact, redact_words};
use crate::report::{Action, Leftover, Outcome, OutcomeKind, REPORT_VERSION, Report, RunSummary};
use crate::slope::Units;
use crate::telling::{one_line, seconds, signal_name, size};
use crate::waits::{Grade, Graph, judge};

/// At most so many looks are compared.
pub const LOOKS: usize = 6;

/// What a journal says of itself: its first line, and where it ends.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Header {
    /// Run id.
    pub id: String,
    /// Command as given.
    pub command: Vec<String>,
    /// Working directory.
    pub cwd: String,
    /// Start, milliseconds since the Unix epoch.
    pub started_ms: u64,
    /// Seconds until the last event.
    pub wall_s: f64,
    /// The run is over.
    pub over: bool,
}

/// Reads the header of a journal.
#[must_use]
pub fn header(entries: &[Entry]) -> Header {
    let mut header = Header::default();
    for entry in entries {
        header.wall_s = header.wall_s.max(entry.at_s);
        match &entry.event {
            Event::Run { run, command, cwd, started_ms, .. } => {
                header.id = run.to_string();
                header.command.clone_from(command);
                header.cwd.clone_from(cwd);
                header.started_ms = *started_ms;
            }
            Event::TreeEnded { .. } | Event::NotStarted { .. } => header.over = true,
            _ => {}
        }
    }
    header
}

/// Collects the facts of a case from a journal. `log` is what was kept of the output.
#[must_use]
pub fn case(entries: &[Entry], log: Log) -> Case {
    let head = header(entries);
    let mut case =
        Case { command: head.command, cwd: head.cwd, log, end: End::Alive, wall_s: head.wall_s, ..Case::default() };
    let mut lives = Lives::default();
    for entry in entries {
        note(&mut case, &mut lives, entry);
    }
    if let (None, Some(ended_s)) = (&case.ending, lives.ended_s) {
        case.ending = answered(&case, ended_s);
    }
    case.units = std::mem::take(&mut lives.units).finish();
    if let (None, Some((limit_bytes, peak_bytes))) = (&case.ending, lives.held_down)
        && case.end != End::Exited(0)
    {
        // The kernel was faster than the samples, at the limit that the user gave.
        let used_bytes = peak_bytes.unwrap_or(limit_bytes).max(limit_bytes);
        let over = Ending::OverMemory { limit_bytes, used_bytes, measure: None, recycle: false };
        case.ending = Some((case.wall_s, over));
    }
    if case.end == End::Alive && head.over {
        case.end = End::Unknown;
    }
    case.lifetimes = lives.ended(&case.looks);
    let root = case.root;
    let ending_s = case.ending.as_ref().map(|(at_s, _)| *at_s);
    case.looks.retain(|look| shows_work(look, root, ending_s));
    match stalled_while_ending(&case) {
        Some((asked_s, cancelled)) => {
            case.looks = looks_of_cancelled(&case, asked_s);
            case.ending = Some(cancelled);
        }
        None => case.looks = last_looks(std::mem::take(&mut case.looks), case.ending.as_ref()),
    }
    case.moving = moved(&case);
    case
}

fn note(case: &mut Case, lives: &mut Lives, entry: &Entry) {
    match &entry.event {
        Event::Run { pty, .. } => case.pty = *pty,
        Event::Shim { pid, .. } => case.relay = Some(*pid),
        Event::Started { pid, .. } => {
            case.root = *pid;
            lives.started_s = entry.at_s;
        }
        Event::NotStarted { errno, step, path } => {
            case.end = End::NotStarted { errno: *errno, step: step.clone(), path: path.clone() };
        }
        Event::Output { stream, bytes } => {
            let first = case.output_s.map_or(entry.at_s, |(first, _)| first);
            case.output_s = Some((first, entry.at_s));
            case.output_bytes = lives.count(*stream, *bytes);
        }
        Event::StreamEnded { stream, bytes, .. } => case.output_bytes = lives.count(*stream, *bytes),
        Event::Stage { name } => case.stage = Some(name.clone()),
        Event::Progress { done, total, .. } => {
            case.progress = Some((*done, *total, entry.at_s));
            lives.units.progress(entry.at_s, *done);
        }
        Event::Heartbeat => lives.units.heartbeat(entry.at_s),
        Event::Objects { objects } => case.objects.push(objects.clone()),
        Event::GroupEnded { limit_bytes, peak_bytes, kills } if *kills > 0 => {
            lives.held_down = Some((*limit_bytes, *peak_bytes));
        }
        Event::Sample { vitals } => case.vitals.push(vitals.clone()),
        Event::Look { look } => case.looks.push(look.clone()),
        Event::Gone { pid, ppid, command, lived_s, wait_status } => lives.gone.push(Lifetime {
            pid: *pid,
            command: command.join(" "),
            lived_s: *lived_s,
            ppid: *ppid,
            gone_s: entry.at_s,
            wait_status: *wait_status,
        }),
        Event::Signal { signal, sender, .. } => {
            case.signals.push(SignalSeen { at_s: entry.at_s, signal: *signal, sender: sender.clone() });
        }
        Event::Ending(ending) => {
            // The first reason is the reason; what follows hastens the end.
            case.ending.get_or_insert_with(|| (entry.at_s, ending.clone()));
        }
        Event::Exited { code, signal, .. } => {
            case.wall_s = entry.at_s;
            lives.ended_s = Some(entry.at_s);
            case.end = match (signal, code) {
                (Some(signal), _) => End::Signaled(*signal),
                (None, Some(code)) => End::Exited(*code),
                (None, None) => End::Unknown,
            };
        }
        Event::Kernel(kernel) => case.kernel = kernel.clone(),
        _ => {}
    }
}

/// The program ended soon after a signal that asks for an end was passed on to it.
fn answered(case: &Case, ended_s: f64) -> Option<(f64, Ending)> {
    const SOON_S: f64 = 15.0;
    let last = case.signals.iter().rev().find(|seen| [1, 2, 15].contains(&seen.signal))?;
    // A key that was typed is written down a moment after it took effect.
    let soon = (-0.5..SOON_S).contains(&(ended_s - last.at_s));
    soon.then(|| (last.at_s, Ending::Cancelled { signal: last.signal, sender: last.sender.clone() }))
}

/// It was asked to end, and then stood still until patience was over: when it was
/// asked, and the ending that this is.
fn stalled_while_ending(case: &Case) -> Option<(f64, (f64, Ending))> {
    let Some((at_s, Ending::Stalled { quiet_s })) = &case.ending else { return None };
    let asked = case.signals.iter().find(|seen| [1, 2, 15].contains(&seen.signal))?;
    let first = asked.at_s < *at_s && at_s - quiet_s > asked.at_s - 0.5;
    let cancelled = Ending::Cancelled { signal: asked.signal, sender: asked.sender.clone() };
    first.then_some((asked.at_s, (*at_s, cancelled)))
}

/// Where it stood before it was asked to end, if it stood: that is why somebody gave
/// up. Else where it got stuck on its way out.
fn looks_of_cancelled(case: &Case, asked_s: f64) -> Vec<Look> {
    let (before, after): (Vec<Look>, Vec<Look>) = case.looks.iter().cloned().partition(|look| look.at_s <= asked_s);
    let before = last_looks(before, None);
    let graph = Graph::new(&before, case.relay).filter(|graph| graph.looks >= 2);
    let stood = graph.is_some_and(|graph| judge(&graph, case.root, false).grade >= Grade::Probable);
    if stood || after.is_empty() { before } else { last_looks(after, case.ending.as_ref()) }
}

/// What is summed up while reading: bytes of each stream, lifetimes of processes.
#[derive(Default)]
struct Lives {
    started_s: f64,
    ended_s: Option<f64>,
    output: HashMap<Stream, u64>,
    gone: Vec<Lifetime>,
    units: Units,
    /// The kernel killed at the limit of the run's own group: limit and peak.
    held_down: Option<(u64, Option<u64>)>,
}

impl Lives {
    /// Bytes of all streams, when one has reached `bytes`.
    fn count(&mut self, stream: Stream, bytes: u64) -> u64 {
        let known = self.output.entry(stream).or_default();
        *known = bytes.max(*known);
        self.output.values().sum()
    }

    /// Processes that ended during the run: those that the samples missed, and
    /// those that were seen in one look and are gone in a later one.
    fn ended(self, looks: &[Look]) -> Vec<Lifetime> {
        let mut seen: HashMap<(i32, u64), (f64, &Process)> = HashMap::new();
        for look in looks {
            for process in look.processes.iter().filter(|process| process.in_tree) {
                seen.insert((process.pid, process.start_ticks), (look.at_s, process));
            }
        }
        let first_ticks = seen.keys().map(|(_, ticks)| *ticks).min().unwrap_or(0);
        let last_s = looks.last().map_or(0.0, |look| look.at_s);
        let mut gone = self.gone;
        for ((pid, ticks), (until, process)) in seen {
            let zombie = process.state == ProcessState::Zombie;
            let known = gone.iter_mut().find(|life| life.pid == pid);
            match known {
                Some(life) => life.wait_status = life.wait_status.or(process.wait_status),
                None if until < last_s || zombie => {
                    #[expect(clippy::cast_precision_loss, reason = "clock ticks of a run")]
                    let born = self.started_s + (ticks - first_ticks) as f64 / 100.0;
                    gone.push(Lifetime {
                        pid,
                        command: process.command.join(" "),
                        lived_s: until - born,
                        ppid: process.ppid,
                        gone_s: until,
                        wait_status: process.wait_status,
                    });
                }
                None => {}
            }
        }
        gone.sort_by(|one, other| one.gone_s.total_cmp(&other.gone_s));
        gone
    }
}

/// A look that came too late shows a tree that is being ended, or nothing.
fn shows_work(look: &Look, root: i32, ending_s: Option<f64>) -> bool {
    let late = ending_s.is_some_and(|ending_s| look.at_s > ending_s - 0.1);
    let root = look.processes.iter().find(|process| process.pid == root);
    let ended = root.is_none_or(|process| process.state == ProcessState::Zombie);
    !(look.processes.is_empty() || late && ended)
}

/// The looks that belong to the end: those of the quiet time, else the last few.
fn last_looks(looks: Vec<Look>, ending: Option<&(f64, Ending)>) -> Vec<Look> {
    let since = match ending {
        Some((at_s, Ending::Stalled { quiet_s })) => at_s - quiet_s,
        _ => f64::MIN,
    };
    let fitting: Vec<Look> = looks.iter().filter(|look| look.at_s >= since).cloned().collect();
    let mut chosen = if fitting.is_empty() { looks } else { fitting };
    drop_blind(&mut chosen);
    let surplus = chosen.len().saturating_sub(LOOKS);
    chosen.drain(..surplus);
    chosen
}

/// A look that was cut short before it came to the stacks hides those before it. What it
/// did weigh is kept.
fn drop_blind(looks: &mut Vec<Look>) {
    let stacks =
        |look: &Look| look.processes.iter().flat_map(|process| &process.threads).any(|thread| thread.python.is_some());
    let blind = |look: &Look| look.processes.iter().any(|process| process.python.is_some()) && !stacks(look);
    while let [.., before, last] = looks.as_mut_slice()
        && blind(last)
        && stacks(before)
    {
        for process in before.processes.iter_mut() {
            let later = last.process(process.pid);
            process.heap = process.heap.or_else(|| later?.heap);
            process.held_back = process.held_back.or_else(|| later?.held_back);
        }
        looks.pop();
    }
}

/// Did bytes or processes move between the first and the last look?
fn moved(case: &Case) -> bool {
    if matches!(case.ending, Some((_, Ending::Stalled { .. }))) {
        return false;
    }
    let (Some(first), Some(last)) = (case.looks.first(), case.looks.last()) else { return false };
    // Only the last looks, which stand close together, tell what moves now.
    let from = case.looks.len().checked_sub(3).map_or(first.at_s, |index| case.looks[index].at_s);
    let during: Vec<&Vitals> =
        case.vitals.iter().filter(|vitals| vitals.at_s >= from - 1.1 && vitals.at_s <= last.at_s + 1.0).collect();
    match (during.first(), during.last()) {
        (Some(one), Some(other)) if other.at_s > one.at_s => moves(one, other),
        _ => case.output_s.is_some_and(|(_, output)| output > from),
    }
}

/// Did anything but CPU time move between two samples?
#[must_use]
pub fn moves(one: &Vitals, other: &Vitals) -> bool {
    let grew = |before: u64, after: u64, least: u64| after.saturating_sub(before) > least;
    grew(one.output_bytes, other.output_bytes, 0)
        || grew(one.net_received, other.net_received, 0)
        || grew(one.net_sent, other.net_sent, 0)
        || grew(one.births, other.births, 0)
        || grew(one.read_bytes, other.read_bytes, 64 << 10)
        || grew(one.written_bytes, other.written_bytes, 64 << 10)
        || grew(one.read_chars, other.read_chars, 256 << 10)
        || grew(one.written_chars, other.written_chars, 4 << 10)
}

/// Takes obvious secrets out of everything a report quotes.
#[must_use]
pub fn redacted(mut report: Report) -> Report {
    let clean = |text: &mut String| {
        if let std::borrow::Cow::Owned(changed) = redact(text) {
            *text = changed;
        }
    };
    report.run.command = redact_words(&report.run.command);
    for cause in &mut report.causes {
        clean(&mut cause.explanation);
        for step in &mut cause.next_steps {
            clean(&mut step.say);
            step.command = step.command.take().map(|words| redact_words(&words));
        }
    }
    report.evidence.iter_mut().for_each(|evidence| clean(&mut evidence.says));
    report.actions.iter_mut().for_each(|action| clean(&mut action.did));
    report.leftovers.iter_mut().for_each(|leftover| clean(&mut leftover.command));
    report
}

/// Makes the report of a run, secrets taken out.
#[must_use]
pub fn report(entries: &[Entry], log: Log) -> Report {
    let head = header(entries);
    let case = case(entries, log);
    let diagnosis = diagnose(&case);
    let mut outcome = diagnosis.outcome;
    let gone = entries.iter().any(|entry| matches!(entry.event, Event::Ending(Ending::SupervisorGone)));
    if gone && outcome.kind == OutcomeKind::Failed {
        outcome.kind = OutcomeKind::Killed;
    }
    let mut vitals = vitals(&case, &outcome);
    vitals.extend(about_vitals(entries));
    redacted(Report {
        schema: REPORT_VERSION,
        run: RunSummary {
            id: head.id,
            command: head.command,
            cwd: head.cwd,
            started: timestamp(head.started_ms, 0.0),
            ended: (case.end != End::Alive).then(|| timestamp(head.started_ms, case.wall_s)).flatten(),
            wall_s: (case.wall_s * 1000.0).round() / 1000.0,
        },
        vitals,
        outcome,
        causes: diagnosis.causes,
        evidence: diagnosis.evidence,
        actions: actions(entries),
        leftovers: leftovers(entries),
        remains: entries.iter().rev().find_map(|entry| match &entry.event {
            Event::Remains(remains) => Some(remains.clone()),
            _ => None,
        }),
    })
}

/// Beginning of the line that says why no GPU is watched.
pub const NO_GPU: &str = "no GPU is watched";

/// What the journal says of vital signs besides their values: that line, and who holds
/// the memory limit.
fn about_vitals(entries: &[Entry]) -> impl Iterator<Item = (String, Value)> {
    entries.iter().filter_map(|entry| match &entry.event {
        Event::MemoryHeld { limit_bytes, by } => {
            Some(("memory_limit".to_owned(), json!({ "bytes": limit_bytes, "held": by })))
        }
        Event::Trouble { text } if text.starts_with(NO_GPU) => Some(("gpus_absent".to_owned(), json!(text))),
        _ => None,
    })
}

/// Seconds after a start in milliseconds since the epoch, as RFC 3339 in UTC.
#[must_use]
pub fn timestamp(started_ms: u64, after_s: f64) -> Option<String> {
    #[expect(clippy::cast_possible_truncation, reason = "a run lasts less than 2^63 ms")]
    let millis = i64::try_from(started_ms).ok()? + (after_s * 1000.0) as i64;
    jiff::Timestamp::from_millisecond(millis).ok().map(|time| time.to_string())
}

/// Last values, peaks and sums, by name; units in the names.
fn vitals(case: &Case, outcome: &Outcome) -> Map<String, Value> {
    let mut map = Map::new();
    let peak = |of: fn(&Vitals) -> u64| case.vitals.iter().map(of).max().unwrap_or(0);
    map.insert("samples".into(), json!(case.vitals.len()));
    map.insert("output_bytes".into(), json!(case.output_bytes));
    map.insert("first_output_s".into(), json!(case.output_s.map(|(first, _)| first)));
    map.insert("last_output_s".into(), json!(case.output_s.map(|(_, last)| last)));
    if let Some(last) = case.vitals.last() {
        map.insert("cpu_s".into(), json!(last.cpu_s));
        map.insert("processes".into(), json!(last.processes));
        map.insert("processes_peak".into(), json!(peak(|vitals| u64::from(vitals.processes))));
        map.insert("threads_peak".into(), json!(peak(|vitals| u64::from(vitals.threads))));
        map.insert("rss_bytes".into(), json!(last.rss_bytes));
        map.insert("rss_peak_bytes".into(), json!(peak(|vitals| vitals.rss_bytes)));
        map.insert("pss_peak_bytes".into(), json!(case.vitals.iter().filter_map(|vitals| vitals.pss_bytes).max()));
        map.insert("read_bytes".into(), json!(last.read_bytes));
        map.insert("written_bytes".into(), json!(last.written_bytes));
        map.insert("net_received".into(), json!(last.net_received));
        map.insert("net_sent".into(), json!(last.net_sent));
        map.insert("births".into(), json!(last.births));
        map.insert("gpus".into(), json!(last.gpus));
    }
    if let Some((done, total, at_s)) = case.progress {
        map.insert("progress".into(), json!({ "done": done, "total": total, "at_s": at_s }));
    }
    map.extend(log_vitals(&case.log));
    map.insert("outcome".into(), json!(outcome.kind.name()));
    map
}

/// How much of the output was judged, where that is not all of it.
#[must_use]
pub fn log_vitals(log: &Log) -> Map<String, Value> {
    let left_out = log.left_out;
    let mut map = Map::new();
    if left_out.lines > 0 || left_out.unread_bytes > 0 {
        map.insert("log_lines".into(), json!(left_out.lines_read));
        map.insert("log_lines_passed_over".into(), json!(left_out.lines));
        map.insert("log_matches_passed_over".into(), json!(left_out.matches));
        map.insert("log_bytes_unread".into(), json!(left_out.unread_bytes));
    }
    map
}

/// What defib did, in words.
fn actions(entries: &[Entry]) -> Vec<Action> {
    let mut actions = Vec::new();
    let mut looks = Vec::new();
    for entry in entries {
        if let Event::Look { look } = &entry.event {
            looks.push(look.at_s);
        }
        if let Some(did) = action(&entry.event) {
            actions.push(Action { at_s: entry.at_s, did });
        }
    }
    if let Some(&last) = looks.last() {
        actions.push(Action { at_s: last, did: format!("looked inside {} times, without stopping it", looks.len()) });
    }
    actions.sort_by(|one, other| one.at_s.total_cmp(&other.at_s));
    actions
}

fn action(event: &Event) -> Option<String> {
    let text = match event {
        Event::Ending(ending) => ending_words(ending),
        Event::Signal { signal, forwarded: true, .. } => format!("passed {} on to the program", signal_name(*signal)),
        Event::Leftover { pid, command, fate: Fate::Ended, .. } => {
            format!("ended a leftover process: pid {pid} ({command})")
        }
        Event::Leftover { pid, command, fate: Fate::Allowed, .. } => {
            format!("left a daemon running, as asked: pid {pid} ({command})")
        }
        Event::Leftover { pid, command, fate: Fate::Survives, .. } => format!("could not end pid {pid} ({command})"),
        Event::TreeEnded { ended, survivors, took_s } if *ended > 0 || *survivors > 0 => {
            let processes = if *ended == 1 { "process" } else { "processes" };
            let left = if *survivors == 0 { "none left".to_owned() } else { format!("{survivors} left") };
            format!("ended {ended} {processes} in {:.0} ms, {left}", took_s * 1000.0)
        }
        Event::StreamEnded { stream, not_kept, reason, .. } if *not_kept > 0 => {
            let why = reason.as_deref().unwrap_or("log budget");
            format!("{not_kept} bytes of {} are not kept ({why}); all of it was passed on", stream.stem())
        }
        Event::Memory { decision } => format!("memory policy, {}: {}", decision.act.name(), decision.words()),
        Event::GroupEnded { limit_bytes, kills, .. } if *kills > 0 => {
            format!("the kernel killed at the limit of {} that the control group of the run had", size(*limit_bytes))
        }
        Event::SupervisorLost => "its supervisor was gone; it went on without one, as asked".to_owned(),
        Event::Adopted { .. } => "another supervisor took it over".to_owned(),
        Event::Restarted { number } => format!("started it again (restart {number})"),
        Event::Swept { run, pid, command, age_s, holdings, ended } => {
            let did = if *ended { "ended" } else { "could not end" };
            let held = swept_words(holdings);
            let age = seconds(*age_s);
            let command = one_line(command, 100);
            format!(
                "before the start: {did} pid {pid} ({command}), {age} old, which the earlier run {run} had left; {held}"
            )
        }
        Event::Notice { text } => format!("said: {text}"),
        Event::Trouble { text } if text.starts_with(NO_GPU) => return None,
        Event::Trouble { text } => text.clone(),
        _ => return None,
    };
    Some(text)
}

/// What a swept process held, in words.
fn swept_words(holdings: &Holdings) -> String {
    let memory = size(holdings.memory_bytes);
    let more = holdings.words();
    if more.is_empty() { format!("it held {memory}") } else { format!("it held {memory}, {more}") }
}

/// Why defib ended it, in words.
#[must_use]
pub fn ending_words(ending: &Ending) -> String {
    match ending {
        Ending::Stalled { quiet_s } => format!("ended it: nothing had moved for {}", seconds(*quiet_s)),
        Ending::TimedOut { limit_s } => format!("ended it: --timeout {} was over", seconds(*limit_s)),
        Ending::NoFirstOutput { limit_s } => format!("ended it: no output within --first-output {}", seconds(*limit_s)),
        Ending::NoHeartbeat { limit_s } => format!("ended it: no heartbeat within {}", seconds(*limit_s)),
        Ending::OverMemory { limit_bytes, used_bytes, measure: None | Some(Measure::Host), recycle: false } => {
            format!("ended it: it used {}, over --memory {}", size(*used_bytes), size(*limit_bytes))
        }
        Ending::OverMemory { limit_bytes, used_bytes, measure, recycle } => {
            let what = measure.unwrap_or(Measure::Host).words();
            let why = if *recycle { "ended it to start afresh" } else { "ended it" };
            format!("{why}: {what} was {}, over {}", size(*used_bytes), size(*limit_bytes))
        }
        Ending::Cancelled { signal, .. } => format!("ended it because of {}", signal_name(*signal)),
        Ending::StartSeen { sign, .. } => format!("ended it: it had started ({sign})"),
        Ending::StopRequested => "ended it, as defib stop asked".to_owned(),
        Ending::SupervisorGone => "ended it: its supervisor was gone".to_owned(),
    }
}

fn leftovers(entries: &[Entry]) -> Vec<Leftover> {
    let leftover = |entry: &Entry| match &entry.event {
        Event::Leftover { pid, command, state, wchan, fate } => Some(Leftover {
            pid: *pid,
            command: command.clone(),
            state: state.clone(),
            wchan: wchan.clone(),
            fate: match fate {
                Fate::Ended => "ended",
                Fate::Survives => "survives",
                Fate::Allowed => "allowed",
            }
            .to_owned(),
        }),
        _ => None,
    };
    entries.iter().filter_map(leftover).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Heap, PythonStack, Wait};
    use crate::waits::tests::process;

    fn look(at_s: f64, stacks: bool) -> Look {
        let mut python = process(10, 1, vec![Wait::Running]);
        python.python = Some("3.11".to_owned());
        python.threads[0].python = stacks.then(PythonStack::default);
        Look { at_s, root: 10, processes: vec![python], ..Look::default() }
    }

    #[test]
    fn a_look_without_stacks_does_not_hide_those_before_it() {
        let mut last = look(3.0, false);
        last.processes[0].heap = Some(Heap { bytes: 9, free_bytes: 5 });
        let looks = last_looks(vec![look(1.0, true), look(2.0, true), last], None);
        assert_eq!(looks.len(), 2);
        assert_eq!(looks[1].processes[0].heap, Some(Heap { bytes: 9, free_bytes: 5 }));
        // Where there never were stacks, nothing is hidden.
        assert_eq!(last_looks(vec![look(1.0, false), look(2.0, false)], None).len(), 2);
    }
}
