//! The difference between a release and the one that is published, field by field.

use std::fmt::{self, Display};

use relatch::trust::{Artifact, Manifest, Name, Seq, Timestamp, Version};
use relatch::{Printable, Utc};
use serde::Serialize;
use serde_json::Value;

use super::release::ReleaseFields;

/// A comparison with what is published on the channel.
#[derive(Debug, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Compared {
    /// No repository was given.
    NotCompared,
    /// Nothing is published on the channel in this epoch.
    NothingPublished,
    /// What is published does not verify.
    DoesNotVerify {
        /// The reason.
        error: String,
    },
    /// The difference.
    Release(Changes),
}

/// The difference to a published release.
#[derive(Debug, Serialize)]
pub struct Changes {
    /// The number of the published release.
    pub seq: Seq,
    /// Its version.
    pub version: Version,
    /// Each field, and each artifact, that is different.
    pub changes: Vec<Change>,
}

/// A field or an artifact that is different.
#[derive(Debug, Serialize)]
pub struct Change {
    /// `manifest` or `timestamp`.
    pub document: &'static str,
    /// The name of the field in the document; `artifacts` for one artifact.
    pub field: String,
    /// The target of the artifact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The published value; `null` for an artifact that is added.
    pub from: Value,
    /// The new value; `null` for an artifact that is removed.
    pub to: Value,
}

impl Changes {
    pub(super) fn between(manifest: &Manifest, timestamp: &Timestamp, next: &ReleaseFields) -> Self {
        let mut changes = fields("manifest", manifest, &next.manifest);
        changes.extend(fields("timestamp", timestamp, &next.timestamp));
        changes.extend(artifacts(&manifest.artifacts, &next.manifest.artifacts));
        Changes { seq: timestamp.seq, version: timestamp.version.clone(), changes }
    }
}

/// All fields of a document but the artifacts.
fn fields(document: &'static str, from: &impl Serialize, to: &impl Serialize) -> Vec<Change> {
    let (from, to) = (value(from), value(to));
    let Value::Object(names) = &to else { return Vec::new() };
    let change = |(field, to): (&String, &Value)| {
        let from = from.get(field).cloned().unwrap_or_default();
        let is_different = field != "artifacts" && from != *to;
        is_different.then(|| Change { document, field: field.clone(), target: None, from, to: to.clone() })
    };
    names.iter().filter_map(change).collect()
}

fn artifacts(from: &[Artifact], to: &[Artifact]) -> Vec<Change> {
    let mut targets: Vec<&Name> = from.iter().chain(to).map(|artifact| &artifact.target).collect();
    targets.sort();
    targets.dedup();
    let change = |target: &Name| {
        let [old, new] = [from, to].map(|list| list.iter().find(|artifact| artifact.target == *target));
        (old != new).then(|| Change {
            document: "manifest",
            field: "artifacts".into(),
            target: Some(target.to_string()),
            from: value(&old),
            to: value(&new),
        })
    };
    targets.into_iter().filter_map(change).collect()
}

/// Documents are objects of strings, numbers and lists, which always serialize.
fn value(of: &impl Serialize) -> Value {
    serde_json::to_value(of).unwrap_or_default()
}

impl Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Compared::NotCompared => {
                f.write_str("  not compared with what is published: that requires --repo and --root")
            }
            Compared::NothingPublished => f.write_str("  nothing is published on this channel yet"),
            Compared::DoesNotVerify { error } => {
                write!(f, "  what is published does not verify: {}", Printable(error))
            }
            Compared::Release(changes) => changes.fmt(f),
        }
    }
}

impl Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  changes to {}, which is published as release {}", self.version, self.seq)?;
        if self.changes.is_empty() {
            return f.write_str("\n    none");
        }
        self.changes.iter().try_for_each(|change| write!(f, "\n    {change}"))
    }
}

impl Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Change { document, field, target, from, to } = self;
        match target {
            Some(target) if from.is_null() => write!(f, "executable added: {target} {}", Shown("", to)),
            Some(target) if to.is_null() => write!(f, "executable removed: {target} {}", Shown("", from)),
            Some(target) if from.get("blake3") == to.get("blake3") => {
                write!(f, "executable stored otherwise: {target} {}", Shown("", to))
            }
            Some(target) => {
                write!(f, "executable changed: {target} {} -> {}", Shown("", from), Shown("", to))
            }
            None => {
                let document = if *document == "timestamp" { "VERSION" } else { document };
                write!(f, "{document} {field}: {} -> {}", Shown(field, from), Shown(field, to))
            }
        }
    }
}

/// A value on one line.
struct Shown<'a>(&'a str, &'a Value);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shown("issued" | "expires", Value::Number(time)) => {
                write!(f, "{}", Utc(time.as_u64().unwrap_or_default()))
            }
            Shown(_, Value::Null) => f.write_str("none"),
            Shown(_, Value::String(text)) => write!(f, "{}", Printable(text)),
            // An artifact: its hash stands for it.
            Shown(_, Value::Object(artifact)) => {
                Shown("", artifact.get("blake3").unwrap_or(&Value::Null)).fmt(f)
            }
            Shown(_, other) => write!(f, "{}", Printable(other)),
        }
    }
}
