//! The flags that the library answers where one of them is the only argument.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::Write as _;

use super::{Next, Startup};
use crate::error::Result;
use crate::escape::Printable;
use crate::install::Installation;
use crate::report::{Terminal, print_line};
use crate::updater::Updater;

/// The arguments that are answered where they stand alone.
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
}

impl Startup {
    /// Answers a flag that is the only argument.
    pub(super) fn answer_flag(self, flag: Flag) -> Next {
        let product = self.product.clone();
        let answer = match flag {
            Flag::Rollback => self.roll_back(),
            Flag::Status => self.status(),
            Flag::Update { now } => self.update(now),
        };
        match answer {
            Ok(text) => {
                drop(writeln!(std::io::stdout(), "{product}: {text}")); // a closed pipe is the reader's business
                Next::Exit(0)
            }
            Err(error) => {
                print_line(format_args!("{product}: {error}\n  {}", error.advice()));
                Next::Exit(error.exit_code())
            }
        }
    }

    fn roll_back(&self) -> Result<String> {
        let site = Installation::of_running()?;
        let running = self.running()?;
        // What runs from `.<exe>.relatch/` is not what is at the path.
        let done = Updater::rollback(&site, Some(&running).filter(|_| !site.was_replaced()))?;
        Ok(done.to_string())
    }

    fn update(self, now: bool) -> Result<String> {
        let reporter = Terminal::new(&self.product);
        let mut updater = self.updater()?.reporter(reporter);
        Ok(updater.update(now)?.to_string())
    }

    fn status(&self) -> Result<String> {
        let site = Installation::of_running()?;
        let running = self.running()?;
        let status = Updater::status(&site, Some(&running).filter(|_| !site.was_replaced()))?;
        let location = self.source.as_ref().map_or_else(ToString::to_string, |source| source.location());
        let mut text = status.to_string();
        let _ = write!(text, "\n  from       {}", Printable(location));
        Ok(text)
    }
}
