//! The CPU lacks an instruction that the program uses.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::Study;
use crate::cause::{Cause, Finding};
use crate::pattern::pattern;
use crate::telling::{cut, told};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "illegal-instruction",
    title: "The CPU lacks an instruction",
    what: "The CPU lacks an instruction that the program uses.",
    settled_by: "Exit 132 or SIGILL, and the CPU's flags.",
    taken_for: "a corrupt install",
    by_hand: &["status 132; lscpu | grep -i avx"],
    remedies: &["a build for this CPU"],
    remedy: Remedy::Never,
    judge,
};

static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"(?i:illegal instruction)|SIGILL|The TensorFlow library was compiled to use \w+ instructions|This (?:program|CPU) (?:requires|does not support) (?:AVX|SSE|F16C|BMI)\w*|Missing required CPU features|exit code 3221225501|0xC000001D"#)
});

fn judge(study: &Study<'_>) -> Option<Finding> {
    let (told, _) = told(study, &SENTENCE)?;
    let explanation = format!("the program uses an instruction that this CPU does not have: {}", cut(&told.text(), 220));
    Some(told.proof(explanation)
        .step("see what it has: grep -m1 flags /proc/cpuinfo; install a build for an older CPU"))
}
