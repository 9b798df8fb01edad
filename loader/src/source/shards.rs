//! Files that hold many records each: which of them are at a place, and which split each belongs to.

use super::SourceError;
use super::records::split_of;
use mixfeed_pipeline::Split;
use std::path::{Path, PathBuf};

/// Finds the files with `extension` at a place: the file itself, or those in the folder and in the
/// folders in it. A shard belongs to the split that its name begins with, or else its folder's; where
/// neither tells, it is for training. In order of their paths.
pub(super) fn find(place: &Path, extension: &str) -> Result<Vec<(Split, PathBuf)>, SourceError> {
    let mut shards = Vec::new();
    if place.is_dir() {
        for path in entries(place)? {
            if path.is_dir() && !hidden(&path) {
                let within = entries(&path)?.into_iter().filter(|path| has(path, extension));
                shards.extend(within);
            } else if has(&path, extension) {
                shards.push(path);
            }
        }
    } else if has(place, extension) {
        shards.push(place.into());
    }
    shards.sort_unstable();
    Ok(shards.into_iter().map(|path| (split(&path, place), path)).collect())
}

fn has(path: &Path, extension: &str) -> bool {
    !hidden(path)
        && path.extension().is_some_and(|found| found.eq_ignore_ascii_case(extension))
        && path.is_file()
}

fn hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

fn split(path: &Path, place: &Path) -> Split {
    let name = |path: &Path| path.file_name().and_then(|name| split_of(&name.to_string_lossy()));
    // What lies above the place has not been named by whoever made the set.
    let parent = path.parent().filter(|parent| *parent != place && parent.starts_with(place));
    name(path).or_else(|| parent.and_then(name)).unwrap_or(Split::Train)
}

#[allow(clippy::disallowed_methods)]
fn entries(folder: &Path) -> Result<Vec<PathBuf>, SourceError> {
    let failed = |source| SourceError::Read { path: folder.into(), source };
    let entries = std::fs::read_dir(folder).map_err(failed)?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(failed)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_found_ordered_and_told_apart_by_name() {
        let folder = tempfile::tempdir().unwrap();
        for path in
            ["data/train-1.x", "data/train-0.x", "data/validation-0.x", "test/0.x", "0.x", ".y/1.x", "a.txt"]
        {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let found: Vec<_> = find(folder.path(), "x")
            .unwrap()
            .into_iter()
            .map(|(split, path)| {
                (split, path.strip_prefix(folder.path()).unwrap().to_str().unwrap().to_string())
            })
            .collect();
        let expected = [
            (Split::Train, "0.x"),
            (Split::Train, "data/train-0.x"),
            (Split::Train, "data/train-1.x"),
            (Split::Test, "data/validation-0.x"),
            (Split::Test, "test/0.x"),
        ];
        assert_eq!(found, expected.map(|(split, path)| (split, path.to_string())));
        assert_eq!(find(&folder.path().join("test/0.x"), "x").unwrap().len(), 1);
        assert!(find(&folder.path().join("a.txt"), "x").unwrap().is_empty());
    }
}
