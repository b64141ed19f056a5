//! What the next publication builds on: the published release, which must be the highest one that
//! this publisher knows of. It knows by the state file (`--state`), which is outside of the
//! repository, and by the signed manifests in the repository (SPEC section 8.3).

use std::borrow::Cow;
use std::ops::Deref;
use std::path::Path;

use relatch::source::Object;
use relatch::trust::{Digest, Manifest, Name, Roots, Seq, Timestamp, Version};
use relatch::{Printable, Utc};

use crate::floor::{Floor, StateFile};
use crate::limits::CLOCKS_APART;
use crate::listing::{self, Search, SignedManifest};
use crate::notice::Notice;
use crate::repository::{Damage, Published, now};
use crate::store::Store;
use crate::{Failure, Result};

/// What a publisher believes beyond the repository, and what it overrides by name.
#[derive(Debug, Clone, Default)]
pub struct Safeguards {
    /// The state file, if one was given.
    pub state: Option<StateFile>,
    /// Manifests that must not be published, although they are higher than the published release.
    pub abandoned: Vec<Digest>,
    /// Whether a `VERSION` that does not verify may be replaced.
    pub damage: Damage,
}

/// A signed release that is higher than the one that `VERSION` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unnamed {
    /// Its manifest.
    pub manifest: Digest,
    /// Its version.
    pub version: Version,
    /// Its number.
    pub seq: Seq,
    /// When it was issued: its `VERSION`, if that was seen; otherwise its manifest.
    pub issued: u64,
    /// The state file that has seen its `VERSION`, for display; `None` if only its manifest is known.
    seen_by: Option<String>,
}

/// The published release, and everything that must not be lower than the next one.
pub struct Baseline {
    published: Published,
    channel: Name,
    unnamed: Option<Unnamed>,
    safeguards: Safeguards,
    notices: Vec<Notice>,
}

impl Deref for Baseline {
    type Target = Published;

    fn deref(&self) -> &Published {
        &self.published
    }
}

impl Baseline {
    /// Compares the clocks, reads what is published on a channel, and compares it with everything
    /// that is known. That a higher release is known is refused later, when one is about to be signed.
    ///
    /// # Errors
    /// As [`Published::read`]; [`Failure::Refused`] if the clocks differ, or if the root is older than
    /// one that the state file has seen.
    pub fn read(store: &dyn Store, anchor: &[u8], channel: &Name, safeguards: Safeguards) -> Result<Self> {
        ensure_clocks_agree(store)?;
        let published = Published::read(store, anchor, channel, safeguards.damage)?;
        let (root, state) = (&published.root, safeguards.state.as_ref());
        state.map_or(Ok(()), |state| state.ensure_root_not_lower(root))?;
        let (listed, notice) = search(store, root, channel, state)?;
        let unnamed = unnamed(root, channel, published.timestamp.as_ref(), state, listed);
        let notices = state.and_then(StateFile::notice).into_iter().chain(notice).collect();
        let baseline = Baseline { published, channel: channel.clone(), unnamed, safeguards, notices };
        if baseline.unnamed.is_none() {
            baseline.record(baseline.published.timestamp.as_ref())?;
        }
        Ok(baseline)
    }

    /// The same baseline, after a step that takes long, if nothing was published meanwhile.
    ///
    /// # Errors
    /// [`Failure::LostRace`] if another publisher published; otherwise as [`Published::read`].
    pub fn again(self, store: &dyn Store, anchor: &[u8]) -> Result<Self> {
        let published = Published::read(store, anchor, &self.channel, self.safeguards.damage)?;
        if published.raw != self.published.raw {
            return Err(Failure::LostRace { object: Object::Version(self.channel) });
        }
        Ok(Baseline { published, ..self })
    }

    /// What the user should know.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// The highest release that is known and not published, if there is one.
    pub fn unnamed(&self) -> Option<&Unnamed> {
        self.unnamed.as_ref()
    }

    /// The path of the state file, if one was given.
    pub fn state_file(&self) -> Option<&Path> {
        self.safeguards.state.as_ref().map(StateFile::path)
    }

    /// The number of the next release: the time, but higher than every number that was used in this
    /// epoch.
    ///
    /// # Errors
    /// [`Failure::Refused`] after the largest one.
    pub fn next_seq(&self) -> Result<Seq> {
        let published = self.published.memory.guard().release().map(|(_, seq)| seq);
        let highest = published.max(self.unnamed.as_ref().map(|unnamed| unnamed.seq));
        let next = highest.map_or(1, |seq| seq.get() + 1).max(now());
        Seq::try_from(next).map_err(|_| {
            let refused = Failure::refused(
                format!("after release {} there is no higher number", next - 1),
                "Raise the epoch with a new root: `signer root renew --raise-epoch`. A new count begins \
                 under it.",
            );
            refused.on(&self.channel)
        })
    }

    /// Refuses to prepare a release although a higher one is known, unless that was abandoned by name.
    ///
    /// # Errors
    /// [`Failure::Refused`], which names it.
    pub(crate) fn ensure_abandoned(&self) -> Result<()> {
        match &self.unnamed {
            Some(unnamed) if self.safeguards.abandoned.contains(&unnamed.manifest) => Ok(()),
            _ => self.ensure_highest(),
        }
    }

    /// As [`Baseline::ensure_abandoned`], but a release of this version may be an earlier run's:
    /// [`Baseline::left_by_same`].
    pub(crate) fn ensure_abandoned_or_same(&self, version: &Version) -> Result<()> {
        match self.left(version) {
            Some(_) => Ok(()),
            None => self.ensure_abandoned(),
        }
    }

    /// The known higher release, if it has this version and another manifest than the published one.
    fn left(&self, version: &Version) -> Option<&Unnamed> {
        let published = self.published.timestamp.as_ref().map(|published| published.manifest);
        self.unnamed.as_ref().filter(|unnamed| {
            unnamed.version == *version
                && Some(unnamed.manifest) != published
                && !self.safeguards.abandoned.contains(&unnamed.manifest)
        })
    }

    /// Refuses to refresh a release although a higher one is known.
    ///
    /// # Errors
    /// [`Failure::Refused`], which names it.
    pub(crate) fn ensure_highest(&self) -> Result<()> {
        match &self.unnamed {
            None => Ok(()),
            Some(unnamed) => Err(unnamed.refusal(&self.channel, self.published.timestamp.as_ref())),
        }
    }

    /// Refuses to publish this `VERSION` unless it is the highest one that is known: either it names
    /// that release, or that release was abandoned by name and is lower.
    ///
    /// # Errors
    /// [`Failure::Refused`], which names it.
    pub(crate) fn ensure_next(&self, version: &Timestamp) -> Result<()> {
        let Some(unnamed) = &self.unnamed else { return Ok(()) };
        let is_higher = if unnamed.manifest == version.manifest {
            version.issued >= unnamed.issued
        } else {
            self.ensure_abandoned()?;
            version.seq > unnamed.seq
        };
        if is_higher {
            return Ok(());
        }
        Err(Failure::refused(
            format!(
                "release {}, issued {}, is not above release {}, issued {}, which is known",
                version.seq,
                Utc(version.issued),
                unnamed.seq,
                Utc(unnamed.issued)
            ),
            "Clients that have seen the other one would refuse it. Prepare the folder again.",
        ))
    }

    /// The known higher release that a run with the same inputs left: it has the same content as
    /// `planned`, but for its number, its times, and how the executables are stored.
    pub(crate) fn left_by_same(
        &self,
        store: &dyn Store,
        planned: &Manifest,
    ) -> Result<Option<SignedManifest>> {
        let Some(unnamed) = self.left(&planned.version) else { return Ok(None) };
        let left = self.read_signed(store, unnamed.manifest)?;
        Ok(left.filter(|left| left.manifest.expires > now() && has_same_content(&left.manifest, planned)))
    }

    /// A manifest in the repository that the root's release keys signed, for this channel.
    pub(crate) fn read_signed(&self, store: &dyn Store, digest: Digest) -> Result<Option<SignedManifest>> {
        let deadline = std::time::Instant::now() + crate::limits::LISTING;
        listing::read_signed(&store.source(), &self.published.root, &self.channel, digest, deadline)
    }

    /// Records in the state file what is published now.
    pub(crate) fn record(&self, version: Option<&Timestamp>) -> Result<()> {
        match &self.safeguards.state {
            Some(state) => state.record(&self.published.root, version),
            None => Ok(()),
        }
    }
}

/// Refuses a `VERSION`, or its absence, if the state file or `listed`, the highest signed manifest in
/// the repository, shows that a higher release is known.
///
/// # Errors
/// [`Failure::Refused`], which names the release.
pub(crate) fn ensure_highest(
    root: &Roots,
    channel: &Name,
    version: Option<&Timestamp>,
    state: Option<&StateFile>,
    listed: Option<SignedManifest>,
) -> Result<()> {
    match unnamed(root, channel, version, state, listed) {
        None => Ok(()),
        Some(unnamed) => Err(unnamed.refusal(channel, version)),
    }
}

/// The highest signed manifest in the repository, and a notice if it cannot be searched.
///
/// # Errors
/// If a manifest cannot be read.
pub(crate) fn search(
    store: &dyn Store,
    root: &Roots,
    channel: &Name,
    state: Option<&StateFile>,
) -> Result<(Option<SignedManifest>, Option<Notice>)> {
    match listing::highest(store, root, channel)? {
        Search::Done(found) => Ok((found.map(|found| *found), None)),
        Search::Impossible(why) => {
            let without = if state.is_some() { "only --state" } else { "without --state, nothing" };
            let place = Printable(store.location());
            let text = format!(
                "the manifests in {place} were not searched, because {why}: {without} detects a VERSION \
                 that was rolled back"
            );
            Ok((None, Some(Notice::new("not-searched", text))))
        }
    }
}

/// The highest release that is known, if `VERSION` does not name it.
fn unnamed(
    root: &Roots,
    channel: &Name,
    version: Option<&Timestamp>,
    state: Option<&StateFile>,
    listed: Option<SignedManifest>,
) -> Option<Unnamed> {
    let is_above = |floor: &&Floor| {
        version.is_none_or(|version| {
            let differs = floor.seq == version.seq && floor.manifest != version.manifest;
            differs || (floor.seq, floor.issued) > (version.seq, version.issued)
        })
    };
    let seen = state.and_then(|state| {
        let floor = state.highest(root, channel).filter(is_above)?;
        Some(Unnamed {
            manifest: floor.manifest,
            version: floor.version.clone(),
            seq: floor.seq,
            issued: floor.issued,
            seen_by: Some(Printable(state.path().display()).to_string()),
        })
    });
    let listed = listed.filter(|listed| {
        version.is_none_or(|version| listed.manifest.seq > version.seq && listed.digest != version.manifest)
    });
    let listed = listed.map(|SignedManifest { digest, manifest, .. }| Unnamed {
        manifest: digest,
        version: manifest.version,
        seq: manifest.seq,
        issued: manifest.issued,
        seen_by: None,
    });
    // Of one release, the state file knows more.
    match (seen, listed) {
        (Some(seen), Some(listed)) if listed.seq > seen.seq => Some(listed),
        (seen, listed) => seen.or(listed),
    }
}

impl Unnamed {
    fn refusal(&self, channel: &Name, version: Option<&Timestamp>) -> Failure {
        let Unnamed { manifest, version: what, seq, issued, seen_by } = self;
        let known = match seen_by {
            Some(path) => format!("{path} has seen release {seq} of {channel} published"),
            None => format!("release {seq} of {channel} is signed and in the repository"),
        };
        let found = match version {
            Some(version) => format!(
                "VERSION names release {} (version {}, issued {})",
                version.seq,
                version.version,
                Utc(version.issued)
            ),
            None => "there is no valid VERSION".into(),
        };
        let cause = match seen_by {
            Some(_) => {
                "An attacker put an old VERSION back or removed it, or the repository was restored from \
                 a backup"
            }
            None => {
                "A publisher ended before it wrote VERSION, or an attacker put an old VERSION back or \
                 removed it"
            }
        };
        let advice: Cow<'static, str> = format!(
            "{cause}: compare with what you published last. To publish that release: `signer refresh \
             --channel {channel} --finish {manifest} --rollout PERCENT`. To go on without it: release a \
             new version with --abandon {manifest}."
        )
        .into();
        let what =
            format!("{known} (version {what}, manifest {manifest}, issued {}), but {found}", Utc(*issued));
        Failure::refused(what, advice)
    }
}

fn has_same_content(left: &Manifest, planned: &Manifest) -> bool {
    let mut planned = planned.clone();
    planned.seq = left.seq;
    planned.root_version = left.root_version;
    (planned.issued, planned.expires) = (left.issued, left.expires);
    for (planned, left) in planned.artifacts.iter_mut().zip(&left.artifacts) {
        planned.stored.clone_from(&left.stored);
    }
    planned == *left
}

/// Refuses to sign while this machine's clock and the store's own differ. The next `seq` is at least
/// the time.
fn ensure_clocks_agree(store: &dyn Store) -> Result<()> {
    let before = now();
    let Some(clock) = store.clock()? else { return Ok(()) };
    let after = now();
    let apart = before.saturating_sub(clock.now).max(clock.now.saturating_sub(after));
    if apart <= CLOCKS_APART {
        return Ok(());
    }
    Err(Failure::refused(
        format!(
            "this machine's clock says {}, and that of {} says {}: they are {apart} s apart, more than \
             {CLOCKS_APART} s",
            Utc(after),
            Printable(store.location()),
            Utc(clock.now)
        ),
        clock.advice,
    ))
}
