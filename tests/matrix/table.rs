//! The table of points and outcomes, and the rows where a promise is broken.

use std::collections::BTreeMap;
use std::fmt;

use super::SLOW;
use super::operation::Operation;
use super::row::{Outcome, Result, Row};

#[derive(Default)]
pub struct Table {
    lines: Vec<String>,
    broken: Vec<String>,
    slow: Vec<String>,
    rows: usize,
}

const HEAD: &str = "done / failed / killed before / killed after / not reached / BROKEN";

impl Table {
    /// One block for each operation, with one line for each name of a call and each fault.
    pub fn add(&mut self, operation: &Operation, points: usize, rows: &[Row<'_>], results: &[Result]) {
        let mut details = String::new();
        let mut counts: BTreeMap<(&str, &str), [usize; 6]> = BTreeMap::new();
        for (row, result) in rows.iter().zip(results) {
            let column = match result.outcome {
                Outcome::Done => 0,
                Outcome::Failed => 1,
                Outcome::KilledBefore => 2,
                Outcome::KilledAfter => 3,
                Outcome::Missed => 4,
            };
            let count = counts.entry((&row.point.name, row.fault)).or_default();
            count[column] += 1;
            if result.took >= SLOW {
                self.slow.push(format!("{row}: {} s", result.took.as_secs()));
            }
            if !result.faults.is_empty() {
                count[5] += 1;
                self.broken.push(row.to_string());
                details += &broken(row, result);
            }
        }
        // A few calls of other threads come or do not.
        let missed = results.iter().filter(|result| matches!(result.outcome, Outcome::Missed)).count();
        if missed > rows.len() / 20 + 1 {
            self.broken.push(format!(
                "{}: {missed} of {} rows did not reach their call",
                operation.name,
                rows.len()
            ));
        }
        self.rows += rows.len();
        let mut total = [0; 6];
        let mut block = format!("{}: {points} points, {} rows; {HEAD}\n", operation.name, rows.len());
        for ((name, fault), count) in counts {
            total = std::array::from_fn(|column| total[column] + count[column]);
            block += &format!("  {name:<12} {fault:<7} {}\n", cells(count));
        }
        block += &format!("  {:<20} {}\n", "all", cells(total));
        self.lines.push(block + &details);
    }

    /// The block that was added last, and its broken rows.
    pub fn last(&self) -> &str {
        self.lines.last().map_or("", String::as_str)
    }

    /// Fails with the rows where a promise is broken.
    pub fn assert_kept(&self) {
        assert!(
            self.broken.is_empty(),
            "{} rows break a promise:\n{}",
            self.broken.len(),
            self.broken.join("\n")
        );
    }
}

fn cells(count: [usize; 6]) -> String {
    count.map(|count| format!("{count:>6}")).join("")
}

fn broken(row: &Row<'_>, result: &Result) -> String {
    let options = row.options().into_iter().map(|option| match option.contains(['?', ' ']) {
        true => format!("'{option}'"),
        false => option,
    });
    format!(
        "BROKEN {row}\n  {}\n  - {}\n  again: RELATCH_MATRIX='{row}' cargo test -p test-tool --test matrix -- --nocapture\n  \
         that is: strace {}\n",
        row.point.text,
        result.faults.join("\n  - "),
        options.collect::<Vec<_>>().join(" "),
    )
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for slow in &self.slow {
            writeln!(f, "slow: {slow}")?;
        }
        write!(f, "{} rows, {} of them broken, ", self.rows, self.broken.len())
    }
}
