//! The certificate authorities that vouch for servers.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use ureq::tls::{Certificate, PemItem, RootCerts, parse_pem};

use crate::error::{Error, Result, io};
use crate::escape::Printable;
use crate::limits::{self, ByteLimit};
use crate::regular_file::open_regular_file;

/// The platform's authorities (`SSL_CERT_FILE` and `SSL_CERT_DIR` are honoured), and `extra`.
pub(super) fn root_certs(extra: &[Certificate<'static>]) -> RootCerts {
    if verifies_by_platform(std::env::consts::OS, extra.len(), is_list_configured()) {
        return RootCerts::PlatformVerifier;
    }
    let platform = platform_certificates().into_iter();
    let platform = platform.map(|der| Certificate::from_der(der.as_ref()).to_owned());
    RootCerts::Specific(Arc::new(platform.chain(extra.iter().cloned()).collect()))
}

/// The certificates of a PEM file.
///
/// # Errors
/// [`Error::Local`] if it is not a readable regular file; [`Error::Usage`] if it contains no
/// certificate or is larger than [`limits::CA_FILE`].
pub(super) fn from_ca_file(path: &Path) -> Result<Vec<Certificate<'static>>> {
    let mut pem = Vec::new();
    let ByteLimit(most) = limits::CA_FILE;
    let read = open_regular_file(path).and_then(|file| file.take(most + 1).read_to_end(&mut pem));
    read.map_err(io("read the certificates", path))?;
    let shown = Printable(path.display());
    if pem.len() as u64 > most {
        return Err(Error::usage(format!("the CA file {shown} is larger than the limit of {most} bytes")));
    }
    let certificates: Vec<_> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        return Err(Error::usage(format!("the CA file {shown} contains no PEM certificate")));
    }
    Ok(certificates)
}

/// Whether the system verifies certificates itself.
///
/// Windows and macOS know more than a list of authorities: which ones are distrusted for what,
/// which ones an administrator allows and, on Windows, those that the system downloads on first
/// use. ureq cannot add authorities to the system's verification. So if any are configured, relatch
/// reads the system's list and adds them, as on other systems.
fn verifies_by_platform(system: &str, extra: usize, is_list_configured: bool) -> bool {
    matches!(system, "windows" | "macos") && extra == 0 && !is_list_configured
}

fn is_list_configured() -> bool {
    ["SSL_CERT_FILE", "SSL_CERT_DIR"].iter().any(|name| std::env::var_os(name).is_some())
}

/// The authorities that the platform trusts, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`.
fn platform_certificates() -> Vec<CertificateDer<'static>> {
    // Linux distributions have one file with all trusted authorities, and a directory that contains
    // the same certificates in hundreds of files. Reading both would take half of the CPU time of a
    // check. An authority that is only in the directory needs SSL_CERT_DIR. On other systems the
    // file and the directory can have different contents, so both are read.
    #[cfg(target_os = "linux")]
    if !is_list_configured() {
        let bundle = openssl_probe::probe().cert_file;
        let found = rustls_native_certs::load_certs_from_paths(bundle.as_deref(), None);
        if found.errors.is_empty() && !found.certs.is_empty() {
            return found.certs;
        }
    }
    rustls_native_certs::load_native_certs().certs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_and_macos_verify_certificates_unless_a_list_is_configured() {
        for system in ["windows", "macos"] {
            assert!(verifies_by_platform(system, 0, false), "{system}");
            assert!(!verifies_by_platform(system, 1, false), "{system}: a CA file");
            assert!(!verifies_by_platform(system, 0, true), "{system}: SSL_CERT_FILE");
        }
        for system in ["linux", "freebsd", "android", "ios"] {
            assert!(!verifies_by_platform(system, 0, false), "{system}");
        }
        // Only these targets enable ureq's feature for it; without the feature ureq panics when it
        // connects.
        let is_verified = verifies_by_platform(std::env::consts::OS, 0, false);
        assert_eq!(is_verified, cfg!(any(windows, target_os = "macos")));
    }
}
