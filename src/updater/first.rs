//! The verified first install of any executable, in the same steps as an update.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::check::CheckResult;
use super::update::Updater;
use crate::check::Decision;
use crate::error::{Error, Local, Result, io};
use crate::escape::Printable;
use crate::install::{Existing, Installation, Probe, Session, Settings, Under};
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
    let path = crate::platform::canonicalize(Path::new(location)).map_err(io("find", Path::new(location)))?;
    match path.into_os_string().into_string() {
        Ok(path) => Ok(path),
        Err(path) => {
            Err(Error::usage(format!("the path {} is not UTF-8", Printable(Path::new(&path).display()))))
        }
    }
}

impl Install {
    /// Installs the current release, and records how to update it. Returns its version, and its
    /// path with links resolved.
    ///
    /// # Errors
    /// [`Local::Exists`] if the executable exists and `force` is not set; otherwise as for an
    /// update. No file is left behind.
    pub fn run(self, reporter: impl Reporter + 'static) -> Result<(Version, PathBuf)> {
        let installation = Installation::for_new(&self.path)?;
        let exists = installation.executable().exists();
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
            ca_file: self.ca_file.map(|path| absolute(&path.display().to_string())).transpose()?,
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

impl Updater {
    fn first_install(&mut self, settings: Settings, probe: Option<Probe>, exists: bool) -> Result<Version> {
        let installation = self.installation.clone();
        let had_dir = installation.dir().exists();
        let (product, wait) = (self.identity.product.clone(), limits::LOCK_WAIT);
        let session = Session::begin_first_install(&installation, Some(&product), wait, &mut *self.reporter)?;
        let Some(mut session) = session else { return Err(Error::usage("nothing to install")) };
        if installation.executable().exists() != exists {
            // Another process installed or removed it.
            return Err(Local::ChangedMeanwhile { path: installation.executable().into() }.into());
        }
        let installed = self.first_install_locked(&mut session, settings, probe, exists);
        if installed.is_err() && !had_dir && !exists && !installation.executable().exists() {
            session.remove_directory();
        }
        installed
    }

    fn first_install_locked(
        &mut self,
        session: &mut Session,
        mut settings: Settings,
        probe: Option<Probe>,
        exists: bool,
    ) -> Result<Version> {
        let deadline = Instant::now() + limits::CHECK;
        let verdict = self.run_check(&mut session.records, &session.journal, None, deadline, false)?;
        let mut checked = CheckResult::of(verdict)?;
        let selected = match checked.decision {
            Decision::Update(selected) => selected,
            Decision::Nothing(finding) => {
                return Err(Error::usage(format!("nothing was installed: {finding}")));
            }
        };
        let staged = self.stage(session.directories(), &selected, None)?;
        let tried = match probe {
            Some(probe) => probe.run(&staged, &self.identity.product).map(|()| probe),
            None => Probe::detect(&staged, &self.identity.product),
        };
        settings.probe = tried.map_err(|failure| failure.into_error(staged.version()))?;
        let anchor = self.anchor_digest();
        checked.memory.about_to_install(selected.version(), staged.blake3());
        session.verified();
        session.records.save(&self.identity, anchor, &checked.memory)?;
        if !exists {
            // Before the executable: without settings, `relatch` cannot update it.
            session.save_settings(&settings)?;
        }
        let version = staged.version().clone();
        let known = match session.journal.installed().cloned() {
            Some(installed) if exists && session.holds(&installed)? => Some(installed),
            _ => None,
        };
        match known {
            // The same bytes are installed: there is no swap, and the previous executable is kept.
            Some(installed) if installed.blake3 == staged.blake3() => session.save_journal()?,
            Some(installed) => {
                // If the file is replaced before the swap, the epoch of the new one is unknown.
                let known = (&installed.version, Under { epoch: Epoch::FIRST, domain: installed.domain });
                session.swap(staged, known, checked.under)?
            }
            // The version of the existing file is unknown, so that a rollback cannot return to it.
            None => {
                let existing = if exists { Existing::Replace } else { Existing::Keep };
                session.first_install(staged, checked.under, existing)?
            }
        }
        if exists {
            // After the swap: if it fails, the old executable keeps its settings.
            session.save_settings(&settings)?;
        }
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
