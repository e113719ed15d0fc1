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

#[cfg(test)]
mod tests {
    use super::*;

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
