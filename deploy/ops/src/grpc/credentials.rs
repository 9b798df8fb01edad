//! What a caller proves itself with and by what it knows the server: files on one side, their content on the
//! other. The content goes to whatever makes connections.

use super::error::SecurityError;
use super::tls::{Own, Pem, check_caller};
use super::token::Token;
use std::path::PathBuf;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Status};

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

impl Credentials {
    /// Returns whom to connect to: `host:port`, by TLS if that is to be used, or `unix:///path`, plain.
    ///
    /// # Errors
    /// When it is neither, or TLS cannot be set up, in words.
    pub fn endpoint(&self, address: &str) -> Result<Endpoint, String> {
        let unix = address.starts_with("unix:");
        let tls = self.tls.as_ref().filter(|_| !unix);
        let uri = match tls {
            // tonic reads unix:///path as it stands.
            _ if unix => address.to_owned(),
            Some(_) => format!("https://{address}"),
            None => format!("http://{address}"),
        };
        let endpoint =
            Endpoint::from_shared(uri).map_err(|_invalid| "expected host:port or unix:///path".to_owned())?;
        let Some(TlsCredentials { ca, identity }) = tls else { return Ok(endpoint) };
        let mut config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca));
        if let Some((certificate, key)) = identity {
            config = config.identity(Identity::from_pem(certificate, key));
        }
        endpoint.tls_config(config).map_err(|error| root_cause(&error))
    }

    /// Returns what puts the token on each call, if there is one.
    ///
    /// # Errors
    /// Never for a token that [`Token::read`] gave; in words.
    pub fn bearer(&self) -> Result<Bearer, String> {
        let header = self.token.as_ref().map(|token| token.header().parse::<MetadataValue<Ascii>>());
        let mut header = header.transpose().map_err(|_never| "the token is no header".to_owned())?;
        if let Some(header) = &mut header {
            header.set_sensitive(true);
        }
        Ok(Bearer(header))
    }
}

/// Puts the bearer token, if there is one, on each call.
#[derive(Clone, Debug)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(header) = &self.0 {
            request.metadata_mut().insert("authorization", header.clone());
        }
        Ok(request)
    }
}

/// The innermost cause, which says what happened; those around it say "transport error".
#[must_use]
pub fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

impl CredentialFiles {
    /// Reads the files.
    ///
    /// # Errors
    /// When one cannot be read or used, or one is given without the others that it needs.
    pub fn read(&self) -> Result<Credentials, SecurityError> {
        let own = match (&self.tls_cert, &self.tls_key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => {
                Some(Own { certificate: Pem::read(certificate)?, key: Pem::read(key)? })
            }
            _ => return Err(SecurityError::Flags("--tls-cert and --tls-key go together")),
        };
        let tls = match &self.tls_ca {
            Some(ca) => {
                let ca = Pem::read(ca)?;
                check_caller(&ca, own.as_ref())?;
                let identity = own.map(|own| (own.certificate.text, own.key.text));
                Some(TlsCredentials { ca: ca.text, identity })
            }
            None if own.is_some() => {
                return Err(SecurityError::Flags("--tls-cert needs --tls-ca, which turns TLS on"));
            }
            None => None,
        };
        let token = self.auth_token.as_deref().map(Token::read).transpose()?;
        Ok(Credentials { tls, token })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};

    #[test]
    fn files_with_which_no_caller_can_prove_itself_are_named_before_anybody_is_called() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, content: &[u8]| {
            std::fs::write(folder.path().join(name), content).unwrap();
            folder.path().join(name)
        };
        let key = KeyPair::generate().unwrap();
        let signed = CertificateParams::default().self_signed(&key).unwrap();
        let pem = write("own.pem", signed.pem().as_bytes());
        let secret = write("own.key", key.serialize_pem().as_bytes());
        let other = write("other.key", KeyPair::generate().unwrap().serialize_pem().as_bytes());
        let (empty, binary) = (write("empty", b""), write("binary", signed.der()));
        let garbage =
            write("garbage", b"-----BEGIN CERTIFICATE-----\nZ2FyYmFnZQ==\n-----END CERTIFICATE-----\n");
        let read = |ca: &PathBuf, own: Option<(&PathBuf, &PathBuf)>| {
            let (tls_cert, tls_key) = (own.map(|own| own.0.clone()), own.map(|own| own.1.clone()));
            let files = CredentialFiles { tls_ca: Some(ca.clone()), tls_cert, tls_key, auth_token: None };
            files.read().map(drop).map_err(|error| error.to_string())
        };
        assert_eq!(read(&pem, None), Ok(()));
        assert_eq!(read(&pem, Some((&pem, &secret))), Ok(()));
        for (ca, own, fault) in [
            (&empty, None, "empty: no certificate in PEM form"),
            (&binary, None, "binary: no certificate in PEM form"),
            (&secret, None, "own.key: no certificate in PEM form"),
            (&garbage, None, "garbage: invalid peer certificate: BadEncoding"),
            (&pem, Some((&pem, &other)), "own.pem: its key is not the one in "),
            (&pem, Some((&secret, &pem)), "own.key: no certificate in PEM form"),
            (&pem, Some((&empty, &secret)), "empty: no certificate in PEM form"),
            (&pem, Some((&pem, &empty)), "empty: no private key in PEM form"),
            (&pem, Some((&garbage, &secret)), "garbage: invalid peer certificate: BadEncoding"),
        ] {
            let said = read(ca, own).unwrap_err();
            assert!(said.contains(fault), "{fault}: {said}");
        }
    }
}
