//! What every file of the repository keeps to.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::MetadataCommand;

const MAX_LINES: usize = 800;
const MAX_COLUMNS: usize = 100;

/// Kinds of file that people write here.
const WRITTEN: &[&str] = &["rs", "py", "js", "md", "toml", "txt", "ini", "sql", "sh", "html"];

/// Written by a program, and as long as it has to be.
const GENERATED: &[&str] = &["docs/reference/operations.md", "docs/reference/errors.md"];

/// Leftovers, and places that exist on one machine only. Split, for this file is read as well.
const FORBIDDEN: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("todo", "!("),
    concat!("/wo", "rk/"),
    concat!("/tmp", "/t-"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// Every file that people write, relative to the root, with its text.
fn files() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let passed_over = ["target", "node_modules", "__pycache__"].contains(&name.as_str())
                || (name.starts_with('.') && name != ".ci");
            if passed_over {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if is_written(&path) {
                let relative = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
                found.push((relative, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(found.len() > 10, "the walk found hardly a file: it does not see the repository");
    found
}

fn is_written(path: &Path) -> bool {
    path.ends_with(".ci/run")
        || path.extension().is_some_and(|kind| WRITTEN.iter().any(|written| *written == kind))
}

fn check(rule: impl Fn(&str, &str) -> Vec<String>) {
    let broken: Vec<String> = files().iter().flat_map(|(name, text)| rule(name, text)).collect();
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn no_file_is_long() {
    check(|name, text| {
        let lines = text.lines().count();
        let long = lines > MAX_LINES && !GENERATED.contains(&name);
        long.then(|| format!("{name}: {lines} lines, more than {MAX_LINES}")).into_iter().collect()
    });
}

#[test]
fn no_line_of_rust_is_wide() {
    check(|name, text| {
        if !name.ends_with(".rs") {
            return Vec::new();
        }
        let wide = |line: &str| line.chars().count() > MAX_COLUMNS;
        let numbered = text.lines().enumerate().filter(|(_, line)| wide(line));
        numbered.map(|(at, _)| format!("{name}:{}: over {MAX_COLUMNS} columns", at + 1)).collect()
    });
}

#[test]
fn nothing_is_left_over() {
    check(|name, text| {
        let mut broken = Vec::new();
        for (at, line) in text.lines().enumerate() {
            for word in FORBIDDEN.iter().filter(|word| line.contains(**word)) {
                broken.push(format!("{name}:{}: {word}", at + 1));
            }
        }
        broken
    });
}

#[test]
fn every_crate_opens_with_its_purpose() {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let metadata = MetadataCommand::new().manifest_path(manifest).no_deps().exec().unwrap();
    for target in metadata.packages.iter().flat_map(|package| &package.targets) {
        let text = fs::read_to_string(&target.src_path).unwrap();
        assert!(text.starts_with("//! "), "{} does not open with `//!`", target.src_path);
    }
}
