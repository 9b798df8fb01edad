//! Files that hold many records each: which of them are at a place, and which split each is of.

use super::SourceError;
use super::listing::{Entry, Kind, is_folder, list};
use super::options::Options;
use super::report::{Report, files};
use super::splits;
use mixfeed_pipeline::Split;
use std::path::{Path, PathBuf};

/// Finds the files with `extension` at a place, the file itself or those in the folder and in the folders in it, and
/// divides them by their names ([`splits`]). Of the evaluation splits the first is taken of which not all files are
/// `without_labels`, which then says of how many images. In order of their paths; none where there are no such files.
pub(super) fn find(
    place: &Path,
    extension: &str,
    options: &Options,
    report: &mut Report,
    mut without_labels: impl FnMut(&Path) -> Result<Option<u64>, SourceError>,
) -> Result<Vec<(Split, PathBuf)>, SourceError> {
    let shards = all(place, extension)?;
    if shards.is_empty() {
        return Ok(Vec::new());
    }
    let refused = |reason: String| SourceError::Set { path: place.into(), reason };
    // What lies above the place has not been named by whoever made the set.
    let above = if is_folder(place)? { place } else { place.parent().unwrap_or(place) };
    let names: Vec<String> = shards
        .iter()
        .map(|path| path.strip_prefix(above).unwrap_or(path).to_string_lossy().into_owned())
        .collect();
    let division = splits::divide(&names, options).map_err(refused)?;
    let of = |numbers: &[usize]| files(&numbers.iter().map(|file| names[*file].as_str()).collect::<Vec<_>>());
    report.train.from = of(&division.train);
    if division.untold {
        let train = of(&division.train);
        report
            .warnings
            .push(format!("no name tells a training split: trained on is all that is left, {train}"));
    }
    let mut test: Option<Vec<usize>> = None;
    for candidate in division.tests {
        let name = of(&candidate.files);
        if test.is_some() {
            report.leave_out(name, None, format!("{} is the test split", report.test.from));
            continue;
        }
        let mut unlabelled = Some(0);
        for file in &candidate.files {
            if let Some(images) = unlabelled {
                unlabelled = without_labels(&shards[*file])?.map(|more| images + more);
            }
        }
        if unlabelled.is_none() {
            report.test.from = name;
            test = Some(candidate.files);
        } else if candidate.chosen {
            return Err(refused(format!("{name} has no labels to test by, and --test chooses it")));
        } else {
            report.leave_out(name, unlabelled, "an evaluation split without labels");
        }
    }
    if !division.left_out.is_empty() {
        report.leave_out(of(&division.left_out), None, "not chosen by --train or --test");
    }
    let mut splits: Vec<Option<Split>> = vec![None; shards.len()];
    for (split, files) in [(Split::Train, division.train), (Split::Test, test.unwrap_or_default())] {
        files.into_iter().for_each(|file| splits[file] = Some(split));
    }
    Ok(splits.into_iter().zip(shards).filter_map(|(split, path)| Some((split?, path))).collect())
}

/// The files at a place, in order of their paths.
fn all(place: &Path, extension: &str) -> Result<Vec<PathBuf>, SourceError> {
    if !is_folder(place)? {
        return Ok(if place.is_file() && has(place, extension) { vec![place.into()] } else { Vec::new() });
    }
    let mut shards = Vec::new();
    let mut add = |folder: &Path, entry: &Entry| {
        let path = folder.join(&entry.name);
        if entry.kind == Kind::File && has(&path, extension) {
            shards.push(path);
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
    shards.sort_unstable();
    Ok(shards)
}

fn has(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found.eq_ignore_ascii_case(extension))
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

    fn found(place: &Path, unlabelled: &str) -> (Vec<(Split, String)>, Report) {
        let mut report = Report::default();
        let without_labels = |path: &Path| Ok(path.to_string_lossy().contains(unlabelled).then_some(3));
        let found = find(place, "x", &Options::default(), &mut report, without_labels).unwrap();
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
            ["left out: data/validation-0.x (test/0.x is the test split)"],
            "one evaluation split, and not both in one"
        );
        let (none, _) = found(&folder.path().join("a.txt"), "nothing");
        assert!(none.is_empty());
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
        let error = find(folder.path(), "x", &options, &mut Report::default(), |_| Ok(Some(1))).unwrap_err();
        assert!(error.to_string().ends_with("holdout.x has no labels to test by, and --test chooses it"));
    }
}
