//! Makes keys, and writes their public halves.

use std::path::{Path, PathBuf};

use relatch::Printable;
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

pub(super) fn keygen(arguments: KeygenArgs) -> Result<String> {
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
    Ok(format!(
        "created {} (secret) and {} (public)\n  public key {}",
        Printable(arguments.out.display()),
        Printable(public.display()),
        key.public().to_hex()
    ))
}

pub(super) fn public(arguments: PublicArgs) -> Result<String> {
    let key = arguments.key.source()?.load(&arguments.password.password_env)?;
    write_new(&arguments.out, key.to_public_text().as_bytes(), Readers::Public)?;
    Ok(format!("wrote {}\n  public key {}", Printable(arguments.out.display()), key.public().to_hex()))
}
