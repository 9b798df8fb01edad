//! Files that hold many records each: which of them are at a place, and which split each is of.

use super::error::SourceError;
use super::listing::{Entry, Kind, is_folder, list};
use super::numbered::{self, files};
use super::options::Options;
use super::report::Report;
use super::splits;
use mixfeed_pipeline::Split;
use std::path::{Path, PathBuf};

/// Divides the files at a place, of which there is one at least, by their names ([`splits`]). Of the evaluation splits the
/// first is taken of which not all files are `without_labels`, which then says of how many images; of those that are not
/// taken, `records` are said where they can be counted. In order of their paths.
pub(super) fn divide(
    place: &Path,
    shards: Vec<PathBuf>,
    options: &Options,
    report: &mut Report,
    mut without_labels: impl FnMut(&Path) -> Result<Option<u64>, SourceError>,
    mut records: impl FnMut(&Path) -> Option<u64>,
) -> Result<Vec<(Split, PathBuf)>, SourceError> {
    let refused = |reason: String| SourceError::Set { path: place.into(), reason };
    let names = names(place, &shards)?;
    let above = above(place)?;
    let within = |pattern: &String| splits::within(above, pattern, &names);
    let (train, test) = (options.train.as_ref().map(within), options.test.as_ref().map(within));
    let options = &Options { train, test, ..options.clone() };
    let division = splits::divide(&names, options).map_err(refused)?;
    let named = |numbers: &[usize]| numbers.iter().map(|file| names[*file].as_str()).collect::<Vec<_>>();
    let of = |numbers: &[usize]| files(&named(numbers));
    must_be_whole(place, "--train", options.train.is_some(), &named(&division.train), report)?;
    report.train.from = of(&division.train);
    if division.untold {
        let train = of(&division.train);
        report
            .warnings
            .push(format!("no name tells a training split: trained on is all that is left, {train}"));
    }
    if let Some((file, word)) = division.resembling {
        report.warnings.push(format!(
            "trained on, though its name has `{word}` in it: {}; if it is an evaluation split, --test chooses it",
            names[file]
        ));
    }
    let mut test: Option<Vec<usize>> = None;
    for candidate in division.tests {
        let name = of(&candidate.files);
        if test.is_some() {
            let why = format!("{} is the test split", report.test.from);
            match candidate.files.iter().map(|file| records(&shards[*file])).sum() {
                Some(records) => report.leave_out(name, records, why),
                None => report.leave_out_files(name, candidate.files.len(), why),
            }
            continue;
        }
        let mut unlabelled = Some(0);
        for file in &candidate.files {
            if let Some(images) = unlabelled {
                unlabelled = without_labels(&shards[*file])?.map(|more| images + more);
            }
        }
        let Some(images) = unlabelled else {
            must_be_whole(place, "--test", candidate.chosen, &named(&candidate.files), report)?;
            report.test.from = name;
            test = Some(candidate.files);
            continue;
        };
        if candidate.chosen {
            return Err(refused(format!("{name} has no labels to test by, and --test chooses it")));
        }
        let why = match images {
            0 => "an evaluation split without an image",
            _ => "an evaluation split without labels",
        };
        report.leave_out(name, images, why);
    }
    if !division.left_out.is_empty() {
        let (what, count) = (of(&division.left_out), division.left_out.len());
        report.leave_out_files(what, count, "not chosen by --train or --test");
    }
    let mut splits: Vec<Option<Split>> = vec![None; shards.len()];
    for (split, files) in [(Split::Train, division.train), (Split::Test, test.unwrap_or_default())] {
        files.into_iter().for_each(|file| splits[file] = Some(split));
    }
    Ok(splits.into_iter().zip(shards).filter_map(|(split, path)| Some((split?, path))).collect())
}

/// Refuses a split whose files say that there are more, or that they are of two sets, unless `flag` or the place itself
/// chooses those that are there.
fn must_be_whole(
    place: &Path,
    flag: &str,
    chosen: bool,
    names: &[&str],
    report: &mut Report,
) -> Result<(), SourceError> {
    if let Some([one, other]) = numbered::twice(names).filter(|_| !chosen) {
        let of = |path: &str| path.rsplit_once('/').map_or(path, |(folder, _)| folder).to_owned();
        let (first, second) = (of(one), of(other));
        let reason = format!(
            "{one} and {other} may be of two sets: choose with {flag} {first}, {flag} {second}, or {flag} {first},{second} \
             for one set"
        );
        return Err(SourceError::Set { path: place.into(), reason });
    }
    for numbered::Incomplete { said, words, .. } in numbered::incomplete(names) {
        if !chosen && is_folder(place)? {
            let reason = format!("{said}; {flag} {words} takes those that are there");
            return Err(SourceError::Set { path: place.into(), reason });
        }
        report.warnings.push(said);
    }
    Ok(())
}

/// The names of files within a place. What lies above it has not been named by whoever made the set.
pub(super) fn names(place: &Path, files: &[PathBuf]) -> Result<Vec<String>, SourceError> {
    let above = above(place)?;
    let name = |path: &PathBuf| path.strip_prefix(above).unwrap_or(path).to_string_lossy().into_owned();
    Ok(files.iter().map(name).collect())
}

/// The folder that names of files are within: the place, or where it lies if it is a file.
fn above(place: &Path) -> Result<&Path, SourceError> {
    Ok(if is_folder(place)? { place } else { place.parent().unwrap_or(place) })
}

/// The files at a place that are no images: itself, or those in the folder and in the folders in it. In order of their
/// paths.
pub(super) fn all(place: &Path) -> Result<Vec<PathBuf>, SourceError> {
    if !is_folder(place)? {
        return Ok(if place.is_file() { vec![place.into()] } else { Vec::new() });
    }
    let mut files = Vec::new();
    let mut add = |folder: &Path, entry: &Entry| {
        if entry.kind == Kind::File && !entry.is_image() {
            files.push(folder.join(&entry.name));
        }
    };
    for entry in list(place)? {
        if entry.kind == Kind::Folder {
            let folder = place.join(&entry.name);
            list(&folder)?.iter().for_each(|entry| add(&folder, entry));
        } else {
            add(place, &entry);
        }
    }
    files.sort_unstable();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(paths: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for path in paths {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        folder
    }

    fn only(place: &Path) -> Vec<PathBuf> {
        let mut files = all(place).unwrap();
        files.retain(|path| path.extension().is_some_and(|ending| ending == "x"));
        files
    }

    fn found(place: &Path, unlabelled: &str) -> (Vec<(Split, String)>, Report) {
        let mut report = Report::default();
        let without_labels = |path: &Path| Ok(path.to_string_lossy().contains(unlabelled).then_some(3));
        let count = |path: &Path| path.to_string_lossy().contains("validation").then_some(7);
        let found =
            divide(place, only(place), &Options::default(), &mut report, without_labels, count).unwrap();
        let name = |path: &Path| path.strip_prefix(place).unwrap().to_str().unwrap().to_string();
        (found.into_iter().map(|(split, path)| (split, name(&path))).collect(), report)
    }

    #[test]
    fn shards_are_found_ordered_and_told_apart_by_name() {
        let folder = place(&[
            "data/train-1.x",
            "data/train-0.x",
            "data/validation-0.x",
            "test/0.x",
            ".y/1.x",
            "__MACOSX/train-0.x",
            "data/._train-0.x",
            "a.txt",
        ]);
        let (taken, report) = found(folder.path(), "nothing");
        let expected =
            [(Split::Train, "data/train-0.x"), (Split::Train, "data/train-1.x"), (Split::Test, "test/0.x")];
        assert_eq!(taken, expected.map(|(split, path)| (split, path.to_string())));
        assert_eq!(report.train.from, "data/train-0.x … data/train-1.x, 2 files");
        assert_eq!(
            report.warnings(),
            ["left out: data/validation-0.x: 7 (test/0.x is the test split)"],
            "one evaluation split, and not both in one"
        );
    }

    #[test]
    fn an_evaluation_split_without_labels_is_passed_over() {
        let folder = place(&["a-train.x", "a-test.x", "dev/0.x", "val2/0.x", "val2/1.x"]);
        let (taken, report) = found(folder.path(), "a-test");
        assert_eq!(
            taken.iter().map(|(split, _)| *split).collect::<Vec<_>>(),
            [Split::Train, Split::Test, Split::Test]
        );
        assert_eq!(report.test.from, "val2/0.x … val2/1.x, 2 files");
        let left_out: Vec<&str> = report.left_out.iter().map(|left| left.what.as_str()).collect();
        assert_eq!(left_out, ["a-test.x", "dev/0.x"]);
        let folder = place(&["train.x", "holdout.x"]);
        let (taken, report) = found(folder.path(), "holdout");
        assert_eq!((taken.len(), report.test.from.as_str(), report.left_out.len()), (1, "", 1));
        // Chosen, it is not passed over in silence.
        let options = Options { test: Some("holdout".into()), ..Options::default() };
        let files = only(folder.path());
        let error = divide(folder.path(), files, &options, &mut Report::default(), |_| Ok(Some(1)), |_| None)
            .unwrap_err();
        assert!(error.to_string().ends_with("holdout.x has no labels to test by, and --test chooses it"));
    }
    #[test]
    fn a_split_that_lacks_files_is_refused_unless_a_flag_chooses_what_is_there() {
        let read = |paths: &[&str], train: Option<&str>, test: Option<&str>| {
            let folder = place(paths);
            let (mut report, owned) = (Report::default(), |text: Option<&str>| text.map(Into::into));
            let options = Options { train: owned(train), test: owned(test), ..Options::default() };
            let found =
                divide(folder.path(), only(folder.path()), &options, &mut report, |_| Ok(None), |_| None);
            found.map(|found| (found.len(), report)).map_err(|e| e.to_string())
        };
        let train = ["set-train-00000-of-00003.x", "set-train-00002-of-00003.x"];
        let message = read(&train, None, None).unwrap_err();
        let said = "2 of 3 files are there: set-train-00001-of-00003 is missing";
        assert!(
            message.ends_with(&format!("{said}; --train set-train takes those that are there")),
            "{message}"
        );
        let (count, report) = read(&train, Some("set-train"), None).unwrap();
        assert_eq!((count, report.warnings()), (2, vec![said.to_string()]));
        assert_eq!(report.train.from, format!("{}, {}, 2 of 3 files", train[0], train[1]));
        // Names without a word, folders, and the other split.
        assert!(read(&["a-0-of-2.x"], None, None).unwrap_err().contains("a-1-of-2 is missing"));
        let tested = ["data/train-0-of-1.x", "data/test-0-of-2.x", "data/val-0-of-1.x"];
        let message = read(&tested, None, None).unwrap_err();
        assert!(
            message.ends_with("test-1-of-2 is missing; --test test takes those that are there"),
            "{message}"
        );
        assert_eq!(read(&tested, None, Some("test")).unwrap().0, 2);
        assert_eq!(
            read(&tested, None, Some("val")).unwrap().1.warnings().len(),
            1,
            "what is left out may lack any"
        );
        // One file that is named as the place is chosen.
        let folder = place(&train);
        let (mut report, file) = (Report::default(), folder.path().join(train[0]));
        divide(&file, only(&file), &Options::default(), &mut report, |_| Ok(None), |_| None).unwrap();
        assert_eq!(report.warnings().len(), 1);
    }
}
