//! The stdout or stderr handle is invalid; logging itself raises.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::Study;
use crate::cause::{Cause, Finding};
use crate::pattern::pattern;
use crate::telling::{cut, told};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "stdio-broken",
    title: "Standard output is broken",
    what: "The stdout or stderr handle is invalid; logging itself raises.",
    settled_by: "The last frames are in print, flush or tqdm.",
    taken_for: "a crash in inference",
    by_hand: &["the last frames are in print, flush or tqdm"],
    remedies: &["keep the reader alive, or send output to a file"],
    remedy: Remedy::Never,
    judge,
};

static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"BrokenPipeError: |OSError: \[Errno (?:5|9|22|32)\] (?:Input/output error|Bad file descriptor|Invalid argument|Broken pipe)|ValueError: (?:I/O operation on closed file|underlying buffer has been detached)|AttributeError: 'NoneType' object has no attribute '(?:write|flush|isatty|fileno|encoding|buffer)'|lost sys\.(?:stdout|stderr)|UnicodeEncodeError: '(?:ascii|charmap|gbk|cp\d+|latin-1)' codec"#)
});

fn judge(study: &Study<'_>) -> Option<Finding> {
    let (told, _) = told(study, &SENTENCE)?;
    let explanation = format!("printing itself failed: {}", cut(&told.text(), 220));
    Some(told.proof(explanation)
        .step("give it a valid standard output (a file or pipe), and PYTHONIOENCODING=utf-8 where characters are refused"))
}
