//! What a run of a case does.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::Scene;
use crate::cases::How;
use crate::support::tool::{run, stderr};

/// # Errors
/// The run did something else than the case is about.
pub fn act(scene: &Scene, how: &How) -> Result<(), String> {
    match how {
        How::Alone(variables, arguments, expected) => {
            let output = run(scene.tool.command().envs(variables.iter().copied()).args(*arguments));
            let found = code(output.status);
            if found == *expected { Ok(()) } else { Err(format!("code {found}: {}", stderr(&output))) }
        }
        How::Shell(script, says) => {
            let boot = scene.tool.dir.path().join("boot");
            std::fs::write(&boot, "01234567-89ab-4def-8123-456789abcdef\n").unwrap();
            let mut shell = Command::new("sh");
            shell.args(["-c", script]).arg(&scene.tool.path).arg(&boot);
            shell.env_remove("CI").env_remove("RELATCH_NO_UPDATE").env_remove("SHELL");
            let said = stderr(&run(&mut shell));
            if said.contains(says) { Ok(()) } else { Err(said) }
        }
        How::Signal(signal, expected) => {
            let mut child = waiting(scene.tool.command().args(["wait", "/no/such"]));
            for _ in 0..1000 {
                kill(&child, *signal);
                std::thread::sleep(std::time::Duration::from_millis(5));
                if child.try_wait().unwrap().is_some() {
                    break;
                }
            }
            drop(child.kill());
            let found = code(child.wait().unwrap());
            if found == *expected { Ok(()) } else { Err(format!("code {found}")) }
        }
        How::ControlC => {
            let call = format!("'{}' wait /no/such", scene.tool.path.display());
            let mut command = Command::new("script");
            command.args(["-q", "-e", "-c", &call, "/dev/null"]).env("SHELL", "/bin/sh");
            let mut child = waiting(command.env_remove("CI").env_remove("RELATCH_NO_UPDATE"));
            child.stdin.as_mut().unwrap().write_all(b"\x03").unwrap();
            let found = code(child.wait().unwrap());
            if found == 130 { Ok(()) } else { Err(format!("code {found}")) }
        }
        How::OutOfMemory => {
            let group = Group::new();
            let script = r#"echo $$ >"$1/cgroup.procs" && exec "$0" end memory"#;
            let mut shell = Command::new("sh");
            shell.args(["-c", script]).arg(&scene.tool.path).arg(&group.0);
            let output = run(shell.env_remove("CI").env_remove("RELATCH_NO_UPDATE"));
            let (found, kills) = (code(output.status), group.kills());
            if (found, kills) == (137, 1) {
                return Ok(());
            }
            Err(format!("code {found}, {kills} ended for want of memory: {}", stderr(&output)))
        }
        How::Crowd => crowd(scene),
    }
}

/// As shells report it.
fn code(status: ExitStatus) -> i32 {
    status.code().or(status.signal().map(|signal| 128 + signal)).unwrap()
}

fn spawn(command: &mut Command) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for _ in 0..1000 {
        match command.spawn() {
            // Another test forks while it holds a writable descriptor.
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            child => return child.unwrap(),
        }
    }
    panic!("the executable stays busy");
}

/// Until the tool says so.
fn waiting(command: &mut Command) -> Child {
    let mut child = spawn(command);
    child.stdout.as_mut().unwrap().read_exact(&mut [0; 7]).unwrap();
    child
}

/// It is still a child, if it has ended.
fn kill(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// Of each kind more than one. Fewer than five come to their end: five would confirm the version.
fn crowd(scene: &Scene) -> Result<(), String> {
    let gone: [&[&str]; 5] = [
        &["abort"],
        &["become", "true"],
        &["end", "caught: then abort"],
        &["end", "task, then abort"],
        &["wait", "/no/such"],
    ];
    let ended: [&[&str]; 4] =
        [&["caught"], &["thread"], &["end", "task on main"], &["end", "talk: in a thread"]];
    let calls = (0..16).map(|number| gone[number % gone.len()]).chain(ended);
    let mut children: Vec<(&[&str], Child)> =
        calls.map(|call| (call, spawn(scene.tool.command().args(call)))).collect();
    let mut codes = Vec::new();
    for (call, child) in &mut children {
        let mut stdout = child.stdout.take().unwrap();
        match call {
            ["wait", ..] => {
                stdout.read_exact(&mut [0; 7]).unwrap();
                kill(child, Signal::KILL);
            }
            // It talks until nobody listens.
            [_, how] if how.starts_with("talk") => drop(stdout),
            _ => drop(std::io::copy(&mut stdout, &mut std::io::sink())),
        }
        codes.push(code(child.wait().unwrap()));
    }
    let expected: Vec<i32> =
        (0..16).map(|number| [134, 0, 134, 134, 137][number % 5]).chain([0, 0, 0, 101]).collect();
    if codes == expected { Ok(()) } else { Err(format!("codes {codes:?}")) }
}

/// Whether this process may limit the memory of another.
pub const MEMORY: &str = "if [ -e /sys/fs/cgroup/memory/memory.limit_in_bytes ]; then
    test -w /sys/fs/cgroup/memory/cgroup.procs
else
    grep -qw memory /sys/fs/cgroup/cgroup.subtree_control && test -w /sys/fs/cgroup/cgroup.subtree_control
fi";

/// A control group with little memory, of the first or of the second kind (cgroups(7)).
struct Group(PathBuf);

impl Group {
    fn new() -> Self {
        let first = Path::new("/sys/fs/cgroup/memory");
        let is_first = first.join("memory.limit_in_bytes").exists();
        let above = if is_first { first } else { Path::new("/sys/fs/cgroup") };
        let group = Group(above.join(format!("relatch-{}", std::process::id())));
        std::fs::create_dir(&group.0).unwrap();
        let limits = if is_first {
            [("memory.limit_in_bytes", "50331648"), ("memory.memsw.limit_in_bytes", "50331648")]
        } else {
            [("memory.max", "50331648"), ("memory.swap.max", "0")]
        };
        for (number, (name, value)) in limits.into_iter().enumerate() {
            let written = std::fs::write(group.0.join(name), value);
            // A system without swap may have no limit of it.
            assert!(number > 0 || written.is_ok(), "{name}: {written:?}");
        }
        group
    }

    /// How many processes were ended because there was no memory.
    fn kills(&self) -> usize {
        let files = ["memory.events", "memory.oom_control"].map(|name| self.0.join(name));
        let text = files.iter().find_map(|file| std::fs::read_to_string(file).ok()).unwrap();
        text.lines().find_map(|line| line.strip_prefix("oom_kill ")).unwrap().trim().parse().unwrap()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Its last process may be about to leave it.
        for _ in 0..100 {
            if std::fs::remove_dir(&self.0).is_ok() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}
