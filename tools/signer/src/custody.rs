//! Where a secret key and its password come from, and where a secret key may never lie.
//!
//! From a file, an environment variable, or standard input; a password from a prompt or an environment variable. Never from an argument:
//! those stand in process lists and shell histories. A key in AWS KMS is only named: it stays there.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use relatch::Printable;
use zeroize::Zeroizing;

use crate::files::{Readers, dir_of, open_given, write_new};
use crate::key::SecretKey;
use crate::kms::{self, KmsName};
use crate::signing::SigningKey;
use crate::{Failure, Result, printable};

/// A key file has some 270 bytes; what is much larger is something else.
const KEY_FILE: u64 = 4096;
/// The variable that a password is in where --password-env names no other.
pub const PASSWORD: &str = "SIGNER_PASSWORD";

/// What the base64 of a minisign secret key begins with, unencrypted and encrypted.
pub(crate) const SECRET_BEGINS: [&str; 2] = ["RWQAAEIy", "RWRTY0Iy"];

/// Where a secret key is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A file that only its owner can read.
    File(PathBuf),
    /// `env:NAME`: the content of a key file in an environment variable, as CI systems keep secrets.
    Variable(String),
    /// `-`: standard input.
    Stdin,
    /// `awskms:KEY`: a key in AWS KMS.
    Kms(KmsName),
}

/// `--key` as typed. Parsing it cannot fail, so that no error of the argument parser repeats what somebody pasted; it has no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyArgument(String);

impl From<String> for KeyArgument {
    fn from(text: String) -> Self {
        KeyArgument(text)
    }
}

impl std::fmt::Debug for KeyArgument {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyArgument(..)")
    }
}

impl KeyArgument {
    /// Where the key is. A key itself, given by mistake, is refused and not repeated.
    ///
    /// # Errors
    /// [`Failure::Key`].
    pub fn source(&self) -> Result<KeySource> {
        let text = self.0.as_str();
        let refuse = |why: &str| Err(Failure::Key { name: "that --key names".into(), why: why.into() });
        let is_key = SECRET_BEGINS.iter().chain(&["\n", "untrusted comment"]).any(|part| text.contains(part));
        let kms = text.strip_prefix(kms::SCHEME);
        if is_key || (text.len() > 200 && kms.is_none()) {
            return refuse(
                "seems to be given itself; name its place instead. It stands in your shell's history now: replace it",
            );
        }
        if let Some(name) = kms {
            return match name.parse() {
                Ok(name) => Ok(KeySource::Kms(name)),
                Err(why) => refuse(&format!(
                    "is to be in AWS KMS under a name that is {why}; write it as in `awskms:alias/release`"
                )),
            };
        }
        match text.strip_prefix("env:") {
            Some(name) => {
                let is_name = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
                if name.is_empty()
                    || !name.bytes().all(is_name)
                    || name.starts_with(|c: char| c.is_ascii_digit())
                {
                    return refuse(
                        "is to be in a variable whose name is none: letters, digits and `_`, without `$`",
                    );
                }
                Ok(KeySource::Variable(name.into()))
            }
            None if text == "-" => Ok(KeySource::Stdin),
            None => Ok(KeySource::File(text.into())),
        }
    }
}

impl std::fmt::Display for KeySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            KeySource::File(path) => Printable(path.display()).fmt(f),
            KeySource::Variable(name) => write!(f, "in ${name}"),
            KeySource::Stdin => f.write_str("on standard input"),
            KeySource::Kms(name) => write!(f, "{name} in AWS KMS"),
        }
    }
}

impl KeySource {
    /// The key, ready to sign: read and, if need be, decrypted; or asked for its public half. A password comes from the variable if it is
    /// set, else from a prompt.
    ///
    /// # Errors
    /// [`Failure::Key`], which never holds a byte of the key; and what AWS KMS says.
    pub fn load(&self, password_variable: &str) -> Result<Box<dyn SigningKey>> {
        let fail = |why: String| Failure::Key { name: self.to_string(), why };
        let text = match self {
            KeySource::Kms(name) => return open_in_kms(name),
            KeySource::Variable(name) => read_variable(name).map_err(fail)?,
            KeySource::Stdin => read_stdin().map_err(fail)?,
            KeySource::File(path) => read_key_file(path)?,
        };
        let password = if SecretKey::is_encrypted(&text) {
            Some(password_for(&self.to_string(), password_variable).map_err(fail)?)
        } else {
            None
        };
        let key = SecretKey::from_text(&text, password.as_ref().map(|password| password.as_str()));
        Ok(Box::new(key.map_err(fail)?))
    }
}

#[cfg(feature = "kms")]
fn open_in_kms(name: &KmsName) -> Result<Box<dyn SigningKey>> {
    Ok(Box::new(kms::KmsKey::open(name)?))
}

#[cfg(not(feature = "kms"))]
fn open_in_kms(name: &KmsName) -> Result<Box<dyn SigningKey>> {
    Err(Failure::Key {
        name: name.to_string(),
        why: "is in AWS KMS, and this signer was built without the feature `kms`; it has it by default: `cargo install --path tools/signer`"
            .into(),
    })
}

/// The text of a key, in room that need not grow, so that no copy is left behind.
fn read_text(from: impl Read) -> std::result::Result<Zeroizing<String>, String> {
    let mut text = Zeroizing::new(String::with_capacity(KEY_FILE as usize + 2));
    match from.take(KEY_FILE + 1).read_to_string(&mut text) {
        Ok(_) if text.len() as u64 > KEY_FILE => {
            Err(format!("is not a minisign key: it has more than {KEY_FILE} bytes"))
        }
        Ok(_) => Ok(text),
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            Err("is not a minisign key: it is not text".into())
        }
        Err(error) => Err(format!("cannot be read: {error}")),
    }
}

fn read_variable(name: &str) -> std::result::Result<Zeroizing<String>, String> {
    let value = std::env::var(name).map(Zeroizing::new).map_err(|_| "is not set, or not text")?;
    // Some CI systems cannot hold newlines, or drop the last one.
    Ok(Zeroizing::new(value.replace("\\n", "\n")))
}

/// Past the buffer that the standard library keeps for standard input, which nobody wipes.
fn read_stdin() -> std::result::Result<Zeroizing<String>, String> {
    let stdin = std::io::stdin();
    #[cfg(unix)]
    let own = std::os::fd::AsFd::as_fd(&stdin).try_clone_to_owned();
    #[cfg(windows)]
    let own = std::os::windows::io::AsHandle::as_handle(&stdin).try_clone_to_owned();
    let own = own.map_err(|error| format!("cannot be read: {error}"))?;
    read_text(File::from(own))
}

fn read_key_file(path: &Path) -> Result<Zeroizing<String>> {
    let fail = |why: String| Failure::Key { name: Printable(path.display()).to_string(), why };
    let file = open_given(path).map_err(Failure::io("open the secret key", path))?;
    if let Some(why) = readable_by_others(&file, path).map_err(Failure::io("look at the secret key", path))? {
        return Err(fail(why));
    }
    read_text(file).map_err(fail)
}

/// Who else could have been there, and what to do.
#[cfg(unix)]
fn readable_by_others(file: &File, _: &Path) -> std::io::Result<Option<String>> {
    let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata()?.permissions());
    Ok((mode & 0o077 != 0).then(|| {
        format!(
            "can be read or written by others (mode {:o}); `chmod 600` it, and replace the key if others were there",
            mode & 0o777
        )
    }))
}

#[cfg(windows)]
fn readable_by_others(file: &File, path: &Path) -> std::io::Result<Option<String>> {
    use relatch::platform::windows::{current_user, security_of};
    let user = current_user()?;
    Ok(security_of(file)?.stranger_to_secret(&user).map(|stranger| {
        let path = Printable(path.display());
        format!(
            "can be read or written by others: {stranger}; `icacls \"{path}\" /inheritance:r /grant:r *{}:F` makes it yours alone, and replace the key if others were there",
            user.0
        )
    }))
}

#[cfg(not(any(unix, windows)))]
fn readable_by_others(_: &File, _: &Path) -> std::io::Result<Option<String>> {
    Ok(None)
}

/// The password from the variable, else from a prompt.
fn password_for(name: &str, variable: &str) -> std::result::Result<Zeroizing<String>, String> {
    if let Ok(password) = std::env::var(variable) {
        return Ok(Zeroizing::new(password));
    }
    let prompt = printable(&format!("Password of the secret key {name}: "));
    rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(|error| {
        format!("is encrypted; {} is not set and there is no terminal to ask at ({error})", told(variable))
    })
}

/// How the variable of the password is told. Somebody may have given the password itself: no other name is repeated.
fn told(variable: &str) -> &str {
    if variable == PASSWORD { "$SIGNER_PASSWORD" } else { "the variable that --password-env names" }
}

/// The password for new keys: from the variable, else asked for twice; `None` where keys are to have none.
///
/// # Errors
/// [`Failure::Client`] where the two differ or there is no terminal.
pub fn new_password(no_password: bool, variable: &str) -> Result<Option<Zeroizing<String>>> {
    if no_password {
        return Ok(None);
    }
    let refuse_empty = |password: Zeroizing<String>| {
        if password.is_empty() {
            return Err(Failure::usage(
                "an empty password protects nothing; use --no-password if that is what you want",
            ));
        }
        Ok(Some(password))
    };
    if let Ok(password) = std::env::var(variable) {
        return refuse_empty(Zeroizing::new(password));
    }
    let ask = |prompt: &str| {
        rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(|error| {
            Failure::usage(format!("no password: {} is not set and there is no terminal to ask at ({error}); or use --no-password", told(variable)))
        })
    };
    let first = ask("Password for the new secret keys: ")?;
    if *first != *ask("The same again: ")? {
        return Err(Failure::usage("the two passwords differ; nothing was made"));
    }
    refuse_empty(first)
}

/// Writes a new secret key, readable by its owner alone, and never over another file.
///
/// # Errors
/// [`Failure::Refused`] for a path that git tracks or would; [`Failure::Client`] where the file exists.
pub fn save(key: &SecretKey, path: &Path, password: Option<&str>) -> Result<()> {
    refuse_tracked(path)?;
    let fail = |why: String| Failure::Key { name: Printable(path.display()).to_string(), why };
    let text = key.to_text(password).map_err(fail)?;
    write_new(path, text.as_bytes(), Readers::Owner)
}

/// Refuses a path for secrets that git tracks or would: a secret in a git work tree is one `git add` away from everybody: only a path that git ignores will do.
///
/// # Errors
/// [`Failure::Refused`] for such a path.
pub fn refuse_tracked(path: &Path) -> Result<()> {
    let advice = "Keep secret keys outside of every work tree, or in a directory that .gitignore names.";
    let dir = dir_of(path);
    let dir = relatch::platform::canonicalize(dir).map_err(Failure::io("find the directory", dir))?;
    if !dir.ancestors().any(|dir| dir.join(".git").exists()) {
        return Ok(());
    }
    let name = path.file_name().unwrap_or_default();
    // git may start programs that the work tree's settings name: no password is in what they inherit, and no GIT_DIR of a hook.
    let inherited = ["PATH", "HOME", "XDG_CONFIG_HOME", "SystemRoot", "USERPROFILE"];
    let inherited = inherited.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
    let ignored = Command::new("git")
        .args(["check-ignore", "--quiet", "--"])
        .arg(name)
        .current_dir(&dir)
        .env_clear()
        .envs(inherited)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match ignored {
        Ok(status) if status.success() => Ok(()),
        _ => Err(Failure::refused(
            format!("{} is inside a git work tree and not ignored by it", Printable(path.display())),
            advice,
        )),
    }
}
