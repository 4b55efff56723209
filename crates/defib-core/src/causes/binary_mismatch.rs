//! Compiled packages are built for different partners (torch, torchvision, numpy ABI, OpenMP, glibc, architecture).

use std::sync::LazyLock;

use regex::Regex;

use crate::case::Study;
use crate::cause::{Cause, Finding};
use crate::pattern::pattern;
use crate::telling::{cut, told};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "binary-mismatch",
    title: "Compiled packages do not fit together",
    what: "Compiled packages are built for different partners (torch, torchvision, numpy ABI, OpenMP, glibc, architecture).",
    settled_by: "An ImportError that names a symbol, or \"operator … does not exist\", and the installed version pair.",
    taken_for: "import-missing",
    by_hand: &["python -c \"import the_package\" alone; ldd on the .so of the message", "pip list: compare with the pair table of the package"],
    remedies: &["install the versions that were built for each other, into a fresh environment"],
    remedy: Remedy::Never,
    judge,
};

static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r#"ImportError: .*(?:undefined symbol|symbol not found|version `[^']+' not found|cannot open shared object file|wrong ELF class|invalid ELF header|DLL load failed|incompatible architecture|mach-o|cannot allocate memory in static TLS)"#,
        r#"|OSError: .*(?:undefined symbol|wrong ELF class|invalid ELF header|\.so[.\d]*: cannot open shared object file|version `[^']+' not found)"#,
        r#"|operator torchvision::\w+ does not exist|Couldn't load custom C\+\+ ops|Detected that PyTorch and \w+ were compiled with different CUDA|CUDA versions? .* mismatch|The detected CUDA version"#,
        r#"|numpy\.dtype size changed, may indicate binary incompatibility|module compiled against (?:ABI|API) version|A module that was compiled using NumPy 1\.x cannot be run in|numpy\.core\.multiarray failed to import|_ARRAY_API not found"#,
        r#"|OMP: Error #15|libiomp5|Initializing libomp"#,
        r#"|ImportError: cannot import name '[^']+' from (?:partially initialized module )?'[^']+' \([^)]*(?:site|dist)-packages"#,
        r#"|\.so: undefined symbol|Error relocating .*: symbol not found|is not compatible with the (?:current|installed) (?:PyTorch|CUDA|numpy)|(?:RuntimeError|ImportError): .*(?:was (?:built|compiled) (?:for|with|against)|built for (?:a different|Python))"#,
    ))
});

static NOT_INSTALLED: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"lib(?:cuda|nvidia-ml|nvcuvid|amdhip64|hsa-runtime64|ze_loader|GL|EGL|GLX|OSMesa|OpenGL|GLdispatch|X11|Xext|Xrender|xcb[\w-]*|SM|ICE)\.so[.\d]*: cannot open shared object"));

fn judge(study: &Study<'_>) -> Option<Finding> {
    // The driver's own libraries are missing where there is no driver, those of a
    // display where there is none.
    let (told, _) = told(study, &SENTENCE).filter(|(told, _)| !NOT_INSTALLED.is_match(&told.text()))?;
    let explanation = format!("compiled packages do not fit together: {}", cut(&told.text(), 220));
    Some(told.proof(explanation)
        .step("install the versions that were built for each other (the package's own table names the pairs) into a fresh environment"))
}
