//! A first install: a verified executable gets its first name (SPEC step 12).

use super::dir::Entry;
#[cfg(unix)]
use super::dir::set_mode;
use super::durable;
use super::journal::{Installed, Journal, Swap, Under};
use super::lock::Locked;
use super::stage::Staged;
use super::swap::{self, Swapped};
use crate::error::{Local, Result, io};

/// Whether a file of unknown origin at the path may be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    /// It may not. There was no file, and one that another process creates meanwhile is kept.
    Keep,
    /// It may: the user gave `--force`.
    Replace,
}

/// Names a verified executable and records it. If the process dies, the next session finds out from
/// `pending` whether the executable has its name.
pub(super) fn first_install(
    locked: &Locked,
    journal: &mut Journal,
    mut staged: Staged,
    under: Under,
    existing: Existing,
) -> Result<Swapped> {
    #[cfg(unix)]
    {
        set_mode(staged.file(), 0o755).map_err(io("make executable", staged.path()))?;
        durable::sync(staged.file()).map_err(io("synchronise", staged.path()))?;
    }
    let before = journal.clone();
    let to = Installed::new(staged.version().clone(), staged.blake3(), under);
    let swap = Swap::update(staged.name(), None, to);
    journal.swap_began(swap.clone());
    staged.release();
    let path = locked.installation().executable();
    let named = journal.save(locked.private()).and_then(|()| {
        let named = match existing {
            Existing::Replace => swap::put(locked, staged.entry(), locked.executable()),
            Existing::Keep => claim(staged.entry(), locked.executable()),
        };
        named.map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => Local::Exists { path: path.into() }.into(),
            _ => io("create", path)(error),
        })
    });
    let named = named.and_then(|()| durable::sync_dir(locked.parent()));
    if let Err(error) = named {
        return match swap::resolve(locked, journal, swap) {
            Ok(Some(finished)) => Ok(finished.swapped.or(Some(error))),
            Ok(None) => Err(error),
            Err(_) => {
                *journal = before;
                Err(error)
            }
        };
    }
    Ok(swap::commit(locked, journal, &swap, None))
}

/// Moves a file to a path that does not exist. Unlike a plain rename, no way replaces a file that
/// another process creates there meanwhile.
fn claim(from: Entry<'_>, to: Entry<'_>) -> std::io::Result<()> {
    let is_taken = |done: &std::io::Result<()>| {
        done.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::AlreadyExists)
    };
    for way in [Entry::link, Entry::rename_new] {
        let done = way(from, to);
        if done.is_ok() || is_taken(&done) {
            return done;
        }
    }
    // Neither links nor that rename: the name is claimed first. If the process dies here, recovery
    // removes the empty file.
    to.create()?;
    from.rename(to)
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
        let under = Under::roots(Epoch::FIRST, Digest::of(b""));
        let refused = first_install(&locked, &mut journal, staged, under, Existing::Keep).map(drop);
        assert!(matches!(refused, Err(crate::Error::Local(Local::Exists { .. }))), "{refused:?}");
        assert_eq!(std::fs::read(installation.executable()).unwrap(), b"another file");
        assert_eq!(journal.installed(), None);
        assert_eq!(Journal::load(locked.private()).unwrap().unwrap().installed(), None);
    }
}
