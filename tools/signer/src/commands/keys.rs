//! Keys, and a repository with its first root.

use std::path::{MAIN_SEPARATOR as SEPARATOR, Path, PathBuf};

use relatch::Printable;
use relatch::source::Object;
use relatch::trust::Role;
use signer::custody;
use signer::files::{Readers, write_new};
use signer::key::SecretKey;
use signer::progress::Terminal;
use signer::publish::{self, Revocation};
use signer::root::{self, Holders, RootFile};
use signer::signing::SigningKey;
use signer::store::from_location;
use signer::{Failure, Result};

use super::{remarks, seconds, with_remarks};
use crate::arguments::{Init, Keygen, Public};

pub(super) fn init(arguments: Init) -> Result<String> {
    for path in [&arguments.keys, &arguments.root] {
        if path.exists() {
            return Err(Failure::usage(format!(
                "{} already exists; nothing was made",
                Printable(path.display())
            )));
        }
    }
    let (store, valid) =
        (from_location(&arguments.repo, &arguments.server.server())?, seconds(arguments.expires_in)?);
    if store.read(&Object::Root(1))?.is_some() {
        return Err(Failure::usage(format!("{} holds a root already; nothing was made", arguments.repo)));
    }
    custody::refuse_tracked(&arguments.keys)?;
    let password = custody::new_password(arguments.no_password, &arguments.password.password_env)?;
    with_remarks(&*store, store.prepare())?; // who may not write is told before there are keys
    make_private_dir(&arguments.keys)?;
    let mut secrets = Vec::new();
    for role in Role::ALL {
        secrets.push(new_key(
            &arguments.keys.join(format!("{role}.key")),
            password.as_ref().map(|text| text.as_str()),
        )?);
    }
    let [root_key, release_key, timestamp_key] = &secrets[..] else {
        return Err(Failure::usage("three roles, three keys"));
    };
    let holders = Holders {
        root: vec![root_key.public()],
        release: vec![release_key.public()],
        timestamp: vec![timestamp_key.public()],
    };
    let root = root::first(arguments.product, &holders, &[], valid)?;
    let file = RootFile::new(&arguments.root);
    file.write(&root, false)?;
    file.sign(&[root_key], None)?;
    let document = file.document()?;
    let (keys, root_path) = (Printable(arguments.keys.display()), Printable(arguments.root.display()));
    let published = publish::publish_root(
        &*store,
        &document,
        &document,
        &file.signatures()?,
        Revocation::Refused,
        &Terminal::default(),
    );
    with_remarks(&*store, published).map_err(|why| Failure::Unfinished {
        done: format!("{keys} and {root_path} are made, and root 1 is not published"),
        next: format!(
            "{} Then `signer root publish {root_path} --root {root_path}` publishes it, to the same --repo.",
            why.advice()
        ),
        why: why.into(),
    })?;
    Ok(format!(
        "{}\n\nmade\n  {keys}{SEPARATOR}root.key        keep it offline: it decides whose keys count\n  {keys}{SEPARATOR}release.key     signs what people run\n  \
         {keys}{SEPARATOR}timestamp.key   says what is current; CI's cron needs this one alone\n  {root_path}   commit it; tools embed it, from src/main.rs as include_bytes!(\"../root.json\")\n\
         published root 1 to {}{}",
        root::describe(&root, &document, &file.signatures()?),
        Printable(store.location()),
        remarks(&*store)
    ))
}

fn make_private_dir(path: &Path) -> Result<()> {
    #[cfg(windows)]
    let made = relatch::platform::windows::create_private_dir(path);
    #[cfg(unix)]
    let made = {
        let mut builder = std::fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path)
    };
    #[cfg(not(any(unix, windows)))]
    let made = std::fs::create_dir(path);
    made.map_err(Failure::io("create", path))
}

fn new_key(path: &Path, password: Option<&str>) -> Result<SecretKey> {
    let fail = |why: String| Failure::Key { name: Printable(path.display()).to_string(), why };
    let key = SecretKey::generate().map_err(fail)?;
    custody::save(&key, path, password)?;
    write_new(&public_path(path), key.to_public_text().as_bytes(), Readers::Everybody)?;
    Ok(key)
}

fn public_path(path: &Path) -> PathBuf {
    path.with_extension("pub")
}

pub(super) fn keygen(arguments: Keygen) -> Result<String> {
    let public = public_path(&arguments.out);
    if arguments.out.exists() || public.exists() {
        return Err(Failure::usage(format!(
            "{} or {} already exists",
            Printable(arguments.out.display()),
            Printable(public.display())
        )));
    }
    let password = custody::new_password(arguments.no_password, &arguments.password.password_env)?;
    let key = new_key(&arguments.out, password.as_ref().map(|text| text.as_str()))?;
    Ok(format!(
        "made {} (secret) and {} (public)\n  public key {}",
        Printable(arguments.out.display()),
        Printable(public.display()),
        key.public().to_hex()
    ))
}

pub(super) fn public(arguments: Public) -> Result<String> {
    let key = arguments.key.source()?.load(&arguments.password.password_env)?;
    write_new(&arguments.out, key.to_public_text().as_bytes(), Readers::Everybody)?;
    Ok(format!("wrote {}\n  public key {}", Printable(arguments.out.display()), key.public().to_hex()))
}
