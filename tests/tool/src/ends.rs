//! Ways in which a run ends, or goes on: what `tests/false_returns` is about.
#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "panics are what is tested"
)]

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind, set_hook, take_hook};
use std::process::ExitCode;
use std::thread;

use tokio::runtime::{Builder, Runtime};

/// `main` as `TEST_MAIN` wants it: elsewhere than in the main function, or with something around it.
pub fn around(main: fn() -> ExitCode) -> ExitCode {
    if let Ok(how) = std::env::var("TEST_HOOK") {
        hook(&how);
    }
    let failed = ExitCode::from(70);
    match std::env::var("TEST_MAIN").as_deref() {
        Ok("thread") => {
            let thread = thread::Builder::new().name("main".into()).spawn(main);
            thread.unwrap().join().unwrap_or(failed)
        }
        Ok("task") => {
            let runtime = threads();
            let task = runtime.spawn(async move { u8::from(main() != ExitCode::SUCCESS) });
            runtime.block_on(task).map_or(failed, ExitCode::from)
        }
        Ok("block_on") => one_thread().block_on(async move { main() }),
        _ => main(),
    }
}

/// A hook of the tool's own, before or after the library has one.
fn hook(how: &str) {
    let former = take_hook();
    match how {
        "calls" => set_hook(Box::new(move |info| {
            eprintln!("the tool's hook");
            former(info);
        })),
        "replaces" => set_hook(Box::new(|_| eprintln!("the tool's hook"))),
        "calls, exits" => set_hook(Box::new(move |info| {
            former(info);
            std::process::exit(3);
        })),
        "exits" => set_hook(Box::new(|_| std::process::exit(3))),
        _ => panic!("no such hook: {how}"),
    }
}

fn threads() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).build().unwrap()
}

fn one_thread() -> Runtime {
    Builder::new_current_thread().build().unwrap()
}

fn fails() {
    panic!("this version fails");
}

/// Until nobody reads it.
fn talks() {
    loop {
        println!("a line");
    }
}

struct OnDrop(fn());

impl Drop for OnDrop {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// The code of the run, if it comes to its end.
pub fn end(how: &str) -> ExitCode {
    match how {
        "error" => return ExitCode::FAILURE,
        "parser" => {
            eprintln!("usage: widget COMMAND");
            std::process::exit(2);
        }
        "stack" => drop(overflow(1)),
        "memory" => eats(),
        // Caught.
        "caught: a number" => drop(catch_unwind(|| panic_any(42))),
        "caught: resumed" => {
            let caught = catch_unwind(fails).unwrap_err();
            drop(catch_unwind(AssertUnwindSafe(|| resume_unwind(caught))));
        }
        "caught: in a thread" => thread::spawn(|| drop(catch_unwind(fails))).join().unwrap(),
        "caught: a scoped thread" => drop(thread::scope(|scope| scope.spawn(fails).join())),
        "caught: a thread named main" => {
            drop(thread::Builder::new().name("main".into()).spawn(fails).unwrap().join());
        }
        "caught: in a destructor" => drop(catch_unwind(|| drop(OnDrop(fails)))),
        "caught: in a destructor while unwinding" => drop(catch_unwind(|| {
            let _first = OnDrop(|| drop(catch_unwind(fails)));
            fails();
        })),
        "caught: then an error" => {
            drop(catch_unwind(fails));
            return ExitCode::from(101);
        }
        "caught: then abort" => {
            drop(catch_unwind(fails));
            std::process::abort();
        }
        "caught: then the pipe" => {
            drop(catch_unwind(fails));
            if let Err(payload) = thread::spawn(talks).join() {
                resume_unwind(payload);
            }
        }
        "resumed" => {
            if let Err(payload) = thread::spawn(fails).join() {
                resume_unwind(payload);
            }
        }
        "exit while unwinding" => {
            let _first = OnDrop(|| std::process::exit(3));
            fails();
        }
        // By tokio.
        "task" => assert!(threads().block_on(async { tokio::spawn(async { fails() }).await }).is_err()),
        "task on main" => {
            assert!(one_thread().block_on(async { tokio::spawn(async { fails() }).await }).is_err());
        }
        "task of a set" => {
            let set = tokio::task::LocalSet::new();
            let tasks = set.run_until(async { tokio::task::spawn_local(async { fails() }).await });
            assert!(one_thread().block_on(tasks).is_err());
        }
        "task, then abort" => {
            drop(threads().block_on(async { tokio::spawn(async { fails() }).await }));
            std::process::abort();
        }
        "blocking task" => {
            assert!(threads().block_on(async { tokio::task::spawn_blocking(fails).await }).is_err());
        }
        // What `#[tokio::main]` makes of an async main function that handles it.
        "task, then exit" => {
            let ended = threads().block_on(async { tokio::spawn(async { fails() }).await });
            if let Err(error) = ended {
                eprintln!("{error}");
                std::process::exit(101);
            }
        }
        // Nobody reads it.
        "talk: unwrap" => loop {
            std::io::stdout().write_all(b"a line\n").unwrap();
        },
        "talk: expect" => loop {
            writeln!(std::io::stdout().lock(), "a line").expect("cannot write");
        },
        "talk: in its own words" => loop {
            if std::io::stdout().write_all(b"a line\n").is_err() {
                panic!("the output is gone");
            }
        },
        "talk: in a thread" => thread::spawn(talks).join().unwrap(),
        "talk: in a scope" => thread::scope(|scope| drop(scope.spawn(talks))),
        "talk: in a task" => threads().block_on(async { tokio::spawn(async { talks() }).await }).unwrap(),
        "talk: in block_on" => one_thread().block_on(async { talks() }),
        #[cfg(unix)]
        "talk: SIGPIPE" => {
            crate::unix::let_pipes_end_it();
            talks();
        }
        #[cfg(unix)]
        "fork" => {
            if let Some(code) = crate::unix::of_fork(fails) {
                return if code == 101 { ExitCode::SUCCESS } else { ExitCode::from(70) };
            }
        }
        _ => match how.split_once("hook: ") {
            Some(("", how)) => {
                hook(how);
                drop(catch_unwind(fails));
            }
            Some(("fatal ", how)) => {
                hook(how);
                fails();
            }
            _ => return ExitCode::from(70),
        },
    }
    ExitCode::SUCCESS
}

#[allow(unconditional_recursion, reason = "until the stack ends")]
fn overflow(depth: u64) -> u64 {
    let room = std::hint::black_box([depth; 512]);
    overflow(room[0] + 1) + std::hint::black_box(room[1])
}

/// Until the system has no more memory.
fn eats() {
    let mut eaten = Vec::new();
    loop {
        eaten.push(std::hint::black_box(vec![1_u8; 1 << 20]));
    }
}
