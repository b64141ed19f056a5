//! Prepares a release folder: for a new release, or for a refresh of the published one.

use std::fs;
use std::path::Path;

use relatch::source::Fetcher;
use relatch::trust::{Digest, Document, Manifest, Name, Root, Seq, Timestamp, Version};

use super::{Folder, MANIFEST, Plan, ROOT, SIGNATURES, VERSION};
use crate::repository::{Published, now};
use crate::{Failure, Result};

impl Folder {
    /// Hashes and compresses the executables, and writes all documents that must be signed. `path`
    /// must not exist.
    ///
    /// # Errors
    /// [`Failure::Refused`] for a release that every client would refuse.
    pub fn prepare(path: &Path, plan: &Plan, published: &Published, source: &Fetcher) -> Result<Self> {
        let seq = match plan.seq {
            Some(seq) => seq,
            None => published.next_seq().map_err(|why| why.on(&plan.channel))?,
        };
        ensure_publishable(plan, published)?;
        let folder = Folder::create(path)?;
        let filled = folder.fill(plan, published, source, seq);
        if filled.is_err() {
            // Safe: this call created the directory.
            drop(fs::remove_dir_all(path));
        }
        filled.map(|()| folder)
    }

    /// Makes a folder with a new `VERSION` for the published release.
    ///
    /// # Errors
    /// [`Failure::Refused`] if no release is published, or if it does not verify.
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
            timestamp(&published.root, &current.manifest, current.version.manifest, rollout, valid);
        // Clients refuse an older `issued`. A second refresh within one second, or one on a machine
        // with a slower clock, must still be newer.
        version.issued = version.issued.max(current.version.issued + 1);
        folder.write_documents(&published.root, &current.manifest.to_canonical(), &version)?;
        folder.write(SIGNATURES, &current.signatures)?;
        Ok(folder)
    }

    fn create(path: &Path) -> Result<Self> {
        fs::create_dir(path).map_err(Failure::io("create the release folder", path))?;
        let blobs = path.join("blobs");
        fs::create_dir(&blobs).map_err(Failure::io("create", &blobs))?;
        Ok(Folder { path: path.into() })
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
        let version = timestamp(root, &manifest, Digest::of(&bytes), plan.rollout, plan.version_valid);
        self.write_documents(root, &bytes, &version)
    }

    fn write_documents(&self, root: &Root, manifest: &[u8], version: &Timestamp) -> Result<()> {
        self.write(MANIFEST, manifest)?;
        Timestamp::from_canonical(&version.to_canonical())?;
        self.write(VERSION, &version.to_signed())?;
        self.write(ROOT, &root.to_canonical())
    }
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
    let Some(released) = &published.released else { return Ok(()) };
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
