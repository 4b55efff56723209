//! Files on their way into an attempt and out of it.
//!
//! Every attempt has a folder of its own: `in` with copies of its files, so that what a
//! predictor does to them changes nothing that is kept, and `out` for what it makes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use defib_store::{ArtifactError, Artifacts};
use serde_json::{Map, Value, json};

use super::backend::MadeFile;

/// Folder of all attempts in the state folder.
const FOLDER: &str = "work";
/// Longest name of a file that is taken over.
const LONGEST_NAME: usize = 100;

/// The inputs of an attempt.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    /// Values.
    pub(super) values: Map<String, Value>,
    /// Files, laid out.
    pub(super) files: BTreeMap<String, PathBuf>,
}

/// The folder of one attempt; removed when dropped.
#[derive(Debug)]
pub(super) struct Desk {
    place: PathBuf,
}

impl Desk {
    /// The folder for an attempt of `owner`.
    /// Most jobs have no files, and whoever makes some makes `out`: nothing is made ahead.
    pub(super) fn new(state: &Path, owner: &str, job: &str, attempt: u32) -> Self {
        Self { place: state.join(FOLDER).join(owner).join(format!("{job}-{attempt}")) }
    }

    /// Where files that are made go.
    pub(super) fn out(&self) -> PathBuf {
        self.place.join("out")
    }

    /// Copies the files among the inputs here; returns the other inputs, and the files.
    ///
    /// # Errors
    /// Where a file is gone or cannot be copied.
    pub(super) fn lay_out(&self, inputs: &Map<String, Value>, artifacts: &Artifacts) -> Result<Inputs, ArtifactError> {
        let Inputs { mut values, mut files } = Inputs::default();
        for (name, value) in inputs {
            let Some(digest) = digest(value) else {
                values.insert(name.clone(), value.clone());
                continue;
            };
            let folder = self.place.join("in");
            let path = folder.join(format!("{}-{}", files.len(), file_name(name, value)));
            let disk = |source| ArtifactError::Disk { path: path.clone(), source };
            let mut kept = artifacts.read(digest)?;
            fs::create_dir_all(&folder).map_err(disk)?;
            io::copy(&mut kept, &mut File::create(&path).map_err(disk)?).map_err(disk)?;
            files.insert(name.clone(), path);
        }
        Ok(Inputs { values, files })
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // Also where it was never made.
        let _ = fs::remove_dir_all(&self.place);
    }
}

/// Removes what owners left who are gone.
pub(super) fn clear(state: &Path, is_gone: impl Fn(&str) -> bool) {
    for entry in fs::read_dir(state.join(FOLDER)).into_iter().flatten().flatten() {
        if is_gone(&entry.file_name().to_string_lossy()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// An input that is a file: `{"sha256": …}`.
#[must_use]
pub fn digest(value: &Value) -> Option<&str> {
    value.as_object()?.get("sha256")?.as_str()
}

/// The file as it stands among the inputs of a job.
#[must_use]
pub fn reference(sha256: &str, name: &str, bytes: u64) -> Value {
    json!({ "sha256": sha256, "name": name, "bytes": bytes })
}

/// A name that leads nowhere else, with the ending that tells what it is.
fn file_name(input: &str, value: &Value) -> String {
    let given = value.get("name").and_then(Value::as_str).unwrap_or(input);
    let base = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let safe = |c: char| if c.is_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' };
    let name: String = base.chars().map(safe).collect();
    let name = name.trim_start_matches('.');
    // The end of a name says what it is.
    let from = name.char_indices().rev().nth(LONGEST_NAME - 1).map_or(0, |(at, _)| at);
    if name.is_empty() { "file".to_owned() } else { name[from..].to_owned() }
}

/// Keeps what was made, and says how it is found.
///
/// # Errors
/// Where a file is gone, too large or cannot be kept.
pub(super) fn keep(
    files: &[MadeFile],
    out: &Path,
    artifacts: &Artifacts,
    largest: u64,
) -> Result<Vec<Value>, ArtifactError> {
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let outside = || io::Error::new(io::ErrorKind::InvalidInput, "it lies outside of the folder for outputs");
    let out = out.canonicalize().map_err(|source| ArtifactError::Disk { path: out.to_owned(), source })?;
    let mut kept = Vec::new();
    for file in files {
        let disk = |source| ArtifactError::Disk { path: file.path.clone(), source };
        // A link that leads out of it would hand out any file of this machine.
        let path = file.path.canonicalize().map_err(disk)?;
        if !path.starts_with(&out) {
            return Err(disk(outside()));
        }
        let artifact = artifacts.keep(&mut File::open(&path).map_err(disk)?, largest)?;
        kept.push(json!({
            "name": file.name,
            "sha256": artifact.sha256,
            "bytes": artifact.bytes,
            "media_type": file.media_type,
            "url": format!("/v1/artifacts/{}", artifact.sha256),
        }));
    }
    Ok(kept)
}

/// MIME type by the ending of a name.
#[must_use]
pub fn media_type(name: &str) -> &'static str {
    let ending = Path::new(name).extension().map(|it| it.to_string_lossy().to_ascii_lowercase());
    match ending.as_deref() {
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("webp") => "image/webp",
        Some("gif") => "image/gif",
        Some("bmp") => "image/bmp",
        Some("json") => "application/json",
        Some("txt" | "log" | "md") => "text/plain",
        Some("csv") => "text/csv",
        Some("wav") => "audio/wav",
        Some("mp3") => "audio/mpeg",
        Some("mp4") => "video/mp4",
        Some("npy") => "application/x-npy",
        Some("zip") => "application/zip",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scratch() -> (tempfile::TempDir, Artifacts, Desk) {
        let folder = tempfile::tempdir().unwrap();
        let artifacts = Artifacts::open(folder.path()).unwrap();
        let desk = Desk::new(folder.path(), "o1", "j1", 1);
        fs::create_dir_all(desk.out()).unwrap();
        (folder, artifacts, desk)
    }

    #[test]
    fn what_a_predictor_does_to_its_input_changes_nothing_that_is_kept() {
        let (folder, artifacts, desk) = scratch();
        let kept = artifacts.keep(&mut &b"picture"[..], 100).unwrap();
        let inputs = json!({ "image": reference(&kept.sha256, "a b.PNG", 7), "steps": 3 });
        let Inputs { values, files } = desk.lay_out(inputs.as_object().unwrap(), &artifacts).unwrap();
        assert_eq!(Value::Object(values), json!({ "steps": 3 }));
        let path = &files["image"];
        assert!(path.to_string_lossy().ends_with("a_b.PNG"), "{path:?}");
        fs::write(path, "scribble").unwrap();
        let again = io::read_to_string(artifacts.read(&kept.sha256).unwrap()).unwrap();
        assert_eq!(again, "picture");
        drop(desk);
        assert!(!folder.path().join("work/o1/j1-1").exists());
    }

    #[test]
    fn only_files_of_the_folder_for_outputs_are_kept() {
        let (folder, artifacts, desk) = scratch();
        let made = |path: PathBuf| MadeFile { name: "out.txt".into(), path, media_type: "text/plain".into() };
        let good = desk.out().join("good.txt");
        fs::write(&good, "abc").unwrap();
        let kept = keep(&[made(good.clone())], &desk.out(), &artifacts, 3).unwrap();
        assert_eq!((kept[0]["bytes"].as_u64(), kept[0]["name"].as_str()), (Some(3), Some("out.txt")));
        assert!(keep(&[made(good)], &desk.out(), &artifacts, 2).is_err(), "too large");
        let secret = folder.path().join("secret");
        fs::write(&secret, "key").unwrap();
        let link = desk.out().join("link");
        std::os::unix::fs::symlink(&secret, &link).unwrap();
        for path in [secret, link, desk.out().join("../in/../../../../secret")] {
            let error = keep(&[made(path)], &desk.out(), &artifacts, 100).unwrap_err();
            assert!(error.to_string().contains("cannot keep"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_name_leads_elsewhere(given in ".{0,200}") {
            let name = file_name("image", &json!({ "name": given }));
            prop_assert!(!name.is_empty() && !name.contains('/') && !name.starts_with('.'));
            prop_assert!(name.chars().count() <= LONGEST_NAME);
        }
    }
}
