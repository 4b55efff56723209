//! Constant regular expressions.

use regex::Regex;

/// Compiles a constant pattern. Every caller is a `LazyLock` whose pattern a test uses.
///
/// # Panics
/// Where the pattern is invalid: a fault of the program's text, found by its tests.
pub(crate) fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("constant pattern")
}
