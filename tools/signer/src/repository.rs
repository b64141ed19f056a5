//! Reads what is published, with the client's own code: [`Roots::next`] and a [`Check`].

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use relatch::check::{Answer, Check, Memory, Purpose, Release, Want, Wanted};
use relatch::source::{Fetcher, Object};
use relatch::trust::{
    DocumentKind, Fetched, Identity, Leniency, Manifest, Name, Refusal, Roots, Times, Timestamp, TrustAnchor,
    Verified, Version,
};
use relatch::{Error, Unavailable, limits};

use crate::store::Store;
use crate::{Failure, Result};

/// The time limit for reading one document. It is longer than at a client's start.
const READ_LIMIT: Duration = Duration::from_secs(60);

/// The system clock in Unix seconds.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The clocks for a document that must be valid now.
pub fn strict_times() -> Times {
    Times::new(now(), &[])
}

/// For reading a document that is to be replaced and may have expired.
fn leniency() -> Option<Leniency> {
    Some(Leniency::of_a_publisher())
}

/// Reads one small object.
///
/// # Errors
/// As for a client.
pub fn fetch(source: &Fetcher, object: &Object, limit: limits::ByteLimit) -> Result<Fetched> {
    Ok(source.fetch(object, limit, Instant::now() + READ_LIMIT)?)
}

/// The chain of roots from `anchor`, which is the first, to the newest. Any of them may have
/// expired.
///
/// # Errors
/// As for a client that reads the chain; [`Failure::Refused`] for a repository whose chain begins
/// with another anchor.
pub fn root_chain(source: &Fetcher, anchor: &[u8]) -> Result<Vec<Roots>> {
    refuse_other_anchor(source, anchor)?;
    let first = Roots::from(TrustAnchor::new(anchor)?);
    let after = roots_after(source, &first)?;
    Ok(std::iter::once(first).chain(after).collect())
}

/// The roots of the chain after this one, the newest last (SPEC step 3). Any of them may have
/// expired.
///
/// # Errors
/// As for a client that reads the chain.
pub(crate) fn roots_after(source: &Fetcher, root: &Roots) -> Result<Vec<Roots>> {
    let mut chain: Vec<Roots> = Vec::new();
    loop {
        let last = chain.last().unwrap_or(root);
        let number = last.version + 1;
        let document = match fetch(source, &Object::Root(number), limits::ROOT) {
            Err(Failure::Client(Error::Unavailable(why))) if why.may_be_absent() => return Ok(chain),
            document => document?,
        };
        if chain.len() == limits::PUBLISHED_ROOTS {
            let (limit, trusted) = (limits::PUBLISHED_ROOTS, last.version);
            return Err(Refusal::TooManyRoots { limit, trusted }.into());
        }
        let signatures = fetch(source, &Object::RootSignatures(number), limits::SIGNATURES)?;
        let next = last.next(&document, &signatures, &strict_times())?;
        chain.push(next);
    }
}

/// The newest root of the chain from `anchor`, which must not have expired.
///
/// # Errors
/// As for a client that reads the chain; as [`root_chain`].
pub fn newest_root(source: &Fetcher, anchor: &[u8]) -> Result<Roots> {
    split_newest(root_chain(source, anchor)?).map(|(newest, _)| newest)
}

/// The newest root, which must not have expired, and the others.
fn split_newest(mut chain: Vec<Roots>) -> Result<(Roots, Vec<Roots>)> {
    let newest = chain.pop().ok_or_else(|| Failure::usage("the chain of roots is empty"))?;
    let _ = newest.last(&strict_times())?;
    Ok((newest, chain))
}

/// Refuses a repository whose chain of roots begins with another anchor. `root/` belongs to one
/// product (SPEC section 2): a root of another product in its chain would end the product's
/// updates.
///
/// # Errors
/// [`Failure::Refused`] for such a repository. A repository without this root is not refused.
fn refuse_other_anchor(source: &Fetcher, anchor: &[u8]) -> Result<()> {
    let number = TrustAnchor::new(anchor)?.version;
    match fetch(source, &Object::Root(number), limits::ROOT) {
        Ok(there) if there.bytes() == TrustAnchor::document_of(anchor) => Ok(()),
        Ok(_) => Err(Failure::refused(
            format!("root {number} in the repository differs from the one given with --root"),
            "The repository belongs to another product, --root is another root, or an attacker \
             changed the repository. Each product needs a place of its own.",
        )),
        Err(Failure::Client(Error::Unavailable(why))) if why.may_be_absent() => Ok(()),
        Err(failure) => Err(failure),
    }
}

/// A published release.
pub struct Current {
    /// `VERSION`.
    pub version: Verified<Timestamp>,
    /// The manifest.
    pub manifest: Verified<Manifest>,
    /// The signatures of the manifest.
    pub signatures: Vec<u8>,
}

impl Current {
    fn of(Release { timestamp, manifest, signatures, .. }: Release) -> Result<Self> {
        match manifest {
            Some(manifest) => Ok(Current { version: timestamp, manifest, signatures }),
            None => Err(Failure::usage("the manifest of the release was not read")),
        }
    }
}

/// The published state, which a publisher must know before the next release.
pub struct Published {
    /// The newest root.
    pub root: Roots,
    /// The memory of a client that has accepted the published `VERSION`; empty if there is none in
    /// this epoch.
    pub memory: Memory,
    /// The published `VERSION`; `None` if there is none in this epoch.
    pub timestamp: Option<Timestamp>,
    /// The release. An error if it does not verify under this root although its `VERSION` does, for
    /// example because the root removed its release keys.
    pub current: Result<Option<Current>>,
    /// The bytes of `VERSION`, for the compare-and-swap.
    pub raw: Option<Vec<u8>>,
}

/// Whether a publisher may replace a `VERSION` that does not verify.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Damage {
    /// It must not.
    #[default]
    Refused,
    /// It may, for example after an attacker damaged it. The caller must then know the next `seq`.
    Repaired,
}

impl Published {
    /// Reads and verifies what is published on a channel.
    ///
    /// # Errors
    /// As for a client, but `VERSION` and the manifest may have expired.
    pub fn read(store: &dyn Store, anchor: &[u8], channel: &Name, damage: Damage) -> Result<Self> {
        let source = store.source();
        let (root, older) = split_newest(root_chain(&source, anchor)?)?;
        let raw = store.read(&Object::Version(channel.clone()))?;
        let (memory, timestamp) = (Memory::new(channel.clone()), None);
        let nothing = |root, raw| Published { root, memory, timestamp, current: Ok(None), raw };
        let Some(object) = &raw else { return Ok(nothing(root, raw)) };
        let (version, current) = read(&source, &root, channel, object, leniency());
        let version = match version {
            Ok(version) => version,
            Err(_) if damage == Damage::Repaired || is_of_older_epoch(&older, &root, channel, object) => {
                return Ok(nothing(root, raw));
            }
            Err(failure) => return Err(failure.on(channel)),
        };
        let current = match current {
            // The repository has lost the root under which the manifest was signed. Clients that
            // have that root refuse what is signed under the older one.
            Err(ahead @ Failure::Client(Error::Refused(Refusal::RootAhead { .. }))) => {
                return Err(ahead.on(channel));
            }
            current => current.map(Some),
        };
        let (memory, timestamp) = (version.memory, Some(version.timestamp));
        Ok(Published { root, memory, timestamp, current, raw })
    }

    /// The published version.
    pub fn released(&self) -> Option<&Version> {
        self.timestamp.as_ref().map(|timestamp| &timestamp.version)
    }

    /// The published release, if there is one and it verifies.
    pub fn current(&self) -> Option<&Current> {
        self.current.as_ref().ok().and_then(Option::as_ref)
    }

    /// Refuses a version below the `min_version` of the published release: clients that accepted
    /// that release refuse it (SPEC step 8d).
    ///
    /// # Errors
    /// [`Failure::Refused`] for such a version.
    pub(crate) fn refuse_below_min(&self, version: &Version) -> Result<()> {
        let min = self.current().and_then(|current| current.manifest.min_version.as_ref());
        match min.filter(|min| version.compare(min).is_ok_and(std::cmp::Ordering::is_lt)) {
            None => Ok(()),
            Some(min) => Err(Failure::refused(
                format!(
                    "version {version} is below {min}, the lowest version that the published \
                     release allows"
                ),
                "Clients would refuse it. Release the executables under a higher version, or \
                 remove the limit with a root of a higher epoch: `signer root renew --raise-epoch`.",
            )),
        }
    }
}

/// Whether a threshold of the timestamp keys of an older epoch signed this `VERSION`. A new epoch
/// begins its own count; what the old one signed is not valid under it.
fn is_of_older_epoch(older: &[Roots], newest: &Roots, channel: &Name, object: &[u8]) -> bool {
    let Ok((signed, signatures)) = Timestamp::split(object) else { return false };
    let (signed, signatures) = (Fetched::new(signed.to_vec()), Fetched::new(signatures.to_vec()));
    older.iter().filter(|root| root.epoch < newest.epoch).any(|root| {
        root.ensure_threshold(DocumentKind::Timestamp, &signed, &signatures).is_ok()
            && Timestamp::read_unverified(object).is_ok_and(|version| {
                version.epoch == root.epoch && version.product == root.product && version.channel == *channel
            })
    })
}

/// A `VERSION` that verified, before its manifest was read.
pub(crate) struct ReadVersion {
    /// The document.
    pub(crate) timestamp: Timestamp,
    /// The memory of a client that has accepted it.
    pub(crate) memory: Memory,
}

/// Verifies the bytes of a `VERSION`, and the release that it names except for the blobs, as a new
/// client does. Both must be valid now.
///
/// # Errors
/// As for a client.
pub(crate) fn read_release(source: &Fetcher, root: &Roots, channel: &Name, raw: &[u8]) -> Result<Current> {
    match read(source, root, channel, raw, None) {
        (Ok(_), current) => current,
        (Err(failure), _) => Err(failure),
    }
}

/// Verifies the bytes of a `VERSION` that may have expired.
///
/// # Errors
/// As for a client.
pub(crate) fn read_version(root: &Roots, channel: &Name, raw: &[u8]) -> Result<ReadVersion> {
    let mut check = begin(root, channel, Memory::new(channel.clone()), leniency());
    supply_version(&mut check, raw);
    match check.timestamp() {
        Some(version) => Ok(ReadVersion::of(root, version)),
        None => Err(failure_of(check)),
    }
}

/// Verifies documents that are not published yet, as a client with this memory does. They must be
/// valid now.
///
/// # Errors
/// As for a client.
pub(crate) fn read_documents(
    root: &Roots,
    channel: &Name,
    memory: Memory,
    (manifest, signatures, version): (&[u8], &[u8], &[u8]),
) -> Result<Current> {
    let mut check = begin(root, channel, memory, None);
    supply_version(&mut check, version);
    for bytes in [manifest, signatures] {
        check.supply(found(bytes), now());
    }
    Current::of(check.into_release()?)
}

fn read(
    source: &Fetcher,
    root: &Roots,
    channel: &Name,
    raw: &[u8],
    leniency: Option<Leniency>,
) -> (Result<ReadVersion>, Result<Current>) {
    let mut check = begin(root, channel, Memory::new(channel.clone()), leniency);
    supply_version(&mut check, raw);
    let Some(read) = check.timestamp().map(|version| ReadVersion::of(root, version)) else {
        return (Err(failure_of(check)), Err(Failure::usage("there is no VERSION")));
    };
    while let Want::Object(wanted) = check.want() {
        match answer(source, &wanted) {
            Ok(answer) => drop(check.supply(answer, now())),
            Err(failure) => return (Ok(read), Err(failure)),
        }
    }
    (Ok(read), check.into_release().map_err(Failure::from).and_then(Current::of))
}

impl ReadVersion {
    fn of(root: &Roots, version: &Verified<Timestamp>) -> Self {
        ReadVersion { timestamp: (**version).clone(), memory: Memory::of_published(root, version) }
    }
}

fn begin<'a>(root: &'a Roots, channel: &Name, memory: Memory, leniency: Option<Leniency>) -> Check<'a> {
    let identity = Identity { product: root.product.clone(), channel: channel.clone() };
    Check::new(root, None, identity, "", memory, Purpose::Publisher(leniency), now())
}

/// Answers the check that there is no newer root, and then with these bytes of `VERSION`.
fn supply_version(check: &mut Check<'_>, raw: &[u8]) {
    if let Want::Object(Wanted { object: object @ Object::Root(_), .. }) = check.want() {
        let location = String::new();
        check.supply(Answer::Absent(Unavailable::Absent { location, object }), now());
    }
    check.supply(found(raw), now());
}

fn found(bytes: &[u8]) -> Answer {
    Answer::Found(Fetched::new(bytes.to_vec()), None)
}

fn answer(source: &Fetcher, wanted: &Wanted) -> Result<Answer> {
    Ok(source.answer(wanted, Instant::now() + READ_LIMIT)?)
}

/// The error with which a check ended early.
fn failure_of(check: Check<'_>) -> Failure {
    match check.into_release() {
        Err(error) => error.into(),
        Ok(_) => Failure::usage("the check is complete"),
    }
}
