//! An index as a file: what [`index`](super::index) makes of a set, on its way to where it is to lie.

use super::error::SourceError;
use mixfeed_ops::files::write_among_others;
use std::path::Path;

/// First bytes of the file, before the number of its form.
pub(super) const HEAD: &[u8] = b"mixfeed index ";

/// An index, as a file holds it.
#[derive(Clone)]
pub struct IndexFile(pub(super) Vec<u8>);

impl IndexFile {
    /// Writes it, whole or not at all.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), SourceError> {
        write_among_others(path, &self.0).map_err(|source| SourceError::Read { path: path.into(), source })
    }

    /// Tells whether a file that begins so is an index, of this or of another release.
    #[must_use]
    pub fn is_one(head: &[u8]) -> bool {
        head.starts_with(HEAD)
    }

    /// Returns its length in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.len() as u64
    }
}

impl std::fmt::Debug for IndexFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IndexFile").field("bytes", &self.bytes()).finish_non_exhaustive()
    }
}
