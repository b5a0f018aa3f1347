//! Reading answers from the wire, record by record.
//!
//! Not read with hickory's `Message`: it refuses a message with a single record that it can't decode, and one odd record
//! of somebody else's would hide a whole zone. Here each record keeps its octets, and is decoded on its own.

use hickory_proto::rr::rdata::tsig::TSIG;
use hickory_proto::rr::{Name, RData, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, Restrict};

const HEADER: usize = 12;

/// An answer that breaks the format of RFC 1035 §4.
#[derive(Debug, thiserror::Error)]
#[error("the DNS message is malformed: {0}")]
pub(super) struct Malformed(&'static str);

/// A message, cut into its parts.
pub(super) struct Answer<'m> {
    octets: &'m [u8],
    /// The answer section.
    pub(super) records: Vec<RawRecord<'m>>,
    /// The TSIG record, where it starts, and the name of its key.
    pub(super) signature: Option<(usize, Name, TSIG)>,
}

/// One record: decoded as far as all records are alike.
pub(super) struct RawRecord<'m> {
    octets: &'m [u8],
    /// The owner.
    pub(super) name: Name,
    /// The type's number.
    pub(super) code: u16,
    /// Time to live, in seconds.
    pub(super) ttl: u32,
    owner: usize,
    start: usize,
    length: u16,
}

impl<'m> Answer<'m> {
    /// Cuts a message up.
    pub(super) fn read(octets: &'m [u8]) -> Result<Self, Malformed> {
        let header = octets.get(..HEADER).ok_or(Malformed("shorter than its header"))?;
        let count = |at: usize| usize::from(u16::from_be_bytes([header[at], header[at + 1]]));
        let mut at = HEADER;
        for _ in 0..count(4) {
            let (_, after) = name(octets, at)?;
            at = after + 4;
        }
        let mut take = |wanted: usize| -> Result<Vec<RawRecord<'m>>, Malformed> {
            let mut records = Vec::new();
            for _ in 0..wanted {
                let (record, after) = RawRecord::read(octets, at)?;
                at = after;
                records.push(record);
            }
            Ok(records)
        };
        let records = take(count(6))?;
        take(count(8))?;
        let last = take(count(10))?.pop().filter(|record| record.code == u16::from(RecordType::TSIG));
        let signature = last.map(|record| match record.rdata() {
            Some(RData::TSIG(tsig)) => Ok((record.owner, record.name, tsig)),
            _ => Err(Malformed("its TSIG record can't be read")),
        });
        Ok(Self { octets, records, signature: signature.transpose()? })
    }

    /// The message's id.
    pub(super) fn id(&self) -> u16 {
        u16::from_be_bytes([self.octets[0], self.octets[1]])
    }

    /// Whether it is an answer at all, and to this opcode.
    pub(super) fn answers(&self, opcode: u8) -> bool {
        self.octets[2] & 0x80 != 0 && (self.octets[2] >> 3) & 0x0f == opcode
    }

    /// Whether the server speaks for the zone.
    pub(super) fn authoritative(&self) -> bool {
        self.octets[2] & 0x04 != 0
    }

    /// The response code (RFC 6895 §2.3); without EDNS it has four bits.
    pub(super) fn code(&self) -> u8 {
        self.octets[3] & 0x0f
    }

    /// The octets as they came.
    pub(super) fn octets(&self) -> &'m [u8] {
        self.octets
    }
}

impl<'m> RawRecord<'m> {
    fn read(octets: &'m [u8], at: usize) -> Result<(Self, usize), Malformed> {
        let (name, after) = name(octets, at)?;
        let fixed = octets.get(after..after + 10).ok_or(Malformed("a record is cut short"))?;
        let code = u16::from_be_bytes([fixed[0], fixed[1]]);
        let ttl = u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]);
        let length = u16::from_be_bytes([fixed[8], fixed[9]]);
        let start = after + 10;
        let end = start + usize::from(length);
        if end > octets.len() {
            return Err(Malformed("a record is longer than the message"));
        }
        Ok((Self { octets, name, code, ttl, owner: at, start, length }, end))
    }

    /// The data's octets; names in them may be compressed.
    pub(super) fn data(&self) -> &'m [u8] {
        &self.octets[self.start..self.start + usize::from(self.length)]
    }

    /// The data, decoded; `None` when hickory can't.
    pub(super) fn rdata(&self) -> Option<RData> {
        let mut decoder = BinDecoder::new(self.octets).clone(u16::try_from(self.start).ok()?);
        let read = RData::read(&mut decoder, RecordType::from(self.code), Restrict::new(self.length)).ok()?;
        (decoder.index() == self.start + usize::from(self.length)).then_some(read)
    }
}

fn name(octets: &[u8], at: usize) -> Result<(Name, usize), Malformed> {
    let at = u16::try_from(at).map_err(|_| Malformed("longer than 65535 octets"))?;
    if usize::from(at) > octets.len() {
        return Err(Malformed("a name begins behind its end"));
    }
    let mut decoder = BinDecoder::new(octets).clone(at);
    let name = Name::read(&mut decoder).map_err(|_| Malformed("a name can't be read"))?;
    Ok((name, decoder.index()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::op::{Message, OpCode, ResponseCode};
    use hickory_proto::rr::Record;
    use hickory_proto::rr::rdata::{A, NULL};
    use proptest::prelude::*;

    fn message() -> Vec<u8> {
        let mut message = Message::response(7, OpCode::Query);
        message.metadata.response_code = ResponseCode::NXDomain;
        message.metadata.authoritative = true;
        let name = Name::from_ascii("a.example.org.").expect("a name");
        message.add_answer(Record::from_rdata(name.clone(), 60, RData::A(A::new(192, 0, 2, 1))));
        // A SVCB record that no decoder accepts.
        let odd = RData::Unknown { code: RecordType::SVCB, rdata: NULL::with(vec![1]) };
        message.add_answer(Record::from_rdata(name, 60, odd));
        message.to_vec().expect("octets")
    }

    #[test]
    fn an_odd_record_does_not_hide_the_others() {
        let octets = message();
        let answer = Answer::read(&octets).expect("a message");
        assert_eq!((answer.id(), answer.code(), answer.authoritative()), (7, 3, true));
        assert!(answer.answers(0) && !answer.answers(5));
        let [good, odd] = &answer.records[..] else { panic!("{} records", answer.records.len()) };
        assert_eq!(good.rdata(), Some(RData::A(A::new(192, 0, 2, 1))));
        assert_eq!((odd.rdata(), odd.data()), (None, &[1][..]));
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(octets in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(answer) = Answer::read(&octets) {
                for record in &answer.records {
                    let _ = record.rdata();
                }
            }
        }

        #[test]
        fn no_cut_or_flipped_octet_makes_it_panic(cut in 0usize..80, at in 0usize..80, with in any::<u8>()) {
            let mut octets = message();
            octets.truncate(cut);
            if let Some(octet) = octets.get_mut(at) {
                *octet = with;
            }
            if let Ok(answer) = Answer::read(&octets) {
                for record in &answer.records {
                    let _ = record.rdata();
                }
            }
        }
    }
}
