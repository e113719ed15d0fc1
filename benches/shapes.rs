//! The documents that are measured.

/// A document: its elements between length and NUL.
fn framed(body: Vec<u8>) -> Vec<u8> {
    let mut bytes = (body.len() as i32 + 5).to_le_bytes().to_vec();
    bytes.extend(body);
    bytes.push(0);
    bytes
}

fn element(kind: u8, key: &str, value: &[u8]) -> Vec<u8> {
    [&[kind], key.as_bytes(), &[0], value].concat()
}

fn string(text: &str) -> Vec<u8> {
    let len = (text.len() as i32 + 1).to_le_bytes();
    [&len[..], text.as_bytes(), &[0]].concat()
}

/// 7 fields, about 124 bytes.
pub fn flat(n: u64) -> Vec<u8> {
    let mut id = [7; 12];
    id[..8].copy_from_slice(&n.to_le_bytes());
    framed(
        [
            element(0x07, "_id", &id),
            element(0x10, "quantity", &(n as i32).to_le_bytes()),
            element(0x12, "number", &n.to_le_bytes()),
            element(0x01, "price", &(n as f64 * 0.25).to_le_bytes()),
            element(0x02, "name", &string(&format!("customer {n}"))),
            element(0x09, "created", &n.to_le_bytes()),
            element(0x08, "active", &[(n % 2) as u8]),
        ]
        .concat(),
    )
}

/// A customer document and a list of item documents, about 900 bytes.
pub fn nested(n: u64) -> Vec<u8> {
    let customer = framed(
        [
            element(0x02, "name", &string("Ada Lovelace")),
            element(0x02, "email", &string("ada@example.org")),
            element(0x10, "age", &(n as i32 % 90).to_le_bytes()),
        ]
        .concat(),
    );
    let items: Vec<u8> = (0..8)
        .flat_map(|i| {
            let item = framed(
                [
                    element(0x02, "sku", &string(&format!("SKU-{:06}", n * 8 + i))),
                    element(0x10, "quantity", &(i as i32).to_le_bytes()),
                    element(0x01, "price", &(i as f64 * 1.25).to_le_bytes()),
                    element(0x08, "gift", &[(i % 2) as u8]),
                ]
                .concat(),
            );
            element(0x03, &i.to_string(), &item)
        })
        .collect();
    framed(
        [
            element(0x07, "_id", &[1; 12]),
            element(0x03, "customer", &customer),
            element(0x04, "items", &framed(items)),
            element(0x09, "created", &n.to_le_bytes()),
        ]
        .concat(),
    )
}
