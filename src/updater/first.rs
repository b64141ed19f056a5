//! The verified first install of an executable in any language, by the same steps as an update.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::update::Updater;
use crate::check::Decision;
use crate::error::{Error, Local, Result, io};
use crate::escape::Printable;
use crate::install::{Existing, Installation, Probe, Session, Settings};
use crate::limits::{self, ByteLimit};
use crate::report::Reporter;
use crate::source::{Fetcher, from_location};
use crate::trust::{Epoch, Identity, Name, Version};

/// A first install: the product, its repository, and the root to trust.
#[derive(Debug, Clone)]
pub struct Install {
    /// The address of the repository.
    pub from: String,
    /// A file with certificates of further authorities, for an `https:` or `s3:` repository.
    pub ca_file: Option<PathBuf>,
    /// The file with the root document for which the caller vouches.
    pub root: PathBuf,
    /// The product.
    pub product: Name,
    /// The channel.
    pub channel: Name,
    /// The target, usually [`crate::TARGET`].
    pub target: Name,
    /// Where the executable goes.
    pub path: PathBuf,
    /// How later versions prove that they run; `None` finds out whether this one answers the library's
    /// probe.
    pub probe: Option<Probe>,
    /// Whether to replace an executable that exists.
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

/// An address that means the same from every working directory.
fn absolute(location: &str) -> Result<String> {
    if let Some((scheme, rest)) = location.split_once("://") {
        if scheme.eq_ignore_ascii_case("https") && rest.contains('?') {
            return Err(Error::usage(
                "the address of the repository has a query: such a URL is a secret, and the settings are readable by every user",
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
    /// Installs the current release, and records how to update it. Returns its version and its path, with
    /// links resolved.
    ///
    /// # Errors
    /// [`Local::Exists`] without `force`; otherwise as for an update. Nothing is left behind.
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
        let root = read_text(&self.root, limits::ROOT)?;
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
        let (identity, wait) = (Some(&self.identity), limits::LOCK_WAIT);
        let session = Session::begin_first_install(&installation, identity, wait, &mut *self.reporter)?;
        let Some(mut session) = session else { return Err(Error::usage("nothing to install")) };
        if installation.executable().exists() != exists {
            return Err(Local::ChangedMeanwhile { path: installation.executable().into() }.into()); // by another install
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
        let checked = self.run_check(session, None, deadline, false)?;
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
        session.state.memory.about_to_install_first(selected.version());
        session.damaged = None;
        if !exists {
            session.save_settings(&settings)?; // before there is an executable that could not be updated without them
        }
        let version = staged.version().clone();
        let known = match session.state.record.installed().cloned() {
            Some(installed) if exists && session.holds(&installed)? => Some(installed),
            _ => None,
        };
        match known {
            // The same bytes are there: nothing is swapped, and the previous executable stays.
            Some(installed) if installed.blake3 == staged.blake3() => session.save()?,
            Some(installed) => {
                // If the bytes are replaced before the swap, their epoch is unknown.
                let known = (&installed.version, Epoch::FIRST);
                session.swap(staged, known, checked.epoch)?
            }
            // What is replaced has no known version, and nothing can go back to it.
            None => {
                let existing = if exists { Existing::Replace } else { Existing::Keep };
                session.first_install(staged, checked.epoch, existing)?
            }
        }
        if exists {
            session.save_settings(&settings)?; // after it, so that the old executable keeps its own where the swap fails
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
            "{} has more than {} bytes and is no root document",
            Printable(path.display()),
            limit.0
        )));
    }
    Ok(text)
}
