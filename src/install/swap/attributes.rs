//! Which attributes of an executable are copied to its successor (SPEC section 5, step 12).
//!
//! An allow-list: an attribute that is not on it may describe the bytes or the inode of the old
//! file, and would then be wrong on the new one, or could not be set there at all.
//!
//! The rules are separate from the calls ([`Files`]), so that tests can give them the answers of a
//! system that the tests do not run on.

use crate::escape::Words;
use std::io::{self, ErrorKind};

use rustix::io::Errno;

/// The system that has the attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "each system uses one of them, and the tests use both")]
pub(super) enum System {
    Linux,
    Apple,
}

/// What follows if an attribute cannot be copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weight {
    /// It controls access to the file, or the rights of the program. The swap is refused.
    Protective,
    /// A note of a person or a tool. It is left out.
    Cosmetic,
}

/// The list. An entry that ends with `*` is a prefix, and the first entry that matches decides;
/// `None` is never copied.
const LINUX: &[(&str, Option<Weight>)] = &[
    // POSIX and NFSv4 ACLs: which users may run, read and write the executable.
    ("system.posix_acl_access", Some(Weight::Protective)),
    ("system.nfs4_acl", Some(Weight::Protective)),
    // Rights that the administrator gave the program, such as to listen on port 80.
    ("security.capability", Some(Weight::Protective)),
    // The labels of mandatory access control, which confine the program.
    ("security.selinux", Some(Weight::Protective)),
    ("security.SMACK64*", Some(Weight::Protective)),
    ("security.apparmor", Some(Weight::Protective)),
    // overlayfs stores there which file of a lower layer an inode belongs to.
    ("user.overlay.*", None),
    // Notes of persons and programs about the file. None of them is a permission to the kernel.
    ("user.*", Some(Weight::Cosmetic)),
    // Not copied: security.ima and security.evm, which hash or sign the old bytes and the old
    // inode; trusted.*, in which file systems keep what belongs to an inode.
];

/// The ACL of a file on Linux (acl(5)).
const ACL: &[u8] = b"system.posix_acl_access";

/// The rights of a program on Linux (capabilities(7)).
pub(super) const CAPABILITY: &[u8] = b"security.capability";

/// The list of macOS. There ACL and flags are not extended attributes.
const APPLE: &[(&str, Option<Weight>)] = &[
    // Tags that a person gives to files in Finder.
    ("com.apple.metadata:_kMDItemUserTags", Some(Weight::Cosmetic)),
    // Apple's other attributes record where these bytes came from, what opened them or how they are
    // signed. An ordinary process cannot set com.apple.provenance and com.apple.macl;
    // com.apple.quarantine would ask the user again about a program that was allowed to run;
    // com.apple.lastuseddate#PS is about the old file; and com.apple.cs.* signs the old bytes.
    ("com.apple.*", None),
    // All other names.
    ("*", Some(Weight::Cosmetic)),
];

fn weight(system: System, name: &[u8]) -> Option<Weight> {
    let list = match system {
        System::Linux => LINUX,
        System::Apple => APPLE,
    };
    let matches = |entry: &str| match entry.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix.as_bytes()),
        None => name == entry.as_bytes(),
    };
    list.iter().find(|(entry, _)| matches(entry)).and_then(|(_, weight)| *weight)
}

/// The flags of chflags(2) that forbid an operation on the file. The others (hidden, compressed,
/// nodump) do not protect it.
const PROTECTIVE_FLAGS: [(u32, &str); 7] = [
    (0x0000_0002, "uchg"),
    (0x0000_0004, "uappnd"),
    (0x0000_0080, "datavault"),
    (0x0002_0000, "schg"),
    (0x0004_0000, "sappnd"),
    (0x0008_0000, "restricted"),
    (0x0010_0000, "sunlnk"),
];

/// One of the two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Old,
    New,
}

/// The calls of the system on the old file and on the new one.
pub(super) trait Files {
    type Acl: PartialEq;
    /// The names of the old file's extended attributes, each with a zero byte at its end.
    fn names(&self) -> Result<Vec<u8>, Errno>;
    fn value(&self, of: Which, name: &[u8]) -> Result<Vec<u8>, Errno>;
    /// Of the new one.
    fn set(&self, name: &[u8], value: &[u8]) -> Result<(), Errno>;
    /// Of the new one.
    fn remove(&self, name: &[u8]) -> Result<(), Errno>;
    /// The ACL, on a system where it is not an extended attribute.
    fn acl(&self, of: Which) -> io::Result<Self::Acl>;
    /// Of the new one.
    fn set_acl(&self, acl: &Self::Acl) -> io::Result<()>;
    /// The flags that chflags(2) sets.
    fn flags(&self, of: Which) -> io::Result<u32>;
}

/// The part that cannot be copied, and why.
pub(super) type Lost = (String, io::Error);

/// Copies the attributes on the list to the new file, or returns the protective one that it would
/// lose.
pub(super) fn copy_metadata(system: System, files: &impl Files) -> Result<(), Lost> {
    if system == System::Apple {
        keep_flags(files)?;
    }
    copy_extended(system, files)?;
    if system == System::Apple {
        copy_acl(files).map_err(|error| ("ACL".to_owned(), error))?;
    }
    Ok(())
}

/// There is no safe call that sets flags: the new file keeps those that the system gave it.
fn keep_flags(files: &impl Files) -> Result<(), Lost> {
    let flags = |of| files.flags(of).map_err(|error| ("flags".to_owned(), error));
    let lost = flags(Which::Old)? & !flags(Which::New)?;
    match PROTECTIVE_FLAGS.iter().find(|(bit, _)| lost & bit != 0) {
        Some((_, name)) => {
            let why =
                "relatch cannot set file flags; to allow the update, clear the flag (chflags) and try again";
            Err((format!("flag {name}"), io::Error::new(ErrorKind::Unsupported, why)))
        }
        None => Ok(()),
    }
}

fn copy_extended(system: System, files: &impl Files) -> Result<(), Lost> {
    let names = match files.names() {
        Ok(names) => names,
        // This file system has none.
        Err(Errno::NOTSUP | Errno::NOSYS) => return Ok(()),
        // None of them can be a protective one.
        Err(_) if system == System::Apple => return Ok(()),
        Err(error) => return Err(("extended attributes".into(), error.into())),
    };
    // A default ACL of the directory may have given the new file an ACL that the old file has not,
    // and the file that a rollback brings back may have a right that was taken from its successor.
    for (name, what) in [(ACL, "lack of an ACL"), (CAPABILITY, "lack of capabilities")] {
        let is_absent = system == System::Linux && files.value(Which::Old, name) == Err(Errno::NODATA);
        if is_absent {
            match files.value(Which::New, name) {
                Err(Errno::NODATA) => Ok(()),
                Ok(_) => files.remove(name),
                Err(error) => Err(error),
            }
            .map_err(|error| (what.into(), error.into()))?;
        }
    }
    // Capabilities last: a change of the owner clears them.
    let mut names: Vec<&[u8]> = names.split(|byte| *byte == 0).filter(|name| !name.is_empty()).collect();
    names.sort_by_key(|name| *name == CAPABILITY);
    for name in names {
        let Some(weight) = weight(system, name) else { continue };
        let copied = files.value(Which::Old, name).and_then(|value| {
            // Many are set already, such as a label that the directory gives. Setting it again may
            // be forbidden.
            match files.value(Which::New, name) {
                Ok(existing) if existing == value => Ok(()),
                _ => files.set(name, &value),
            }
        });
        match copied {
            Err(error) if weight == Weight::Protective => {
                let name = Words(String::from_utf8_lossy(name)).to_string();
                return Err((format!("attribute {name}"), error.into()));
            }
            _ => {}
        }
    }
    Ok(())
}

fn copy_acl<F: Files>(files: &F) -> io::Result<()> {
    let old = match files.acl(Which::Old) {
        // This file system has none.
        Err(error) if error.kind() == ErrorKind::Unsupported => return Ok(()),
        old => old?,
    };
    if files.acl(Which::New).is_ok_and(|new| new == old) {
        return Ok(());
    }
    files.set_acl(&old)?;
    match files.acl(Which::New)? == old {
        true => Ok(()),
        false => Err(io::Error::other("the file system stored a different ACL")),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    use super::*;

    type Values = BTreeMap<&'static str, &'static str>;

    /// Two files, with the answers of a system.
    #[derive(Default)]
    struct Fake {
        old: Values,
        new: RefCell<BTreeMap<String, Vec<u8>>>,
        refused: BTreeMap<&'static str, Errno>,
        names: Option<Errno>,
        acls: (Option<&'static str>, RefCell<&'static str>),
        acl_refused: Option<ErrorKind>,
        flags: (u32, u32),
        asked: RefCell<Vec<String>>,
    }

    impl Fake {
        fn of(old: &[(&'static str, &'static str)]) -> Self {
            Fake {
                old: old.iter().copied().collect(),
                acls: (Some(""), RefCell::default()),
                ..Fake::default()
            }
        }

        fn copied(&self) -> Vec<String> {
            self.new.borrow().keys().cloned().collect()
        }
    }

    impl Files for Fake {
        type Acl = &'static str;

        fn names(&self) -> Result<Vec<u8>, Errno> {
            match self.names {
                Some(error) => Err(error),
                None => Ok(self.old.keys().flat_map(|name| [name.as_bytes(), b"\0"].concat()).collect()),
            }
        }

        fn value(&self, of: Which, name: &[u8]) -> Result<Vec<u8>, Errno> {
            let name = std::str::from_utf8(name).unwrap();
            self.asked.borrow_mut().push(name.into());
            match of {
                Which::Old => self.old.get(name).map(|value| value.as_bytes().to_vec()),
                Which::New => self.new.borrow().get(name).cloned(),
            }
            .ok_or(Errno::PERM)
        }

        fn set(&self, name: &[u8], value: &[u8]) -> Result<(), Errno> {
            let name = std::str::from_utf8(name).unwrap();
            if let Some(error) = self.refused.get(name) {
                return Err(*error);
            }
            self.new.borrow_mut().insert(name.into(), value.into());
            Ok(())
        }

        fn remove(&self, name: &[u8]) -> Result<(), Errno> {
            self.new.borrow_mut().remove(std::str::from_utf8(name).unwrap()).map(drop).ok_or(Errno::PERM)
        }

        fn acl(&self, of: Which) -> io::Result<Self::Acl> {
            match of {
                Which::Old => self.acls.0.ok_or_else(|| ErrorKind::Unsupported.into()),
                Which::New => Ok(*self.acls.1.borrow()),
            }
        }

        fn set_acl(&self, acl: &Self::Acl) -> io::Result<()> {
            match self.acl_refused {
                Some(kind) => Err(kind.into()),
                None => {
                    // A file system that supports fewer permissions may do this.
                    *self.acls.1.borrow_mut() = if *acl == "cut" { "" } else { acl };
                    Ok(())
                }
            }
        }

        fn flags(&self, of: Which) -> io::Result<u32> {
            Ok(if of == Which::Old { self.flags.0 } else { self.flags.1 })
        }
    }

    const OF_APPLE: [&str; 6] = [
        "com.apple.provenance",
        "com.apple.macl",
        "com.apple.quarantine",
        "com.apple.lastuseddate#PS",
        "com.apple.cs.CodeSignature",
        "com.apple.what-comes-next",
    ];

    #[test]
    fn what_belongs_to_the_old_bytes_is_not_tried() {
        let mut names: Vec<_> = OF_APPLE.map(|name| (name, "x")).into();
        names.extend([("com.apple.metadata:_kMDItemUserTags", "red"), ("org.example.note", "x")]);
        // macOS answers EPERM to every process that sets one of these.
        let refused = OF_APPLE.map(|name| (name, Errno::PERM)).into();
        let files = Fake { refused, ..Fake::of(&names) };
        copy_metadata(System::Apple, &files).unwrap();
        assert_eq!(files.copied(), ["com.apple.metadata:_kMDItemUserTags", "org.example.note"]);
        assert!(!files.asked.borrow().iter().any(|name| OF_APPLE.contains(&name.as_str())));

        let bound = [
            "security.ima",
            "security.evm",
            "security.other",
            "trusted.overlay.origin",
            "trusted.gfid",
            "user.overlay.origin",
        ];
        let mut names: Vec<_> = bound.map(|name| (name, "x")).into();
        names.extend([("btrfs.compression", "zstd"), ("user.note", "x")]);
        let files = Fake { refused: bound.map(|name| (name, Errno::PERM)).into(), ..Fake::of(&names) };
        copy_metadata(System::Linux, &files).unwrap();
        assert_eq!(files.copied(), ["user.note"]);
        assert!(!files.asked.borrow().iter().any(|name| bound.contains(&name.as_str())));
    }

    #[test]
    fn only_what_protects_is_worth_a_refusal() {
        for name in [
            "security.capability",
            "security.selinux",
            "security.SMACK64",
            "security.SMACK64EXEC",
            "security.apparmor",
            "system.posix_acl_access",
            "system.nfs4_acl",
        ] {
            for error in [Errno::PERM, Errno::NOTSUP, Errno::NOSPC] {
                let files = Fake { refused: [(name, error)].into(), ..Fake::of(&[(name, "x")]) };
                let (what, why) = copy_metadata(System::Linux, &files).unwrap_err();
                assert_eq!(
                    (what, why.raw_os_error()),
                    (format!("attribute {name}"), Some(error.raw_os_error()))
                );
                // Set already, and must not be set again, like a label.
                files.new.borrow_mut().insert(name.into(), b"x".into());
                copy_metadata(System::Linux, &files).unwrap();
            }
        }
        for (system, name) in [(System::Linux, "user.note"), (System::Apple, "note")] {
            for error in [Errno::PERM, Errno::NOTSUP, Errno::NOSPC] {
                let files =
                    Fake { refused: [(name, error)].into(), ..Fake::of(&[(name, "x"), ("user.z", "x")]) };
                copy_metadata(system, &files).unwrap();
                assert_eq!(files.copied(), ["user.z"], "{name}");
            }
        }
    }

    #[test]
    fn a_file_system_without_attributes_is_no_reason_to_refuse() {
        for (system, error, refused) in [
            (System::Linux, Errno::NOTSUP, false),
            (System::Linux, Errno::NOSYS, false),
            (System::Linux, Errno::PERM, true), // the names are unknown
            (System::Apple, Errno::NOTSUP, false),
            (System::Apple, Errno::PERM, false),
        ] {
            let files = Fake { names: Some(error), ..Fake::of(&[]) };
            assert_eq!(copy_metadata(system, &files).is_err(), refused, "{system:?} {error:?}");
        }
    }

    #[test]
    fn an_acl_of_apple_is_copied_or_the_swap_refused() {
        let with =
            |old, refused| Fake { acls: (old, RefCell::default()), acl_refused: refused, ..Fake::of(&[]) };
        let files = with(Some("deny all"), None);
        copy_metadata(System::Apple, &files).unwrap();
        assert_eq!(*files.acls.1.borrow(), "deny all");
        for files in [with(Some("deny all"), Some(ErrorKind::PermissionDenied)), with(Some("cut"), None)] {
            assert_eq!(copy_metadata(System::Apple, &files).unwrap_err().0, "ACL");
        }
        // There is nothing to copy.
        for old in [None, Some("")] {
            copy_metadata(System::Apple, &with(old, Some(ErrorKind::PermissionDenied))).unwrap();
        }
    }

    #[test]
    fn a_flag_that_protects_is_not_lost() {
        for (bit, name) in PROTECTIVE_FLAGS {
            let (what, why) =
                copy_metadata(System::Apple, &Fake { flags: (bit, 0), ..Fake::of(&[]) }).unwrap_err();
            assert_eq!(what, format!("flag {name}"));
            assert!(why.to_string().contains("chflags"), "{why}");
            copy_metadata(System::Apple, &Fake { flags: (bit, bit), ..Fake::of(&[]) }).unwrap();
        }
        // UF_NODUMP, UF_OPAQUE, UF_COMPRESSED, UF_TRACKED, UF_HIDDEN, SF_ARCHIVED.
        copy_metadata(System::Apple, &Fake { flags: (0x0001_8069, 0), ..Fake::of(&[]) }).unwrap();
    }
}
