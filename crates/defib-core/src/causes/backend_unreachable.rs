//! Name, route, TLS or connection failed, or the server went away.

use std::sync::LazyLock;

use regex::Regex;

use crate::case::Study;
use crate::cause::{Cause, Finding};
use crate::pattern::pattern;
use crate::telling::{cut, told};
use crate::recovery::Remedy;

pub(super) static CAUSE: Cause = Cause {
    id: "backend-unreachable",
    title: "A remote service cannot be reached",
    what: "Name, route, TLS or connection failed, or the server went away.",
    settled_by: "The connection error or reset, and its step.",
    taken_for: "no-io-timeout",
    by_hand: &["curl -v the address: name, route, TLS or refusal", "on the server: ss -ltnp"],
    remedies: &["start the server or correct the address", "try again with a pause that grows"],
    remedy: Remedy::Later,
    judge,
};

static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"ConnectionRefusedError|Connection refused|ConnectionResetError|Connection reset by peer|RemoteDisconnected|Name or service not known|Temporary failure in name resolution|getaddrinfo failed|nodename nor servname|No route to host|Network is unreachable|SSLError|CERTIFICATE_VERIFY_FAILED|certificate verify failed|ConnectTimeout|ConnectionError: |NewConnectionError|ClientConnectorError|ClientConnectionError|ServerDisconnectedError|httpx\.(?:ConnectError|ReadError|RemoteProtocolError)|httpcore\.ConnectError|APIConnectionError|socket hang up|ECONNREFUSED|ECONNRESET|ENOTFOUND|Remote end closed connection|IncompleteRead|ChunkedEncodingError|proxy.*(?:refused|unreachable)|502 Bad Gateway"#)
});

fn judge(study: &Study<'_>) -> Option<Finding> {
    let (told, _) = told(study, &SENTENCE)?;
    let explanation = format!("a remote service could not be reached: {}", cut(&told.text(), 220));
    Some(told.proof(explanation)
        .step("test the connection alone: curl -v URL"))
}
