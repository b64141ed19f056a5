//! Promise: only the tool itself is replaced, and not the loader that starts it, nor a program that
//! is in its place.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use relatch::trust::Digest;
use serde_json::{Value, json};
use support::tool::{make_executable, run, stderr, stdout};
use support::{Repository, Tool, executable, executable_such};

/// The loader that an executable names in its segment PT_INTERP; `None` for a static one.
fn loader_of(executable: &[u8]) -> Option<PathBuf> {
    let number = |at: usize, size: usize| {
        executable[at..at + size]
            .iter()
            .rev()
            .fold(0_usize, |number, byte| (number << 8) | usize::from(*byte))
    };
    assert!(executable.starts_with(b"\x7fELF\x02\x01"), "tests run on 64-bit little-endian systems only");
    let (at, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    let segment = (0..count).map(|index| at + index * size).find(|at| number(*at, 4) == 3)?;
    let path = &executable[number(segment + 8, 8)..][..number(segment + 32, 8)];
    Some(PathBuf::from(std::str::from_utf8(path).unwrap().trim_end_matches('\0')))
}

/// 1.0.0 of the tool, a newer release, and a copy of the loader in a user's own directory.
struct Scene {
    _repository: Repository,
    tool: Tool,
    loader: PathBuf,
    dir: tempfile::TempDir,
}

impl Scene {
    /// `None` where the tests are static.
    fn new(fields: Value) -> Option<Self> {
        let mut repository = Repository::new();
        let bytes = executable_such(&repository, "1.0.0", fields);
        let Some(system) = loader_of(&bytes) else {
            println!("skipped: a static executable has no loader");
            return None;
        };
        let tool = Tool::copied(&bytes);
        repository.release("1.1.0", &executable(&repository, "1.1.0"));
        let dir = tempfile::tempdir().unwrap();
        let loader = dir.path().canonicalize().unwrap().join("ld.so");
        std::fs::copy(system, &loader).unwrap();
        make_executable(&loader);
        Some(Scene { _repository: repository, tool, loader, dir })
    }

    fn through(&self, loader: &Path, arguments: &[&str]) -> Output {
        let mut command = Command::new(loader);
        command.arg(&self.tool.path).args(arguments);
        command.env_remove("CI").env_remove("RELATCH_NO_UPDATE");
        run(command.env("XDG_STATE_HOME", self.tool.state_home.path()))
    }

    fn start(&self, arguments: &[&str]) -> Output {
        let before = Digest::of(&std::fs::read(&self.loader).unwrap());
        let output = self.through(&self.loader, arguments);
        assert_eq!(Digest::of(&std::fs::read(&self.loader).unwrap()), before, "the loader was replaced");
        let names = std::fs::read_dir(self.dir.path()).unwrap().count();
        assert_eq!(names, 1, "something was made beside the loader");
        assert!(!self.tool.site_dir().exists());
        output
    }
}

#[test]
fn a_start_through_a_loader_replaces_nothing_and_says_so_once_a_day() {
    let Some(scene) = Scene::new(json!({})) else { return };
    let output = scene.start(&["x"]);
    assert_eq!(stdout(&output), "widget 1.0.0 x\n");
    let (loader, tool) = (scene.loader.display(), scene.tool.path.display());
    let expected = format!(
        "{loader} is not this tool and is not replaced: the running tool is {tool}, and {loader} started"
    );
    assert!(stderr(&output).contains(&expected), "{}", stderr(&output));
    assert!(stderr(&output).contains("Start the tool itself by its path"), "{}", stderr(&output));
    for _ in 0..3 {
        let output = scene.start(&["x"]);
        assert_eq!((stdout(&output).as_str(), stderr(&output).as_str()), ("widget 1.0.0 x\n", ""));
    }
    // It is as before, for who starts it by its path.
    assert_eq!(stdout(&scene.tool.run(&[])), "widget 1.1.0 \n");
}

#[test]
fn what_is_asked_for_through_a_loader_is_answered_with_the_reason() {
    let Some(scene) = Scene::new(json!({})) else { return };
    for flag in ["--update", "--update=now", "--rollback", "--update-status"] {
        let output = scene.start(&[flag]);
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(5), ""), "{flag}: {output:?}");
        assert!(stderr(&output).contains("is not this tool"), "{flag}: {}", stderr(&output));
    }
}

#[test]
fn under_require_nothing_runs_through_a_loader() {
    let Some(scene) = Scene::new(json!({"policy": "require"})) else { return };
    let output = scene.start(&["x"]);
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(5), ""), "{output:?}");
    assert!(stderr(&output).contains("not started: ") && stderr(&output).contains("is not this tool"));
}

#[test]
fn notify_and_off_are_as_careful() {
    for policy in ["notify", "off"] {
        let Some(scene) = Scene::new(json!({"policy": policy})) else { return };
        assert_eq!(stdout(&scene.start(&["x"])), "widget 1.0.0 x\n");
    }
}

/// The system's own loader, which whoever runs the tests as root may write. Only what is safe even
/// if the fault is there.
#[test]
fn the_loader_of_the_system_is_none_of_our_business() {
    let Some(scene) = Scene::new(json!({"policy": "off"})) else { return };
    let loader = loader_of(&std::fs::read(&scene.tool.path).unwrap()).unwrap();
    for flag in ["--rollback", "--update-status"] {
        let output = scene.through(&loader, &[flag]);
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(5), ""), "{flag}: {output:?}");
        assert!(stderr(&output).contains("is not this tool"), "{flag}: {}", stderr(&output));
    }
    let real = loader.canonicalize().unwrap();
    let beside = format!(".{}.relatch", real.file_name().unwrap().to_str().unwrap());
    assert!(!real.with_file_name(beside).exists());
}

/// A program that loads the library in `TEST_LIBRARY` and calls the tool in it; `None` where
/// nothing here can make one.
fn host(dir: &Path) -> Option<PathBuf> {
    const HOST: &str = "#include <dlfcn.h>\n#include <stdio.h>\n#include <stdlib.h>\n\
        int main(void) {\n\
            void *library = dlopen(getenv(\"TEST_LIBRARY\"), RTLD_NOW);\n\
            void (*tool)(void) = library ? (void (*)(void))dlsym(library, \"test_tool_main\") : NULL;\n\
            if (!tool) { fputs(dlerror(), stderr); return 70; }\n\
            tool();\n\
            return 0;\n\
        }\n";
    let made = tempfile::tempdir().unwrap();
    let (source, program) = (made.path().join("host.c"), dir.join("host"));
    std::fs::write(&source, HOST).unwrap();
    match Command::new("cc").arg(&source).arg("-o").arg(&program).arg("-ldl").output() {
        Ok(output) if output.status.success() => Some(program),
        Ok(output) => {
            println!("skipped: the C compiler does not link a program with dlopen: {}", stderr(&output));
            None
        }
        Err(error) => {
            println!("skipped: there is no C compiler: {error}");
            None
        }
    }
}

#[test]
fn a_host_that_loads_the_tool_as_a_library_is_not_replaced() {
    let library = support::built::library("test_tool_loaded");
    if !library.is_file() {
        println!("skipped: {} was not built", library.display());
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().canonicalize().unwrap();
    let Some(host) = host(&base) else { return };
    let mut repository = Repository::new();
    for version in ["1.0.0", "1.1.0"] {
        repository.release(version, &executable(&repository, version));
    }
    let state = tempfile::tempdir().unwrap();
    let start = |arguments: &[&str]| {
        let before = std::fs::read(&host).unwrap();
        let mut command = Command::new(&host);
        command.env_remove("CI").env_remove("RELATCH_NO_UPDATE").env("XDG_STATE_HOME", state.path());
        command.env("TEST_LIBRARY", &library).env("TEST_REPOSITORY", repository.location());
        command.env("TEST_ROOT", String::from_utf8(repository.anchor()).unwrap());
        let output = run(command.args(arguments));
        assert_eq!(std::fs::read(&host).unwrap(), before, "the host was replaced: {output:?}");
        assert_eq!(std::fs::read_dir(&base).unwrap().count(), 1, "something was made beside the host");
        output
    };
    let (library, host) = (library.canonicalize().unwrap(), host.display());
    let why = format!(
        "{host} is not this tool and is not replaced: the running tool is {}, and {host} started or loaded it",
        library.display()
    );
    let output = start(&[]);
    assert_eq!(stdout(&output), "widget 1.0.0 in a host\n", "{output:?}");
    assert!(stderr(&output).contains(&why), "{output:?}");
    let output = start(&[]);
    assert_eq!((stdout(&output).as_str(), stderr(&output).as_str()), ("widget 1.0.0 in a host\n", ""));
    for flag in ["--update", "--rollback", "--update-status"] {
        let output = start(&[flag]);
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(5), ""), "{flag}: {output:?}");
        assert!(stderr(&output).contains(&why), "{flag}: {output:?}");
    }
}

/// The kernel's list of mapped files does not tell it: the path of the running process leads to
/// another program by now.
#[test]
fn another_program_in_the_place_of_the_tool_is_not_replaced() {
    let mut repository = Repository::new();
    let bytes = executable(&repository, "1.0.0");
    repository.release("1.0.0", &bytes);
    for (other, why) in [
        ("#!/bin/sh\necho I am a tool\n".as_bytes(), "it answered `I am a tool` to the probe"),
        (b"#!/bin/sh\nexit 3\n", "it ended with exit status: 3"),
        (b"not a program", "it cannot be started"),
    ] {
        repository.release("1.1.0", &executable(&repository, "1.1.0"));
        // As a tool that was started by the path, and knows its own version.
        let settings = Tool::installed(&repository);
        std::fs::write(&settings.path, other).unwrap();
        let mut updater = settings.updater().version("1.0.0".parse().unwrap());
        let refused = updater.update(false).unwrap_err();
        assert!(matches!(refused, relatch::Error::Local(relatch::Local::NotTheTool { .. })), "{refused}");
        assert!(refused.to_string().contains(why) && refused.exit_code() == 5, "{refused}");
        assert_eq!(std::fs::read(&settings.path).unwrap(), other);
        assert_eq!(settings.strays(), [""; 0]);
    }
}

/// It is started once to see that it is the tool, and after that the record knows its hash.
#[test]
fn the_tool_is_tried_once_and_then_known() {
    if !support::strace::is_available() {
        return;
    }
    let mut repository = Repository::new();
    let bytes = executable(&repository, "1.0.0");
    repository.release("1.0.0", &bytes);
    let tool = Tool::copied(&bytes);
    for version in ["1.0.1", "1.0.2"] {
        repository.release(version, &executable(&repository, version));
        let log = tool.dir.path().join("log");
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-s", "4096", "-e", "trace=execve", "-o"]).arg(&log).arg(&tool.path);
        command.env_remove("CI").env_remove("RELATCH_NO_UPDATE").arg("--update");
        let output = command.output().unwrap();
        assert!(stdout(&output).contains(version), "{output:?}");
        let log = std::fs::read_to_string(log).unwrap();
        let probes = log.lines().filter(|line| line.contains("\"--version\"")).count();
        assert_eq!(probes, if version == "1.0.1" { 2 } else { 1 }, "{log}");
    }
}
