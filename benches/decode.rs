//! Index, decode and encode on one thread, compared with the minimum: a walk over the element headers.
//!
//! `python benches/shapes.py target/shapes && cargo bench -p data-bridge-benches`

use std::path::Path;

use criterion::{criterion_group, criterion_main, Criterion, Throughput};
use data_bridge::decode::{decode, DecodeOptions};
use data_bridge::encode::{EncodeOptions, Nulls, Plan};
use data_bridge::index::{index_piece, Limits};
use data_bridge::raw::TextPolicy;
use data_bridge_benches::{read, table, walk};

fn shapes(criterion: &mut Criterion) {
    // A table of one piece may be encoded in several.
    let _ = data_bridge::reader::set_threads(1);
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/shapes");
    let Ok(entries) = std::fs::read_dir(&directory) else {
        eprintln!("first: python benches/shapes.py target/shapes");
        return;
    };
    let mut files: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    files.sort();
    for file in files {
        let Some(piece) = read(&file)
            .ok()
            .and_then(|pieces| pieces.into_iter().next())
        else {
            continue;
        };
        let starts = || piece.offsets.iter().map(|&offset| offset as usize);
        let mut group =
            criterion.benchmark_group(file.file_stem().unwrap_or_default().to_string_lossy());
        group.throughput(Throughput::Bytes(piece.bytes.len() as u64));
        group.bench_function("walk", |bencher| bencher.iter(|| walk(&piece)));
        group.bench_function("index", |bencher| {
            bencher.iter(|| {
                index_piece(
                    &piece.bytes,
                    starts(),
                    TextPolicy::Strict,
                    Limits::default(),
                )
            })
        });
        group.bench_function("decode", |bencher| {
            bencher.iter(|| decode(&piece.bytes, &piece.offsets, &DecodeOptions::default()))
        });
        let Ok(table) = table(&piece) else { continue };
        let omit = EncodeOptions {
            nulls: Nulls::Omit,
            ..EncodeOptions::default()
        };
        let Ok(plan) = Plan::new(&table.schema(), omit) else {
            continue;
        };
        group.bench_function("encode", |bencher| bencher.iter(|| plan.encode(&table, 0)));
        group.finish();
    }
}

criterion_group!(benches, shapes);
criterion_main!(benches);
