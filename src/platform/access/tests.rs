use std::path::Path;

use super::*;

const ME: &str = "S-1-5-21-1004336348-1177238915-682003330-1001";
const OTHER: &str = "S-1-5-21-1004336348-1177238915-682003330-1002";

const FULL: u32 = 0x001f_01ff;
const MODIFY: u32 = 0x0013_01bf;
const READ_EXECUTE: u32 = 0x0012_00a9;
const GENERIC_ALL: u32 = 0x1000_0000;

/// `(OI)(CI)`, inherited or not.
const CHILDREN: u8 = 0x03;
const INHERITED: u8 = 0x10;
const ONLY: u8 = INHERIT_ONLY;

fn me() -> Sid {
    Sid(ME.into())
}

/// A SID by its abbreviation in SDDL, or a whole SID.
fn sid(name: &str) -> Sid {
    let sid = match name {
        "SY" => SYSTEM,
        "BA" => ADMINISTRATORS,
        "BU" => "S-1-5-32-545",
        "AU" => "S-1-5-11",
        "WD" => "S-1-1-0",
        "CO" => "S-1-3-0",
        "AC" => "S-1-15-2-1",
        "TI" => TRUSTED_INSTALLER,
        other => other,
    };
    Sid(sid.into())
}

fn security(owner: &str, entries: &[(u8, u8, u32, &str)]) -> Security {
    let ace = |(kind, flags, mask, name): &(u8, u8, u32, &str)| Ace {
        kind: *kind,
        flags: *flags,
        mask: *mask,
        sid: Some(sid(name)),
    };
    Security { owner: sid(owner), dacl: Some(entries.iter().map(ace).collect()) }
}

#[test]
fn directories_as_windows_creates_them() {
    // C:\Program Files\Widget
    let program_files = security(
        "TI",
        &[
            (0, 0, FULL, "TI"),
            (0, CHILDREN | ONLY, GENERIC_ALL, "TI"),
            (0, 0, MODIFY, "SY"),
            (0, CHILDREN | ONLY, GENERIC_ALL, "SY"),
            (0, 0, MODIFY, "BA"),
            (0, CHILDREN | ONLY, GENERIC_ALL, "BA"),
            (0, 0, READ_EXECUTE, "BU"),
            (0, CHILDREN | ONLY, 0xa000_0000, "BU"),
            (0, CHILDREN | ONLY, GENERIC_ALL, "CO"),
            (0, 0, READ_EXECUTE, "AC"),
        ],
    );
    // C:\Users\me, and what is below it: AppData\Local\Programs
    let profile =
        security("SY", &[(0, CHILDREN, FULL, "SY"), (0, CHILDREN, FULL, "BA"), (0, CHILDREN, FULL, ME)]);
    let below_profile = security(
        ME,
        &[
            (0, CHILDREN | INHERITED, FULL, "SY"),
            (0, CHILDREN | INHERITED, FULL, "BA"),
            (0, CHILDREN | INHERITED, FULL, ME),
        ],
    );
    for good in [&program_files, &profile, &below_profile] {
        assert_eq!(good.stranger_in_directory(&me()), None, "{good:?}");
    }
    // C:\tools, created by an administrator in the root directory
    let tools = security(
        "BA",
        &[
            (0, CHILDREN | INHERITED, FULL, "BA"),
            (0, CHILDREN | INHERITED, FULL, "SY"),
            (0, CHILDREN | INHERITED, READ_EXECUTE, "BU"),
            (0, INHERITED, MODIFY, "AU"),
            (0, CHILDREN | INHERITED | ONLY, 0xe001_0000, "AU"),
        ],
    );
    assert_eq!(tools.stranger_in_directory(&me()), Some(Stranger::Granted(sid("AU"))));
    // C:\ProgramData\Widget: users may add files, and own those that they add
    let program_data = security(
        "BA",
        &[
            (0, CHILDREN | INHERITED, FULL, "SY"),
            (0, CHILDREN | INHERITED, FULL, "BA"),
            (0, CHILDREN | INHERITED | ONLY, GENERIC_ALL, "CO"),
            (0, CHILDREN | INHERITED, READ_EXECUTE, "BU"),
            (0, 0x02 | INHERITED, 0x0000_0116, "BU"),
        ],
    );
    assert_eq!(program_data.stranger_in_directory(&me()), Some(Stranger::Granted(sid("BU"))));
}

#[test]
fn each_right_that_allows_to_replace_a_program_counts() {
    let by =
        |kind, flags, mask, name| security(ME, &[(kind, flags, mask, name)]).stranger_in_directory(&me());
    for right in [0x2, 0x4, 0x40, 0x1_0000, 0x4_0000, 0x8_0000, 0x4000_0000, 0x1000_0000] {
        for name in ["WD", "BU", "AU", OTHER, "S-1-15-2-1"] {
            assert_eq!(by(0, 0, right, name), Some(Stranger::Granted(sid(name))), "{right:x} {name}");
            assert_eq!(by(9, 0, right, name), Some(Stranger::Granted(sid(name))), "with a condition");
            assert_eq!(by(0, CHILDREN | ONLY, right, name), None, "inherit only");
            assert_eq!(by(1, 0, right, name), None, "denied");
        }
        for name in [ME, "SY", "BA", "TI", "CO"] {
            assert_eq!(by(0, 0, right, name), None, "{right:x} {name}");
        }
    }
    for right in [0x1, 0x8, 0x10, 0x20, 0x80, 0x100, 0x2_0000, 0x10_0000, 0x8000_0000, 0x2000_0000] {
        assert_eq!(by(0, 0, right, "WD"), None, "{right:x}");
    }
    let unknown = Security { owner: me(), dacl: Some(vec![Ace { kind: 5, flags: 0, mask: 2, sid: None }]) };
    assert_eq!(unknown.stranger_in_directory(&me()), Some(Stranger::Unknown));
}

#[test]
fn owners_and_directories_without_a_list() {
    assert_eq!(security(OTHER, &[]).stranger_in_directory(&me()), Some(Stranger::Owner(sid(OTHER))));
    for owner in [ME, "SY", "BA", "TI"] {
        assert_eq!(security(owner, &[]).stranger_in_directory(&me()), None, "an empty DACL allows nothing");
    }
    let none = Security { owner: me(), dacl: None };
    assert_eq!(none.stranger_in_directory(&me()), Some(Stranger::NoDacl));
    assert_eq!(none.stranger_to_secret(&me()), Some(Stranger::NoDacl));
}

#[test]
fn secrets_are_for_their_owner() {
    let key = |entries: &[_]| security(ME, entries).stranger_to_secret(&me());
    assert_eq!(key(&[(0, 0, FULL, ME)]), None);
    assert_eq!(
        key(&[(0, INHERITED, FULL, "SY"), (0, INHERITED, FULL, "BA"), (0, INHERITED, FULL, ME)]),
        None
    );
    for right in [0x1, 0x2, 0x4, 0x4_0000, 0x8_0000, READ_EXECUTE, 0x8000_0000, 0x4000_0000, 0x1000_0000] {
        assert_eq!(key(&[(0, 0, FULL, ME), (0, 0, right, "BU")]), Some(Stranger::Granted(sid("BU"))));
    }
    assert_eq!(key(&[(0, 0, 0x80 | 0x20000, "WD")]), None, "its attributes are not secret");
}

#[test]
fn a_private_descriptor_allows_only_the_user() {
    let words = private_descriptor(&me()).unwrap();
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    assert_eq!(bytes[..4], [1, 0, 0x04, 0x90]);
    let expected = Ace { kind: 0, flags: CHILDREN, mask: FULL, sid: Some(me()) };
    assert_eq!(entries(&bytes[20..]), Some(vec![expected]));
    assert_eq!(private_descriptor(&Sid("S-1-5-x".into())), None);
}

#[test]
fn the_advice_names_the_command() {
    let why = why_unsafe(Path::new("C:\\tools"), &Stranger::Granted(sid("AU")));
    assert_eq!(
        why,
        "Authenticated Users (S-1-5-11) may write to it; to remove that right, run \
         `icacls \"C:\\tools\" /inheritance:d` and then `icacls \"C:\\tools\" /remove:g *S-1-5-11`"
    );
}

/// `O:BAD:(A;OICI;FA;;;BA)(A;;0x1301bf;;;AU)(D;;0x2;;;WD)` in binary form, without a group.
fn descriptor() -> Vec<u8> {
    let sid = |authority: u8, parts: &[u32]| {
        let mut bytes = vec![1, parts.len() as u8, 0, 0, 0, 0, 0, authority];
        parts.iter().for_each(|part| bytes.extend(part.to_le_bytes()));
        bytes
    };
    let ace = |kind: u8, flags: u8, mask: u32, sid: &[u8]| {
        let mut bytes = vec![kind, flags];
        bytes.extend((8 + sid.len() as u16).to_le_bytes());
        bytes.extend(mask.to_le_bytes());
        bytes.extend(sid);
        bytes
    };
    let owner = sid(5, &[32, 544]);
    let aces =
        [ace(0, CHILDREN, FULL, &owner), ace(0, 0, MODIFY, &sid(5, &[11])), ace(1, 0, 2, &sid(1, &[0]))]
            .concat();
    let mut bytes = vec![1, 0];
    bytes.extend(0x8004_u16.to_le_bytes());
    for offset in [20_u32, 0, 0, 20 + owner.len() as u32] {
        bytes.extend(offset.to_le_bytes());
    }
    bytes.extend(owner);
    bytes.extend([2, 0]);
    bytes.extend((8 + aces.len() as u16).to_le_bytes());
    bytes.extend([3, 0, 0, 0]);
    bytes.extend(aces);
    bytes
}

#[test]
fn a_descriptor_is_parsed() {
    let bytes = descriptor();
    let expected = security("BA", &[(0, CHILDREN, FULL, "BA"), (0, 0, MODIFY, "AU"), (1, 0, 2, "WD")]);
    assert_eq!(Security::from_bytes(&bytes), Some(expected));
    // A truncated descriptor is malformed.
    for end in 0..bytes.len() {
        assert_eq!(Security::from_bytes(&bytes[..end]), None, "{end}");
    }
    // Without SE_DACL_PRESENT there is no DACL.
    let mut without = bytes.clone();
    without[2] = 0;
    assert_eq!(Security::from_bytes(&without).unwrap().dacl, None);
    // No input causes a panic or an endless loop.
    for at in 0..bytes.len() {
        for value in [0, 1, 7, 0x7f, 0xff] {
            let mut changed = bytes.clone();
            changed[at] = value;
            drop(Security::from_bytes(&changed));
        }
    }
}
