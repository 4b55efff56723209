//! Source lines for the places a report names: as they were when looked at,
//! else as the file is now.

use defib_core::event::{Entry, Event};
use defib_core::facts::{Excerpt, Look};

/// Where lines come from.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    excerpts: Vec<Excerpt>,
    cwd: Option<String>,
}

impl Sources {
    /// From the looks in a journal.
    pub(crate) fn of(entries: &[Entry]) -> Self {
        let mut sources = Self::default();
        for entry in entries.iter().rev() {
            match &entry.event {
                Event::Look { look } => sources.excerpts.extend(look.sources.clone()),
                Event::Run { cwd, .. } => sources.cwd = Some(cwd.clone()),
                _ => {}
            }
        }
        sources
    }

    /// From these looks.
    pub(crate) fn of_looks(looks: &[Look]) -> Self {
        let cwd = looks.last().and_then(|look| look.process(look.root)?.cwd.clone());
        Self { excerpts: looks.iter().rev().flat_map(|look| look.sources.clone()).collect(), cwd }
    }

    /// The line of a file.
    pub(crate) fn line(&self, file: &str, line: u32) -> Option<String> {
        let seen = self.excerpts.iter().find_map(|excerpt| {
            let index = line.checked_sub(excerpt.first_line)? as usize;
            (excerpt.file == file).then(|| excerpt.lines.get(index).cloned())?
        });
        seen.or_else(|| self.read(file, line))
    }

    /// A traceback names a file that no look has seen.
    fn read(&self, file: &str, line: u32) -> Option<String> {
        let path = std::path::Path::new(file);
        let path = match &self.cwd {
            Some(cwd) if path.is_relative() => std::path::Path::new(cwd).join(path),
            _ => path.to_owned(),
        };
        let known = std::fs::metadata(&path).ok()?;
        if !known.is_file() || known.len() > 2 << 20 {
            return None;
        }
        let text = std::fs::read(path).ok()?;
        let text = String::from_utf8_lossy(&text);
        text.lines().nth((line as usize).checked_sub(1)?).map(|line| line.chars().take(200).collect())
    }
}
