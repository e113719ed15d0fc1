//! The 21 BSON element types.

/// A BSON element type; the discriminant is the type byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum ElementType {
    /// 64-bit IEEE 754.
    Double = 0x01,
    /// UTF-8 text.
    String = 0x02,
    /// Embedded document.
    Document = 0x03,
    /// A list; BSON's name is array.
    List = 0x04,
    /// Bytes with a subtype.
    Binary = 0x05,
    /// Deprecated.
    Undefined = 0x06,
    /// 12 bytes.
    ObjectId = 0x07,
    /// One byte, 0 or 1.
    Boolean = 0x08,
    /// Milliseconds since 1970 in UTC, signed.
    DateTime = 0x09,
    /// No value.
    Null = 0x0A,
    /// Pattern and options.
    Regex = 0x0B,
    /// Deprecated: a namespace and an ObjectId.
    DbPointer = 0x0C,
    /// JavaScript.
    Code = 0x0D,
    /// Deprecated: text.
    Symbol = 0x0E,
    /// Deprecated: JavaScript and a document of variables.
    CodeWithScope = 0x0F,
    /// 32-bit signed integer.
    Int32 = 0x10,
    /// Internal: increment and seconds.
    Timestamp = 0x11,
    /// 64-bit signed integer.
    Int64 = 0x12,
    /// IEEE 754-2008 decimal, a floating exponent per value.
    Decimal128 = 0x13,
    /// Above all other values.
    MaxKey = 0x7F,
    /// Below all other values.
    MinKey = 0xFF,
}

impl ElementType {
    /// All types, in the order of their bytes.
    pub const ALL: [ElementType; 21] = [
        Self::Double,
        Self::String,
        Self::Document,
        Self::List,
        Self::Binary,
        Self::Undefined,
        Self::ObjectId,
        Self::Boolean,
        Self::DateTime,
        Self::Null,
        Self::Regex,
        Self::DbPointer,
        Self::Code,
        Self::Symbol,
        Self::CodeWithScope,
        Self::Int32,
        Self::Timestamp,
        Self::Int64,
        Self::Decimal128,
        Self::MaxKey,
        Self::MinKey,
    ];

    /// Returns the type of a type byte; `None` for an unknown byte.
    #[inline]
    pub fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0x01..=0x13 => Some(Self::ALL[byte as usize - 1]),
            0x7F => Some(Self::MaxKey),
            0xFF => Some(Self::MinKey),
            _ => None,
        }
    }

    /// The type byte.
    #[inline]
    pub fn byte(self) -> u8 {
        self as u8
    }

    /// A distinct bit of a `u32`, for sets of types.
    #[inline]
    pub fn bit(self) -> u32 {
        match self {
            Self::MaxKey => 1 << 20,
            Self::MinKey => 1 << 21,
            other => 1 << other.byte(),
        }
    }

    /// The name in MongoDB's `$type` operator, except `"list"` for `"array"` and `"document"` for `"object"`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Double => "double",
            Self::String => "string",
            Self::Document => "document",
            Self::List => "list",
            Self::Binary => "binary",
            Self::Undefined => "undefined",
            Self::ObjectId => "objectId",
            Self::Boolean => "bool",
            Self::DateTime => "date",
            Self::Null => "null",
            Self::Regex => "regex",
            Self::DbPointer => "dbPointer",
            Self::Code => "javascript",
            Self::Symbol => "symbol",
            Self::CodeWithScope => "javascriptWithScope",
            Self::Int32 => "int32",
            Self::Timestamp => "timestamp",
            Self::Int64 => "int64",
            Self::Decimal128 => "decimal128",
            Self::MaxKey => "maxKey",
            Self::MinKey => "minKey",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ElementType;

    #[test]
    fn bytes_and_types_are_one_to_one() {
        for byte in 0..=255u8 {
            if let Some(kind) = ElementType::from_byte(byte) {
                assert_eq!(kind.byte(), byte);
            }
        }
        let bits = ElementType::ALL.iter().fold(0u32, |bits, kind| {
            assert_eq!(bits & kind.bit(), 0);
            assert_eq!(ElementType::from_byte(kind.byte()), Some(*kind));
            bits | kind.bit()
        });
        assert_eq!(bits.count_ones(), 21);
    }
}
