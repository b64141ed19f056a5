//! The client's records as a reader sees them who knows only SPEC section 4: JSON, and its hash.

use std::collections::BTreeMap;

use relatch::trust::{Digest, Version};
use serde_json::Value;

use super::chains;
use super::installation::{Program, Snapshot};
use super::world::{BETA, CHANNEL};

/// The records that later versions of relatch may extend.
pub(super) const NAMES: [&str; 3] = ["journal", "floors", "cache"];

/// Which records are what this client wrote at some time. What somebody else wrote into one is the truth
/// now, or damage; it is not compared.
#[derive(Clone, Copy)]
pub(super) struct Own([bool; 3]);

impl Default for Own {
    fn default() -> Self {
        Own([true; 3])
    }
}

impl Own {
    pub(super) fn is(self, name: &str) -> bool {
        NAMES.iter().zip(self.0).all(|(other, own)| *other != name || own)
    }

    pub(super) fn set(&mut self, name: &str, own: bool) {
        NAMES.iter().zip(&mut self.0).filter(|(other, _)| **other == name).for_each(|(_, slot)| *slot = own);
    }
}

/// A record whose hash is right.
pub(super) fn parsed(content: &[u8]) -> Option<Value> {
    let json = content.split(|byte| *byte == b'\n').next()?;
    let expected = [json, format!("\n{}\n", Digest::of(json)).as_bytes()].concat();
    if content == expected { serde_json::from_slice(json).ok() } else { None }
}

/// A record of this value.
pub(super) fn with_hash(value: &Value) -> Vec<u8> {
    let json = value.to_string();
    format!("{json}\n{}\n", Digest::of(json.as_bytes())).into_bytes()
}

/// A record on the disk; `None` if it is absent or damaged.
pub(super) fn record(of: &Snapshot, name: &str) -> Option<Value> {
    parsed(of.file(name)?)
}

/// The program of which `relatch install` recorded the settings.
pub(super) fn settings(of: &Snapshot) -> Option<Program> {
    let settings = record(of, "settings")?;
    let root = Digest::of(settings["root"].as_str()?.as_bytes()).to_string();
    let (chain, anchor) = chains::root_with_hash(&root)?;
    let channel = if settings["channel"] == BETA { BETA } else { CHANNEL };
    Some(Program { chain, anchor, channel })
}

/// A version, if there is one.
pub(super) fn version_in(value: &Value) -> Option<Version> {
    value.as_str().map(|text| text.parse().expect("the client wrote a version"))
}

/// The versions in a list.
pub(super) fn versions_in(list: &Value) -> Vec<Version> {
    items(list).filter_map(version_in).collect()
}

pub(super) fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// The trust domain of which the root with this hash is a member.
pub(super) fn domain_of<'a>(floors: &'a Value, root: &str) -> Option<&'a Value> {
    items(&floors["domains"]).find(|domain| items(&domain["lineage"]["hashes"]).any(|hash| hash == root))
}

/// The floor of a channel in an epoch.
pub(super) fn floor<'a>(domain: &'a Value, epoch: &Value, channel: &str) -> Option<&'a Value> {
    let floors = items(&domain["epochs"]).find(|floors| floors["epoch"] == *epoch)?;
    items(&floors["channels"]).find(|floor| floor["channel"] == channel)
}

/// The floor of a channel in the highest epoch that has one, with that epoch.
pub(super) fn newest_floor<'a>(domain: &'a Value, channel: &str) -> Option<(&'a Value, &'a Value)> {
    let epochs = items(&domain["epochs"]).collect::<Vec<_>>().into_iter().rev();
    epochs.map(|floors| &floors["epoch"]).find_map(|epoch| Some((epoch, floor(domain, epoch, channel)?)))
}

/// What a later version of relatch added to a record, by the object in which it stands. An object in a
/// list has the name of what it is about, because its place in the list may change.
pub(super) fn later(value: &Value) -> BTreeMap<String, BTreeMap<String, Value>> {
    let mut found = BTreeMap::new();
    collect(value, String::new(), &mut found);
    found
}

fn collect(value: &Value, path: String, found: &mut BTreeMap<String, BTreeMap<String, Value>>) {
    match value {
        Value::Object(fields) => {
            // An executable is the same in each place where it is recorded.
            let path = match (&fields.get("blake3"), &fields.get("domain")) {
                (Some(blake3), Some(_)) => format!("executable {blake3}"),
                _ => path,
            };
            let added = fields.iter().filter(|(name, _)| name.starts_with("later-"));
            let added: BTreeMap<_, _> = added.map(|(name, value)| (name.clone(), value.clone())).collect();
            found.entry(path.clone()).or_default().extend(added);
            for (name, value) in fields.iter().filter(|(name, _)| !name.starts_with("later-")) {
                collect(value, format!("{path}/{name}"), found);
            }
        }
        Value::Array(items) => {
            for item in items {
                let about = ["id", "epoch", "channel", "version"].iter().find_map(|field| item.get(field));
                collect(item, format!("{path}/{}", about.unwrap_or(&Value::Null)), found);
            }
        }
        _ => {}
    }
}
