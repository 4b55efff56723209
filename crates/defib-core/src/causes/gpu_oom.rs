//! The device allocator refused.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::Study;
use crate::cause::{Cause, Finding, Retry};
use crate::pattern::pattern;
use crate::telling::{cut, told};

pub(super) static CAUSE: Cause = Cause {
    id: "gpu-oom",
    title: "GPU memory ran out",
    what: "The device allocator refused.",
    settled_by: "The figures in the message: tried above total is too large; reserved but unallocated at least as large as tried is fragmentation; other processes hold the deficit.",
    taken_for: "host-oom-kill",
    by_hand: &["compare the figures of the message: tried, total, free, reserved", "nvidia-smi: who else holds memory"],
    remedies: &["smaller size or batch, half precision, tiling, offloading", "expandable_segments:True against fragmentation"],
    retry: Retry::Lighter,
    judge,
};

static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"cudaMalloc failed: out of memory|hipMalloc failed: out of memory|unable to allocate (?:CUDA|Metal|Vulkan|ROCm)\d* buffer|CUDA out of memory|CUDA error: out of memory|OutOfMemoryError: .*(?:CUDA|HIP|XPU|GPU|Allocation on device)|HIP out of memory|MPS backend out of memory|CUDA_ERROR_OUT_OF_MEMORY|cudaErrorMemoryAllocation|CUBLAS_STATUS_ALLOC_FAILED|Failed to allocate memory for requested buffer|RESOURCE_EXHAUSTED: (?:Out of memory|OOM)|OOM when allocating tensor|ResourceExhaustedError|BFCArena::AllocateRawInternal|DefaultCPUAllocator: not enough memory.*cuda|Allocation on device|VK_ERROR_OUT_OF_DEVICE_MEMORY|ErrorOutOfDeviceMemory|DXGI_ERROR.*memory|failed to allocate .* on device|ggml_cuda.*out of memory"#)
});

fn judge(study: &Study<'_>) -> Option<Finding> {
    let (told, _) = told(study, &SENTENCE)?;
    let explanation = format!("the GPU's memory did not suffice: {}", cut(&told.text(), 220));
    Some(told.proof(explanation)
        .step("need less: smaller size or batch, half precision, tiling or slicing, offloading")
        .step("see who holds the memory: nvidia-smi"))
}
