//! How `relatch` updates an executable that does not link this library.

use serde::{Deserialize, Serialize};

use super::dir::OpenDir;
use super::record_file::{read_checked, write_checked};
use super::{durable, names};
use crate::error::Result;
use crate::limits;
use crate::trust::Name;

/// The settings with which `relatch` updates an executable that does not contain a root. `relatch
/// install` stores them beside the executable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "relatch-settings/1")]
pub(crate) struct Settings {
    pub(crate) product: Name,
    pub(crate) channel: Name,
    pub(crate) target: Name,
    /// The address of the repository. It is not trusted.
    pub(crate) from: String,
    pub(crate) ca_file: Option<String>,
    pub(crate) probe: super::probe::Probe,
    /// The text of the root document that the user gave.
    pub(crate) root: String,
}

impl Settings {
    /// For `fuzz/`.
    #[cfg(fuzzing)]
    pub(crate) fn rewritten(content: &[u8]) -> Option<Vec<u8>> {
        read_checked::<Settings>(content, "relatch-settings/1").ok().map(|settings| write_checked(&settings))
    }

    /// `None` if the file does not exist.
    pub(super) fn load(private: &OpenDir) -> Result<Option<Settings>> {
        let limit = limits::ByteLimit(2 * limits::ROOT.0);
        let Some(content) = durable::read(private, names::SETTINGS, limit)? else { return Ok(None) };
        Ok(Some(read_checked(&content, "relatch-settings/1")?))
    }

    pub(super) fn save(&self, private: &OpenDir) -> Result<()> {
        durable::replace(private, names::SETTINGS, &write_checked(self))
    }
}
