//! What `--train` and `--test` name: files and folders, by their paths within the place.

use super::{Told, stem, tokens, told_by_path, words};
use crate::source::report::named;
use std::path::Path;

/// The paths that `pattern` names, as `--train` and `--test` do: several patterns, separated by commas. Each is the name
/// or path of a file or folder, a path with `*` and `?`, or words of its name, as in `val`; the first of these that
/// fits any path. The path of one file names that file alone.
pub(in crate::source) fn matching(pattern: &str, paths: &[String]) -> Vec<usize> {
    let mut found: Vec<usize> = Vec::new();
    for pattern in pattern.split(',').map(|pattern| pattern.trim().trim_end_matches('/')) {
        let of = |fits: &dyn Fn(&str) -> bool| -> Vec<usize> {
            (0..paths.len()).filter(|file| fits(&paths[*file])).collect()
        };
        let mut fitting = of(&|path| path == pattern);
        if fitting.is_empty() {
            fitting = of(&|path| is_named(pattern, path));
        }
        if fitting.is_empty() && pattern.contains(['*', '?']) {
            fitting = of(&|path| {
                is_like(pattern.as_bytes(), path.as_bytes())
                    || path.split('/').any(|part| is_like(pattern.as_bytes(), part.as_bytes()))
            });
        } else if fitting.is_empty() {
            fitting = of(&|path| path.split('/').any(|part| has_words(pattern, part)));
        }
        found.extend(fitting);
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Those that a flag takes of the paths that its pattern names: one that tells another split by a word, which is not in the
/// pattern, does not follow. An error says that no other is named.
pub(in crate::source) fn taken(flag: &str, pattern: &str, paths: &[String]) -> Result<Vec<usize>, String> {
    let kinds = |text| words(text).map(|(told, _)| told.kind()).collect::<Vec<u8>>();
    let mut all = Vec::new();
    for part in pattern.split(',') {
        let own = kinds(part);
        let is_taken = |file: &usize| {
            let told = kinds(&paths[*file]);
            let another = |kind: &u8| (flag == "--train") != (*kind == Told::Train.kind());
            !told.iter().any(another) || told.iter().any(|kind| own.contains(kind))
        };
        let (taken, another): (Vec<usize>, Vec<usize>) =
            matching(part, paths).into_iter().partition(is_taken);
        if taken.is_empty() && !another.is_empty() {
            let names: Vec<&String> = another.iter().map(|file| &paths[*file]).collect();
            return Err(format!(
                "{flag} {part} matches {}, named for another split: {flag} {} takes it all the same",
                named(&names),
                names[0]
            ));
        }
        all.extend(taken);
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

/// What is said of a file whose name tells no split, beside those for training, whose names do.
pub(super) fn tells_none(paths: &[String], untold: usize, trains: &[usize]) -> String {
    let path = &paths[untold];
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let separates = |word: &&str| {
        let found = matching(word, paths);
        let is_untold = |file: &usize| told_by_path(&paths[*file]) == Ok(Told::Nothing);
        found.contains(&untold) && found.iter().all(is_untold)
    };
    let word = tokens(stem(name)).chain(tokens(folder)).find(separates).unwrap_or(path);
    let train = ["train", "training", "train,training"].into_iter().find(|it| matching(it, paths) == trains);
    let all = || trains.iter().map(|file| paths[*file].as_str()).collect::<Vec<_>>().join(",");
    let train = train.map_or_else(all, Into::into);
    format!(
        "the name of {path} tells no split, and others do, as {}: leave it out with --train {train}, or train on it too \
         with --train {train},{word}",
        paths[trains[0]]
    )
}

/// The same pattern with paths that say where the files are, as a shell completes them, made paths within `folder`, which
/// the paths are of. One that names some as it stands is left alone.
pub(in crate::source) fn within(folder: &Path, pattern: &str, paths: &[String]) -> String {
    let strip = |part: &str| {
        let plain = part.trim().trim_start_matches("./");
        let own = folder.strip_prefix(".").unwrap_or(folder);
        let bases = [Some(own.to_owned()), folder.canonicalize().ok()];
        let inner = bases.into_iter().flatten().find_map(|base| Path::new(plain).strip_prefix(base).ok());
        let inner = inner.and_then(Path::to_str).unwrap_or(plain);
        if inner.is_empty() || !matching(part, paths).is_empty() { part } else { inner }.to_owned()
    };
    if pattern.contains('/') {
        pattern.split(',').map(strip).collect::<Vec<_>>().join(",")
    } else {
        pattern.into()
    }
}

/// What is said of a pattern that names none of those that are there.
pub(in crate::source) fn matches_none(flag: &str, pattern: &str, there: &str) -> String {
    format!(
        "{flag} {pattern} matches none of {there}; it takes names, words of names, paths, and patterns of these with * and ?"
    )
}

/// Whether a path is the pattern, lies in a folder of this path, or has a part of this name.
fn is_named(pattern: &str, path: &str) -> bool {
    let within = path.strip_prefix(pattern).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    within || path.split('/').any(|part| part == pattern || stem(part) == pattern)
}

/// Whether the words of the pattern stand in a name, one after the other.
fn has_words(pattern: &str, name: &str) -> bool {
    let wanted: Vec<&str> = tokens(pattern).collect();
    let there: Vec<&str> = tokens(stem(name)).collect();
    let equal = |part: &[&str]| part.iter().zip(&wanted).all(|(a, b)| a.eq_ignore_ascii_case(b));
    !wanted.is_empty() && there.windows(wanted.len()).any(equal)
}

/// Whether a text is like a pattern in which `*` is any text and `?` one byte.
fn is_like(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where the last `*` stands, and how much of the text it has taken.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[t] => (p, t) = (p + 1, t + 1),
            _ => {
                let Some((at, taken)) = star else { return false };
                star = Some((at, taken + 1));
                (p, t) = (at + 1, taken + 1);
            }
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_say_where_files_are_are_made_paths_within() {
        let there: Vec<String> = ["a/b0.tar", "x/a/b0.tar"].map(Into::into).to_vec();
        for (pattern, expected) in [
            ("a/b*.tar", "a/b*.tar"),
            ("./a/b*.tar", "a/b*.tar"),
            ("/data/set/a/b*.tar,val", "a/b*.tar,val"),
            ("/data/other/a", "/data/other/a"),
            ("/data/set", "/data/set"),
            ("b0", "b0"),
            ("a, b", "a, b"),
            (".", "."),
        ] {
            assert_eq!(within(Path::new("/data/set"), pattern, &there), expected);
        }
        assert_eq!(
            within(Path::new("./x"), "x/a/b*.tar", &there[1..]),
            "x/a/b*.tar",
            "it names one as it stands"
        );
        assert_eq!(within(Path::new("./x"), "x/a/b*.tar", &there[..1]), "a/b*.tar");
        assert_eq!(within(Path::new("."), "./val*.tar", &there), "val*.tar");
    }

    #[test]
    fn what_tells_another_split_follows_no_other_word() {
        let paths = ["a-train-0.tar", "a-test-0.tar", "a-more-0.tar", "a-val-0.tar", "eval/part-0.tar"];
        let paths: Vec<String> = paths.map(Into::into).to_vec();
        for (flag, pattern, expected) in [
            ("--train", "a", &[0, 2][..]),
            ("--train", "train,a", &[0, 2]),
            ("--train", "*.tar", &[0, 2]),
            ("--train", "train,more", &[0, 2]),
            ("--train", "val,a", &[0, 2, 3]),
            ("--train", "a-test-0.tar", &[1]),
            ("--train", "eval", &[4]),
            ("--test", "a", &[1, 2, 3]),
            ("--test", "*-0.tar", &[1, 2, 3, 4]),
            ("--test", "train", &[0]),
            ("--train", "x", &[]),
        ] {
            assert_eq!(taken(flag, pattern, &paths).unwrap(), expected, "{flag} {pattern}");
        }
        let expected = "--train part-0 matches eval/part-0.tar, named for another split: --train eval/part-0.tar takes it \
                        all the same";
        assert_eq!(taken("--train", "part-0", &paths).unwrap_err(), expected);
        assert!(
            taken("--test", "b", &["b-train.tar".into()]).unwrap_err().contains("--test b-train.tar takes")
        );
    }

    #[test]
    fn what_is_advised_takes_what_it_says() {
        for (paths, train, more) in [
            (&["coco-test.tar", "coco-train.tar", "coco-unlabeled.tar"][..], "train", "unlabeled"),
            (&["_delta/part-9.x", "eval/part-0.x", "train/part-0.x"], "train", "delta"),
            (&["training-0.x", "more.x"], "training", "more"),
            (&["a-train-0.x", "TRAINING.x", "a.x"], "train,training", "a"),
            (&["train/0.x", "b-train.x", "0.x"], "train/0.x,b-train.x", "0.x"),
        ] {
            let paths: Vec<String> = paths.iter().map(ToString::to_string).collect();
            let of = |wanted: Told| {
                (0..paths.len()).filter(|file| told_by_path(&paths[*file]) == Ok(wanted)).collect::<Vec<_>>()
            };
            let (trains, untold) = (of(Told::Train), of(Told::Nothing));
            let said = tells_none(&paths, untold[0], &trains);
            let expected =
                format!("it out with --train {train}, or train on it too with --train {train},{more}");
            assert!(said.ends_with(&expected), "{said}");
            assert_eq!(taken("--train", train, &paths).unwrap(), trains);
            let mut both = [trains, untold].concat();
            both.sort_unstable();
            assert_eq!(taken("--train", &format!("{train},{more}"), &paths).unwrap(), both);
        }
    }

    #[test]
    fn patterns_match_as_in_a_shell() {
        for (pattern, text, like) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abcd", false),
            ("*-0?.tar", "train-01.tar", true),
            ("*-0?.tar", "train-0.tar", false),
            ("a**b*", "axxb", true),
            ("", "a", false),
        ] {
            assert_eq!(is_like(pattern.as_bytes(), text.as_bytes()), like, "{pattern} {text}");
        }
    }
}
