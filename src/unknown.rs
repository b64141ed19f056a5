//! Fields of a later version of relatch.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Fields that this version does not know. They are kept where they were, and written back, so that
/// an older version in between loses nothing (SPEC section 4.2).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Unknown(Map<String, Value>);

impl Unknown {
    /// Without a field that is known where the fields are moved to.
    pub(crate) fn forget(&mut self, name: &str) {
        self.0.remove(name);
    }
}

// A JSON number is never NaN.
impl Eq for Unknown {}
