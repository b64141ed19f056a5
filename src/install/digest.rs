//! Size and hash of an executable.

use std::fs::File;
use std::io::{Read, Seek};

use crate::trust::Digest;

/// Reads a file from its beginning in small pieces: an executable may be larger than the memory.
pub(super) fn digest_of(file: &mut File) -> std::io::Result<(u64, Digest)> {
    file.rewind()?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 64 * 1024];
    let mut size: u64 = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((size, hasher.finalize().into())),
            count => {
                hasher.update(buffer.get(..count).unwrap_or_default());
                size += count as u64;
            }
        }
    }
}
