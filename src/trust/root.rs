//! The root document: which keys hold which role, and how many of them must sign.

use serde::{Deserialize, Serialize};

use super::canonical::{Document, integer, is_set, sealed};
use super::fields::{Epoch, Name};
use super::minisign::PublicKey;
use super::{DocumentKind, Refusal, Role};
use crate::escape::Words;

/// `relatch-root/1` (SPEC section 3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename = "relatch-root/1")]
pub struct Root {
    /// The product whose keys these are.
    pub product: Name,
    /// The number of the root: 1 for the first, and one more for each root after it.
    #[serde(deserialize_with = "integer")]
    pub version: u64,
    /// Unix seconds.
    #[serde(deserialize_with = "integer")]
    pub issued: u64,
    /// Unix seconds.
    #[serde(deserialize_with = "integer")]
    pub expires: u64,
    /// Raised after a key was stolen.
    pub epoch: Epoch,
    /// All keys that a role names, sorted by `public`.
    pub keys: Vec<Key>,
    /// The keys of each role.
    pub roles: Roles,
}

/// The only key algorithm so far.
pub const ED25519: &str = "ed25519";

/// A public key in a root document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    /// `ed25519`. A key of another algorithm is parsed and never counts, so that a root can
    /// introduce a new algorithm.
    pub alg: Name,
    /// Lower-case hex; for Ed25519, 64 digits for the 32 bytes.
    pub public: String,
}

/// The three roles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roles {
    /// Signs roots.
    pub root: RoleKeys,
    /// Signs manifests.
    pub release: RoleKeys,
    /// Signs `VERSION`.
    pub timestamp: RoleKeys,
}

/// The keys of one role, and how many distinct keys must sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleKeys {
    /// The `public` fields of the keys, sorted.
    pub keys: Vec<String>,
    /// From 1 to the number of keys.
    pub threshold: u32,
}

impl Roles {
    /// The keys of a role.
    pub fn get(&self, role: Role) -> &RoleKeys {
        match role {
            Role::Root => &self.root,
            Role::Release => &self.release,
            Role::Timestamp => &self.timestamp,
        }
    }

    /// The keys of a role, mutable.
    pub fn get_mut(&mut self, role: Role) -> &mut RoleKeys {
        match role {
            Role::Root => &mut self.root,
            Role::Release => &mut self.release,
            Role::Timestamp => &mut self.timestamp,
        }
    }
}

impl Root {
    /// The Ed25519 keys of a role. Keys of other algorithms never count.
    pub fn keys_of(&self, role: Role) -> Vec<PublicKey> {
        let held = &self.roles.get(role).keys;
        self.keys
            .iter()
            .filter(|key| key.alg.as_str() == ED25519 && held.contains(&key.public))
            .filter_map(|key| PublicKey::from_hex(&key.public).ok())
            .collect()
    }
}

impl sealed::Sealed for Root {}

impl Document for Root {
    const KIND: DocumentKind = DocumentKind::Root(0);
    const TYPE: &'static str = "relatch-root/1";

    fn kind(&self) -> DocumentKind {
        DocumentKind::Root(self.version)
    }

    fn check(&self) -> Result<(), String> {
        if self.version == 0 {
            return Err("`version` must be at least 1".into());
        }
        if self.expires <= self.issued {
            return Err("`expires` is not after `issued`".into());
        }
        if !is_set(self.keys.iter().map(|key| &key.public)) {
            return Err("`keys` is not sorted by `public`, or has a duplicate".into());
        }
        for key in &self.keys {
            if key.public.is_empty() || !key.public.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
                return Err("`public` is not lower-case hex".into());
            }
        }
        for role in Role::ALL {
            let held = self.roles.get(role);
            if !is_set(&held.keys) {
                return Err(format!("the keys of role {role} are not sorted, or have a duplicate"));
            }
            if held.threshold == 0 || held.threshold as usize > held.keys.len() {
                return Err(format!(
                    "role {role} has threshold {} of {} keys; it must be from 1 to the number of \
                     keys",
                    held.threshold,
                    held.keys.len()
                ));
            }
            if let Some(unknown) =
                held.keys.iter().find(|public| !self.keys.iter().any(|key| key.public == **public))
            {
                return Err(format!("role {role} names the key {}, which is not in `keys`", Words(unknown)));
            }
        }
        Ok(())
    }
}

impl Root {
    /// SPEC section 7: refuses weak keys when a root is loaded, before one of them is used.
    ///
    /// # Errors
    /// [`Refusal::WeakKey`].
    pub fn ensure_strong_keys(&self) -> Result<(), Refusal> {
        for key in self.keys.iter().filter(|key| key.alg.as_str() == ED25519) {
            let public = || Words(&key.public).to_string();
            let refuse = |why| Refusal::WeakKey { document: self.kind(), public: public(), why };
            let bytes = super::fields::hex32(&key.public).map_err(|_| refuse("not 64 hex digits long"))?;
            PublicKey::from_bytes(bytes).map_err(refuse)?;
        }
        Ok(())
    }
}
