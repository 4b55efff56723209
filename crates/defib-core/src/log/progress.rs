//! Progress read from output: tqdm and the bars and counters like it.

use std::sync::LazyLock;

use regex::Regex;

use crate::pattern::pattern;

/// Progress as printed.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// Units done.
    pub done: f64,
    /// Units in all, where printed.
    pub total: Option<f64>,
}

static COUNTED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?:^|[\s|:(\[])(\d+(?:\.\d+)?)([kMG]?)\s*/\s*(\d+(?:\.\d+)?)([kMG]?)(?:\s*[\[)\]|]|\s+\[|\s*$|\s+(?:it|steps?|frames?|images?|pictures?|files?|batch(?:es)?|pages?|requests?|jobs?|tasks?|samples?|items?|prompts?|documents?|docs|rows?|chunks?|clips?|tiles?|crops?|shapes?|epochs?|rounds?|turns?|scenes?|videos?|done\b))",
    )
});
static PERCENT: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?:^|\s|:)(\d{1,3}(?:\.\d+)?)\s?%\s*[|\[(]"));

/// A running number of a unit of work: `request 41 done`, `step=12`, `image #7`.
static NUMBERED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)(?:^|[\s\[(|:])(?:steps?|iter(?:ation)?|batch|frame|image|picture|page|request|job|task|sample|item|prompt|document|chunk|clip|tile|crop|round|turn|session)\s?(?:no\.? ?|[#:=] ?)?(\d{1,9})(?:$|[\s\]),:;|])",
    )
});

/// Progress in one clean line, if it is a progress line.
#[must_use]
pub fn parse_progress(line: &str) -> Option<Progress> {
    if line.len() > 600 {
        return None;
    }
    if let Some(found) = COUNTED.captures(line) {
        let done = scaled(&found[1], &found[2])?;
        let total = scaled(&found[3], &found[4])?;
        if done <= total && total > 0.0 {
            return Some(Progress { done, total: Some(total) });
        }
    }
    if let Some(found) = PERCENT.captures(line) {
        let done: f64 = found[1].parse().ok()?;
        return (done <= 100.0).then_some(Progress { done, total: Some(100.0) });
    }
    let found = NUMBERED.captures(line)?;
    Some(Progress { done: found[1].parse().ok()?, total: None })
}

fn scaled(number: &str, unit: &str) -> Option<f64> {
    let factor = match unit {
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        _ => 1.0,
    };
    Some(number.parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_numbers_are_read() {
        for (line, done) in [
            ("request 41 done in 0.2 s", 41.0),
            ("[worker] step=12 loss=0.31", 12.0),
            ("image #7: 512x512", 7.0),
            ("page 3, 211 words", 3.0),
        ] {
            assert_eq!(parse_progress(line), Some(Progress { done, total: None }), "{line}");
        }
        for line in ["batch size 8", "image 512x512", "task-7 failed", "http 200", "steps per second: 3.1", "page.3"] {
            assert_eq!(parse_progress(line), None, "{line}");
        }
    }

    #[test]
    fn usual_bars_are_read() {
        for (line, done, total) in [
            (" 40%|████      | 4/10 [00:02<00:03,  1.9it/s]", 4.0, 10.0),
            ("Epoch 3:  17%|█▋ | 171/1000 [00:10<00:50]", 171.0, 1000.0),
            ("model.safetensors:  12%|█  | 1.20G/9.98G [00:10<01:10, 125MB/s]", 1.2e9, 9.98e9),
            ("100%|##########| 10/10 [00:05<00:00,  1.99it/s]", 10.0, 10.0),
            ("step 12/50", 12.0, 50.0),
            ("[3/20] frames", 3.0, 20.0),
        ] {
            assert_eq!(parse_progress(line), Some(Progress { done, total: Some(total) }), "{line}");
        }
    }

    #[test]
    fn other_text_is_no_progress() {
        for line in ["loaded in 3.2 s", "/usr/lib/python3", "2024/05/01 10:00", "accuracy 93 %", "a 7/3 b"] {
            assert_eq!(parse_progress(line), None, "{line}");
        }
    }
}
