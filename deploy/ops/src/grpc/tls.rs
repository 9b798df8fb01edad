//! TLS of the serving side: its certificate, and whose certificates it asks for; and what the files of both sides must hold.
//!
//! Done here and not by tonic, whose handshake has no deadline.

use super::connection::Io;
use super::error::SecurityError;
use super::secret_file::read;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, Error, RootCertStore, ServerConfig};
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
        let own = Own { certificate: Pem::read(certificate)?, key: Pem::read(key)? };
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| own.certificate.fault(error.to_string()))?;
        let builder = match client_ca.map(Pem::read).transpose()? {
            None => builder.with_no_client_auth(),
            Some(ca) => {
                let roots = Arc::new(ca.roots()?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider()).build();
                builder.with_client_cert_verifier(verifier.map_err(|error| ca.fault(error.to_string()))?)
            }
        };
        let mut config = own.used(|chain, key| builder.with_single_cert(chain, key))?;
        config.alpn_protocols.push(b"h2".to_vec());
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    pub(super) async fn accept(&self, io: Box<dyn Io>) -> io::Result<TlsStream<Box<dyn Io>>> {
        self.0.accept(io).await
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// A file that is to be in PEM form. It is read once: it may be a pipe.
pub(super) struct Pem {
    file: PathBuf,
    pub(super) text: Vec<u8>,
}

impl Pem {
    pub(super) fn read(file: &Path) -> Result<Self, SecurityError> {
        Ok(Self { file: file.into(), text: read(file)? })
    }

    fn fault(&self, fault: String) -> SecurityError {
        SecurityError::Content { file: self.file.clone(), fault }
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, SecurityError> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.text).collect();
        let found = found.ok().filter(|found| !found.is_empty());
        found.ok_or_else(|| self.fault("no certificate in PEM form".to_owned()))
    }

    fn roots(&self) -> Result<RootCertStore, SecurityError> {
        let mut roots = RootCertStore::empty();
        for root in self.certificates()? {
            roots.add(root).map_err(|error| self.fault(error.to_string()))?;
        }
        Ok(roots)
    }
}

/// A side's own certificate, with those above it, and its key.
pub(super) struct Own {
    pub(super) certificate: Pem,
    pub(super) key: Pem,
}

impl Own {
    /// What is made of them, which fails if they do not belong together.
    fn used<T>(
        &self,
        make: impl FnOnce(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) -> Result<T, Error>,
    ) -> Result<T, SecurityError> {
        let chain = self.certificate.certificates()?;
        let key = PrivateKeyDer::from_pem_slice(&self.key.text)
            .map_err(|_error| self.key.fault("no private key in PEM form".to_owned()))?;
        make(chain, key).map_err(|error| match error {
            Error::InconsistentKeys(_) => {
                self.certificate.fault(format!("its key is not the one in {}", self.key.file.display()))
            }
            Error::InvalidCertificate(_) => self.certificate.fault(error.to_string()),
            _ => self.key.fault(error.to_string()),
        })
    }
}

/// Refuses what no caller can use, before it is blamed on the other side.
pub(super) fn check_caller(ca: &Pem, own: Option<&Own>) -> Result<(), SecurityError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| ca.fault(error.to_string()))?
        .with_root_certificates(ca.roots()?);
    own.map_or(Ok(()), |own| own.used(|chain, key| builder.with_client_auth_cert(chain, key).map(drop)))
}
