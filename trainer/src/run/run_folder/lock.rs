//! One run folder, one process at a time.
//!
//! Two trainers in one folder would take turns in replacing each other's checkpoints. The lock is the
//! operating system's, so that it ends with its process, however that ends; and it is given back rather
//! than merely closed, as a process that another thread is just starting has a copy of every descriptor
//! until its own program begins.

use super::RunFolderError;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The file that is locked; it is empty, and stays with the run.
const NAME: &str = ".lock";

/// Held by the process that writes to a run folder.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    file: File,
    /// Whether this process made the file.
    is_new: bool,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Where it fails there was no lock, and closing the file is all there is to do.
        let _ = self.file.unlock();
    }
}

impl Lock {
    /// Locks the folder at `path`, which must be there.
    pub(super) fn of(path: &Path) -> Result<Self, RunFolderError> {
        let name = path.join(NAME);
        let error = |source| RunFolderError::Take { path: name.clone(), source };
        loop {
            let (file, is_new) = open(&name).map_err(error)?;
            match file.try_lock() {
                // Another process may have removed it since it was opened, and given it back.
                Ok(()) if !is_at(&file, &name) => continue,
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(RunFolderError::InUse(path.to_owned())),
                // A file system without locks is no reason not to train.
                Err(TryLockError::Error(source)) if source.kind() == io::ErrorKind::Unsupported => {
                    tracing::warn!(path = %path.display(), "file system without locks; use the folder from one process only");
                }
                Err(TryLockError::Error(source)) => return Err(error(source)),
            }
            return Ok(Lock { path: name, file, is_new });
        }
    }

    /// Removes the file if this process made it, while it is still held.
    pub(super) fn remove(&self) {
        if self.is_new {
            // One that stays does no harm.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Opens the file, and says whether it was not there before. One that is there may be somebody else's.
fn open(name: &Path) -> io::Result<(File, bool)> {
    let options = || OpenOptions::new().write(true).clone();
    loop {
        match options().create_new(true).open(name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return Ok((made?, true)),
        }
        match options().open(name) {
            // Removed meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => return Ok((opened?, false)),
        }
    }
}

/// Whether a file is still the one of that name.
fn is_at(file: &File, name: &Path) -> bool {
    match (file.metadata(), fs::metadata(name)) {
        (Ok(held), Ok(named)) => (held.dev(), held.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_ends_with_its_holder_though_a_copy_of_its_descriptor_stays_open() {
        let root = tempfile::tempdir().unwrap();
        let lock = Lock::of(root.path()).unwrap();
        let copy = lock.file.try_clone().unwrap();
        assert!(matches!(Lock::of(root.path()), Err(RunFolderError::InUse(_))));
        drop(lock);
        Lock::of(root.path()).unwrap();
        drop(copy);
    }

    #[test]
    fn a_file_of_that_name_is_used_as_it_is_and_stays() {
        let root = tempfile::tempdir().unwrap();
        let name = root.path().join(NAME);
        fs::write(&name, "somebody's").unwrap();
        let lock = Lock::of(root.path()).unwrap();
        lock.remove();
        drop(lock);
        assert_eq!(fs::read_to_string(&name).unwrap(), "somebody's");
        fs::remove_file(&name).unwrap();

        let lock = Lock::of(root.path()).unwrap();
        lock.remove();
        assert!(!name.exists());
        // Whoever comes now has a file of its own, and the one that is gone locks nobody out.
        Lock::of(root.path()).unwrap();
    }
}
