//! The state file (`--state`): the highest root and releases that this publisher has seen. It is
//! kept outside of the repository, where an attacker who controls the bucket cannot lower it.
//!
//! One line of JSON. Parsing and writing again gives the same bytes (SPEC section 8.3).

use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use relatch::Printable;
use relatch::trust::{Digest, Document as _, Epoch, Name, Root, Seq, Timestamp, Version};
use serde::{Deserialize, Serialize};

use crate::files::{PendingFile, dir_of, lock_dir, open_regular};
use crate::limits::STATE_FILE;
use crate::notice::Notice;
use crate::{Failure, Result};

/// The kind of the file, and its number.
const KIND: &str = "relatch-publisher/";
const TYPE: &str = "relatch-publisher/1";

/// What the file contains.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "relatch-publisher/1")]
struct Floors {
    /// One for each product, sorted.
    roots: Vec<RootFloor>,
    /// One for each product, channel and epoch, sorted.
    releases: Vec<Floor>,
}

/// The newest root of a product that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct RootFloor {
    product: Name,
    version: u64,
    epoch: Epoch,
    blake3: Digest,
}

/// The highest `VERSION` of a channel and an epoch that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Floor {
    product: Name,
    channel: Name,
    epoch: Epoch,
    pub(crate) seq: Seq,
    pub(crate) issued: u64,
    pub(crate) version: Version,
    pub(crate) manifest: Digest,
}

impl Floor {
    fn of(version: &Timestamp) -> Self {
        Floor {
            product: version.product.clone(),
            channel: version.channel.clone(),
            epoch: version.epoch,
            seq: version.seq,
            issued: version.issued,
            version: version.version.clone(),
            manifest: version.manifest,
        }
    }

    fn key(&self) -> (&Name, &Name, Epoch) {
        (&self.product, &self.channel, self.epoch)
    }
}

impl Floors {
    fn parse(bytes: &[u8]) -> std::result::Result<Self, String> {
        let floors: Floors = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let in_order = floors.roots.is_sorted_by(|a, b| a.product < b.product)
            && floors.releases.is_sorted_by(|a, b| a.key() < b.key());
        match in_order && floors.to_bytes() == bytes {
            true => Ok(floors),
            false => Err("its bytes differ from its canonical form".into()),
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    fn raise_root(&mut self, root: &Root) {
        let new = RootFloor {
            product: root.product.clone(),
            version: root.version,
            epoch: root.epoch,
            blake3: Digest::of(&root.to_canonical()),
        };
        match self.roots.binary_search_by(|old| old.product.cmp(&new.product)) {
            Err(at) => self.roots.insert(at, new),
            Ok(at) => {
                if let Some(old) = self.roots.get_mut(at).filter(|old| old.version < new.version) {
                    *old = new;
                }
            }
        }
    }

    fn raise_release(&mut self, new: Floor) {
        match self.releases.binary_search_by(|old| old.key().cmp(&new.key())) {
            Err(at) => self.releases.insert(at, new),
            Ok(at) => {
                let is_lower = |old: &&mut Floor| (old.seq, old.issued) < (new.seq, new.issued);
                if let Some(old) = self.releases.get_mut(at).filter(is_lower) {
                    *old = new;
                }
            }
        }
    }
}

/// A publisher's state file, as it was read.
#[derive(Debug, Clone)]
pub struct StateFile {
    path: PathBuf,
    floors: Option<Floors>,
}

impl StateFile {
    /// Reads the file. It need not exist: [`StateFile::notice`].
    ///
    /// # Errors
    /// [`Failure::Refused`] for a damaged file, and for one that a newer signer wrote;
    /// [`Failure::Client`] if it cannot be read.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(StateFile { path: path.into(), floors: read(path)? })
    }

    /// A notice if the file does not exist yet.
    pub fn notice(&self) -> Option<Notice> {
        let path = Printable(self.path.display());
        let text = || format!("{path} does not exist: this is its first run, and it has seen nothing yet");
        self.floors.is_none().then(|| Notice::new("state-new", text()))
    }

    /// The path, as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Refuses a root that is older than the newest one that was seen, or of the same number and
    /// different.
    ///
    /// # Errors
    /// [`Failure::Refused`] for such a root.
    pub(crate) fn ensure_root_not_lower(&self, root: &Root) -> Result<()> {
        let roots = self.floors.iter().flat_map(|floors| &floors.roots);
        let Some(seen) = roots.into_iter().find(|seen| seen.product == root.product) else { return Ok(()) };
        let found = Digest::of(&root.to_canonical());
        let (path, version) = (Printable(self.path.display()), root.version);
        let what = if version < seen.version || root.epoch < seen.epoch {
            format!(
                "the newest root in the repository is root {version} of epoch {}, but {path} has seen \
                 root {} of epoch {}",
                root.epoch, seen.version, seen.epoch
            )
        } else if version == seen.version && found != seen.blake3 {
            format!(
                "root {version} in the repository is {found}, but {path} has seen {} as root {version}",
                seen.blake3
            )
        } else {
            return Ok(());
        };
        Err(Failure::refused(
            what,
            "An attacker removed or replaced root documents, or the repository was restored from an \
             old backup. Put the root documents back with `signer root publish`. If --state is \
             another repository's file, give the right one.",
        ))
    }

    /// The highest `VERSION` of a channel that was seen under the root's epoch.
    pub(crate) fn highest(&self, root: &Root, channel: &Name) -> Option<&Floor> {
        let mut releases = self.floors.iter().flat_map(|floors| &floors.releases);
        releases.find(|floor| floor.key() == (&root.product, channel, root.epoch))
    }

    /// The channels of which releases were seen under the root's epoch.
    pub(crate) fn channels(&self, root: &Root) -> impl Iterator<Item = &Name> {
        let releases = self.floors.iter().flat_map(|floors| &floors.releases);
        let is_of = |floor: &&Floor| (&floor.product, floor.epoch) == (&root.product, root.epoch);
        releases.filter(is_of).map(|floor| &floor.channel)
    }

    /// Records a root and a `VERSION` that verified, if they are higher than what the file has now.
    /// The file is replaced atomically and durably, and only if that changes it.
    ///
    /// # Errors
    /// As [`StateFile::open`]; [`Failure::Client`] if it cannot be written.
    pub(crate) fn record(&self, root: &Root, version: Option<&Timestamp>) -> Result<()> {
        // Another publisher on this machine may have raised another channel's floor meanwhile.
        let _lock = lock_dir(dir_of(&self.path))?;
        let old = read(&self.path)?;
        let mut new = old.clone().unwrap_or_default();
        new.raise_root(root);
        if let Some(version) = version {
            new.raise_release(Floor::of(version));
        }
        if old.as_ref() == Some(&new) {
            return Ok(());
        }
        let bytes = new.to_bytes();
        if bytes.len() as u64 > STATE_FILE {
            return Err(Failure::refused(
                format!("{} would have more than {STATE_FILE} bytes", Printable(self.path.display())),
                "Use one state file for each repository.",
            ));
        }
        PendingFile::write(&self.path, &bytes)?.replace()
    }
}

/// What the file contains; `None` if it does not exist.
fn read(path: &Path) -> Result<Option<Floors>> {
    let mut bytes = Vec::new();
    let read = open_regular(path).and_then(|file| file.take(STATE_FILE + 1).read_to_end(&mut bytes));
    match read {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        read => read.map_err(Failure::io("read", path))?,
    };
    let shown = Printable(path.display());
    let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
    match value.get("type").and_then(serde_json::Value::as_str) {
        Some(kind) if kind != TYPE && kind.starts_with(KIND) => {
            return Err(Failure::refused(
                format!("{shown} has the type {}, and this signer reads {TYPE}", Printable(kind)),
                "A newer signer wrote it. Use that signer, or a newer one.",
            ));
        }
        _ => {}
    }
    let damaged = |why: String| {
        Failure::refused(
            format!("the state file {shown} is damaged: {why}"),
            "Restore it from where it is kept. If it is lost, compare `signer show` with what you \
             published last, and remove the file: the next run then begins a new one.",
        )
    };
    if bytes.len() as u64 > STATE_FILE {
        return Err(damaged(format!("it has more than {STATE_FILE} bytes")));
    }
    Floors::parse(&bytes).map(Some).map_err(|why| damaged(Printable(why).to_string()))
}
