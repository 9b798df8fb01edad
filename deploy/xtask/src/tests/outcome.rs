//! Reads the running commentary of `cargo test` into one table.

use super::suites::Suites;
use crate::report::Report;
use std::fmt::Write as _;

/// What became of the tests.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    suites: Vec<Suite>,
}

#[derive(Debug, Default)]
struct Suite {
    name: String,
    /// The figures of the closing line; `None` until it came.
    result: Option<Figures>,
    failed: Vec<String>,
    /// Tests that did not run, each with its reason.
    skipped: Vec<(String, String)>,
    /// Of these, how many the test program itself does not count as passed.
    ignored: usize,
}

#[derive(Clone, Copy, Debug)]
struct Figures {
    passed: usize,
    failed: usize,
    seconds: f64,
}

impl Suite {
    /// A test that skips itself has passed as far as its program knows.
    fn passed(&self) -> usize {
        let skipped_by_themselves = self.skipped.len() - self.ignored;
        self.result.map_or(0, |figures| figures.passed.saturating_sub(skipped_by_themselves))
    }

    /// A program that ended without its closing line has crashed; that is a failure too.
    fn failed(&self) -> usize {
        self.result.map_or_else(|| self.failed.len().max(1), |figures| figures.failed)
    }
}

impl Outcome {
    /// Takes one line of output.
    pub(crate) fn read(&mut self, line: &str, suites: &Suites) {
        let line = line.trim();
        if let Some(rest) = line.strip_prefix("Running ") {
            // "unittests src/lib.rs (target/debug/deps/mixfeed_ops-0123456789abcdef)"
            let program = rest.rsplit_once('(').map_or(rest, |(_, path)| path.trim_end_matches(')'));
            self.start(suites.name(program));
            return;
        }
        if let Some(name) = line.strip_prefix("Doc-tests ") {
            self.start(format!("{}, examples in the docs", name.replace('_', "-")));
            return;
        }
        let Some(suite) = self.suites.last_mut() else { return };
        if let Some(figures) = line.strip_prefix("test result: ").and_then(figures) {
            // Examples in the docs may come as several programs, each with its own line.
            let before = suite.result.unwrap_or(Figures { passed: 0, failed: 0, seconds: 0.0 });
            suite.result = Some(Figures {
                passed: before.passed + figures.passed,
                failed: before.failed + figures.failed,
                seconds: before.seconds + figures.seconds,
            });
        } else if let Some((test, why)) = line.strip_prefix("SKIPPED ").and_then(|rest| rest.split_once(": "))
        {
            if !suite.skipped.iter().any(|(known, _)| known == test) {
                suite.skipped.push((test.to_owned(), why.to_owned()));
            }
        } else if let Some((test, verdict)) =
            line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... "))
        {
            if verdict.starts_with("FAILED") {
                suite.failed.push(test.to_owned());
            } else if let Some(why) = verdict.strip_prefix("ignored") {
                suite.skipped.push((test.to_owned(), why.trim_start_matches(", ").to_owned()));
                suite.ignored += 1;
            }
        }
    }

    /// Takes what became of checks that are no cargo tests.
    pub(crate) fn take(&mut self, report: Report) {
        let Report { name, passed, failed, skipped, seconds, .. } = report;
        let result = Some(Figures { passed, failed: failed.len(), seconds });
        let ignored = skipped.len();
        self.suites.push(Suite { name: name.to_owned(), result, failed, skipped, ignored });
    }

    /// Takes the end of the output. A cargo that failed although every test passed did not run
    /// them all.
    pub(crate) fn end(&mut self, success: bool) {
        if !success && self.good() {
            let failed = vec!["cargo test itself failed (see above)".to_owned()];
            self.suites.push(Suite { name: "cargo".to_owned(), failed, ..Suite::default() });
        }
    }

    fn start(&mut self, name: String) {
        self.suites.push(Suite { name, ..Suite::default() });
    }

    /// Whether tests ran and none failed.
    pub(crate) fn good(&self) -> bool {
        self.suites.iter().any(|suite| suite.passed() > 0) && self.sum(Suite::failed) == 0
    }

    fn sum(&self, count: impl Fn(&Suite) -> usize) -> usize {
        self.suites.iter().map(count).sum()
    }

    /// What ran, what failed, and what was skipped and why.
    pub(crate) fn table(&self, seconds: f64) -> String {
        let shown: Vec<&Suite> = self
            .suites
            .iter()
            .filter(|suite| suite.passed() + suite.failed() + suite.skipped.len() > 0)
            .collect();
        let width = shown.iter().map(|suite| suite.name.len()).max().unwrap_or(0).max(5);
        let mut out = format!("\n{:width$}  passed  failed  skipped  seconds\n", "tests");
        let mut row = |name: &str, passed: usize, failed: usize, skipped: usize, seconds: f64| {
            // Writing to a string cannot fail.
            let _ = writeln!(out, "{name:width$}  {passed:>6}  {failed:>6}  {skipped:>7}  {seconds:>7.1}");
        };
        for suite in &shown {
            let seconds = suite.result.map_or(0.0, |figures| figures.seconds);
            row(&suite.name, suite.passed(), suite.failed(), suite.skipped.len(), seconds);
        }
        row(
            "all",
            self.sum(Suite::passed),
            self.sum(Suite::failed),
            self.sum(|suite| suite.skipped.len()),
            seconds,
        );
        for suite in &shown {
            for (test, why) in &suite.skipped {
                let _ = writeln!(out, "skipped: {}: {test}: {why}", suite.name);
            }
        }
        for suite in &shown {
            for test in &suite.failed {
                let _ = writeln!(out, "failed: {}: {test}", suite.name);
            }
            if suite.result.is_none() && suite.failed.is_empty() {
                let _ = writeln!(out, "failed: {}: the test program crashed", suite.name);
            }
        }
        out
    }

    /// The plain last line.
    pub(crate) fn closing_line(&self) -> String {
        format!(
            "{} passed, {} failed, {} skipped",
            self.sum(Suite::passed),
            self.sum(Suite::failed),
            self.sum(|suite| suite.skipped.len())
        )
    }
}

/// Reads "ok. 15 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s".
fn figures(text: &str) -> Option<Figures> {
    let (_, counts) = text.split_once(". ")?;
    let count = |word: &str| -> Option<usize> {
        let part = counts.split("; ").find(|part| part.ends_with(word))?;
        part.split(' ').next()?.parse().ok()
    };
    let seconds = counts.rsplit_once("finished in ")?.1.trim_end_matches('s').parse().ok()?;
    Some(Figures { passed: count(" passed")?, failed: count(" failed")?, seconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(lines: &str, success: bool) -> Outcome {
        let mut outcome = Outcome::default();
        for line in lines.lines() {
            outcome.read(line, &Suites::default());
        }
        outcome.end(success);
        outcome
    }

    const TWO: &str = "   Compiling x
     Running unittests src/lib.rs (target/debug/deps/one-01)
running 3 tests
test a ... ok

SKIPPED b: python: MIXFEED_TEST_PYTHON is not set
test b ... ok
test c ... ignored, takes a GPU
test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.50s

     Running tests/two.rs (target/debug/deps/two-01)
test d ... ok
test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s
   Doc-tests one
test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

    #[test]
    fn skipped_tests_do_not_count_as_passed() {
        let outcome = outcome(TWO, true);
        assert!(outcome.good());
        assert_eq!(outcome.closing_line(), "2 passed, 0 failed, 2 skipped");
        let table = outcome.table(2.0);
        assert!(table.contains(": b: python: MIXFEED_TEST_PYTHON is not set\n"), "{table}");
        assert!(table.contains(": c: takes a GPU\n"), "{table}");
        assert!(!table.contains("examples"), "{table}");
    }

    #[test]
    fn failures_are_counted_and_named() {
        let lines = "Running tests/a.rs (a-1)\ntest x ... FAILED\ntest y ... ok\n\
            test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
        let outcome = outcome(lines, false);
        assert!(!outcome.good());
        assert_eq!(outcome.closing_line(), "1 passed, 1 failed, 0 skipped");
        assert!(outcome.table(0.0).contains("failed: a-1: x\n"));
    }

    #[test]
    fn checks_that_are_no_cargo_tests_count_alike() {
        let mut outcome = outcome(TWO, true);
        let mut report = Report::new("deploy");
        report.check("this holds", || Ok(()));
        report.lacks("unheard-of", "that holds", "there is none");
        outcome.take(report);
        assert!(outcome.good());
        assert_eq!(outcome.closing_line(), "3 passed, 0 failed, 3 skipped");
        let mut report = Report::new("deploy");
        report.check("nothing holds", || -> anyhow::Result<()> { anyhow::bail!("indeed") });
        outcome.take(report);
        assert!(!outcome.good());
        assert!(outcome.table(0.0).contains("failed: deploy: nothing holds\n"));
    }

    #[test]
    fn a_program_that_crashes_is_a_failure() {
        let crashed = format!("{TWO}Running tests/a.rs (a-1)\ntest x ... \nerror: process did not exit\n");
        let outcome = outcome(&crashed, false);
        assert_eq!(outcome.closing_line(), "2 passed, 1 failed, 2 skipped");
        assert!(outcome.table(0.0).contains("failed: a-1: the test program crashed\n"));
    }

    #[test]
    fn a_cargo_that_fails_by_itself_is_a_failure() {
        assert!(!outcome(TWO, false).good());
        assert!(!outcome("", true).good());
    }
}
