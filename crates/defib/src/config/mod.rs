//! `defib.toml`: the user's own defaults. Flags win over it.
//!
//! Looked for in the working directory, then in the XDG configuration folder. Keys may be
//! written with - or _.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use defib_core::units;
use defib_store::Retention;
use serde::Deserialize;

pub(crate) mod jobs;

/// Name of the file.
const FILE: &str = "defib.toml";

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Config {
    /// `[run]`: defaults of `defib run`.
    pub(crate) run: RunDefaults,
    /// `[memory]`: the memory policy of every run and worker.
    pub(crate) memory: MemoryDefaults,
    /// `[keep]`: how much is kept, and how long.
    pub(crate) keep: KeepDefaults,
    /// `[server]`: where `defib serve` listens, and its limits.
    pub(crate) server: jobs::ServerConfig,
    /// `[[backend]]`: what can do jobs.
    pub(crate) backend: Vec<jobs::BackendConfig>,
    /// `[[route]]`: in which order backends are asked.
    pub(crate) route: Vec<jobs::RouteConfig>,
    /// `[remedy]`: what is done about a cause, where it differs from the catalogue.
    pub(crate) remedy: BTreeMap<String, String>,
}

/// Values are written as on the command line.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct RunDefaults {
    pub(crate) stall_after: Option<String>,
    pub(crate) first_output: Option<String>,
    pub(crate) timeout: Option<String>,
    pub(crate) heartbeat: Option<String>,
    pub(crate) memory: Option<String>,
    pub(crate) grace: Option<String>,
    pub(crate) on_stall: Option<String>,
    pub(crate) restarts: Option<u32>,
    pub(crate) if_supervisor_dies: Option<String>,
    pub(crate) snapshot: Option<bool>,
    pub(crate) notify: Option<String>,
}

/// One threshold or several: `"80%"`, `["16GiB", "growth=200MiB"]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Thresholds {
    One(String),
    Several(Vec<String>),
}

impl Thresholds {
    /// Each by itself; commas separate too.
    pub(crate) fn all(&self) -> Vec<String> {
        let texts = match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Several(texts) => texts,
        };
        texts.iter().flat_map(|text| text.split(',')).map(|text| text.trim().to_owned()).collect()
    }
}

/// The memory policy.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct MemoryDefaults {
    /// `false` switches the whole policy off.
    pub(crate) enabled: Option<bool>,
    pub(crate) warn: Option<Thresholds>,
    pub(crate) recycle: Option<Thresholds>,
    pub(crate) stop: Option<Thresholds>,
    /// A run to be recycled is ended after so long even between two units of work.
    pub(crate) recycle_within: Option<String>,
    /// `false`: no control group holds the limit, it is polled only.
    pub(crate) cgroup: Option<bool>,
    /// Count live objects of Python processes.
    pub(crate) probe: Option<bool>,
}

/// Budgets.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct KeepDefaults {
    /// Output of one run, beginning and end.
    pub(crate) output: Option<String>,
    /// All run folders together.
    pub(crate) runs: Option<String>,
    /// Longest time a finished run is kept.
    pub(crate) age: Option<String>,
    /// How many run folders there may be.
    pub(crate) count: Option<usize>,
}

impl KeepDefaults {
    /// The budget of run folders.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub(crate) fn retention(&self) -> anyhow::Result<Retention> {
        let usual = Retention::default();
        let mut retention = Retention { count: self.count.unwrap_or(usual.count).max(1), ..usual };
        if let Some(text) = &self.runs {
            retention.bytes = units::size(text).map_err(|error| anyhow!("runs under [keep] in defib.toml: {error}"))?;
        }
        if let Some(text) = &self.age {
            retention.age =
                units::duration(text).map_err(|error| anyhow!("age under [keep] in defib.toml: {error}"))?;
        }
        Ok(retention)
    }
}

/// Reads the first file found, or the defaults.
///
/// # Errors
/// Where a file is there and cannot be read or understood.
pub(crate) fn load() -> anyhow::Result<Config> {
    let mut places = vec![PathBuf::from(FILE)];
    let folder = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    let folder = folder.or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".config")));
    places.extend(folder.map(|folder| folder.join("defib").join(FILE)));
    for place in places {
        match std::fs::read_to_string(&place) {
            Ok(text) => return parse(&text).with_context(|| format!("in {}", place.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => bail!("cannot read {}: {error}", place.display()),
        }
    }
    Ok(Config::default())
}

/// Reads this file, and returns the folder that its paths are relative to.
///
/// # Errors
/// Where it cannot be read or understood.
pub(crate) fn load_file(file: &Path) -> anyhow::Result<(Config, PathBuf)> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read {}; `--config` names another file", file.display()))?;
    let config = parse(&text).with_context(|| format!("in {}", file.display()))?;
    let file = file.canonicalize()?;
    Ok((config, file.parent().unwrap_or(Path::new("/")).to_owned()))
}

pub(crate) fn parse(text: &str) -> anyhow::Result<Config> {
    let read: toml::Table = toml::from_str(text)?;
    let mut spelled = read.clone();
    spell(&mut spelled);
    if spelled == read {
        // From the text, a complaint shows the line.
        return Ok(toml::from_str(text)?);
    }
    Ok(spelled.try_into()?)
}

/// Keys as they are known here; names that are the user's own stay as they are.
fn spell(root: &mut toml::Table) {
    for (section, from, to) in [("run", '_', "-"), ("memory", '_', "-"), ("keep", '_', "-"), ("server", '-', "_")] {
        if let Some(toml::Value::Table(table)) = root.get_mut(section) {
            rename(table, from, to);
        }
    }
    for section in ["backend", "route"] {
        for table in tables(root, section) {
            rename(table, '-', "_");
            if let Some(toml::Value::Table(memory)) = table.get_mut("memory") {
                rename(memory, '_', "-");
            }
            if let Some(toml::Value::Table(check)) = table.get_mut("check") {
                rename(check, '-', "_");
            }
            for profile in tables(table, "profile") {
                rename(profile, '-', "_");
            }
        }
    }
}

fn tables<'a>(root: &'a mut toml::Table, name: &str) -> impl Iterator<Item = &'a mut toml::Table> {
    let all = root.get_mut(name).and_then(toml::Value::as_array_mut).map(|all| all.iter_mut());
    all.into_iter().flatten().filter_map(toml::Value::as_table_mut)
}

fn rename(table: &mut toml::Table, from: char, to: &str) {
    let old = std::mem::take(table);
    table.extend(old.into_iter().map(|(key, value)| (key.replace(from, to), value)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_named_like_flags_and_unknown_ones_are_refused() {
        let config = parse("[run]\nstall-after = \"10s\"\n[keep]\nage = \"7d\"\n").unwrap();
        assert_eq!(config.run.stall_after.as_deref(), Some("10s"));
        let error = parse("[run]\nstal-after = \"10s\"\n").unwrap_err().to_string();
        assert!(error.contains("stal-after") && error.contains("stall-after"), "{error}");
    }
}
