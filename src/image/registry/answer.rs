//! What a registry answers: its headers, its documents, and its refusals in words that are fit for a terminal.

use super::client::Response;
use crate::bail;
use crate::error::{Context, Error, Result};
use std::io::Read;
use ureq::http::StatusCode;

const ERROR_BYTES_MAX: u64 = 64 << 10;

pub(super) fn header(response: &Response, name: &str) -> Option<String> {
    response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// A document that fits into memory.
pub(super) fn read_document(response: &mut Response, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let reader = response.body_mut().as_reader();
    reader.take(limit + 1).read_to_end(&mut bytes).context("read the answer")?;
    if bytes.len() as u64 > limit {
        bail!("the answer has more than {limit} bytes");
    }
    Ok(bytes)
}

/// A response that is no success, in words.
pub(super) fn refused(response: &mut Response) -> Error {
    let bytes = read_document(response, ERROR_BYTES_MAX).unwrap_or_default();
    Error::new(refusal(response.status(), &bytes))
}

/// `404 Not Found: manifest unknown`: the status, and what the registry says about it, made fit for a terminal.
pub(super) fn refusal(status: StatusCode, body: &[u8]) -> String {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let mut words: Vec<String> = Vec::new();
    for error in body["errors"].as_array().into_iter().flatten() {
        let (code, message) = (text(&error["code"]), text(&error["message"]));
        words.push(if message.is_empty() { code.to_lowercase().replace('_', " ") } else { message });
    }
    // What token servers and others say.
    words.extend(["details", "error_description", "message"].iter().map(|name| text(&body[*name])));
    let said = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join("; ");
    let said: String = said.chars().filter(|character| !character.is_control()).take(500).collect();
    let status = format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or_default());
    if said.is_empty() { status } else { format!("{status}: {said}") }
}

pub(super) fn explain(error: ureq::Error) -> Error {
    match error {
        ureq::Error::Io(error) => error.into(),
        ureq::Error::HostNotFound => Error::new("no such host"),
        ureq::Error::Timeout(_) => Error::new("no answer in time"),
        ureq::Error::Rustls(error) => Error::new(format!("TLS: {error}")),
        other => Error::new(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_registry_says_cannot_write_on_the_terminal() {
        let body = br#"{"errors":[{"code":"DENIED","message":"no\u001b[31m"},{"code":"NAME_UNKNOWN"}]}"#;
        assert_eq!(refusal(StatusCode::FORBIDDEN, body), "403 Forbidden: no[31m; name unknown");
        assert_eq!(refusal(StatusCode::BAD_GATEWAY, b"<html>"), "502 Bad Gateway");
    }
}
