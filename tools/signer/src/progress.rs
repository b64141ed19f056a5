//! The progress of an upload: a bar on a terminal, or nothing.

use std::io::Write as _;
use std::sync::OnceLock;

use indicatif::{ProgressBar, ProgressStyle};

/// Receives the progress of long operations.
pub trait Progress: Send + Sync {
    /// An upload of blobs begins, of this many bytes in total.
    fn begin(&self, total: u64);

    /// This many further bytes are uploaded, or need no upload.
    fn advance(&self, bytes: u64);

    /// The upload pauses, for this reason.
    fn waiting(&self, why: &str);

    /// The upload has ended, with or without success.
    fn end(&self);

    /// Whether to continue. False ends the upload of a blob between two of its parts.
    fn should_continue(&self) -> bool {
        true
    }
}

/// Shows nothing.
#[derive(Debug, Default, Clone, Copy)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: u64) {}

    fn advance(&self, _: u64) {}

    fn waiting(&self, _: &str) {}

    fn end(&self) {}
}

/// Shows a bar on stderr if that is a terminal, and a line for each pause in any case.
#[derive(Debug, Default)]
pub struct ProgressOnStderr {
    bar: OnceLock<ProgressBar>,
}

impl Progress for ProgressOnStderr {
    fn begin(&self, total: u64) {
        // indicatif hides the bar if stderr is not a terminal.
        let bar = self.bar.get_or_init(|| ProgressBar::new(total));
        let template = "uploading {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
        let style = ProgressStyle::with_template(template);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    }

    fn advance(&self, bytes: u64) {
        if let Some(bar) = self.bar.get() {
            bar.inc(bytes);
        }
    }

    fn waiting(&self, why: &str) {
        let line = crate::redact::redacted(&format!("signer: {why}\n"));
        let print = || drop(std::io::stderr().write_all(line.as_bytes()));
        self.bar.get().map_or_else(print, |bar| bar.suspend(print));
    }

    fn end(&self) {
        if let Some(bar) = self.bar.get() {
            bar.finish_and_clear();
        }
    }
}
