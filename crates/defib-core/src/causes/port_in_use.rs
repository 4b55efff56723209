//! Another process listens on the port.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::Study;
use crate::cause::{Cause, Fact, Finding};
use crate::pattern::pattern;
use crate::telling::{cut, seconds, short_command, told};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "port-in-use",
    title: "The port is taken",
    what: "Another process listens on the port.",
    settled_by: "EADDRINUSE and the owner of the LISTEN inode.",
    taken_for: "a crash",
    by_hand: &["ss -ltnp | grep PORT"],
    remedies: &["end the other process, or take another port"],
    remedy: Remedy::Later,
    judge,
};

pub(super) static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"(?i:address already in use|EADDRINUSE|\[Errno 98\]|\[Errno 48\]|WinError 10048|port \d+ is (?:already )?(?:in use|allocated|occupied|taken)|cannot find (?:an )?empty port in range|only one usage of each socket address)"#)
});

fn judge(study: &Study<'_>) -> Option<Finding> {
    let (told, _) = told(study, &SENTENCE)?;
    let Some(listener) = study.case.kernel.listeners.first() else {
        let explanation = format!("its port is taken by another process: {}", cut(&told.text(), 220));
        return Some(told.proof(explanation).step("see who has it: ss -ltnp").step("end that process (an earlier run?) or choose another port"));
    };
    let name = format!("{} (pid {})", short_command(&listener.command), listener.pid);
    let explanation = format!("port {} is taken by {name}, which has run for {}: {}", listener.port, seconds(listener.lived_s), cut(&told.text(), 160));
    let mut finding = told.proof(explanation);
    finding.facts.push(Fact::new("kernel", format!("{name} listens on port {}; its parent is pid {}", listener.port, listener.ppid)).of(listener.pid));
    Some(
        finding
            .step_command("end it, if it is an earlier copy", ["kill", &listener.pid.to_string()])
            .step("or choose another port"),
    )
}

/// The ports that these texts about a taken port name.
#[must_use]
pub fn ports_named<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<u16> {
    static PORT: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)(?:port\D{0,3}|[\d\]*:]:|localhost:|, ?)(?P<port>\d{2,5})\b"));
    let near = lines.filter(|line| SENTENCE.is_match(line));
    let mut ports: Vec<u16> = near.flat_map(|line| PORT.captures_iter(line).filter_map(|found| found["port"].parse().ok()).collect::<Vec<u16>>()).collect();
    ports.sort_unstable();
    ports.dedup();
    ports.retain(|&port| port >= 80);
    ports.truncate(8);
    ports
}

#[cfg(test)]
mod tests {
    #[test]
    fn ports_are_found_in_usual_sentences() {
        let of = |line: &str| super::ports_named([line].into_iter());
        assert_eq!(of("OSError: [Errno 98] error while attempting to bind on address ('127.0.0.1', 8188): address already in use"), [8188]);
        assert_eq!(of("Port 5000 is in use by another program."), [5000]);
        assert_eq!(of("Error: listen EADDRINUSE: address already in use :::3000"), [3000]);
        assert_eq!(of("nothing on port 8000"), Vec::<u16>::new());
    }
}
