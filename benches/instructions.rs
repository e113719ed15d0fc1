//! Runs one stage of the core repeatedly under a tool that counts instructions; `benches/instructions.py` calls it.
//!
//! `instructions FILE walk|index|decode|table|encode TIMES`

use std::hint::black_box;
use std::path::Path;

use data_bridge::decode::{decode, DecodeOptions};
use data_bridge::encode::{EncodeOptions, Nulls, Plan};
use data_bridge::index::{index_piece, Limits};
use data_bridge::raw::TextPolicy;
use data_bridge_benches::{read, table, walk, Piece};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, stage, times] = &arguments[..] else {
        return Err("usage: instructions FILE walk|index|decode|table|encode TIMES".into());
    };
    let pieces = read(Path::new(file))?;
    if stage == "encode" {
        // The tables are made before, and are no part of the stage.
        let tables: Vec<_> = pieces.iter().map(table).collect::<Result<_, _>>()?;
        for _ in 0..times.parse::<u32>()? {
            for table in &tables {
                let options = EncodeOptions {
                    nulls: Nulls::Omit,
                    ..EncodeOptions::default()
                };
                black_box(Plan::new(&table.schema(), options)?.encode(table, 0)?);
            }
        }
        return Ok(());
    }
    for _ in 0..times.parse::<u32>()? {
        for piece in &pieces {
            run(stage, piece)?;
        }
    }
    Ok(())
}

fn run(stage: &str, piece: &Piece) -> Result<(), Box<dyn std::error::Error>> {
    let chunk = || decode(&piece.bytes, &piece.offsets, &DecodeOptions::default());
    match stage {
        "walk" => {
            black_box(walk(piece));
        }
        "index" => {
            let starts = piece.offsets.iter().map(|&offset| offset as usize);
            let limits = Limits::default();
            black_box(index_piece(
                &piece.bytes,
                starts,
                TextPolicy::Strict,
                limits,
            ))
            .map_err(|stop| format!("{stop:?}"))?;
        }
        "decode" => {
            black_box(chunk()?);
        }
        "table" => {
            black_box(table(piece)?);
        }
        _ => return Err(format!("no stage {stage}").into()),
    }
    Ok(())
}
