//! Stores an executable as blobs of a release folder.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;

use relatch::source::{Fetcher, Object};
use relatch::trust::{Artifact, Digest, Encoding, Name, Stored};
use relatch::{Printable, limits};

use super::{Folder, Plan};
use crate::files::open_regular;
use crate::limits::{COPY_BUFFER, PLAIN_WINDOW_LOG};
use crate::repository::Published;
use crate::{Failure, Result};

fn encoding(encoding: Encoding) -> Result<Name> {
    encoding.as_str().parse().map_err(Failure::usage)
}

impl Folder {
    /// Stores an executable as it is, compressed if that is smaller, and as a patch if the plan
    /// says so and that is smaller still.
    ///
    /// # Errors
    /// [`Failure::Refused`] for an empty executable; I/O errors of reading and writing.
    pub(super) fn add_artifact(
        &self,
        target: &Name,
        executable: &Path,
        plan: &Plan,
        published: &Published,
        source: &Fetcher,
    ) -> Result<Artifact> {
        let (size, blake3) =
            self.store_blob(open_regular(executable).map_err(Failure::io("open", executable))?, executable)?;
        if size == 0 {
            return Err(Failure::refused(
                format!("{} is empty", Printable(executable.display())),
                "Name the executable that the build produced.",
            ));
        }
        let mut stored = vec![Stored { encoding: encoding(Encoding::Identity)?, from: None, size, blake3 }];
        let zstd = self.compress(&blake3, size, plan.level, &[])?;
        if zstd.0 < size {
            stored.push(Stored {
                encoding: encoding(Encoding::Zstd)?,
                from: None,
                size: zstd.0,
                blake3: zstd.1,
            });
        }
        let smallest = zstd.0.min(size);
        let old = if plan.patches && size <= limits::PATCH_SIZE {
            previous_executable(target, published, source)?
        } else {
            None
        };
        if let Some(old) = old.filter(|old| Digest::of(old) != blake3) {
            let patch = self.compress(&blake3, size, plan.level, &old)?;
            if patch.0 < smallest {
                let from = Some(Digest::of(&old));
                stored.push(Stored {
                    encoding: encoding(Encoding::ZstdPatch)?,
                    from,
                    size: patch.0,
                    blake3: patch.1,
                });
            }
        }
        let used = |digest: &Digest| stored.iter().any(|form| form.blake3 == *digest);
        if !used(&zstd.1) {
            drop(fs::remove_file(self.blob(&zstd.1)));
        }
        Ok(Artifact { target: target.clone(), size, blake3, stored })
    }

    /// Compresses a blob of this folder into another one. With a `prefix`, the result is a patch.
    fn compress(&self, blob: &Digest, size: u64, level: i32, prefix: &[u8]) -> Result<(u64, Digest)> {
        let path = self.blob(blob);
        let fail = |error| Failure::io("compress", &path)(error);
        let input = File::open(&path).map_err(fail)?;
        let output =
            tempfile::NamedTempFile::new_in(&self.path).map_err(Failure::io("create", &self.path))?;
        let mut encoder = zstd::stream::Encoder::with_ref_prefix(output, level, prefix).map_err(fail)?;
        let fail = |error| Failure::io("compress", &path)(error);
        let mut tune = || -> std::io::Result<()> {
            encoder.set_pledged_src_size(Some(size))?;
            encoder.include_contentsize(true)?;
            if !prefix.is_empty() {
                // The window must span the new executable and all of the old one.
                let reach = (size + prefix.len() as u64).next_power_of_two().trailing_zeros();
                encoder.long_distance_matching(true)?;
                encoder.window_log(reach.clamp(10, limits::ZSTD_WINDOW_LOG))?;
            } else if size > 1 << PLAIN_WINDOW_LOG {
                encoder.window_log(PLAIN_WINDOW_LOG)?;
            }
            std::io::copy(&mut &input, &mut encoder).map(drop)
        };
        tune().map_err(fail)?;
        let fail = |error| Failure::io("compress", &path)(error);
        let file = encoder.finish().map_err(fail)?;
        let reopened = file.reopen().map_err(Failure::io("read", file.path()))?;
        self.store_blob(reopened, file.path())
    }

    /// Copies a file to `blobs/<hash>`. It is hashed while it is copied, so that the published
    /// bytes are the signed ones even if the file changes.
    fn store_blob(&self, mut from: File, name: &Path) -> Result<(u64, Digest)> {
        let mut output =
            tempfile::NamedTempFile::new_in(&self.path).map_err(Failure::io("create", &self.path))?;
        let mut hasher = blake3::Hasher::new();
        let mut buffer = vec![0; COPY_BUFFER];
        let mut size = 0;
        loop {
            let count = from.read(&mut buffer).map_err(Failure::io("read", name))?;
            if count == 0 {
                break;
            }
            let chunk = buffer.get(..count).unwrap_or_default();
            hasher.update(chunk);
            output.write_all(chunk).map_err(Failure::io("write", &self.path))?;
            size += count as u64;
        }
        let digest = Digest::from(hasher.finalize());
        let path = self.blob(&digest);
        #[cfg(unix)]
        output
            .as_file()
            .set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
            .map_err(Failure::io("write", &path))?;
        output.persist(&path).map_err(|error| Failure::io("create", &path)(error.error))?;
        Ok((size, digest))
    }
}

/// The published executable for a target, to make a patch from.
fn previous_executable(target: &Name, published: &Published, source: &Fetcher) -> Result<Option<Vec<u8>>> {
    let Some(current) = published.current() else { return Ok(None) };
    let Some(artifact) = current.manifest.artifacts.iter().find(|artifact| artifact.target == *target) else {
        return Ok(None);
    };
    let identity = artifact.stored.iter().any(|form| form.known_encoding() == Some(Encoding::Identity));
    if !identity || artifact.size > limits::PATCH_SIZE {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    let read =
        source.stream(&Object::Blob(artifact.blake3), None)?.take(artifact.size + 1).read_to_end(&mut bytes);
    // Without it there is no patch, but the release is complete; `signer verify` reports the
    // damage.
    Ok((read.is_ok() && Digest::of(&bytes) == artifact.blake3).then_some(bytes))
}
