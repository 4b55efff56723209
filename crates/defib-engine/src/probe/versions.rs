//! Do installed versions satisfy what packages say they require?
//!
//! A small reader of requirement lines (`torch (==2.1.0) ; extra == "x"`). Where a
//! line holds more than it understands, it says nothing: a wrong warning is worse.

/// A requirement without conditions: the distribution and its bounds.
pub(super) fn requirement(line: &str) -> Option<(String, String)> {
    let (line, marker) = line.split_once(';').unwrap_or((line, ""));
    if !marker.trim().is_empty() || line.contains('@') {
        return None;
    }
    let end = line.find(|part: char| !(part.is_ascii_alphanumeric() || "-_.".contains(part))).unwrap_or(line.len());
    let name = line[..end].to_ascii_lowercase().replace(['_', '.'], "-");
    let rest = line[end..].trim();
    let rest = if rest.starts_with('[') { rest.split_once(']').map_or("", |(_, rest)| rest) } else { rest };
    let bounds = rest.trim().trim_matches(['(', ')']).trim().to_owned();
    (!name.is_empty() && !bounds.is_empty()).then_some((name, bounds))
}

/// Whether a version lies within the bounds; `None` where that cannot be told.
pub(super) fn satisfies(version: &str, bounds: &str) -> Option<bool> {
    let mut all = true;
    for clause in bounds.split(',').map(str::trim).filter(|clause| !clause.is_empty()) {
        all &= holds(version, clause)?;
    }
    Some(all)
}

fn holds(version: &str, clause: &str) -> Option<bool> {
    let at = clause.find(|part: char| !"=<>!~".contains(part))?;
    let (operator, wanted) = (&clause[..at], clause[at..].trim());
    // `==2.1.0+cu118` speaks of the local part too.
    let local = wanted.contains('+');
    let plain = |text: &str| if local { text.to_owned() } else { text.split('+').next().unwrap_or(text).to_owned() };
    let (version, wanted) = (plain(version), plain(wanted));
    if local {
        return (operator == "==").then(|| version == wanted);
    }
    let (have, prefix) = (numbers(&version)?, wanted.strip_suffix(".*"));
    let want = numbers(prefix.unwrap_or(&wanted))?;
    let starts = || (0..want.len()).all(|at| have.get(at).copied().unwrap_or(0) == want[at]);
    let order = compare(&have, &want);
    match (operator, prefix) {
        ("==", Some(_)) => Some(starts()),
        ("!=", Some(_)) => Some(!starts()),
        (_, Some(_)) => None,
        ("==", None) => Some(order.is_eq()),
        ("!=", None) => Some(order.is_ne()),
        (">=", None) => Some(order.is_ge()),
        ("<=", None) => Some(order.is_le()),
        (">", None) => Some(order.is_gt()),
        ("<", None) => Some(order.is_lt()),
        ("~=", None) => {
            let kept = want.len().checked_sub(1).filter(|&kept| kept > 0)?;
            Some(order.is_ge() && (0..kept).all(|at| have.get(at).copied().unwrap_or(0) == want[at]))
        }
        _ => None,
    }
}

/// Release numbers; `None` for anything but a final release.
fn numbers(version: &str) -> Option<Vec<u64>> {
    version.split('.').map(|part| part.parse().ok()).collect()
}

fn compare(one: &[u64], other: &[u64]) -> std::cmp::Ordering {
    let longest = one.len().max(other.len());
    let at = |numbers: &[u64], index: usize| numbers.get(index).copied().unwrap_or(0);
    (0..longest)
        .map(|index| at(one, index).cmp(&at(other, index)))
        .find(|order| order.is_ne())
        .unwrap_or(std::cmp::Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn requirements_are_read_and_compared() {
        assert_eq!(requirement("torch (==2.1.0)"), Some(("torch".into(), "==2.1.0".into())));
        assert_eq!(requirement("numpy<2,>=1.21"), Some(("numpy".into(), "<2,>=1.21".into())));
        assert_eq!(requirement("pillow!=8.3.*,>=5.3.0 ; extra == 'x'"), None);
        assert_eq!(requirement("requests"), None);
        for (version, bounds, holds) in [
            ("2.1.0+cu118", "==2.1.0", Some(true)),
            ("2.4.6", "<2,>=1.21", Some(false)),
            ("2.4.6", "==2.*", Some(true)),
            ("1.4.5", "~=1.4.2", Some(true)),
            ("1.5.0", "~=1.4.2", Some(false)),
            ("2.0", "==2.0.0", Some(true)),
            ("2.0rc1", ">=2", None),
            ("1.0", "===1.0", None),
        ] {
            assert_eq!(satisfies(version, bounds), holds, "{version} {bounds}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(line in ".{0,40}", version in "[0-9a-z.+]{0,10}", bounds in "[=<>!~0-9.*, ]{0,20}") {
            let _ = requirement(&line);
            let _ = satisfies(&version, &bounds);
            let _ = satisfies(&version, &line);
        }

        #[test]
        fn a_version_equals_itself(numbers in proptest::collection::vec(0u32..50, 1..5)) {
            let version = numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(".");
            prop_assert_eq!(satisfies(&version, &format!(">={version},=={version}")), Some(true));
            prop_assert_eq!(satisfies(&version, &format!("<{version}")), Some(false));
        }
    }
}
