//! Memory and threads over time, and the code beside which they grow.

use crate::case::{End, Study};
use crate::event::Ending;
use crate::facts::{Frame, Look, Vitals};
use crate::place::is_user_file;
use crate::slope::{Point, Slope, slope};
use crate::telling::base_name;

/// How memory grew until a limit was reached, or until now.
#[derive(Debug, Clone, PartialEq)]
pub struct Growth {
    /// Resident bytes at the beginning of the steady part.
    pub from_bytes: u64,
    /// And at its end.
    pub to_bytes: u64,
    /// Seconds between the two.
    pub span_s: f64,
    /// Samples that grew, of those in the part.
    pub grew: usize,
    /// Samples in the part.
    pub samples: usize,
    /// Threads at the beginning and at the end.
    pub threads: (u32, u32),
    /// Growth over units of work, where these were told.
    pub slope: Option<Slope>,
}

impl Growth {
    /// Bytes grown.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.to_bytes.saturating_sub(self.from_bytes)
    }
}

/// Least growth that is worth a word.
const LEAST: u64 = 24 << 20;

/// A run that ended well is judged only if it grew by so much, and to the double.
const LEAST_OF_COMPLETED: u64 = 128 << 20;

/// How memory grew: over equal units of work where these are told, else over time. A
/// plateau, or one single step to the limit, is no growth in this sense.
#[must_use]
pub fn growth(study: &Study<'_>) -> Option<Growth> {
    let over_limit = matches!(study.case.ending, Some((_, Ending::OverMemory { .. })));
    let vitals = alive(study);
    match slope(&points(vitals, &study.case.units)) {
        Some(slope) if slope.goes_on() => over_units(study, vitals, slope),
        // By its units it does not grow, whatever it did over time.
        Some(_) if !over_limit => None,
        _ => over_time(study),
    }
}

/// Memory after each unit of work, by the last sample before the next.
fn points(vitals: &[Vitals], units: &[(f64, f64)]) -> Vec<Point> {
    let mut points: Vec<Point> = Vec::new();
    for sample in vitals {
        let done = units.iter().take_while(|(at_s, _)| *at_s <= sample.at_s).last();
        let Some(&(_, done)) = done else { continue };
        let point = Point { units: done, bytes: sample.rss_bytes };
        match points.last_mut() {
            Some(last) if last.units >= done => *last = Point { units: last.units, ..point },
            _ => points.push(point),
        }
    }
    points
}

fn over_units(study: &Study<'_>, vitals: &[Vitals], slope: Slope) -> Option<Growth> {
    let part = &vitals[vitals.len() / 3..];
    let (first, last) = (part.first()?, part.last()?);
    #[expect(clippy::cast_precision_loss, reason = "compared roughly")]
    let grown = slope.bytes_per_unit * slope.units >= LEAST as f64;
    let completed = study.case.end == End::Exited(0) && study.case.ending.is_none();
    let total = last.rss_bytes.saturating_sub(first.rss_bytes);
    let all = vitals.first()?.rss_bytes;
    if !grown || completed && (total < LEAST_OF_COMPLETED || last.rss_bytes < all.max(1) * 2) {
        return None;
    }
    let steps = part.windows(2);
    Some(Growth {
        from_bytes: first.rss_bytes,
        to_bytes: last.rss_bytes,
        span_s: last.at_s - first.at_s,
        grew: steps.filter(|pair| pair[1].rss_bytes > pair[0].rss_bytes + (256 << 10)).count(),
        samples: part.len() - 1,
        threads: (first.threads, last.threads),
        slope: Some(slope),
    })
}

fn over_time(study: &Study<'_>) -> Option<Growth> {
    let over = matches!(
        study.case.ending,
        Some((_, Ending::OverMemory { .. } | Ending::TimedOut { .. } | Ending::Cancelled { .. }))
    );
    if !over && study.case.end != End::Alive {
        return None;
    }
    let vitals = alive(study);
    if vitals.len() < 5 {
        return None;
    }
    // The start of a program grows anyway: imports, weights.
    let from = vitals.len() / 3;
    let part = &vitals[from..];
    let (first, last) = (part.first()?, part.last()?);
    let steps = || part.windows(2).map(|pair| pair[1].rss_bytes.saturating_sub(pair[0].rss_bytes));
    let grew = steps().filter(|&step| step > 256 << 10).count();
    let total = last.rss_bytes.saturating_sub(first.rss_bytes);
    let largest = steps().max().unwrap_or(0);
    // One allocation that takes it all is a program that needs much, not one that grows.
    let single = largest * 10 > total * 7;
    let falls = part.windows(2).any(|pair| pair[0].rss_bytes > pair[1].rss_bytes + total / 2);
    if total < LEAST || single || falls || grew * 3 < part.len() - 1 {
        return None;
    }
    Some(Growth {
        from_bytes: first.rss_bytes,
        to_bytes: last.rss_bytes,
        span_s: last.at_s - first.at_s,
        grew,
        samples: part.len() - 1,
        threads: (first.threads, last.threads),
        slope: None,
    })
}

/// Vital signs until the end began: what a sample sees after that is the tree going.
fn alive<'a>(study: &Study<'a>) -> &'a [Vitals] {
    let vitals = &study.case.vitals;
    let ending_s = study.case.ending.as_ref().map_or(f64::INFINITY, |(at_s, _)| *at_s);
    let until = vitals.iter().position(|vitals| vitals.at_s > ending_s || vitals.rss_bytes == 0);
    &vitals[..until.unwrap_or(vitals.len())]
}

/// Threads grew steadily: at the beginning, at the end.
#[must_use]
pub fn threads(study: &Study<'_>) -> Option<(u32, u32)> {
    let vitals = alive(study);
    let (first, last) = (vitals.get(vitals.len() / 4)?, vitals.last()?);
    let ups = vitals.windows(2).filter(|pair| pair[1].threads > pair[0].threads).count();
    let downs = vitals.windows(2).filter(|pair| pair[1].threads < pair[0].threads).count();
    (last.threads >= first.threads + 3 && ups >= 3 && downs * 3 <= ups).then_some((first.threads, last.threads))
}

/// A line near the user's frames that keeps something, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keeper {
    /// File.
    pub file: String,
    /// Line.
    pub line: u32,
    /// Function that was on the stack.
    pub function: String,
    /// The text.
    pub text: String,
    /// It speaks of a cache.
    pub cache: bool,
    /// The container belongs to an object or module, not to one call.
    pub lasting: bool,
}

/// Lines near the frames of all looks that put something into a container:
/// those whose container lasts first, then the nearest.
#[must_use]
pub fn keepers(looks: &[Look]) -> Vec<Keeper> {
    let mut found: Vec<(u32, Keeper)> = Vec::new();
    for look in looks {
        let frames = look
            .processes
            .iter()
            .filter(|process| process.in_tree)
            .flat_map(|process| &process.threads)
            .filter_map(|thread| thread.python.as_ref())
            .flat_map(|stack| &stack.frames);
        let visited = look.visited.iter().map(|visited| &visited.frame);
        for frame in frames.chain(visited).filter(|frame| is_user_file(&frame.file)) {
            for (distance, keeper) in near(look, frame) {
                if !found.iter().any(|(_, known)| known.file == keeper.file && known.line == keeper.line) {
                    found.push((distance, keeper));
                }
            }
        }
    }
    found.sort_by_key(|(distance, keeper)| (!keeper.lasting, *distance));
    found.into_iter().map(|(_, keeper)| keeper).collect()
}

fn near(look: &Look, frame: &Frame) -> Vec<(u32, Keeper)> {
    let lines = look
        .sources
        .iter()
        .filter(|excerpt| excerpt.file == frame.file)
        .flat_map(|excerpt| (excerpt.first_line..).zip(excerpt.lines.iter().map(String::as_str)));
    let keeps = lines.filter(|(_, text)| keeps(text));
    keeps
        .map(|(line, text)| {
            let text = text.trim().to_owned();
            let cache = is_cache(&text) || is_cache(base_name(&frame.file));
            let lasting = lasts(look, &frame.file, line, &text);
            (
                line.abs_diff(frame.line),
                Keeper { file: frame.file.clone(), line, function: frame.function.clone(), text, cache, lasting },
            )
        })
        .collect()
}

/// An attribute, a module's variable, or a decorator; not a list that the same
/// function has just made.
fn lasts(look: &Look, file: &str, number: u32, text: &str) -> bool {
    let target = text.split(['.', '[', ' ', '(']).next().unwrap_or_default();
    if text.starts_with('@') || target == "self" || target == "cls" {
        return true;
    }
    let fresh = |line: &str| {
        let line = line.trim_start();
        let assigned = line.strip_prefix(target).is_some_and(|rest| rest.trim_start().starts_with(['=', ':']));
        assigned && ["[]", "{}", "list()", "dict()", "set()", "deque("].iter().any(|empty| line.contains(empty))
    };
    let lines = (number.saturating_sub(40)..=number).filter_map(|line| look.source_line(file, line));
    // At the margin it is the module's; indented it is made anew with each call.
    !lines.into_iter().any(|line| line.starts_with(' ') && fresh(line))
}

/// A name or line that speaks of a cache.
#[must_use]
pub fn is_cache(text: &str) -> bool {
    let text = text.to_lowercase();
    ["cache", "memo", "workspace", "plans[", "_plans", "compiled[", "kernels["].iter().any(|word| text.contains(word))
}

/// `x.append(…)`, `self.results[key] = …`, `x += [..]`, `@lru_cache(maxsize=None)`.
fn keeps(text: &str) -> bool {
    let text = text.trim();
    if text.starts_with('#') {
        return false;
    }
    let call = [
        ".append(",
        ".extend(",
        ".add(",
        ".setdefault(",
        ".insert(",
        ".appendleft(",
        "lru_cache(maxsize=None",
        "@cache",
        "functools.cache",
    ]
    .iter()
    .any(|call| text.contains(call));
    let item = text
        .split_once("] = ")
        .is_some_and(|(target, _)| target.contains('[') && !target.contains('=') && !target.contains('('));
    call || item
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_keep_something_are_known() {
        for line in
            ["self.results.append(mask)", "        cache[key] = plan", "seen.add(name)", "@lru_cache(maxsize=None)"]
        {
            assert!(keeps(line), "{line}");
        }
        for line in ["x = y[0]", "if a[0] == 3:", "# x.append(1)", "total = total + 1"] {
            assert!(!keeps(line), "{line}");
        }
    }

    #[test]
    fn one_allocation_is_no_growth() {
        let sample = |at_s: f64, mib: u64| Vitals { at_s, rss_bytes: mib << 20, ..Vitals::default() };
        let grows = |sizes: &[u64]| {
            let vitals = sizes.iter().enumerate().map(|(index, &mib)| sample(index as f64, mib)).collect();
            let ending =
                Some((9.0, Ending::OverMemory { limit_bytes: 1, used_bytes: 2, measure: None, recycle: false }));
            let case = crate::case::Case { vitals, ending, ..Default::default() };
            growth(&Study::new(&case)).is_some()
        };
        assert!(grows(&[20, 30, 60, 90, 120, 150, 180, 210]));
        assert!(!grows(&[20, 30, 30, 30, 30, 30, 30, 210]));
        assert!(!grows(&[20, 90, 200, 201, 200, 201, 200, 201]));
    }

    #[test]
    fn what_lasts_comes_before_what_one_call_makes() {
        let text = "class Search:\n    def feed(self, frame):\n        found = []\n        for left in range(9):\n            found.append(frame[left])\n        self.best.append(max(found))\n";
        let lines = text.lines().map(str::to_owned).collect();
        let excerpt = crate::facts::Excerpt { file: "s.py".into(), first_line: 1, lines };
        let frame = Frame { function: "feed".into(), file: "s.py".into(), line: 5, locals: vec![] };
        let visited = crate::facts::Visited { pid: 1, frame, times: 3 };
        let look = Look { sources: vec![excerpt], visited: vec![visited], ..Look::default() };
        let keepers = keepers(&[look]);
        assert_eq!(keepers[0].text, "self.best.append(max(found))");
    }
}
