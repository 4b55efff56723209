//! Which words of a command name files that should be there.

use defib_core::telling::base_name;

/// A file or folder that a command names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    /// The path as it is written.
    pub(super) path: String,
    /// It looks like a path even where nothing is there; otherwise only what exists counts.
    pub(super) surely: bool,
    /// By its option it is something that the program writes.
    pub(super) written: bool,
}

/// Endings of files that programs of this kind read.
const ENDINGS: &[&str] = &[
    "yaml",
    "yml",
    "json",
    "jsonl",
    "toml",
    "ini",
    "cfg",
    "txt",
    "csv",
    "tsv",
    "parquet",
    "xml",
    "py",
    "sh",
    "pt",
    "pth",
    "ckpt",
    "safetensors",
    "onnx",
    "bin",
    "gguf",
    "ggml",
    "npz",
    "npy",
    "pkl",
    "h5",
    "hdf5",
    "tflite",
    "engine",
    "pb",
    "mlmodel",
    "mp4",
    "avi",
    "mov",
    "mkv",
    "webm",
    "wav",
    "mp3",
    "flac",
    "png",
    "jpg",
    "jpeg",
    "webp",
    "bmp",
    "tif",
    "tiff",
    "gif",
    "pdf",
    "obj",
    "ply",
    "glb",
    "zip",
    "tar",
    "gz",
    "db",
    "sqlite",
    "model",
    "vocab",
    "pem",
];

/// Parts of an option's name that say the program writes there.
const WRITTEN: &[&str] =
    &["out", "save", "dest", "log", "result", "export", "dump", "cache", "tmp", "temp", "record", "pid", "report"];

/// Files and folders named by a program's arguments.
pub(super) fn named(arguments: &[String]) -> Vec<Named> {
    let mut found: Vec<Named> = Vec::new();
    let mut option: Option<&str> = None;
    for word in arguments {
        let (own, value) = match word.split_once('=') {
            Some((name, value)) if is_name(name) => (Some(name.trim_start_matches(['-', '+', '~'])), value),
            _ if word.starts_with('-') => {
                option = Some(word.trim_start_matches('-'));
                continue;
            }
            _ => (option.take(), word.as_str()),
        };
        let value = value.trim_matches(['\'', '"']);
        if is_no_path(value) || found.iter().any(|known| known.path == value) {
            continue;
        }
        let name = own.unwrap_or_default().to_ascii_lowercase();
        let written = WRITTEN.iter().any(|part| name.contains(part)) || name == "o";
        found.push(Named { path: value.to_owned(), surely: looks_like_path(value), written });
    }
    found
}

/// `--weights`, `video.source`, `+trainer`: not the beginning of an expression.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|part| part.is_ascii_alphanumeric() || "-_.+~/@".contains(part))
}

fn is_no_path(value: &str) -> bool {
    let number = value.parse::<f64>().is_ok();
    let too_odd =
        value.contains(['\n', '\0', '{', '}', '[', ']', '*', '?', '$', '(', ',', ';', '|']) || value.len() > 4000;
    value.is_empty() || number || too_odd || value.contains("://") || value.starts_with(['-', '~'])
}

fn looks_like_path(value: &str) -> bool {
    let from_root = value.starts_with('/') || value.starts_with("./") || value.starts_with("../");
    let ending = base_name(value)
        .rsplit_once('.')
        .filter(|(stem, _)| !stem.is_empty())
        .map(|(_, ending)| ending.to_ascii_lowercase());
    from_root || ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn paths(command: &str) -> Vec<(String, bool, bool)> {
        let words: Vec<String> = command.split(' ').map(str::to_owned).collect();
        named(&words).into_iter().map(|named| (named.path, named.surely, named.written)).collect()
    }

    #[test]
    fn files_are_told_from_other_words() {
        assert_eq!(
            paths("--weights models/a.pt --epochs 3 --lr=1e-3 video.source=/data/x.mp4 --model org/name -o out.mp4"),
            [
                ("models/a.pt".into(), true, false),
                ("/data/x.mp4".into(), true, false),
                ("org/name".into(), false, false),
                ("out.mp4".into(), true, true),
            ]
        );
        assert_eq!(paths("https://host/x.pt +a=[1,2] 7 ~/x.pt *.png"), []);
    }

    proptest! {
        /// Every path found is part of a word, whatever the words are.
        #[test]
        fn found_paths_stand_in_the_words(words in proptest::collection::vec(".{0,20}", 0..8)) {
            for named in named(&words) {
                prop_assert!(words.iter().any(|word| word.contains(&named.path)));
            }
        }
    }
}
