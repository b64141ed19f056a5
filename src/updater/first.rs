//! The verified first install of any executable, in the same steps as an update.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::budget::Asked;
use super::check::CheckResult;
use super::successor::Unfit;
use super::update::{Updater, warning_of};
use crate::check::{Decision, Memory};
use crate::error::{Error, Local, Result, io};
use crate::escape::Printable;
use crate::install::{
    Entering, Existing, Installation, Paused, Probe, Replaced, Session, Settings, Staged, Succession,
    Swapped, Under,
};
use crate::limits::{self, ByteLimit};
use crate::report::Reporter;
use crate::source::{Fetcher, from_location};
use crate::trust::{Epoch, Identity, Name, TrustAnchor, Version};

/// A first install: the product, its repository, and the root to trust.
#[derive(Debug, Clone)]
pub struct Install {
    /// The address of the repository.
    pub from: String,
    /// A file with certificates of additional authorities, for an `https:` or `s3:` repository.
    pub ca_file: Option<PathBuf>,
    /// The file with the root document. The caller vouches for it.
    pub root: PathBuf,
    /// The product.
    pub product: Name,
    /// The channel.
    pub channel: Name,
    /// The target, usually [`crate::TARGET`].
    pub target: Name,
    /// The path of the executable.
    pub path: PathBuf,
    /// The probe of new versions. `None` detects whether this version answers the library's probe.
    pub probe: Option<Probe>,
    /// Whether to replace an existing executable.
    pub force: bool,
}

impl Settings {
    pub(super) fn source(&self) -> Result<Fetcher> {
        #[cfg(feature = "https")]
        if let Some(ca_file) = &self.ca_file {
            let source = crate::source::from_location_with_ca_file(&self.from, Path::new(ca_file))?;
            return Ok(Fetcher::new(source));
        }
        Ok(Fetcher::new(from_location(&self.from)?))
    }
}

/// An address that does not depend on the working directory.
fn absolute(location: &str) -> Result<String> {
    if let Some((scheme, rest)) = location.split_once("://") {
        if scheme.eq_ignore_ascii_case("https") && rest.contains('?') {
            return Err(Error::usage(
                "the address of the repository has a query, which may contain a secret, but every \
                 user can read the settings",
            ));
        }
        return Ok(location.to_owned());
    }
    let path = match crate::platform::canonicalize(Path::new(location)) {
        // That is the business of the check: a repository that cannot be reached.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => std::path::absolute(location),
        found => found,
    };
    text_of(path.map_err(io("find", Path::new(location)))?)
}

/// A path as the settings keep it.
fn text_of(path: PathBuf) -> Result<String> {
    match path.into_os_string().into_string() {
        Ok(path) => Ok(path),
        Err(path) => {
            Err(Error::usage(format!("the path {} is not UTF-8", Printable(Path::new(&path).display()))))
        }
    }
}

/// A file that must exist.
fn file(path: &Path) -> Result<String> {
    text_of(crate::platform::canonicalize(path).map_err(io("find", path))?)
}

impl Install {
    /// Installs the current release, and records how to update it. Returns its version, and its
    /// path with links resolved.
    ///
    /// # Errors
    /// [`Local::Exists`] if the executable exists and `force` is not set; otherwise as for an
    /// update. No file is left behind.
    pub fn run(self, reporter: impl Reporter + 'static) -> Result<(Version, PathBuf)> {
        let installation = Installation::for_new(&self.path).map_err(|error| match error {
            Error::Local(Local::IsDirectory { path, .. }) => {
                let file = Some(path.join(format!("{}{}", self.product, std::env::consts::EXE_SUFFIX)));
                Local::IsDirectory { path, file }.into()
            }
            other => other,
        })?;
        let exists = installation.executable().try_exists();
        let exists = exists.map_err(io("look at", installation.executable()))?;
        if exists && !self.force {
            return Err(Local::Exists { path: installation.executable().into() }.into());
        }
        if exists {
            installation.check_safe()?
        } else {
            installation.check_safe_for_new()?
        }
        let mut root = read_text(&self.root, limits::ROOT)?;
        root.truncate(TrustAnchor::document_of(root.as_bytes()).len());
        let settings = Settings {
            product: self.product,
            channel: self.channel,
            target: self.target,
            from: absolute(&self.from)?,
            ca_file: self.ca_file.map(|path| file(&path)).transpose()?,
            probe: self.probe.clone().unwrap_or(Probe::None),
            root,
        };
        let source = settings.source()?;
        let identity = Identity { product: settings.product.clone(), channel: settings.channel.clone() };
        let anchor = settings.root.clone();
        let target = settings.target.clone();
        let probe = settings.probe.clone();
        let updater =
            Updater::new(installation.clone(), identity, target, None, anchor.as_bytes(), source, probe)?;
        let mut updater = updater.reporter(reporter);
        Ok((updater.first_install(settings, self.probe, exists)?, installation.executable().into()))
    }
}

/// A release that may be installed for the first time.
struct Fetched {
    staged: Staged,
    settings: Settings,
    memory: Memory,
    under: Under,
}

impl Updater {
    fn first_install(&mut self, settings: Settings, probe: Option<Probe>, exists: bool) -> Result<Version> {
        let installation = self.installation.clone();
        let exists_now = |path: &Path| path.try_exists().map_err(io("look at", path));
        let had_dir = exists_now(installation.dir())?;
        let (product, wait) = (self.identity.product.clone(), limits::LOCK_WAIT);
        let session = Session::begin_first_install(&installation, &product, wait, &mut *self.reporter)?;
        let known = session.journal().installed().filter(|_| exists);
        let succession = match known {
            Some(installed) if session.holds(installed)? => Succession::Swap,
            _ => Succession::Replacement,
        };
        let mut paused = session.pause();
        let fetched = match exists_now(installation.executable())? == exists {
            true => self.fetch_first(&mut paused, settings, probe, succession),
            // Another process installed or removed it.
            false => Err(Local::ChangedMeanwhile { path: installation.executable().into() }.into()),
        };
        let (session, installed) = match (paused.resume(wait), fetched) {
            (Ok(mut session), Ok(fetched)) => {
                let installed = self.place_first(&mut session, fetched, exists);
                (session, installed)
            }
            (Ok(session), Err(error)) => (session, Err(error)),
            // The first failure is reported.
            (Err(_), Err(error)) | (Err(error), Ok(_)) => return Err(error),
        };
        let is_there = exists_now(installation.executable());
        if installed.is_err() && !had_dir && !exists && is_there.is_ok_and(|there| !there) {
            session.remove_directory();
        }
        installed
    }

    /// Steps 3 to 11.
    fn fetch_first(
        &mut self,
        paused: &mut Paused,
        mut settings: Settings,
        probe: Option<Probe>,
        succession: Succession,
    ) -> Result<Fetched> {
        let deadline = Instant::now() + limits::CHECK;
        let (records, journal) = paused.for_check();
        let verdict = self.run_check(records, journal, None, deadline, Asked::default())?;
        let checked = CheckResult::of(verdict)?;
        let selected = match checked.decision {
            Decision::Update(selected) => selected,
            Decision::Nothing(finding) => {
                return Err(Error::usage(format!("nothing was installed: {finding}")));
            }
        };
        paused.directories().preflight(selected.artifact(), probe.as_ref(), succession)?;
        let staged = self.stage(paused.directories(), &selected, None)?;
        let tried = match probe {
            Some(probe) => probe.run(&staged, &self.identity.product).map(|answer| (probe, answer)),
            None => Probe::detect(&staged, &self.identity.product),
        };
        let tried = tried.map_err(Unfit::from).and_then(|(probe, answer)| match answer {
            Some(answer) => self.ensure_can_update_itself(&answer, &checked.memory).map(|()| probe),
            None => Ok(probe),
        });
        settings.probe = tried.map_err(|unfit| unfit.into_error(staged.version()))?;
        paused.verified();
        paused.records().save(&self.identity, self.anchor_digest(), &checked.memory)?;
        Ok(Fetched { staged, settings, memory: checked.memory, under: checked.under })
    }

    /// Step 12.
    fn place_first(
        &mut self,
        session: &mut Session,
        Fetched { staged, settings, mut memory, under }: Fetched,
        exists: bool,
    ) -> Result<Version> {
        if !exists {
            // Before the executable: without settings, `relatch` cannot update it.
            session.save_settings(&settings)?;
        }
        let (version, blake3) = (staged.version().clone(), staged.blake3());
        let is_tried = settings.probe == Probe::Library;
        let at_path = |session: &Session| match session.journal().installed().cloned() {
            Some(installed) if exists && session.holds(&installed)? => Ok(Some(installed)),
            _ => Ok::<_, Error>(None),
        };
        let known = match at_path(session)? {
            None if exists && session.recover_rollback()? => at_path(session)?,
            known => known,
        };
        let swapped = match known {
            // The same bytes are installed: there is no swap, and the previous executable is kept.
            Some(installed) if installed.blake3 == staged.blake3() => {
                session.save_journal()?;
                Swapped { warning: None, privileges: None }
            }
            Some(installed) => {
                // If the file is replaced before the swap, the epoch of the new one is unknown.
                let carried = Under::roots(Epoch::FIRST, installed.domain);
                let known =
                    Replaced { version: &installed.version, under: carried, answered: None, working: None };
                session.swap(Entering::Staged(staged), known, under, self.keep, is_tried)?
            }
            // The version of the existing file is unknown, so that a rollback cannot return to it.
            None => {
                let existing = if exists { Existing::Replace } else { Existing::Keep };
                session.first_install(staged, under, existing, is_tried)?
            }
        };
        if let Some(warning) = warning_of(&swapped, &version) {
            self.reporter.warn(&warning);
        }
        if exists {
            // After the swap: if it fails, the old executable keeps its settings.
            if let Err(error) = session.save_settings(&settings) {
                self.reporter.warn(&format!(
                    "{version} is installed, but `relatch update` would still use the settings of before: \
                     {error}; run the same command again"
                ));
            }
        }
        memory.installed(&version, blake3);
        // If this fails, the next check finds it again.
        drop(session.records().save_cache(&self.identity, self.anchor_digest(), memory.cache()));
        Ok(version)
    }
}

fn read_text(path: &Path, limit: ByteLimit) -> Result<String> {
    use std::io::Read;
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(io("open", path))?;
    file.take(limit.0 + 1).read_to_string(&mut text).map_err(io("read", path))?;
    if text.len() as u64 > limit.0 {
        return Err(Error::usage(format!(
            "{} is larger than {} bytes and cannot be a root document",
            Printable(path.display()),
            limit.0
        )));
    }
    Ok(text)
}
