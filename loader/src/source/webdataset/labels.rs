//! What the files of a record are by their names, and the class that one of them says.

use super::super::encoded::MAX_CLASSES;
use super::super::file_error::FileError;
use super::super::tar::{Entries, Entry};
use std::fs::File;
use std::io::BufReader;

/// Bytes of a `.cls` or `.json` file that is read for a label.
pub(super) const MAX_LABEL_BYTES: u64 = 1 << 20;

/// A record's name: all up to the first dot of the file's own name; then the last extension.
pub(super) fn key_of(name: &str) -> (&str, &str) {
    let own = name.rfind('/').map_or(0, |slash| slash + 1);
    match name[own..].find('.') {
        None => (name, ""),
        Some(dot) => (&name[..own + dot], name.rsplit('.').next().unwrap_or_default()),
    }
}

/// The file of a label, as far as it can be one.
pub(super) fn label_text(shard: &mut Entries<BufReader<File>>, entry: &Entry) -> Result<Vec<u8>, FileError> {
    if entry.size > MAX_LABEL_BYTES {
        return Ok(Vec::new());
    }
    let named = |reason: &str| format!("{}: {reason}", entry.name.escape_default());
    shard.content(entry).map_err(|e| FileError::from(e).said(named))
}

/// The label in a file; none where a JSON object holds none.
pub(super) fn label(entry: &Entry, bytes: &[u8], json: bool) -> Result<Option<u32>, String> {
    let wrong = |reason: &str| format!("{}: {reason}", entry.name.escape_default());
    if entry.size > MAX_LABEL_BYTES {
        return Err(wrong(&format!("{} bytes are too many for a label", entry.size)));
    }
    let text = std::str::from_utf8(bytes).map_err(|e| wrong(&e.to_string()))?;
    let value = if json {
        let object: serde_json::Value = serde_json::from_str(text).map_err(|e| wrong(&e.to_string()))?;
        match object.get("label").or_else(|| object.get("cls")) {
            None => return Ok(None),
            Some(label) => label.as_u64(),
        }
    } else {
        text.trim().parse().ok()
    };
    let value = value.filter(|label| *label < MAX_CLASSES);
    value
        .map(|label| Some(label as u32))
        .ok_or_else(|| wrong(&format!("its label is no whole number from 0 to {}", MAX_CLASSES - 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_records_name_ends_at_the_first_dot() {
        assert_eq!(key_of("a/b.c/0001.left.png"), ("a/b.c/0001", "png"));
        assert_eq!(key_of("0001.cls"), ("0001", "cls"));
        assert_eq!(key_of("README"), ("README", ""));
    }
}
