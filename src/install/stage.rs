//! From a signed hash to a verified file, ready to be named (SPEC steps 9 and 10).
//!
//! Blobs land under private names with mode 0600. A decoder only ever sees bytes whose hash was checked, its output is bounded by the
//! signed size and its window by 128 MiB. What is installed is what was hashed: one inode, from the check to the swap.

use std::fs::{self, File};
use std::io::{BufReader, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{Installation, Installed, Lock, State, durable};
use crate::error::{Error, Local, Result, io};
use crate::escape::Words;
use crate::limits;
use crate::source::{Fetcher, Object, Unavailable};
use crate::trust::Refusal;
use crate::trust::{Artifact, Digest, Encoding, Epoch, Stored, Version};

const PREFIX: &str = "new";

/// A file in the site's private directory. It is removed when this is dropped.
#[must_use]
#[derive(Debug)]
struct TempFile {
    file: File,
    path: PathBuf,
    keep: bool,
}

impl TempFile {
    fn create(dir: &Path) -> Result<Self> {
        let (file, path) = durable::create_new(dir, PREFIX)?;
        Ok(TempFile { file, path, keep: false })
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if !self.keep {
            durable::remove(&self.path);
        }
    }
}

/// An executable whose bytes were verified after the last write to them, with the descriptor over which that was done.
///
/// It can be swapped in, once, and is removed if it is not. It has no `Clone`, and is made here alone.
#[must_use]
#[derive(Debug)]
pub(crate) struct Staged {
    scratch: TempFile,
    version: Version,
    blake3: Digest,
}

/// Where a download comes from, when it is given up, and who is told how far it is: bytes so far, bytes in all.
pub(crate) struct Download<'a> {
    pub(crate) source: &'a Fetcher,
    pub(crate) deadline: Option<Instant>,
    pub(crate) progress: &'a mut dyn FnMut(u64, u64),
}

impl Staged {
    /// Downloads the cheapest stored form that can be used, and verifies what comes out of it.
    ///
    /// # Errors
    /// [`Refusal`] where anything differs from what is signed; [`Error::Unavailable`]; [`Local::Io`]. Nothing is left behind.
    pub(crate) fn download(
        site: &Installation,
        artifact: &Artifact,
        version: &Version,
        from: &mut Download<'_>,
    ) -> Result<Self> {
        let current = read_current(site, artifact);
        let mut unavailable = None;
        for (stored, encoding) in usable_forms(artifact, current.as_ref().map(|(digest, _)| *digest)) {
            let prefix = current
                .as_ref()
                .filter(|_| encoding == Encoding::ZstdPatch)
                .map_or(&[][..], |(_, bytes)| bytes);
            match decode(site.dir(), artifact, stored, encoding, prefix, from) {
                Ok(scratch) => return Staged::verify(scratch, artifact, stored, version),
                // Another form may be there. What was there and was wrong is never passed over in silence.
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

    /// SPEC step 10: fsync, then the hash over the descriptor of the file that will be installed. The descriptor with which it was
    /// written is closed before, because no system runs a file that somebody may still write to.
    fn verify(
        mut scratch: TempFile,
        artifact: &Artifact,
        stored: &Stored,
        version: &Version,
    ) -> Result<Self> {
        let path = scratch.path.clone();
        durable::sync(&scratch.file).map_err(io("synchronise", &path))?;
        let reopened = File::open(&path).map_err(io("open", &path))?;
        if !is_same_file(&scratch.file, &reopened).map_err(io("look at", &path))? {
            return Err(Local::ChangedMeanwhile { path }.into());
        }
        scratch.file = reopened;
        let object = Object::Blob(stored.blake3);
        let (size, found) = digest_of(&mut scratch.file).map_err(io("read", &path))?;
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
        Ok(Staged { scratch, version: version.clone(), blake3: artifact.blake3 })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.scratch.path
    }

    pub(crate) fn version(&self) -> &Version {
        &self.version
    }

    pub(crate) fn blake3(&self) -> Digest {
        self.blake3
    }

    /// Hands the file over to a swap, by its name in the site's directory: from now on the old executable may come to lie there.
    pub(super) fn into_name(mut self) -> String {
        self.scratch.keep = true;
        self.scratch.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The descriptor over which the hash was checked.
    pub(super) fn file(&self) -> &File {
        &self.scratch.file
    }
}

/// Whether a stored form gives the signed executable: for the publisher, by the client's own code. `prefix` is the executable that a patch
/// needs, else empty; `dir` is a directory for scratch files, and is left as it was.
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
    let Some(encoding) = stored.known_encoding() else {
        return download(dir, stored, from).map(drop);
    };
    let scratch = decode(dir, artifact, stored, encoding, prefix, from)?;
    // The version is a label in messages; none is needed here.
    Staged::verify(scratch, artifact, stored, &Version::Build(1)).map(drop)
}

/// The stored forms that this program can use here, cheapest first. `current` is the executable that is installed, if it can be patched.
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

/// The installed executable with its hash, if there is a patch and both sides are small enough to hold in memory. Not being able to read
/// it only costs a larger download.
fn read_current(site: &Installation, artifact: &Artifact) -> Option<(Digest, Vec<u8>)> {
    let patched = artifact.stored.iter().any(|stored| stored.known_encoding() == Some(Encoding::ZstdPatch));
    if !patched || artifact.size > limits::PATCH_SIZE {
        return None;
    }
    let file = File::open(site.executable()).ok()?;
    if file.metadata().ok()?.len() > limits::PATCH_SIZE {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(limits::PATCH_SIZE).read_to_end(&mut bytes).ok()?;
    Some((Digest::of(&bytes), bytes))
}

/// SPEC step 9 for one stored form.
fn decode(
    dir: &Path,
    artifact: &Artifact,
    stored: &Stored,
    encoding: Encoding,
    prefix: &[u8],
    from: &mut Download<'_>,
) -> Result<TempFile> {
    let mut blob = download(dir, stored, from)?;
    if encoding == Encoding::Identity {
        return Ok(blob);
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
fn download(dir: &Path, stored: &Stored, from: &mut Download<'_>) -> Result<TempFile> {
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

/// Size and hash of a file, read from its beginning in small pieces.
pub(super) fn digest_of(file: &mut File) -> std::io::Result<(u64, Digest)> {
    file.rewind()?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 64 * 1024];
    let mut size: u64 = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((size, hasher.finalize().into())),
            count => {
                hasher.update(buffer.get(..count).unwrap_or_default());
                size += count as u64;
            }
        }
    }
}

#[cfg(unix)]
pub(super) fn is_same_file(a: &File, b: &File) -> std::io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let (a, b) = (a.metadata()?, b.metadata()?);
    Ok((a.dev(), a.ino()) == (b.dev(), b.ino()))
}

#[cfg(windows)]
pub(super) fn is_same_file(a: &File, b: &File) -> std::io::Result<bool> {
    use crate::platform::windows::identity;
    Ok(identity(a)? == identity(b)?)
}

#[cfg(not(any(unix, windows)))]
pub(super) fn is_same_file(_: &File, _: &File) -> std::io::Result<bool> {
    Ok(true) // no call for it is known; the name lies in a private directory
}

/// Whether the record of a swap may name this file: state is input, and what it names is renamed and removed.
pub(crate) fn is_swappable(name: &str) -> bool {
    let random = name.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix('-'));
    let is_random = |rest: &str| rest.len() == 16 && rest.bytes().all(|b| b.is_ascii_hexdigit());
    name == super::swap::PREVIOUS || random.is_some_and(is_random)
}

/// Removes what processes left that were killed while they staged, and old executables that ran until now. Called under the lock, when no
/// swap is pending; a download in progress stays.
///
/// Nothing is removed where there is no executable: one of these files may be the only copy of it (Windows, a forced install that was
/// interrupted between its two renames).
pub(crate) fn clean_up(site: &Installation) {
    if !site.executable().exists() {
        return;
    }
    let Ok(_staging) = Lock::staging(site, Duration::ZERO) else { return };
    let Ok(entries) = fs::read_dir(site.dir()) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if ["new-", "write-", "old-"].iter().any(|prefix| name.starts_with(prefix)) {
            durable::remove(&entry.path());
        }
    }
}

/// Gives a verified executable its first name and records it. `replace` says whether something of unknown origin is there to be replaced.
pub(crate) fn first_install(
    site: &Installation,
    state: &mut State,
    staged: Staged,
    epoch: Epoch,
    replace: bool,
) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::Permissions::from_mode(0o755);
        staged.file().set_permissions(mode).map_err(io("make executable", staged.path()))?;
        durable::sync(staged.file()).map_err(io("synchronise", staged.path()))?;
    }
    let (version, blake3) = (staged.version().clone(), staged.blake3());
    state.record.first_install_began(Installed { version, blake3, epoch });
    state.save(site)?;
    let named = if replace {
        super::swap::put(site, staged.path(), site.executable())
    } else {
        claim(staged.path(), site.executable())
    };
    if named.is_err() {
        state.record.first_install_failed();
        state.save(site)?;
    }
    match named {
        Ok(()) => durable::sync_dir(site.executable().parent().unwrap_or(Path::new("/"))),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(Local::Exists { path: site.executable().into() }.into())
        }
        Err(error) => Err(io("create", site.executable())(error)),
    }
}

/// Names a file where nothing may be: unlike a rename, neither way replaces what somebody put there meanwhile.
fn claim(from: &Path, to: &Path) -> std::io::Result<()> {
    match fs::hard_link(from, to) {
        // A file system without links, such as FAT: the name is claimed first.
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            durable::create_private(to)?;
            fs::rename(from, to)
        }
        linked => linked,
    }
}
