//! Whether the tests that `deploy/docs/GUARANTEES.md` names are where it says.

use crate::{place, unsafety};
use std::fs;

/// The name of a test is a sentence; fewer words are something else.
const WORDS: usize = 4;

/// What a text has between backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Whether a source defines the function of this name, which may be cut short by an ellipsis.
fn defines(source: &str, name: &str) -> bool {
    let (start, end) = name.split_once('…').map_or((name, None), |(start, end)| (start, Some(end)));
    let defined = ["fn ", "def "].into_iter().flat_map(|word| source.split(word).skip(1));
    let names = defined.filter_map(|rest| rest.split('(').next());
    names.into_iter().any(|found| match end {
        Some(end) => found.starts_with(start) && found.ends_with(end),
        None => found == start,
    })
}

/// Whether a source is what a document calls by this name: a file, the folder of its module, or any folder.
fn is_in(path: &str, named: &str) -> bool {
    path == named
        || path
            .strip_prefix(named.trim_end_matches(".rs").trim_end_matches('/'))
            .is_some_and(|rest| rest.starts_with('/'))
}

#[test]
fn every_test_that_a_promise_names_is_where_it_says() {
    let sources = unsafety::files();
    let document = fs::read_to_string(place::at("deploy/docs/GUARANTEES.md")).unwrap();
    let mut seen = 0;
    for row in document.lines().filter(|line| line.starts_with("| `")) {
        let (held_by, places) = row.trim_end_matches([' ', '|']).rsplit_once(" | ").unwrap();
        let is_sentence =
            |name: &&str| name.split('_').count() >= WORDS && !name.contains(char::is_uppercase);
        for name in quoted(held_by).filter(is_sentence) {
            let is_here = |path: &str| {
                quoted(places).next().is_none() || quoted(places).any(|named| is_in(path, named))
            };
            let found = sources.iter().any(|(path, source)| is_here(path) && defines(source, name));
            assert!(found, "there is no test {name} in {places}");
            seen += 1;
        }
    }
    assert!(seen > 150, "{seen} tests");
    assert!(defines("async fn one_two_three_four() {", "one_two_…_four"));
    assert!(!defines("fn one_two_three_five() {", "one_two_…_four") && !defines("fn one_two() {", "one"));
}
