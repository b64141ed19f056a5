//! How long an update may take, and how much it tries.

use std::time::{Duration, Instant};

use crate::limits;

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
    /// A person asked for the update and waits for it.
    pub(super) fn explicit() -> Self {
        let deadline = Instant::now() + limits::CHECK;
        Budget { lock_wait: limits::LOCK_WAIT, deadline, download: None, retry_failed: true }
    }
}
