//! The system calls of an undisturbed run: the points where a fault is injected.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::operation::Operation;
use super::scene::{Place, Scene};
use super::support::tool::{run, stderr};

/// One call of an undisturbed run.
#[derive(Clone, Debug)]
pub struct Point {
    /// The file of the repository that another thread reads; `None` if the main thread calls.
    /// strace counts calls for each thread, and for threads only those about this file.
    pub file: Option<PathBuf>,
    pub name: String,
    /// Of the calls of this name, the first is 1.
    pub number: usize,
    /// As strace prints it.
    pub text: String,
    /// Whether it makes the name of the executable durable: if it fails, success cannot be
    /// promised.
    pub makes_durable: bool,
}

impl Point {
    /// The first argument: a descriptor and its file, or a name.
    pub fn object(&self) -> &str {
        let (_, arguments) = self.text.split_once('(').unwrap_or_default();
        arguments.split_once([',', ')']).map_or(arguments, |(first, _)| first)
    }
}

/// Calls about memory, signals, time, identity and threads, which have no such errors and are about
/// no file. A limit cannot be unreadable, and random numbers cannot run out.
const SKIPPED: [&str; 37] = [
    "arch_prctl",
    "brk",
    "clock_nanosleep",
    "exit",
    "exit_group",
    "futex",
    "getegid",
    "geteuid",
    "getgid",
    "getgroups",
    "getpid",
    "getrandom",
    "getresgid",
    "getresuid",
    "gettid",
    "getuid",
    "kill",
    "madvise",
    "mmap",
    "mprotect",
    "mremap",
    "munmap",
    "prctl",
    "prlimit64",
    "restart_syscall",
    "rseq",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sched_getaffinity",
    "sched_yield",
    "set_robust_list",
    "set_tid_address",
    "sigaltstack",
    "sysinfo",
    "tgkill",
    "uname",
];

/// `strace` with what all runs have in common; it ends with the program's name.
pub fn strace(log: &Path, options: &[String], command: &Command) -> Command {
    let mut strace = Command::new("timeout");
    strace.args(["--signal=KILL", "60", "strace", "-qq", "-o"]).arg(log).args(options);
    strace.arg(command.get_program()).args(command.get_args());
    strace
}

/// All points of an operation: first those of the main thread in their order, then those of other
/// threads.
pub fn points(scene: &Scene, operation: &Operation) -> Vec<Point> {
    let mut points = main_points(scene, operation, &scene.place(operation, 0));
    let place = scene.place(operation, 0);
    points.extend(of_threads(&record(scene, operation, &place, &["-f".into(), "-y".into()]), scene));
    points
}

/// The points of the main thread; the place is not fresh any more then.
pub fn main_points(scene: &Scene, operation: &Operation, place: &Place) -> Vec<Point> {
    let mut options = vec!["-y".to_owned()];
    options.extend(operation.always.iter().flat_map(|it| ["-e".to_owned(), format!("inject={it}")]));
    let mut points = of_main(&record(scene, operation, place, &options), place, scene);
    points.retain(|point| {
        let is_injected = operation.always.iter().any(|it| it.starts_with(&format!("{}:", point.name)));
        // What a tool itself prints is its own business.
        let is_its_own = operation.kind.is_start() && point.text.starts_with("write(1<");
        !is_injected && !is_its_own
    });
    let to_path = format!(", \"{}\"", place.path.file_name().unwrap_or_default().to_string_lossy());
    let is_swap = |point: &Point| {
        ["rename", "link"].iter().any(|it| point.name.starts_with(it)) && point.text.contains(&to_path)
    };
    let swap = points.iter().rposition(is_swap).unwrap_or(points.len());
    // Of both directories.
    for fsync in points[swap..].iter_mut().filter(|point| point.name == "fsync").take(2) {
        fsync.makes_durable = true;
    }
    points
}

fn record(scene: &Scene, operation: &Operation, place: &Place, options: &[String]) -> String {
    let mut command = strace(&place.log, options, &operation.command(scene, place));
    scene.environment(&mut command);
    let output = run(&mut command);
    assert!(output.status.success(), "{}: {}", operation.name, stderr(&output));
    String::from_utf8_lossy(&std::fs::read(&place.log).unwrap()).into_owned()
}

/// Whether a fault at this call says something.
fn is_point(name: &str, call: &str) -> bool {
    // A debug build asks whether a descriptor is open before it closes it.
    !SKIPPED.contains(&name) && !call.contains("F_GETFD")
}

/// The name of the call in a line of strace, and what follows it.
fn split(line: &str) -> Option<(&str, &str)> {
    let (name, _) = line.split_once('(')?;
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_').then_some((name, line))
}

/// The calls from the first one that is about the installation or the repository. What comes before
/// is the loader's and the start of the standard library; test-tool reads its own description at
/// the end of its executable. A restart ends the list: what follows is another program.
fn of_main(log: &str, place: &Place, scene: &Scene) -> Vec<Point> {
    let (dir, repository) = (place.dir.to_str().unwrap().to_owned(), scene.repository());
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut points = Vec::new();
    let (mut has_begun, mut reads_itself, mut executed) = (false, false, 0);
    for (name, call) in log.lines().filter_map(split) {
        let count = counts.entry(name).or_default();
        *count += 1;
        executed += usize::from(name == "execve");
        if name == "execve" && executed == 1 {
            continue;
        }
        if !has_begun {
            reads_itself |= call.contains("\"/proc/self/exe\", O_RDONLY");
            let ours = call.contains(&dir) || call.contains(repository.to_str().unwrap());
            if reads_itself && name == "close" {
                reads_itself = false;
                continue;
            }
            has_begun = ours && !reads_itself;
        }
        if has_begun && is_point(name, call) {
            points.push(Point {
                file: None,
                name: name.into(),
                number: *count,
                text: call.into(),
                makes_durable: false,
            });
        }
        if executed > 1 {
            break;
        }
    }
    points
}

/// The calls of other threads about files of the repository; they do nothing else.
fn of_threads(log: &str, scene: &Scene) -> Vec<Point> {
    let repository = scene.repository().to_str().unwrap().to_owned();
    let main = log.split_whitespace().next().unwrap_or_default();
    let mut counts: BTreeMap<(&str, String, &str), usize> = BTreeMap::new();
    let mut points: BTreeMap<(String, String, usize), Point> = BTreeMap::new();
    for line in log.lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let Some((name, call)) = split(call.trim_start()).filter(|_| thread != main) else { continue };
        let Some(at) = call.find(&repository).filter(|_| is_point(name, call)) else { continue };
        let file: String = call[at..].chars().take_while(|it| !['"', '>'].contains(it)).collect();
        let count = counts.entry((thread, file.clone(), name)).or_default();
        *count += 1;
        points.entry((file.clone(), name.into(), *count)).or_insert(Point {
            file: Some(file.into()),
            name: name.into(),
            number: *count,
            text: call.into(),
            makes_durable: false,
        });
    }
    points.into_values().collect()
}
