//! Coercion rules: the accepted values of each type, and their converted form. Column conversion and the conflict
//! search share these rules.

use super::convert::Rounding;
use super::{arrow_only, represented, text};
use crate::chunk::Cell;
use crate::raw::LegacyUuid;
use crate::schema::{double_to_int, int_to_double, Kind};

/// Returns whether a column of `kind` accepts a value; the contents of documents and lists are not checked.
pub(super) fn can_coerce(kind: &Kind, cell: &Cell<'_>) -> bool {
    match (kind, cell) {
        (_, Cell::Null) | (Kind::Mixed, _) => true,
        (Kind::Null, _) => false,
        (Kind::Document(_) | Kind::Map(_), cell) => matches!(cell, Cell::Document(_)),
        (Kind::List(_) | Kind::LargeList(_), cell) => matches!(cell, Cell::List(_)),
        (Kind::FixedSizeList(_, size), cell) => match cell {
            Cell::List(list) => list.items().count() == *size as usize,
            _ => false,
        },
        (Kind::ArrowOnly(to), cell) => arrow_only::can_convert(to, cell, Rounding::Refused),
        (Kind::Rounded(to), cell) => arrow_only::can_convert(to, cell, Rounding::Allowed),
        (Kind::Represented(to), cell) => represented::can_convert(to, cell),
        (Kind::Json(_), _) => true,
        (
            Kind::Text {
                cast, legacy_uuid, ..
            },
            cell,
        ) => text::of_cell(cell, *cast, *legacy_uuid).is_some(),
        (Kind::Double, cell) => double(cell).is_some(),
        (Kind::Int32, cell) => int32(cell).is_some(),
        (Kind::Int64, cell) => int64(cell).is_some(),
        (Kind::Boolean, cell) => boolean(cell).is_some(),
        (Kind::String, cell) => string(cell).is_some(),
        (Kind::Code, cell) => code(cell).is_some(),
        (Kind::Symbol, cell) => symbol(cell).is_some(),
        (Kind::DateTime, cell) => date(cell).is_some(),
        (Kind::ObjectId, cell) => object_id(cell).is_some(),
        (Kind::Decimal128, cell) => decimal(cell).is_some(),
        (Kind::Uuid, cell) => uuid(cell, None).is_some(),
        (Kind::LegacyUuid(order), cell) => uuid(cell, Some(*order)).is_some(),
        (Kind::Binary, cell) => binary(cell).is_some(),
        (Kind::Subtyped, cell) => subtyped(cell).is_some(),
        (Kind::Regex, cell) => matches!(cell, Cell::Regex { .. }),
        (Kind::DbPointer, cell) => matches!(cell, Cell::DbPointer { .. }),
        (Kind::CodeWithScope, cell) => matches!(cell, Cell::CodeWithScope { .. }),
        (Kind::Timestamp, cell) => matches!(cell, Cell::Timestamp { .. }),
        (Kind::Marker(wanted), cell) => matches!(cell, Cell::Marker(found) if found == wanted),
    }
}

pub(super) fn double(cell: &Cell<'_>) -> Option<f64> {
    match *cell {
        Cell::Double(value) => Some(value),
        Cell::Int32(value) => Some(value.into()),
        Cell::Int64(value) => int_to_double(value),
        _ => None,
    }
}

pub(super) fn int64(cell: &Cell<'_>) -> Option<i64> {
    match *cell {
        Cell::Int32(value) => Some(value.into()),
        Cell::Int64(value) => Some(value),
        Cell::Double(value) => double_to_int(value),
        _ => None,
    }
}

pub(super) fn int32(cell: &Cell<'_>) -> Option<i32> {
    int64(cell).and_then(|value| value.try_into().ok())
}

pub(super) fn boolean(cell: &Cell<'_>) -> Option<bool> {
    match *cell {
        Cell::Boolean(value) => Some(value),
        _ => None,
    }
}

pub(super) fn string<'a>(cell: &Cell<'a>) -> Option<&'a str> {
    match *cell {
        Cell::String(text) => Some(text),
        _ => None,
    }
}

pub(super) fn code<'a>(cell: &Cell<'a>) -> Option<&'a str> {
    match *cell {
        Cell::Code(text) => Some(text),
        _ => None,
    }
}

pub(super) fn symbol<'a>(cell: &Cell<'a>) -> Option<&'a str> {
    match *cell {
        Cell::Symbol(text) => Some(text),
        _ => None,
    }
}

pub(super) fn date(cell: &Cell<'_>) -> Option<i64> {
    match *cell {
        Cell::DateTime(value) => Some(value),
        _ => None,
    }
}

pub(super) fn object_id(cell: &Cell<'_>) -> Option<[u8; 12]> {
    match *cell {
        Cell::ObjectId(bytes) => Some(bytes),
        _ => None,
    }
}

pub(super) fn decimal(cell: &Cell<'_>) -> Option<[u8; 16]> {
    match *cell {
        Cell::Decimal128(bytes) => Some(bytes),
        _ => None,
    }
}

/// Returns a UUID in the order of subtype 4, also from a binary of subtype 3 if its order is known.
pub(super) fn uuid(cell: &Cell<'_>, legacy: Option<LegacyUuid>) -> Option<[u8; 16]> {
    match (cell, legacy) {
        (Cell::Binary { subtype: 4, bytes }, _) => (*bytes).try_into().ok(),
        (Cell::Binary { subtype: 3, bytes }, Some(order)) => {
            Some(order.reorder((*bytes).try_into().ok()?))
        }
        _ => None,
    }
}

pub(super) fn binary<'a>(cell: &Cell<'a>) -> Option<&'a [u8]> {
    match *cell {
        Cell::Binary { subtype: 0, bytes } => Some(bytes),
        _ => None,
    }
}

pub(super) fn subtyped<'a>(cell: &Cell<'a>) -> Option<(u8, &'a [u8])> {
    match *cell {
        Cell::Binary { subtype, bytes } => Some((subtype, bytes)),
        _ => None,
    }
}
