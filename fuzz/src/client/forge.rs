//! Documents as the attacker writes them, signed with the stolen keys.
//!
//! Signers are a set of [`STOLEN`] keys, one bit each. Every tweak is one bit. If it is set, its value
//! is taken from the script.

use relatch::source::Object;
use relatch::trust::{Digest, Timestamp};
use serde_json::{Map, Value};

use super::chains::{EXPIRES, OWN, STOLEN, root_of, signed_by};
use super::record::{parsed, with_hash};
use super::script::{Bytes, Run};
use super::world::{self, CHANNEL, Pointer};

/// All timestamp keys.
const TIMESTAMP: u8 = 0b100_0011;

const VERSIONS: [&str; 10] =
    ["9.9.9", "1.0.0", "1.1.0", "1.1.5", "1.2.0", "1.3.0", "7", "8", "1.2.0\u{1b}[2J", "1.2.0\u{202e}"];

/// Values for fields, as JSON. Some are valid in one field, and all are invalid in most.
const VALUES: [&str; 31] = [
    "0",
    "1",
    "2",
    "3",
    "50",
    "100",
    "101",
    "-1",
    "1.0",
    "1e3",
    "9007199254740991",
    "9007199254740992",
    "null",
    "true",
    "[]",
    "{}",
    "\"\"",
    "\"stable\"",
    "\"beta\"",
    "\"other\"",
    "\"1.0.0\"",
    "\"1.3.0\"",
    "\"9.9.9\"",
    "[\"1.1.0\"]",
    "\"..\\u001b[2J/x\"",
    "\"relatch-version/2\"",
    "\"\u{202e}\u{200b}\"",
    "[\"1.0.0\"]",
    "1900000000",
    "\"relatch-journal/2\"",
    "\"0000000000000000000000000000000000000000000000000000000000000000\"",
];

fn signers(mask: u8) -> Vec<u8> {
    (0..STOLEN.len()).filter(|bit| mask & (1 << bit) != 0).map(|bit| STOLEN[bit]).collect()
}

/// Serves a `VERSION` and remembers who signed it.
fn name(run: &mut Run<'_>, object: Object, lines: &str, mask: u8, kept: &[u8]) {
    let signers = signers(mask);
    let pointer = lines.lines().nth(1).and_then(|line| serde_json::from_str::<Value>(line).ok());
    if let Some(value) = pointer {
        run.pointers.push(Pointer { value, signers: signers.clone() });
    }
    let bytes = [lines.as_bytes(), kept, &signed_by(&signers, lines)].concat();
    run.publish(object, bytes);
}

/// Signs a document that is served; a manifest is then also named. Bit 7 of the mask keeps the
/// signatures that it has, before the new ones.
pub(super) fn sign(run: &mut Run<'_>, object: &Object, bytes: &[u8], mask: u8) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let served = |run: &Run<'_>, object: &Object| {
        let found = run.objects.iter().rev().find(|(other, _)| other == object);
        found.map(|(_, bytes)| bytes.clone()).filter(|_| mask & 0x80 != 0).unwrap_or_default()
    };
    match object {
        Object::Version(_) => {
            let Ok((lines, kept)) = Timestamp::split(bytes) else { return };
            let lines = String::from_utf8_lossy(lines).into_owned();
            name(run, object.clone(), &lines, mask, if mask & 0x80 != 0 { kept } else { &[] });
        }
        Object::Root(number) => {
            let signatures = Object::RootSignatures(*number);
            let all = [served(run, &signatures), signed_by(&signers(mask), text)].concat();
            run.publish(signatures, all);
        }
        Object::Manifest(digest) => {
            let kept = served(run, &Object::ManifestSignatures(*digest));
            let digest = Digest::of(bytes);
            let all = [kept, signed_by(&signers(mask), text)].concat();
            run.publish(Object::Manifest(digest), bytes.to_vec());
            run.publish(Object::ManifestSignatures(digest), all);
            if let Ok(manifest) = serde_json::from_str::<Value>(text) {
                let mut pointer = run.world.drafts[0].pointer(&digest);
                for field in ["epoch", "seq", "version", "channel"] {
                    pointer[field] = manifest[field].clone();
                }
                let object = world::version_name(&pointer);
                name(run, object, &world::version_lines(&pointer), TIMESTAMP, &[]);
            }
        }
        _ => {}
    }
}

/// Gives a field of a served document another value and signs it.
pub(super) fn edit(run: &mut Run<'_>, object: &Object, bytes: &[u8], field: u8, value: u8, mask: u8) {
    let (lines, rest) = Timestamp::split(bytes).unwrap_or((bytes, &[]));
    let json = match object {
        Object::Version(_) => lines.split(|byte| *byte == b'\n').nth(1).unwrap_or_default(),
        _ => bytes,
    };
    let Some(document) = edited(json, field, value) else { return };
    let edited = match object {
        Object::Version(_) => [world::version_lines(&document).as_bytes(), rest].concat(),
        _ => document.to_string().into_bytes(),
    };
    run.repository.put(object, &edited);
    sign(run, object, &edited, mask);
}

fn edited(json: &[u8], field: u8, value: u8) -> Option<Value> {
    let mut document: Value = serde_json::from_slice(json).ok()?;
    let fields = document.as_object_mut()?;
    let count = fields.len().max(1);
    let slot = fields.values_mut().nth(usize::from(field) % count)?;
    *slot = new_value(value)?;
    Some(document)
}

fn new_value(value: u8) -> Option<Value> {
    serde_json::from_str(VALUES[usize::from(value) % VALUES.len()]).ok()
}

/// A record with another value in a field at any depth, and with the hash that it then has.
pub(super) fn edited_record(content: &[u8], field: u8, value: u8) -> Option<Vec<u8>> {
    let mut record = parsed(content)?;
    let mut slots = Vec::new();
    collect(&record, String::new(), &mut slots, &|_| true);
    let slot = slots.get(usize::from(field) % slots.len().max(1))?;
    *record.pointer_mut(slot)? = new_value(value)?;
    Some(with_hash(&record))
}

/// A record as a later version of relatch writes it: with another number, and with a field in one of its
/// objects that no earlier version knows.
pub(super) fn later_record(content: &[u8], place: u8, value: u8) -> Option<Vec<u8>> {
    let mut record = parsed(content)?;
    let mut objects = vec![String::new()];
    collect(&record, String::new(), &mut objects, &Value::is_object);
    let object = objects.get(usize::from(place) % objects.len())?;
    let fields: &mut Map<String, Value> = record.pointer_mut(object)?.as_object_mut()?;
    fields.insert(format!("later-{}", value % 4), new_value(value)?);
    let kind = record["type"].as_str()?.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned();
    record["type"] = format!("{kind}{}", 2 + value % 3).into();
    Some(with_hash(&record))
}

/// The JSON pointers to all values inside of this one that are wanted.
fn collect(value: &Value, path: String, found: &mut Vec<String>, wanted: &dyn Fn(&Value) -> bool) {
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(at, value)| (at.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    for (name, value) in inner {
        let path = format!("{path}/{name}");
        if wanted(value) {
            found.push(path.clone());
        }
        collect(value, path, found, wanted);
    }
}

/// A `VERSION` for a release that was published. Tweaks: version, seq, epoch, issued, expires, rollout,
/// its own product and channel, signers.
pub(super) fn pointer(run: &mut Run<'_>, script: &mut Bytes<'_>) {
    let draft = script.choose(&run.world.drafts);
    let tweaks = script.byte();
    let mut pointer = draft.pointer(&Digest::of(draft.manifest().as_bytes()));
    if tweaks & 1 != 0 {
        pointer["version"] = (*script.choose(&VERSIONS)).into();
    }
    if tweaks & 2 != 0 {
        pointer["seq"] = draft.seq.saturating_add_signed(script.signed()).into();
    }
    if tweaks & 4 != 0 {
        pointer["epoch"] = script.byte().into();
    }
    if tweaks & 8 != 0 {
        pointer["issued"] = crate::NOW.saturating_add_signed(script.signed() * 21_600).into();
    }
    if tweaks & 16 != 0 {
        pointer["expires"] = crate::NOW.saturating_add_signed(script.signed() * 21_600).into();
    }
    if tweaks & 32 != 0 {
        pointer["rollout"] = script.byte().into();
    }
    // A release for others becomes one of the stable channel.
    if tweaks & 64 == 0 {
        pointer["product"] = world::PRODUCT.into();
        pointer["channel"] = CHANNEL.into();
    }
    let mask = if tweaks & 128 != 0 { script.byte() } else { TIMESTAMP };
    name(run, world::version_name(&pointer), &world::version_lines(&pointer), mask, &[]);
}

/// A manifest that no threshold signed, like one that was published. Tweaks: version, executable of
/// another release, seq, retracts, `min_version`, expires, signers, no executable of its own.
pub(super) fn manifest(run: &mut Run<'_>, script: &mut Bytes<'_>) {
    let mut draft = script.choose(&run.world.drafts).clone();
    (draft.product, draft.channel, draft.target) = (world::PRODUCT, CHANNEL, world::TARGET);
    draft.seq += 50;
    let tweaks = script.byte();
    if tweaks & 1 != 0 {
        draft.version = (*script.choose(&VERSIONS)).into();
    }
    if tweaks & 2 != 0 {
        draft.executable = script.choose(&run.world.drafts).executable.clone();
        draft.forms.clear();
    }
    if tweaks & 4 != 0 {
        draft.seq = draft.seq.saturating_add_signed(script.signed());
    }
    if tweaks & 8 != 0 {
        draft.retracts = vec![(*script.choose(&VERSIONS)).into()];
    }
    if tweaks & 16 != 0 {
        draft.min_version = Some((*script.choose(&VERSIONS)).into());
    }
    if tweaks & 32 != 0 {
        draft.expires = EXPIRES.saturating_add_signed(script.signed() * 86_400);
    }
    let mask = if tweaks & 64 != 0 { script.byte() } else { 0b11_1111 };
    if tweaks & 128 == 0 {
        draft.executable = world::evil(&draft.version);
        draft.forms.clear();
        run.publish(Object::Blob(Digest::of(&draft.executable)), draft.executable.clone());
    }
    let text = draft.manifest();
    let digest = Digest::of(text.as_bytes());
    run.publish(Object::ManifestSignatures(digest), signed_by(&signers(mask), &text));
    run.publish(Object::Manifest(digest), text.into_bytes());
    let pointer = draft.pointer(&digest);
    name(run, world::version_name(&pointer), &world::version_lines(&pointer), TIMESTAMP, &[]);
}

/// A root that gives the attacker everything. Tweaks: number inside, epoch, the real keys with threshold
/// 1, product, expires, signers.
pub(super) fn root(run: &mut Run<'_>, script: &mut Bytes<'_>) {
    let number = 1 + usize::from(script.byte() % 4);
    let tweaks = script.byte();
    let own = [OWN, 22];
    let mut root = match tweaks & 4 {
        0 => root_of(number, &own, &own, OWN, 1),
        _ => root_of(number, &[10, 11, 12], &[20, 21, 22], 30, 1),
    };
    if tweaks & 1 != 0 {
        root["version"] = script.byte().into();
    }
    if tweaks & 2 != 0 {
        root["epoch"] = script.byte().into();
    }
    if tweaks & 8 != 0 {
        root["product"] = "other".into();
    }
    if tweaks & 16 != 0 {
        root["expires"] = crate::NOW.saturating_add_signed(script.signed() * 21_600).into();
    }
    let mask = if tweaks & 32 != 0 { script.byte() } else { 0b1_1100 };
    let (number, text) = (number as u64, root.to_string());
    run.publish(Object::RootSignatures(number), signed_by(&signers(mask), &text));
    run.publish(Object::Root(number), text.into_bytes());
}
