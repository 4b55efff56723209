//! Who may ask.
//!
//! With a token, whoever has it. Without one the server listens on loopback only, and there
//! a web page in the user's own browser is the stranger: what comes from another origin,
//! or for another host, is refused.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use sha2::{Digest as _, Sha256};

use super::errors::ApiError;

/// A bearer token. Only its digest is kept, so that it cannot get into a log, and a
/// comparison takes the same time whatever was sent.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Token([u8; 32]);

impl std::fmt::Debug for Token {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Token(…)")
    }
}

impl Token {
    /// The token that this text is; spaces around it do not count.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(Sha256::digest(text).into()))
    }
}

#[derive(Debug, Clone)]
pub(super) struct Guard {
    pub(super) token: Option<Token>,
}

/// Who asks has shown the token, or needs none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trusted(pub(super) bool);

pub(super) async fn check(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    let headers = request.headers();
    if let Some(encoding) = headers.get(header::CONTENT_ENCODING).filter(|it| it.as_bytes() != b"identity") {
        // Packed, a small request could become any size.
        let message = format!("send the request unpacked, not as {encoding:?}");
        return ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message).into_response();
    }
    let trusted = guard.token.is_none() || given(headers) == guard.token;
    let refused = match &guard.token {
        Some(_) if trusted => None,
        // A probe of a load balancer has no token; it learns nothing but the status.
        Some(_) if request.uri().path() == "/healthz" => None,
        Some(_) => Some(ApiError::new(
            StatusCode::UNAUTHORIZED,
            "this server asks for a token: send `Authorization: Bearer TOKEN`",
        )),
        None => foreign(headers),
    };
    match refused {
        Some(error) => error.into_response(),
        None => {
            request.extensions_mut().insert(Trusted(trusted));
            next.run(request).await
        }
    }
}

fn given(headers: &HeaderMap) -> Option<Token> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| Token::new(token)).flatten()
}

/// It comes from elsewhere than a program of this machine.
fn foreign(headers: &HeaderMap) -> Option<ApiError> {
    let host = headers.get(header::HOST).map(|host| host.to_str().unwrap_or_default());
    if let Some(host) = host.filter(|host| !is_loopback(host)) {
        let message = format!("this server answers for this machine only, not for {host:?}; use 127.0.0.1 or a token");
        return Some(ApiError::new(StatusCode::MISDIRECTED_REQUEST, message));
    }
    let origin = headers.get(header::ORIGIN)?.to_str().unwrap_or_default();
    let own = host.is_some_and(|host| origin.strip_prefix("http://") == Some(host));
    (!own).then(|| {
        ApiError::new(StatusCode::FORBIDDEN, format!("a page of {origin:?} may not use this server without a token"))
    })
}

fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_this_machine() {
        for own in ["127.0.0.1:8808", "localhost", "LOCALHOST:80", "[::1]:8808", "127.1.2.3"] {
            assert!(is_loopback(own), "{own}");
        }
        for other in ["evil.example:8808", "localhost.evil.example", "192.168.0.7:8808", "", "127.0.0.1.evil.example"] {
            assert!(!is_loopback(other), "{other}");
        }
    }

    #[test]
    fn a_page_of_elsewhere_is_a_stranger() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            pairs.iter().map(|&(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect::<HeaderMap>()
        };
        assert!(foreign(&headers(&[("host", "127.0.0.1:8808")])).is_none());
        assert!(foreign(&headers(&[("host", "127.0.0.1:8808"), ("origin", "http://127.0.0.1:8808")])).is_none());
        assert!(foreign(&headers(&[("host", "127.0.0.1:8808"), ("origin", "https://evil.example")])).is_some());
        assert!(foreign(&headers(&[("host", "127.0.0.1:8808"), ("origin", "null")])).is_some());
        assert!(foreign(&headers(&[("host", "rebound.example:8808")])).is_some());
        let token = Token::new(" secret\n").unwrap();
        assert_eq!(given(&headers(&[("authorization", "bearer secret")])), Some(token.clone()));
        assert_ne!(given(&headers(&[("authorization", "Bearer secreT")])), Some(token.clone()));
        assert!(!format!("{token:?}").contains("secret") && Token::new(" ").is_none());
    }
}
