//! What a server really does with `If-None-Match` and `If-Match` on writes: some ignore them silently, some check without atomicity.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use super::bucket::Bucket;
use super::failed::{Failed, Kind};
use super::requests::{Condition, Kept};

/// What conditions of writes are worth on a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Conditions {
    /// Checked and written in one step: of those who race, one wins.
    Atomic,
    /// Checked, but more than one of those who race can win.
    NotAtomic,
    /// Not looked at, or not understood.
    Ignored,
}

impl Conditions {
    /// As a person is told.
    pub(super) fn told(self) -> &'static str {
        match self {
            Conditions::Atomic => "conditional writes: honoured",
            Conditions::NotAtomic => {
                "conditional writes: checked without atomicity by this server; a lock object is used"
            }
            Conditions::Ignored => "conditional writes: ignored by this server; a lock object is used",
        }
    }
}

/// What was found, and what is left of it.
pub(super) struct Found {
    pub(super) conditions: Conditions,
    /// Objects that could not be removed again, and why.
    pub(super) left: Option<(Vec<String>, Failed)>,
}

/// Writers that race for one key.
const RACERS: usize = 8;
/// Races to create, and as many to replace: a server that is not atomic may be lucky once.
const RACES: usize = 2;
/// Tries where the server does not answer, and the first wait between them.
const TRIES: usize = 4;
const BACKOFF: Duration = Duration::from_millis(500);

/// Finds out by writing a few objects of its own, `.probe-*`, and removes them.
pub(super) fn probe(bucket: &Bucket) -> Result<Found, Failed> {
    let mut written = Vec::new();
    let mut wait = BACKOFF;
    let mut tries = 1;
    let conditions = loop {
        match examine(bucket, &mut written) {
            Err(failed) if (failed.is_ambiguous() || failed.kind == Kind::Conflict) && tries < TRIES => {
                thread::sleep(wait);
                (wait, tries) = (wait * 2, tries + 1);
            }
            examined => break examined,
        }
    };
    let mut left: Option<(Vec<String>, Failed)> = None;
    for key in written {
        // A refusal would only be repeated.
        let removed = if left.is_none() { bucket.delete(&key) } else { Ok(()) };
        match (&mut left, removed) {
            (Some((keys, _)), _) => keys.push(key),
            (None, Err(failed)) => left = Some((vec![key], failed)),
            (None, Ok(())) => {}
        }
    }
    Ok(Found { conditions: conditions?, left })
}

/// One try, on keys that nobody has used.
fn examine(bucket: &Bucket, written: &mut Vec<String>) -> Result<Conditions, Failed> {
    let mut new_key = || {
        let key = bucket.address.key_of(format_args!(".probe-{}", bucket.token()));
        written.push(key.clone());
        key
    };
    let key = new_key();
    let put = |key: &str, text: String, condition: Condition<'_>| {
        bucket.put_once(key, text.into_bytes(), Kept::PRIVATE, condition)
    };
    let etag = match put(&key, "created".into(), Condition::Absent) {
        Err(failed) if matches!(failed.kind, Kind::Precondition | Kind::Unsupported) => {
            return Ok(Conditions::Ignored);
        }
        created => created?,
    };
    let Some(etag) = etag else { return Ok(Conditions::Ignored) }; // there is nothing to compare
    for condition in [Condition::Absent, Condition::Matches("\"0123456789abcdef0123456789abcdef\"")] {
        match put(&key, "overwritten".into(), condition) {
            Err(failed) if failed.kind == Kind::Precondition => {}
            Err(failed) if failed.kind != Kind::Unsupported => return Err(failed),
            Ok(_) | Err(_) => return Ok(Conditions::Ignored),
        }
    }
    match put(&key, "replaced".into(), Condition::Matches(&etag)) {
        Ok(_) => {}
        Err(failed) if matches!(failed.kind, Kind::Precondition | Kind::Unsupported) => {
            return Ok(Conditions::Ignored);
        }
        Err(failed) => return Err(failed),
    }
    let (mut race, mut unclear) = (0, 0);
    while race < RACES {
        let key = new_key();
        let create = |racer| put(&key, format!("race {race}, created by {racer}"), Condition::Absent);
        let created = winners(create)?;
        let Some(etag) = created.etag else { return Ok(Conditions::Ignored) };
        let replace =
            |racer| put(&key, format!("race {race}, replaced by {racer}"), Condition::Matches(&etag));
        let replaced = winners(replace)?;
        if created.count > 1 || replaced.count > 1 {
            return Ok(Conditions::NotAtomic);
        }
        if !created.unclear && !replaced.unclear {
            race += 1;
            continue;
        }
        // Who got no answer may have won, too: this race has shown nothing.
        unclear += 1;
        if unclear == TRIES {
            return Ok(Conditions::NotAtomic);
        }
        thread::sleep(BACKOFF);
    }
    Ok(Conditions::Atomic)
}

/// Of those who race.
struct Winners {
    count: usize,
    /// Whether others may have won that got no answer.
    unclear: bool,
    /// What one of them wrote.
    etag: Option<String>,
}

fn winners(write: impl Fn(usize) -> Result<Option<String>, Failed> + Sync) -> Result<Winners, Failed> {
    let start = Barrier::new(RACERS);
    let run = |racer| {
        start.wait();
        write(racer)
    };
    let outcomes: Vec<_> = thread::scope(|scope| {
        let run = &run;
        let racers: Vec<_> = (0..RACERS).map(|racer| scope.spawn(move || run(racer))).collect();
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
            Err(failed) if matches!(failed.kind, Kind::Precondition | Kind::Conflict) => {}
            Err(failed) => failure = Some(failed),
        }
    }
    // Where nobody won, whoever got no answer may have.
    match failure {
        Some(failed) if count == 0 || !failed.is_ambiguous() => Err(failed),
        failure => Ok(Winners { count, unclear: failure.is_some(), etag }),
    }
}
