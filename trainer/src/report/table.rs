//! Small tables for people, and numbers in them.

use mixfeed_ops::text::printable;

/// A whole number with its thousands set apart, as in 10,000.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

/// A number and what is counted, as in `1 epoch` and `2 epochs`.
pub(crate) fn counted(number: u64, what: &str) -> String {
    format!("{} {what}{}", count(number), if number == 1 { "" } else { "s" })
}

/// What of the images a training left out, if anything.
pub(crate) fn limits(trained: Option<u64>, scored: Option<u64>) -> Option<String> {
    let of = |what, limit: Option<u64>| Some(format!("{what} the first {}", counted(limit?, "image")));
    let limits: Vec<_> = [of("trained on", trained), of("scored on", scored)].into_iter().flatten().collect();
    (!limits.is_empty()).then(|| limits.join(", "))
}

/// Rows of cells; the first column is set left, all others right.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
    header: bool,
}

impl Table {
    /// A table whose first row names the columns.
    pub(crate) fn with_header<const N: usize>(names: [&str; N]) -> Self {
        Table { rows: vec![names.map(str::to_owned).to_vec()], header: true }
    }

    /// A table of names and values.
    pub(crate) fn of_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, String)>) -> Self {
        let rows = pairs.into_iter().map(|(name, value)| vec![name.to_owned(), shown(&value)]).collect();
        Table { rows, header: false }
    }

    /// Adds a row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|cell| shown(&cell)).into());
    }
}

/// A cell is one line, whatever names are in it.
fn shown(cell: &str) -> String {
    printable(cell).into_owned()
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..columns).map(width).collect();
        for (number, row) in self.rows.iter().enumerate() {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                // Tables of pairs read better with values on the left.
                let cell = match column {
                    0 => format!("{cell:<width$}"),
                    _ if self.header => format!("   {cell:>width$}"),
                    _ => format!("   {cell:<width$}"),
                };
                line.push_str(&cell);
            }
            writeln!(f, "{}", line.trim_end())?;
            if number == 0 && self.header {
                let total = widths.iter().sum::<usize>() + 3 * columns.saturating_sub(1);
                writeln!(f, "{}", "─".repeat(total))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::with_header(["", "accuracy"]);
        table.row(["with mixup".to_owned(), "76.5 %".to_owned()]);
        table.row(["without".to_owned(), "74.5 ± 0.3 %".to_owned()]);
        let expected = "                 accuracy\n\
                        ─────────────────────────\n\
                        with mixup         76.5 %\n\
                        without      74.5 ± 0.3 %\n";
        assert_eq!(table.to_string(), expected);
    }

    #[test]
    fn counts_are_set_in_thousands_and_one_is_no_plural() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0, 1, 50_000].map(|n| counted(n, "epoch")), ["0 epochs", "1 epoch", "50,000 epochs"]);
    }

    #[test]
    fn pairs_are_set_left() {
        let table = Table::of_pairs([("images", "1000".to_owned()), ("test accuracy", "76.5 %".to_owned())]);
        assert_eq!(table.to_string(), "images          1000\ntest accuracy   76.5 %\n");
    }
}
