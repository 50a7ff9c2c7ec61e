//! The must-never list of `src/ARCHITECTURE.md`, held by reading the imports.

use std::path::{Path, PathBuf};

fn source_files(room: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let single = root.join(format!("{room}.rs"));
    let mut files: Vec<PathBuf> = walkdir::WalkDir::new(root.join(room))
        .into_iter()
        .filter_map(Result::ok)
        .map(walkdir::DirEntry::into_path)
        .filter(|p| p.extension().is_some_and(|e| e == "rs"))
        .collect();
    if single.exists() {
        files.push(single);
    }
    assert!(!files.is_empty(), "no room called {room}");
    files
}

/// Everything but comments and strings' worth of tests: the code that ships.
fn code(file: &Path) -> String {
    let text = std::fs::read_to_string(file).unwrap();
    text.split("#[cfg(test)]")
        .next()
        .unwrap_or_default()
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Whether `word` stands there as a whole path segment.
fn mentions(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        let edge = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '_');
        edge(code[..at].chars().next_back()) && edge(code[at + word.len()..].chars().next())
    })
}

fn assert_absent(rooms: &[&str], words: &[&str]) {
    for room in rooms {
        for file in source_files(room) {
            if file.components().any(|c| c.as_os_str() == "tests") {
                continue;
            }
            let code = code(&file);
            for word in words {
                assert!(
                    !mentions(&code, word),
                    "{} must not mention `{word}`",
                    file.display()
                );
            }
        }
    }
}

const VOCABULARY: [&str; 8] = [
    "geometry",
    "detection",
    "embedding",
    "hazard",
    "record",
    "finding",
    "id",
    "zone",
];
/// Reads the clock, and is all that may.
const CLOCK: [&str; 1] = ["clock"];
const PURE: [&str; 14] = [
    "bank",
    "preprocess",
    "tiling",
    "tracking",
    "confirm",
    "postprocess",
    "rules",
    "same_place",
    "render",
    "eval",
    "attention",
    "motion",
    "reference",
    "health",
];
const ADAPTERS: [&str; 5] = ["source", "inference", "dataset", "ledger", "evidence"];
const FACES: [&str; 6] = ["pipeline", "jobs", "cameras", "config", "api", "cli"];

fn all_but(exempt: &[&str]) -> Vec<&'static str> {
    [&VOCABULARY[..], &CLOCK, &PURE, &ADAPTERS, &FACES]
        .concat()
        .into_iter()
        .filter(|room| !exempt.contains(room))
        .collect()
}

#[test]
fn every_room_is_on_the_list() {
    let lib =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let rooms: Vec<&str> = lib
        .lines()
        .filter_map(|l| l.strip_prefix("pub mod ")?.strip_suffix(';'))
        .collect();
    let mut listed = all_but(&[]);
    listed.sort_unstable();
    let mut found = rooms.clone();
    found.sort_unstable();
    assert_eq!(found, listed, "a new room needs its place in this test");
}

#[test]
fn vocabulary_and_pure_stages_touch_nothing_outside() {
    let rooms = [&VOCABULARY[..], &PURE].concat();
    let words = [
        "tokio",
        "axum",
        "sqlx",
        "sea_orm",
        "ort",
        "std::fs",
        "std::net",
        "std::process",
        "SystemTime",
        "Instant",
        "Timestamp::now",
        "Zoned::now",
        "crate::clock",
    ];
    assert_absent(&rooms, &words);
}

#[test]
fn dependencies_point_one_way() {
    for room in VOCABULARY {
        let others = [&PURE[..], &ADAPTERS, &FACES].concat();
        let paths: Vec<String> = others.iter().map(|r| format!("crate::{r}")).collect();
        assert_absent(
            &[room],
            &paths.iter().map(String::as_str).collect::<Vec<_>>(),
        );
    }
    for room in PURE {
        let others = [&ADAPTERS[..], &FACES].concat();
        let paths: Vec<String> = others.iter().map(|r| format!("crate::{r}")).collect();
        assert_absent(
            &[room],
            &paths.iter().map(String::as_str).collect::<Vec<_>>(),
        );
    }
    for room in ADAPTERS {
        // adapters do not import one another, nor what is built on them
        let others = [&ADAPTERS[..], &FACES].concat();
        let paths: Vec<String> = others
            .iter()
            .filter(|r| **r != room)
            .map(|r| format!("crate::{r}"))
            .collect();
        assert_absent(
            &[room],
            &paths.iter().map(String::as_str).collect::<Vec<_>>(),
        );
    }
    assert_absent(&["pipeline"], &["crate::cli", "crate::api", "crate::jobs"]);
    assert_absent(&["jobs"], &["crate::cli", "crate::api", "crate::cameras"]);
    assert_absent(&["cameras"], &["crate::cli", "crate::api"]);
    assert_absent(&["api"], &["crate::cli", "crate::inference"]);
}

#[test]
fn only_inference_names_ort() {
    assert_absent(&all_but(&["inference"]), &["ort"]);
}

#[test]
fn only_the_ledger_names_the_database() {
    assert_absent(&all_but(&["ledger"]), &["sqlx", "sea_orm", "rusqlite"]);
}

#[test]
fn the_ledger_asks_its_clock() {
    assert_absent(
        &["ledger"],
        &["SystemTime", "Timestamp::now", "Zoned::now", "SystemClock"],
    );
}

#[test]
fn only_source_runs_other_programs() {
    assert_absent(
        &all_but(&["source"]),
        &["std::process::Command", "process::Command", "ffmpeg"],
    );
}

#[test]
fn only_cli_imports_the_configuration() {
    assert_absent(&all_but(&["cli", "config"]), &["crate::config"]);
}

#[test]
fn the_reader_of_imports_can_fail() {
    assert!(mentions("use ort::session;", "ort"));
    assert!(!mentions("use crate::report;", "ort"));
}
