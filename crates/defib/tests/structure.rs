//! The edges of ARCHITECTURE.md, held by a test: which crate may use which, and where `unsafe` may stand.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

fn edges() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = cargo_metadata::MetadataCommand::new().no_deps().exec().expect("cargo metadata");
    let packages = metadata.packages.iter().map(|package| {
        let uses =
            package.dependencies.iter().filter(|dependency| dependency.kind == cargo_metadata::DependencyKind::Normal);
        (package.name.to_string(), uses.map(|dependency| dependency.name.clone()).collect())
    });
    packages.collect()
}

#[test]
fn crates_use_only_what_stands_below_them() {
    let edges = edges();
    let own = |name: &str| -> BTreeSet<&str> {
        edges[name].iter().map(String::as_str).filter(|name| name.starts_with("defib")).collect()
    };
    assert_eq!(own("defib-core"), BTreeSet::new());
    for below in ["defib-process", "defib-observe", "defib-store"] {
        assert_eq!(own(below), BTreeSet::from(["defib-core"]), "{below}");
    }
    assert_eq!(own("defib-engine"), BTreeSet::from(["defib-core", "defib-process", "defib-observe", "defib-store"]));
}

#[test]
fn only_the_store_names_a_database_and_core_names_no_system() {
    let edges = edges();
    for (name, uses) in &edges {
        assert!(name == "defib-store" || !uses.contains("rusqlite"), "{name}");
    }
    for system in ["rustix", "nix", "libc", "procfs"] {
        assert!(!edges["defib-core"].contains(system), "{system}");
    }
}

#[test]
fn unsafe_stands_only_where_it_may() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for name in ["defib-core", "defib-store", "defib-engine", "defib"] {
        let mut folders = vec![root.join(name).join("src")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("sources").flatten() {
                if entry.path().is_dir() {
                    folders.push(entry.path());
                } else if entry.path().extension().is_some_and(|end| end == "rs") {
                    let text = std::fs::read_to_string(entry.path()).expect("source");
                    assert!(!text.contains("unsafe {") && !text.contains("unsafe fn"), "{}", entry.path().display());
                }
            }
        }
    }
}

#[test]
fn every_cause_is_of_the_vocabulary_and_complete() {
    let known: BTreeSet<&str> = include_str!("fixtures/cause-ids.txt").lines().collect();
    let mut seen = BTreeSet::new();
    for cause in defib_core::causes::CATALOGUE {
        assert!(known.contains(cause.id), "{} is no id of the vocabulary", cause.id);
        assert!(seen.insert(cause.id), "{} stands twice", cause.id);
        assert!(!cause.what.is_empty() && !cause.settled_by.is_empty() && !cause.title.is_empty());
        assert!(!cause.by_hand.is_empty() && !cause.remedies.is_empty(), "{}", cause.id);
    }
}

#[test]
fn the_page_of_causes_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/causes.md");
    let written = std::fs::read_to_string(path).expect("docs/causes.md");
    assert!(
        written == defib_core::causes_page::page(),
        "stale: cargo run -p defib -- causes --markdown > docs/causes.md"
    );
}
