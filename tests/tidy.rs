//! Rules of the house that no compiler keeps: file heads, file names and sizes, and which way imports go.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test may panic")]

use std::fs;
use std::path::Path;

const LINES_MAX: usize = 500;
const NAMES_BANNED: [&str; 6] = ["util", "utils", "helper", "helpers", "common", "misc"];

#[test]
fn the_house_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let layers = layers(&fs::read_to_string(root.join("src/lib.rs")).unwrap());
    let mut faults = Vec::new();
    for folder in ["src", "tests", "benches", "examples"] {
        for path in rust_files(&root.join(folder)) {
            let text = fs::read_to_string(&path).unwrap();
            let path = path.strip_prefix(root).unwrap().to_str().unwrap();
            faults.extend(check(path, &text, &layers));
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn an_untidy_file_is_told_with_its_rule() {
    let layers = layers("//! Map.\n\n// Values\npub mod units;\n\n// Running\npub mod pool;\npub mod cli;\n");
    assert_eq!(layers, ["units", "pool", "cli"]);
    let faults = |path: &str, text: &str| check(path, text, &layers);

    let tidy = "//! Workers.\n\nuse crate::units::Price;\nuse crate::pool::Pool;\nuse super::units;\n";
    assert_eq!(faults("src/pool/worker.rs", &tidy.replace("use super::units;\n", "")), [""; 0]);
    assert_eq!(faults("src/main.rs", "//! Main.\nfn main() { crate::cli::main() }"), [""; 0]);
    assert_eq!(faults("tests/it/main.rs", &format!("//! Long.\n{}", "\n".repeat(600))), [""; 0]);
    assert_eq!(
        faults("src/pool.rs", "//! Pool.\n/// See [`crate::cli`].\nfn f() {} // not crate::cli"),
        [""; 0]
    );
    assert_eq!(
        faults("src/pool.rs", "use std::fmt;\n"),
        ["src/pool.rs: a file must start with //! and what it is"]
    );
    assert_eq!(
        faults("src/units.rs", "//! Units.\n#[cfg(test)]\nmod tests {\n    use crate::cli::Args;\n}\n"),
        ["src/units.rs:4: units must use only what stands above it in src/lib.rs, was crate::cli"]
    );
    assert_eq!(
        faults("src/units/a.rs", "//! Units.\nuse crate::{units::{Price, pool}, pool::{self, Pool}, cli};\n"),
        [
            "src/units/a.rs:2: units must use only what stands above it in src/lib.rs, was crate::pool",
            "src/units/a.rs:2: units must use only what stands above it in src/lib.rs, was crate::cli",
        ]
    );
    assert_eq!(
        faults(
            "src/units.rs",
            "//! Units.\nuse crate::{\n    units,\n    pool::{\n        cli,\n    },\n};\n"
        ),
        ["src/units.rs:2: units must use only what stands above it in src/lib.rs, was crate::pool"]
    );
    for (path, climb) in
        [("src/pool.rs", "super"), ("src/pool/mod.rs", "super"), ("src/pool/a.rs", "super::super")]
    {
        assert_eq!(
            faults(path, &format!("//! Pool.\nuse {climb}::units;\n")),
            [format!("{path}:2: what is outside a module must be named from crate::, was {climb}::")]
        );
    }
    assert_eq!(faults("src/pool/a.rs", "//! A.\nuse super::units;\n"), [""; 0]);
    assert_eq!(
        faults("src/attic.rs", "//! Attic.\n"),
        ["src/attic.rs: a module must be declared in src/lib.rs, was attic"]
    );
    assert_eq!(
        faults("src/cli/helpers.rs", "//! All sorts.\n"),
        ["src/cli/helpers.rs: a file must be named for what it is, was helpers"]
    );
    assert_eq!(
        faults("tests/common/mod.rs", "//! All sorts.\n"),
        ["tests/common/mod.rs: a file must be named for what it is, was common"]
    );
    assert_eq!(
        faults("src/cli.rs", &format!("//! Long.\n{}", "\n".repeat(500))),
        ["src/cli.rs: a file must have at most 500 lines, was 501"]
    );
}

/// The modules in the order of `src/lib.rs`, which is the order of the layers.
fn layers(lib: &str) -> Vec<String> {
    lib.lines()
        .filter_map(|line| line.trim().strip_prefix("pub mod ")?.strip_suffix(';'))
        .map(str::to_owned)
        .collect()
}

fn rust_files(folder: &Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let files = |path: std::path::PathBuf| match path.extension() {
        _ if path.is_dir() => rust_files(&path),
        Some(extension) if extension == "rs" => vec![path],
        _ => Vec::new(),
    };
    paths.into_iter().flat_map(files).collect()
}

/// What is untidy about the file at `path`, which is relative to the project.
fn check(path: &str, text: &str, layers: &[String]) -> Vec<String> {
    let mut faults = Vec::new();
    if !text.starts_with("//!") {
        faults.push(format!("{path}: a file must start with //! and what it is"));
    }
    for name in path.trim_end_matches(".rs").split('/').filter(|name| NAMES_BANNED.contains(name)) {
        faults.push(format!("{path}: a file must be named for what it is, was {name}"));
    }
    let Some(inside) = path.strip_prefix("src/") else { return faults };
    let lines = text.lines().count();
    if lines > LINES_MAX {
        faults.push(format!("{path}: a file must have at most {LINES_MAX} lines, was {lines}"));
    }
    if !matches!(inside, "lib.rs" | "main.rs") {
        faults.extend(check_imports(path, inside, text, layers));
    }
    faults
}

fn check_imports(path: &str, inside: &str, text: &str, layers: &[String]) -> Vec<String> {
    let module = inside.split('/').next().unwrap().trim_end_matches(".rs");
    let Some(own) = layers.iter().position(|layer| layer == module) else {
        return vec![format!("{path}: a module must be declared in src/lib.rs, was {module}")];
    };
    let code = without_comments(text);
    let mut faults = Vec::new();
    for (line, used) in crate_names(&code) {
        if layers.iter().position(|layer| *layer == used).is_some_and(|layer| layer > own) {
            let rule = format!("{module} must use only what stands above it in src/lib.rs");
            faults.push(format!("{path}:{line}: {rule}, was crate::{used}"));
        }
    }
    let climb = "super::".repeat(inside.trim_end_matches("/mod.rs").split('/').count());
    for (index, line) in code.lines().enumerate() {
        // Indented ones stand in a `mod` of the same file, one level further down.
        let used = line.trim_start_matches("pub ").strip_prefix("use ");
        if used.is_some_and(|used| used.starts_with(&climb)) {
            let rule = "what is outside a module must be named from crate::";
            faults.push(format!("{path}:{}: {rule}, was {climb}", index + 1));
        }
    }
    faults
}

fn without_comments(text: &str) -> String {
    let code = |line: &str| {
        let comment = if line.trim_start().starts_with("//") { Some(0) } else { line.find(" //") };
        line[..comment.unwrap_or(line.len())].to_owned() + "\n"
    };
    text.lines().map(code).collect()
}

/// Each `x` of `crate::x` and of `crate::{x, x::y}` with its line.
fn crate_names(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, path) in code.match_indices("crate::") {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let line = code[..at].matches('\n').count() + 1;
        let rest = &code[at + path.len()..];
        let names = rest.strip_prefix('{').map_or_else(|| vec![first_name(rest)], group_names);
        found.extend(names.into_iter().map(|name| (line, name)));
    }
    found
}

/// The first name of each path in a `{...}` group whose opening brace is behind us.
fn group_names(rest: &str) -> Vec<String> {
    let (mut depth, mut start, mut names) = (0, 0, Vec::new());
    for (at, c) in rest.char_indices() {
        if depth == 0 && matches!(c, ',' | '}') {
            names.push(first_name(&rest[start..at]));
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

fn first_name(path: &str) -> String {
    path.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}
