//! Normal form: equal values have equal bytes.
//!
//! The bytes of a cell kept as BSON must not depend on the layout that it was received in. In normal form, list keys
//! count from 0. Each key occurs once in a document: at its first position, with its last value, as in PyMongo's
//! dicts. Text is UTF-8 under the reader's policy. Writing normal form also validates every byte that is read.

use std::borrow::Cow;
use std::hash::BuildHasher;
use std::io::Write;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::{i32_at, key_len, ElementType, Elements, Malformed, TextPolicy, MAX_DEPTH};

/// Appends the document that fills `bytes` in normal form; `depth` is the level of the document, 1 at the top.
///
/// Returns the number of duplicate keys that were merged.
///
/// # Errors
/// When `bytes` is not a valid document under `text`.
pub fn normalise_document(
    bytes: &[u8],
    depth: usize,
    text: TextPolicy,
    out: &mut Vec<u8>,
) -> Result<u64, Malformed> {
    let mut writer = Writer {
        text,
        out,
        duplicates: 0,
    };
    writer.document(bytes, depth)?;
    Ok(writer.duplicates)
}

/// Appends the bytes of an element's value in normal form; `depth` is the level of the enclosing document, from 1.
///
/// Returns the number of duplicate keys that were merged.
///
/// # Errors
/// When `value` is not a valid value of type `kind` under `text`.
pub fn normalise_value(
    kind: ElementType,
    value: &[u8],
    depth: usize,
    text: TextPolicy,
    out: &mut Vec<u8>,
) -> Result<u64, Malformed> {
    let mut writer = Writer {
        text,
        out,
        duplicates: 0,
    };
    writer.value(kind, value, depth)?;
    Ok(writer.duplicates)
}

/// Documents with more keys than this find keys by hash table.
const FEW_KEYS: usize = 16;

struct Writer<'a> {
    text: TextPolicy,
    out: &'a mut Vec<u8>,
    duplicates: u64,
}

impl Writer<'_> {
    fn document(&mut self, bytes: &[u8], depth: usize) -> Result<(), Malformed> {
        if depth > MAX_DEPTH {
            return Err(Malformed::new(0, "nested too deep: over 200 levels"));
        }
        let order = self.element_order(bytes, depth)?;
        let start = self.begin();
        let elements = Elements::new(bytes)?;
        for at in order {
            let element = elements.read(at as usize)?;
            let key = self.decode(element.key)?;
            self.out.push(element.kind.byte());
            self.out.extend_from_slice(key.as_bytes());
            self.out.push(0);
            self.value(element.kind, element.value, depth)?;
        }
        self.end(start)
    }

    /// Returns the offset of the element with the last value of each key, ordered by the key's first position.
    ///
    /// Beyond the first few keys, only offsets are stored, not names. Otherwise a document of a million keys takes 25
    /// times its size.
    fn element_order(&mut self, bytes: &[u8], depth: usize) -> Result<Vec<u32>, Malformed> {
        let elements = Elements::new(bytes)?;
        let mut order: Vec<u32> = Vec::new();
        let mut few: Vec<Cow<'_, str>> = Vec::new();
        let mut places: HashTable<u32> = HashTable::new();
        let hasher = DefaultHashBuilder::default();
        let hash = |key: &str| hasher.hash_one(key);
        for element in elements.clone() {
            let element = element?;
            let at = (element.offset - element.key.len() - 2) as u32;
            let key = self.decode(element.key)?;
            let name = |place: u32| {
                let seen = elements.key_at(order[place as usize] as usize);
                self.text.decode(seen).unwrap_or_default()
            };
            let place = if order.len() <= FEW_KEYS {
                few.iter().position(|seen| *seen == key)
            } else {
                if places.is_empty() {
                    for place in 0..order.len() as u32 {
                        places.insert_unique(hash(&name(place)), place, |&p| hash(&name(p)));
                    }
                }
                let found = places.find(hash(&key), |&place| name(place) == key);
                found.map(|&place| place as usize)
            };
            match place {
                Some(place) => {
                    // The dropped value was received too, so it must also be valid.
                    let dropped = elements.read(order[place] as usize)?;
                    let mut scratch = Vec::new();
                    normalise_value(dropped.kind, dropped.value, depth, self.text, &mut scratch)?;
                    order[place] = at;
                    self.duplicates += 1;
                }
                None => {
                    let place = order.len() as u32;
                    let hash_of_key = hash(&key);
                    order.push(at);
                    if order.len() <= FEW_KEYS + 1 {
                        few.push(key);
                    }
                    if !places.is_empty() {
                        let name = |place: u32| {
                            let seen = elements.key_at(order[place as usize] as usize);
                            self.text.decode(seen).unwrap_or_default()
                        };
                        places.insert_unique(hash_of_key, place, |&p| hash(&name(p)));
                    }
                }
            }
        }
        Ok(order)
    }

    fn list(&mut self, bytes: &[u8], depth: usize) -> Result<(), Malformed> {
        if depth > MAX_DEPTH {
            return Err(Malformed::new(0, "nested too deep: over 200 levels"));
        }
        let start = self.begin();
        for (index, element) in Elements::new(bytes)?.enumerate() {
            let element = element?;
            self.out.push(element.kind.byte());
            // Writing to a Vec cannot fail.
            let _ = write!(self.out, "{index}\0");
            self.value(element.kind, element.value, depth)?;
        }
        self.end(start)
    }

    fn value(&mut self, kind: ElementType, value: &[u8], depth: usize) -> Result<(), Malformed> {
        match kind {
            ElementType::Document => self.document(value, depth + 1)?,
            ElementType::List => self.list(value, depth + 1)?,
            ElementType::String | ElementType::Code | ElementType::Symbol => {
                self.string(&value[4..value.len() - 1])?
            }
            ElementType::DbPointer => {
                let id = value.len() - 12;
                self.string(&value[4..id - 1])?;
                self.out.extend_from_slice(&value[id..]);
            }
            ElementType::Regex => {
                let pattern = key_len(value, 0)?;
                self.cstring(&value[..pattern])?;
                self.cstring(&value[pattern + 1..value.len() - 1])?;
            }
            ElementType::CodeWithScope => {
                let code = 4 + i32_at(value, 4)? as usize;
                let start = self.begin();
                self.string(&value[8..4 + code - 1])?;
                self.document(&value[4 + code..], depth + 1)?;
                self.patch_len(start)?;
            }
            _ => self.out.extend_from_slice(value),
        }
        Ok(())
    }

    fn decode<'b>(&self, bytes: &'b [u8]) -> Result<Cow<'b, str>, Malformed> {
        self.text
            .decode(bytes)
            .map_err(|invalid| Malformed::new(invalid.valid_up_to, "text is not UTF-8"))
    }

    fn string(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        let text = self.decode(bytes)?;
        self.out
            .extend_from_slice(&length(text.len() + 1)?.to_le_bytes());
        self.out.extend_from_slice(text.as_bytes());
        self.out.push(0);
        Ok(())
    }

    fn cstring(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        let text = self.decode(bytes)?;
        self.out.extend_from_slice(text.as_bytes());
        self.out.push(0);
        Ok(())
    }

    fn begin(&mut self) -> usize {
        let start = self.out.len();
        self.out.extend_from_slice(&[0; 4]);
        start
    }

    fn end(&mut self, start: usize) -> Result<(), Malformed> {
        self.out.push(0);
        self.patch_len(start)
    }

    fn patch_len(&mut self, start: usize) -> Result<(), Malformed> {
        let len = length(self.out.len() - start)?;
        self.out[start..start + 4].copy_from_slice(&len.to_le_bytes());
        Ok(())
    }
}

/// Encodes `len` as a BSON length. Normal form can be longer than the input: list keys are renumbered, and U+FFFD
/// takes three bytes for one invalid byte.
fn length(len: usize) -> Result<i32, Malformed> {
    i32::try_from(len).map_err(|_| Malformed::new(0, "over 2 GiB in normal form"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicates_keep_the_first_place_and_the_last_value() {
        // {a: 1, b: 2, a: 3} and lists with odd keys
        let mut body = Vec::new();
        for (key, value) in [(b'a', 1i32), (b'b', 2), (b'a', 3)] {
            body.extend_from_slice(&[0x10, key, 0]);
            body.extend_from_slice(&value.to_le_bytes());
        }
        let list: &[u8] = &[14, 0, 0, 0, 0x08, b'9', b'9', 0, 1, 0x0A, b'x', 0, 0x0A, 0];
        let mut list = list.to_vec();
        list.push(0);
        list[0] = list.len() as u8;
        body.extend_from_slice(&[0x04, b'l', 0]);
        body.extend_from_slice(&list);
        let mut bytes = (body.len() as i32 + 5).to_le_bytes().to_vec();
        bytes.extend_from_slice(&body);
        bytes.push(0);

        let mut out = Vec::new();
        assert_eq!(
            normalise_document(&bytes, 1, TextPolicy::Strict, &mut out).unwrap(),
            1
        );
        let seen: Vec<_> = Elements::new(&out)
            .unwrap()
            .map(|element| element.unwrap())
            .map(|element| (element.key.to_vec(), element.value.to_vec()))
            .collect();
        assert_eq!(seen[0], (b"a".to_vec(), 3i32.to_le_bytes().to_vec()));
        assert_eq!(seen[1], (b"b".to_vec(), 2i32.to_le_bytes().to_vec()));
        let keys: Vec<_> = Elements::new(&seen[2].1)
            .unwrap()
            .map(|element| element.unwrap().key.to_vec())
            .collect();
        assert_eq!(keys, [b"0", b"1", b"2"]);

        let mut again = Vec::new();
        normalise_document(&out, 1, TextPolicy::Strict, &mut again).unwrap();
        assert_eq!(out, again);
    }

    #[test]
    fn a_length_past_two_gigabytes_is_an_error() {
        assert_eq!(length(i32::MAX as usize), Ok(i32::MAX));
        assert!(length(i32::MAX as usize + 1).is_err());
    }

    #[test]
    fn many_and_few_keys_merge_alike() {
        for keys in [1, 15, 16, 17, 18, 40, 500] {
            let body: Vec<u8> = (0..3 * keys)
                .flat_map(|n: i32| {
                    let key = format!("k{}", n % keys);
                    [&[0x10], key.as_bytes(), &[0], &n.to_le_bytes()].concat()
                })
                .collect();
            let len = (body.len() as i32 + 5).to_le_bytes();
            let bytes = [&len[..], &body, &[0]].concat();
            let mut out = Vec::new();
            let merged = normalise_document(&bytes, 1, TextPolicy::Strict, &mut out).unwrap();
            assert_eq!(merged, 2 * keys as u64);
            let seen: Vec<_> = Elements::new(&out).unwrap().map(Result::unwrap).collect();
            assert_eq!(seen.len(), keys as usize);
            for (n, element) in (0..keys).zip(seen) {
                assert_eq!(element.key, format!("k{n}").as_bytes());
                assert_eq!(element.value, (2 * keys + n).to_le_bytes());
            }
        }
    }
}
