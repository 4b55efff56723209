//! Takes obvious secrets out of text that leaves the machine with a page.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// What stands in place of a secret.
pub const HIDDEN: &str = "•••";

/// `--api-key X`, `--hf-token 'X'`.
static FLAG: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?i)(?P<name>-[\w-]*(?:api[-_]?key|access[-_]?key|private[-_]?key|token|secret|password|passwd|passphrase))(?P<between>\s+["']?)(?P<value>[^\s"'-][^\s"']*)"#).ok()
});

/// `OPENAI_API_KEY=X`, `"token": "X"`, `?sig=X`.
static ASSIGNED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?i)(?P<name>[\w.-]*(?:api[-_]?key|access[-_]?key(?:[-_]?id)?|private[-_]?key|token|secret|password|passwd|passphrase|credential|signature)|\bsig|\bpwd)(?P<between>["']?\s*[:=]\s*["']?)(?P<value>[^\s"'&,;)}\]]+)"#,
    )
    .ok()
});

/// `Authorization: Bearer X`, `Proxy-Authorization: …`.
static HEADER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?i)(?P<name>\b(?:authorization|(?:set-)?cookie)["']?\s*[:=]\s*["']?)(?P<value>[^"'\r\n]+)"#).ok()
});

/// `Bearer X` on its own.
static BEARER: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?P<name>\b[Bb]earer\s+)(?P<value>[A-Za-z0-9._~+/=-]{8,})").ok());

/// Tokens that tell what they are by how they begin.
static KNOWN: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"\b(?P<name>hf_|sk-|pk-|rk_live_|sk_live_|gh[pousr]_|github_pat_|glpat-|xox[abeprs]-|AKIA|ASIA|AIza|r8_|nvapi-|gsk_|eyJ)(?P<value>[A-Za-z0-9_.-]+)").ok()
});

/// `https://user:pass@host`.
static IN_URL: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?P<name>\b[A-Za-z][A-Za-z0-9+.-]*://)(?P<value>[^\s/@:"'<>]*:[^\s/@"'<>]+)@"#).ok()
});

/// The text with what looks like a secret replaced by [`HIDDEN`].
///
/// A safety net for text that the program itself printed or was given, not a
/// proof that nothing secret is left.
#[must_use]
pub fn redact(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    apply(&mut text, &IN_URL, |found| format!("{}{HIDDEN}@", &found["name"]));
    apply(&mut text, &HEADER, |found| format!("{}{HIDDEN}", &found["name"]));
    apply(&mut text, &BEARER, |found| format!("{}{HIDDEN}", &found["name"]));
    apply(&mut text, &FLAG, |found| format!("{}{}{HIDDEN}", &found["name"], &found["between"]));
    apply(&mut text, &ASSIGNED, assigned);
    apply(&mut text, &KNOWN, known);
    text
}

/// The words of a command with secrets replaced: the word after `--api-key`,
/// and all that follows `--password=`.
#[must_use]
pub fn redact_words(words: &[String]) -> Vec<String> {
    let mut hide = false;
    let clean = words.iter().map(|word| {
        let follows = std::mem::take(&mut hide);
        if follows && !word.starts_with('-') {
            return HIDDEN.to_owned();
        }
        let Some(found) = WORD.as_ref().and_then(|pattern| pattern.captures(word)) else {
            return redact(word).into_owned();
        };
        match found.name("value") {
            Some(value)
                if value.as_str().parse::<f64>().is_ok()
                    && value.len() < 8
                    && found["name"].to_ascii_lowercase().ends_with("token") =>
            {
                word.clone()
            }
            Some(_) => format!("{}={HIDDEN}", &found["name"]),
            None => {
                hide = word.starts_with('-');
                word.clone()
            }
        }
    });
    clean.collect()
}

/// A word that names a secret, with it or before it.
static WORD: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?is)^(?P<name>[\w.-]*(?:api[-_]?key|access[-_]?key|private[-_]?key|token|secret|password|passwd|passphrase|credential))(?:=(?P<value>.+))?$").ok()
});

/// Beginnings of names of variables whose values explain failures of such programs.
const TELLING: [&str; 26] = [
    "CONDA_DEFAULT_ENV",
    "CONDA_PREFIX",
    "CUBLAS_",
    "CUDA_",
    "CUDNN_",
    "DEFIB_",
    "HF_",
    "HUGGINGFACE_",
    "JAX_",
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "MALLOC_",
    "MKL",
    "NCCL_",
    "NUMEXPR_",
    "NVIDIA_",
    "OMP",
    "OPENBLAS_",
    "PATH",
    "PYTHON",
    "PYTORCH",
    "TF_",
    "TMPDIR",
    "TOKENIZERS_",
    "TORCH",
    "TRANSFORMERS_",
];

/// Further names, which are whole.
const TELLING_WHOLE: [&str; 5] =
    ["DIFFUSERS_CACHE", "VIRTUAL_ENV", "XDG_CACHE_HOME", "XLA_FLAGS", "XLA_PYTHON_CLIENT_PREALLOCATE"];

/// The value of a variable of the environment as it may be kept: without secrets
/// where the variable explains failures, [`HIDDEN`] where its name is that of a
/// secret, and `None`, only the name, for all others.
#[must_use]
pub fn variable(name: &str, value: &str) -> Option<String> {
    let proxy = name.to_ascii_lowercase().ends_with("_proxy");
    let tells = proxy || TELLING_WHOLE.contains(&name) || TELLING.iter().any(|begin| name.starts_with(begin));
    if !tells {
        return None;
    }
    if SECRET_NAME.as_ref().is_none_or(|pattern| pattern.is_match(name)) {
        return Some(HIDDEN.to_owned());
    }
    match value.rsplit_once('@').filter(|_| proxy) {
        // A user without a password may be a token; without a scheme there is no URL to see.
        Some((before, host)) => {
            let scheme = before.find("://").map_or("", |at| &before[..at + 3]);
            Some(format!("{scheme}{HIDDEN}@{host}"))
        }
        None => Some(redact(value).into_owned()),
    }
}

/// A variable that holds a secret, by its name.
static SECRET_NAME: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?i)tokens?(?:$|_)|secret|passw|passphrase|credential|api_?key|access_?key|private_?key|auth|cookie|_key$",
    )
    .ok()
});

fn apply(text: &mut Cow<'_, str>, pattern: &Option<Regex>, by: impl Fn(&Captures<'_>) -> String) {
    let Some(pattern) = pattern else { return };
    if pattern.is_match(text) {
        *text = Cow::Owned(pattern.replace_all(text, |found: &Captures<'_>| by(found)).into_owned());
    }
}

/// `pad_token=0` and `eos_token='<|end|>'` are no secrets, and neither is the
/// name of a function that reads one.
fn assigned(found: &Captures<'_>) -> String {
    let (name, value) = (&found["name"], &found["value"]);
    let about_text = name.to_ascii_lowercase().ends_with("token") && (value.parse::<f64>().is_ok() && value.len() < 8);
    let placeholder = ["None", "null", "True", "False", "true", "false", HIDDEN].contains(&value)
        || (value.starts_with('<') && value.ends_with('>'));
    let code = value.contains('(') || value.starts_with('$') || value.starts_with("os.environ");
    if about_text || placeholder || code { found[0].to_owned() } else { format!("{name}{}{HIDDEN}", &found["between"]) }
}

/// `hf_transfer` and `sk-learn` are names: a token is long or has digits.
fn known(found: &Captures<'_>) -> String {
    let value = &found["value"];
    let long = value.len() >= 20 || (value.len() >= 6 && value.contains(|part: char| part.is_ascii_digit()));
    if long { format!("{}{HIDDEN}", &found["name"]) } else { found[0].to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden() {
        for (text, expected) in [
            ("app --api-key abc123 --steps 10", "app --api-key ••• --steps 10"),
            ("app --api_key='abc 123'", "app --api_key='••• 123'"),
            ("app --hf-token abc", "app --hf-token •••"),
            ("token=abc", "token=•••"),
            ("OPENAI_API_KEY=xyz python a.py", "OPENAI_API_KEY=••• python a.py"),
            (r#"{"password": "p", "n": 1}"#, r#"{"password": "•••", "n": 1}"#),
            ("Authorization: Bearer abc.def", "Authorization: •••"),
            (r#"curl -H "Authorization: Token abc" x"#, r#"curl -H "Authorization: •••" x"#),
            ("sent Bearer abcdefgh1234", "sent Bearer •••"),
            ("login hf_AbCdEfGhIjKlMnOpQrStUv ok", "login hf_••• ok"),
            ("key sk-proj-abc123def456", "key sk-•••"),
            ("http://u:p@host:1/x", "http://•••@host:1/x"),
            ("postgres://:p@host/db", "postgres://•••@host/db"),
            ("https://s3/x?X-Amz-Signature=ab12&y=1", "https://s3/x?X-Amz-Signature=•••&y=1"),
            ("AKIAIOSFODNN7EXAMPLE", "AKIA•••"),
            ("PASSWORD: hunter2", "PASSWORD: •••"),
        ] {
            assert_eq!(redact(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_secret_stays() {
        for text in [
            "python track.py --max-tokens 512 --steps 10",
            "max_tokens=512, tokens: 99",
            "pad_token=0 eos_token='<|endoftext|>' bos_token=None",
            "import hf_transfer; import sklearn as sk-learn",
            "http://127.0.0.1:8080/track",
            "token = read_token()",
            "File \"/home/u/app/tokens.py\", line 3",
            "a task-12345678 at risk-1234567",
        ] {
            assert_eq!(redact(text), text);
        }
    }

    #[test]
    fn words_of_a_command_are_hidden_whole() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let given = words(&[
            "a",
            "--hf-token",
            "two words",
            "--password=it's \"odd\"\nindeed",
            "token",
            "x",
            "--token",
            "--n",
            "3",
            "http://u:p@h",
        ]);
        let expected =
            words(&["a", "--hf-token", "•••", "--password=•••", "token", "x", "--token", "--n", "3", "http://•••@h"]);
        assert_eq!(redact_words(&given), expected);
    }

    #[test]
    fn of_a_variable_that_is_kept_the_value_is_no_secret() {
        for (name, value, expected) in [
            ("CUDA_VISIBLE_DEVICES", "0,1", Some("0,1")),
            ("PATH", "/venv/bin:/usr/bin", Some("/venv/bin:/usr/bin")),
            ("PYTORCH_CUDA_ALLOC_CONF", "max_split_size_mb:128", Some("max_split_size_mb:128")),
            ("HF_HOME", "/data/hf", Some("/data/hf")),
            ("HF_TOKEN", "abc", Some(HIDDEN)),
            ("HUGGINGFACE_HUB_TOKEN", "abc", Some(HIDDEN)),
            ("HF_ENDPOINT", "https://me:pw@mirror/x", Some("https://•••@mirror/x")),
            ("https_proxy", "http://me:p@ss@proxy:3128", Some("http://•••@proxy:3128")),
            ("ALL_PROXY", "sometoken@proxy:1080", Some("•••@proxy:1080")),
            ("no_proxy", "localhost,10.0.0.0/8", Some("localhost,10.0.0.0/8")),
            ("TOKENIZERS_PARALLELISM", "false", Some("false")),
            ("OPENAI_API_KEY", "abc", None),
            ("EDITOR", "vi", None),
        ] {
            assert_eq!(variable(name, value).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn hiding_twice_changes_nothing() {
        let once = redact("--token abc Authorization: x token=y http://a:b@c").into_owned();
        assert_eq!(redact(&once), once);
    }
}
