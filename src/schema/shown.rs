//! How types that Arrow does not know, and strings, are stored on request.

use std::sync::Arc;

use arrow_schema::DataType;

use super::table::{Kind, TableSchema};

/// An extension type's values in a plain Arrow type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// ObjectIds, as this type: bytes, or text of 24 hexadecimal digits.
    ObjectId(DataType),
    /// UUIDs, as this type: bytes, or text with hyphens.
    Uuid(DataType),
}

impl Shown {
    /// The kind whose values these are.
    pub fn base(&self) -> Kind {
        match self {
            Shown::ObjectId(_) => Kind::ObjectId,
            Shown::Uuid(_) => Kind::Uuid,
        }
    }

    /// The Arrow type they are stored in.
    pub fn storage(&self) -> &DataType {
        match self {
            Shown::ObjectId(storage) | Shown::Uuid(storage) => storage,
        }
    }
}

/// How an extension type is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Store {
    /// As the extension type.
    #[default]
    Extension,
    /// As its bytes, without the extension's name.
    Bytes,
    /// As text.
    Text,
}

/// How strings are laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strings {
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
    pub object_id: Store,
    /// UUIDs.
    pub uuid: Store,
    /// Strings, and text made of ObjectIds and UUIDs.
    pub strings: Strings,
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
    fn fields(&self, fields: &[(Arc<str>, Kind)]) -> Vec<(Arc<str>, Kind)> {
        let field = |(name, kind): &(Arc<str>, Kind)| (Arc::clone(name), self.kind(kind));
        fields.iter().map(field).collect()
    }

    fn kind(&self, kind: &Kind) -> Kind {
        let below = |kind: &Kind| Box::new(self.kind(kind));
        match (kind, self.object_id, self.uuid) {
            (Kind::ObjectId, Store::Bytes, _) => {
                Kind::Shown(Shown::ObjectId(DataType::FixedSizeBinary(12)))
            }
            (Kind::ObjectId, Store::Text, _) => Kind::Shown(Shown::ObjectId(self.text())),
            (Kind::Uuid, _, Store::Bytes) => {
                Kind::Shown(Shown::Uuid(DataType::FixedSizeBinary(16)))
            }
            (Kind::Uuid, _, Store::Text) => Kind::Shown(Shown::Uuid(self.text())),
            (Kind::String, ..) if self.strings != Strings::Utf8 => Kind::Plain(self.text()),
            (Kind::Document(fields), ..) => Kind::Document(self.fields(fields)),
            (Kind::List(items), ..) => Kind::List(below(items)),
            (Kind::LargeList(items), ..) => Kind::LargeList(below(items)),
            (Kind::FixedSizeList(items, size), ..) => Kind::FixedSizeList(below(items), *size),
            (Kind::Map(values), ..) => Kind::Map(below(values)),
            (kind, ..) => kind.clone(),
        }
    }

    fn text(&self) -> DataType {
        match self.strings {
            Strings::Utf8 => DataType::Utf8,
            Strings::Large => DataType::LargeUtf8,
            Strings::View => DataType::Utf8View,
        }
    }
}
