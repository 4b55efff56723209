//! Reads what `python -X importtime` prints on its error output.
//!
//! ```text
//! import time: self [us] | cumulative | imported package
//! import time:       812 |       4120 |   numpy.core
//! ```
//! A module stands after what it imported; two spaces more mean one level deeper.

/// One module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ImportTime {
    /// Its name.
    pub(super) module: String,
    /// How deep it was imported, 0 for a statement of the program.
    pub(super) depth: usize,
    /// Microseconds of its own.
    pub(super) own_us: u64,
    /// Microseconds with what it imported.
    pub(super) all_us: u64,
}

const MARK: &str = "import time:";

/// Takes the lines of import times out of a text; the rest stays as it was.
pub(super) fn split(text: &[u8]) -> (Vec<ImportTime>, Vec<u8>) {
    let mut times = Vec::new();
    let mut rest = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        // A program that prints without a line end may stand before the mark.
        let at = line.windows(MARK.len()).position(|part| part == MARK.as_bytes());
        let Some(at) = at else {
            rest.extend_from_slice(line);
            continue;
        };
        rest.extend_from_slice(&line[..at]);
        times.extend(time(&String::from_utf8_lossy(&line[at + MARK.len()..])));
    }
    (times, rest)
}

fn time(line: &str) -> Option<ImportTime> {
    let mut fields = line.splitn(3, '|');
    let own_us = fields.next()?.trim().parse().ok()?;
    let all_us = fields.next()?.trim().parse().ok()?;
    let name = fields.next()?.trim_end();
    let indent = name.len() - name.trim_start().len();
    let module = name.trim_start().to_owned();
    (!module.is_empty()).then(|| ImportTime { module, depth: indent.saturating_sub(1) / 2, own_us, all_us })
}

/// Seconds that importing this package and its parts took, and the part that took
/// longest by itself.
pub(super) fn of_package(times: &[ImportTime], package: &str) -> Option<(f64, String)> {
    let inside =
        |module: &str| module == package || module.strip_prefix(package).is_some_and(|rest| rest.starts_with('.'));
    let from = times.iter().position(|time| inside(&time.module))?;
    let own = times.iter().filter(|time| time.depth == 0 && inside(&time.module));
    #[expect(clippy::cast_precision_loss, reason = "microseconds of an import")]
    let seconds = own.map(|time| time.all_us).sum::<u64>() as f64 / 1e6;
    let slowest = times[from.min(times.len() - 1)..].iter().max_by_key(|time| time.own_us)?;
    Some((seconds, slowest.module.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = "import time: self [us] | cumulative | imported package\n\
        import time:       100 |        100 | site\n\
        import time:       300 |        300 |     numpy.core\n\
        import time:       200 |        500 |   numpy.lib\n\
        import time:        50 |        550 | numpy\n\
        a warning\n\
        import time:        50 |         50 | numpy.fft\n";

    #[test]
    fn times_are_read_and_the_rest_is_left() {
        let (times, rest) = split(TEXT.as_bytes());
        assert_eq!(rest, b"a warning\n");
        assert_eq!(times.iter().map(|time| time.depth).collect::<Vec<_>>(), [0, 2, 1, 0, 0]);
        assert_eq!(of_package(&times, "numpy"), Some((0.0006, "numpy.core".to_owned())));
        assert_eq!(of_package(&times, "num"), None);
    }

    proptest! {
        /// Foreign text never panics, and text without the mark is left alone.
        #[test]
        fn any_text_is_read(text in proptest::collection::vec(any::<u8>(), 0..200), lines in "(import time: [ 0-9|a-z.]{0,30}\n){0,5}") {
            let (times, rest) = split(lines.as_bytes());
            prop_assert!(times.len() <= lines.lines().count() && rest.is_empty());
            let _ = of_package(&times, "a");
            let (_, rest) = split(&text);
            prop_assert_eq!(rest, text);
        }
    }
}
