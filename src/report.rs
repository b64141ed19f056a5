//! What is told while something is done: to a terminal, or to nobody.

use std::fmt;
use std::io::Write as _;

use crate::trust::Version;

/// A line on stderr. That nobody reads it, or that its disk is full, is no reason to fail, as it would be for `eprintln!`.
pub(crate) fn tell(line: fmt::Arguments<'_>) {
    drop(std::io::stderr().write_all(format!("{line}\n").as_bytes()));
}

/// Told of what happens on the way. Nothing here decides anything.
pub trait Reporter {
    /// Something is wrong but does not stop what is done.
    fn warn(&mut self, what: &str);

    /// A download has `done` of `total` bytes of the stored form.
    fn downloading(&mut self, version: &Version, done: u64, total: u64);
}

/// Tells nobody.
#[derive(Debug, Default)]
pub struct Quiet;

impl Reporter for Quiet {
    fn warn(&mut self, _: &str) {}

    fn downloading(&mut self, _: &Version, _: u64, _: u64) {}
}

/// Tells a person on stderr; with the feature `progress` and on a terminal, with a bar.
#[derive(Debug)]
pub struct Terminal {
    name: String,
    #[cfg(feature = "progress")]
    bar: Option<indicatif::ProgressBar>,
}

impl Terminal {
    /// Lines begin with the name of the program.
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
        tell(format_args!("{}: {what}", self.name));
    }

    #[cfg(not(feature = "progress"))]
    fn downloading(&mut self, _: &Version, _: u64, _: u64) {}

    #[cfg(feature = "progress")]
    fn downloading(&mut self, version: &Version, done: u64, total: u64) {
        use indicatif::{ProgressBar, ProgressStyle};
        // Hidden by indicatif itself where stderr is no terminal.
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
