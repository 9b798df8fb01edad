//! A folder of class folders with PNG, JPEG or WebP files, as torchvision's `ImageFolder` reads it.
//!
//! `train/` and `test/` (or `val/`, `valid/`, `validation/`) divide it; without them the class folders
//! lie at the top. Classes are the folders' names in order of their bytes; files come class after class,
//! in a class folder after folder, in a folder by name. What begins with a dot is not looked at.

use super::digest_cache::DigestCache;
use super::options::Options;
use super::records::{Archive, Found, MAX_RECORD_BYTES, Record, is_image, split_of};
use super::{SourceError, encoded};
use mixfeed_pipeline::{Dataset, Split};
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Folders within folders, at most. A link that leads up would otherwise never end.
const MAX_DEPTH: usize = 16;

/// Reads the folder, if it is one with images in class folders.
pub(super) fn look(place: &Path, options: &Options) -> Result<Option<Dataset>, SourceError> {
    let top = subfolders(place)?;
    let of = |split| top.iter().filter(move |name| !name.contains('.') && split_of(name) == Some(split));
    let mut files = Files { root: place.into(), paths: Vec::new() };
    let (classes, train, test) = if let Some(train) = of(Split::Train).next() {
        let classes = subfolders(&place.join(train))?;
        let train = files.collect(Path::new(train), &classes)?;
        // Where there are a test and a validation folder, the first by name is the test folder.
        let test = match of(Split::Test).next() {
            None => Vec::new(),
            Some(test) => {
                check_classes(place, test, &classes)?;
                files.collect(Path::new(test), &classes)?
            }
        };
        (classes, train, test)
    } else {
        let train = files.collect(Path::new(""), &top)?;
        (top, train, Vec::new())
    };
    if files.paths.is_empty() {
        return Ok(None);
    }
    let name = place.file_name().map_or_else(|| "images".into(), |name| name.to_string_lossy().into_owned());
    let full = files.paths.iter().map(|path| place.join(path)).collect();
    let (cache, known) = DigestCache::look(place, full, options);
    let found = Found { name, classes, archive: Box::new(files), train, test };
    encoded::open(place, found, options, &cache, known).map(Some)
}

/// A class that is only tested can never be right.
fn check_classes(place: &Path, test: &str, classes: &[String]) -> Result<(), SourceError> {
    match subfolders(&place.join(test))?.into_iter().find(|class| !classes.contains(class)) {
        None => Ok(()),
        Some(class) => {
            let reason = format!("class folder {test}/{class} has no counterpart among the training classes");
            Err(SourceError::Set { path: place.into(), reason })
        }
    }
}

/// The files of a folder, by their paths within it.
#[derive(Debug)]
struct Files {
    root: PathBuf,
    paths: Vec<PathBuf>,
}

impl Files {
    /// Appends the images of each class folder in `within`, and returns them as records.
    fn collect(&mut self, within: &Path, classes: &[String]) -> Result<Vec<Record>, SourceError> {
        let mut records = Vec::new();
        for (label, class) in classes.iter().enumerate() {
            let first = self.paths.len();
            let folder = within.join(class);
            // A class may have no test images.
            if !self.root.join(&folder).is_dir() {
                continue;
            }
            self.walk(&folder, 0)?;
            let key = |path: &PathBuf| {
                (path.parent().map(|p| p.as_os_str().to_owned()), path.file_name().map(ToOwned::to_owned))
            };
            self.paths[first..].sort_by_cached_key(key);
            let numbers = first as u64..self.paths.len() as u64;
            records.extend(numbers.map(|number| Record { number, label: label as u32 }));
        }
        Ok(records)
    }

    #[allow(clippy::disallowed_methods)]
    fn walk(&mut self, folder: &Path, depth: usize) -> Result<(), SourceError> {
        let full = self.root.join(folder);
        if depth > MAX_DEPTH {
            let reason = format!("folders lie more than {MAX_DEPTH} deep");
            return Err(SourceError::Set { path: full, reason });
        }
        let failed = |source| SourceError::Read { path: full.clone(), source };
        for entry in std::fs::read_dir(&full).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let text = name.to_string_lossy();
            if text.starts_with('.') {
                continue;
            }
            let path = folder.join(&name);
            if is_image(&text) {
                self.paths.push(path);
            } else if is_folder(&entry) {
                self.walk(&path, depth + 1)?;
            }
        }
        Ok(())
    }
}

impl Archive for Files {
    #[allow(clippy::disallowed_methods)]
    fn read(&self, record: u64, into: &mut Vec<u8>) -> Result<(), String> {
        into.clear();
        let mut file =
            std::fs::File::open(self.root.join(&self.paths[record as usize])).map_err(|e| e.to_string())?;
        let length = file.metadata().map_err(|e| e.to_string())?.len();
        if length > MAX_RECORD_BYTES {
            return Err(format!("{length} bytes are more than the {MAX_RECORD_BYTES} of an image file"));
        }
        // The length is known, so one call reads the file and none is needed to see that it ends there.
        into.resize(length as usize, 0);
        file.read_exact(into).map_err(|e| {
            into.clear();
            e.to_string()
        })
    }

    fn path(&self, record: u64) -> String {
        self.paths[record as usize].to_string_lossy().into_owned()
    }

    #[allow(clippy::disallowed_methods)]
    fn bytes(&self, record: u64) -> u64 {
        std::fs::metadata(self.root.join(&self.paths[record as usize])).map_or(0, |found| found.len())
    }
}

/// Follows links, as torchvision does.
fn is_folder(entry: &std::fs::DirEntry) -> bool {
    match entry.file_type() {
        Ok(kind) if kind.is_symlink() => entry.path().is_dir(),
        Ok(kind) => kind.is_dir(),
        Err(_) => false,
    }
}

/// The folders in a folder, in order of their names' bytes.
#[allow(clippy::disallowed_methods)]
fn subfolders(folder: &Path) -> Result<Vec<String>, SourceError> {
    let failed = |source| SourceError::Read { path: folder.into(), source };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if is_folder(&entry) {
            let name = entry.file_name().into_string().map_err(|name| SourceError::Set {
                path: folder.join(name),
                reason: "the name of this folder is not UTF-8".into(),
            })?;
            if !name.starts_with('.') {
                names.push(name);
            }
        }
    }
    names.sort_unstable();
    Ok(names)
}
