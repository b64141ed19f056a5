//! Starting the very file that was hashed, and no other (SPEC step 11).
//!
//! A program is started by a name, and the name may lead to another file by then. So it is a name
//! in a directory that is held open: on Linux the working directory of the child is that descriptor
//! (`/proc/self/fd/N`), and the program is `./<name>` in it. That works for scripts too, which the
//! descriptor of the file itself does not: the interpreter opens them by their name again. The name
//! is compared with the descriptor before the start and after the end.

use std::fs::File;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use super::dir::Entry;
use super::verdict;
use crate::error::{Local, Result, io};

/// A file that was hashed over this descriptor, by its name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Program<'a> {
    pub(super) entry: Entry<'a>,
    pub(super) file: &'a File,
}

/// Why nothing was started.
#[derive(Debug)]
pub(super) enum NotStarted {
    /// What a process needs cannot be made, which is not about the program.
    #[cfg_attr(not(unix), allow(dead_code, reason = "std makes pipes and process in one call there"))]
    Machine { action: &'static str, error: std::io::Error },
    /// The program was not executed.
    Program(std::io::Error),
}

impl Program<'_> {
    pub(super) fn path(&self) -> PathBuf {
        self.entry.path()
    }

    /// # Errors
    /// [`Local::ChangedMeanwhile`] if the name leads to another file.
    pub(super) fn ensure_unchanged(&self) -> Result<()> {
        match self.entry.leads_to(self.file).map_err(io("look at", &self.path()))? {
            true => Ok(()),
            false => Err(Local::ChangedMeanwhile { path: self.path() }.into()),
        }
    }

    /// A command that starts it. Without [`Program::ensure_unchanged`] it may start another file.
    pub(super) fn command(&self) -> Command {
        match self.entry.dir_by_descriptor() {
            Some(dir) => {
                let mut command = Command::new(self.entry.relative());
                command.current_dir(dir);
                command
            }
            None => {
                let path = self.path();
                let mut command = Command::new(crate::platform::program(&path));
                // The longest working directory of Windows (MAX_PATH, with the characters that it
                // adds).
                const LONGEST: usize = if cfg!(windows) { 258 } else { usize::MAX };
                if let Some(dir) = path.parent().filter(|dir| dir.as_os_str().len() < LONGEST) {
                    command.current_dir(dir);
                }
                command
            }
        }
    }
}

/// Starts a file that was just written. A process that another thread is starting may hold a
/// writable descriptor of it for a moment (ETXTBSY).
pub(super) fn start(mut command: Command) -> Result<Child, NotStarted> {
    let pipes = Pipes::of(&mut command)?;
    #[cfg(target_os = "linux")]
    let _without = WithoutCoreFile::new();
    let mut tries = 0;
    loop {
        #[cfg(windows)]
        let spawned = crate::platform::windows::without_dialogs(|| command.spawn());
        #[cfg(not(windows))]
        let spawned = command.spawn();
        match spawned {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy && tries < 500 => {
                tries += 1;
                thread::sleep(Duration::from_millis(10));
            }
            // A virus scanner reads a new file first.
            Err(error) if verdict::is_transient(error.raw_os_error(), verdict::HERE) && tries < 100 => {
                tries += 1;
                thread::sleep(Duration::from_millis(10));
            }
            Err(error) => return Err(NotStarted::Program(error)),
            Ok(mut child) => {
                pipes.give_to(&mut child);
                return Ok(child);
            }
        }
    }
}

/// The parent's ends. They are made before the program is executed, so that an error of one is not
/// taken for an error of the other: ENOENT of `/dev/null`, EMFILE of a pipe.
#[cfg(unix)]
struct Pipes {
    stdout: std::os::fd::OwnedFd,
    stderr: std::os::fd::OwnedFd,
}

#[cfg(unix)]
impl Pipes {
    fn of(command: &mut Command) -> Result<Self, NotStarted> {
        let (input, pipes, [stdout, stderr]) = Pipes::with_input(std::path::Path::new("/dev/null"))?;
        command.stdin(input).stdout(stdout).stderr(stderr);
        Ok(pipes)
    }

    fn with_input(null: &std::path::Path) -> Result<(Stdio, Self, [Stdio; 2]), NotStarted> {
        let failed = |action| move |error| NotStarted::Machine { action, error };
        let input = File::open(null).map_err(failed("open /dev/null"))?;
        let pipe = || pipe().map_err(failed("make a pipe"));
        let ((stdout, out), (stderr, err)) = (pipe()?, pipe()?);
        let pipes = Pipes { stdout, stderr };
        Ok((input.into(), pipes, [out.into(), err.into()]))
    }

    fn give_to(self, child: &mut Child) {
        child.stdout = Some(self.stdout.into());
        child.stderr = Some(self.stderr.into());
    }
}

/// Both ends are closed where another thread executes a program.
#[cfg(unix)]
fn pipe() -> std::io::Result<(std::os::fd::OwnedFd, std::os::fd::OwnedFd)> {
    #[cfg(not(target_vendor = "apple"))]
    return Ok(rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?);
    // Apple's systems have no call that does both.
    #[cfg(target_vendor = "apple")]
    {
        let ends = rustix::pipe::pipe()?;
        for end in [&ends.0, &ends.1] {
            rustix::io::fcntl_setfd(end, rustix::io::FdFlags::CLOEXEC)?;
        }
        Ok(ends)
    }
}

#[cfg(not(unix))]
struct Pipes;

#[cfg(not(unix))]
impl Pipes {
    fn of(command: &mut Command) -> Result<Self, NotStarted> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok(Pipes)
    }

    fn give_to(self, _: &mut Child) {}
}

/// A core file of a crashed probe would stay beside the tool for ever. The child inherits the limit
/// of this process, which has its own one back when this is dropped.
#[cfg(target_os = "linux")]
struct WithoutCoreFile(rustix::process::Rlimit);

#[cfg(target_os = "linux")]
impl WithoutCoreFile {
    fn new() -> Self {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let before = getrlimit(Resource::Core);
        setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: before.maximum }).ok();
        WithoutCoreFile(before)
    }
}

#[cfg(target_os = "linux")]
impl Drop for WithoutCoreFile {
    fn drop(&mut self) {
        let WithoutCoreFile(before) = self;
        let (current, maximum) = (before.current, before.maximum);
        let before = rustix::process::Rlimit { current, maximum };
        rustix::process::setrlimit(rustix::process::Resource::Core, before).ok();
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_missing_dev_null_is_not_an_error_of_the_program() {
        let failed = Pipes::with_input(Path::new("/no/such/null")).err().unwrap();
        assert!(matches!(
            failed,
            NotStarted::Machine { action: "open /dev/null", error } if error.kind() == ErrorKind::NotFound
        ));
        // And a program that does not exist is.
        let failed = start(Command::new("/no/such/program")).unwrap_err();
        assert!(matches!(failed, NotStarted::Program(error) if error.kind() == ErrorKind::NotFound));
    }

    /// A script, and an ELF executable, in a directory whose name is not UTF-8, which is renamed
    /// away and replaced before the start.
    #[test]
    #[cfg(target_os = "linux")]
    fn the_file_in_the_open_directory_is_started_whatever_its_path_leads_to() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;
        use std::os::unix::fs::PermissionsExt;

        use super::super::dir::OpenDir;
        let temporary = tempfile::tempdir().unwrap();
        let base = temporary.path().canonicalize().unwrap();
        let there = base.join(OsStr::from_bytes(b"a\xff \n'b"));
        let put = |dir: &Path, name: &str, said: &str| {
            std::fs::create_dir_all(dir).unwrap();
            let path = dir.join(name);
            match name {
                "script" => std::fs::write(&path, format!("#!/bin/sh\necho {said}\n")).unwrap(),
                _ => drop(std::fs::copy("/bin/sh", &path).unwrap()),
            }
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        };
        for name in ["script", "elf"] {
            put(&there, name, "right");
            let dir = OpenDir::open(&there).unwrap();
            let entry = Entry::new(&dir, name);
            let file = entry.open().unwrap();
            let program = Program { entry, file: &file };
            std::fs::rename(&there, base.join("away")).unwrap();
            put(&there, name, "wrong");
            program.ensure_unchanged().unwrap();
            let mut command = program.command();
            if name == "elf" {
                command.args(["-c", "echo right"]);
            }
            let child = start(command).unwrap();
            let (status, stdout, _) =
                crate::child::wait(child, Duration::from_secs(60), 1024).unwrap().unwrap();
            assert_eq!((status.success(), &stdout[..]), (true, &b"right\n"[..]), "{name}");

            std::fs::rename(there.join(name), base.join("away").join(name)).unwrap();
            assert!(matches!(
                program.ensure_unchanged(),
                Err(crate::Error::Local(Local::ChangedMeanwhile { .. }))
            ));
            for dir in [&there, &base.join("away")] {
                std::fs::remove_dir_all(dir).unwrap();
            }
        }
    }
}
