//! Names that say how many files there are, as in `train-00001-of-00003.parquet`: which of them are missing.

use super::report::named;
use super::splits::{Told, told_by};
use std::collections::{BTreeMap, BTreeSet};

/// Files that are missing, by name, at most; the rest is counted.
const NAMED: usize = 8;

/// A file's place among those of its set.
struct Numbered<'a> {
    /// The path up to the number.
    prefix: &'a str,
    number: u64,
    /// Digits of the number.
    width: usize,
    total: u64,
    /// Between the two numbers: `-of-` or `_of_`.
    of: &'static str,
}

impl<'a> Numbered<'a> {
    fn new(path: &'a str) -> Option<Self> {
        let own = path.rfind('/').map_or(0, |slash| slash + 1);
        ["-of-", "_of_"].into_iter().find_map(|of| {
            let at = own + path[own..].find(of)?;
            let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
            let width = path[own..at].bytes().rev().take_while(u8::is_ascii_digit).count();
            let after = &path[at + of.len()..];
            let total = after[..digits(after)].parse().ok()?;
            let number = path[at - width..at].parse().ok()?;
            Some(Self { prefix: &path[..at - width], number, width, total, of })
        })
    }
}

/// A set of which files are missing.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Incomplete {
    /// Which are there, in words, and which are missing.
    pub(super) said: String,
    /// Words that its files' names have in common.
    pub(super) words: String,
    /// How many files there should be.
    pub(super) total: u64,
}

/// The sets among some files of which files are missing. They are numbered from 0 or from 1.
pub(super) fn incomplete<T: AsRef<str>>(paths: &[T]) -> Vec<Incomplete> {
    let mut sets: BTreeMap<(&str, u64), (BTreeSet<u64>, Numbered)> = BTreeMap::new();
    for path in paths {
        let Some(file) = Numbered::new(path.as_ref()) else { continue };
        let number = file.number;
        sets.entry((file.prefix, file.total)).or_insert_with(|| (BTreeSet::new(), file)).0.insert(number);
    }
    sets.into_iter()
        .filter_map(|((prefix, total), (there, file))| of_set(prefix, total, &there, &file))
        .collect()
}

fn of_set(prefix: &str, total: u64, there: &BTreeSet<u64>, file: &Numbered) -> Option<Incomplete> {
    let base = u64::from(!there.contains(&0) && there.contains(&total));
    let numbers = base..base.saturating_add(total);
    let count = there.iter().filter(|number| numbers.contains(number)).count() as u64;
    let missing = total - count;
    if missing == 0 {
        return None;
    }
    let name = |number: u64| {
        let own = prefix.rsplit('/').next().unwrap_or(prefix);
        let Numbered { width, of, .. } = file;
        format!("{own}{number:0width$}{of}{total:0width$}")
    };
    let names: Vec<String> = numbers.filter(|number| !there.contains(number)).take(NAMED).map(name).collect();
    let more = missing - names.len() as u64;
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    let is = if missing == 1 { "is" } else { "are" };
    let words = prefix.rsplit('/').next().unwrap_or(prefix);
    let words = words.trim_matches(|character: char| !character.is_alphanumeric());
    Some(Incomplete {
        said: format!("{count} of {total} files are there: {}{more} {is} missing", named(&names)),
        words: if words.is_empty() { ".".into() } else { words.into() },
        total,
    })
}

/// Two of some files whose names tell a split that may be of two sets: of one name and number in two folders, or with
/// names that differ in case alone.
pub(super) fn twice<'n>(paths: &[&'n str]) -> Option<[&'n str; 2]> {
    let parts = |path: &'n str| path.rsplit_once('/').unwrap_or(("", path));
    let mut seen: BTreeMap<(String, Option<u64>), &str> = BTreeMap::new();
    paths.iter().copied().find_map(|path| {
        let (folder, name) = parts(path);
        let (prefix, number) = numbered(name).map_or((name, None), |(prefix, number)| (prefix, Some(number)));
        let other = *seen.entry((prefix.to_lowercase(), number)).or_insert(path);
        let two = other != path && (parts(other).0 != folder || other.eq_ignore_ascii_case(path));
        (two && told_by(name) != Ok(Told::Nothing)).then_some([other, path])
    })
}

/// A split of several files, in few words. Files that do not follow one another are not shown as a range.
pub(super) fn files(names: &[&str]) -> String {
    let total = match incomplete(names).as_slice() {
        [one] if one.total > names.len() as u64 => format!(" of {}", one.total),
        _ => String::new(),
    };
    let count = names.len();
    match names {
        [] => String::new(),
        [one] if total.is_empty() => (*one).into(),
        [one] => format!("{one}, 1{total} files"),
        _ if names.windows(2).any(|pair| is_gap(pair[0], pair[1])) => {
            format!("{}, {count}{total} files", named(names))
        }
        [first, .., last] => format!("{first} … {last}, {count}{total} files"),
    }
}

/// Whether two files of one numbering do not follow one another.
fn is_gap(one: &str, other: &str) -> bool {
    match (numbered(one), numbered(other)) {
        (Some((prefix, number)), Some((of, next))) => prefix == of && next > number.saturating_add(1),
        _ => false,
    }
}

/// What stands before the number of a file, and the number: the first of two, or the last in the name.
fn numbered(path: &str) -> Option<(&str, u64)> {
    if let Some(Numbered { prefix, number, .. }) = Numbered::new(path) {
        return Some((prefix, number));
    }
    let own = path.rfind('/').map_or(0, |slash| slash + 1);
    let stem = path[own..].rfind('.').map_or(path.len(), |dot| own + dot);
    let end = path[..stem].rfind(|character: char| character.is_ascii_digit())? + 1;
    let width = path[..end].bytes().rev().take_while(u8::is_ascii_digit).count();
    Some((&path[..end - width], path[end - width..end].parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(names: &[&str]) -> Vec<String> {
        incomplete(names).into_iter().map(|set| set.said).collect()
    }

    #[test]
    fn files_that_a_numbered_set_lacks_are_named() {
        assert_eq!(
            said(&["d/set-train-00000-of-00003.tar", "d/set-train-00002-of-00003.tar"]),
            ["2 of 3 files are there: set-train-00001-of-00003 is missing"]
        );
        // From the last one, from 1, in other words, with a hash behind.
        assert_eq!(
            said(&["train-00000-of-00003.parquet", "train-00001-of-00003-ab12.parquet"]),
            ["2 of 3 files are there: train-00002-of-00003 is missing"]
        );
        assert_eq!(said(&["a_1_of_3.tar", "a_3_of_3.tar"]), ["2 of 3 files are there: a_2_of_3 is missing"]);
        let many = said(&["train-00005-of-01024.tar"]);
        assert!(
            many[0].contains("1 of 1024")
                && many[0].ends_with("train-00008-of-01024 and 1015 more are missing")
        );
        assert!(said(&["x-0-of-18446744073709551615.tar"])[0].contains("x-8-of"), "and ends soon");
        // Each set by itself.
        let two = ["train-0-of-2.x", "train-1-of-2.x", "val-1-of-2.x"];
        assert_eq!(said(&two), ["1 of 2 files are there: val-0-of-2 is missing"]);
    }

    #[test]
    fn whole_sets_and_other_names_lack_nothing() {
        for whole in [
            &["train-00000-of-00002-aa.x", "train-00001-of-00002-bb.x"][..],
            &["a-1-of-2.x", "a-2-of-2.x"],
            &["train-00000-of-00001.x", "b/train-00000-of-00001.x"],
            &["0.tar", "2.tar"],
            &["best-of-3.tar", "3-of-a-kind.tar", "-of-.tar", "of"],
            &[],
        ] {
            assert_eq!(said(whole), Vec::<String>::new(), "{whole:?}");
        }
    }

    #[test]
    fn files_of_two_sets_are_found() {
        let cases: [(&[&str], _); 9] = [
            (&["a/train-0.x", "b/train-0.x"], Some(["a/train-0.x", "b/train-0.x"])),
            (
                &["a/train-0-of-1-3f.x", "a/b.x", "b/train-0-of-2-8c.x"],
                Some(["a/train-0-of-1-3f.x", "b/train-0-of-2-8c.x"]),
            ),
            (&["train.x", "b/Train.x"], Some(["train.x", "b/Train.x"])),
            (&["Val.x", "val.x"], Some(["Val.x", "val.x"])),
            (&["a/train-0-of-2.x", "b/train-1-of-2.x"], None),
            (&["a/train-0.x", "b/val-0.x"], None),
            (&["train/0.x", "training/0.x"], None),
            (&["a/0.x", "b/0.x"], None),
            (&["train-1.x", "train-01.x"], None),
        ];
        for (paths, expected) in cases {
            assert_eq!(twice(paths), expected);
        }
    }

    #[test]
    fn a_range_is_shown_of_files_that_follow_one_another() {
        assert_eq!(files(&["t-08.x", "t-09.x", "t-10.x"]), "t-08.x … t-10.x, 3 files");
        assert_eq!(files(&["t-08.x", "t-10.x"]), "t-08.x, t-10.x, 2 files");
        assert_eq!(files(&["t-0-of-2.x"]), "t-0-of-2.x, 1 of 2 files");
        assert_eq!(files(&["t-0-of-3.x", "t-2-of-3.x"]), "t-0-of-3.x, t-2-of-3.x, 2 of 3 files");
        assert_eq!(files(&["a/0.x", "b/7.x"]), "a/0.x … b/7.x, 2 files");
        assert_eq!(files(&["one.x"]), "one.x");
    }
}
