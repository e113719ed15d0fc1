//! The layout of one column, and the gather of its values by type family.

use std::sync::Arc;

use arrow_array::types::{Float64Type, Int32Type, Int64Type, TimestampMillisecondType, UInt64Type};

use super::frame::{Frame, Layout, Positions};
use super::{primitive, Gather};
use crate::chunk::{Column, Marker, Values};
use crate::index::{Cells, Mode};
use crate::raw::{ElementType, Malformed};

/// The time zone of BSON dates in Arrow.
pub(super) const UTC: &str = "UTC";

impl Gather<'_> {
    /// Gathers the column of `cells`; `level` is the number of enclosing documents and lists.
    pub(super) fn column(
        &self,
        cells: &Cells,
        frame: &Frame,
        level: usize,
    ) -> Result<Arc<Column>, Malformed> {
        Ok(Arc::new(match Layout::of(cells, frame) {
            Layout::Dense(positions) => Column::dense(self.values(cells, &positions, level)?),
            Layout::Sparse(rows, positions) => {
                Column::sparse(rows, frame.len, self.values(cells, &positions, level)?)
            }
        }))
    }

    fn values(
        &self,
        cells: &Cells,
        positions: &Positions<'_>,
        level: usize,
    ) -> Result<Values, Malformed> {
        let kind = match cells.mode {
            Mode::Null => return Ok(Values::Null(positions.at.len())),
            Mode::Tagged => return self.tagged(positions, level),
            Mode::Typed(kind) => kind,
        };
        let bytes = self.bytes;
        Ok(match kind {
            ElementType::Double => Values::Double(primitive::gather::<Float64Type, 8>(
                bytes,
                positions,
                f64::from_le_bytes,
            )),
            ElementType::Int32 => Values::Int32(primitive::gather::<Int32Type, 4>(
                bytes,
                positions,
                i32::from_le_bytes,
            )),
            ElementType::Int64 => Values::Int64(primitive::gather::<Int64Type, 8>(
                bytes,
                positions,
                i64::from_le_bytes,
            )),
            ElementType::Timestamp => Values::Timestamp(primitive::gather::<UInt64Type, 8>(
                bytes,
                positions,
                u64::from_le_bytes,
            )),
            ElementType::DateTime => {
                let dates = primitive::gather::<TimestampMillisecondType, 8>(
                    bytes,
                    positions,
                    i64::from_le_bytes,
                );
                Values::DateTime(dates.with_timezone(UTC))
            }
            ElementType::Boolean => Values::Boolean(primitive::booleans(bytes, positions)),
            ElementType::ObjectId => Values::ObjectId(primitive::fixed::<12>(bytes, positions, 0)),
            ElementType::Decimal128 => {
                Values::Decimal128(primitive::fixed::<16>(bytes, positions, 0))
            }
            ElementType::Undefined => {
                Values::Marker(Marker::Undefined, primitive::present(positions))
            }
            ElementType::MinKey => Values::Marker(Marker::MinKey, primitive::present(positions)),
            ElementType::MaxKey => Values::Marker(Marker::MaxKey, primitive::present(positions)),
            ElementType::String => Values::String(self.strings(positions, 0)?),
            ElementType::Code => Values::Code(self.strings(positions, 0)?),
            ElementType::Symbol => Values::Symbol(self.strings(positions, 0)?),
            ElementType::Regex => self.regex(positions)?,
            ElementType::DbPointer => self.db_pointers(positions)?,
            ElementType::CodeWithScope => self.code_with_scope(positions, level)?,
            ElementType::Binary => self.binary(positions)?,
            ElementType::Document => match &cells.documents {
                Some(node) => self.document_values(node, positions, level)?,
                None => Values::Null(positions.at.len()),
            },
            ElementType::List => match &cells.lists {
                Some(lists) => self.list_values(lists, positions, level)?,
                None => Values::Null(positions.at.len()),
            },
            ElementType::Null => Values::Null(positions.at.len()),
        })
    }
}
