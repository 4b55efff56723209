//! The Python package that hosts predictors, brought along: a worker runs in the user's own
//! environment, and that need not have it installed, nor in this version.

use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::io;
use std::path::{Path, PathBuf};

const FILES: &[(&str, &str)] = &[
    ("__init__.py", include_str!("../../../../../python/defib/__init__.py")),
    ("_client.py", include_str!("../../../../../python/defib/_client.py")),
    ("_cog.py", include_str!("../../../../../python/defib/_cog.py")),
    ("_control.py", include_str!("../../../../../python/defib/_control.py")),
    ("_errors.py", include_str!("../../../../../python/defib/_errors.py")),
    ("_frames.py", include_str!("../../../../../python/defib/_frames.py")),
    ("_http.py", include_str!("../../../../../python/defib/_http.py")),
    ("_inputs.py", include_str!("../../../../../python/defib/_inputs.py")),
    ("_isolated.py", include_str!("../../../../../python/defib/_isolated.py")),
    ("_isolated_child.py", include_str!("../../../../../python/defib/_isolated_child.py")),
    ("_notify.py", include_str!("../../../../../python/defib/_notify.py")),
    ("_outputs.py", include_str!("../../../../../python/defib/_outputs.py")),
    ("_process.py", include_str!("../../../../../python/defib/_process.py")),
    ("_sse.py", include_str!("../../../../../python/defib/_sse.py")),
    ("_tqdm.py", include_str!("../../../../../python/defib/_tqdm.py")),
    ("_watch.py", include_str!("../../../../../python/defib/_watch.py")),
    ("worker.py", include_str!("../../../../../python/defib/worker.py")),
];

/// Lays the package out below the state folder, and returns the folder for `PYTHONPATH`.
///
/// # Errors
/// Where it cannot be written.
pub(super) fn lay_out(state: &Path) -> io::Result<PathBuf> {
    // By what is in it: another defib that works in the same folder keeps its own.
    #[expect(deprecated, reason = "the same in every process of this program, and no secret")]
    let mut hasher = std::hash::SipHasher::new();
    FILES.hash(&mut hasher);
    let folder = state.join("python").join(format!("{:016x}", hasher.finish()));
    if folder.is_dir() {
        return Ok(folder);
    }
    let beside = state.join("python").join(format!("unfinished-{}", std::process::id()));
    fs::create_dir_all(beside.join("defib"))?;
    for (name, text) in FILES {
        fs::write(beside.join("defib").join(name), text)?;
    }
    match fs::rename(&beside, &folder) {
        Err(error) if !folder.is_dir() => Err(error),
        // Another was faster.
        Err(_) => fs::remove_dir_all(&beside).map(|()| folder),
        Ok(()) => Ok(folder),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_package_is_brought_along() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../python/defib");
        let mut names: Vec<String> = fs::read_dir(source)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| Path::new(name).extension().is_some_and(|it| it == "py"))
            .collect();
        names.sort();
        let known: Vec<&str> = FILES.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, known);
        let state = tempfile::tempdir().unwrap();
        let folder = lay_out(state.path()).unwrap();
        assert!(folder.join("defib/worker.py").is_file());
        assert_eq!(lay_out(state.path()).unwrap(), folder);
    }
}
