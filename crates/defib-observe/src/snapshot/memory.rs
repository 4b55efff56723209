//! Memory, swap and pressure of the machine.

use defib_core::snapshot::{Memory, Pressure};

use crate::files::Reader;
use crate::parse;

pub(super) fn read() -> Memory {
    let mut reader = Reader::default();
    let text = reader.file("/proc/meminfo").map(<[u8]>::to_vec).unwrap_or_default();
    let bytes = |key: &str| parse::field_number(&text, key).unwrap_or(0).saturating_mul(1024);
    let swap = bytes("SwapTotal");
    let mut pressures = Vec::new();
    for resource in ["cpu", "memory", "io"] {
        let text = reader.file(&format!("/proc/pressure/{resource}")).map(<[u8]>::to_vec);
        pressures.extend(text.ok().and_then(|text| pressure(resource, &String::from_utf8_lossy(&text))));
    }
    Memory {
        total_bytes: bytes("MemTotal"),
        available_bytes: bytes("MemAvailable"),
        cache_bytes: bytes("Cached").saturating_add(bytes("Buffers")),
        shared_bytes: bytes("Shmem"),
        swap_total_bytes: swap,
        swap_used_bytes: swap.saturating_sub(bytes("SwapFree")),
        pressure: pressures,
    }
}

fn pressure(resource: &str, text: &str) -> Option<Pressure> {
    let value = |kind: &str, name: &str| -> Option<f64> {
        let line = text.lines().find(|line| line.split(' ').next() == Some(kind))?;
        let value = line.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='))?;
        value.parse().ok().filter(|value: &f64| value.is_finite())
    };
    Some(Pressure {
        resource: resource.to_owned(),
        some_10s: value("some", "avg10")?,
        some_60s: value("some", "avg60").unwrap_or(0.0),
        full_10s: value("full", "avg10"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_memory() {
        let memory = read();
        assert!(memory.total_bytes > 1 << 20 && memory.available_bytes <= memory.total_bytes);
    }

    #[test]
    fn a_pressure_file() {
        let text = "some avg10=1.50 avg60=2.00 avg300=0.10 total=1\nfull avg10=0.25 avg60=0 avg300=0 total=0\n";
        let found = pressure("io", text).unwrap();
        assert_eq!((found.some_10s, found.some_60s, found.full_10s), (1.5, 2.0, Some(0.25)));
        assert_eq!(pressure("io", "nonsense"), None);
    }
}
