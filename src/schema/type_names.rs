//! Kinds by name, for schemas written as text.

use arrow_schema::{DataType, TimeUnit};

use super::extension::kind_named;
use super::table::{Kind, TextCast};

impl Kind {
    /// Returns the kind named `name`: Arrow's names in pyarrow's spelling, `datetime`, and the names of our extension
    /// types without `data_bridge.`, such as `objectid`. The suffix ` rounded` on a number or date allows rounding.
    pub fn from_name(name: &str) -> Option<Kind> {
        if let Some(name) = name.strip_suffix(" rounded") {
            return Kind::from_name(name)?.rounded();
        }
        // Arrow's timestamp has a unit, which distinguishes it from the extension `timestamp`; `binary` is Arrow's.
        Some(match name {
            "null" => Kind::Null,
            "bool" | "boolean" => Kind::Boolean,
            "int32" => Kind::Int32,
            "int64" => Kind::Int64,
            "float64" | "double" => Kind::Double,
            "string" | "utf8" => Kind::text(TextCast::Plain, DataType::Utf8),
            "text" => Kind::text(TextCast::Any, DataType::Utf8),
            "large_string" | "large_utf8" => Kind::text(TextCast::Plain, DataType::LargeUtf8),
            "string_view" | "utf8_view" => Kind::text(TextCast::Plain, DataType::Utf8View),
            "binary" => Kind::Binary,
            "datetime" => Kind::DateTime,
            "json" => Kind::Json(DataType::Utf8),
            name => match arrow_type(name) {
                Some(data_type) => Kind::ArrowOnly(data_type),
                None => return kind_named(name),
            },
        })
    }
}

fn arrow_type(name: &str) -> Option<DataType> {
    if let Some(rest) = name.strip_prefix("timestamp[") {
        return timestamp(rest.strip_suffix(']')?);
    }
    if let Some(rest) = name.strip_prefix("decimal128(") {
        let (precision, scale) = rest.strip_suffix(')')?.split_once(',')?;
        let precision = precision.trim().parse().ok()?;
        let scale = scale.trim().parse().ok()?;
        return (1..=38)
            .contains(&precision)
            .then_some(DataType::Decimal128(precision, scale));
    }
    Some(match name {
        "int8" => DataType::Int8,
        "int16" => DataType::Int16,
        "uint8" => DataType::UInt8,
        "uint16" => DataType::UInt16,
        "uint32" => DataType::UInt32,
        "uint64" => DataType::UInt64,
        "float32" | "float" => DataType::Float32,
        "large_binary" => DataType::LargeBinary,
        "binary_view" => DataType::BinaryView,
        "date32" | "date" => DataType::Date32,
        "date64" => DataType::Date64,
        _ => return None,
    })
}

/// `us`, `us, UTC` or `us, tz=UTC`.
fn timestamp(text: &str) -> Option<DataType> {
    let (unit, zone) = match text.split_once(',') {
        Some((unit, zone)) => (unit, Some(zone.trim())),
        None => (text, None),
    };
    let unit = match unit.trim() {
        "s" => TimeUnit::Second,
        "ms" => TimeUnit::Millisecond,
        "us" => TimeUnit::Microsecond,
        "ns" => TimeUnit::Nanosecond,
        _ => return None,
    };
    let zone = zone.map(|zone| zone.strip_prefix("tz=").unwrap_or(zone));
    Some(DataType::Timestamp(unit, zone.map(Into::into)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parsed() {
        let arrow_only = |kind| Some(Kind::ArrowOnly(kind));
        let zone = |zone: &str| Some(zone.into());
        for (name, kind) in [
            ("int64", Some(Kind::Int64)),
            ("objectid", Some(Kind::ObjectId)),
            ("uuid", Some(Kind::Uuid)),
            ("timestamp", Some(Kind::Timestamp)),
            ("decimal128", Some(Kind::Decimal128)),
            ("decimal128(10, 2)", arrow_only(DataType::Decimal128(10, 2))),
            (
                "timestamp[us]",
                arrow_only(DataType::Timestamp(TimeUnit::Microsecond, None)),
            ),
            (
                "timestamp[s, tz=UTC]",
                arrow_only(DataType::Timestamp(TimeUnit::Second, zone("UTC"))),
            ),
            (
                "timestamp[ns, Asia/Tokyo]",
                arrow_only(DataType::Timestamp(
                    TimeUnit::Nanosecond,
                    zone("Asia/Tokyo"),
                )),
            ),
            ("float64 rounded", Some(Kind::Rounded(DataType::Float64))),
            (
                "decimal128(10, 2) rounded",
                Some(Kind::Rounded(DataType::Decimal128(10, 2))),
            ),
            ("date32 rounded", Some(Kind::Rounded(DataType::Date32))),
            ("json", Some(Kind::Json(DataType::Utf8))),
            ("string rounded", None),
            ("decimal128 rounded", None),
            (" rounded", None),
            ("decimal128(39, 2)", None),
            ("timestamp[m]", None),
            ("int", None),
            ("", None),
        ] {
            assert_eq!(Kind::from_name(name), kind, "{name}");
        }
    }
}
