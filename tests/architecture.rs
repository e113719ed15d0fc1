//! The import direction of the layers and of the directories of `source`, small cycles, and no Python in the core.
//!
//! The check reads text, not syntax. Comments and strings are blanked, then every path that starts with `crate`, `super`
//! or `self` is an edge, in a `use` group or in an expression. An upward edge is reported with its file and line.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // tests fail by panicking

use std::collections::{BTreeMap, BTreeSet};
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
    &["encode"],
    &["source"],
];

/// The directories of `source`, lowest first. Those of one row must not import each other.
const SOURCE_LAYERS: &[&[&str]] = &[
    &["monitoring"],
    &["runtime"],
    &["cleanup"],
    &["connection"],
    &["read", "write"],
];

/// Files in a cycle of imports of `source`, at most. They must be in one directory.
const LARGEST_CYCLE: usize = 3;

/// The crate's front page re-exports items of the layers, so it may name all of them.
const FRONT_PAGE: &str = "lib";

/// Names that the core must not use.
const FOREIGN: &[&str] = &["pyo3", "pyo3_arrow"];

#[test]
fn imports_go_down_only() {
    let files = sources();
    let faults: Vec<String> = files
        .iter()
        .flat_map(|(path, text)| faults(path, text))
        .collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn cycles_of_the_source_are_small_and_stay_in_a_directory() {
    let files = sources();
    let source = files.iter().filter(|(path, _)| path.starts_with("source/"));
    let cycles = cycles(&graph(source));
    let large: Vec<_> = cycles
        .iter()
        .filter(|cycle| {
            let directories: BTreeSet<&str> = cycle.iter().map(|path| directory(path)).collect();
            cycle.len() > LARGEST_CYCLE || directories.len() > 1
        })
        .collect();
    assert!(large.is_empty(), "{large:#?}");
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

#[test]
fn directories_of_the_source_are_layers() {
    let text = "use crate::source::monitoring::events::Event;\n\
                use super::session::Session;\n\
                use crate::source::{read::{query, cursor::CursorSource}, runtime::task};\n\
                use super::super::write::commands;\n\
                fn f(client: &crate::source::Client) { crate::source::elsewhere::g() }\n\
                mod tests { use super::super::super::cleanup::kill; }\n";
    let found = faults("source/connection/client.rs", text);
    let expected = [
        ("source/connection/client.rs:3", "source::read"),
        ("source/connection/client.rs:4", "source::write"),
        ("source/connection/client.rs:5", "source::Client"),
        ("source/connection/client.rs:5", "source::elsewhere"),
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for ((place, word), fault) in expected.iter().zip(&found) {
        assert!(fault.starts_with(place), "{fault} is not at {place}");
        assert!(fault.contains(word), "{fault} does not name {word}");
    }
    assert_eq!(faults("source/mod.rs", "use self::read::cursor;").len(), 0);
    assert_eq!(faults("source/client.rs", "").len(), 1);
}

#[test]
fn cycles_are_found() {
    let files = BTreeMap::from([
        ("a/mod.rs".to_owned(), "use self::one::One;".to_owned()),
        (
            "a/one.rs".to_owned(),
            "use super::two::{Two, TWO};".to_owned(),
        ),
        (
            "a/two.rs".to_owned(),
            "use super::Outer; mod tests { use super::*; }".to_owned(),
        ),
        ("b.rs".to_owned(), "use crate::a::one;".to_owned()),
    ]);
    let graph = graph(&files);
    assert_eq!(graph["b.rs"], BTreeSet::from(["a/one.rs".to_owned()]));
    let expected: Vec<_> = files.keys().take(3).cloned().collect();
    assert_eq!(cycles(&graph), [expected]);
}

/// Every source file of the core, by its path.
fn sources() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = BTreeMap::new();
    collect(&root, &root, &mut files);
    assert!(files.len() > 2, "no sources in {}", root.display());
    files
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

/// The names of a file's module, from the crate's root.
fn module(path: &str) -> Vec<&str> {
    let mut names: Vec<&str> = path.trim_end_matches(".rs").split('/').collect();
    if names.last() == Some(&"mod") {
        names.pop();
    }
    names
}

/// The directory of a file.
fn directory(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

/// Returns the faults of one file's imports, in order.
fn faults(path: &str, text: &str) -> Vec<String> {
    let module = module(path);
    let own = module[0];
    let layer = layer_of(LAYERS, own);
    if layer.is_none() && own != FRONT_PAGE {
        return vec![format!(
            "{path}:1: module `{own}` is in no layer; add it to LAYERS in tests/architecture.rs"
        )];
    }
    let inner = module.get(1).copied().filter(|_| own == "source");
    if let Some(inner) = inner.filter(|inner| layer_of(SOURCE_LAYERS, inner).is_none()) {
        return vec![format!(
            "{path}:1: `source/{inner}` is in no layer; add it to SOURCE_LAYERS in tests/architecture.rs"
        )];
    }
    let mut found = Vec::new();
    for (line, target) in edges(&tokens(&blank(text)), &module) {
        let Some(first) = target.first() else {
            continue;
        };
        if FOREIGN.contains(&first.as_str()) {
            found.push(format!(
                "{path}:{line}: the core must not mention `{first}`"
            ));
        } else if let (Some(layer), true) = (layer, is_module(first)) {
            let downward = layer_of(LAYERS, first).is_some_and(|below| below < layer);
            if !downward && first != own {
                found.push(format!(
                    "{path}:{line}: `{own}` imports `crate::{first}`, which is not below it"
                ));
            }
        }
        if let (Some(inner), true) = (inner, first == own) {
            let second = target.get(1).map_or("*", String::as_str);
            let below = layer_of(SOURCE_LAYERS, second);
            if second != inner && (below.is_none() || below >= layer_of(SOURCE_LAYERS, inner)) {
                found.push(format!(
                    "{path}:{line}: `source/{inner}` imports `source::{second}`, which is no directory below it"
                ));
            }
        }
    }
    found.dedup();
    found
}

fn layer_of(layers: &[&[&str]], module: &str) -> Option<usize> {
    layers.iter().position(|row| row.contains(&module))
}

/// Returns whether a segment of a path names a module; a name of the crate's front page (`crate::Error`) does not.
fn is_module(segment: &str) -> bool {
    segment.starts_with(|first: char| first.is_ascii_lowercase())
}

/// The files that each file imports. Imports of other crates, and of files that are not in `files`, are left out.
fn graph<'a>(
    files: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> BTreeMap<String, BTreeSet<String>> {
    let files: Vec<_> = files.into_iter().collect();
    let known: BTreeMap<String, &String> = files
        .iter()
        .map(|(path, _)| (module(path).join("::"), *path))
        .collect();
    let imported = |path: &str, text: &str| -> BTreeSet<String> {
        edges(&tokens(&blank(text)), &module(path))
            .into_iter()
            .filter_map(|(_, target)| {
                // The longest prefix is the file; the rest are names in it.
                let mut prefixes = (1..=target.len()).rev();
                prefixes.find_map(|end| known.get(&target[..end].join("::")))
            })
            .filter(|target| target.as_str() != path)
            .map(|target| (*target).clone())
            .collect()
    };
    files
        .iter()
        .map(|(path, text)| ((*path).clone(), imported(path, text)))
        .collect()
}

/// The cycles of a graph: sets of more than one node in which each node reaches all others.
fn cycles(graph: &BTreeMap<String, BTreeSet<String>>) -> Vec<Vec<String>> {
    let reached: BTreeMap<&String, BTreeSet<&String>> = graph
        .keys()
        .map(|start| {
            let (mut seen, mut open) = (BTreeSet::new(), vec![start]);
            while let Some(node) = open.pop() {
                open.extend(graph[node].iter().filter(|next| seen.insert(*next)));
            }
            (start, seen)
        })
        .collect();
    let cycles: BTreeSet<Vec<String>> = graph
        .keys()
        .filter(|node| reached[node].contains(node))
        .map(|node| {
            let others = reached[node].iter();
            let cycle = others.filter(|other| reached[**other].contains(node));
            cycle.map(|other| (*other).clone()).collect()
        })
        .collect();
    cycles.into_iter().collect()
}

/// Returns all paths from the crate's root, and foreign names, with their lines. `module` is the file's.
fn edges(tokens: &[(usize, String)], module: &[&str]) -> Vec<(usize, Vec<String>)> {
    let word = |at: usize| tokens.get(at).map_or("", |token| token.1.as_str());
    let mut found = Vec::new();
    let mut at = 0;
    // Inline modules (such as `mod tests`) keep a `super` within the file, so their braces are counted.
    let mut inline: Vec<(usize, &str)> = Vec::new();
    let mut braces = 0;
    while at < tokens.len() {
        match word(at) {
            "{" => {
                braces += 1;
                if at >= 2 && word(at - 2) == "mod" {
                    inline.push((braces, word(at - 1)));
                }
            }
            "}" => {
                if inline.last().is_some_and(|(opened, _)| *opened == braces) {
                    inline.pop();
                }
                braces = braces.saturating_sub(1);
            }
            foreign if FOREIGN.contains(&foreign) => {
                found.push((tokens[at].0, vec![foreign.to_owned()]));
            }
            start @ ("crate" | "super" | "self")
                if word(at + 1) == "::" && (at == 0 || word(at - 1) != "::") =>
            {
                let own = module.iter().chain(inline.iter().map(|(_, name)| name));
                let mut base: Vec<String> = own.map(|name| (*name).to_owned()).collect();
                match start {
                    "crate" => base.clear(),
                    "super" => drop(base.pop()),
                    _ => {}
                }
                let mut end = at + 2;
                while word(end) == "super" && word(end + 1) == "::" {
                    base.pop();
                    end += 2;
                }
                paths(tokens, end, &base, &mut found);
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

/// Adds the path that starts at a token behind `base`, or all paths of a group. Returns the position behind it.
fn paths(
    tokens: &[(usize, String)],
    start: usize,
    base: &[String],
    found: &mut Vec<(usize, Vec<String>)>,
) -> usize {
    let word = |at: usize| tokens.get(at).map_or("", |token| token.1.as_str());
    let mut path = base.to_vec();
    let mut at = start;
    loop {
        match word(at) {
            "{" => {
                at += 1;
                while !matches!(word(at), "}" | "") {
                    at = match word(at) {
                        "," => at + 1,
                        _ => paths(tokens, at, &path, found),
                    };
                }
                return at + 1;
            }
            "" => return at,
            segment => {
                if !matches!(segment, "*" | "self") {
                    path.push(segment.to_owned());
                }
                if word(at + 1) == "::" {
                    at += 2;
                    continue;
                }
                found.push((tokens[at].0, path));
                // In a group a path may have another name: `name as other`.
                return if word(at + 1) == "as" { at + 3 } else { at + 1 };
            }
        }
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
