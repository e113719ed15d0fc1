//! Random BSON documents of all types, generated from a seed so that a failure can be reproduced.

/// SplitMix64: small, and sufficient for test documents.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }

    fn text(&mut self) -> String {
        const PARTS: [&str; 8] = [
            "a",
            "é",
            "日本",
            "\0",
            "\u{10FFFF}",
            " ",
            "long enough text",
            "",
        ];
        let parts = self.below(4);
        (0..parts).map(|_| PARTS[self.below(8) as usize]).collect()
    }

    fn key(&mut self) -> String {
        const KEYS: [&str; 14] = [
            "_id",
            "a",
            "b",
            "c",
            "name",
            "a.b",
            "$x",
            "",
            "A",
            "é",
            "a very long key past sixteen bytes",
            "a very long key past sixteen bytes!",
            "exactly14bytes",
            "exactly_15bytes",
        ];
        KEYS[self.below(14) as usize].to_string()
    }
}

/// Options of the generator.
#[derive(Clone, Copy)]
pub struct Shape {
    /// Maximum number of keys of a document.
    pub keys: u64,
    /// Maximum levels of nesting.
    pub depth: u64,
    /// Percentage of keys that may occur a second time in their document.
    pub duplicates: u64,
    /// Percentage of values of any type instead of their key's type.
    pub conflicts: u64,
}

/// Returns a document of random keys and values.
pub fn document(random: &mut Random, shape: Shape) -> Vec<u8> {
    let mut body = Vec::new();
    let mut used = std::collections::HashSet::new();
    for _ in 0..random.below(shape.keys + 1) {
        let key = random.key();
        if !used.insert(key.clone()) && random.below(100) >= shape.duplicates {
            continue;
        }
        let usual = key.bytes().map(u64::from).sum::<u64>();
        let kind = if random.below(100) < shape.conflicts {
            random.below(21)
        } else {
            usual % 21
        };
        element(random, shape, kind, &key, &mut body);
    }
    framed(&body)
}

fn list(random: &mut Random, shape: Shape) -> Vec<u8> {
    let mut body = Vec::new();
    let usual = random.below(21);
    for index in 0..random.below(4) {
        let kind = if random.below(100) < shape.conflicts {
            random.below(21)
        } else {
            usual
        };
        let key = if random.below(20) == 0 {
            "odd".into()
        } else {
            index.to_string()
        };
        element(random, shape, kind, &key, &mut body);
    }
    framed(&body)
}

/// Adds the length and the final NUL to `body`.
pub fn framed(body: &[u8]) -> Vec<u8> {
    let mut bytes = (body.len() as i32 + 5).to_le_bytes().to_vec();
    bytes.extend_from_slice(body);
    bytes.push(0);
    bytes
}

fn element(random: &mut Random, shape: Shape, kind: u64, key: &str, out: &mut Vec<u8>) {
    const TYPES: [u8; 21] = [
        0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x0E, 0x0F,
        0x10, 0x11, 0x12, 0x13, 0x7F, 0xFF,
    ];
    let mut tag = TYPES[kind as usize];
    if shape.depth == 0 && matches!(tag, 0x03 | 0x04 | 0x0F) {
        tag = 0x10;
    }
    if random.below(10) == 0 {
        tag = 0x0A;
    }
    out.push(tag);
    out.extend_from_slice(key.as_bytes());
    out.push(0);
    let inner = Shape {
        depth: shape.depth.saturating_sub(1),
        ..shape
    };
    let value = match tag {
        0x01 => [0.0, -0.0, 1.5, f64::NAN, f64::INFINITY, 1e300][random.below(6) as usize]
            .to_le_bytes()
            .to_vec(),
        0x02 | 0x0D | 0x0E => string(&random.text()),
        0x03 => document(random, inner),
        0x04 => list(random, inner),
        0x05 => {
            let subtype = [0, 0, 0, 2, 4, 4, 5, 0x80][random.below(8) as usize];
            let len = if subtype == 4 && random.below(4) > 0 {
                16
            } else {
                random.below(20)
            };
            let mut data = random.bytes(len as usize);
            if subtype == 2 {
                let len = data.len() as i32;
                data.splice(0..0, len.to_le_bytes());
            }
            let mut value = (data.len() as i32).to_le_bytes().to_vec();
            value.push(subtype);
            value.extend(data);
            value
        }
        0x07 => random.bytes(12),
        0x08 => vec![random.below(2) as u8],
        0x09 | 0x11 | 0x12 => random.next().to_le_bytes().to_vec(),
        0x0B => b"^a.*\0im\0".to_vec(),
        0x0C => [string("db.coll"), random.bytes(12)].concat(),
        0x0F => {
            let body = [string(&random.text()), document(random, inner)].concat();
            [(body.len() as i32 + 4).to_le_bytes().to_vec(), body].concat()
        }
        0x10 => (random.next() as i32).to_le_bytes().to_vec(),
        0x13 => random.bytes(16),
        _ => Vec::new(),
    };
    out.extend(value);
}

fn string(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as i32 + 1).to_le_bytes().to_vec();
    bytes.extend_from_slice(text.as_bytes());
    bytes.push(0);
    bytes
}
