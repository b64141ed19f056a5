//! What each command does, and what it tells.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use relatch::source::Object;
use relatch::trust::{Notes, PublicKey, Role};
use relatch::{Utc, limits};
use signer::custody::{self, KeyArgument, KeySource, read_limited};
use signer::folder::{self, Folder};
use signer::key::SecretKey;
use signer::progress::Terminal;
use signer::publish::{self, Access, Done};
use signer::repository::{Published, newest_root, now};
use signer::root::{self, Change, Holders, RootFile};
use signer::signing::SigningKey;
use signer::store::{Store, from_location};
use signer::{Failure, Result, verify};

use crate::arguments::*;

/// Does what the command says; the text is for stdout.
pub fn run(command: Command) -> Result<String> {
    match command {
        Command::Init(arguments) => init(arguments),
        Command::Keygen(arguments) => keygen(arguments),
        Command::Public(arguments) => public(arguments),
        Command::Root(RootCommand::New(arguments)) => root_new(arguments),
        Command::Root(RootCommand::Add(arguments)) => root_add(arguments),
        Command::Root(RootCommand::Remove(arguments)) => root_remove(arguments),
        Command::Root(RootCommand::Renew(arguments)) => change_root(arguments, Change::default()),
        Command::Root(RootCommand::Sign(arguments)) => root_sign(arguments),
        Command::Root(RootCommand::Show(arguments)) => root_show(arguments),
        Command::Root(RootCommand::Publish(arguments)) => root_publish(arguments),
        Command::Release(arguments) => release(arguments),
        Command::Prepare(arguments) => prepare(arguments),
        Command::Sign(arguments) => sign(arguments),
        Command::Publish(arguments) => publish(arguments),
        Command::Refresh(arguments) => refresh(arguments),
        Command::Show(arguments) => show(arguments),
        Command::Verify(arguments) => verify(arguments),
    }
}

impl Repo {
    fn open(&self) -> Result<(Arc<dyn Store>, Vec<u8>)> {
        Ok((from_location(&self.repo, &self.server.server())?, read_limited(&self.root, limits::ROOT)?))
    }
}

/// All keys, before anything is done with one.
fn load(keys: &[KeyArgument], password: &Password) -> Result<Vec<Box<dyn SigningKey>>> {
    let sources = keys.iter().map(KeyArgument::source).collect::<Result<Vec<_>>>()?;
    if sources.iter().filter(|source| **source == KeySource::Stdin).count() > 1 {
        return Err(Failure::usage("standard input holds one key: `-` may be given once"));
    }
    sources.iter().map(|source| source.load(&password.password_env)).collect()
}

fn init(arguments: Init) -> Result<String> {
    for path in [&arguments.keys, &arguments.root] {
        if path.exists() {
            return Err(Failure::usage(format!("{} already exists; nothing was made", path.display())));
        }
    }
    let (store, valid) =
        (from_location(&arguments.repo, &arguments.server.server())?, seconds(arguments.expires_in)?);
    if store.read(&Object::Root(1))?.is_some() {
        return Err(Failure::usage(format!("{} holds a root already; nothing was made", arguments.repo)));
    }
    custody::refuse_tracked(&arguments.keys)?;
    let password = custody::new_password(arguments.no_password, &arguments.password.password_env)?;
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
    file.sign(root_key, None)?;
    let document = file.document()?;
    publish::publish_root(&*store, &document, &document, &file.signatures()?, false, &Terminal::default())?;
    let (keys, root_path) = (arguments.keys.display(), arguments.root.display());
    Ok(format!(
        "{}\n\nmade\n  {keys}/root.key        keep it offline: it decides whose keys count\n  {keys}/release.key     signs what people run\n  \
         {keys}/timestamp.key   says what is current; CI's cron needs this one alone\n  {root_path}   commit it; tools embed it, from src/main.rs as include_bytes!(\"../root.json\")\n\
         published root 1 to {}{}",
        root::describe(&root, &document, &file.signatures()?),
        store.location(),
        remarks(&*store)
    ))
}

fn make_private_dir(path: &Path) -> Result<()> {
    #[cfg_attr(not(unix), allow(unused_mut, reason = "there is no mode to set"))]
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(Failure::io("create", path))
}

fn new_key(path: &Path, password: Option<&str>) -> Result<SecretKey> {
    let fail = |why: String| Failure::Key { name: path.display().to_string(), why };
    let key = SecretKey::generate().map_err(fail)?;
    custody::save(&key, path, password)?;
    custody::write_new(&public_path(path), key.to_public_text().as_bytes(), 0o644)?;
    Ok(key)
}

fn public_path(path: &Path) -> PathBuf {
    path.with_extension("pub")
}

fn keygen(arguments: Keygen) -> Result<String> {
    let public = public_path(&arguments.out);
    if arguments.out.exists() || public.exists() {
        return Err(Failure::usage(format!(
            "{} or {} already exists",
            arguments.out.display(),
            public.display()
        )));
    }
    let password = custody::new_password(arguments.no_password, &arguments.password.password_env)?;
    let key = new_key(&arguments.out, password.as_ref().map(|text| text.as_str()))?;
    Ok(format!(
        "made {} (secret) and {} (public)\n  public key {}",
        arguments.out.display(),
        public.display(),
        key.public().to_hex()
    ))
}

fn public(arguments: Public) -> Result<String> {
    let key = arguments.key.source()?.load(&arguments.password.password_env)?;
    custody::write_new(&arguments.out, key.to_public_text().as_bytes(), 0o644)?;
    Ok(format!("wrote {}\n  public key {}", arguments.out.display(), key.public().to_hex()))
}

fn public_key(path: &Path) -> Result<PublicKey> {
    let text = fs::read_to_string(path).map_err(Failure::io("read the public key", path))?;
    PublicKey::from_minisign(&text).map_err(|why| Failure::usage(format!("{}: {why}", path.display())))
}

fn public_keys(paths: &[PathBuf]) -> Result<Vec<PublicKey>> {
    paths.iter().map(|path| public_key(path)).collect()
}

fn root_new(arguments: RootNew) -> Result<String> {
    let holders = Holders {
        root: public_keys(&arguments.root_key)?,
        release: public_keys(&arguments.release_key)?,
        timestamp: public_keys(&arguments.timestamp_key)?,
    };
    let root =
        root::first(arguments.product, &holders, &arguments.threshold, seconds(arguments.expires_in)?)?;
    write_root(&RootFile::new(&arguments.out), &root, false)
}

fn write_root(file: &RootFile, root: &relatch::trust::Root, replace: bool) -> Result<String> {
    file.write(root, replace)?;
    Ok(root::describe(root, &file.document()?, &[]))
}

fn change_root(arguments: RootChange, change: Change) -> Result<String> {
    let file = RootFile::new(&arguments.file);
    let draft = arguments.out.is_none();
    if draft && !file.signatures()?.is_empty() {
        return Err(Failure::usage(format!(
            "{} is signed and cannot be changed; name the next root with --out",
            arguments.file.display()
        )));
    }
    let change = Change {
        thresholds: arguments.threshold,
        raise_epoch: arguments.raise_epoch,
        valid: seconds(arguments.expires_in)?,
        ..change
    };
    let next = root::change(&file.read()?, draft, &change)?;
    write_root(&RootFile::new(arguments.out.as_ref().unwrap_or(&arguments.file)), &next, draft)
}

fn root_add(arguments: RootAdd) -> Result<String> {
    let add = Some((arguments.role, public_key(&arguments.key)?));
    change_root(arguments.change, Change { add, ..Change::default() })
}

fn root_remove(arguments: RootRemove) -> Result<String> {
    let remove = Some((arguments.role, public_key(&arguments.key)?));
    change_root(arguments.change, Change { remove, ..Change::default() })
}

fn root_sign(arguments: RootSign) -> Result<String> {
    let file = RootFile::new(&arguments.file);
    let previous = arguments.previous.map(|path| RootFile::new(&path).read()).transpose()?;
    for key in load(&arguments.keys.keys, &arguments.keys.password)? {
        file.sign(&*key, previous.as_ref())?;
    }
    Ok(root::describe(&file.read()?, &file.document()?, &file.signatures()?))
}

fn root_show(arguments: RootShow) -> Result<String> {
    let file = RootFile::new(&arguments.file);
    Ok(root::describe(&file.read()?, &file.document()?, &file.signatures()?))
}

fn root_publish(arguments: RootPublish) -> Result<String> {
    let (store, anchor) = arguments.repo.open()?;
    let file = RootFile::new(&arguments.file);
    let version = publish::publish_root(
        &*store,
        &anchor,
        &file.document()?,
        &file.signatures()?,
        arguments.revoke_release,
        &Terminal::default(),
    )?;
    Ok(format!("published root {version} to {}{}", store.location(), remarks(&*store)))
}

/// What was found out about the place while writing, a line each.
fn remarks(store: &dyn Store) -> String {
    store.remarks().iter().map(|remark| format!("\n  {remark}")).collect()
}

impl Plan {
    fn checked(self) -> Result<folder::Plan> {
        let seq = self.seq().map_err(|why| Failure::usage(format!("--seq {why}")))?;
        let notes = match &self.notes {
            None => Notes::default(),
            Some(path) => {
                let text = String::from_utf8(read_limited(path, limits::MANIFEST)?);
                let text = text.map_err(|_| Failure::usage(format!("{} is not UTF-8", path.display())))?;
                Notes::try_from(text.trim_end().to_owned())
                    .map_err(|why| Failure::usage(format!("{}: {why}", path.display())))?
            }
        };
        Ok(folder::Plan {
            version: self.version,
            channel: self.channel,
            artifacts: self.artifacts,
            notes,
            critical: self.critical,
            min_version: self.min_version,
            retracts: self.retracts,
            rollout: self.rollout,
            valid: seconds(self.expires_in)?,
            version_valid: seconds(self.version_expires_in)?,
            level: self.level,
            patches: self.patches,
            drop_targets: self.drop_targets,
            seq,
        })
    }
}

/// A validity that leaves `expires` a number that documents can hold.
fn seconds(time: Duration) -> Result<u64> {
    match time.as_secs() {
        seconds @ 1..=3_153_600_000 => Ok(seconds),
        other => Err(Failure::usage(format!(
            "{other} s is not a validity; use from a second to a hundred years, such as 90d"
        ))),
    }
}

fn prepare_in(path: &Path, store: &dyn Store, anchor: &[u8], plan: Plan) -> Result<Folder> {
    let repairs = plan.repairs();
    let plan = plan.checked()?;
    let published = Published::read(store, anchor, &plan.channel, repairs)?;
    Folder::prepare(path, &plan, &published, &store.source())
}

fn release(arguments: Release) -> Result<String> {
    let keys = load(&arguments.keys.keys, &arguments.keys.password)?;
    let repairs = arguments.plan.repairs();
    let scratch = tempfile::tempdir().map_err(Failure::io("create a directory in", &std::env::temp_dir()))?;
    let (store, anchor) = arguments.repo.open()?;
    let folder = prepare_in(&scratch.path().join("release"), &*store, &anchor, arguments.plan)?;
    for key in &keys {
        folder.sign(&**key)?;
    }
    refuse_unsigned(&folder)?;
    let done = publish::publish(&folder, &*store, &anchor, repairs, &Terminal::default())?;
    told_published(&folder, &*store, &done)
}

/// Says which keys are missing before a client has to say only that there are too few.
fn refuse_unsigned(folder: &Folder) -> Result<()> {
    for signed in folder.signed()? {
        if !signed.is_enough() {
            return Err(Failure::refused(
                format!(
                    "{} of the {} {} keys that must sign have signed",
                    signed.by.len(),
                    signed.needed,
                    signed.role
                ),
                "Give each missing key with --key; or `signer prepare`, let each holder `signer sign`, then `signer publish`.",
            ));
        }
    }
    Ok(())
}

fn told_published(folder: &Folder, store: &dyn Store, done: &Done) -> Result<String> {
    let (manifest, version) = (folder.manifest()?, folder.version()?);
    Ok(format!(
        "published {} {} as release {} on {} to {}\n{}\n  VERSION valid until {}, rollout {} of 100\n  {} objects written, {} were there; all read back and verified{}{}",
        manifest.product,
        manifest.version,
        manifest.seq,
        manifest.channel,
        store.location(),
        verify::describe(&manifest),
        Utc(version.expires),
        version.rollout,
        done.created,
        done.existed,
        told_access(&done.access),
        remarks(store)
    ))
}

/// Who can read it, where that is not who can read the directory.
fn told_access(access: &Access) -> String {
    match access {
        Access::Local => String::new(),
        Access::Public => "\n  public: read back without credentials, too".into(),
        Access::Private => "\n  private: it cannot be read without credentials".into(),
        Access::Unknown(why) => format!("\n  not known whether it is public: without credentials, {why}"),
    }
}

fn prepare(arguments: Prepare) -> Result<String> {
    let (store, anchor) = arguments.repo.open()?;
    let folder = prepare_in(&arguments.out, &*store, &anchor, arguments.plan)?;
    told_signed(&folder)
}

/// What is in a folder and whose signatures it still needs.
fn told_signed(folder: &Folder) -> Result<String> {
    let manifest = folder.manifest()?;
    let mut text = format!(
        "{} {} as release {} on {}\n{}",
        manifest.product,
        manifest.version,
        manifest.seq,
        manifest.channel,
        verify::describe(&manifest)
    );
    for signed in folder.signed()? {
        let document = if signed.role == Role::Release { "manifest" } else { "VERSION" };
        let _ = write!(
            text,
            "\n  {document}: signed by {} of {} {} keys",
            signed.by.len(),
            signed.needed,
            signed.role
        );
        for key in &signed.by {
            let _ = write!(text, "\n    {}", key.to_hex());
        }
    }
    let missing = folder.signed()?.iter().any(|signed| !signed.is_enough());
    let path = folder.path().display();
    let next = if missing {
        format!("signer sign {path} --key KEY")
    } else {
        format!("signer publish {path} --repo REPO --root root.json")
    };
    let _ = write!(text, "\nnext: {next}");
    Ok(text)
}

fn sign(arguments: Sign) -> Result<String> {
    let folder = Folder::open(&arguments.folder)?;
    for key in load(&arguments.keys.keys, &arguments.keys.password)? {
        folder.sign(&*key)?;
    }
    told_signed(&folder)
}

fn publish(arguments: Publish) -> Result<String> {
    let (store, anchor) = arguments.repo.open()?;
    let folder = Folder::open(&arguments.folder)?;
    refuse_unsigned(&folder)?;
    let done = publish::publish(&folder, &*store, &anchor, arguments.repair, &Terminal::default())?;
    told_published(&folder, &*store, &done)
}

fn refresh(arguments: Refresh) -> Result<String> {
    let keys = load(&arguments.keys, &arguments.password)?;
    let (store, anchor) = arguments.repo.open()?;
    let published = Published::read(&*store, &anchor, &arguments.channel, false)?;
    let valid = seconds(arguments.version_expires_in)?;
    if let Some(out) = &arguments.out {
        return told_signed(&Folder::refresh(out, &published, arguments.rollout, valid)?);
    }
    let scratch = tempfile::tempdir().map_err(Failure::io("create a directory in", &std::env::temp_dir()))?;
    let folder = Folder::refresh(&scratch.path().join("refresh"), &published, arguments.rollout, valid)?;
    for key in &keys {
        folder.sign(&**key)?;
    }
    refuse_unsigned(&folder)?;
    let done = publish::publish(&folder, &*store, &anchor, false, &Terminal::default())?;
    let version = folder.version()?;
    Ok(format!(
        "refreshed {} {} on {}: valid until {}, rollout {} of 100{}{}",
        version.product,
        version.version,
        version.channel,
        Utc(version.expires),
        version.rollout,
        told_access(&done.access),
        remarks(&*store)
    ))
}

fn show(arguments: Show) -> Result<String> {
    let (repo, root) = match (arguments.folder, arguments.repo, arguments.root) {
        (Some(folder), ..) => return told_signed(&Folder::open(&folder)?),
        (None, Some(repo), Some(root)) => (repo, root),
        _ => return Err(Failure::usage("name a release folder, or --repo and --root")),
    };
    let (store, anchor) = Repo { repo, root, server: arguments.server }.open()?;
    let published = Published::read(&*store, &anchor, &arguments.channel, false)?;
    let root = &published.root;
    let mut text = format!(
        "{} at {}\n  root     {}, epoch {}, {}",
        root.product,
        store.location(),
        root.version,
        root.epoch,
        validity(root.expires)
    );
    for role in Role::ALL {
        let held = root.roles.get(role);
        let _ = write!(text, "\n    {role}: {} of {}", held.threshold, held.keys.len());
    }
    if let Err(failure) = &published.current {
        let _ = write!(
            text,
            "\n  VERSION on {} names {}, which does not verify under this root: {failure}\n  next: publish a release",
            arguments.channel,
            published.released.as_ref().map(ToString::to_string).unwrap_or_default()
        );
        return Ok(text);
    }
    let Some(current) = published.current() else {
        let _ = write!(text, "\n  nothing is published on {}", arguments.channel);
        return Ok(text);
    };
    let (version, manifest) = (&current.version, &current.manifest);
    let _ = write!(text, "\n  {} on {}, release {}", version.version, version.channel, version.seq);
    let _ = write!(text, "\n  VERSION  {}, rollout {} of 100", validity(version.expires), version.rollout);
    let _ = write!(text, "\n  release  {}", validity(manifest.expires));
    if manifest.critical {
        text.push_str("\n  critical");
    }
    if let Some(min) = &manifest.min_version {
        let _ = write!(text, "\n  lowest version that may run: {min}");
    }
    let retracts: BTreeSet<String> = manifest.retracts.iter().map(ToString::to_string).collect();
    if !retracts.is_empty() {
        let _ = write!(text, "\n  takes back {}", retracts.into_iter().collect::<Vec<_>>().join(", "));
    }
    let _ = write!(text, "\n{}", verify::describe(manifest));
    if !manifest.notes.as_str().is_empty() {
        let _ = write!(text, "\n  notes\n    {}", manifest.notes.as_str().replace('\n', "\n    "));
    }
    Ok(text)
}

/// `valid until ..., 29 days`, or since when not.
fn validity(expires: u64) -> String {
    match expires.checked_sub(now()) {
        Some(rest) if rest > 0 => format!("valid until {}, {} days", Utc(expires), rest / 86_400),
        _ => format!("EXPIRED at {}", Utc(expires)),
    }
}

fn verify(arguments: Verify) -> Result<String> {
    let (store, anchor) = arguments.repo.open()?;
    let (mut text, untried) = match arguments.channel {
        Some(channel) => {
            let source = store.source();
            let root = newest_root(&source, &anchor)?;
            let report = verify::release(&source, &root, &channel)?;
            let text = format!(
                "the release on {channel} of {} verifies: root {}, {} stored forms decoded",
                store.location(),
                report.root,
                report.forms
            );
            (text, report.untried_patches)
        }
        None => {
            let report = verify::everything(&*store, &anchor)?;
            let text = format!(
                "{} verifies: root {}, {} channels, {} stored forms decoded, {} manifests and blobs are what their names say",
                store.location(),
                report.root,
                report.channels,
                report.forms,
                report.others
            );
            (text, report.untried_patches)
        }
    };
    if untried > 0 {
        let _ = write!(
            text,
            "\n  {untried} patches were not tried: the executables that they start from are not in the repository"
        );
    }
    Ok(text)
}
