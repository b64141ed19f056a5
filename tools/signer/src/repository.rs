//! What is published now, read by the client's own code.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use relatch::source::{Fetcher, Object};
use relatch::trust::{
    Document, Epoch, Fetched, Identity, Manifest, Name, RollbackGuard, Root, Seq, Times, Timestamp, Verified,
    Version,
};
use relatch::{Error, Refusal, Unavailable, limits};

use crate::store::Store;
use crate::{Failure, Result};

/// How long one document may take; a publisher is more patient than a start.
const PATIENCE: Duration = Duration::from_secs(60);

/// Now, in Unix seconds.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Clocks for what must be valid today.
pub fn strict_times() -> Times {
    Times { system: now(), now: now() }
}

/// Clocks for reading what is to be replaced, which may well have expired.
pub(crate) fn lenient_times() -> Times {
    Times { system: now(), now: 0 }
}

/// Reads one small object.
///
/// # Errors
/// As for a client.
pub fn fetch(source: &Fetcher, object: &Object, limit: limits::ByteLimit) -> Result<Fetched> {
    Ok(source.fetch(object, limit, Instant::now() + PATIENCE)?)
}

/// All roots that follow from `anchor`, the newest last.
///
/// # Errors
/// As for a client that walks the chain.
pub fn root_chain(source: &Fetcher, anchor: &[u8]) -> Result<Vec<Verified<Root>>> {
    let first = Verified::<Root>::anchor(anchor)?;
    let after = roots_after(source, &first)?;
    Ok(std::iter::once(first).chain(after).collect())
}

/// All roots that follow from this one, the newest last.
///
/// # Errors
/// As for a client that walks the chain.
pub(crate) fn roots_after(source: &Fetcher, root: &Verified<Root>) -> Result<Vec<Verified<Root>>> {
    let mut chain: Vec<Verified<Root>> = Vec::new();
    loop {
        let last = chain.last().unwrap_or(root);
        let next = last.version + 1;
        let document = match fetch(source, &Object::Root(next), limits::ROOT) {
            Err(Failure::Client(Error::Unavailable(
                Unavailable::Absent { .. } | Unavailable::Forbidden { .. },
            ))) => return Ok(chain),
            document => document?,
        };
        let signatures = fetch(source, &Object::RootSignatures(next), limits::SIGNATURES)?;
        let newer = last.next(&document, &signatures)?;
        chain.push(newer);
    }
}

/// The newest root that follows from `anchor`.
///
/// # Errors
/// As for a client that walks the chain.
pub fn newest_root(source: &Fetcher, anchor: &[u8]) -> Result<Verified<Root>> {
    let newest = root_chain(source, anchor)?.pop();
    newest.ok_or_else(|| Failure::usage("the chain of roots is empty"))
}

/// Refuses a repository whose roots begin elsewhere: `root/` belongs to one product (SPEC section 2), and a chain that goes on with
/// another's would end its updates.
///
/// # Errors
/// [`Failure::Refused`] for such a repository; one without this root is none.
pub(crate) fn refuse_other_anchor(source: &Fetcher, anchor: &[u8]) -> Result<()> {
    let number = Verified::<Root>::anchor(anchor)?.version;
    match fetch(source, &Object::Root(number), limits::ROOT) {
        Ok(there) if there.bytes() == anchor => Ok(()),
        Ok(_) => Err(Failure::refused(
            format!("root {number} in the repository differs from the one given with --root"),
            "It is another product's repository, or --root is another one, or somebody changed it. Each product needs a place of its own.",
        )),
        Err(Failure::Client(Error::Unavailable(
            Unavailable::Absent { .. } | Unavailable::Forbidden { .. },
        ))) => Ok(()),
        Err(failure) => Err(failure),
    }
}

/// A release that is published.
pub struct Current {
    /// `VERSION`.
    pub version: Verified<Timestamp>,
    /// Its manifest.
    pub manifest: Verified<Manifest>,
    /// The signatures of the manifest.
    pub signatures: Vec<u8>,
}

/// What a publisher has to know before it makes the next release.
pub struct Published {
    /// The newest root.
    pub root: Verified<Root>,
    /// What clients have seen, by the `VERSION` of this epoch; all zero where there is none.
    pub floors: RollbackGuard,
    /// The version that is released.
    pub released: Option<Version>,
    /// The release itself; or why it does not verify under this root, though its `VERSION` does: its keys were taken away.
    pub current: Result<Option<Current>>,
    /// The bytes of `VERSION` as they were read, for the compare-and-swap.
    pub raw: Option<Vec<u8>>,
}

impl Published {
    /// Reads and verifies what is published on a channel. `repair` goes on where `VERSION` does not verify any more, as after somebody
    /// destroyed it; the caller must then know the next `seq`.
    ///
    /// # Errors
    /// As for a client, but for expiry.
    pub fn read(store: &dyn Store, anchor: &[u8], channel: &Name, repair: bool) -> Result<Self> {
        let source = store.source();
        refuse_other_anchor(&source, anchor)?;
        let root = newest_root(&source, anchor)?;
        let raw = store.read(&Object::Version(channel.clone()))?;
        let nothing = |root, raw| Published {
            root,
            floors: RollbackGuard::default(),
            released: None,
            current: Ok(None),
            raw,
        };
        let Some(object) = &raw else { return Ok(nothing(root, raw)) };
        // A new epoch begins its own count; what the old one signed is not valid under it.
        if peek_epoch(object).is_some_and(|epoch| epoch < root.epoch) {
            return Ok(nothing(root, raw));
        }
        let version = match read_version(&root, channel, object, &lenient_times()) {
            Ok(version) => version,
            Err(_) if repair => return Ok(nothing(root, raw)),
            Err(failure) => return Err(failure),
        };
        let floors = RollbackGuard {
            epoch: version.epoch.get(),
            seq: version.seq.get(),
            issued: version.issued,
            manifest: Some(version.manifest),
        };
        let released = Some(version.version.clone());
        let current = match read_manifest(&source, &root, version, &lenient_times()) {
            // It was made under a root that is not there any more. Clients that have that one would refuse what the older one allows.
            Err(ahead @ Failure::Client(Error::Refused(Refusal::RootAhead { .. }))) => return Err(ahead),
            current => current.map(Some),
        };
        Ok(Published { root, floors, released, current, raw })
    }

    /// Reads it again, after what took long.
    ///
    /// # Errors
    /// [`Failure::LostRace`] where somebody published meanwhile; else as [`Published::read`].
    pub fn again(&self, store: &dyn Store, anchor: &[u8], channel: &Name, repair: bool) -> Result<Self> {
        let now = Published::read(store, anchor, channel, repair)?;
        if now.raw == self.raw {
            return Ok(now);
        }
        Err(Failure::LostRace { object: Object::Version(channel.clone()) })
    }

    /// The release that is published and verifies, if there is one.
    pub fn current(&self) -> Option<&Current> {
        self.current.as_ref().ok().and_then(Option::as_ref)
    }

    /// Refuses a version that whoever has seen the published release must not install any more (SPEC step 8d).
    ///
    /// # Errors
    /// [`Failure::Refused`] for such a version.
    pub(crate) fn refuse_below_min(&self, version: &Version) -> Result<()> {
        let min = self.current().and_then(|current| current.manifest.min_version.as_ref());
        match min.filter(|min| version.compare(min).is_ok_and(std::cmp::Ordering::is_lt)) {
            None => Ok(()),
            Some(min) => Err(Failure::refused(
                format!(
                    "version {version} is below {min}, the lowest version that may be installed since the published release"
                ),
                "Clients would refuse it. Release what is good under a higher version; or end that limit with a root of a higher epoch: \
                 `signer root renew --raise-epoch`.",
            )),
        }
    }

    /// The number of the next release.
    ///
    /// # Errors
    /// [`Failure::Refused`] past the largest one.
    pub fn next_seq(&self) -> Result<Seq> {
        Seq::try_from(self.floors.seq + 1).map_err(|_| {
            Failure::refused(
                "the sequence number cannot grow any more",
                "Raise the epoch with a new root: `signer root renew --raise-epoch`.",
            )
        })
    }
}

/// The epoch that an object claims, unverified: it only decides whether a count begins anew under a root of a higher one.
fn peek_epoch(object: &[u8]) -> Option<Epoch> {
    let (signed, _) = Timestamp::split(object).ok()?;
    let line = signed.split(|byte| *byte == b'\n').nth(1)?;
    Timestamp::from_canonical(line).ok().map(|version| version.epoch)
}

/// Verifies the release that the bytes of a `VERSION` name, with everything but its blobs.
///
/// # Errors
/// As for a client that has seen nothing yet.
pub fn read_release(
    source: &Fetcher,
    root: &Verified<Root>,
    channel: &Name,
    raw: &[u8],
    times: &Times,
) -> Result<Current> {
    read_manifest(source, root, read_version(root, channel, raw, times)?, times)
}

fn identity(root: &Root, channel: &Name) -> Identity {
    Identity { product: root.product.clone(), channel: channel.clone() }
}

pub(crate) fn read_version(
    root: &Verified<Root>,
    channel: &Name,
    raw: &[u8],
    times: &Times,
) -> Result<Verified<Timestamp>> {
    if raw.len() as u64 > limits::VERSION_FILE.0 {
        let object = Object::Version(channel.clone());
        return Err(Refusal::Oversized { object, limit: limits::VERSION_FILE.0 }.into());
    }
    let (raw, identity) = (Fetched::new(raw.to_vec()), identity(root, channel));
    Ok(Verified::<Timestamp>::check(&raw, root, &identity, &RollbackGuard::default(), times)?)
}

fn read_manifest(
    source: &Fetcher,
    root: &Verified<Root>,
    version: Verified<Timestamp>,
    times: &Times,
) -> Result<Current> {
    let identity = identity(root, &version.channel);
    let document = fetch(source, &Object::Manifest(version.manifest), limits::MANIFEST)?;
    let signatures = fetch(source, &Object::ManifestSignatures(version.manifest), limits::SIGNATURES)?;
    let manifest = Verified::<Manifest>::check(&document, &signatures, &version, root, &identity, times)?;
    Ok(Current { version, manifest, signatures: signatures.bytes().to_vec() })
}
