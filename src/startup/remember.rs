//! What a start remembers of its failures, so that each is reported once a day or once a release,
//! and not at each start.

use std::cell::RefCell;
use std::rc::Rc;

use super::builder::Startup;
use crate::check::Cache;
use crate::clock::{Clock as _, SystemClock};
use crate::error::{Error, Local, Result};
use crate::escape::Printable;
use crate::install::{Installation, installation_of_code};
use crate::report::{Reporter, Terminal, print_line};
use crate::source::Unavailable;
use crate::trust::{Digest, Identity, TrustAnchor, Version};

/// The tool whose failures are remembered.
pub(super) struct Reminder {
    product: String,
    identity: Identity,
    anchor: Digest,
}

impl Reminder {
    /// # Errors
    /// [`Error::Usage`] if the tool's own values are invalid: nothing can be recorded for such a
    /// tool.
    pub(super) fn of(startup: &Startup) -> Result<Self> {
        let (product, identity) = (startup.product.clone(), startup.identity()?);
        Ok(Reminder { product, identity, anchor: TrustAnchor::digest(&startup.root) })
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(super) fn anchor(&self) -> Digest {
        self.anchor
    }

    /// Records a failure, and reports it unless the same one was reported within a day, or at any
    /// time if it is reported only once.
    pub(super) fn failed(&self, error: &Error, warnings: &Warnings) {
        let (now, message) = (SystemClock.now(), Message::of(error));
        let is_place = matches!(error, Error::Local(Local::CannotUpdate { .. }));
        let is_told = self.note(|cache| {
            cache.failed(now, &message.text, message.brief, message.key, is_place);
            let is_due = cache.is_failure_due(now);
            if is_due {
                cache.failure_shown(now);
            }
            is_due
        });
        // Nothing can be recorded, so that this would be told at each start. What this user cannot
        // change is then told by `--update` alone.
        let is_of_others =
            matches!(error, Error::Local(Local::UnsafeSite { why, .. }) if why.is_about_this_user());
        if is_told.unwrap_or(!is_of_others) {
            warnings.print(&self.product);
            self.print(&message.text, message.brief);
        }
    }

    /// Whether updates began again and again, and none of them ended: the third in a row.
    pub(super) fn is_without_success(&self) -> bool {
        let last = Installation::of_running()
            .and_then(|installation| installation.last_check(&self.identity, self.anchor));
        last.ok()
            .flatten()
            .and_then(|cache| cache.failure().map(|failure| failure.began && failure.count >= 3))
            .unwrap_or(false)
    }

    /// Tells the user the recorded failure again, if its time has come.
    pub(super) fn remind(&self, cache: &Cache) {
        let now = SystemClock.now();
        let Some(failure) = cache.failure().filter(|_| cache.is_failure_due(now)) else { return };
        // The failure concerns the user who updates the tool.
        if !Installation::of_running().and_then(|installation| installation.is_writable()).unwrap_or(false) {
            return;
        }
        if self.note(|cache| cache.failure_shown(now)).is_some() {
            self.print(&failure.text, failure.brief);
        }
    }

    /// Warns once a day.
    pub(super) fn warn(&self, cache: &Cache, warning: &str) {
        let now = SystemClock.now();
        if cache.is_warning_due(now) {
            self.note(|cache| cache.warned(now));
            self.print(warning, false);
        }
    }

    /// `None` if it cannot be recorded.
    fn note<T>(&self, change: impl FnOnce(&mut Cache) -> T) -> Option<T> {
        if let Some(code) = installation_of_code() {
            // The executable is a loader or a host, beside which nothing is made.
            return code.note_for_user(&self.identity, self.anchor, change).ok();
        }
        let installation = Installation::of_running().ok()?;
        installation.note(&self.identity, self.anchor, change).ok()
    }

    fn print(&self, text: &str, brief: bool) {
        let lines = text.lines().take(if brief { 1 } else { usize::MAX });
        let lines: Vec<_> = lines.map(|line| Printable(line).to_string()).collect();
        print_line(format_args!("{}: {}", self.product, lines.join("\n")));
    }
}

/// The warnings of a check, which are printed together with its result.
#[derive(Default)]
pub(super) struct Warnings(Rc<RefCell<Vec<String>>>);

impl Warnings {
    /// A reporter that keeps warnings back, and shows progress at once.
    pub(super) fn reporter(&self, product: &str) -> impl Reporter + use<> {
        Reporting { terminal: Terminal::new(product), warnings: self.0.clone() }
    }

    pub(super) fn print(&self, product: &str) {
        for warning in self.0.borrow().iter() {
            print_line(format_args!("{product}: {warning}"));
        }
    }
}

struct Reporting {
    terminal: Terminal,
    warnings: Rc<RefCell<Vec<String>>>,
}

impl Reporter for Reporting {
    fn warn(&mut self, what: &str) {
        self.warnings.borrow_mut().push(what.to_owned());
    }

    fn downloading(&mut self, version: &Version, done: u64, total: u64) {
        self.terminal.downloading(version, done, total);
    }
}

/// What a start tells of an error.
struct Message {
    text: String,
    brief: bool,
    key: Digest,
}

impl Message {
    fn of(error: &Error) -> Self {
        let key = Digest::of(error.timeless().as_bytes());
        match error {
            // Being offline is not an error.
            Error::Unavailable(Unavailable::Unreachable { .. } | Unavailable::TooSlow { .. })
                if error.is_offline() =>
            {
                let text = format!("no check for updates: the repository cannot be reached\n  {error}");
                Message { text, brief: true, key: Digest::of(b"offline") }
            }
            _ if error.is_offline() => {
                Message { text: format!("no check for updates: {error}"), brief: false, key }
            }
            _ => Message { text: format!("not updated: {error}\n  {}", error.advice()), brief: false, key },
        }
    }
}
