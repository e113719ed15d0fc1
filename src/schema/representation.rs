//! How types that Arrow does not know, and strings, are stored on request.

use std::sync::Arc;

use arrow_schema::DataType;

use super::extension::storage;
use super::table::{Kind, TableSchema};

/// An extension type's values in a plain Arrow type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Represented {
    /// ObjectIds, as this type: bytes, or text of 24 hexadecimal digits.
    ObjectId(DataType),
    /// UUIDs, as this type: bytes, or text with hyphens.
    Uuid(DataType),
    /// decimal128, as this type: bytes, or text that keeps every digit.
    Decimal128(DataType),
    /// Any value, as this type of text: Extended JSON.
    Mixed(DataType),
}

impl Represented {
    /// The kind whose values these are.
    pub fn base(&self) -> Kind {
        match self {
            Represented::ObjectId(_) => Kind::ObjectId,
            Represented::Uuid(_) => Kind::Uuid,
            Represented::Decimal128(_) => Kind::Decimal128,
            Represented::Mixed(_) => Kind::Mixed,
        }
    }

    /// The Arrow type they are stored in.
    pub fn storage(&self) -> &DataType {
        match self {
            Represented::ObjectId(storage)
            | Represented::Uuid(storage)
            | Represented::Decimal128(storage)
            | Represented::Mixed(storage) => storage,
        }
    }
}

/// How an extension type is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StorageForm {
    /// As the extension type.
    #[default]
    Extension,
    /// As its bytes, without the extension's name.
    Bytes,
    /// As text.
    Text,
}

/// How decimal128 is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DecimalForm {
    /// As the extension type.
    #[default]
    Extension,
    /// As its bytes, without the extension's name.
    Bytes,
    /// As text.
    Text,
    /// As Arrow's Decimal128, of one scale for all values: one that it does not hold is a conflict.
    Fixed {
        /// Digits in all, at most 38.
        precision: u8,
        /// Digits after the point.
        scale: i8,
        /// Whether a value with more digits after the point is rounded.
        rounded: bool,
    },
}

/// How values of several types in one column are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MixedForm {
    /// As the extension type over BSON.
    #[default]
    Extension,
    /// As Extended JSON.
    Json,
}

/// How strings are laid out.
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

/// What a table's columns are stored as; the default is what `docs/types.md` says.
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
    /// StringLayout, and text made of the others.
    pub strings: StringLayout,
}

impl TableSchema {
    /// The same columns, stored as `representation` says, at every level.
    #[must_use]
    pub fn represented(self, representation: &Representation) -> Self {
        if *representation == Representation::default() {
            return self;
        }
        TableSchema::new(representation.fields(self.fields()))
    }
}

impl Representation {
    /// Whether values that came in one type may be conflicts, with a schema that was inferred from all of them.
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
