//! What can be told of a private key without showing it.

use lamia_api::host::KeyAlgorithm;
use lamia_core::cert::checks::{Held, InHand, read_leaf};
use lamia_providers::secret::Secret;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PublicKeyData};

/// The public half of a private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// The key's algorithm; `None` for those that Lamia does not make.
    pub algorithm: Option<KeyAlgorithm>,
    /// The bits of the SubjectPublicKeyInfo, as in [`Leaf::public_key`](lamia_core::cert::checks::Leaf::public_key).
    pub bits: Vec<u8>,
}

impl PublicKey {
    /// Of a private key in PEM (PKCS #8); `None` if it is none.
    #[must_use]
    pub fn of(private: &Secret) -> Option<Self> {
        let key = KeyPair::from_pem(private.expose_text()?).ok()?;
        let algorithm = if key.algorithm() == &PKCS_ECDSA_P256_SHA256 {
            Some(KeyAlgorithm::P256)
        } else if key.algorithm() == &PKCS_ECDSA_P384_SHA384 {
            Some(KeyAlgorithm::P384)
        } else {
            None
        };
        Some(Self { algorithm, bits: key.der_bytes().to_vec() })
    }
}

/// What a master Secret's chain and key are, put together. Of a pair that Lamia put together itself (`is_ours`) the key need not be worked
/// out again: of all that a start reads, that would be the most work.
#[must_use]
pub(super) fn in_hand(chain: Option<&[u8]>, key: Option<&Secret>, directory: Option<String>, is_ours: bool) -> InHand {
    let (Some(chain), Some(key)) = (chain, key) else { return InHand::Nothing };
    let Ok(leaf) = read_leaf(chain) else { return InHand::Unreadable };
    let key = if is_ours { Some(leaf.public_key.clone()) } else { PublicKey::of(key).map(|key| key.bits) };
    key.map_or(InHand::Unreadable, |key| InHand::Certificate(Box::new(Held { leaf, key, directory })))
}
