//! A second verification of every signature before it is published.
//!
//! The crate `minisign-verify` checks what stock minisign checks. It shares no code with the
//! client's verifier: its own curve, hashes and base64. The client keeps one verifier, because a
//! second one there could only lock users out.

use base64ct::{Base64, Encoding};
use relatch::trust::{PublicKey, SignatureText};

use crate::{Failure, Result};

/// Refuses signatures about which the client's verifier and `minisign-verify` disagree, for any of
/// these keys. Whether there are enough signatures is not checked here.
///
/// # Errors
/// [`Failure::Refused`], which names the signature, the document and the key.
pub(crate) fn ensure_agreement(
    document: &str,
    message: &[u8],
    signatures: &[u8],
    keys: &[PublicKey],
) -> Result<()> {
    compare(document, message, signatures, keys, client_accepts, minisign_accepts)
}

fn compare(
    document: &str,
    message: &[u8],
    signatures: &[u8],
    keys: &[PublicKey],
    client: fn(&str, &PublicKey, &[u8]) -> bool,
    minisign: fn(&str, &PublicKey, &[u8]) -> bool,
) -> Result<()> {
    let text = String::from_utf8_lossy(signatures);
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    for (index, block) in lines.chunks(4).enumerate() {
        let block = block.concat();
        for key in keys {
            let accepts = match (client(&block, key, message), minisign(&block, key, message)) {
                (true, false) => "the client's verifier accepts it, and minisign-verify does not",
                (false, true) => "minisign-verify accepts it, and the client's verifier does not",
                _ => continue,
            };
            return Err(Failure::refused(
                format!("signature {} of {document} by the key {}: {accepts}", index + 1, key.to_hex()),
                "Nothing was published. One of the two verifiers has a fault, or the signature was \
                 made to divide them. Do not remove the signature: keep the file, and report it.",
            ));
        }
    }
    Ok(())
}

fn client_accepts(block: &str, key: &PublicKey, message: &[u8]) -> bool {
    SignatureText::parse(block.as_bytes())
        .is_ok_and(|text| text.count_valid(std::slice::from_ref(key), message) == 1)
}

/// minisign requires the key ids to be equal. An id is only a label (SPEC section 3.1), so the key
/// is given the id of the signature.
fn minisign_accepts(block: &str, key: &PublicKey, message: &[u8]) -> bool {
    let verified = || -> Option<()> {
        let signature = minisign_verify::Signature::decode(block).ok()?;
        let first = Base64::decode_vec(block.lines().nth(1)?).ok()?;
        let labelled = [&b"Ed"[..], first.get(2..10)?, key.as_bytes()].concat();
        let key = minisign_verify::PublicKey::from_base64(&Base64::encode_string(&labelled)).ok()?;
        key.verify(message, &signature, false).ok()
    };
    verified().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SecretKey;
    use crate::signing::SigningKey as _;

    #[test]
    fn each_signature_is_compared_for_each_key() {
        let keys = [SecretKey::generate().unwrap(), SecretKey::generate().unwrap()];
        let publics = [keys[0].public(), keys[1].public()];
        let text: String = keys.iter().map(|key| key.sign(b"message", "file", 1).unwrap()).collect();
        ensure_agreement("VERSION", b"message", text.as_bytes(), &publics).unwrap();
        // Both verify, and both refuse, on their own account.
        assert!(
            client_accepts(&text, &publics[0], b"message")
                && minisign_accepts(&text, &publics[0], b"message")
        );
        assert!(
            !minisign_accepts(&text, &publics[1], b"message")
                && !minisign_accepts(&text, &publics[0], b"other")
        );
        ensure_agreement("VERSION", b"other", text.as_bytes(), &publics).unwrap();
        // One that has a fault: the disagreement is about the second signature and its key.
        let refuses = |_: &str, _: &PublicKey, _: &[u8]| false;
        let told = |client, minisign| {
            let why = compare("VERSION", b"message", text.as_bytes(), &publics[1..], client, minisign);
            why.unwrap_err().to_string()
        };
        let which = format!("signature 2 of VERSION by the key {}: ", publics[1].to_hex());
        let ours = told(client_accepts, refuses);
        assert_eq!(ours, format!("{which}the client's verifier accepts it, and minisign-verify does not"));
        let theirs = told(refuses, minisign_accepts);
        assert_eq!(theirs, format!("{which}minisign-verify accepts it, and the client's verifier does not"));
    }
}
