//! No driver, a CPU-only build, a driver too old, or a hidden device.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::Study;
use crate::cause::{Cause, Finding};
use crate::pattern::pattern;
use crate::telling::{cut, told};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "gpu-unavailable",
    title: "No usable GPU",
    what: "No driver, a CPU-only build, a driver too old, or a hidden device.",
    settled_by: "The library's own sentence, CUDA_VISIBLE_DEVICES and the driver version.",
    taken_for: "binary-mismatch",
    by_hand: &["nvidia-smi; echo $CUDA_VISIBLE_DEVICES", "python -c \"import torch; print(torch.version.cuda, torch.cuda.is_available())\""],
    remedies: &["install the driver, or the build with GPU support"],
    remedy: Remedy::Elsewhere,
    judge,
};

static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"Found no NVIDIA driver|Torch not compiled with CUDA enabled|no CUDA-capable device is detected|No CUDA GPUs are available|CUDA driver version is insufficient|NVIDIA driver on your system is too old|CUDA unknown error|cudaErrorNoDevice|cudaGetDeviceCount\(\)|Torch is not able to use GPU|CUDA error: invalid device ordinal|no kernel image is available for execution|CUDA_ERROR_NO_DEVICE|NVIDIA-SMI has failed|Driver/library version mismatch|Attempting to deserialize object on a CUDA device|Can't allocate memory on the device using this package of OnnxRuntime|CUDAExecutionProvider.* is not (?:in available|enabled)|lib(?:cuda|nvidia-ml)\.so[.\d]*: cannot open|NVML Shared Library Not Found|NVMLError_(?:LibraryNotFound|DriverNotLoaded)|cuInit failed|Failed to initialize NVML|jaxlib.*no GPU|Unknown backend:? '?(?:gpu|cuda)|nvidia-smi: (?:command )?not found|No such file or directory: 'nvidia-smi'|CUDA (?:is not|isn't|not) available|No GPU (?:found|available|detected)|Unable to initialize backend 'cuda'|Could not find cuda drivers|CUDARuntimeError.*(?:NoDevice|InsufficientDriver)|CUDA_ERROR_(?:NO_DEVICE|STUB_LIBRARY|SYSTEM_DRIVER_MISMATCH)|HIP error: no ROCm-capable|No HIP GPUs|MPS backend .*not (?:available|built)|PyTorch not compiled with MPS|could not select device driver|Expected one of cpu, cuda"#)
});

fn judge(study: &Study<'_>) -> Option<Finding> {
    let (told, _) = told(study, &SENTENCE)?;
    let explanation = format!("there is no GPU that it can use: {}", cut(&told.text(), 220));
    Some(told.proof(explanation)
        .step("see what there is: nvidia-smi; and what the library was built for: python3 -c 'import torch; print(torch.version.cuda, torch.cuda.is_available())'"))
}
