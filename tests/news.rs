//! Promise: to ask for news is one request, and "nothing has changed" is believed for no longer and about no more than what was verified.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use relatch::Finding;
use relatch::source::{Https, Object};
use relatch::trust::DocumentKind;
use relatch::{Checked, Error, Outcome, Refusal, Unavailable, Updater};
use serde_json::{Value, json};
use support::scene::Stopped;
use support::server::{Answer, Server};
use support::tool::{stderr, stdout};
use support::{Key, Repository, Snapshot, Tool, executable_such, fake, now};

/// An installed tool whose last check found nothing to do, behind a server.
struct Scene {
    repository: Repository,
    server: Server,
    tool: Tool,
}

impl Scene {
    fn new() -> Self {
        let mut repository = Repository::new();
        repository.release("1.0.0", &fake("1.0.0"));
        let tool = Tool::installed_plain(&repository);
        let server = Server::plain(&repository);
        let scene = Scene { repository, server, tool };
        scene.finds_nothing(&Finding::Current);
        scene.finds_nothing(&Finding::Current);
        scene.server.forget();
        scene
    }

    fn updater(&self) -> Updater {
        self.tool.updater().source(Https::plain_on_loopback(&self.server.url).unwrap())
    }

    #[track_caller]
    fn finds_nothing(&self, expected: &Finding) {
        match self.updater().update(false) {
            Ok(Outcome::Nothing(reason)) => assert_eq!(reason, *expected),
            other => panic!("{other:?}"),
        }
    }

    /// One request, for `VERSION`, with a tag or without.
    #[track_caller]
    fn asked_once(&self, with_tag: bool) {
        let heads = self.server.heads();
        assert_eq!(self.server.requests(), ["/base/stable/VERSION"]);
        assert_eq!(heads[0].contains("\r\nif-none-match: \""), with_tag, "{}", heads[0]);
        self.server.forget();
    }

    /// Whether the first request for `VERSION` named a tag.
    fn named_a_tag(&self) -> bool {
        let heads = self.server.heads();
        let head = heads.iter().find(|head| head.starts_with("get /base/stable/version")).unwrap();
        head.contains("\r\nif-none-match: ")
    }

    fn cache(&self) -> Value {
        self.tool.record("cache")
    }

    /// What was accepted last has other values.
    fn edit_floor(&self, change: impl FnOnce(&mut Value)) {
        self.tool.edit("floors", |floors| change(&mut floors["domains"][0]["epochs"][0]["channels"][0]));
    }
}

/// All but the cache.
fn others(scene: &Scene) -> Snapshot {
    let mut snapshot = scene.tool.snapshot();
    snapshot.0.retain(|name, _| !name.ends_with("/cache"));
    snapshot
}

#[test]
fn a_check_is_one_conditional_request_until_there_is_something_newer() {
    let mut scene = Scene::new();
    for _ in 0..3 {
        let checked = scene.cache()["checked"].clone();
        scene.tool.edit("cache", |cache| cache["checked"] = 1.into());
        let before = (scene.cache(), others(&scene));
        scene.finds_nothing(&Finding::Current);
        scene.asked_once(true);
        let mut after = (scene.cache(), others(&scene));
        assert!(after.0["checked"].as_u64() >= checked.as_u64(), "a check that was answered counts");
        after.0["checked"] = before.0["checked"].clone();
        assert_eq!(after, before, "and changes nothing else");
    }
    let released = fake("1.1.0");
    scene.repository.release("1.1.0", &released);
    let outcome = scene.updater().update(false);
    assert!(matches!(outcome, Ok(Outcome::Updated { .. })), "{outcome:?}");
    assert_eq!(std::fs::read(&scene.tool.path).unwrap(), released);
    assert_eq!(scene.server.count("stable/VERSION"), 1);

    // What led to the update was verified as a whole, so that one conditional request does again.
    scene.server.forget();
    scene.finds_nothing(&Finding::Current);
    scene.asked_once(true);
}

#[test]
fn a_start_is_one_conditional_request_and_none_inside_the_interval() {
    let mut repository = Repository::new();
    let server = Server::plain(&repository);
    let fields = |interval: u64| json!({"repository": server.url, "plain": true, "interval": interval});
    let bytes = executable_such(&repository, "1.0.0", fields(0));
    repository.release("1.0.0", &bytes);
    let tool = Tool::copied(&bytes);
    for round in 0..4 {
        server.forget();
        let output = tool.run(&["x"]);
        assert_eq!(stdout(&output), "widget 1.0.0 x\n", "{}", stderr(&output));
        assert_eq!(stderr(&output), "");
        if round > 0 {
            assert_eq!(server.requests(), ["/base/stable/VERSION"]);
            assert!(server.heads()[0].contains("\r\nif-none-match: "));
        }
    }
    std::fs::write(&tool.path, executable_such(&repository, "1.0.0", fields(3600))).unwrap();
    server.forget();
    assert_eq!(stdout(&tool.run(&["x"])), "widget 1.0.0 x\n");
    assert_eq!(server.requests(), [""; 0]);
}

/// Who controls the network can say for ever that nothing has changed.
#[test]
fn unchanged_is_not_believed_past_the_expiry_that_was_signed() {
    let mut scene = Scene::new();
    scene.server.answer("stable/VERSION", Answer::Status(304));
    scene.finds_nothing(&Finding::Current);
    scene.asked_once(true);
    let expires = now() - 1;
    scene.edit_floor(|floor| floor["expires"] = expires.into());
    let before = others(&scene);
    match scene.updater().update(false) {
        Err(Error::Refused(Refusal::Expired {
            document: DocumentKind::Timestamp, expires: found, ..
        })) => {
            assert_eq!(found, expires);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(others(&scene), before);

    scene.server.answer("stable/VERSION", Answer::Times(0, Box::new(Answer::Stall)));
    scene.repository.release("1.1.0", &fake("1.1.0"));
    assert!(matches!(scene.updater().update(false), Ok(Outcome::Updated { .. })));
}

#[test]
fn unchanged_since_it_was_never_asked_for_is_an_error() {
    let mut repository = Repository::new();
    repository.release("1.0.0", &fake("1.0.0"));
    let tool = Tool::installed_plain(&repository);
    let server = Server::plain(&repository);
    server.answer("stable/", Answer::Status(304));
    let before = tool.snapshot();
    let answer = tool.updater().source(Https::plain_on_loopback(&server.url).unwrap()).update(false);
    assert!(matches!(answer, Err(Error::Unavailable(Unavailable::Status { status: 304, .. }))), "{answer:?}");
    assert_eq!(tool.snapshot(), before);
}

/// A record that only a verified release replaces does not wait for the next one.
#[test]
fn unchanged_is_not_asked_with_a_damaged_record() {
    for name in ["journal", "floors"] {
        let mut repository = Repository::new();
        let server = Server::plain(&repository);
        let fields = json!({"repository": server.url, "plain": true, "interval": 0});
        let bytes = executable_such(&repository, "1.0.0", fields);
        repository.release("1.0.0", &bytes);
        let tool = Tool::copied(&bytes);
        assert_eq!(stderr(&tool.run(&["x"])), "");
        std::fs::write(tool.site_dir().join(name), "damaged").unwrap();
        server.forget();
        let told = stderr(&tool.run(&["x"]));
        assert!(told.contains("the recorded state is damaged"), "{name}: {told}");
        assert!(!server.heads().iter().any(|head| head.contains("\r\nif-none-match: ")), "{name}");
        assert_eq!(tool.record(name)["product"], "widget");
        server.forget();
        assert_eq!(stderr(&tool.run(&["x"])), "", "{name}");
        assert_eq!(server.requests(), ["/base/stable/VERSION"], "{name}");
    }
}

/// A new root may have taken away the keys that signed what is called unchanged.
#[test]
fn unchanged_is_not_asked_under_another_root() {
    let mut scene = Scene::new();
    scene.repository.rotate(|repository| {
        repository.epoch = 2;
        repository.timestamp_keys = vec![Key::new(9)];
    });
    scene.tool.edit("cache", |cache| cache["root_checked"] = 1.into());
    let answer = scene.updater().update(false);
    assert!(
        matches!(answer, Err(Error::Refused(Refusal::Threshold { document: DocumentKind::Timestamp, .. }))),
        "{answer:?}"
    );
    assert!(!scene.named_a_tag());
    // The tag is that of the old root. Somebody who answers "unchanged" all the same gains nothing.
    scene.server.forget();
    scene.server.answer("stable/VERSION", Answer::Status(304));
    let answer = scene.updater().update(false);
    assert!(matches!(answer, Err(Error::Unavailable(Unavailable::Status { status: 304, .. }))), "{answer:?}");
    assert!(!scene.named_a_tag());
}

/// A `VERSION` cannot outlive the root that its keys stand in.
#[test]
fn unchanged_is_not_asked_under_an_expired_root() {
    let scene = Scene::new();
    let day = 24 * 60 * 60;
    let far = now() + 3000 * day;
    scene.edit_floor(|floor| {
        floor["expires"] = (far + day).into();
        floor["manifest_expires"] = (far + day).into();
    });
    scene.tool.edit("cache", |cache| cache["validator"]["until"] = (far + day).into());
    scene.server.answer("stable/VERSION", Answer::Status(304));
    let answer = scene.updater().clock(Stopped(far)).update(false);
    assert!(
        matches!(answer, Err(Error::Refused(Refusal::Expired { document: DocumentKind::Root(1), .. }))),
        "{answer:?}"
    );
    assert_eq!(scene.server.count("stable/VERSION"), 0);
}

#[test]
fn unchanged_is_asked_only_where_the_same_would_follow() {
    type Change = fn(&mut Scene);
    let changes: [(&str, Change); 7] = [
        ("the tool was built anew with a newer root", |scene| {
            scene.repository.rotate(|_| {});
            let newer = std::fs::read_to_string(scene.repository.path(&Object::Root(2))).unwrap();
            scene.tool.edit("settings", |settings| settings["root"] = newer.into());
        }),
        ("the manifest of what was found has expired", |scene| {
            scene.tool.edit("cache", |cache| cache["validator"]["until"] = (now() - 1).into());
        }),
        ("another repository's tag", |scene| {
            scene.tool.edit("cache", |cache| {
                cache["validator"]["location"] = relatch::trust::Digest::of(b"x").to_string().into();
            });
        }),
        ("what was found is about another version", |scene| {
            scene.tool.edit("cache", |cache| cache["about"]["version"] = "0.9.0".into());
        }),
        ("something newer was found and not installed", |scene| {
            scene
                .tool
                .edit("cache", |cache| cache["finding"] = json!({"is": "outdated", "version": "1.1.0"}));
        }),
        ("the release had nothing for this target", |scene| {
            scene
                .tool
                .edit("cache", |cache| cache["finding"] = json!({"is": "no-target", "version": "1.1.0"}));
        }),
        ("no check has succeeded yet", |scene| {
            scene.tool.edit("cache", |cache| cache["finding"] = json!({"is": "unknown"}));
        }),
    ];
    for (name, change) in changes {
        let mut scene = Scene::new();
        scene.server.answer("stable/VERSION", Answer::Status(304));
        change(&mut scene);
        drop(scene.updater().update(false));
        assert!(!scene.named_a_tag(), "{name}");
    }
}

#[test]
fn a_release_that_is_not_for_this_installation_yet_costs_one_request_a_check_too() {
    let mut scene = Scene::new();
    let mut draft = scene.repository.draft("1.1.0", &fake("1.1.0"));
    draft.version["rollout"] = 0.into();
    draft.manifest["expires"] = (now() + 3600).into();
    scene.repository.publish(&draft);
    let waits = Finding::NotInRollout { version: "1.1.0".parse().unwrap(), rollout: 0 };
    scene.finds_nothing(&waits);
    assert_eq!(scene.cache()["validator"]["until"], draft.manifest["expires"]);
    scene.server.forget();
    scene.finds_nothing(&waits);
    scene.asked_once(true);
    // Who asks for it now is not told that nothing has changed.
    assert!(matches!(scene.updater().check(true), Ok(Checked::Update { .. })));
    assert!(!scene.named_a_tag());
}

#[test]
fn a_held_release_costs_one_request_a_check_and_a_rollback_forgets_what_was_unchanged() {
    let mut scene = Scene::new();
    scene.repository.release("1.1.0", &fake("1.1.0"));
    assert!(matches!(scene.updater().update(false), Ok(Outcome::Updated { .. })));
    scene.finds_nothing(&Finding::Current);
    let site = scene.updater().installation().clone();
    Updater::rollback(&site, None).unwrap();
    assert_eq!(scene.cache()["validator"], Value::Null);
    let held = Finding::Held { version: "1.1.0".parse().unwrap(), critical: false };
    scene.finds_nothing(&held);
    scene.server.forget();
    scene.finds_nothing(&held);
    scene.asked_once(true);
    Updater::forward(&site, None, &"1.1.0".parse().unwrap()).unwrap();
    scene.finds_nothing(&Finding::Current);
    scene.asked_once(false);
}

#[test]
fn what_is_no_entity_tag_is_not_remembered() {
    for tag in
        ["abc".to_owned(), "\"a b\"".to_owned(), format!("\"{}\"", "x".repeat(300)), "\"a\"b\"".to_owned()]
    {
        let scene = Scene::new();
        scene.tool.edit("cache", |cache| cache["validator"] = Value::Null);
        scene.server.answer("stable/VERSION", Answer::Tagged(tag.clone()));
        scene.finds_nothing(&Finding::Current);
        assert_eq!(scene.cache()["validator"], Value::Null, "{tag}");
    }
}

/// Signs another `VERSION` for the manifest that is named now.
fn renamed(repository: &Repository, change: impl FnOnce(&mut Value)) {
    let published = std::fs::read_to_string(repository.version_path()).unwrap();
    let mut pointer: Value = serde_json::from_str(published.lines().nth(1).unwrap()).unwrap();
    change(&mut pointer);
    let line = pointer["version"].as_str().unwrap().to_owned();
    repository.publish_version(&format!("{line}\n{pointer}\n"), &repository.timestamp_keys);
}

/// Found by the fuzz target `client`: under a higher number no earlier `issued` was looked at, and it took the place of a later one.
#[test]
fn a_manifest_that_was_verified_is_not_taken_again_under_another_number() {
    let scene = Scene::new();
    let before = scene.tool.snapshot();
    renamed(&scene.repository, |pointer| {
        pointer["seq"] = 2.into();
        pointer["issued"] = (now() - 3600).into();
    });
    match scene.updater().update(false) {
        Err(Error::Refused(Refusal::WrongSeq { expected, found, .. })) => {
            assert_eq!((expected.get(), found.get()), (2, 1));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(scene.tool.snapshot(), before);
}

/// Found by the fuzz target `client`: a stolen timestamp key could call a release that was left by the name of the one that came back. A
/// critical one was "current" then, and `Require` let the old one run.
#[test]
fn a_release_that_was_left_does_not_become_current_under_another_name() {
    let mut scene = Scene::new();
    scene.repository.release("1.1.0", &fake("1.1.0"));
    assert!(matches!(scene.updater().update(false), Ok(Outcome::Updated { .. })));
    Updater::rollback(scene.updater().installation(), None).unwrap();
    let before = scene.tool.snapshot();
    renamed(&scene.repository, |pointer| pointer["version"] = "1.0.0".into());
    match scene.updater().update(false) {
        Err(Error::Refused(Refusal::WrongVersion { expected, found, .. })) => {
            assert_eq!((expected.to_string(), found.to_string()), ("1.0.0".into(), "1.1.0".into()));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(scene.tool.snapshot(), before);
}
