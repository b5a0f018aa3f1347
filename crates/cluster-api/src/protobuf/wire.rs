//! Protobuf's wire format: numbered fields, one after the other.

/// One field as it is on the wire.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Field<'a> {
    /// A number of one to ten octets.
    Varint(u64),
    /// Eight octets.
    Fixed(u64),
    /// Texts, octets, messages.
    Bytes(&'a [u8]),
}

impl<'a> Field<'a> {
    pub(super) fn bytes(self) -> Result<&'a [u8], String> {
        if let Self::Bytes(bytes) = self { Ok(bytes) } else { Err("a number where octets were expected".to_owned()) }
    }

    pub(super) fn text(self) -> Result<&'a str, String> {
        std::str::from_utf8(self.bytes()?).map_err(|it| it.to_string())
    }

    pub(super) fn number(self) -> Result<i64, String> {
        match self {
            Self::Varint(number) | Self::Fixed(number) => Ok(i64::from_ne_bytes(number.to_ne_bytes())),
            Self::Bytes(_) => Err("octets where a number was expected".to_owned()),
        }
    }

    pub(super) fn float(self) -> Result<f64, String> {
        match self {
            Self::Fixed(bits) => Ok(f64::from_bits(bits)),
            Self::Varint(_) | Self::Bytes(_) => Err("no floating-point number where one was expected".to_owned()),
        }
    }
}

/// The fields of a message, with their numbers.
pub(super) fn fields(mut rest: &[u8]) -> Result<Vec<(u32, Field<'_>)>, String> {
    let mut found = Vec::new();
    while !rest.is_empty() {
        let key = varint(&mut rest)?;
        let number = u32::try_from(key >> 3).map_err(|it| it.to_string())?;
        let field = match key & 7 {
            0 => Field::Varint(varint(&mut rest)?),
            1 => Field::Fixed(u64::from_le_bytes(taken(&mut rest, 8)?.try_into().unwrap_or_default())),
            2 => {
                let length = usize::try_from(varint(&mut rest)?).map_err(|it| it.to_string())?;
                Field::Bytes(taken(&mut rest, length)?)
            }
            5 => {
                let octets: [u8; 4] = taken(&mut rest, 4)?.try_into().unwrap_or_default();
                Field::Fixed(u64::from(u32::from_le_bytes(octets)))
            }
            other => return Err(format!("illegal wireType {other}")),
        };
        found.push((number, field));
    }
    Ok(found)
}

fn taken<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], String> {
    let (taken, left) = rest.split_at_checked(length).ok_or_else(|| "unexpected EOF".to_owned())?;
    *rest = left;
    Ok(taken)
}

fn varint(rest: &mut &[u8]) -> Result<u64, String> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let octet = taken(rest, 1)?.first().copied().unwrap_or_default();
        number |= u64::from(octet & 0x7f) << shift;
        if octet < 0x80 {
            return Ok(number);
        }
    }
    Err("integer overflow".to_owned())
}
