//! The start-up check, from the start of the process to the restart.

use std::ffi::OsString;
use std::io::Write as _;
use std::time::{Duration, Instant};

use super::builder::Startup;
use super::flags::Flag;
use super::policy::{Policy, is_due, is_skipped};
use super::remember::{Reminder, Warnings};
use super::require::{Requirement, outdated};
use super::restart::{Mark, restart, was_restarted};
use super::trial::{Candidate, Running};
use crate::clock::{Clock as _, SystemClock};
use crate::error::{Error, Local, Result};
use crate::install::{self, Installation};
use crate::limits;
use crate::report::print_line;
use crate::trust::{Refusal, TrustAnchor, Version};
use crate::updater::{Budget, Checked, Outcome, Updater};

/// What the process does next.
enum Next {
    Continue,
    Exit(u8),
    Restart(Box<Installation>, Mark),
}

/// The advice for errors under `Require`, except for an outdated version, which has its own advice.
const NOT_STARTED: &str = "This tool will not start until an update check succeeds. Fix the problem \
                           above and start it again.";

impl Startup {
    /// Checks for updates according to the policy.
    ///
    /// It returns if the running version is to continue. It does not return if a newer version runs
    /// instead, if it handled one of the flags, or if [`Policy::Require`] forbids the running
    /// version. It never panics, and prints to stdout only the output of a flag.
    ///
    /// Keep the result to the end of `main`: `let _running = startup.run();`. A version that
    /// panics in its first starts is then left for the one before (SPEC step 13). If you catch
    /// panics, keep it outside of what is caught: a panic that drops it is taken for one that
    /// nobody catches.
    pub fn run(self) -> Running {
        let (policy, candidate) = (self.policy, self.candidate());
        match self.start() {
            Next::Continue => {
                if let Some(installation) = candidate.and_then(Candidate::begin) {
                    run_instead(&installation, Mark::Restarted, policy);
                }
            }
            Next::Exit(code) => std::process::exit(code.into()),
            Next::Restart(installation, mark) => run_instead(&installation, mark, policy),
        }
        Running(())
    }

    /// The version whose run may be one of a trial. It is not where the check is skipped: nothing
    /// is to change then.
    fn candidate(&self) -> Option<Candidate> {
        let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
        let is_skipped = self.policy != Policy::Require && is_skipped(self.flags, &arguments);
        if self.policy == Policy::Off || is_skipped || install::refuse_raised_privileges().is_err() {
            return None;
        }
        Some(Candidate { product: self.product.clone(), running: self.running().ok()? })
    }

    fn start(self) -> Next {
        let (product, policy) = (self.product.clone(), self.policy);
        // Before the environment, a path or a file is believed.
        if let Err(error) = install::refuse_raised_privileges() {
            return self.with_raised_privileges(&error);
        }
        let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
        if let Some(nonce) = install::probe_nonce(&arguments) {
            return self.answer_probe(&nonce);
        }
        if let Some(flag) = self.flag(&arguments) {
            return match flag.and_then(|flag| flag.carry_out(self)) {
                Ok((text, code)) => {
                    // A closed pipe is not an error of this process.
                    drop(writeln!(std::io::stdout(), "{product}: {text}"));
                    Next::Exit(code)
                }
                Err(error) => {
                    print_line(format_args!("{product}: {error}\n  {}", error.advice()));
                    Next::Exit(error.exit_code())
                }
            };
        }
        let reminder = Reminder::of(&self).ok();
        let warnings = Warnings::default();
        match self.check(&arguments, &warnings) {
            Ok(next) => {
                warnings.print(&product);
                next
            }
            Err(error) if policy == Policy::Require => {
                let is_outdated = matches!(error, Error::Refused(Refusal::Outdated { .. }));
                let advice = if is_outdated { error.advice() } else { NOT_STARTED.into() };
                warnings.print(&product);
                print_line(format_args!("{product}: not started: {error}\n  {advice}"));
                Next::Exit(error.exit_code())
            }
            // Another process is updating the tool. This is not an error.
            Err(Error::Local(Local::Busy { .. })) => Next::Continue,
            // Or has just done so. If it is so again and again, something is wrong with the place.
            Err(Error::Local(Local::ChangedMeanwhile { .. }))
                if !reminder.as_ref().is_some_and(Reminder::is_without_success) =>
            {
                Next::Continue
            }
            Err(error) => {
                match reminder {
                    Some(reminder) => reminder.failed(&error, &warnings),
                    None => print_line(format_args!("{product}: not updated: {error}\n  {}", error.advice())),
                }
                Next::Continue
            }
        }
    }

    /// The flag that is to be answered.
    fn flag(&self, arguments: &[OsString]) -> Option<Result<Flag>> {
        Flag::of(arguments).filter(|_| self.flags)
    }

    /// The caller of this process chose its environment, and has fewer rights than it has: nothing
    /// is checked, executed, restarted or recorded.
    fn with_raised_privileges(&self, error: &Error) -> Next {
        let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
        let what = match (self.flag(&arguments), self.policy) {
            (Some(_), _) => "not done",
            (None, Policy::Require) => "not started",
            (None, _) => return Next::Continue,
        };
        print_line(format_args!("{}: {what}: {error}\n  {}", self.product, error.advice()));
        Next::Exit(error.exit_code())
    }

    fn answer_probe(&self, nonce: &str) -> Next {
        match self.probe_answer() {
            Ok(answer) => {
                answer.print(nonce);
                Next::Exit(0)
            }
            Err(error) => {
                print_line(format_args!("{error}"));
                Next::Exit(error.exit_code())
            }
        }
    }

    /// The check. The caller reports its error according to the policy.
    fn check(self, arguments: &[OsString], warnings: &Warnings) -> Result<Next> {
        let (policy, interval) = (self.policy, self.interval);
        let require = policy == Policy::Require;
        let restarted = was_restarted();
        if policy == Policy::Off || (!require && (restarted || is_skipped(self.flags, arguments))) {
            return Ok(Next::Continue);
        }
        let (running, installation) = (self.running()?, Installation::of_running()?);
        if installation.was_replaced() {
            // The executable of this process was replaced after the start, or it was started from
            // `.<exe>.relatch/`. This process makes no decision. Only `Require` must run the
            // executable at the path.
            return match (require, restarted) {
                (false, _) => Ok(Next::Continue),
                // That executable makes its own check. It is at its path, so that this cannot loop.
                (true, false) => Ok(Next::Restart(Box::new(installation), Mark::None)),
                (true, true) => Err(outdated(&running, "another version is installed in its place").into()),
            };
        }
        if require {
            return self.require(&installation, &running, restarted, warnings);
        }
        // Most starts end here: they read one small file, and use neither keys nor a network.
        let last = installation.last_check(&self.identity()?, TrustAnchor::digest(&self.root))?;
        if let Some(last) = last.filter(|last| !is_due(last, &running, SystemClock.now(), interval, policy)) {
            Reminder::of(&self)?.remind(&last);
            return Ok(Next::Continue);
        }
        // Another user installed the tool and updates it. This user can neither install an update
        // nor record a check.
        if !installation.is_writable()? {
            return Ok(Next::Continue);
        }
        self.update_as_policy(warnings, None)
    }

    /// The check under [`Policy::Require`].
    fn require(
        self,
        installation: &Installation,
        running: &Version,
        restarted: bool,
        warnings: &Warnings,
    ) -> Result<Next> {
        let requirement = Requirement::of(&self, installation, running)?;
        // A restarted process does not check again, so that restarts cannot loop. An attacker who
        // sets the mark does not bypass `Require`.
        if restarted || !requirement.is_due()? {
            requirement.ensure_may_run()?;
            return Ok(Next::Continue);
        }
        if requirement.is_writable() {
            return self.update_as_policy(warnings, Some(&requirement));
        }
        // Another user installed the tool and updates it. This user still must not run an outdated
        // version.
        let (product, budget) = (self.product.clone(), self.budget());
        let mut updater = self.updater()?.reporter(warnings.reporter(&product));
        observe(&mut updater, &budget, &requirement, None)
    }

    fn budget(&self) -> Budget {
        let waits = self.policy == Policy::Require;
        Budget {
            lock_wait: if waits { limits::LOCK_WAIT } else { Duration::ZERO },
            deadline: Instant::now() + self.deadline.min(limits::CHECK),
            download: Some(limits::STARTUP_DOWNLOAD),
            retry_failed: false,
        }
    }

    /// Checks the repository, and installs a newer release unless the policy only notifies.
    fn update_as_policy(self, warnings: &Warnings, requirement: Option<&Requirement>) -> Result<Next> {
        let (product, policy, budget) = (self.product.clone(), self.policy, self.budget());
        let deadline = self.deadline.min(limits::CHECK);
        let mut updater = self.updater()?.reporter(warnings.reporter(&product));
        let result = if policy == Policy::Notify {
            updater.check_at(&budget, false).map(|checked| {
                if let Checked::Update { from, to, .. } = checked {
                    print_line(format_args!(
                        "{product}: {to} is available, this is {from}; `{product} --update` \
                         installs it"
                    ));
                }
                None
            })
        } else {
            let starting = |from: &Version, to: &Version| {
                print_line(format_args!("{product}: updating {from} to {to}"));
            };
            updater.update_at(&budget, false, starting).map(Some)
        };
        let restart =
            |updater: &Updater| Next::Restart(Box::new(updater.installation().clone()), Mark::Restarted);
        match (result, requirement) {
            (Ok(Some(updated @ Outcome::Updated { .. })), _) => {
                let text =
                    updated.to_string().replace("--rollback goes", &format!("`{product} --rollback` goes"));
                print_line(format_args!("{product}: {text}"));
                Ok(restart(&updater))
            }
            (Ok(_), None) => Ok(Next::Continue),
            (Ok(_), Some(requirement)) => {
                requirement.ensure_may_run()?;
                Ok(Next::Continue)
            }
            // Another process has just updated the tool. `Require` must run the executable at the
            // path.
            (Err(Error::Local(Local::ChangedMeanwhile { .. })), Some(_)) => Ok(restart(&updater)),
            // This process can install nothing. Only an outdated version is a reason not to run.
            (Err(error), Some(requirement)) if error.leaves_to_observe() => {
                let budget = Budget { deadline: Instant::now() + deadline, ..budget };
                observe(&mut updater, &budget, requirement, Some(&error))
            }
            (Err(error), Some(requirement)) => requirement.excuse(error).map(|()| Next::Continue),
            (Err(error), None) => Err(error),
        }
    }
}

/// Returns only on failure, and not if the running version must not run.
fn run_instead(installation: &Installation, mark: Mark, policy: Policy) {
    restart(installation, mark);
    if policy == Policy::Require {
        std::process::exit(5);
    }
}

/// A check that installs nothing, under [`Policy::Require`]. `obstacle` is why an update could not
/// be tried.
fn observe(
    updater: &mut Updater,
    budget: &Budget,
    requirement: &Requirement,
    obstacle: Option<&Error>,
) -> Result<Next> {
    match updater.observe(budget) {
        // Not by the record: this user may have no place for one.
        Ok((journal, memory)) => requirement.ensure_may_run_in_spite_of(obstacle, &journal, &memory)?,
        Err(error) => requirement.excuse(error)?,
    }
    Ok(Next::Continue)
}
