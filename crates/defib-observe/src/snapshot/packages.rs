//! Installed Python packages that matter, by the metadata beside them.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use defib_core::snapshot::Package;

/// Names that matter, in normal form.
const MATTER: [&str; 44] = [
    "accelerate",
    "bitsandbytes",
    "ctranslate2",
    "deepspeed",
    "diffusers",
    "fastapi",
    "flash-attn",
    "flask",
    "gradio",
    "hf-xet",
    "huggingface-hub",
    "hydra-core",
    "jax",
    "jaxlib",
    "keras",
    "lightning",
    "llama-cpp-python",
    "numpy",
    "onnx",
    "onnxruntime",
    "onnxruntime-gpu",
    "opencv-contrib-python",
    "opencv-python",
    "opencv-python-headless",
    "peft",
    "pillow",
    "protobuf",
    "pydantic",
    "pytorch-lightning",
    "ray",
    "safetensors",
    "scipy",
    "streamlit",
    "tensorflow",
    "tensorrt",
    "tokenizers",
    "torch",
    "torchaudio",
    "torchvision",
    "transformers",
    "triton",
    "uvicorn",
    "vllm",
    "xformers",
];
/// Beginnings of names that matter: CUDA libraries as wheels.
const MATTER_BEGIN: &str = "nvidia-";
/// Most entries of a folder looked at.
const ENTRIES: usize = 20_000;
/// Most bytes read of a metadata file; the version stands at its beginning.
const MOST_BYTES: u64 = 8 << 10;

/// The packages of one folder that matter. One that stands there twice, as an
/// unfinished upgrade leaves it, has the other versions in `others`.
pub(super) fn of_folder(folder: &Path) -> Vec<Package> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<Package> = Vec::new();
    for entry in entries.take(ENTRIES).flatten() {
        let name = entry.file_name();
        let Some((name, version)) = name.to_str().and_then(of_name) else { continue };
        let version = version_in(&entry.path()).or(version).unwrap_or_else(|| "unknown".to_owned());
        found.push(Package { name, version, folder: folder.to_string_lossy().into_owned(), others: Vec::new() });
    }
    found.sort_by(|one, other| one.name.cmp(&other.name).then_with(|| other.version.cmp(&one.version)));
    let mut kept: Vec<Package> = Vec::new();
    for package in found {
        match kept.last_mut().filter(|last| last.name == package.name) {
            Some(last) => last.others.push(package.version),
            None => kept.push(package),
        }
    }
    kept
}

/// Name and version of `torch-2.4.0.dist-info` or `torch-2.4.0-py3.11.egg-info`, if it matters.
fn of_name(file: &str) -> Option<(String, Option<String>)> {
    let stem = file.strip_suffix(".dist-info").or_else(|| file.strip_suffix(".egg-info"))?;
    let mut parts = stem.splitn(3, '-');
    let name = normal(parts.next()?);
    let matters = name.starts_with(MATTER_BEGIN) || MATTER.contains(&name.as_str());
    matters.then(|| (name, parts.next().map(str::to_owned)))
}

/// Lower case, with one hyphen for each run of hyphens, dots and underscores.
fn normal(name: &str) -> String {
    let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-").to_ascii_lowercase()
}

/// `Version:` of the metadata, which may be more exact than the folder's name.
fn version_in(info: &Path) -> Option<String> {
    let files = ["METADATA", "PKG-INFO"].map(|name| info.join(name));
    let file = files.iter().find_map(|file| fs::File::open(file).ok())?;
    let mut bytes = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let head = text.lines().take_while(|line| !line.is_empty());
    let version = head.filter_map(|line| line.strip_prefix("Version:")).map(|version| version.trim().to_owned()).next();
    version.filter(|version| !version.is_empty() && version.len() < 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_found_by_their_metadata_and_others_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| {
            fs::create_dir_all(folder.path().join(name)).unwrap();
            fs::write(folder.path().join(name).join("METADATA"), text).unwrap();
        };
        put("torch-2.4.0.dist-info", "Metadata-Version: 2.1\nName: torch\nVersion: 2.4.0+cu121\n\nVersion: 9\n");
        put("torch-2.3.0.dist-info", "Name: torch\nVersion: 2.3.0\n");
        put("nvidia_cublas_cu12-12.1.dist-info", "no version here\n");
        put("requests-2.0.dist-info", "Name: requests\nVersion: 2.0\n");
        fs::create_dir_all(folder.path().join("torch")).unwrap();
        fs::write(folder.path().join("Pillow-9.5.0-py3.11.egg-info"), "a file").unwrap();
        let found = of_folder(folder.path());
        let told: Vec<_> =
            found.iter().map(|package| (&*package.name, &*package.version, package.others.len())).collect();
        assert_eq!(told, [("nvidia-cublas-cu12", "12.1", 0), ("pillow", "9.5.0", 0), ("torch", "2.4.0+cu121", 1)]);
        assert_eq!(found[2].others, ["2.3.0"]);
    }

    #[test]
    fn the_names_that_matter_are_in_normal_form_and_sorted() {
        assert!(MATTER.iter().all(|name| normal(name) == *name));
        assert!(MATTER.is_sorted());
    }
}
