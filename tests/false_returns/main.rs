//! Promise: a version in its first starts is left for a panic that ends its main function, and for
//! nothing else that looks like a failure.
//!
//! Each case runs where two panics are recorded and no run ended well, so that one false record
//! makes the next start go back. The short form runs each case ten times. `RELATCH_TEST_LONG=1`
//! runs each a thousand times, which takes half an hour; with `--nocapture` it prints the table.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod act;
mod cases;
#[path = "../support/mod.rs"]
mod support;

use cases::{Case, Trace};
use serde_json::json;
use support::tool::{stderr, stdout};
use support::{Repository, Tool, executable_such};

fn runs() -> usize {
    if std::env::var_os("RELATCH_TEST_LONG").is_some() { 1000 } else { 10 }
}

/// 1.1.0 is installed and on trial; 1.0.0 is known to work, and is kept.
struct Scene {
    _repository: Repository,
    tool: Tool,
    /// The first line of the trial of 1.1.0.
    head: String,
}

impl Scene {
    fn new() -> Self {
        let mut repository = Repository::new();
        let version = |repository: &Repository, version: &str| {
            executable_such(repository, version, json!({"interval": 1_000_000}))
        };
        let old = version(&repository, "1.0.0");
        repository.release("1.0.0", &old);
        let tool = Tool::copied(&old);
        assert!(tool.run(&["--update"]).status.success());
        assert!(tool.run(&["confirm"]).status.success());
        let new = version(&repository, "1.1.0");
        repository.release("1.1.0", &new);
        assert!(tool.run(&["--update"]).status.success());
        assert_eq!(tool.version(), "1.1.0");
        let mut scene = Scene { _repository: repository, tool, head: String::new() };
        scene.head = scene.trial().lines().next().unwrap().to_owned();
        scene
    }

    fn trial(&self) -> String {
        std::fs::read_to_string(self.tool.site_dir().join("trial")).unwrap()
    }

    /// Two runs of another boot panicked, and none ended well.
    fn begin(&self) {
        let of = "0123456789abcdef";
        let before = format!("start 7.7.{of}\npanic 7.7.{of}\nstart 8.8.{of}\npanic 8.8.{of}\n");
        std::fs::write(self.tool.site_dir().join("trial"), format!("{}\n{before}", self.head)).unwrap();
    }
}

/// What the runs of a case came to.
#[derive(Default)]
struct Count {
    returns: usize,
    records: usize,
    hints: usize,
    mistakes: Vec<String>,
}

impl Count {
    fn add(&mut self, case: &Case, scene: &Scene) {
        scene.begin();
        if let Err(mistake) = act::act(scene, &case.how) {
            self.mistakes.push(mistake);
        }
        let trial = scene.trial();
        let count = |word: &str| trial.lines().filter(|line| line.starts_with(word)).count();
        if count("start ") < 3 {
            self.mistakes.push(format!("it did not begin: {trial}"));
        }
        if matches!(case.trace, Trace::Ended | Trace::Returns) != (count("end ") > 0)
            && case.trace != Trace::Any
        {
            self.mistakes.push(format!("its end: {trial}"));
        }
        self.records += count("panic ") + count("crash ") - 2;
        let next = scene.tool.run(&["x"]);
        match stdout(&next).as_str() {
            "widget 1.1.0 x\n" => {}
            "widget 1.0.0 x\n" => {
                self.returns += 1;
                assert!(scene.tool.run(&["--update=1.1.0"]).status.success());
            }
            other => self.mistakes.push(format!("the next start: {other}")),
        }
        self.hints += usize::from(stderr(&next).contains("may be failing here"));
    }

    fn is_right(&self, case: &Case, runs: usize) -> bool {
        let evidence = if case.trace == Trace::Returns { runs } else { 0 };
        let hints = if case.trace == Trace::Hint && cfg!(target_os = "linux") { runs } else { 0 };
        self.mistakes.is_empty()
            && (self.returns, self.records) == (evidence, evidence)
            && (self.hints == hints || case.trace == Trace::Any)
    }
}

fn table(cases: &[Case]) {
    let (mut failed, runs) = (Vec::new(), runs());
    for case in cases {
        if let Some(why) = case.lacks() {
            println!("skipped: {}: {why}", case.name);
            continue;
        }
        let (mut count, scene) = (Count::default(), Scene::new());
        for _ in 0..runs {
            count.add(case, &scene);
        }
        let Count { returns, records, hints, mistakes } = &count;
        println!(
            "{:<44} {runs:>5} runs {returns:>5} returns {records:>5} records {hints:>5} hints",
            case.name
        );
        if !count.is_right(case, runs) {
            let mistakes = mistakes.iter().take(3).fold(String::new(), |text, next| text + "\n  " + next);
            failed.push(format!(
                "{}: {returns} returns, {records} records, {hints} hints{mistakes}",
                case.name
            ));
        }
    }
    assert!(failed.is_empty(), "of {runs} runs:\n{}", failed.join("\n"));
}

#[test]
fn a_panic_that_ends_main_is_a_failure() {
    table(cases::FAILURES);
}

#[test]
fn an_exit_code_is_no_failure() {
    table(cases::EXITS);
}

#[test]
fn what_ends_a_process_from_outside_is_no_failure() {
    table(cases::SIGNALS);
}

#[test]
fn a_closed_output_is_no_failure() {
    table(cases::PIPES);
}

#[test]
fn a_panic_that_is_caught_is_no_failure() {
    table(cases::CAUGHT);
}

#[test]
fn twenty_at_once_are_no_failure() {
    table(cases::CROWD);
}
