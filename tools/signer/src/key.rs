//! Minisign secret keys, in the format of <https://jedisct1.github.io/minisign/>.
//!
//! ```text
//! untrusted comment: ...
//! base64( "Ed" | kdf: "Sc" or 00 00 | "B2" | salt 32 | opslimit u64 | memlimit u64
//!         | masked: key id 8, secret 32, public 32, checksum 32 )
//! ```
//! If the kdf is `Sc`, the last 104 bytes are masked with scrypt(password). The checksum is
//! BLAKE2b-256 of `Ed`, id, secret and public; stock minisign leaves it zero in a key without a
//! password.

use base64ct::{Base64, Encoding};
use blake2::digest::consts::U32;
use blake2::{Blake2b, Digest};
use ed25519_dalek::Signer;
use relatch::trust::PublicKey;
use zeroize::{Zeroize, Zeroizing};

use crate::limits::{SCRYPT_LOG_N, SCRYPT_P};
use crate::signing::{KeyId, SigningKey, UNTRUSTED};

/// libsodium's "sensitive" parameters, as stock minisign writes them: a gibibyte of memory and a
/// few seconds.
const OPSLIMIT: u64 = 33_554_432;
const MEMLIMIT: u64 = 1_073_741_824;

/// A secret key. It is wiped when it is dropped, and has no `Debug`, `Clone` or `Display`.
pub struct SecretKey {
    signing: ed25519_dalek::SigningKey,
    id: KeyId,
}

impl SecretKey {
    /// A new key from the system's random number generator.
    ///
    /// # Errors
    /// If the generator fails.
    pub fn generate() -> Result<Self, String> {
        let mut seed = Zeroizing::new([0; 32]);
        let mut id = [0; 8];
        getrandom::fill(&mut *seed)
            .and_then(|()| getrandom::fill(&mut id))
            .map_err(|error| error.to_string())?;
        Ok(SecretKey { signing: ed25519_dalek::SigningKey::from_bytes(&seed), id: KeyId(id) })
    }

    /// Whether a key file is encrypted with a password.
    pub fn is_encrypted(text: &str) -> bool {
        decode(text).is_ok_and(|bytes| bytes.get(2..4) == Some(b"Sc"))
    }

    /// Parses a key file.
    ///
    /// # Errors
    /// The reason completes "the secret key NAME ...", and never contains a byte of the key.
    pub fn from_text(text: &str, password: Option<&str>) -> Result<Self, String> {
        let mut bytes = decode(text)?;
        let (head, masked) = bytes.split_at_mut(54);
        let (algorithm, kdf, checksum) = (head.get(..2), head.get(2..4), head.get(4..6));
        if algorithm != Some(b"Ed") || checksum != Some(b"B2") {
            return Err("is not an Ed25519 key in minisign's format".into());
        }
        let encrypted = match kdf {
            Some(b"Sc") => true,
            Some([0, 0]) => false,
            _ => return Err("is encrypted with an unknown key derivation function".into()),
        };
        if encrypted {
            let password = password.ok_or("is encrypted, and no password was given")?;
            mask(masked, head, password)?;
        }
        let fields = (masked.first_chunk::<8>(), masked.get(8..).and_then(<[u8]>::first_chunk::<32>));
        let (Some(id), Some(secret)) = fields else { return Err("is truncated".into()) };
        let (public, stored) = (masked.get(40..72), masked.get(72..104));
        let computed = checksum_of(id, masked.get(8..72).unwrap_or_default());
        let unchecked = !encrypted && stored == Some(&[0; 32]);
        if stored != Some(&computed[..]) && !unchecked {
            let cause =
                if encrypted { "the password is wrong, or the key is damaged" } else { "the key is damaged" };
            return Err(format!("does not match its checksum: {cause}"));
        }
        let key = SecretKey { signing: ed25519_dalek::SigningKey::from_bytes(secret), id: KeyId(*id) };
        if public != Some(key.signing.verifying_key().as_bytes()) {
            return Err("does not match its public half".into());
        }
        PublicKey::from_bytes(*key.signing.verifying_key().as_bytes())
            .map_err(|why| format!("has a public half that is {why}"))?;
        Ok(key)
    }

    /// The text of a key file, encrypted if there is a password.
    ///
    /// # Errors
    /// If the random number generator fails, or if there is not enough memory for scrypt.
    pub fn to_text(&self, password: Option<&str>) -> Result<Zeroizing<String>, String> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(158));
        bytes.extend_from_slice(b"Ed");
        bytes.extend_from_slice(if password.is_some() { b"Sc" } else { &[0, 0] });
        bytes.extend_from_slice(b"B2");
        let mut salt = [0; 32];
        let (mut ops, mut mem) = (0, 0);
        if password.is_some() {
            getrandom::fill(&mut salt).map_err(|error| error.to_string())?;
            (ops, mem) = (OPSLIMIT, MEMLIMIT);
        }
        bytes.extend_from_slice(&salt);
        bytes.extend_from_slice(&u64::to_le_bytes(ops));
        bytes.extend_from_slice(&u64::to_le_bytes(mem));
        bytes.extend_from_slice(&self.id.0);
        bytes.extend_from_slice(&*Zeroizing::new(self.signing.to_keypair_bytes()));
        let checksum = checksum_of(&self.id.0, bytes.get(62..126).unwrap_or_default());
        bytes.extend_from_slice(&checksum);
        if let Some(password) = password {
            let (head, masked) = bytes.split_at_mut(54);
            mask(masked, head, password)?;
        }
        let kind = if password.is_some() { "encrypted" } else { "unencrypted" };
        let encoded = Zeroizing::new(Base64::encode_string(&bytes));
        Ok(Zeroizing::new(format!("{UNTRUSTED}relatch {kind} secret key {}\n{}\n", self.id, *encoded)))
    }
}

impl SigningKey for SecretKey {
    fn public(&self) -> PublicKey {
        match PublicKey::from_bytes(*self.signing.verifying_key().as_bytes()) {
            Ok(public) => public,
            // `from_text` has checked it, and the scalar of a new key gives no point of small
            // order.
            Err(why) => unreachable!("a usable secret key has a public half that is {why}"),
        }
    }

    fn id(&self) -> KeyId {
        self.id
    }

    fn ed25519(&self, message: &[u8]) -> crate::Result<[u8; 64]> {
        Ok(self.signing.sign(message).to_bytes())
    }
}

fn decode(text: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut lines = text.lines();
    let (Some(comment), Some(encoded), None) = (lines.next(), lines.next(), lines.next()) else {
        return Err("is not a minisign key: it must have two lines".into());
    };
    if !comment.starts_with(UNTRUSTED) {
        return Err("is not a minisign key: its first line is not an untrusted comment".into());
    }
    // Wiped even if the text turns out to be invalid.
    let mut bytes = Zeroizing::new(vec![0; encoded.len()]);
    let decoded = Base64::decode(encoded, &mut bytes);
    let size = decoded.map_err(|_| "is not a minisign key: its second line is not base64")?.len();
    if size != 158 {
        return Err(format!("is not a minisign secret key: it has {size} bytes, not 158"));
    }
    bytes.truncate(size);
    Ok(bytes)
}

fn checksum_of(id: &[u8; 8], keys: &[u8]) -> [u8; 32] {
    Blake2b::<U32>::new().chain_update(b"Ed").chain_update(id).chain_update(keys).finalize().into()
}

/// XORs with the stream that scrypt derives from the password: masks and unmasks.
fn mask(masked: &mut [u8], head: &[u8], password: &str) -> Result<(), String> {
    let number = |at: usize| {
        head.get(at..at + 8).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u64::from_le_bytes(*bytes))
    };
    let (log_n, p) = scrypt_parameters(number(38), number(46))
        .ok_or("requires more memory or time than scrypt may use")?;
    let parameters = scrypt::Params::new(log_n, 8, p).map_err(|error| error.to_string())?;
    let mut stream = Zeroizing::new(vec![0; masked.len()]);
    scrypt::scrypt(password.as_bytes(), head.get(6..38).unwrap_or_default(), &parameters, &mut stream)
        .map_err(|error| error.to_string())?;
    for (byte, key) in masked.iter_mut().zip(stream.iter()) {
        *byte ^= key;
    }
    stream.zeroize();
    Ok(())
}

/// log2(N) and p for r = 8: libsodium's `pickparams` of crypto_pwhash_scryptsalsa208sha256.
fn scrypt_parameters(opslimit: u64, memlimit: u64) -> Option<(u8, u32)> {
    let opslimit = opslimit.max(32_768);
    let log_n = |max_n: u64| (1..63).find(|log| 1u64 << log > max_n / 2).unwrap_or(63);
    let (log_n, p) = if opslimit < memlimit / 32 {
        (log_n(opslimit / 32), 1)
    } else {
        let log_n = log_n(memlimit / 1024);
        let max_rp = ((opslimit / 4) / (1 << log_n)).min(0x3fff_ffff);
        (log_n, u32::try_from(max_rp / 8).ok()?.max(1))
    };
    (log_n <= SCRYPT_LOG_N && p <= SCRYPT_P).then_some((log_n, p))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libsodiums_parameters() {
        assert_eq!(scrypt_parameters(OPSLIMIT, MEMLIMIT), Some((20, 1))); // sensitive: minisign's
        assert_eq!(scrypt_parameters(524_288, 16_777_216), Some((14, 1))); // interactive
        assert_eq!(scrypt_parameters(u64::MAX, u64::MAX), None);
        assert_eq!(scrypt_parameters(OPSLIMIT * 4, MEMLIMIT * 4), None);
    }

    #[test]
    fn a_key_without_a_password_round_trips() {
        let key = SecretKey::generate().unwrap();
        let text = key.to_text(None).unwrap();
        let read = SecretKey::from_text(&text, None).map_err(|why| panic!("{why}")).unwrap();
        assert_eq!(read.public(), key.public());
        assert_eq!(PublicKey::from_minisign(&key.to_public_text()).unwrap(), key.public());
    }

    #[test]
    fn damaged_keys_are_refused() {
        let key = SecretKey::generate().unwrap();
        let text = key.to_text(None).unwrap();
        let encoded = text.lines().nth(1).unwrap();
        let mut bytes = Base64::decode_vec(encoded).unwrap();
        for at in [0, 2, 4, 60, 70, 100, 130, 157] {
            bytes[at] ^= 1;
            let damaged = format!("{UNTRUSTED}x\n{}\n", Base64::encode_string(&bytes));
            assert!(SecretKey::from_text(&damaged, Some("")).is_err(), "byte {at}");
            bytes[at] ^= 1;
        }
        // The public half must match even without a checksum, as stock minisign writes the key.
        bytes[126..].fill(0);
        let unchecked = |bytes: &[u8]| {
            SecretKey::from_text(&format!("{UNTRUSTED}x\n{}\n", Base64::encode_string(bytes)), None).is_ok()
        };
        assert!(unchecked(&bytes));
        bytes[100] ^= 1;
        assert!(!unchecked(&bytes));
        assert!(SecretKey::from_text(&text[..text.len() - 9], None).is_err());
    }
}
