//! What became of checks that are no cargo tests, in the form that the closing table takes.

use crate::{environment, say};
use anyhow::Result;
use std::process::ExitCode;
use std::time::Instant;

/// Checks of one kind, in the order they ran.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) name: &'static str,
    pub(crate) passed: usize,
    pub(crate) failed: Vec<String>,
    /// Checks that did not run, each with its reason.
    pub(crate) skipped: Vec<(String, String)>,
    pub(crate) seconds: f64,
    started: Instant,
}

impl Report {
    pub(crate) fn new(name: &'static str) -> Self {
        let (failed, skipped) = (Vec::new(), Vec::new());
        Report { name, passed: 0, failed, skipped, seconds: 0.0, started: Instant::now() }
    }

    /// Runs a check, whose text says what holds when it passes. Returns what it found; none when it failed.
    pub(crate) fn check<T>(&mut self, what: &str, check: impl FnOnce() -> Result<T>) -> Option<T> {
        say::part(what);
        let started = Instant::now();
        let result = check();
        let seconds = started.elapsed().as_secs_f64();
        self.seconds = self.started.elapsed().as_secs_f64();
        match result {
            Ok(value) => {
                say::line(&format!("passed: {what}, {seconds:.1} s"));
                self.passed += 1;
                Some(value)
            }
            Err(error) => {
                say::line(&format!("FAILED: {what}: {error:#}"));
                self.failed.push(what.to_owned());
                None
            }
        }
    }

    /// Takes note that a check cannot run for want of something; a failure where the environment
    /// promised it (`MIXFEED_REQUIRE`).
    pub(crate) fn lacks(&mut self, need: &str, what: &str, why: &str) {
        self.seconds = self.started.elapsed().as_secs_f64();
        if environment::requires(need) {
            let failed = format!("{what}: {need} is required here and missing: {why}");
            say::line(&format!("FAILED: {failed}"));
            self.failed.push(failed);
        } else {
            say::line(&format!("skipped: {what}: {need}: {why}"));
            self.skipped.push((what.to_owned(), format!("{need}: {why}")));
        }
    }

    /// Prints the closing line, for a task that is run by itself.
    pub(crate) fn close(&self) -> ExitCode {
        for what in &self.failed {
            say::line(&format!("failed: {}: {what}", self.name));
        }
        let (failed, skipped) = (self.failed.len(), self.skipped.len());
        say::result(&format!("{} passed, {failed} failed, {skipped} skipped", self.passed));
        if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_counts_as_what_it_came_to() {
        let mut report = Report::new("checks");
        assert_eq!(report.check("one is one", || Ok(1)), Some(1));
        assert_eq!(report.check("the sky falls", || -> Result<()> { anyhow::bail!("it does not") }), None);
        report.lacks("unheard-of", "the unheard-of is heard", "there is none");
        assert_eq!((report.passed, report.failed.len(), report.skipped.len()), (1, 1, 1));
        assert_eq!(report.skipped[0].1, "unheard-of: there is none");
    }
}
