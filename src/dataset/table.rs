//! CSV tables with named columns.

use super::Samples;
use crate::num::Real;
use crate::{Error, Result, files};
use std::path::{Path, PathBuf};

/// What to do about an empty field (or `NA`, `N/A`, `NaN`, `null`, `-`, in any case).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Missing {
    /// An error with the line.
    #[default]
    Refuse,
    /// Leave out every row that has one.
    DropRow,
    /// Put this number in its place.
    Fill(f64),
}

/// A CSV file: named columns of numbers, equally long.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    path: PathBuf,
    names: Vec<String>,
    columns: Vec<Vec<f64>>,
}

impl Table {
    /// Reads every column of a comma-separated file (RFC 4180). The first record holds the names;
    /// lines that start with `#` are comments; spaces around fields are ignored.
    ///
    /// # Errors
    /// As [`read_columns`](Self::read_columns).
    pub fn read(path: impl AsRef<Path>, missing: Missing) -> Result<Self> {
        Self::load(path.as_ref(), None, missing)
    }

    /// Reads only the columns `names`, in that order; other columns may hold text.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read; [`Error::Malformed`] with the line for a row of
    /// the wrong width, a field that is not a finite number, a missing value under
    /// [`Missing::Refuse`], text that is not UTF-8, a name that is absent or stands twice, and for
    /// a file without rows.
    pub fn read_columns(path: impl AsRef<Path>, names: &[&str], missing: Missing) -> Result<Self> {
        Self::load(path.as_ref(), Some(names), missing)
    }

    fn load(path: &Path, wanted: Option<&[&str]>, missing: Missing) -> Result<Self> {
        if let Missing::Fill(x) = missing
            && !x.is_finite()
        {
            return Err(Error::invalid("Missing::Fill", x, "it must be finite"));
        }
        let bytes = files::read(path)?;
        let mut reader = ::csv::ReaderBuilder::new()
            .comment(Some(b'#'))
            .trim(::csv::Trim::All)
            .from_reader(without_mark(&bytes));
        let header = reader.headers().map_err(|e| csv_error(path, &e))?.clone();
        let names = header_names(path, &header)?;
        let picked = pick(path, &names, wanted)?;

        let mut columns = vec![Vec::new(); picked.len()];
        let mut row = Vec::with_capacity(picked.len());
        for record in reader.records() {
            let record = record.map_err(|e| csv_error(path, &e))?;
            row.clear();
            let mut complete = true;
            for &i in &picked {
                let field = record.get(i).unwrap_or("");
                match number(field, missing) {
                    Ok(Some(x)) => row.push(x),
                    Ok(None) => complete = false,
                    Err(reason) => {
                        let line = record.position().map(|p| line_of(&bytes, p));
                        let reason = format!("column '{}': {reason}", names[i]);
                        return Err(Error::malformed(path, line, reason));
                    }
                }
            }
            if complete {
                columns.iter_mut().zip(&row).for_each(|(c, &x)| c.push(x));
            }
        }
        if columns[0].is_empty() {
            let reason = match missing {
                Missing::DropRow => "no row without missing values, at least one is needed",
                _ => "no rows below the header, at least one is needed",
            };
            return Err(Error::malformed(path, None, reason));
        }
        let names = picked.iter().map(|&i| names[i].clone()).collect();
        Ok(Self { path: path.to_path_buf(), names, columns })
    }

    /// Column names, in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// How many rows (at least one).
    pub fn rows(&self) -> usize {
        self.columns.first().map_or(0, Vec::len)
    }

    /// A column by name.
    ///
    /// # Errors
    /// No such column; the message lists the names there are.
    pub fn column(&self, name: &str) -> Result<&[f64]> {
        match self.names.iter().position(|n| n == name) {
            Some(i) => Ok(&self.columns[i]),
            None => Err(absent(&self.path, name, &self.names)),
        }
    }

    /// The columns `names` as samples, one per row: column-major `names.len() × rows`.
    ///
    /// # Errors
    /// No such column, no names, or a value beyond the range of `T`.
    pub fn samples<T: Real>(&self, names: &[&str]) -> Result<Samples<T>> {
        let columns: Vec<_> = names.iter().map(|n| self.column(n)).collect::<Result<_>>()?;
        let mut data = Vec::with_capacity(columns.len() * self.rows());
        for row in 0..self.rows() {
            data.extend(columns.iter().map(|c| T::of(c[row])));
        }
        Samples::new(&[names.len()], data)
    }
}

/// The bytes after a UTF-8 byte-order mark (spreadsheets write one).
fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// The line of a record. The csv crate counts from where the previous record ended, so comment
/// and blank lines between the two are skipped here.
fn line_of(bytes: &[u8], position: &::csv::Position) -> usize {
    let start = usize::try_from(position.byte()).unwrap_or(usize::MAX);
    let rest = without_mark(bytes).get(start..).unwrap_or(&[]);
    let skipped = rest
        .split(|&b| b == b'\n')
        .take_while(|line| {
            let text = line.trim_ascii();
            text.is_empty() || line.first() == Some(&b'#')
        })
        .count();
    position.line() as usize + skipped
}

fn header_names(path: &Path, header: &::csv::StringRecord) -> Result<Vec<String>> {
    let line = header.position().map(|p| p.line() as usize);
    if header.is_empty() {
        let reason = "the file is empty: a header line with column names is needed";
        return Err(Error::malformed(path, line, reason));
    }
    let names: Vec<String> = header.iter().map(str::to_string).collect();
    for (i, name) in names.iter().enumerate() {
        if name.is_empty() {
            let reason = format!("column {} has no name in the header", i + 1);
            return Err(Error::malformed(path, line, reason));
        }
        if names[..i].contains(name) {
            let reason = format!("column name '{name}' stands twice in the header");
            return Err(Error::malformed(path, line, reason));
        }
    }
    Ok(names)
}

fn pick(path: &Path, names: &[String], wanted: Option<&[&str]>) -> Result<Vec<usize>> {
    let Some(wanted) = wanted else {
        return Ok((0..names.len()).collect());
    };
    if wanted.is_empty() {
        return Err(Error::invalid("names", "empty", "at least one column must be named"));
    }
    let find = |w: &&str| {
        let found = names.iter().position(|n| n == w);
        found.ok_or_else(|| absent(path, w, names))
    };
    wanted.iter().map(find).collect()
}

fn absent(path: &Path, name: &str, names: &[String]) -> Error {
    let reason = format!("no column '{name}'; the columns are: {}", names.join(", "));
    Error::malformed(path, None, reason)
}

/// The field's number, `None` when the row is to be dropped.
fn number(field: &str, missing: Missing) -> std::result::Result<Option<f64>, String> {
    const ABSENT: [&str; 5] = ["na", "n/a", "nan", "null", "-"];
    if field.is_empty() || ABSENT.iter().any(|a| field.eq_ignore_ascii_case(a)) {
        return match missing {
            Missing::Refuse => Err(format!(
                "'{field}' is a missing value; drop such rows or fill them in (Missing::DropRow, \
                 Missing::Fill)"
            )),
            Missing::DropRow => Ok(None),
            Missing::Fill(x) => Ok(Some(x)),
        };
    }
    match field.parse::<f64>() {
        Ok(x) if x.is_finite() => Ok(Some(x)),
        Ok(_) => Err(format!("'{field}' is not finite")),
        Err(_) => Err(format!("'{field}' is not a number")),
    }
}

fn csv_error(path: &Path, error: &::csv::Error) -> Error {
    let line = error.position().map(|p| p.line() as usize);
    let reason = match error.kind() {
        ::csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{len} fields, but the header has {expected_len}")
        }
        ::csv::ErrorKind::Utf8 { .. } => "not UTF-8 text".to_string(),
        _ => error.to_string(),
    };
    Error::malformed(path, line, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_file<R>(text: impl AsRef<[u8]>, check: impl FnOnce(&Path) -> R) -> R {
        let dir = tempfile::tempdir().expect("tempdir");
        let path = dir.path().join("t.csv");
        std::fs::write(&path, text).expect("writable");
        check(&path)
    }

    fn fails(text: impl AsRef<[u8]>, line: Option<usize>, words: &str) {
        with_file(text, |path| match Table::read(path, Missing::Refuse) {
            Err(Error::Malformed { path: p, line: l, reason }) => {
                assert_eq!(p, path);
                assert_eq!(l, line, "{reason}");
                assert!(reason.contains(words), "'{reason}' does not say '{words}'");
            }
            other => panic!("expected Malformed, got {other:?}"),
        });
    }

    #[test]
    fn reads_the_lynx_and_hare_pelts() -> Result<()> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/data/hudson_bay_lynx_hare.csv");
        let table = Table::read(path, Missing::Refuse)?;
        assert_eq!(table.names(), ["year", "lynx", "hare"]);
        assert_eq!(table.rows(), 21);
        let years: Vec<f64> = (1900..=1920).map(f64::from).collect();
        assert_eq!(table.column("year")?, years);
        let sum = |name| Ok::<f64, Error>(table.column(name)?.iter().sum());
        assert!((sum("lynx")? - 423.5).abs() < 1e-9 && (sum("hare")? - 715.7).abs() < 1e-9);
        let samples = table.samples::<f32>(&["hare", "lynx"])?;
        assert_eq!((samples.dim(), samples.count()), (2, 21));
        assert_eq!(samples.get(14), Some(&[52.3f32, 45.7][..]));
        Ok(())
    }

    #[test]
    fn columns_quotes_comments_marks_and_crlf() -> Result<()> {
        let text = "\u{feff}# made by hand\r\n\"a, b\",name,c\r\n1, x ,2e0\r\n\r\n# note\r\n3,y,-4\r\n";
        with_file(text, |path| {
            let table = Table::read_columns(path, &["c", "a, b"], Missing::Refuse)?;
            assert_eq!(table.names(), ["c", "a, b"]);
            assert_eq!(table.column("c")?, [2.0, -4.0]);
            assert_eq!(table.column("a, b")?, [1.0, 3.0]);
            Ok(())
        })
    }

    #[test]
    fn malformed_files_give_line_and_reason() {
        fails("", Some(1), "empty");
        fails("a,b\n", None, "no rows");
        fails("a,b\n1,2\n3,4,5\n", Some(3), "3 fields, but the header has 2");
        fails("a,b\n1,2\n# c\n\n3,zebra\n", Some(5), "column 'b': 'zebra' is not a number");
        fails("a,b\n1,2\n1,inf\n", Some(3), "'inf' is not finite");
        fails("a,b\n1,2\n1,1e999\n", Some(3), "'1e999' is not finite");
        fails("a,b\n1,\n", Some(2), "column 'b': '' is a missing value");
        fails("a,a\n1,2\n", Some(1), "'a' stands twice");
        fails("a,\n1,2\n", Some(1), "column 2 has no name");
        fails(b"a,b\n1,\xff\xfe\n", Some(2), "not UTF-8");
    }

    #[test]
    fn missing_values_follow_the_policy() {
        with_file("t,x\n0,1\n1,NA\n2,\n3,4\n", |path| {
            let read = |m| Table::read(path, m);
            let dropped = read(Missing::DropRow).expect("two rows left");
            assert_eq!(dropped.columns, [vec![0.0, 3.0], vec![1.0, 4.0]]);
            let filled = read(Missing::Fill(-1.0)).expect("filled");
            assert_eq!(filled.columns[1], [1.0, -1.0, -1.0, 4.0]);
            assert!(read(Missing::Refuse).expect_err("NA").to_string().contains(":3: column 'x'"));
            assert!(read(Missing::Fill(f64::NAN)).is_err());
        });
        with_file("t,x\n0,\n", |path| {
            let error = Table::read(path, Missing::DropRow).expect_err("nothing left");
            assert!(error.to_string().contains("no row without missing values"), "{error}");
        });
    }

    #[test]
    fn absent_columns_list_what_there_is() {
        with_file("t,x\n0,1\n", |path| {
            let error = Table::read_columns(path, &["y"], Missing::Refuse).expect_err("no y");
            assert!(error.to_string().contains("no column 'y'; the columns are: t, x"), "{error}");
            assert!(Table::read_columns(path, &[], Missing::Refuse).is_err());
            let table = Table::read(path, Missing::Refuse).expect("fine");
            assert!(table.column("q").is_err());
            assert!(table.samples::<f64>(&[]).is_err());
        });
    }

    #[test]
    fn values_beyond_f32_are_refused() {
        with_file("x\n1e200\n", |path| {
            let table = Table::read(path, Missing::Refuse).expect("fine in f64");
            assert!(table.samples::<f64>(&["x"]).is_ok());
            assert!(table.samples::<f32>(&["x"]).is_err());
        });
    }
}
