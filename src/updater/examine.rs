//! Steps 3 to 8: from the newest root that was trusted to a decision.

use std::time::Instant;

use super::Updater;
use crate::error::{Error, Local, Result};
use crate::install::{Seen, Session, Standing, State};
use crate::limits;
use crate::policy::{self, Decision, Installed, Reason};
use crate::source::Unavailable;
use crate::source::{Etag, Object};
use crate::trust::Refusal;
use crate::trust::{
    Digest, Document as _, DocumentKind, Fetched, Manifest, Notes, Root, Timestamp, Verified, Version,
};

/// Steps 3 to 8.
pub(super) struct Examined {
    pub(super) decision: Decision,
    pub(super) installed: Version,
    pub(super) root: Verified<Root>,
    /// Notes and whether it is critical, where a manifest was read.
    pub(super) details: Option<(Notes, bool)>,
}

/// What the repository offers, verified. Without a manifest where it is the one that is installed.
pub(super) struct Release {
    pub(super) version: Verified<Timestamp>,
    pub(super) manifest: Option<Verified<Manifest>>,
    etag: Option<Etag>,
}

/// What asking for news gave.
enum News {
    Release(Box<Release>),
    /// `VERSION` is the one that was accepted last, and what followed from it still does.
    None(Reason),
}

impl Release {
    /// How to ask for it again, for as long as all of it that was verified is valid.
    pub(super) fn seen(&self, location: Digest) -> Option<Seen> {
        let of_manifest = self.manifest.as_ref().map_or(u64::MAX, |manifest| manifest.expires);
        let until = self.version.expires.min(of_manifest);
        self.etag.clone().map(|etag| Seen { location, etag, until })
    }

    fn decide(
        &self,
        session: &Session,
        updater: &Updater,
        installed: &Version,
        now: bool,
    ) -> Result<Decision> {
        let Some(manifest) = &self.manifest else { return Ok(Decision::Nothing(Reason::Current)) };
        let installed = Installed { version: installed, target: &updater.target, state: &session.state };
        Ok(policy::decide(&installed, &self.version, manifest, now)?)
    }
}

impl News {
    fn is_settled(&self, session: &Session, updater: &Updater, installed: &Version, now: bool) -> bool {
        match self {
            News::None(_) => true,
            News::Release(release) => {
                matches!(release.decide(session, updater, installed, now), Ok(Decision::Nothing(_)))
            }
        }
    }
}

/// What was found, if the same `VERSION` would lead to it again for this version and this wish.
fn found_last(state: &State, installed: &Version, now: bool) -> Option<Reason> {
    match &state.standing {
        _ if state.judged.as_ref() != Some(installed) => None,
        Standing::Current => Some(Reason::Current),
        Standing::Held { version, critical } => {
            Some(Reason::Held { version: version.clone(), critical: *critical })
        }
        Standing::NotInRollout { version, rollout } if !now => {
            Some(Reason::NotInRollout { version: version.clone(), rollout: *rollout })
        }
        _ => None,
    }
}

impl Updater {
    /// Steps 3 to 8.
    pub(super) fn examine(
        &mut self,
        session: &mut Session,
        deadline: Instant,
        now: bool,
    ) -> Result<Examined> {
        let installed = self.installed(session)?;
        let mut root = self.load_root(session)?;
        let system = self.clock.now();
        let must_walk = session.state.root_version > root.version;
        let mut walked = false;
        if must_walk || system.abs_diff(session.state.root_walked) >= limits::ROOT_INTERVAL {
            root = self.walk(session, root, deadline)?;
            walked = true;
        }
        let first = self.news(session, &root, &installed, deadline, now);
        let settled = walked
            || match &first {
                Ok(news) => news.is_settled(session, self, &installed, now),
                Err(error) => !matches!(error, Error::Refused(_)),
            };
        if settled {
            return self.accept(session, &first?, &installed, now, root);
        }
        let before = root.version;
        match (self.walk(session, root, deadline), first) {
            (Ok(root), first) if root.version == before => {
                self.accept(session, &first?, &installed, now, root)
            }
            (Ok(root), _) => {
                let release = self.release(session, &root, Some(&installed), deadline)?;
                self.accept(session, &News::Release(Box::new(release)), &installed, now, root)
            }
            // What was refused stays refused; that newer roots cannot be had is the lesser news.
            (Err(Error::Unavailable(_)), Err(refused)) => Err(refused),
            (Err(error), _) => Err(error),
        }
    }

    /// Steps 7 and 8.
    fn accept(
        &mut self,
        session: &mut Session,
        news: &News,
        installed: &Version,
        now: bool,
        root: Verified<Root>,
    ) -> Result<Examined> {
        let state = &mut session.state;
        state.checked = self.clock.now();
        state.failed = 0;
        let release = match news {
            News::Release(release) => release,
            News::None(reason) => {
                let decision = Decision::Nothing(reason.clone());
                session.save()?;
                return Ok(Examined { decision, installed: installed.clone(), root, details: None });
            }
        };
        match &release.manifest {
            Some(manifest) => state.advance(&release.version, manifest),
            None => state.refresh(&release.version),
        }
        state.trust(&root);
        state.seen = release.seen(self.location_digest());
        // The state is whole again: what was damaged is replaced by what was just verified.
        session.damaged = None;
        let decision = release.decide(session, self, installed, now);
        session.state.judged = Some(installed.clone());
        session.state.standing = match &decision {
            Ok(Decision::Nothing(reason)) => reason.into(),
            Ok(Decision::Update(selected)) => Standing::Outdated { version: selected.version().clone() },
            Err(_) => Standing::Outdated { version: release.version.version.clone() },
        };
        session.save()?;
        let details = release.manifest.as_ref().map(|manifest| (manifest.notes.clone(), manifest.critical));
        Ok(Examined { decision: decision?, installed: installed.clone(), root, details })
    }

    /// Which version is at the path.
    fn installed(&self, session: &mut Session) -> Result<Version> {
        match (&self.running, &session.state.installed) {
            (None, Some(recorded)) if session.holds(recorded)? => Ok(recorded.version.clone()),
            (None, Some(recorded)) => {
                let why = format!("the file there is not the {} that was installed", recorded.version);
                Err(Local::NotInstalled { path: self.site.executable().into(), why }.into())
            }
            (None, None) => {
                let why = "there is no readable record of its version".into();
                Err(Local::NotInstalled { path: self.site.executable().into(), why }.into())
            }
            (Some(running), Some(recorded)) if *running != recorded.version => {
                if session.holds(recorded)? {
                    // The path was swapped after this process started: it is not the one to judge what is there.
                    return Err(Local::ChangedMeanwhile { path: self.site.executable().into() }.into());
                }
                session.state.installed = None; // somebody installed another version by hand
                Ok(running.clone())
            }
            (Some(running), _) => Ok(running.clone()),
        }
    }

    pub(super) fn load_root(&mut self, session: &Session) -> Result<Verified<Root>> {
        match session.load_root(Verified::<Root>::anchor(&self.anchor)?) {
            Ok(root) => Ok(root),
            // The chain is walked again from the root that the tool carries, and must reach as far as it did before.
            Err(Error::Refused(why)) => {
                self.reporter.warn(&format!("the recorded root is damaged ({why}); it is fetched again"));
                Ok(Verified::<Root>::anchor(&self.anchor)?)
            }
            Err(other) => Err(other),
        }
    }

    /// Step 3.
    pub(super) fn walk(
        &mut self,
        session: &mut Session,
        mut root: Verified<Root>,
        deadline: Instant,
    ) -> Result<Verified<Root>> {
        for _ in 0..limits::NEW_ROOTS {
            let Some(document) = self.next_root(&root, deadline)? else {
                return self.walked(session, root);
            };
            let signatures =
                self.source.fetch(&Object::RootSignatures(root.version + 1), limits::SIGNATURES, deadline)?;
            let next = root.next(&document, &signatures)?;
            next.check_issued(&self.times(&session.state, &root))?;
            session.save_root(&next, &signatures)?;
            session.state.trust(&next);
            session.save()?;
            root = next;
        }
        match self.next_root(&root, deadline)? {
            None => self.walked(session, root),
            Some(_) => Err(Refusal::TooManyRoots { limit: limits::NEW_ROOTS, trusted: root.version }.into()),
        }
    }

    fn walked(&self, session: &mut Session, root: Verified<Root>) -> Result<Verified<Root>> {
        let needed = session.state.root_version;
        if root.version < needed {
            let document = root.kind();
            return Err(Refusal::RootAhead { document, needed, trusted: root.version }.into());
        }
        session.state.root_walked = self.clock.now();
        Ok(root)
    }

    /// The root after this one, if there is one. S3 answers 403 for what is not there to a reader who may not list.
    fn next_root(&self, root: &Root, deadline: Instant) -> Result<Option<Fetched>> {
        match self.source.fetch(&Object::Root(root.version + 1), limits::ROOT, deadline) {
            Ok(document) => Ok(Some(document)),
            Err(Error::Unavailable(Unavailable::Absent { .. } | Unavailable::Forbidden { .. })) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Steps 3 (expiry) to 6, or less: where what was found last would be found again from the same `VERSION`, that one is not sent.
    fn news(
        &self,
        session: &Session,
        root: &Verified<Root>,
        installed: &Version,
        deadline: Instant,
        now: bool,
    ) -> Result<News> {
        let state = &session.state;
        let here = self.location_digest();
        let times = self.times(state, root);
        // A tool that was built anew carries a newer root than the one under which the last answer was verified.
        let holds = |seen: &&Seen| {
            seen.location == here && state.root_version == root.version && times.now < seen.until
        };
        let seen = state.seen.as_ref().filter(holds);
        let (Some(seen), Some(reason)) = (seen, found_last(state, installed, now)) else {
            return Ok(News::Release(Box::new(self.release(session, root, Some(installed), deadline)?)));
        };
        root.check_unexpired(&times)?; // 3
        let object = self.version_object();
        match self.source.fetch_if_none_match(&object, &seen.etag, limits::VERSION_FILE, deadline)? {
            Some(tagged) => {
                Ok(News::Release(Box::new(self.read(session, root, Some(installed), deadline, tagged)?)))
            }
            None => {
                times.check(DocumentKind::Timestamp, state.floors.issued, state.expires)?; // 5
                Ok(News::None(reason))
            }
        }
    }

    pub(super) fn location_digest(&self) -> Digest {
        Digest::of(self.source.location().as_bytes())
    }

    fn version_object(&self) -> Object {
        Object::Version(self.identity.channel.clone())
    }

    /// Steps 3 (expiry) to 6.
    pub(super) fn release(
        &self,
        session: &Session,
        root: &Verified<Root>,
        installed: Option<&Version>,
        deadline: Instant,
    ) -> Result<Release> {
        root.check_unexpired(&self.times(&session.state, root))?; // 3
        let tagged = self.source.fetch_with_etag(&self.version_object(), limits::VERSION_FILE, deadline)?;
        self.read(session, root, installed, deadline, tagged)
    }

    /// Steps 4 to 6.
    fn read(
        &self,
        session: &Session,
        root: &Verified<Root>,
        installed: Option<&Version>,
        deadline: Instant,
        (fetched, etag): (Fetched, Option<Etag>),
    ) -> Result<Release> {
        let times = self.times(&session.state, root);
        let version =
            Verified::<Timestamp>::check(&fetched, root, &self.identity, &session.state.floors, &times)?; // 4, 5
        if let Some(installed) = installed.filter(|installed| !version.version.same_kind(installed)) {
            let (known, found) = (installed.clone(), version.version.clone());
            return Err(Refusal::VersionSchemeChanged { known, found }.into());
        }
        // The same manifest was verified before, everything that it says was taken, and it left nothing to do: it is not fetched again to
        // learn nothing. Whether a `VERSION` says the same of it in other words shows only there (6g, 6h, 6i).
        let floors = &session.state.floors;
        let is_seen = (floors.epoch, floors.seq) == (version.epoch.get(), version.seq.get())
            && floors.manifest == Some(version.manifest);
        let is_current = |installed: &Version| {
            version.version == *installed
                && matches!(found_last(&session.state, installed, false), Some(Reason::Current))
        };
        if is_seen && installed.is_some_and(is_current) {
            return Ok(Release { version, manifest: None, etag });
        }
        let document = self.source.fetch(&Object::Manifest(version.manifest), limits::MANIFEST, deadline)?;
        let signatures = Object::ManifestSignatures(version.manifest);
        let signatures = self.source.fetch(&signatures, limits::SIGNATURES, deadline)?;
        let manifest =
            Verified::<Manifest>::check(&document, &signatures, &version, root, &self.identity, &times)?; // 6
        Ok(Release { version, manifest: Some(manifest), etag })
    }
}
