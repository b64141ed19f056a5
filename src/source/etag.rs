//! Entity tags for conditional requests.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::limits;

/// An entity tag (RFC 9110 section 8.8.3), quotes included: the server's name for one version of an
/// object.
///
/// It proves nothing about the content. It only lets the server omit a body that the client has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Etag(String);

impl Etag {
    /// Parses a tag: quoted visible ASCII, at most [`limits::ETAG`] bytes in all. `None` if it is
    /// anything else; the client then sends no conditional request.
    pub fn new(text: &str) -> Option<Self> {
        let opaque = text.strip_prefix("W/").unwrap_or(text).strip_prefix('"')?.strip_suffix('"')?;
        let is_tag = |b: u8| b.is_ascii_graphic() && b != b'"';
        (text.len() <= limits::ETAG && opaque.bytes().all(is_tag)).then(|| Etag(text.into()))
    }

    /// The value of the header fields `ETag` and `If-None-Match`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Etag {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Etag::new(&text).ok_or("an entity tag must be quoted visible ASCII")
    }
}

impl From<Etag> for String {
    fn from(etag: Etag) -> String {
        etag.0
    }
}

impl fmt::Display for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_quoted_header_value_is_a_tag() {
        let longest = format!("\"{}\"", "x".repeat(limits::ETAG - 2));
        for good in ["\"\"", "\"5d41402abc4b2a76b9719d911017c592\"", "\"abc-3\"", "W/\"a\"", &longest] {
            assert_eq!(Etag::new(good).unwrap().as_str(), good);
        }
        let longer = format!("\"{}\"", "x".repeat(limits::ETAG - 1));
        for bad in [
            "",
            "\"",
            "abc",
            "\"a",
            "a\"",
            "\"a\"b\"",
            "\"a b\"",
            "\"a\r\nX: y\"",
            "\"\u{e9}\"",
            "w/\"a\"",
            "*",
            &longer,
        ] {
            assert_eq!(Etag::new(bad), None, "{bad:?}");
        }
    }
}
