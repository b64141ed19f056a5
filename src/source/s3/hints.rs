//! What earlier responses taught this process about a bucket.

use std::time::{Duration, Instant, SystemTime};

use super::access_key::Credentials;
use super::error_response::ErrorResponse;
use super::sign::can_be_signed;
use crate::limits;

/// What this process has learned since it started.
#[derive(Default)]
pub(super) struct Hints {
    /// The bucket's region, from S3's responses.
    pub(super) region: Option<String>,
    pub(super) skew: ClockSkew,
    pub(super) credentials: Option<CachedCredentials>,
}

/// The inputs of one request.
pub(super) struct Attempt {
    pub(super) credentials: Credentials,
    pub(super) region: String,
    pub(super) time: SystemTime,
}

/// The hints that one read has used. It uses each kind once, so that contradictory responses cannot
/// keep it busy.
#[derive(Default)]
pub(super) struct Used {
    region: bool,
    clock: bool,
    credentials: bool,
}

impl Hints {
    /// Learns from an error response. Returns whether it contained something new, so that the next
    /// attempt of the same read will be a different one.
    pub(super) fn learn(&mut self, response: &ErrorResponse, attempt: &Attempt, used: &mut Used) -> bool {
        if let (Some(region), 301 | 307 | 400, false) = (&response.region, response.status, used.region) {
            if *region != attempt.region {
                self.region = Some(region.clone());
                used.region = true;
                return true;
            }
        }
        if let (Some(time), 403, false) = (response.time.filter(can_be_signed), response.status, used.clock) {
            if ClockSkew::between(attempt.time, time).size() > limits::CLOCK_SKEW {
                self.skew = ClockSkew::between(SystemTime::now(), time);
                used.clock = true;
                return true;
            }
        }
        let has_expired = response.has_code("ExpiredToken") || response.has_code("TokenRefreshRequired");
        if has_expired && !used.credentials {
            self.credentials = None;
            used.credentials = true;
            return true;
        }
        false
    }
}

/// How far the server's clock is from this machine's. One of the two is zero.
#[derive(Clone, Copy, Default)]
pub(super) struct ClockSkew {
    ahead: Duration,
    behind: Duration,
}

impl ClockSkew {
    fn between(client: SystemTime, server: SystemTime) -> Self {
        let ahead = server.duration_since(client).unwrap_or_default();
        let behind = client.duration_since(server).unwrap_or_default();
        ClockSkew { ahead, behind }
    }

    fn size(self) -> Duration {
        self.ahead.max(self.behind)
    }

    /// The server's time for a time of this machine.
    pub(super) fn apply(self, client: SystemTime) -> SystemTime {
        client.checked_add(self.ahead).and_then(|time| time.checked_sub(self.behind)).unwrap_or(client)
    }
}

/// Credentials, and when this process obtained them.
pub(super) struct CachedCredentials {
    pub(super) credentials: Credentials,
    pub(super) since: Instant,
}

impl CachedCredentials {
    /// Whether they can be used at `now`. `age` is the time since they were obtained: credentials
    /// that were about to expire even then are used for a while, and not requested again for each
    /// object.
    pub(super) fn is_fresh(&self, now: SystemTime, age: Duration) -> bool {
        let margin = limits::CREDENTIALS_EXPIRE;
        let lasts = |at: SystemTime| at.duration_since(now).is_ok_and(|left| left > margin);
        self.credentials.expiry().is_none_or(lasts) || age < margin
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_requested_again_before_they_expire() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let second = Duration::from_secs(1);
        let cached = |left: Option<u64>| CachedCredentials {
            credentials: match left {
                Some(left) => Credentials::new("A", "S", None).expiring(now + second * left as u32),
                None => Credentials::new("A", "S", None),
            },
            since: Instant::now(),
        };
        let long_ago = second * 3600;
        for (left, age, expected) in [
            (None, long_ago, true),
            (Some(61), long_ago, true),
            (Some(60), long_ago, false),
            (Some(0), long_ago, false),
            (Some(30), second * 59, true),
            (Some(30), second * 60, false),
        ] {
            assert_eq!(cached(left).is_fresh(now, age), expected, "{left:?} {age:?}");
        }
        assert!(!cached(Some(30)).is_fresh(now + second * 31, second * 61));
    }
}
