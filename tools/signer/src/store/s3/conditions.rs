//! Probes what a server does with `If-None-Match` and `If-Match` on writes: some servers ignore
//! them silently, others check them without atomicity.

use std::sync::Barrier;
use std::thread;

use super::bucket::Bucket;
use super::request_error::{ErrorClass, RequestError};
use super::requests::{ObjectHeaders, WriteCondition};
use crate::limits::{PROBE_ATTEMPTS, PROBE_BACKOFF, PROBE_RACERS, PROBE_RACES};

/// How a server treats conditional writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConditionalWrites {
    /// Check and write are one step (*honoured* in SPEC section 8.2): exactly one of several
    /// concurrent writers succeeds.
    Atomic,
    /// The condition is checked, but several concurrent writers can succeed.
    NotAtomic,
    /// The condition is ignored or rejected.
    Ignored,
}

impl ConditionalWrites {
    /// The result, for people.
    pub(super) fn remark(self) -> &'static str {
        match self {
            ConditionalWrites::Atomic => "conditional writes: honoured",
            ConditionalWrites::NotAtomic => {
                "conditional writes: not atomic on this server; a lock object is used instead"
            }
            ConditionalWrites::Ignored => {
                "conditional writes: ignored by this server; a lock object is used instead"
            }
        }
    }
}

/// The result of the probe.
pub(super) struct ProbeResult {
    pub(super) conditions: ConditionalWrites,
    /// Objects of the probe that could not be removed, and why.
    pub(super) leftover: Option<(Vec<String>, RequestError)>,
}

/// Probes the server with a few objects `.probe-*`, and removes them.
pub(super) fn probe(bucket: &Bucket) -> Result<ProbeResult, RequestError> {
    let mut written = Vec::new();
    let mut wait = PROBE_BACKOFF;
    let mut attempts = 1;
    let conditions = loop {
        match try_probe(bucket, &mut written) {
            Err(failed)
                if (failed.is_ambiguous() || failed.class == ErrorClass::Conflict)
                    && attempts < PROBE_ATTEMPTS =>
            {
                thread::sleep(wait);
                (wait, attempts) = (wait * 2, attempts + 1);
            }
            result => break result,
        }
    };
    let mut leftover: Option<(Vec<String>, RequestError)> = None;
    for key in written {
        // After one failure the others would fail for the same reason.
        let removed = if leftover.is_none() { bucket.delete(&key) } else { Ok(()) };
        match (&mut leftover, removed) {
            (Some((keys, _)), _) => keys.push(key),
            (None, Err(failed)) => leftover = Some((vec![key], failed)),
            (None, Ok(())) => {}
        }
    }
    Ok(ProbeResult { conditions: conditions?, leftover })
}

/// One attempt, with new keys.
fn try_probe(bucket: &Bucket, written: &mut Vec<String>) -> Result<ConditionalWrites, RequestError> {
    let mut new_key = || {
        let key = bucket.address.key_of(format_args!(".probe-{}", bucket.token()));
        written.push(key.clone());
        key
    };
    let key = new_key();
    let put = |key: &str, text: String, condition: WriteCondition<'_>| {
        bucket.put_once(key, text.into_bytes(), ObjectHeaders::PRIVATE, condition)
    };
    let etag = match put(&key, "created".into(), WriteCondition::Absent) {
        Err(failed) if matches!(failed.class, ErrorClass::Precondition | ErrorClass::Unsupported) => {
            return Ok(ConditionalWrites::Ignored);
        }
        created => created?,
    };
    // Without an entity tag there is nothing to compare.
    let Some(etag) = etag else { return Ok(ConditionalWrites::Ignored) };
    for condition in [WriteCondition::Absent, WriteCondition::Matches("\"0123456789abcdef0123456789abcdef\"")]
    {
        match put(&key, "overwritten".into(), condition) {
            Err(failed) if failed.class == ErrorClass::Precondition => {}
            Err(failed) if failed.class != ErrorClass::Unsupported => return Err(failed),
            Ok(_) | Err(_) => return Ok(ConditionalWrites::Ignored),
        }
    }
    match put(&key, "replaced".into(), WriteCondition::Matches(&etag)) {
        Ok(_) => {}
        Err(failed) if matches!(failed.class, ErrorClass::Precondition | ErrorClass::Unsupported) => {
            return Ok(ConditionalWrites::Ignored);
        }
        Err(failed) => return Err(failed),
    }
    let (mut race, mut unclear) = (0, 0);
    while race < PROBE_RACES {
        let key = new_key();
        let create = |racer| put(&key, format!("race {race}, created by {racer}"), WriteCondition::Absent);
        let created = run_race(create)?;
        let Some(etag) = created.etag else { return Ok(ConditionalWrites::Ignored) };
        let replace =
            |racer| put(&key, format!("race {race}, replaced by {racer}"), WriteCondition::Matches(&etag));
        let replaced = run_race(replace)?;
        if created.count > 1 || replaced.count > 1 {
            return Ok(ConditionalWrites::NotAtomic);
        }
        if !created.unclear && !replaced.unclear {
            race += 1;
            continue;
        }
        // A writer without an answer may have succeeded too: this race is inconclusive.
        unclear += 1;
        if unclear == PROBE_ATTEMPTS {
            return Ok(ConditionalWrites::NotAtomic);
        }
        thread::sleep(PROBE_BACKOFF);
    }
    Ok(ConditionalWrites::Atomic)
}

/// The outcome of one race.
struct RaceResult {
    /// Writers that succeeded.
    count: usize,
    /// Whether a writer got no answer, and may have succeeded.
    unclear: bool,
    /// The entity tag of one of the successful writes.
    etag: Option<String>,
}

fn run_race(
    write: impl Fn(usize) -> Result<Option<String>, RequestError> + Sync,
) -> Result<RaceResult, RequestError> {
    let start = Barrier::new(PROBE_RACERS);
    let run = |racer| {
        start.wait();
        write(racer)
    };
    let outcomes: Vec<_> = thread::scope(|scope| {
        let run = &run;
        let racers: Vec<_> = (0..PROBE_RACERS).map(|racer| scope.spawn(move || run(racer))).collect();
        racers
            .into_iter()
            .map(|racer| racer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let (mut count, mut etag, mut failure) = (0, None, None);
    for outcome in outcomes {
        match outcome {
            Ok(written) => {
                count += 1;
                etag = written;
            }
            Err(failed) if matches!(failed.class, ErrorClass::Precondition | ErrorClass::Conflict) => {}
            Err(failed) => failure = Some(failed),
        }
    }
    // If no writer succeeded, one without an answer may have.
    match failure {
        Some(failed) if count == 0 || !failed.is_ambiguous() => Err(failed),
        failure => Ok(RaceResult { count, unclear: failure.is_some(), etag }),
    }
}
