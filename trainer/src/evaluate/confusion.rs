//! Which classes are taken for which.

use serde::Serialize;

/// Counts of samples: row, their class; column, the class they were taken for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Confusion {
    counts: Vec<Vec<u64>>,
}

impl Confusion {
    /// Takes counts, as many columns as rows.
    ///
    /// # Panics
    /// When it is not square.
    #[must_use]
    pub fn new(counts: Vec<Vec<u64>>) -> Self {
        assert!(counts.iter().all(|row| row.len() == counts.len()), "a confusion matrix is square");
        Confusion { counts }
    }

    /// The rows.
    #[must_use]
    pub fn rows(&self) -> &[Vec<u64>] {
        &self.counts
    }

    /// All samples.
    #[must_use]
    pub fn samples(&self) -> u64 {
        (0..self.counts.len()).map(|class| self.samples_of(class)).sum()
    }

    /// Samples of a class.
    #[must_use]
    pub fn samples_of(&self, class: usize) -> u64 {
        self.counts[class].iter().sum()
    }

    /// Samples of a class that were right.
    #[must_use]
    pub fn correct_of(&self, class: usize) -> u64 {
        self.counts[class][class]
    }

    /// All samples that were right.
    #[must_use]
    pub fn correct(&self) -> u64 {
        (0..self.counts.len()).map(|class| self.correct_of(class)).sum()
    }

    /// Share of samples that were right, 0 to 1.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        self.correct() as f64 / self.samples() as f64
    }

    /// The same of one class; none when it has no samples.
    #[must_use]
    pub fn accuracy_of(&self, class: usize) -> Option<f64> {
        let samples = self.samples_of(class);
        (samples > 0).then(|| self.correct_of(class) as f64 / samples as f64)
    }

    /// The wrong class that samples of a class were taken for most often, the first of several, and how
    /// often; none when all were right.
    #[must_use]
    pub fn commonest_mistake_of(&self, class: usize) -> Option<(usize, u64)> {
        let wrong = self.counts[class].iter().copied().enumerate().filter(|(other, _)| *other != class);
        wrong.rev().max_by_key(|(_, count)| *count).filter(|(_, count)| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_mistakes_are_counted_by_row() {
        let confusion = Confusion::new(vec![vec![3, 1, 1], vec![0, 4, 0], vec![0, 0, 0]]);
        assert_eq!((confusion.samples(), confusion.correct()), (9, 7));
        assert_eq!([0, 1, 2].map(|class| confusion.accuracy_of(class)), [Some(0.6), Some(1.0), None]);
        assert_eq!(confusion.commonest_mistake_of(0), Some((1, 1)), "the first of equals");
        assert_eq!(confusion.commonest_mistake_of(1), None);
    }
}
