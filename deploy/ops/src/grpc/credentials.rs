//! What a caller proves itself with and by what it knows the server: files on one side, their content on the
//! other. The content goes to whatever makes connections.

use super::error::SecurityError;
use super::token::Token;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Certificates and tokens are kilobytes; a file without end is not read to its end.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Where the credentials of a caller are.
#[derive(Clone, Debug, Default)]
pub struct CredentialFiles {
    /// Certificates by one of which the server's must be signed; turns TLS on.
    pub tls_ca: Option<PathBuf>,
    /// The caller's own certificate.
    pub tls_cert: Option<PathBuf>,
    /// Its key.
    pub tls_key: Option<PathBuf>,
    /// The bearer token.
    pub auth_token: Option<PathBuf>,
}

/// The credentials of a caller.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// TLS, if it is to be used.
    pub tls: Option<TlsCredentials>,
    /// The bearer token, if there is one.
    pub token: Option<Token>,
}

/// PEM text.
#[derive(Clone)]
pub struct TlsCredentials {
    /// Certificates by one of which the server's must be signed.
    pub ca: Vec<u8>,
    /// The caller's own certificate and key.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl std::fmt::Debug for TlsCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsCredentials(..)")
    }
}

impl CredentialFiles {
    /// Reads the files.
    ///
    /// # Errors
    /// When one cannot be read, or one is given without the others that it needs.
    pub fn read(&self) -> Result<Credentials, SecurityError> {
        let identity = match (&self.tls_cert, &self.tls_key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some((read(certificate)?, read(key)?)),
            _ => return Err(SecurityError::Flags("--tls-cert and --tls-key go together")),
        };
        let tls = match &self.tls_ca {
            Some(ca) => Some(TlsCredentials { ca: read(ca)?, identity }),
            None if identity.is_some() => {
                return Err(SecurityError::Flags("--tls-cert needs --tls-ca, which turns TLS on"));
            }
            None => None,
        };
        let token = self.auth_token.as_deref().map(Token::read).transpose()?;
        Ok(Credentials { tls, token })
    }
}

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
