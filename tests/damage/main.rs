//! Promise: what the client remembers may be damaged, and is then reported and made whole by a verified check, never believed and never
//! taken as leave.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "the helpers of tests are tests")]

mod support;

use std::path::Path;

use relatch::Finding;
use relatch::source::Object;
use relatch::trust::DocumentKind;
use relatch::{Error, Local, Outcome, Refusal, Updater};
use serde_json::{Value, json};
#[cfg(unix)]
use support::damage::fifo;
use support::damage::{damages, newer, restate};
use support::minisign::sign_all;
use support::scene::{Warnings, keys};
use support::tool::{install_plain, stderr};
use support::{Repository, Scene, Tool, executable, executable_such, fake};

/// A client that has walked to root 3.
fn at_root_3() -> Scene {
    let mut scene = Scene::new();
    scene.repository.rotate(|repository| repository.release_keys = keys(&[7]));
    scene.repository.rotate(|repository| repository.release_keys = keys(&[8]));
    scene.repository.release("1.1.0", &fake("1.1.0"));
    scene.updates_to("root 3", "1.1.0", &fake("1.1.0"));
    assert_eq!(scene.root_on_disk(), 3);
    scene
}

#[test]
fn a_damaged_root_is_told_and_fetched_again() {
    for (name, damage) in damages() {
        let mut scene = at_root_3();
        damage(&scene.tool.site_dir().join("root"));
        let warnings = Warnings::default();
        let answer = scene.tool.updater().reporter(warnings.clone()).update(false);
        assert!(matches!(answer, Ok(Outcome::Nothing(Finding::Current))), "{name}: {answer:?}");
        let warned = warnings.take();
        assert!(
            warned.len() == 1 && warned[0].contains("the recorded root is damaged"),
            "{name}: {warned:?}"
        );
        assert_eq!(scene.root_on_disk(), 3, "{name}");
        let answer = scene.tool.updater().reporter(warnings.clone()).update(false);
        assert!(matches!(answer, Ok(Outcome::Nothing(Finding::Current))), "{name}: {answer:?}");
        assert_eq!(warnings.take(), [""; 0], "{name}");
        scene.heals(name);
    }
}

/// The root beside the executable is an older or a foreign one, or none. The state remembers which number was trusted.
#[test]
fn an_older_root_on_the_disk_is_not_believed() {
    type Replace = fn(&Scene, &Path);
    let rows: [(&str, Replace); 3] = [
        ("deleted", |_, path| std::fs::remove_file(path).unwrap()),
        ("an older one", |scene, path| {
            let root = std::fs::read(scene.repository.path(&Object::Root(2))).unwrap();
            let signatures = std::fs::read(scene.repository.path(&Object::RootSignatures(2))).unwrap();
            std::fs::write(path, [&root[..], b"\n", &signatures].concat()).unwrap();
        }),
        ("another product's", |scene, path| {
            let mut root = scene.repository.root();
            root["product"] = "gadget".into();
            let root = root.to_string();
            let signatures = sign_all(&scene.repository.root_keys, root.as_bytes());
            std::fs::write(path, format!("{root}\n{signatures}")).unwrap();
        }),
    ];
    for (name, replace) in rows {
        let mut scene = at_root_3();
        replace(&scene, &scene.tool.site_dir().join("root"));
        scene.is_current(name);
        assert_eq!(scene.root_on_disk(), 3, "{name}");
        scene.heals(name);
    }
}

/// With a damaged root and a repository that withholds the newest one, nobody goes back to older keys: not the first time, and not
/// the second time either.
#[test]
fn a_damaged_root_is_no_way_back_to_older_keys() {
    for withheld in [2, 3] {
        let name = format!("root {withheld} withheld");
        let mut scene = at_root_3();
        let good = scene.repository.draft("1.2.0", &fake("1.2.0"));
        // What the keys of the root before the withheld one sign, which root 3 has revoked.
        let mut stolen = scene.repository.draft("1.3.0", &fake("1.3.0"));
        stolen.release_keys = keys(&[if withheld == 3 { 7 } else { 2 }]);
        stolen.manifest["root_version"] = 1.into();
        scene.repository.publish(&stolen);
        std::fs::write(scene.tool.site_dir().join("root"), "damaged").unwrap();
        let hidden: Vec<_> = (withheld..=3)
            .map(|number| {
                let path = scene.repository.path(&Object::Root(number));
                let content = std::fs::read(&path).unwrap();
                std::fs::remove_file(&path).unwrap();
                (path, content)
            })
            .collect();
        for _ in 0..3 {
            let answer = scene.tool.updater().update(true);
            assert!(
                matches!(answer, Err(Error::Refused(Refusal::RootAhead { document: DocumentKind::Root(at), needed: 3, trusted }))
                    if (at, trusted) == (withheld - 1, withheld - 1)),
                "{name}: {answer:?}"
            );
            assert_eq!(std::fs::read(&scene.tool.path).unwrap(), fake("1.1.0"), "{name}");
        }
        for (path, content) in hidden {
            std::fs::write(path, content).unwrap();
        }
        scene.repository.publish(&good);
        scene.updates_to(&name, "1.2.0", &fake("1.2.0"));
        assert_eq!(scene.root_on_disk(), 3, "{name}");
    }
}

/// For an executable that carries nothing, a damaged state is the end of updates, told as that, until it is installed again: its version
/// is not known any more. What lies there stays for who wants to look at it.
#[test]
fn a_damaged_state_is_told_and_installs_nothing() {
    for (name, damage) in damages() {
        let mut scene = Scene::new();
        scene.repository.release("1.1.0", &fake("1.1.0"));
        damage(&scene.tool.site_dir().join("state"));
        let before = scene.tool.snapshot();
        let warnings = Warnings::default();
        let answer = scene.tool.updater().reporter(warnings.clone()).update(true);
        assert!(matches!(answer, Err(Error::Local(Local::NotInstalled { .. }))), "{name}: {answer:?}");
        let warned = warnings.take();
        assert!(
            warned.len() == 1 && warned[0].contains("the recorded state is damaged"),
            "{name}: {warned:?}"
        );
        assert_eq!(scene.tool.snapshot(), before, "{name}");
        let site = scene.tool.updater().installation().clone();
        let answer = Updater::rollback(&site, None);
        assert!(matches!(answer, Err(Error::Refused(Refusal::StateDamaged { .. }))), "{name}: {answer:?}");
        let status = Updater::status(&site, None).unwrap();
        assert!(status.damaged.is_some(), "{name}");
        assert_eq!(scene.tool.snapshot(), before, "{name}");
        install_plain(&scene.repository, &scene.tool.path, true).unwrap();
        assert_eq!(std::fs::read(&scene.tool.path).unwrap(), fake("1.1.0"), "{name}");
        scene.is_current(name);
        scene.heals(name);
    }
}

/// Absent is not damaged, and no leave either: nothing is taken from the repository that was not given.
#[test]
fn a_deleted_state_is_told_and_installs_nothing() {
    let mut scene = Scene::new();
    scene.repository.release("1.1.0", &fake("1.1.0"));
    std::fs::remove_file(scene.tool.site_dir().join("state")).unwrap();
    let before = scene.tool.snapshot();
    let answer = scene.tool.updater().update(true);
    assert!(matches!(answer, Err(Error::Local(Local::NotInstalled { .. }))), "{answer:?}");
    assert_eq!(scene.tool.snapshot(), before);
    install_plain(&scene.repository, &scene.tool.path, true).unwrap();
    scene.is_current("installed again");
    scene.heals("installed again");
}

/// State is input: a right hash makes no wrong value right.
#[test]
fn a_state_with_the_right_hash_is_checked_all_the_same() {
    fn set(line: String, pointer: &str, value: Value) -> String {
        let mut state: Value = serde_json::from_str(&line).unwrap();
        *state.pointer_mut(pointer).unwrap() = value;
        state.to_string()
    }
    type Change = fn(String) -> String;
    let rows: [(&str, Change); 9] = [
        ("rollout out of range", |line| set(line, "/rollout", 100.into())),
        ("too many holds", |line| {
            set(line, "/held", (1..=17).map(|n| format!("{n}")).collect::<Vec<_>>().into())
        }),
        ("seq of 2^53", |line| set(line, "/floors/seq", (1_u64 << 53).into())),
        ("a version that is none", |line| set(line, "/installed/version", "latest".into())),
        ("a hash that is none", |line| set(line, "/installed/blake3", "00".into())),
        ("a product that is no name", |line| set(line, "/product", "../widget".into())),
        ("unknown field", |line| line.replacen('{', "{\"x\":1,", 1)),
        ("a space", |line| line.replacen(':', ": ", 1)),
        ("no object", |_| "[]".into()),
    ];
    for (name, change) in rows {
        let scene = Scene::new();
        restate(&scene.tool.site_dir().join("state"), change);
        let before = scene.tool.snapshot();
        let warnings = Warnings::default();
        let answer = scene.tool.updater().reporter(warnings.clone()).update(true);
        assert!(matches!(answer, Err(Error::Local(Local::NotInstalled { .. }))), "{name}: {answer:?}");
        let warned = warnings.take();
        assert!(
            warned.len() == 1 && warned[0].contains("the recorded state is damaged"),
            "{name}: {warned:?}"
        );
        assert_eq!(scene.tool.snapshot(), before, "{name}");
    }
    let scene = Scene::new();
    restate(&scene.tool.site_dir().join("state"), |line| line.replacen("widget", "gadget", 1));
    scene.refused("another product's", |refusal| matches!(refusal, Refusal::StateOfOther { .. }));
}

#[test]
fn a_state_of_a_newer_version_is_left_alone() {
    let mut scene = Scene::new();
    scene.repository.release("1.1.0", &fake("1.1.0"));
    newer(&scene.tool.site_dir().join("state"));
    let is =
        |refusal: &Refusal| matches!(refusal, Refusal::StateTooNew { found } if found == "relatch-state/2");
    scene.refused("update", is);
    let before = scene.tool.snapshot();
    let site = scene.tool.updater().installation().clone();
    for answer in [
        Updater::rollback(&site, None).map(drop),
        Updater::status(&site, None).map(drop),
        install_plain(&scene.repository, &scene.tool.path, true).map(drop),
    ] {
        assert!(matches!(&answer, Err(Error::Refused(refusal)) if is(refusal)), "{answer:?}");
    }
    assert_eq!(scene.tool.snapshot(), before);
}

/// A tool that carries its root and knows its version, at 1.0.0 and with a state.
fn carrying() -> (Repository, Tool) {
    let mut repository = Repository::new();
    repository.seq = 5;
    let bytes = executable(&repository, "1.0.0");
    repository.release("1.0.0", &bytes);
    let tool = Tool::copied(&bytes);
    let output = tool.run(&["--update"]);
    assert!(output.status.success(), "{}", stderr(&output));
    (repository, tool)
}

fn floor_seq(tool: &Tool) -> u64 {
    let text = std::fs::read_to_string(tool.site_dir().join("state")).unwrap();
    let state: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    state["floors"]["seq"].as_u64().unwrap()
}

#[test]
fn a_tool_that_carries_its_root_makes_a_damaged_state_whole_by_a_good_check_and_by_nothing_else() {
    let (repository, tool) = carrying();
    let state = tool.site_dir().join("state");
    let good = std::fs::read(repository.version_path()).unwrap();
    for (name, damage) in damages() {
        damage(&state);
        // What lies there is replaced neither by a check that is refused nor by a start that finds no repository and runs.
        std::fs::write(repository.version_path(), good.to_ascii_uppercase()).unwrap();
        let before = tool.snapshot();
        let output = tool.run(&["--update"]);
        assert_eq!(output.status.code(), Some(3), "{name}: {}", stderr(&output));
        assert!(stderr(&output).contains("the recorded state is damaged"), "{name}: {}", stderr(&output));
        std::fs::remove_file(repository.version_path()).unwrap();
        assert_eq!(support::tool::stdout(&tool.run(&["go"])), "widget 1.0.0 go\n", "{name}");
        assert_eq!(tool.snapshot(), before, "{name}");

        std::fs::write(repository.version_path(), &good).unwrap();
        let output = tool.run(&["--update"]);
        assert!(output.status.success(), "{name}: {}", stderr(&output));
        assert!(stderr(&output).contains("the recorded state is damaged"), "{name}: {}", stderr(&output));
        assert_eq!(floor_seq(&tool), 6, "{name}");
        let output = tool.run(&["--update"]);
        assert!(output.status.success() && stderr(&output).is_empty(), "{name}: {}", stderr(&output));
    }
}

/// Without a state the highest number seen is forgotten: a replayed VERSION is believed as long as it has not expired. It can withhold
/// news for that time; an older executable never comes with it, because the version that runs is known to the tool itself.
#[test]
fn a_tool_without_its_state_never_goes_back_to_an_older_executable() {
    let (mut repository, tool) = carrying();
    repository.seq = 1;
    let older = executable(&repository, "0.9.0");
    repository.release("0.9.0", &older);
    let output = tool.run(&["--update"]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("sequence number 2, but epoch 1 and number 6 were seen before"),
        "{}",
        stderr(&output)
    );
    std::fs::remove_file(tool.site_dir().join("state")).unwrap();
    let output = tool.run(&["--update"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(tool.version(), "1.0.0");
    assert_eq!(floor_seq(&tool), 2);
    repository.release("1.1.0", &executable(&repository, "1.1.0"));
    let output = tool.run(&["--update"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(tool.version(), "1.1.0");
}

#[test]
fn a_tool_leaves_a_newer_state_alone_and_runs() {
    let (mut repository, tool) = carrying();
    repository.release("1.1.0", &executable(&repository, "1.1.0"));
    newer(&tool.site_dir().join("state"));
    let before = tool.snapshot();
    let output = tool.run(&["--update"]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(stderr(&output).contains("relatch-state/2"), "{}", stderr(&output));
    let output = tool.run(&["go"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(support::tool::stdout(&output), "widget 1.0.0 go\n");
    assert!(stderr(&output).contains("relatch-state/2"), "{}", stderr(&output));
    assert_eq!(tool.snapshot(), before);
}

/// What a tool carries counts where it is newer than what an older one recorded beside it: a mirror that withholds the root that took a
/// key away does not bring the key back.
#[test]
fn a_tool_that_carries_a_newer_root_than_the_recorded_one_goes_by_its_own() {
    let mut repository = Repository::new();
    let bytes = executable(&repository, "1.0.0");
    repository.rotate(|_| {});
    repository.release("1.0.0", &bytes);
    let tool = Tool::copied(&bytes);
    let output = tool.run(&["--update"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let recorded = std::fs::read_to_string(tool.site_dir().join("root")).unwrap();
    assert!(recorded.contains("\"version\":2,"), "{recorded}");

    // Root 3 takes the release key away, and a person installs 1.1.0, which carries root 3, by copying it.
    let stolen = repository.release_keys.clone();
    repository.rotate(|repository| repository.release_keys = keys(&[7]));
    let root = repository.path(&Object::Root(3));
    let document = std::fs::read_to_string(&root).unwrap();
    let carrying = |version: &str| executable_such(&repository, version, json!({"root": document}));
    let (bytes, newer) = (carrying("1.1.0"), carrying("1.2.0"));
    std::fs::write(&tool.path, &bytes).unwrap();
    std::fs::remove_file(&root).unwrap();
    let mut thiefs = repository.draft("1.2.0", &newer);
    thiefs.manifest["root_version"] = 2.into();
    thiefs.release_keys = stolen;
    repository.publish(&thiefs);
    let output = tool.run(&["--update"]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(stderr(&output).contains("0 of the 1 release keys"), "{}", stderr(&output));
    assert_eq!(tool.version(), "1.1.0");

    repository.release("1.2.0", &newer);
    let output = tool.run(&["--update"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(tool.version(), "1.2.0");
}

/// Nothing could take its place: no start asks for a check that it cannot record.
#[test]
fn a_directory_in_the_place_of_the_state_is_told_and_left_alone() {
    let (mut repository, tool) = carrying();
    let state = tool.site_dir().join("state");
    std::fs::remove_file(&state).unwrap();
    std::fs::create_dir(&state).unwrap();
    repository.release("1.1.0", &executable(&repository, "1.1.0"));
    let before = tool.snapshot();
    for (argument, code) in [("--update", 5), ("--rollback", 5), ("go", 0)] {
        let output = tool.run(&[argument]);
        assert_eq!(output.status.code(), Some(code), "{argument}: {}", stderr(&output));
        let told = format!("{}: not a regular file", state.display());
        assert!(stderr(&output).contains(&told), "{argument}: {}", stderr(&output));
        assert_eq!(tool.snapshot(), before, "{argument}");
    }
    std::fs::remove_dir(&state).unwrap();
    let output = tool.run(&["go"]);
    assert_eq!(support::tool::stdout(&output), "widget 1.1.0 go\n", "{}", stderr(&output));
}

/// A file of the tool's own under which something else lies by now costs a moment, and says so; the tool runs, and where it is needed no more
/// it is replaced.
#[test]
#[cfg(unix)]
fn nothing_waits_for_the_other_end_of_a_fifo() {
    for (file, told, updates) in [
        ("state", "the recorded state is damaged: ", true),
        ("root", "the recorded state is damaged: ", true),
        ("previous", "", true),
        ("leaving", "", true),
        ("lock", "/lock: not a regular file", false),
        ("staging", "/staging: not a regular file", false),
    ] {
        let (mut repository, tool) = carrying();
        let path = tool.site_dir().join(file);
        drop(std::fs::remove_file(&path));
        fifo(&path).unwrap();
        repository.release("1.1.0", &executable(&repository, "1.1.0"));
        let run = |argument: &str| {
            let mut command = std::process::Command::new("timeout");
            command.env_remove("CI").env_remove("RELATCH_NO_UPDATE").arg("30").arg(&tool.path).arg(argument);
            let output = support::tool::run(&mut command);
            assert_ne!(output.status.code(), Some(124), "{file}: {argument} waits");
            output
        };
        let status = run("--update-status");
        assert!(status.status.success(), "{file}: {}", stderr(&status));
        let before = tool.digest();
        let output = run("--update");
        assert!(stderr(&output).contains(told), "{file}: {}", stderr(&output));
        assert_eq!(output.status.code(), Some(if updates { 0 } else { 5 }), "{file}: {}", stderr(&output));
        if !updates {
            assert!(!run("--rollback").status.success(), "{file}");
            assert_eq!((tool.digest(), tool.strays()), (before, vec![]), "{file}");
        }
        let version = if updates { "1.1.0" } else { "1.0.0" };
        assert_eq!(support::tool::stdout(&run("go")), format!("widget {version} go\n"), "{file}");
    }
}

/// An administrator may have put small files elsewhere (SPEC section 4.2).
#[cfg(unix)]
#[test]
fn a_state_behind_a_link_is_read() {
    let mut scene = Scene::new();
    scene.repository.release("1.1.0", &fake("1.1.0"));
    scene.updates_to("behind a link", "1.1.0", &fake("1.1.0"));
    let site = scene.tool.updater().installation().clone();
    let (state, elsewhere) = (site.dir().join("state"), scene.tool.path.with_file_name("state-elsewhere"));
    std::fs::rename(&state, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &state).unwrap();
    let status = Updater::status(&site, None).unwrap();
    assert_eq!((status.damaged, status.previous.map(|v| v.to_string())), (None, Some("1.0.0".into())));
    Updater::rollback(&site, None).unwrap();
}
