//! Makes the keys and a repository with its first root. A run that failed or was killed is
//! continued by the next one, which keeps every key.
//!
//! ```text
//! <keys>/init-unfinished            made first, removed last: the product
//! <keys>/<role>.key, <role>.pub     complete or not there; the secret half first
//! root.json, root.json.minisig      then the repository
//! ```

use std::fmt::{self, Display};
use std::fs;
use std::path::{MAIN_SEPARATOR as SEPARATOR, Path, PathBuf};

use relatch::Printable;
use relatch::limits::ByteLimit;
use relatch::source::Object;
use relatch::trust::{PublicKey, Role, Root};
use serde::Serialize;
use signer::custody::{self, KeySource};
use signer::files::{Readers, UNFINISHED, lock_dir, read_limited, write_new};
use signer::progress::ProgressOnStderr;
use signer::publish::{self, Revocation};
use signer::review::RootReview;
use signer::root::{self, KeysByRole, Overwrite, RootFile};
use signer::signing::SigningKey;
use signer::store::{Store, from_location};
use signer::{Failure, Result};

use super::inputs::{public_key, seconds};
use super::keys::{new_key, new_password, public_path};
use super::remarks::{Remarks, with_remarks};
use crate::arguments::InitArgs;

/// The name of a product and a newline.
const MARK_LIMIT: ByteLimit = ByteLimit(128);

pub(super) fn init(arguments: InitArgs) -> Result<Initialized> {
    let store = from_location(&arguments.repo, &arguments.server.options())?;
    let valid = seconds(arguments.expires_in)?;
    ensure_new_or_unfinished(&arguments)?;
    ensure_no_other_root(&arguments, &*store)?;
    custody::ensure_untracked(&arguments.keys)?;
    // A missing permission to write must fail before keys are made.
    with_remarks(&*store, store.prepare())?;
    if !arguments.keys.exists() {
        make_private_dir(&arguments.keys)?;
    }
    let _lock = lock_dir(&arguments.keys)?;
    remove_unfinished(&arguments.keys)?;
    let mark = mark_of(&arguments.keys);
    if !mark.exists() {
        write_new(&mark, format!("{}\n", arguments.product).as_bytes(), Readers::Owner)?;
    }
    let mut kept = Vec::new();
    let keys = keys(&arguments, &mut kept)?;
    let file = RootFile::new(&arguments.root);
    let root = if arguments.root.exists() {
        kept.push(arguments.root.display().to_string());
        let root = file.read()?;
        ensure_root_of(&arguments, &root, &keys)?;
        root
    } else {
        let [root, release, timestamp] = keys.each_ref().map(|key| vec![key.public()]);
        let root =
            root::first(arguments.product.clone(), &KeysByRole { root, release, timestamp }, &[], valid)?;
        file.write(&root, Overwrite::Nothing)?;
        root
    };
    let [root_key, ..] = &keys;
    file.sign(&[&**root_key], None)?;
    let document = file.document()?;
    let published = publish::publish_root(
        &*store,
        &document,
        &document,
        &file.signatures()?,
        Revocation::Refused,
        &ProgressOnStderr::default(),
    );
    let (keys_path, root_path) = (Printable(arguments.keys.display()), Printable(arguments.root.display()));
    with_remarks(&*store, published).map_err(|why| Failure::Unfinished {
        done: format!("{keys_path} and {root_path} were created, but root 1 was not published"),
        next: format!("{} Then run the same command again: it keeps these files.", why.advice()),
        why: why.into(),
    })?;
    fs::remove_file(&mark).map_err(Failure::io("remove", &mark))?;
    let review = RootReview::new(&root, &document, &file.signatures()?);
    Ok(Initialized {
        keys: arguments.keys.display().to_string(),
        root_file: arguments.root.display().to_string(),
        repository: store.location(),
        root: review,
        kept,
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
    /// The files of an earlier run that did not finish.
    kept: Vec<String>,
    remarks: Vec<String>,
}

impl Display for Initialized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [keys, root_file, repository] = [&self.keys, &self.root_file, &self.repository].map(Printable);
        writeln!(f, "{}", self.root)?;
        if !self.kept.is_empty() {
            let kept = Printable(self.kept.join(", "));
            write!(f, "\ncontinued an earlier `signer init`, and kept its {kept}")?;
        }
        write!(
            f,
            "\ncreated\n  \
             {keys}{SEPARATOR}root.key        keep it offline: it decides which keys are valid\n  \
             {keys}{SEPARATOR}release.key     signs releases\n  \
             {keys}{SEPARATOR}timestamp.key   signs VERSION; the scheduled CI job requires only this key\n  \
             {root_file}   commit it; tools embed it, in src/main.rs as include_bytes!(\"../root.json\")\n\
             published root 1 to {repository}{}",
            Remarks(&self.remarks)
        )
    }
}

fn mark_of(keys: &Path) -> PathBuf {
    keys.join("init-unfinished")
}

/// Refuses to touch the keys or the root of anything but an unfinished `signer init` for the same
/// product.
fn ensure_new_or_unfinished(arguments: &InitArgs) -> Result<()> {
    let exists = |path: &Path| {
        let path = Printable(path.display());
        Err(Failure::usage(format!("{path} already exists; nothing was created")))
    };
    let mark = mark_of(&arguments.keys);
    if mark.exists() {
        let product = read_limited(&mark, MARK_LIMIT)?;
        if product.trim_ascii() == arguments.product.as_str().as_bytes() {
            return Ok(());
        }
        return Err(Failure::usage(format!(
            "{} belongs to an unfinished `signer init --product {}`, not to {}; nothing was changed",
            Printable(arguments.keys.display()),
            Printable(String::from_utf8_lossy(product.trim_ascii())),
            arguments.product
        )));
    }
    if arguments.root.exists() {
        return exists(&arguments.root);
    }
    // Killed between making the directory and making the mark.
    if arguments.keys.exists() && !(is_private(&arguments.keys) && entries(&arguments.keys)?.is_empty()) {
        return exists(&arguments.keys);
    }
    Ok(())
}

/// The complete files of a directory.
fn entries(dir: &Path) -> Result<Vec<String>> {
    let names = |entries: fs::ReadDir| -> std::io::Result<Vec<String>> {
        let name =
            |entry: std::io::Result<fs::DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
        entries.map(name).collect()
    };
    let mut names = fs::read_dir(dir).and_then(names).map_err(Failure::io("list", dir))?;
    names.retain(|name| !name.starts_with(UNFINISHED));
    Ok(names)
}

/// Removes what a killed `signer init` was writing. No root can name such a key: the root is made
/// when all keys have their names.
fn remove_unfinished(dir: &Path) -> Result<()> {
    for entry in fs::read_dir(dir).map_err(Failure::io("list", dir))?.flatten() {
        // While this process holds the lock, Windows does not remove its file.
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) && !cfg!(windows) {
            fs::remove_file(entry.path()).map_err(Failure::io("remove", &entry.path()))?;
        }
    }
    Ok(())
}

fn ensure_no_other_root(arguments: &InitArgs, store: &dyn Store) -> Result<()> {
    let Some(published) = store.read(&Object::Root(1))? else { return Ok(()) };
    if arguments.root.exists() && RootFile::new(&arguments.root).document()? == published {
        return Ok(());
    }
    Err(Failure::usage(format!("{} already contains a root; nothing was created", arguments.repo)))
}

/// The keys of the three roles. Those of an earlier run are kept.
fn keys(arguments: &InitArgs, kept: &mut Vec<String>) -> Result<[Box<dyn SigningKey>; 3]> {
    let paths = Role::ALL.map(|role| arguments.keys.join(format!("{role}.key")));
    if let Some(path) = paths.iter().find(|path| !path.exists() && public_path(path).exists()) {
        return Err(Failure::usage(format!(
            "{} is there, but its secret key {} is not; put it back, or start again with another --keys \
             and --root",
            Printable(public_path(path).display()),
            Printable(path.display())
        )));
    }
    let password =
        if paths.iter().all(|path| path.exists()) { None } else { new_password(&arguments.new_keys)? };
    let mut keys: Vec<Box<dyn SigningKey>> = Vec::new();
    for path in &paths {
        if path.exists() {
            kept.push(path.display().to_string());
            keys.push(earlier_key(path, &arguments.new_keys.password.password_env)?);
        } else {
            keys.push(Box::new(new_key(path, password.as_ref().map(|text| text.as_str()))?));
        }
    }
    keys.try_into().map_err(|_| Failure::usage("there must be one key for each of the three roles"))
}

/// A key that an earlier run made, whose public half may be missing.
fn earlier_key(path: &Path, password_variable: &str) -> Result<Box<dyn SigningKey>> {
    let key = KeySource::File(path.into()).load(password_variable)?;
    let public = public_path(path);
    if !public.exists() {
        write_new(&public, key.to_public_text().as_bytes(), Readers::Public)?;
    } else if public_key(&public)? != key.public() {
        return Err(Failure::usage(format!(
            "{} is not the public half of {}; nothing was published",
            Printable(public.display()),
            Printable(path.display())
        )));
    }
    Ok(key)
}

fn ensure_root_of(arguments: &InitArgs, root: &Root, keys: &[Box<dyn SigningKey>; 3]) -> Result<()> {
    let publics: Vec<PublicKey> = Role::ALL.into_iter().flat_map(|role| root.keys_of(role)).collect();
    let is_ours = root.product == arguments.product && root.version == 1;
    if is_ours && publics.iter().eq(keys.iter().map(|key| key.public()).collect::<Vec<_>>().iter()) {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "{} is not the first root of {} with the keys in {}; give another --root. Nothing was published",
        Printable(arguments.root.display()),
        arguments.product,
        Printable(arguments.keys.display())
    )))
}

#[cfg(unix)]
fn is_private(dir: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(dir).is_ok_and(|found| found.is_dir() && found.permissions().mode() & 0o077 == 0)
}

#[cfg(not(unix))]
fn is_private(dir: &Path) -> bool {
    dir.is_dir()
}

fn make_private_dir(path: &Path) -> Result<()> {
    #[cfg(windows)]
    let made = relatch::platform::windows::create_private_dir(path);
    #[cfg(unix)]
    let made = {
        let mut builder = fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path)
    };
    #[cfg(not(any(unix, windows)))]
    let made = fs::create_dir(path);
    made.map_err(Failure::io("create", path))
}
