//! From a signed hash to a verified file, ready to be named (SPEC steps 9 and 10).
//!
//! Blobs get private names and mode 0600. A decoder sees only bytes whose hash was checked; its
//! output is bounded by the signed size, and its window by 128 MiB. The file that is installed is
//! the file that was hashed: one inode, from the check to the swap.

use std::fs::File;
use std::io::{BufReader, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Instant;

use super::digest::digest_of;
use super::dir::{Entry, OpenDir, is_same_file, set_mode};
use super::directories::Directories;
use super::launch::Program;
use super::{durable, names};
use crate::error::{Error, Local, Result, io};
use crate::escape::Words;
use crate::limits;
use crate::platform;
use crate::source::{Fetcher, Object, Unavailable};

use crate::trust::{Artifact, Digest, Encoding, Refusal, Stored, Version};

/// A file in `.<exe>.relatch/`. It is removed when this is dropped; if the process dies first, the
/// next clean-up removes it.
#[must_use]
#[derive(Debug)]
struct TempFile {
    file: File,
    dir: Rc<OpenDir>,
    name: String,
    path: PathBuf,
    keep: bool,
    /// Open so that no process can change the file, or its name, from the hash to just before the
    /// rename. Unix has no such thing: there inodes are compared.
    #[cfg(windows)]
    guard: Option<File>,
}

impl TempFile {
    fn create(dir: &Rc<OpenDir>) -> Result<Self> {
        let (file, name) = durable::create_new(dir, names::NEW)?;
        let path = dir.path().join(&name);
        Ok(TempFile {
            file,
            dir: dir.clone(),
            name,
            path,
            keep: false,
            #[cfg(windows)]
            guard: None,
        })
    }

    /// Lets the name be changed.
    fn release(&mut self) {
        #[cfg(windows)]
        drop(self.guard.take());
    }

    fn entry(&self) -> Entry<'_> {
        Entry::new(&self.dir, &self.name)
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        self.release();
        if !self.keep {
            durable::remove(self.entry());
        }
    }
}

/// An executable whose bytes were verified after the last write to them, with the descriptor over
/// which they were read.
///
/// It can be swapped in once, and is removed if it is not. It has no `Clone`; only this file makes
/// one.
#[must_use]
#[derive(Debug)]
pub(crate) struct Staged {
    temp: TempFile,
    version: Version,
    blake3: Digest,
}

/// The source of a download, its deadline, and the callback for its progress: bytes so far, and
/// bytes in total.
pub(crate) struct Download<'a> {
    pub(crate) source: &'a Fetcher,
    pub(crate) deadline: Option<Instant>,
    pub(crate) progress: &'a mut dyn FnMut(u64, u64),
}

impl Staged {
    /// Downloads the cheapest stored form that can be used, and verifies the executable in it.
    ///
    /// # Errors
    /// [`Refusal`] if anything differs from what is signed; [`Error::Unavailable`]; [`Local::Io`].
    /// Nothing is left behind.
    pub(crate) fn download(
        directories: &Directories,
        artifact: &Artifact,
        version: &Version,
        from: &mut Download<'_>,
    ) -> Result<Self> {
        let current = read_current(directories, artifact);
        let dir = directories.share_private();
        let mut unavailable = None;
        for (stored, encoding) in usable_forms(artifact, current.as_ref().map(|(digest, _)| *digest)) {
            let prefix = current
                .as_ref()
                .filter(|_| encoding == Encoding::ZstdPatch)
                .map_or(&[][..], |(_, bytes)| bytes);
            match decode(&dir, artifact, stored, encoding, prefix, from) {
                Ok(temp) => return Staged::verify(temp, artifact, stored, version),
                // Another form may exist. A form that exists and is wrong ends the update.
                Err(Error::Unavailable(why)) => unavailable = unavailable.or(Some(why)),
                Err(other) => return Err(other),
            }
        }
        match unavailable {
            Some(why) => Err(why.into()),
            None => {
                let offered: Vec<_> = artifact.stored.iter().map(|stored| stored.encoding.as_str()).collect();
                Err(Refusal::NoUsableForm { offered: offered.join(", ") }.into())
            }
        }
    }

    /// SPEC step 10: fsync, then the hash over a descriptor of the file that will be installed. The
    /// descriptor with which it was written is closed first, because no system runs a file that a
    /// process can still write to.
    fn verify(mut temp: TempFile, artifact: &Artifact, stored: &Stored, version: &Version) -> Result<Self> {
        let path = temp.path.clone();
        durable::sync(&temp.file).map_err(io("synchronise", &path))?;
        let reopened = temp.entry().open().map_err(io("open", &path))?;
        if !is_same_file(&temp.file, &reopened).map_err(io("look at", &path))? {
            return Err(Local::ChangedMeanwhile { path }.into());
        }
        temp.file = reopened;
        #[cfg(windows)]
        {
            let guard = temp.entry().open_guarded().map_err(io("open", &path))?;
            if !is_same_file(&temp.file, &guard).map_err(io("look at", &path))? {
                return Err(Local::ChangedMeanwhile { path }.into());
            }
            temp.guard = Some(guard);
        }
        let object = Object::Blob(stored.blake3);
        let (size, found) = digest_of(&mut temp.file).map_err(io("read", &path))?;
        if size != artifact.size || found != artifact.blake3 {
            if stored.known_encoding() == Some(Encoding::Identity) {
                return Err(Refusal::BlobDigest { object, expected: artifact.blake3, found }.into());
            }
            let why = format!(
                "{size} bytes with the hash {found} came out, {} with {} are signed",
                artifact.size, artifact.blake3
            );
            return Err(Refusal::Undecodable { object, why }.into());
        }
        Ok(Staged { temp, version: version.clone(), blake3: artifact.blake3 })
    }

    /// Lets the user who updates run the file, for the probe. What other users may do is copied
    /// from the old executable after it.
    pub(super) fn make_executable(&self) -> Result<()> {
        set_mode(self.file(), 0o700).map_err(io("make executable", self.path()))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.temp.path
    }

    pub(crate) fn version(&self) -> &Version {
        &self.version
    }

    pub(crate) fn blake3(&self) -> Digest {
        self.blake3
    }

    /// Its name in `.<exe>.relatch/`.
    pub(super) fn name(&self) -> &str {
        &self.temp.name
    }

    /// A swap has the file from now on: the old executable may get its name, and dropping this must
    /// not remove it.
    pub(super) fn keep(&mut self) {
        self.temp.keep = true;
        self.temp.release();
    }

    /// The same for a probe.
    pub(super) fn program(&self) -> Program<'_> {
        Program { entry: self.entry(), file: self.file() }
    }

    /// Just before the file is renamed: no handle keeps others from it any more (Windows).
    pub(super) fn release(&mut self) {
        self.temp.release();
    }

    /// The same file by its name.
    pub(super) fn entry(&self) -> Entry<'_> {
        self.temp.entry()
    }

    /// The descriptor over which the hash was checked.
    pub(super) fn file(&self) -> &File {
        &self.temp.file
    }
}

/// Whether a stored form decodes to the signed executable: for the publisher, by the client's own
/// code. `prefix` is the executable that a patch applies to, or empty; `dir` is a directory for
/// temporary files, and is left as it was.
///
/// # Errors
/// As for an update. A form of an unknown encoding is only compared with its hash.
pub fn check_stored(
    dir: &Path,
    artifact: &Artifact,
    stored: &Stored,
    prefix: &[u8],
    source: &Fetcher,
) -> Result<()> {
    let from = &mut Download { source, deadline: None, progress: &mut |_, _| {} };
    let path = platform::canonicalize(dir).map_err(io("find the directory", dir))?;
    let dir = Rc::new(OpenDir::open(&path).map_err(io("open the directory", &path))?);
    let Some(encoding) = stored.known_encoding() else {
        return download(&dir, stored, from).map(drop);
    };
    let temp = decode(&dir, artifact, stored, encoding, prefix, from)?;
    // The version is a label in messages; none is needed here.
    Staged::verify(temp, artifact, stored, &Version::Build(1)).map(drop)
}

/// The stored forms that this program can use, cheapest first. `current` is the hash of the
/// installed executable, if it can be patched.
fn usable_forms(artifact: &Artifact, current: Option<Digest>) -> Vec<(&Stored, Encoding)> {
    let usable = |stored: &'_ Stored| match (stored.known_encoding(), stored.from) {
        (Some(Encoding::ZstdPatch), from) => from.is_some() && from == current,
        (Some(Encoding::Identity | Encoding::Zstd), from) => from.is_none(),
        (None, _) => false,
    };
    let mut forms: Vec<_> = artifact
        .stored
        .iter()
        .filter(|stored| usable(stored))
        .filter_map(|stored| stored.known_encoding().map(|encoding| (stored, encoding)))
        .collect();
    forms.sort_by_key(|(stored, _)| stored.size);
    forms
}

/// The installed executable with its hash, if there is a patch and both sides are small enough to
/// hold in memory. If it cannot be read, the only cost is a larger download.
fn read_current(directories: &Directories, artifact: &Artifact) -> Option<(Digest, Vec<u8>)> {
    let patched = artifact.stored.iter().any(|stored| stored.known_encoding() == Some(Encoding::ZstdPatch));
    if !patched || artifact.size > limits::PATCH_SIZE {
        return None;
    }
    let file = directories.executable().open().ok()?;
    if file.metadata().ok()?.len() > limits::PATCH_SIZE {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(limits::PATCH_SIZE).read_to_end(&mut bytes).ok()?;
    Some((Digest::of(&bytes), bytes))
}

/// SPEC step 9 for one stored form.
fn decode(
    dir: &Rc<OpenDir>,
    artifact: &Artifact,
    stored: &Stored,
    encoding: Encoding,
    prefix: &[u8],
    from: &mut Download<'_>,
) -> Result<TempFile> {
    let mut blob = download(dir, stored, from)?;
    match encoding {
        Encoding::Identity => return Ok(blob),
        Encoding::Zstd | Encoding::ZstdPatch => {}
    }
    let object = Object::Blob(stored.blake3);
    let undecodable = |error: std::io::Error| Refusal::Undecodable {
        object: object.clone(),
        why: Words(error.to_string()).to_string(),
    };
    blob.file.rewind().map_err(io("read", &blob.path))?;
    let reader = BufReader::new(&blob.file);
    let mut decoder =
        zstd::stream::read::Decoder::with_ref_prefix(reader, prefix).map_err(undecodable)?.single_frame();
    decoder.window_log_max(limits::ZSTD_WINDOW_LOG).map_err(undecodable)?;
    let output = TempFile::create(dir)?;
    let mut buffer = vec![0; 64 * 1024];
    let mut written: u64 = 0;
    loop {
        let count = decoder.read(&mut buffer).map_err(undecodable)?;
        if count == 0 {
            break;
        }
        written += count as u64;
        if written > artifact.size {
            let why = format!("it goes on after the {} bytes that are signed", artifact.size);
            return Err(Refusal::Undecodable { object, why }.into());
        }
        let chunk = buffer.get(..count).unwrap_or_default();
        (&output.file).write_all(chunk).map_err(io("write", &output.path))?;
    }
    let rest = decoder.finish().fill_to_end().map_err(io("read", &blob.path))?;
    if rest {
        return Err(Refusal::Undecodable { object, why: "something follows the zstd frame".into() }.into());
    }
    Ok(output)
}

trait FillToEnd {
    /// Whether anything is left to read.
    fn fill_to_end(self) -> std::io::Result<bool>;
}

impl<R: std::io::BufRead> FillToEnd for R {
    fn fill_to_end(mut self) -> std::io::Result<bool> {
        Ok(!self.fill_buf()?.is_empty())
    }
}

/// A blob of exactly the signed size and hash, under a private name.
fn download(dir: &Rc<OpenDir>, stored: &Stored, from: &mut Download<'_>) -> Result<TempFile> {
    let object = Object::Blob(stored.blake3);
    let blob = TempFile::create(dir)?;
    let mut stream = from.source.stream(&object, from.deadline)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 64 * 1024];
    let mut read: u64 = 0;
    loop {
        let count = match stream.read(&mut buffer) {
            Ok(count) => count,
            // The stream's errors contain the reason.
            Err(error) => match error.downcast::<Unavailable>() {
                Ok(why) => return Err(why.into()),
                Err(error) => return Err(io("read", &blob.path)(error)),
            },
        };
        if count == 0 {
            break;
        }
        read += count as u64;
        if read > stored.size {
            return Err(Refusal::Long { object, expected: stored.size }.into());
        }
        let chunk = buffer.get(..count).unwrap_or_default();
        hasher.update(chunk);
        (&blob.file).write_all(chunk).map_err(io("write", &blob.path))?;
        (from.progress)(read, stored.size);
    }
    if read < stored.size {
        return Err(Refusal::Short { object, expected: stored.size, found: read }.into());
    }
    let found = Digest::from(hasher.finalize());
    if found != stored.blake3 {
        return Err(Refusal::BlobDigest { object, expected: stored.blake3, found }.into());
    }
    Ok(blob)
}
