//! The types of the fields in signed documents. A value is validated when it is created, whatever
//! its origin.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::escape::Words;
use crate::escape::is_invisible;
use crate::limits;

/// A product, channel, target or encoding: `[a-z0-9][a-z0-9._-]{0,63}`. Safe as a path
/// component.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let alphabet = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
        let starts_well = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if starts_well && text.len() <= 64 && text.bytes().all(alphabet) {
            Ok(Name(text))
        } else {
            Err(format!(
                "`{}` is not a name: up to 64 of a-z, 0-9, `.`, `_` and `-`, beginning with a \
                 letter or digit",
                Words(text)
            ))
        }
    }
}

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Name::try_from(text.to_owned())
    }
}

impl From<Name> for String {
    fn from(name: Name) -> String {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A BLAKE3 hash: 32 bytes, written as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// The hash of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Digest(*blake3::hash(bytes).as_bytes())
    }
}

impl From<blake3::Hash> for Digest {
    fn from(hash: blake3::Hash) -> Self {
        Digest(*hash.as_bytes())
    }
}

impl TryFrom<String> for Digest {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        hex32(&text).map(Digest)
    }
}

impl FromStr for Digest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        hex32(text).map(Digest)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.to_string()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base16ct::lower::encode_string(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Exactly 64 lower-case hex digits.
pub(super) fn hex32(text: &str) -> Result<[u8; 32], String> {
    let mut bytes = [0; 32];
    match base16ct::lower::decode(text, &mut bytes) {
        Ok(decoded) if decoded.len() == 32 => Ok(bytes),
        _ => Err(format!("`{}` is not 64 lower-case hex digits", Words(text))),
    }
}

macro_rules! positive {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "u64", into = "u64")]
        pub struct $name(u64);

        impl $name {
            /// The first one.
            pub const FIRST: $name = $name(1);

            /// The number.
            pub fn get(self) -> u64 {
                self.0
            }

            /// The next one; `None` after the largest integer that a document may contain.
            pub fn next(self) -> Option<Self> {
                $name::try_from(self.0.saturating_add(1)).ok()
            }
        }

        impl TryFrom<u64> for $name {
            type Error = String;

            fn try_from(value: u64) -> Result<Self, String> {
                if value == 0 { Err("must be at least 1".into()) } else { integer(value).map($name) }
            }
        }

        impl From<$name> for u64 {
            fn from(value: $name) -> u64 {
                value.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

positive! {
    /// The number of a release within its epoch and channel. Each release has a higher one.
    Seq
}
positive! {
    /// The epoch of the keys. An emergency root raises it, and a new count of `seq` begins.
    Epoch
}

/// Refuses 2^53 and above.
pub(super) fn integer(value: u64) -> Result<u64, String> {
    if value < limits::INTEGER { Ok(value) } else { Err(format!("{value} is not below 2^53")) }
}

/// Release notes: plain text with newlines, without characters that could control a terminal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Notes(String);

impl Notes {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Notes {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.chars().find(|c| *c != '\n' && is_invisible(*c)) {
            None => Ok(Notes(text)),
            Some(c) => Err(format!("notes contain U+{:04X}, a control or invisible character", u32::from(c))),
        }
    }
}

impl From<Notes> for String {
    fn from(notes: Notes) -> String {
        notes.0
    }
}
