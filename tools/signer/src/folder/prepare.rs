//! Prepares a release folder: for a new release, or for a refresh of the published one.

use std::fs;
use std::path::Path;

use relatch::Utc;
use relatch::trust::{Digest, Document, Manifest, Name, Root, Seq, Timestamp, Version};

use super::{ExpiredVersion, Folder, MANIFEST, Plan, ROOT, SIGNATURES, VERSION};
use crate::baseline::Baseline;
use crate::repository::{Current, Published, now, strict_times};
use crate::store::Store;
use crate::{Failure, Result};

impl Folder {
    /// Hashes and compresses the executables, and writes all documents that must be signed. `path`
    /// must not exist. If an earlier run with the same inputs ended before it wrote `VERSION`, the
    /// folder finishes that release.
    ///
    /// # Errors
    /// [`Failure::Refused`] for a release that every client would refuse.
    pub fn prepare(path: &Path, plan: &Plan, baseline: &Baseline, store: &dyn Store) -> Result<Self> {
        ensure_publishable(plan, baseline)?;
        baseline.ensure_abandoned_or_same(&plan.version)?;
        let seq = match plan.seq {
            Some(seq) => seq,
            None => baseline.next_seq()?,
        };
        Folder::filled(path, |folder| folder.fill(plan, baseline, store, seq))
    }

    /// Makes a folder with a new `VERSION` for the published release.
    ///
    /// # Errors
    /// [`Failure::Refused`] if no release is published, if it does not verify, or if a higher one is
    /// known; [`Failure::Client`] if its manifest has expired.
    pub fn refresh(
        path: &Path,
        baseline: &Baseline,
        rollout: Option<u8>,
        valid: u64,
        expired: ExpiredVersion,
    ) -> Result<Self> {
        baseline.ensure_highest()?;
        let current = published_release(baseline)?;
        let Timestamp { seq, version, expires, .. } = &*current.version;
        if *expires <= now() && expired == ExpiredVersion::Refused {
            return Err(Failure::refused(
                format!("VERSION names release {seq}, version {version}, and expired on {}", Utc(*expires)),
                "An attacker who controls the bucket may have put an old VERSION back. Compare it with \
                 what you published last. If it is that release, give --revive; otherwise publish a \
                 release.",
            ));
        }
        // A refresh does not renew the manifest.
        let manifest = &current.manifest;
        strict_times().ensure_current(manifest.kind(), manifest.issued, manifest.expires)?;
        let rollout = rollout.unwrap_or(current.version.rollout);
        let digest = current.version.manifest;
        Folder::filled(path, |folder| {
            folder.name(baseline, &current.manifest, digest, &current.signatures, (rollout, valid))
        })
    }

    /// Makes a folder with a `VERSION` for a release whose manifest is signed and in the repository.
    ///
    /// # Errors
    /// [`Failure::Refused`] if there is no such manifest, or if it is not the highest one that is
    /// known.
    pub fn finish(
        path: &Path,
        baseline: &Baseline,
        store: &dyn Store,
        digest: Digest,
        (rollout, valid): (u8, u64),
    ) -> Result<Self> {
        let Some(signed) = baseline.read_signed(store, digest)? else {
            return Err(Failure::refused(
                format!(
                    "the repository has no manifest {digest} that is for this channel and signed under \
                     root {}",
                    baseline.root.version
                ),
                "Check the hash, --channel and --repo. If the manifest is lost, publish the release folder \
                 again, or a new release with --abandon.",
            ));
        };
        Folder::filled(path, |folder| {
            folder.name(baseline, &signed.manifest, digest, &signed.signatures, (rollout, valid))?;
            baseline.ensure_next(&folder.version()?)
        })
    }

    /// Writes the documents for a release whose manifest exists: a new `VERSION`.
    fn name(
        &self,
        baseline: &Baseline,
        manifest: &Manifest,
        digest: Digest,
        signatures: &[u8],
        (rollout, valid): (u8, u64),
    ) -> Result<()> {
        let mut version = timestamp(&baseline.root, manifest, digest, rollout, valid);
        // Clients refuse an older `issued`. A second refresh within one second, or one on a machine
        // with a slower clock, must still be newer.
        let published = baseline.timestamp.as_ref().filter(|published| published.seq == version.seq);
        let known = baseline.unnamed().filter(|unnamed| unnamed.seq == version.seq);
        let seen = published.map(|seen| seen.issued).max(known.map(|seen| seen.issued));
        version.issued = version.issued.max(seen.map_or(0, |issued| issued + 1));
        self.write_documents(&baseline.root, &manifest.to_canonical(), &version)?;
        self.write(SIGNATURES, signatures)
    }

    /// Makes a folder with a new manifest and a new `VERSION` for the published release: the same
    /// version and the same bytes under the next number, valid for longer. If an earlier renewal ended
    /// before it wrote `VERSION`, the folder finishes that one.
    ///
    /// # Errors
    /// [`Failure::Refused`] if no release is published, if it does not verify, or if a higher one is
    /// known; [`Failure::Client`] if its `VERSION` has expired: an attacker can put an old one back.
    pub fn renew(
        path: &Path,
        baseline: &Baseline,
        store: &dyn Store,
        valid: u64,
        version_valid: u64,
    ) -> Result<Self> {
        if baseline.current().is_none() {
            baseline.ensure_abandoned()?;
        }
        let Current { version, manifest, .. } = published_release(baseline)?;
        strict_times().ensure_current(version.kind(), version.issued, version.expires)?;
        let next = Manifest {
            root_version: baseline.root.version,
            seq: baseline.next_seq()?,
            issued: now(),
            expires: now() + valid,
            ..(**manifest).clone()
        };
        baseline.ensure_abandoned_or_same(&next.version)?;
        Folder::filled(path, |folder| {
            folder.write_release(baseline, store, &next, (version.rollout, version_valid))
        })
    }

    /// Makes a folder and fills it. A failure leaves none.
    fn filled(path: &Path, fill: impl FnOnce(&Folder) -> Result<()>) -> Result<Self> {
        let folder = Folder::create(path)?;
        let filled = fill(&folder);
        if filled.is_err() {
            // Safe: this call created the directory.
            drop(fs::remove_dir_all(path));
        }
        filled.map(|()| folder)
    }

    /// Writes the documents for a new manifest, or for the one that an earlier run with the same
    /// inputs left.
    fn write_release(
        &self,
        baseline: &Baseline,
        store: &dyn Store,
        manifest: &Manifest,
        (rollout, version_valid): (u8, u64),
    ) -> Result<()> {
        let bytes = manifest.to_canonical();
        Manifest::from_canonical(&bytes)?;
        if let Some(left) = baseline.left_by_same(store, manifest)? {
            let lives = (rollout, version_valid);
            return self.name(baseline, &left.manifest, left.digest, &left.signatures, lives);
        }
        baseline.ensure_abandoned()?;
        let version = timestamp(&baseline.root, manifest, Digest::of(&bytes), rollout, version_valid);
        self.write_documents(&baseline.root, &bytes, &version)
    }

    fn create(path: &Path) -> Result<Self> {
        fs::create_dir(path).map_err(Failure::io("create the release folder", path))?;
        let blobs = path.join("blobs");
        fs::create_dir(&blobs).map_err(Failure::io("create", &blobs))?;
        Ok(Folder { path: path.into() })
    }

    fn fill(&self, plan: &Plan, baseline: &Baseline, store: &dyn Store, seq: Seq) -> Result<()> {
        let mut artifacts = Vec::new();
        for (target, executable) in &plan.artifacts {
            artifacts.push(self.add_artifact(target, executable, plan, baseline, &store.source())?);
        }
        artifacts.sort_by(|a, b| a.target.cmp(&b.target));
        let root = &baseline.root;
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
        self.write_release(baseline, store, &manifest, (plan.rollout, plan.version_valid))
    }

    fn write_documents(&self, root: &Root, manifest: &[u8], version: &Timestamp) -> Result<()> {
        self.write(MANIFEST, manifest)?;
        Timestamp::from_canonical(&version.to_canonical())?;
        self.write(VERSION, &version.to_signed())?;
        self.write(ROOT, &root.to_canonical())
    }
}

/// The published release, which is to be signed again.
fn published_release(published: &Published) -> Result<&Current> {
    let why = match &published.current {
        Ok(Some(current)) => return Ok(current),
        Ok(None) => "nothing is published on this channel".into(),
        Err(failure) => {
            format!("the published release does not verify under root {}: {failure}", published.root.version)
        }
    };
    Err(Failure::refused(why, "Publish a release first: `signer release`."))
}

fn timestamp(root: &Root, manifest: &Manifest, digest: Digest, rollout: u8, valid: u64) -> Timestamp {
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

/// Refuses a release that clients would refuse or never install, before anything is hashed.
fn ensure_publishable(plan: &Plan, published: &Published) -> Result<()> {
    let refuse = |what: String, advice| Err(Failure::refused(what, advice));
    let mut targets: Vec<_> = plan.artifacts.iter().map(|(target, _)| target).collect();
    targets.sort();
    if let Some((twice, _)) = targets.iter().zip(targets.iter().skip(1)).find(|(a, b)| a == b) {
        return refuse(format!("there are two executables for {twice}"), "Name each target once.");
    }
    if targets.is_empty() {
        return refuse("the release has no executable".into(), "Name one with --artifact TARGET=PATH.");
    }
    let dropped = published.current().and_then(|current| {
        let has = |target: &Name| targets.contains(&target);
        current.manifest.artifacts.iter().find(|artifact| !has(&artifact.target))
    });
    if let Some(artifact) = dropped.filter(|_| !plan.drop_targets) {
        return refuse(
            format!("the published release has {} and this one has not", artifact.target),
            "Users of this target would get no further updates. Name its executable with \
             --artifact, or drop the target with --drop-targets.",
        );
    }
    let Some(released) = published.released() else { return Ok(()) };
    let Ok(order) = plan.version.compare(released) else {
        let what = format!(
            "{} is published, and {} is of the other kind: build numbers and SemVer do not compare",
            released, plan.version
        );
        return refuse(
            what,
            "Clients would refuse this release. Use a version of the same kind, or start a new \
             channel for the new kind.",
        );
    };
    if order.is_gt() || plan.retracts.contains(released) {
        return published.refuse_below_min(&plan.version).map_err(|why| why.on(&plan.channel));
    }
    refuse(
        format!("version {} is not higher than {released}, which is published", plan.version),
        "Clients would not install it. Use a higher version, or retract the published one with \
         --retract.",
    )
}
