//! Where secret keys and passwords come from, and where secret keys must not be stored.
//!
//! A key comes from a file, an environment variable, or standard input; a password from a prompt or
//! an environment variable. Neither comes from an argument: arguments are visible in process lists
//! and shell histories. A key in AWS KMS is only named, and never leaves the service.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use relatch::Printable;
use zeroize::Zeroizing;

use crate::files::{Readers, dir_of, open_given, write_new};
use crate::key::SecretKey;
use crate::kms::{self, KmsName};
use crate::limits::{KEY_ARGUMENT, KEY_FILE};
use crate::redact::{SECRET_KEY_PREFIXES, redacted};
use crate::signing::SigningKey;
use crate::{Failure, Result};

/// The variable with the password, unless --password-env names another one.
pub const PASSWORD: &str = "SIGNER_PASSWORD";

/// Where a secret key is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A file that only its owner may read.
    File(PathBuf),
    /// `env:NAME`: the content of a key file in an environment variable, as CI systems store
    /// secrets.
    Variable(String),
    /// `-`: standard input.
    Stdin,
    /// `awskms:KEY`: a key in AWS KMS.
    Kms(KmsName),
}

/// `--key` as typed. Parsing it cannot fail, so that no error of the argument parser repeats a
/// secret key that was pasted by mistake. It has no `Display`.
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
    /// Where the key is. A secret key given instead of its location is refused, and not repeated.
    ///
    /// # Errors
    /// [`Failure::Key`] for a secret key itself, or an invalid variable or KMS name.
    pub fn source(&self) -> Result<KeySource> {
        let text = self.0.as_str();
        let refuse = |why: &str| Err(Failure::Key { name: "in --key".into(), why: why.into() });
        let is_key =
            SECRET_KEY_PREFIXES.iter().chain(&["\n", "untrusted comment"]).any(|part| text.contains(part));
        let kms = text.strip_prefix(kms::SCHEME);
        if is_key || (text.len() > KEY_ARGUMENT && kms.is_none()) {
            return refuse(
                "seems to be the key itself instead of its location. It is in your shell's history \
                 now: replace the key, and name the location of the new one",
            );
        }
        if let Some(name) = kms {
            return match name.parse() {
                Ok(name) => Ok(KeySource::Kms(name)),
                Err(why) => refuse(&format!(
                    "has an invalid KMS name: it is {why}; an example is `awskms:alias/release`"
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
                    return refuse("has an invalid variable name: use letters, digits and `_`, without `$`");
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
    /// Loads the key, ready to sign: reads it and decrypts it if necessary, or requests its public
    /// half from KMS. A password comes from the variable if it is set, otherwise from a prompt.
    ///
    /// # Errors
    /// [`Failure::Key`], which never contains a byte of the key; `Failure::Kms` for a key in AWS
    /// KMS.
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
        why: "is in AWS KMS, and this signer was built without the feature `kms`. The default build has \
              it: `cargo install --path tools/signer`"
            .into(),
    })
}

/// Reads the text of a key. The buffer is allocated at its full size: growing it would leave a copy
/// of the key in freed memory.
fn read_text(from: impl Read) -> std::result::Result<Zeroizing<String>, String> {
    let mut text = Zeroizing::new(String::with_capacity(KEY_FILE as usize + 2));
    match from.take(KEY_FILE + 1).read_to_string(&mut text) {
        Ok(_) if text.len() as u64 > KEY_FILE => {
            Err(format!("is not a minisign key: it has more than {KEY_FILE} bytes"))
        }
        Ok(_) => Ok(text),
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            Err("is not a minisign key: it is not UTF-8".into())
        }
        Err(error) => Err(format!("cannot be read: {error}")),
    }
}

fn read_variable(name: &str) -> std::result::Result<Zeroizing<String>, String> {
    let value = std::env::var(name).map(Zeroizing::new).map_err(|_| "is not set, or is not UTF-8")?;
    // Some CI systems cannot store newlines, or drop the last one.
    Ok(Zeroizing::new(value.replace("\\n", "\n")))
}

/// Reads standard input without the standard library's buffer, which is never wiped.
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
    if let Some(why) = readable_by_others(&file, path)
        .map_err(Failure::io("read the permissions of the secret key", path))?
    {
        return Err(fail(why));
    }
    read_text(file).map_err(fail)
}

/// Why the file does not protect a secret, and what to do.
#[cfg(unix)]
fn readable_by_others(file: &File, _: &Path) -> std::io::Result<Option<String>> {
    let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata()?.permissions());
    Ok((mode & 0o077 != 0).then(|| {
        format!(
            "can be read or written by other users (mode {:o}); run `chmod 600` on it, and replace \
             the key if another user may have read it",
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
            "can be read or written by other users: {stranger}; run `icacls \"{path}\" \
             /inheritance:r /grant:r *{}:F` to restrict it to you, and replace the key if another \
             user may have read it",
            user.0
        )
    }))
}

#[cfg(not(any(unix, windows)))]
fn readable_by_others(_: &File, _: &Path) -> std::io::Result<Option<String>> {
    Ok(None)
}

/// The password from the variable, otherwise from a prompt.
fn password_for(name: &str, variable: &str) -> std::result::Result<Zeroizing<String>, String> {
    if let Ok(password) = std::env::var(variable) {
        return Ok(Zeroizing::new(password));
    }
    let prompt = redacted(&format!("Password of the secret key {name}: "));
    rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(|error| {
        let variable = shown_variable(variable);
        format!("is encrypted; {variable} is not set, and there is no terminal for a prompt ({error})")
    })
}

/// The name of the password variable in an error. Any other name than the default is not repeated:
/// it may be the password itself, given by mistake.
fn shown_variable(variable: &str) -> &str {
    if variable == PASSWORD { "$SIGNER_PASSWORD" } else { "the variable that --password-env names" }
}

/// Whether new secret keys are encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyEncryption {
    /// With a password.
    Password,
    /// Not encrypted, as CI systems require.
    None,
}

/// The password for new keys: from the variable, otherwise prompted for twice; `None` without
/// encryption.
///
/// # Errors
/// [`Failure::Client`] if the password is empty, if the two entries differ, or if there is no
/// terminal.
pub fn new_password(encryption: KeyEncryption, variable: &str) -> Result<Option<Zeroizing<String>>> {
    if encryption == KeyEncryption::None {
        return Ok(None);
    }
    let refuse_empty = |password: Zeroizing<String>| {
        if password.is_empty() {
            return Err(Failure::usage(
                "an empty password does not protect the key; use --no-password for a key without \
                 one",
            ));
        }
        Ok(Some(password))
    };
    if let Ok(password) = std::env::var(variable) {
        return refuse_empty(Zeroizing::new(password));
    }
    let ask = |prompt: &str| {
        rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(|error| {
            Failure::usage(format!(
                "no password: {} is not set, and there is no terminal for a prompt ({error}); set \
                 it, or use --no-password",
                shown_variable(variable)
            ))
        })
    };
    let first = ask("Password for the new secret keys: ")?;
    if *first != *ask("Repeat the password: ")? {
        return Err(Failure::usage("the two passwords differ; no key was made"));
    }
    refuse_empty(first)
}

/// Writes a new secret key, readable only by its owner. It never overwrites a file.
///
/// # Errors
/// [`Failure::Refused`] for a path that git tracks or would track; [`Failure::Client`] if the file
/// exists.
pub fn save(key: &SecretKey, path: &Path, password: Option<&str>) -> Result<()> {
    ensure_untracked(path)?;
    let fail = |why: String| Failure::Key { name: Printable(path.display()).to_string(), why };
    let text = key.to_text(password).map_err(fail)?;
    write_new(path, text.as_bytes(), Readers::Owner)
}

/// Refuses a path for secrets inside a git work tree, unless git ignores it: a later `git add`
/// would publish the secret.
///
/// # Errors
/// [`Failure::Refused`] for such a path; [`Failure::Client`] if its directory does not exist.
pub fn ensure_untracked(path: &Path) -> Result<()> {
    let advice = "Store secret keys outside of every git work tree, or in a directory that .gitignore lists.";
    let dir = dir_of(path);
    let dir = relatch::platform::canonicalize(dir).map_err(Failure::io("find the directory", dir))?;
    if !dir.ancestors().any(|dir| dir.join(".git").exists()) {
        return Ok(());
    }
    let name = path.file_name().unwrap_or_default();
    // git may run programs that the work tree's configuration names. They must not inherit a
    // password or key from the environment, and GIT_DIR of a surrounding hook would name another
    // work tree.
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
            format!("{} is inside a git work tree, and git does not ignore it", Printable(path.display())),
            advice,
        )),
    }
}
