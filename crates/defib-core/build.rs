//! Collects the catalogue: every file in `src/causes/` is one cause, so that
//! adding a cause touches one file.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?;
    let folder = Path::new(&root).join("src/causes");
    println!("cargo:rerun-if-changed={}", folder.display());
    let mut names: Vec<String> = fs::read_dir(&folder)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".rs").map(str::to_owned))
        .filter(|name| name != "mod")
        .collect();
    names.sort();
    let mut text = String::new();
    for name in &names {
        let path = folder.join(format!("{name}.rs"));
        let _ = writeln!(text, "#[path = {path:?}]\nmod {name};");
    }
    let rows: Vec<String> = names.iter().map(|name| format!("&{name}::CAUSE")).collect();
    let _ = writeln!(
        text,
        "/// Every cause, by file name.\npub static CATALOGUE: &[&crate::cause::Cause] = &[{}];",
        rows.join(", ")
    );
    let out = env::var("OUT_DIR").map_err(io::Error::other)?;
    fs::write(Path::new(&out).join("causes.rs"), text)
}
