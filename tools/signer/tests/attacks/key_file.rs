//! Minisign's secret key file by a second hand, so that files can be made that `signer` would not write.

use base64ct::{Base64, Encoding};
use blake2::digest::consts::U32;
use blake2::{Blake2b, Digest};

/// The work of libsodium's "sensitive" limits, with which stock minisign encrypts.
pub const OPSLIMIT: u64 = 33_554_432;

pub struct KeyFile {
    pub algorithm: [u8; 2],
    pub kdf: [u8; 2],
    pub checksum_algorithm: [u8; 2],
    pub salt: [u8; 32],
    pub ops: u64,
    pub mem: u64,
    pub id: [u8; 8],
    pub seed: [u8; 32],
    pub public: [u8; 32],
    pub checksum: [u8; 32],
}

impl KeyFile {
    /// One without a password.
    pub fn parse(text: &str) -> Self {
        let bytes = Base64::decode_vec(text.lines().nth(1).unwrap()).unwrap();
        let mut rest = &bytes[..];
        KeyFile {
            algorithm: take(&mut rest),
            kdf: take(&mut rest),
            checksum_algorithm: take(&mut rest),
            salt: take(&mut rest),
            ops: u64::from_le_bytes(take(&mut rest)),
            mem: u64::from_le_bytes(take(&mut rest)),
            id: take(&mut rest),
            seed: take(&mut rest),
            public: take(&mut rest),
            checksum: take(&mut rest),
        }
    }

    /// The checksum that belongs to the rest.
    pub fn seal(&mut self) {
        let parts = [&b"Ed"[..], &self.id, &self.seed, &self.public].concat();
        self.checksum = Blake2b::<U32>::digest(parts).into();
    }

    /// With scrypt of N = 1024, which takes a megabyte and no time.
    pub fn encrypt(&mut self, password: &str) {
        (self.kdf, self.salt, self.ops, self.mem) = (*b"Sc", [7; 32], 32_768, 1 << 24);
        let mut stream = [0; 104];
        let parameters = scrypt::Params::new(10, 8, 1).unwrap();
        scrypt::scrypt(password.as_bytes(), &self.salt, &parameters, &mut stream).unwrap();
        let mut rest = &stream[..];
        xor(&mut self.id, &mut rest);
        xor(&mut self.seed, &mut rest);
        xor(&mut self.public, &mut rest);
        xor(&mut self.checksum, &mut rest);
    }

    pub fn to_text(&self) -> String {
        let bytes = [
            &self.algorithm[..],
            &self.kdf,
            &self.checksum_algorithm,
            &self.salt,
            &self.ops.to_le_bytes(),
            &self.mem.to_le_bytes(),
            &self.id,
            &self.seed,
            &self.public,
            &self.checksum,
        ];
        format!("untrusted comment: a test's\n{}\n", Base64::encode_string(&bytes.concat()))
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    let (first, after) = rest.split_first_chunk().unwrap();
    *rest = after;
    *first
}

fn xor(field: &mut [u8], stream: &mut &[u8]) {
    let (mask, after) = stream.split_at(field.len());
    field.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    *stream = after;
}
