//! What a client remembers of a release is no leave to withhold the next one for ever, to poison the clock, to forget what another channel
//! said, or to bring back what was withdrawn.

use relatch::source::Https;
use relatch::trust::DocumentKind;
use relatch::{Error, Finding, Outcome, Refusal, Unavailable, Updater};
use serde_json::{Value, json};

use crate::support::scene::{Stopped, keys};
use crate::support::server::{Answer, Server};
use crate::support::tool::{make_executable, run, stderr, stdout};
use crate::support::{Draft, Repository, Scene, Tool, executable_such, fake, now};

const DAY: u64 = 24 * 60 * 60;
const YEAR: u64 = 365 * DAY;

/// A repository whose roots outlive everything else.
fn long_lived() -> Repository {
    let repository = Repository::new();
    write_root(&repository);
    repository
}

fn write_root(repository: &Repository) {
    let mut root = repository.root();
    root["expires"] = (now() + 20 * YEAR).into();
    repository.write_root(repository.root_version, &root, &repository.root_keys);
}

/// The `VERSION` that is published, signed anew by the timestamp key alone.
fn renew(repository: &Repository, change: impl FnOnce(&mut Value)) {
    let published = std::fs::read_to_string(repository.version_path()).unwrap();
    let mut version: Value = serde_json::from_str(published.lines().nth(1).unwrap()).unwrap();
    change(&mut version);
    let line = version["version"].as_str().unwrap().to_owned();
    repository.publish_version(&format!("{line}\n{version}\n"), &repository.timestamp_keys);
}

/// Whoever has the timestamp key and the network shows a client the release that it knows, for as long as they like: until its manifest
/// expires, and not until the root does.
#[test]
fn a_client_is_frozen_until_the_manifest_expires_and_no_longer() {
    /// What it is, how it comes about, and what a check then finds.
    type Situation = (&'static str, Arrange, fn(&Finding) -> bool);
    type Arrange = fn(&mut Scene);
    let situations: [Situation; 3] = [
        ("installed", |_| {}, |finding| matches!(finding, Finding::Current)),
        (
            "held",
            |scene| {
                scene.repository.release("1.1.0", &fake("1.1.0"));
                scene.updates_to("before it is held", "1.1.0", &fake("1.1.0"));
                Updater::rollback(scene.tool.updater().installation(), None).unwrap();
            },
            |finding| matches!(finding, Finding::Held { .. }),
        ),
        (
            "not rolled out here",
            |scene| {
                let mut draft = scene.repository.draft("1.1.0", &fake("1.1.0"));
                draft.version["rollout"] = 0.into();
                scene.repository.publish(&draft);
            },
            |finding| matches!(finding, Finding::NotInRollout { .. }),
        ),
    ];
    for (name, arrange, is) in situations {
        for unchanged in [false, true] {
            let name = format!("{name}, {}", if unchanged { "304" } else { "200" });
            println!("6k    {name}");
            let mut scene = Scene::of(long_lived());
            let server = Server::plain(&scene.repository);
            arrange(&mut scene);
            renew(&scene.repository, |version| {
                (version["issued"], version["expires"]) = (now().into(), (now() + 15 * YEAR).into());
            });
            let check = |days: u64| {
                let source = Https::plain_on_loopback(&server.url).unwrap();
                scene.tool.updater().source(source).clock(Stopped(now() + days * DAY)).update(false)
            };
            for days in [0, 0, 89] {
                let answer = check(days);
                assert!(
                    matches!(&answer, Ok(Outcome::Nothing(finding)) if is(finding)),
                    "{name}: {answer:?}"
                );
            }
            if unchanged {
                server.answer("stable/VERSION", Answer::Status(304));
                assert!(matches!(check(89), Ok(Outcome::Nothing(_))), "{name}");
                // Past the time up to which "unchanged" is asked for, nobody asked.
                let answer = check(91);
                assert!(
                    matches!(answer, Err(Error::Unavailable(Unavailable::Status { status: 304, .. }))),
                    "{name}: {answer:?}"
                );
                scene.tool.edit("cache", |cache| cache["validator"]["until"] = (now() + 15 * YEAR).into());
            }
            let (executable, floors) = (scene.tool.digest(), scene.tool.record("floors"));
            for days in [91, 1000, 5000] {
                let answer = check(days);
                assert!(
                    matches!(
                        answer,
                        Err(Error::Refused(Refusal::Expired { document: DocumentKind::Manifest, .. }))
                    ),
                    "{name}, day {days}: {answer:?}"
                );
            }
            assert_eq!((scene.tool.digest(), scene.tool.record("floors")), (executable, floors), "{name}");
            // A good release is taken, by the true time.
            server.behave();
            scene.repository.release("2.0.0", &fake("2.0.0"));
            let answer = check(0);
            assert!(matches!(answer, Ok(Outcome::Updated { .. })), "{name}: {answer:?}");
        }
    }
}

/// The same under `Require`: the tool does not run, by the record inside the interval nor by a check.
#[test]
fn a_frozen_tool_that_must_be_current_does_not_run() {
    for interval in [0, 3600] {
        let mut repository = long_lived();
        let bytes = executable_such(&repository, "1.0.0", json!({"policy": "require", "interval": interval}));
        repository.release("1.0.0", &bytes);
        renew(&repository, |version| version["expires"] = (now() + 15 * YEAR).into());
        let tool = Tool::copied(&bytes);
        assert_eq!(stdout(&tool.run(&["x"])), "widget 1.0.0 x\n");
        // The time of the manifest has come; that of VERSION is what the thief wants.
        tool.edit("floors", |floors| {
            let floor = &mut floors["domains"][0]["epochs"][0]["channels"][0];
            assert_eq!(floor["expires"].as_u64().unwrap() / YEAR, (now() + 15 * YEAR) / YEAR);
            floor["manifest_expires"] = (now() - 1).into();
        });
        let output = tool.run(&["x"]);
        assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
        assert_eq!(stdout(&output), "");
        assert!(stderr(&output).contains("manifest expired at"), "{}", stderr(&output));
    }
}

/// The clock was ahead once, and at that time somebody who had the timestamp key showed a `VERSION` of that time. A new epoch ends it.
#[test]
fn a_clock_that_was_ahead_once_is_healed_by_a_raised_epoch_and_not_before() {
    let mut scene = Scene::of(long_lived());
    let manifest_lives = |draft: &mut Draft| draft.manifest["expires"] = (now() + 15 * YEAR).into();
    let mut forged = scene.repository.draft("1.0.0", &fake("1.0.0"));
    manifest_lives(&mut forged);
    forged.version["issued"] = (now() + 10 * YEAR).into();
    forged.version["expires"] = (now() + 11 * YEAR).into();
    scene.repository.publish(&forged);
    // By the right time it is one of the future.
    scene.refused("by the right time", |refusal| {
        matches!(refusal, Refusal::NotYetValid { document: DocumentKind::Timestamp, .. })
    });
    let answer = scene.tool.updater().clock(Stopped(now() + 10 * YEAR)).update(false);
    assert!(matches!(answer, Ok(Outcome::Nothing(Finding::Current))), "{answer:?}");
    assert_eq!(scene.tool.floor()["issued"], forged.version["issued"]);

    let is_expired = |refusal: &Refusal| matches!(refusal, Refusal::Expired { document: DocumentKind::Timestamp, now: at, .. } if *at > now() + 9 * YEAR);
    let release = |scene: &mut Scene| {
        let mut draft = scene.repository.draft("1.1.0", &fake("1.1.0"));
        manifest_lives(&mut draft);
        scene.repository.publish(&draft);
    };
    release(&mut scene);
    scene.refused_with_floors("a good release", is_expired);
    // Another key alone does not help.
    scene.repository.root_version = 2;
    let old = scene.repository.root_keys.clone();
    scene.repository.timestamp_keys = keys(&[9]);
    write_root(&scene.repository);
    release(&mut scene);
    let answer = scene.tool.updater().update(false);
    assert!(matches!(&answer, Err(Error::Refused(refusal)) if is_expired(refusal)), "{answer:?}");
    assert_eq!(scene.root_on_disk(), 2);
    // A new epoch does.
    (scene.repository.root_version, scene.repository.epoch, scene.repository.seq) = (3, 2, 0);
    assert_eq!(old.len(), scene.repository.root_keys.len());
    write_root(&scene.repository);
    release(&mut scene);
    scene.updates_to("a raised epoch", "1.1.0", &fake("1.1.0"));
    let floor = scene.tool.floor();
    assert!(floor["issued"].as_u64().unwrap() <= now(), "{floor}");
    scene.is_current("and from then on");
}

/// What one channel said counts when the tool follows another: for what may come back, and when it follows the first again.
#[test]
fn a_switch_of_channel_forgets_nothing() {
    let mut scene = Scene::new();
    let follow = |scene: &mut Scene, channel: &str| {
        scene.tool.edit("settings", |settings| settings["channel"] = channel.into());
        scene.repository.channel = channel.into();
    };
    let replayed = std::fs::read(scene.repository.version_path()).unwrap();
    let mut draft = scene.repository.draft("2.0.0", &fake("2.0.0"));
    (draft.manifest["min_version"], draft.version["rollout"]) = ("1.5.0".into(), 0.into());
    scene.repository.publish(&draft);
    let answer = scene.tool.updater().update(false);
    assert!(matches!(answer, Ok(Outcome::Nothing(Finding::NotInRollout { .. }))), "{answer:?}");
    let of_stable = scene.tool.floor();

    // The other channel counts from 1, and its own lowest version is what binds an update.
    follow(&mut scene, "beta");
    let of_stable_seq = std::mem::replace(&mut scene.repository.seq, 0);
    scene.repository.release("1.2.0", &fake("1.2.0"));
    scene.updates_to("the other channel", "1.2.0", &fake("1.2.0"));
    let (before, site) = (scene.tool.snapshot(), scene.tool.updater().installation().clone());
    let answer = Updater::rollback(&site, None);
    assert!(
        matches!(&answer, Err(Error::Refused(Refusal::BelowFloor { floor, found }))
            if (floor.to_string(), found.to_string()) == ("1.5.0".into(), "1.0.0".into())),
        "{answer:?}"
    );
    assert_eq!(scene.tool.snapshot(), before);

    // Back again: an older release of the first channel is one.
    follow(&mut scene, "stable");
    std::fs::write(scene.repository.version_path(), replayed).unwrap();
    scene.refused(
        "the first channel again",
        |refusal| matches!(refusal, Refusal::Downgrade { seq, found_seq, .. } if found_seq < seq),
    );
    let channels = scene.tool.record("floors")["domains"][0]["epochs"][0]["channels"].clone();
    assert!(channels.as_array().unwrap().contains(&of_stable), "{channels}");
    scene.repository.seq = of_stable_seq;
    let mut below = scene.repository.draft("1.4.0", &fake("1.4.0"));
    below.manifest["min_version"] = Value::Null;
    scene.repository.publish(&below);
    scene.refused_with_floors(
        "below its lowest version",
        |refusal| matches!(refusal, Refusal::BelowFloor { floor, .. } if floor.to_string() == "1.5.0"),
    );
    scene.heals("the first channel");
}

/// 1.0.1 in the place of 1.1.0, which the publisher has withdrawn.
fn withdrawn(policy: &str) -> (Repository, Tool, String) {
    let mut repository = Repository::new();
    let fields = json!({"policy": policy, "interval": 0, "keep": 1});
    let bytes = |version: &str| executable_such(&repository, version, fields.clone());
    let (old, bad, good) = (bytes("1.0.0"), bytes("1.1.0"), bytes("1.0.1"));
    let tool = Tool::copied(&old);
    repository.release("1.1.0", &bad);
    assert_eq!(stdout(&tool.run(&["x"])), "widget 1.1.0 x\n");
    let mut draft = repository.draft("1.0.1", &good);
    draft.manifest["retracts"] = json!(["1.1.0"]);
    repository.publish(&draft);
    let output = tool.run(&["x"]);
    assert_eq!(stdout(&output), "widget 1.0.1 x\n", "{}", stderr(&output));
    (repository, tool, stderr(&output))
}

#[test]
fn what_the_publisher_withdrew_does_not_come_back() {
    for policy in ["auto", "require"] {
        let (_repository, tool, told) = withdrawn(policy);
        let expected = "widget: updating 1.1.0 to 1.0.1\nwidget: replaced 1.1.0 by 1.0.1: the publisher withdrew 1.1.0\n";
        assert_eq!(told, expected);
        let before = tool.snapshot();
        let refused = |name: &str, output: std::process::Output| {
            assert_eq!(output.status.code(), Some(3), "{policy}, {name}: {}", stderr(&output));
            assert_eq!(stdout(&output), "", "{policy}, {name}");
            let told = stderr(&output);
            assert!(told.contains("1.1.0") && told.contains("withdr"), "{policy}, {name}: {told}");
            assert!(!told.contains("--rollback"), "{policy}, {name}: {told}");
            assert_eq!(tool.snapshot(), before, "{policy}, {name}");
        };
        refused("--rollback", tool.run(&["--rollback"]));
        let mut previous = std::process::Command::new(tool.previous());
        refused("previous --rollback", run(previous.arg("--rollback").env_remove("CI")));
        let site = relatch::install::Installation::at(&tool.path).unwrap();
        let answer = Updater::rollback(&site, None); // `relatch rollback`
        assert!(
            matches!(&answer, Err(Error::Refused(Refusal::Retracted { version })) if version.to_string() == "1.1.0"),
            "{policy}: {answer:?}"
        );
        assert_eq!(tool.snapshot(), before, "{policy}");
        assert_eq!(stdout(&tool.run(&["x"])), "widget 1.0.1 x\n", "{policy}");
    }
}

/// Put back by hand it is replaced again; where that cannot be, under `Require`, it does not run.
#[test]
fn what_the_publisher_withdrew_does_not_run_under_require() {
    let (repository, tool, _) = withdrawn("require");
    let put_back = || {
        let bytes = std::fs::read(tool.previous()).unwrap();
        std::fs::remove_file(&tool.path).unwrap();
        std::fs::write(&tool.path, bytes).unwrap();
        make_executable(&tool.path);
    };
    put_back();
    let blobs = repository.dir.path().join("blobs");
    std::fs::rename(&blobs, repository.dir.path().join("away")).unwrap();
    let output = tool.run(&["x"]);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(4), ""), "{}", stderr(&output));
    std::fs::rename(repository.dir.path().join("away"), &blobs).unwrap();
    assert_eq!(stdout(&tool.run(&["x"])), "widget 1.0.1 x\n");
}
