//! How `relatch` updates an executable that does not link this library.

use serde::{Deserialize, Serialize};

use super::dir::Dir;
use super::record_file::{read_checked, write_checked};
use super::{durable, names};
use crate::error::Result;
use crate::limits;
use crate::trust::Name;

/// How `relatch` reads an executable that carries no root of its own: kept beside it by `relatch install`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "relatch-settings/1")]
pub(crate) struct Settings {
    pub(crate) product: Name,
    pub(crate) channel: Name,
    pub(crate) target: Name,
    /// The address of the repository; trusted for nothing.
    pub(crate) from: String,
    pub(crate) ca_file: Option<String>,
    pub(crate) probe: super::probe::Probe,
    /// The root document that the person gave, as text.
    pub(crate) root: String,
}

impl Settings {
    /// For `fuzz/`.
    #[cfg(fuzzing)]
    pub(crate) fn rewritten(content: &[u8]) -> Option<Vec<u8>> {
        read_checked::<Settings>(content, "relatch-settings/1").ok().map(|settings| write_checked(&settings))
    }

    /// `None` if there are none.
    pub(super) fn load(private: &Dir) -> Result<Option<Settings>> {
        let limit = limits::ByteLimit(2 * limits::ROOT.0);
        let Some(content) = durable::read(private, names::SETTINGS, limit)? else { return Ok(None) };
        Ok(Some(read_checked(&content, "relatch-settings/1")?))
    }

    pub(super) fn save(&self, private: &Dir) -> Result<()> {
        durable::replace(private, names::SETTINGS, &write_checked(self))
    }
}
