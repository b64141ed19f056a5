//! Steps 3 to 8 of SPEC section 5. Reads the objects that a [`Check`] requires from the source, and
//! persists new roots and the memory.

use std::time::Instant;

use super::update::Updater;
use crate::check::{Candidate, Check, Decision, Purpose, Verdict, Want};
use crate::error::{Error, Local, Result};
use crate::install::Session;
use crate::trust::{Epoch, Notes, Roots, TrustAnchor, Version};

/// The result of steps 3 to 8.
pub(super) struct CheckResult {
    pub(super) decision: Decision,
    /// The epoch of the newest root.
    pub(super) epoch: Epoch,
    /// The notes, and whether the release is critical, if a manifest was read.
    pub(super) details: Option<(Notes, bool)>,
}

impl Updater {
    /// Steps 3 to 8: from the newest trusted root to a decision. `installed` is `None` for a first
    /// install, whose memory is saved when the executable is installed.
    pub(super) fn run_check(
        &mut self,
        session: &mut Session,
        installed: Option<Version>,
        deadline: Instant,
        now: bool,
    ) -> Result<CheckResult> {
        let is_first = installed.is_none();
        let held = session.state.record.held().to_vec();
        let candidate = Candidate { target: self.target.clone(), installed, held, now };
        let start = self.load_roots(session)?;
        let mut check = Check::new(
            &start,
            self.identity.clone(),
            &self.source.location(),
            session.state.memory.clone(),
            Purpose::Client(candidate),
            self.clock.now(),
        );
        while let Want::Object(wanted) = check.want() {
            let answer = self.source.answer(&wanted, deadline)?;
            if let Some(root) = check.supply(answer, self.clock.now()) {
                session.save_root(&root)?;
                session.state.memory = check.memory().clone();
                session.save()?;
            }
        }
        let epoch = check.roots().epoch;
        let Verdict { memory, decision, release } = check.into_verdict()?;
        session.state.memory = memory;
        let manifest = release.as_ref().and_then(|release| release.manifest.as_ref());
        let details = manifest.map(|manifest| (manifest.notes.clone(), manifest.critical));
        if !is_first {
            if release.is_some() {
                // The damaged state may now be replaced, because a release was verified.
                session.damaged = None;
            }
            session.save()?;
        }
        Ok(CheckResult { decision: decision?, epoch, details })
    }

    /// The newest persisted root, or the root that the tool contains.
    fn load_roots(&mut self, session: &Session) -> Result<Roots> {
        let anchor = || TrustAnchor::new(&self.anchor);
        match session.load_root(anchor()?) {
            Ok(roots) => Ok(roots),
            // The chain is read again from the root that the tool contains. It must reach the root
            // that was trusted before, if the state recorded one.
            Err(Error::Refused(why)) => {
                self.reporter.warn(&format!("the recorded root is damaged ({why}); it is fetched again"));
                Ok(anchor()?.into())
            }
            Err(other) => Err(other),
        }
    }

    /// Records that the executable was replaced by hand, if the running version differs from the
    /// recorded one.
    pub(super) fn note_replacement(&self, session: &mut Session) -> Result<()> {
        let (Some(running), Some(recorded)) = (&self.running, session.state.record.installed()) else {
            return Ok(());
        };
        if *running == recorded.version {
            return Ok(());
        }
        if session.holds(recorded)? {
            // The executable was swapped after this process started. This process must not decide
            // about an executable of another version.
            return Err(Local::ChangedMeanwhile { path: self.installation.executable().into() }.into());
        }
        session.state.record.replaced_by_hand();
        Ok(())
    }

    /// The version at the path.
    pub(super) fn installed(&self, session: &Session) -> Result<Version> {
        let not_installed =
            |why: String| Local::NotInstalled { path: self.installation.executable().into(), why }.into();
        match (&self.running, session.state.record.installed()) {
            (Some(running), _) => Ok(running.clone()),
            (None, Some(recorded)) if session.holds(recorded)? => Ok(recorded.version.clone()),
            (None, Some(recorded)) => Err(not_installed(format!(
                "the file is not the version {} that was installed",
                recorded.version
            ))),
            (None, None) => {
                Err(not_installed("its version is not recorded, or the record is damaged".into()))
            }
        }
    }
}
