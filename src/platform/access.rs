//! Who may change or read a file on Windows, by its owner and its DACL.
//!
//! A security descriptor arrives in its self-relative form, which is bytes (MS-DTYP 2.4.6), and is read here without the system's help. So
//! the decision has tests that run on every system. Trusted are the current user, the administrators, the system, and the installer of
//! Windows: each of them can replace a program anyway.

use std::fmt;

/// A user or a group: `S-1-5-32-545`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sid(pub String);

/// One entry of a DACL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ace {
    /// 0 allows, 1 denies; others are rare.
    pub kind: u8,
    /// How it is inherited.
    pub flags: u8,
    /// The rights.
    pub mask: u32,
    /// Whose rights; `None` for a kind of entry that is not known here.
    pub sid: Option<Sid>,
}

/// Owner and DACL of a file or directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Security {
    /// The owner, who may always change the DACL.
    pub owner: Sid,
    /// `None` lets everybody do everything.
    pub dacl: Option<Vec<Ace>>,
}

/// Another user who has a right that they should not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stranger {
    /// The owner is neither the current user nor an administrator.
    Owner(Sid),
    /// There is no DACL at all.
    Everybody,
    /// An entry of the DACL names them.
    Granted(Sid),
    /// An entry of a kind that is not known here gives the right to somebody.
    Unknown,
}

const SYSTEM: &str = "S-1-5-18";
const ADMINISTRATORS: &str = "S-1-5-32-544";
const TRUSTED_INSTALLER: &str = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464";
/// CREATOR OWNER and CREATOR GROUP are placeholders that no process has; OWNER RIGHTS are those of the owner, who is checked.
const PLACEHOLDERS: [&str; 3] = ["S-1-3-0", "S-1-3-1", "S-1-3-4"];

/// The entry is for what is made in the directory later, and not for the directory (INHERIT_ONLY_ACE).
const INHERIT_ONLY: u8 = 0x08;
/// ACCESS_DENIED_ACE_TYPE and its relatives.
const DENIES: [u8; 4] = [1, 6, 10, 12];
/// ACCESS_ALLOWED_ACE_TYPE, and the same with a condition, which is taken for met.
const ALLOWS: [u8; 2] = [0, 9];

/// DELETE, WRITE_DAC, WRITE_OWNER, GENERIC_ALL, GENERIC_WRITE: by each of them the object can be taken over or replaced.
const TAKE_OVER: u32 = 0x0001_0000 | 0x0004_0000 | 0x0008_0000 | 0x1000_0000 | 0x4000_0000;
/// FILE_ADD_FILE, FILE_ADD_SUBDIRECTORY, FILE_DELETE_CHILD: by each of them a program in the directory can be replaced, or one beside it
/// be planted.
const CHANGE_DIRECTORY: u32 = 0x0002 | 0x0004 | 0x0040 | TAKE_OVER;
/// FILE_READ_DATA, GENERIC_READ, FILE_WRITE_DATA, FILE_APPEND_DATA: a secret is read, or replaced by another one.
const READ_OR_CHANGE_FILE: u32 = 0x0001 | 0x8000_0000 | 0x0002 | 0x0004 | TAKE_OVER;

impl Security {
    /// Who besides `user` and administrators may change what is in this directory.
    pub fn stranger_in_directory(&self, user: &Sid) -> Option<Stranger> {
        self.stranger(user, CHANGE_DIRECTORY)
    }

    /// Who besides `user` and administrators may read or change this file.
    pub fn stranger_to_secret(&self, user: &Sid) -> Option<Stranger> {
        self.stranger(user, READ_OR_CHANGE_FILE)
    }

    /// Entries that deny are not counted: what they take away from one group another one may still give.
    fn stranger(&self, user: &Sid, rights: u32) -> Option<Stranger> {
        let is_trusted =
            |sid: &Sid| sid == user || [SYSTEM, ADMINISTRATORS, TRUSTED_INSTALLER].contains(&sid.0.as_str());
        // First: a file system without access lists (FAT) also names Everyone as the owner, and that cannot be changed there.
        let Some(entries) = &self.dacl else { return Some(Stranger::Everybody) };
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

    /// Reads a self-relative security descriptor; `None` where it is not well-formed.
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
    /// Reads a SID (MS-DTYP 2.4.2.2), whatever follows it.
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
    /// The form that the system reads.
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

/// A self-relative descriptor that lets this user do everything and nobody else anything, here and in what is made below, and that takes
/// nothing over from the directory above. As words, because the system wants it aligned.
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
    [0, 0, 0, HEADER].iter().for_each(|offset: &u32| bytes.extend(offset.to_le_bytes())); // owner, group, SACL, DACL
    bytes.extend([ACL_REVISION, 0]);
    bytes.extend((8 + size).to_le_bytes());
    bytes.extend([1, 0, 0, 0, 0, OBJECT_AND_CONTAINER_INHERIT]);
    bytes.extend(size.to_le_bytes());
    bytes.extend(FILE_ALL_ACCESS.to_le_bytes());
    bytes.extend(sid);
    Some(bytes.chunks_exact(4).filter_map(|word| Some(u32::from_ne_bytes(*word.first_chunk()?))).collect())
}

/// With the name that the usual groups have in English; by the number alone `icacls` knows all of them in every language.
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
            Stranger::Owner(sid) => write!(f, "it belongs to {sid}"),
            Stranger::Everybody => f.write_str("it has no access control list"),
            Stranger::Granted(sid) => write!(f, "{sid}"),
            Stranger::Unknown => f.write_str("an unusual entry in its access control list"),
        }
    }
}

/// What is wrong with a directory, and the commands that mend it.
pub fn why_unsafe(dir: &std::path::Path, stranger: &Stranger) -> String {
    let dir = dir.display();
    match stranger {
        Stranger::Owner(sid) => format!(
            "it belongs to {sid}, who is neither you nor an administrator; as an administrator, `icacls \"{dir}\" /setowner *{ADMINISTRATORS}` changes that"
        ),
        Stranger::Everybody => {
            "it has no access control list, so everybody may write there; a file system without permissions, such as FAT, never has one"
                .into()
        }
        Stranger::Granted(sid) => format!(
            "{sid} may write there; `icacls \"{dir}\" /inheritance:d` and then `icacls \"{dir}\" /remove:g *{}` take that right away",
            sid.0
        ),
        Stranger::Unknown => {
            format!("an unusual entry in its access control list lets somebody write there; `icacls \"{dir}\"` shows it")
        }
    }
}

#[cfg(test)]
mod tests;
