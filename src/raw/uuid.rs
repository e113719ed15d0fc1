//! UUIDs in binaries: of subtype 4, and in the byte orders of older drivers in binaries of subtype 3.
//!
//! Source: <https://github.com/mongodb/specifications/blob/master/source/bson-binary-uuid/uuid.md>.

/// The byte order of UUIDs in binaries of subtype 3, named by the drivers that wrote them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegacyUuid {
    /// PyMongo: the order of subtype 4.
    Python,
    /// Java: each half reversed.
    Java,
    /// C#: the first three fields little-endian.
    CSharp,
}

impl LegacyUuid {
    /// Converts a UUID between this order and that of subtype 4; both directions are the same.
    pub fn reorder(self, mut bytes: [u8; 16]) -> [u8; 16] {
        match self {
            LegacyUuid::Python => {}
            LegacyUuid::Java => {
                bytes[..8].reverse();
                bytes[8..].reverse();
            }
            LegacyUuid::CSharp => {
                bytes[..4].reverse();
                bytes[4..6].reverse();
                bytes[6..8].reverse();
            }
        }
        bytes
    }
}

/// Parses hexadecimal digits, two for each byte.
pub fn hex_bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16);
        *byte = u8::try_from(digit(0)? << 4 | digit(1)?).ok()?;
    }
    Some(bytes)
}

/// Parses the text of a UUID: hexadecimal digits with four hyphens, or without any.
pub fn uuid_bytes(text: &str) -> Option<[u8; 16]> {
    let hyphens = [8, 13, 18, 23];
    if text.len() == 36 {
        let is_hyphen = |(at, char): (usize, char)| (char == '-') == hyphens.contains(&at);
        if !text.char_indices().all(is_hyphen) {
            return None;
        }
        return hex_bytes(&text.replace('-', ""));
    }
    hex_bytes(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_parsed() {
        let uuid = uuid_bytes("00112233-4455-6677-8899-AAbbccddeeff");
        assert_eq!(uuid, uuid_bytes("00112233445566778899aabbccddeeff"));
        assert_eq!(uuid.map(|bytes| bytes[15]), Some(0xff));
        for wrong in [
            "",
            "0011",
            "00112233-4455-6677-8899-aabbccddeef",
            "001122334455-6677-8899-aabbccddeeff-",
            "+0112233445566778899aabbccddeeff",
        ] {
            assert_eq!(uuid_bytes(wrong), None, "{wrong}");
        }
        assert_eq!(hex_bytes::<2>("é0"), None);
    }

    #[test]
    fn orders_are_those_of_the_specification() {
        // The test vectors of the specification's "Explicit encoding": 00112233-4455-6677-8899-aabbccddeeff.
        let uuid: [u8; 16] = std::array::from_fn(|at| (at as u8) * 0x11);
        let hex =
            |bytes: [u8; 16]| -> String { bytes.iter().map(|b| format!("{b:02x}")).collect() };
        for (order, stored) in [
            (LegacyUuid::Python, "00112233445566778899aabbccddeeff"),
            (LegacyUuid::Java, "7766554433221100ffeeddccbbaa9988"),
            (LegacyUuid::CSharp, "33221100554477668899aabbccddeeff"),
        ] {
            assert_eq!(hex(order.reorder(uuid)), stored);
            assert_eq!(order.reorder(order.reorder(uuid)), uuid);
        }
    }
}
