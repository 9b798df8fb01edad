//! The folders below a place, looked at as far as somebody asks. Paths are within the place, parts joined by `/`.

use crate::source::error::SourceError;
use crate::source::listing::{Entry, Kind, is_folder, list};
use std::path::{Component, Path, PathBuf};

/// Folders within folders, at most. A link that leads up would otherwise never end.
pub(in crate::source) const MAX_DEPTH: usize = 16;

/// A place.
pub(in crate::source) struct Tree {
    root: PathBuf,
}

impl Tree {
    pub(in crate::source) fn new(root: &Path) -> Self {
        Self { root: root.into() }
    }

    pub(in crate::source) fn root(&self) -> &Path {
        &self.root
    }

    /// The folders in a folder that are not hidden, in order of their names' bytes.
    pub(in crate::source) fn folders(&self, within: &str) -> Result<Vec<String>, SourceError> {
        let folder = self.root.join(within);
        let folders = list(&folder)?.into_iter().filter(|entry| entry.kind == Kind::Folder);
        let name = |entry: Entry| {
            entry.name.into_string().map_err(|name| SourceError::Set {
                path: folder.join(name),
                reason: "the name of this folder is not UTF-8".into(),
            })
        };
        folders.map(name).collect()
    }

    /// Those of them that have images.
    pub(in crate::source) fn folders_with_images(&self, within: &str) -> Result<Vec<String>, SourceError> {
        let mut found = Vec::new();
        for name in self.folders(within)? {
            let path = if within.is_empty() { name.clone() } else { format!("{within}/{name}") };
            if self.has_image(&path)? {
                found.push(name);
            }
        }
        Ok(found)
    }

    pub(in crate::source) fn has_folder(&self, path: &str) -> Result<bool, SourceError> {
        is_folder(&self.root.join(path))
    }

    /// The folder that a path means, if there is one: by its path within the place where it lies there, however it is
    /// written, and otherwise by where it is.
    pub(in crate::source) fn folder_at(&self, path: &str) -> Result<Option<String>, SourceError> {
        if path.is_empty() || !self.has_folder(path)? {
            return Ok(None);
        }
        let plain = |part| matches!(part, Component::Normal(_) | Component::CurDir);
        if Path::new(path).components().all(plain) {
            return Ok(Some(path.into()));
        }
        let [root, found] = [self.root.canonicalize(), self.root.join(path).canonicalize()];
        let (Ok(root), Ok(found)) = (root, found) else { return Ok(Some(path.into())) };
        let within = found.strip_prefix(root).unwrap_or(&found);
        Ok(within.to_str().filter(|within| !within.is_empty()).map(Into::into))
    }

    /// The folders among which one with such a path lies, as in `sets/train*`; none of a path without a folder part, or with
    /// one that is not there.
    pub(in crate::source) fn folders_beside(&self, path: &str) -> Result<Option<Vec<String>>, SourceError> {
        match path.rsplit_once('/') {
            Some((folder, _)) if self.has_folder(folder)? => {
                let inner = self.folders(folder)?.into_iter();
                Ok(Some(inner.map(|name| format!("{folder}/{name}")).collect()))
            }
            _ => Ok(None),
        }
    }

    /// Whether two paths are one folder.
    pub(in crate::source) fn are_one(&self, one: &str, other: &str) -> bool {
        let [one, other] = [one, other].map(|path| self.root.join(path).canonicalize().ok());
        one.is_some() && one == other
    }

    /// Whether there is an image in the folder, or in folders in it.
    pub(in crate::source) fn has_image(&self, folder: &str) -> Result<bool, SourceError> {
        Ok(count(&self.root.join(folder), MAX_DEPTH, 1)? > 0)
    }

    /// How many there are.
    pub(in crate::source) fn count_images(&self, folder: &str) -> Result<u64, SourceError> {
        count(&self.root.join(folder), MAX_DEPTH, u64::MAX)
    }

    /// How many lie in the folder itself.
    pub(in crate::source) fn count_loose_images(&self, folder: &str) -> Result<u64, SourceError> {
        count(&self.root.join(folder), 0, u64::MAX)
    }
}

/// How many images lie in a folder and in folders in it; beyond `enough` nothing more is looked at.
fn count(folder: &Path, depth: usize, enough: u64) -> Result<u64, SourceError> {
    let (images, others): (Vec<_>, Vec<_>) = list(folder)?.into_iter().partition(Entry::is_image);
    let mut found = images.len() as u64;
    for entry in others.iter().filter(|entry| depth > 0 && entry.kind == Kind::Folder) {
        if found >= enough {
            break;
        }
        found += count(&folder.join(&entry.name), depth - 1, enough - found)?;
    }
    Ok(found)
}
