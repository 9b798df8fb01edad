//! Addresses to listen on, as people write them: `127.0.0.1:50051`, `[::1]:50051`, `localhost:50051`.
//!
//! Every flag and every key of a settings file that takes one reads it here, so that all take the same and refuse it in
//! the same words.

use serde::{Deserialize as _, Deserializer};
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, ToSocketAddrs as _};

/// Text that is not an address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It has another form.
    #[error(
        "`{0}` is not an address to listen on: give HOST:PORT, as in 127.0.0.1:50051 for this machine alone or \
         0.0.0.0:50051 for all that can reach it"
    )]
    Form(String),
    /// Its name stands for no address.
    #[error("`{text}` is not an address to listen on: {problem}")]
    Unknown {
        /// What was given.
        text: String,
        /// What the resolver said.
        problem: String,
    },
}

/// An address cannot be listened on. Another process may free it, so that trying again may help.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}{remedy}", remedy = remedy(address, source))]
pub struct BindError {
    /// What was asked for: an address, or the path of a socket.
    pub address: String,
    /// What the operating system said.
    pub source: io::Error,
}

impl BindError {
    /// Of what the operating system said.
    pub fn new(address: impl fmt::Display, source: io::Error) -> Self {
        Self { address: address.to_string(), source }
    }
}

fn remedy(address: &str, source: &io::Error) -> &'static str {
    match source.kind() {
        ErrorKind::AddrInUse if address.starts_with("unix:") => {
            "; give another path, or end what uses this one"
        }
        ErrorKind::AddrInUse => "; give another address (port 0 picks a free one), or end what listens there",
        ErrorKind::AddrNotAvailable => "; give an address of this machine, or 0.0.0.0 for all that it has",
        _ => "",
    }
}

/// Reads an address; a name stands for the first address that it has, one of IPv4 before others.
///
/// # Errors
/// When host or port is missing, or the name is unknown.
pub fn listen(text: &str) -> Result<SocketAddr, AddressError> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let form = || AddressError::Form(text.to_owned());
    let (host, port) = text.rsplit_once(':').ok_or_else(form)?;
    let port: u16 = port.parse().map_err(|_not_a_port| form())?;
    if host.is_empty() || host.contains([':', '/', '[', ']']) || host.contains(char::is_whitespace) {
        return Err(form());
    }
    let unknown = |problem: String| AddressError::Unknown { text: text.to_owned(), problem };
    let found = (host, port).to_socket_addrs().map_err(|error| unknown(error.to_string()))?;
    let all: Vec<_> = found.collect();
    let first = all.iter().find(|address| address.is_ipv4()).or(all.first());
    first.copied().ok_or_else(|| unknown("its name has no address".to_owned()))
}

/// The same for a key of a settings file.
///
/// # Errors
/// As [`listen`].
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| listen(&text).map_err(serde::de::Error::custom)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_read() {
        for text in ["127.0.0.1:0", "[::1]:5", "0.0.0.0:9464"] {
            assert_eq!(listen(text).unwrap().to_string(), text);
        }
        let local = listen("localhost:50051").unwrap();
        assert!(local.ip().is_loopback() && local.port() == 50_051, "{local}");
    }

    #[test]
    fn anything_else_is_refused_in_the_same_words() {
        for text in [
            "",
            "9464",
            ":50051",
            "localhost",
            "localhost:",
            "localhost:99999",
            "127.0.0.1",
            "::1:5:x",
            "a b:1",
        ] {
            let error = listen(text).unwrap_err().to_string();
            let expected =
                format!("`{text}` is not an address to listen on: give HOST:PORT, as in 127.0.0.1:50051");
            assert!(error.starts_with(&expected), "{error}");
        }
        // A name that cannot be: no label may be empty. Whatever the resolver says of it, it is named.
        let error = listen("no..such..name:1").unwrap_err().to_string();
        assert!(error.starts_with("`no..such..name:1` is not an address to listen on: "), "{error}");
    }

    #[test]
    fn an_address_in_use_is_said_with_what_to_do() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let error = BindError::new(address, std::net::TcpListener::bind(address).unwrap_err()).to_string();
        assert!(error.starts_with(&format!("cannot listen on {address}: ")), "{error}");
        assert!(
            error.ends_with("give another address (port 0 picks a free one), or end what listens there"),
            "{error}"
        );
        let other = BindError::new("x", io::Error::other("odd")).to_string();
        assert_eq!(other, "cannot listen on x: odd");
    }

    #[test]
    fn a_key_of_a_file_takes_the_same() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(default)]
        #[derive(Default)]
        struct Settings {
            #[serde(deserialize_with = "deserialize")]
            metrics: Option<SocketAddr>,
        }
        let read = |text: &str| toml::from_str::<Settings>(text).map(|settings| settings.metrics);
        assert_eq!(read("").unwrap(), None);
        assert!(read("metrics = 'localhost:9464'").unwrap().unwrap().ip().is_loopback());
        assert!(read("metrics = '9464'").unwrap_err().to_string().contains("give HOST:PORT"));
    }
}
