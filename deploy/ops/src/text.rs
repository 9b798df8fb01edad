//! Text of others on a terminal: names of files and classes, messages of loaders.
//!
//! Whoever writes them may be a stranger. A control character among them would paint the terminal, set its title or forge a
//! second line, and one that changes the direction of writing would show another name than it is.

use std::borrow::Cow;

/// Returns `text` as one line that shows what is in it: control characters, and those that change the direction of writing,
/// are escaped, as in `\u{1b}` and `\n`.
///
/// ```
/// assert_eq!(mixfeed_ops::text::printable("a\u{1b}[31m\nb"), r"a\u{1b}[31m\nb");
/// ```
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, |_| false)
}

/// The same with line breaks and tabs left as they are: for what is several lines by intent.
#[must_use]
pub fn printable_lines(text: &str) -> Cow<'_, str> {
    escaped(text, |character| matches!(character, '\n' | '\t'))
}

fn escaped(text: &str, keeps: impl Fn(char) -> bool) -> Cow<'_, str> {
    let is_bad = |character: char| !keeps(character) && (character.is_control() || turns(character));
    if !text.contains(is_bad) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_bad(character) {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    Cow::Owned(out)
}

/// Whether a character changes the direction in which others are written (Unicode Standard Annex 9).
fn turns(character: char) -> bool {
    matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_paints_forges_or_turns_and_all_other_text_is_left_as_it_is() {
        for text in ["", "plain", "größer als 日本 🦀", "a b"] {
            assert!(matches!(printable(text), Cow::Borrowed(same) if same == text));
        }
        assert_eq!(printable("\u{1b}]0;x\u{7}"), r"\u{1b}]0;x\u{7}");
        assert_eq!(printable("a\r\nb\tc"), r"a\r\nb\tc");
        assert_eq!(printable_lines("a\r\nb\tc"), "a\\r\nb\tc");
        assert_eq!(printable("\u{9b}31m \u{202e}gnp"), r"\u{9b}31m \u{202e}gnp");
    }
}
