//! Canonical JSON: one text for one value.
//!
//! A document is read, written again, and refused unless the bytes are equal. That single rule ends duplicate keys, unknown fields,
//! white space, escapes, other spellings of numbers, and arrays in place of objects (SPEC section 3).

use crate::escape::Words;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::DocumentKind;
use super::Refusal;

/// A signed document: its wire form is its canonical JSON.
pub trait Document: Serialize + DeserializeOwned + sealed::Sealed {
    /// Which of the signed documents this is, for a root with its number where it is known.
    fn kind(&self) -> DocumentKind;

    /// Which document it is before its number is known.
    const KIND: DocumentKind;

    /// The value of the field `type`, which stands first.
    const TYPE: &'static str;

    /// What the fields must satisfy together.
    #[doc(hidden)]
    fn check(&self) -> Result<(), String>;

    /// Reads canonical bytes **without any signature**: for signers, who show a document before they sign it. A client has no use for it:
    /// nothing that decides or installs takes a bare document.
    ///
    /// # Errors
    /// As for a signed document, but for its signatures.
    fn from_canonical(bytes: &[u8]) -> Result<Self, Refusal> {
        parse(Self::KIND, bytes)
    }

    /// The canonical bytes, as they are signed.
    fn to_canonical(&self) -> Vec<u8> {
        // Writing a struct of strings, numbers and lists to memory cannot fail; an empty document is refused by every reader.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

pub(super) mod sealed {
    #[allow(unnameable_types, reason = "no other type may be a document")]
    pub trait Sealed {}
}

/// Reads a document whose signatures were verified.
pub(super) fn parse<T: Document>(document: DocumentKind, bytes: &[u8]) -> Result<T, Refusal> {
    check_type(document, T::TYPE, bytes)?;
    let malformed = |why: String| Refusal::Malformed { document, why };
    let value: T =
        serde_json::from_slice(bytes).map_err(|error| malformed(Words(error.to_string()).to_string()))?;
    if value.to_canonical() != bytes {
        return Err(malformed(
            "its bytes differ from its canonical form (spaces, unknown or repeated fields, escapes, order of fields)".into(),
        ));
    }
    value.check().map_err(malformed)?;
    Ok(value)
}

/// Tells a document of the future and a document of another kind from a broken one, before anything else is looked at.
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

/// serde_json reads a struct from an array, too.
pub(crate) fn is_object(json: &[u8]) -> bool {
    json.trim_ascii_start().first() == Some(&b'{')
}

const KINDS: [&str; 3] = ["relatch-root", "relatch-manifest", "relatch-version"];

/// For `#[serde(deserialize_with)]`: an integer below 2^53.
pub(crate) fn integer<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    super::fields::integer(u64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

/// Whether a list that means a set is sorted and without repetition.
pub(super) fn is_set<T: Ord>(items: impl IntoIterator<Item = T>) -> bool {
    let mut items = items.into_iter();
    let Some(mut last) = items.next() else { return true };
    items.all(|item| {
        let ascending = last < item;
        last = item;
        ascending
    })
}
