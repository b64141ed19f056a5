//! The table.

use std::process::Command;

use rustix::process::Signal;

/// What a run does.
pub enum How {
    /// Variables and arguments of the tool, and how it ends: as shells report it, 128 and the
    /// signal.
    Alone(&'static [(&'static str, &'static str)], &'static [&'static str], i32),
    /// A script, whose `$0` is the tool, and what stderr contains.
    Shell(&'static str, &'static str),
    /// The tool waits, and this arrives until it ends.
    Signal(Signal, i32),
    /// Ctrl-C at a terminal.
    ControlC,
    /// The memory of its control group ends.
    OutOfMemory,
    /// Twenty at once, of different ways to end.
    Crowd,
}

/// What a run leaves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Trace {
    /// The end of the run.
    Ended,
    /// A hint at the next start.
    Hint,
    /// Neither: it is not known what became of it.
    Unknown,
    Any,
    /// A failure.
    Returns,
}

pub struct Case {
    pub name: &'static str,
    pub how: How,
    pub trace: Trace,
    /// Without this command there is no such case here.
    needs: &'static str,
}

impl Case {
    /// Why the case cannot run here.
    pub fn lacks(&self) -> Option<String> {
        if self.needs.is_empty() {
            return None;
        }
        let tried = Command::new("sh").args(["-c", self.needs]).output().unwrap();
        let why = String::from_utf8_lossy(&tried.stderr).trim().replace('\n', ", ");
        (!tried.status.success()).then_some(format!("`{}`: {why}", self.needs))
    }
}

const fn alone(name: &'static str, arguments: &'static [&'static str], code: i32) -> Case {
    Case { name, how: How::Alone(&[], arguments, code), trace: Trace::Ended, needs: "" }
}

const fn within(
    name: &'static str,
    variables: &'static [(&'static str, &'static str)],
    arguments: &'static [&'static str],
    code: i32,
) -> Case {
    Case { how: How::Alone(variables, arguments, code), ..alone(name, &[], 0) }
}

const fn shell(name: &'static str, script: &'static str, says: &'static str) -> Case {
    Case { name, how: How::Shell(script, says), trace: Trace::Ended, needs: "" }
}

const fn signal(name: &'static str, signal: Signal, code: i32) -> Case {
    Case { name, how: How::Signal(signal, code), trace: Trace::Hint, needs: "" }
}

impl Case {
    const fn leaves(self, trace: Trace) -> Self {
        Case { trace, ..self }
    }

    const fn needs(self, needs: &'static str) -> Self {
        Case { needs, ..self }
    }
}

const SPACE: &str = "unshare --pid --fork --mount-proc true";
const OWN_SPACE: &str = "unshare --user --map-root-user --pid --fork --mount-proc true";
const BOOT: &str = "unshare --mount mount --bind /dev/null /proc/sys/kernel/random/boot_id";
const TERMINAL: &str = "command -v script && ! sh -c 'kill -INT $$'";
const FULL: &str = "test -c /dev/full";

/// The control: each of these is seen.
pub const FAILURES: &[Case] = &[
    alone("panic", &["panic"], 101).leaves(Trace::Returns),
    within("panic in block_on", &[("TEST_MAIN", "block_on")], &["panic"], 101).leaves(Trace::Returns),
    within("panic, a hook before calls", &[("TEST_HOOK", "calls")], &["panic"], 101).leaves(Trace::Returns),
    within("panic, a hook before is silent", &[("TEST_HOOK", "replaces")], &["panic"], 101)
        .leaves(Trace::Returns),
    alone("panic, a hook after calls", &["end", "fatal hook: calls"], 101).leaves(Trace::Returns),
    shell("panic, the output is read", r#"{ "$0" panic; echo "code $?" >&2; } | cat"#, "code 101")
        .leaves(Trace::Returns),
    shell(
        "panic in another namespace",
        r#"unshare --pid --fork --mount-proc "$0" panic; echo "code $?" >&2"#,
        "code 101",
    )
    .leaves(Trace::Returns)
    .needs(SPACE),
];

pub const EXITS: &[Case] = &[
    alone("the end of main", &["x"], 0),
    alone("--help", &["--help"], 0),
    alone("an argument parser", &["end", "parser"], 2),
    alone("an error from main", &["end", "error"], 1),
    alone("exit 0", &["exit", "0"], 0),
    alone("exit 1", &["exit", "1"], 1),
    alone("exit 2", &["exit", "2"], 2),
    alone("exit 101", &["exit", "101"], 101),
    alone("exit 130", &["exit", "130"], 130),
    alone("exit 134", &["exit", "134"], 134),
    alone("exit 139", &["exit", "139"], 139),
    alone("exit 143", &["exit", "143"], 143),
    alone("exec", &["become", "true"], 0).leaves(Trace::Hint),
    shell(
        "exec of a program that panics",
        r#""$0" become env RELATCH_NO_UPDATE=1 "$0" panic; echo "$?" >&2"#,
        "101",
    )
    .leaves(Trace::Hint),
    alone("abort", &["abort"], 134).leaves(Trace::Hint),
    alone("a stack overflow", &["end", "stack"], 134).leaves(Trace::Hint),
];

/// Whoever runs the suite may ignore some, as nohup(1) does; so would the tool then.
pub const SIGNALS: &[Case] = &[
    signal("SIGHUP", Signal::HUP, 129).needs("! sh -c 'kill -HUP $$'"),
    signal("SIGINT", Signal::INT, 130).needs("! sh -c 'kill -INT $$'"),
    signal("SIGQUIT", Signal::QUIT, 131).needs("! sh -c 'kill -QUIT $$'"),
    signal("SIGKILL", Signal::KILL, 137),
    signal("SIGTERM", Signal::TERM, 143).needs("! sh -c 'kill -TERM $$'"),
    // The first of these two ends no more than the handler of Rust's standard library.
    signal("SIGSEGV", Signal::SEGV, 139),
    signal("SIGBUS", Signal::BUS, 135),
    signal("SIGABRT", Signal::ABORT, 134),
    Case { how: How::ControlC, ..signal("Ctrl-C at a terminal", Signal::INT, 130) }.needs(TERMINAL),
    Case { how: How::OutOfMemory, ..signal("no memory in its control group", Signal::KILL, 137) }
        .needs(super::act::MEMORY),
    shell(
        "a reboot while it runs",
        r#"unshare --mount sh -c 'mount --bind "$1" /proc/sys/kernel/random/boot_id &&
               exec "$0" abort' "$0" "$1"
           echo "code $?" >&2"#,
        "code 134",
    )
    .leaves(Trace::Unknown)
    .needs(BOOT),
    shell(
        "SIGKILL in another namespace",
        r#"unshare --pid --fork --mount-proc sh -c '"$0" wait /no/such |
               { read -r line; kill -KILL 2; echo "$line" >&2; }' "$0""#,
        "waiting",
    )
    .leaves(Trace::Unknown)
    .needs(SPACE),
    shell(
        "the first process of another namespace",
        r#"unshare --pid --fork --mount-proc "$0" x; echo "code $?" >&2"#,
        "code 0",
    )
    .needs(SPACE),
    shell(
        "abort in a namespace of its user",
        r#"unshare --user --map-root-user --pid --fork --mount-proc sh -c '"$0" abort
                echo "code $?" >&2' "$0""#,
        "code 134",
    )
    .leaves(Trace::Unknown)
    .needs(OWN_SPACE),
];

pub const PIPES: &[Case] = &[
    shell("println! | head -1", r#"{ "$0" talk; echo "code $?" >&2; } | head -n 1"#, "code 101"),
    shell("unwrap | head -1", r#"{ "$0" end 'talk: unwrap'; echo "code $?" >&2; } | head -n 1"#, "code 101"),
    shell("expect | head -1", r#"{ "$0" end 'talk: expect'; echo "code $?" >&2; } | head -n 1"#, "code 101"),
    shell(
        "its own words | head -1",
        r#"{ "$0" end 'talk: in its own words'; echo "code $?" >&2; } | head -n 1"#,
        "the output is gone",
    ),
    shell(
        "a thread, unwrap | head -1",
        r#"{ "$0" end 'talk: in a thread'; echo "code $?" >&2; } | head -n 1"#,
        "code 101",
    ),
    shell(
        "a scope | head -1",
        r#"{ "$0" end 'talk: in a scope'; echo "code $?" >&2; } | head -n 1"#,
        "code 101",
    ),
    shell(
        "a task, unwrap | head -1",
        r#"{ "$0" end 'talk: in a task'; echo "code $?" >&2; } | head -n 1"#,
        "code 101",
    ),
    shell(
        "block_on | head -1",
        r#"{ "$0" end 'talk: in block_on'; echo "code $?" >&2; } | head -n 1"#,
        "code 101",
    ),
    shell(
        "a caught panic, then | head -1",
        r#"{ "$0" end 'caught: then the pipe'; echo "code $?" >&2; } | head -n 1"#,
        "code 101",
    ),
    shell("SIGPIPE", r#"{ "$0" end 'talk: SIGPIPE'; echo "code $?" >&2; } | head -n 1"#, "code 141")
        .leaves(Trace::Hint),
    shell("no room for its output", r#""$0" talk >/dev/full; echo "code $?" >&2"#, "code 101").needs(FULL),
];

pub const CAUGHT: &[Case] = &[
    alone("catch_unwind", &["caught"], 0),
    alone("catch_unwind, then 101", &["end", "caught: then an error"], 101),
    alone("panic_any", &["end", "caught: a number"], 0),
    alone("resume_unwind, caught", &["end", "caught: resumed"], 0),
    alone("resume_unwind of a thread's", &["end", "resumed"], 101),
    alone("catch_unwind in a thread", &["end", "caught: in a thread"], 0),
    alone("a thread that is joined", &["thread"], 0),
    alone("a scoped thread", &["end", "caught: a scoped thread"], 0),
    alone("a thread named main", &["end", "caught: a thread named main"], 0),
    alone("in a destructor", &["end", "caught: in a destructor"], 0),
    alone("in a destructor while unwinding", &["end", "caught: in a destructor while unwinding"], 0),
    alone("exit in a destructor while unwinding", &["end", "exit while unwinding"], 3),
    alone("a fork", &["end", "fork"], 0),
    alone("a task of tokio", &["end", "task"], 0),
    alone("a task of tokio on the main thread", &["end", "task on main"], 0),
    alone("a task of tokio's LocalSet", &["end", "task of a set"], 0),
    alone("spawn_blocking", &["end", "blocking task"], 0),
    alone("a task of tokio, then exit 101", &["end", "task, then exit"], 101),
    within("the tool in a thread named main", &[("TEST_MAIN", "thread")], &["panic"], 70),
    within("the tool in a task of tokio", &[("TEST_MAIN", "task")], &["panic"], 70),
    within("a hook before calls", &[("TEST_HOOK", "calls")], &["caught"], 0),
    within("a hook before is silent", &[("TEST_HOOK", "replaces")], &["caught"], 0),
    within("a hook before exits", &[("TEST_HOOK", "exits")], &["panic"], 3),
    within("a hook before calls and exits", &[("TEST_HOOK", "calls, exits")], &["panic"], 3),
    alone("a hook after calls", &["end", "hook: calls"], 0),
    alone("a hook after is silent", &["end", "hook: replaces"], 0),
    alone("a hook after exits", &["end", "hook: exits"], 3),
    alone("a hook after calls and exits", &["end", "hook: calls, exits"], 3),
];

pub const CROWD: &[Case] = &[Case { name: "twenty at once", how: How::Crowd, trace: Trace::Any, needs: "" }];
