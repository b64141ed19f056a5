//! Promise: only a start that is a probe answers one, what is probed is what was hashed, and only
//! the release itself is judged by it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use serde_json::{Value, json};
use support::server::Server;
use support::tool::{edit_record, run, stderr, stdout};
use support::{Repository, Tool, executable_such};

const NONCE: &str = "0123456789abcdef0123456789abcdef";

/// A repository with the release 1.0.0, and the tool at it.
fn tool(policy: &str) -> (Repository, Tool) {
    let mut repository = Repository::new();
    let bytes = executable_such(&repository, "1.0.0", json!({"policy": policy}));
    repository.release("1.0.0", &bytes);
    (repository, Tool::copied(&bytes))
}

#[test]
fn a_command_does_its_work_whatever_the_variable_says() {
    for policy in ["off", "auto", "require"] {
        let (_repository, tool) = tool(policy);
        for arguments in [
            &["deploy", "--to", "production"][..],
            &[],
            &["--version", "--verbose"],
            &["deploy", "--version"],
            &["--Version"],
        ] {
            let output = run(tool.command().args(arguments).env("RELATCH_PROBE", NONCE));
            assert_eq!(stdout(&output), format!("widget 1.0.0 {}\n", arguments.join(" ")), "{output:?}");
            assert!(output.status.success(), "{}", stderr(&output));
        }
        // Not a nonce.
        for nonce in ["", "1", &NONCE[1..], "0123456789abcdef0123456789abcdeg"] {
            let output = run(tool.command().arg("--version").env("RELATCH_PROBE", nonce));
            assert_eq!(stdout(&output), "widget 1.0.0 --version\n", "{output:?}");
        }
    }
}

#[test]
fn a_probe_is_answered_and_does_nothing_else() {
    let (repository, tool) = tool("require");
    let output = run(tool.command().arg("--version").env("RELATCH_PROBE", NONCE));
    let line = stdout(&output);
    let json = line.strip_prefix(&format!("relatch-probe/2 {NONCE} ")).unwrap();
    assert!(json.ends_with("}\n") && json.lines().count() == 1, "{json}");
    let answer: Value = serde_json::from_str(json).unwrap();
    let expected = json!({
        "product": "widget",
        "version": "1.0.0",
        "channel": "stable",
        "target": "test",
        "root": relatch::trust::Digest::of(&repository.anchor()).to_string(),
        "root_version": 1,
        "address": repository.location(),
        "readable": true,
    });
    assert_eq!(answer, expected);
    assert!(output.status.success() && !tool.site_dir().exists());
}

/// Else the version that is restarted into would answer in the place of its `--version`.
#[test]
fn a_restart_does_not_hand_the_variable_on() {
    let (mut repository, tool) = tool("auto");
    let bytes = executable_such(&repository, "1.1.0", json!({}));
    repository.release("1.1.0", &bytes);
    let output = run(tool.command().args(["environment", "RELATCH_PROBE"]).env("RELATCH_PROBE", NONCE));
    assert_eq!(stdout(&output), "RELATCH_PROBE=None\nwidget 1.1.0 environment RELATCH_PROBE\n", "{output:?}");
}

/// 1.0.0 behind a server, which has found that it is current, and counts what is asked for.
struct Behind {
    repository: Repository,
    server: Server,
    tool: Tool,
    fields: Value,
}

impl Behind {
    fn new() -> Self {
        let mut repository = Repository::new();
        let server = Server::plain(&repository);
        let fields = json!({"repository": server.url, "plain": true, "interval": 3600});
        let bytes = executable_such(&repository, "1.0.0", fields.clone());
        repository.release("1.0.0", &bytes);
        let behind = Behind { repository, server, tool: Tool::copied(&bytes), fields };
        assert_eq!(behind.start().0, "");
        behind
    }

    /// A newer release that is so broken.
    fn release(&mut self, broken: &str) {
        let mut fields = self.fields.clone();
        fields["broken"] = broken.into();
        let bytes = executable_such(&self.repository, "1.1.0", fields);
        self.repository.release("1.1.0", &bytes);
    }

    /// What a start tells, and whether it downloads. It goes on with 1.0.0.
    #[track_caller]
    fn start(&self) -> (String, bool) {
        self.server.forget();
        let output = self.tool.run(&[]);
        assert_eq!(stdout(&output), "widget 1.0.0 \n", "{}", stderr(&output));
        (stderr(&output), self.downloaded())
    }

    fn downloaded(&self) -> bool {
        self.server.requests().iter().any(|request| request.contains("blobs/"))
    }

    /// So many seconds go by.
    fn pass(&self, seconds: u64) {
        edit_record(&self.tool.site_dir().join("cache"), |cache| {
            for time in ["/checked", "/root_checked", "/failure/at", "/failure/shown", "/unfinished_probe/at"]
            {
                if let Some(time) = cache.pointer_mut(time).filter(|time| time.is_u64()) {
                    *time = time.as_u64().unwrap().saturating_sub(seconds).into();
                }
            }
        });
    }
}

const HOUR: u64 = 3600;
#[cfg(unix)]
const DAY: u64 = 24 * HOUR;

/// The OOM killer, and a person, and a shell that runs out of something.
#[test]
#[cfg(unix)]
fn what_ends_a_probe_from_outside_is_no_verdict_and_is_tried_again_ever_more_seldom() {
    for (broken, said) in [
        ("signal 9", "(it was killed, as by a system that has no memory left)"),
        ("signal 15", "(it was ended from outside)"),
        ("signal 1", "(it was ended from outside)"),
        ("exit 127", "it ended with exit status: 127"),
        ("exit 126", "it ended with exit status: 126"),
    ] {
        let mut behind = Behind::new();
        behind.release(broken);
        behind.pass(HOUR);
        let (told, downloaded) = behind.start();
        assert!(told.contains("1.1.0 does not run on this machine at the moment: it ended"), "{told}");
        assert!(told.contains(said) && downloaded, "{told}");
        assert!(!told.contains("built for another system"), "{told}");
        let record = behind.tool.record("cache");
        assert_eq!(
            (&record["failed_probe"], &record["unfinished_probe"]["count"]),
            (&Value::Null, &json!(1))
        );
        // Once is enough for the others.
        if broken != "signal 9" {
            continue;
        }
        // 5, 10, 20, ... minutes after the last try, up to a week.
        let mut distance = 300;
        for count in 2..14 {
            behind.pass(distance - 60);
            assert!(!behind.start().1, "before try {count}");
            behind.pass(HOUR.max(60));
            assert!(behind.start().1, "try {count}");
            assert_eq!(behind.tool.record("cache")["unfinished_probe"]["count"], count);
            distance = (distance * 2).min(7 * DAY);
            edit_record(&behind.tool.site_dir().join("cache"), |cache| cache["failure"] = Value::Null);
        }
        assert_eq!(distance, 7 * DAY);
        // Whoever asks for it gets it.
        behind.server.forget();
        let output = behind.tool.run(&["--update"]);
        assert!(behind.downloaded() && output.status.code() == Some(5), "{output:?}");
        // A good release is not kept waiting, and ends it.
        behind.fields["broken"] = Value::Null;
        let bytes = executable_such(&behind.repository, "1.1.1", behind.fields.clone());
        behind.repository.release("1.1.1", &bytes);
        behind.pass(DAY);
        assert_eq!(stdout(&behind.tool.run(&[])), "widget 1.1.1 \n");
        assert_eq!(behind.tool.record("cache").get("unfinished_probe"), None);
    }
}

#[test]
#[cfg(unix)]
fn what_a_release_does_to_itself_is_a_verdict() {
    // SIGILL, SIGFPE
    for broken in ["signal 4", "signal 8", "exit 1", "exit 101", "wrong"] {
        let mut behind = Behind::new();
        behind.release(broken);
        behind.pass(HOUR);
        let (told, downloaded) = behind.start();
        assert!(told.contains("1.1.0 does not run on this machine: it ") && downloaded, "{broken}: {told}");
        let record = behind.tool.record("cache");
        assert!(record["failed_probe"].is_string() && record.get("unfinished_probe").is_none(), "{record}");
        behind.pass(30 * DAY);
        assert!(!behind.start().1, "{broken}");
    }
}

/// An allocator without memory ends with SIGABRT or SIGTRAP, a page that cannot be read is SIGBUS,
/// and SIGSEGV is what Linux sends if execve(2) has no memory.
#[test]
#[cfg(unix)]
fn a_crash_as_without_memory_is_a_verdict_at_the_third_in_a_row() {
    use rustix::process::Signal;
    let [abort, bus, segv, trap] = [Signal::ABORT, Signal::BUS, Signal::SEGV, Signal::TRAP]
        .map(|signal| format!("signal {}", signal.as_raw()));
    for row in [
        &[&abort[..], &bus, &trap][..],
        &[&segv, &segv, &segv],
        &[&abort, &abort, "signal 9", &abort, &abort, &abort],
    ] {
        let mut behind = Behind::new();
        behind.release("by TEST_BROKEN");
        let mut crashes = 0;
        for (index, broken) in row.iter().enumerate() {
            crashes = if *broken == "signal 9" { 0 } else { crashes + 1 };
            behind.pass(DAY);
            let output = run(behind.tool.command().env("TEST_BROKEN", broken));
            let (told, record) = (stderr(&output), behind.tool.record("cache"));
            assert_eq!(stdout(&output), "widget 1.0.0 \n", "{told}");
            if crashes < 3 {
                assert!(
                    told.contains("1.1.0 does not run on this machine at the moment: it ended"),
                    "{told}"
                );
                let last = &record["unfinished_probe"];
                let expected = if crashes == 0 { Value::Null } else { crashes.into() };
                assert_eq!((&last["count"], &last["crashes"]), (&json!(index + 1), &expected));
                assert_eq!(record["failed_probe"], Value::Null);
            } else {
                assert!(told.contains("1.1.0 does not run on this machine: it ended"), "{told}");
                assert_eq!(
                    (record["failed_probe"].is_string(), record.get("unfinished_probe")),
                    (true, None)
                );
            }
            // Each is told once a day only if it is the same.
            edit_record(&behind.tool.site_dir().join("cache"), |cache| cache["failure"] = Value::Null);
        }
        assert_eq!(crashes, 3);
        behind.pass(30 * DAY);
        assert!(!behind.start().1);
        // It stays so for those who ask for it, until it runs.
        let update = || run(behind.tool.command().arg("--update").env("TEST_BROKEN", &abort));
        assert!(stderr(&update()).contains("1.1.0 does not run on this machine: it ended"));
        assert!(behind.tool.run(&["--update"]).status.success());
        assert_eq!(behind.tool.version(), "1.1.0");
        assert_eq!(behind.tool.record("cache")["failed_probe"], Value::Null);
    }
}

/// It is tried once, and not at each start: a start waits for 10 s.
#[test]
fn a_release_that_hangs_is_downloaded_once_in_its_time() {
    let mut behind = Behind::new();
    behind.release("silent");
    behind.pass(HOUR);
    let (told, downloaded) = behind.start();
    assert!(told.contains("at the moment: it did not answer within 10 s") && downloaded, "{told}");
    // A check is due, which reads the same release again.
    edit_record(&behind.tool.site_dir().join("cache"), |cache| {
        for time in ["checked", "root_checked", "failure"] {
            cache[time] = Value::Null;
        }
    });
    let (told, downloaded) = behind.start();
    assert!(told.contains("it could not be tried before") && !downloaded, "{told}");
    assert!(behind.server.requests().iter().any(|request| request.contains("VERSION")));
    let record = behind.tool.record("cache");
    assert_eq!((&record["failed_probe"], &record["unfinished_probe"]["count"]), (&Value::Null, &json!(1)));
}

/// What the update needs itself fails before the probe with few, and with more the probe.
#[test]
#[cfg(target_os = "linux")]
fn too_few_descriptors_are_no_verdict() {
    let mut told = Vec::new();
    for limit in 6..24 {
        let mut behind = Behind::new();
        // What was swapped in once is known by its hash, and need not be started.
        let bytes = executable_such(&behind.repository, "1.0.1", behind.fields.clone());
        behind.repository.release("1.0.1", &bytes);
        assert_eq!(stdout(&behind.tool.run(&["--update"])).lines().count(), 1);
        behind.release("");
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &format!("ulimit -n {limit} && exec \"$0\" --update")]).arg(&behind.tool.path);
        let output = run(shell.env("XDG_STATE_HOME", behind.tool.state_home.path()));
        if output.status.success() {
            continue;
        }
        assert_eq!(behind.tool.record("cache")["failed_probe"], Value::Null, "{limit}: {output:?}");
        told.push(stderr(&output));
    }
    let tried = told.iter().filter(|told| told.contains("at the moment")).count();
    assert!(tried > 0, "none of these limits let it get as far as the probe, and no further: {told:#?}");
}

/// Whatever execve(2) answers, unless it is about the very file.
#[test]
#[cfg(target_os = "linux")]
fn only_an_error_of_the_file_is_a_verdict_where_the_system_does_not_start_it() {
    if !support::strace::is_available() {
        return;
    }
    for (error, is_verdict) in [
        ("EIO", false),
        ("EACCES", false),
        ("ENOMEM", false),
        ("EAGAIN", false),
        ("ENFILE", false),
        ("EPERM", false),
        ("ELOOP", false),
        ("ENOEXEC", true),
        ("ELIBBAD", true),
    ] {
        let mut behind = Behind::new();
        // What was swapped in once is known by its hash, and need not be started.
        let bytes = executable_such(&behind.repository, "1.0.1", behind.fields.clone());
        behind.repository.release("1.0.1", &bytes);
        assert!(behind.tool.run(&["--update"]).status.success());
        behind.release("");
        let before = behind.tool.digest();
        let log = behind.tool.state_home.path().join("log");
        // That of the tool itself is not counted.
        let injections = [format!("execve:error={error}:when=1")];
        let mut traced = support::strace::traced(&behind.tool.path, &["execve"], &injections, &log);
        let output = run(traced.env("XDG_STATE_HOME", behind.tool.state_home.path()).arg("--update"));
        let (told, record) = (stderr(&output), behind.tool.record("cache"));
        assert_eq!(output.status.code(), Some(5), "{error}: {told}");
        assert_eq!(told.contains("at the moment"), !is_verdict, "{error}: {told}");
        assert_eq!(record["failed_probe"].is_string(), is_verdict, "{error}: {told}");
        assert_eq!(behind.tool.digest(), before, "{error}");
        println!("{error}: {told}");
    }
}

/// A script that answers as 1.1.0 of the tool.
#[cfg(unix)]
fn script(repository: &Repository, first: &str) -> Vec<u8> {
    let answer = json!({
        "product": "widget", "version": "1.1.0", "channel": "stable", "target": "test",
        "root": relatch::trust::Digest::of(&repository.anchor()).to_string(), "root_version": 1,
        "address": repository.location(), "readable": true,
    });
    format!("#!/bin/sh\n{first}\nprintf '%s\\n' \"relatch-probe/2 $RELATCH_PROBE \"'{answer}'\n").into_bytes()
}

#[test]
#[cfg(unix)]
fn a_release_is_not_installed_if_its_name_led_to_another_file_while_it_was_probed() {
    let replaces = "cp \"$0\" ./x && mv ./x \"$0\"";
    for (first, installs) in
        [("", true), (replaces, false), ("rm \"$0\"", false), ("ln -sf /bin/sh \"$0\"", false)]
    {
        let (mut repository, tool) = tool("auto");
        let bytes = script(&repository, first);
        repository.release("1.1.0", &bytes);
        let before = tool.digest();
        let output = tool.run(&["--update"]);
        assert_eq!(output.status.success(), installs, "{first}: {output:?}");
        assert_eq!(tool.digest() != before, installs, "{first}");
        if !installs {
            assert_eq!(output.status.code(), Some(5), "{first}: {output:?}");
            assert!(
                stderr(&output).contains("was changed by another process meanwhile"),
                "{first}: {output:?}"
            );
        }
        // That is no verdict on the release.
        let record = tool.record("cache");
        assert_eq!(record["failed_probe"], Value::Null);
        assert_eq!(record.get("unfinished_probe").is_none(), installs, "{record}");
    }
}

/// Whoever may write in the directory of the tool puts another directory in the place of
/// `.<exe>.relatch`, after the hash and before the start, with a file of the same name in it.
#[test]
#[cfg(target_os = "linux")]
fn a_directory_that_is_exchanged_between_hash_and_start_runs_nothing_else() {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use std::os::unix::fs::PermissionsExt;
    use std::sync::atomic::{AtomicBool, Ordering};
    let mut exchanged = 0;
    for _ in 0..8 {
        let (mut repository, tool) = tool("auto");
        let bytes = executable_such(&repository, "1.1.0", json!({}));
        repository.release("1.1.0", &bytes);
        let (site, evil) = (tool.site_dir(), tool.dir.path().join("evil"));
        let mark = tool.dir.path().join("mark");
        std::fs::create_dir(&evil).unwrap();
        let ended = AtomicBool::new(false);
        let output = std::thread::scope(|scope| {
            let attacker = scope.spawn(|| {
                while !ended.load(Ordering::SeqCst) {
                    let Ok(names) = std::fs::read_dir(&site) else { continue };
                    // As soon as it is hashed, it may be executed by its owner.
                    let staged = names.flatten().find(|entry| {
                        let is_new = entry.file_name().to_string_lossy().starts_with("new-");
                        is_new && entry.metadata().is_ok_and(|meta| meta.permissions().mode() & 0o100 != 0)
                    });
                    let Some(staged) = staged else { continue };
                    let path = evil.join(staged.file_name());
                    std::fs::write(&path, format!("#!/bin/sh\n: > '{}'\n", mark.display())).unwrap();
                    support::tool::make_executable(&path);
                    return renameat_with(CWD, &site, CWD, &evil, RenameFlags::EXCHANGE).is_ok();
                }
                false
            });
            let output = tool.run(&["--update"]);
            ended.store(true, Ordering::SeqCst);
            exchanged += usize::from(attacker.join().unwrap());
            output
        });
        assert!(!mark.exists(), "the attacker's program was run: {output:?}");
        let now = std::fs::read(&tool.path).unwrap();
        let is_verified =
            now == bytes || now == executable_such(&repository, "1.0.0", json!({"policy": "auto"}));
        assert!(is_verified, "something else is installed: {output:?}");
    }
    if exchanged == 0 {
        println!("skipped: the attacker was never fast enough");
    }
}
