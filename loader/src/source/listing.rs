//! What lies in a folder: the one place where the folders of a set are listed.
//!
//! An entry that is listed counts. One whose kind the system cannot tell (a link whose target is away, an I/O error) may
//! be a shard, a class or a split, and a set without it would be another set: the folder is listed again after a pause,
//! and then the set is refused by the entry's name. A link that is an image by its name is not followed here: whether it
//! can be read is found out when all images are.

use super::error::SourceError;
use super::retry::{is_listed, patiently};
use super::splits::is_hidden;
use std::ffi::OsString;
use std::fs::{DirEntry, FileType};
use std::io::{self, ErrorKind};
use std::path::Path;

/// What an entry is, links followed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Folder,
    File,
    /// A socket, a device or the like.
    Other,
}

impl From<FileType> for Kind {
    fn from(kind: FileType) -> Self {
        if kind.is_dir() {
            Self::Folder
        } else if kind.is_file() {
            Self::File
        } else {
            Self::Other
        }
    }
}

/// An entry of a folder.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Entry {
    pub(super) name: OsString,
    pub(super) kind: Kind,
}

impl Entry {
    /// Whether it is an image by its name.
    pub(super) fn is_image(&self) -> bool {
        is_image(&self.name.to_string_lossy())
    }
}

/// The entries of a folder that are not hidden, in order of their names' bytes.
pub(super) fn list(folder: &Path) -> Result<Vec<Entry>, SourceError> {
    patiently(|| list_once(folder))
}

#[allow(clippy::disallowed_methods)]
fn list_once(folder: &Path) -> Result<Vec<Entry>, SourceError> {
    let failed = |source| SourceError::Read { path: folder.into(), source };
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        if is_hidden(&name.to_string_lossy()) {
            continue;
        }
        let kind = kind(&entry).map_err(|source| SourceError::Read { path: entry.path(), source })?;
        all.push(Entry { name, kind });
    }
    all.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    Ok(all)
}

#[allow(clippy::disallowed_methods)]
fn kind(entry: &DirEntry) -> io::Result<Kind> {
    let kind = entry.file_type()?;
    if !kind.is_symlink() {
        return Ok(kind.into());
    }
    if is_image(&entry.file_name().to_string_lossy()) {
        return Ok(Kind::File);
    }
    std::fs::metadata(entry.path()).map(|found| found.file_type().into())
}

/// Whether there is a folder at a path. A link whose target is away is an error.
pub(super) fn is_folder(path: &Path) -> Result<bool, SourceError> {
    patiently(|| is_folder_once(path).map_err(|source| SourceError::Read { path: path.into(), source }))
}

#[allow(clippy::disallowed_methods)]
fn is_folder_once(path: &Path) -> io::Result<bool> {
    match std::fs::metadata(path) {
        Ok(found) => Ok(found.is_dir()),
        Err(error) => match error.kind() {
            // A path that a flag names may be a pattern that no file can have for a name.
            ErrorKind::NotADirectory | ErrorKind::InvalidFilename | ErrorKind::InvalidInput => Ok(false),
            ErrorKind::NotFound if !is_listed(path) => Ok(false),
            _ => Err(error),
        },
    }
}

/// Endings of the image files that are read, in lower case.
const IMAGE_ENDINGS: [&str; 14] =
    ["png", "jpg", "jpeg", "jpe", "jfif", "jif", "jfi", "webp", "bmp", "dib", "gif", "tif", "tiff", "pjpeg"];

/// Tells whether a file is an image by its name.
pub(super) fn is_image(name: &str) -> bool {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    ending.is_some_and(|ending| IMAGE_ENDINGS.contains(&ending.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn refused(folder: &Path) -> String {
        list(folder).unwrap_err().to_string()
    }

    #[test]
    fn entries_come_in_order_with_their_kinds_and_without_what_is_hidden() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        for folder in ["b", "lost+found", "@eaDir", "$RECYCLE.BIN", "__MACOSX", ".git"] {
            std::fs::create_dir(at(folder)).unwrap();
        }
        std::fs::write(at("a.tar"), "").unwrap();
        symlink("b", at("c")).unwrap();
        symlink("a.tar", at("d")).unwrap();
        symlink("/dev/null", at("e")).unwrap();
        // Hidden, or an image: not followed here.
        symlink("nowhere", at(".away")).unwrap();
        symlink("nowhere", at("f.PNG")).unwrap();
        let found = list(place.path()).unwrap();
        let found: Vec<_> = found.iter().map(|entry| (entry.name.to_str().unwrap(), entry.kind)).collect();
        let expected = [
            ("a.tar", Kind::File),
            ("b", Kind::Folder),
            ("c", Kind::Folder),
            ("d", Kind::File),
            ("e", Kind::Other),
            ("f.PNG", Kind::File),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn an_entry_that_leads_nowhere_is_a_read_error_by_its_name() {
        for (name, target) in [("a", "nowhere"), ("a.tar", "nowhere"), ("loop", "loop"), ("x", "file/in")] {
            let place = tempfile::tempdir().unwrap();
            std::fs::write(place.path().join("file"), "").unwrap();
            let link = place.path().join(name);
            symlink(target, &link).unwrap();
            let message = refused(place.path());
            assert!(message.starts_with(&format!("{}: ", link.display())), "{message}");
            if target == "nowhere" {
                assert!(is_folder(&link).is_err());
            }
            std::fs::remove_file(&link).unwrap();
            assert_eq!(list(place.path()).unwrap().len(), 1);
            assert!(!is_folder(&link).unwrap());
        }
        let place = tempfile::tempdir().unwrap();
        assert!(refused(&place.path().join("gone")).contains("gone: No such file"));
        std::fs::write(place.path().join("file"), "").unwrap();
        assert!(!is_folder(&place.path().join("file/a")).unwrap());
        assert!(!is_folder(&place.path().join("a".repeat(300))).unwrap());
    }

    #[test]
    fn an_entry_that_is_there_a_moment_later_is_listed() {
        let place = tempfile::tempdir().unwrap();
        let link = place.path().join("a");
        symlink("nowhere", &link).unwrap();
        let mut attempts = 0;
        let found = patiently(|| {
            attempts += 1;
            if attempts == 3 {
                std::fs::create_dir(place.path().join("nowhere")).unwrap();
            }
            list_once(place.path())
        });
        assert_eq!((attempts, found.unwrap()[0].kind), (3, Kind::Folder));
    }
}
