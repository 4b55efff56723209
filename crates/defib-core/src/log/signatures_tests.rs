use super::*;
use proptest::prelude::*;
use regex_syntax::hir::{Class, Hir, HirKind};

use crate::log::clean::clean_text;

/// A text that a part of a pattern can match, chosen by these numbers; look-arounds are ignored.
fn example(hir: &Hir, choose: &mut impl FnMut(usize) -> usize, text: &mut Vec<u8>) {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => text.extend_from_slice(&literal.0),
        HirKind::Class(Class::Unicode(class)) => {
            let ranges = class.ranges();
            let range = ranges[choose(ranges.len())];
            let letters = range.start() as u32..=range.end() as u32;
            let letter = letters.clone().nth(choose(letters.count().min(200))).and_then(char::from_u32);
            let letter = letter.filter(|letter| !letter.is_control()).unwrap_or(range.end());
            text.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        }
        HirKind::Class(Class::Bytes(_)) => {}
        HirKind::Capture(capture) => example(&capture.sub, choose, text),
        HirKind::Repetition(repetition) => {
            let most = repetition.max.unwrap_or(repetition.min + 3).min(repetition.min + 3);
            let times = repetition.min as usize + choose((most - repetition.min) as usize + 1);
            (0..times).for_each(|_| example(&repetition.sub, choose, text));
        }
        HirKind::Concat(parts) => parts.iter().for_each(|part| example(part, choose, text)),
        HirKind::Alternation(parts) => example(&parts[choose(parts.len())], choose, text),
    }
}

/// Signatures that the search and the check after it find in a line.
fn found(line: &str) -> Vec<u16> {
    let signatures = signatures().unwrap();
    let mut hits = Vec::new();
    signatures.seek(line.as_bytes(), &mut hits);
    signatures.matching(&hits, line)
}

/// Signatures whose full pattern matches, of those that are sought.
fn expected(line: &str) -> Vec<u16> {
    static SOUGHT: LazyLock<Vec<bool>> =
        LazyLock::new(|| signatures().unwrap().all.iter().map(|one| !literals(one.text).is_empty()).collect());
    let all = (0_u16..).zip(&signatures().unwrap().all).zip(SOUGHT.iter());
    all.filter(|((_, signature), sought)| **sought && signature.is_match(line)).map(|((owner, _), _)| owner).collect()
}

#[test]
fn the_patterns_of_the_causes_are_sought() {
    assert!(OF_CAUSES.len() > 60);
    // What needs no text at all cannot be sought: so far only the number of a port within a line.
    let unsought: Vec<&Text> = OF_CAUSES.iter().filter(|&&text| literals(text).is_empty()).collect();
    assert!(unsought.len() <= 1, "these patterns match lines without any text in common: {unsought:?}");
    for line in ["kernel: Out of memory: Killed process 7 (python3)", "OSError: [Errno 28] No space left on device"] {
        assert!(!found(line).is_empty(), "{line}");
    }
    assert!(found("INFO saved frame 12 of 40").is_empty());
}

#[test]
fn every_line_of_the_logs_at_hand_that_a_pattern_matches_is_found() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../faults");
    let (mut folders, mut lines) = (vec![root], 0);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.metadata().is_ok_and(|file| file.len() < 200_000) {
                // Programs count too: their texts are those that logs show.
                let Ok(text) = std::fs::read_to_string(&path) else { continue };
                for raw in text.lines().filter(|line| line.len() < 300) {
                    let raw = raw.as_bytes();
                    let line = clean_text(raw);
                    assert_eq!(found(&line), expected(&line), "{}: {line}", path.display());
                    lines += 1;
                }
            }
        }
    }
    assert!(lines > 5000, "{lines}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn what_a_full_pattern_matches_passes_the_search(
        which in any::<prop::sample::Index>(),
        choices in prop::collection::vec(any::<prop::sample::Index>(), 1..60),
        before in "[ -~]{0,12}",
        after in "[ -~]{0,12}",
        alone in any::<bool>(),
    ) {
        let text = OF_CAUSES[which.index(OF_CAUSES.len())];
        let Text::Pattern(pattern) = text else { return Ok(()) };
        let hir = regex_syntax::parse(pattern).unwrap();
        let mut next = 0;
        let mut choose = |most: usize| {
            next += 1;
            choices[next % choices.len()].index(most.max(1))
        };
        let mut bytes = Vec::new();
        example(&hir, &mut choose, &mut bytes);
        let inner = String::from_utf8_lossy(&bytes).replace('\n', " ");
        let line = if alone { inner } else { format!("{before}{inner}{after}") };
        prop_assert_eq!(found(&line), expected(&line), "{}", line);
    }

    #[test]
    fn the_search_side_by_side_finds_what_a_plain_search_does(
        lines in prop::collection::vec("[a-zA-Z :]{0,30}(out of memory|Killed|NaN|SIGKILL|\u{212a}|)[a-z]{0,9}", 0..16),
        end in any::<bool>(),
    ) {
        let mut block = lines.join("\n");
        if end {
            block.push('\n');
        }
        let mut hits = Vec::new();
        signatures().unwrap().seek(block.as_bytes(), &mut hits);
        let mut at = 0;
        for line in block.split_inclusive('\n') {
            let mine: Vec<Hit> = hits.iter().copied().filter(|hit| (at..at + line.len()).contains(&hit.at)).collect();
            let line_text = line.trim_end_matches('\n');
            prop_assert_eq!(signatures().unwrap().matching(&mine, line_text), expected(line_text));
            at += line.len();
        }
        prop_assert!(hits.windows(2).all(|pair| pair[0].at <= pair[1].at));
    }
}
