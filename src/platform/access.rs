//! Which users may change or read a file on Windows, by its owner and its DACL.
//!
//! The input is a self-relative security descriptor (MS-DTYP 2.4.6), which is parsed here without
//! system calls, so the tests of this decision run on every system. The current user, the
//! administrators, the system and the installer of Windows (TrustedInstaller) are trusted: each of
//! them can replace a program anyway.

use std::fmt;

/// The security identifier of a user or group, such as `S-1-5-32-545`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sid(pub String);

/// One entry of a DACL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ace {
    /// `AceType`: 0 allows, 1 denies; others are rare.
    pub kind: u8,
    /// `AceFlags`: how the entry is inherited.
    pub flags: u8,
    /// The access mask: the rights that the entry allows or denies.
    pub mask: u32,
    /// The user or group; `None` for an entry of unknown type.
    pub sid: Option<Sid>,
}

/// Owner and DACL of a file or directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Security {
    /// The owner, who may always change the DACL.
    pub owner: Sid,
    /// `None`: without a DACL, every user has all rights.
    pub dacl: Option<Vec<Ace>>,
}

/// An untrusted user or group with access to a file or directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stranger {
    /// The owner is neither the current user nor an administrator.
    Owner(Sid),
    /// There is no DACL, so every user has all rights.
    NoDacl,
    /// An entry of the DACL allows access.
    Granted(Sid),
    /// A DACL entry of unknown type may allow access.
    Unknown,
}

const SYSTEM: &str = "S-1-5-18";
const ADMINISTRATORS: &str = "S-1-5-32-544";
const TRUSTED_INSTALLER: &str = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464";
/// CREATOR OWNER and CREATOR GROUP are placeholders, which no process has. OWNER RIGHTS applies to
/// the owner, which is checked separately.
const PLACEHOLDERS: [&str; 3] = ["S-1-3-0", "S-1-3-1", "S-1-3-4"];

/// INHERIT_ONLY_ACE: the entry applies to objects created in the directory, not to the directory.
const INHERIT_ONLY: u8 = 0x08;
/// ACCESS_DENIED_ACE_TYPE, and its object and callback variants.
const DENIES: [u8; 4] = [1, 6, 10, 12];
/// ACCESS_ALLOWED_ACE_TYPE, and its callback variant, whose condition counts as met.
const ALLOWS: [u8; 2] = [0, 9];

/// DELETE, WRITE_DAC, WRITE_OWNER, GENERIC_ALL, GENERIC_WRITE: each allows to take over or replace
/// the object.
const TAKE_OVER: u32 = 0x0001_0000 | 0x0004_0000 | 0x0008_0000 | 0x1000_0000 | 0x4000_0000;
/// FILE_ADD_FILE, FILE_ADD_SUBDIRECTORY, FILE_DELETE_CHILD: each allows to replace a program in the
/// directory, or to plant a file beside it.
const CHANGE_DIRECTORY: u32 = 0x0002 | 0x0004 | 0x0040 | TAKE_OVER;
/// FILE_READ_DATA, GENERIC_READ, FILE_WRITE_DATA, FILE_APPEND_DATA: each allows to read a secret or
/// to replace it.
const READ_OR_CHANGE_FILE: u32 = 0x0001 | 0x8000_0000 | 0x0002 | 0x0004 | TAKE_OVER;

impl Security {
    /// An untrusted user that may change the contents of this directory. `user` is trusted.
    pub fn stranger_in_directory(&self, user: &Sid) -> Option<Stranger> {
        self.stranger(user, CHANGE_DIRECTORY)
    }

    /// An untrusted user that may read or change this file. `user` is trusted.
    pub fn stranger_to_secret(&self, user: &Sid) -> Option<Stranger> {
        self.stranger(user, READ_OR_CHANGE_FILE)
    }

    /// Ignores entries that deny access: a user denied by one entry may be in a group that another
    /// entry allows.
    fn stranger(&self, user: &Sid, rights: u32) -> Option<Stranger> {
        let is_trusted =
            |sid: &Sid| sid == user || [SYSTEM, ADMINISTRATORS, TRUSTED_INSTALLER].contains(&sid.0.as_str());
        // Before the owner: on a file system without access control lists (FAT), the owner is
        // Everyone, which cannot be changed.
        let Some(entries) = &self.dacl else { return Some(Stranger::NoDacl) };
        if !is_trusted(&self.owner) {
            return Some(Stranger::Owner(self.owner.clone()));
        }
        let grants = |ace: &&Ace| {
            !DENIES.contains(&ace.kind) && ace.flags & INHERIT_ONLY == 0 && ace.mask & rights != 0
        };
        entries.iter().filter(grants).find_map(|ace| match &ace.sid {
            Some(sid) if is_trusted(sid) || PLACEHOLDERS.contains(&sid.0.as_str()) => None,
            Some(sid) => Some(Stranger::Granted(sid.clone())),
            None => Some(Stranger::Unknown),
        })
    }

    /// Parses a self-relative security descriptor; `None` if it is malformed.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        const DACL_PRESENT: u16 = 0x0004;
        let control = u16_at(bytes, 2)?;
        let owner = Sid::from_bytes(bytes.get(u32_at(bytes, 4)? as usize..)?)?;
        let dacl = match u32_at(bytes, 16)? as usize {
            0 => None,
            _ if control & DACL_PRESENT == 0 => None,
            at => Some(entries(bytes.get(at..)?)?),
        };
        Some(Security { owner, dacl })
    }
}

/// The entries of an ACL (MS-DTYP 2.4.5).
fn entries(acl: &[u8]) -> Option<Vec<Ace>> {
    let mut rest = acl.get(8..usize::from(u16_at(acl, 2)?))?;
    let mut found = Vec::new();
    for _ in 0..u16_at(acl, 4)? {
        let (kind, flags) = (*rest.first()?, *rest.get(1)?);
        let size = usize::from(u16_at(rest, 2)?);
        let ace = rest.get(..size).filter(|ace| ace.len() >= 8)?;
        let sid = match ALLOWS.contains(&kind) || DENIES.contains(&kind) {
            true => Sid::from_bytes(ace.get(8..)?),
            false => None,
        };
        found.push(Ace { kind, flags, mask: u32_at(ace, 4)?, sid });
        rest = rest.get(size..)?;
    }
    Some(found)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|number| u16::from_le_bytes(*number))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|number| u32::from_le_bytes(*number))
}

impl Sid {
    /// Parses a SID (MS-DTYP 2.4.2.2) at the beginning of `bytes`.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&[1, count], authority) = (bytes.first_chunk::<2>()?, bytes.get(2..8)?) else { return None };
        let authority = authority.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        let mut text = format!("S-1-{authority}");
        for part in 0..usize::from(count) {
            text.push_str(&format!("-{}", u32_at(bytes, 8 + 4 * part)?));
        }
        Some(Sid(text))
    }
}

impl Sid {
    /// The binary form (MS-DTYP 2.4.2.2).
    fn to_bytes(&self) -> Option<Vec<u8>> {
        let mut numbers = self.0.strip_prefix("S-1-")?.split('-');
        let authority: u64 = numbers.next()?.parse().ok()?;
        let parts = numbers.map(|part| part.parse().ok()).collect::<Option<Vec<u32>>>()?;
        let mut bytes = vec![1, u8::try_from(parts.len()).ok()?];
        bytes.extend(authority.to_be_bytes().get(2..)?);
        parts.iter().for_each(|part| bytes.extend(part.to_le_bytes()));
        Some(bytes)
    }
}

/// A self-relative security descriptor that allows this user everything and other users nothing.
/// Objects created below inherit it; it inherits nothing itself. Returned as `u32`, because the
/// system requires it to be aligned.
pub fn private_descriptor(user: &Sid) -> Option<Vec<u32>> {
    const SELF_RELATIVE_PROTECTED_DACL_PRESENT: u16 = 0x8000 | 0x1000 | 0x0004;
    const HEADER: u32 = 20;
    const ACL_REVISION: u8 = 2;
    const OBJECT_AND_CONTAINER_INHERIT: u8 = 0x03;
    const FILE_ALL_ACCESS: u32 = 0x001f_01ff;
    let sid = user.to_bytes()?;
    let size = u16::try_from(8 + sid.len()).ok()?;
    let mut bytes = vec![1, 0];
    bytes.extend(SELF_RELATIVE_PROTECTED_DACL_PRESENT.to_le_bytes());
    // The offsets of owner, group, SACL and DACL.
    [0, 0, 0, HEADER].iter().for_each(|offset: &u32| bytes.extend(offset.to_le_bytes()));
    bytes.extend([ACL_REVISION, 0]);
    bytes.extend((8 + size).to_le_bytes());
    bytes.extend([1, 0, 0, 0, 0, OBJECT_AND_CONTAINER_INHERIT]);
    bytes.extend(size.to_le_bytes());
    bytes.extend(FILE_ALL_ACCESS.to_le_bytes());
    bytes.extend(sid);
    Some(bytes.chunks_exact(4).filter_map(|word| Some(u32::from_ne_bytes(*word.first_chunk()?))).collect())
}

/// With the English name of a well-known group. The SID alone identifies it to `icacls` in every
/// language.
impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0.as_str() {
            "S-1-1-0" => "Everyone",
            "S-1-5-4" => "Interactive",
            "S-1-5-7" => "Anonymous",
            "S-1-5-11" => "Authenticated Users",
            "S-1-5-32-545" => "Users",
            "S-1-5-32-546" => "Guests",
            "S-1-5-32-547" => "Power Users",
            other => return f.write_str(other),
        };
        write!(f, "{name} ({})", self.0)
    }
}

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stranger::Owner(sid) => write!(f, "its owner {sid}"),
            Stranger::NoDacl => f.write_str("every user, because it has no access control list"),
            Stranger::Granted(sid) => write!(f, "{sid}"),
            Stranger::Unknown => f.write_str("an unknown entry in its access control list"),
        }
    }
}

/// Why a directory is unsafe, and the commands that make it safe.
pub fn why_unsafe(dir: &std::path::Path, stranger: &Stranger) -> String {
    let dir = dir.display();
    match stranger {
        Stranger::Owner(sid) => format!(
            "its owner is {sid}, which is neither you nor an administrator; as an administrator, run \
             `icacls \"{dir}\" /setowner *{ADMINISTRATORS}`"
        ),
        Stranger::NoDacl => {
            "it has no access control list, so every user may write to it; file systems without \
             permissions, such as FAT, never have one"
                .into()
        }
        Stranger::Granted(sid) => format!(
            "{sid} may write to it; to remove that right, run `icacls \"{dir}\" /inheritance:d` and then \
             `icacls \"{dir}\" /remove:g *{}`",
            sid.0
        ),
        Stranger::Unknown => format!(
            "an unknown entry in its access control list may let other users write to it; `icacls \"{dir}\"` \
             shows the list"
        ),
    }
}

#[cfg(test)]
mod tests;
