//! Which part of the library may know which.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::presync::root;

/// A part, what it may import, and whether it may wait or do I/O.
const PARTS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("files", &["model"]),
    ("probe", &["model"]),
    ("rules", &["files", "model"]),
    ("examine", &["model", "probe", "rules"]),
    ("source", &["files", "model"]),
    ("plan", &["model", "rules"]),
    ("plan_file", &["files", "model", "plan", "rules"]),
    ("ledger", &["files", "model", "plan_file"]),
    ("commit", &["files", "ledger", "model", "plan_file", "rules"]),
    ("run", &["examine", "model", "plan", "plan_file", "probe", "rules", "source"]),
    ("matching", &["files", "model", "plan", "rules"]),
    (
        "report",
        &["commit", "files", "ledger", "matching", "model", "plan", "plan_file", "probe", "rules", "run"],
    ),
    ("connections", &["files", "model", "rules", "source"]),
    ("loopback", &["model"]),
    (
        "command",
        &[
            "commit",
            "connections",
            "examine",
            "files",
            "ledger",
            "loopback",
            "matching",
            "model",
            "plan",
            "plan_file",
            "probe",
            "report",
            "rules",
            "run",
            "source",
        ],
    ),
    (
        "python",
        &[
            "command",
            "examine",
            "files",
            "matching",
            "model",
            "plan",
            "plan_file",
            "probe",
            "report",
            "rules",
            "run",
            "source",
        ],
    ),
];
/// The most parts that a reader can keep in mind.
const MAX_PARTS: usize = 17;
/// Parts that compute: no waiting, no clock, no files.
const PURE: &[&str] = &["examine", "model", "probe", "plan"];
const IMPURE: &[&str] =
    &["async fn", ".await", "tokio", "std::fs", "std::net", "Instant::now", "SystemTime", "Timestamp::now"];

fn files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = fs::read_dir(path).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<_> = entries
        .flat_map(|path| files(&path))
        .filter(|path| path.extension() == Some("rs".as_ref()))
        .collect();
    files.sort();
    files
}

/// The files of a part, without its tests: a folder, a file, or both.
fn part(name: &str) -> Vec<PathBuf> {
    let source = root().join("src");
    let (folder, file) = (source.join(name), source.join(format!("{name}.rs")));
    let files = [folder, file].into_iter().filter(|path| path.exists()).flat_map(|path| files(&path));
    files.filter(|file| file.file_stem() != Some("tests".as_ref())).collect()
}

/// The code without comments and without tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("a source file");
    let code = text.split("#[cfg(test)]\nmod").next().unwrap_or_default();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn no_part_imports_what_it_must_not_know() {
    let mut offences = Vec::new();
    for (name, allowed) in PARTS {
        let files = part(name);
        assert!(!files.is_empty(), "the part {name} is gone");
        for file in &files {
            for reference in code(file).split("crate::").skip(1) {
                let imported: String = reference
                    .chars()
                    .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
                    .collect();
                if imported != *name && !allowed.contains(&imported.as_str()) {
                    offences.push(format!("{} imports {imported}", file.display()));
                }
            }
        }
    }
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}

#[test]
fn every_part_is_under_these_rules() {
    assert!(PARTS.len() <= MAX_PARTS, "{} parts", PARTS.len());
    let source = root().join("src");
    for entry in fs::read_dir(source).expect("a folder") {
        let path = entry.expect("an entry").path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned();
        let known = PARTS.iter().any(|(name, _)| *name == stem) || ["lib", "main"].contains(&stem.as_str());
        assert!(known, "{} has no rule in this test", path.display());
    }
}

#[test]
fn what_computes_does_not_wait_and_does_no_io() {
    for name in PURE {
        for file in part(name) {
            let code = code(&file);
            for impure in IMPURE {
                assert!(!code.contains(impure), "{} has {impure}", file.display());
            }
        }
    }
}

/// A module by its path from the crate's root; the path of an item is that of its module and its name.
type ModulePath = Vec<String>;

/// Each module that is a file, with its code.
fn modules() -> BTreeMap<ModulePath, String> {
    let source = root().join("src");
    let modules = files(&source).into_iter().filter_map(|file| {
        let path = file.strip_prefix(&source).expect("it is in there").with_extension("");
        let mut path: ModulePath = path.iter().map(|name| name.to_string_lossy().into_owned()).collect();
        path.pop_if(|name| name == "mod");
        let is_code = !["lib", "main", "tests"].contains(&path.last()?.as_str());
        is_code.then(|| (path, code(&file)))
    });
    modules.collect()
}

/// The paths that the text begins with: `a::{b, c::D}` is `a::b` and `a::c::D`.
fn paths(text: &str) -> Vec<ModulePath> {
    let text = text.trim_start();
    if let Some(group) = text.strip_prefix('{') {
        let (mut depth, mut begin, mut found) = (0, 0, Vec::new());
        for (at, letter) in group.char_indices() {
            match letter {
                '{' => depth += 1,
                '}' if depth > 0 => depth -= 1,
                ',' | '}' if depth == 0 => {
                    found.extend(paths(&group[begin..at]));
                    begin = at + 1;
                }
                _ => {}
            }
            if letter == '}' && begin > at {
                break;
            }
        }
        return found;
    }
    let len = text.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(text.len());
    let (name, rest) = text.split_at(len);
    if name.is_empty() {
        return Vec::new();
    }
    let longer = rest.strip_prefix("::").map(paths).filter(|longer| !longer.is_empty());
    let longer = longer.unwrap_or_else(|| vec![Vec::new()]).into_iter();
    longer.map(|path| [vec![name.to_owned()], path].concat()).collect()
}

/// A path as seen from the crate's root.
fn absolute(module: &[String], path: &[String]) -> ModulePath {
    let above = path.iter().take_while(|name| *name == "super").count();
    match path.first().map(String::as_str) {
        Some("crate") => path[1..].to_vec(),
        Some("self") => [module, &path[1..]].concat(),
        Some("super") => [&module[..module.len().saturating_sub(above)], &path[above..]].concat(),
        _ => [module, path].concat(),
    }
}

/// What modules re-export: the path of each item there, and the one that it comes from.
fn re_exports(modules: &BTreeMap<ModulePath, String>) -> BTreeMap<ModulePath, ModulePath> {
    let mut found = BTreeMap::new();
    for (module, code) in modules {
        let lines = code.lines().enumerate().filter(|(_, line)| line.starts_with("pub"));
        for (index, _) in lines.filter(|(_, line)| line.contains(" use ")) {
            let rest = code.lines().skip(index).collect::<Vec<_>>().join("\n");
            let path = rest.split(" use ").nth(1).expect("the line has it");
            for path in paths(path) {
                let item = [&module[..], &path[path.len() - 1..]].concat();
                found.insert(item, absolute(module, &path));
            }
        }
    }
    found
}

/// The files that each file imports from.
///
/// * An import is a path that begins with `crate` or `super`, in a `use` or elsewhere in the code.
/// * It is of the file that has the item: what a module only re-exports comes from the file behind it.
/// * A module and those inside it are one: it is made of them, and they see what is its own. Neither imports the other.
fn imports(modules: &BTreeMap<ModulePath, String>) -> BTreeMap<ModulePath, BTreeSet<ModulePath>> {
    let re_exports = re_exports(modules);
    let file_of = |mut path: ModulePath| loop {
        if modules.contains_key(&path) {
            break Some(path);
        }
        match re_exports.get(&path) {
            Some(behind) => path.clone_from(behind),
            None => _ = path.pop()?,
        }
    };
    let of = |module: &ModulePath, code: &str| {
        let begins = ["crate::", "super::"].into_iter().flat_map(|begin| code.match_indices(begin));
        let begins = begins.map(|(at, _)| at).filter(|at| !code[..*at].ends_with("super::"));
        let imported = begins.flat_map(|at| paths(&code[at..])).map(|path| absolute(module, &path));
        let files = imported.filter_map(file_of);
        files.filter(|file| !file.starts_with(module) && !module.starts_with(file)).collect()
    };
    modules.iter().map(|(module, code)| (module.clone(), of(module, code))).collect()
}

/// Everything that a file imports, directly or not.
fn reached(imports: &BTreeMap<ModulePath, BTreeSet<ModulePath>>, from: &ModulePath) -> BTreeSet<ModulePath> {
    let (mut reached, mut next) = (BTreeSet::new(), vec![from]);
    while let Some(module) = next.pop() {
        next.extend(imports[module].iter().filter(|module| reached.insert((*module).clone())));
    }
    reached
}

#[test]
fn no_file_imports_itself_by_way_of_others() {
    let imports = imports(&modules());
    assert!(imports.values().flatten().count() > imports.len(), "the imports are found");
    let reached: BTreeMap<_, _> = imports.keys().map(|module| (module, reached(&imports, module))).collect();
    let mut circles = Vec::new();
    for (module, imported) in &imports {
        let back = imported.iter().filter(|imported| reached[imported].contains(module));
        circles.extend(back.map(|back| format!("{} imports {}", module.join("::"), back.join("::"))));
    }
    assert!(circles.is_empty(), "these lead back to where they begin:\n{}", circles.join("\n"));
}

#[test]
fn an_import_is_of_the_file_that_has_the_item() {
    let module = |path: &str| path.split("::").map(str::to_owned).collect::<ModulePath>();
    let sources = [
        ("plan", "mod budget;\nmod ranking;\npub use budget::{Budget, Summary};\npub use ranking::Ranking;"),
        ("plan::budget", "use super::ranking::{Turn, Turns};\nuse super::MAX;"),
        ("plan::ranking", "use super::{Budget, other::{A, B}};"),
        ("run", "use crate::{plan::{self, Ranking}, run::settle};"),
        ("run::settle", "fn settle(plan: &super::super::plan::Summary) {}"),
    ];
    let modules = sources.map(|(path, code)| (module(path), code.to_owned())).into();
    let of = |path: &str| {
        let imports = imports(&modules);
        imports[&module(path)].iter().map(|module| module.join("::")).collect::<Vec<_>>()
    };
    assert_eq!(of("plan"), [""; 0]);
    assert_eq!(of("plan::budget"), ["plan::ranking"]);
    assert_eq!(of("plan::ranking"), ["plan::budget"]);
    assert_eq!(of("run"), ["plan", "plan::ranking"]);
    assert_eq!(of("run::settle"), ["plan::budget"]);
}
