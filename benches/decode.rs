//! Index and decode of one piece, one thread, beside the floor: a mere walk over the element headers.
//!
//! `cargo bench --profile release -p data-bridge-benches`

use criterion::{criterion_group, criterion_main, Criterion, Throughput};
use data_bridge::decode::{decode, DecodeOptions};
use data_bridge::index::{index_piece, Limits};
use data_bridge::raw::{ElementType, Elements, TextPolicy};
use data_bridge_benches::{flat, nested};

/// Visits every element, nested ones too, reading headers only.
fn walk(document: &[u8]) -> u64 {
    let mut elements = 0;
    for element in Elements::new(document).into_iter().flatten().flatten() {
        elements += 1;
        if matches!(element.kind, ElementType::Document | ElementType::List) {
            elements += walk(element.value);
        }
    }
    elements
}

fn shapes(criterion: &mut Criterion) {
    for (name, make) in [("flat", flat as fn(u64) -> Vec<u8>), ("nested", nested)] {
        let mut bytes = Vec::new();
        let mut offsets = Vec::new();
        while bytes.len() < 1 << 20 {
            offsets.push(bytes.len() as u32);
            bytes.extend(make(offsets.len() as u64));
        }
        let starts = || offsets.iter().map(|&offset| offset as usize);
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function("walk", |bencher| {
            bencher.iter(|| starts().map(|at| walk(&bytes[at..])).sum::<u64>())
        });
        group.bench_function("index", |bencher| {
            bencher.iter(|| index_piece(&bytes, starts(), TextPolicy::Strict, Limits::default()))
        });
        group.bench_function("decode", |bencher| {
            bencher.iter(|| decode(&bytes, &offsets, &DecodeOptions::default()))
        });
        group.finish();
    }
}

criterion_group!(benches, shapes);
criterion_main!(benches);
