//! Something that a person should see, and that is no error.

use std::fmt::{self, Display};

use serde::Serialize;

/// Something that a person should see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// A fixed word for scripts.
    pub what: &'static str,
    /// For people.
    pub text: String,
}

impl Notice {
    pub(crate) fn new(what: &'static str, text: impl Into<String>) -> Self {
        Notice { what, text: text.into() }
    }
}

impl Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
