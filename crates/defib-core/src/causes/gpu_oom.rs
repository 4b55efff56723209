//! The device allocator refused.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::Study;
use crate::cause::{Cause, Finding};
use crate::pattern::pattern;
use crate::telling::{cut, told};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "gpu-oom",
    title: "GPU memory ran out",
    what: "The device allocator refused.",
    settled_by: "The figures in the message: tried above total is too large; reserved but unallocated at least as large as tried is fragmentation; other processes hold the deficit.",
    taken_for: "host-oom-kill",
    by_hand: &["compare the figures of the message: tried, total, free, reserved", "nvidia-smi: who else holds memory"],
    remedies: &["smaller size or batch, half precision, tiling, offloading", "expandable_segments:True against fragmentation"],
    remedy: Remedy::Lighter,
    judge,
};

static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"cudaMalloc failed: out of memory|hipMalloc failed: out of memory|unable to allocate (?:CUDA|Metal|Vulkan|ROCm)\d* buffer|CUDA out of memory|CUDA error: out of memory|OutOfMemoryError: .*(?:CUDA|HIP|XPU|GPU|Allocation on device)|HIP out of memory|MPS backend out of memory|CUDA_ERROR_OUT_OF_MEMORY|cudaErrorMemoryAllocation|CUBLAS_STATUS_ALLOC_FAILED|Failed to allocate memory for requested buffer|RESOURCE_EXHAUSTED: (?:Out of memory|OOM)|OOM when allocating tensor|ResourceExhaustedError|BFCArena::AllocateRawInternal|DefaultCPUAllocator: not enough memory.*cuda|Allocation on device|VK_ERROR_OUT_OF_DEVICE_MEMORY|ErrorOutOfDeviceMemory|DXGI_ERROR.*memory|failed to allocate .* on device|ggml_cuda.*out of memory"#)
});

fn judge(study: &Study<'_>) -> Option<Finding> {
    let (told, _) = told(study, &SENTENCE)?;
    let text = told.text();
    let figures = Figures::read(&text);
    let explanation = match figures.as_ref().and_then(Figures::reading) {
        Some((reading, _)) => format!("the GPU's memory did not suffice: {reading}"),
        None => format!("the GPU's memory did not suffice: {}", cut(&text, 220)),
    };
    let finding = told.proof(explanation);
    let finding = match figures.as_ref().and_then(Figures::reading) {
        Some((_, step)) => finding.step(step),
        None => finding,
    };
    Some(finding
        .step("need less: smaller size or batch, half precision, tiling or slicing, offloading")
        .step_command("see who holds the memory", ["nvidia-smi"]))
}

/// The figures of PyTorch's message, in GiB (CUDA) or GB (Metal).
#[derive(Debug, Default, PartialEq)]
struct Figures {
    tried: f64,
    total: Option<f64>,
    free: Option<f64>,
    /// Reserved by PyTorch and not in use.
    spare: Option<f64>,
    /// Other processes: id and amount.
    others: Vec<(String, f64)>,
    /// Held by others of a unified memory.
    other_allocations: Option<f64>,
}

static TRIED: LazyLock<Regex> = LazyLock::new(|| pattern(r"[Tt]ried to allocate (?P<n>[\d.]+) (?P<unit>[KMG]i?B)"));
static TOTAL: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?:total capacity of (?P<a>[\d.]+) (?P<au>[KMG]i?B)|(?P<b>[\d.]+) (?P<bu>[KMG]i?B) total capacity|max allowed: (?P<c>[\d.]+) (?P<cu>[KMG]i?B))"));
static FREE: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?:of which (?P<a>[\d.]+) (?P<au>[KMG]i?B) is free|(?P<b>[\d.]+) (?P<bu>[KMG]i?B) free)"));
static SPARE: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?P<n>[\d.]+) (?P<unit>[KMG]i?B) is reserved by PyTorch but unallocated"));
static ALLOCATED: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?P<n>[\d.]+) (?P<unit>[KMG]i?B) already allocated"));
static RESERVED: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?P<n>[\d.]+) (?P<unit>[KMG]i?B) reserved in total"));
static OTHER: LazyLock<Regex> = LazyLock::new(|| pattern(r"Process (?P<pid>\d+) has (?P<n>[\d.]+) (?P<unit>[KMG]i?B) memory in use"));
static SHARED: LazyLock<Regex> = LazyLock::new(|| pattern(r"other allocations: (?P<n>[\d.]+) (?P<unit>[KMG]i?B)"));

impl Figures {
    fn read(text: &str) -> Option<Self> {
        let one = |regex: &Regex| regex.captures(text).and_then(|found| amount(&found["n"], &found["unit"]));
        let any = |regex: &Regex| {
            let found = regex.captures(text)?;
            [("a", "au"), ("b", "bu"), ("c", "cu")].into_iter().find_map(|(number, unit)| amount(found.name(number)?.as_str(), found.name(unit)?.as_str()))
        };
        let older = || Some(one(&RESERVED)? - one(&ALLOCATED)?);
        Some(Self {
            tried: one(&TRIED)?,
            total: any(&TOTAL),
            free: any(&FREE),
            spare: one(&SPARE).or_else(older),
            others: OTHER.captures_iter(text).filter_map(|found| Some((found["pid"].to_owned(), amount(&found["n"], &found["unit"])?))).collect(),
            other_allocations: one(&SHARED),
        })
    }

    /// What the figures say, and the step that follows.
    fn reading(&self) -> Option<(String, String)> {
        let tried = self.tried;
        let (total, free) = (self.total?, self.free.unwrap_or(0.0));
        if tried > total {
            return Some((
                format!("one piece of {tried:.2} GiB was asked for, more than the {total:.2} GiB there are in all"),
                format!("no clearing helps: it must be at most about {:.0} % of its size (attention grows with the fourth power of the edge of a picture: slice or tile it)", 90.0 * total / tried),
            ));
        }
        let short = tried - free;
        let tenant = self.others.iter().max_by(|one, other| one.1.total_cmp(&other.1)).filter(|(_, amount)| *amount >= short);
        if let Some(spare) = self.spare.filter(|&spare| spare >= tried) {
            return Some((
                format!("{tried:.2} GiB were asked for, and {spare:.2} GiB are reserved but lie in pieces (fragmentation)"),
                "let PyTorch grow its pieces: PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True".to_owned(),
            ));
        }
        if let Some((pid, amount)) = tenant {
            return Some((
                format!("{tried:.2} GiB were asked for and {free:.2} GiB were free, while process {pid} holds {amount:.2} GiB"),
                format!("end process {pid} if it is not needed, or wait for it"),
            ));
        }
        if let Some(other) = self.other_allocations {
            return Some((
                format!("{tried:.2} GB were asked for; {other:.2} GB of the {total:.2} GB allowed are held outside this program's tensors"),
                "close what else uses the unified memory; a watermark ratio of 0.0 only removes the guard".to_owned(),
            ));
        }
        let usable = free + self.spare.unwrap_or(0.0);
        Some((
            format!("{tried:.2} GiB were asked for, {free:.2} of {total:.2} GiB were free"),
            format!("about {:.0} % of this piece would have fitted: reduce batch, size or precision by that", (100.0 * usable / tried).min(95.0)),
        ))
    }
}

fn amount(number: &str, unit: &str) -> Option<f64> {
    let number: f64 = number.trim_end_matches('.').parse().ok()?;
    Some(match unit.as_bytes().first()? {
        b'K' => number / 1024.0 / 1024.0,
        b'M' => number / 1024.0,
        _ => number,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_decide_what_to_do() {
        let step = |text: &str| Figures::read(text).and_then(|figures| figures.reading()).map(|(_, step)| step).unwrap_or_default();
        assert!(step("CUDA out of memory. Tried to allocate 2.61 GiB. GPU 0 has a total capacity of 23.64 GiB of which 1.02 GiB is free. Of the allocated memory 14.83 GiB is allocated by PyTorch, and 3.96 GiB is reserved by PyTorch but unallocated.").contains("expandable_segments"));
        assert!(step("Tried to allocate 40.00 GiB. GPU 0 has a total capacity of 23.64 GiB of which 20 GiB is free.").contains("no clearing helps"));
        assert!(step("Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 24.00 GiB of which 512.00 MiB is free. Process 77 has 9.00 GiB memory in use.").contains("process 77"));
        assert!(step("MPS backend out of memory (MPS allocated: 1.45 GB, other allocations: 7.42 GB, max allowed: 9.07 GB). Tried to allocate 563.62 MB on private pool.").contains("watermark"));
        assert!(step("Tried to allocate 4.00 GiB (GPU 0; 7.79 GiB total capacity; 5.00 GiB already allocated; 1.00 GiB free; 5.20 GiB reserved in total by PyTorch)").contains("30 %"));
    }
}
