//! What the client remembers beside an executable. State is input: it is bounded, checked and never believed beyond its checks.
//!
//! `state` is one line of JSON and one line with the BLAKE3 hash of the first. The hash is against faults, not against attackers:
//! whoever can write here can write the executable.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::dir::Dir;
use super::random::random;
use super::{durable, names};
use crate::error::{Error, Result};
use crate::escape::Words;
use crate::limits;
use crate::source::Etag;
use crate::trust::Refusal;
use crate::trust::{
    Digest, Document as _, Epoch, Fetched, Identity, Manifest, Name, RollbackGuard, Root, Timestamp,
    Verified, Version, integer, is_object,
};

/// One executable that was here: its version, its bytes, and the epoch under which it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copy {
    /// Its version.
    pub version: Version,
    /// The hash of the file.
    pub blake3: Digest,
    /// The epoch of the root that was trusted when it was installed.
    pub epoch: Epoch,
}

/// What the last check found, so that a start inside the interval knows it without a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Standing {
    /// No check has succeeded yet.
    Unknown,
    /// The newest release is what runs.
    Current,
    /// A newer release was offered and is not installed.
    Outdated {
        /// The version that is offered.
        version: Version,
    },
    /// The newest release is one that a person left by a rollback.
    Held {
        /// The version that is held.
        version: Version,
        /// Whether the publisher marked it so.
        critical: bool,
    },
    /// The newest release is not offered to this installation yet.
    NotInRollout {
        /// The version that is offered to others.
        version: Version,
        /// How many of 100 have it.
        rollout: u8,
    },
    /// The newest release has no executable for this target.
    NoTarget {
        /// The version of that release.
        version: Version,
    },
}

impl Standing {
    fn is_in_range(&self) -> bool {
        !matches!(self, Standing::NotInRollout { rollout: 101.., .. })
    }
}

impl std::fmt::Display for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Standing::Unknown => f.write_str("nothing yet"),
            Standing::Current => f.write_str("this is the newest release"),
            Standing::Outdated { version } => write!(f, "{version} is offered and not installed yet"),
            Standing::Held { version, critical } => {
                write!(
                    f,
                    "{version} is held after a rollback{}",
                    if *critical { ", though critical" } else { "" }
                )
            }
            Standing::NotInRollout { version, rollout } => {
                write!(f, "{version} is rolled out to {rollout} of 100, and not to this installation yet")
            }
            Standing::NoTarget { version } => write!(f, "{version} has no executable for this target"),
        }
    }
}

/// Which `VERSION` was accepted last, in its server's words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// The hash of the repository's address: tags of another one say nothing.
    pub(crate) location: Digest,
    pub(crate) etag: Etag,
    /// When the first of what was verified with it expires, in Unix seconds.
    #[serde(deserialize_with = "integer")]
    pub(crate) until: u64,
}

/// An exchange of names that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PendingSwap {
    /// The file in the site's directory that goes to the executable's path.
    pub(crate) file: String,
    pub(crate) from: Copy,
    pub(crate) to: Copy,
    /// Whether a person went back, so that `from` is to be held.
    pub(crate) rollback: bool,
}

/// The state of one installed executable (SPEC section 4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "relatch-state/1")]
pub struct State {
    /// The product that this is the state of.
    pub(crate) product: Name,
    /// The channel that it follows.
    pub(crate) channel: Name,
    /// The number of the newest root that was trusted; 0 for none since the compiled-in one.
    #[serde(deserialize_with = "integer")]
    pub(crate) root_version: u64,
    /// The epoch of that root; 0 for none.
    #[serde(deserialize_with = "integer")]
    pub(crate) root_epoch: u64,
    /// The highest `VERSION` seen.
    pub(crate) floors: RollbackGuard,
    /// When that `VERSION` expires, in Unix seconds; 0 for none.
    #[serde(deserialize_with = "integer")]
    pub(crate) expires: u64,
    /// How to ask whether it is still that one; only while everything that was decided from it still stands.
    pub(crate) seen: Option<Seen>,
    /// Whether that release is critical.
    pub(crate) critical: bool,
    /// The lowest version that may be installed or come back.
    pub(crate) min_version: Option<Version>,
    /// What the last swap put at the path.
    pub(crate) installed: Option<Copy>,
    /// What it took away.
    pub(crate) previous: Option<Copy>,
    /// Versions that a person left by a rollback, in that order.
    pub(crate) held: Vec<Version>,
    pub(crate) pending: Option<PendingSwap>,
    /// The manifest of a release that did not run here: a start does not download it again.
    pub(crate) unable: Option<Digest>,
    /// What the last check found.
    pub(crate) standing: Standing,
    /// The version that it found this of; what runs may be another one by now.
    pub(crate) judged: Option<Version>,
    /// This installation's place in a staged rollout, 0 to 99, drawn once.
    pub(crate) rollout: u8,
    /// When a check last succeeded, by the system clock; 0 for never. It decides only when to check again.
    pub(crate) checked: u64,
    /// When a check last failed, likewise.
    pub(crate) failed: u64,
    /// When the root chain was last walked, likewise.
    pub(crate) root_walked: u64,
}

/// What lay there.
pub(crate) enum Loaded {
    Absent,
    Present(Box<State>),
    /// Not the same as absent: it is reported, and only a fresh verified check heals it.
    Damaged(Refusal),
}

impl State {
    /// A first state: no floors, and a place in rollouts.
    pub(crate) fn new(identity: &Identity) -> Result<Self> {
        Ok(State {
            product: identity.product.clone(),
            channel: identity.channel.clone(),
            root_version: 0,
            root_epoch: 0,
            floors: RollbackGuard::default(),
            expires: 0,
            seen: None,
            critical: false,
            min_version: None,
            installed: None,
            previous: None,
            held: Vec::new(),
            pending: None,
            unable: None,
            standing: Standing::Unknown,
            judged: None,
            // 2^64 is not a multiple of 100: the bias is below 10^-17.
            rollout: (u64::from_le_bytes(random()?) % 100) as u8,
            checked: 0,
            failed: 0,
            root_walked: 0,
        })
    }

    /// Reads the state beside an executable. What another product left there is refused, not overwritten.
    pub(super) fn load(private: &Dir, identity: Option<&Identity>) -> Result<Loaded> {
        let content = match durable::read(private, names::STATE, limits::STATE) {
            Ok(Some(content)) => content,
            Ok(None) => return Ok(Loaded::Absent),
            Err(Error::Refused(why)) => return Ok(Loaded::Damaged(why)),
            Err(other) => return Err(other),
        };
        let state: State = match read_checked(&content, "relatch-state/1") {
            Ok(state) => state,
            Err(why @ Refusal::StateTooNew { .. }) => return Err(why.into()),
            Err(why) => return Ok(Loaded::Damaged(why)),
        };
        let in_range = state.rollout < 100
            && state.standing.is_in_range()
            && state.held.len() <= limits::HOLDS
            && state
                .held
                .iter()
                .enumerate()
                .all(|(at, held)| !state.held.iter().skip(at + 1).any(|v| v == held))
            && state.pending.as_ref().is_none_or(|pending| names::is_swappable(&pending.file));
        if !in_range {
            return Ok(Loaded::Damaged(Refusal::StateDamaged { why: "a value is out of its range".into() }));
        }
        match identity {
            Some(identity) if state.product != identity.product => {
                let (expected, found) = (identity.product.to_string(), state.product.to_string());
                Err(Refusal::StateOfOther { expected, found }.into())
            }
            Some(identity) if state.channel != identity.channel => {
                Ok(Loaded::Present(Box::new(state.switched_to(&identity.channel))))
            }
            _ => Ok(Loaded::Present(Box::new(state))),
        }
    }

    /// The same installation on another channel, as when a new version of a tool follows another one. A channel counts for itself: what
    /// was seen on the old one says nothing about the new one. What is installed, previous and held stays.
    fn switched_to(self, channel: &Name) -> Self {
        State {
            channel: channel.clone(),
            floors: RollbackGuard::default(),
            expires: 0,
            seen: None,
            critical: false,
            min_version: None,
            unable: None,
            standing: Standing::Unknown,
            judged: None,
            checked: 0,
            failed: 0,
            ..self
        }
    }

    /// For `fuzz/`.
    #[cfg(fuzzing)]
    pub(crate) fn rewritten(content: &[u8]) -> Option<Vec<u8>> {
        read_checked::<State>(content, "relatch-state/1").ok().map(|state| write_checked(&state))
    }

    /// Writes the state durably.
    pub(super) fn save(&self, private: &Dir) -> Result<()> {
        durable::replace(private, names::STATE, &write_checked(self))
    }

    /// SPEC step 7. Takes verified documents only: a floor cannot be moved by anything else.
    ///
    /// ```compile_fail,E0308
    /// fn forge(state: &mut relatch::install::State, version: &relatch::trust::Timestamp, manifest: &relatch::trust::Manifest) {
    ///     state.advance(version, manifest);
    /// }
    /// ```
    pub fn advance(&mut self, version: &Verified<Timestamp>, manifest: &Verified<Manifest>) {
        let new_epoch = self.floors.epoch != version.epoch.get();
        self.floors = RollbackGuard {
            epoch: version.epoch.get(),
            seq: version.seq.get(),
            issued: version.issued,
            manifest: Some(version.manifest),
        };
        self.expires = version.expires;
        self.critical = manifest.critical;
        // A stolen key may have signed an absurd `min_version`; the epoch that ends the theft ends that too.
        let keep = self.min_version.take().filter(|_| !new_epoch);
        self.min_version = match (keep, manifest.min_version.clone()) {
            (Some(old), Some(new)) if new.compare(&old).is_ok_and(|order| order.is_lt()) => Some(old),
            (old, new) => new.or(old),
        };
    }

    /// A root was verified and persisted. Where a damaged one is walked to again, what was trusted before stays the number to reach.
    pub(crate) fn trust(&mut self, root: &Verified<Root>) {
        if root.version >= self.root_version {
            if root.version > self.root_version {
                self.seen = None; // what verified under the old root may not under the new one
            }
            self.root_version = root.version;
            self.root_epoch = root.epoch.get();
        }
    }

    /// A refreshed `VERSION` of a manifest that was verified before.
    pub(crate) fn refresh(&mut self, version: &Verified<Timestamp>) {
        self.floors.issued = version.issued;
        self.expires = version.expires;
    }

    /// Whether a decision that was made from `other` would be made from this too: nothing was swapped, held or newly seen since.
    pub(crate) fn same_basis(&self, other: &State) -> bool {
        let ground = |state: &State| {
            let swaps =
                (state.installed.clone(), state.previous.clone(), state.held.clone(), state.pending.clone());
            let seen =
                (state.floors.epoch, state.floors.seq, state.floors.manifest, state.min_version.clone());
            (swaps, seen, state.root_version)
        };
        ground(self) == ground(other)
    }

    /// Whether a person left this version by a rollback.
    pub fn is_held(&self, version: &Version) -> bool {
        self.held.contains(version)
    }

    pub(crate) fn hold(&mut self, version: Version) {
        self.release_hold(&version);
        if self.held.len() == limits::HOLDS {
            self.held.remove(0);
        }
        self.held.push(version);
    }

    pub(crate) fn release_hold(&mut self, version: &Version) {
        self.held.retain(|held| held != version);
    }
}

/// How `relatch` reads an executable that carries no root of its own: kept beside it by `relatch install`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "relatch-settings/1")]
pub(crate) struct Settings {
    pub(crate) product: Name,
    pub(crate) channel: Name,
    pub(crate) target: Name,
    /// The address of the repository; trusted for nothing.
    pub(crate) from: String,
    pub(crate) ca_file: Option<String>,
    pub(crate) probe: super::Probe,
    /// The root document that the person gave, as text.
    pub(crate) root: String,
}

impl Settings {
    /// For `fuzz/`.
    #[cfg(fuzzing)]
    pub(crate) fn rewritten(content: &[u8]) -> Option<Vec<u8>> {
        read_checked::<Settings>(content, "relatch-settings/1").ok().map(|settings| write_checked(&settings))
    }

    /// `None` if there are none.
    pub(super) fn load(private: &Dir) -> Result<Option<Settings>> {
        let limit = limits::ByteLimit(2 * limits::ROOT.0);
        let Some(content) = durable::read(private, names::SETTINGS, limit)? else { return Ok(None) };
        Ok(Some(read_checked(&content, "relatch-settings/1")?))
    }

    pub(super) fn save(&self, private: &Dir) -> Result<()> {
        durable::replace(private, names::SETTINGS, &write_checked(self))
    }
}

/// The newest root that was verified and persisted after `anchor`; `anchor` where there is none.
pub(super) fn load_root(private: &Dir, anchor: Verified<Root>) -> Result<Verified<Root>> {
    let limit = limits::ByteLimit(limits::ROOT.0 + 1 + limits::SIGNATURES.0); // a newline between them
    let Some(content) = durable::read(private, names::ROOT, limit)? else { return Ok(anchor) };
    let end = content.iter().position(|b| *b == b'\n').unwrap_or(content.len());
    let (document, signatures) = content.split_at(end);
    let signatures = signatures.get(1..).unwrap_or_default();
    let root = anchor.reload(&Fetched::new(document.to_vec()), &Fetched::new(signatures.to_vec()))?;
    // A tool that was installed anew may carry a newer root than the one persisted.
    Ok(if root.version > anchor.version { root } else { anchor })
}

/// Persists a root as soon as it is verified, so that the next walk begins there.
pub(super) fn save_root(private: &Dir, root: &Verified<Root>, signatures: &Fetched) -> Result<()> {
    let mut content = root.to_canonical();
    content.push(b'\n');
    content.extend_from_slice(signatures.bytes());
    durable::replace(private, names::ROOT, &content)
}

fn write_checked(value: &impl Serialize) -> Vec<u8> {
    // Writing strings, numbers and lists to memory cannot fail.
    let mut content = serde_json::to_vec(value).unwrap_or_default();
    let digest = Digest::of(&content);
    content.extend(format!("\n{digest}\n").into_bytes());
    content
}

fn read_checked<T: DeserializeOwned + Serialize>(content: &[u8], kind: &str) -> Result<T, Refusal> {
    #[derive(Deserialize)]
    struct Typed {
        r#type: String,
    }
    let damaged = |why: &str| Refusal::StateDamaged { why: why.into() };
    let end = content.iter().position(|b| *b == b'\n').ok_or_else(|| damaged("it has no second line"))?;
    let (json, rest) = content.split_at(end);
    if rest != format!("\n{}\n", Digest::of(json)).as_bytes() {
        return Err(damaged("its second line is not the hash of its first"));
    }
    let typed = Some(json).filter(|json| is_object(json)).and_then(|json| serde_json::from_slice(json).ok());
    let typed: Typed = typed.ok_or_else(|| damaged("its first line is not a JSON object with a type"))?;
    if typed.r#type != kind {
        return Err(Refusal::StateTooNew { found: Words(typed.r#type).to_string() });
    }
    let value: T =
        serde_json::from_slice(json).map_err(|error| damaged(&Words(error.to_string()).to_string()))?;
    if write_checked(&value) != content {
        return Err(damaged("its bytes differ from its canonical form"));
    }
    Ok(value)
}
