//! Collects the catalogue: every file in `src/causes/` is one cause, so that
//! adding a cause touches one file. The texts of its patterns are collected
//! too: the log reader derives from them which lines of a large log matter.

#[path = "build/texts.rs"]
mod texts;

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
    fs::write(Path::new(&out).join("causes.rs"), text)?;
    fs::write(Path::new(&out).join("signatures.rs"), signatures(&folder, &names)?)
}

/// The patterns of all causes as one table.
fn signatures(folder: &Path, names: &[String]) -> io::Result<String> {
    let mut table = String::from("&[\n");
    for name in names {
        let source = fs::read_to_string(folder.join(format!("{name}.rs")))?;
        let source = source.split("#[cfg(test)]").next().unwrap_or_default();
        let found = texts::texts(source).map_err(|line| {
            let why = "pattern() takes a string literal or concat! of such, so that the log reader can read it too";
            io::Error::other(format!("src/causes/{name}.rs:{line}: {why}"))
        })?;
        for text in found {
            let _ = match text {
                texts::Text::Pattern(pattern) => writeln!(table, "    Text::Pattern({pattern}),"),
                texts::Text::Plain(plain) => writeln!(table, "    Text::Plain({plain}),"),
            };
        }
    }
    table.push_str("]\n");
    Ok(table)
}
