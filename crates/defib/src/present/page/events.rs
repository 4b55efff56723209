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
    pub(super) const ALL: [Self; 7] =
        [Self::Run, Self::Stages, Self::Progress, Self::Heartbeats, Self::Signals, Self::Looks, Self::Notices];

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
#[derive(Debug, Clone, Copy)]
pub(super) struct Happening<'a> {
    /// Where it is shown.
    pub(super) lane: Lane,
    /// When.
    pub(super) at_s: f64,
    glyph: &'static str,
    event: &'a Event,
}

impl Happening<'_> {
    /// In words; a long run has more events than are ever told.
    pub(super) fn words(&self) -> String {
        words(self.event)
    }

    fn mark(&self) -> Mark {
        Mark { at_s: self.at_s, glyph: self.glyph, words: self.words() }
    }
}

/// A mark in a lane.
#[derive(Debug, Clone)]
pub(super) struct Mark {
    /// When.
    pub(super) at_s: f64,
    /// How it looks.
    pub(super) glyph: &'static str,
    /// In words.
    pub(super) words: String,
}

/// All that happened, in order of time.
pub(super) fn happenings(entries: &[Entry]) -> Vec<Happening<'_>> {
    let timed = entries.iter().filter(|entry| entry.at_s.is_finite());
    let one = |entry: &'_ Entry| placed(&entry.event).map(|(lane, glyph)| (entry.at_s.max(0.0), lane, glyph));
    let mut all: Vec<Happening<'_>> = timed
        .filter_map(|entry| one(entry).map(|(at_s, lane, glyph)| Happening { lane, at_s, glyph, event: &entry.event }))
        .collect();
    all.sort_by(|one, other| one.at_s.total_cmp(&other.at_s));
    all
}

/// Where an event is shown, and how.
fn placed(event: &Event) -> Option<(Lane, &'static str)> {
    Some(match event {
        Event::Started { .. } | Event::Continued => (Lane::Run, "▶"),
        Event::NotStarted { .. } | Event::Ending(_) => (Lane::Run, "✖"),
        Event::Stopped { .. } => (Lane::Run, "‖"),
        Event::Restarted { .. } | Event::Adopted { .. } => (Lane::Run, "↻"),
        Event::SupervisorLost => (Lane::Run, "?"),
        Event::Exited { .. } => (Lane::Run, "■"),
        Event::TreeEnded { ended, survivors, .. } if *ended > 0 || *survivors > 0 => (Lane::Run, "□"),
        Event::Stage { .. } => (Lane::Stages, "◆"),
        Event::Heartbeat => (Lane::Heartbeats, "·"),
        Event::Progress { .. } => (Lane::Progress, "▮"),
        Event::Look { .. } => (Lane::Looks, "○"),
        Event::Signal { .. } => (Lane::Signals, "▼"),
        Event::Notice { .. } => (Lane::Notices, "!"),
        Event::Swept { .. } => (Lane::Notices, "×"),
        Event::Trouble { .. } => (Lane::Notices, "?"),
        _ => return None,
    })
}

fn words(event: &Event) -> String {
    match event {
        Event::Started { pid, .. } => format!("started, pid {pid}"),
        Event::NotStarted { step, path, errno } => {
            format!("could not {} {} (errno {errno})", tell_within(step, 80), tell_within(path, 200))
        }
        Event::Stopped { signal } => format!("stopped by {}", signal_name(*signal)),
        Event::Continued => "goes on".to_owned(),
        Event::Restarted { number } => format!("started again, restart {number}"),
        Event::SupervisorLost => "the supervisor was gone; the run went on".to_owned(),
        Event::Adopted { pid } => format!("taken over by the supervisor with pid {pid}"),
        Event::Ending(ending) => format!("defib {}", ending_words(ending)),
        Event::Exited { code, signal, core, .. } => exit_words(*code, *signal, *core),
        Event::TreeEnded { ended, survivors, .. } => format!("the tree is ended: {ended} by defib, {survivors} left"),
        Event::Stage { name } => tell_within(name, 200),
        Event::Heartbeat => "heartbeat".to_owned(),
        Event::Progress { done, total, .. } => {
            format!("{done}{}", total.map(|total| format!(" of {total}")).unwrap_or_default())
        }
        Event::Look { look } => {
            let processes = look.processes.iter().filter(|process| process.in_tree).count();
            format!("looked at {} for {:.0} ms", count(processes, "process", "processes"), look.took_s * 1000.0)
        }
        Event::Signal { signal, sender, forwarded } => {
            let from = sender
                .as_ref()
                .map(|sender| format!(" from {}", tell_within(&sender_name(sender), 200)))
                .unwrap_or_default();
            format!("{}{from}{}", signal_name(*signal), if *forwarded { ", passed on" } else { "" })
        }
        Event::Notice { text } | Event::Trouble { text } => tell_within(text, 400),
        Event::Swept { run, pid, command, .. } => {
            format!("pid {pid} ({}) of the earlier run {run} was left over", tell_within(command, 100))
        }
        _ => String::new(),
    }
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
pub(super) fn marks(all: &[Happening<'_>], lane: Lane, end_s: f64) -> Vec<Mark> {
    let own: Vec<&Happening<'_>> = all.iter().filter(|one| one.lane == lane).collect();
    if lane == Lane::Run {
        return together(&own, end_s);
    }
    if own.len() <= MARKS {
        return own.into_iter().map(Happening::mark).collect();
    }
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let width = (end_s / MARKS as f64).max(f64::MIN_POSITIVE);
    let same =
        |one: &&Happening<'_>, other: &&Happening<'_>| (one.at_s / width).floor() == (other.at_s / width).floor();
    let joined = own.chunk_by(same).map(|group| {
        let mut mark = group[group.len() - 1].mark();
        if group.len() > 1 {
            mark.words = format!(
                "{} from {} to {}, last: {}",
                group.len(),
                super::clock(group[0].at_s),
                super::clock(mark.at_s),
                mark.words
            );
        }
        mark
    });
    joined.take(MARKS + 1).collect()
}

/// Marks that would cover each other as one: the end of a run is several
/// events within milliseconds. The one that tells why it ended gives its mark.
fn together(own: &[&Happening<'_>], end_s: f64) -> Vec<Mark> {
    let mut joined: Vec<Mark> = Vec::new();
    for one in own.iter().map(|one| one.mark()) {
        match joined.last_mut() {
            Some(last) if one.at_s - last.at_s < end_s * 0.012 => {
                if last.glyph != "✖" && one.glyph != "□" {
                    last.glyph = one.glyph;
                }
                last.words = tell_within(&format!("{}; {}", last.words, one.words), 600);
            }
            _ => joined.push(one),
        }
    }
    joined
}

/// The time without movement that led to an end: from, to, in words.
pub(super) fn quiet(entries: &[Entry]) -> Option<(f64, f64, String)> {
    entries.iter().find_map(|entry| match &entry.event {
        Event::Ending(Ending::Stalled { quiet_s }) => {
            Some((entry.at_s - quiet_s, entry.at_s, format!("nothing moved for {}", seconds(*quiet_s))))
        }
        Event::Ending(Ending::NoHeartbeat { limit_s }) => {
            Some((entry.at_s - limit_s, entry.at_s, format!("no heartbeat for {}", seconds(*limit_s))))
        }
        _ => None,
    })
}
