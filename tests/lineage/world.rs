//! Two chains of roots that are forked, and the repositories that serve them.

use std::collections::HashMap;

use serde_json::Value;

use crate::minisign::sign_all;
use crate::release::{DAY, NOW, Release, blake3, keys, root_of};

/// The number of roots of each chain.
pub const LENGTH: u64 = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Chain {
    A,
    B,
}

/// A root by its chain and number. One that both chains have is of A.
pub type Id = (Chain, u64);

/// Roots 1 to `prefix` are of both chains. From number `raised` on, the epoch is 2 and not 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Chains {
    pub prefix: u64,
    pub raised: Option<u64>,
}

/// What a repository has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Served {
    /// The roots of this chain up to this number, and a release under the last one. Whether its number is
    /// above the floors.
    Release(Chain, u64, bool),
    /// The same, and bytes that are no root after the last one.
    Garbage(Chain, u64),
    /// All roots of this chain, and a release that the other chain's keys signed.
    Crossed(Chain),
    /// Nothing: each object is absent.
    Nothing,
    /// It cannot be reached.
    Offline,
}

impl Chains {
    pub fn id(self, chain: Chain, number: u64) -> Id {
        (if number <= self.prefix { Chain::A } else { chain }, number)
    }

    pub fn epoch(self, number: u64) -> u64 {
        if self.raised.is_some_and(|raised| number >= raised) { 2 } else { 1 }
    }

    /// The document.
    pub fn root(self, (chain, number): Id) -> Value {
        let seeds: [&[u8]; 3] = match chain {
            Chain::A => [&[1], &[11], &[12]],
            Chain::B => [&[2], &[21], &[22]],
        };
        let mut root = root_of(number, seeds.map(|seeds| (seeds, 1)));
        root["epoch"] = self.epoch(number).into();
        root
    }

    /// Document and signatures: the first root of B after a common one is signed by the keys of both, which
    /// is how root keys fork a chain.
    pub fn signed(self, id: Id) -> (String, String) {
        let text = self.root(id).to_string();
        let signers: &[u8] = match id.0 {
            Chain::A => &[1],
            Chain::B if id.1 == self.prefix + 1 && self.prefix > 0 => &[1, 2],
            Chain::B => &[2],
        };
        let signatures = sign_all(&keys(signers), text.as_bytes());
        (text, signatures)
    }

    pub fn hash(self, id: Id) -> String {
        blake3(self.root(id).to_string().as_bytes())
    }

    /// The file `root` with it.
    pub fn file(self, id: Id) -> Vec<u8> {
        let (text, signatures) = self.signed(id);
        format!("{text}\n{signatures}").into_bytes()
    }

    /// All objects.
    pub fn repository(self, served: Served) -> HashMap<String, Vec<u8>> {
        let mut objects = HashMap::new();
        let (chain, last) = match served {
            Served::Nothing | Served::Offline => return objects,
            Served::Release(chain, last, _) | Served::Garbage(chain, last) => (chain, last),
            Served::Crossed(chain) => (chain, LENGTH),
        };
        for number in 1..=last {
            let (text, signatures) = self.signed(self.id(chain, number));
            objects.insert(format!("root/{number}.json"), text.into());
            objects.insert(format!("root/{number}.json.minisig"), signatures.into());
        }
        if let Served::Garbage(..) = served {
            objects.insert(format!("root/{}.json", last + 1), b"?".to_vec());
            objects.insert(format!("root/{}.json.minisig", last + 1), b"?\n".to_vec());
        }
        let (signer, seq) = self.release_of(served).unwrap();
        let mut release = Release::of("1.4.0", seq);
        release.set("epoch", self.epoch(last));
        release.manifest["expires"] = (NOW + 90 * DAY).into();
        let seeds: [&[u8]; 2] = match signer {
            Chain::A => [&[11], &[12]],
            Chain::B => [&[21], &[22]],
        };
        (release.release_keys, release.timestamp_keys) = (keys(seeds[0]), keys(seeds[1]));
        objects.extend(release.objects());
        objects
    }

    /// Whose keys signed the release, and its number.
    pub fn release_of(self, served: Served) -> Option<(Chain, u64)> {
        Some(match served {
            Served::Nothing | Served::Offline => return None,
            Served::Release(chain, last, is_new) => {
                (self.id(chain, last).0, if is_new { NEW_SEQ } else { OLD_SEQ })
            }
            Served::Garbage(chain, last) => (self.id(chain, last).0, NEW_SEQ),
            Served::Crossed(Chain::A) => (Chain::B, NEW_SEQ),
            Served::Crossed(Chain::B) => (Chain::A, NEW_SEQ),
        })
    }

    /// All consecutive roots of one chain, up to this number.
    pub fn lineages(self, length: u64) -> Vec<Vec<Id>> {
        let mut all = Vec::new();
        for chain in [Chain::A, Chain::B] {
            for first in 1..=length {
                // Those of B that end with a common root are A's.
                let shortest = if chain == Chain::A { first } else { first.max(self.prefix + 1) };
                all.extend(
                    (shortest..=length).map(|last| (first..=last).map(|n| self.id(chain, n)).collect()),
                );
            }
        }
        all
    }

    pub fn served(self) -> Vec<Served> {
        let mut all = vec![Served::Nothing, Served::Offline];
        for chain in [Chain::A, Chain::B] {
            let first = if chain == Chain::A { 1 } else { self.prefix + 1 };
            for last in first..=LENGTH {
                all.push(Served::Release(chain, last, true));
                if last < LENGTH {
                    all.push(Served::Garbage(chain, last));
                }
            }
            all.extend([Served::Release(chain, LENGTH, false), Served::Crossed(chain)]);
        }
        all
    }
}

/// The number that was accepted in each domain, in the epoch of its newest root.
pub const SEEN_SEQ: u64 = 5;
pub const NEW_SEQ: u64 = 7;
pub const OLD_SEQ: u64 = 3;
