//! The start-up check, from the start of the process to the restart.

use std::ffi::OsString;
use std::io::Write as _;
use std::time::{Duration, Instant};

use super::builder::{Startup, name};
use super::flags::Flag;
use super::policy::{Policy, is_due, is_skipped};
use super::require::{may_run, outdated};
use super::restart::{Mark, restart, was_restarted};
use crate::clock::{Clock as _, SystemClock};
use crate::error::{Cause, Error, Local, Result};
use crate::install::{self, Installation, Loaded, State};
use crate::limits;
use crate::report::{Terminal, print_line};
use crate::trust::{Refusal, Version};
use crate::updater::{Budget, Checked, Outcome};

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
    pub fn run(self) {
        let policy = self.policy;
        match self.start() {
            Next::Continue => {}
            Next::Exit(code) => std::process::exit(code.into()),
            Next::Restart(installation, mark) => {
                restart(&installation, mark);
                if policy == Policy::Require {
                    std::process::exit(5); // the running version must not run
                }
            }
        }
    }

    fn start(self) -> Next {
        let (product, policy) = (self.product.clone(), self.policy);
        if let Some(nonce) = install::probe_nonce() {
            return self.answer_probe(&nonce);
        }
        let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
        let flag = match &arguments[..] {
            [argument] if self.flags => Flag::of(argument),
            _ => None,
        };
        if let Some(flag) = flag {
            return match flag.carry_out(self) {
                Ok(text) => {
                    // A closed pipe is not an error of this process.
                    drop(writeln!(std::io::stdout(), "{product}: {text}"));
                    Next::Exit(0)
                }
                Err(error) => {
                    print_line(format_args!("{product}: {error}\n  {}", error.advice()));
                    Next::Exit(error.exit_code())
                }
            };
        }
        match self.check(&arguments) {
            Ok(next) => next,
            Err(error) if policy == Policy::Require => {
                let is_outdated = matches!(error, Error::Refused(Refusal::Outdated { .. }));
                let advice = if is_outdated { error.advice() } else { NOT_STARTED };
                print_line(format_args!("{product}: not started: {error}\n  {advice}"));
                Next::Exit(error.exit_code())
            }
            // Another process is updating the tool, or has just done so. This is not an error.
            Err(Error::Local(Local::Busy { .. } | Local::ChangedMeanwhile { .. })) => Next::Continue,
            // Being offline is not an error.
            Err(error) if error.is_offline() => {
                print_line(format_args!("{product}: no check for updates: {error}"));
                Next::Continue
            }
            Err(error) => {
                print_line(format_args!("{product}: not updated: {error}\n  {}", error.advice()));
                Next::Continue
            }
        }
    }

    fn answer_probe(&self, nonce: &str) -> Next {
        match (name("product", &self.product), self.running()) {
            (Ok(product), Ok(version)) => {
                install::answer_probe(nonce, &product, &version);
                Next::Exit(0)
            }
            (Err(error), _) | (_, Err(error)) => {
                print_line(format_args!("{error}"));
                Next::Exit(error.exit_code())
            }
        }
    }

    /// The check. The caller reports its error according to the policy.
    fn check(self, arguments: &[OsString]) -> Result<Next> {
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
        // Most starts end here: they read one small file, and use neither keys nor a network.
        let time = SystemClock.now();
        let recorded = installation.recorded(Some(&self.identity()?))?;
        let is_settled = |state: &State| {
            !is_due(&state.memory, time, interval, policy)
                && (!require || may_run(&state.memory, &running, time).is_ok())
        };
        match &recorded {
            Loaded::Present(state) if is_settled(state) => return Ok(Next::Continue),
            // A restarted process does not check again, so that restarts cannot loop. An attacker
            // who sets the mark does not bypass `Require`.
            _ if restarted => return ensure_may_run(recorded, &running, time),
            _ => {}
        }
        // Another user installed the tool and updates it. This user can neither install an update
        // nor record a check.
        if !require && !installation.is_writable() {
            return Ok(Next::Continue);
        }
        self.update_as_policy(&running)
    }

    /// Checks the repository, and installs a newer release unless the policy only notifies.
    fn update_as_policy(self, running: &Version) -> Result<Next> {
        let (product, policy, deadline) = (self.product.clone(), self.policy, self.deadline);
        let require = policy == Policy::Require;
        let mut updater = self.updater()?.reporter(Terminal::new(&product));
        let budget = Budget {
            lock_wait: if require { limits::LOCK_WAIT } else { Duration::ZERO },
            deadline: Instant::now() + deadline.min(limits::CHECK),
            download: Some(limits::STARTUP_DOWNLOAD),
            retry_failed: false,
        };
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
        let restart = |updater: &crate::updater::Updater| {
            Next::Restart(Box::new(updater.installation().clone()), Mark::Restarted)
        };
        match result {
            Ok(Some(Outcome::Updated { from, to })) => {
                print_line(format_args!(
                    "{product}: updated {from} to {to}; `{product} --rollback` goes back"
                ));
                Ok(restart(&updater))
            }
            Ok(_) if require => ensure_may_run(updater.recorded()?, running, SystemClock.now()),
            Ok(_) => Ok(Next::Continue),
            // Another process has just updated the tool. `Require` must run the executable at the
            // path.
            Err(Error::Local(Local::ChangedMeanwhile { .. })) if require => Ok(restart(&updater)),
            Err(error) => {
                if error.cause() == Cause::Unavailable {
                    // If recording fails as well, the first error is still the one to report.
                    drop(updater.record_failure());
                }
                Err(error)
            }
        }
    }
}

fn ensure_may_run(recorded: Loaded, running: &Version, time: u64) -> Result<Next> {
    match recorded {
        Loaded::Present(state) => {
            may_run(&state.memory, running, time)?;
            Ok(Next::Continue)
        }
        _ => Err(outdated(running, "no check is recorded").into()),
    }
}
