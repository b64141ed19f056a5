//! One operation on an installation: what is locked, what is recorded, and what changes both.

use std::time::Duration;

use super::directories::{Directories, Opened};
use super::first_install::{Existing, first_install};
use super::lock::{Lock, Locked};
use super::state::{Loaded, Settings, State, load_root, save_root};
use super::{Copy, Installation, Staged, clean_up, digest, rollback, swap};
use crate::error::{Result, io};
use crate::report::Reporter;
use crate::trust::{Epoch, Fetched, Identity, Refusal, Root, Verified, Version};

/// Steps 1 and 2 are done: the lock is held, and no swap is half done. The lock is released when this is
/// dropped.
#[must_use]
#[derive(Debug)]
pub(crate) struct Session {
    locked: Locked,
    pub(crate) state: State,
    /// The file stays as it is until a verified check replaces it.
    pub(crate) damaged: Option<Refusal>,
}

impl Session {
    /// Steps 1 and 2 for an executable that exists. `None` if there is no state, and no identity to make a
    /// new one for.
    pub(crate) fn begin(
        installation: &Installation,
        identity: Option<&Identity>,
        wait: Duration,
        reporter: &mut dyn Reporter,
    ) -> Result<Option<Self>> {
        if installation.is_missing_executable() {
            // A crash left nothing at the path (only where names cannot be exchanged). Recovery puts an
            // executable there.
            drop(Session::begin_first_install(installation, identity, wait, reporter)?);
            installation.ensure_executable()?;
        }
        let opened = Opened::open(installation)?;
        opened.check_safe()?; // 1
        Session::lock(opened, identity, wait, reporter) // 2
    }

    /// The same where there may be no executable yet.
    pub(crate) fn begin_first_install(
        installation: &Installation,
        identity: Option<&Identity>,
        wait: Duration,
        reporter: &mut dyn Reporter,
    ) -> Result<Option<Self>> {
        let opened = Opened::open(installation)?;
        opened.check_safe_for_new()?; // 1
        Session::lock(opened, identity, wait, reporter) // 2
    }

    fn lock(
        opened: Opened,
        identity: Option<&Identity>,
        wait: Duration,
        reporter: &mut dyn Reporter,
    ) -> Result<Option<Self>> {
        let locked = Locked::take(opened, wait)?;
        let (mut state, damaged) = match (State::load(locked.private(), identity)?, identity) {
            (Loaded::Present(state), _) => (*state, None),
            (Loaded::Absent, Some(identity)) => (State::new(identity)?, None),
            (Loaded::Damaged(why), Some(identity)) => {
                reporter.warn(&format!(
                    "{why}; it is written again by the next successful check, or by installing again"
                ));
                (State::new(identity)?, Some(why))
            }
            (Loaded::Absent, None) => return Ok(None),
            (Loaded::Damaged(why), None) => return Err(why.into()),
        };
        if damaged.is_none() {
            swap::recover(&locked, &mut state)?;
            clean_up::clean_up(&locked);
        }
        Ok(Some(Session { locked, state, damaged }))
    }

    /// The directories, to stage a file in.
    pub(crate) fn directories(&self) -> &Directories {
        &self.locked
    }

    /// Writes the state durably. A damaged one stays until a verified check has replaced it.
    pub(crate) fn save(&self) -> Result<()> {
        if self.damaged.is_none() { self.state.save(self.locked.private()) } else { Ok(()) }
    }

    /// The newest root that was verified and persisted after `anchor`; `anchor` if there is none.
    pub(crate) fn load_root(&self, anchor: Verified<Root>) -> Result<Verified<Root>> {
        load_root(self.locked.private(), anchor)
    }

    /// Persists a root as soon as it is verified, so that the next update of the root begins there.
    pub(crate) fn save_root(&self, root: &Verified<Root>, signatures: &Fetched) -> Result<()> {
        save_root(self.locked.private(), root, signatures)
    }

    /// Persists how `relatch` updates this executable.
    pub(crate) fn save_settings(&self, settings: &Settings) -> Result<()> {
        settings.save(self.locked.private())
    }

    /// Whether the file at the path is this recorded executable.
    pub(crate) fn holds(&self, copy: &Copy) -> Result<bool> {
        let path = self.locked.installation().executable();
        let mut file = self.locked.executable().open().map_err(io("open", path))?;
        let (_, found) = digest::digest_of(&mut file).map_err(io("read", path))?;
        Ok(found == copy.blake3)
    }

    /// Swaps a staged executable in (SPEC step 12); the old one becomes `previous`. `unrecorded` is version
    /// and epoch of the old one if the record does not know its bytes.
    pub(crate) fn swap(&mut self, staged: Staged, unrecorded: (&Version, Epoch), epoch: Epoch) -> Result<()> {
        swap::swap_in(&self.locked, &mut self.state, staged, unrecorded, epoch)
    }

    /// Goes back to the previous executable (SPEC section 6), and returns both versions.
    pub(crate) fn rollback(&mut self, running: Option<&Version>) -> Result<(Version, Version)> {
        rollback::rollback(&self.locked, &mut self.state, running)
    }

    /// Gives a verified executable its first name, and records it.
    pub(crate) fn first_install(&mut self, staged: Staged, epoch: Epoch, existing: Existing) -> Result<()> {
        first_install(&self.locked, &mut self.state, staged, epoch, existing)
    }

    /// Ends the session to download: the lock is released, because a rollback must not wait for a download.
    pub(crate) fn into_staging(self, wait: Duration) -> Result<Staging> {
        let Session { locked, state, .. } = self;
        let (directories, lock) = Lock::staging(locked.unlock().into_opened(), wait)?;
        Ok(Staging { directories, decided_from: state, _lock: lock })
    }

    /// Ends the session of a first install that failed, and takes away the directory that it made. The
    /// state and the root that the check recorded go while the lock is still held.
    pub(crate) fn remove_directory(self) {
        let path = self.locked.installation().dir().to_path_buf();
        drop(std::fs::remove_dir_all(&path));
        // On Windows the name of an open file stays until it is closed, and the lock's is still open.
        drop(self);
        drop(std::fs::remove_dir(&path));
    }
}

/// A download: `staging` is held and `lock` is not, so that the state may change in the meantime.
#[must_use]
#[derive(Debug)]
pub(crate) struct Staging {
    directories: Directories,
    /// The state that led to this download.
    pub(crate) decided_from: State,
    _lock: Lock,
}

impl Staging {
    pub(crate) fn directories(&self) -> &Directories {
        &self.directories
    }
}
