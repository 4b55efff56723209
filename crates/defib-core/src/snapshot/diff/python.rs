//! Python environments and the packages in them.

use super::{Changes, Group, Importance, paired};
use crate::snapshot::{Package, PythonEnvironment, Snapshot};

pub(super) fn compare(a: &Snapshot, b: &Snapshot, changes: &mut Changes) {
    let key = |one: &'_ PythonEnvironment| (one.prefix.clone(), one.executable.clone());
    for ((_, executable), before, after) in paired(&a.python, &b.python, key) {
        match (before, after) {
            (Some(before), Some(after)) => environment(before, after, changes),
            (None, Some(new)) => {
                let says = format!("{} is in use now", name(new));
                let draft = changes.of(Group::Python, executable, None, Some(name(new)));
                draft.rated(Importance::Low).says(says);
            }
            (Some(gone), None) => {
                let says = format!("{} is no longer in use", name(gone));
                let draft = changes.of(Group::Python, executable, Some(name(gone)), None);
                draft.rated(Importance::Low).says(says);
            }
            (None, None) => {}
        }
    }
}

/// `Python 3.11.7 of /venv`.
fn name(environment: &PythonEnvironment) -> String {
    let version = environment.version.as_deref().unwrap_or("of an unknown version");
    format!("Python {version} of {}", environment.prefix)
}

fn environment(before: &PythonEnvironment, after: &PythonEnvironment, changes: &mut Changes) {
    let place = &after.prefix;
    let version = |one: &PythonEnvironment| one.version.clone().unwrap_or_else(|| "unknown".to_owned());
    let subject = format!("Python of {place}");
    changes.text(Group::Python, Importance::High, &subject, &version(before), &version(after));
    if before.on_path != after.on_path {
        let word = |on_path| if on_path { "first on the PATH" } else { "not first on the PATH" }.to_owned();
        let (from, to) = (word(before.on_path), word(after.on_path));
        let says = format!("{} is {to} now", after.executable);
        let draft = changes.of(Group::Python, format!("{}: PATH", after.executable), Some(from), Some(to));
        draft.rated(Importance::High).says(says);
    }
    for (package, before, after) in paired(&before.packages, &after.packages, |package| package.name.as_str()) {
        packages(package, place, before, after, changes);
    }
}

fn packages(name: &str, place: &str, before: Option<&Package>, after: Option<&Package>, changes: &mut Changes) {
    let subject = format!("{name} in {place}");
    match (before, after) {
        (None, Some(new)) => {
            let says = format!("package {name} {} was installed in {place}", new.version);
            changes.of(Group::Python, subject, None, Some(new.version.clone())).rated(Importance::High).says(says);
        }
        (Some(gone), None) => {
            let says = format!("package {name} {} was removed from {place}", gone.version);
            changes.of(Group::Python, subject, Some(gone.version.clone()), None).rated(Importance::High).says(says);
        }
        (Some(before), Some(after)) if before.version != after.version => {
            let says = format!("package {name} {} → {} in {place}", before.version, after.version);
            let (from, to) = (before.version.clone(), after.version.clone());
            changes.of(Group::Python, subject, Some(from), Some(to)).rated(Importance::High).says(says);
        }
        (Some(before), Some(after)) if before.folder != after.folder || before.others != after.others => {
            let told = |package: &Package| {
                let hidden = if package.others.is_empty() {
                    String::new()
                } else {
                    format!(", beside {}", package.others.join(", "))
                };
                format!("{}{hidden}", package.folder)
            };
            let (from, to) = (told(before), told(after));
            let says = format!("package {name} {}: {from} → {to}", after.version);
            changes.of(Group::Python, subject, Some(from), Some(to)).says(says);
        }
        _ => {}
    }
}
