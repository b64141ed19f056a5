//! Promise: whatever system call fails, and wherever a process is killed, an executable that runs
//! is at the path, as the old or the new version; the exit code and the message say which; and the
//! next command finishes or undoes what was begun and leaves nothing lying about.
//!
//! strace first records an undisturbed run of each operation: these calls are the points, counted
//! and not sampled. Then each point meets each fault of [`row::FAULTS`]: SIGKILL, or an error in
//! place of the call. A row is an operation, a point and a fault. Points are the calls of the main
//! thread from the first one that is about the installation or the repository, and the calls of
//! other threads about the repository. Not counted are calls of the loader, of child processes, and
//! those in [`point::SKIPPED`].
//!
//! The short form takes of each operation the first and the last call of each name, and every
//! [`STRIDE`]th row. `RELATCH_MATRIX=all` takes every row, and is what `.ci/matrix rows` runs.
//!
//! A large file is read and written by many calls of one kind: `RELATCH_MATRIX=ends` takes of such
//! a run of calls the first two and the last two, and of everything else every row.
//!
//! `RELATCH_FAULTS=KILL,EIO` takes of these rows those with one of these faults.
//!
//! A part of a row's name in place of `all` takes every row with this part, such as
//! `RELATCH_MATRIX='tool --rollback: fsync#2 EIO'`; both runs are then shown.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod operation;
mod point;
mod power;
mod row;
mod scene;
#[path = "../support/mod.rs"]
mod support;
mod table;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use operation::OPERATIONS;
use point::Point;
use row::{FAULTS, Result, Row};
use scene::Scene;
use support::strace::is_available;
use table::Table;

/// Of all rows, those that the short form takes beside the first and the last call of each name. It
/// has no divisor in common with the number of faults, so that it meets each.
const STRIDE: usize = 173;

enum Form {
    Short,
    All,
    Ends,
    Part(String),
}

impl Form {
    fn of_environment() -> Form {
        match std::env::var("RELATCH_MATRIX") {
            Err(_) => Form::Short,
            Ok(all) if all == "all" => Form::All,
            Ok(ends) if ends == "ends" => Form::Ends,
            Ok(part) => Form::Part(part),
        }
    }

    fn takes(&self, row: &Row<'_>, number: usize, points: &[Point]) -> bool {
        match self {
            Form::All => true,
            Form::Ends => is_end_of_run(row.point, points),
            Form::Part(part) => row.to_string().contains(part.as_str()),
            Form::Short => {
                let same = |point: &&Point| {
                    point.name == row.point.name && point.file.is_some() == row.point.file.is_some()
                };
                let (mut first, mut last) = (points.iter().filter(same), points.iter().rev().filter(same));
                let is = |point: Option<&Point>| point.is_some_and(|point| std::ptr::eq(point, row.point));
                let is_end = is(first.next()) || is(last.next());
                // One error at each, another one at the next.
                let error = 1 + number / FAULTS.len() % (FAULTS.len() - 1);
                is_end && (row.fault == "KILL" || row.fault == FAULTS[error]) || number.is_multiple_of(STRIDE)
            }
        }
    }
}

/// Whether a call is one of the first two or last two of a run of calls of one name about one file.
fn is_end_of_run(point: &Point, points: &[Point]) -> bool {
    let same = |other: &&Point| (&other.name, other.object()) == (&point.name, point.object());
    let at = points.iter().position(|other| std::ptr::eq(other, point)).unwrap_or_default();
    let before = points[..at].iter().rev().take_while(same).count();
    let after = points[at + 1..].iter().take_while(same).count();
    before < 2 || after < 2
}

#[test]
fn every_system_call_may_fail_and_every_moment_may_be_the_last() {
    if !is_available() {
        return;
    }
    let faults = std::env::var("RELATCH_FAULTS").ok();
    let is_wanted =
        |fault: &str| faults.as_ref().is_none_or(|faults| faults.split(',').any(|it| it == fault));
    let (form, scene, began) = (Form::of_environment(), Scene::new(), Instant::now());
    let mut table = Table::default();
    for operation in &OPERATIONS {
        let points = point::points(&scene, operation);
        assert!(points.len() > 20, "{}: {} points", operation.name, points.len());
        let rows = points.iter().flat_map(|point| FAULTS.map(|fault| Row { operation, point, fault }));
        let rows: Vec<_> = rows
            .enumerate()
            .filter(|(number, row)| form.takes(row, *number, &points) && is_wanted(row.fault))
            .map(|(_, row)| row)
            .collect();
        let results = run_all(&rows, &scene);
        for (row, result) in rows.iter().zip(&results) {
            if let Form::Part(_) = form {
                println!(
                    "{row}\n  {}\n  {:?}, {} ms\n{}",
                    row.point.text,
                    result.outcome,
                    result.took.as_millis(),
                    result.said
                );
            }
        }
        table.add(operation, points.len(), &rows, &results);
        if !rows.is_empty() {
            println!("{}", table.last());
        }
    }
    println!("{table}in {} s", began.elapsed().as_secs());
    scene.assert_untouched();
    table.assert_kept();
}

/// On all processors; each worker has a directory of its own.
fn run_all(rows: &[Row<'_>], scene: &Scene) -> Vec<Result> {
    let workers = std::thread::available_parallelism().map_or(2, usize::from).min(9);
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<Option<Result>>> = Mutex::new(rows.iter().map(|_| None).collect());
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let (next, results) = (&next, &results);
            scope.spawn(move || {
                while let Some((number, row)) = {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    rows.get(number).map(|row| (number, row))
                } {
                    let result = row.check(scene, worker);
                    results.lock().unwrap()[number] = Some(result);
                }
            });
        }
    });
    results.into_inner().unwrap().into_iter().map(Option::unwrap).collect()
}

/// Slower than this is shown.
const SLOW: Duration = Duration::from_secs(5);
