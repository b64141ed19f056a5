//! The floors on the disk: one record for each trust domain (SPEC section 4.3).

use serde::{Deserialize, Serialize};

use super::dir::OpenDir;
use super::record_file::{Kind, read_open, write_checked};
use super::{durable, names};
use crate::check::Domain;
use crate::error::Result;
use crate::limits;
use crate::trust::{Digest, Name, Refusal};
use crate::unknown::Unknown;

/// The type of the file. A later version of relatch may have another number.
const KIND: &str = "relatch-floors/";

/// The trust domains of one installation. The one that was used last is the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Floors {
    #[serde(rename = "type")]
    kind: Kind,
    product: Name,
    domains: Vec<Domain>,
    #[serde(flatten)]
    unknown: Unknown,
}

impl Floors {
    /// No domain is known yet.
    pub(super) fn new(product: Name) -> Self {
        Floors { kind: Kind::first(KIND), product, domains: Vec::new(), unknown: Unknown::default() }
    }

    /// `None` if there is none. A damaged one is [`Refusal::StateDamaged`].
    pub(super) fn load(dir: &OpenDir) -> Result<Option<Self>> {
        let content = durable::read(dir, names::FLOORS, limits::FLOORS)?;
        Ok(content.map(|content| Floors::parse(&content)).transpose()?)
    }

    /// Parses the content of the file.
    pub(super) fn parse(content: &[u8]) -> Result<Self, Refusal> {
        let floors: Floors = read_open(content, KIND)?;
        let is_repeated = |(at, domain): (usize, &Domain)| {
            floors.domains.iter().skip(at + 1).any(|other| other.id() == domain.id())
        };
        match floors.domains.iter().all(Domain::is_in_range)
            && floors.domains.len() <= limits::DOMAINS
            && !floors.domains.iter().enumerate().any(is_repeated)
        {
            true => Ok(floors),
            false => Err(Refusal::StateDamaged { why: "a value of the floors is out of range".into() }),
        }
    }

    /// Writes them durably, unless the disk has them already.
    pub(super) fn save(&self, dir: &OpenDir) -> Result<()> {
        let content = self.to_bytes();
        match durable::read(dir, names::FLOORS, limits::FLOORS) {
            Ok(Some(there)) if there == content => Ok(()),
            _ => durable::replace(dir, names::FLOORS, &content),
        }
    }

    /// The content of the file.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        write_checked(self)
    }

    /// The product of these domains.
    pub(super) fn product(&self) -> &Name {
        &self.product
    }

    /// All domains; the one that was used last is the first.
    pub(super) fn domains(&self) -> &[Domain] {
        &self.domains
    }

    /// The domain of this name.
    pub(super) fn domain(&self, id: Digest) -> Option<&Domain> {
        self.domains.iter().find(|domain| domain.id() == id)
    }

    /// The domain of which the root with this hash is a member.
    pub(super) fn domain_of(&self, root: Digest) -> Option<&Domain> {
        self.domains.iter().find(|domain| domain.lineage().contains(root))
    }

    // Events.

    /// These floors are raised to those of another record of the same domain, or of one that is not known
    /// here.
    pub(super) fn raise_to(&mut self, other: &Domain) {
        let is_same = |known: &&Domain| known.lineage().joined(other.lineage()).is_some();
        let known = self.domains.iter().find(is_same);
        let raised = known.map_or_else(|| other.clone(), |known| known.clone().raised_to(other));
        self.put(raised);
    }

    /// A domain was used.
    pub(super) fn put(&mut self, domain: Domain) {
        self.domains.retain(|known| known.id() != domain.id());
        self.domains.insert(0, domain);
    }
}
