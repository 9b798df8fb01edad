//! Writing files so that a crash or a full disk leaves the old one or the new one, never half of one; and what may be
//! written over.

#![allow(clippy::disallowed_methods)] // Reading and writing files is what this is for.

use rustix::fs::OFlags;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Replaces `path` by `bytes`: a temporary file beside it, synced, renamed over it, and the folder
/// synced, so that the rename itself survives a power failure.
///
/// # Errors
/// When it cannot be written; the old file is whole then.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    Pending::write(path, bytes)?.publish()
}

/// The same where other processes may write the same file at once: each has a temporary name of its own, which stays
/// behind when the process is killed.
///
/// # Errors
/// When it cannot be written; the old file is whole then.
pub fn write_among_others(path: &Path, bytes: &[u8]) -> io::Result<()> {
    Pending::create(path, &format!(".{}.part", std::process::id()), bytes)?.publish()
}

/// Opens a regular file for reading. Whatever else lies there under its name (a pipe that nobody writes to, a device) is refused
/// and never waited for.
///
/// # Errors
/// When it cannot be opened, or is something else than a file.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits() as i32).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is not a regular file"));
    }
    Ok(file)
}

/// Reads a regular file of at most `most` bytes.
///
/// # Errors
/// When it cannot be read, is something else than a file, or has more.
pub fn read_bounded(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = open_regular(path)?;
    let length = file.metadata()?.len();
    if length > most {
        let text = format!("it has {length} bytes, at most {most} are read");
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    let mut bytes = Vec::with_capacity(length as usize);
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Checks that a result may be written to `path`: not over a file of another kind, and not into `data`, the folder that
/// was read. `is_kind` is given the first bytes of a file that is there.
///
/// # Errors
/// Says why not, for a person.
pub fn check_output(path: &Path, data: Option<&Path>, is_kind: impl Fn(&[u8]) -> bool) -> Result<(), String> {
    let inside = |data: &Path| {
        let (Ok(data), Ok(folder)) = (data.canonicalize(), folder(path).canonicalize()) else { return false };
        data.is_dir() && folder.starts_with(data)
    };
    if data.is_some_and(inside) {
        return Err(format!("{} lies in the data: give another place", path.display()));
    }
    if fs::symlink_metadata(path).is_err() {
        return Ok(()); // New.
    }
    let mut head = Vec::new();
    let is_file = fs::metadata(path).is_ok_and(|found| found.is_file());
    let read =
        is_file && File::open(path).is_ok_and(|file| file.take(HEAD_BYTES).read_to_end(&mut head).is_ok());
    if read && (head.is_empty() || is_kind(&head)) {
        return Ok(());
    }
    Err(format!("{} is there, and is something else: remove it, or give another name", path.display()))
}

/// What tells a kind of file lies within so many bytes.
const HEAD_BYTES: u64 = 4096;

/// Whether a file that begins so is a picture as this project writes them: PNG or SVG.
#[must_use]
pub fn is_picture(head: &[u8]) -> bool {
    head.starts_with(b"\x89PNG\r\n\x1a\n") || head.starts_with(b"<svg")
}

/// Gives the file `from` a second name, in place of the file that had it. On a file system without
/// hard links it is a copy that gets the name.
///
/// # Errors
/// When it cannot be linked or copied.
pub fn link_atomically(from: &Path, to: &Path) -> io::Result<()> {
    let pending = Pending::at(to, PART)?;
    if fs::hard_link(from, &pending.temporary).is_err() {
        fs::copy(from, &pending.temporary)?;
        File::open(&pending.temporary)?.sync_all()?;
    }
    pending.publish()
}

/// A new file, whole and synced, that has not taken its place yet. Dropping it removes it.
#[derive(Debug)]
pub struct Pending {
    temporary: PathBuf,
    path: PathBuf,
}

/// What a temporary name ends in.
const PART: &str = ".part";

impl Pending {
    /// Writes what is to take the place of `path`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(path: &Path, bytes: &[u8]) -> io::Result<Self> {
        Pending::create(path, PART, bytes)
    }

    fn create(path: &Path, ending: &str, bytes: &[u8]) -> io::Result<Self> {
        let pending = Pending::at(path, ending)?;
        let mut file = OpenOptions::new().write(true).create_new(true).open(&pending.temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        Ok(pending)
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// When it cannot take its place, or that is not on disk.
    pub fn publish(self) -> io::Result<()> {
        fs::rename(&self.temporary, &self.path)?;
        File::open(folder(&self.path))?.sync_all()
    }

    fn at(path: &Path, ending: &str) -> io::Result<Self> {
        let name = path.file_name().ok_or_else(|| io::Error::other("not a file name"))?;
        let mut temporary = std::ffi::OsString::from(".");
        temporary.push(name);
        temporary.push(ending);
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
    fn processes_that_write_at_once_do_not_meet() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        let other = Pending::create(&path, ".1.part", b"other").unwrap();
        write_among_others(&path, b"mine").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"mine");
        other.publish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"other");
        assert!(write_among_others(&folder.path().join("no/such.bin"), b"x").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_result_takes_the_place_of_its_own_kind_only_and_never_lies_in_the_data() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        fs::create_dir_all(data.join("class")).unwrap();
        let at = |name: &str| folder.path().join(name);
        for (name, bytes) in [
            ("old.png", &b"\x89PNG\r\n\x1a\n..."[..]),
            ("old.svg", b"<svg "),
            ("empty.png", b""),
            ("notes.png", b"notes"),
        ] {
            fs::write(at(name), bytes).unwrap();
        }
        std::os::unix::fs::symlink(at("nowhere"), at("dangling.png")).unwrap();
        fs::create_dir(at("folder.png")).unwrap();
        let check = |path: &Path| check_output(path, Some(&data), is_picture);
        for good in ["new.png", "old.png", "old.svg", "empty.png"] {
            assert_eq!(check(&at(good)), Ok(()), "{good}");
        }
        for taken in ["notes.png", "dangling.png", "folder.png"] {
            assert!(check(&at(taken)).unwrap_err().contains("is something else"), "{taken}");
        }
        for inside in ["new.png", "class/new.png", "class/../class/new.png"] {
            assert!(check(&data.join(inside)).unwrap_err().contains("lies in the data"), "{inside}");
        }
        // Data that is no folder has no inside.
        assert_eq!(check_output(&at("new.png"), Some(Path::new("synthetic:5")), is_picture), Ok(()));
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
