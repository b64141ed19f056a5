//! The time, as one of the three things that tests inject.

use std::time::{SystemTime, UNIX_EPOCH};

/// Tells the time in Unix seconds.
pub trait Clock {
    /// Seconds since 1970.
    fn now(&self) -> u64;
}

/// The system's clock; a time before 1970 counts as 1970.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }
}
