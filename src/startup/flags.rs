//! The flags that the library handles if one of them is the only argument.

use std::ffi::OsString;
use std::fmt::Write as _;

use super::builder::Startup;
use crate::error::Result;
use crate::escape::Printable;
use crate::install::Installation;
use crate::report::Terminal;
use crate::updater::Updater;

/// A flag that is handled if it is the only argument.
pub(super) enum Flag {
    Rollback,
    Status,
    Update { now: bool },
}

impl Flag {
    pub(super) fn of(argument: &OsString) -> Option<Flag> {
        match argument.to_str()? {
            "--rollback" => Some(Flag::Rollback),
            "--update-status" => Some(Flag::Status),
            "--update" => Some(Flag::Update { now: false }),
            "--update=now" => Some(Flag::Update { now: true }),
            _ => None,
        }
    }

    /// Carries out the flag, and returns the text to print, and the exit code.
    pub(super) fn carry_out(self, startup: Startup) -> Result<(String, u8)> {
        match self {
            Flag::Rollback => Ok((roll_back(&startup)?, 0)),
            Flag::Status => status(&startup),
            Flag::Update { now } => {
                let reporter = Terminal::new(&startup.product);
                let mut updater = startup.updater()?.reporter(reporter);
                Ok((updater.update(now)?.to_string(), 0))
            }
        }
    }
}

fn roll_back(startup: &Startup) -> Result<String> {
    let (installation, running) = (Installation::of_running()?, startup.running()?);
    // A process that runs from `.<exe>.relatch/` is not the executable at the path.
    let at_path = Some(&running).filter(|_| !installation.was_replaced());
    Ok(Updater::rollback(&installation, at_path)?.to_string())
}

fn status(startup: &Startup) -> Result<(String, u8)> {
    let (installation, running) = (Installation::of_running()?, startup.running()?);
    let at_path = Some(&running).filter(|_| !installation.was_replaced());
    let status = Updater::status(&installation, at_path)?;
    let mut text = status.to_string();
    let location = startup.source.as_ref().map_or_else(ToString::to_string, |source| source.location());
    let _ = write!(text, "\n  from       {}", Printable(location));
    Ok((text, status.exit_code()))
}
