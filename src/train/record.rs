//! One line per iteration, and the CSV file of them.

use crate::{Error, Result, files};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// What one iteration did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Record {
    /// Optimiser steps taken including this one, from 1.
    pub iteration: u64,
    /// Pass over the data, from 0.
    pub epoch: u64,
    /// Training loss L of the batch.
    pub loss: f64,
    /// Penalty R.
    pub penalty: f64,
    /// Weight λ of the penalty.
    pub lambda: f64,
    /// Right-hand side evaluations.
    pub nfe: usize,
    /// Accepted steps.
    pub accepted: usize,
    /// Rejected steps.
    pub rejected: usize,
    /// Wall-clock seconds of evaluation and update.
    pub seconds: f64,
    /// Learning rate used.
    pub learning_rate: f64,
    /// Euclidean norm of the gradient before clipping.
    pub gradient_norm: f64,
    /// Validation loss after the update, where it was computed.
    pub validation: Option<f64>,
}

impl Record {
    /// Column names of the CSV file.
    pub const COLUMNS: [&'static str; 12] = [
        "iteration",
        "epoch",
        "loss",
        "penalty",
        "lambda",
        "nfe",
        "accepted",
        "rejected",
        "seconds",
        "learning_rate",
        "gradient_norm",
        "validation",
    ];

    /// The CSV line, without its end; floats in the shortest form that reads back to the same bits.
    pub fn to_csv(&self) -> String {
        let validation = self.validation.map(|v| format!("{v:?}")).unwrap_or_default();
        format!(
            "{},{},{:?},{:?},{:?},{},{},{},{:.6},{:?},{:?},{validation}",
            self.iteration,
            self.epoch,
            self.loss,
            self.penalty,
            self.lambda,
            self.nfe,
            self.accepted,
            self.rejected,
            self.seconds,
            self.learning_rate,
            self.gradient_norm,
        )
    }
}

/// A CSV file of [`Record`]s that grows by whole lines.
#[derive(Debug)]
pub struct CsvLog {
    path: PathBuf,
    file: File,
}

impl CsvLog {
    /// Starts the file anew with its header.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be written.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        let header = Record::COLUMNS.join(",") + "\n";
        Self::replace(path.as_ref(), &header)
    }

    /// Continues the file after iteration `last`: later lines, and a line cut off by a crash, are
    /// dropped. A file that does not exist is started.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Malformed`] when the file is no such log or `last` is not in it.
    pub fn resume(path: impl AsRef<Path>, last: u64) -> Result<Self> {
        let path = path.as_ref();
        if !path.exists() {
            return Self::create(path);
        }
        let text = String::from_utf8(files::read(path)?)
            .map_err(|_| Error::malformed(path, None, "not UTF-8 text"))?;
        let mut lines = text.split_inclusive('\n');
        let header = lines.next().unwrap_or("");
        if header.trim_end() != Record::COLUMNS.join(",") {
            let reason = "the header is not that of a training log; move the file away or name another";
            return Err(Error::malformed(path, Some(1), reason));
        }
        let mut kept = Record::COLUMNS.join(",") + "\n";
        for (i, line) in lines.enumerate().filter(|(_, line)| line.ends_with('\n')) {
            let number = line.split(',').next().and_then(|field| field.parse::<u64>().ok());
            match number {
                Some(iteration) if iteration <= last => kept.push_str(line),
                Some(_) => break,
                None => {
                    let reason = "the line does not start with an iteration number";
                    return Err(Error::malformed(path, Some(i + 2), reason));
                }
            }
        }
        Self::replace(path, &kept)
    }

    fn replace(path: &Path, text: &str) -> Result<Self> {
        files::write_atomic(path, |w| w.write_all(text.as_bytes()))?;
        let file = OpenOptions::new().append(true).open(path).map_err(|e| Error::io(path, e))?;
        Ok(Self { path: path.to_path_buf(), file })
    }

    /// Appends one record as one write.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn append(&mut self, record: &Record) -> Result<()> {
        let line = record.to_csv() + "\n";
        self.file.write_all(line.as_bytes()).map_err(|e| Error::io(&self.path, e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{Missing, Table};

    fn record(iteration: u64) -> Record {
        Record {
            iteration,
            epoch: 0,
            loss: 0.1 * iteration as f64,
            penalty: 1e-300,
            lambda: 0.5,
            nfe: 61,
            accepted: 10,
            rejected: 2,
            seconds: 0.25,
            learning_rate: 1e-3,
            gradient_norm: 1.0 / 3.0,
            validation: (iteration == 2).then_some(0.7),
        }
    }

    #[test]
    fn the_log_reads_back_and_resumes_without_duplicates() -> Result<()> {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("log.csv");
        let mut log = CsvLog::create(&path)?;
        for i in 1..=5 {
            log.append(&record(i))?;
        }
        drop(log);
        // A crash in the middle of a line.
        let mut text = std::fs::read_to_string(&path).expect("text");
        text.push_str("6,0,0.6");
        std::fs::write(&path, text).expect("writable");
        let mut log = CsvLog::resume(&path, 3)?;
        log.append(&record(4))?;

        let table = Table::read(&path, Missing::Fill(-1.0))?;
        assert_eq!(table.column("iteration")?, [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(table.column("loss")?[2], 0.1 * 3.0);
        assert_eq!(table.column("penalty")?[0], 1e-300);
        assert_eq!(table.column("gradient_norm")?[0], 1.0 / 3.0);
        assert_eq!(table.column("validation")?, [-1.0, 0.7, -1.0, -1.0]);
        Ok(())
    }

    #[test]
    fn foreign_files_are_left_alone() {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("log.csv");
        std::fs::write(&path, "my,notes\n1,2\n").expect("writable");
        let error = CsvLog::resume(&path, 3).expect_err("not a log");
        assert!(error.to_string().contains(":1: the header is not"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).expect("text"), "my,notes\n1,2\n");

        let header = Record::COLUMNS.join(",");
        std::fs::write(&path, format!("{header}\n1,0\nzebra\n")).expect("writable");
        let error = CsvLog::resume(&path, 3).expect_err("broken line");
        assert!(error.to_string().contains(":3: the line does not start"), "{error}");
        assert!(matches!(CsvLog::create(dir.path()), Err(Error::Io { .. })));
    }
}
