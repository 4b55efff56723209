//! Which literals a pattern needs: every text that it matches contains at least
//! one of them, in whatever case.
//!
//! Found by walking the parsed pattern. Of a sequence, neighbours with few
//! spellings are joined to longer texts, and the rarest-looking set is chosen;
//! of alternatives, each one must offer a set. Letters are folded to lower case,
//! as the search ignores case.

use regex_syntax::hir::{Class, Hir, HirKind};

/// Most spellings that are followed through a sequence.
const MOST_SPELLINGS: usize = 48;
/// Longest text worth searching for.
const LONGEST: usize = 32;
/// Most letters of a class that are spelled out.
const MOST_LETTERS: usize = 6;

type Set = Vec<Vec<u8>>;

/// Outside ASCII, only these two fold to an ASCII letter: the long s and the Kelvin sign.
pub(super) const FOLDING: [char; 2] = ['\u{17f}', '\u{212a}'];

/// The literals that a pattern needs; empty where it needs none.
pub(super) fn required(pattern: &str) -> Set {
    let Ok(hir) = regex_syntax::parse(pattern) else { return Set::new() };
    let set = walk(&hir).best().unwrap_or_default();
    without_longer(set)
}

/// What is known of a part of a pattern.
#[derive(Default)]
struct Known {
    /// All it can match, where that is little.
    exact: Option<Set>,
    /// A set of which each match contains one.
    inner: Option<Set>,
}

impl Known {
    fn exact(set: Set) -> Self {
        Self { exact: Some(set), inner: None }
    }

    /// The better of the two.
    fn best(self) -> Option<Set> {
        let exact = self.exact.filter(usable);
        match (exact, self.inner) {
            (Some(one), Some(other)) => Some(if worth(&one) >= worth(&other) { one } else { other }),
            (one, other) => one.or(other),
        }
    }
}

fn walk(hir: &Hir) -> Known {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Known::exact(vec![Vec::new()]),
        HirKind::Literal(literal) => Known::exact(vec![literal.0.to_ascii_lowercase()]),
        HirKind::Class(class) => letters(class).map(Known::exact).unwrap_or_default(),
        HirKind::Capture(capture) => walk(&capture.sub),
        HirKind::Repetition(repetition) => {
            let part = walk(&repetition.sub);
            match (repetition.min, repetition.max, part.exact) {
                (0, Some(1), Some(mut set)) => {
                    set.push(Vec::new());
                    Known::exact(set)
                }
                (0, ..) => Known::default(),
                (1, Some(1), exact) => Known { exact, inner: part.inner },
                (.., exact) => Known { exact: None, inner: Known { exact, inner: part.inner }.best() },
            }
        }
        HirKind::Concat(parts) => sequence(parts),
        HirKind::Alternation(parts) => alternatives(parts),
    }
}

/// The spellings of a class of few letters.
fn letters(class: &Class) -> Option<Set> {
    let Class::Unicode(class) = class else { return None };
    let count: usize = class.iter().map(regex_syntax::hir::ClassUnicodeRange::len).sum();
    if count > MOST_LETTERS * 3 {
        return None;
    }
    let mut set: Set = class.iter().flat_map(|range| range.start()..=range.end()).map(folded).collect();
    set.sort();
    set.dedup();
    (!set.is_empty() && set.len() <= MOST_LETTERS).then_some(set)
}

fn folded(letter: char) -> Vec<u8> {
    match letter {
        '\u{17f}' => b"s".to_vec(),
        '\u{212a}' => b"k".to_vec(),
        letter => letter.to_ascii_lowercase().to_string().into_bytes(),
    }
}

fn sequence(parts: &[Hir]) -> Known {
    let mut all_exact = true;
    let mut run: Set = vec![Vec::new()];
    let mut best: Option<Set> = None;
    let offer = |set: Set, best: &mut Option<Set>| {
        if usable(&set) && best.as_ref().is_none_or(|known| worth(&set) > worth(known)) {
            *best = Some(set);
        }
    };
    for part in parts {
        let part = walk(part);
        match part.exact {
            Some(set) if set.len() * run.len() <= MOST_SPELLINGS => run = joined(&run, &set),
            Some(set) => {
                all_exact = false;
                offer(std::mem::replace(&mut run, set), &mut best);
            }
            None => {
                all_exact = false;
                offer(std::mem::replace(&mut run, vec![Vec::new()]), &mut best);
                offer(part.inner.unwrap_or_default(), &mut best);
            }
        }
    }
    if all_exact && run.iter().all(|text| text.len() <= LONGEST) {
        return Known::exact(run);
    }
    offer(run, &mut best);
    Known { exact: None, inner: best }
}

fn joined(heads: &Set, ends: &Set) -> Set {
    heads.iter().flat_map(|head| ends.iter().map(move |end| [head.as_slice(), end].concat())).collect()
}

fn alternatives(parts: &[Hir]) -> Known {
    let known: Vec<Known> = parts.iter().map(walk).collect();
    let exact: Option<Vec<Set>> = known.iter().map(|part| part.exact.clone()).collect();
    let exact = exact.map(|sets| sets.concat()).filter(|set| set.len() <= MOST_SPELLINGS);
    let inner: Option<Vec<Set>> = known.into_iter().map(Known::best).collect();
    Known { exact, inner: inner.map(|sets| sets.concat()) }
}

/// One letter stands in every line.
fn usable(set: &Set) -> bool {
    !set.is_empty() && set.iter().all(|text| text.len() >= 2)
}

/// How rare the commonest text of a set looks. Letters are common, capitals are
/// not seen (case is ignored), digits and signs are rare.
fn worth(set: &Set) -> u32 {
    let of = |text: &Vec<u8>| {
        text.iter()
            .map(|byte| {
                if byte.is_ascii_lowercase() {
                    2
                } else if *byte == b' ' {
                    1
                } else {
                    3
                }
            })
            .sum()
    };
    let least: u32 = set.iter().map(of).min().unwrap_or(0);
    // Beyond some length a text is rare anyway; then fewer texts are better.
    least.min(24) * 100 - u32::try_from(set.len()).unwrap_or(100).min(100)
}

/// Cuts long texts, and leaves out those that contain another.
fn without_longer(mut set: Set) -> Set {
    for text in &mut set {
        text.truncate(LONGEST);
    }
    set.sort_by_key(Vec::len);
    let mut kept = Set::new();
    for text in set {
        if !kept.iter().any(|known| memchr::memmem::find(&text, known).is_some()) {
            kept.push(text);
        }
    }
    kept
}
