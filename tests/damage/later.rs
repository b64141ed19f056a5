//! Records that a later version of relatch wrote.

use serde_json::json;

use crate::support::damage::newer;
use crate::support::tool::{install_plain, run, stderr, stdout};
use crate::support::{Tool, executable, fake};
use crate::{carrying, rollback, updated};

/// Fields of a later version, wherever one can stand, and another number of the type.
fn by_a_later_version(tool: &Tool) {
    for file in ["journal", "floors", "cache"] {
        newer(&tool.site_dir().join(file));
    }
    let later = || json!({"later": [1, null, {"a": "b"}]});
    tool.edit("journal", |journal| {
        for place in ["/installed", "/kept/0", "/held/0"] {
            journal.pointer_mut(place).unwrap()["later"] = later();
        }
    });
    tool.edit("floors", |floors| {
        let places =
            ["/domains/0", "/domains/0/lineage", "/domains/0/epochs/0", "/domains/0/epochs/0/channels/0"];
        for place in places {
            floors.pointer_mut(place).unwrap()["later"] = later();
        }
    });
    tool.edit("cache", |cache| cache["about"]["later"] = later());
}

/// How often a later version's fields stand there, and that the type is still its own.
#[track_caller]
fn assert_kept(tool: &Tool, file: &str, fields: usize) {
    let record = tool.record(file);
    assert_eq!(record["type"], format!("relatch-{file}/2"));
    assert_eq!(record["of a later version"], json!({"a": [1, "b"]}));
    assert_eq!(
        record.to_string().matches(r#""later":{"later":[1,null,{"a":"b"}]}"#).count(),
        fields,
        "{record}"
    );
}

/// What a later version wrote is read as far as it is known, and kept; it locks nobody out, forth or back.
#[test]
fn the_records_of_a_later_version_are_read_and_kept() {
    let mut scene = updated();
    scene.tool.edit("journal", |journal| journal["held"] = json!([{"version": "0.9.0"}]));
    by_a_later_version(&scene.tool);
    let status = scene.tool.status();
    assert_eq!((status.damaged, status.next_back.unwrap().to_string()), (None, "1.0.0".into()));
    assert_eq!(rollback(&scene).unwrap().installed().to_string(), "1.0.0");
    assert_kept(&scene.tool, "journal", 3); // of both executables and the hold, not of the new one
    assert_kept(&scene.tool, "floors", 4);
    let site = scene.tool.updater().installation().clone();
    relatch::Updater::forward(&site, None, &"1.1.0".parse().unwrap()).unwrap();
    assert_kept(&scene.tool, "journal", 3);
    scene.updates_to("an update", "1.2.0", &fake("1.2.0"));
    assert_kept(&scene.tool, "journal", 3); // of both that are kept, and the hold
    assert_kept(&scene.tool, "floors", 4);
    scene.repository.rotate(|_| {});
    scene.heals("a rotation");
    assert_kept(&scene.tool, "floors", 4);
    install_plain(&scene.repository, &scene.tool.path, true).unwrap();
    assert_kept(&scene.tool, "journal", 2); // of 1.1.0 and the hold
    assert_kept(&scene.tool, "floors", 4);
}

/// A tool whose successor was built with a later version of relatch, and turned out bad: every way back is open.
#[test]
fn every_way_back_is_open_after_a_later_version() {
    type Way = fn(&Tool) -> std::process::Output;
    let ways: [(&str, Way); 2] = [
        ("tool --rollback", |tool| tool.run(&["--rollback"])),
        ("previous --rollback", |tool| run(std::process::Command::new(tool.previous()).arg("--rollback"))),
    ];
    for (name, way) in ways {
        let (mut repository, tool) = carrying();
        repository.release("1.1.0", &executable(&repository, "1.1.0"));
        assert_eq!(
            stdout(&tool.run(&["--update"])),
            "widget: updated 1.0.0 to 1.1.0; --rollback goes back\n"
        );
        tool.edit("journal", |journal| journal["held"] = json!([{"version": "0.9.0"}]));
        by_a_later_version(&tool);
        let output = way(&tool);
        assert!(output.status.success(), "{name}: {}", stderr(&output));
        assert_eq!(stdout(&tool.run(&["go"])), "widget 1.0.0 go\n", "{name}");
        assert_kept(&tool, "journal", 3);
        assert_kept(&tool, "floors", 4);
        repository.release("1.2.0", &executable(&repository, "1.2.0"));
        let output = tool.run(&["--update"]);
        assert!(output.status.success(), "{name}: {}", stderr(&output));
        assert_eq!(tool.version(), "1.2.0", "{name}");
    }
}
