//! Flags and configuration of the memory policy.

use std::time::Duration;

use anyhow::anyhow;
use clap::Args;
use defib_core::memory::{Act, InvalidThreshold, Policy, Threshold};
use defib_engine::session::MemoryPlan;
use defib_store::State;

use crate::config::{Config, MemoryDefaults, Thresholds};
use defib_core::units;

/// A run to be recycled is ended after so long, unless the configuration says otherwise.
const RECYCLE_WITHIN: Duration = Duration::from_secs(600);
/// File of decisions, in the state folder.
const LOG: &str = "memory.log";

/// What is done about memory: each threshold is a size or a share of the machine (of the
/// GPU after `vram=`), or a growth for each unit of work after `growth=`.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct MemoryFlags {
    /// End it when all its processes together use more: 20GiB, 80%, vram=10GiB, growth=200MiB
    #[arg(long, value_name = "SIZE", value_delimiter = ',', value_parser = threshold, env = "DEFIB_MEMORY")]
    memory: Vec<Threshold>,
    /// Say so when it uses more
    #[arg(long, value_name = "SIZE", value_delimiter = ',', value_parser = threshold)]
    memory_warn: Vec<Threshold>,
    /// Start it afresh when it uses more, as soon as its unit of work is done
    #[arg(long, value_name = "SIZE", value_delimiter = ',', value_parser = threshold)]
    memory_recycle: Vec<Threshold>,
    /// Count live objects of its Python processes, so that the report names what grows
    #[arg(long)]
    memory_probe: bool,
    /// Let nothing in defib.toml act on its memory
    #[arg(long)]
    no_memory_policy: bool,
}

fn threshold(text: &str) -> Result<Threshold, InvalidThreshold> {
    Threshold::read(text, |size| units::size(size).ok())
}

impl MemoryFlags {
    /// The plan: flags win over what the configuration says of the same act.
    ///
    /// # Errors
    /// Where a threshold of the configuration cannot be read.
    pub(super) fn plan(&self, config: &Config, state: &State) -> anyhow::Result<MemoryPlan> {
        let defaults = &config.memory;
        let enabled = defaults.enabled.unwrap_or(true) && !self.no_memory_policy;
        let older = config.run.memory.clone().map(Thresholds::One);
        let acts = [
            (Act::Warn, "warn", &self.memory_warn, defaults.warn.as_ref()),
            (Act::Recycle, "recycle", &self.memory_recycle, defaults.recycle.as_ref()),
            (Act::Stop, "stop", &self.memory, defaults.stop.as_ref().or(older.as_ref())),
        ];
        let mut policy = Policy::default();
        for (act, key, flags, configured) in acts {
            flags.iter().for_each(|&threshold| policy.add(act, threshold));
            if let (true, true, Some(texts)) = (enabled, flags.is_empty(), configured) {
                for text in texts.all() {
                    let wrong = |error: InvalidThreshold| anyhow!("{key} under [memory] in defib.toml: {error}");
                    policy.add(act, threshold(&text).map_err(wrong)?);
                }
            }
        }
        Ok(MemoryPlan {
            log: (!policy.rules.is_empty()).then(|| state.root().join(LOG)),
            policy,
            machine_bytes: defib_observe::machine::memory_bytes(),
            recycle_within: recycle_within(defaults)?,
            group: defaults.cgroup.unwrap_or(true),
            count_objects: self.memory_probe || enabled && defaults.probe.unwrap_or(false),
        })
    }
}

/// The plan of a backend's workers.
///
/// # Errors
/// Where a threshold cannot be read.
pub(crate) fn memory_plan(memory: &MemoryDefaults, state: &State) -> anyhow::Result<MemoryPlan> {
    MemoryFlags::default().plan(&Config { memory: memory.clone(), ..Config::default() }, state)
}

fn recycle_within(defaults: &MemoryDefaults) -> anyhow::Result<Duration> {
    let Some(text) = &defaults.recycle_within else { return Ok(RECYCLE_WITHIN) };
    units::duration(text).map_err(|error| anyhow!("recycle-within under [memory] in defib.toml: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(toml: &str, flags: MemoryFlags) -> anyhow::Result<MemoryPlan> {
        let folder = tempfile::tempdir()?;
        flags.plan(&toml::from_str(toml)?, &State::open(folder.path())?)
    }

    fn rules(plan: &MemoryPlan) -> Vec<String> {
        plan.policy.rules.iter().map(|(act, threshold)| format!("{} {threshold}", act.name())).collect()
    }

    #[test]
    fn flags_win_act_by_act_and_the_policy_can_be_switched_off() {
        let toml = "[memory]\nwarn = \"70%, vram=90%\"\nrecycle = [\"growth=200MiB\"]\nstop = \"90%\"\n";
        let all = plan(toml, MemoryFlags::default()).unwrap();
        assert_eq!(rules(&all), ["warn 70%", "warn vram=90%", "recycle growth=200 MiB", "stop 90%"]);
        let own = MemoryFlags { memory: vec![threshold("4GiB").unwrap()], ..MemoryFlags::default() };
        assert_eq!(rules(&plan(toml, own.clone()).unwrap())[3], "stop 4.0 GiB");
        let off = MemoryFlags { no_memory_policy: true, ..own.clone() };
        assert_eq!(rules(&plan(toml, off).unwrap()), ["stop 4.0 GiB"]);
        assert_eq!(rules(&plan(&format!("{toml}enabled = false\n"), own).unwrap()), ["stop 4.0 GiB"]);
        // The older place of the limit still works.
        assert_eq!(rules(&plan("[run]\nmemory = \"5GiB\"\n", MemoryFlags::default()).unwrap()), ["stop 5.0 GiB"]);
        let error = plan("[memory]\nwarn = \"lots\"\n", MemoryFlags::default()).unwrap_err().to_string();
        assert!(error.contains("warn under [memory]") && error.contains("16GiB"), "{error}");
    }
}
