//! What fails is told once a day while nothing changes, and tried again ever more seldom, up to the interval.

use std::path::{Path, PathBuf};

use super::support::damage::damages;
use super::support::tool::{edit_record, make_executable, read_record};
use super::*;

const DAY: u64 = 24 * 60 * 60;
/// The interval of the tools here, and the time from the first failure to the next try.
const INTERVAL: u64 = 3600;
const RETRY: u64 = 300;

/// 1.0.0, which has found that it is current, and its repository behind a server.
struct Scene {
    repository: Repository,
    server: Server,
    tool: Tool,
    /// The record of its checks.
    cache: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let mut repository = Repository::new();
        let server = Server::plain(&repository);
        let fields = json!({"repository": server.url, "plain": true, "interval": INTERVAL});
        let bytes = executable_such(&repository, "1.0.0", fields);
        repository.release("1.0.0", &bytes);
        let tool = Tool::copied(&bytes);
        let cache = tool.site_dir().join("cache");
        let scene = Scene { repository, server, tool, cache };
        assert_eq!(scene.start(), (String::new(), true));
        scene.pass(INTERVAL);
        scene
    }

    /// What a start tells, and whether it asks for anything. It runs.
    #[track_caller]
    fn start(&self) -> (String, bool) {
        self.server.forget();
        let output = self.tool.run(&["x"]);
        assert_runs(&output, "widget 1.0.0 x\n");
        (stderr(&output), !self.server.requests().is_empty())
    }

    /// So many seconds go by.
    fn pass(&self, seconds: u64) {
        pass(&self.cache, seconds);
    }

    #[track_caller]
    fn is_silent(&self, asks: bool) {
        assert_eq!(self.start(), (String::new(), asks));
    }
}

/// So many seconds go by: all that is recorded was so much earlier.
fn pass(cache: &Path, seconds: u64) {
    edit_record(cache, |cache| {
        let times = ["/checked", "/root_checked", "/warned", "/failure/at", "/failure/shown"];
        for time in times {
            if let Some(time) = cache.pointer_mut(time).filter(|time| time.is_u64()) {
                *time = time.as_u64().unwrap().saturating_sub(seconds).into();
            }
        }
    });
}

/// But for when it was checked.
fn timeless(told: &str) -> String {
    told.lines().map(|line| line.split("; checked at ").next().unwrap()).collect::<Vec<_>>().join("\n")
}

const PAGE: &[u8] = b"<!doctype html>\n<title>Not found</title>\n<p>There is no such page.\n";

type Cause = (&'static str, fn(&mut Scene), &'static str, usize);

/// What goes wrong, what is told of it, and in how many lines.
const CAUSES: [Cause; 8] = [
    (
        "a refusal",
        |scene| {
            let mut draft = scene.repository.draft("1.1.0", b"x");
            draft.timestamp_keys = vec![Key::new(9)];
            scene.repository.publish(&draft);
        },
        "widget: not updated: VERSION is signed by 0 of the 1 timestamp keys",
        2,
    ),
    (
        "an expired VERSION",
        |scene| {
            let mut draft = scene.repository.draft("1.1.0", b"x");
            (draft.version["issued"], draft.version["expires"]) =
                ((now() - 1000).into(), (now() - 10).into());
            scene.repository.publish(&draft);
        },
        "widget: not updated: VERSION expired at ",
        2,
    ),
    (
        "a page in the place of VERSION",
        |scene| scene.server.answer("stable/VERSION", Answer::Content(PAGE.into())),
        "widget: not updated: the signatures of VERSION ",
        2,
    ),
    (
        "a page in the place of what is absent",
        |scene| {
            edit_record(&scene.cache, |cache| cache["root_checked"] = 1.into());
            scene.server.answer("root/2.json", Answer::Content(PAGE.into()));
            scene.server.answer("root/2.json.minisig", Answer::Content(PAGE.into()));
        },
        "widget: not updated: the signatures of root 2 ",
        2,
    ),
    (
        "no VERSION",
        |scene| std::fs::remove_file(scene.repository.version_path()).unwrap(),
        "widget: no check for updates: http",
        1,
    ),
    (
        "a server that has a fault",
        |scene| scene.server.answer("stable/", Answer::Status(503)),
        "widget: no check for updates: http",
        1,
    ),
    ("no network", offline, OFFLINE, 1),
    (
        "floors that are damaged, and no network",
        |scene| {
            std::fs::write(scene.tool.site_dir().join("floors"), "damaged").unwrap();
            offline(scene);
        },
        "widget: the recorded state is damaged: ",
        2,
    ),
];

/// Each connection ends before a word is spoken.
fn offline(scene: &mut Scene) {
    scene.server.answer("stable/", Answer::raw(""));
    scene.server.answer("root/", Answer::raw(""));
}

#[test]
fn a_failure_is_told_once_a_day_and_tried_again_ever_more_seldom() {
    for (name, act, expected, lines) in CAUSES {
        let mut scene = Scene::new();
        act(&mut scene);
        let (told, asked) = scene.start();
        assert!(asked && told.starts_with(expected), "{name}: {told}");
        assert_eq!(told.lines().count(), lines, "{name}: {told}");
        let mut passed = 0;
        for wait in [RETRY, 2 * RETRY, 4 * RETRY, 8 * RETRY, INTERVAL, INTERVAL, INTERVAL] {
            println!("{name}: {wait} s");
            for _ in 0..3 {
                scene.is_silent(false);
            }
            scene.pass(wait - 10);
            scene.is_silent(false);
            scene.pass(10);
            scene.is_silent(true);
            passed += wait;
        }
        // A day after it was told it is told again: from the record, where it is not time to try again.
        scene.pass(INTERVAL);
        scene.is_silent(true);
        edit_record(&scene.cache, |cache| {
            let shown = cache["failure"]["shown"].as_u64().unwrap();
            assert!(
                (passed..passed + INTERVAL + 60).contains(&(now() - shown - INTERVAL)),
                "{name}: {shown}"
            );
            cache["failure"]["shown"] = (now() - DAY).into();
        });
        let (again, asked) = scene.start();
        assert!(
            !asked && !again.is_empty() && timeless(&told).ends_with(&timeless(&again)),
            "{name}: {again}"
        );
        scene.is_silent(false);
        scene.pass(DAY);
        let (again, asked) = scene.start();
        assert_eq!((timeless(&again), asked), (timeless(&told), true), "{name}");
        scene.is_silent(false);
    }
}

/// A damaged record of either kind does not make a start ask, or tell, more often; and it is told with what failed.
#[test]
fn a_failure_beside_damaged_records_is_remembered() {
    for file in ["journal", "floors"] {
        for (name, damage) in damages() {
            let mut scene = Scene::new();
            damage(&scene.tool.site_dir().join(file));
            (CAUSES[0].1)(&mut scene);
            let (told, asked) = scene.start();
            assert!(asked, "{file} {name}");
            assert_eq!(told.matches("the recorded state is damaged").count(), 1, "{file} {name}: {told}");
            assert!(told.contains(CAUSES[0].2), "{file} {name}: {told}");
            for _ in 0..3 {
                scene.is_silent(false);
            }
            scene.pass(RETRY);
            scene.is_silent(true);
            scene.pass(RETRY);
            scene.is_silent(false);
            scene.pass(DAY);
            let (again, asked) = scene.start();
            assert_eq!((again, asked), (told, true), "{file} {name}");
        }
    }
}

#[test]
fn another_cause_is_told_at_once_and_success_ends_the_row() {
    for (name, act, expected, _) in CAUSES {
        let mut scene = Scene::new();
        let published = std::fs::read(scene.repository.version_path()).unwrap();
        // Another cause first, whose row is long.
        scene.server.answer("stable/VERSION", Answer::Status(500));
        assert!(scene.start().0.contains("answered 500"), "{name}");
        scene.pass(RETRY);
        scene.is_silent(true);
        scene.server.behave();
        act(&mut scene);
        scene.pass(2 * RETRY);
        let (told, asked) = scene.start();
        assert!(asked && told.starts_with(expected), "{name}: {told}");
        assert_eq!(read_record(&scene.cache)["failure"]["count"], 3, "{name}");
        scene.is_silent(false);

        scene.server.behave();
        std::fs::write(scene.repository.version_path(), published).unwrap();
        scene.pass(INTERVAL);
        let (told, asked) = scene.start();
        // Damage that a check has healed is told this once more.
        assert!(asked && (told.is_empty() || name.contains("damaged")), "{name}: {told}");
        assert_eq!(read_record(&scene.cache)["failure"], Value::Null, "{name}");
        let status = stdout(&scene.tool.run(&["--update-status"]));
        assert!(!status.contains("failed "), "{name}: {status}");
        scene.is_silent(false);
        scene.pass(INTERVAL);
        scene.is_silent(true);

        act(&mut scene);
        scene.pass(INTERVAL);
        let (told, _) = scene.start();
        assert!(told.starts_with(expected), "{name}: a new failure is news: {told}");
        assert_eq!(read_record(&scene.cache)["failure"]["count"], 1, "{name}");
    }
}

/// The text in the record is what a disk gives back.
#[test]
fn a_recorded_text_is_escaped_and_limited() {
    let mut scene = Scene::new();
    offline(&mut scene);
    scene.start();
    let hostile = "\u{1b}[2Jno check\rwidget: updated to 9.9.9\u{202e}\nwidget: updated to 9.9.9";
    edit_record(&scene.cache, |cache| {
        let failure = &mut cache["failure"];
        (failure["text"], failure["brief"], failure["shown"]) = (hostile.into(), true.into(), Value::Null);
    });
    let (told, asked) = scene.start();
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(!asked && told.starts_with("widget: \\u{1b}[2Jno check\\r"), "{told}");
    assert_eq!(super::support::printed::drives(&told), None, "{told}");
    // One that no relatch writes is a damaged cache, which costs a check.
    edit_record(&scene.cache, |cache| {
        let failure = &mut cache["failure"];
        (failure["text"], failure["shown"]) = ("x".repeat(3000).into(), Value::Null);
    });
    assert_eq!(scene.start(), (OFFLINE.to_owned(), true));
}

/// Where others may write, nothing is written: the user's own directory remembers.
#[test]
#[cfg(unix)]
fn an_unsafe_place_is_told_once_a_day() {
    use std::os::unix::fs::PermissionsExt;
    let scene = Scene::new();
    let chmod = |mode| {
        std::fs::set_permissions(scene.tool.dir.path(), PermissionsExt::from_mode(mode)).unwrap();
    };
    chmod(0o777);
    let before = scene.tool.snapshot();
    let (told, asked) = scene.start();
    assert!(!asked && told.contains("every user may write there (mode 777)"), "{told}");
    assert_eq!(told.lines().count(), 2, "{told}");
    let own = scene.tool.own_dir().join("cache");
    for _ in 0..3 {
        scene.is_silent(false);
    }
    pass(&own, DAY);
    assert_eq!(scene.start(), (told, false));
    scene.is_silent(false);
    assert_eq!(scene.tool.snapshot(), before);
    let mode = std::fs::metadata(scene.tool.own_dir()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "{mode:o}");
    // Another cause.
    chmod(0o1777);
    let (told, asked) = scene.start();
    assert!(!asked && told.contains("(mode 1777)"), "{told}");
    scene.is_silent(false);
    chmod(0o755);
    scene.is_silent(true);
}

/// No home, or one that belongs to somebody else: it is told each time, and asks for nothing.
#[test]
#[cfg(unix)]
fn where_nothing_can_be_recorded_it_is_told_each_time() {
    use std::os::unix::fs::PermissionsExt;
    let scene = Scene::new();
    std::fs::set_permissions(scene.tool.dir.path(), PermissionsExt::from_mode(0o777)).unwrap();
    let before = scene.tool.snapshot();
    let for_all = tempfile::tempdir().unwrap();
    let own = for_all.path().join("relatch").join(scene.tool.own_dir().file_name().unwrap());
    std::fs::create_dir_all(&own).unwrap();
    std::fs::set_permissions(&own, PermissionsExt::from_mode(0o777)).unwrap();
    let file = for_all.path().join("file");
    std::fs::write(&file, "").unwrap();
    for home in [None, Some(Path::new("relative")), Some(&*file), Some(for_all.path())] {
        scene.server.forget();
        for _ in 0..2 {
            let mut command = scene.tool.command();
            command.env_remove("HOME").env_remove("XDG_STATE_HOME");
            if let Some(home) = home {
                command.env("XDG_STATE_HOME", home);
            }
            let output = run(command.arg("x"));
            assert_runs(&output, "widget 1.0.0 x\n");
            let told = stderr(&output);
            assert!(told.contains("every user may write there"), "{home:?}: {told}");
            assert_eq!(told.lines().count(), 2, "{home:?}: {told}");
        }
        assert_eq!(scene.server.requests(), [""; 0], "{home:?}");
        assert_eq!(scene.tool.snapshot(), before, "{home:?}");
        assert_eq!(std::fs::read_dir(&own).unwrap().count(), 0, "{home:?}");
    }
}

/// A build with another root or channel has failures of its own.
#[test]
fn a_failure_of_another_build_is_not_its_own() {
    let mut scene = Scene::new();
    offline(&mut scene);
    assert_eq!(scene.start(), (OFFLINE.to_owned(), true));
    scene.is_silent(false);
    let fields =
        json!({"repository": scene.server.url, "plain": true, "interval": INTERVAL, "channel": "beta"});
    std::fs::remove_file(&scene.tool.path).unwrap();
    std::fs::write(&scene.tool.path, executable_such(&scene.repository, "1.0.0", fields)).unwrap();
    make_executable(&scene.tool.path);
    assert_eq!(scene.start(), (OFFLINE.to_owned(), true));
    scene.is_silent(false);
}

/// As on a file system that gives a file another number at each rename: every update finds that
/// something changed meanwhile.
#[test]
fn an_update_that_something_always_disturbs_is_told_from_the_third_on() {
    let mut scene = Scene::new();
    let fields = json!({"repository": scene.server.url, "plain": true, "interval": INTERVAL});
    release(&mut scene.repository, "1.1.0", fields);
    let journal = scene.tool.site_dir().join("journal");
    scene.server.answer(
        "blobs/",
        Answer::act(move |wire| {
            edit_record(&journal, |journal| {
                journal["rollout"] = ((journal["rollout"].as_u64().unwrap() + 1) % 100).into();
            });
            wire.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", wire.file.len()))?;
            let file = wire.file;
            wire.send(file)
        }),
    );
    for count in 1..=5 {
        let (told, asked) = scene.start();
        assert!(asked, "{count}");
        let is_told = told.contains("was changed by another process meanwhile");
        assert_eq!(is_told, count == 3, "{count}: {told}");
        scene.pass(INTERVAL);
    }
    scene.pass(DAY);
    let (told, _) = scene.start();
    assert!(told.contains("was changed by another process meanwhile"), "{told}");
}

/// A file or a link where `.<exe>.relatch/` would be.
#[test]
#[cfg(unix)]
fn what_is_in_the_place_of_the_records_is_told_once_a_day() {
    for is_link in [false, true] {
        let mut scene = Scene::new();
        std::fs::remove_dir_all(scene.tool.site_dir()).unwrap();
        match is_link {
            true => std::os::unix::fs::symlink("widget", scene.tool.site_dir()).unwrap(),
            false => std::fs::write(scene.tool.site_dir(), "").unwrap(),
        }
        scene.cache = scene.tool.own_dir().join("cache");
        let (told, _) = scene.start();
        assert!(told.contains("it is not a directory") && told.contains("`mv "), "{told}");
        for _ in 0..2 {
            scene.is_silent(false);
        }
        scene.pass(DAY);
        let (told, _) = scene.start();
        assert!(told.contains("it is not a directory"), "{told}");
    }
}
