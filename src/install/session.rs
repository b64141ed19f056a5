//! One operation on an installation: the lock, the records, and the changes to the files.
//!
//! # System calls
//! The system calls of an operation in the two directories, as strace prints them on Linux.
//! Descriptors have the names of their files: `parent` is the directory of the executable, and
//! `private` is `.<exe>.relatch/`. Not shown: calls that only read or copy, `close`, `= 0`, and the
//! flags `O_CLOEXEC`, `O_LARGEFILE` and `O_NOCTTY`. A test runs both commands under strace and
//! compares each line (`each_step_of_a_swap_is_on_the_disk_before_the_next`).
//!
//! ## An update
//! ```text
//! # Steps 1 and 2. The clean-up takes `staging`, so that it removes no download in progress.
//! openat(AT_FDCWD, "<dir>", O_RDONLY|O_NOFOLLOW|O_DIRECTORY) = parent
//! openat(parent, ".<exe>.relatch", O_RDONLY|O_NOFOLLOW|O_DIRECTORY) = private
//! openat(private, "lock", O_WRONLY|O_CREAT|O_NONBLOCK, 0600) = lock
//! flock(lock, LOCK_EX|LOCK_NB)
//! openat(private, "journal", O_RDONLY|O_NONBLOCK) = journal
//! openat(private, "floors", O_RDONLY|O_NONBLOCK) = floors
//! openat(private, "cache", O_RDONLY|O_NONBLOCK) = cache
//! openat(private, "staging", O_WRONLY|O_CREAT|O_NONBLOCK, 0600) = staging
//! flock(staging, LOCK_EX|LOCK_NB)
//! openat(private, ".", O_RDONLY|O_NOFOLLOW|O_DIRECTORY) = private
//! flock(staging, LOCK_UN)
//! # Steps 3 to 8. Step 7 saves what was verified. The floors are on the disk before anything depends
//! # on them, and are written only if they changed. If the process dies from here on, a replay of an
//! # older `VERSION` is refused.
//! openat(private, "root", O_RDONLY|O_NONBLOCK) = -1 ENOENT
//! openat(private, "floors", O_RDONLY|O_NONBLOCK) = floors
//! openat(private, "write-*", O_RDWR|O_CREAT|O_EXCL|O_NOFOLLOW, 0600) = write
//! write(write, ...)
//! fchmod(write, 0644)
//! fsync(write)
//! renameat(private, "write-*", private, "floors")
//! fsync(private)
//! # The cache is not flushed: if a power cut damages it, the next start checks again.
//! openat(private, "write-*", O_RDWR|O_CREAT|O_EXCL|O_NOFOLLOW, 0600) = write
//! write(write, ...)
//! fchmod(write, 0644)
//! renameat(private, "write-*", private, "cache")
//! # The cache says that an update began: if the process dies from here on, the next start checks
//! # again after the retry time.
//! openat(private, "write-*", O_RDWR|O_CREAT|O_EXCL|O_NOFOLLOW, 0600) = write
//! write(write, ...)
//! fchmod(write, 0644)
//! renameat(private, "write-*", private, "cache")
//! # Step 9. A rollback does not wait for the download.
//! flock(lock, LOCK_UN)
//! openat(private, "staging", O_WRONLY|O_CREAT|O_NONBLOCK, 0600) = staging
//! flock(staging, LOCK_EX|LOCK_NB)
//! # If the process dies from here on, the next clean-up removes the file.
//! openat(private, "new-*", O_RDWR|O_CREAT|O_EXCL|O_NOFOLLOW, 0600) = new
//! write(new, ...)
//! # Step 10. The descriptor that wrote is closed: no system runs a file that can be written to.
//! fsync(new)
//! openat(private, "new-*", O_RDONLY|O_NONBLOCK|O_NOFOLLOW) = new
//! # Step 11. The probe is started by its path.
//! fchmod(new, 0700)
//! # Steps 1 and 2 again. The clean-up does nothing: this process holds `staging`.
//! openat(AT_FDCWD, "<dir>", O_RDONLY|O_NOFOLLOW|O_DIRECTORY) = parent
//! openat(parent, ".<exe>.relatch", O_RDONLY|O_NOFOLLOW|O_DIRECTORY) = private
//! openat(private, "lock", O_WRONLY|O_CREAT|O_NONBLOCK, 0600) = lock
//! flock(lock, LOCK_EX|LOCK_NB)
//! openat(private, "journal", O_RDONLY|O_NONBLOCK) = journal
//! openat(private, "floors", O_RDONLY|O_NONBLOCK) = floors
//! openat(private, "cache", O_RDONLY|O_NONBLOCK) = cache
//! openat(private, "staging", O_WRONLY|O_CREAT|O_NONBLOCK, 0600) = staging
//! flock(staging, LOCK_EX|LOCK_NB) = -1 EAGAIN
//! # The cache says that the new version is current, so that the process that is started next finds
//! # it there. If the process dies before the exchange, the finding is about a file that is not at the
//! # path, and does not count.
//! openat(private, "write-*", O_RDWR|O_CREAT|O_EXCL|O_NOFOLLOW, 0600) = write
//! write(write, ...)
//! fchmod(write, 0644)
//! renameat(private, "write-*", private, "cache")
//! # Step 12. The file is completely on the disk, with the mode of the old one, before a record
//! # names it.
//! openat(parent, "<exe>", O_RDONLY|O_NONBLOCK|O_NOFOLLOW) = exe
//! fchmod(new, 0755)
//! fsync(new)
//! # The journal with `pending`. If the process dies before the rename, the old record is valid:
//! # nothing happened.
//! openat(private, "write-*", O_RDWR|O_CREAT|O_EXCL|O_NOFOLLOW, 0600) = write
//! write(write, ...)
//! fchmod(write, 0644)
//! fsync(write)
//! renameat(private, "write-*", private, "journal")
//! fsync(private)
//! # If it dies before this, the next session removes the new file; after this, it completes
//! # the update.
//! renameat2(private, "new-*", parent, "<exe>", RENAME_EXCHANGE)
//! # Both names are on the disk before the next rename depends on them.
//! fsync(parent)
//! fsync(private)
//! openat(private, "new-*", O_RDONLY|O_NONBLOCK|O_NOFOLLOW) = new
//! renameat(private, "new-*", private, "previous")
//! fsync(private)
//! # The journal with `installed`, the kept one, and no `pending`: the swap is done.
//! openat(private, "write-*", O_RDWR|O_CREAT|O_EXCL|O_NOFOLLOW, 0600) = write
//! write(write, ...)
//! fchmod(write, 0644)
//! fsync(write)
//! renameat(private, "write-*", private, "journal")
//! fsync(private)
//! # The update is complete: no failure is recorded any more.
//! openat(private, "write-*", O_RDWR|O_CREAT|O_EXCL|O_NOFOLLOW, 0600) = write
//! write(write, ...)
//! fchmod(write, 0644)
//! renameat(private, "write-*", private, "cache")
//! flock(lock, LOCK_UN)
//! flock(staging, LOCK_UN)
//! ```
//!
//! ## A rollback
//! ```text
//! # Steps 1 and 2.
//! openat(AT_FDCWD, "<dir>", O_RDONLY|O_NOFOLLOW|O_DIRECTORY) = parent
//! openat(parent, ".<exe>.relatch", O_RDONLY|O_NOFOLLOW|O_DIRECTORY) = private
//! openat(private, "lock", O_WRONLY|O_CREAT|O_NONBLOCK, 0600) = lock
//! flock(lock, LOCK_EX|LOCK_NB)
//! openat(private, "journal", O_RDONLY|O_NONBLOCK) = journal
//! openat(private, "floors", O_RDONLY|O_NONBLOCK) = floors
//! openat(private, "cache", O_RDONLY|O_NONBLOCK) = cache
//! openat(private, "staging", O_WRONLY|O_CREAT|O_NONBLOCK, 0600) = staging
//! flock(staging, LOCK_EX|LOCK_NB)
//! openat(private, ".", O_RDONLY|O_NOFOLLOW|O_DIRECTORY) = private
//! flock(staging, LOCK_UN)
//! # The hashes of both files.
//! openat(private, "previous", O_RDONLY|O_NONBLOCK|O_NOFOLLOW) = previous
//! openat(parent, "<exe>", O_RDONLY|O_NONBLOCK|O_NOFOLLOW) = exe
//! # The journal with `pending`, which says that this is a rollback.
//! openat(private, "write-*", O_RDWR|O_CREAT|O_EXCL|O_NOFOLLOW, 0600) = write
//! write(write, ...)
//! fchmod(write, 0644)
//! fsync(write)
//! renameat(private, "write-*", private, "journal")
//! fsync(private)
//! # If the process dies before this, the next session undoes the rollback; after this, it
//! # completes it.
//! renameat2(private, "previous", parent, "<exe>", RENAME_EXCHANGE)
//! fsync(parent)
//! fsync(private)
//! # The journal with the hold, `installed`, the kept one, and no `pending`.
//! openat(private, "write-*", O_RDWR|O_CREAT|O_EXCL|O_NOFOLLOW, 0600) = write
//! write(write, ...)
//! fchmod(write, 0644)
//! fsync(write)
//! renameat(private, "write-*", private, "journal")
//! fsync(private)
//! # The finding was about the executable that was left. If the process dies before this, the cache
//! # is about a file that is not at the path, and the next start checks again.
//! openat(private, "write-*", O_RDWR|O_CREAT|O_EXCL|O_NOFOLLOW, 0600) = write
//! write(write, ...)
//! fchmod(write, 0644)
//! renameat(private, "write-*", private, "cache")
//! flock(lock, LOCK_UN)
//! ```
//!
//! ## Without an exchange of names
//! An update if the system or the file system cannot exchange two names, from that call on:
//! ```text
//! renameat2(private, "new-*", parent, "<exe>", RENAME_EXCHANGE) = -1 EINVAL
//! # A file that an interrupted attempt left.
//! unlinkat(private, "leaving", 0) = -1 ENOENT
//! openat(parent, "<exe>", O_RDONLY|O_NONBLOCK|O_NOFOLLOW) = exe
//! openat(private, "leaving", O_RDWR|O_CREAT|O_EXCL|O_NOFOLLOW, 0600) = leaving
//! # The backup and its name are on the disk before the original is replaced.
//! fchmod(leaving, 0755)
//! fsync(leaving)
//! fsync(private)
//! renameat(private, "new-*", parent, "<exe>")
//! fsync(parent)
//! fsync(private)
//! openat(private, "leaving", O_RDONLY|O_NONBLOCK|O_NOFOLLOW) = leaving
//! renameat(private, "leaving", private, "previous")
//! fsync(private)
//! openat(private, "write-*", O_RDWR|O_CREAT|O_EXCL|O_NOFOLLOW, 0600) = write
//! write(write, ...)
//! fchmod(write, 0644)
//! fsync(write)
//! renameat(private, "write-*", private, "journal")
//! fsync(private)
//! # The update is complete: no failure is recorded any more.
//! openat(private, "write-*", O_RDWR|O_CREAT|O_EXCL|O_NOFOLLOW, 0600) = write
//! write(write, ...)
//! fchmod(write, 0644)
//! renameat(private, "write-*", private, "cache")
//! flock(lock, LOCK_UN)
//! flock(staging, LOCK_UN)
//! ```

use std::time::Duration;

use super::directories::{Directories, UnlockedDirectories};
use super::first_install::{Existing, first_install};
use super::installation::Installation;
use super::journal::{Installed, Journal, Under};
use super::lock::{Lock, Locked};
use super::records::Records;
use super::settings::Settings;
use super::stage::Staged;
use super::{clean_up, digest, rollback, swap};
use crate::error::{Error, Result, io};
use crate::report::Reporter;
use crate::trust::{Name, Refusal, Version};

/// Steps 1 and 2 are done: the lock is held, and no swap is incomplete. The lock is released when
/// this value is dropped.
#[must_use]
#[derive(Debug)]
pub(crate) struct Session {
    locked: Locked,
    pub(crate) journal: Journal,
    /// `None` if there is no journal, or a damaged one.
    on_disk: Option<Journal>,
    pub(crate) records: Records,
    /// Why the journal is damaged. It is not changed until a verified check replaces it.
    damaged: Option<Refusal>,
}

impl Session {
    /// Steps 1 and 2 for an existing executable. `None` if there is neither a journal, nor a product to
    /// create one for.
    pub(crate) fn begin(
        installation: &Installation,
        product: Option<&Name>,
        wait: Duration,
        reporter: &mut dyn Reporter,
    ) -> Result<Option<Self>> {
        let opened = UnlockedDirectories::open(installation)?;
        opened.check_safe()?; // 1
        let session = Session::lock(opened, product, wait, reporter)?; // 2
        installation.ensure_executable()?;
        Ok(session)
    }

    /// Steps 1 and 2 for an executable that may not exist yet.
    pub(crate) fn begin_first_install(
        installation: &Installation,
        product: Option<&Name>,
        wait: Duration,
        reporter: &mut dyn Reporter,
    ) -> Result<Option<Self>> {
        let opened = UnlockedDirectories::open(installation)?;
        opened.check_safe_for_new()?; // 1
        Session::lock(opened, product, wait, reporter) // 2
    }

    fn lock(
        opened: UnlockedDirectories,
        product: Option<&Name>,
        wait: Duration,
        reporter: &mut dyn Reporter,
    ) -> Result<Option<Self>> {
        let locked = Locked::take(opened, wait)?;
        let (on_disk, damaged) = match (Journal::load(locked.private()), product) {
            (Ok(journal), _) => (journal, None),
            (Err(Error::Refused(why)), Some(_)) => (None, Some(why)),
            (Err(error), _) => return Err(error),
        };
        let journal = match (&on_disk, product) {
            (Some(journal), _) => journal.clone(),
            (None, Some(product)) => Journal::new(product)?,
            (None, None) => return Ok(None),
        };
        let product = product.unwrap_or(journal.product());
        journal.ensure_product(product)?;
        let mut records = Records::load(Some(locked.share_private()), product)?;
        if damaged.is_some() {
            // Only a check that verified a release replaces it, and a 304 verifies none.
            records.forget_validator();
        }
        for why in damaged.iter().chain(records.damaged()) {
            reporter.warn(&format!("{why}; the next successful check or install replaces it"));
        }
        let mut session = Session { locked, journal, on_disk, records, damaged };
        if session.damaged.is_none() {
            let finished = swap::recover(&session.locked, &mut session.journal)?;
            if let Some(swap) = finished.filter(|swap| swap.rollback) {
                session.records.rolled_back(&swap.from, &swap.to);
            }
            session.on_disk = session.on_disk.map(|_| session.journal.clone());
            clean_up::clean_up(&session.locked);
        }
        Ok(Some(session))
    }

    /// The directories, for staging a file.
    pub(crate) fn directories(&self) -> &Directories {
        &self.locked
    }

    /// The damaged files may be replaced, because a release was verified.
    pub(crate) fn verified(&mut self) {
        self.damaged = None;
        self.records.verified();
    }

    /// Writes the journal durably, unless the disk has it. A damaged one stays until a verified check has
    /// replaced it.
    pub(crate) fn save_journal(&mut self) -> Result<()> {
        if self.damaged.is_none() && self.on_disk.as_ref() != Some(&self.journal) {
            self.journal.save(self.locked.private())?;
            self.on_disk = Some(self.journal.clone());
        }
        Ok(())
    }

    /// Persists the settings with which `relatch` updates this executable.
    pub(crate) fn save_settings(&self, settings: &Settings) -> Result<()> {
        settings.save(self.locked.private())
    }

    /// Whether the file at the path is this recorded executable.
    pub(crate) fn holds(&self, installed: &Installed) -> Result<bool> {
        let path = self.locked.installation().executable();
        let mut file = self.locked.executable().open().map_err(io("open", path))?;
        let (_, found) = digest::digest_of(&mut file).map_err(io("read", path))?;
        Ok(found == installed.blake3)
    }

    /// Swaps a staged executable in (SPEC step 12); the old one becomes `previous`. `unrecorded` is
    /// the version of the old one and its root, for the case that the journal has another hash than
    /// the file.
    pub(crate) fn swap(&mut self, staged: Staged, unrecorded: (&Version, Under), under: Under) -> Result<()> {
        swap::swap_in(&self.locked, &mut self.journal, staged, unrecorded, under)
    }

    /// Returns to the previous executable (SPEC section 6). The result is the version before and
    /// the version after.
    pub(crate) fn rollback(&mut self, running: Option<&Version>) -> Result<(Version, Version)> {
        if let Some(why) = self.records.damaged() {
            return Err(why.clone().into());
        }
        let (from, to) = rollback::rollback(&self.locked, &mut self.journal, &self.records, running)?;
        self.records.rolled_back(&from, &to);
        Ok((from.version, to.version))
    }

    /// Whether a rollback returns to the previous executable.
    pub(crate) fn may_return(&self) -> bool {
        let previous = self.journal.previous();
        previous.is_some_and(|to| {
            rollback::ensure_may_return(to, self.journal.installed(), &self.records).is_ok()
        })
    }

    /// Moves a verified executable to its path for the first time, and records it.
    pub(crate) fn first_install(&mut self, staged: Staged, under: Under, existing: Existing) -> Result<()> {
        first_install(&self.locked, &mut self.journal, staged, under, existing)
    }

    /// Ends the session to download: the lock is released, because a rollback must not wait for a
    /// download.
    pub(crate) fn into_staging(self, wait: Duration) -> Result<Staging> {
        let Session { locked, journal, .. } = self;
        let (directories, lock) = Lock::staging(locked.unlock().into_unlocked(), wait)?;
        Ok(Staging { directories, decided_from: journal, _lock: lock })
    }

    /// Ends the session of a failed first install, and removes the directory that it created. What the
    /// check recorded is removed while the lock is still held.
    pub(crate) fn remove_directory(self) {
        // This call removes the whole tree, including files of the probed program, and does not
        // follow links. It uses the path.
        let path = self.locked.installation().dir().to_path_buf();
        if !self.locked.is_current() {
            return; // another process put its own there
        }
        drop(std::fs::remove_dir_all(&path));
        // On Windows, the name of an open file remains until it is closed, and the lock file is
        // still open.
        drop(self);
        drop(std::fs::remove_dir(&path));
    }
}

/// A download. The lock `staging` is held and `lock` is not, so that the journal can
/// change meanwhile.
#[must_use]
#[derive(Debug)]
pub(crate) struct Staging {
    directories: Directories,
    /// The journal when this download was decided.
    pub(crate) decided_from: Journal,
    _lock: Lock,
}

impl Staging {
    pub(crate) fn directories(&self) -> &Directories {
        &self.directories
    }
}
