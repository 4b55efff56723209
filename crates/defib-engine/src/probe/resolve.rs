//! Where an interpreter would find a module, without importing anything.

use std::path::{Path, PathBuf};

use defib_core::place::is_user_file;

use super::source::Import;

/// Where a module comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// The user's own: these files are executed.
    Own(Vec<PathBuf>),
    /// A part of the interpreter's standard library.
    Standard,
    /// An installed package, or one that only an import hook finds.
    Installed,
    /// Nowhere on the path.
    Nowhere,
}

/// An interpreter's ways to modules.
#[derive(Debug, Clone, Default)]
pub(super) struct Paths {
    /// `sys.path`, with the script's folder first.
    pub(super) folders: Vec<PathBuf>,
    /// Modules inside the interpreter.
    pub(super) builtin: Vec<String>,
    /// Names of the standard library, where the interpreter tells them.
    pub(super) standard: Vec<String>,
}

impl Paths {
    /// Where this import leads to. `file` is the source it stands in.
    pub(super) fn find(&self, import: &Import, file: &Path) -> Found {
        if import.level > 0 {
            let up = file.ancestors().nth(import.level as usize).map(Path::to_owned);
            return Found::Own(up.map(|folder| files(&folder, import)).unwrap_or_default());
        }
        let package = import.package();
        if self.builtin.iter().any(|name| name == package) {
            return Found::Standard;
        }
        let Some((folder, entry)) = self.folders.iter().find_map(|folder| Some((folder, entry(folder, package)?)))
        else {
            return if self.standard.iter().any(|name| name == package) { Found::Standard } else { Found::Nowhere };
        };
        let shown = entry.to_string_lossy();
        if is_user_file(&shown) {
            return match entry.extension() {
                // A compiled module cannot be read; it has to be tried.
                Some(ending) if ending == "so" => Found::Installed,
                _ => Found::Own(files(folder, import)),
            };
        }
        let installed = ["site-packages", "dist-packages"].iter().any(|part| shown.contains(part));
        if installed { Found::Installed } else { Found::Standard }
    }

    /// The standard module that a file of the user's hides.
    pub(super) fn hides(&self, import: &Import) -> bool {
        import.level == 0 && self.standard.iter().any(|name| name == import.package())
    }
}

/// The file or folder by which a folder of the path provides a module.
fn entry(folder: &Path, name: &str) -> Option<PathBuf> {
    let package = folder.join(name);
    let module = folder.join(format!("{name}.py"));
    if package.join("__init__.py").is_file() {
        return Some(package.join("__init__.py"));
    }
    if module.is_file() {
        return Some(module);
    }
    let compiled = |path: &PathBuf| {
        let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let rest = file.strip_prefix(name).and_then(|rest| rest.strip_prefix('.'));
        rest.is_some_and(|rest| rest == "so" || rest.ends_with(".so") || rest == "pyd")
    };
    let entries = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    entries.filter(compiled).min().or_else(|| package.is_dir().then_some(package))
}

/// Files that this import executes, those of the packages above first.
fn files(folder: &Path, import: &Import) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folder = folder.to_owned();
    let parts = import.module.split('.').filter(|part| !part.is_empty()).map(str::to_owned);
    for part in parts {
        let module = folder.join(format!("{part}.py"));
        folder.push(&part);
        let package = folder.join("__init__.py");
        if package.is_file() {
            found.push(package);
        } else if module.is_file() {
            found.push(module);
        }
    }
    // `from package import part`: the part may be a module of its own.
    for name in &import.names {
        let candidates = [folder.join(name).join("__init__.py"), folder.join(format!("{name}.py"))];
        found.extend(candidates.into_iter().find(|path| path.is_file()));
    }
    found
}

/// The file that `-m module` executes.
pub(super) fn module_file(path: &Paths, module: &str) -> Option<PathBuf> {
    let parts: Vec<&str> = module.split('.').collect();
    path.folders.iter().find_map(|folder| {
        let at = parts.iter().fold(folder.clone(), |at, part| at.join(part));
        let candidates = [at.with_extension("py"), at.join("__main__.py")];
        candidates.into_iter().find(|file| file.is_file())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::source::read;

    fn import(text: &str) -> Import {
        read(text, true).imports.remove(0)
    }

    #[test]
    fn own_modules_are_told_from_installed_ones() {
        let scratch = std::env::temp_dir().join(format!("defib-resolve-{}", std::process::id()));
        let site = scratch.join("lib/python3.11/site-packages");
        let own = scratch.join("app");
        for file in [
            "app/track.py",
            "app/pkg/__init__.py",
            "app/pkg/deep.py",
            "lib/python3.11/site-packages/numpy/__init__.py",
            "lib/python3.11/json.py",
        ] {
            let file = scratch.join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, "").unwrap();
        }
        let path = Paths {
            folders: vec![own.clone(), scratch.join("lib/python3.11"), site],
            builtin: vec!["sys".into()],
            standard: vec!["json".into()],
        };
        let script = own.join("main.py");
        assert_eq!(path.find(&import("import sys"), &script), Found::Standard);
        assert_eq!(path.find(&import("import json"), &script), Found::Standard);
        assert_eq!(path.find(&import("import numpy.fft"), &script), Found::Installed);
        assert_eq!(path.find(&import("import nothing"), &script), Found::Nowhere);
        assert_eq!(path.find(&import("import track"), &script), Found::Own(vec![own.join("track.py")]));
        let deep = vec![own.join("pkg/__init__.py"), own.join("pkg/deep.py")];
        assert_eq!(path.find(&import("from pkg import deep"), &script), Found::Own(deep.clone()));
        assert_eq!(path.find(&import("import pkg.deep"), &script), Found::Own(deep));
        assert_eq!(
            path.find(&import("from .deep import x"), &own.join("pkg/other.py")),
            Found::Own(vec![own.join("pkg/deep.py")])
        );
        assert_eq!(module_file(&path, "pkg.deep"), Some(own.join("pkg/deep.py")));
        std::fs::remove_dir_all(scratch).unwrap();
    }
}
