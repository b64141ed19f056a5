//! Why a place is not safe to update in (SPEC step 1), or cannot take an update (step 9). Each
//! reason has its own next step, with the command that works and breaks nothing else.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::escape::Printable;

/// A user of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The number.
    pub id: u32,
    /// The name, if the machine has one for it.
    pub name: Option<String>,
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "user {} ({})", self.id, Printable(name)),
            None => write!(f, "user {}", self.id),
        }
    }
}

impl User {
    /// As `sudo -u` and `chown` take it.
    fn argument(&self) -> String {
        self.name.as_ref().map_or_else(|| self.id.to_string(), |name| Printable(name).to_string())
    }

    fn sudo(&self) -> String {
        match &self.name {
            Some(name) => format!("sudo -u {}", Printable(name)),
            None => format!("sudo -u '#{}'", self.id),
        }
    }
}

/// Which directory is not safe. It decides which advice can break something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The directory of the executable.
    Directory,
    /// One above it, which other programs and users depend on.
    Ancestor,
    /// `.<exe>.relatch/`
    Records,
}

/// Why a place is not safe to update in: another user could replace the program there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the message of each variant names its fields")]
pub enum UnsafeReason {
    #[error("it is not a regular file")]
    NotRegularFile,
    #[error("it is not a directory")]
    NotDirectory,
    #[error("every user may write there (mode {mode:o})")]
    WritableByAll { mode: u32, place: Place },
    /// For root, who may write wherever a group may.
    #[error("its group {group} may write there (mode {mode:o}), and you are root")]
    WritableByGroup { mode: u32, group: u32, place: Place },
    #[error("it is owned by {owner}, and not by you (user {user}) or root")]
    ForeignOwner { owner: User, user: u32 },
    /// For root: a directory, or one above it.
    #[error("it is owned by {owner}, and you are root")]
    NotOfRoot { owner: User, place: Place },
    /// For root: a directory and directories above it.
    #[error("{first}{}", Others(others))]
    Several { first: Box<UnsafeReason>, others: Vec<(PathBuf, UnsafeReason)> },
    /// `.<exe>.relatch/`.
    #[error("it is owned by {owner}, and not by the owner of the executable ({executable}) or root")]
    ForeignPrivateOwner { owner: User, executable: User },
    /// Windows.
    #[error("{}", Printable(.0))]
    AccessList(String),
}

/// The further places that are refused.
struct Others<'a>(&'a [(PathBuf, UnsafeReason)]);

impl fmt::Display for Others<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut places = self.0.iter();
        places.try_for_each(|(path, why)| write!(f, "; neither is {}: {why}", Printable(path.display())))
    }
}

/// Where root can install a tool.
const ELSEWHERE_FOR_ROOT: &str = "install the tool in a directory that only root can write to, \
                                  as to each directory above it (in a container or on a build \
                                  machine, /opt is one, and a workspace is not)";

const STICKY: u32 = 0o1000;

impl UnsafeReason {
    /// Whether the place is one that this user may not change, while its owner may. Reading what is
    /// recorded there gives no other user more than they have: they can replace the executable.
    pub(crate) fn is_about_this_user(&self) -> bool {
        match self {
            UnsafeReason::WritableByGroup { .. }
            | UnsafeReason::NotOfRoot { .. }
            | UnsafeReason::ForeignOwner { .. }
            | UnsafeReason::ForeignPrivateOwner { .. } => true,
            UnsafeReason::WritableByAll { place, .. } => *place == Place::Ancestor,
            UnsafeReason::Several { first, others } => {
                first.is_about_this_user() && others.iter().all(|(_, why)| why.is_about_this_user())
            }
            UnsafeReason::NotRegularFile | UnsafeReason::NotDirectory | UnsafeReason::AccessList(_) => false,
        }
    }

    /// The next step. `path` is the place.
    ///
    /// No command changes a directory above, a sticky one such as /tmp, or the owner of a
    /// directory: other users and programs depend on these, and sshd refuses a login where a home
    /// is another user's.
    pub(crate) fn advice(&self, path: &Path) -> Cow<'static, str> {
        let quoted = Quoted(path);
        match self {
            UnsafeReason::NotRegularFile => "Only a regular file can be replaced. Name the file itself, or \
                install the tool again: `relatch install`."
                .into(),
            UnsafeReason::NotDirectory => {
                let aside = path.with_extension("old");
                format!(
                    "The records of relatch are in a directory of this name. Move away what is \
                     there: `mv {quoted} {}`.",
                    Quoted(&aside)
                )
                .into()
            }
            UnsafeReason::WritableByAll { mode, place } => {
                let shared = *place == Place::Ancestor || mode & STICKY != 0;
                let prevents = match shared {
                    true => String::new(),
                    false => format!("`chmod o-w {quoted}` prevents that; or "),
                };
                let elsewhere = match place {
                    Place::Ancestor => ELSEWHERE_FOR_ROOT,
                    _ => "install the tool in a directory that only its owner can write to",
                };
                let next = sentence(&format!("{prevents}{elsewhere}"));
                format!("Other users could replace the program there. {next}.").into()
            }
            UnsafeReason::WritableByGroup { mode, place, .. } => {
                let shared = *place == Place::Ancestor || mode & STICKY != 0;
                let prevents = match shared {
                    true => String::new(),
                    false => format!("`chmod g-w {quoted}` prevents that if the group need not write; or "),
                };
                let next = sentence(&format!("{prevents}{ELSEWHERE_FOR_ROOT}"));
                format!("Members of the group could make root run their program. {next}.").into()
            }
            UnsafeReason::ForeignOwner { owner, .. } => format!(
                "The owner of a directory can replace the program in it. Update the tool as that user \
                 (`{} ...`), or install it in a directory of your own.",
                owner.sudo()
            )
            .into(),
            UnsafeReason::NotOfRoot { place: Place::Records, .. } => format!(
                "Another user made it, and could replace what is in it. Remove it, and with it the way \
                 back: `rm -r {quoted}`."
            )
            .into(),
            // The directory of the executable is root's.
            UnsafeReason::NotOfRoot { place: Place::Ancestor, .. } => format!(
                "That user could make root run another program. {}.",
                sentence(ELSEWHERE_FOR_ROOT)
            )
            .into(),
            UnsafeReason::NotOfRoot { owner, place: Place::Directory } => format!(
                "That user could make root run another program. Update the tool as that user \
                 (`{} ...`), or {ELSEWHERE_FOR_ROOT}.",
                owner.sudo()
            )
            .into(),
            UnsafeReason::Several { first, others } => {
                let mut reasons = std::iter::once(&**first).chain(others.iter().map(|(_, why)| why));
                let owner = reasons.find_map(|why| match why {
                    UnsafeReason::NotOfRoot { owner, place: Place::Directory } => Some(owner.sudo()),
                    _ => None,
                });
                let as_owner = owner.map_or(String::new(), |sudo| {
                    format!("update the tool as the user who owns it (`{sudo} ...`), or ")
                });
                let next = sentence(&format!("{as_owner}{ELSEWHERE_FOR_ROOT}"));
                format!("Other users could make root run their program. {next}.").into()
            }
            UnsafeReason::ForeignPrivateOwner { executable, .. } => format!(
                "Another user made it, and could replace what is in it. Give it to the owner of the executable: \
                 `sudo chown -R {} {quoted}`; or remove it, and with it the way back: `sudo rm -r {quoted}`.",
                executable.argument()
            )
            .into(),
            UnsafeReason::AccessList(_) => "Other users could replace the program there. Change the permissions, \
                or install the tool in a directory of your own, such as one in %LOCALAPPDATA%\\Programs."
                .into(),
        }
    }
}

/// The text with a capital letter, unless it begins with a command.
fn sentence(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map_or(String::new(), |first| first.to_uppercase().chain(rest).collect())
}

/// Why an attribute cannot be carried over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CarryFailure {
    /// No block, or no quota.
    NoSpace,
    /// The file system is mounted read-only.
    ReadOnly,
    /// The disk or the file system reports a fault (EIO).
    Disk,
    /// The user or group has no number in this user namespace (EINVAL of chown(2)).
    UnknownId,
    /// This user may not set it.
    NotPermitted,
    /// Root may not set it: a server, or a container without the capability.
    NotPermittedToRoot,
    /// The call succeeded, and the value is another one.
    Dropped,
    /// Any other error.
    Other,
}

/// Why an executable cannot be updated, though its place is safe. It is found before a download.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the message of each variant names its fields")]
pub enum Obstacle {
    /// `is_at_home` is whether its directory belongs to this user.
    #[error("it belongs to {owner}, and only its owner or root may update it")]
    NotOwner { owner: User, is_at_home: bool },
    /// `.<exe>.relatch/`, for the owner of the executable.
    #[error("it belongs to {owner}, and you are {user}")]
    PrivateNotOwner { owner: User, user: User },
    /// A part that must stay with an executable cannot be given to the one that replaces it.
    #[error("its {what} cannot be carried over to the executable that replaces it: {}", Printable(error))]
    CannotCarry { what: String, error: String, failure: CarryFailure },
    #[error("it is a mount point of its own, and cannot be replaced by a rename")]
    MountPoint,
    #[error("its file system has {free} bytes free, and the update needs {needed}")]
    NoSpace { needed: u64, free: u64 },
    #[error("the limit on the size of files is {limit} bytes, and the update needs {needed} (RLIMIT_FSIZE)")]
    FileSizeLimit { needed: u64, limit: u64 },
    #[error("its file system is mounted noexec, so that a new version cannot be tried")]
    NoExec,
    #[error("its file system is mounted read-only")]
    ReadOnly,
    /// A directory that can be searched and written to.
    #[error("you may not read this directory (mode {mode:o}), so that it cannot be listed or flushed")]
    NotReadable { mode: u32, is_owner: bool },
    #[error("it has the attribute `immutable`")]
    Immutable,
    #[error("it has the attribute `append only`")]
    AppendOnly,
    #[error("its file system has no file locks: {}", Printable(error))]
    NoLocks { error: String },
    #[error(
        "its mode is {mode:o}, and its file system does not change it to {needed:o}: {}",
        Printable(error)
    )]
    NoModes { mode: u32, needed: u32, error: String },
}

impl Obstacle {
    /// The next step. `path` is what the obstacle is about.
    pub(crate) fn advice(&self, path: &Path) -> Cow<'static, str> {
        let quoted = Quoted(path);
        match self {
            // Elsewhere the executable is a package's, or another user's who would lose it.
            Obstacle::NotOwner { owner, is_at_home: false } => {
                format!("Run the same command as the owner: `{} ...`.", owner.sudo()).into()
            }
            Obstacle::NotOwner { owner, is_at_home: true } => format!(
                "Run the same command as the owner: `{} ...`; or give the executable to yourself: \
                 `sudo chown \"$USER\" {quoted}`.",
                owner.sudo()
            )
            .into(),
            Obstacle::PrivateNotOwner { user, .. } => format!(
                "Another user ran an update here before. Give the directory to the owner of the executable: \
                 `sudo chown -R {} {quoted}`.",
                user.argument()
            )
            .into(),
            Obstacle::CannotCarry { what, failure, .. } => carry_advice(what, *failure, path).into(),
            Obstacle::MountPoint => format!(
                "Something is mounted over this path, such as a single file in a container. Mount the directory \
                 instead, update the file that is mounted, or unmount it: `umount {quoted}`."
            )
            .into(),
            Obstacle::NoSpace { .. } => no_space(path).into(),
            Obstacle::FileSizeLimit { .. } => "Raise the limit in the shell or the service that starts this: \
                `ulimit -f unlimited`, or LimitFSIZE=infinity for systemd."
                .into(),
            Obstacle::NoExec => "No program can be started there. Mount the file system with exec, or install the \
                tool in another directory; `relatch install --no-probe` installs without trying."
                .into(),
            Obstacle::ReadOnly => READ_ONLY.into(),
            Obstacle::NotReadable { is_owner, .. } => {
                let permits = match is_owner {
                    true => format!("`chmod u+r {quoted}` permits that"),
                    false => format!("ask the owner of the directory to permit it (`ls -ld {quoted}` shows both)"),
                };
                format!(
                    "An update lists the directory and makes its names durable, which requires to read it: \
                     {permits}; or install the tool in a directory of your own."
                )
                .into()
            }
            Obstacle::Immutable => {
                format!("Clear the attribute, and set it again after the update: `sudo chattr -i {quoted}`.").into()
            }
            Obstacle::AppendOnly => {
                format!("Clear the attribute, and set it again after the update: `sudo chattr -a {quoted}`.").into()
            }
            Obstacle::NoLocks { .. } => "Two updates at once could not be told apart there. Install the tool on a \
                local file system, or mount this one with locks."
                .into(),
            Obstacle::NoModes { .. } => "Mount the file system with other options (such as `fmask=0022`), or install \
                the tool on another one."
                .into(),
        }
    }

    /// Whether two of them are about the same failure, whatever the numbers are.
    pub(crate) fn timeless(&self) -> String {
        match self {
            Obstacle::NoSpace { .. } => "no space".into(),
            other => other.to_string(),
        }
    }
}

const READ_ONLY: &str = "Mount it for writing (`mount -o remount,rw`), or update the image or the package that it \
                         comes from.";

fn no_space(path: &Path) -> String {
    let quoted = Quoted(path);
    format!("Free some space (`df -h {quoted}` shows it) and try again; the installed version works.")
}

/// The next step if an attribute cannot be carried over.
fn carry_advice(what: &str, failure: CarryFailure, path: &Path) -> String {
    let quoted = Quoted(path);
    let is_owner = what.starts_with("owner");
    // Of chflags(1). Only this flag is cleared: the others have their reasons.
    if let Some(flag) = what.strip_prefix("flag ") {
        let sudo = if flag.starts_with('u') { "" } else { "sudo " };
        return format!(
            "Clear the flag before the update and set it again after it: `{sudo}chflags no{flag} {quoted}`."
        );
    }
    match failure {
        CarryFailure::NoSpace => no_space(path),
        CarryFailure::ReadOnly => READ_ONLY.into(),
        CarryFailure::Disk => "The disk or the file system has a fault. Look at the system's log (`dmesg`), \
            then try again; the installed version still works."
            .into(),
        CarryFailure::UnknownId => {
            "This user or group does not exist in this container or user namespace. Run \
            the update outside of it, or give the executable to a user and a group that exist in it."
                .into()
        }
        CarryFailure::NotPermitted if is_owner => format!(
            "Only root can give a file to another user or group. Run the same command with sudo, or give \
             the executable to yourself: `sudo chown \"$(id -u):$(id -g)\" {quoted}`."
        ),
        CarryFailure::NotPermittedToRoot => format!(
            "Root may not do that here: the server of the file system forbids it, or this container lacks \
             the capability. Run the update on the server or outside of the container, or remove it from \
             the executable ({} shows it), and set it again after the update.",
            shows(what, path)
        ),
        CarryFailure::Dropped => format!(
            "Only root or a member of the file's group can set the set-group-id bit, and some file systems \
             keep no modes. Run the same command with sudo, or clear what was dropped: `chmod u-s,g-s {quoted}`."
        ),
        CarryFailure::NotPermitted | CarryFailure::Other => format!(
            "The executable would run without it. Run the same command with sudo, or remove it from the \
             executable, and set it again after the update ({} shows it).",
            shows(what, path)
        ),
    }
}

/// The command that shows a part of an executable on this system.
fn shows(what: &str, path: &Path) -> String {
    let quoted = Quoted(path);
    match what {
        _ if what.starts_with("owner") || what.starts_with("mode") => format!("`ls -l {quoted}`"),
        _ if cfg!(target_vendor = "apple") => format!("`ls -le@ {quoted}`"),
        _ => format!("`getfattr -d -m - {quoted}`"),
    }
}

/// A path as a shell takes it. One with characters that no terminal should get cannot be pasted.
struct Quoted<'a>(&'a Path);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-+,@%:\\".contains(&b);
        let path = Printable(self.0.display()).to_string();
        if self.0.as_os_str().as_encoded_bytes().iter().copied().all(is_plain) {
            return f.write_str(&path);
        }
        write!(f, "'{}'", path.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_pasted() {
        for (path, expected) in [
            ("/opt/bin/tool", "/opt/bin/tool"),
            ("/opt/my tools/it", "'/opt/my tools/it'"),
            ("/opt/it's", r"'/opt/it'\''s'"),
            ("/opt/$(reboot)", "'/opt/$(reboot)'"),
        ] {
            assert_eq!(Quoted(Path::new(path)).to_string(), expected);
        }
        let owner = User { id: 12, name: None };
        let advice = Obstacle::NotOwner { owner, is_at_home: true }.advice(Path::new("/x"));
        assert!(advice.contains("sudo -u '#12'"), "{advice}");
    }

    /// A pasted command must not break a home, /tmp, or a directory of a team.
    #[test]
    fn no_command_changes_what_others_depend_on() {
        let owner = || User { id: 12, name: Some("alice".into()) };
        let all = |mode, place| UnsafeReason::WritableByAll { mode, place };
        let group = |mode, place| UnsafeReason::WritableByGroup { mode, group: 50, place };
        let path = Path::new("/home/alice");
        for why in [
            all(0o1777, Place::Directory),
            all(0o757, Place::Ancestor),
            group(0o1775, Place::Directory),
            group(0o2775, Place::Ancestor),
            UnsafeReason::NotOfRoot { owner: owner(), place: Place::Ancestor },
            UnsafeReason::NotOfRoot { owner: owner(), place: Place::Directory },
            UnsafeReason::ForeignOwner { owner: owner(), user: 13 },
            UnsafeReason::Several {
                first: group(0o2775, Place::Directory).into(),
                others: vec![(path.into(), group(0o2775, Place::Ancestor))],
            },
        ] {
            let advice = why.advice(path);
            assert!(!advice.contains("chmod") && !advice.contains("chown"), "{why}: {advice}");
            assert!(advice.to_lowercase().contains("install "), "{why}: {advice}");
        }
        assert!(all(0o757, Place::Directory).advice(path).contains("`chmod o-w /home/alice`"));
        assert!(group(0o775, Place::Records).advice(path).contains("`chmod g-w /home/alice`"));
        let advice = Obstacle::NotOwner { owner: owner(), is_at_home: false }.advice(path);
        assert!(!advice.contains("chown") && advice.contains("sudo -u alice"), "{advice}");
    }

    #[test]
    fn advice_about_an_attribute_fits_its_error() {
        let advice = |what: &str, failure| {
            let why = Obstacle::CannotCarry { what: what.into(), error: "e".into(), failure };
            why.advice(Path::new("/x")).into_owned()
        };
        assert!(advice("attribute user.a", CarryFailure::NoSpace).contains("df -h /x"));
        assert!(advice("mode 755", CarryFailure::ReadOnly).contains("remount,rw"));
        assert!(advice("mode 755", CarryFailure::Disk).contains("dmesg"));
        let of_root = [CarryFailure::UnknownId, CarryFailure::NotPermittedToRoot];
        for failure in of_root.into_iter().chain([CarryFailure::NoSpace, CarryFailure::Disk]) {
            let advice = advice("owner 1:2", failure);
            assert!(!advice.contains("sudo"), "{failure:?}: {advice}");
        }
        assert!(
            advice("owner 1:2", CarryFailure::NotPermitted).contains("sudo chown \"$(id -u):$(id -g)\" /x")
        );
        assert!(advice("flag uchg", CarryFailure::Other).contains("`chflags nouchg /x`"));
        assert!(advice("flag schg", CarryFailure::Other).contains("`sudo chflags noschg /x`"));
        assert!(advice("mode 2755", CarryFailure::Dropped).contains("chmod u-s,g-s /x"));
    }
}
