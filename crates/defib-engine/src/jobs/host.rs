//! What the processes of one backend have in common: how they are started and held.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use defib_core::event::Event;
use defib_process::Keep;
use defib_store::{Index, State};

use super::settings::{BackendSettings, Settings};
use crate::archive;
use crate::session::{Finished, IfSupervisorDies, Limits, OnStall, Plan};

/// Output of one process that is kept, bytes: beginning and end.
const KEEP_OUTPUT: u64 = 32 << 20;
/// Grace for a process that is ended: its time was over, or nobody wants its work.
const GRACE: Duration = Duration::from_secs(2);

/// Hears what is worth saying.
pub(super) type Tell = Arc<dyn Fn(&str) + Send + Sync>;

/// Starts the processes of a backend.
#[derive(Clone)]
pub(super) struct Host {
    pub(super) settings: BackendSettings,
    pub(super) state: State,
    version: String,
    exe: PathBuf,
    tell: Tell,
}

impl Host {
    pub(super) fn new(all: &Settings, settings: &BackendSettings, state: &State, tell: Tell) -> Self {
        let (version, exe) = (all.version.clone(), all.exe.clone());
        Self { settings: settings.clone(), state: state.clone(), version, exe, tell }
    }

    /// Says something about this backend.
    pub(super) fn tell(&self, text: &str) {
        (self.tell)(&format!("{}: {text}", self.settings.name));
    }

    /// Enters a run that is over into the index, so that `defib runs` need not read it.
    pub(super) fn enter(&self, finished: &Finished) {
        // The index is a cache, and rebuilt where a row is missing.
        if let Ok(index) = Index::open(self.state.root()) {
            let _ = index.put(&archive::row_of(finished));
        }
    }

    /// How this command is run in seat `number`, with these variables over the backend's.
    pub(super) fn plan(&self, number: usize, command: Vec<String>, env: Vec<(String, String)>) -> Plan {
        let mut set_env = self.settings.env.clone();
        set_env.extend(env);
        if !self.settings.gpus.is_empty() {
            let gpu = self.settings.gpus[number % self.settings.gpus.len()].clone();
            set_env.push(("CUDA_VISIBLE_DEVICES".to_owned(), gpu));
        }
        Plan {
            command,
            cwd: self.settings.folder.clone(),
            before: Vec::<Event>::new(),
            limits: Limits { stall_after: self.settings.stall_after, ..Limits::default() },
            memory: self.settings.memory.clone(),
            on_stall: OnStall::Stop,
            restarts: 0,
            grace: Some(GRACE),
            keep: Keep::Budget { bytes: KEEP_OUTPUT },
            allow_daemons: false,
            pty: false,
            unbuffered: true,
            faulthandler: true,
            quiet: true,
            no_input: true,
            set_env,
            start: None,
            if_supervisor_dies: IfSupervisorDies::End,
            version: self.version.clone(),
            exe: self.exe.clone(),
        }
    }
}
