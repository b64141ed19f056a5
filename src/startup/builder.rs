//! The options that the author of a tool sets.

use std::time::Duration;

use super::policy::Policy;
use crate::error::{Error, Result};
use crate::install::{Installation, Probe, ProbeAnswer};
use crate::limits;
use crate::source::{Fetcher, Source, from_location, shown};
use crate::target::TARGET;
use crate::trust::{Identity, Name, Version};
use crate::updater::{Updater, carried_root};

/// The start-up check. Call [`Startup::run`] first in `main`, before arguments are parsed and
/// threads are started.
///
/// It handles `--rollback`, `--update`, `--unhold` and `--update-status` if one of them is the only
/// argument; with others behind it, it is an error. `--no-update`, anywhere before `--`, skips the check this time. With the feature
/// `cli`, flatten `relatch::cli::UpdateArgs` into your arguments, so that `--help` lists the flags.
///
/// Two environment variables skip the check, except under [`Policy::Require`]: `RELATCH_NO_UPDATE`
/// with any value, and `CI`.
#[must_use = "call .run() to check for updates"]
pub struct Startup {
    pub(super) product: String,
    pub(super) version: String,
    pub(super) root: Vec<u8>,
    /// The repository, as the author wrote it.
    pub(super) repository: String,
    pub(super) source: Result<Box<dyn Source>>,
    pub(super) channel: String,
    pub(super) target: String,
    pub(super) policy: Policy,
    pub(super) interval: Duration,
    pub(super) deadline: Duration,
    pub(super) grace: Duration,
    pub(super) keep: usize,
    /// Whether the library reads the tool's arguments.
    pub(super) flags: bool,
}

impl Startup {
    /// - `product`: the product, as in the root document.
    /// - `version`: `env!("CARGO_PKG_VERSION")`, or a build number of the CI system.
    /// - `root`: the root document, from `include_bytes!`.
    /// - `repository`: `https://...`, `s3://bucket/prefix` (feature `s3`), or a directory.
    ///
    /// The values are not validated yet. An invalid value is reported when the check runs.
    pub fn new(product: &str, version: &str, root: &[u8], repository: &str) -> Self {
        Startup {
            product: product.into(),
            version: version.into(),
            root: root.into(),
            repository: repository.into(),
            source: from_location(repository),
            channel: "stable".into(),
            target: TARGET.into(),
            policy: Policy::default(),
            interval: limits::STARTUP_INTERVAL,
            deadline: limits::STARTUP_CHECK,
            grace: Duration::ZERO,
            keep: limits::KEPT,
            flags: true,
        }
    }

    /// Reads from this source instead of the repository's address, for example from a server with
    /// an internal CA.
    pub fn source(mut self, source: impl Source) -> Self {
        self.source = Ok(Box::new(source));
        self
    }

    /// Follows this channel instead of `stable`.
    pub fn channel(mut self, channel: &str) -> Self {
        self.channel = channel.into();
        self
    }

    /// Installs executables for this target instead of [`crate::TARGET`].
    pub fn target(mut self, target: &str) -> Self {
        self.target = target.into();
        self
    }

    /// Sets what a start does about a newer release. Default: [`Policy::Auto`].
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Sets the time after a check in which starts use no network. Default: one hour.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Sets the longest time that a check may take. The download of an update is not included.
    /// Default: 1.5 s; at most 20 s.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How long after the expiry of what was verified last [`Policy::Require`] still lets a current version
    /// run, with a warning once a day. Default: not at all. A publisher who is late then does not stop the
    /// tool at once; an attacker who withholds newer releases can do so for that much longer.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Keeps this many executables beside the installed one, at least 1 and at most 16. Default: 2,
    /// so that there is a way back from two bad releases in a row. Each takes the room of an
    /// executable.
    pub fn keep(mut self, count: usize) -> Self {
        self.keep = count;
        self
    }

    /// Leaves `--rollback`, `--update`, `--unhold`, `--update-status` and `--no-update` to the tool, which
    /// calls [`Startup::updater`] and [`Updater::rollback`] itself. `examples/own_flags.rs` is an
    /// example.
    pub fn own_flags(mut self) -> Self {
        self.flags = false;
        self
    }

    /// The updater of the running executable.
    ///
    /// # Errors
    /// [`Error::Usage`] if product, version, channel, target or repository are invalid, or if the
    /// root is that of another product; [`Error::Refused`] if the root document is invalid.
    pub fn updater(self) -> Result<Updater> {
        let identity = self.identity()?;
        let target = name("target", &self.target)?;
        let (installation, running) = (Installation::of_running()?, self.running()?);
        let source = Fetcher::new(self.source?);
        let probe = Probe::Library;
        let updater = Updater::new(installation, identity, target, Some(running), &self.root, source, probe)?;
        Ok(updater.keep(self.keep))
    }

    /// What this program says of itself if it is probed.
    ///
    /// # Errors
    /// As from [`Startup::updater`], except for the repository.
    pub(super) fn probe_answer(&self) -> Result<ProbeAnswer> {
        let Identity { product, channel } = self.identity()?;
        let root = carried_root(&self.root, &product)?;
        let address = match &self.source {
            Ok(source) => source.location(),
            Err(_) => shown(&self.repository),
        };
        Ok(ProbeAnswer {
            product,
            version: self.running()?,
            channel,
            target: name("target", &self.target)?,
            root: root.digest(),
            root_version: root.version,
            address,
            readable: self.source.is_ok(),
        })
    }

    pub(super) fn identity(&self) -> Result<Identity> {
        Ok(Identity { product: name("product", &self.product)?, channel: name("channel", &self.channel)? })
    }

    pub(super) fn running(&self) -> Result<Version> {
        self.version.parse().map_err(Error::usage)
    }
}

pub(super) fn name(what: &str, text: &str) -> Result<Name> {
    text.parse().map_err(|why| Error::usage(format!("the {what}: {why}")))
}
