//! The start-up check of a tool: policy, deadline, interval, notice, and the restart into the new version.

mod flags;
mod policy;
mod require;

use std::ffi::OsString;
use std::time::{Duration, Instant};

use flags::Flag;
pub use policy::Policy;
use policy::{is_due, is_skipped};
use require::{may_run, outdated};

use crate::clock::{Clock as _, SystemClock};
use crate::error::{Cause, Error, Local, Result};
use crate::install::{self, Installation, Loaded, Probe, State};
use crate::limits;
use crate::report::{Terminal, print_line};
use crate::restart::{restart, was_restarted};
use crate::source::{Fetcher, Source, from_location};
use crate::trust::{Identity, Name, Refusal, Version};
use crate::updater::{Budget, Checked, Outcome, Updater};

/// The start-up check. [`Startup::run`] belongs first in `main`, before arguments are parsed and threads are started.
///
/// It answers, where one of them is the only argument: `--rollback`, `--update`, `--update=now` and `--update-status`; and it takes
/// `--no-update` anywhere before `--` as the wish to skip the check this once. With the feature `cli`, flatten
/// `relatch::cli::UpdateArgs` into your arguments, so that they stand in `--help`.
///
/// Two variables of the environment matter: `RELATCH_NO_UPDATE` (any value) skips the check, and so does `CI`, unless `Require`.
#[must_use = "nothing happens before .run()"]
pub struct Startup {
    product: String,
    version: String,
    root: Vec<u8>,
    source: Result<Box<dyn Source>>,
    channel: String,
    target: String,
    policy: Policy,
    interval: Duration,
    deadline: Duration,
    flags: bool,
}

/// What the caller of the process goes on with.
enum Next {
    GoOn,
    Exit(u8),
    /// `marked` processes do not check again.
    Restart {
        site: Box<Installation>,
        marked: bool,
    },
}

impl Startup {
    /// - `product`: as in the root document.
    /// - `version`: `env!("CARGO_PKG_VERSION")`, or the build number that CI counts.
    /// - `root`: the root document, by `include_bytes!`.
    /// - `repository`: `https://...`, `s3://bucket/prefix` (feature `s3`), or a directory.
    pub fn new(product: &str, version: &str, root: &[u8], repository: &str) -> Self {
        Startup {
            product: product.into(),
            version: version.into(),
            root: root.into(),
            source: from_location(repository),
            channel: "stable".into(),
            target: crate::TARGET.into(),
            policy: Policy::default(),
            interval: limits::STARTUP_INTERVAL,
            deadline: limits::STARTUP_CHECK,
            flags: true,
        }
    }

    /// Reads from another source than the repository's address names: one with an internal CA, or one of your own.
    pub fn source(mut self, source: impl Source) -> Self {
        self.source = Ok(Box::new(source));
        self
    }

    /// Follows another channel than `stable`.
    pub fn channel(mut self, channel: &str) -> Self {
        self.channel = channel.into();
        self
    }

    /// Looks for another name than [`crate::TARGET`] in manifests.
    pub fn target(mut self, target: &str) -> Self {
        self.target = target.into();
        self
    }

    /// Does something else than [`Policy::Auto`].
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// How long a check counts; starts within it touch no network. Default: an hour.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// How long a check may take, whatever the network does; a download that it began is not counted. Default: 1.5 s, at most 20 s.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Leaves `--rollback`, `--update`, `--update-status` and `--no-update` to the tool, which uses [`Startup::updater`] and
    /// [`Updater::rollback`] instead.
    pub fn own_flags(mut self) -> Self {
        self.flags = false;
        self
    }

    /// The updater of the running executable.
    ///
    /// # Errors
    /// [`Error::Usage`] where product, version, channel, target or repository are not well-formed, or the root is another product's;
    /// [`Error::Refused`] where the root document is not one.
    pub fn updater(self) -> Result<Updater> {
        let identity = self.identity()?;
        let target = name("target", &self.target)?;
        let (site, running) = (Installation::of_running()?, self.running()?);
        Updater::new(
            site,
            identity,
            target,
            Some(running),
            &self.root,
            Fetcher::new(self.source?),
            Probe::Library,
        )
    }

    /// Checks as the policy says. It returns when the tool is to go on with what runs; it does not return where a newer version runs
    /// instead, one of the flags was answered, or `Require` forbids to run. It never panics and never prints to stdout, but for what
    /// the flags ask.
    pub fn run(self) {
        let require = self.policy == Policy::Require;
        match self.start() {
            Next::GoOn => {}
            Next::Exit(code) => std::process::exit(code.into()),
            Next::Restart { site, marked } => {
                restart(&site, marked);
                if require {
                    std::process::exit(5); // what was started is not what may run
                }
            }
        }
    }

    fn start(self) -> Next {
        let product = self.product.clone();
        let policy = self.policy;
        if let Some(nonce) = install::probe_nonce() {
            return self.answer_probe(&nonce);
        }
        let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
        let flag = match &arguments[..] {
            [argument] if self.flags => Flag::of(argument),
            _ => None,
        };
        if let Some(flag) = flag {
            return self.answer_flag(flag);
        }
        match self.check(&arguments) {
            Ok(next) => next,
            Err(error) if policy == Policy::Require => {
                let advice = match &error {
                    Error::Refused(Refusal::Outdated { .. }) => error.advice(),
                    _ => {
                        "It does not run before a check succeeds, because an outdated version must not run. Start it again when that is mended."
                    }
                };
                print_line(format_args!("{product}: not started: {error}\n  {advice}"));
                Next::Exit(error.exit_code())
            }
            // Nothing to tell: another process is at it, or has just done it.
            Err(Error::Local(Local::Busy { .. } | Local::ChangedMeanwhile { .. })) => Next::GoOn,
            // Being offline is no error.
            Err(error) if error.is_offline() => {
                print_line(format_args!("{product}: no check for updates: {error}"));
                Next::GoOn
            }
            Err(error) => {
                print_line(format_args!("{product}: not updated: {error}\n  {}", error.advice()));
                Next::GoOn
            }
        }
    }

    fn identity(&self) -> Result<Identity> {
        Ok(Identity { product: name("product", &self.product)?, channel: name("channel", &self.channel)? })
    }

    fn running(&self) -> Result<Version> {
        self.version.parse().map_err(Error::usage)
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

    /// The check itself. An error is told by the caller, as the policy says.
    fn check(self, arguments: &[OsString]) -> Result<Next> {
        let (policy, interval, deadline) = (self.policy, self.interval, self.deadline);
        let require = policy == Policy::Require;
        let restarted = was_restarted();
        if policy == Policy::Off || (!require && (restarted || is_skipped(self.flags, arguments))) {
            return Ok(Next::GoOn);
        }
        let (product, running, site) = (self.product.clone(), self.running()?, Installation::of_running()?);
        if site.was_replaced() {
            // Swapped out after it started, or started from `.<exe>.relatch/`: it judges nothing. Only `Require` insists on what is there.
            return match (require, restarted) {
                (false, _) => Ok(Next::GoOn),
                // It checks for itself: it is not displaced, so that this cannot loop.
                (true, false) => Ok(Next::Restart { site: Box::new(site), marked: false }),
                (true, true) => Err(outdated(&running, "another version is installed in its place").into()),
            };
        }
        // The way of most starts: one small file, no keys, no network.
        let time = SystemClock.now();
        let recorded = site.recorded(Some(&self.identity()?))?;
        let settled = |state: &State| {
            !is_due(&state.memory, time, interval, policy)
                && (!require || may_run(&state.memory, &running, time).is_ok())
        };
        if matches!(&recorded, Loaded::Present(state) if settled(state)) {
            return Ok(Next::GoOn);
        }
        // It does not check again, so that nothing can loop. That somebody set the mark opens no way around `Require`.
        if restarted {
            return match recorded {
                Loaded::Present(state) => {
                    may_run(&state.memory, &running, time).map(|()| Next::GoOn).map_err(Error::from)
                }
                _ => Err(outdated(&running, "no check is recorded").into()),
            };
        }
        // Installed by somebody else, who updates it: nothing could be recorded here, and there is nothing that this user could do.
        if !require && !site.is_writable() {
            return Ok(Next::GoOn);
        }
        let mut updater = self.updater()?.reporter(Terminal::new(&product));
        let pace = Budget {
            lock_wait: if require { limits::LOCK_WAIT } else { Duration::ZERO },
            deadline: Instant::now() + deadline.min(limits::CHECK),
            download: Some(limits::STARTUP_DOWNLOAD),
            retry_failed: false,
        };
        let done = if policy == Policy::Notify {
            updater.check_at(&pace, false).map(|checked| {
                if let Checked::Update { from, to, .. } = checked {
                    print_line(format_args!(
                        "{product}: {to} is available, this is {from}; `{product} --update` installs it"
                    ));
                }
                None
            })
        } else {
            let starting =
                |from: &Version, to: &Version| print_line(format_args!("{product}: updating {from} to {to}"));
            updater.update_at(&pace, false, starting).map(Some)
        };
        match done {
            Ok(Some(Outcome::Updated { from, to })) => {
                print_line(format_args!(
                    "{product}: updated {from} to {to}; `{product} --rollback` goes back"
                ));
                Ok(Next::Restart { site: Box::new(updater.site().clone()), marked: true })
            }
            Ok(_) if require => match updater.recorded()? {
                Loaded::Present(state) => {
                    may_run(&state.memory, &running, SystemClock.now())?;
                    Ok(Next::GoOn)
                }
                _ => Err(outdated(&running, "no check is recorded").into()),
            },
            Ok(_) => Ok(Next::GoOn),
            // Another process did it meanwhile: what is at the path now is what `Require` asks for.
            Err(Error::Local(Local::ChangedMeanwhile { .. })) if require => {
                Ok(Next::Restart { site: Box::new(updater.site().clone()), marked: true })
            }
            Err(error) => {
                if error.cause() == Cause::Unavailable {
                    // That this cannot be written either changes nothing: the error at hand is the one to tell.
                    drop(updater.record_failure());
                }
                Err(error)
            }
        }
    }
}

fn name(what: &str, text: &str) -> Result<Name> {
    text.parse().map_err(|why| Error::usage(format!("the {what}: {why}")))
}
