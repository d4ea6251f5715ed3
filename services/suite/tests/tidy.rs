//! The rules of the house that no compiler knows: who may depend on whom, how long things may be,
//! what may stand where.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Lines of a Rust file at most.
const LINES_MAX: usize = 500;
/// Lines of a `main.rs` at most.
const MAIN_LINES_MAX: usize = 40;
/// Characters of a line of Rust at most.
const COLUMNS_MAX: usize = 100;
/// The visible names at the top.
const TOP: [&str; 9] = [
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "build.rs",
    "deploy",
    "proto",
    "services",
    "shared",
];
/// The services. None of them may know another.
const SERVICES: [&str; 3] = ["accounts", "records", "transactions"];
/// Areas of the contract that all services serve, in `shared`.
const SHARED_AREAS: [&str; 4] = ["events", "outcomes", "tenants", "transparency"];

fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().unwrap()
}

/// The files of the repository, those that are not committed yet among them.
fn files() -> Vec<PathBuf> {
    let git = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(git.status.success(), "{}", String::from_utf8_lossy(&git.stderr));
    let names = String::from_utf8(git.stdout).unwrap();
    let names = names.split('\0').filter(|name| !name.is_empty());
    // Deleted files are listed until the deletion is committed.
    names.map(PathBuf::from).filter(|path| root().join(path).exists()).collect()
}

fn rust_files() -> Vec<(PathBuf, String)> {
    let rust = files().into_iter().filter(|path| path.extension().is_some_and(|ext| ext == "rs"));
    rust.map(|path| (path.clone(), fs::read_to_string(root().join(path)).unwrap())).collect()
}

/// The Rust files in one folder of each service's `src`.
fn layer(name: &str) -> Vec<(PathBuf, String)> {
    let is_in = |path: &Path| {
        SERVICES.iter().any(|service| {
            path.starts_with(Path::new("services").join(service).join("src").join(name))
        })
    };
    rust_files().into_iter().filter(|(path, _)| is_in(path)).collect()
}

/// The code of a line, without what is said about it.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

/// Fails with all findings at once.
fn none(findings: &[String]) {
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

/// Where a layer's code names what it must not know.
fn forbidden(layer_name: &str, words: &[&str]) -> Vec<String> {
    let files = layer(layer_name);
    assert!(!files.is_empty(), "no service has a layer {layer_name}");
    let mut findings = Vec::new();
    for (path, text) in files {
        for (index, line) in text.lines().enumerate() {
            for word in words.iter().filter(|word| code(line).contains(**word)) {
                findings.push(format!("{}:{}: {word}", path.display(), index + 1));
            }
        }
    }
    findings
}

fn metadata() -> Value {
    let cargo = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(cargo.status.success(), "{}", String::from_utf8_lossy(&cargo.stderr));
    serde_json::from_slice(&cargo.stdout).unwrap()
}

fn packages() -> Vec<Value> {
    metadata()["packages"].as_array().unwrap().clone()
}

#[test]
fn dependencies_point_one_way() {
    let allowed: BTreeMap<&str, Vec<&str>> = [
        ("strongroom-proto", vec![]),
        // Its own tests use its feature "testing".
        ("shared", vec!["shared", "strongroom-proto"]),
        ("accounts", vec!["shared", "strongroom-proto"]),
        ("records", vec!["shared", "strongroom-proto"]),
        ("transactions", vec!["shared", "strongroom-proto"]),
        ("suite", vec!["accounts", "records", "shared", "strongroom-proto", "transactions"]),
    ]
    .into();
    let packages = packages();
    let names: BTreeSet<&str> = packages.iter().map(|p| p["name"].as_str().unwrap()).collect();
    assert_eq!(names, allowed.keys().copied().collect(), "a new crate needs a rule here");
    let mut findings = Vec::new();
    for package in &packages {
        let name = package["name"].as_str().unwrap();
        // Of every kind: a dev-dependency on a neighbour would tie the tests together.
        for dependency in package["dependencies"].as_array().unwrap() {
            let other = dependency["name"].as_str().unwrap();
            if names.contains(other) && !allowed[name].contains(&other) {
                findings.push(format!("{name} must not depend on {other}"));
            }
        }
    }
    none(&findings);
}

#[test]
fn every_crate_has_the_lints_of_the_workspace() {
    for package in packages() {
        let manifest = package["manifest_path"].as_str().unwrap();
        let text = fs::read_to_string(manifest).unwrap();
        assert!(text.contains("[lints]\nworkspace = true"), "{manifest}");
    }
}

#[test]
fn files_and_lines_are_short() {
    let mut findings = Vec::new();
    for (path, text) in rust_files() {
        let lines = text.lines().count();
        let is_main = path.file_name().is_some_and(|name| name == "main.rs")
            && path.parent().is_some_and(|parent| parent.ends_with("src"));
        let limit = if is_main { MAIN_LINES_MAX } else { LINES_MAX };
        if lines > limit {
            findings.push(format!("{}: {lines} lines, {limit} at most", path.display()));
        }
        for (index, line) in text.lines().enumerate() {
            let columns = line.chars().count();
            if columns > COLUMNS_MAX {
                findings.push(format!("{}:{}: {columns} columns", path.display(), index + 1));
            }
        }
    }
    none(&findings);
}

#[test]
fn the_domain_knows_no_wire_and_no_database() {
    none(&forbidden("domain", &["tonic", "prost", "diesel", "strongroom_proto"]));
}

#[test]
fn the_store_knows_no_wire() {
    none(&forbidden("store", &["tonic", "prost", "strongroom_proto"]));
}

#[test]
fn the_rpcs_hold_no_sql() {
    none(&forbidden("rpc", &["sql_query", "db::statement", "diesel::sql", "diesel::dsl"]));
}

#[test]
fn each_rpc_has_a_file_of_its_own() {
    let mut findings = Vec::new();
    for method in strongroom_proto::METHODS {
        // /strongroom.accounts.v1.AccountService/CreateAccount
        let (service, method) = method.path.rsplit_once('/').unwrap();
        let area = service.split('.').nth(1).unwrap();
        let path = match SHARED_AREAS.contains(&area) {
            true => format!("shared/src/rpc/{area}.rs"),
            false => format!("services/{area}/src/rpc/{}.rs", snake(method)),
        };
        if !root().join(&path).is_file() {
            findings.push(format!("{method} has no {path}"));
        }
    }
    none(&findings);
}

fn snake(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

#[test]
fn the_top_level_is_fixed() {
    let top = |path: &PathBuf| path.iter().next().unwrap().to_str().unwrap().to_owned();
    let found: BTreeSet<String> =
        files().iter().map(top).filter(|name| !name.starts_with('.')).collect();
    let allowed = TOP.map(str::to_owned).into();
    let extra: Vec<_> = found.difference(&allowed).collect();
    let missing: Vec<_> = allowed.difference(&found).collect();
    assert!(extra.is_empty() && missing.is_empty(), "extra {extra:?}, missing {missing:?}");
}

#[test]
fn nothing_names_a_machine_or_a_mirror() {
    // In two parts, or this file would find itself.
    let words = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/Use", "rs/"),
        concat!("index", "-url"),
        concat!("replace", "-with"),
        concat!("_auth", "Token"),
        concat!("[regis", "tries"),
        concat!("[sour", "ce."),
    ];
    let home = concat!("/ho", "me/");
    let registry = "source = \"registry+";
    let mut findings = Vec::new();
    for path in files() {
        // What is no text names nothing.
        let Ok(text) = fs::read_to_string(root().join(&path)) else { continue };
        for (index, line) in text.lines().enumerate() {
            let names = words.iter().any(|word| line.contains(word))
                // The one home that is the same everywhere.
                || line.replace("/home/linuxbrew/", "").contains(home)
                || (line.starts_with("source = ") && !line.starts_with(registry));
            if names {
                findings.push(format!("{}:{}: {line}", path.display(), index + 1));
            }
        }
    }
    none(&findings);
}

#[test]
fn the_readme_shows_the_state_machines_and_what_they_do_to_money() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for (title, diagram) in accounts::diagrams() {
        let shown = format!("```mermaid\n{diagram}```");
        assert!(readme.contains(&shown), "README.md lacks the states of {title}:\n{shown}");
    }
    let effects = accounts::effects();
    assert!(readme.contains(&effects), "README.md lacks the table of effects:\n{effects}");
}
