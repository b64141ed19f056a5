//! A start under `Auto`, `Notify` and `Off`.

use super::*;

#[test]
fn the_new_version_gets_the_same_arguments_name_and_environment() {
    let mut repository = repository();
    let tool = tool(&repository, json!({}));
    release(&mut repository, "1.1.0", json!({}));
    let mut command = tool.command();
    #[cfg(unix)]
    let name = "called-so";
    #[cfg(unix)]
    std::os::unix::process::CommandExt::arg0(&mut command, name);
    #[cfg(not(unix))]
    let name = tool.path.to_str().unwrap(); // nobody can choose another one
    let output = run(command.env("TEST_MARK", "a mark").args(["show", "--x", "", "b c"]));
    assert_runs(&output, &format!("argv0={name} mark=a mark\nwidget 1.1.0 show --x  b c\n"));
    assert!(stderr(&output).contains("updated 1.0.0 to 1.1.0"), "{}", stderr(&output));
}

/// An editor or a formatter appends a newline to the root document that is compiled in.
#[test]
fn white_space_after_the_root_that_is_compiled_in_does_not_prevent_updates() {
    for behind in ["\n", "\r\n", " \t\r\n\n"] {
        let mut repository = repository();
        let carried = json!({"root": String::from_utf8(repository.anchor()).unwrap() + behind});
        let tool = tool(&repository, carried.clone());
        release(&mut repository, "1.1.0", carried.clone());
        let output = tool.run(&["x"]);
        assert_runs(&output, "widget 1.1.0 x\n");
        assert!(stderr(&output).contains("updated 1.0.0 to 1.1.0"), "{behind:?}: {}", stderr(&output));
        // Under the next root, which is recorded, too.
        repository.rotate(|_| {});
        release(&mut repository, "1.2.0", carried);
        let output = tool.run(&["--update"]);
        assert!(output.status.success(), "{behind:?}: {}", stderr(&output));
        assert_runs(&tool.run(&["x"]), "widget 1.2.0 x\n");
        assert_eq!(tool.root_on_disk(), 2);
    }
}

#[test]
fn a_restarted_process_does_not_check_again_but_its_children_do() {
    let mut repository = Repository::new();
    let server = Server::plain(&repository);
    let always = json!({"repository": server.url, "plain": true, "interval": 0});
    let (parent, child) = (tool(&repository, always.clone()), tool(&repository, always.clone()));
    release(&mut repository, "1.1.0", always);
    let output = parent.run(&["show"]);
    assert_eq!(stdout(&output).lines().last(), Some("widget 1.1.0 show"), "{}", stderr(&output));
    assert_eq!(server.count("stable/VERSION"), 1, "the restarted one checked again");

    // The mark is inherited by everything that the restarted process starts.
    let parent = tool(&repository, json!({"repository": server.url, "plain": true, "interval": 0}));
    let output = parent.run(&["run", child.path.to_str().unwrap(), "x"]);
    let path = child.path.display();
    assert_runs(&output, &format!("widget 1.1.0 x\nwidget 1.1.0 run {path} x\n"));
}

#[test]
fn a_start_with_nothing_to_do_says_nothing() {
    let repository = repository();
    let tool = tool(&repository, json!({}));
    for _ in 0..2 {
        let output = tool.run(&["x"]);
        assert_runs(&output, "widget 1.0.0 x\n");
        assert_eq!(stderr(&output), "");
    }
}

#[test]
fn the_check_is_skipped_by_wish_and_in_ci() {
    let mut repository = repository();
    let tool = tool(&repository, json!({}));
    release(&mut repository, "1.1.0", json!({}));
    let before = tool.snapshot();
    assert_runs(&run(tool.command().env("CI", "true")), "widget 1.0.0 \n");
    assert_runs(&run(tool.command().env("RELATCH_NO_UPDATE", "")), "widget 1.0.0 \n");
    assert_runs(&tool.run(&["x", "--no-update", "y"]), "widget 1.0.0 x --no-update y\n");
    assert_eq!(tool.snapshot(), before);
    assert_runs(&tool.run(&["--", "--no-update"]), "widget 1.1.0 -- --no-update\n");
}

#[test]
fn off_does_nothing() {
    let mut repository = repository();
    let tool = tool(&repository, json!({"policy": "off"}));
    release(&mut repository, "1.1.0", json!({}));
    let before = tool.snapshot();
    let output = tool.run(&[]);
    assert_runs(&output, "widget 1.0.0 \n");
    assert_eq!(stderr(&output), "");
    assert_eq!(tool.snapshot(), before);
}

#[test]
fn notify_says_one_line_and_installs_nothing() {
    let mut repository = repository();
    let tool = tool(&repository, json!({"policy": "notify"}));
    release(&mut repository, "1.1.0", json!({}));
    let before = tool.snapshot();
    let output = tool.run(&[]);
    assert_runs(&output, "widget 1.0.0 \n");
    assert_eq!(stderr(&output).lines().count(), 1, "{}", stderr(&output));
    assert!(stderr(&output).contains("1.1.0 is available"), "{}", stderr(&output));
    assert_eq!(tool.snapshot().executable(), before.executable());
    assert_eq!(tool.strays(), [""; 0]);
}

#[test]
fn being_offline_is_one_short_line() {
    let repository = repository();
    let tool = tool(&repository, json!({}));
    go_offline(&repository);
    let output = tool.run(&[]);
    assert_runs(&output, "widget 1.0.0 \n");
    assert_eq!(stderr(&output), OFFLINE);
    assert!(OFFLINE.trim_end().len() < 80);
    come_back(&repository);
}

#[test]
fn a_stderr_that_nobody_reads_is_no_reason_to_fail() {
    let mut repository = repository();
    let tool = tool(&repository, json!({"interval": 0}));
    for (policy, expected) in [("offline", "widget 1.0.0 \n"), ("update", "widget 1.1.0 \n")] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        if policy == "offline" {
            go_offline(&repository);
        }
        let output = run(tool.command().stderr(writer));
        assert_runs(&output, expected);
        if policy == "offline" {
            come_back(&repository);
            release(&mut repository, "1.1.0", json!({}));
        }
    }
}

#[test]
fn inside_the_interval_no_network_is_read() {
    let repository = repository();
    let server = Server::plain(&repository);
    let tool = tool(&repository, json!({"repository": server.url, "plain": true, "interval": 3600}));
    assert_runs(&tool.run(&[]), "widget 1.0.0 \n");
    let asked = server.requests().len();
    assert!(asked > 0);
    assert_runs(&tool.run(&[]), "widget 1.0.0 \n");
    assert_eq!(server.requests().len(), asked, "{:?}", server.requests());
    // An interval that has passed, by the recorded time.
    tool.edit("cache", |cache| cache["checked"] = (now() - 3601).into());
    assert_runs(&tool.run(&[]), "widget 1.0.0 \n");
    assert!(server.requests().len() > asked);
}

#[test]
fn a_check_that_failed_is_not_repeated_at_each_start() {
    let repository = repository();
    let server = Server::plain(&repository);
    server.answer("stable/", Answer::Status(503));
    server.answer("root/", Answer::Status(503));
    let tool = tool(&repository, json!({"repository": server.url, "plain": true}));
    let output = tool.run(&[]);
    assert_runs(&output, "widget 1.0.0 \n");
    assert_eq!(stderr(&output).lines().count(), 1, "{}", stderr(&output));
    let asked = server.requests().len();
    assert!(asked > 0);
    assert_runs(&tool.run(&[]), "widget 1.0.0 \n");
    assert_eq!(server.requests().len(), asked, "{:?}", server.requests());
}

#[test]
fn the_deadline_is_kept_whatever_the_network_does() {
    let repository = repository();
    let server = Server::plain(&repository);
    for path in ["root/", "stable/"] {
        let server = if path == "root/" { &server } else { &Server::plain(&repository) };
        server.answer(path, Answer::Stall);
        let slow = json!({"repository": server.url, "plain": true, "deadline_ms": 300});
        let tool = tool(&repository, slow.clone());
        let started = Instant::now();
        assert_runs(&tool.run(&[]), "widget 1.0.0 \n");
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());

        let mut slow = slow;
        slow["policy"] = "require".into();
        let tool = Tool::copied(&executable_such(&repository, "1.0.0", slow));
        let started = Instant::now();
        assert_refuses(&tool.run(&[]), 4);
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    }
}

#[test]
fn a_start_that_is_given_no_deadline_has_one_of_1500_ms() {
    let repository = repository();
    let server = Server::plain(&repository);
    server.answer("stable/", Answer::Stall);
    let tool = tool(&repository, json!({"repository": server.url, "plain": true, "deadline_ms": null}));
    let started = Instant::now();
    let output = tool.run(&[]);
    assert_runs(&output, "widget 1.0.0 \n");
    let took = started.elapsed();
    assert_eq!(stderr(&output), OFFLINE);
    let status = stdout(&tool.run(&["--update-status"]));
    assert!(status.contains(" did not deliver "), "{status}");
    assert!(took >= relatch::limits::STARTUP_CHECK && took < relatch::limits::CHECK, "{took:?}");
}
