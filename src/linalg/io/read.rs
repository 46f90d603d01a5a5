//! Reading Matrix Market files. Whatever the bytes are, the answer is a matrix or an error that names
//! the file, the line and the reason; memory is reserved only as far as the file has entries for it.

use crate::error::{Error, Result};
use crate::linalg::Csr;
use crate::num::Real;
use flate2::bufread::MultiGzDecoder;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::str::{FromStr, SplitAsciiWhitespace};

/// Longest line that is read; the format allows 1024 characters.
const LINE: u64 = 1 << 16;
/// Rows or columns that a file may always announce; beyond it, [`PER_ENTRY`] for each entry.
const EXTENT: u64 = 1 << 24;
/// Rows or columns for each entry: an announcement that costs memory without any entries is refused.
const PER_ENTRY: u64 = 64;

/// The sparse matrix of a Matrix Market file. `array` files are read too, without their zeros; a
/// gzipped file is known by its first bytes, whatever its name. Entries given twice are added.
///
/// # Errors
/// [`Error::Io`] with the path; [`Error::Malformed`] with path, 1-based line and reason.
pub fn read_matrix<T: Real>(path: impl AsRef<Path>) -> Result<Csr<T>> {
    let mut lines = Lines::open(path.as_ref())?;
    let header = lines.header()?;
    if header.dense {
        let ([rows, cols], dense) = lines.array(header)?;
        return Csr::from_dense([rows, cols], &dense);
    }
    let (shape, triplets) = lines.coordinates(header)?;
    lines.sparse(shape, &triplets)
}

/// A dense array (a right-hand side, or several): its number of rows and its columns, one after the
/// other. `coordinate` files are read too, their missing entries being 0.
///
/// # Errors
/// As [`read_matrix`]; a sparse matrix whose dense form does not fit into memory.
pub fn read_vectors<T: Real>(path: impl AsRef<Path>) -> Result<(usize, Vec<T>)> {
    let mut lines = Lines::open(path.as_ref())?;
    let header = lines.header()?;
    if header.dense {
        let ([rows, _], dense) = lines.array(header)?;
        return Ok((rows, dense));
    }
    let (shape, triplets) = lines.coordinates(header)?;
    Ok((shape[0], lines.sparse(shape, &triplets)?.to_dense()?))
}

/// What the first line says.
#[derive(Clone, Copy)]
struct Header {
    dense: bool,
    field: Field,
    symmetry: Symmetry,
}

#[derive(Clone, Copy, PartialEq)]
enum Field {
    Real,
    Integer,
    Pattern,
}

#[derive(Clone, Copy, PartialEq)]
enum Symmetry {
    General,
    Symmetric,
    Skew,
}

/// (row, column, value), counted from 0.
type Triplets<T> = Vec<(usize, usize, T)>;

/// The file line by line.
struct Lines<'a> {
    path: &'a Path,
    source: Box<dyn BufRead>,
    number: usize,
    line: String,
}

impl<'a> Lines<'a> {
    fn open(path: &'a Path) -> Result<Self> {
        let io = |e| Error::io(path, e);
        let mut file = BufReader::with_capacity(1 << 16, File::open(path).map_err(io)?);
        let zipped = file.fill_buf().map_err(io)?.starts_with(&[0x1f, 0x8b]);
        let source: Box<dyn BufRead> = match zipped {
            true => Box::new(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(file))),
            false => Box::new(file),
        };
        Ok(Self { path, source, number: 0, line: String::new() })
    }

    /// Reads the next line; `false` at the end of the file.
    fn advance(&mut self) -> Result<bool> {
        let mut bytes = std::mem::take(&mut self.line).into_bytes();
        bytes.clear();
        self.number += 1;
        let read = self.source.by_ref().take(LINE).read_until(b'\n', &mut bytes);
        // Of a file only; a broken gzip stream is no fault of the system.
        read.map_err(|e| self.wrong(format!("it cannot be read: {e}")))?;
        if bytes.len() as u64 == LINE && bytes.last() != Some(&b'\n') {
            return Err(self.wrong(format!("the line is longer than {LINE} bytes")));
        }
        let filled = !bytes.is_empty();
        self.line = String::from_utf8(bytes).map_err(|_| self.wrong("the line is no UTF-8 text"))?;
        Ok(filled)
    }

    /// Reads the next line that is neither blank nor a comment.
    fn next_content(&mut self, what: impl Fn() -> String) -> Result<()> {
        loop {
            if !self.advance()? {
                return Err(self.wrong(format!("the file ends, but {} must follow", what())));
            }
            let content = self.line.trim_start();
            if !content.is_empty() && !content.starts_with('%') {
                return Ok(());
            }
        }
    }

    /// Refuses what follows the last entry.
    fn end(&mut self, count: u64) -> Result<()> {
        while self.advance()? {
            let content = self.line.trim();
            if !content.is_empty() && !content.starts_with('%') {
                return Err(self.wrong(format!("{} follows the last of {count} entries", quoted(content))));
            }
        }
        Ok(())
    }

    /// The matrix; entries given twice may add up to infinity.
    fn sparse<T: Real>(&self, shape: [usize; 2], triplets: &[(usize, usize, T)]) -> Result<Csr<T>> {
        Csr::from_triplets(shape, triplets).map_err(|e| Error::malformed(self.path, None, e.to_string()))
    }

    fn wrong(&self, reason: impl Into<String>) -> Error {
        Error::malformed(self.path, Some(self.number), reason)
    }

    fn header(&mut self) -> Result<Header> {
        self.advance()?;
        let words = self.line.split_ascii_whitespace().map(str::to_ascii_lowercase).collect::<Vec<_>>();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let ["%%matrixmarket", "matrix", format, field, symmetry] = words[..] else {
            let needed = "\"%%MatrixMarket matrix FORMAT FIELD SYMMETRY\" must stand here";
            return Err(self.wrong(format!("{}: {needed}", quoted(self.line.trim_end()))));
        };
        let no = |what: &str, given: &str, needed: &str| {
            self.wrong(format!("{what} {} is not supported; {needed} are", quoted(given)))
        };
        let dense = match format {
            "coordinate" => false,
            "array" => true,
            other => return Err(no("the format", other, "coordinate and array")),
        };
        let field = match field {
            "real" | "double" => Field::Real,
            "integer" => Field::Integer,
            "pattern" if !dense => Field::Pattern,
            other => return Err(no("the field", other, "real, integer and (of coordinates) pattern")),
        };
        let symmetry = match symmetry {
            "general" => Symmetry::General,
            "symmetric" => Symmetry::Symmetric,
            "skew-symmetric" => Symmetry::Skew,
            other => return Err(no("the symmetry", other, "general, symmetric and skew-symmetric")),
        };
        Ok(Header { dense, field, symmetry })
    }

    /// The numbers of the size line.
    fn sizes<const N: usize>(&mut self, names: [&str; N]) -> Result<[u64; N]> {
        self.next_content(|| format!("the line of sizes ({})", names.join(", ")))?;
        let mut words = self.line.split_ascii_whitespace();
        let mut sizes = [0; N];
        for (size, name) in sizes.iter_mut().zip(names) {
            *size = self.number(&mut words, name)?;
        }
        self.no_more(words)?;
        Ok(sizes)
    }

    fn number<N: FromStr>(&self, words: &mut SplitAsciiWhitespace<'_>, name: &str) -> Result<N> {
        let Some(word) = words.next() else {
            return Err(self.wrong(format!("{name} is missing")));
        };
        word.parse().map_err(|_| self.wrong(format!("{name} is {}, which is no such number", quoted(word))))
    }

    fn no_more(&self, mut words: SplitAsciiWhitespace<'_>) -> Result<()> {
        words.next().map_or(Ok(()), |word| Err(self.wrong(format!("{} is too much", quoted(word)))))
    }

    /// A value as the header's field has it.
    fn value<T: Real>(&self, words: &mut SplitAsciiWhitespace<'_>, field: Field) -> Result<T> {
        let value = match field {
            Field::Pattern => 1.0,
            Field::Integer => self.number::<i64>(words, "the value")? as f64,
            Field::Real => self.number::<f64>(words, "the value")?,
        };
        if !T::of(value).is_finite() {
            return Err(self.wrong(format!("the value is {value:e}, but it must be finite in {}", T::NAME)));
        }
        Ok(T::of(value))
    }

    /// Refuses extents beyond what indices count or `entries` justify, and symmetry without a square.
    fn extents(&self, [rows, cols]: [u64; 2], entries: u64, header: Header) -> Result<[usize; 2]> {
        let most = EXTENT.max(entries.saturating_mul(PER_ENTRY)).min(u64::from(u32::MAX));
        if rows.max(cols) > most {
            let reason =
                format!("{rows} × {cols} with {entries} entries: at most {most} rows and columns are read");
            return Err(self.wrong(reason));
        }
        if header.symmetry != Symmetry::General && rows != cols {
            return Err(self.wrong(format!("{rows} × {cols}, but a symmetric matrix must be square")));
        }
        Ok([rows as usize, cols as usize])
    }

    fn coordinates<T: Real>(&mut self, header: Header) -> Result<([usize; 2], Triplets<T>)> {
        let [rows, cols, count] = self.sizes(["rows", "columns", "entries"])?;
        let [rows, cols] = self.extents([rows, cols], count, header)?;
        let mut triplets = Vec::new();
        for k in 0..count {
            self.next_content(|| format!("entry {} of {count}", k + 1))?;
            let mut words = self.line.split_ascii_whitespace();
            let i = self.index(&mut words, "the row", rows)?;
            let j = self.index(&mut words, "the column", cols)?;
            let value: T = self.value(&mut words, header.field)?;
            self.no_more(words)?;
            triplets.push((i, j, value));
            if header.symmetry == Symmetry::General {
                continue;
            }
            if header.symmetry == Symmetry::Skew && i == j {
                return Err(self.wrong("a skew-symmetric matrix stores no diagonal"));
            }
            if j > i {
                return Err(self.wrong(format!(
                    "({}, {}) is above the diagonal of a symmetric matrix",
                    i + 1,
                    j + 1
                )));
            }
            if j < i {
                triplets.push((j, i, mirrored(value, header.symmetry)));
            }
        }
        self.end(count)?;
        Ok(([rows, cols], triplets))
    }

    fn index(&self, words: &mut SplitAsciiWhitespace<'_>, name: &str, n: usize) -> Result<usize> {
        let index: usize = self.number(words, name)?;
        if index == 0 || index > n {
            return Err(self.wrong(format!("{name} is {index}, but it must be from 1 to {n}")));
        }
        Ok(index - 1)
    }

    fn array<T: Real>(&mut self, header: Header) -> Result<([usize; 2], Vec<T>)> {
        let [rows, cols] = self.sizes(["rows", "columns"])?;
        let [rows, cols] = self.extents([rows, cols], rows.saturating_mul(cols), header)?;
        let mut dense = Vec::new();
        // Entries are appended as they come, so that the memory is that of the file; only a triangle's
        // mirror needs all of it at once, and the triangle is half of that.
        for j in 0..cols {
            let first = match header.symmetry {
                Symmetry::General => 0,
                Symmetry::Symmetric => j,
                Symmetry::Skew => j + 1,
            };
            for i in first..rows {
                self.next_content(|| format!("the entry ({}, {}) of {rows} × {cols}", i + 1, j + 1))?;
                let mut words = self.line.split_ascii_whitespace();
                dense.push(self.value(&mut words, header.field)?);
                self.no_more(words)?;
            }
        }
        self.end(dense.len() as u64)?;
        if header.symmetry != Symmetry::General {
            dense = unfolded(&dense, rows, header.symmetry);
        }
        Ok(([rows, cols], dense))
    }
}

/// aⱼᵢ where aᵢⱼ is stored.
fn mirrored<T: Real>(value: T, symmetry: Symmetry) -> T {
    if symmetry == Symmetry::Skew { -value } else { value }
}

/// The full matrix of a lower triangle stored by columns.
fn unfolded<T: Real>(triangle: &[T], n: usize, symmetry: Symmetry) -> Vec<T> {
    let mut dense = vec![T::zero(); n * n];
    let mut stored = triangle.iter();
    let skip = usize::from(symmetry == Symmetry::Skew);
    for j in 0..n {
        for (i, &v) in (j + skip..n).zip(stored.by_ref()) {
            dense[j + n * i] = mirrored(v, symmetry);
            dense[i + n * j] = v;
        }
    }
    dense
}

/// A piece of the file in a message: short, on one line.
fn quoted(text: &str) -> String {
    let mut short: String = text.chars().take(60).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{short:?}")
}
