//! What `--train` and `--test` name: files and folders, by their paths within the place.

use super::{stem, tokens};

/// The paths that `pattern` names, as `--train` and `--test` do: several patterns, separated by commas. Each is the name
/// or path of a file or folder, a path with `*` and `?`, or words of its name, as in `val`; the first of these that
/// fits any path.
pub(in crate::source) fn matching(pattern: &str, paths: &[String]) -> Vec<usize> {
    let mut found: Vec<usize> = Vec::new();
    for pattern in pattern.split(',').map(|pattern| pattern.trim().trim_end_matches('/')) {
        let of = |fits: &dyn Fn(&str) -> bool| -> Vec<usize> {
            (0..paths.len()).filter(|file| fits(&paths[*file])).collect()
        };
        let mut fitting = of(&|path| is_named(pattern, path));
        if fitting.is_empty() && pattern.contains(['*', '?']) {
            fitting = of(&|path| {
                is_like(pattern.as_bytes(), path.as_bytes())
                    || path.split('/').any(|part| is_like(pattern.as_bytes(), part.as_bytes()))
            });
        } else if fitting.is_empty() {
            fitting = of(&|path| path.split('/').any(|part| has_words(pattern, part)));
        }
        found.extend(fitting);
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Whether a path is the pattern, lies in a folder of this path, or has a part of this name.
fn is_named(pattern: &str, path: &str) -> bool {
    let within = path.strip_prefix(pattern).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    within || path.split('/').any(|part| part == pattern || stem(part) == pattern)
}

/// Whether the words of the pattern stand in a name, one after the other.
fn has_words(pattern: &str, name: &str) -> bool {
    let wanted: Vec<&str> = tokens(pattern).collect();
    let there: Vec<&str> = tokens(stem(name)).collect();
    let equal = |part: &[&str]| part.iter().zip(&wanted).all(|(a, b)| a.eq_ignore_ascii_case(b));
    !wanted.is_empty() && there.windows(wanted.len()).any(equal)
}

/// Whether a text is like a pattern in which `*` is any text and `?` one byte.
fn is_like(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where the last `*` stands, and how much of the text it has taken.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[t] => (p, t) = (p + 1, t + 1),
            _ => {
                let Some((at, taken)) = star else { return false };
                star = Some((at, taken + 1));
                (p, t) = (at + 1, taken + 1);
            }
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_a_shell() {
        for (pattern, text, like) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abcd", false),
            ("*-0?.tar", "train-01.tar", true),
            ("*-0?.tar", "train-0.tar", false),
            ("a**b*", "axxb", true),
            ("", "a", false),
        ] {
            assert_eq!(is_like(pattern.as_bytes(), text.as_bytes()), like, "{pattern} {text}");
        }
    }
}
