//! `journal`, `floors` and `cache`, damaged or wrong.

use relatch::{Error, Finding, Local, Outcome, Refusal, Updater};
use serde_json::{Value, json};

use crate::support::damage::{damages, restate};
use crate::support::scene::Warnings;
use crate::support::server::Server;
use crate::support::tool::{install_plain, stderr, stdout};
use crate::support::{Repository, Tool, executable_such, fake};
use crate::{is_told, rollback, updated};

/// For an executable that carries nothing, a damaged journal is the end of updates, told as that, until it is installed again: its version
/// is not known any more. What lies there stays for who wants to look at it.
#[test]
fn a_damaged_journal_is_told_and_installs_nothing() {
    for (name, damage) in damages() {
        let mut scene = updated();
        damage(&scene.tool.site_dir().join("journal"));
        let before = scene.tool.snapshot();
        let warnings = Warnings::default();
        let answer = scene.tool.updater().reporter(warnings.clone()).update(true);
        assert!(matches!(answer, Err(Error::Local(Local::NotInstalled { .. }))), "{name}: {answer:?}");
        let warned = warnings.take();
        assert!(is_told(&warned), "{name}: {warned:?}");
        let answer = rollback(&scene);
        assert!(matches!(answer, Err(Error::Refused(Refusal::StateDamaged { .. }))), "{name}: {answer:?}");
        let site = scene.tool.updater().installation().clone();
        assert!(Updater::status(&site, None).unwrap().damaged.is_some(), "{name}");
        assert_eq!(scene.tool.snapshot(), before, "{name}");
        install_plain(&scene.repository, &scene.tool.path, true).unwrap();
        assert_eq!(std::fs::read(&scene.tool.path).unwrap(), fake("1.2.0"), "{name}");
        scene.is_current(name);
        scene.heals(name);
    }
}

/// Damaged floors are told, nothing comes back by them, and the next verified release replaces them.
#[test]
fn damaged_floors_are_told_and_replaced_by_a_verified_release_alone() {
    for (name, damage) in damages() {
        let mut scene = updated();
        damage(&scene.tool.site_dir().join("floors"));
        let answer = rollback(&scene);
        assert!(matches!(answer, Err(Error::Refused(Refusal::StateDamaged { .. }))), "{name}: {answer:?}");
        let site = scene.tool.updater().installation().clone();
        assert!(Updater::status(&site, None).unwrap().damaged.is_some(), "{name}");
        // A release that is refused replaces nothing.
        let good = std::fs::read(scene.repository.version_path()).unwrap();
        std::fs::write(scene.repository.version_path(), good.to_ascii_uppercase()).unwrap();
        let before = scene.tool.snapshot();
        let warnings = Warnings::default();
        let answer = scene.tool.updater().reporter(warnings.clone()).update(true);
        assert!(matches!(answer, Err(Error::Refused(_))), "{name}: {answer:?}");
        let warned = warnings.take();
        assert!(is_told(&warned), "{name}: {warned:?}");
        assert_eq!(scene.tool.snapshot(), before, "{name}");
        std::fs::write(scene.repository.version_path(), good).unwrap();
        let answer = scene.tool.updater().reporter(warnings.clone()).update(false);
        assert!(matches!(answer, Ok(Outcome::Updated { .. })), "{name}: {answer:?}");
        // Once by the check, and never again.
        assert!(warnings.take().iter().all(|warned| warned.contains("is damaged")), "{name}");
        let answer = scene.tool.updater().reporter(warnings.clone()).update(false);
        assert!(matches!(answer, Ok(Outcome::Nothing(Finding::Current))), "{name}: {answer:?}");
        assert_eq!(warnings.take(), [""; 0], "{name}");
        assert_eq!(rollback(&scene).unwrap().installed().to_string(), "1.1.0", "{name}");
        scene.heals(name);
    }
}

/// Nothing depends on the cache: it costs a check, and nobody hears of it.
#[test]
fn a_damaged_cache_is_nobodys_business() {
    let mut all = damages();
    all.push(("deleted", |path| std::fs::remove_file(path).unwrap()));
    all.push(("of another product", |path| restate(path, |line| line.replacen("widget", "gadget", 1))));
    all.push(("of another channel", |path| restate(path, |line| line.replacen("stable", "beta", 1))));
    all.push(("a finding that is none", |path| restate(path, |line| line.replacen("current", "currant", 1))));
    for (name, damage) in all {
        let mut scene = updated();
        let cache = scene.tool.site_dir().join("cache");
        damage(&cache);
        let site = scene.tool.updater().installation().clone();
        assert_eq!(Updater::status(&site, None).unwrap().damaged, None, "{name}");
        assert_eq!(rollback(&scene).unwrap().installed().to_string(), "1.0.0", "{name}");
        Updater::forward(&site, None, &"1.1.0".parse().unwrap()).unwrap();
        let warnings = Warnings::default();
        let answer = scene.tool.updater().reporter(warnings.clone()).update(false);
        assert!(matches!(answer, Ok(Outcome::Updated { .. })), "{name}: {answer:?}");
        assert_eq!(warnings.take(), [""; 0], "{name}");
        assert_eq!(scene.tool.record("cache")["finding"]["is"], "current", "{name}");
        scene.heals(name);

        // A start asks once, though it was not time, and says nothing.
        let (_repository, server, tool) = served();
        damage(&tool.site_dir().join("cache"));
        let go = |asks: bool| {
            server.forget();
            let output = tool.run(&["go"]);
            assert_eq!(
                (stdout(&output), stderr(&output)),
                ("widget 1.0.0 go\n".into(), String::new()),
                "{name}"
            );
            assert_eq!(!server.requests().is_empty(), asks, "{name}: {:?}", server.requests());
        };
        go(true);
        go(false);
    }
}

/// A tool that has found, at a server, that it is current.
fn served() -> (Repository, Server, Tool) {
    let mut repository = Repository::new();
    let server = Server::plain(&repository);
    let fields = json!({"repository": server.url, "plain": true, "interval": 3600});
    let bytes = executable_such(&repository, "1.0.0", fields);
    repository.release("1.0.0", &bytes);
    let tool = Tool::copied(&bytes);
    assert_eq!(stderr(&tool.run(&["go"])), "");
    (repository, server, tool)
}

/// Absent is not damaged, and no leave either: nothing is taken from the repository that was not given.
#[test]
fn a_deleted_journal_is_told_and_installs_nothing() {
    let mut scene = updated();
    std::fs::remove_file(scene.tool.site_dir().join("journal")).unwrap();
    let before = scene.tool.snapshot();
    let answer = scene.tool.updater().update(true);
    assert!(matches!(answer, Err(Error::Local(Local::NotInstalled { .. }))), "{answer:?}");
    assert_eq!(scene.tool.snapshot(), before);
    assert!(matches!(rollback(&scene), Err(Error::Local(Local::NothingToRollBack { .. }))));
    install_plain(&scene.repository, &scene.tool.path, true).unwrap();
    scene.is_current("installed again");
    scene.heals("installed again");
}

type Change = fn(&mut Value);

/// Records are input: a right hash makes no wrong value right.
#[rustfmt::skip]
fn wrong() -> Vec<(&'static str, &'static str, Change)> {
    fn domain(floors: &mut Value) -> &mut Value {
        &mut floors["domains"][0]
    }
    fn floor(floors: &mut Value) -> &mut Value {
        &mut floors["domains"][0]["epochs"][0]["channels"][0]
    }
    /// One more of the same, and another, until there are so many.
    fn more(list: &mut Value, count: usize, other: impl Fn(&mut Value, usize)) {
        let first = list[0].clone();
        let list = list.as_array_mut().unwrap();
        while list.len() < count {
            let mut next = first.clone();
            other(&mut next, list.len());
            list.push(next);
        }
    }
    fn digest(number: usize) -> Value {
        relatch::trust::Digest::of(&number.to_le_bytes()).to_string().into()
    }
    vec![
        ("journal", "of another kind", |journal| journal["type"] = "relatch-floors/1".into()),
        ("journal", "of no number", |journal| journal["type"] = "relatch-journal/".into()),
        ("journal", "of a number that is spelled otherwise", |journal| journal["type"] = "relatch-journal/01".into()),
        ("journal", "of a number that is none", |journal| journal["type"] = "relatch-journal/1x".into()),
        ("journal", "rollout out of range", |journal| journal["rollout"] = 100.into()),
        ("journal", "too many holds", |journal| {
            journal["held"] = (1..=17).map(|n| json!({"version": format!("{n}")})).collect();
        }),
        ("journal", "a hold twice", |journal| journal["held"] = json!([{"version": "2"}, {"version": "2"}])),
        ("journal", "a version that is none", |journal| journal["installed"]["version"] = "latest".into()),
        ("journal", "a hash that is none", |journal| journal["installed"]["blake3"] = "00".into()),
        ("journal", "an epoch of 0", |journal| journal["installed"]["epoch"] = 0.into()),
        ("journal", "a product that is no name", |journal| journal["product"] = "../widget".into()),
        ("journal", "a field that is missing", |journal| drop(journal.as_object_mut().unwrap().remove("kept"))),
        ("journal", "no object", |journal| *journal = json!([])),
        ("floors", "of another kind", |floors| floors["type"] = "relatch-journal/1".into()),
        ("floors", "seq of 2^53", |floors| floor(floors)["seq"] = (1_u64 << 53).into()),
        ("floors", "issued of 2^53", |floors| floor(floors)["issued"] = (1_u64 << 53).into()),
        ("floors", "expires of 2^53", |floors| floor(floors)["expires"] = (1_u64 << 53).into()),
        ("floors", "manifest_expires of 2^53", |floors| floor(floors)["manifest_expires"] = (1_u64 << 53).into()),
        ("floors", "a channel twice", |floors| more(&mut domain(floors)["epochs"][0]["channels"], 2, |_, _| {})),
        ("floors", "too many channels", |floors| more(&mut domain(floors)["epochs"][0]["channels"], 65, |floor, number| {
            floor["channel"] = format!("c{number}").into();
        })),
        ("floors", "an epoch twice", |floors| more(&mut domain(floors)["epochs"], 2, |_, _| {})),
        ("floors", "epochs in descending order", |floors| more(&mut domain(floors)["epochs"], 2, |floors, _| {
            floors["epoch"] = 1.into();
        })),
        ("floors", "too many that were withdrawn", |floors| {
            floor(floors)["retracted"] = (1..=257).map(|n| Value::from(format!("{n}"))).collect();
        }),
        ("floors", "a domain twice", |floors| more(&mut floors["domains"], 2, |_, _| {})),
        ("floors", "too many domains", |floors| more(&mut floors["domains"], 17, |domain, number| {
            domain["id"] = digest(number);
        })),
        ("floors", "a lineage without a root", |floors| domain(floors)["lineage"]["hashes"] = json!([])),
        ("floors", "a lineage that begins with root 0", |floors| domain(floors)["lineage"]["first"] = 0.into()),
        ("floors", "a lineage of too many roots", |floors| {
            domain(floors)["lineage"]["hashes"] = (0..1025).map(digest).collect();
        }),
    ]
}

#[test]
fn a_record_with_the_right_hash_is_checked_all_the_same() {
    for (file, name, change) in wrong() {
        let scene = updated();
        scene.tool.edit(file, change);
        let before = scene.tool.snapshot();
        let warnings = Warnings::default();
        let answer = rollback(&scene);
        assert!(
            matches!(answer, Err(Error::Refused(Refusal::StateDamaged { .. }))),
            "{file}, {name}: {answer:?}"
        );
        assert_eq!(scene.tool.snapshot(), before, "{file}, {name}");
        let answer = scene.tool.updater().reporter(warnings.clone()).update(true);
        match file {
            "journal" => {
                assert!(
                    matches!(answer, Err(Error::Local(Local::NotInstalled { .. }))),
                    "{name}: {answer:?}"
                );
                assert!(is_told(&warnings.take()), "{file}, {name}");
                assert_eq!(scene.tool.snapshot(), before, "{file}, {name}");
            }
            _ => {
                assert!(matches!(answer, Ok(Outcome::Updated { .. })), "{name}: {answer:?}");
                assert!(warnings.take()[0].contains("the recorded state is damaged"), "{file}, {name}");
                scene.is_current(name);
            }
        }
    }
}

#[test]
fn the_records_of_another_product_are_not_overwritten() {
    for file in ["journal", "floors"] {
        let scene = updated();
        scene.tool.edit(file, |record| record["product"] = "gadget".into());
        scene.refused(file, |refusal| matches!(refusal, Refusal::StateOfOther { .. }));
        let before = scene.tool.snapshot();
        let answer = install_plain(&scene.repository, &scene.tool.path, true);
        assert!(matches!(answer, Err(Error::Refused(Refusal::StateOfOther { .. }))), "{file}: {answer:?}");
        assert_eq!(scene.tool.snapshot(), before, "{file}");
    }
}

/// An administrator may have put small files elsewhere (SPEC section 4.2).
#[cfg(unix)]
#[test]
fn records_behind_links_are_read() {
    let scene = updated();
    for file in ["journal", "floors", "cache"] {
        let (path, elsewhere) = (scene.tool.site_dir().join(file), scene.tool.path.with_file_name(file));
        std::fs::rename(&path, &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
    }
    let status = scene.tool.status();
    assert_eq!((status.damaged, status.next_back.map(|v| v.to_string())), (None, Some("1.0.0".into())));
    assert_eq!(status.finding, Some(Finding::Current));
    rollback(&scene).unwrap();
}
