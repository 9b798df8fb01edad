//! The bearer token: one secret that both ends read from a file, sent with each call (RFC 6750).
//!
//! It is neither logged nor shown. What a refusal says does not depend on what was wrong.

use super::error::SecurityError;
use super::secret_file::read;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use subtle::ConstantTimeEq as _;
use tonic::service::Interceptor;
use tonic::{Request, Status};

/// Shorter ones could be guessed, longer ones crowd out the rest of a request's headers.
const BYTES: std::ops::RangeInclusive<usize> = 16..=4096;

const SCHEME: &str = "Bearer ";

/// What a caller without the right token is told, whatever was wrong.
const REFUSAL: &str = "a valid bearer token is needed";

/// A bearer token.
#[derive(Clone)]
pub struct Token(Arc<str>);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Token {
    /// Reads a token: what the file holds without the end of its line, 16 to 4096 characters of printable
    /// ASCII without blanks.
    ///
    /// # Errors
    /// Names the file, and what is wrong with the token without showing it.
    pub fn read(file: &Path) -> Result<Self, SecurityError> {
        let content = |fault: String| SecurityError::Content { file: file.into(), fault };
        let bytes = read(file)?;
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        if !BYTES.contains(&bytes.len()) {
            let (min, max) = (BYTES.start(), BYTES.end());
            return Err(content(format!("a token has {min} to {max} bytes, this one has {}", bytes.len())));
        }
        match std::str::from_utf8(bytes) {
            Ok(text) if text.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(Self(text.into())),
            _ => Err(content("a token is printable ASCII without blanks".to_owned())),
        }
    }

    /// The token itself, for whoever sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The value of the header `authorization`.
    #[must_use]
    pub fn header(&self) -> String {
        format!("{SCHEME}{}", self.0)
    }

    /// Compares in a time that depends on lengths only.
    fn is(&self, given: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(given).into()
    }
}

/// Lets calls pass that carry the token, or all when there is none.
#[derive(Clone, Debug, Default)]
pub struct Guard(Option<Token>);

impl Guard {
    /// Returns a guard that asks for `token`, if there is one.
    #[must_use]
    pub fn new(token: Option<Token>) -> Self {
        Self(token)
    }
}

impl Interceptor for Guard {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let Some(token) = &self.0 else { return Ok(request) };
        let mut given = request.metadata().get_all("authorization").iter();
        // Two headers of this name are nothing that an honest client sends.
        let (Some(header), None) = (given.next(), given.next()) else {
            return Err(Status::unauthenticated(REFUSAL));
        };
        let header = header.as_bytes();
        match header.split_at_checked(SCHEME.len()) {
            Some((scheme, given)) if scheme.eq_ignore_ascii_case(SCHEME.as_bytes()) && token.is(given) => {
                Ok(request)
            }
            _ => Err(Status::unauthenticated(REFUSAL)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::metadata::MetadataValue;

    fn token(content: &[u8]) -> Result<Token, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        Token::read(file.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_token_is_what_stands_in_the_file_without_the_end_of_the_line() {
        for end in ["", "\n", "\r\n"] {
            assert_eq!(
                token(format!("0123456789abcdef{end}").as_bytes()).unwrap().header(),
                "Bearer 0123456789abcdef"
            );
        }
        assert!(token(&[b'x'; 4096]).is_ok());
    }

    #[test]
    fn a_bad_token_is_described_and_not_shown() {
        for (content, fault) in [
            (b"secret-but-short".repeat(257), "this one has 4112"),
            (b"hunter2".to_vec(), "this one has 7"),
            (Vec::new(), "this one has 0"),
            (b"secret with some blanks".to_vec(), "printable ASCII"),
            (b"secret-in-two-lines\nsecret".to_vec(), "printable ASCII"),
            (vec![0xFF; 16], "printable ASCII"),
        ] {
            let message = token(&content).unwrap_err();
            assert!(
                message.contains(fault) && !message.contains("secret") && !message.contains("hunter"),
                "{message}"
            );
        }
        assert_eq!(format!("{:?}", Guard::new(token(b"0123456789abcdef").ok())), "Guard(Some(Token(..)))");
    }

    #[test]
    fn only_the_right_token_passes_and_all_others_are_told_the_same() {
        let call = |headers: &[&str]| {
            let mut request = Request::new(());
            for header in headers {
                let value: MetadataValue<_> = header.parse().unwrap();
                request.metadata_mut().append("authorization", value);
            }
            Guard::new(token(b"0123456789abcdef").ok()).call(request)
        };
        assert!(call(&["Bearer 0123456789abcdef"]).is_ok());
        assert!(call(&["bearer 0123456789abcdef"]).is_ok());
        let long = format!("Bearer 0123456789abcdef{}", "x".repeat(1 << 20));
        for wrong in [
            &[][..],
            &[""],
            &["Bearer"],
            &["Bearer "],
            &["Basic 0123456789abcdef"],
            &["Bearer 0123456789abcdeF"],
            &["Bearer 0123456789abcde"],
            &["Bearer  0123456789abcdef"],
            &["Bearer 0123456789abcdef", "Bearer 0123456789abcdef"],
            &[&long],
        ] {
            let status = call(wrong).unwrap_err();
            assert_eq!((status.code(), status.message()), (tonic::Code::Unauthenticated, REFUSAL));
        }
        assert!(Guard::default().call(Request::new(())).is_ok(), "no token is asked for");
    }
}
