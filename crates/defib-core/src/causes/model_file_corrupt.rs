//! Weights truncated, an LFS pointer, or an HTML page.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::Study;
use crate::cause::{Cause, Fact, Finding, Group, Sign};
use crate::pattern::pattern;
use crate::telling::{cut, told};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "model-file-corrupt",
    title: "The model file is damaged",
    what: "Weights truncated, an LFS pointer, or an HTML page.",
    settled_by: "The file's size and its first 64 bytes.",
    taken_for: "a precision problem",
    by_hand: &["ls -l FILE; head -c 64 FILE | xxd (an LFS pointer, a web page?)"],
    remedies: &["download it again and compare size and hash"],
    remedy: Remedy::Never,
    judge,
};

static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"SafetensorError|Error while deserializing header|HeaderTooLarge|MetadataIncompleteBuffer|InvalidHeaderDeserialization|PytorchStreamReader failed|failed finding central directory|invalid load key|UnpicklingError|pickle data was truncated|Ran out of input|BadZipFile|File is not a zip file|INVALID_PROTOBUF|Protobuf parsing failed|ModelProto|Failed to load model because protobuf parsing failed|unable to (?:mmap|load) .*gguf|invalid magic|bad magic|unexpected EOF, expected|storage has wrong byte size|file signature not found|Unable to open file \(|corrupt(?:ed)? (?:file|model|checkpoint|weights)|checksum (?:mismatch|does not match|failed)|hash mismatch|cannot identify image file|image file is truncated|unexpected end of (?:file|data)|Not a gzipped file|CRC check failed"#)
});

/// What numpy says of any file that is not its own, a web page too.
static PICKLED: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?:Cannot load file containing|This file contains) pickled|magic string is not correct"));

fn judge(study: &Study<'_>) -> Option<Finding> {
    let Some((told, _)) = told(study, &SENTENCE) else { return not_numpy(study) };
    let explanation = format!("a model file cannot be read: {}", cut(&told.text(), 220));
    Some(told.proof(explanation)
        .step("look at it: ls -l FILE; head -c 64 FILE | xxd (an LFS pointer starts with 'version https://git-lfs', a web page with '<')")
        .step("download it again and compare its size and hash"))
}

fn not_numpy(study: &Study<'_>) -> Option<Finding> {
    let (told, _) = told(study, &PICKLED)?;
    let signs = vec![Sign::seen(Group::Log, "numpy does not know the file")];
    let facts = vec![crate::telling::quoted(&told.text()), Fact::new("log", "numpy says so of every file that has not its own format: a web page, a pointer file, a pickle")];
    let explanation = format!("a file is not what its name says: {}", cut(&told.text(), 200));
    Some(Finding::signs(signs, explanation, facts).place(told.place()).step("look at it: ls -l FILE; head -c 64 FILE | xxd (a web page begins with '<')").step("download it again and compare its size and hash"))
}
