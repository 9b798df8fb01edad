//! Where an archive is fetched from.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A place that an archive can be read from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Origin {
    /// An address that begins with `http://` or `https://`.
    Web(String),
    /// A file of this machine.
    File(PathBuf),
}

/// A text that is no [`Origin`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0} is not a place to fetch from: give https://…, http://… or file:///path")]
pub struct OriginError(String);

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let wrong = || OriginError(text.into());
        match text.split_once("://").ok_or_else(wrong)? {
            ("http" | "https", rest) if !rest.starts_with('/') && !rest.is_empty() => {
                Ok(Self::Web(text.into()))
            }
            ("file", path) if path.starts_with('/') => {
                percent_decoded(path).map(|path| Self::File(path.into())).ok_or_else(wrong)
            }
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Web(url) => url.fmt(f),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// Resolves `%20` and its like (RFC 3986, section 2.1).
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, more @ ..] = rest {
        (bytes, rest) = match first {
            b'%' => {
                let mut byte = [0];
                hex::decode_to_slice(more.get(..2)?, &mut byte).ok()?;
                bytes.push(byte[0]);
                (bytes, &more[2..])
            }
            byte => {
                bytes.push(*byte);
                (bytes, more)
            }
        };
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_files_are_told_apart() {
        let read = |text: &str| text.parse::<Origin>();
        assert_eq!(read("http://host:8/a.gz"), Ok(Origin::Web("http://host:8/a.gz".into())));
        assert_eq!(read("file:///a%20b/c%C3%A4.gz"), Ok(Origin::File("/a b/cä.gz".into())));
        for wrong in
            ["", "a.tar.gz", "/a", "ftp://host/a", "file://host/a", "file:///%zz", "file:///a%4", "http://"]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
