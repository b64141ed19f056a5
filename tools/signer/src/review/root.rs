//! A root document and its signatures.

use std::fmt::{self, Display};

use relatch::Utc;
use relatch::trust::{ED25519, Role, Root, SignatureText, signing_keys};
use serde::Serialize;

/// The content of a root document, and whose signatures it has.
#[derive(Debug, Serialize)]
#[serde(tag = "result", rename = "root")]
pub struct RootReview {
    /// The document, with the fields of SPEC section 3.6.
    pub root: Root,
    /// The root keys of this root that have signed it. The keys of the previous root must sign too.
    pub signed_by: Vec<String>,
    /// How many of its own root keys must sign it.
    pub threshold: u32,
    /// What is wrong with the form of the signatures.
    pub malformed: Option<String>,
    #[serde(skip)]
    is_unsigned: bool,
}

impl RootReview {
    /// The document and its signatures so far.
    pub fn new(root: &Root, document: &[u8], signatures: &[u8]) -> Self {
        let is_unsigned = signatures.is_empty();
        let (by, malformed) = match SignatureText::parse(signatures) {
            Ok(parsed) => (signing_keys(root, Role::Root, document, &parsed), None),
            Err(_) if is_unsigned => (Vec::new(), None),
            Err((line, why)) => (Vec::new(), Some(format!("line {line}: {why}"))),
        };
        RootReview {
            root: root.clone(),
            signed_by: by.iter().map(|key| key.to_hex()).collect(),
            threshold: root.roles.root.threshold,
            malformed,
            is_unsigned,
        }
    }
}

impl Display for RootReview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let root = &self.root;
        writeln!(f, "root {} of {}, epoch {}", root.version, root.product, root.epoch)?;
        writeln!(f, "  issued   {}\n  expires  {}", Utc(root.issued), Utc(root.expires))?;
        for role in Role::ALL {
            let held = root.roles.get(role);
            writeln!(f, "  {role}: {} of {}", held.threshold, held.keys.len())?;
            for public in &held.keys {
                let alg = root.keys.iter().find(|key| key.public == *public).map(|key| key.alg.as_str());
                let note = if alg == Some(ED25519) { "" } else { "  (unknown algorithm)" };
                writeln!(f, "    {public}{note}")?;
            }
        }
        match &self.malformed {
            Some(why) => write!(f, "  its signatures are malformed: {why}"),
            None if self.is_unsigned => f.write_str("  not signed yet"),
            None => {
                let (count, threshold) = (self.signed_by.len(), self.threshold);
                write!(f, "  signed by {count} of its own root keys; the threshold is {threshold}")?;
                self.signed_by.iter().try_for_each(|key| write!(f, "\n    {key}"))
            }
        }
    }
}
