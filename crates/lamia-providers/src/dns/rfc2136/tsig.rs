//! Signing requests and verifying answers (RFC 8945), chains of messages included (§5.3.1): a zone transfer may come in
//! many messages of which only some are signed. hickory makes the MACs; what they are made over is put together here.

use hickory_proto::op::Message;
use hickory_proto::rr::rdata::tsig::{TSIG, TsigAlgorithm as Algorithm, TsigError};
use hickory_proto::rr::{Name, TSigner};
use hickory_proto::serialize::binary::BinEncoder;

use super::config::{Tsig, TsigAlgorithm};
use super::wire::Answer;
use crate::error::{ErrorKind, ProviderError};

/// How far clocks may be apart, in seconds (RFC 8945 §10 recommends 300).
const FUDGE: u16 = 300;
/// The most messages in a row that may be unsigned (RFC 8945 §5.3.1).
const MAX_UNSIGNED: usize = 99;

/// What is wrong with the signature of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unverified {
    /// The server refuses our signature, and says why.
    #[error("the server refuses the signature")]
    Refused(TsigError),
    /// The answer has no signature and needs one.
    #[error("the answer is not signed")]
    Missing,
    /// The signature is not the key's.
    #[error("the answer is not signed by the key")]
    Forged,
    /// The signature is older or newer than five minutes.
    #[error("the answer was signed at another time")]
    Stale,
}

/// A key, ready to sign.
#[derive(Clone)]
pub(super) struct Key(TSigner);

impl Key {
    /// Reads the base64 secret.
    pub(super) fn new(tsig: &Tsig) -> Result<Self, ProviderError> {
        let refused = |hint: &str| ProviderError::new(ErrorKind::Invalid, "read the TSIG key", hint);
        let bad_secret = || refused("the secret is not base64; it must be as tsig-keygen or keymgr prints it");
        let text = tsig.secret.expose_text().ok_or_else(bad_secret)?;
        let secret = data_encoding::BASE64.decode(text.as_bytes()).map_err(|_| bad_secret())?;
        if secret.is_empty() {
            return Err(bad_secret());
        }
        let algorithm = match tsig.algorithm {
            TsigAlgorithm::HmacSha256 => Algorithm::HmacSha256,
            TsigAlgorithm::HmacSha384 => Algorithm::HmacSha384,
            TsigAlgorithm::HmacSha512 => Algorithm::HmacSha512,
        };
        let unusable = |error| refused("the key can't be used").caused_by(error);
        let name = Name::from_ascii(tsig.name.with_dot()).map_err(|_| refused("its name is no DNS name"))?;
        TSigner::new(secret, algorithm, name, FUDGE).map(Self).map_err(unusable)
    }

    /// Signs the message; `now` in seconds since 1970. The verifier is for the answers to it.
    pub(super) fn sign(&self, message: &mut Message, now: u64) -> Result<Verifier, hickory_proto::ProtoError> {
        message.finalize(&self.0, now)?;
        let mac = message.signature().map(|record| record.data.mac.clone()).unwrap_or_default();
        Ok(Verifier { key: self.0.clone(), mac, unsigned: Vec::new(), unsigned_count: 0, first: true, now })
    }
}

/// Verifies the answers to one request, in order.
pub(super) struct Verifier {
    key: TSigner,
    /// The MAC before: the request's, then that of the last signed answer.
    mac: Vec<u8>,
    /// The unsigned answers since then.
    unsigned: Vec<u8>,
    unsigned_count: usize,
    first: bool,
    now: u64,
}

impl Verifier {
    /// Takes the next answer. One without signature is only verified by a later one with it: see [`Verifier::complete`].
    pub(super) fn verify(&mut self, answer: &Answer<'_>) -> Result<(), Unverified> {
        let Some((start, name, tsig)) = &answer.signature else {
            self.unsigned_count += 1;
            if self.first || self.unsigned_count > MAX_UNSIGNED {
                return Err(Unverified::Missing);
            }
            self.unsigned.extend_from_slice(answer.octets());
            return Ok(());
        };
        if let Some(error @ (TsigError::BadKey | TsigError::BadSig | TsigError::BadTrunc)) = tsig.error {
            return Err(Unverified::Refused(error));
        }
        if name != self.key.signer_name() || &tsig.algorithm != self.key.algorithm() {
            return Err(Unverified::Forged);
        }
        let signed = self.signed_octets(answer.octets(), *start, name, tsig).ok_or(Unverified::Forged)?;
        self.key.verify(&signed, &tsig.mac).map_err(|_| Unverified::Forged)?;
        if let Some(error) = tsig.error {
            return Err(Unverified::Refused(error));
        }
        if tsig.time.abs_diff(self.now) > u64::from(tsig.fudge) {
            return Err(Unverified::Stale);
        }
        self.mac.clone_from(&tsig.mac);
        self.unsigned.clear();
        self.unsigned_count = 0;
        self.first = false;
        Ok(())
    }

    /// Whether every answer taken so far is verified: the last one was signed.
    pub(super) fn complete(&self) -> Result<(), Unverified> {
        if self.first || self.unsigned_count > 0 { Err(Unverified::Missing) } else { Ok(()) }
    }

    /// What the MAC is made over: the MAC before, the unsigned messages since, this one as it was before it got its
    /// TSIG record, and the TSIG variables (RFC 8945 §4.3; only the timers after the first message, §5.3.1).
    fn signed_octets(&self, octets: &[u8], start: usize, name: &Name, tsig: &TSIG) -> Option<Vec<u8>> {
        let additional = u16::from_be_bytes([*octets.get(10)?, *octets.get(11)?]).checked_sub(1)?;
        let mut signed = u16::try_from(self.mac.len()).ok()?.to_be_bytes().to_vec();
        signed.extend_from_slice(&self.mac);
        signed.extend_from_slice(&self.unsigned);
        signed.extend_from_slice(&tsig.oid.to_be_bytes());
        signed.extend_from_slice(octets.get(2..10)?);
        signed.extend_from_slice(&additional.to_be_bytes());
        signed.extend_from_slice(octets.get(12..start)?);
        if self.first {
            let mut variables = Vec::new();
            tsig.emit_tsig_for_mac(&mut BinEncoder::new(&mut variables), name).ok()?;
            signed.extend_from_slice(&variables);
        } else {
            signed.extend_from_slice(&tsig.time.to_be_bytes()[2..]);
            signed.extend_from_slice(&tsig.fudge.to_be_bytes());
        }
        Some(signed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use hickory_proto::op::OpCode;
    use hickory_proto::rr::{DNSClass, TSigResponseContext};
    use lamia_core::name::Fqdn;

    const NOW: u64 = 1_795_000_000;

    fn key(secret: &str) -> Key {
        let name = Fqdn::parse("lamia-key").expect("a name");
        let algorithm = TsigAlgorithm::HmacSha256;
        Key::new(&Tsig { name, algorithm, secret: Secret::new(secret) }).expect("a key")
    }

    fn request(key: &Key) -> (Message, Verifier) {
        let mut message = Message::query();
        let verifier = key.sign(&mut message, NOW).expect("signed");
        (message, verifier)
    }

    /// An answer signed by hickory's own server side.
    fn answer(key: &Key, request: &Message, time: u64, error: Option<TsigError>) -> Vec<u8> {
        let mac = request.signature().expect("signed").data.mac.clone();
        let context = TSigResponseContext::new(request.metadata.id, time, key.0.clone(), mac, error);
        let mut message = Message::response(request.metadata.id, OpCode::Query);
        let unsigned = message.to_vec().expect("octets");
        message.set_signature(context.sign(&unsigned).expect("signed"));
        message.to_vec().expect("octets")
    }

    fn verify(verifier: &mut Verifier, octets: &[u8]) -> Result<(), Unverified> {
        verifier.verify(&Answer::read(octets).expect("a message"))
    }

    #[test]
    fn an_answer_by_the_key_is_verified_and_any_other_is_not() {
        let key = key("c2VjcmV0");
        let (message, mut verifier) = request(&key);
        let good = answer(&key, &message, NOW + 2, None);
        assert_eq!(verify(&mut verifier, &good), Ok(()));
        assert_eq!(verifier.complete(), Ok(()));

        let (_, mut other) = request(&key);
        assert_eq!(verify(&mut other, &good), Err(Unverified::Forged), "an answer to another request");

        let (message, mut verifier) = request(&key);
        let mut flipped = answer(&key, &message, NOW, None);
        flipped[3] ^= 1;
        assert_eq!(verify(&mut verifier, &flipped), Err(Unverified::Forged));

        let stranger = self::key("b3RoZXI=");
        let forged = answer(&stranger, &message, NOW, None);
        assert_eq!(verify(&mut verifier, &forged), Err(Unverified::Forged));

        let unsigned = Message::response(message.metadata.id, OpCode::Query).to_vec().expect("octets");
        assert_eq!(verify(&mut verifier, &unsigned), Err(Unverified::Missing));
    }

    #[test]
    fn clocks_may_be_five_minutes_apart() {
        let key = key("c2VjcmV0");
        for (time, wanted) in
            [(NOW - 300, Ok(())), (NOW + 300, Ok(())), (NOW + 301, Err(Unverified::Stale)), (0, Err(Unverified::Stale))]
        {
            let (message, mut verifier) = request(&key);
            let octets = answer(&key, &message, time, None);
            assert_eq!(verify(&mut verifier, &octets), wanted, "{time}");
        }
        let (message, mut verifier) = request(&key);
        let octets = answer(&key, &message, NOW, Some(TsigError::BadTime));
        assert_eq!(verify(&mut verifier, &octets), Err(Unverified::Refused(TsigError::BadTime)));
    }

    /// Signs `octets` as the next of a chain: the timers only, over `unsigned` messages before it.
    fn chained(key: &Key, previous: &[u8], unsigned: &[u8], octets: &[u8], id: u16) -> Vec<u8> {
        let mut signed = (previous.len() as u16).to_be_bytes().to_vec();
        signed.extend_from_slice(previous);
        signed.extend_from_slice(unsigned);
        signed.extend_from_slice(octets);
        signed.extend_from_slice(&NOW.to_be_bytes()[2..]);
        signed.extend_from_slice(&FUDGE.to_be_bytes());
        let mac = key.0.sign(&signed).expect("a MAC");
        let tsig = TSIG::new(Algorithm::HmacSha256, NOW, FUDGE, mac, id, None, Vec::new());
        let mut record = hickory_proto::rr::Record::from_rdata(key.0.signer_name().clone(), 0, tsig);
        record.dns_class = DNSClass::ANY;
        let mut message = Message::from_vec(octets).expect("a message");
        message.set_signature(Box::new(record));
        message.to_vec().expect("octets")
    }

    #[test]
    fn in_a_chain_some_messages_may_be_unsigned_but_not_the_last_and_none_may_be_altered() {
        let key = key("c2VjcmV0");
        let (message, mut verifier) = request(&key);
        let id = message.metadata.id;
        let first = answer(&key, &message, NOW, None);
        let mac = Answer::read(&first).expect("a message").signature.expect("signed").2.mac;
        let plain = Message::response(id, OpCode::Query).to_vec().expect("octets");
        let last = chained(&key, &mac, &plain, &plain, id);

        assert_eq!(verify(&mut verifier, &first), Ok(()));
        assert_eq!(verify(&mut verifier, &plain), Ok(()));
        assert_eq!(verifier.complete(), Err(Unverified::Missing), "the unsigned one is not verified yet");
        assert_eq!(verify(&mut verifier, &last), Ok(()));
        assert_eq!(verifier.complete(), Ok(()));

        let mac_of_last = Answer::read(&last).expect("a message").signature.expect("signed").2.mac;
        let mut altered = plain.clone();
        altered[3] ^= 1;
        assert_eq!(verify(&mut verifier, &altered), Ok(()));
        let after = chained(&key, &mac_of_last, &plain, &plain, id);
        assert_eq!(verify(&mut verifier, &after), Err(Unverified::Forged));
    }

    /// What BIND 9.18 sent to a signature by a key it does not know, to one with a wrong secret, and to none at all.
    #[test]
    fn refusals_of_a_real_server_are_understood() {
        let read = |text: &str| {
            let hex: String = text.split_whitespace().collect();
            data_encoding::HEXLOWER.decode(hex.as_bytes()).expect("hex")
        };
        for (text, code, wanted) in [
            (include_str!("fixtures/badkey-bind.hex"), 9, Unverified::Refused(TsigError::BadKey)),
            (include_str!("fixtures/badsig-bind.hex"), 9, Unverified::Refused(TsigError::BadSig)),
            (include_str!("fixtures/refused-bind.hex"), 5, Unverified::Missing),
        ] {
            let octets = read(text);
            let answer = Answer::read(&octets).expect("a message");
            let (_, mut verifier) = request(&key("b3BlbiBzZXNhbWU="));
            assert_eq!((answer.code(), verifier.verify(&answer)), (code, Err(wanted)));
        }
    }

    #[test]
    fn a_secret_that_is_no_base64_is_refused_without_being_shown() {
        for secret in ["not base64!", "", "  \n"] {
            let name = Fqdn::parse("k").expect("a name");
            let tsig = Tsig { name, algorithm: TsigAlgorithm::HmacSha512, secret: Secret::new(secret) };
            let Err(error) = Key::new(&tsig) else { panic!("{secret:?} was taken") };
            assert_eq!(error.kind, ErrorKind::Invalid);
            assert!(!format!("{error:?} {tsig:?}").contains("not base64!"));
        }
    }
}
