//! A table of text with aligned columns.

use std::fmt;

/// A header and rows; the first column is set left, the others right.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub fn new(header: &[&str]) -> Self {
        Self { rows: vec![header.iter().map(|h| (*h).to_string()).collect()] }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let length = |row: &Vec<String>, i: usize| row.get(i).map_or(0, |c| c.chars().count());
        let widths: Vec<usize> =
            (0..columns).map(|i| self.rows.iter().map(|r| length(r, i)).max().unwrap_or(0)).collect();
        for (number, row) in self.rows.iter().enumerate() {
            for (i, (cell, width)) in row.iter().zip(&widths).enumerate() {
                match i {
                    0 => write!(f, "{cell:<width$}")?,
                    _ => write!(f, "  {cell:>width$}")?,
                }
            }
            if number == 0 {
                let gaps = 2 * columns.saturating_sub(1);
                write!(f, "\n{}", "─".repeat(widths.iter().sum::<usize>() + gaps))?;
            }
            if number + 1 < self.rows.len() {
                writeln!(f)?;
            }
        }
        Ok(())
    }
}
