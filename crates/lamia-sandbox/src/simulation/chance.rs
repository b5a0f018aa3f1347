//! Chance, from one seed: each part of the world has a stream of its own, so that what one part draws changes nothing for another.

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

/// The stream of a part.
pub(super) fn stream(seed: u64, part: &str) -> StdRng {
    // FNV-1a: to be told apart is all that is asked of it.
    let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    StdRng::seed_from_u64(part.bytes().fold(0xcbf2_9ce4_8422_2325 ^ seed, fold))
}

/// So many characters out of an alphabet.
pub(super) fn text(chance: &mut StdRng, alphabet: &[u8], length: usize) -> String {
    (0..length).map(|_| char::from(alphabet[chance.random_range(0..alphabet.len())])).collect()
}

/// A random UUID (RFC 9562 §5.4).
pub(super) fn uuid(chance: &mut StdRng) -> String {
    let mut bytes: [u8; 16] = chance.random();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = data_encoding::HEXLOWER.encode(&bytes);
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}
