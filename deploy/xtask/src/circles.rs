//! Modules that import each other in a circle: none of them can be read, moved or tested without the others.
//!
//! A file imports another when its code names it by a path from `crate` or `super`, in a `use` or in place; a path leads to
//! the deepest module that has a file of its own. Each import counts between two siblings, the file or what it is part of
//! and the other or what that is part of; so paths between a module and its own parts do not count, in either
//! direction, nor does the crate's root. Tests do not count either. A circle is a strongly connected component.

use crate::{place, unsafety};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The code of each file by the path of its module, as in `grpc/token`.
fn read(folder: &Path, module: &str, files: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let name = entry.file_stem().unwrap().to_str().unwrap();
        let module = if module.is_empty() { name.to_owned() } else { format!("{module}/{name}") };
        if ["lib", "main", "tests"].contains(&name) {
            continue;
        } else if entry.is_dir() {
            read(&entry, &module, files);
        } else if entry.extension().is_some_and(|end| end == "rs") {
            let text = fs::read_to_string(&entry).unwrap();
            let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap();
            let code = code.lines().map(|line| line.split("//").next().unwrap().to_owned() + "\n");
            files.insert(module.trim_end_matches("/mod").to_owned(), code.collect());
        }
    }
}

/// Takes one path, or a group of them in braces, off the front of `code`; returns what is behind it.
fn path<'a>(mut code: &'a str, before: &[&'a str], found: &mut Vec<Vec<&'a str>>) -> &'a str {
    let mut names = before.to_vec();
    loop {
        code = code.trim_start();
        if let Some(mut group) = code.strip_prefix('{') {
            while !group.trim_start().starts_with('}') {
                group = path(group, &names, found);
                let Some(end) = group.find([',', '}']) else { return "" };
                group = group[end..].trim_start_matches(',');
            }
            return &group.trim_start()[1..];
        }
        let end = code.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(code.len());
        names.push(&code[..end]);
        let Some(rest) = code[end..].strip_prefix("::") else { break };
        code = rest;
    }
    found.push(names);
    code.trim_start_matches('*')
}

/// The imports of one file, each between two siblings: which module names which, and they or parts of them do.
fn imports(file: &str, files: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let code = &files[file];
    let starts = ["crate::", "super::"].into_iter().flat_map(|root| code.match_indices(root));
    let is_start =
        |at: usize| !code[..at].ends_with(|letter: char| letter.is_alphanumeric() || "_:$".contains(letter));
    let mut paths = Vec::new();
    for (at, _) in starts.filter(|(at, _)| is_start(*at)) {
        path(&code[at..], &[], &mut paths);
    }
    let here: Vec<_> = file.split('/').collect();
    let siblings = |names: Vec<&str>| {
        let up = names.iter().take_while(|name| **name == "super").count();
        let base = if up == 0 { &[][..] } else { &here[..here.len().saturating_sub(up)] };
        let there = [base, &names[up.max(1)..]].concat();
        let is_file = |depth: &usize| files.contains_key(&there[..*depth].join("/"));
        let there = &there[..(1..=there.len()).rev().find(is_file)?];
        let common = here.iter().zip(there).take_while(|(one, other)| one == other).count();
        let part = |whole: &[&str]| Some(whole.get(..=common)?.join("/"));
        Some((part(&here)?, part(there)?))
    };
    paths.into_iter().filter_map(siblings).collect()
}

fn reached<'a>(edges: &'a BTreeSet<(String, String)>, from: &'a str) -> BTreeSet<&'a str> {
    let (mut reached, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(one) = open.pop() {
        let next = edges.iter().filter(|(by, _)| by == one).map(|(_, named)| named.as_str());
        open.extend(next.filter(|named| reached.insert(*named)));
    }
    reached
}

/// Each circle as its modules, with blanks between them.
fn circles(files: &BTreeMap<String, String>) -> BTreeSet<String> {
    let edges: BTreeSet<_> = files.keys().flat_map(|file| imports(file, files)).collect();
    let circle = |(one, _): &(String, String)| {
        let back =
            reached(&edges, one).into_iter().filter(|other| reached(&edges, other).contains(one.as_str()));
        back.collect::<Vec<_>>().join(" ")
    };
    edges.iter().map(circle).filter(|circle| !circle.is_empty()).collect()
}

#[test]
fn modules_import_each_other_in_no_circle() {
    let mut found = String::new();
    for folder in unsafety::members(&fs::read_to_string(place::at("Cargo.toml")).unwrap()) {
        let mut files = BTreeMap::new();
        read(&place::at(folder).join("src"), "", &mut files);
        found.extend(circles(&files).iter().map(|circle| format!("{folder}: {circle}\n")));
    }
    assert_eq!(found, "", "modules that import each other in a circle");
}

#[test]
fn a_circle_is_found_through_groups_and_parts_and_not_between_a_module_and_its_parts() {
    let files = [
        ("a", "use crate::{x::{Y, self}, b::c::{D}};"),
        ("b", "use self::c;"),
        ("b/c", "use super::super::e;"),
        ("b/d", "use crate::b; use super::c::C;"),
        ("e", "fn e(a: &crate::a::A) {}"),
    ];
    let files = files.map(|(file, code)| (file.to_owned(), code.to_owned())).into();
    assert_eq!(circles(&files), ["a b e".to_owned()].into());
}
