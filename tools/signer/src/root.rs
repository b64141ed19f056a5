//! Root documents: the first one, changes to it, signatures, and how to read them.

use std::fs;
use std::path::{Path, PathBuf};

use relatch::trust::{
    Document, ED25519, Epoch, Key, Name, PublicKey, Role, RoleKeys, Roles, Root, SignatureText, TrustAnchor,
    signing_keys,
};
use relatch::{Printable, Utc, limits};

use crate::files::{Staged, dir_of, lock_dir};
use crate::repository::{now, strict_times};
use crate::signing::SigningKey;
use crate::{Failure, Result};

/// The public keys of the three roles and how many must sign.
#[derive(Debug, Clone, Default)]
pub struct Holders {
    /// Sign roots.
    pub root: Vec<PublicKey>,
    /// Sign manifests.
    pub release: Vec<PublicKey>,
    /// Sign `VERSION`.
    pub timestamp: Vec<PublicKey>,
}

/// A threshold for a role, as `release=2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threshold {
    /// The role.
    pub role: Role,
    /// How many keys must sign.
    pub count: u32,
}

impl std::str::FromStr for Threshold {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (role, count) = text.split_once('=').ok_or("a threshold reads ROLE=N, such as release=2")?;
        Ok(Threshold {
            role: parse_role(role)?,
            count: count.parse().map_err(|_| format!("`{}` is not a number", Printable(count)))?,
        })
    }
}

/// `root`, `release` or `timestamp`.
///
/// # Errors
/// For every other word.
pub fn parse_role(text: &str) -> std::result::Result<Role, String> {
    Role::ALL
        .into_iter()
        .find(|role| role.to_string() == text)
        .ok_or_else(|| format!("`{}` is not a role: root, release or timestamp", Printable(text)))
}

/// The first root.
///
/// # Errors
/// [`Failure::Client`] for a threshold that cannot be met.
pub fn first(product: Name, holders: &Holders, thresholds: &[Threshold], valid: u64) -> Result<Root> {
    let role = |keys: &[PublicKey]| {
        let mut keys: Vec<String> = keys.iter().map(PublicKey::to_hex).collect();
        keys.sort();
        keys.dedup();
        RoleKeys { keys, threshold: 1 }
    };
    let roles = Roles {
        root: role(&holders.root),
        release: role(&holders.release),
        timestamp: role(&holders.timestamp),
    };
    let time = now();
    let mut root = Root {
        product,
        version: 1,
        issued: time,
        expires: time + valid,
        epoch: Epoch::FIRST,
        keys: Vec::new(),
        roles,
    };
    set_thresholds(&mut root, thresholds);
    checked(root)
}

/// What is to change from one root to the next.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// A key that a role gains.
    pub add: Option<(Role, PublicKey)>,
    /// A key that one role loses, or all.
    pub remove: Option<(Option<Role>, PublicKey)>,
    /// New thresholds.
    pub thresholds: Vec<Threshold>,
    /// After a theft: raise the epoch, so that what the thief signed ends with the old one.
    pub raise_epoch: bool,
    /// How long it is valid, in seconds.
    pub valid: u64,
}

/// The root after `root`, or the same number again where `root` is a draft that nobody has signed.
///
/// # Errors
/// [`Failure::Refused`] for a change that changes nothing or cannot be.
pub fn change(root: &Root, is_draft: bool, change: &Change) -> Result<Root> {
    let mut next = root.clone();
    let refuse = |what: String| Err(Failure::refused(what, "Look at the root with `signer root show`."));
    if !is_draft {
        next.version += 1;
    }
    if let Some((role, key)) = &change.add {
        let keys = &mut next.roles.get_mut(*role).keys;
        if keys.contains(&key.to_hex()) {
            return refuse(format!("{} already has the role {role}", key.to_hex()));
        }
        keys.push(key.to_hex());
        keys.sort();
    }
    if let Some((role, key)) = &change.remove {
        let mut removed = false;
        for held in Role::ALL.into_iter().filter(|held| role.is_none_or(|role| role == *held)) {
            let keys = &mut next.roles.get_mut(held).keys;
            let before = keys.len();
            keys.retain(|public| *public != key.to_hex());
            removed |= keys.len() != before;
        }
        if !removed {
            return refuse(format!("{} has no role that could be taken", key.to_hex()));
        }
    }
    set_thresholds(&mut next, &change.thresholds);
    if change.raise_epoch {
        next.epoch = match root.epoch.next() {
            Some(epoch) => epoch,
            None => return refuse("the epoch cannot grow any more".into()),
        };
    }
    next.issued = now();
    next.expires = now() + change.valid;
    checked(next)
}

fn set_thresholds(root: &mut Root, thresholds: &[Threshold]) {
    for threshold in thresholds {
        root.roles.get_mut(threshold.role).threshold = threshold.count;
    }
}

/// Lists all keys that roles name, and shows the result to the client's own code.
fn checked(mut root: Root) -> Result<Root> {
    let mut keys: Vec<Key> = root.keys.iter().filter(|key| key.alg.as_str() != ED25519).cloned().collect();
    let mut named: Vec<String> =
        Role::ALL.into_iter().flat_map(|role| root.roles.get(role).keys.clone()).collect();
    named.sort();
    named.dedup();
    let alg: Name = ED25519.parse().map_err(Failure::usage)?;
    named.retain(|public| !keys.iter().any(|key| key.public == *public));
    keys.extend(named.into_iter().map(|public| Key { alg: alg.clone(), public }));
    keys.sort_by(|a, b| a.public.cmp(&b.public));
    root.keys = keys;
    drop(TrustAnchor::new(&root.to_canonical())?);
    Ok(root)
}

/// A root document in a file, with `FILE.minisig` beside it.
#[derive(Debug, Clone)]
pub struct RootFile {
    path: PathBuf,
}

impl RootFile {
    /// The file at `path`, which need not exist yet.
    pub fn new(path: &Path) -> Self {
        RootFile { path: path.into() }
    }

    /// The document's bytes.
    pub fn document(&self) -> Result<Vec<u8>> {
        crate::files::read_limited(&self.path, limits::ROOT)
    }

    /// The document, not verified.
    pub fn read(&self) -> Result<Root> {
        Ok(Root::from_canonical(&self.document()?)?)
    }

    /// The signatures so far; empty for none.
    pub fn signatures(&self) -> Result<Vec<u8>> {
        let path = self.signatures_path();
        if path.exists() { crate::files::read_limited(&path, limits::SIGNATURES) } else { Ok(Vec::new()) }
    }

    /// Writes a new document, never over another one unless that is a draft without signatures that is being changed.
    pub fn write(&self, root: &Root, replace_draft: bool) -> Result<()> {
        if replace_draft && !self.signatures_path().exists() {
            return fs::write(&self.path, root.to_canonical()).map_err(Failure::io("write", &self.path));
        }
        crate::files::write_new(&self.path, &root.to_canonical(), crate::files::Readers::Everybody)
    }

    /// Refuses a key that has the root role neither here nor in the root before.
    ///
    /// # Errors
    /// [`Failure::Refused`] for such a key.
    fn refuse_stranger(&self, key: &dyn SigningKey, previous: Option<&Root>) -> Result<()> {
        let (root, public) = (self.read()?, key.public());
        if [Some(&root), previous]
            .into_iter()
            .flatten()
            .any(|root| root.keys_of(Role::Root).contains(&public))
        {
            return Ok(());
        }
        Err(Failure::refused(
            format!("the key {} does not have the root role in root {}", public.to_hex(), root.version),
            "Use a root key. To sign with a key that only the root before names, give that one with --previous. Nothing was signed.",
        ))
    }

    /// Adds signatures, once for each key: all of them, or none. They are all made before the file is replaced as a whole. What somebody
    /// else adds meanwhile stays.
    ///
    /// # Errors
    /// [`Failure::Refused`] for a key that has the root role neither here nor in the root before, given as `previous`; for a root that no
    /// client would take today, or that became another one meanwhile. What keys fail with. The signatures are as they were.
    pub fn sign(&self, keys: &[&dyn SigningKey], previous: Option<&Root>) -> Result<()> {
        let document = self.document()?;
        let root = Root::from_canonical(&document)?;
        root.ensure_strong_keys()?;
        strict_times().ensure_current(root.kind(), root.issued, root.expires)?;
        for key in keys {
            self.refuse_stranger(*key, previous)?;
        }
        let path = self.signatures_path();
        let signed_by = |signatures: &[u8]| -> Result<Vec<PublicKey>> {
            if signatures.is_empty() {
                return Ok(Vec::new());
            }
            let text = SignatureText::parse(signatures).map_err(|(line, why)| {
                let what = format!("{}: line {line}: {why}", Printable(path.display()));
                Failure::refused(what, "Somebody writes it now, or it is damaged: then delete it and sign again. Nothing was signed.")
            })?;
            let publics = keys.iter().map(|key| key.public());
            Ok(publics.filter(|public| text.count_valid(&[*public], &document) == 1).collect())
        };
        let mut by = signed_by(&self.signatures()?)?;
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // The trusted comment is printable ASCII, whatever the file is called.
        let name = if name.bytes().all(|b| b.is_ascii_graphic()) { name } else { "root.json".into() };
        let mut made = Vec::new();
        for key in keys {
            let public = key.public();
            if !by.contains(&public) {
                made.push((public, key.sign(&document, &name, now())?));
                by.push(public);
            }
        }
        let _lock = lock_dir(dir_of(&path))?;
        if self.document()? != document {
            let what = format!("{} became another root while it was signed", Printable(self.path.display()));
            return Err(Failure::refused(
                what,
                "Look at it with `signer root show`, and sign again; nothing was signed.",
            ));
        }
        let mut signatures = self.signatures()?;
        let (before, by) = (signatures.len(), signed_by(&signatures)?);
        for (_, signature) in made.iter().filter(|(public, _)| !by.contains(public)) {
            signatures.extend_from_slice(signature.as_bytes());
        }
        if signatures.len() == before {
            return Ok(());
        }
        Staged::write(&path, &signatures)?.replace()
    }

    fn signatures_path(&self) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(".minisig");
        name.into()
    }
}

/// What a root says, and who has signed it, for people.
pub fn describe(root: &Root, document: &[u8], signatures: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = format!("root {} of {}, epoch {}\n", root.version, root.product, root.epoch);
    let _ = writeln!(text, "  issued   {}\n  expires  {}", Utc(root.issued), Utc(root.expires));
    for role in Role::ALL {
        let held = root.roles.get(role);
        let _ = writeln!(text, "  {role}: {} of {}", held.threshold, held.keys.len());
        for public in &held.keys {
            let alg = root.keys.iter().find(|key| key.public == *public).map(|key| key.alg.as_str());
            let note =
                if alg == Some(ED25519) { "" } else { "  (of an algorithm that this program does not know)" };
            let _ = writeln!(text, "    {public}{note}");
        }
    }
    match SignatureText::parse(signatures) {
        Ok(parsed) => {
            let by = signing_keys(root, Role::Root, document, &parsed);
            let _ = write!(
                text,
                "  signed by {} of its own root keys, {} needed",
                by.len(),
                root.roles.root.threshold
            );
            for key in by {
                let _ = write!(text, "\n    {}", key.to_hex());
            }
        }
        Err(_) if signatures.is_empty() => text.push_str("  not signed yet"),
        Err((line, why)) => {
            let _ = write!(text, "  its signatures cannot be read: line {line}: {why}");
        }
    }
    text
}
