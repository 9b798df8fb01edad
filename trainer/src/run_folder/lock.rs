//! One run folder, one process at a time.
//!
//! Two trainers in one folder would take turns in replacing each other's checkpoints. The lock is the
//! operating system's, so that it ends with its process, however that ends; and it is given back rather
//! than merely closed, as a process that another thread is just starting has a copy of every descriptor
//! until its own program begins.

use super::RunFolderError;
use std::fs::{File, TryLockError};
use std::path::Path;

/// The file that is locked; it is empty and stays.
const NAME: &str = ".lock";

/// Held by the process that writes to a run folder.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
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
        let file = File::create(&name).map_err(error)?;
        match file.try_lock() {
            Ok(()) => Ok(Lock { file }),
            Err(TryLockError::WouldBlock) => Err(RunFolderError::InUse(path.to_owned())),
            // A file system without locks is no reason not to train.
            Err(TryLockError::Error(source)) if source.kind() == std::io::ErrorKind::Unsupported => {
                tracing::warn!(path = %path.display(), "this file system has no locks; use the folder once only");
                Ok(Lock { file })
            }
            Err(TryLockError::Error(source)) => Err(error(source)),
        }
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
}
