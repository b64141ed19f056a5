//! The file `root`, and the roots that a program carries.

use relatch::source::Object;
use relatch::trust::DocumentKind;
use relatch::{Error, Finding, Outcome, Refusal};
use serde_json::{Value, json};
use std::path::Path;

use crate::carrying;
use crate::support::damage::damages;
use crate::support::minisign::sign_all;
use crate::support::scene::{Warnings, keys};
use crate::support::tool::stderr;
use crate::support::{Repository, Scene, Tool, executable, executable_such, fake};

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

/// The lineage says which roots were verified: what is not whole is fetched again, which is not worth a word.
#[test]
fn a_damaged_root_is_fetched_again() {
    for (name, damage) in damages() {
        let mut scene = at_root_3();
        let root = scene.tool.site_dir().join("root");
        let good = std::fs::read(&root).unwrap();
        damage(&root);
        let warnings = Warnings::default();
        for _ in 0..2 {
            let answer = scene.tool.updater().reporter(warnings.clone()).update(false);
            assert!(matches!(answer, Ok(Outcome::Nothing(Finding::Current))), "{name}: {answer:?}");
            assert_eq!(warnings.take(), [""; 0], "{name}");
            assert_eq!(std::fs::read(&root).unwrap(), good, "{name}");
        }
        scene.heals(name);
    }
}

/// The root beside the executable is an older or a foreign one, or none. The lineage remembers which ones were trusted.
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

/// A newer build by hand, of a tool that has never seen a new root: the root that it verified last is known by its hash, and read again.
#[test]
fn a_newer_build_by_hand_joins_the_chain() {
    let (mut repository, tool) = carrying();
    repository.rotate(|repository| repository.release_keys = keys(&[7]));
    let document = std::fs::read_to_string(repository.path(&Object::Root(2))).unwrap();
    let carrying = |version: &str| executable_such(&repository, version, json!({"root": document}));
    let (bytes, newer) = (carrying("1.1.0"), carrying("1.2.0"));
    std::fs::write(&tool.path, &bytes).unwrap();
    repository.release("1.2.0", &newer);
    // Somebody else's root 1, or none: nothing is changed, and nothing is installed.
    let path = repository.path(&Object::Root(1));
    let good = std::fs::read(&path).unwrap();
    let mut other: Value = serde_json::from_slice(&good).unwrap();
    other["issued"] = (other["issued"].as_u64().unwrap() - 1).into();
    let before = tool.snapshot();
    for bad in [Some(other.to_string()), Some("{}".into()), None] {
        match &bad {
            Some(bad) => std::fs::write(&path, bad).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        let output = tool.run(&["--update"]);
        assert_eq!(output.status.code(), Some(3), "{bad:?}: {}", stderr(&output));
        assert!(stderr(&output).contains("it cannot be determined whether root 2"), "{}", stderr(&output));
        assert_eq!(tool.snapshot(), before, "{bad:?}");
    }
    std::fs::write(&path, good).unwrap();
    let output = tool.run(&["--update"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stderr(&output), "", "it is the same chain");
    assert_eq!(tool.version(), "1.2.0");
    let floors = tool.record("floors");
    assert_eq!(floors["domains"].as_array().unwrap().len(), 1);
    assert_eq!(floors["domains"][0]["lineage"]["hashes"].as_array().unwrap().len(), 2);
    assert!(tool.run(&["--rollback"]).status.success());
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
    // Whether root 3 is of the chain cannot be determined: nothing is changed, and nothing is installed.
    let before = tool.snapshot();
    let output = tool.run(&["--update"]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(stderr(&output).contains("it cannot be determined whether root 3"), "{}", stderr(&output));
    assert_eq!(tool.snapshot(), before);
    std::fs::write(&root, &document).unwrap();
    let output = tool.run(&["--update"]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(stderr(&output).contains("0 of the 1 release keys"), "{}", stderr(&output));
    assert_eq!(tool.version(), "1.1.0");

    repository.release("1.2.0", &newer);
    let output = tool.run(&["--update"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(tool.version(), "1.2.0");
}
