//! Python environments of running processes, from files: no Python is run.
//!
//! `/proc/PID/exe` names the base interpreter also where a virtual environment
//! was used, since its `python` is a link. So the first word of the command is
//! looked up as the kernel or a shell did, and a `pyvenv.cfg` above it tells.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use defib_core::snapshot::{Package, PythonEnvironment, Unanswered};

use super::packages;
use super::patience::{ONE_WITHIN, each};
use super::processes::{All, Raw};
use super::silent;
use crate::python;

/// Most environments looked at.
const MOST: usize = 60;
/// Most bytes of a configuration or header file.
const MOST_BYTES: u64 = 64 << 10;

/// How an interpreter was started: what its environment follows from.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Start {
    /// First word of the command.
    word: String,
    /// What the kernel runs.
    executable: String,
    cwd: String,
    path: String,
    python_path: String,
    home: String,
    virtual_env: String,
    no_user_site: bool,
}

/// The environments of these processes and of `python3` on this search path.
pub(super) fn read(all: &All, path: &str, until: Instant) -> (Vec<PythonEnvironment>, Vec<Unanswered>) {
    let mut starts: BTreeMap<Start, (Vec<i32>, bool)> = BTreeMap::new();
    for raw in all.list.iter().filter(|raw| raw.python) {
        starts.entry(start_of(raw)).or_default().0.push(raw.pid);
    }
    let home = std::env::var("HOME").unwrap_or_default();
    let on_path = Start { word: "python3".to_owned(), path: path.to_owned(), home, ..Start::default() };
    starts.entry(on_path).or_default().1 = true;
    // The newest interpreter on the PATH comes first: it is there in any case.
    let mut asked: Vec<(Start, (Vec<i32>, bool))> = starts.into_iter().collect();
    asked.sort_by_key(|(_, (_, on_path))| !on_path);
    asked.truncate(MOST);
    let (answers, hung) =
        each("python", asked, ONE_WITHIN * 2, until, |(start, users)| (environment(start), users.clone()));
    let mut found: BTreeMap<(String, String), PythonEnvironment> = BTreeMap::new();
    for (environment, (pids, on_path)) in answers {
        let Some(environment) = environment else { continue };
        let key = (environment.prefix.clone(), environment.executable.clone());
        let known = found.entry(key).or_insert(environment);
        known.pids.extend(pids);
        known.pids.sort_unstable();
        known.on_path |= on_path;
    }
    let unanswered = hung.into_iter().map(|(start, _)| silent(format!("packages of {}", start.word))).collect();
    (found.into_values().collect(), unanswered)
}

fn start_of(raw: &Raw) -> Start {
    let variable = |name: &str| raw.variables.get(name).cloned().unwrap_or_default();
    let word = raw.command.first().cloned().unwrap_or_default();
    // What does not depend on the folder is the same start in all folders.
    let relative = word.contains('/') && !word.starts_with('/');
    let python_path = variable("PYTHONPATH");
    let cwd = if relative || python_path.split(':').any(|part| !part.starts_with('/')) {
        raw.cwd.clone()
    } else {
        String::new()
    };
    Start {
        path: if word.contains('/') { String::new() } else { variable("PATH") },
        word,
        executable: raw.executable.trim_end_matches(" (deleted)").to_owned(),
        cwd,
        python_path,
        home: variable("HOME"),
        virtual_env: variable("VIRTUAL_ENV"),
        no_user_site: !variable("PYTHONNOUSERSITE").is_empty(),
    }
}

fn environment(start: &Start) -> Option<PythonEnvironment> {
    let launcher = launcher(start)?;
    let real = launcher.canonicalize().ok()?;
    let base = |interpreter: &Path| interpreter.parent()?.parent().map(Path::to_owned);
    let own = base(&launcher)?;
    let configuration = text(&own.join("pyvenv.cfg"));
    let real_base = base(&real)?;
    let prefix = if configuration.is_some() { own } else { real_base.clone() };
    let settings = configuration.unwrap_or_default();
    let short = short_version(&real, &prefix)?;
    let is_virtual = !settings.is_empty();
    let version = setting(&settings, "version").or_else(|| setting(&settings, "version_info"));
    let version = version.map(plain_version).or_else(|| full_version(&real_base, &short));
    let system = !is_virtual || setting(&settings, "include-system-site-packages").as_deref() == Some("true");
    let mut places = python_path(start);
    if system && !start.no_user_site && !start.home.is_empty() {
        places.push(Path::new(&start.home).join(format!(".local/lib/python{short}/site-packages")));
    }
    places.extend(site_packages(&prefix, &short));
    if is_virtual && system {
        places.extend(site_packages(&real_base, &short));
    }
    Some(PythonEnvironment {
        executable: launcher.to_string_lossy().into_owned(),
        prefix: prefix.to_string_lossy().into_owned(),
        version: Some(version.filter(|version| version.starts_with(&short)).unwrap_or(short)),
        virtual_environment: is_virtual,
        on_path: false,
        pids: Vec::new(),
        packages: installed(places),
    })
}

/// The interpreter by the name it was started with. A first word that leads
/// elsewhere (a program that renames itself) is not believed.
fn launcher(start: &Start) -> Option<PathBuf> {
    let executable = Path::new(&start.executable);
    let leads_there =
        |path: &PathBuf| start.executable.is_empty() || path.canonicalize().is_ok_and(|real| real == executable);
    let by_word = if start.word.contains('/') {
        Some(Path::new(&start.cwd).join(&start.word))
    } else {
        on_path(&start.word, &start.path)
    };
    let by_variable = || {
        let folder = Path::new(&start.virtual_env).join("bin");
        let names = ["python3", "python"].into_iter().map(|name| folder.join(name));
        names.filter(|_| !start.virtual_env.is_empty()).find(leads_there)
    };
    let by_kernel = || (!start.executable.is_empty()).then(|| executable.to_owned());
    by_word.filter(leads_there).or_else(by_variable).or_else(by_kernel)
}

/// The first executable file of this name on a search path.
fn on_path(name: &str, path: &str) -> Option<PathBuf> {
    let folders = path.split(':').filter(|folder| folder.starts_with('/'));
    folders
        .map(|folder| Path::new(folder).join(name))
        .find(|file| fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0))
        .map(|file| behind_shim(&file).unwrap_or(file))
}

/// The interpreter behind a shim of pyenv, which is a script: that of the version which
/// is set for everything.
fn behind_shim(file: &Path) -> Option<PathBuf> {
    let root = file.parent().filter(|folder| folder.ends_with("shims"))?.parent()?;
    let version = text(&root.join("version"))?;
    let version = version.lines().map(str::trim).find(|line| !line.is_empty() && !line.contains('/'))?;
    let real = root.join("versions").join(version).join("bin").join(file.file_name()?);
    real.is_file().then_some(real)
}

/// `3.11`: by the name of the interpreter, or else by the one library folder there is.
fn short_version(real: &Path, prefix: &Path) -> Option<String> {
    let by_name = python::version_of_path(real.to_str()?).filter(|version| !version.is_empty());
    by_name.or_else(|| {
        let names = fs::read_dir(prefix.join("lib")).ok()?.flatten();
        names.take(10_000).find_map(|entry| {
            let name = entry.file_name().to_str()?.strip_prefix("python")?.to_owned();
            let (major, minor) = name.split_once('.')?;
            (major.parse::<u32>().is_ok() && minor.parse::<u32>().is_ok()).then_some(name)
        })
    })
}

/// `3.11.7` of the header that comes with an interpreter.
fn full_version(base: &Path, short: &str) -> Option<String> {
    let header = text(&base.join(format!("include/python{short}/patchlevel.h")))?;
    let line = header.lines().find_map(|line| line.strip_prefix("#define PY_VERSION")?.trim().strip_prefix('"'))?;
    Some(plain_version(line.trim_end_matches('"').to_owned()))
}

/// `3.11.7` of `3.11.7.final.0` and `3.11.7+`.
fn plain_version(text: String) -> String {
    let numbers = text.split('.').take(3).collect::<Vec<_>>().join(".");
    numbers.trim_end_matches('+').to_owned()
}

/// A setting of `pyvenv.cfg`.
fn setting(text: &str, name: &str) -> Option<String> {
    let line = |line: &str| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    };
    text.lines().find_map(line).filter(|value| !value.is_empty())
}

fn text(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    let file = fs::File::open(path).ok().filter(|file| file.metadata().is_ok_and(|meta| meta.is_file()))?;
    file.take(MOST_BYTES).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn python_path(start: &Start) -> Vec<PathBuf> {
    let parts = start.python_path.split(':').filter(|part| !part.is_empty());
    parts.map(|part| Path::new(&start.cwd).join(part)).collect()
}

/// Where packages of a prefix are, in the order of `sys.path`.
fn site_packages(prefix: &Path, short: &str) -> Vec<PathBuf> {
    let mut places = Vec::new();
    // Debian's own layout.
    if prefix == Path::new("/usr") {
        places.push(PathBuf::from(format!("/usr/local/lib/python{short}/dist-packages")));
    }
    places.push(prefix.join(format!("lib/python{short}/site-packages")));
    places.push(prefix.join(format!("lib64/python{short}/site-packages")));
    places.push(prefix.join("lib/python3/dist-packages"));
    places
}

/// Packages of these folders; one that stands before hides those after it.
fn installed(places: Vec<PathBuf>) -> Vec<Package> {
    let mut seen = BTreeSet::new();
    let mut found: BTreeMap<String, Package> = BTreeMap::new();
    for place in places {
        let Ok(meta) = fs::metadata(&place) else { continue };
        // `lib64` is often a link to `lib`.
        if !seen.insert((meta.dev(), meta.ino())) {
            continue;
        }
        for package in packages::of_folder(&place) {
            match found.get_mut(&package.name) {
                Some(known) => known.others.push(package.version),
                None => {
                    found.insert(package.name.clone(), package);
                }
            }
        }
    }
    found.into_values().collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A virtual environment as files show it, with a base interpreter that is never run.
    fn scratch() -> tempfile::TempDir {
        let place = tempfile::tempdir().unwrap();
        let at = |path: &str| place.path().join(path);
        let put = |path: &str, text: &str| {
            fs::create_dir_all(at(path).parent().unwrap()).unwrap();
            fs::write(at(path), text).unwrap();
        };
        put("base/bin/python3.11", "not a program");
        fs::set_permissions(at("base/bin/python3.11"), fs::Permissions::from_mode(0o755)).unwrap();
        put("base/include/python3.11/patchlevel.h", "#define PY_VERSION      \t\"3.11.7+\"\n");
        put("base/lib/python3.11/site-packages/numpy-1.26.0.dist-info/METADATA", "Name: numpy\nVersion: 1.26.0\n");
        put("venv/pyvenv.cfg", "home = /base/bin\ninclude-system-site-packages = false\nversion = 3.11.7\n");
        put("venv/lib/python3.11/site-packages/torch-2.3.0.dist-info/METADATA", "Name: torch\nVersion: 2.3.0+cu121\n");
        fs::create_dir_all(at("venv/bin")).unwrap();
        symlink(at("base/bin/python3.11"), at("venv/bin/python3")).unwrap();
        place
    }

    fn started(place: &Path, word: &str) -> Start {
        let executable = place.join("base/bin/python3.11").canonicalize().unwrap();
        Start { word: word.to_owned(), executable: executable.display().to_string(), ..Start::default() }
    }

    #[test]
    fn a_virtual_environment_is_found_by_the_word_that_started_it() {
        let place = scratch();
        let word = place.path().join("venv/bin/python3").display().to_string();
        let found = environment(&started(place.path(), &word)).unwrap();
        assert_eq!((found.virtual_environment, found.version.as_deref()), (true, Some("3.11.7")));
        assert_eq!(Path::new(&found.prefix), place.path().join("venv"));
        let names: Vec<_> = found.packages.iter().map(|package| (&*package.name, &*package.version)).collect();
        assert_eq!(names, [("torch", "2.3.0+cu121")]);
    }

    #[test]
    fn behind_a_shim_lies_the_version_that_is_set() {
        let folder = scratch();
        let root = folder.path().join("pyenv");
        let real = root.join("versions/3.11.7/bin/python3");
        fs::create_dir_all(real.parent().unwrap()).unwrap();
        fs::create_dir_all(root.join("shims")).unwrap();
        fs::write(root.join("version"), "3.11.7\n").unwrap();
        fs::write(&real, "").unwrap();
        assert_eq!(behind_shim(&root.join("shims/python3")), Some(real));
        assert_eq!(behind_shim(Path::new("/usr/bin/python3")), None);
    }

    #[test]
    fn a_program_that_renamed_itself_is_found_by_its_variable_or_by_the_kernel() {
        let place = scratch();
        let mut start = started(place.path(), "worker: idle");
        let base = environment(&start).unwrap();
        assert_eq!((base.virtual_environment, base.version.as_deref()), (false, Some("3.11.7")));
        assert_eq!(base.packages[0].name, "numpy");
        start.virtual_env = place.path().join("venv").display().to_string();
        assert!(environment(&start).unwrap().virtual_environment);
    }

    #[test]
    fn system_packages_show_through_where_the_environment_says_so() {
        let place = scratch();
        let configuration = place.path().join("venv/pyvenv.cfg");
        fs::write(&configuration, "include-system-site-packages = true\nversion_info = 3.11.7.final.0\n").unwrap();
        let start =
            Start { path: place.path().join("venv/bin").display().to_string(), ..started(place.path(), "python3") };
        let found = environment(&start).unwrap();
        let names: Vec<_> = found.packages.iter().map(|package| &*package.name).collect();
        assert_eq!(names, ["numpy", "torch"]);
        assert_eq!(found.version.as_deref(), Some("3.11.7"));
    }

    #[test]
    fn a_package_on_the_python_path_hides_the_installed_one() {
        let place = scratch();
        let info = place.path().join("extra/torch-1.0.dist-info");
        fs::create_dir_all(&info).unwrap();
        fs::write(info.join("METADATA"), "Name: torch\nVersion: 1.0\n").unwrap();
        let word = place.path().join("venv/bin/python3").display().to_string();
        let start = Start {
            python_path: "extra".to_owned(),
            cwd: place.path().display().to_string(),
            ..started(place.path(), &word)
        };
        let found = environment(&start).unwrap();
        assert_eq!(
            (found.packages[0].version.as_str(), &found.packages[0].others[..]),
            ("1.0", &["2.3.0+cu121".to_owned()][..])
        );
    }
}
