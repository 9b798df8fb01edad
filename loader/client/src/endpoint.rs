//! Where loaders are found: the addresses a user gives.
//!
//! First stop of the journey: text becomes an [`Endpoint`], which `discovery.rs` turns into
//! replicas. Nothing is looked up here.

use std::fmt;
use std::str::FromStr;

/// One address given by a user. It stands for one replica, or for every address of a name.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Endpoint(Kind);

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Kind {
    /// `host:port`: one replica. The name is looked up again at each connection.
    Host(String),
    /// `dns:///host:port`: every address of the name is a replica, now and later.
    Dns(String),
    /// `unix:///path`: one replica behind a socket file.
    Unix(String),
}

/// What is wrong with the text of an endpoint.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "`{text}` is not the address of a loader: {reason}; write host:port, dns:///host:port or unix:///path"
)]
pub struct EndpointError {
    text: String,
    reason: &'static str,
}

impl Endpoint {
    pub(crate) fn kind(&self) -> &Kind {
        &self.0
    }

    /// Whether it stands for every address of a name.
    pub(crate) fn is_name(&self) -> bool {
        matches!(self.0, Kind::Dns(_))
    }
}

impl From<std::net::SocketAddr> for Endpoint {
    fn from(address: std::net::SocketAddr) -> Self {
        Self(Kind::Host(address.to_string()))
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let error = |reason| EndpointError { text: text.to_owned(), reason };
        if let Some(path) = text.strip_prefix("unix://") {
            return if path.len() > 1 && path.starts_with('/') {
                Ok(Self(Kind::Unix(path.to_owned())))
            } else {
                Err(error("the path of the socket is missing or relative"))
            };
        }
        if let Some(name) = text.strip_prefix("dns:///") {
            return authority(name).map(|()| Self(Kind::Dns(name.to_owned()))).map_err(error);
        }
        if text.contains("://") {
            return Err(error("its scheme is not known"));
        }
        authority(text).map(|()| Self(Kind::Host(text.to_owned()))).map_err(error)
    }
}

/// Checks `host:port`, with an IPv6 host in brackets.
fn authority(text: &str) -> Result<(), &'static str> {
    let (host, port) = text.rsplit_once(':').ok_or("the port is missing")?;
    match port.parse::<u16>() {
        Ok(0) => return Err("port 0 cannot be connected to"),
        Ok(_) => {}
        Err(_) => return Err("the port is not a number from 1 to 65535"),
    }
    let bare = match host.strip_prefix('[') {
        Some(rest) => {
            let inner = rest.strip_suffix(']').ok_or("a bracket is not closed")?;
            return inner.parse::<std::net::Ipv6Addr>().map(drop).map_err(|_error| "not an IPv6 address");
        }
        None => host,
    };
    if bare.is_empty() {
        Err("the host is missing")
    } else if bare.contains(':') {
        Err("an IPv6 address needs brackets, as in [::1]:50051")
    } else if !bare.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')) {
        Err("the host has a character that no host name has")
    } else {
        Ok(())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Host(host) => write!(f, "{host}"),
            Kind::Dns(name) => write!(f, "dns:///{name}"),
            Kind::Unix(path) => write!(f, "unix://{path}"),
        }
    }
}

impl serde::Serialize for Endpoint {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Endpoint {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_comes_back_as_it_was_written() {
        for text in
            ["localhost:50051", "10.0.0.7:1", "[::1]:50051", "dns:///loader.data:50051", "unix:///run/l.sock"]
        {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_bad_address_is_named_with_its_fault() {
        for (text, fault) in [
            ("localhost", "port is missing"),
            ("localhost:0", "port 0"),
            ("localhost:70000", "1 to 65535"),
            (":50051", "host is missing"),
            ("::1:50051", "brackets"),
            ("[::1:50051", "not closed"),
            ("[zz]:50051", "IPv6"),
            ("a b:50051", "character"),
            ("http://a:1", "scheme"),
            ("dns:///a", "port is missing"),
            ("unix://", "path"),
            ("unix://relative", "path"),
        ] {
            let message = text.parse::<Endpoint>().unwrap_err().to_string();
            assert!(message.contains(fault) && message.contains(text), "{message}");
        }
    }
}
