//! A custom transform, by name and version.

use crate::SpecError;
use arrayvec::ArrayString;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Characters of the name of a custom transform or source, at most.
pub const MAX_NAME_CHARS: usize = 64;

/// Tells whether `text` may name a custom transform or source: 1 to [`MAX_NAME_CHARS`] of a-z, 0-9 and `-`.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=MAX_NAME_CHARS).contains(&text.len()) && text.bytes().all(allowed)
}

/// A custom transform that the loaders have, by name and version; as text `NAME:VERSION`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct CustomTransform {
    name: ArrayString<MAX_NAME_CHARS>,
    version: u32,
}

impl CustomTransform {
    /// Takes a name (see [`is_name`]) and a version of 1 or more.
    ///
    /// # Errors
    /// When one of them is out of range.
    pub fn new(name: &str, version: u32) -> Result<Self, SpecError> {
        match ArrayString::from(name) {
            Ok(name) if is_name(&name) && version > 0 => Ok(Self { name, version }),
            _ => {
                // What is said of it may come from anywhere.
                let asked: String = name.chars().take(MAX_NAME_CHARS).flat_map(char::escape_debug).collect();
                let allowed = "a name of a-z, 0-9 and -, and a version of 1 or more";
                Err(SpecError::new("augmentation.custom", format!("{asked}:{version}"), allowed))
            }
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its version, 1 or more.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }
}

impl FromStr for CustomTransform {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?}: expected a name and a version, as in posterise:1");
        let (name, version) = text.split_once(':').ok_or_else(wrong)?;
        version.parse().ok().and_then(|version| Self::new(name, version).ok()).ok_or_else(wrong)
    }
}

impl TryFrom<String> for CustomTransform {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for CustomTransform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.version)
    }
}

impl From<CustomTransform> for String {
    fn from(custom: CustomTransform) -> Self {
        custom.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        for good in ["a", "rand-augment-2", &"x".repeat(64)] {
            assert!(is_name(good), "{good}");
        }
        for wrong in ["", "Upper", "two words", "a:b", "ä", &"x".repeat(65)] {
            assert!(!is_name(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_custom_transform_is_a_name_and_a_version() {
        let custom = CustomTransform::new("posterise", 3).unwrap();
        assert_eq!("posterise:3".parse(), Ok(custom));
        assert_eq!(custom.to_string(), "posterise:3");
        for wrong in ["posterise", "posterise:", "posterise:0", ":1", "posterise:x", "Big:1"] {
            assert!(wrong.parse::<CustomTransform>().is_err(), "{wrong}");
        }
        let error = CustomTransform::new("line\nbreak", 1).unwrap_err().to_string();
        assert!(
            error.starts_with("augmentation.custom: line\\nbreak:1 is not allowed, a name of "),
            "{error}"
        );
    }
}
