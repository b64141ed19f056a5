//! Promise: a newer signed release is installed and runs; going back takes no network and is remembered.

mod support;

use std::io::Read;

use relatch::source::{Etag, Object, Opened, Source};
use relatch::{Error, Local, Outcome, Updater};
use support::tool::{stderr, stdout};
use support::{Repository, Tool, executable};

fn repository_with(version: &str) -> Repository {
    let mut repository = Repository::new();
    let bytes = executable(&repository, version);
    repository.release(version, &bytes);
    repository
}

#[test]
fn a_start_becomes_the_newest_release_and_rollback_undoes_it() {
    let mut repository = repository_with("1.0.0");
    let tool = Tool::copied(&executable(&repository, "1.0.0"));
    assert_eq!(stdout(&tool.run(&["a", "b c"])), "widget 1.0.0 a b c\n");

    let tool = Tool::copied(&executable(&repository, "1.0.0"));
    repository.release("1.1.0", &executable(&repository, "1.1.0"));
    let output = tool.run(&["a", "b c"]);
    assert_eq!(stdout(&output), "widget 1.1.0 a b c\n", "{}", stderr(&output));
    assert!(stderr(&output).contains("updated 1.0.0 to 1.1.0"), "{}", stderr(&output));

    std::fs::remove_dir_all(repository.dir.path()).unwrap(); // no network, no repository
    let output = tool.run(&["--rollback"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(tool.version(), "1.0.0");
    assert!(tool.run(&["--update=1.1.0"]).status.success());
    assert_eq!(tool.version(), "1.1.0");
}

#[test]
fn an_installed_executable_is_updated_once_and_then_current() {
    let mut repository = repository_with("1.0.0");
    let tool = Tool::installed(&repository);
    let before = tool.snapshot();
    assert!(matches!(tool.updater().update(false), Ok(Outcome::Nothing(relatch::Finding::Current))));
    assert_eq!(tool.snapshot().executable(), before.executable());
    repository.release("1.1.0", &executable(&repository, "1.1.0"));
    assert!(matches!(tool.updater().update(false), Ok(Outcome::Updated { .. })));
    assert_eq!(tool.version(), "1.1.0");
    let site = tool.updater().installation().clone();
    Updater::rollback(&site, None).unwrap();
    assert_eq!(tool.version(), "1.0.0");
    let held = tool.updater().update(true);
    assert!(matches!(held, Ok(Outcome::Nothing(relatch::Finding::Held { .. }))), "{held:?}");
}

#[test]
fn nothing_to_go_back_to_is_said_and_leaves_nothing() {
    let repository = repository_with("1.0.0");
    let tool = Tool::copied(&executable(&repository, "1.0.0"));
    let before = tool.snapshot();
    let output = tool.run(&["--rollback"]);
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
    assert_eq!(tool.snapshot(), before);
    let site = relatch::install::Installation::at(&tool.path).unwrap();
    assert!(matches!(Updater::rollback(&site, None), Err(Error::Local(Local::NothingToRollBack { .. }))));
}

/// A source during whose download something happens.
struct Meanwhile<F> {
    source: relatch::source::Dir,
    happens: F,
}

impl<F: Fn() + Send + Sync + 'static> Source for Meanwhile<F> {
    fn open(&self, object: &Object, known: Option<&Etag>) -> Result<Opened, relatch::Unavailable> {
        if matches!(object, Object::Blob(_)) {
            (self.happens)();
        }
        self.source.open(object, known)
    }

    fn location(&self) -> String {
        self.source.location()
    }
}

#[test]
fn a_rollback_does_not_wait_for_a_download_and_the_download_respects_it() {
    let mut repository = repository_with("1.0.0");
    let tool = Tool::installed(&repository);
    repository.release("1.1.0", &executable(&repository, "1.1.0"));
    tool.updater().update(false).unwrap();
    repository.release("1.2.0", &executable(&repository, "1.2.0"));
    let site = tool.updater().installation().clone();
    let happens = move || drop(Updater::rollback(&site, None).unwrap());
    let source = Meanwhile { source: relatch::source::Dir::new(repository.dir.path()), happens };
    let outcome = tool.updater().source(source).update(false);
    assert!(matches!(outcome, Err(Error::Local(Local::ChangedMeanwhile { .. }))), "{outcome:?}");
    assert_eq!(tool.version(), "1.0.0");
    assert!(tool.strays().is_empty(), "{:?}", tool.strays());
    tool.updater().update(false).unwrap();
    assert_eq!(tool.version(), "1.2.0");
}

#[test]
fn a_release_that_does_not_run_here_is_downloaded_once() {
    let mut repository = repository_with("1.0.0");
    let mut config = support::tool::config(&repository, "1.0.0");
    config["interval"] = 0.into();
    let tool = Tool::copied(&support::tool::executable_with(&config));
    repository.release("1.1.0", b"#!/bin/sh\nexit 9\n");
    let start = || tool.run(&[]);
    assert!(stderr(&start()).contains("does not run on this machine"));
    for blob in std::fs::read_dir(repository.dir.path().join("blobs")).unwrap() {
        std::fs::remove_file(blob.unwrap().path()).unwrap();
    }
    let second = start();
    assert!(stderr(&second).contains("it failed before"), "{}", stderr(&second));
    assert_eq!(stdout(&second), "widget 1.0.0 \n");
    // A person may try again, and the next release is another one.
    assert_eq!(tool.run(&["--update"]).status.code(), Some(4));
    repository.release("1.2.0", &executable(&repository, "1.2.0"));
    assert_eq!(stdout(&start()), "widget 1.2.0 \n");
}

#[test]
fn a_download_that_failed_is_tried_again_soon_and_told_for_what_it_is() {
    let mut repository = repository_with("1.0.0");
    let tool = Tool::copied(&executable(&repository, "1.0.0"));
    repository.release("1.1.0", &executable(&repository, "1.1.0"));
    let blobs = repository.dir.path().join("blobs");
    std::fs::rename(&blobs, repository.dir.path().join("away")).unwrap();
    let output = tool.run(&[]);
    assert_eq!(stdout(&output), "widget 1.0.0 \n");
    assert!(stderr(&output).contains("not updated: "), "{}", stderr(&output));
    std::fs::rename(repository.dir.path().join("away"), &blobs).unwrap();
    assert_eq!(stderr(&tool.run(&[])), "", "within the retry time a start does not even ask");
    // The retry time passes.
    tool.edit("cache", |cache| {
        let failed = cache["failure"]["at"].as_u64().unwrap();
        cache["failure"]["at"] = (failed - relatch::limits::STARTUP_RETRY.as_secs()).into();
    });
    assert_eq!(stdout(&tool.run(&[])), "widget 1.1.0 \n");
}

#[test]
fn a_tool_that_follows_another_channel_goes_on() {
    let mut repository = repository_with("1.0.0");
    for version in ["1.1.0", "1.2.0"] {
        repository.release(version, &executable(&repository, version));
    }
    let tool = Tool::copied(&executable(&repository, "1.0.0"));
    assert_eq!(tool.version(), "1.0.0");
    tool.run(&["--update"]);
    assert_eq!(tool.version(), "1.2.0");
    // 1.3.0 follows `next`, whose releases are counted from 1.
    let mut config = support::tool::config(&repository, "1.3.0");
    config["channel"] = "next".into();
    repository.release("1.3.0", &support::tool::executable_with(&config));
    tool.run(&["--update"]);
    assert_eq!(tool.version(), "1.3.0");
    (repository.channel, repository.seq) = ("next".into(), 0);
    repository.release("1.4.0", &executable(&repository, "1.4.0"));
    let output = tool.run(&["--update"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(tool.version(), "1.4.0");
    assert!(tool.run(&["--rollback"]).status.success());
    assert_eq!(tool.version(), "1.3.0");
}

#[test]
fn an_executable_that_somebody_replaced_is_not_taken_for_the_installed_one() {
    let mut repository = repository_with("1.0.0");
    let tool = Tool::installed(&repository);
    std::fs::write(&tool.path, "#!/bin/sh\n").unwrap();
    repository.release("1.1.0", &executable(&repository, "1.1.0"));
    let before = tool.snapshot();
    let outcome = tool.updater().update(false);
    assert!(matches!(outcome, Err(Error::Local(Local::NotInstalled { .. }))), "{outcome:?}");
    assert_eq!(tool.snapshot(), before);
}

/// A source that has something looked at in the middle of each download.
struct Halfway<F> {
    source: relatch::source::Dir,
    look: std::sync::Arc<F>,
}

struct HalfRead<F> {
    reader: Box<dyn Read + Send>,
    look: Option<std::sync::Arc<F>>,
    read: usize,
}

impl<F: Fn() + Send + Sync + 'static> Source for Halfway<F> {
    fn open(&self, object: &Object, known: Option<&Etag>) -> Result<Opened, relatch::Unavailable> {
        match self.source.open(object, known)? {
            Opened::Object { reader, .. } if matches!(object, Object::Blob(_)) => {
                Ok(Opened::object(HalfRead { reader, look: Some(self.look.clone()), read: 0 }))
            }
            opened => Ok(opened),
        }
    }

    fn location(&self) -> String {
        self.source.location()
    }
}

impl<F: Fn()> Read for HalfRead<F> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.read += count;
        // More than is under way in buffers.
        if self.read > 2 << 20
            && let Some(look) = self.look.take()
        {
            look();
        }
        Ok(count)
    }
}

/// The permissions of a file. On Windows it has those of its directory.
fn mode(meta: &std::fs::Metadata) -> Option<u32> {
    #[cfg(unix)]
    return Some(std::os::unix::fs::MetadataExt::mode(meta) & 0o7777);
    #[cfg(not(unix))]
    return meta.permissions().readonly().then_some(0);
}

/// What is downloaded lies beside the executable alone, under a name that nobody can guess, where only its owner can read it.
#[test]
fn a_download_lies_under_a_private_name() {
    let mut repository = repository_with("1.0.0");
    let tool = Tool::installed(&repository);
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    for version in ["1.1.0", "1.2.0"] {
        repository.release(version, &executable(&repository, version));
        let (dir, names) = (tool.site_dir(), seen.clone());
        let look = move || {
            for entry in std::fs::read_dir(&dir).unwrap() {
                let (name, meta) = {
                    let entry = entry.unwrap();
                    (entry.file_name().into_string().unwrap(), entry.metadata().unwrap())
                };
                if name.starts_with("new-") {
                    names.lock().unwrap().push((name, mode(&meta), meta.len()));
                }
            }
        };
        let source = relatch::source::Dir::new(repository.dir.path());
        let outcome = tool.updater().source(Halfway { source, look: look.into() }).update(false);
        assert!(matches!(outcome, Ok(Outcome::Updated { .. })), "{outcome:?}");
    }
    let seen = seen.lock().unwrap();
    let [(first, ..), (second, ..)] = &seen[..] else { panic!("{seen:?}") };
    assert_ne!(first, second);
    for (name, mode, size) in seen.iter() {
        let random = name.strip_prefix("new-").unwrap();
        assert!(random.len() == 16 && random.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}");
        assert_eq!(*mode, cfg!(unix).then_some(0o600), "{name}");
        assert!(*size > 0, "{name} is not what is being downloaded");
    }
}
