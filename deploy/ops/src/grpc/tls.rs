//! TLS of the serving side: its certificate, and whose certificates it asks for.
//!
//! Done here and not by tonic, whose handshake has no deadline.

use super::connection::Io;
use super::error::SecurityError;
use super::secret_file::read;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;

/// The certificate and key with which a server proves itself.
#[derive(Clone)]
pub struct ServerTls(TlsAcceptor);

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerTls(..)")
    }
}

impl ServerTls {
    /// Reads PEM files: the certificate with those above it, its key, and the certificates by one of which
    /// each client's must be signed (none: clients need no certificate).
    ///
    /// # Errors
    /// Names the file that cannot be used.
    pub fn read(certificate: &Path, key: &Path, client_ca: Option<&Path>) -> Result<Self, SecurityError> {
        let content = |file: &Path, fault: String| SecurityError::Content { file: file.into(), fault };
        let chain = certificates(certificate)?;
        let secret = PrivateKeyDer::from_pem_slice(&read(key)?)
            .map_err(|_error| content(key, "no private key in PEM form".to_owned()))?;
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| content(certificate, error.to_string()))?;
        let builder = match client_ca {
            None => builder.with_no_client_auth(),
            Some(file) => {
                let mut roots = RootCertStore::empty();
                for root in certificates(file)? {
                    roots.add(root).map_err(|error| content(file, error.to_string()))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(verifier.map_err(|error| content(file, error.to_string()))?)
            }
        };
        let mut config = builder
            .with_single_cert(chain, secret)
            .map_err(|error| content(certificate, error.to_string()))?;
        config.alpn_protocols.push(b"h2".to_vec());
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    pub(super) async fn accept(&self, io: Box<dyn Io>) -> io::Result<TlsStream<Box<dyn Io>>> {
        self.0.accept(io).await
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, SecurityError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(file)?).collect();
    found.ok().filter(|found| !found.is_empty()).ok_or_else(|| SecurityError::Content {
        file: file.into(),
        fault: "no certificate in PEM form".to_owned(),
    })
}
