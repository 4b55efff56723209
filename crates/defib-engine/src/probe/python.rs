//! What an interpreter tells about itself and its packages, and the code that asks.
//!
//! The code runs in the program's own interpreter, with its options and environment.
//! It imports nothing but the standard library, and not from the working directory:
//! a `json.py` that lies there is the user's.

use std::path::PathBuf;

use serde_json::Value;

/// Asks what the interpreter is.
pub(super) const FACTS: &str = "\
import sys
sys.path[:] = [folder for folder in sys.path if folder]
import json
print('\\n' + json.dumps({
    'executable': sys.executable, 'version': list(sys.version_info[:3]),
    'prefix': sys.prefix, 'base': getattr(sys, 'base_prefix', sys.prefix),
    'path': sys.path, 'builtin': list(sys.builtin_module_names),
    'standard': sorted(getattr(sys, 'stdlib_module_names', ()))}))";

/// Compiles the files named without executing them.
pub(super) const COMPILE: &str = "\
import sys
for name in sys.argv[1:]:
    compile(open(name, 'rb').read(), name, 'exec')";

/// Asks which distributions provide the modules named, and what they require.
pub(super) const PACKAGES: &str = "\
import sys
sys.path[:] = [folder for folder in sys.path if folder]
import json, os
from importlib import metadata
norm = lambda name: (name or '').lower().replace('_', '-').replace('.', '-')
by = getattr(metadata, 'packages_distributions', dict)()
found = []
for name in sys.argv[1:]:
    for dist in dict.fromkeys(by.get(name, [name])):
        try:
            got = metadata.distribution(dist)
        except metadata.PackageNotFoundError:
            continue
        found.append({'import': name, 'name': norm(got.metadata['Name']), 'version': got.version, 'requires': got.requires or []})
all = {norm(dist.metadata['Name']): dist.version for dist in metadata.distributions()}
cuda = None
for folder in sys.path:
    try:
        for line in open(os.path.join(folder, 'torch', 'version.py')):
            if line.startswith('cuda'):
                cuda = line.split('=')[-1].strip().strip('\\'\"')
        break
    except OSError:
        pass
print('\\n' + json.dumps({'found': found, 'installed': all, 'torch_cuda': cuda}))";

/// Asks torch for its devices.
pub(super) const TORCH: &str = "\
import sys
sys.path[:] = [folder for folder in sys.path if folder]
import json, torch
free = torch.cuda.mem_get_info() if torch.cuda.is_available() else None
print('\\n' + json.dumps({'available': torch.cuda.is_available(), 'count': torch.cuda.device_count(),
    'cuda': torch.version.cuda, 'free': free}))";

/// An interpreter.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Python {
    pub(super) executable: String,
    pub(super) version: String,
    /// The virtual environment it belongs to.
    pub(super) environment: Option<String>,
    pub(super) path: Vec<PathBuf>,
    pub(super) builtin: Vec<String>,
    pub(super) standard: Vec<String>,
}

/// A distribution.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) requires: Vec<String>,
}

/// The answer stands in the last line: what a `.pth` file prints stands before it.
pub(super) fn answer(stdout: &str) -> Option<Value> {
    stdout.lines().rev().find_map(|line| serde_json::from_str::<Value>(line).ok().filter(Value::is_object))
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned)).collect()
}

impl Python {
    /// Reads the answer to [`FACTS`].
    pub(super) fn read(answer: &Value) -> Option<Self> {
        let text = |key: &str| answer[key].as_str().map(str::to_owned);
        let version: Vec<String> = answer["version"].as_array()?.iter().map(ToString::to_string).collect();
        let (prefix, base) = (text("prefix")?, text("base")?);
        Some(Self {
            executable: text("executable").unwrap_or_default(),
            version: version.join("."),
            environment: (prefix != base).then_some(prefix),
            path: texts(&answer["path"]).into_iter().map(PathBuf::from).collect(),
            builtin: texts(&answer["builtin"]),
            standard: texts(&answer["standard"]),
        })
    }
}

/// Reads the distributions in the answer to [`PACKAGES`].
pub(super) fn packages(answer: &Value) -> Vec<Package> {
    let one = |value: &Value| {
        Some(Package {
            name: value["name"].as_str()?.to_owned(),
            version: value["version"].as_str()?.to_owned(),
            requires: texts(&value["requires"]),
        })
    };
    let mut found: Vec<Package> = answer["found"].as_array().into_iter().flatten().filter_map(one).collect();
    found.dedup_by(|one, other| one.name == other.name);
    found
}
