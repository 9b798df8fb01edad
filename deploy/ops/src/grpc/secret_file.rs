//! Reading a certificate, a key or a token from its file. What they must hold is told by those who use them.

use super::error::SecurityError;
use std::io::Read as _;
use std::path::Path;

/// Certificates and tokens are kilobytes; a file without end is not read to its end.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Reads a small file whole.
#[allow(clippy::disallowed_methods)]
pub(super) fn read(file: &Path) -> Result<Vec<u8>, SecurityError> {
    let error = |source| SecurityError::Read { file: file.into(), source };
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(file).map_err(error)?;
    opened.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(error)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        let fault = format!("more than {MAX_FILE_BYTES} bytes are no certificate, key or token");
        return Err(SecurityError::Content { file: file.into(), fault });
    }
    Ok(bytes)
}
