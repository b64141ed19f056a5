//! Documents as the attacker writes them, signed with what was stolen.
//!
//! Signers are a set of [`STOLEN`] keys, one bit each. Every tweak is one bit, and takes its value from the script when it is set.

use relatch::source::Object;
use relatch::trust::{Digest, Timestamp};
use serde_json::Value;

use super::installation::with_hash;
use super::script::{Bytes, Run};
use super::world::{self, CHANNEL, EXPIRES, OWN, STOLEN};

const TIMESTAMP: u8 = 0b11;

const VERSIONS: [&str; 10] =
    ["9.9.9", "1.0.0", "1.1.0", "1.1.5", "1.2.0", "1.3.0", "7", "8", "1.2.0\u{1b}[2J", "1.2.0\u{202e}"];

/// Values for fields, as JSON. Some are right in one field, and all are wrong in most.
const VALUES: [&str; 27] = [
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
];

fn signers(mask: u8) -> Vec<u8> {
    (0..STOLEN.len()).filter(|bit| mask & (1 << bit) != 0).map(|bit| STOLEN[bit]).collect()
}

fn version_name() -> Object {
    Object::Version(CHANNEL.parse().expect("a name"))
}

/// Serves a `VERSION` and remembers who signed it.
fn name(run: &mut Run<'_>, lines: &str, mask: u8, kept: &[u8]) {
    let signers = signers(mask);
    let object = lines.lines().nth(1).and_then(|line| serde_json::from_str::<Value>(line).ok());
    if let Some(pointer) = object {
        let key = world::timestamp_key(pointer["epoch"].as_u64().unwrap_or_default());
        if signers.contains(&key) {
            run.pointers.push(pointer);
        }
    }
    let bytes = [lines.as_bytes(), kept, &world::signed_by(&signers, lines)].concat();
    run.publish(version_name(), bytes);
}

/// Signs a document that is served; one of a release is named too. With bit 7 of the mask what signatures there are stay before it.
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
            name(run, &lines, mask, if mask & 0x80 != 0 { kept } else { &[] });
        }
        Object::Root(number) => {
            let signatures = Object::RootSignatures(*number);
            let all = [served(run, &signatures), world::signed_by(&signers(mask), text)].concat();
            run.publish(signatures, all);
        }
        Object::Manifest(digest) => {
            let kept = served(run, &Object::ManifestSignatures(*digest));
            let digest = Digest::of(bytes);
            let all = [kept, world::signed_by(&signers(mask), text)].concat();
            run.publish(Object::Manifest(digest), bytes.to_vec());
            run.publish(Object::ManifestSignatures(digest), all);
            if let Ok(manifest) = serde_json::from_str::<Value>(text) {
                let mut pointer = run.world.drafts[0].pointer(&digest);
                for field in ["epoch", "seq", "version"] {
                    pointer[field] = manifest[field].clone();
                }
                name(run, &world::version_lines(&pointer), TIMESTAMP, &[]);
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
    *slot = serde_json::from_str(VALUES[usize::from(value) % VALUES.len()]).ok()?;
    Some(document)
}

/// A state with another value in a field, and the hash that it then has.
pub(super) fn edited_state(content: &[u8], field: u8, value: u8) -> Option<Vec<u8>> {
    let json = content.split(|byte| *byte == b'\n').next()?;
    edited(json, field, value).map(|state| with_hash(&state.to_string()).into_bytes())
}

/// A `VERSION` for a release that was published. Tweaks: version, seq, epoch, issued, expires, rollout, channel, signers.
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
    // Whatever was published for others, told as this channel's.
    if tweaks & 64 == 0 {
        pointer["product"] = world::PRODUCT.into();
        pointer["channel"] = CHANNEL.into();
    }
    let mask = if tweaks & 128 != 0 { script.byte() } else { TIMESTAMP };
    name(run, &world::version_lines(&pointer), mask, &[]);
}

/// A manifest that no threshold signed, like one that was published. Tweaks: version, executable of another release, seq, retracts,
/// `min_version`, expires, signers, executable of its own.
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
    run.publish(Object::ManifestSignatures(digest), world::signed_by(&signers(mask), &text));
    run.publish(Object::Manifest(digest), text.into_bytes());
    name(run, &world::version_lines(&draft.pointer(&digest)), TIMESTAMP, &[]);
}

/// A root that gives the attacker everything. Tweaks: number inside, epoch, the real keys with threshold 1, product, expires, signers.
pub(super) fn root(run: &mut Run<'_>, script: &mut Bytes<'_>) {
    let number = 1 + usize::from(script.byte() % 4);
    let tweaks = script.byte();
    let own = [OWN, 22];
    let mut root = match tweaks & 4 {
        0 => world::root_of(number, &own, &own, OWN, 1),
        _ => world::root_of(number, &[10, 11, 12], &[20, 21, 22], 30, 1),
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
    run.publish(Object::RootSignatures(number), world::signed_by(&signers(mask), &text));
    run.publish(Object::Root(number), text.into_bytes());
}
