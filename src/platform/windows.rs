//! The system calls that std does not have: who owns a file and who may touch it, which file a handle leads to, and what a process does
//! with interrupts and crashes.
//!
//! This is the only unsafe code of this project. It asks, and hands over bytes; what they mean is decided in `access.rs`.
#![allow(unsafe_code, reason = "each call says why it is sound")]

use std::fs::{File, OpenOptions};
use std::io::{Error, Result};
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::Path;
use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::{ERROR_SUCCESS, GENERIC_WRITE, HANDLE};
use windows_sys::Win32::Security::Authorization::{SE_FILE_OBJECT, SetSecurityInfo};
use windows_sys::Win32::Security::{
    DACL_SECURITY_INFORMATION, GetKernelObjectSecurity, GetTokenInformation, OWNER_SECURITY_INFORMATION,
    PROTECTED_DACL_SECURITY_INFORMATION, TOKEN_QUERY, TokenUser,
};
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, FILE_ADD_FILE, FILE_FLAG_BACKUP_SEMANTICS, GetFileInformationByHandle,
    READ_CONTROL, WRITE_DAC,
};
use windows_sys::Win32::System::Console::{CTRL_BREAK_EVENT, CTRL_C_EVENT, SetConsoleCtrlHandler};
use windows_sys::Win32::System::Diagnostics::Debug::{
    GetErrorMode, SEM_FAILCRITICALERRORS, SEM_NOGPFAULTERRORBOX, SetErrorMode,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};
use windows_sys::core::BOOL;

use super::access::{Security, Sid, private_acl};

/// A security descriptor has at most 64 KiB in each of its two lists, and some bytes more; far more than any honest one.
const MOST: usize = 160 * 1024;

fn malformed() -> Error {
    Error::other("the system's answer is not well-formed")
}

/// Owner and DACL of a directory.
///
/// # Errors
/// Where it cannot be asked.
pub fn security_of_dir(dir: &Path) -> Result<Security> {
    let mut options = OpenOptions::new();
    security_of(&options.access_mode(READ_CONTROL).custom_flags(FILE_FLAG_BACKUP_SEMANTICS).open(dir)?)
}

/// Owner and DACL of a file that is open for reading.
///
/// # Errors
/// Where the system does not tell.
pub fn security_of(file: &File) -> Result<Security> {
    let what = OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION;
    let mut bytes = vec![0_u8; 1024];
    loop {
        let (size, mut needed) = (bytes.len() as u32, 0);
        // SAFETY: the handle is open as long as `file` is borrowed; the buffer has `size` bytes, and the system writes no more of them.
        let done = unsafe {
            GetKernelObjectSecurity(
                file.as_raw_handle() as HANDLE,
                what,
                bytes.as_mut_ptr().cast(),
                size,
                &mut needed,
            )
        };
        if done != 0 {
            return Security::from_bytes(&bytes).ok_or_else(malformed);
        }
        let error = Error::last_os_error();
        match needed as usize {
            needed if needed > bytes.len() && needed <= MOST => bytes = vec![0; needed],
            _ => return Err(error),
        }
    }
}

/// The user that this process runs as.
///
/// # Errors
/// Where the system does not tell.
pub fn current_user() -> Result<Sid> {
    let mut token = null_mut();
    // SAFETY: GetCurrentProcess returns a constant; the token is written to where a handle has room.
    if unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &mut token) } == 0 {
        return Err(Error::last_os_error());
    }
    // SAFETY: the call above has just opened it, and nothing else closes it.
    let token = unsafe { OwnedHandle::from_raw_handle(token) };
    // A TOKEN_USER, which is a pointer and a number, and behind it the SID of at most 68 bytes that it points to.
    let mut buffer = [0_u64; 32];
    let (size, mut written) = (size_of_val(&buffer) as u32, 0);
    // SAFETY: the handle is open; the buffer is aligned for a pointer and has `size` bytes, and the system writes no more of them.
    let done = unsafe {
        let buffer = buffer.as_mut_ptr().cast();
        GetTokenInformation(token.as_raw_handle() as HANDLE, TokenUser, buffer, size, &mut written)
    };
    if done == 0 {
        return Err(Error::last_os_error());
    }
    let bytes: Vec<u8> = buffer.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let pointer = bytes.first_chunk().map(|pointer| usize::from_ne_bytes(*pointer));
    let at = pointer.and_then(|pointer| pointer.checked_sub(buffer.as_ptr() as usize));
    at.and_then(|at| bytes.get(at..)).and_then(Sid::from_bytes).ok_or_else(malformed)
}

/// Creates a file that did not exist, for the current user alone.
///
/// # Errors
/// Where it exists, or cannot be created so.
pub fn create_private(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    // Nobody else can open it before it has its DACL, and what was open before cannot be this file.
    options.write(true).create_new(true).share_mode(0).access_mode(GENERIC_WRITE | READ_CONTROL | WRITE_DAC);
    let file = options.open(path)?;
    make_private(&file)?;
    Ok(file)
}

/// Takes a directory, and what is made in it later, for the current user alone.
///
/// # Errors
/// Where it cannot be changed.
pub fn make_dir_private(dir: &Path) -> Result<()> {
    let mut options = OpenOptions::new();
    options.access_mode(READ_CONTROL | WRITE_DAC).custom_flags(FILE_FLAG_BACKUP_SEMANTICS);
    make_private(&options.open(dir)?)
}

fn make_private(file: &File) -> Result<()> {
    let acl = private_acl(&current_user()?).ok_or_else(malformed)?;
    let what = DACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION;
    // SAFETY: the handle is open; `acl` is a whole ACL, aligned as one must be, and lives until the call returns. Owner, group and SACL are
    // not to be changed, so that they may be null.
    let error = unsafe {
        SetSecurityInfo(
            file.as_raw_handle() as HANDLE,
            SE_FILE_OBJECT,
            what,
            null_mut(),
            null_mut(),
            acl.as_ptr().cast(),
            null(),
        )
    };
    if error == ERROR_SUCCESS { Ok(()) } else { Err(Error::from_raw_os_error(error as i32)) }
}

/// Whether the current user may make files in a directory.
pub fn may_add_files(dir: &Path) -> bool {
    let mut options = OpenOptions::new();
    options.access_mode(FILE_ADD_FILE).custom_flags(FILE_FLAG_BACKUP_SEMANTICS).open(dir).is_ok()
}

/// Volume and number of a file: the same for two handles that lead to one file.
///
/// # Errors
/// Where the system does not tell.
pub fn identity(file: &File) -> Result<(u32, u32, u32)> {
    let mut found = BY_HANDLE_FILE_INFORMATION::default();
    // SAFETY: the handle is open, and `found` is a structure of the kind that is written.
    if unsafe { GetFileInformationByHandle(file.as_raw_handle() as HANDLE, &mut found) } == 0 {
        return Err(Error::last_os_error());
    }
    Ok((found.dwVolumeSerialNumber, found.nFileIndexHigh, found.nFileIndexLow))
}

/// While it lives, Ctrl-C and Ctrl-Break do not end this process. Processes that it starts do not inherit that.
#[must_use]
pub struct Uninterrupted(());

impl Uninterrupted {
    /// From here on. A console that goes away still ends the process.
    pub fn new() -> Self {
        // SAFETY: the function lives as long as the program, and may be called by any thread at any time. Where this fails there is no
        // console, and so there are no interrupts.
        unsafe { SetConsoleCtrlHandler(Some(is_ignored), 1) };
        Uninterrupted(())
    }
}

impl Default for Uninterrupted {
    fn default() -> Self {
        Uninterrupted::new()
    }
}

impl Drop for Uninterrupted {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { SetConsoleCtrlHandler(Some(is_ignored), 0) };
    }
}

/// Called by the system on a thread of its own. "Yes" means that nothing more is done about the event.
unsafe extern "system" fn is_ignored(event: u32) -> BOOL {
    BOOL::from(event == CTRL_C_EVENT || event == CTRL_BREAK_EVENT)
}

/// Starts something that may crash or lack a DLL without a dialog that waits for somebody to press a button: a process inherits the mode in
/// which it is started.
pub fn without_dialogs<T>(start: impl FnOnce() -> T) -> T {
    // SAFETY: both only read and set a number of this process. Another thread that starts a program meanwhile starts it in this mode, too.
    let before = unsafe { GetErrorMode() };
    // SAFETY: as above.
    unsafe { SetErrorMode(before | SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX) };
    let started = start();
    // SAFETY: as above.
    unsafe { SetErrorMode(before) };
    started
}

/// Takes a variable out of this process's environment, so that its children do not get it.
pub fn forget_variable(name: &str) {
    // SAFETY: on Windows this is sound in programs with any number of threads, as its documentation says.
    unsafe { std::env::remove_var(name) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_file_is_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let user = current_user().unwrap();
        assert!(user.0.starts_with("S-1-5-"), "{user}");
        let path = dir.path().join("key");
        drop(create_private(&path).unwrap());
        let security = security_of(&File::open(&path).unwrap()).unwrap();
        assert_eq!(security.stranger_to_secret(&user), None, "{security:?}");
        assert_eq!(create_private(&path).unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
        make_dir_private(dir.path()).unwrap();
        let security = security_of_dir(dir.path()).unwrap();
        assert_eq!(security.stranger_in_directory(&user), None, "{security:?}");
        assert!(may_add_files(dir.path()));
    }

    #[test]
    fn a_file_is_itself_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        std::fs::write(&a, "x").unwrap();
        std::fs::write(&b, "x").unwrap();
        let of = |path: &Path| identity(&File::open(path).unwrap()).unwrap();
        assert_eq!(of(&a), of(&a));
        assert_ne!(of(&a), of(&b));
    }
}
