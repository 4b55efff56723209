//! What happened when: marks above the charts, and the same in words.

use defib_core::account::ending_words;
use defib_core::event::{Ending, Entry, Event};
use defib_core::telling::{seconds, sender_name, signal_name};

use super::{count, tell_within};

/// Marks shown in one lane; closer ones become one.
const MARKS: usize = 160;

/// A row of marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// Start, end, stops.
    Run,
    /// Stages the program reported.
    Stages,
    /// Progress it printed.
    Progress,
    /// Heartbeats.
    Heartbeats,
    /// Signals.
    Signals,
    /// Looks inside.
    Looks,
    /// What defib said.
    Notices,
}

impl Lane {
    /// All, in order.
    pub(super) const ALL: [Self; 7] = [Self::Run, Self::Stages, Self::Progress, Self::Heartbeats, Self::Signals, Self::Looks, Self::Notices];

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Run => "Run",
            Self::Stages => "Stages",
            Self::Progress => "Progress",
            Self::Heartbeats => "Heartbeats",
            Self::Signals => "Signals",
            Self::Looks => "Looks inside",
            Self::Notices => "Notices",
        }
    }
}

/// One thing that happened.
#[derive(Debug, Clone)]
pub(super) struct Happening {
    /// Where it is shown.
    pub(super) lane: Lane,
    /// When.
    pub(super) at_s: f64,
    /// Its mark.
    pub(super) glyph: &'static str,
    /// In words.
    pub(super) words: String,
}

/// All that happened, in order of time.
pub(super) fn happenings(entries: &[Entry]) -> Vec<Happening> {
    let one = |entry: &Entry| {
        let (lane, glyph, words) = happening(&entry.event)?;
        Some(Happening { lane, at_s: entry.at_s.max(0.0), glyph, words })
    };
    let mut all: Vec<Happening> = entries.iter().filter(|entry| entry.at_s.is_finite()).filter_map(one).collect();
    all.sort_by(|one, other| one.at_s.total_cmp(&other.at_s));
    all
}

fn happening(event: &Event) -> Option<(Lane, &'static str, String)> {
    Some(match event {
        Event::Started { pid, .. } => (Lane::Run, "▶", format!("started, pid {pid}")),
        Event::NotStarted { step, path, errno } => (Lane::Run, "✖", format!("could not {step} {} (errno {errno})", tell_within(path, 200))),
        Event::Stopped { signal } => (Lane::Run, "‖", format!("stopped by {}", signal_name(*signal))),
        Event::Continued => (Lane::Run, "▶", "goes on".to_owned()),
        Event::Restarted { number } => (Lane::Run, "↻", format!("started again, restart {number}")),
        Event::Ending(ending) => (Lane::Run, "✖", format!("defib {}", ending_words(ending))),
        Event::Exited { code, signal, core, .. } => (Lane::Run, "■", exit_words(*code, *signal, *core)),
        Event::TreeEnded { ended, survivors, .. } if *ended > 0 || *survivors > 0 => {
            (Lane::Run, "□", format!("the tree is ended: {ended} by defib, {survivors} left"))
        }
        Event::Stage { name } => (Lane::Stages, "◆", tell_within(name, 200)),
        Event::Heartbeat => (Lane::Heartbeats, "·", "heartbeat".to_owned()),
        Event::Progress { done, total, .. } => {
            let of = total.map(|total| format!(" of {total}")).unwrap_or_default();
            (Lane::Progress, "▮", format!("{done}{of}"))
        }
        Event::Look { look } => {
            let processes = look.processes.iter().filter(|process| process.in_tree).count();
            (Lane::Looks, "○", format!("looked at {} for {:.0} ms", count(processes, "process", "processes"), look.took_s * 1000.0))
        }
        Event::Signal { signal, sender, forwarded } => {
            let from = sender.as_ref().map(|sender| format!(" from {}", tell_within(&sender_name(sender), 200))).unwrap_or_default();
            let on = if *forwarded { ", passed on" } else { "" };
            (Lane::Signals, "▼", format!("{}{from}{on}", signal_name(*signal)))
        }
        Event::Notice { text } => (Lane::Notices, "!", tell_within(text, 400)),
        Event::Trouble { text } => (Lane::Notices, "?", tell_within(text, 400)),
        _ => return None,
    })
}

fn exit_words(code: Option<i32>, signal: Option<i32>, core: bool) -> String {
    let core = if core { ", a core was dumped" } else { "" };
    match (code, signal) {
        (_, Some(signal)) => format!("the program ended by {}{core}", signal_name(signal)),
        (Some(code), None) => format!("the program ended, exit {code}"),
        (None, None) => "the program ended".to_owned(),
    }
}

/// The marks of a lane, those too close together made one.
pub(super) fn marks(all: &[Happening], lane: Lane, end_s: f64) -> Vec<Happening> {
    let own: Vec<&Happening> = all.iter().filter(|one| one.lane == lane).collect();
    if own.len() <= MARKS {
        return own.into_iter().cloned().collect();
    }
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let width = (end_s / MARKS as f64).max(f64::MIN_POSITIVE);
    let same = |one: &&Happening, other: &&Happening| (one.at_s / width).floor() == (other.at_s / width).floor();
    let joined = own.chunk_by(same).map(|group| {
        let mut mark = group[group.len() - 1].clone();
        if group.len() > 1 {
            mark.words = format!("{} from {} to {}, last: {}", group.len(), super::clock(group[0].at_s), super::clock(mark.at_s), mark.words);
        }
        mark
    });
    joined.take(MARKS + 1).collect()
}

/// The time without movement that led to an end: from, to, in words.
pub(super) fn quiet(entries: &[Entry]) -> Option<(f64, f64, String)> {
    entries.iter().find_map(|entry| match &entry.event {
        Event::Ending(Ending::Stalled { quiet_s }) => Some((entry.at_s - quiet_s, entry.at_s, format!("nothing moved for {}", seconds(*quiet_s)))),
        Event::Ending(Ending::NoHeartbeat { limit_s }) => Some((entry.at_s - limit_s, entry.at_s, format!("no heartbeat for {}", seconds(*limit_s)))),
        _ => None,
    })
}
