//! A fixed limit or assertion in the GPU runtime.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::Study;
use crate::cause::{Cause, Finding};
use crate::pattern::pattern;
use crate::telling::{cut, told};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "gpu-limit-abort",
    title: "A fixed limit of the GPU runtime",
    what: "A fixed limit or assertion in the GPU runtime.",
    settled_by: "Exit 134 and a \"failed assertion\" line, with memory far below the total.",
    taken_for: "gpu-oom",
    by_hand: &["status 134 and the line with \"failed assertion\"; memory far below its total"],
    remedies: &["smaller tensors (tiling, slicing); a newer runtime"],
    remedy: Remedy::Lighter,
    judge,
};

static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"failed assertion [`'].*|MPSNDArray.*(?:> 2\*\*(?:31|32)|product of dimension|Error)|MPSRuntime.*failed|ANE Evaluation Error|LLVM ERROR: Failed to infer result type|total bytes of NDArray > 2\*\*32|Invalid buffer size: |CUDA error: invalid configuration argument|maxTexture\w+ exceed"#)
});

fn judge(study: &Study<'_>) -> Option<Finding> {
    let (told, _) = told(study, &SENTENCE)?;
    let explanation = format!("a fixed limit of the GPU runtime was hit: {}", cut(&told.text(), 220));
    Some(told.proof(explanation)
        .step("use a smaller size or sliced attention; memory is not short"))
}
