//! The checks of `make fuzz` on its seeds and on inputs that failed before.
//!
//! `cargo test --test fuzz_seeds -- --ignored` rewrites the seeds.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // tests fail by panicking

#[path = "../fuzz/checks.rs"]
mod checks;
mod generate;

use std::path::{Path, PathBuf};

use generate::{document, Random, Shape};

/// Option: grow documents from the bytes instead of reading them.
const GROW: u8 = 4;

fn seeds() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds")
}

fn check(data: &[u8]) {
    checks::check_decode(data);
    checks::check_table(data);
    checks::check_view(data);
    checks::check_encode(data);
}

#[test]
fn seeds_and_regressions_pass_the_checks() {
    let mut files = 0;
    for entry in std::fs::read_dir(seeds()).unwrap() {
        let path = entry.unwrap().path();
        eprintln!("{}", path.display()); // shown when a check fails
        check(&std::fs::read(path).unwrap());
        files += 1;
    }
    assert!(files >= 8, "{files} seeds");
}

#[test]
fn inputs_grown_from_random_bytes_pass_the_checks() {
    let mut random = Random(1);
    for round in 0..3000 {
        let len = 4 + random.below(400) as usize;
        let mut data = random.bytes(len);
        data[0] = (data[0] & !GROW) | if round % 4 == 0 { 0 } else { GROW };
        eprintln!("{data:?}"); // shown when a check fails
        check(&data);
    }
}

#[test]
#[ignore = "writes fuzz/seeds"]
fn write_seeds() {
    let shape = |depth, duplicates, conflicts| Shape {
        keys: 6,
        depth,
        duplicates,
        conflicts,
    };
    let shapes = [shape(2, 0, 0), shape(3, 0, 30), shape(2, 40, 10)];
    for (number, shape) in shapes.into_iter().enumerate() {
        let mut random = Random(number as u64);
        let documents: Vec<_> = (0..4).map(|_| document(&mut random, shape)).collect();
        for (limits, name) in [(0, "wire"), (0x13, "wire-small-limits")] {
            let data = [&[0, limits, 2][..], &documents.concat()].concat();
            std::fs::write(seeds().join(format!("{name}-{number}")), data).unwrap();
        }
        for text in 0..3 {
            let data = [
                &[GROW | text, 0x13 * (number as u8 % 2), 2][..],
                &random.bytes(120),
            ]
            .concat();
            std::fs::write(seeds().join(format!("grown-{number}-{text}")), data).unwrap();
        }
    }
}
