//! The import direction of the layers, and the core's independence of Python.
//!
//! The check reads text, not syntax. Comments and strings are blanked, then every `crate::X` is an edge, in a `use`
//! group or in an expression. An upward edge is reported with its file and line.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // tests fail by panicking

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The layers, lowest first. Modules of one row must not import each other.
const LAYERS: &[&[&str]] = &[
    &["error"],
    &["raw"],
    &["index"],
    &["chunk"],
    &["decode", "schema"],
    &["conform"],
    &["reader"],
    &["source"],
];

/// The crate's front page re-exports items of the layers, so it may name all of them.
const FRONT_PAGE: &str = "lib";

/// Names that the core must not use.
const FOREIGN: &[&str] = &["pyo3", "pyo3_arrow"];

#[test]
fn imports_go_down_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = BTreeMap::new();
    collect(&root, &root, &mut files);
    assert!(files.len() > 2, "no sources in {}", root.display());
    let faults: Vec<String> = files
        .iter()
        .flat_map(|(path, text)| faults(path, text))
        .collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn the_core_does_not_depend_on_python() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let text = fs::read_to_string(manifest).expect("the manifest is readable");
    let dependencies = text.split("\n[").filter(|table| {
        let name = table.split(']').next().unwrap_or_default();
        name.trim_start_matches('[').ends_with("dependencies")
    });
    for table in dependencies {
        assert!(!table.contains("pyo3"), "[{table}");
    }
}

#[test]
fn an_edge_that_goes_up_is_named() {
    let text = "//! Doc: crate::source is fine here.\n\
                use crate::error::Error;\n\
                use crate::{\n    raw::{self, Element},\n    conform::Policy, // goes up\n};\n\
                /* crate::reader /* nested */ crate::reader */\n\
                const TEXT: &str = \"crate::reader \\\" crate::reader\";\n\
                const RAW: &str = r#\"crate::reader \" pyo3\"#;\n\
                fn f<'a>(x: &'a str) -> char { '\"' }\n\
                fn g() { crate :: schema::join(); }\n\
                pub(crate) use super::super::reader::Reader;\n\
                fn h() { pyo3::prepare(); }\n\
                use crate::decode::Plan as P; use crate::misspelt;\n";
    let found = faults("decode/list.rs", text);
    let expected = [
        ("decode/list.rs:5", "conform"),
        ("decode/list.rs:11", "schema"),
        ("decode/list.rs:12", "reader"),
        ("decode/list.rs:13", "pyo3"),
        ("decode/list.rs:14", "misspelt"),
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for ((place, word), fault) in expected.iter().zip(&found) {
        assert!(fault.starts_with(place), "{fault} is not at {place}");
        assert!(fault.contains(word), "{fault} does not name {word}");
    }
}

#[test]
fn groups_super_and_self_are_understood() {
    let text = "use crate::{error::{Error, Result}, index};\n\
                use super::sibling;\n\
                use self::child::Thing;\n\
                mod tests { use super::super::Thing; use super::*; }\n";
    assert_eq!(faults("chunk/cell.rs", text), Vec::<String>::new());
    assert_eq!(faults("chunk/mod.rs", "use super::reader;").len(), 1);
    assert_eq!(faults("lib.rs", "pub use crate::source::Client;").len(), 0);
    assert_eq!(faults("nowhere.rs", "").len(), 1);
}

/// Every Rust file below `directory`, by its path from `root`.
fn collect(root: &Path, directory: &Path, files: &mut BTreeMap<String, String>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(directory)
        .expect("src is readable")
        .map(|entry| entry.expect("src is readable").path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(root, &path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root).expect("below src");
            let name = name.to_string_lossy().replace('\\', "/");
            files.insert(name, fs::read_to_string(&path).expect("UTF-8 source"));
        }
    }
}

/// Returns the faults of one file's imports, in order.
fn faults(path: &str, text: &str) -> Vec<String> {
    let modules: Vec<&str> = path.trim_end_matches(".rs").split('/').collect();
    let own = modules[0];
    let layer = layer_of(own);
    if layer.is_none() && own != FRONT_PAGE {
        return vec![format!(
            "{path}:1: module `{own}` is in no layer; add it to LAYERS in tests/architecture.rs"
        )];
    }
    // Number of `super`s from this file's module to the crate root.
    let depth = modules.len() - usize::from(modules.last() == Some(&"mod"));
    let tokens = tokens(&blank(text));
    let mut found = Vec::new();
    for (line, target) in edges(&tokens, depth) {
        if FOREIGN.contains(&target.as_str()) {
            found.push(format!(
                "{path}:{line}: the core must not mention `{target}`"
            ));
        } else if let Some(layer) = layer {
            let downward = match layer_of(&target) {
                Some(below) => below < layer || target == own,
                None => false,
            };
            if !downward {
                found.push(format!(
                    "{path}:{line}: `{own}` imports `crate::{target}`, which is not below it"
                ));
            }
        }
    }
    found
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&module))
}

/// Returns the first segments of all paths from the crate root, and foreign names, with their lines.
fn edges(tokens: &[(usize, String)], depth: usize) -> Vec<(usize, String)> {
    let word = |at: usize| tokens.get(at).map_or("", |token| token.1.as_str());
    let mut found = Vec::new();
    let mut at = 0;
    // Inline modules (such as `mod tests`) keep a `super` within the file, so their braces are counted.
    let mut inline: Vec<usize> = Vec::new();
    let mut braces = 0;
    while at < tokens.len() {
        match word(at) {
            "{" => {
                braces += 1;
                if at >= 2 && word(at - 2) == "mod" {
                    inline.push(braces);
                }
            }
            "}" => {
                if inline.last() == Some(&braces) {
                    inline.pop();
                }
                braces = braces.saturating_sub(1);
            }
            foreign if FOREIGN.contains(&foreign) => found.push((tokens[at].0, foreign.to_owned())),
            "crate" | "super" if at < 2 || word(at - 1) != "::" => {
                let mut end = at + 1;
                let mut supers = usize::from(word(at) == "super");
                while word(end) == "::" && word(end + 1) == "super" {
                    supers += 1;
                    end += 2;
                }
                let at_root = word(at) == "crate" || supers >= depth + inline.len();
                if at_root && word(end) == "::" {
                    end += 1;
                    first_segments(tokens, end, &mut found);
                }
                // Only the prefix is consumed, because the braces of a group are still to be counted.
                at = end;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// The path segments after `crate::`: one name, or the first names of a group.
fn first_segments(tokens: &[(usize, String)], start: usize, found: &mut Vec<(usize, String)>) {
    let word = |at: usize| tokens.get(at).map_or("", |token| token.1.as_str());
    if word(start) != "{" {
        // A name from the crate's front page (`crate::Error`) is not a module.
        if word(start).starts_with(|first: char| first.is_ascii_lowercase()) {
            found.push((tokens[start].0, word(start).to_owned()));
        }
        return;
    }
    let mut level = 0;
    let mut before = "";
    for (line, token) in &tokens[start..] {
        match token.as_str() {
            "{" => level += 1,
            "}" if level == 1 => return,
            "}" => level -= 1,
            head if level == 1
                && matches!(before, "{" | ",")
                && head != "self"
                && head.starts_with(|first: char| first.is_ascii_lowercase()) =>
            {
                found.push((*line, head.to_owned()));
            }
            _ => {}
        }
        before = token;
    }
}

/// Words and punctuation with their lines; `::` is one token.
fn tokens(code: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    for (line, text) in code.lines().enumerate() {
        let mut characters = text.chars().peekable();
        while let Some(first) = characters.next() {
            let mut token = String::from(first);
            if first.is_alphanumeric() || first == '_' {
                while let Some(&next) = characters.peek() {
                    if !next.is_alphanumeric() && next != '_' {
                        break;
                    }
                    token.push(next);
                    characters.next();
                }
            } else if first == ':' && characters.peek() == Some(&':') {
                characters.next();
                token.push(':');
            } else if first.is_whitespace() {
                continue;
            }
            found.push((line + 1, token));
        }
    }
    found
}

/// Replaces comments, strings and characters by spaces; line numbers are unchanged.
fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut output = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        let length = skipped(&bytes[at..], at.checked_sub(1).map(|before| bytes[before]));
        if length == 0 {
            output.push(char::from(bytes[at]));
            at += 1;
        } else {
            let gone = &bytes[at..at + length];
            output.extend(
                gone.iter()
                    .map(|&byte| if byte == b'\n' { '\n' } else { ' ' }),
            );
            at += length;
        }
    }
    output
}

/// The length of the comment or literal that starts here, or 0.
fn skipped(rest: &[u8], before: Option<u8>) -> usize {
    let until = |end: usize| end.min(rest.len());
    let in_word = before.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if rest.starts_with(b"//") {
        return rest
            .iter()
            .position(|&byte| byte == b'\n')
            .unwrap_or(rest.len());
    }
    if rest.starts_with(b"/*") {
        let (mut level, mut at) = (0_usize, 0);
        while at < rest.len() {
            if rest[at..].starts_with(b"/*") {
                (level, at) = (level + 1, at + 2);
            } else if rest[at..].starts_with(b"*/") {
                (level, at) = (level - 1, at + 2);
                if level == 0 {
                    return at;
                }
            } else {
                at += 1;
            }
        }
        return rest.len();
    }
    let raw = rest.strip_prefix(b"b").unwrap_or(rest);
    if !in_word && raw.first() == Some(&b'r') {
        let hashes = raw[1..].iter().take_while(|&&byte| byte == b'#').count();
        if raw.get(1 + hashes) == Some(&b'"') {
            let start = rest.len() - raw.len() + hashes + 2;
            let close = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
            let found = rest[start..]
                .windows(close.len())
                .position(|each| each == close);
            return until(found.map_or(rest.len(), |position| start + position + close.len()));
        }
    }
    match rest {
        [b'"', ..] => {
            let mut at = 1;
            while at < rest.len() && rest[at] != b'"' {
                at += 1 + usize::from(rest[at] == b'\\');
            }
            until(at + 1)
        }
        // A character, not a lifetime: the quote closes after one character or an escape.
        [b'\'', b'\\', ..] => rest[2..]
            .iter()
            .skip(1)
            .position(|&byte| byte == b'\'')
            .map_or(0, |end| until(end + 4)),
        [b'\'', tail @ ..] => {
            let width = std::str::from_utf8(&tail[..tail.len().min(4)])
                .or_else(|error| std::str::from_utf8(&tail[..error.valid_up_to()]))
                .ok()
                .and_then(|text| text.chars().next())
                .map_or(1, char::len_utf8);
            if tail.get(width) == Some(&b'\'') {
                width + 2
            } else {
                0
            }
        }
        _ => 0,
    }
}
