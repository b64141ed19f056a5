//! Random bytes from the system.

use crate::error::{Local, Result};

/// # Errors
/// [`Local::Io`] if the system has none.
pub(super) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Local::Io {
        action: "get random bytes from",
        path: "the system".into(),
        error: std::io::Error::other(error.to_string()),
    })?;
    Ok(bytes)
}

/// 16 hexadecimal digits, for a name that no other process chooses.
pub(super) fn random_suffix() -> Result<String> {
    random().map(|number| format!("{:016x}", u64::from_le_bytes(number)))
}
