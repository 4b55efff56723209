//! A module is not installed in the interpreter that really ran.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::Study;
use crate::cause::{Cause, Fact, Finding};
use crate::pattern::pattern;
use crate::telling::{base_name, program, told};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "import-missing",
    title: "A module is not installed",
    what: "A module is not installed in the interpreter that really ran.",
    settled_by: "ModuleNotFoundError, with that interpreter's path and sys.path.",
    taken_for: "a broken program",
    by_hand: &["THAT_PYTHON -c \"import sys; print(sys.executable, sys.path)\""],
    remedies: &["install the module into the interpreter that really runs"],
    remedy: Remedy::Never,
    judge,
};

static MISSING: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r#"(?:ModuleNotFoundError|ImportError): No module named '?(?P<python>[\w.]+)'?"#,
        r#"|^(?P<interpreter>\S*python[\d.]*(?:\.exe)?): No module named '?(?P<dash>[\w.]+)'?"#,
        r"|Error while finding module specification for '(?P<spec>[\w.]+)'",
        r"|\bNo module named '(?P<bare>[\w.]+)'",
        r"|^(?:Error: )?Cannot find (?:module|package) '(?P<node>[^/.'][^']*)'",
    ))
});

/// Modules whose distribution has another name.
const DISTRIBUTIONS: &[(&str, &str)] = &[
    ("cv2", "opencv-python"),
    ("PIL", "pillow"),
    ("yaml", "pyyaml"),
    ("sklearn", "scikit-learn"),
    ("skimage", "scikit-image"),
    ("bs4", "beautifulsoup4"),
    ("dotenv", "python-dotenv"),
    ("OpenGL", "pyopengl"),
    ("google.protobuf", "protobuf"),
    ("hydra", "hydra-core"),
    ("attr", "attrs"),
    ("Crypto", "pycryptodome"),
    ("fitz", "pymupdf"),
    ("dateutil", "python-dateutil"),
    ("serial", "pyserial"),
    ("jwt", "pyjwt"),
    ("git", "gitpython"),
    ("magic", "python-magic"),
    ("pkg_resources", "setuptools"),
    ("usb", "pyusb"),
    ("zmq", "pyzmq"),
    ("ffmpeg", "ffmpeg-python"),
    ("faiss", "faiss-cpu"),
    ("pytorch_lightning", "pytorch-lightning"),
];

fn judge(study: &Study<'_>) -> Option<Finding> {
    let (told, found) = told(study, &MISSING)?;
    if let Some(module) = found.name("node") {
        let say = format!("node cannot find the package {}", module.as_str());
        return Some(told.proof(say).step_command("install it", ["npm", "install", module.as_str()]));
    }
    let module = ["python", "dash", "spec", "bare"].iter().find_map(|group| found.name(group))?.as_str().to_owned();
    let interpreter = interpreter(study, found.name("interpreter").map(|name| name.as_str()));
    let top = module.split('.').next().unwrap_or(&module).to_owned();
    let distribution = DISTRIBUTIONS.iter().find(|row| row.0 == module || row.0 == top).map_or(top.as_str(), |row| row.1);
    let explanation = format!("the module {module} is not installed for {interpreter}, the interpreter that ran");
    let mut finding = told.proof(explanation).rank(told.rank().min(12));
    finding.facts.push(Fact::new("exit", format!("the interpreter that ran is {interpreter}")));
    Some(
        finding
            .step_command("install it for this interpreter", [&*interpreter, "-m", "pip", "install", distribution])
            .step_command("see which interpreter has it", [&*interpreter, "-m", "pip", "show", distribution])
            .step(format!("if {top} is a folder of your own, start from the folder that holds it")),
    )
}

/// The interpreter as its own error line, a look, or the command tells it.
fn interpreter(study: &Study<'_>, named: Option<&str>) -> String {
    let looked = study.case.looks.iter().rev().flat_map(|look| &look.processes).find_map(|process| {
        process.python.as_ref().and(process.executable.clone())
    });
    let program = program(study);
    let of_command = base_name(&program).starts_with("python").then_some(program);
    named.filter(|name| name.contains("python")).map(str::to_owned).or(looked).or(of_command).unwrap_or_else(|| "python3".to_owned())
}
