//! Do the installed packages fit together, by what they say themselves?
//!
//! A compiled package pins its partners in its metadata (`torchvision` its `torch`,
//! others `numpy<2`). That all imports went well does not prove that they fit, so a
//! pair that does not is a warning.

use defib_core::stage::{Stage, Verdict};
use serde_json::Value;

use super::python::{self, PACKAGES, Package};
use super::versions::{requirement, satisfies};
use super::walk::{Walk, stage_of};
use crate::session::SessionError;

/// Most packages that are named in one line.
const NAMED: usize = 6;
/// Packages whose versions matter most, named first.
const WEIGHTY: [&str; 10] = [
    "torch",
    "torchvision",
    "torchaudio",
    "numpy",
    "tensorflow",
    "jax",
    "onnxruntime",
    "onnxruntime-gpu",
    "transformers",
    "diffusers",
];

/// Compares what is installed with what is required.
pub(super) fn compare(walk: &mut Walk<'_>) -> Result<Stage, SessionError> {
    if !walk.is_python() {
        return Ok(walk.not_python());
    }
    let names: Vec<String> =
        walk.groups.iter().filter(|group| !group.is_standard()).map(|group| group.name.clone()).collect();
    if names.is_empty() {
        return Ok(Stage::new("", Verdict::Passed, "it uses no packages"));
    }
    let command = walk.helper(&[], PACKAGES, &names);
    let ran = walk.run(command, walk.plan.deadline)?;
    let answer = python::answer(&ran.stdout()).filter(|_| ran.passed());
    let stage = match answer {
        // Python 3.7 and older have no such metadata: nothing is known, nothing is wrong.
        None => stage_of(&ran, Verdict::Warned, "the interpreter tells no versions of its packages"),
        Some(answer) => {
            let packages = python::packages(&answer);
            let unfit = unfit(&packages, &answer["installed"]);
            let says = versions(&packages, answer["torch_cuda"].as_str());
            match unfit.as_slice() {
                [] => stage_of(&ran, Verdict::Passed, says),
                unfit => stage_of(&ran, Verdict::Warned, unfit.join("; ")),
            }
        }
    };
    walk.forget(ran);
    Ok(stage)
}

/// `torch 2.5.1 (CUDA 12.4), numpy 1.26.4`.
fn versions(packages: &[Package], cuda: Option<&str>) -> String {
    let mut sorted: Vec<&Package> = packages.iter().collect();
    sorted.sort_by_key(|package| WEIGHTY.iter().position(|name| *name == package.name).unwrap_or(WEIGHTY.len()));
    let build = |package: &Package| match cuda {
        Some("None") if package.name == "torch" => " (without CUDA)".to_owned(),
        Some(cuda) if package.name == "torch" => format!(" (CUDA {cuda})"),
        _ => String::new(),
    };
    let one = |package: &&Package| format!("{} {}{}", package.name, package.version, build(package));
    let mut words: Vec<String> = sorted.iter().take(NAMED).map(one).collect();
    if sorted.len() > NAMED {
        words.push(format!("{} more", sorted.len() - NAMED));
    }
    if words.is_empty() { "no package metadata was found".to_owned() } else { words.join(", ") }
}

/// Requirements of the packages used that what is installed does not meet.
fn unfit(packages: &[Package], installed: &Value) -> Vec<String> {
    let mut unfit = Vec::new();
    for package in packages {
        for (name, bounds) in package.requires.iter().filter_map(|line| requirement(line)) {
            let Some(version) = installed[&name].as_str() else { continue };
            if satisfies(version, &bounds) == Some(false) {
                unfit.push(format!(
                    "{} {} wants {name}{bounds}, and {version} is installed",
                    package.name, package.version
                ));
            }
        }
    }
    unfit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_that_does_not_fit_is_named() {
        let package = |name: &str, version: &str, requires: &[&str]| Package {
            name: name.into(),
            version: version.into(),
            requires: requires.iter().map(|&line| line.to_owned()).collect(),
        };
        let packages = [package("torchvision", "0.15.2", &["numpy", "torch (==2.0.1)", "scipy ; extra == 'scipy'"])];
        let installed = serde_json::json!({"torch": "2.3.0+cu121", "numpy": "1.26.4"});
        assert_eq!(
            unfit(&packages, &installed),
            ["torchvision 0.15.2 wants torch==2.0.1, and 2.3.0+cu121 is installed"]
        );
        let torch = [package("numpy", "1.26.4", &[]), package("torch", "2.5.1", &[])];
        assert_eq!(versions(&torch, Some("12.4")), "torch 2.5.1 (CUDA 12.4), numpy 1.26.4");
    }
}
