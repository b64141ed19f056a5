//! Makes keys, and writes their public halves.

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

use relatch::Printable;
use serde::Serialize;
use signer::custody;
use signer::files::{Readers, write_new};
use signer::key::SecretKey;
use signer::signing::SigningKey as _;
use signer::{Failure, Result};
use zeroize::Zeroizing;

use crate::arguments::{KeygenArgs, NewKeyArgs, PublicArgs};

pub(super) fn new_password(new_keys: &NewKeyArgs) -> Result<Option<Zeroizing<String>>> {
    custody::new_password(new_keys.encryption(), &new_keys.password.password_env)
}

pub(super) fn new_key(path: &Path, password: Option<&str>) -> Result<SecretKey> {
    let fail = |why: String| Failure::Key { name: Printable(path.display()).to_string(), why };
    let key = SecretKey::generate().map_err(fail)?;
    custody::save(&key, path, password)?;
    write_new(&public_path(path), key.to_public_text().as_bytes(), Readers::Public)?;
    Ok(key)
}

pub(super) fn public_path(path: &Path) -> PathBuf {
    path.with_extension("pub")
}

/// A new key.
#[derive(Serialize)]
#[serde(tag = "result", rename = "key-created")]
pub(super) struct CreatedKey {
    secret_file: String,
    public_file: String,
    public_key: String,
}

pub(super) fn keygen(arguments: KeygenArgs) -> Result<CreatedKey> {
    let public = public_path(&arguments.out);
    if arguments.out.exists() || public.exists() {
        return Err(Failure::usage(format!(
            "{} or {} already exists",
            Printable(arguments.out.display()),
            Printable(public.display())
        )));
    }
    let password = new_password(&arguments.new_key)?;
    let key = new_key(&arguments.out, password.as_ref().map(|text| text.as_str()))?;
    Ok(CreatedKey {
        secret_file: arguments.out.display().to_string(),
        public_file: public.display().to_string(),
        public_key: key.public().to_hex(),
    })
}

impl Display for CreatedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CreatedKey { secret_file, public_file, public_key } = self;
        let (secret, public) = (Printable(secret_file), Printable(public_file));
        write!(f, "created {secret} (secret) and {public} (public)\n  public key {public_key}")
    }
}

/// The public half of a key, written to a file.
#[derive(Serialize)]
#[serde(tag = "result", rename = "public-key-written")]
pub(super) struct WrittenPublicKey {
    public_file: String,
    public_key: String,
}

pub(super) fn public(arguments: PublicArgs) -> Result<WrittenPublicKey> {
    let key = arguments.key.source()?.load(&arguments.password.password_env)?;
    write_new(&arguments.out, key.to_public_text().as_bytes(), Readers::Public)?;
    let public_file = arguments.out.display().to_string();
    Ok(WrittenPublicKey { public_file, public_key: key.public().to_hex() })
}

impl Display for WrittenPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wrote {}\n  public key {}", Printable(&self.public_file), self.public_key)
    }
}
