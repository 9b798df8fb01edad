//! The folders below a place, looked at as far as somebody asks. Paths are within the place, parts joined by `/`.

use crate::source::SourceError;
use crate::source::records::is_image;
use crate::source::splits::is_hidden;
use std::fs::DirEntry;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// Folders within folders, at most. A link that leads up would otherwise never end.
pub(super) const MAX_DEPTH: usize = 16;

/// A place.
pub(super) struct Tree {
    root: PathBuf,
}

impl Tree {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.into() }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The folders in a folder that are not hidden, in order of their names' bytes.
    #[allow(clippy::disallowed_methods)]
    pub(super) fn folders(&self, within: &str) -> Result<Vec<String>, SourceError> {
        let folder = self.root.join(within);
        let failed = |source| SourceError::Read { path: folder.clone(), source };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if is_folder(&entry) {
                let name = entry.file_name().into_string().map_err(|name| SourceError::Set {
                    path: folder.join(name),
                    reason: "the name of this folder is not UTF-8".into(),
                })?;
                if !is_hidden(&name) {
                    names.push(name);
                }
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    pub(super) fn has_folder(&self, path: &str) -> bool {
        self.root.join(path).is_dir()
    }

    /// Whether there is an image in the folder, or in folders in it.
    pub(super) fn has_image(&self, folder: &str) -> bool {
        each_image(&self.root.join(folder), MAX_DEPTH, &mut || ControlFlow::Break(())).is_break()
    }

    /// How many there are.
    pub(super) fn count_images(&self, folder: &str) -> u64 {
        self.count(folder, MAX_DEPTH)
    }

    /// How many lie in the folder itself.
    pub(super) fn count_loose_images(&self, folder: &str) -> u64 {
        self.count(folder, 0)
    }

    fn count(&self, folder: &str, depth: usize) -> u64 {
        let mut count = 0;
        let _done = each_image(&self.root.join(folder), depth, &mut || {
            count += 1;
            ControlFlow::Continue(())
        });
        count
    }
}

/// Calls `see` for each image in a folder. What cannot be read has none: whoever reads the images says so.
#[allow(clippy::disallowed_methods)]
fn each_image(folder: &Path, depth: usize, see: &mut dyn FnMut() -> ControlFlow<()>) -> ControlFlow<()> {
    let Ok(entries) = std::fs::read_dir(folder) else { return ControlFlow::Continue(()) };
    let mut folders = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if is_hidden(&name) {
            continue;
        }
        if is_image(&name) {
            see()?;
        } else if depth > 0 && is_folder(&entry) {
            folders.push(entry.path());
        }
    }
    folders.iter().try_for_each(|folder| each_image(folder, depth - 1, see))
}

/// Follows links, as torchvision does.
pub(super) fn is_folder(entry: &DirEntry) -> bool {
    match entry.file_type() {
        Ok(kind) if kind.is_symlink() => entry.path().is_dir(),
        Ok(kind) => kind.is_dir(),
        Err(_) => false,
    }
}
