//! Folders that are taken for classes, and have folders in them as splits have.

use super::folders;
use crate::source::SourceError;
use crate::source::folder::tree::Tree;
use crate::source::report::{Report, named};
use crate::source::splits::{Told, are_several, told_by};
use std::path::Path;

/// More folders than these are no splits, and looking into all of them takes time.
const MAX_SPLITS: usize = 4;

/// What is to be said where all classes have the same folders in them, as splits have whose names no word tells.
pub(super) fn warning(tree: &Tree, classes: &[String]) -> Result<Option<String>, SourceError> {
    if !(2..=MAX_SPLITS).contains(&classes.len()) {
        return Ok(None);
    }
    let inner: Vec<Vec<String>> =
        classes.iter().map(|class| tree.folders_with_images(class)).collect::<Result<_, _>>()?;
    let is_shared = |name: &&String| inner[1..].iter().all(|other| other.contains(name));
    let shared: Vec<&String> = inner[0].iter().filter(is_shared).collect();
    Ok((!shared.is_empty()).then(|| {
        format!(
            "taken for classes: {}, which all have folders {}; if they are splits, --train and --test choose them",
            folders(classes),
            named(&shared)
        )
    }))
}

/// Whether each folder has a training split inside.
pub(super) fn are_divided(tree: &Tree, folders: &[String]) -> Result<bool, SourceError> {
    for name in folders {
        let has = |split| tree.has_folder(&format!("{name}/{split}"));
        if !has("train")? && !has("training")? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What is to be said where splits lie in the folder of the training split, or in it lies that folder once more.
pub(in crate::source::folder) fn nested(
    tree: &Tree,
    train: &str,
    classes: &[String],
) -> Result<Option<String>, SourceError> {
    let mut inner = Vec::new();
    for class in classes.iter().filter(|class| told_by(class).is_ok_and(|told| told != Told::Nothing)) {
        if !tree.folders_with_images(&format!("{train}/{class}"))?.is_empty() {
            inner.push(class);
        }
    }
    let of = |is_train| inner.iter().find(|name| (told_by(name) == Ok(Told::Train)) == is_train);
    let once_more = classes.len() == 1 && of(true).is_some();
    if !once_more && !are_several(inner.iter().copied()) {
        return Ok(None);
    }
    let flag = |name: Option<_>, flag| name.map(|name| format!("--{flag} {train}/{name}"));
    let flags: Vec<String> =
        [flag(of(true), "train"), flag(of(false), "test")].into_iter().flatten().collect();
    Ok(Some(format!(
        "{train}/ has splits inside, {}: choose with {}, or with --train {train} for classes",
        folders(&inner),
        flags.join(" ")
    )))
}

/// Says of the folders beside that of the training split, where this lies deeper in the place, that they are not read.
pub(in crate::source::folder) fn leave_out_beside(
    tree: &Tree,
    train: &str,
    test: Option<&str>,
    report: &mut Report,
) -> Result<(), SourceError> {
    let is_within = !Path::new(train).is_absolute();
    for name in tree.folders_beside(train)?.filter(|_| is_within).unwrap_or_default() {
        let is_read = |path: &str| Path::new(path).starts_with(&name);
        let images = if is_read(train) || test.is_some_and(is_read) { 0 } else { tree.count_images(&name)? };
        if images > 0 {
            report.leave_out(format!("{name}/"), images, format!("{train}/ is the training split"));
        }
    }
    Ok(())
}
