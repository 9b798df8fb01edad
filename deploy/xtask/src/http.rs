//! One request, one answer: as much of HTTP as it takes to ask a metrics endpoint or Prometheus.

use anyhow::{Context as _, Result, bail};
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// What is asked is on this machine.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Returns the body of what is at `address` (IP:PORT) under `path`.
pub(crate) fn get(address: &str, path: &str) -> Result<String> {
    let where_to = address.parse().with_context(|| format!("{address} is no address"))?;
    let mut stream = TcpStream::connect_timeout(&where_to, TIMEOUT).with_context(|| address.to_owned())?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    // By 1.0 an answer comes in one piece and ends with the connection.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).with_context(|| address.to_owned())?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer without an end of its head")?;
    let status = head.split_whitespace().nth(1).unwrap_or_default();
    if status != "200" {
        bail!("{address}{path}: status {status}: {}", body.trim_end());
    }
    Ok(body.to_owned())
}

/// The text as a part of a query.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_escaped() {
        assert_eq!(escaped("a{b=\"c\"} > 1"), "a%7Bb%3D%22c%22%7D%20%3E%201");
    }
}
