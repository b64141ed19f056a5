//! The flags that the library handles if one of them is the only argument. As the first of several
//! it is an error: after a bad release a person must not run it once more by a word too many.

use std::ffi::OsString;
use std::fmt::Write as _;

use super::builder::Startup;
use super::policy::{Policy, is_due};
use crate::check::retry_after;
use crate::clock::{Clock as _, SystemClock, Utc};
use crate::error::{Error, Result};
use crate::escape::Printable;
use crate::install::Installation;
use crate::report::Terminal;
use crate::trust::{TrustAnchor, Version};
use crate::updater::Updater;

/// A flag of the library.
pub(super) enum Flag {
    Rollback(Option<Version>),
    Unhold,
    Status,
    Update { now: bool },
    UpdateTo(Version),
}

impl Flag {
    /// The flag that these arguments are; `None` if the first of them is none.
    pub(super) fn of(arguments: &[OsString]) -> Option<Result<Flag>> {
        let (first, rest) = arguments.split_first()?;
        let first = first.to_string_lossy();
        let (name, value) =
            first.split_once('=').map_or((&*first, None), |(name, value)| (name, Some(value)));
        let flag = match (name, value) {
            ("--rollback", None) => Ok(Flag::Rollback(None)),
            ("--rollback", Some(version)) => version_of(version).map(|to| Flag::Rollback(Some(to))),
            ("--unhold", None) => Ok(Flag::Unhold),
            ("--update-status", None) => Ok(Flag::Status),
            ("--unhold" | "--update-status", Some(_)) => {
                Err(Error::usage(format!("{name} takes no value, and nothing else is done")))
            }
            ("--update", None) => Ok(Flag::Update { now: false }),
            ("--update", Some("now")) => Ok(Flag::Update { now: true }),
            ("--update", Some(version)) => version_of(version).map(Flag::UpdateTo),
            _ => return None,
        };
        Some(match rest {
            [] => flag,
            _ => Err(Error::usage(format!(
                "{} stands alone: give it without other arguments, and nothing else is done",
                Printable(&first)
            ))),
        })
    }

    /// Carries out the flag, and returns the text to print, and the exit code.
    pub(super) fn carry_out(self, startup: Startup) -> Result<(String, u8)> {
        let text = match self {
            Flag::Rollback(to) => {
                let (installation, at_path) = at_path(&startup)?;
                let done = match &to {
                    Some(to) => Updater::rollback_to(&installation, at_path.as_ref(), to)?,
                    None => Updater::rollback(&installation, at_path.as_ref())?,
                };
                done.to_string()
            }
            Flag::Unhold => {
                let ended = Updater::end_holds(&Installation::of_running()?)?;
                match &ended[..] {
                    [] => "no version is on hold".to_owned(),
                    ended => {
                        let ended: Vec<_> = ended.iter().map(Version::to_string).collect();
                        format!("{} may be installed again; the next check does it", ended.join(", "))
                    }
                }
            }
            Flag::Status => return status(&startup),
            Flag::Update { now } => {
                let reporter = Terminal::new(&startup.product);
                startup.updater()?.reporter(reporter).update(now)?.to_string()
            }
            Flag::UpdateTo(version) => {
                let reporter = Terminal::new(&startup.product);
                startup.updater()?.reporter(reporter).update_to(&version)?.to_string()
            }
        };
        Ok((text, 0))
    }
}

fn version_of(text: &str) -> Result<Version> {
    text.parse().map_err(Error::usage)
}

/// The installation, and the version at the path if this process is that. A process that runs from
/// `.<exe>.relatch/` is not the executable at the path.
fn at_path(startup: &Startup) -> Result<(Installation, Option<Version>)> {
    let (installation, running) = (Installation::of_running()?, startup.running()?);
    let at_path = Some(running).filter(|_| !installation.was_replaced());
    Ok((installation, at_path))
}

fn status(startup: &Startup) -> Result<(String, u8)> {
    let (installation, at_path) = at_path(startup)?;
    let mut status = Updater::status(&installation, at_path.as_ref())?;
    if status.next_start.is_none() {
        status.next_start = Some(next_start(startup, &installation)?);
    }
    let mut text = status.to_string();
    let location = startup.source.as_ref().map_or_else(ToString::to_string, |source| source.location());
    let _ = write!(text, "\n  from       {}", Printable(location));
    Ok((text, status.exit_code()))
}

/// What the next start does, where no record decides it.
fn next_start(startup: &Startup, installation: &Installation) -> Result<String> {
    if startup.policy == Policy::Off {
        return Ok("checks nothing: that is the policy of the tool".into());
    }
    let (running, now) = (startup.running()?, SystemClock.now());
    let last = installation.last_check(&startup.identity()?, TrustAnchor::digest(&startup.root))?;
    Ok(match last.filter(|last| !is_due(last, &running, now, startup.interval, startup.policy)) {
        None => "checks for updates, unless it is told not to".into(),
        Some(last) => match (last.failure(), last.checked()) {
            (Some(failure), _) => {
                let wait = retry_after(failure.count).min(startup.interval);
                format!(
                    "checks nothing before {}, because the last try failed",
                    Utc(failure.at + wait.as_secs())
                )
            }
            (None, checked) => {
                let next = checked.unwrap_or(now).saturating_add(startup.interval.as_secs());
                format!("checks nothing before {}", Utc(next))
            }
        },
    })
}
