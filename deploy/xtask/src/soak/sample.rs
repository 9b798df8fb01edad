//! What a process holds at a moment, as the system and the process itself tell.

use crate::http;
use anyhow::{Context as _, Result};
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::time::Duration;

/// A process that tells how many tasks it has.
#[derive(Clone, Debug)]
pub(super) struct Process {
    pub(super) id: u32,
    /// Address of its metrics.
    pub(super) metrics: String,
    /// Name of the gauge that counts its tasks.
    pub(super) tasks: &'static str,
}

/// What a process holds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sample {
    /// Memory that is resident, in KiB.
    pub(crate) resident_kib: u64,
    pub(crate) counts: Counts,
}

/// What has to be given back to the last one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Counts {
    pub(crate) tasks: u64,
    pub(crate) descriptors: u64,
    pub(crate) threads: u64,
}

impl Counts {
    /// The fewer of each.
    pub(super) fn min(self, other: Self) -> Self {
        Self {
            tasks: self.tasks.min(other.tasks),
            descriptors: self.descriptors.min(other.descriptors),
            threads: self.threads.min(other.threads),
        }
    }
}

impl Sample {
    pub(crate) fn mib(&self) -> f64 {
        self.resident_kib as f64 / 1024.0
    }

    /// The more of each.
    pub(super) fn max(self, other: Self) -> Self {
        let (a, b) = (self.counts, other.counts);
        Self {
            resident_kib: self.resident_kib.max(other.resident_kib),
            counts: Counts {
                tasks: a.tasks.max(b.tasks),
                descriptors: a.descriptors.max(b.descriptors),
                threads: a.threads.max(b.threads),
            },
        }
    }
}

impl Process {
    /// Looks at it, and returns its metrics too.
    pub(super) fn take(&self) -> Result<(Sample, String)> {
        let text = http::get(&self.metrics, "/metrics")?;
        let tasks = metric(&text, self.tasks).with_context(|| format!("no {} is told", self.tasks))? as u64;
        let read = |file: &str| {
            let path = format!("/proc/{}/{file}", self.id);
            fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
        };
        let resident_kib = field(&read("smaps_rollup")?, "Rss:").context("no resident memory is told")?;
        let threads = field(&read("status")?, "Threads:").context("no number of threads is told")?;
        let descriptors = fs::read_dir(format!("/proc/{}/fd", self.id))?.count() as u64;
        Ok((Sample { resident_kib, counts: Counts { tasks, descriptors, threads } }, text))
    }
}

/// The number after a name at the beginning of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// The value of a metric, labels included in its name.
pub(super) fn metric(text: &str, name: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    rest.trim().parse().ok()
}

/// All samples, in memory and in a file.
pub(super) struct Log {
    file: BufWriter<File>,
    pub(super) trainer: Vec<(Duration, Sample)>,
    pub(super) loader: Vec<(Duration, Sample)>,
}

impl Log {
    pub(super) fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
        let mut file = BufWriter::new(file);
        let columns = |of: &str| format!("{of}_resident_kib,{of}_tasks,{of}_descriptors,{of}_threads");
        writeln!(file, "seconds,{},{}", columns("trainer"), columns("loader"))?;
        Ok(Self { file, trainer: Vec::new(), loader: Vec::new() })
    }

    pub(super) fn write(&mut self, at: Duration, trainer: Sample, loader: Sample) -> Result<()> {
        let columns = |Sample { resident_kib, counts: Counts { tasks, descriptors, threads } }: &Sample| {
            format!("{resident_kib},{tasks},{descriptors},{threads}")
        };
        writeln!(self.file, "{:.1},{},{}", at.as_secs_f64(), columns(&trainer), columns(&loader))?;
        self.trainer.push((at, trainer));
        self.loader.push((at, loader));
        // Whoever looks at it meanwhile, or after a failure, finds all.
        self.file.flush()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_and_the_programs_words_are_understood() {
        assert_eq!(field("Name:\tx\nThreads:\t7\n", "Threads:"), Some(7));
        assert_eq!(field("Rss:      123 kB\nPss: 4 kB\n", "Rss:"), Some(123));
        assert_eq!(field("Rss: none\n", "Pss:"), None);
        let text = "# TYPE a gauge\na 3\na_b 4\nc{state=\"x\"} 5.5\n";
        assert_eq!(
            (metric(text, "a"), metric(text, "c{state=\"x\"}"), metric(text, "c")),
            (Some(3.0), Some(5.5), None)
        );
    }

    #[test]
    fn the_fewest_and_the_most_are_those_of_each_number() {
        let counts = |tasks, descriptors, threads| Counts { tasks, descriptors, threads };
        assert_eq!(counts(1, 9, 3).min(counts(2, 4, 3)), counts(1, 4, 3));
        let sample = |resident_kib, counts| Sample { resident_kib, counts };
        let max = sample(5, counts(1, 9, 3)).max(sample(7, counts(2, 4, 3)));
        assert_eq!((max.resident_kib, max.counts), (7, counts(2, 9, 3)));
    }
}
