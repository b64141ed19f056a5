//! A release on its way: prepared by one, signed by several, published by another. Nothing in it is secret.
//!
//! ```text
//! manifest.json  manifest.json.minisig   what the release keys sign
//! VERSION                                two lines, and below them what the timestamp keys sign
//! root.json                              the newest root, which says whose signatures are missing
//! blobs/<blake3>                         what is to be uploaded; empty for a refresh
//! ```

mod artifact;

use std::fs;
use std::path::{Path, PathBuf};

use relatch::source::Fetcher;
use relatch::trust::{
    Digest, Document, Manifest, Name, Notes, PublicKey, Refusal, Role, Root, Seq, SignatureText, Timestamp,
    Version, signing_keys,
};
use relatch::{Printable, Utc, limits};

use crate::files::{Staged, lock_dir};
use crate::repository::{Published, now};
use crate::signing::SigningKey;
use crate::{Failure, Result};

/// What a release is to be.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Its version.
    pub version: Version,
    /// The channel.
    pub channel: Name,
    /// Executables by target.
    pub artifacts: Vec<(Name, PathBuf)>,
    /// For people.
    pub notes: Notes,
    /// Passes the rollout.
    pub critical: bool,
    /// The lowest version that may still be installed or come back.
    pub min_version: Option<Version>,
    /// Versions that must not be run.
    pub retracts: Vec<Version>,
    /// How many of 100 installations take it.
    pub rollout: u8,
    /// How long the manifest is valid, in seconds.
    pub valid: u64,
    /// How long `VERSION` is valid, in seconds.
    pub version_valid: u64,
    /// The level of zstd, 1 to 22.
    pub level: i32,
    /// Whether to make patches from the release that is published now.
    pub patches: bool,
    /// Whether targets of the published release may be missing.
    pub drop_targets: bool,
    /// The number of the release, where the published `VERSION` is lost.
    pub seq: Option<Seq>,
}

/// A release folder.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
}

/// Whose signatures one document has.
#[derive(Debug, Clone)]
pub struct Signed {
    /// The role that must sign it.
    pub role: Role,
    /// The keys that have.
    pub by: Vec<PublicKey>,
    /// How many must.
    pub needed: u32,
}

impl Signed {
    /// Whether the threshold is met.
    pub fn is_enough(&self) -> bool {
        self.by.len() >= self.needed as usize
    }
}

const MANIFEST: &str = "manifest.json";
const SIGNATURES: &str = "manifest.json.minisig";
const VERSION: &str = "VERSION";
const ROOT: &str = "root.json";

impl Folder {
    /// A folder that was prepared.
    pub fn open(path: &Path) -> Result<Self> {
        let folder = Folder { path: path.into() };
        if !path.join(VERSION).is_file() {
            return Err(Failure::usage(format!(
                "{} is not a release folder: it has no VERSION",
                Printable(path.display())
            )));
        }
        Ok(folder)
    }

    fn create(path: &Path) -> Result<Self> {
        fs::create_dir(path).map_err(Failure::io("create the release folder", path))?;
        let blobs = path.join("blobs");
        fs::create_dir(&blobs).map_err(Failure::io("create", &blobs))?;
        Ok(Folder { path: path.into() })
    }

    /// Hashes and compresses, and writes everything that is to be signed. `path` must not exist.
    ///
    /// # Errors
    /// [`Failure::Refused`] for what every client would refuse.
    pub fn prepare(path: &Path, plan: &Plan, published: &Published, source: &Fetcher) -> Result<Self> {
        let seq = match plan.seq {
            Some(seq) => seq,
            None => published.next_seq()?,
        };
        refuse_unusable(plan, published)?;
        let folder = Folder::create(path)?;
        let made = folder.fill(plan, published, source, seq);
        if made.is_err() {
            drop(fs::remove_dir_all(path)); // it was made by this call
        }
        made.map(|()| folder)
    }

    fn fill(&self, plan: &Plan, published: &Published, source: &Fetcher, seq: Seq) -> Result<()> {
        let mut artifacts = Vec::new();
        for (target, executable) in &plan.artifacts {
            artifacts.push(self.add_artifact(target, executable, plan, published, source)?);
        }
        artifacts.sort_by(|a, b| a.target.cmp(&b.target));
        let root = &published.root;
        let manifest = Manifest {
            product: root.product.clone(),
            channel: plan.channel.clone(),
            epoch: root.epoch,
            root_version: root.version,
            seq,
            version: plan.version.clone(),
            min_version: plan.min_version.clone(),
            critical: plan.critical,
            retracts: sorted(plan.retracts.clone()),
            issued: now(),
            expires: now() + plan.valid,
            notes: plan.notes.clone(),
            artifacts,
        };
        let bytes = manifest.to_canonical();
        Manifest::from_canonical(&bytes)?;
        self.write_documents(
            root,
            &bytes,
            &pointer(root, &manifest, Digest::of(&bytes), plan.rollout, plan.version_valid),
        )
    }

    /// A folder with a new `VERSION` of the release that is published.
    ///
    /// # Errors
    /// [`Failure::Refused`] where nothing is published.
    pub fn refresh(path: &Path, published: &Published, rollout: Option<u8>, valid: u64) -> Result<Self> {
        let Some(current) = published.current() else {
            let why = match &published.current {
                Err(failure) => format!(
                    "the published release does not verify under root {}: {failure}",
                    published.root.version
                ),
                Ok(_) => "nothing is published on this channel".into(),
            };
            return Err(Failure::refused(why, "Publish a release first: `signer release`."));
        };
        let folder = Folder::create(path)?;
        let rollout = rollout.unwrap_or(current.version.rollout);
        let mut version =
            pointer(&published.root, &current.manifest, current.version.manifest, rollout, valid);
        // Two refreshes within a second, or one by a slower clock: the later one still counts as later.
        version.issued = version.issued.max(current.version.issued + 1);
        folder.write_documents(&published.root, &current.manifest.to_canonical(), &version)?;
        folder.write(SIGNATURES, &current.signatures)?;
        Ok(folder)
    }

    fn write_documents(&self, root: &Root, manifest: &[u8], version: &Timestamp) -> Result<()> {
        self.write(MANIFEST, manifest)?;
        Timestamp::from_canonical(&version.to_canonical())?;
        self.write(VERSION, &version.to_signed())?;
        self.write(ROOT, &root.to_canonical())
    }

    /// Adds the signatures that these keys can give, once each: all of them, or none. They are all made before one is written, and each
    /// file is replaced as a whole; once all are on the disk under other names, only to name them is left.
    ///
    /// A key in KMS takes its time, in which somebody else may sign the same folder: the signatures of both stay.
    ///
    /// # Errors
    /// [`Failure::Refused`] for a key that no role names, and for documents that do not belong together, or have become others meanwhile;
    /// what keys fail with. The folder is as it was.
    pub fn sign(&self, keys: &[&dyn SigningKey]) -> Result<()> {
        for key in keys {
            self.refuse_stranger(*key)?;
        }
        let messages = [self.to_sign(Role::Release)?, self.to_sign(Role::Timestamp)?];
        self.refuse_changed()?;
        crate::verify::check_folder(&self.path, &Manifest::from_canonical(&messages[0].1)?)?;
        let root = self.root()?;
        let mut made = Vec::new();
        for ((document, message), Signed { role, mut by, .. }) in messages.into_iter().zip(self.signed()?) {
            let mut signatures = Vec::new();
            for key in keys {
                let public = key.public();
                if root.keys_of(role).contains(&public) && !by.contains(&public) {
                    signatures.push((public, key.sign(&message, document, now())?));
                    by.push(public);
                }
            }
            made.push((role, message, signatures));
        }
        let _lock = lock_dir(&self.path)?;
        self.refuse_changed()?;
        let mut staged = Vec::new();
        for ((role, message, signatures), signed) in made.into_iter().zip(self.signed()?) {
            if self.to_sign(role)?.1 != message || self.root()? != root {
                return Err(Failure::refused(
                    "the folder became another one while it was signed",
                    "Look at it with `signer show`, and sign again; nothing was signed.",
                ));
            }
            let (name, mut file) = match role {
                Role::Release => (SIGNATURES, self.signatures()?),
                _ => (VERSION, self.read(VERSION, limits::VERSION_FILE)?),
            };
            let before = file.len();
            for (_, signature) in signatures.iter().filter(|(public, _)| !signed.by.contains(public)) {
                file.extend_from_slice(signature.as_bytes());
            }
            if file.len() > before {
                staged.push(Staged::write(&self.path.join(name), &file)?);
            }
        }
        staged.into_iter().try_for_each(Staged::replace)
    }

    /// The document that this role signs, by its name, and what of it is signed.
    fn to_sign(&self, role: Role) -> Result<(&'static str, Vec<u8>)> {
        match role {
            Role::Release => Ok((MANIFEST, self.read(MANIFEST, limits::MANIFEST)?)),
            _ => Ok((VERSION, self.version()?.to_signed())),
        }
    }

    /// Refuses a key that no role of the folder's root names.
    ///
    /// # Errors
    /// [`Failure::Refused`] for such a key.
    fn refuse_stranger(&self, key: &dyn SigningKey) -> Result<()> {
        let (root, public) = (self.root()?, key.public());
        if [Role::Release, Role::Timestamp].iter().any(|role| root.keys_of(*role).contains(&public)) {
            return Ok(());
        }
        Err(Failure::refused(
            format!(
                "the key {} has neither the release nor the timestamp role in root {}",
                public.to_hex(),
                root.version
            ),
            "Use a key that the root names, or add this one to it: `signer root add`. Nothing was signed.",
        ))
    }

    /// What would be refused when it is published is not signed either: documents that do not belong together, are out of their time,
    /// or have signatures of no form; blobs that are others.
    ///
    /// # Errors
    /// [`Failure::Refused`] for such a folder.
    pub fn refuse_changed(&self) -> Result<()> {
        let (root, manifest, version) = (self.root()?, self.manifest()?, self.version()?);
        refuse_mismatch(&root, &manifest, &version)?;
        let advice = "Somebody changed the folder, or it lay too long. Prepare the release again; nothing was signed or published.";
        let mut texts =
            vec![(VERSION, 2, Timestamp::split(&self.read(VERSION, limits::VERSION_FILE)?)?.1.to_vec())];
        if self.path.join(SIGNATURES).exists() {
            texts.push((SIGNATURES, 0, self.read(SIGNATURES, limits::SIGNATURES)?));
        }
        for (name, above, text) in texts {
            if name == VERSION && text.is_empty() {
                continue; // nobody has signed it yet
            }
            if let Err((line, why)) = SignatureText::parse(&text) {
                let path = self.path.join(name);
                return Err(Failure::refused(
                    format!("{}: line {}: {why}", Printable(path.display()), above + line),
                    advice,
                ));
            }
        }
        let times = [
            ("the manifest", manifest.issued, manifest.expires),
            ("VERSION", version.issued, version.expires),
        ];
        for (document, issued, expires) in times {
            if issued > now() + limits::FUTURE {
                return Err(Failure::refused(
                    format!(
                        "{document} of this folder was issued at {}, and here it is {}",
                        Utc(issued),
                        Utc(now())
                    ),
                    "This machine's clock or the one that prepared it is wrong. Set it, and prepare the release again; nothing was signed or published.",
                ));
            }
            if expires <= now() {
                return Err(Failure::refused(
                    format!("{document} of this folder expired at {}", Utc(expires)),
                    advice,
                ));
            }
        }
        // A blob that is not here is in the repository already, as for a refresh; publishing looks there.
        for stored in manifest.artifacts.iter().flat_map(|artifact| &artifact.stored) {
            let blob = self.blob(&stored.blake3);
            if blob.exists() {
                crate::publish::check_file(&blob, stored.blake3)?;
            }
        }
        Ok(())
    }

    /// Who has signed what.
    pub fn signed(&self) -> Result<Vec<Signed>> {
        let root = self.root()?;
        let manifest = self.read(MANIFEST, limits::MANIFEST)?;
        let object = self.read(VERSION, limits::VERSION_FILE)?;
        let (signed, signatures) = Timestamp::split(&object)?;
        let by = |role: Role, message: &[u8], text: &[u8]| -> Signed {
            let by = SignatureText::parse(text)
                .map(|text| signing_keys(&root, role, message, &text))
                .unwrap_or_default();
            Signed { role, by, needed: root.roles.get(role).threshold }
        };
        Ok(vec![by(Role::Release, &manifest, &self.signatures()?), by(Role::Timestamp, signed, signatures)])
    }

    /// The manifest, not verified.
    pub fn manifest(&self) -> Result<Manifest> {
        Ok(Manifest::from_canonical(&self.read(MANIFEST, limits::MANIFEST)?)?)
    }

    /// `VERSION`, not verified.
    pub fn version(&self) -> Result<Timestamp> {
        let object = self.read(VERSION, limits::VERSION_FILE)?;
        match Timestamp::read_unverified(&object) {
            Err(Refusal::VersionLineMismatch { .. }) => Err(Failure::refused(
                "the first line of VERSION is not its version",
                "Prepare the release again.",
            )),
            version => Ok(version?),
        }
    }

    /// The root that the folder was prepared under, for showing; publishing uses the one that follows from the anchor.
    pub fn root(&self) -> Result<Root> {
        let root = Root::from_canonical(&self.read(ROOT, limits::ROOT)?)?;
        root.ensure_strong_keys()?;
        Ok(root)
    }

    /// The manifest's signatures so far; empty for none.
    fn signatures(&self) -> Result<Vec<u8>> {
        if self.path.join(SIGNATURES).exists() {
            self.read(SIGNATURES, limits::SIGNATURES)
        } else {
            Ok(Vec::new())
        }
    }

    /// The bytes to publish: manifest, its signatures, `VERSION`.
    pub fn documents(&self) -> Result<(Vec<u8>, Vec<u8>, Vec<u8>)> {
        let signatures = self.read(SIGNATURES, limits::SIGNATURES)?;
        Ok((self.read(MANIFEST, limits::MANIFEST)?, signatures, self.read(VERSION, limits::VERSION_FILE)?))
    }

    /// Where a blob of this folder lies.
    pub fn blob(&self, digest: &Digest) -> PathBuf {
        self.path.join("blobs").join(digest.to_string())
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn read(&self, name: &str, limit: limits::ByteLimit) -> Result<Vec<u8>> {
        crate::files::read_regular(&self.path.join(name), limit)
    }

    fn write(&self, name: &str, content: &[u8]) -> Result<()> {
        let path = self.path.join(name);
        fs::write(&path, content).map_err(Failure::io("write", &path))
    }
}

fn pointer(root: &Root, manifest: &Manifest, digest: Digest, rollout: u8, valid: u64) -> Timestamp {
    Timestamp {
        product: root.product.clone(),
        channel: manifest.channel.clone(),
        epoch: root.epoch,
        seq: manifest.seq,
        version: manifest.version.clone(),
        manifest: digest,
        rollout,
        issued: now(),
        expires: now() + valid,
    }
}

fn sorted(mut versions: Vec<Version>) -> Vec<Version> {
    versions.sort_by_key(Version::to_string);
    versions.dedup();
    versions
}

/// What clients would refuse or never take, before anything is hashed.
fn refuse_unusable(plan: &Plan, published: &Published) -> Result<()> {
    let refuse = |what: String, advice| Err(Failure::refused(what, advice));
    let mut targets: Vec<_> = plan.artifacts.iter().map(|(target, _)| target).collect();
    targets.sort();
    if let Some((twice, _)) = targets.iter().zip(targets.iter().skip(1)).find(|(a, b)| a == b) {
        return refuse(format!("there are two executables for {twice}"), "Name each target once.");
    }
    if targets.is_empty() {
        return refuse("the release has no executable".into(), "Name one with --artifact TARGET=PATH.");
    }
    let left_behind = published.current().and_then(|current| {
        let has = |target: &Name| targets.contains(&target);
        current.manifest.artifacts.iter().find(|artifact| !has(&artifact.target))
    });
    if let Some(artifact) = left_behind.filter(|_| !plan.drop_targets) {
        return refuse(
            format!("the published release has {} and this one has not", artifact.target),
            "Its users would be left behind. Name its executable with --artifact, or say --drop-targets.",
        );
    }
    let Some(released) = &published.released else { return Ok(()) };
    let Ok(order) = plan.version.compare(released) else {
        let what = format!("{} is published and {} is of the other kind of version", released, plan.version);
        return refuse(
            what,
            "Build numbers and SemVer do not compare; clients would refuse it. Start a new channel for the new kind.",
        );
    };
    if order.is_gt() || plan.retracts.contains(released) {
        return published.refuse_below_min(&plan.version);
    }
    refuse(
        format!("version {} is not higher than {released}, which is published", plan.version),
        "Clients would not take it. Use a higher version, or take the published one back with --retract.",
    )
}

fn refuse_mismatch(root: &Root, manifest: &Manifest, version: &Timestamp) -> Result<()> {
    let belongs = version.manifest == Digest::of(&manifest.to_canonical())
        && (&version.version, version.seq, version.epoch)
            == (&manifest.version, manifest.seq, manifest.epoch)
        && (&version.product, &version.channel) == (&manifest.product, &manifest.channel)
        && (&version.product, version.epoch) == (&root.product, root.epoch);
    if belongs {
        return Ok(());
    }
    Err(Failure::refused(
        "VERSION, manifest.json and root.json of this folder do not belong together",
        "Somebody changed the folder. Prepare the release again; nothing was signed or published.",
    ))
}
