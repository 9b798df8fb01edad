//! Which split a name tells, and which files or folders are which split: one rule for folders, tar shards
//! and tables.
//!
//! A name tells a split by a word that stands between separators, anywhere in it: `train`, `imagenet-val-0.tar`,
//! `beans_TEST.parquet`, `val2017`; a capital after a small letter begins a word too (`TrainImages`). Among several evaluation splits the first of [`EVALUATION`] that has labels is the
//! test split. A name with words of two kinds is refused, and so is one without any beside training files that have
//! one: `--train` and `--test` decide.

mod pattern;

use super::options::{INDEX_FILE, Options};
use super::report::named;
pub(super) use pattern::{matches_none, matching, taken, within};
use std::collections::BTreeSet;

/// Words that tell the training split.
const TRAIN: [&str; 2] = ["train", "training"];

/// Words that tell an evaluation split, best first. From [`VALIDATION`] on they are of validation splits.
const EVALUATION: [&str; 9] =
    ["test", "testing", "eval", "evaluation", "holdout", "val", "valid", "validation", "dev"];

const VALIDATION: usize = 5;

/// As `--train`: the place itself, so that the folders in it are classes, and files in it are for training.
pub(super) const PLACE: &str = ".";

/// As `--test`: no test split.
pub(super) const NONE: &str = "none";

/// What a name tells.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Told {
    Nothing,
    Train,
    /// Of which rank the word is in [`EVALUATION`].
    Evaluation(usize),
}

impl Told {
    /// Words of one kind mean one split.
    fn kind(self) -> u8 {
        match self {
            Self::Nothing => 0,
            Self::Train => 1,
            Self::Evaluation(rank) if rank < VALIDATION => 2,
            Self::Evaluation(_) => 3,
        }
    }
}

/// The word by which an evaluation split was told.
pub(super) fn word(rank: usize) -> &'static str {
    EVALUATION[rank]
}

/// What a name tells; an error has both words of one that tells two splits.
pub(super) fn told_by(name: &str) -> Result<Told, [&'static str; 2]> {
    let mut told: Option<(Told, &str)> = None;
    for found in words(name) {
        match told {
            Some((earlier, word)) if earlier.kind() != found.0.kind() => return Err([word, found.1]),
            Some(_) => {}
            None => told = Some(found),
        }
    }
    Ok(told.map_or(Told::Nothing, |(told, _)| told))
}

/// The words in a text that tell splits, with what they tell.
fn words(text: &str) -> impl Iterator<Item = (Told, &'static str)> {
    tokens(text).filter_map(|token| {
        let is = |word: &&str| token.eq_ignore_ascii_case(word);
        let evaluation = || EVALUATION.iter().enumerate().find(|(_, word)| is(word));
        let train = TRAIN.iter().find(|word| is(word)).map(|word| (Told::Train, *word));
        train.or_else(|| evaluation().map(|(rank, word)| (Told::Evaluation(rank), *word)))
    })
}

/// Whether some names tell splits of more than one kind.
pub(super) fn are_several<'n>(names: impl IntoIterator<Item = &'n String>) -> bool {
    let told = names.into_iter().filter_map(|name| told_by(name).ok());
    let mut kinds = told.map(Told::kind).filter(|kind| *kind != Told::Nothing.kind());
    kinds.next().is_some_and(|first| kinds.any(|kind| kind != first))
}

/// Whether a name is a split's word and nothing else.
pub(super) fn is_bare(name: &str) -> bool {
    TRAIN.iter().chain(&EVALUATION).any(|word| name.eq_ignore_ascii_case(word))
}

/// Names that file systems, network disks and archives add for their own use.
const SYSTEM: [&str; 5] = ["__MACOSX", "lost+found", "@eaDir", "$RECYCLE.BIN", "System Volume Information"];

/// Whether a name is not looked at in any format: hidden, one of [`SYSTEM`], or that of an index.
pub(super) fn is_hidden(name: &str) -> bool {
    name.starts_with('.') || SYSTEM.contains(&name) || name == INDEX_FILE
}

/// The same of a path in an archive, of which any part may be hidden. (`.` and `..` are no names.)
pub(super) fn is_hidden_path(path: &str) -> bool {
    path.split('/').any(|part| is_hidden(part) && !matches!(part, "." | ".."))
}

/// The parts of a name between what is neither letter nor digit, and before a capital that follows a small letter,
/// without digits around them.
fn tokens(name: &str) -> impl Iterator<Item = &str> {
    name.split(|character: char| !character.is_alphanumeric())
        .flat_map(humps)
        .map(|token| token.trim_matches(|character: char| character.is_ascii_digit()))
        .filter(|token| !token.is_empty())
}

/// The parts of a word in camel case.
fn humps(word: &str) -> impl Iterator<Item = &str> {
    let mut rest = word;
    std::iter::from_fn(move || {
        let mut pairs = rest.chars().zip(rest.char_indices().skip(1));
        let next = pairs.find(|(one, (_, other))| one.is_lowercase() && other.is_uppercase());
        let (hump, behind) = rest.split_at(next.map_or(rest.len(), |(_, (start, _))| start));
        rest = behind;
        (!hump.is_empty()).then_some(hump)
    })
}

/// A name without the extension of a file.
fn stem(name: &str) -> &str {
    name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).map_or(name, |(stem, _)| stem)
}

/// The files of an evaluation split, by their numbers.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Candidate {
    pub(super) files: Vec<usize>,
    /// Whether `--test` chose it, so that no other takes its place.
    pub(super) chosen: bool,
}

/// Files divided into splits, by their numbers.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Division {
    pub(super) train: Vec<usize>,
    /// The best first.
    pub(super) tests: Vec<Candidate>,
    /// Those that are neither, because of a flag.
    pub(super) left_out: Vec<usize>,
    /// Training files whose names tell nothing, beside evaluation files whose names do.
    pub(super) untold: bool,
    /// One of such files that has an evaluation split's word within another, as `testset` has, while others have not.
    pub(super) resembling: Option<(usize, &'static str)>,
}

/// Divides files, by their paths within the place. The error says what contradicts.
pub(super) fn divide(paths: &[String], options: &Options) -> Result<Division, String> {
    let choose = |flag: &str, pattern: &Option<String>| match pattern.as_deref() {
        None => Ok(None),
        Some(NONE) if flag == "--test" => Ok(Some(Vec::new())),
        Some(pattern) => match taken(flag, pattern, paths)? {
            found if found.is_empty() => Err(matches_none(flag, pattern, &named(paths))),
            found => Ok(Some(found)),
        },
    };
    let test = choose("--test", &options.test)?;
    let train = match options.train.as_deref() {
        Some(PLACE) => {
            let tested = |file: &usize| test.as_ref().is_some_and(|test| test.contains(file));
            Some((0..paths.len()).filter(|file| !tested(file)).collect())
        }
        _ => choose("--train", &options.train)?,
    };
    if let (Some(train), Some(test)) = (&train, &test)
        && let Some(both) = train.iter().find(|file| test.binary_search(file).is_ok())
    {
        return Err(format!("{} matches both --train and --test", paths[*both]));
    }
    let chosen: BTreeSet<usize> = [&train, &test].into_iter().flatten().flatten().copied().collect();
    let rest: Vec<usize> = (0..paths.len()).filter(|file| !chosen.contains(file)).collect();
    let mut division = Division::default();
    let (mut told_train, mut untold, mut told_tests) = (Vec::new(), Vec::new(), Vec::new());
    if train.is_some() && test.is_some() {
        division.left_out.clone_from(&rest);
    } else {
        for file in rest {
            match told_by_path(&paths[file])? {
                Told::Train => told_train.push(file),
                Told::Nothing => untold.push(file),
                Told::Evaluation(rank) => told_tests.push((rank, file)),
            }
        }
    }
    match train {
        Some(train) => {
            division.train = train;
            division.left_out.extend(told_train.into_iter().chain(untold));
        }
        None if told_train.is_empty() => {
            division.untold = !untold.is_empty() && !told_tests.is_empty() && test.is_none();
            division.resembling = resembling(paths, &untold).filter(|_| test.is_none());
            division.train = untold;
        }
        None => {
            if let Some(file) = untold.first() {
                return Err(pattern::tells_none(paths, *file, &told_train));
            }
            division.train = told_train;
        }
    }
    match test {
        Some(test) => {
            division.left_out.extend(told_tests.into_iter().map(|(_, file)| file));
            if !test.is_empty() {
                division.tests.push(Candidate { files: test, chosen: true });
            }
        }
        None => {
            told_tests.sort_unstable();
            for of_word in told_tests.chunk_by(|(one, _), (other, _)| one == other) {
                let files = of_word.iter().map(|(_, file)| *file).collect();
                division.tests.push(Candidate { files, chosen: false });
            }
        }
    }
    if division.train.is_empty() {
        return Err(format!("nothing to train on among {}; --train says what is", named(paths)));
    }
    division.left_out.sort_unstable();
    Ok(division)
}

/// Of files whose names tell nothing, one that may be meant for evaluation, and by which word.
fn resembling(paths: &[String], untold: &[usize]) -> Option<(usize, &'static str)> {
    // Shorter words are in too many others.
    let words = EVALUATION.into_iter().filter(|word| word.len() > 3);
    words.into_iter().find_map(|word| {
        let has = |file: &&usize| paths[**file].to_ascii_lowercase().contains(word);
        let found = untold.iter().find(has)?;
        (!untold.iter().all(|file| has(&file))).then_some((*found, word))
    })
}

/// What a file's name and its folder's tell.
fn told_by_path(path: &str) -> Result<Told, String> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let folder = folder.rsplit('/').next().unwrap_or(folder);
    let of_name = told_by(stem(name)).map_err(|words| ambiguous(path, words))?;
    let of_folder = told_by(folder).map_err(|words| ambiguous(path, words))?;
    match (of_name, of_folder) {
        (told, Told::Nothing) | (Told::Nothing, told) => Ok(told),
        (told, other) if told.kind() == other.kind() => Ok(told),
        _ => Err(format!(
            "{path} may be of two splits, by its folder's name and by its own: choose with --train and --test"
        )),
    }
}

/// What is said of a name with two words.
pub(super) fn ambiguous(path: &str, [one, other]: [&str; 2]) -> String {
    format!("{path} may be of two splits, {one} and {other}: choose with --train and --test")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn divided(paths: &[&str], train: Option<&str>, test: Option<&str>) -> Result<Division, String> {
        let paths: Vec<String> = paths.iter().map(ToString::to_string).collect();
        let options =
            Options { train: train.map(Into::into), test: test.map(Into::into), ..Options::default() };
        divide(&paths, &options)
    }

    fn files(division: &Division) -> (Vec<usize>, Vec<Vec<usize>>) {
        (division.train.clone(), division.tests.iter().map(|test| test.files.clone()).collect())
    }

    #[test]
    fn a_word_between_separators_tells_the_split() {
        let test = Told::Evaluation(0);
        for (name, told) in [
            ("train", Told::Train),
            ("Training_set", Told::Train),
            ("imagenet-TRAIN-000000", Told::Train),
            ("train-00000-of-00001", Told::Train),
            ("train2017", Told::Train),
            ("my set (test)", test),
            ("cifar10.test", test),
            ("svhn_testing_01", Told::Evaluation(1)),
            ("eval0", Told::Evaluation(2)),
            ("a-holdout-b", Told::Evaluation(4)),
            ("x_val", Told::Evaluation(5)),
            ("valid", Told::Evaluation(6)),
            ("ds-dev-3", Told::Evaluation(8)),
            ("validation-dev", Told::Evaluation(7)),
            ("training_train", Told::Train),
            ("TrainImages", Told::Train),
            ("imagesTest2", test),
            ("ImageNetVal", Told::Evaluation(5)),
        ] {
            assert_eq!(told_by(name), Ok(told), "{name}");
        }
        for name in [
            "Trainer",
            "conTESTant",
            "TESTER",
            "ÉvalTrains",
            "trainer",
            "contest",
            "latest-0",
            "invalid",
            "devil",
            "évaltrain",
            "trainval",
            "cat",
            "",
        ] {
            assert_eq!(told_by(name), Ok(Told::Nothing), "{name}");
        }
        for (name, words) in [
            ("train-val", ["train", "val"]),
            ("test_of_training", ["test", "training"]),
            ("dev.test", ["dev", "test"]),
        ] {
            assert_eq!(told_by(name), Err(words), "{name}");
        }
    }

    #[test]
    fn files_are_divided_by_name_and_by_folder() {
        let division = divided(&["a-train-0.tar", "a-val-0.tar", "b/train/0.tar", "dev/1.tar"], None, None);
        assert_eq!(files(&division.unwrap()), (vec![0, 2], vec![vec![1], vec![3]]));
        let division = divided(&["val-0.tar", "test-1.tar", "train.tar", "test-0.tar"], None, None).unwrap();
        assert_eq!(files(&division), (vec![2], vec![vec![1, 3], vec![0]]));
        // The names of folders above the place are not looked at, and names without a word are for training.
        let division = divided(&["0.tar", "1.tar"], None, None).unwrap();
        assert_eq!((files(&division), division.untold), ((vec![0, 1], vec![]), false));
        let division = divided(&["0.tar", "1.tar", "test.tar"], None, None).unwrap();
        assert_eq!((files(&division), division.untold), ((vec![0, 1], vec![vec![2]]), true));
    }

    #[test]
    fn a_word_within_another_is_named_where_not_all_have_it() {
        let found = |paths: &[&str]| divided(paths, None, None).unwrap().resembling;
        assert_eq!(found(&["trainset-0.tar", "testset-0.tar"]), Some((1, "test")));
        assert_eq!(found(&["cifar10trainset.parquet", "cifar10TESTSET.parquet"]), Some((1, "test")));
        assert_eq!(found(&["00000.tar", "validate-0.tar"]), Some((1, "valid")));
        assert_eq!(found(&["a/0.tar", "myholdouts/0.tar"]), Some((1, "holdout")));
        assert_eq!(found(&["latest-0.tar", "latest-1.tar"]), None);
        assert_eq!(found(&["trainset-0.tar", "device-0.tar", "values.tar"]), None);
        assert_eq!(found(&["train-0.tar", "test-0.tar"]), None, "these tell their splits");
        let chosen = divided(&["trainset-0.tar", "testset-0.tar"], None, Some("testset")).unwrap();
        assert_eq!((files(&chosen), chosen.resembling), ((vec![0], vec![vec![1]]), None));
    }

    #[test]
    fn what_cannot_be_told_is_refused_by_name() {
        let refused = |paths: &[&str]| divided(paths, None, None).unwrap_err();
        let message = refused(&["train-0.parquet", "test-0.parquet", "extra-0.parquet"]);
        assert!(message.starts_with("the name of extra-0.parquet tells no split"), "{message}");
        assert!(message.ends_with("--train train,extra"), "{message}");
        let message = refused(&["train-val.tar", "test.tar"]);
        assert!(message.starts_with("train-val.tar may be of two splits, train and val:"), "{message}");
        assert!(refused(&["train/test-0.tar"]).contains("by its folder's name and by its own"));
        assert!(
            refused(&["test-0.tar", "val-0.tar"]).starts_with("nothing to train on among test-0.tar, val")
        );
    }

    #[test]
    fn flags_decide() {
        let all = ["train-0.tar", "extra-0.tar", "extra-1.tar", "val-0.tar", "train-val.tar", "test/0.tar"];
        let with = |train, test| divided(&all, train, test);
        let division = with(Some("train-0.tar"), Some("val")).unwrap();
        // "val" stands in "train-val" as well.
        assert_eq!((files(&division), division.left_out), ((vec![0], vec![vec![3, 4]]), vec![1, 2, 5]));
        let division = with(Some("train-0.tar,extra"), Some("test")).unwrap();
        assert_eq!((files(&division), division.left_out), ((vec![0, 1, 2], vec![vec![5]]), vec![3, 4]));
        let division = with(Some("extra-?.tar"), Some(NONE)).unwrap();
        assert_eq!((files(&division), division.left_out), ((vec![1, 2], vec![]), vec![0, 3, 4, 5]));
        assert!(with(Some("extra"), None).unwrap_err().contains("two splits, train and val"));
        assert!(
            with(Some("fold"), None).unwrap_err().starts_with("--train fold matches none of train-0.tar")
        );
        assert!(with(Some("e*"), Some("extra-1")).unwrap_err().starts_with("extra-1.tar matches both"));
        let division = with(Some("."), Some("test")).unwrap();
        assert_eq!((files(&division), division.left_out), ((vec![0, 1, 2, 3, 4], vec![vec![5]]), vec![]));
        let division = divided(&all[..4], Some("train,extra"), None).unwrap();
        assert_eq!(files(&division), (vec![0, 1, 2], vec![vec![3]]));
    }

    #[test]
    fn hidden_names_are_known_in_archives_too() {
        for hidden in ["./._0.png", "a/.DS_Store", "__MACOSX/a/0.png", ".cache/0.png", "a/__MACOSX/._x"] {
            assert!(is_hidden_path(hidden), "{hidden}");
        }
        for plain in ["./0.png", "../../etc/x.png", "a.b/0.png", "MACOSX/0.png", "a/b..png"] {
            assert!(!is_hidden_path(plain), "{plain}");
        }
    }
}
