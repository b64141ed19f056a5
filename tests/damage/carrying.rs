//! The same beside a tool that carries its root and knows its version.

use crate::support::damage::damages;
#[cfg(unix)]
use crate::support::damage::fifo;
use crate::support::executable;
#[cfg(unix)]
use crate::support::tool::run as run_command;
use crate::support::tool::{stderr, stdout};
use crate::{carrying, without_cache};

#[test]
fn a_tool_that_carries_its_root_makes_damaged_records_whole_by_a_good_check_and_by_nothing_else() {
    for file in ["journal", "floors"] {
        let (repository, tool) = carrying();
        let path = tool.site_dir().join(file);
        let good = std::fs::read(repository.version_path()).unwrap();
        for (name, damage) in damages() {
            let name = format!("{file}: {name}");
            damage(&path);
            // What lies there is replaced neither by a check that is refused nor by a start that finds no repository and runs.
            std::fs::write(repository.version_path(), good.to_ascii_uppercase()).unwrap();
            let before = without_cache(&tool);
            let output = tool.run(&["--update"]);
            assert_eq!(output.status.code(), Some(3), "{name}: {}", stderr(&output));
            assert!(stderr(&output).contains("the recorded state is damaged"), "{name}: {}", stderr(&output));
            std::fs::remove_file(repository.version_path()).unwrap();
            assert_eq!(stdout(&tool.run(&["go"])), "widget 1.0.0 go\n", "{name}");
            assert_eq!(without_cache(&tool), before, "{name}");

            std::fs::write(repository.version_path(), &good).unwrap();
            let output = tool.run(&["--update"]);
            assert!(output.status.success(), "{name}: {}", stderr(&output));
            assert!(stderr(&output).contains("the recorded state is damaged"), "{name}: {}", stderr(&output));
            assert_eq!(tool.floor()["seq"], 6, "{name}");
            let output = tool.run(&["--update"]);
            assert!(output.status.success() && stderr(&output).is_empty(), "{name}: {}", stderr(&output));
        }
    }
}

/// Without floors the highest number seen is forgotten: a replayed VERSION is believed as long as it has not expired. It can withhold
/// news for that time; an older executable never comes with it, because the version that runs is known to the tool itself.
#[test]
fn a_tool_without_its_floors_never_goes_back_to_an_older_executable() {
    for forgotten in [&["floors"][..], &["journal", "floors", "cache"]] {
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
        for file in forgotten {
            std::fs::remove_file(tool.site_dir().join(file)).unwrap();
        }
        let output = tool.run(&["--update"]);
        assert!(output.status.success(), "{}", stderr(&output));
        assert_eq!(tool.version(), "1.0.0");
        assert_eq!(tool.floor()["seq"], 2);
        repository.release("1.1.0", &executable(&repository, "1.1.0"));
        let output = tool.run(&["--update"]);
        assert!(output.status.success(), "{}", stderr(&output));
        assert_eq!(tool.version(), "1.1.0");
    }
}

/// Nothing could take its place: no start asks for a check that it cannot record.
#[test]
fn a_directory_in_the_place_of_a_record_is_told_and_left_alone() {
    for file in ["journal", "floors"] {
        let (mut repository, tool) = carrying();
        let path = tool.site_dir().join(file);
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        repository.release("1.1.0", &executable(&repository, "1.1.0"));
        tool.edit("cache", |cache| cache["checked"] = 1.into());
        let before = without_cache(&tool);
        for (argument, code) in [("--update", 5), ("--rollback", 5), ("go", 0)] {
            let output = tool.run(&[argument]);
            assert_eq!(output.status.code(), Some(code), "{argument}: {}", stderr(&output));
            let told = format!("{}: not a regular file", path.display());
            assert!(stderr(&output).contains(&told), "{argument}: {}", stderr(&output));
            assert_eq!(without_cache(&tool), before, "{argument}");
        }
        std::fs::remove_dir(&path).unwrap();
        tool.edit("cache", |cache| cache["failure"]["at"] = 1.into());
        let output = tool.run(&["go"]);
        assert_eq!(stdout(&output), "widget 1.1.0 go\n", "{file}: {}", stderr(&output));
    }
}

/// A file of the tool's own under which something else lies by now costs a moment, and says so; the tool runs, and where it is needed no more
/// it is replaced.
#[test]
#[cfg(unix)]
fn nothing_waits_for_the_other_end_of_a_fifo() {
    for (file, told, updates) in [
        ("journal", "the recorded state is damaged: ", true),
        ("floors", "the recorded state is damaged: ", true),
        ("cache", "", true),
        ("root", "", true),
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
            let output = run_command(&mut command);
            assert_ne!(output.status.code(), Some(124), "{file}: {argument} waits");
            output
        };
        let status = run("--update-status");
        let is_damaged = ["journal", "floors"].contains(&file);
        assert_eq!(status.status.code(), Some(if is_damaged { 3 } else { 0 }), "{file}: {}", stderr(&status));
        let before = tool.digest();
        let output = run("--update");
        assert!(stderr(&output).contains(told), "{file}: {}", stderr(&output));
        assert_eq!(output.status.code(), Some(if updates { 0 } else { 5 }), "{file}: {}", stderr(&output));
        if !updates {
            assert!(!run("--rollback").status.success(), "{file}");
            assert_eq!((tool.digest(), tool.strays()), (before, vec![]), "{file}");
        }
        let version = if updates { "1.1.0" } else { "1.0.0" };
        assert_eq!(stdout(&run("go")), format!("widget {version} go\n"), "{file}");
    }
}
