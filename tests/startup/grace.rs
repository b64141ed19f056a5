//! `Require` and what is about to expire, or has.

use super::*;

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;
/// What the author of the tool grants.
const GRACE: u64 = 3 * DAY;

/// 1.0.0 under `Require`, whose `VERSION` and manifest expire in so many seconds.
fn scene(fields: Value, [version, manifest]: [u64; 2]) -> (Repository, Server, Tool) {
    let mut repository = Repository::new();
    let server = Server::plain(&repository);
    let mut all = json!({"repository": server.url, "plain": true, "policy": "require"});
    for (name, value) in fields.as_object().unwrap() {
        all[name] = value.clone();
    }
    let bytes = executable_such(&repository, "1.0.0", all);
    let mut draft = repository.draft("1.0.0", &bytes);
    draft.version["expires"] = (now() + version).into();
    draft.manifest["expires"] = (now() + manifest).into();
    repository.publish(&draft);
    let tool = Tool::copied(&bytes);
    (repository, server, tool)
}

/// What it tells; it runs.
#[track_caller]
fn told(tool: &Tool) -> String {
    let output = tool.run(&["x"]);
    assert_runs(&output, "widget 1.0.0 x\n");
    stderr(&output)
}

/// What was accepted expires at another time, in the record of it and in the repository alike: time goes by.
fn expires(repository: &Repository, tool: &Tool, document: &str, at: u64) {
    tool.edit("floors", |floors| {
        let floor = &mut floors["domains"][0]["epochs"][0]["channels"][0];
        let field = if document == "VERSION" { "expires" } else { "manifest_expires" };
        (floor[field], floor["issued"]) = (at.into(), (now() - 30 * DAY).into());
    });
    if document == "VERSION" {
        let text = std::fs::read_to_string(repository.version_path()).unwrap();
        let mut version: Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
        (version["issued"], version["expires"]) = ((now() - 30 * DAY).into(), at.into());
        let line = version["version"].as_str().unwrap().to_owned();
        repository.publish_version(&format!("{line}\n{version}\n"), &repository.timestamp_keys);
    }
}

#[test]
fn what_expires_within_a_week_is_warned_of_once_a_day() {
    for (document, ends) in [("VERSION", [6 * DAY, 90 * DAY]), ("manifest", [30 * DAY, 6 * DAY])] {
        for grace in [0, GRACE] {
            let (_repository, server, tool) = scene(json!({"grace": grace}), ends);
            let warning = told(&tool);
            assert!(
                warning.starts_with(&format!("widget: the publisher's {document} expires at ")),
                "{warning}"
            );
            assert!(warning.contains("does not run"), "{warning}");
            assert_eq!(warning.lines().count(), 1, "{warning}");
            for _ in 0..3 {
                assert_eq!(told(&tool), "");
            }
            server.forget();
            tool.edit("cache", |cache| cache["warned"] = (now() - DAY + 60).into());
            assert_eq!(told(&tool), "");
            tool.edit("cache", |cache| cache["warned"] = (now() - DAY).into());
            assert_eq!(told(&tool), warning);
            assert_eq!(server.requests(), [""; 0], "a warning asks for nothing");
        }
    }
    let (_repository, _server, tool) = scene(json!({"grace": GRACE}), [8 * DAY, 8 * DAY]);
    assert_eq!(told(&tool), "");
}

#[test]
fn require_runs_in_the_grace_time_and_not_after_it() {
    for document in ["VERSION", "manifest"] {
        for interval in [0, HOUR] {
            let name = format!("{document}, an interval of {interval} s");
            let (repository, _server, tool) =
                scene(json!({"grace": GRACE, "interval": interval}), [30 * DAY, 90 * DAY]);
            assert_eq!(told(&tool), "", "{name}");
            expires(&repository, &tool, document, now() - GRACE + 600);
            let warning = told(&tool);
            let expected = format!("widget: the publisher's {document} expired at ");
            assert!(warning.starts_with(&expected), "{name}: {warning}");
            assert!(warning.ends_with(". Tell the publisher.\n"), "{name}: {warning}");
            assert_eq!(warning.lines().count(), 1, "{name}: {warning}");
            assert_eq!(told(&tool), "", "{name}");

            expires(&repository, &tool, document, now() - GRACE - 1);
            let output = tool.run(&["x"]);
            assert_refuses(&output, 3);
            assert!(stderr(&output).contains(&format!("{document} expired at ")), "{}", stderr(&output));
            // A publisher who is no longer late ends it.
            let mut repository = repository;
            repository.seq += 1;
            let bytes = std::fs::read(&tool.path).unwrap();
            repository.release("1.0.0", &bytes);
            assert_eq!(told(&tool), "", "{name}");
        }
    }
}

/// The grace time is for a publisher who is late, and for nothing else.
#[test]
fn the_grace_time_excuses_nothing_but_an_expiry_that_the_record_knows() {
    type Act = fn(&mut Repository, &Server, &Tool);
    let rows: [(&str, i32, Act); 5] = [
        ("no network", 4, |_, server, _| server.answer("stable/", Answer::Status(503))),
        ("a refusal", 3, |repository, _, _| {
            let mut draft = repository.draft("1.1.0", b"x");
            draft.timestamp_keys = vec![Key::new(9)];
            repository.publish(&draft);
        }),
        // The record has not expired: that a successor has is not what the author meant.
        ("an expired successor", 3, |repository, _, tool| {
            tool.edit("floors", |floors| {
                floors["domains"][0]["epochs"][0]["channels"][0]["expires"] = (now() + 30 * DAY).into();
            });
            let mut draft = repository.draft("1.1.0", b"x");
            (draft.version["issued"], draft.version["expires"]) = ((now() - 100).into(), (now() - 1).into());
            repository.publish(&draft);
        }),
        ("another version by hand", 3, |repository, _, tool| {
            tool.edit("cache", |cache| cache["about"]["version"] = "0.9.0".into());
            drop(repository.draft("1.1.0", b"x"));
        }),
        ("withdrawn", 3, |_, _, tool| {
            tool.edit("floors", |floors| {
                floors["domains"][0]["epochs"][0]["channels"][0]["retracted"] = json!(["1.0.0"]);
            });
        }),
    ];
    for (name, code, act) in rows {
        let (mut repository, server, tool) =
            scene(json!({"grace": GRACE, "interval": 0}), [30 * DAY, 90 * DAY]);
        assert_eq!(told(&tool), "", "{name}");
        expires(&repository, &tool, "VERSION", now() - 60);
        assert!(told(&tool).contains("expired at"), "{name}");
        act(&mut repository, &server, &tool);
        let output = tool.run(&["x"]);
        assert_eq!(output.status.code(), Some(code), "{name}: {}", stderr(&output));
        assert_refuses(&output, code);
    }
    // Whoever never verified anything has nothing to go on with.
    let (repository, _server, tool) = scene(json!({"grace": GRACE, "interval": 0}), [30 * DAY, 90 * DAY]);
    assert_eq!(told(&tool), "");
    expires(&repository, &tool, "VERSION", now() - 60);
    std::fs::remove_dir_all(tool.site_dir()).unwrap();
    assert_refuses(&tool.run(&["x"]), 3);
}

#[test]
fn without_a_grace_time_what_has_expired_does_not_run() {
    for document in ["VERSION", "manifest"] {
        for interval in [0, HOUR] {
            let (repository, _server, tool) = scene(json!({"interval": interval}), [30 * DAY, 90 * DAY]);
            assert_eq!(told(&tool), "");
            expires(&repository, &tool, document, now() - 1);
            assert_refuses(&tool.run(&["x"]), 3);
        }
    }
}
