//! Progress and warnings during an operation.

use std::fmt;
use std::io::Write as _;

use crate::trust::Version;

/// Prints a line on stderr. Unlike `eprintln!`, it does not panic if stderr is closed or its disk
/// full.
pub(crate) fn print_line(line: fmt::Arguments<'_>) {
    drop(std::io::stderr().write_all(format!("{line}\n").as_bytes()));
}

/// Receives progress and warnings during an operation. It cannot influence the operation.
pub trait Reporter {
    /// A problem that does not stop the operation, as one or more lines of text.
    fn warn(&mut self, what: &str);

    /// The download of `version` has received `done` of `total` bytes. These count the stored form,
    /// which may be compressed.
    fn downloading(&mut self, version: &Version, done: u64, total: u64);
}

/// Discards all reports.
#[derive(Debug, Default)]
pub struct Quiet;

impl Reporter for Quiet {
    fn warn(&mut self, _: &str) {}

    fn downloading(&mut self, _: &Version, _: u64, _: u64) {}
}

/// Prints warnings on stderr and, with the feature `progress` and on a terminal, a progress bar.
#[derive(Debug)]
pub struct Terminal {
    name: String,
    #[cfg(feature = "progress")]
    bar: Option<indicatif::ProgressBar>,
}

impl Terminal {
    /// `name` is the program's name, which begins each line.
    pub fn new(name: &str) -> Self {
        Terminal {
            name: name.to_owned(),
            #[cfg(feature = "progress")]
            bar: None,
        }
    }
}

impl Reporter for Terminal {
    fn warn(&mut self, what: &str) {
        print_line(format_args!("{}: {what}", self.name));
    }

    #[cfg(not(feature = "progress"))]
    fn downloading(&mut self, _: &Version, _: u64, _: u64) {}

    #[cfg(feature = "progress")]
    fn downloading(&mut self, version: &Version, done: u64, total: u64) {
        use indicatif::{ProgressBar, ProgressStyle};
        // indicatif hides the bar if stderr is not a terminal.
        let bar = self.bar.get_or_insert_with(|| {
            let style =
                ProgressStyle::with_template("{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}");
            let bar = ProgressBar::new(total).with_message(format!("{}: {version}", self.name));
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        bar.set_position(done);
        if done == total {
            bar.finish_and_clear();
            self.bar = None;
        }
    }
}
