//! How a loader is spoken to, and how this side proves itself: TLS and the bearer token.
//!
//! The content of certificates and tokens comes in as it is: files are for whoever reads flags. Neither is
//! ever shown.

use crate::error::StreamError;
use std::fmt;
use tonic::codegen::http::{HeaderMap, HeaderValue, header};
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

/// TLS and token of a stream; the default is neither.
#[derive(Clone, Debug, Default)]
pub struct Security {
    tls: Option<Tls>,
    token: Option<HeaderValue>,
}

#[derive(Clone)]
struct Tls(ClientTlsConfig);

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls(..)")
    }
}

impl Security {
    /// Speaks TLS with every loader that is reached over TCP. Its certificate must be signed by one of `ca`
    /// (PEM) and bear the name or address by which the user gave it; `identity` is a certificate and its key
    /// (PEM) to show to loaders that ask for one.
    #[must_use]
    pub fn with_tls(self, ca: &[u8], identity: Option<(&[u8], &[u8])>) -> Self {
        let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca));
        if let Some((certificate, key)) = identity {
            tls = tls.identity(Identity::from_pem(certificate, key));
        }
        Self { tls: Some(Tls(tls)), ..self }
    }

    /// Sends `token` with each call (RFC 6750).
    ///
    /// # Errors
    /// When it has a character that a header cannot have; it is not shown.
    pub fn with_token(self, token: &str) -> Result<Self, StreamError> {
        let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_error| {
            StreamError::Config("the token has a character that no header has".to_owned())
        })?;
        value.set_sensitive(true);
        Ok(Self { token: Some(value), ..self })
    }

    /// What TLS with a loader of that host name (or address) is made of, if it is to be spoken.
    pub(crate) fn tls(&self, host: &str) -> Option<ClientTlsConfig> {
        self.tls.as_ref().map(|tls| tls.0.clone().domain_name(host))
    }

    /// Whether a token is sent that others on the way can read.
    pub(crate) fn sends_token_in_clear(&self) -> bool {
        self.token.is_some() && self.tls.is_none()
    }

    pub(crate) fn has_token(&self) -> bool {
        self.token.is_some()
    }

    pub(crate) fn authorize(&self, headers: &mut HeaderMap) {
        if let Some(token) = &self.token {
            headers.insert(header::AUTHORIZATION, token.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_in_clear_where_there_is_no_tls() {
        let token = |security: Security| security.with_token("secret-token-0123456789").unwrap();
        assert!(token(Security::default()).sends_token_in_clear());
        assert!(!token(Security::default().with_tls(b"authority", None)).sends_token_in_clear());
        assert!(!Security::default().sends_token_in_clear());
    }

    #[test]
    fn secrets_are_not_shown() {
        let security = Security::default()
            .with_tls(b"authority", Some((b"certificate", b"secret key")))
            .with_token("secret-token-0123456789")
            .unwrap();
        let shown = format!("{security:?}");
        assert!(!shown.contains("secret") && !shown.contains("authority"), "{shown}");
        let error = Security::default().with_token("secret\n").unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}
