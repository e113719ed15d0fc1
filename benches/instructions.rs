//! Runs one stage of the core repeatedly under a tool that counts instructions; `benches/instructions.py` calls it.
//!
//! `instructions FILE walk|index|decode|table TIMES`

use std::hint::black_box;
use std::path::Path;

use data_bridge::conform::{conform, Policy};
use data_bridge::decode::{decode, DecodeOptions};
use data_bridge::index::{index_piece, Limits};
use data_bridge::raw::TextPolicy;
use data_bridge::schema::ObservedTypes;
use data_bridge_benches::{read, walk, Piece};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, stage, times] = &arguments[..] else {
        return Err("usage: instructions FILE walk|index|decode|table TIMES".into());
    };
    let pieces = read(Path::new(file))?;
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
            let chunk = chunk()?;
            let schema = ObservedTypes::of(&chunk, 0).resolve(
                &data_bridge::schema::Limits::default(),
                &data_bridge::schema::Representation::exact(),
            )?;
            black_box(conform(&chunk, &schema, &Policy::default())?);
        }
        _ => return Err(format!("no stage {stage}").into()),
    }
    Ok(())
}
