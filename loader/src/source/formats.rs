//! In which format the data at a place comes: drawings and custom sources by name, CIFAR by its files, and otherwise images
//! in tables, shards, or class folders.
//!
//! Where images come in more than one way, either may be meant, and the set is refused with all of them unless `--train` or
//! `--test` names one. What is not read then is counted.

use super::custom::{self, CustomSource};
use super::error::SourceError;
use super::folder::tree::Tree;
use super::listing::is_folder;
use super::options::Options;
use super::place::{Location, Place};
use super::report::{Report, ending};
use super::retry::metadata;
use super::splits::{self, NONE, PLACE, Told, told_by};
use super::{batches, cifar, numbered, shards};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A format, with where its files are.
pub(super) enum Format<'a> {
    /// Drawings, this many for training.
    Synthetic(u64),
    /// A custom source, with what follows its name.
    Custom(&'static dyn CustomSource, &'a str),
    /// CIFAR in the binary version, in this folder.
    Cifar(&'static cifar::Set, PathBuf),
    /// CIFAR in the Python version, in this folder.
    Batches(&'static batches::Set, PathBuf),
    Tables(&'a Path, Vec<PathBuf>),
    Shards(&'a Path, Vec<PathBuf>),
    /// Class folders, if there are any. Beside them or in place of them there are files with these endings.
    Folders(&'a Path, BTreeMap<String, u64>),
}

/// Finds out in which format the data is, and refuses options that have no meaning for it.
pub(super) fn detect<'a>(
    place: &'a Place,
    custom: &[&'static dyn CustomSource],
    report: &mut Report,
) -> Result<Format<'a>, SourceError> {
    let Place { location, options } = place;
    let complete = match location {
        Location::Synthetic(samples) => Format::Synthetic(*samples),
        Location::Path(path) => match custom::named(custom, path) {
            Some((source, rest)) => Format::Custom(source, rest),
            None => match cifar_at(path, report)? {
                Some(format) => format,
                None => return images(path, options, report),
            },
        },
    };
    let [contradicted, idle] = options.for_image_files();
    if !contradicted.is_empty() {
        return Err(SourceError::Options { place: place.to_string(), flags: contradicted.join(", ") });
    }
    if !idle.is_empty() {
        report
            .warnings
            .push(format!("no effect on this dataset, which is in memory whole: {}", idle.join(", ")));
    }
    Ok(complete)
}

/// The files of CIFAR at a place. What would be read if they were not there is counted.
fn cifar_at<'a>(path: &Path, report: &mut Report) -> Result<Option<Format<'a>>, SourceError> {
    if !metadata(path)?.is_dir() {
        return Ok(None);
    }
    let binary = cifar::detect(path).map(|(set, folder)| {
        (format!("{} in the binary version", set.files.name), Format::Cifar(set, folder))
    });
    let python = batches::detect(path).map(|(set, folder)| {
        (format!("{} in the Python version", set.files.name), Format::Batches(set, folder))
    });
    let mut found = binary.chain(python);
    let Some((read, format)) = found.next() else { return Ok(None) };
    for (other, _) in found {
        report.leave_out_files(other, 1, format!("beside {read}"));
    }
    let images = Tree::new(path).count_images("")?;
    let endings: Vec<String> = shards::all(path)?.iter().map(|path| ending(path)).collect();
    let of = |wanted: &str| endings.iter().filter(|ending| *ending == wanted).count() as u64;
    for (what, count) in [("image files", images), (".parquet", of("parquet")), (".tar", of("tar"))] {
        if count > 0 {
            report.leave_out(what, count, format!("beside {read}"));
        }
    }
    Ok(Some(format))
}

/// One way to read a place.
struct Reading<'a> {
    format: Format<'a>,
    /// In words, with where it is.
    said: String,
    /// What `--train` may say to choose it.
    flag: String,
    /// Its files' names; none of class folders.
    names: Vec<String>,
}

/// Of records that are image files of their own.
fn images<'a>(place: &'a Path, options: &Options, report: &mut Report) -> Result<Format<'a>, SourceError> {
    if options.test.as_deref() == Some(NONE) && options.test_fraction > 0.0 {
        return Err(SourceError::NoTestAndFraction(options.test_fraction));
    }
    let (mut tables, mut tars, mut others) = (Vec::new(), Vec::new(), BTreeMap::<String, u64>::new());
    for path in shards::all(place)? {
        match ending(&path).as_str() {
            "parquet" => tables.push(path),
            "tar" => tars.push(path),
            _ if path.file_name().is_some_and(|name| name == super::webdataset::NAMES_FILE) => {}
            other => *others.entry(other.into()).or_default() += 1,
        }
    }
    let mut readings = Vec::new();
    for (files, what, format) in
        [(tables, "tables", Format::Tables as fn(_, _) -> _), (tars, "shards", Format::Shards)]
    {
        if !files.is_empty() {
            let names = shards::names(place, &files)?;
            readings.push(Reading {
                format: format(place, files),
                said: said(what, &names),
                flag: flag(&names),
                names,
            });
        }
    }
    if readings.is_empty() || !is_folder(place)? {
        return Ok(readings.pop().map_or(Format::Folders(place, others), |reading| reading.format));
    }
    let tree = Tree::new(place);
    let folders = Images::find(&tree)?;
    if folders.may_be_meant(&readings, &tree)? {
        readings.push(Reading {
            format: Format::Folders(place, BTreeMap::new()),
            said: format!("images in folders ({})", super::report::named(&folders.names())),
            flag: folders.flag(),
            names: Vec::new(),
        });
    }
    let meant = match readings.len() {
        1 => 0,
        _ => chosen(&readings, options, &tree)?.ok_or_else(|| {
            let ways: Vec<String> = readings
                .iter()
                .map(|reading| format!("--train {} for {}", reading.flag, reading.said))
                .collect();
            let reason =
                format!("it may be read in {} ways: choose with {}", ways.len(), ways.join(", or with "));
            SourceError::Set { path: place.into(), reason }
        })?,
    };
    let meant = readings.remove(meant);
    let wanted = match &meant.format {
        Format::Tables(..) => Some("tables"),
        Format::Shards(..) => Some("shards"),
        _ => None,
    };
    for Reading { said, names, .. } in readings.into_iter().filter(|reading| !reading.names.is_empty()) {
        report.leave_out_files(said, names.len(), "not chosen by --train or --test");
    }
    if let Some(wanted) = wanted {
        let images = tree.count_images("")?;
        if images > 0 {
            report.leave_out("image files", images, format!("beside {wanted}"));
        }
        for (ending, count) in &others {
            report.leave_out_ending(ending, *count, wanted);
        }
    }
    Ok(meant.format)
}

fn said(what: &str, names: &[String]) -> String {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    format!("{what} ({})", numbered::files(&names))
}

/// A pattern that takes the files to train on.
fn flag(names: &[String]) -> String {
    let kind = names[0].rsplit('.').next().unwrap_or_default();
    let told = |name: &&String| name.rsplit('/').next().is_some_and(|own| own.contains("train"));
    match (names, names.iter().any(|name| told(&name))) {
        ([one], _) => one.clone(),
        (_, true) => format!("'*train*.{kind}'"),
        (_, false) => format!("'*.{kind}'"),
    }
}

/// The folders at the top that have images.
struct Images(Vec<(String, Vec<String>)>);

impl Images {
    /// Each with the folders in it that have images.
    fn find(tree: &Tree) -> Result<Self, SourceError> {
        let top = tree.folders_with_images("")?.into_iter();
        top.map(|name| Ok((name.clone(), tree.folders_with_images(&name)?)))
            .collect::<Result<_, SourceError>>()
            .map(Self)
    }

    /// Whether these are classes or splits as well as anything: one folder of pictures beside shards is none.
    fn may_be_meant(&self, others: &[Reading<'_>], tree: &Tree) -> Result<bool, SourceError> {
        let split = |name: &str| told_by(name) != Ok(Told::Nothing);
        if self.0.len() > 1 || self.0.iter().any(|(name, within)| split(name) && !within.is_empty()) {
            return Ok(true);
        }
        for name in others.iter().flat_map(|other| &other.names) {
            if let Some((folder, _)) = name.rsplit_once('/')
                && tree.has_image(folder)?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn names(&self) -> Vec<String> {
        self.0.iter().map(|(name, _)| format!("{name}/")).collect()
    }

    fn flag(&self) -> String {
        let train =
            self.0.iter().find(|(name, within)| told_by(name) == Ok(Told::Train) && !within.is_empty());
        train.map_or(PLACE.into(), |(name, _)| name.clone())
    }
}

/// Which reading the flags name, if it is one.
fn chosen(readings: &[Reading<'_>], options: &Options, tree: &Tree) -> Result<Option<usize>, SourceError> {
    let test = options.test.as_deref().filter(|test| *test != NONE);
    let Some(pattern) = options.train.as_deref().or(test) else { return Ok(None) };
    let names: Vec<String> = readings.iter().flat_map(|reading| reading.names.clone()).collect();
    let pattern = &splits::within(tree.root(), pattern, &names);
    let parts: Vec<&str> = pattern.split(',').map(|part| part.trim().trim_end_matches('/')).collect();
    let find = |fits: &dyn Fn(&Reading<'_>) -> bool| -> Vec<usize> {
        (0..readings.len()).filter(|at| fits(&readings[*at])).collect()
    };
    let mut found = find(&|reading| parts.iter().any(|part| reading.names.iter().any(|name| name == part)));
    if found.is_empty() {
        let mut folder = false;
        for part in &parts {
            folder |= *part == PLACE || (tree.has_folder(part)? && tree.has_image(part)?);
        }
        found = find(&|reading| folder && reading.names.is_empty());
    }
    if found.is_empty() {
        found = find(&|reading| !splits::matching(pattern, &reading.names).is_empty());
    }
    if found.is_empty() {
        let top = tree.folders("")?;
        let folder = !splits::matching(pattern, &top).is_empty();
        found = find(&|reading| folder && reading.names.is_empty());
    }
    Ok(if let [one] = found.as_slice() { Some(*one) } else { None })
}
