//! Steps 1 and 2, and how patiently all of them are done.

use std::time::{Duration, Instant};

use crate::error::Result;
use crate::install::{self, Installation, Loaded, Lock, State};
use crate::limits;
use crate::report::Reporter;
use crate::trust::Identity;
use crate::trust::Refusal;

/// How long an update may take, and how much it tries.
pub(crate) struct Budget {
    pub(crate) lock_wait: Duration,
    /// For everything before a download.
    pub(crate) deadline: Instant,
    /// For a download.
    pub(crate) download: Option<Duration>,
    /// Whether a release that did not run here is tried again.
    pub(crate) retry_failed: bool,
}

impl Budget {
    /// A person asked for it and waits.
    pub(super) fn explicit() -> Self {
        let deadline = Instant::now() + limits::CHECK;
        Budget { lock_wait: limits::LOCK_WAIT, deadline, download: None, retry_failed: true }
    }
}

/// Steps 1 and 2: the lock is held and nothing is half done.
pub(super) struct Session {
    pub(super) lock: Lock,
    pub(super) state: State,
    /// The file is kept as it is until a verified check replaces it.
    pub(super) damaged: Option<Refusal>,
}

impl Session {
    /// Steps 1 and 2 for an executable that is there.
    pub(super) fn begin(
        site: &Installation,
        identity: Option<&Identity>,
        wait: Duration,
        reporter: &mut dyn Reporter,
    ) -> Result<Option<Self>> {
        if site.is_missing_executable() {
            // Only where names cannot be exchanged: a crash left nothing at the path, and recovery puts it there.
            site.check_safe_for_new()?;
            drop(Session::open(site, identity, wait, reporter)?);
            site.ensure_executable()?;
        }
        site.check_safe()?; // 1
        Session::open(site, identity, wait, reporter) // 2
    }

    pub(super) fn open(
        site: &Installation,
        identity: Option<&Identity>,
        wait: Duration,
        reporter: &mut dyn Reporter,
    ) -> Result<Option<Self>> {
        let lock = Lock::take(site, wait)?;
        let (mut state, damaged) = match (State::load(site, identity)?, identity) {
            (Loaded::Present(state), _) => (*state, None),
            (Loaded::Absent, Some(identity)) => (State::new(identity)?, None),
            (Loaded::Damaged(why), Some(identity)) => {
                reporter.warn(&format!(
                    "{why}; it is written anew by the next successful check, or by installing again"
                ));
                (State::new(identity)?, Some(why))
            }
            (Loaded::Absent, None) => return Ok(None),
            (Loaded::Damaged(why), None) => return Err(why.into()),
        };
        if damaged.is_none() {
            install::recover(site, &mut state)?;
            install::clean_up(site);
        }
        Ok(Some(Session { lock, state, damaged }))
    }

    pub(super) fn save(&self, site: &Installation) -> Result<()> {
        if self.damaged.is_none() { self.state.save(site) } else { Ok(()) }
    }
}
