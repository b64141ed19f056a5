//! Time limits of an update.

use std::time::{Duration, Instant};

use crate::limits;

/// Time limits of an update, and whether it retries a failed release.
pub(crate) struct Budget {
    pub(crate) lock_wait: Duration,
    /// The deadline of everything before the download.
    pub(crate) deadline: Instant,
    /// The time limit of the download.
    pub(crate) download: Option<Duration>,
    /// Whether to try a release again whose probe failed on this machine, at whatever time.
    pub(crate) retry_failed: bool,
}

impl Budget {
    /// The budget of an update that the user requested and waits for.
    pub(super) fn explicit() -> Self {
        let deadline = Instant::now() + limits::CHECK;
        Budget { lock_wait: limits::LOCK_WAIT, deadline, download: None, retry_failed: true }
    }
}

/// What a person asked for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Asked {
    /// A release that is not rolled out to this installation yet.
    pub(super) now: bool,
    /// An update, and not a start that happens to be due.
    pub(super) explicitly: bool,
}
