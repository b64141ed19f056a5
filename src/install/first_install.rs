//! A first install: a verified executable gets its first name (SPEC step 12).

use super::dir::Entry;
use super::journal::{Installed, Journal, Under};
use super::lock::Locked;
use super::stage::Staged;
use super::{durable, swap};
use crate::error::{Local, Result, io};

/// Whether a file of unknown origin at the path may be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    /// It may not. There was no file, and one that another process creates meanwhile is kept.
    Keep,
    /// It may: the user gave `--force`.
    Replace,
}

/// Names a verified executable and records it. A process that dies before the name leaves a record
/// of an executable that does not exist, which the next install replaces.
pub(super) fn first_install(
    locked: &Locked,
    journal: &mut Journal,
    staged: Staged,
    under: Under,
    existing: Existing,
) -> Result<()> {
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        staged.file().set_permissions(mode).map_err(io("make executable", staged.path()))?;
        durable::sync(staged.file()).map_err(io("synchronise", staged.path()))?;
    }
    let (version, blake3) = (staged.version().clone(), staged.blake3());
    journal.first_install_began(Installed::new(version, blake3, under));
    journal.save(locked.private())?;
    let named = match existing {
        Existing::Replace => swap::put(locked, staged.entry(), locked.executable()),
        Existing::Keep => claim(staged.entry(), locked.executable()),
    };
    if named.is_err() {
        journal.first_install_failed();
        journal.save(locked.private())?;
    }
    let path = locked.installation().executable();
    match named {
        Ok(()) => durable::sync_dir(locked.parent()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(Local::Exists { path: path.into() }.into())
        }
        Err(error) => Err(io("create", path)(error)),
    }
}

/// Moves a file to a path that does not exist. Unlike a rename, neither method replaces a file that
/// another process creates there meanwhile.
fn claim(from: Entry<'_>, to: Entry<'_>) -> std::io::Result<()> {
    match from.link(to) {
        // A file system without links, such as FAT: the name is claimed first.
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            to.create()?;
            from.rename(to)
        }
        linked => linked,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::directories::UnlockedDirectories;
    use super::super::installation::Installation;
    use super::super::stage::Download;
    use super::*;
    use crate::source::{Dir, Fetcher};
    use crate::trust::{Artifact, Digest, Epoch, Stored};

    /// Else the next start would look for an executable that was never there.
    #[test]
    fn an_install_that_another_file_prevented_leaves_no_record_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let (repository, content) = (dir.path().join("repository"), b"an executable");
        let (blake3, size) = (Digest::of(content), content.len() as u64);
        std::fs::create_dir_all(repository.join("blobs")).unwrap();
        std::fs::write(repository.join(format!("blobs/{blake3}")), content).unwrap();
        let stored = Stored { encoding: "identity".parse().unwrap(), from: None, size, blake3 };
        let artifact = Artifact { target: "t".parse().unwrap(), size, blake3, stored: vec![stored] };

        let installation = Installation::for_new(&dir.path().join("tool")).unwrap();
        let unlocked = UnlockedDirectories::open(&installation).unwrap();
        let locked = Locked::take(unlocked, Duration::ZERO).unwrap();
        let source = Fetcher::new(Dir::new(&repository));
        let mut from = Download { source: &source, deadline: None, progress: &mut |_, _| {} };
        let staged = Staged::download(&locked, &artifact, &"1.0.0".parse().unwrap(), &mut from).unwrap();
        std::fs::write(installation.executable(), "another file").unwrap();

        let mut journal = Journal::new(&"p".parse().unwrap()).unwrap();
        let under = Under { epoch: Epoch::FIRST, domain: Digest::of(b"") };
        let refused = first_install(&locked, &mut journal, staged, under, Existing::Keep);
        assert!(matches!(refused, Err(crate::Error::Local(Local::Exists { .. }))), "{refused:?}");
        assert_eq!(std::fs::read(installation.executable()).unwrap(), b"another file");
        assert_eq!(journal.installed(), None);
        assert_eq!(Journal::load(locked.private()).unwrap().unwrap().installed(), None);
    }
}
