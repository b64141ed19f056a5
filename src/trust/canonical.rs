//! Canonical JSON: each value has exactly one encoding.
//!
//! A document is parsed, serialized again, and refused unless the bytes are equal. This one rule
//! excludes duplicate keys, unknown fields, white space, escapes, other spellings of numbers, and
//! arrays in place of objects (SPEC section 3).

use crate::escape::Words;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::DocumentKind;
use super::Refusal;

/// A signed document. Its wire format is its canonical JSON.
pub trait Document: Serialize + DeserializeOwned + sealed::Sealed {
    /// The kind of this document; for a root, with its number.
    fn kind(&self) -> DocumentKind;

    /// The kind before the document is parsed: the number of a root is not known yet.
    const KIND: DocumentKind;

    /// The value of the first field, `type`.
    const TYPE: &'static str;

    /// Checks the conditions that several fields must satisfy together. The error says which one
    /// fails.
    #[doc(hidden)]
    fn check(&self) -> Result<(), String>;

    /// Parses canonical bytes **without verifying a signature**. A signer uses it to show a
    /// document before signing. A client cannot use the result: the functions that decide and
    /// install accept only [`Verified`](super::Verified) documents.
    ///
    /// # Errors
    /// [`Refusal::Malformed`], [`Refusal::UnknownType`] and [`Refusal::OtherDocument`].
    fn from_canonical(bytes: &[u8]) -> Result<Self, Refusal> {
        parse(Self::KIND, bytes)
    }

    /// The canonical bytes, which are the bytes that are signed.
    fn to_canonical(&self) -> Vec<u8> {
        // Serializing a struct of strings, numbers and lists to memory cannot fail. If it did,
        // every reader would refuse the empty document.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

pub(super) mod sealed {
    #[allow(unnameable_types, reason = "no other type may be a document")]
    pub trait Sealed {}
}

/// Parses a document. The caller has verified its signatures, or needs none.
pub(super) fn parse<T: Document>(document: DocumentKind, bytes: &[u8]) -> Result<T, Refusal> {
    check_type(document, T::TYPE, bytes)?;
    let malformed = |why: String| Refusal::Malformed { document, why };
    let value: T =
        serde_json::from_slice(bytes).map_err(|error| malformed(Words(error.to_string()).to_string()))?;
    if value.to_canonical() != bytes {
        return Err(malformed(
            "its bytes differ from its canonical form (spaces, unknown or repeated fields, \
             escapes, order of fields)"
                .into(),
        ));
    }
    value.check().map_err(malformed)?;
    Ok(value)
}

/// Checks the field `type` before all other fields, so that a document of a future format and a
/// document of another kind are reported as such, and not as malformed.
fn check_type(document: DocumentKind, expected: &str, bytes: &[u8]) -> Result<(), Refusal> {
    #[derive(Deserialize)]
    struct Typed {
        r#type: String,
    }
    if !is_object(bytes) {
        return Err(Refusal::Malformed { document, why: "it is not a JSON object".into() });
    }
    let found = match serde_json::from_slice::<Typed>(bytes) {
        Ok(typed) => typed.r#type,
        Err(error) => return Err(Refusal::Malformed { document, why: Words(error.to_string()).to_string() }),
    };
    if found == expected {
        return Ok(());
    }
    let found_kind = found.rsplit_once('/').map(|(kind, _)| kind);
    let expected_kind = expected.rsplit_once('/').map(|(kind, _)| kind);
    let found = Words(&found).to_string();
    if found_kind == expected_kind || !KINDS.iter().any(|kind| found_kind == Some(kind)) {
        Err(Refusal::UnknownType { document, found })
    } else {
        Err(Refusal::OtherDocument { document, found })
    }
}

/// Whether the JSON is an object: serde_json also accepts an array for a struct.
pub(crate) fn is_object(json: &[u8]) -> bool {
    json.trim_ascii_start().first() == Some(&b'{')
}

const KINDS: [&str; 3] = ["relatch-root", "relatch-manifest", "relatch-version"];

/// For `#[serde(deserialize_with)]`: an integer below 2^53.
pub(crate) fn integer<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    super::fields::integer(u64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

/// Whether a list that represents a set is sorted and has no duplicate.
pub(super) fn is_set<T: Ord>(items: impl IntoIterator<Item = T>) -> bool {
    let mut items = items.into_iter();
    let Some(mut last) = items.next() else { return true };
    items.all(|item| {
        let ascending = last < item;
        last = item;
        ascending
    })
}
