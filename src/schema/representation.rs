//! The storage options of strings and of types without an Arrow type.

use std::sync::Arc;

use arrow_schema::DataType;

use super::extension::storage;
use super::table::{Kind, TableSchema};

/// An extension type whose values are stored in a core Arrow type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Represented {
    /// ObjectIds in this type: bytes, or text of 24 hexadecimal digits.
    ObjectId(DataType),
    /// UUIDs in this type: bytes, or text with hyphens.
    Uuid(DataType),
    /// decimal128 in this type: bytes, or text with every digit.
    Decimal128(DataType),
    /// Any value in this type of text: Extended JSON.
    Mixed(DataType),
}

impl Represented {
    /// The kind of the values.
    pub fn base(&self) -> Kind {
        match self {
            Represented::ObjectId(_) => Kind::ObjectId,
            Represented::Uuid(_) => Kind::Uuid,
            Represented::Decimal128(_) => Kind::Decimal128,
            Represented::Mixed(_) => Kind::Mixed,
        }
    }

    /// The Arrow type of the storage.
    pub fn storage(&self) -> &DataType {
        match self {
            Represented::ObjectId(storage)
            | Represented::Uuid(storage)
            | Represented::Decimal128(storage)
            | Represented::Mixed(storage) => storage,
        }
    }
}

/// Storage of an extension type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StorageForm {
    /// The extension type.
    #[default]
    Extension,
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
    Extension,
    /// The value's bytes, without the extension name.
    Bytes,
    /// Text.
    Text,
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
    Extension,
    /// Extended JSON.
    Json,
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

/// The storage options of a table; `docs/types.md` describes the defaults.
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
    /// Strings, and the text of the other options.
    pub strings: StringLayout,
}

impl TableSchema {
    /// Returns the same columns in the storage of `representation`, at every level.
    #[must_use]
    pub fn represented(self, representation: &Representation) -> Self {
        if *representation == Representation::default() {
            return self;
        }
        TableSchema::new(representation.fields(self.fields()))
    }
}

impl Representation {
    /// Returns whether values of a single type may be conflicts although the schema was inferred from all of them.
    pub fn narrows(&self) -> bool {
        matches!(self.decimal, DecimalForm::Fixed { .. })
    }

    fn fields(&self, fields: &[(Arc<str>, Kind)]) -> Vec<(Arc<str>, Kind)> {
        let field = |(name, kind): &(Arc<str>, Kind)| (Arc::clone(name), self.kind(kind));
        fields.iter().map(field).collect()
    }

    fn kind(&self, kind: &Kind) -> Kind {
        let below = |kind: &Kind| Box::new(self.kind(kind));
        match kind {
            Kind::ObjectId => self.stored(kind, self.object_id, Represented::ObjectId),
            Kind::Uuid => self.stored(kind, self.uuid, Represented::Uuid),
            Kind::Decimal128 => match self.decimal {
                DecimalForm::Extension => kind.clone(),
                DecimalForm::Bytes => {
                    self.stored(kind, StorageForm::Bytes, Represented::Decimal128)
                }
                DecimalForm::Text => self.stored(kind, StorageForm::Text, Represented::Decimal128),
                DecimalForm::Fixed {
                    precision,
                    scale,
                    rounded,
                } => match DataType::Decimal128(precision, scale) {
                    fixed if rounded => Kind::Rounded(fixed),
                    fixed => Kind::ArrowOnly(fixed),
                },
            },
            Kind::Mixed if self.mixed == MixedForm::Json => {
                Kind::Represented(Represented::Mixed(self.text()))
            }
            Kind::String if self.strings != StringLayout::Utf8 => Kind::ArrowOnly(self.text()),
            Kind::Document(fields) => Kind::Document(self.fields(fields)),
            Kind::List(items) => Kind::List(below(items)),
            Kind::LargeList(items) => Kind::LargeList(below(items)),
            Kind::FixedSizeList(items, size) => Kind::FixedSizeList(below(items), *size),
            Kind::Map(values) => Kind::Map(below(values)),
            kind => kind.clone(),
        }
    }

    fn stored(
        &self,
        kind: &Kind,
        store: StorageForm,
        represent: fn(DataType) -> Represented,
    ) -> Kind {
        match store {
            StorageForm::Extension => kind.clone(),
            StorageForm::Bytes => Kind::Represented(represent(storage(kind))),
            StorageForm::Text => Kind::Represented(represent(self.text())),
        }
    }

    fn text(&self) -> DataType {
        match self.strings {
            StringLayout::Utf8 => DataType::Utf8,
            StringLayout::Large => DataType::LargeUtf8,
            StringLayout::View => DataType::Utf8View,
        }
    }
}
