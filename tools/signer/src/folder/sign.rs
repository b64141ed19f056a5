//! Signs the documents of a release folder, after checking them.

use relatch::trust::{
    Digest, Document, Manifest, PublicKey, Role, Root, SignatureText, Timestamp, signing_keys,
};
use relatch::{Printable, Utc, limits};

use super::{Folder, MANIFEST, SIGNATURES, SignatureStatus, VERSION};
use crate::files::{PendingFile, check_file, lock_dir};
use crate::repository::now;
use crate::signing::SigningKey;
use crate::{Failure, Result};

impl Folder {
    /// Adds the signatures that these keys may make, at most one per key and document: either all
    /// of them, or none. All signatures are made before the first one is written. Each file is
    /// replaced as a whole, and only after all of them are durable under temporary names.
    ///
    /// Signing with a KMS key takes time, and another person may sign the same folder meanwhile.
    /// The signatures of both are kept.
    ///
    /// # Errors
    /// [`Failure::Refused`] for a key without a role, and for documents that do not belong together
    /// or that changed during the call; the errors of the keys. The folder is unchanged then.
    pub fn sign(&self, keys: &[&dyn SigningKey]) -> Result<()> {
        for key in keys {
            self.ensure_authorized(*key)?;
        }
        let messages = [self.to_sign(Role::Release)?, self.to_sign(Role::Timestamp)?];
        self.ensure_consistent()?;
        crate::verify::check_folder(&self.path, &Manifest::from_canonical(&messages[0].1)?)?;
        let root = self.root()?;
        let mut made = Vec::new();
        for ((document, message), status) in messages.into_iter().zip(self.signature_status()?) {
            let SignatureStatus { role, mut by, .. } = status;
            let mut signatures: Vec<(PublicKey, String)> = Vec::new();
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
        self.ensure_consistent()?;
        let mut pending = Vec::new();
        for ((role, message, signatures), status) in made.into_iter().zip(self.signature_status()?) {
            if self.to_sign(role)?.1 != message || self.root()? != root {
                return Err(Failure::refused(
                    "the documents of the folder changed during signing",
                    "Inspect the folder with `signer show`, and sign again. Nothing was signed.",
                ));
            }
            let (name, mut file) = match role {
                Role::Release => (SIGNATURES, self.signatures()?),
                _ => (VERSION, self.read(VERSION, limits::VERSION_FILE)?),
            };
            let before = file.len();
            for (_, signature) in signatures.iter().filter(|(public, _)| !status.by.contains(public)) {
                file.extend_from_slice(signature.as_bytes());
            }
            if file.len() > before {
                pending.push(PendingFile::write(&self.path.join(name), &file)?);
            }
        }
        pending.into_iter().try_for_each(PendingFile::replace)
    }

    /// The name of the document that this role signs, and the bytes that are signed.
    fn to_sign(&self, role: Role) -> Result<(&'static str, Vec<u8>)> {
        match role {
            Role::Release => Ok((MANIFEST, self.read(MANIFEST, limits::MANIFEST)?)),
            _ => Ok((VERSION, self.version()?.to_signed())),
        }
    }

    /// Refuses a key without a role.
    ///
    /// # Errors
    /// [`Failure::Refused`] if the folder's root gives the key neither the release nor the
    /// timestamp role.
    fn ensure_authorized(&self, key: &dyn SigningKey) -> Result<()> {
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
            "Use a key that the root names, or add this one to the root: `signer root add`. \
             Nothing was signed.",
        ))
    }

    /// Refuses a folder that must not be signed or published: the documents do not belong together,
    /// are outside of their validity, or have malformed signatures; or a blob was changed.
    ///
    /// # Errors
    /// [`Failure::Refused`] for such a folder; [`Failure::Client`] if it cannot be read.
    pub fn ensure_consistent(&self) -> Result<()> {
        self.ensure_documents_belong_together()?;
        let manifest = self.manifest()?;
        ensure_valid_now(&manifest, &self.version()?)?;
        // A blob that is missing here is in the repository, as for a refresh. Publishing checks it
        // there.
        for stored in manifest.artifacts.iter().flat_map(|artifact| &artifact.stored) {
            let blob = self.blob(&stored.blake3);
            if blob.exists() {
                check_file(&blob, stored.blake3)?;
            }
        }
        Ok(())
    }

    /// Refuses a folder whose root, manifest and `VERSION` do not belong together, or have malformed
    /// signatures.
    ///
    /// # Errors
    /// [`Failure::Refused`] for such a folder; [`Failure::Client`] if it cannot be read.
    pub fn ensure_documents_belong_together(&self) -> Result<()> {
        ensure_documents_match(&self.root()?, &self.manifest()?, &self.version()?)?;
        self.ensure_signatures_parse()
    }

    fn ensure_signatures_parse(&self) -> Result<()> {
        let object = self.read(VERSION, limits::VERSION_FILE)?;
        // The signatures of VERSION begin after its two lines.
        let mut texts = vec![(VERSION, 2, Timestamp::split(&object)?.1.to_vec())];
        if self.path.join(SIGNATURES).exists() {
            texts.push((SIGNATURES, 0, self.read(SIGNATURES, limits::SIGNATURES)?));
        }
        for (name, lines_above, text) in texts {
            if name == VERSION && text.is_empty() {
                continue; // not signed yet
            }
            if let Err((line, why)) = SignatureText::parse(&text) {
                let path = self.path.join(name);
                return Err(Failure::refused(
                    format!("{}: line {}: {why}", Printable(path.display()), lines_above + line),
                    "The file was changed or damaged. Prepare the release again; nothing was \
                     signed or published.",
                ));
            }
        }
        Ok(())
    }

    /// The keys that have signed each document.
    ///
    /// # Errors
    /// If a document cannot be read or is malformed.
    pub fn signature_status(&self) -> Result<Vec<SignatureStatus>> {
        let root = self.root()?;
        let manifest = self.read(MANIFEST, limits::MANIFEST)?;
        let object = self.read(VERSION, limits::VERSION_FILE)?;
        let (signed, signatures) = Timestamp::split(&object)?;
        let status = |role: Role, message: &[u8], text: &[u8]| -> SignatureStatus {
            let by = SignatureText::parse(text)
                .map(|text| signing_keys(&root, role, message, &text))
                .unwrap_or_default();
            SignatureStatus { role, by, needed: root.roles.get(role).threshold }
        };
        Ok(vec![
            status(Role::Release, &manifest, &self.signatures()?),
            status(Role::Timestamp, signed, signatures),
        ])
    }
}

fn ensure_documents_match(root: &Root, manifest: &Manifest, version: &Timestamp) -> Result<()> {
    let compared = [
        (
            "manifest.json",
            "hash",
            version.manifest.to_string(),
            Digest::of(&manifest.to_canonical()).to_string(),
        ),
        ("manifest.json", "version", version.version.to_string(), manifest.version.to_string()),
        ("manifest.json", "seq", version.seq.to_string(), manifest.seq.to_string()),
        ("manifest.json", "epoch", version.epoch.to_string(), manifest.epoch.to_string()),
        ("manifest.json", "product", version.product.to_string(), manifest.product.to_string()),
        ("manifest.json", "channel", version.channel.to_string(), manifest.channel.to_string()),
        ("root.json", "product", version.product.to_string(), root.product.to_string()),
        ("root.json", "epoch", version.epoch.to_string(), root.epoch.to_string()),
    ];
    let Some((file, field, named, found)) = compared.into_iter().find(|(.., named, found)| named != found)
    else {
        return Ok(());
    };
    Err(Failure::refused(
        format!(
            "VERSION and {file} of this folder do not belong together: VERSION names the {field} \
             {named}, but {file} has {found}"
        ),
        "The folder was changed. Prepare the release again; nothing was signed or published.",
    ))
}

fn ensure_valid_now(manifest: &Manifest, version: &Timestamp) -> Result<()> {
    let times =
        [("the manifest", manifest.issued, manifest.expires), ("VERSION", version.issued, version.expires)];
    for (document, issued, expires) in times {
        if issued > now() + limits::FUTURE {
            return Err(Failure::refused(
                format!(
                    "{document} of this folder was issued at {}, but it is now {}",
                    Utc(issued),
                    Utc(now())
                ),
                "The clock of this machine, or of the machine that prepared the folder, is wrong. \
                 Set it, and prepare the release again; nothing was signed or published.",
            ));
        }
        if expires <= now() {
            return Err(Failure::refused(
                format!("{document} of this folder expired at {}; it is now {}", Utc(expires), Utc(now())),
                "The folder is too old, or this machine's clock is wrong. Prepare the release \
                 again; nothing was signed or published.",
            ));
        }
    }
    Ok(())
}
