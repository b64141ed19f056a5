//! A key in AWS KMS, asked through the SDK.

use std::time::Duration;

use aws_config::Region;
use aws_sdk_kms::Client;
use aws_sdk_kms::operation::get_public_key::GetPublicKeyOutput;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{KeySpec, KeyUsageType, MessageType, SigningAlgorithmSpec};
use relatch::trust::PublicKey;
use tokio::time::timeout;

use super::{Cause, KmsName, PATIENCE};
use crate::aws::{self, Background};
use crate::signing::{KeyId, SigningKey};
use crate::{Failure, Result};

/// SubjectPublicKeyInfo of an Ed25519 key in DER, but for its 32 bytes at the end (RFC 8410): there is no other spelling.
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

const ATTEMPT: Duration = Duration::from_secs(10);

/// A key that only KMS can use.
pub struct KmsKey {
    name: KmsName,
    public: PublicKey,
    client: Client,
    runtime: Background,
}

impl KmsKey {
    /// Asks KMS for the public half, and makes sure that it is a key of the right kind.
    ///
    /// # Errors
    /// [`Failure::Kms`].
    pub fn open(name: &KmsName) -> Result<Self> {
        let fail = |cause| Failure::Kms { name: name.clone(), cause };
        let runtime = Background::start().map_err(|error| fail(Cause::runtime(&error)))?;
        let asked = async {
            let mut loader = aws::loader(ATTEMPT, None);
            if let Some(region) = name.region() {
                loader = loader.region(Region::new(region.to_owned()));
            }
            let config = loader.load().await;
            if config.region().is_none() {
                return Err(Cause::NoRegion);
            }
            let client = Client::new(&config);
            let answer = client.get_public_key().key_id(name.as_str()).send().await;
            Ok((client, answer.map_err(|error| Cause::of("kms:GetPublicKey", &error))?))
        };
        let (client, answer) = answer_within(&runtime, asked).map_err(fail)?;
        let public = public_key(&answer).map_err(fail)?;
        Ok(KmsKey { name: name.clone(), public, client, runtime })
    }
}

impl SigningKey for KmsKey {
    fn public(&self) -> PublicKey {
        self.public
    }

    /// KMS knows no such label. This one follows from the public key, so that everybody who asks gets the same file (SPEC section 3.2).
    fn id(&self) -> KeyId {
        let mut id = [0; 8];
        blake3::Hasher::new().update(self.public.as_bytes()).finalize_xof().fill(&mut id);
        KeyId(id)
    }

    fn ed25519(&self, message: &[u8]) -> Result<[u8; 64]> {
        let asked = async {
            let sign = self.client.sign().key_id(self.name.as_str()).message(Blob::new(message));
            let sign =
                sign.message_type(MessageType::Raw).signing_algorithm(SigningAlgorithmSpec::Ed25519Sha512);
            sign.send().await.map_err(|error| Cause::of("kms:Sign", &error))
        };
        let answer = answer_within(&self.runtime, asked);
        let signature = answer.and_then(|answer| {
            let bytes = answer.signature().map_or(&[][..], Blob::as_ref);
            bytes.try_into().map_err(|_| Cause::Signature { length: bytes.len() })
        });
        signature.map_err(|cause| Failure::Kms { name: self.name.clone(), cause })
    }
}

/// The public half, if the key is one that signs with Ed25519.
fn public_key(answer: &GetPublicKeyOutput) -> std::result::Result<PublicKey, Cause> {
    let (spec, usage) = (answer.key_spec(), answer.key_usage());
    if (spec, usage) != (Some(&KeySpec::EccNistEdwards25519), Some(&KeyUsageType::SignVerify)) {
        return Err(Cause::kind(spec.map(KeySpec::as_str), usage.map(KeyUsageType::as_str)));
    }
    let der = answer.public_key().map_or(&[][..], Blob::as_ref);
    let bytes = der.strip_prefix(&SPKI).and_then(|key| <[u8; 32]>::try_from(key).ok());
    let bytes = bytes.ok_or(Cause::PublicKey { why: "not the DER of an Ed25519 key" })?;
    PublicKey::from_bytes(bytes).map_err(|why| Cause::PublicKey { why })
}

/// What KMS answers, or that it does not.
fn answer_within<T>(
    runtime: &Background,
    asked: impl Future<Output = std::result::Result<T, Cause>>,
) -> std::result::Result<T, Cause> {
    runtime.wait(async { timeout(PATIENCE, asked).await }).unwrap_or(Err(Cause::silent()))
}
