//! What would end an update after its download is looked for before it (SPEC step 9).

use std::path::Path;

use super::dir::{Entry, set_mode};
use super::directories::Directories;
use super::probe::Probe;
use super::restrictions::{
    cannot_update, refuse_restricted, refuse_restricted_dir, refuse_size, refuse_unreadable,
};
use super::{durable, names, swap};
use crate::error::{Error, Result, io};
use crate::obstacle::Obstacle;
use crate::trust::{Artifact, Encoding};

/// For the records of an update, each of which is a new file: four blocks.
const RECORDS: u64 = 4 * 4096;

/// What is going to happen to a file at the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Succession {
    /// It is exchanged: its owner, mode and attributes are given to the new one.
    Swap,
    /// It is unknown, and the new one replaces it with the mode 0755.
    Replacement,
}

impl Directories {
    /// The error if this artifact could not be installed here, whatever its bytes are. The lock
    /// `staging` is held: the file that this makes, and removes, is left to its holder by others.
    ///
    /// # Errors
    /// [`crate::Local::CannotUpdate`], with the reason; [`crate::Local::Io`].
    pub(crate) fn preflight(
        &self,
        artifact: &Artifact,
        probe: Option<&Probe>,
        succession: Succession,
    ) -> Result<()> {
        let executable = self.installation().executable();
        let private = self.private();
        refuse_restricted(self.parent(), self.installation().file_name())?;
        refuse_restricted(self.parent(), private.path().file_name().unwrap_or_default())?;
        refuse_restricted_dir(self.parent())?;
        refuse_unreadable(self.parent())?;
        refuse_unreadable(private)?;
        let volume = private.volume().map_err(io("look at the file system of", private.path()))?;
        if volume.read_only {
            return Err(cannot_update(private.path(), Obstacle::ReadOnly));
        }
        let is_run = probe != Some(&Probe::None);
        if volume.noexec && is_run {
            return Err(cannot_update(executable, Obstacle::NoExec));
        }
        let (needed, longest) = sizes(artifact);
        if let Some(free) = volume.free.filter(|free| *free < needed) {
            return Err(cannot_update(executable, Obstacle::NoSpace { needed, free }));
        }
        refuse_size(executable, longest)?;
        self.try_metadata(is_run, succession)
    }

    /// Gives an empty file what the new version will get.
    fn try_metadata(&self, is_run: bool, succession: Succession) -> Result<()> {
        let (file, name) = durable::create_new(self.private(), names::NEW)?;
        let entry = Entry::new(self.private(), &name);
        let tried = (|| {
            let executable = self.installation().executable();
            let needed =
                |mode| set_mode(&file, mode).map_err(|error| without_modes(&file, executable, mode, &error));
            if is_run {
                needed(0o700)?;
            }
            if succession == Succession::Replacement {
                return needed(0o755);
            }
            match self.executable().open() {
                Ok(current) => swap::copy_metadata(&current, &file, executable).map(drop),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => needed(0o755),
                Err(error) => Err(io("open", executable)(error)),
            }
        })();
        drop(file);
        durable::remove(entry);
        tried
    }
}

/// The free bytes that a download needs, and the longest file. Of a compressed form both the blob
/// and the executable lie on the disk. It is at least this: which form is usable is seen later.
fn sizes(artifact: &Artifact) -> (u64, u64) {
    let known = artifact.stored.iter().filter_map(|stored| Some((stored.size, stored.known_encoding()?)));
    let cheapest = known.min_by_key(|(size, _)| *size);
    let blob = cheapest.filter(|(_, encoding)| *encoding != Encoding::Identity).map_or(0, |(size, _)| size);
    (artifact.size.saturating_add(blob).saturating_add(RECORDS), artifact.size.max(blob))
}

fn without_modes(file: &std::fs::File, path: &Path, needed: u32, error: &std::io::Error) -> Error {
    #[cfg(unix)]
    let mode = file.metadata().map_or(0, |meta| std::os::unix::fs::MetadataExt::mode(&meta) & 0o7777);
    #[cfg(not(unix))]
    let (mode, _) = (0, file);
    cannot_update(path, Obstacle::NoModes { mode, needed, error: error.to_string() })
}
