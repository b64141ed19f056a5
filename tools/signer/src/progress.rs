//! What is told of an upload while it runs: a bar on a terminal, or nothing.

use std::sync::OnceLock;

use indicatif::{ProgressBar, ProgressStyle};
use relatch::Printable;

/// Told of what takes long. Nothing here decides anything.
pub trait Progress: Send + Sync {
    /// So many bytes of blobs are to be uploaded.
    fn begin(&self, total: u64);

    /// So many more of them need no upload any more.
    fn advance(&self, bytes: u64);

    /// Why nothing happens for a while.
    fn waiting(&self, why: &str);

    /// All blobs are there, or it failed.
    fn end(&self);

    /// Whether what is uploaded is still wanted.
    fn goes_on(&self) -> bool {
        true
    }
}

/// Tells nobody.
#[derive(Debug, Default, Clone, Copy)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: u64) {}

    fn advance(&self, _: u64) {}

    fn waiting(&self, _: &str) {}

    fn end(&self) {}
}

/// Tells a person on stderr: a bar where that is a terminal, and a line for each wait everywhere.
#[derive(Debug, Default)]
pub struct Terminal {
    bar: OnceLock<ProgressBar>,
}

impl Progress for Terminal {
    fn begin(&self, total: u64) {
        let bar = self.bar.get_or_init(|| ProgressBar::new(total)); // hidden where stderr is no terminal
        let style =
            ProgressStyle::with_template("uploading {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    }

    fn advance(&self, bytes: u64) {
        if let Some(bar) = self.bar.get() {
            bar.inc(bytes);
        }
    }

    fn waiting(&self, why: &str) {
        use std::io::Write as _;
        let tell = || drop(std::io::stderr().write_all(format!("signer: {}\n", Printable(why)).as_bytes()));
        self.bar.get().map_or_else(tell, |bar| bar.suspend(tell));
    }

    fn end(&self) {
        if let Some(bar) = self.bar.get() {
            bar.finish_and_clear();
        }
    }
}
