//! An archive as far as it has come, in a file that the next attempt goes on with.

use super::error::FetchError;
use sha2::{Digest as _, Sha256};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::PathBuf;

/// The file, held against other processes until this is dropped.
pub(super) struct Part {
    path: PathBuf,
    file: File,
    bytes: u64,
    hash: Sha256,
}

impl Drop for Part {
    fn drop(&mut self) {
        // Closing is not enough: a process that another thread is just starting has a copy of the
        // descriptor until its own program begins. Where there is no lock there is nothing to undo.
        let _ = self.file.unlock();
    }
}

impl Part {
    /// Opens what an earlier attempt left, or begins anew.
    pub(super) fn open(path: PathBuf) -> Result<Self, FetchError> {
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = open.map_err(FetchError::write(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(FetchError::Busy(path)),
            Err(TryLockError::Error(error)) => return Err(FetchError::write(&path)(error)),
        }
        let mut part = Self { path, file, bytes: 0, hash: Sha256::new() };
        part.read_back().map_err(FetchError::write(&part.path))?;
        Ok(part)
    }

    fn read_back(&mut self) -> std::io::Result<()> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            match self.file.read(&mut buffer)? {
                0 => return Ok(()),
                read => {
                    self.hash.update(&buffer[..read]);
                    self.bytes += read as u64;
                }
            }
        }
    }

    /// Bytes that there are.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// SHA-256 of what there is.
    pub(super) fn digest(&self) -> [u8; 32] {
        self.hash.clone().finalize().into()
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), FetchError> {
        self.file.write_all(bytes).map_err(FetchError::write(&self.path))?;
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Forgets what there is.
    pub(super) fn restart(&mut self) -> Result<(), FetchError> {
        let emptied = self.file.set_len(0).and_then(|()| self.file.rewind());
        emptied.map_err(FetchError::write(&self.path))?;
        (self.bytes, self.hash) = (0, Sha256::new());
        Ok(())
    }

    /// The file again, at its beginning, for reading.
    pub(super) fn archive(&mut self) -> Result<File, FetchError> {
        let again = self.file.rewind().and_then(|()| self.file.try_clone());
        again.map_err(FetchError::write(&self.path))
    }

    /// Removes the file: the set is where it belongs.
    pub(super) fn remove(self) -> Result<(), FetchError> {
        fs::remove_file(&self.path).map_err(FetchError::write(&self.path))
    }
}
