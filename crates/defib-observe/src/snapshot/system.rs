//! The machine itself.

use defib_core::snapshot::System;

use super::up_s;
use crate::{files, machine};

pub(super) fn read() -> System {
    let load = files::text("/proc/loadavg").unwrap_or_default();
    System {
        host: files::text("/proc/sys/kernel/hostname").unwrap_or_default(),
        boot_id: files::text("/proc/sys/kernel/random/boot_id").unwrap_or_default(),
        up_s: up_s(),
        kernel: files::text("/proc/sys/kernel/osrelease").unwrap_or_default(),
        architecture: std::env::consts::ARCH.to_owned(),
        distribution: files::text("/etc/os-release").and_then(|text| pretty_name(&text)),
        cores: std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX)),
        container: machine::container(),
        load: load.split(' ').take(3).filter_map(|word| word.parse().ok()).collect(),
    }
}

/// `PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"`.
fn pretty_name(text: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(value.trim_matches(['"', '\'']).chars().take(200).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_boot_and_a_name() {
        let system = read();
        assert!(!system.boot_id.is_empty() && !system.kernel.is_empty() && system.up_s > 0.0);
        assert_eq!(system.load.len(), 3);
        assert_eq!(pretty_name("ID=x\nPRETTY_NAME=\"A B\"\n").as_deref(), Some("A B"));
    }
}
