//! Taking over a run whose supervisor is gone.
//!
//! The journal tells what happened, `plan.json` in the run's folder what was asked for.
//! From there on it is a session like any other; only the output comes from what the
//! shim keeps, since the pipes to the former supervisor's terminal are gone.

use std::collections::HashMap;
use std::path::Path;
use std::sync::mpsc::channel;
use std::time::Duration;

use defib_core::event::{Entry, Event, Stream};
use defib_core::run::RunId;
use defib_observe::OomWatch;
use defib_process::signals::Signals;
use defib_process::{AdoptError, Shim};
use defib_store::State;

use super::desk::Desk;
use super::feeds;
use super::plan::Plan;
use super::supervisor::{Audience, Finished, Lives, Session, SessionError, supervise_from};
use crate::follow::Following;

/// What was asked for, in the folder of a run that may be taken over.
const PLAN: &str = "plan.json";
/// How long the shim may take to answer.
const WITHIN: Duration = Duration::from_secs(2);

/// Writes down what was asked for.
pub(super) fn keep_plan(plan: &Plan, folder: &Path) -> std::io::Result<()> {
    std::fs::write(folder.join(PLAN), serde_json::to_vec_pretty(plan)?)
}

/// Takes the run over and supervises it to its end. `adjust` changes what was asked for
/// when it was started.
///
/// # Errors
/// [`SessionError::Adopt`] where it cannot be taken over, else as for a new run.
pub fn adopt(
    run: &RunId,
    state: &State,
    signals: Signals,
    audience: &mut dyn Audience,
    adjust: impl FnOnce(&mut Plan),
) -> Result<Finished, SessionError> {
    let folder = state.folder(run);
    if !defib_process::sweep::is_held(&folder).unwrap_or(false) {
        return Err(AdoptError::Over.into());
    }
    let text = std::fs::read(folder.join(PLAN)).map_err(|_| AdoptError::NotKept)?;
    let mut plan: Plan = serde_json::from_slice(&text).map_err(|error| AdoptError::Failed(error.into()))?;
    adjust(&mut plan);
    let (sender, happenings) = channel();
    let desk = Desk::open(signals);
    desk.connect(sender.clone());
    let kernel = OomWatch::start();
    let (shim, events, history) = Shim::adopt(&folder, WITHIN)?;
    let lifeline = feeds::shim(events, sender.clone());
    let clock = shim.clock();
    let printing = Following::new(&folder, printed(&history)).print();
    let mut session = Session::new(&plan, run.clone(), &folder, shim, clock, sender, audience);
    session.resume(&history);
    session.watch(&happenings);
    printing.finish();
    desk.disconnect();
    if session.detached {
        return Err(SessionError::Detached(run.clone()));
    }
    let finished = session.close(run, kernel, state)?;
    drop(lifeline);
    if Lives::default().again(&finished, &plan, audience) {
        // Its next life is a run of its own, started here.
        return supervise_from(&desk, &plan, state, audience);
    }
    Ok(finished)
}

/// How much of each stream had come when the former supervisor was gone, bytes.
fn printed(history: &[Entry]) -> HashMap<Stream, u64> {
    let lost = history.iter().rposition(|entry| matches!(entry.event, Event::SupervisorLost));
    let before = &history[..lost.unwrap_or(history.len())];
    let bytes = before.iter().filter_map(|entry| match entry.event {
        Event::Output { stream, bytes } => Some((stream, bytes)),
        _ => None,
    });
    bytes.collect()
}

impl Session<'_> {
    /// Brings the state to where the journal ends.
    fn resume(&mut self, history: &[Entry]) {
        for entry in history {
            self.told(entry);
            if let Event::Ending(ending) = &entry.event {
                self.ending = Some(ending.clone());
            }
        }
        // Nobody looked meanwhile: what happened since is not known to be a standstill.
        let now = self.now();
        self.last_heartbeat_s = now;
        self.moved(now);
    }
}
