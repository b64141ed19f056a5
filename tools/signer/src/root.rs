//! Root documents: makes the first one, changes, signs and describes them.

use std::path::{Path, PathBuf};

use relatch::trust::{
    Document, ED25519, Epoch, Key, Name, PublicKey, Role, RoleKeys, Roles, Root, SignatureText, TrustAnchor,
};
use relatch::{Printable, limits};

use crate::files::{PendingFile, Readers, dir_of, lock_dir, read_limited, write_new};
use crate::repository::{now, strict_times};
use crate::signing::SigningKey;
use crate::{Failure, Result};

/// The public keys of each role.
#[derive(Debug, Clone, Default)]
pub struct KeysByRole {
    /// They sign roots.
    pub root: Vec<PublicKey>,
    /// They sign manifests.
    pub release: Vec<PublicKey>,
    /// They sign `VERSION`.
    pub timestamp: Vec<PublicKey>,
}

/// A threshold for a role, such as `release=2`.
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
        let (role, count) =
            text.split_once('=').ok_or("a threshold has the form ROLE=N, such as release=2")?;
        Ok(Threshold {
            role: parse_role(role)?,
            count: count.parse().map_err(|_| format!("`{}` is not a number", Printable(count)))?,
        })
    }
}

/// Parses `root`, `release` or `timestamp`.
///
/// # Errors
/// For any other word.
pub fn parse_role(text: &str) -> std::result::Result<Role, String> {
    Role::ALL.into_iter().find(|role| role.to_string() == text).ok_or_else(|| {
        format!("`{}` is not a role; the roles are root, release and timestamp", Printable(text))
    })
}

/// Makes the first root.
///
/// # Errors
/// [`Failure::Client`] for a threshold that the keys cannot meet.
pub fn first(product: Name, public: &KeysByRole, thresholds: &[Threshold], valid: u64) -> Result<Root> {
    let role = |keys: &[PublicKey]| {
        let mut keys: Vec<String> = keys.iter().map(PublicKey::to_hex).collect();
        keys.sort();
        keys.dedup();
        RoleKeys { keys, threshold: 1 }
    };
    let roles = Roles {
        root: role(&public.root),
        release: role(&public.release),
        timestamp: role(&public.timestamp),
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

/// The differences between one root and the next.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// A key that a role gains.
    pub add: Option<(Role, PublicKey)>,
    /// A key that one role loses, or that all roles lose.
    pub remove: Option<(Option<Role>, PublicKey)>,
    /// New thresholds.
    pub thresholds: Vec<Threshold>,
    /// After a theft: raise the epoch, so that what the thief signed is no longer valid.
    pub raise_epoch: bool,
    /// How long it is valid, in seconds.
    pub valid: u64,
}

/// Whether a root may still be changed in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RootStatus {
    /// It has no signatures. A change keeps its number.
    Draft,
    /// It is signed and final. A change makes the next root.
    Final,
}

/// The root that follows `root`, or `root` itself with changes if it is a draft.
///
/// # Errors
/// [`Failure::Refused`] for a change that has no effect or is impossible.
pub fn change(root: &Root, status: RootStatus, change: &Change) -> Result<Root> {
    let mut next = root.clone();
    let refuse = |what: String| Err(Failure::refused(what, "Inspect the root with `signer root show`."));
    if status == RootStatus::Final {
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
            return refuse(format!("{} does not have a role that can be removed", key.to_hex()));
        }
    }
    set_thresholds(&mut next, &change.thresholds);
    if change.raise_epoch {
        next.epoch = match root.epoch.next() {
            Some(epoch) => epoch,
            None => return refuse("the epoch has its largest value already".into()),
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

/// Lists all keys that the roles name, and passes the result to the client's own code.
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

/// What [`RootFile::write`] may overwrite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overwrite {
    /// Nothing.
    Nothing,
    /// A draft without signatures.
    Draft,
}

/// A root document in a file, with `FILE.minisig` beside it.
#[derive(Debug, Clone)]
pub struct RootFile {
    path: PathBuf,
}

impl RootFile {
    /// A file at `path`, which may not exist yet.
    pub fn new(path: &Path) -> Self {
        RootFile { path: path.into() }
    }

    /// The bytes of the document, without white space after it: the file is kept in version control
    /// and edited, and only the document itself is signed and published.
    ///
    /// # Errors
    /// If it cannot be read or is too large.
    pub fn document(&self) -> Result<Vec<u8>> {
        Ok(TrustAnchor::document_of(&read_limited(&self.path, limits::ROOT)?).to_vec())
    }

    /// The document, not verified.
    ///
    /// # Errors
    /// If it cannot be read, is too large, or is not a root.
    pub fn read(&self) -> Result<Root> {
        Ok(Root::from_canonical(&self.document()?)?)
    }

    /// The signatures so far; empty if there are none.
    ///
    /// # Errors
    /// If they cannot be read or are too large.
    pub fn signatures(&self) -> Result<Vec<u8>> {
        let path = self.signatures_path();
        if path.exists() { read_limited(&path, limits::SIGNATURES) } else { Ok(Vec::new()) }
    }

    /// Writes a new document. It never overwrites a file, except a draft without signatures that is
    /// being changed.
    ///
    /// # Errors
    /// [`Failure::Client`] if the file exists or cannot be written.
    pub fn write(&self, root: &Root, overwrite: Overwrite) -> Result<()> {
        if overwrite == Overwrite::Draft && !self.signatures_path().exists() {
            return PendingFile::write(&self.path, &root.to_canonical())?.replace();
        }
        write_new(&self.path, &root.to_canonical(), Readers::Public)
    }

    /// Refuses a key that has the root role neither in this root nor in the previous one.
    ///
    /// # Errors
    /// [`Failure::Refused`] for such a key.
    fn ensure_authorized(&self, key: &dyn SigningKey, previous: Option<&Root>) -> Result<()> {
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
            "Use a root key. To sign with a key that only the previous root names, give that root \
             with --previous. Nothing was signed.",
        ))
    }

    /// Adds one signature per key: either all of them, or none. All are made before the file is
    /// replaced as a whole. Signatures that another person adds during the call are kept.
    ///
    /// # Errors
    /// [`Failure::Refused`] for a key that has the root role neither in this root nor in
    /// `previous`, for a root that no client would accept now, and for a document that changed
    /// during the call; the errors of the keys. The signatures are unchanged then.
    pub fn sign(&self, keys: &[&dyn SigningKey], previous: Option<&Root>) -> Result<()> {
        let document = self.document()?;
        let root = Root::from_canonical(&document)?;
        root.ensure_strong_keys()?;
        strict_times().ensure_current(root.kind(), root.issued, root.expires)?;
        for key in keys {
            self.ensure_authorized(*key, previous)?;
        }
        let path = self.signatures_path();
        let signed_by = |signatures: &[u8]| -> Result<Vec<PublicKey>> {
            if signatures.is_empty() {
                return Ok(Vec::new());
            }
            let text = SignatureText::parse(signatures).map_err(|(line, why)| {
                let what = format!("{}: line {line}: {why}", Printable(path.display()));
                Failure::refused(
                    what,
                    "Another process is writing the file, or it is damaged. Try again; if that \
                     fails, delete the file and sign again. Nothing was signed.",
                )
            })?;
            let publics = keys.iter().map(|key| key.public());
            Ok(publics.filter(|public| text.count_valid(&[*public], &document) == 1).collect())
        };
        let mut by = signed_by(&self.signatures()?)?;
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // A trusted comment must be printable ASCII; a file name need not.
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
            let what = format!("{} changed during signing", Printable(self.path.display()));
            return Err(Failure::refused(
                what,
                "Inspect it with `signer root show`, and sign again. Nothing was signed.",
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
        PendingFile::write(&path, &signatures)?.replace()
    }

    fn signatures_path(&self) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(".minisig");
        name.into()
    }
}
