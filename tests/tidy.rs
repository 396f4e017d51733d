//! Rules of this code that no compiler keeps: file heads, file names and sizes, and no circle among a crate's modules.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const LINES_MAX: usize = 500;
const NAMES_BANNED: [&str; 6] = ["util", "utils", "helper", "helpers", "common", "misc"];

/// The modules of a crate, each with those that it uses.
type Uses = BTreeMap<String, BTreeSet<String>>;

#[test]
fn the_code_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let crates = fs::read_dir(root.join("crates")).unwrap().map(|entry| entry.unwrap().path().join("src"));
    let sources: Vec<PathBuf> = crates.chain([root.join("src")]).collect();
    let others = ["tests", "benches", "examples"].map(|folder| root.join(folder));
    let mut faults = Vec::new();
    for folder in sources.iter().chain(&others) {
        for path in rust_files(folder) {
            faults.extend(check(relative(root, &path), &fs::read_to_string(&path).unwrap()));
        }
    }
    for folder in &sources {
        let mut uses = Uses::new();
        for path in rust_files(folder) {
            note_uses(&mut uses, relative(folder, &path), &fs::read_to_string(&path).unwrap());
        }
        faults.extend(circle(&uses).map(|circle| format!("{}: {circle}", relative(root, folder))));
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn an_untidy_file_is_told_with_its_rule() {
    assert_eq!(check("src/pool/worker.rs", "//! Workers.\n"), [""; 0]);
    assert_eq!(check("tests/it/main.rs", &format!("//! Long.\n{}", "\n".repeat(700))), [""; 0]);
    assert_eq!(
        check("src/pool.rs", "use std::fmt;\n"),
        ["src/pool.rs: a file must start with //! and what it is"]
    );
    assert_eq!(
        check("src/cli/helpers.rs", "//! All sorts.\n"),
        ["src/cli/helpers.rs: a file must be named for what it is, was helpers"]
    );
    assert_eq!(
        check("crates/core/src/cli.rs", &format!("//! Long.\n{}", "\n".repeat(500))),
        ["crates/core/src/cli.rs: a file must have at most 500 lines, was 501"]
    );
}

#[test]
fn a_circle_of_modules_is_told_with_its_way() {
    let circle_of = |files: &[(&str, &str)]| {
        let mut uses = Uses::new();
        for (path, text) in files {
            note_uses(&mut uses, path, text);
        }
        circle(&uses)
    };
    assert_eq!(
        circle_of(&[("units.rs", "use crate::symbol::Symbol;"), ("symbol.rs", "// crate::units")]),
        None
    );
    assert_eq!(
        circle_of(&[
            ("lib.rs", "use crate::run::Run; mod run;"),
            ("run.rs", "use crate::{\n    marks,\n    orders::{Order, run},\n};"),
            ("orders/mod.rs", "mod fill;"),
            ("orders/fill.rs", "use super::super::run::Run;\nuse super::Order;"),
            ("marks.rs", "#[cfg(test)]\nmod tests { use crate::run; }"),
        ]),
        Some("modules must not use each other in a circle, was orders -> run -> orders".to_owned())
    );
    assert_eq!(
        circle_of(&[("run.rs", "use super::marks::Marks;"), ("marks.rs", "fn f(run: &crate::run::Run) {}")]),
        Some("modules must not use each other in a circle, was marks -> run -> marks".to_owned())
    );
}

fn relative<'a>(root: &Path, path: &'a Path) -> &'a str {
    path.strip_prefix(root).unwrap().to_str().unwrap()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let files = |path: PathBuf| match path.extension() {
        _ if path.is_dir() => rust_files(&path),
        Some(extension) if extension == "rs" => vec![path],
        _ => Vec::new(),
    };
    paths.into_iter().flat_map(files).collect()
}

/// What is untidy about the file at `path`, which is relative to the project.
fn check(path: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if !text.starts_with("//!") {
        faults.push(format!("{path}: a file must start with //! and what it is"));
    }
    for name in path.trim_end_matches(".rs").split('/').filter(|name| NAMES_BANNED.contains(name)) {
        faults.push(format!("{path}: a file must be named for what it is, was {name}"));
    }
    let lines = text.lines().count();
    if lines > LINES_MAX && path.contains("src/") {
        faults.push(format!("{path}: a file must have at most {LINES_MAX} lines, was {lines}"));
    }
    faults
}

/// Notes which of its crate's modules a file uses outside tests; `path` is relative to the crate's `src`.
fn note_uses(uses: &mut Uses, path: &str, text: &str) {
    let mut parts = path.trim_end_matches(".rs").split('/');
    let module = parts.next().unwrap();
    if matches!(module, "lib" | "main" | "tests") || path.contains("tests") {
        return;
    }
    let climb = "super::".repeat(path.trim_end_matches("/mod.rs").split('/').count());
    let code: String =
        text.lines().map(|line| line.split("//").next().unwrap_or_default().to_owned() + "\n").collect();
    let code = code.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let found = uses.entry(module.to_owned()).or_default();
    for start in ["crate::", &climb] {
        for (at, _) in code.match_indices(start) {
            let before = code[..at].chars().next_back();
            if !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                found.extend(names(&code[at + start.len()..]).into_iter().filter(|name| name != module));
            }
        }
    }
}

/// The first name of a path, or of each path in a `{...}` group.
fn names(rest: &str) -> Vec<String> {
    let name =
        |path: &str| path.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let Some(group) = rest.strip_prefix('{') else { return vec![name(rest)] };
    let (mut depth, mut start, mut names) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        if depth == 0 && matches!(c, ',' | '}') {
            names.push(name(&group[start..at]));
            start = at + 1;
        }
        match c {
            '}' if depth == 0 => break,
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    names
}

/// A way from a module back to itself, where there is one.
fn circle(uses: &Uses) -> Option<String> {
    let mut done = BTreeSet::new();
    for module in uses.keys() {
        let mut way = Vec::new();
        if let Some(circle) = walk(uses, module, &mut way, &mut done) {
            return Some(format!("modules must not use each other in a circle, was {}", circle.join(" -> ")));
        }
    }
    None
}

fn walk<'a>(
    uses: &'a Uses,
    module: &'a str,
    way: &mut Vec<&'a str>,
    done: &mut BTreeSet<&'a str>,
) -> Option<Vec<&'a str>> {
    if let Some(start) = way.iter().position(|other| *other == module) {
        way.push(module);
        return Some(way[start..].to_vec());
    }
    if done.contains(module) {
        return None;
    }
    way.push(module);
    for used in uses.get(module)? {
        if uses.contains_key(used)
            && let Some(circle) = walk(uses, used, way, done)
        {
            return Some(circle);
        }
    }
    way.pop();
    done.insert(module);
    None
}
