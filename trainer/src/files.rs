//! Writing files so that a crash leaves the old one or the new one, never half of one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Replaces `path` by `bytes`: a temporary file beside it, synced, renamed over it, and the folder
/// synced, so that the rename itself survives a power failure.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    Pending::write(path, bytes)?.publish()
}

/// Gives the file `from` a second name, in place of the file that had it. On a file system without
/// hard links it is a copy that gets the name.
pub(crate) fn link_atomically(from: &Path, to: &Path) -> io::Result<()> {
    let pending = Pending::at(to)?;
    if fs::hard_link(from, &pending.temporary).is_err() {
        fs::copy(from, &pending.temporary)?;
        File::open(&pending.temporary)?.sync_all()?;
    }
    pending.publish()
}

/// A new file, whole and synced, that has not taken its place yet. Dropping it removes it.
pub(crate) struct Pending {
    temporary: PathBuf,
    path: PathBuf,
}

impl Pending {
    /// Writes what is to take the place of `path`.
    pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<Self> {
        let pending = Pending::at(path)?;
        let mut file = OpenOptions::new().write(true).create_new(true).open(&pending.temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        Ok(pending)
    }

    /// Puts the file in its place.
    pub(crate) fn publish(self) -> io::Result<()> {
        fs::rename(&self.temporary, &self.path)?;
        File::open(folder(&self.path))?.sync_all()
    }

    fn at(path: &Path) -> io::Result<Self> {
        let name = path.file_name().ok_or_else(|| io::Error::other("not a file name"))?;
        let mut temporary = std::ffi::OsString::from(".");
        temporary.push(name);
        temporary.push(".part");
        let pending = Pending { temporary: folder(path).join(temporary), path: path.to_owned() };
        // One that a killed process left may be a second name of a file that is still wanted: it has
        // to go before anything is written under this name.
        let _ = fs::remove_file(&pending.temporary);
        Ok(pending)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        // Published, it is not there any more, except when both names were of one file already: then
        // renaming does nothing. Of a failed writing, the error of the writing is worth reporting.
        let _ = fs::remove_file(&self.temporary);
    }
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_new_file_takes_the_old_ones_place_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        write_atomically(&path, b"old").unwrap();
        write_atomically(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        write_atomically(&path, b"old").unwrap();
        // The temporary file cannot be created over a folder of its name.
        fs::create_dir(folder.path().join(".a.bin.part")).unwrap();
        assert!(write_atomically(&path, b"new").is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
    }

    #[test]
    fn a_second_name_keeps_the_old_contents_when_the_first_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let [first, second] = ["a.bin", "b.bin"].map(|name| folder.path().join(name));
        write_atomically(&first, b"old").unwrap();
        for _ in 0..2 {
            link_atomically(&first, &second).unwrap();
        }
        write_atomically(&first, b"new").unwrap();
        assert_eq!(fs::read(&second).unwrap(), b"old");
        link_atomically(&first, &second).unwrap();
        assert_eq!(fs::read(&second).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "and nothing else is left");
    }

    #[test]
    fn what_a_killed_process_left_is_never_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let [first, second] = ["a.bin", "b.bin"].map(|name| folder.path().join(name));
        write_atomically(&first, b"old").unwrap();
        // Killed while it linked: the temporary name is one of the first file.
        fs::hard_link(&first, folder.path().join(".b.bin.part")).unwrap();
        write_atomically(&second, b"new").unwrap();
        assert_eq!(fs::read(&first).unwrap(), b"old");
        assert_eq!(fs::read(&second).unwrap(), b"new");
    }
}
