//! Files that are read whole, and reading again what fails at the moment.

use super::error::SourceError;
use mixfeed_ops::files::read_bounded;
use std::path::Path;
use std::time::Duration;

/// Pauses before records that could not be read are read again: three seconds in all, for what a moment explains (a
/// mount that is just being made, descriptors that are short).
pub(super) const PAUSES: [Duration; 5] = if cfg!(test) {
    [Duration::ZERO; 5]
} else {
    [
        Duration::from_millis(100),
        Duration::from_millis(200),
        Duration::from_millis(400),
        Duration::from_millis(800),
        Duration::from_millis(1600),
    ]
};

/// Tries again after each of [`PAUSES`] what fails by a read error: finding the files of a set, and where the records lie
/// in them.
pub(super) fn patiently<T>(mut attempt: impl FnMut() -> Result<T, SourceError>) -> Result<T, SourceError> {
    for pause in PAUSES {
        match attempt() {
            Err(error @ SourceError::Read { .. }) => {
                tracing::warn!(%error, "read failed, retrying");
                std::thread::sleep(pause);
            }
            done => return done,
        }
    }
    attempt()
}

/// What the system says of a path that must be there.
pub(super) fn metadata(path: &Path) -> Result<std::fs::Metadata, SourceError> {
    patiently(|| metadata_once(path))
}

#[allow(clippy::disallowed_methods)]
fn metadata_once(path: &Path) -> Result<std::fs::Metadata, SourceError> {
    std::fs::metadata(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => SourceError::Missing(path.into()),
        _ => SourceError::Read { path: path.into(), source },
    })
}

/// Bytes that a file which is read whole may have: the digests of a hundred million records.
const MAX_WHOLE_BYTES: u64 = 16 << 30;

/// Bytes of a text file beside the data, such as a list of classes.
const MAX_TEXT_BYTES: u64 = 64 << 20;

/// Returns the contents of a file, or nothing where there is none. A link whose target is away is an error, and so is what is no
/// regular file.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, SourceError> {
    read_up_to(path, MAX_WHOLE_BYTES)
}

fn read_up_to(path: &Path, most: u64) -> Result<Option<Vec<u8>>, SourceError> {
    match read_bounded(path, most) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && !is_listed(path) => Ok(None),
        Err(source) => Err(SourceError::Read { path: path.into(), source }),
    }
}

/// Returns the lines of a text file that are not empty, or none where there is no file.
pub(super) fn text_lines(path: &Path) -> Result<Vec<String>, SourceError> {
    let text = patiently(|| read_up_to(path, MAX_TEXT_BYTES))?.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(Into::into).collect())
}

/// Whether something is at a path, even if it is a link whose target is away.
#[allow(clippy::disallowed_methods)]
pub(super) fn is_listed(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok()
}
