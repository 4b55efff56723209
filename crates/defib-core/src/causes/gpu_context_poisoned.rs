//! The first device fault makes every later GPU call fail until restart.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::Study;
use crate::cause::{Cause, Finding};
use crate::pattern::pattern;
use crate::telling::{cut, told};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "gpu-context-poisoned",
    title: "The GPU context is broken until restart",
    what: "The first device fault makes every later GPU call fail until restart.",
    settled_by: "The first GPU error after the last success.",
    taken_for: "whatever failed last",
    by_hand: &["find the FIRST GPU error after the last success", "CUDA_LAUNCH_BLOCKING=1 for the true line"],
    remedies: &["restart the process; nothing else clears the context"],
    remedy: Remedy::Fresh,
    judge,
};

static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"device-side assert triggered|an illegal memory access was encountered|CUDA error: unspecified launch failure|misaligned address|CUDA_ERROR_ILLEGAL_ADDRESS|CUDA_ERROR_LAUNCH_FAILED|cudaErrorIllegalAddress|cudaErrorLaunchFailure|cudaErrorAssert|CUBLAS_STATUS_EXECUTION_FAILED|CUDNN_STATUS_EXECUTION_FAILED|the launch timed out and was terminated|hipErrorIllegalAddress|Memory access fault by GPU"#)
});

fn judge(study: &Study<'_>) -> Option<Finding> {
    let (told, _) = told(study, &SENTENCE)?;
    let explanation = format!("a device fault broke the GPU context for the rest of this process: {}", cut(&told.text(), 220));
    Some(told.proof(explanation)
        .step("restart the process: nothing on the GPU can be trusted in it")
        .step("run once with CUDA_LAUNCH_BLOCKING=1 to see the call that failed first"))
}
