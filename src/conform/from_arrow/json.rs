//! Extended JSON as BSON.

use bson::Bson;

use crate::raw::{ElementType, MAX_DEPTH};

/// The key of a single value.
const VALUE: &str = "v";

/// Converts Extended JSON to a type and the bytes of a value; the error is a text for the user.
pub(super) fn value(text: &str) -> Result<(ElementType, Vec<u8>), String> {
    let document = bson::doc! { VALUE: parse(text)? };
    let bytes = document.to_vec().map_err(|error| error.to_string())?;
    // Length, type, key with NUL, value, NUL.
    let kind = bytes.get(4).and_then(|&byte| ElementType::from_byte(byte));
    let value = bytes.get(5 + VALUE.len() + 1..bytes.len() - 1);
    match (kind, value) {
        (Some(kind), Some(value)) => Ok((kind, value.to_vec())),
        _ => Err("the text is no value in Extended JSON".into()),
    }
}

/// Converts an object in Extended JSON to the bytes of a document.
pub(super) fn document(text: &str) -> Result<Vec<u8>, String> {
    match parse(text)? {
        Bson::Document(document) => document.to_vec().map_err(|error| error.to_string()),
        _ => Err("the text is no document in Extended JSON".into()),
    }
}

/// Parses JSON. Its nesting is checked first, because the parser and the conversion recurse.
fn parse(text: &str) -> Result<Bson, String> {
    if depth(text) > MAX_DEPTH {
        return Err(format!("the text nests deeper than {MAX_DEPTH} levels"));
    }
    let mut parser = serde_json::Deserializer::from_str(text);
    parser.disable_recursion_limit();
    let json: Result<serde_json::Value, _> = serde::Deserialize::deserialize(&mut parser);
    let json = json.and_then(|json| parser.end().map(|()| json));
    let json = json.map_err(|error| format!("the text is no JSON: {error}"))?;
    Bson::try_from(json).map_err(|error| format!("the text is no Extended JSON: {error}"))
}

/// Returns the number of brackets open at once, at most.
fn depth(text: &str) -> usize {
    let (mut open, mut deepest) = (0usize, 0);
    let mut in_string = false;
    let mut escaped = false;
    for byte in text.bytes() {
        match byte {
            _ if std::mem::take(&mut escaped) => {}
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                open += 1;
                deepest = deepest.max(open);
            }
            b'}' | b']' if !in_string => open = open.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_types() {
        let of = |text: &str| value(text).map(|(kind, bytes)| (kind, bytes.len()));
        assert_eq!(of("1"), Ok((ElementType::Int32, 4)));
        assert_eq!(of("4294967296"), Ok((ElementType::Int64, 8)));
        assert_eq!(of("1.0"), Ok((ElementType::Double, 8)));
        assert_eq!(of("\"ab\""), Ok((ElementType::String, 7)));
        assert_eq!(of("{\"$minKey\": 1}"), Ok((ElementType::MinKey, 0)));
        assert_eq!(
            of("{\"$date\": \"2020-01-01T00:00:00Z\"}"),
            Ok((ElementType::DateTime, 8))
        );
        assert!(of("{\"b\": 1, \"a\": {}}").is_ok_and(|(kind, _)| kind == ElementType::Document));
        for refused in ["", "1 2", "{", "{\"$oid\": 1}"] {
            assert!(value(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(value(&nested(MAX_DEPTH)).is_ok());
        assert!(value(&nested(MAX_DEPTH + 1)).is_err());
        assert!(value(&nested(1_000_000)).is_err());
        assert_eq!(depth("\"[[\\\"[\" [ ]"), 1);
    }
}
