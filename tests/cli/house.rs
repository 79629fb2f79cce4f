//! The order of the source files: none imports what, by whatever way, imports it. And who may sleep.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use regex::Regex;

use super::blocks::root;

/// A file's path as a module: `["docker", "argv"]`.
type Module = Vec<String>;

/// All files of the library below `folder`, by module: what each holds but for its tests and comments.
fn files(folder: &Path, module: &[String], into: &mut BTreeMap<Module, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut inner = module.to_vec();
        if path.is_dir() {
            inner.push(name);
            files(&path, &inner, into);
            continue;
        }
        if path.extension().is_none_or(|extension| extension != "rs") || name == "main" {
            continue;
        }
        if name != "mod" && name != "lib" {
            inner.push(name);
        }
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        let bare = code.lines().map(|line| line.split("//").next().unwrap());
        into.insert(inner, bare.collect::<Vec<_>>().join("\n"));
    }
}

/// `a::{b, c::{self, d}}` as `a::b`, `a::c`, `a::c::d`.
fn spread(path: &str) -> Vec<String> {
    let Some((before, group)) = path.split_once('{') else {
        return vec![path.trim().trim_end_matches("::self").to_owned()];
    };
    let group = group.trim().strip_suffix('}').unwrap_or(group);
    let mut parts = vec![String::new()];
    let mut depth = 0;
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut().unwrap().push(c);
    }
    let parts = parts.iter().filter(|part| !part.trim().is_empty());
    parts
        .flat_map(|part| spread(&format!("{}{}", before.trim(), part.trim())))
        .collect()
}

/// The modules that `code`, of `module`, names.
fn named(module: &Module, code: &str, all: &BTreeMap<Module, String>) -> BTreeSet<Module> {
    let imports = Regex::new(r"\buse\s+([^;]+);").unwrap();
    let inline = Regex::new(r"\b(?:crate|super|self)(?:::\w+)+").unwrap();
    let mut paths: Vec<String> = Vec::new();
    for import in imports.captures_iter(code) {
        paths.extend(spread(&import[1].replace('\n', " ")));
    }
    let rest = imports.replace_all(code, "");
    paths.extend(inline.find_iter(&rest).map(|path| path.as_str().to_owned()));
    let target = |path: &String| {
        let path = path.split(" as ").next().unwrap().trim();
        let mut parts: Vec<&str> = path.split("::").map(str::trim).collect();
        let mut base: Module = match parts[0] {
            "crate" => Vec::new(),
            "super" | "self" => module.clone(),
            _ => return None,
        };
        while parts.first().is_some_and(|part| *part == "super") {
            base.pop();
            parts.remove(0);
        }
        base.extend(
            parts
                .iter()
                .filter(|part| !["crate", "self"].contains(part))
                .map(ToString::to_string),
        );
        while !base.is_empty() && !all.contains_key(&base) {
            base.pop();
        }
        (!base.is_empty() && base != *module).then_some(base)
    };
    paths.iter().filter_map(target).collect()
}

/// All that can be reached from `module` by its imports.
fn reached<'a>(
    module: &'a Module,
    imports: &'a BTreeMap<Module, BTreeSet<Module>>,
) -> BTreeSet<&'a Module> {
    let (mut seen, mut next) = (BTreeSet::new(), vec![module]);
    while let Some(module) = next.pop() {
        let of = imports.get(module).into_iter().flatten();
        next.extend(of.filter(|import| seen.insert(*import)));
    }
    seen
}

#[test]
fn no_file_imports_what_imports_it() {
    let mut all = BTreeMap::new();
    files(&root().join("src"), &[], &mut all);
    assert!(all.len() > 60, "{}", all.len());
    let imports: BTreeMap<Module, BTreeSet<Module>> = all
        .iter()
        .map(|(module, code)| (module.clone(), named(module, code, &all)))
        .collect();
    let count: usize = imports.values().map(BTreeSet::len).sum();
    assert!(count > 250, "only {count} imports were found");
    let mut circles = BTreeSet::new();
    for module in imports.keys() {
        let from = reached(module, &imports);
        if from.contains(module) {
            let back = from
                .into_iter()
                .filter(|other| reached(other, &imports).contains(module));
            circles.insert(back.map(|module| module.join("/")).collect::<Vec<_>>());
        }
    }
    assert_eq!(circles, BTreeSet::new(), "files that import each other");
}

#[test]
fn groups_of_imports_are_spread() {
    let spread = spread("crate::docker::{self, argv::{self, Argv}, Answer}");
    let expected = [
        "crate::docker",
        "crate::docker::argv",
        "crate::docker::argv::Argv",
        "crate::docker::Answer",
    ];
    assert_eq!(spread, expected);
}

/// A sleep of a thread is deaf: whoever waits for something takes `Interrupt::sleep`, in `change` by its poller.
#[test]
fn nobody_sleeps_through_an_interrupt() {
    let mut all = BTreeMap::new();
    files(&root().join("src"), &[], &mut all);
    let sleeps = Regex::new(r"\bthread::(sleep|park_timeout)\b").unwrap();
    let found = all.iter().filter(|(_, code)| sleeps.is_match(code));
    let found: Vec<String> = found.map(|(module, _)| module.join("/")).collect();
    // The pace of the probe's own requests; the sleep that hears; and a child that has ended is reaped within milliseconds.
    assert_eq!(found, ["change/probe", "docker/spawn", "interrupt"]);
}
