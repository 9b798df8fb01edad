//! Who is served: the files of certificates and tokens, and what may not be left out.

use crate::server::Listen;
use mixfeed_ops::grpc::{SecurityError, ServerTls, Token};
use std::path::PathBuf;

/// Which certificates and which token are used, and whether it may be none.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// The loader's certificate; turns TLS on.
    pub tls_cert: Option<PathBuf>,
    /// Its key.
    pub tls_key: Option<PathBuf>,
    /// Certificates by one of which each client's must be signed.
    pub tls_client_ca: Option<PathBuf>,
    /// The token that calls must carry.
    pub auth_token_file: Option<PathBuf>,
    /// Whether callers have to prove who they are.
    pub require_auth: bool,
}

impl Access {
    /// Checks which flags are given, together with where the loader listens.
    pub(super) fn check(&self, listen: &Listen) -> Result<(), String> {
        if self.tls_cert.is_some() != self.tls_key.is_some() {
            return Err("--tls-cert and --tls-key go together".to_owned());
        }
        if self.tls_client_ca.is_some() && self.tls_cert.is_none() {
            return Err("--tls-client-ca needs --tls-cert".to_owned());
        }
        if self.tls_cert.is_some() && matches!(listen, Listen::Unix(_)) {
            return Err(format!("--tls-cert is for TCP, and --listen is {listen}"));
        }
        match self.missing(listen) {
            Some(missing) if self.require_auth => Err(format!("--require-auth: {missing}")),
            _ => Ok(()),
        }
    }

    /// What would be needed so that nobody is let in unproven: always for `--require-auth`, and for a
    /// warning where others can reach the loader.
    fn missing(&self, listen: &Listen) -> Option<&'static str> {
        let proven = self.auth_token_file.is_some() || self.tls_client_ca.is_some();
        match (proven, self.tls_cert.is_some() || !listen.is_exposed()) {
            (true, true) => None,
            (true, false) => Some("the token would be sent in clear; give --tls-cert and --tls-key"),
            (false, true) => {
                Some("nobody has to prove who they are; give --auth-token-file or --tls-client-ca")
            }
            (false, false) => {
                Some("there is neither TLS nor a token; give --tls-cert, --tls-key and --auth-token-file")
            }
        }
    }

    /// What to warn of, if others can reach the loader.
    pub(crate) fn warning(&self, listen: &Listen) -> Option<&'static str> {
        listen.is_exposed().then(|| self.missing(listen))?
    }

    /// Reads the files.
    ///
    /// # Errors
    /// Names the file that cannot be used.
    pub(crate) fn read(&self) -> Result<(Option<ServerTls>, Option<Token>), SecurityError> {
        let tls = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => {
                Some(ServerTls::read(certificate, key, self.tls_client_ca.as_deref())?)
            }
            _ => None,
        };
        Ok((tls, self.auth_token_file.as_deref().map(Token::read).transpose()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(tls: bool, client_ca: bool, token: bool) -> Access {
        let file = |given: bool| given.then(|| PathBuf::from("x"));
        Access {
            tls_cert: file(tls),
            tls_key: file(tls),
            tls_client_ca: file(client_ca),
            auth_token_file: file(token),
            require_auth: true,
        }
    }

    #[test]
    fn whoever_requires_proof_gets_it_or_nothing() {
        for (listen, tls, client_ca, token, starts, warns) in [
            ("127.0.0.1:1", false, false, false, false, false),
            ("127.0.0.1:1", false, false, true, true, false),
            ("unix:///x", false, false, true, true, false),
            ("unix:///x", false, false, false, false, false),
            ("0.0.0.0:1", false, false, false, false, true),
            ("0.0.0.0:1", true, false, false, false, true),
            ("0.0.0.0:1", false, false, true, false, true),
            ("0.0.0.0:1", true, false, true, true, false),
            ("0.0.0.0:1", true, true, false, true, false),
        ] {
            let (listen, access): (Listen, _) = (listen.parse().unwrap(), access(tls, client_ca, token));
            assert_eq!(access.check(&listen).is_ok(), starts, "{listen} {access:?}");
            assert_eq!(access.warning(&listen).is_some(), warns, "{listen} {access:?}");
            assert!(Access { require_auth: false, ..access }.check(&listen).is_ok());
        }
    }

    #[test]
    fn flags_that_say_nothing_alone_are_refused() {
        let file = || Some(PathBuf::from("x"));
        let tcp: Listen = "127.0.0.1:1".parse().unwrap();
        let unix: Listen = "unix:///x".parse().unwrap();
        let none = Access::default;
        assert!(Access { tls_cert: file(), ..none() }.check(&tcp).is_err());
        assert!(Access { tls_key: file(), ..none() }.check(&tcp).is_err());
        assert!(Access { tls_client_ca: file(), ..none() }.check(&tcp).is_err());
        let tls = Access { tls_cert: file(), tls_key: file(), ..none() };
        assert!(tls.check(&tcp).is_ok() && tls.check(&unix).is_err());
    }
}
