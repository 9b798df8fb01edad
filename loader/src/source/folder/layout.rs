//! Which folders at a place are splits and which are classes.
//!
//! A split's folder has class folders in it, and a class folder has images. A class may have a split's word for a
//! name, and folders of its own: beside folders of images that are no splits, such a one is a class. Where both can be
//! meant, the set is refused with both readings, and `--train` and `--test` decide.

pub(super) mod alike;
mod worded;

use super::tree::Tree;
use crate::source::SourceError;
use crate::source::options::Options;
use crate::source::report::{Report, named};
use crate::source::splits::{self, NONE, PLACE, Told, ambiguous, is_bare, told_by};
use worded::{NO_CLASSES, Worded};

/// Said of an evaluation split.
const WITHOUT_IMAGE: &str = "an evaluation split without an image";

/// What is which.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Layout {
    /// The folder with the training classes; empty where that is the place itself.
    pub(super) train: String,
    pub(super) test: Option<String>,
    /// The training classes, in order of their names' bytes.
    pub(super) classes: Vec<String>,
}

/// Finds out what the folders at a place are. (Whether there are any images is for whoever reads them to see.)
pub(super) fn find(tree: &Tree, options: &Options, report: &mut Report) -> Result<Layout, SourceError> {
    Finder { tree, report }.find(options)
}

struct Finder<'a> {
    tree: &'a Tree,
    report: &'a mut Report,
}

impl Finder<'_> {
    fn find(&mut self, options: &Options) -> Result<Layout, SourceError> {
        let mut top = self.tree.folders("")?;
        let test = match options.test.as_deref() {
            None => None,
            Some(NONE) => Some(None),
            Some(pattern) => Some(Some(self.chosen("--test", pattern, &top)?)),
        };
        let train = match options.train.as_deref() {
            None => None,
            Some(PLACE) => Some(String::new()),
            Some(pattern) => Some(self.chosen("--train", pattern, &top)?),
        };
        if let (Some(train), Some(Some(test))) = (&train, &test)
            && self.tree.are_one(train, test)
        {
            return Err(self.refused(format!("{train} matches both --train and --test")));
        }
        if let Some(Some(test)) = &test {
            top.retain(|name| name != test);
        }
        let Some(train) = train else { return self.told(&top, test) };
        // The folders of the place are classes, but for the one that is chosen to test by.
        let classes = if train.is_empty() { top.clone() } else { self.tree.folders(&train)? };
        if classes.is_empty() {
            return Err(
                self.refused(format!("{}/ has no class folders to train on", train.trim_end_matches('/')))
            );
        }
        let test = match test {
            Some(test) => test.map(|test| self.must_test(test, &classes)).transpose()?,
            None if train.is_empty() => None,
            None => {
                let worded = self.worded(top.iter().filter(|name| **name != train))?.0;
                self.best_test(worded.iter().collect(), &classes)?
            }
        };
        self.rest_is_left_out(&top, &train, test.as_deref())?;
        Ok(Layout { train, test, classes })
    }

    /// The one folder that a flag names, by its path or as [`splits::matching`] has it.
    fn chosen(&self, flag: &str, pattern: &str, top: &[String]) -> Result<String, SourceError> {
        let pattern = &splits::within(self.tree.root(), pattern, top);
        let path = pattern.trim_end_matches('/').trim_start_matches("./");
        if let Some(folder) = self.tree.folder_at(path)? {
            return Ok(folder);
        }
        let beside = self.tree.folders_beside(path)?;
        let all = beside.as_deref().unwrap_or(top);
        let found = splits::taken(flag, path, all).map_err(|reason| self.refused(reason))?;
        let names: Vec<&String> = found.into_iter().map(|at| &all[at]).collect();
        match names.as_slice() {
            [one] => Ok((*one).clone()),
            [] => Err(self.refused(splits::matches_none(flag, pattern, &folders(all)))),
            several => {
                Err(self
                    .refused(format!("{flag} {pattern} matches {}; a split is one folder", folders(several))))
            }
        }
    }

    /// By the names of the folders and by what is in them. `test` is what `--test` chose, if it was given.
    fn told(&mut self, top: &[String], test: Option<Option<String>>) -> Result<Layout, SourceError> {
        let (worded, others) = self.worded(top.iter())?;
        let worded: Vec<&Worded> = worded.iter().filter(|folder| folder.has_images).collect();
        if worded.is_empty() {
            return self.classes(top, &others, &[], test);
        }
        let nested = |folder: &&&Worded| !folder.classes.is_empty();
        let trains: Vec<&Worded> = worded.iter().filter(nested).filter(|it| it.is_train()).copied().collect();
        let tests: Vec<&Worded> =
            worded.iter().filter(nested).filter(|it| it.rank().is_some()).copied().collect();
        let mut beside: Vec<&String> = Vec::new();
        for name in &others {
            if self.tree.has_image(name)? {
                beside.push(name);
            }
        }
        if beside.is_empty() {
            return match trains.is_empty() {
                false => self.splits(top, &worded, &trains, test),
                true => Err(self.refused(self.no_training(&worded, &tests))),
            };
        }
        let shares = |one: &[String], other: &[String]| one.iter().any(|class| other.contains(class));
        let pair = trains.iter().any(|train| tests.iter().any(|test| shares(&train.classes, &test.classes)));
        let flat_pair = trains.iter().any(|train| is_bare(&train.name))
            && worded.iter().any(|folder| is_bare(&folder.name) && folder.rank().is_some());
        if pair || flat_pair || (matches!(test, Some(Some(_))) && !trains.is_empty()) {
            return self.splits(top, &worded, &trains, test);
        }
        // A split's classes among the others, or one other folder beside it: either may be meant.
        let mut alike = None;
        for folder in trains.iter().chain(&tests) {
            if alike.is_none() && self.is_alike(folder, &beside)? {
                alike = Some(folder);
            }
        }
        let lone = if beside.len() == 1 { trains.first() } else { None };
        if let Some(folder) = alike.or(lone) {
            let name = &folder.name;
            let (split, flags) = match folder.is_train() {
                true => ("training", format!("--train {name}")),
                false => ("test", format!("--train . --test {name}")),
            };
            return Err(self.refused(format!(
                "{name}/ may be the {split} split, of classes {}, or a class beside {}: choose with {flags}, or with \
                 --train . for a class",
                named(&folder.classes),
                folders(&beside)
            )));
        }
        let odd = worded.iter().filter(|folder| is_bare(&folder.name) || !folder.classes.is_empty());
        let odd: Vec<&String> = odd.map(|folder| &folder.name).collect();
        self.classes(top, &others, &odd, test)
    }

    /// Whether one of the classes in a folder is one beside it, or lies in one.
    fn is_alike(&self, folder: &Worded, beside: &[&String]) -> Result<bool, SourceError> {
        for other in beside {
            if folder.classes.contains(other) {
                return Ok(true);
            }
            for class in &folder.classes {
                if self.tree.has_folder(&format!("{other}/{class}"))? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// The folders of the place are classes; `odd` ones may look like splits.
    fn classes(
        &mut self,
        top: &[String],
        others: &[String],
        odd: &[&String],
        test: Option<Option<String>>,
    ) -> Result<Layout, SourceError> {
        // A set in a folder of its own, or splits within each class.
        if odd.is_empty() && !others.is_empty() && alike::are_divided(self.tree, others)? {
            let what = if others.len() == 1 { "it" } else { "one of them" };
            return Err(self.refused(format!(
                "{} with a training split inside: give {what} as the place, or --train . to take all for classes",
                folders(others)
            )));
        }
        if !odd.is_empty() {
            self.report.warnings.push(format!(
                "taken for a class, beside {}: {}; --train and --test choose splits",
                folders(others),
                folders(odd)
            ));
        }
        if odd.is_empty() && test.is_none() {
            self.report.warnings.extend(alike::warning(self.tree, others)?);
        }
        let test = test.flatten().map(|test| self.must_test(test, top)).transpose()?;
        Ok(Layout { train: String::new(), test, classes: top.to_vec() })
    }

    fn splits(
        &mut self,
        top: &[String],
        worded: &[&Worded],
        trains: &[&Worded],
        test: Option<Option<String>>,
    ) -> Result<Layout, SourceError> {
        for folder in worded.iter().filter(|folder| !folder.classes.is_empty()) {
            if let Err(words) = folder.told {
                return Err(self.refused(ambiguous(&format!("{}/", folder.name), words)));
            }
        }
        let train = match trains {
            [one] => *one,
            several => {
                let mut bare = several.iter().filter(|folder| is_bare(&folder.name));
                let bare = bare.next().filter(|_| bare.next().is_none());
                let names: Vec<&String> = several.iter().map(|folder| &folder.name).collect();
                bare.ok_or_else(|| {
                    self.refused(format!(
                        "{} may all be the training split: choose with --train",
                        folders(&names)
                    ))
                })?
            }
        };
        // Those without images count, too: they are names of classes.
        let classes = self.tree.folders(&train.name)?;
        let test = match test {
            Some(test) => test.map(|test| self.must_test(test, &classes)).transpose()?,
            None => {
                let is_empty = |name: &&String| {
                    let told = matches!(told_by(name), Ok(Told::Evaluation(_)));
                    told && !worded.iter().any(|folder| folder.name == **name)
                };
                let empty: Vec<&String> = top.iter().filter(is_empty).collect();
                // Folders without images name classes all the same.
                for name in &empty {
                    self.must_be_trained(name, &self.tree.folders(name)?, &classes)?;
                }
                let test = self.best_test(worded.to_vec(), &classes)?;
                let remedy = match test {
                    Some(_) => "",
                    None => "; --test chooses a split to test by, --test-fraction makes one",
                };
                for name in empty {
                    self.report.leave_out(format!("{name}/"), 0, format!("{WITHOUT_IMAGE}{remedy}"));
                }
                test
            }
        };
        self.rest_is_left_out(top, &train.name, test.as_deref())?;
        Ok(Layout { train: train.name.clone(), test, classes })
    }

    /// The evaluation folder that comes first and has labels.
    fn best_test(&mut self, worded: Vec<&Worded>, classes: &[String]) -> Result<Option<String>, SourceError> {
        let mut candidates: Vec<_> = worded
            .into_iter()
            .filter_map(|folder| Some((folder.rank()?, !is_bare(&folder.name), &folder.name, folder)))
            .collect();
        candidates.sort_by_key(|(rank, long, name, _)| (*rank, *long, *name));
        let labelled = |folder: &Worded| match folder.classes.as_slice() {
            [] => false,
            [one] => {
                classes.contains(one) || !(is_bare(one) || NO_CLASSES.contains(&one.to_lowercase().as_str()))
            }
            _ => true,
        };
        let mut found: Option<(usize, bool, &String)> = None;
        for (rank, long, name, folder) in candidates {
            if !labelled(folder) {
                let images = self.tree.count_images(name)?;
                let why = if images == 0 { WITHOUT_IMAGE } else { "an evaluation split without labels" };
                let inner = folder.classes.first().map(|one| format!("{name}/{one}"));
                let inner = inner.filter(|inner| {
                    self.tree.folders(inner).is_ok_and(|found| found.iter().any(|it| classes.contains(it)))
                });
                let remedy =
                    inner.map(|inner| format!("; there are class folders in {inner}/: --test {inner}"));
                let why = format!("{why}{}", remedy.unwrap_or_default());
                self.report.leave_out(format!("{name}/"), images, why);
            } else if let Some((of, of_long, first)) = found {
                if (of, of_long) == (rank, long) {
                    let word = splits::word(rank);
                    return Err(self.refused(format!(
                        "{first}/ and {name}/ may both be the {word} split: choose with --test"
                    )));
                }
            } else {
                found = Some((rank, long, name));
            }
        }
        found.map(|(_, _, name)| self.must_test(name.clone(), classes)).transpose()
    }

    /// Without classes there is nothing to test by.
    fn must_test(&self, test: String, classes: &[String]) -> Result<String, SourceError> {
        let tested = self.tree.folders(&test)?;
        if tested.is_empty() {
            return Err(self.refused(format!("{test}/ has no class folders to test by")));
        }
        self.must_be_trained(&test, &tested, classes).map(|()| test)
    }

    /// A class that is only tested can never be right.
    fn must_be_trained(&self, test: &str, tested: &[String], classes: &[String]) -> Result<(), SourceError> {
        match tested.iter().find(|class| !classes.contains(class)) {
            None => Ok(()),
            Some(class) => Err(self.refused(format!(
                "class folder {test}/{class} has no counterpart among the training classes {}; --test chooses another \
                 split, or none",
                named(classes)
            ))),
        }
    }

    /// Says of the folders at the top that they are not read. (Evaluation splits without labels were named.)
    fn rest_is_left_out(
        &mut self,
        top: &[String],
        train: &str,
        test: Option<&str>,
    ) -> Result<(), SourceError> {
        if train.is_empty() {
            return Ok(());
        }
        let under = |path: &str, name: &str| path.split('/').next() == Some(name);
        for name in top {
            let what = format!("{name}/");
            let taken = under(train, name) || test.is_some_and(|test| under(test, name));
            let said = self.report.left_out.iter().any(|left| left.what == what);
            if taken || said {
                continue;
            }
            let images = self.tree.count_images(name)?;
            if images == 0 {
                continue;
            }
            let why = match test {
                Some(test) if told_by(name).is_ok_and(|told| matches!(told, Told::Evaluation(_))) => {
                    format!("{test}/ is the test split")
                }
                _ => format!("{train}/ is the training split"),
            };
            self.report.leave_out(what, images, why);
        }
        Ok(())
    }

    fn no_training(&self, worded: &[&Worded], tests: &[&Worded]) -> String {
        let names: Vec<&String> = worded.iter().map(|folder| &folder.name).collect();
        for folder in worded.iter().filter(|folder| !folder.classes.is_empty()) {
            if let Err(words) = folder.told {
                return ambiguous(&format!("{}/", folder.name), words);
            }
        }
        if let Some(test) = tests.first() {
            return match worded.iter().find(|folder| folder.is_train()) {
                Some(train) => format!("{}/ has no class folders, and {}/ has", train.name, test.name),
                None => format!("{} and no training split: choose with --train and --test", folders(&names)),
            };
        }
        format!(
            "{} may be splits without class folders, or classes: --train . takes them for classes; splits need a folder \
             for each class",
            folders(&names)
        )
    }

    /// The folders whose names tell a split, and the others.
    fn worded<'n>(
        &self,
        names: impl Iterator<Item = &'n String>,
    ) -> Result<(Vec<Worded>, Vec<String>), SourceError> {
        let (mut worded, mut others) = (Vec::new(), Vec::new());
        for name in names {
            let told = told_by(name);
            if told == Ok(Told::Nothing) {
                others.push(name.clone());
                continue;
            }
            let classes = self.tree.folders_with_images(name)?;
            let has_images = !classes.is_empty() || self.tree.has_image(name)?;
            worded.push(Worded { name: name.clone(), told, classes, has_images });
        }
        Ok((worded, others))
    }

    fn refused(&self, reason: String) -> SourceError {
        SourceError::Set { path: self.tree.root().into(), reason }
    }
}

fn folders<T: AsRef<str>>(names: &[T]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("{}/", name.as_ref())).collect();
    named(&names)
}
