//! Whether [`Policy::Require`](super::Policy::Require) lets a version run.

use std::cmp::Ordering;

use crate::check::{Finding, Memory};
use crate::clock::Utc;
use crate::trust::{Refusal, Version};

pub(super) fn outdated(running: &Version, why: &str) -> Refusal {
    Refusal::Outdated { running: running.clone(), why: why.into() }
}

/// Whether this version may run, by the record of the last check.
///
/// # Errors
/// [`Refusal::Outdated`], with the reason.
pub(super) fn may_run(memory: &Memory, running: &Version, now: u64) -> Result<(), Refusal> {
    let Some(finding) = memory.finding_about(running) else {
        return Err(outdated(running, "the last check was about another version"));
    };
    if memory.expires() <= now.max(memory.guard().issued()) {
        let expired = Utc(memory.expires());
        return Err(outdated(running, &format!("the last verified VERSION expired at {expired}")));
    }
    let too_low = |floor: &&Version| !running.compare(floor).is_ok_and(Ordering::is_ge);
    if let Some(floor) = memory.min_version().filter(too_low) {
        return Err(outdated(running, &format!("it is below {floor}, the lowest version that may run")));
    }
    match finding {
        Finding::Current | Finding::NotInRollout { .. } | Finding::Held { critical: false, .. } => Ok(()),
        Finding::Held { version, critical: true } => {
            Err(outdated(running, &format!("you rolled back from {version}, which is critical")))
        }
        Finding::Outdated { version } => Err(outdated(running, &format!("{version} is the current release"))),
        Finding::NoTarget { version, .. } => Err(outdated(
            running,
            &format!("{version} is the current release and has no executable for this target"),
        )),
        Finding::Unknown => Err(outdated(running, "no check has succeeded yet")),
    }
}
