//! The storage options of strings and of types without an Arrow type.

use std::sync::Arc;

use arrow_schema::{DataType, Field};

use super::decimal_digits::DecimalDigits;
use super::extension::{is_text, storage};
use super::table::{Kind, TableSchema};
use crate::raw::LegacyUuid;

/// An extension type whose values are stored without its extension name: as they are, or in a core Arrow type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Represented {
    base: Kind,
    storage: DataType,
}

impl Represented {
    /// The values of `base` in `storage`; `None` if they have no such form.
    pub fn new(base: Kind, storage: DataType) -> Option<Self> {
        let represented = Represented { base, storage };
        let is_known = represented.storage == super::extension::storage(&represented.base)
            || match represented.base {
                Kind::ObjectId | Kind::Uuid | Kind::LegacyUuid(_) | Kind::Mixed => {
                    is_text(&represented.storage)
                }
                Kind::Decimal128 => {
                    represented.decimal_number().is_some() || is_text(&represented.storage)
                }
                Kind::DbPointer | Kind::CodeWithScope => {
                    represented.storage == plain_storage(&represented.base)
                }
                _ => false,
            };
        is_known.then_some(represented)
    }

    /// The kind of the values.
    pub fn base(&self) -> &Kind {
        &self.base
    }

    /// The Arrow type of the storage.
    pub fn storage(&self) -> &DataType {
        &self.storage
    }

    /// Returns whether the values are stored as text.
    pub fn is_text(&self) -> bool {
        is_text(&self.storage)
    }

    /// The precision and the scale of decimals stored as numbers.
    pub fn decimal_number(&self) -> Option<(u8, i8)> {
        match (&self.base, &self.storage) {
            (Kind::Decimal128, DataType::Decimal128(precision, scale)) => {
                Some((*precision, *scale))
            }
            _ => None,
        }
    }
}

/// Storage of an extension type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StorageForm {
    /// The extension type.
    #[default]
    Exact,
    /// The value's bytes, without the extension name.
    Bytes,
    /// Text.
    Text,
}

/// Storage of decimal128.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DecimalForm {
    /// The extension type.
    #[default]
    Exact,
    /// The value's bytes, without the extension name.
    Bytes,
    /// Text.
    Text,
    /// Arrow's Decimal128, with the scale that the values need; text if they fit none. Integers beside them join.
    Number,
    /// Arrow's Decimal128, with one scale for all values; a value that does not fit is a conflict.
    Fixed {
        /// Total number of digits, at most 38.
        precision: u8,
        /// Number of digits after the decimal point.
        scale: i8,
        /// True if values with more digits after the point are rounded.
        rounded: bool,
    },
}

/// Storage of columns with values of several types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MixedForm {
    /// The extension type over BSON.
    #[default]
    Exact,
    /// Extended JSON under the name `arrow.json`.
    Json,
    /// Extended JSON as text without an extension name.
    Text,
}

/// Layout of strings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StringLayout {
    /// Utf8
    #[default]
    Utf8,
    /// LargeUtf8
    Large,
    /// Utf8View
    View,
}

/// The storage options of a table. The default keeps the BSON type of each column ([`exact`](Self::exact)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Representation {
    /// ObjectIds.
    pub object_id: StorageForm,
    /// UUIDs.
    pub uuid: StorageForm,
    /// decimal128.
    pub decimal: DecimalForm,
    /// Mixed columns.
    pub mixed: MixedForm,
    /// True if all other extension types are stored as their parts, without the extension name.
    pub parts: bool,
    /// Strings, and the text of the other options.
    pub strings: StringLayout,
    /// The byte order of UUIDs in binaries of subtype 3; `None` if those are no UUIDs.
    pub legacy_uuid: Option<LegacyUuid>,
    /// True for the schema of a stream, inferred from its first documents: decimals have room for later values.
    pub frozen: bool,
}

impl TableSchema {
    /// Returns the same columns in the storage of `representation`, at every level.
    #[must_use]
    pub fn represented(self, representation: &Representation) -> Self {
        if *representation == Representation::exact() {
            return self;
        }
        TableSchema::new(representation.fields(self.fields()))
    }
}

impl Representation {
    /// The extension type of each BSON type without an Arrow type.
    pub fn exact() -> Self {
        Representation::default()
    }

    /// No extension types: text, numbers, and the parts of values.
    pub fn plain() -> Self {
        Representation {
            object_id: StorageForm::Text,
            uuid: StorageForm::Text,
            decimal: DecimalForm::Number,
            mixed: MixedForm::Text,
            parts: true,
            ..Representation::default()
        }
    }

    /// Returns whether values of a single type may be conflicts although the schema was inferred from all of them.
    pub fn narrows(&self) -> bool {
        matches!(self.decimal, DecimalForm::Fixed { .. })
    }

    fn fields(&self, fields: &[(Arc<str>, Kind)]) -> Vec<(Arc<str>, Kind)> {
        let field = |(name, kind): &(Arc<str>, Kind)| (Arc::clone(name), self.kind(kind));
        fields.iter().map(field).collect()
    }

    /// Returns `kind` in this storage, with the kinds nested in it.
    pub fn kind(&self, kind: &Kind) -> Kind {
        let below = |kind: &Kind| Box::new(self.kind(kind));
        match kind {
            Kind::Document(fields) => Kind::Document(self.fields(fields)),
            Kind::List(items) => Kind::List(below(items)),
            Kind::LargeList(items) => Kind::LargeList(below(items)),
            Kind::FixedSizeList(items, size) => Kind::FixedSizeList(below(items), *size),
            Kind::Map(values) => Kind::Map(below(values)),
            leaf => self.leaf(leaf, None),
        }
    }

    /// Returns the kind of a column without nested columns. `digits` are those of the column's values, if they are known.
    pub(super) fn leaf(&self, kind: &Kind, digits: Option<&DecimalDigits>) -> Kind {
        match kind {
            Kind::ObjectId => self.stored(kind.clone(), self.object_id),
            Kind::Uuid | Kind::LegacyUuid(_) => {
                let kind = self.legacy_uuid.map_or(kind.clone(), Kind::LegacyUuid);
                self.stored(kind, self.uuid)
            }
            Kind::Represented(represented) => match (represented.base(), self.legacy_uuid) {
                (Kind::Uuid, Some(order)) => {
                    self.represented(Kind::LegacyUuid(order), represented.storage().clone())
                }
                _ => kind.clone(),
            },
            Kind::Decimal128 => self.decimal(digits),
            Kind::Mixed => match self.mixed {
                MixedForm::Exact => Kind::Mixed,
                MixedForm::Json => Kind::Json(self.text()),
                MixedForm::Text => self.represented(Kind::Mixed, self.text()),
            },
            Kind::String if self.strings != StringLayout::Utf8 => Kind::ArrowOnly(self.text()),
            Kind::Text {
                cast,
                storage,
                legacy_uuid: None,
            } => Kind::Text {
                cast: *cast,
                legacy_uuid: self.legacy_uuid,
                storage: match storage {
                    DataType::Utf8 => self.text(),
                    other => other.clone(),
                },
            },
            Kind::Subtyped
            | Kind::Regex
            | Kind::DbPointer
            | Kind::Code
            | Kind::Symbol
            | Kind::CodeWithScope
            | Kind::Timestamp
            | Kind::Marker(_)
                if self.parts =>
            {
                self.represented(kind.clone(), plain_storage(kind))
            }
            kind => kind.clone(),
        }
    }

    fn decimal(&self, digits: Option<&DecimalDigits>) -> Kind {
        match self.decimal {
            DecimalForm::Exact => Kind::Decimal128,
            DecimalForm::Bytes => self.stored(Kind::Decimal128, StorageForm::Bytes),
            DecimalForm::Text => self.stored(Kind::Decimal128, StorageForm::Text),
            DecimalForm::Number => {
                let number = match digits {
                    Some(digits) => digits.number(self.frozen),
                    // Without values, the widest number that leaves room on both sides of the point.
                    None => Some((DecimalDigits::PRECISION, DecimalDigits::SCALE)),
                };
                match number {
                    Some((precision, scale)) => {
                        self.represented(Kind::Decimal128, DataType::Decimal128(precision, scale))
                    }
                    None => self.stored(Kind::Decimal128, StorageForm::Text),
                }
            }
            DecimalForm::Fixed {
                precision,
                scale,
                rounded,
            } => match DataType::Decimal128(precision, scale) {
                fixed if rounded => Kind::Rounded(fixed),
                fixed => Kind::ArrowOnly(fixed),
            },
        }
    }

    fn stored(&self, kind: Kind, store: StorageForm) -> Kind {
        match store {
            StorageForm::Exact => kind,
            StorageForm::Bytes => {
                let bytes = storage(&kind);
                self.represented(kind, bytes)
            }
            StorageForm::Text => self.represented(kind, self.text()),
        }
    }

    fn represented(&self, base: Kind, storage: DataType) -> Kind {
        Kind::Represented(Box::new(Represented { base, storage }))
    }

    fn text(&self) -> DataType {
        match self.strings {
            StringLayout::Utf8 => DataType::Utf8,
            StringLayout::Large => DataType::LargeUtf8,
            StringLayout::View => DataType::Utf8View,
        }
    }
}

/// The storage of an extension type in plain tables: its parts, with ids as text and scopes as Extended JSON.
pub(super) fn plain_storage(kind: &Kind) -> DataType {
    let parts = |first: &str, second: &str| {
        let part = |name: &str| Arc::new(Field::new(name, DataType::Utf8, true));
        DataType::Struct([part(first), part(second)].into_iter().collect())
    };
    match kind {
        Kind::DbPointer => parts("namespace", "id"),
        Kind::CodeWithScope => parts("code", "scope"),
        other => storage(other),
    }
}
