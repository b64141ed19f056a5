//! A signing key in AWS KMS, used through the SDK.

use aws_config::Region;
use aws_sdk_kms::Client;
use aws_sdk_kms::operation::get_public_key::GetPublicKeyOutput;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{KeySpec, KeyUsageType, MessageType, SigningAlgorithmSpec};
use relatch::trust::PublicKey;
use tokio::time::timeout;

use super::error::KmsError;
use super::name::KmsName;
use crate::aws::{self, Background};
use crate::signing::{KeyId, SigningKey};
use crate::{Failure, Result, limits};

/// SubjectPublicKeyInfo of an Ed25519 key in DER without the 32 bytes of the key at its end (RFC
/// 8410). DER has no other encoding of it.
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// A key whose secret half only KMS can use.
pub struct KmsKey {
    name: KmsName,
    public: PublicKey,
    client: Client,
    runtime: Background,
}

impl KmsKey {
    /// Requests the public half, and checks that the key is an Ed25519 signing key.
    ///
    /// # Errors
    /// [`Failure::Kms`] if KMS cannot be reached, denies access, or has another kind of key.
    pub fn open(name: &KmsName) -> Result<Self> {
        let fail = |cause| Failure::Kms { name: name.clone(), cause };
        let runtime = Background::start().map_err(|error| fail(KmsError::runtime(&error)))?;
        let request = async {
            let mut loader = aws::loader(limits::KMS_ATTEMPT, None);
            if let Some(region) = name.region() {
                loader = loader.region(Region::new(region.to_owned()));
            }
            let config = loader.load().await;
            if config.region().is_none() {
                return Err(KmsError::NoRegion);
            }
            let client = Client::new(&config);
            let answer = client.get_public_key().key_id(name.as_str()).send().await;
            Ok((client, answer.map_err(|error| KmsError::from_sdk("kms:GetPublicKey", &error))?))
        };
        let (client, answer) = answer_in_time(&runtime, request).map_err(fail)?;
        let public = public_key(&answer).map_err(fail)?;
        Ok(KmsKey { name: name.clone(), public, client, runtime })
    }
}

impl SigningKey for KmsKey {
    fn public(&self) -> PublicKey {
        self.public
    }

    /// KMS has no such label. This one is derived from the public key, so that every call gives the
    /// same public key file (SPEC section 3.2).
    fn id(&self) -> KeyId {
        let mut id = [0; 8];
        blake3::Hasher::new().update(self.public.as_bytes()).finalize_xof().fill(&mut id);
        KeyId(id)
    }

    fn ed25519(&self, message: &[u8]) -> Result<[u8; 64]> {
        let request = async {
            let sign = self.client.sign().key_id(self.name.as_str()).message(Blob::new(message));
            let sign =
                sign.message_type(MessageType::Raw).signing_algorithm(SigningAlgorithmSpec::Ed25519Sha512);
            sign.send().await.map_err(|error| KmsError::from_sdk("kms:Sign", &error))
        };
        let answer = answer_in_time(&self.runtime, request);
        let signature = answer.and_then(|answer| {
            let bytes = answer.signature().map_or(&[][..], Blob::as_ref);
            bytes.try_into().map_err(|_| KmsError::Signature { length: bytes.len() })
        });
        signature.map_err(|cause| Failure::Kms { name: self.name.clone(), cause })
    }
}

/// The public half, if this is an Ed25519 signing key.
fn public_key(answer: &GetPublicKeyOutput) -> std::result::Result<PublicKey, KmsError> {
    let (spec, usage) = (answer.key_spec(), answer.key_usage());
    if (spec, usage) != (Some(&KeySpec::EccNistEdwards25519), Some(&KeyUsageType::SignVerify)) {
        return Err(KmsError::wrong_kind(spec.map(KeySpec::as_str), usage.map(KeyUsageType::as_str)));
    }
    let der = answer.public_key().map_or(&[][..], Blob::as_ref);
    let bytes = der.strip_prefix(&SPKI).and_then(|key| <[u8; 32]>::try_from(key).ok());
    let bytes = bytes.ok_or(KmsError::PublicKey { why: "not the DER of an Ed25519 key" })?;
    PublicKey::from_bytes(bytes).map_err(|why| KmsError::PublicKey { why })
}

/// The answer of KMS, or a timeout.
fn answer_in_time<T>(
    runtime: &Background,
    request: impl Future<Output = std::result::Result<T, KmsError>>,
) -> std::result::Result<T, KmsError> {
    let in_time = async { timeout(limits::KMS_OPERATION, request).await };
    runtime.wait(in_time).unwrap_or(Err(KmsError::timeout()))
}
