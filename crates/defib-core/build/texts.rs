//! The texts that a cause looks for, read from its source: what stands in
//! `pattern(…)` and in `text.contains("…")`. They are handed on as Rust source.

/// A text that a cause looks for, as Rust source.
pub(crate) enum Text {
    /// Argument of `pattern`.
    Pattern(String),
    /// Argument of `contains`.
    Plain(String),
}

/// The texts in this source; the number of a line that cannot be read.
pub(crate) fn texts(source: &str) -> Result<Vec<Text>, usize> {
    let mut found = Vec::new();
    for (at, _) in source.match_indices("pattern(") {
        let before = source[..at].chars().next_back().unwrap_or(' ');
        if before.is_alphanumeric() || matches!(before, '_' | '.') || is_comment(source, at) {
            continue;
        }
        let argument = &source[at + "pattern(".len()..];
        let text = argument_text(argument).ok_or(1 + source[..at].matches('\n').count())?;
        found.push(Text::Pattern(text));
    }
    for (at, call) in source.match_indices("text.contains(") {
        let argument = &source[at + call.len()..];
        if let Some(length) = literal(argument) {
            found.push(Text::Plain(argument[..length].to_owned()));
        }
    }
    Ok(found)
}

fn is_comment(source: &str, at: usize) -> bool {
    source[..at].rsplit('\n').next().is_some_and(|line| line.trim_start().starts_with("//"))
}

/// A literal, or `concat!` of literals.
fn argument_text(argument: &str) -> Option<String> {
    let argument = argument.trim_start();
    let Some(mut rest) = argument.strip_prefix("concat!(") else {
        return Some(argument[..literal(argument)?].to_owned());
    };
    let mut parts = Vec::new();
    loop {
        rest = rest.trim_start_matches([',', ' ', '\n']);
        while rest.starts_with("//") {
            rest = rest.split_once('\n')?.1.trim_start();
        }
        if rest.starts_with(')') {
            return Some(format!("concat!({})", parts.join(", ")));
        }
        let length = literal(rest)?;
        parts.push(&rest[..length]);
        rest = &rest[length..];
    }
}

/// Length of the string literal that `text` starts with: `"…"`, `r"…"`, `r#"…"#`.
fn literal(text: &str) -> Option<usize> {
    if let Some(raw) = text.strip_prefix('r') {
        let hashes = raw.bytes().take_while(|&byte| byte == b'#').count();
        let inner = raw[hashes..].strip_prefix('"')?;
        let close = format!("\"{}", "#".repeat(hashes));
        return Some(1 + hashes + 1 + inner.find(&close)? + close.len());
    }
    let inner = text.strip_prefix('"')?;
    let mut escaped = false;
    let end = inner.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })?;
    Some(end + 2)
}
