//! Questions about an installation that are answered without a lock, and change nothing.

use std::time::Duration;

use super::Installation;
use super::directories::UnlockedDirectories;
use super::settings::Settings;
use super::state::{Loaded, State};
use crate::error::{Local, Result};
use crate::escape::Printable;
use crate::trust::Identity;

impl Installation {
    /// SPEC step 1.
    ///
    /// # Errors
    /// [`Local::UnsafeSite`], with the reason.
    pub fn check_safe(&self) -> Result<()> {
        UnlockedDirectories::open(self)?.check_safe()
    }

    /// SPEC step 1 for a first install, where there is no executable yet.
    pub(crate) fn check_safe_for_new(&self) -> Result<()> {
        UnlockedDirectories::open(self)?.check_safe_for_new()
    }

    /// Whether this user may change anything here.
    pub(crate) fn is_writable(&self) -> bool {
        UnlockedDirectories::open(self).is_ok_and(|opened| opened.is_writable())
    }

    /// The recorded state.
    pub(crate) fn recorded(&self, identity: Option<&Identity>) -> Result<Loaded> {
        match UnlockedDirectories::open(self)?.private() {
            Some(private) => State::load(private, identity),
            None => Ok(Loaded::Absent),
        }
    }

    /// How `relatch` updates this executable.
    pub(crate) fn settings(&self) -> Result<Settings> {
        let opened = UnlockedDirectories::open(self)?;
        let settings = opened.private().map_or(Ok(None), Settings::load)?;
        settings.ok_or_else(|| {
            let why = format!("there are no settings in {}", Printable(self.dir().display()));
            Local::NotInstalled { path: self.executable().into(), why }.into()
        })
    }

    /// The error if there is a state and no executable. On Windows a swap that is under way has a
    /// moment without one: this waits until it is over.
    pub(crate) fn ensure_executable(&self) -> Result<()> {
        const MOMENTS: u32 = 100;
        for moment in 0..=MOMENTS {
            if !self.is_missing_executable() {
                return Ok(());
            }
            let recorded = self.recorded(None);
            let interrupted =
                matches!(recorded, Ok(Loaded::Present(state)) if state.record.pending().is_some());
            if !interrupted || moment == MOMENTS {
                return Err(Local::NoExecutable { path: self.executable().into(), interrupted }.into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}
