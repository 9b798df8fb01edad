//! Who is served: the files of certificates and tokens, and what may not be left out.

use super::{SecurityError, ServerTls, Token};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Who can reach a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Whom the file system lets: it listens on a Unix socket.
    Socket,
    /// Processes of this machine.
    Machine,
    /// Others too.
    Beyond,
}

impl Reach {
    /// Who can reach a server that listens on this address.
    #[must_use]
    pub fn of(address: SocketAddr) -> Self {
        if address.ip().to_canonical().is_loopback() { Self::Machine } else { Self::Beyond }
    }
}

/// Which certificates and which token are used, and whether it may be none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// What the names of its flags begin with, as `--` in `--tls-cert`.
    pub flags: &'static str,
    /// The server's certificate; turns TLS on.
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
    /// Nobody has to prove anything. `flags` is what the names of the flags begin with.
    #[must_use]
    pub fn open(flags: &'static str) -> Self {
        Self {
            flags,
            tls_cert: None,
            tls_key: None,
            tls_client_ca: None,
            auth_token_file: None,
            require_auth: false,
        }
    }

    /// Checks which flags are given, together with who can reach the server.
    ///
    /// # Errors
    /// One line that names the flags.
    pub fn check(&self, reach: Reach) -> Result<(), String> {
        let flags = self.flags;
        if self.tls_cert.is_some() != self.tls_key.is_some() {
            return Err(format!("{flags}tls-cert and {flags}tls-key go together"));
        }
        if self.tls_client_ca.is_some() && self.tls_cert.is_none() {
            return Err(format!("{flags}tls-client-ca needs {flags}tls-cert"));
        }
        if self.tls_cert.is_some() && reach == Reach::Socket {
            return Err(format!("{flags}tls-cert is for TCP, and it listens on a Unix socket"));
        }
        match self.missing(reach) {
            Some(missing) if self.require_auth => Err(format!("{flags}require-auth: {missing}")),
            _ => Ok(()),
        }
    }

    /// Whether callers have to prove who they are.
    #[must_use]
    pub fn asks_for_proof(&self) -> bool {
        self.auth_token_file.is_some() || self.tls_client_ca.is_some()
    }

    /// What would be needed so that nobody is let in unproven: always where proof is required, and for a
    /// warning where others can reach the server.
    fn missing(&self, reach: Reach) -> Option<String> {
        let flags = self.flags;
        match (self.asks_for_proof(), self.tls_cert.is_some() || reach != Reach::Beyond) {
            (true, true) => None,
            (true, false) => {
                Some(format!("the token would be sent in clear; give {flags}tls-cert and {flags}tls-key"))
            }
            (false, true) => Some(format!(
                "nobody has to prove who they are; give {flags}auth-token-file or {flags}tls-client-ca"
            )),
            (false, false) => Some(format!(
                "there is neither TLS nor a token; give {flags}tls-cert, {flags}tls-key and \
                 {flags}auth-token-file"
            )),
        }
    }

    /// What to warn of, if others can reach the server.
    #[must_use]
    pub fn warning(&self, reach: Reach) -> Option<String> {
        (reach == Reach::Beyond).then(|| self.missing(reach))?
    }

    /// Reads the files.
    ///
    /// # Errors
    /// Names the file that cannot be used.
    pub fn read(&self) -> Result<(Option<ServerTls>, Option<Token>), SecurityError> {
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
            ..Access::open("--")
        }
    }

    #[test]
    fn only_addresses_that_others_reach_are_beyond_the_machine() {
        for (text, reach) in [
            ("127.0.0.1:1", Reach::Machine),
            ("127.9.9.9:1", Reach::Machine),
            ("[::1]:1", Reach::Machine),
            ("[::ffff:127.0.0.1]:1", Reach::Machine),
            ("0.0.0.0:1", Reach::Beyond),
            ("[::]:1", Reach::Beyond),
            ("10.0.0.1:1", Reach::Beyond),
        ] {
            assert_eq!(Reach::of(text.parse().unwrap()), reach, "{text}");
        }
    }

    #[test]
    fn whoever_requires_proof_gets_it_or_nothing() {
        for (reach, tls, client_ca, token, starts, warns) in [
            (Reach::Machine, false, false, false, false, false),
            (Reach::Machine, false, false, true, true, false),
            (Reach::Socket, false, false, true, true, false),
            (Reach::Socket, false, false, false, false, false),
            (Reach::Beyond, false, false, false, false, true),
            (Reach::Beyond, true, false, false, false, true),
            (Reach::Beyond, false, false, true, false, true),
            (Reach::Beyond, true, false, true, true, false),
            (Reach::Beyond, true, true, false, true, false),
        ] {
            let access = access(tls, client_ca, token);
            assert_eq!(access.check(reach).is_ok(), starts, "{reach:?} {access:?}");
            assert_eq!(access.warning(reach).is_some(), warns, "{reach:?} {access:?}");
            assert!(Access { require_auth: false, ..access }.check(reach).is_ok());
        }
    }

    #[test]
    fn flags_that_say_nothing_alone_are_refused() {
        let file = || Some(PathBuf::from("x"));
        let none = || Access::open("--listen-");
        for alone in [
            Access { tls_cert: file(), ..none() },
            Access { tls_key: file(), ..none() },
            Access { tls_client_ca: file(), ..none() },
        ] {
            assert!(alone.check(Reach::Machine).unwrap_err().contains("--listen-tls-cert"));
        }
        let tls = Access { tls_cert: file(), tls_key: file(), ..none() };
        assert!(tls.check(Reach::Machine).is_ok() && tls.check(Reach::Socket).is_err());
    }
}
