//! Inputs that several commands share: repositories, keys, public keys, validities.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use relatch::Printable;
use relatch::trust::PublicKey;
use signer::custody::{KeyArgument, KeySource};
use signer::files::{open_regular, read_limited};
use signer::limits::{PUBLIC_KEY_FILE, VALIDITY};
use signer::signing::SigningKey;
use signer::store::{Store, from_location, to_read};
use signer::{Failure, Result};

use crate::arguments::{PasswordArgs, RepoArgs, S3Args};

impl RepoArgs {
    /// The store, and the root document that tools embed.
    pub(super) fn open(&self) -> Result<(Arc<dyn Store>, Vec<u8>)> {
        let store = from_location(&self.repo, &self.server.options())?;
        Ok((store, read_limited(&self.root, relatch::limits::ROOT)?))
    }
}

/// The store, and the root document that tools embed, only to read: also an `https:` address.
pub(super) fn open_to_read(repo: &str, root: &Path, server: &S3Args) -> Result<(Arc<dyn Store>, Vec<u8>)> {
    Ok((to_read(repo, &server.options())?, read_limited(root, relatch::limits::ROOT)?))
}

/// Loads all keys before the first one is used, so that a wrong one leaves no partial result.
pub(super) fn load(keys: &[KeyArgument], password: &PasswordArgs) -> Result<Vec<Box<dyn SigningKey>>> {
    let sources = keys.iter().map(KeyArgument::source).collect::<Result<Vec<_>>>()?;
    if sources.iter().filter(|source| **source == KeySource::Stdin).count() > 1 {
        return Err(Failure::usage("standard input holds one key: `-` may be given once"));
    }
    sources.iter().map(|source| source.load(&password.password_env)).collect()
}

pub(super) fn borrowed(keys: &[Box<dyn SigningKey>]) -> Vec<&dyn SigningKey> {
    keys.iter().map(|key| &**key).collect()
}

/// A public key file in minisign's format.
pub(super) fn public_key(path: &Path) -> Result<PublicKey> {
    let mut bytes = Vec::new();
    let file = open_regular(path).map_err(Failure::io("open the public key", path))?;
    file.take(PUBLIC_KEY_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(Failure::io("read the public key", path))?;
    let refuse = |why: String| Failure::usage(format!("{}: {why}", Printable(path.display())));
    if bytes.len() as u64 > PUBLIC_KEY_FILE {
        return Err(refuse(format!("not a minisign public key: it has more than {PUBLIC_KEY_FILE} bytes")));
    }
    let text =
        String::from_utf8(bytes).map_err(|_| refuse("not a minisign public key: it is not UTF-8".into()))?;
    PublicKey::from_minisign(&text).map_err(refuse)
}

/// A validity in seconds.
pub(super) fn seconds(time: Duration) -> Result<u64> {
    let seconds = time.as_secs();
    if VALIDITY.contains(&seconds) {
        return Ok(seconds);
    }
    Err(Failure::usage(format!(
        "{seconds} s is not a valid period: use one second to a hundred years, such as 90d"
    )))
}
