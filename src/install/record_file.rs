//! A recorded value as a file: one line of JSON, and one line with the BLAKE3 hash of the first.
//!
//! The hash detects faults, not attacks: an attacker who can write to this file can also replace
//! the executable.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::escape::Words;
use crate::trust::{Digest, Refusal, is_object};

/// The content of the file.
pub(super) fn write_checked(value: &impl Serialize) -> Vec<u8> {
    // Writing strings, numbers and lists to memory cannot fail.
    let mut content = serde_json::to_vec(value).unwrap_or_default();
    let digest = Digest::of(&content);
    content.extend(format!("\n{digest}\n").into_bytes());
    content
}

/// The type of a file that later versions of relatch may extend: `relatch-journal/1`. Its number is
/// kept, and does not decide whether the file can be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Kind(String);

impl Kind {
    /// The type that this version of relatch writes.
    pub(super) fn first(kind: &str) -> Self {
        Kind(format!("{kind}1"))
    }
}

/// The value in a file that later versions of relatch may extend. The hash must be correct. Fields
/// that are not known are the value's to keep (SPEC section 4.2).
///
/// # Errors
/// [`Refusal::StateDamaged`].
pub(super) fn read_open<T: DeserializeOwned>(content: &[u8], kind: &str) -> Result<T, Refusal> {
    let (json, found) = read_typed(content)?;
    let number = found.strip_prefix(kind).map(str::as_bytes);
    let is_number = |digits: &[u8]| digits.iter().all(u8::is_ascii_digit) && !digits.starts_with(b"0");
    if !number.is_some_and(|digits| !digits.is_empty() && is_number(digits)) {
        return Err(damaged(&format!("it has the type {}, not {kind}1", Words(found))));
    }
    serde_json::from_slice(json).map_err(|error| damaged(&Words(error.to_string()).to_string()))
}

/// The value in the file. The hash must be correct, and the bytes must be those that
/// [`write_checked`] creates.
///
/// # Errors
/// [`Refusal::StateDamaged`]; [`Refusal::StateTooNew`] if a newer version wrote it.
pub(super) fn read_checked<T: DeserializeOwned + Serialize>(
    content: &[u8],
    kind: &str,
) -> Result<T, Refusal> {
    let (json, found) = read_typed(content)?;
    if found != kind {
        return Err(Refusal::StateTooNew { found: Words(found).to_string() });
    }
    let value: T =
        serde_json::from_slice(json).map_err(|error| damaged(&Words(error.to_string()).to_string()))?;
    if write_checked(&value) != content {
        return Err(damaged("its bytes differ from its canonical form"));
    }
    Ok(value)
}

/// The first line, and its `type`.
fn read_typed(content: &[u8]) -> Result<(&[u8], String), Refusal> {
    #[derive(Deserialize)]
    struct Typed {
        r#type: String,
    }
    let end = content.iter().position(|b| *b == b'\n').ok_or_else(|| damaged("it has no second line"))?;
    let (json, rest) = content.split_at(end);
    if rest != format!("\n{}\n", Digest::of(json)).as_bytes() {
        return Err(damaged("its second line is not the hash of its first"));
    }
    let typed = Some(json).filter(|json| is_object(json)).and_then(|json| serde_json::from_slice(json).ok());
    let typed: Typed = typed.ok_or_else(|| damaged("its first line is not a JSON object with a type"))?;
    Ok((json, typed.r#type))
}

fn damaged(why: &str) -> Refusal {
    Refusal::StateDamaged { why: why.into() }
}
