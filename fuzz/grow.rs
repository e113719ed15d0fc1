//! Documents grown from bytes: a mutation of the bytes gives other documents instead of wrong lengths.

/// Keys that collide: short, long, dotted, empty, and two that are not UTF-8 and may decode to the text of a third.
const KEYS: [&[u8]; 16] = [
    b"_id",
    b"a",
    b"b",
    b"c",
    b"a.b",
    b"$x",
    b"",
    b"A",
    b"\xff",
    b"\xfe",
    "\u{FFFD}".as_bytes(),
    b"exactly14bytes",
    b"exactly_15bytes",
    b"a key past sixteen bytes",
    b"a key past sixteen bytes!",
    b"\xc3",
];

const TYPES: [u8; 24] = [
    0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x0E, 0x0F, 0x10,
    0x11, 0x12, 0x13, 0x7F, 0xFF, 0x03, 0x04, 0x10,
];

/// Maximum nesting of grown documents; raw input covers deeper nesting.
const MAX_LEVELS: usize = 60;

/// Returns documents until `data` is used up.
pub fn documents(data: &[u8]) -> Vec<Vec<u8>> {
    let mut growth = Growth { data };
    let mut documents = Vec::new();
    while !growth.data.is_empty() && documents.len() < 200 {
        documents.push(growth.elements(1, false));
    }
    documents
}

struct Growth<'a> {
    data: &'a [u8],
}

impl Growth<'_> {
    fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.data.split_first() else {
            return 0;
        };
        self.data = rest;
        first
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.byte()).collect()
    }

    /// Returns a document or list with an element for each byte that is not 0. That byte and the next one select its
    /// type and key.
    fn elements(&mut self, level: usize, list: bool) -> Vec<u8> {
        let mut body = Vec::new();
        let mut index = 0;
        loop {
            let choice = self.byte();
            if choice == 0 {
                break;
            }
            let mut kind = TYPES[choice as usize % TYPES.len()];
            if level >= MAX_LEVELS && matches!(kind, 0x03 | 0x04 | 0x0F) {
                kind = 0x10;
            }
            body.push(kind);
            if list {
                body.extend_from_slice(index.to_string().as_bytes());
            } else {
                let key = self.byte();
                body.extend_from_slice(KEYS[key as usize % KEYS.len()]);
                // Some of many keys, so that columns become sparse and paths wide.
                if key >= 0xC0 {
                    body.extend_from_slice(self.byte().to_string().as_bytes());
                }
            }
            body.push(0);
            let value = self.value(kind, level);
            body.extend(value);
            index += 1;
        }
        framed(&body)
    }

    fn value(&mut self, kind: u8, level: usize) -> Vec<u8> {
        match kind {
            0x01 => {
                let number = f64::from(self.byte() as i8);
                (number / 2.0).to_le_bytes().to_vec()
            }
            0x02 | 0x0D | 0x0E => self.string(),
            0x03 => self.elements(level + 1, false),
            0x04 => self.elements(level + 1, true),
            0x05 => {
                let subtype = [0, 0, 2, 4, 0x80][self.byte() as usize % 5];
                let len = if subtype == 4 { 16 } else { self.byte() % 20 };
                let mut data = self.bytes(len as usize);
                if subtype == 2 {
                    data.splice(0..0, i32::from(len).to_le_bytes());
                }
                let mut value = (data.len() as i32).to_le_bytes().to_vec();
                value.push(subtype);
                value.extend(data);
                value
            }
            0x07 => self.bytes(12),
            0x08 => vec![self.byte() & 1],
            0x09 | 0x11 | 0x12 => {
                let number = i64::from(self.byte() as i8) << (self.byte() % 64);
                number.to_le_bytes().to_vec()
            }
            0x0B => b"^a\0i\0".to_vec(),
            0x0C => [self.string(), self.bytes(12)].concat(),
            0x0F => {
                let body = [self.string(), self.elements(level + 1, false)].concat();
                [(body.len() as i32 + 4).to_le_bytes().to_vec(), body].concat()
            }
            0x10 => i32::from(self.byte()).to_le_bytes().to_vec(),
            0x13 => self.bytes(16),
            _ => Vec::new(),
        }
    }

    fn string(&mut self) -> Vec<u8> {
        let len = self.byte() % 20;
        let text = self.bytes(len as usize);
        let mut value = (text.len() as i32 + 1).to_le_bytes().to_vec();
        value.extend(text);
        value.push(0);
        value
    }
}

/// Adds the length and the final NUL to `body`.
pub fn framed(body: &[u8]) -> Vec<u8> {
    let mut bytes = (body.len() as i32 + 5).to_le_bytes().to_vec();
    bytes.extend_from_slice(body);
    bytes.push(0);
    bytes
}
