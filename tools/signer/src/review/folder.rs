//! What a second signer must know of a release folder.

use std::fmt::{self, Display};

use relatch::trust::Role;
use relatch::{Error, Printable};
use serde::Serialize;

use super::changes::{Changes, Compared};
use super::history::unpublished_retracts;
use super::notices::unusual;
use super::release::ReleaseFields;
use crate::folder::{Folder, SignatureStatus};
use crate::notice::Notice;
use crate::repository::{Damage, Published};
use crate::store::Store;
use crate::{Failure, Result};

/// The content of a release folder, whose signatures it has, and what is unusual about it.
#[derive(Debug, Serialize)]
#[serde(tag = "result", rename = "folder")]
pub struct FolderReview {
    /// The folder.
    pub folder: String,
    /// The signed fields.
    pub release: ReleaseFields,
    /// The comparison with what is published.
    pub published: Compared,
    /// What is unusual.
    pub unusual: Vec<Notice>,
    /// The signatures of each document.
    pub signatures: Vec<Signatures>,
}

/// A folder after it was signed. What is signed was shown before; as JSON it is all there.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct SignedFolder(FolderReview);

/// The signatures of one document.
#[derive(Debug, Serialize)]
pub struct Signatures {
    /// `manifest` or `VERSION`.
    pub document: &'static str,
    /// The role whose keys sign it.
    pub role: String,
    /// The public keys that have signed it.
    pub signed_by: Vec<String>,
    /// How many must sign it.
    pub threshold: u32,
    /// How many are missing.
    pub missing: u32,
}

impl FolderReview {
    /// Reads a folder, and compares it with what is published in the repository, if one is given.
    ///
    /// # Errors
    /// [`Failure::Refused`] for documents that do not belong together, or with malformed
    /// signatures; otherwise if the folder or the repository cannot be read.
    pub fn of(folder: &Folder, repository: Option<(&dyn Store, &[u8])>) -> Result<Self> {
        folder.ensure_documents_belong_together()?;
        let (manifest, timestamp) = (folder.manifest()?, folder.version()?);
        let release = ReleaseFields::new(&manifest, &timestamp);
        let (mut published, mut before, mut further) = (Compared::NotCompared, None, Vec::new());
        if let Some((store, anchor)) = repository {
            match Published::read(store, anchor, &manifest.channel, Damage::Refused) {
                Err(why @ (Failure::OnChannel { .. } | Failure::Client(Error::Refused(_)))) => {
                    published = Compared::DoesNotVerify { error: why.to_string() };
                }
                read => {
                    let read = read?;
                    published = compared(&read, &release);
                    further.extend(other_root(folder, &read)?);
                    before = read.current().map(|current| (*current.manifest).clone());
                }
            }
            further.extend(unpublished_retracts(&manifest, store, anchor)?);
        }
        let mut unusual = unusual(&release, before.as_ref());
        unusual.extend(further);
        Ok(FolderReview {
            folder: folder.path().display().to_string(),
            release,
            published,
            unusual,
            signatures: signatures(folder)?,
        })
    }

    /// The same folder with the signatures that it has now. Signing changes nothing else.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn signed(self, folder: &Folder) -> Result<SignedFolder> {
        Ok(SignedFolder(FolderReview { signatures: signatures(folder)?, ..self }))
    }

    fn fmt_signatures(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Signatures { document, role, signed_by, threshold, missing } in &self.signatures {
            write!(f, "  {document}: signed by {} of {threshold} {role} keys", signed_by.len())?;
            signed_by.iter().try_for_each(|key| write!(f, "\n    {key}"))?;
            if *missing > 0 {
                write!(f, "\n    {missing} missing")?;
            }
            f.write_str("\n")?;
        }
        let path = Printable(&self.folder);
        match self.signatures.iter().all(|signatures| signatures.missing == 0) {
            true => write!(f, "next: signer publish {path} --repo REPO --root root.json"),
            false => write!(f, "next: signer sign {path} --key KEY"),
        }
    }
}

fn compared(published: &Published, release: &ReleaseFields) -> Compared {
    match &published.current {
        Err(why) => Compared::DoesNotVerify { error: why.to_string() },
        Ok(None) => Compared::NothingPublished,
        Ok(Some(current)) => {
            Compared::Release(Changes::between(&current.manifest, &current.version, release))
        }
    }
}

/// The folder names the keys that must sign it. Another root than the newest one may name others.
fn other_root(folder: &Folder, published: &Published) -> Result<Option<Notice>> {
    let root = folder.root()?;
    let newest = &published.root;
    let text = format!(
        "root.json of the folder is root {}, and differs from root {}, the newest one in the \
         repository, which decides who must sign",
        root.version, newest.version
    );
    Ok((root != **newest).then(|| Notice::new("other-root", text)))
}

fn signatures(folder: &Folder) -> Result<Vec<Signatures>> {
    Ok(folder.signature_status()?.iter().map(Signatures::of).collect())
}

impl Signatures {
    fn of(status: &SignatureStatus) -> Self {
        let signed_by: Vec<String> = status.by.iter().map(|key| key.to_hex()).collect();
        Signatures {
            document: if status.role == Role::Release { "manifest" } else { "VERSION" },
            role: status.role.to_string(),
            threshold: status.needed,
            missing: status.needed.saturating_sub(u32::try_from(signed_by.len()).unwrap_or(u32::MAX)),
            signed_by,
        }
    }
}

impl Display for FolderReview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let manifest = &self.release.manifest;
        writeln!(
            f,
            "{} {} as release {} on {}\n{}\n{}",
            manifest.product, manifest.version, manifest.seq, manifest.channel, self.release, self.published
        )?;
        match self.unusual.is_empty() {
            true => f.write_str("  nothing unusual\n")?,
            false => f.write_str("  unusual\n")?,
        }
        self.unusual.iter().try_for_each(|notice| writeln!(f, "    {notice}"))?;
        self.fmt_signatures(f)
    }
}

impl Display for SignedFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt_signatures(f)
    }
}
