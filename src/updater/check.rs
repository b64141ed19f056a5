//! Steps 3 to 8 of SPEC section 5. Reads the objects that a [`Check`] requires from the source, and
//! persists new roots and the memory.

use std::time::Instant;

use super::budget::{Asked, Budget};
use super::update::Updater;
use crate::check::{Candidate, Check, Decision, Memory, Purpose, Verdict, Want};
use crate::error::{Error, Local, Result};
use crate::install::{Happened, Journal, Paused, Records, Session, Under};
use crate::limits;
use crate::trust::{Notes, PublicKey, Refusal, Root, Roots, TrustAnchor, Version};

/// The result of steps 3 to 8.
pub(super) struct CheckResult {
    pub(super) decision: Decision,
    /// What is remembered from now on.
    pub(super) memory: Memory,
    /// The newest root.
    pub(super) under: Under,
    /// The notes, and whether the release is critical, if a manifest was read.
    pub(super) details: Option<(Notes, bool)>,
}

impl Updater {
    /// Steps 3 to 8 of an update, whose memory is saved whatever is decided.
    pub(super) fn run_update_check(
        &mut self,
        mut paused: Paused,
        installed: &Version,
        budget: &Budget,
        now: bool,
    ) -> Result<(Paused, CheckResult)> {
        let (records, journal) = paused.for_check();
        let asked = Asked { now, explicitly: budget.retry_failed };
        let verdict = self.run_check(records, journal, Some(installed), budget.deadline, asked)?;
        if verdict.release.is_some() {
            // The damaged files may now be replaced, because a release was verified.
            paused.verified();
        }
        paused.records().save(&self.identity, self.anchor_digest(), &verdict.memory)?;
        if verdict.decision.is_ok() {
            paused.record(Happened::Checked { found: verdict.memory.finding().clone() });
        }
        let paused = paused.save_journal(limits::LOCK_WAIT)?;
        Ok((paused, CheckResult::of(verdict)?))
    }

    /// Steps 3 to 8: from the newest trusted root to a decision. `installed` is `None` for a first
    /// install. Each new root is saved, and nothing else.
    pub(super) fn run_check(
        &mut self,
        records: &mut Records,
        journal: &Journal,
        installed: Option<&Version>,
        deadline: Instant,
        asked: Asked,
    ) -> Result<Verdict> {
        let trust_anchor = TrustAnchor::new(&self.anchor)?;
        let recorded = records.load_root(&trust_anchor)?;
        let anchor = Roots::from(trust_anchor);
        let candidate = || Candidate {
            target: self.target.clone(),
            installed: installed.cloned(),
            executable: installed.and_then(|version| journal.executable(version)),
            held: journal
                .held_by_person()
                .into_iter()
                .filter(|held| self.wanted.as_ref() != Some(held))
                .collect(),
            failed: if asked.explicitly { Vec::new() } else { journal.held_for_failing(self.clock.now()) },
            place: journal.rollout(),
            now: asked.now,
        };
        let mut undetermined = None;
        for memory in records.memories(&self.identity, &anchor, recorded.as_ref()) {
            let begins = memory.domain().is_none();
            if let Some(error) = undetermined.take_if(|_| begins) {
                return Err(error);
            }
            let is_new = begins && (records.has_domains() || recorded.is_some());
            let mut check = Check::new(
                &anchor,
                recorded.as_ref(),
                self.identity.clone(),
                &self.source.location(),
                memory,
                Purpose::Client(candidate()),
                self.clock.now(),
            );
            while let Want::Object(wanted) = check.want() {
                let answer = self.source.answer(&wanted, deadline)?;
                if let Some(root) = check.supply(answer, self.clock.now()) {
                    records.save_root(&root, check.memory())?;
                }
            }
            let is_joined = check.is_joined();
            match check.into_verdict() {
                // It may be of the next domain. Only if it is of none, a new one begins (SPEC section 4.3).
                Err(Error::Refused(Refusal::RootForked { .. })) if !is_joined => {}
                Err(error @ Error::Refused(_)) if !is_joined => {
                    undetermined = undetermined.or(Some(error));
                }
                verdict => {
                    if is_new {
                        self.report_new_domain(&anchor);
                    }
                    return verdict;
                }
            }
        }
        Err(undetermined.unwrap_or_else(|| Error::usage("there is no trust domain")))
    }

    fn report_new_domain(&mut self, anchor: &Root) {
        self.reporter.warn(&format!(
            "this program carries root {} {}, which is not of the chain that was trusted here before: the product \
             has new root keys, or this is another publisher's program. What was accepted before no longer counts.",
            anchor.version,
            anchor.digest()
        ));
    }

    /// Records that the executable was replaced by hand, if the running version differs from the
    /// recorded one.
    pub(super) fn note_replacement(&self, session: &mut Session) -> Result<()> {
        let Some(recorded) = session.journal().installed().cloned() else { return Ok(()) };
        match &self.running {
            Some(running) if *running == recorded.version => Ok(()),
            // The executable was swapped after this process started. This process must not decide
            // about an executable of another version.
            Some(_) if session.holds(&recorded)? => {
                Err(Local::ChangedMeanwhile { path: self.installation.executable().into() }.into())
            }
            Some(_) => session.note_other_executable(),
            None if session.holds(&recorded)? => Ok(()),
            None => session.recover_rollback().map(drop),
        }
    }

    /// The version at the path.
    pub(super) fn installed(&self, session: &Session) -> Result<Version> {
        let not_installed =
            |why: String| Local::NotInstalled { path: self.installation.executable().into(), why }.into();
        match (&self.running, session.journal().installed().cloned()) {
            (Some(running), _) => Ok(running.clone()),
            (None, Some(recorded)) if session.holds(&recorded)? => Ok(recorded.version.clone()),
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

impl CheckResult {
    /// # Errors
    /// The refusal of step 8.
    pub(super) fn of(Verdict { memory, decision, release }: Verdict) -> Result<Self> {
        let manifest = release.as_ref().and_then(|release| release.manifest.as_ref());
        let signers = manifest.map(|manifest| manifest.signers()).unwrap_or_default();
        let signers = signers.iter().take(limits::SIGNERS).map(PublicKey::to_hex).collect();
        let critical = manifest.is_some_and(|manifest| manifest.critical);
        let under = match memory.domain() {
            Some(domain) => Under { epoch: domain.epoch(), domain: domain.id(), signers, critical },
            None => return Err(Error::usage("a check without a trust domain")),
        };
        let details = manifest.map(|manifest| (manifest.notes.clone(), manifest.critical));
        Ok(CheckResult { decision: decision?, memory, under, details })
    }
}
