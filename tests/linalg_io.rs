//! Matrix Market files: what is written reads back to the same bits, what the format allows is read, and
//! whatever else the bytes are gives an error with file, line and reason, never a panic.

use flate2::{Compression, write::GzEncoder};
use odeon::linalg::Csr;
use odeon::linalg::io::{read_matrix, read_vectors, write_matrix, write_vectors};
use odeon::{Error, Result};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::io::Write;
use std::path::PathBuf;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        std::fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }
    /// The matrix that this text is.
    fn matrix(&self, text: &str) -> Result<Csr<f64>> {
        read_matrix(self.file("a.mtx", text))
    }
    /// The line and the reason for which this text is refused.
    fn refusal(&self, text: &str) -> (usize, String) {
        match self.matrix(text) {
            Err(Error::Malformed { path, line, reason }) => {
                assert!(path.ends_with("a.mtx"));
                (line.expect("a line"), reason)
            }
            other => panic!("{other:?} for {text:?}"),
        }
    }
}

fn random(seed: u64, shape: [usize; 2]) -> Csr<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut triplets = Vec::new();
    for _ in 0..60 {
        let size = 10.0f64.powi(rng.random_range(-300..300));
        let value = rng.random_range(-1.0..1.0) * size;
        triplets.push((rng.random_range(0..shape[0]), rng.random_range(0..shape[1]), value));
    }
    Csr::from_triplets(shape, &triplets).unwrap()
}

fn entries(a: &Csr<f64>) -> Vec<(usize, usize, f64)> {
    let row = |i| a.row(i).0.iter().zip(a.row(i).1).map(move |(&j, &v)| (i, j as usize, v));
    (0..a.rows()).flat_map(row).collect()
}

#[test]
fn what_is_written_reads_back_to_the_same_bits() {
    let folder = Folder::new();
    let a = random(1, [20, 13]);
    for name in ["a.mtx", "a.mtx.gz", "A.MTX.GZ"] {
        write_matrix(folder.path(name), &a).unwrap();
        assert_eq!(read_matrix::<f64>(folder.path(name)).unwrap(), a, "{name}");
    }
    let zipped = std::fs::read(folder.path("a.mtx.gz")).unwrap();
    assert_eq!(zipped[..2], [0x1f, 0x8b]);
    // Known by its bytes, whatever its name.
    assert_eq!(read_matrix::<f64>(folder.file("plain", zipped)).unwrap(), a);
    let single = Csr::<f32>::from_triplets([2, 3], &[(0, 2, 0.1), (1, 0, f32::MAX)]).unwrap();
    write_matrix(folder.path("s.mtx"), &single).unwrap();
    assert_eq!(read_matrix::<f32>(folder.path("s.mtx")).unwrap(), single);
    let x: Vec<f64> = (0..12).map(|i| (i as f64).sin() * 1e-9).collect();
    for name in ["x.mtx", "x.mtx.gz"] {
        write_vectors(folder.path(name), &x, 4).unwrap();
        assert_eq!(read_vectors::<f64>(folder.path(name)).unwrap(), (4, x.clone()));
    }
    let none = Csr::<f64>::from_triplets([0, 4], &[]).unwrap();
    write_matrix(folder.path("none.mtx"), &none).unwrap();
    assert_eq!(read_matrix::<f64>(folder.path("none.mtx")).unwrap(), none);
}

#[test]
fn every_field_and_symmetry_is_read() {
    let folder = Folder::new();
    let general = "%%MatrixMarket MATRIX Coordinate Real General\n% a comment\n\n  2 3 3\n\
                   1 3 1.5e0\n%between\n2 1 -4\n1 3 0.5\n\n% after\n";
    assert_eq!(entries(&folder.matrix(general).unwrap()), [(0, 2, 2.0), (1, 0, -4.0)]);
    let symmetric =
        "%%MatrixMarket matrix coordinate integer symmetric\r\n3 3 3\r\n1 1 7\r\n3 1 5\r\n3 3 2\r\n";
    let a = folder.matrix(symmetric).unwrap();
    assert_eq!(entries(&a), [(0, 0, 7.0), (0, 2, 5.0), (2, 0, 5.0), (2, 2, 2.0)]);
    assert!(a.is_symmetric(0.0));
    let skew = "%%MatrixMarket matrix coordinate real skew-symmetric\n2 2 1\n2 1 3.0";
    assert_eq!(entries(&folder.matrix(skew).unwrap()), [(0, 1, -3.0), (1, 0, 3.0)]);
    let pattern = "%%MatrixMarket matrix coordinate pattern general\n2 2 2\n1 2\n2 2\n";
    assert_eq!(entries(&folder.matrix(pattern).unwrap()), [(0, 1, 1.0), (1, 1, 1.0)]);
    let array = "%%MatrixMarket matrix array real general\n3 2\n1\n2\n3\n0\n5\n6\n";
    let path = folder.file("b.mtx", array);
    assert_eq!(read_vectors::<f64>(&path).unwrap(), (3, vec![1.0, 2.0, 3.0, 0.0, 5.0, 6.0]));
    assert_eq!(read_matrix::<f64>(&path).unwrap().nnz(), 5, "zeros are not stored");
    let symmetric = "%%MatrixMarket matrix array integer symmetric\n3 3\n1\n2\n3\n4\n5\n6\n";
    let dense = read_vectors::<f64>(folder.file("c.mtx", symmetric)).unwrap().1;
    assert_eq!(dense, [1.0, 2.0, 3.0, 2.0, 4.0, 5.0, 3.0, 5.0, 6.0]);
    let skew = "%%MatrixMarket matrix array real skew-symmetric\n3 3\n1\n2\n3\n";
    let dense = read_vectors::<f64>(folder.file("d.mtx", skew)).unwrap().1;
    assert_eq!(dense, [0.0, 1.0, 2.0, -1.0, 0.0, 3.0, -2.0, -3.0, 0.0]);
    let sparse = "%%MatrixMarket matrix coordinate real general\n3 1 1\n2 1 4\n";
    assert_eq!(read_vectors::<f64>(folder.file("e.mtx", sparse)).unwrap(), (3, vec![0.0, 4.0, 0.0]));
}

#[test]
fn malformed_files_are_refused_with_line_and_reason() {
    let folder = Folder::new();
    let head = "%%MatrixMarket matrix coordinate real general\n";
    let cases: &[(&str, usize, &str)] = &[
        ("", 1, "must stand here"),
        ("1 1 1\n", 1, "\"1 1 1\": \"%%MatrixMarket matrix FORMAT FIELD SYMMETRY\" must stand here"),
        ("%%MatrixMarket matrix list real general\n", 1, "the format \"list\" is not supported"),
        ("%%MatrixMarket matrix coordinate complex general\n", 1, "the field \"complex\" is not supported"),
        (
            "%%MatrixMarket matrix coordinate real hermitian\n",
            1,
            "the symmetry \"hermitian\" is not supported",
        ),
        ("%%MatrixMarket matrix array pattern general\n", 1, "the field \"pattern\""),
        ("HEAD", 2, "the file ends, but the line of sizes (rows, columns, entries) must follow"),
        ("HEAD% c\n2 2\n", 3, "entries is missing"),
        ("HEAD2 2 1 1\n", 2, "\"1\" is too much"),
        ("HEAD2 -2 1\n", 2, "columns is \"-2\", which is no such number"),
        ("HEAD2 2 99999999999999999999\n", 2, "entries is \"99999999999999999999\""),
        ("HEAD4000000000 1 1\n1 1 1\n", 2, "4000000000 × 1 with 1 entries: at most 16777216 rows"),
        ("HEAD2 2 2\n1 1 1\n", 4, "the file ends, but entry 2 of 2 must follow"),
        ("HEAD2 2 1\n0 1 1\n", 3, "the row is 0, but it must be from 1 to 2"),
        ("HEAD2 2 1\n1 3 1\n", 3, "the column is 3, but it must be from 1 to 2"),
        ("HEAD2 2 1\n1 1\n", 3, "the value is missing"),
        ("HEAD2 2 1\n1 1 x\n", 3, "the value is \"x\""),
        ("HEAD2 2 1\n1 1 1 0\n", 3, "\"0\" is too much"),
        ("HEAD2 2 1\n1 1 nan\n", 3, "the value is NaN, but it must be finite in f64"),
        ("HEAD2 2 1\n1 1 1e999\n", 3, "the value is inf"),
        ("HEAD2 2 1\n1 1 1\n\n2 2 2\n", 5, "\"2 2 2\" follows the last of 1 entries"),
        ("%%MatrixMarket matrix coordinate real symmetric\n2 3 0\n", 2, "2 × 3, but a symmetric matrix"),
        (
            "%%MatrixMarket matrix coordinate real symmetric\n2 2 1\n1 2 3\n",
            3,
            "(1, 2) is above the diagonal",
        ),
        ("%%MatrixMarket matrix coordinate real skew-symmetric\n2 2 1\n2 2 3\n", 3, "stores no diagonal"),
        ("%%MatrixMarket matrix coordinate integer general\n2 2 1\n2 2 3.5\n", 3, "the value is \"3.5\""),
        (
            "%%MatrixMarket matrix array real general\n2 1\n1\n",
            4,
            "but the entry (2, 1) of 2 × 1 must follow",
        ),
    ];
    for (text, line, reason) in cases {
        let (at, said) = folder.refusal(&text.replace("HEAD", head));
        assert!(at == *line && said.contains(reason), "{text:?}: line {at}, {said}");
    }
    let single = read_matrix::<f32>(folder.file("a.mtx", format!("{head}1 1 1\n1 1 1e39\n")));
    assert!(
        single.unwrap_err().to_string().contains("a.mtx:3: the value is 1e39, but it must be finite in f32")
    );
    let long = format!("{head}{}\n", "1".repeat(1 << 17));
    assert!(folder.refusal(&long).1.contains("longer than 65536 bytes"));
    let twice = folder.matrix(&format!("{head}1 1 2\n1 1 1e308\n1 1 1e308\n")).unwrap_err();
    assert!(twice.to_string().contains("the sum of the entries (0, 0) is inf"));
    let binary = folder.file("a.mtx", [head.as_bytes(), &[0xff, 0xfe, b'\n']].concat());
    assert!(read_matrix::<f64>(binary).unwrap_err().to_string().contains("a.mtx:2: the line is no UTF-8"));
    assert!(
        matches!(read_matrix::<f64>(folder.path("absent.mtx")), Err(Error::Io { path, .. }) if path.ends_with("absent.mtx"))
    );
    assert!(read_matrix::<f64>(folder.0.path()).is_err(), "a directory");
}

#[test]
fn what_cannot_be_written_leaves_the_old_file() {
    let folder = Folder::new();
    let path = folder.file("x.mtx", "old");
    assert!(
        write_vectors(&path, &[1.0, f64::NAN], 2).unwrap_err().to_string().contains("the array[1] is NaN")
    );
    assert!(
        write_vectors(&path, &[1.0, 2.0, 3.0], 2).unwrap_err().to_string().contains("must be a multiple")
    );
    assert!(write_vectors::<f64>(&path, &[], 0).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), b"old");
    let below = write_matrix(path.join("a.mtx"), &Csr::<f64>::identity(2));
    assert!(matches!(below, Err(Error::Io { .. })));
}

/// Valid files, each then cut, with bytes changed, and with lines exchanged: an answer every time, and where
/// it is a matrix, one that `Csr::new` accepts.
#[test]
fn no_bytes_make_it_panic() {
    let folder = Folder::new();
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut zipped = GzEncoder::new(Vec::new(), Compression::fast());
    let plain =
        "%%MatrixMarket matrix coordinate real general\n%c\n5 4 5\n1 1 1\n2 2 -2e3\n3 4 .5\n5 1 7\n4 4 0\n";
    zipped.write_all(plain.as_bytes()).unwrap();
    let files: [Vec<u8>; 4] = [
        plain.into(),
        zipped.finish().unwrap(),
        "%%MatrixMarket matrix array real symmetric\n3 3\n1\n2\n3\n4\n5\n6\n".into(),
        "%%MatrixMarket matrix coordinate integer skew-symmetric\n4 4 2\n2 1 3\n4 1 9\n".into(),
    ];
    let (mut read, mut refused) = (0, 0);
    for file in &files {
        for trial in 0..300 {
            let mut bytes = file.clone();
            match trial % 3 {
                0 => bytes.truncate(trial / 3 * bytes.len() / 100),
                1 => {
                    for _ in 0..rng.random_range(1..4) {
                        let place = rng.random_range(0..bytes.len());
                        let digit = bytes[place].is_ascii_digit() && rng.random();
                        bytes[place] = if digit { rng.random_range(b'0'..=b'9') } else { rng.random() };
                    }
                }
                _ => {
                    let (from, to) = (rng.random_range(0..bytes.len()), rng.random_range(0..bytes.len()));
                    bytes[to] = bytes[from];
                    bytes.insert(to, b"0123456789 .-e\n%"[rng.random_range(0..16)]);
                }
            }
            let path = folder.file("fuzz.mtx", &bytes);
            match read_matrix::<f64>(&path) {
                Ok(a) => {
                    read += 1;
                    let (starts, columns) = (a.row_starts().to_vec(), a.columns().to_vec());
                    Csr::new([a.rows(), a.cols()], starts, columns, a.values().to_vec()).unwrap();
                }
                Err(Error::Malformed { path, reason, .. }) => {
                    refused += 1;
                    assert!(path.ends_with("fuzz.mtx") && !reason.is_empty());
                }
                Err(other) => panic!("{other:?}"),
            }
            let _ = read_vectors::<f32>(&path);
        }
    }
    assert!(read > 15 && refused > 500, "{read} read, {refused} refused");
}
