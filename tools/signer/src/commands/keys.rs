//! Makes keys, and a repository with its first root.

use std::fmt::{self, Display};
use std::path::{MAIN_SEPARATOR as SEPARATOR, Path, PathBuf};

use relatch::Printable;
use relatch::source::Object;
use relatch::trust::Role;
use serde::Serialize;
use signer::custody;
use signer::files::{Readers, write_new};
use signer::key::SecretKey;
use signer::progress::ProgressOnStderr;
use signer::publish::{self, Revocation};
use signer::review::RootReview;
use signer::root::{self, KeysByRole, Overwrite, RootFile};
use signer::signing::SigningKey;
use signer::store::from_location;
use signer::{Failure, Result};
use zeroize::Zeroizing;

use super::inputs::seconds;
use super::remarks::{Remarks, with_remarks};
use crate::arguments::{InitArgs, KeygenArgs, NewKeyArgs, PublicArgs};

pub(super) fn init(arguments: InitArgs) -> Result<Initialized> {
    for path in [&arguments.keys, &arguments.root] {
        if path.exists() {
            let path = Printable(path.display());
            return Err(Failure::usage(format!("{path} already exists; nothing was created")));
        }
    }
    let store = from_location(&arguments.repo, &arguments.server.options())?;
    let valid = seconds(arguments.expires_in)?;
    if store.read(&Object::Root(1))?.is_some() {
        let repo = &arguments.repo;
        return Err(Failure::usage(format!("{repo} already contains a root; nothing was created")));
    }
    custody::ensure_untracked(&arguments.keys)?;
    let password = new_password(&arguments.new_keys)?;
    // A missing permission to write must fail before keys are made.
    with_remarks(&*store, store.prepare())?;
    make_private_dir(&arguments.keys)?;
    let mut secrets = Vec::new();
    for role in Role::ALL {
        secrets.push(new_key(
            &arguments.keys.join(format!("{role}.key")),
            password.as_ref().map(|text| text.as_str()),
        )?);
    }
    let [root_key, release_key, timestamp_key] = &secrets[..] else {
        return Err(Failure::usage("there must be one key for each of the three roles"));
    };
    let public = KeysByRole {
        root: vec![root_key.public()],
        release: vec![release_key.public()],
        timestamp: vec![timestamp_key.public()],
    };
    let root = root::first(arguments.product, &public, &[], valid)?;
    let file = RootFile::new(&arguments.root);
    file.write(&root, Overwrite::Nothing)?;
    file.sign(&[root_key], None)?;
    let document = file.document()?;
    let (keys, root_path) = (Printable(arguments.keys.display()), Printable(arguments.root.display()));
    let published = publish::publish_root(
        &*store,
        &document,
        &document,
        &file.signatures()?,
        Revocation::Refused,
        &ProgressOnStderr::default(),
    );
    with_remarks(&*store, published).map_err(|why| Failure::Unfinished {
        done: format!("{keys} and {root_path} were created, but root 1 was not published"),
        next: format!(
            "{} Then publish it with `signer root publish {root_path} --root {root_path}` and the \
             same --repo.",
            why.advice()
        ),
        why: why.into(),
    })?;
    let review = RootReview::new(&root, &document, &file.signatures()?);
    Ok(Initialized {
        keys: arguments.keys.display().to_string(),
        root_file: arguments.root.display().to_string(),
        repository: store.location(),
        root: review,
        remarks: store.remarks(),
    })
}

/// New keys, and a repository with its first root.
#[derive(Serialize)]
#[serde(tag = "result", rename = "initialized")]
pub(super) struct Initialized {
    /// The directory with `root.key`, `release.key`, `timestamp.key`, and their public halves.
    keys: String,
    root_file: String,
    repository: String,
    root: RootReview,
    remarks: Vec<String>,
}

impl Display for Initialized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [keys, root_file, repository] = [&self.keys, &self.root_file, &self.repository].map(Printable);
        write!(
            f,
            "{}\n\ncreated\n  \
             {keys}{SEPARATOR}root.key        keep it offline: it decides which keys are valid\n  \
             {keys}{SEPARATOR}release.key     signs releases\n  \
             {keys}{SEPARATOR}timestamp.key   signs VERSION; the scheduled CI job requires only this key\n  \
             {root_file}   commit it; tools embed it, in src/main.rs as include_bytes!(\"../root.json\")\n\
             published root 1 to {repository}{}",
            self.root,
            Remarks(&self.remarks)
        )
    }
}

fn new_password(new_keys: &NewKeyArgs) -> Result<Option<Zeroizing<String>>> {
    custody::new_password(new_keys.encryption(), &new_keys.password.password_env)
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
    write_new(&public_path(path), key.to_public_text().as_bytes(), Readers::Public)?;
    Ok(key)
}

fn public_path(path: &Path) -> PathBuf {
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
