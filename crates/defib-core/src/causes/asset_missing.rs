//! A model, checkpoint or asset file is not there, or its hub cannot be reached.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::Study;
use crate::cause::{Cause, Finding};
use crate::pattern::pattern;
use crate::telling::{cut, told};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "asset-missing",
    title: "A model or file is not there",
    what: "A model, checkpoint or asset file is not there, or its hub cannot be reached.",
    settled_by: "The FileNotFoundError or hub error, with the path that was asked for.",
    taken_for: "config-invalid",
    by_hand: &["ls -l the path in the message, from the working directory of the program", "open the hub address in a browser; echo $HF_HUB_OFFLINE"],
    remedies: &["download the file, or correct the path", "log in to the hub where the model is gated"],
    remedy: Remedy::Never,
    judge,
};

static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r#"FileNotFoundError: (?:\[Errno 2\] )?.*|No such file or directory \(os error 2\)"#,
        r#"|(?:OSError|EnvironmentError|ValueError|RuntimeError): (?:We couldn't connect to|Can't load (?:the )?\w+ for|.* does not appear to have a file named|Error no file named|Unable to (?:open|load) (?:file|weights)|.*is not a local folder and is not a valid model identifier|Incorrect path_or_model_id|.*offline mode is enabled)"#,
        r#"|(?:LocalEntryNotFoundError|EntryNotFoundError|RepositoryNotFoundError|GatedRepoError|OfflineModeIsEnabled|HfHubHTTPError|RevisionNotFoundError|HFValidationError)\b"#,
        r#"|NO_SUCHFILE|NoSuchFile: |File doesn't exist|(?i:model|checkpoint|weights?|tokenizer|vocab\w*)[^:]{0,80}(?i:not found|does not exist|no such file|missing)\b"#,
        r#"|NotADirectoryError: |IsADirectoryError: "#,
    ))
});

static NOT_ON_HUB: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"\b(?:LocalEntryNotFoundError|EntryNotFoundError|RepositoryNotFoundError|RevisionNotFoundError)\b"));

fn judge(study: &Study<'_>) -> Option<Finding> {
    let (told, _) = told(study, &SENTENCE)?;
    let explanation = format!("a file that it needs is not there: {}", cut(&told.text(), 220));
    // A missing file often only shows what a more specific cause explains; a hub that
    // says what it has not is itself more specific than its status 404.
    let rank = if NOT_ON_HUB.is_match(&told.text()) { told.rank() - 1 } else { told.rank() + 3 };
    Some(told.proof(explanation).rank(rank)
        .step("check the path against the working directory, and whether the download ever finished"))
}
