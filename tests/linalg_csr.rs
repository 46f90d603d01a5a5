//! Sparse matrices against dense ones, entry by entry, on random patterns.
// Matrices are indexed by row and column.
#![allow(clippy::needless_range_loop)]

use odeon::linalg::{Csr, LinearOperator};
use odeon::num::Real;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A random matrix with about this share of its entries stored; some rows are empty.
fn random<T: Real>(seed: u64, [rows, cols]: [usize; 2], share: f64) -> Csr<T> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut triplets = Vec::new();
    for i in 0..rows {
        let share = [share, 3.0 * share, 0.0][rng.random_range(0..3)];
        for j in 0..cols {
            if rng.random::<f64>() < share {
                triplets.push((i, j, T::of(rng.random_range(-2.0..2.0))));
            }
        }
    }
    Csr::from_triplets([rows, cols], &triplets).unwrap()
}

fn vector<T: Real>(seed: u64, n: usize) -> Vec<T> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0xbeef);
    (0..n).map(|_| T::of(rng.random_range(-1.0..1.0))).collect()
}

/// The rows of the matrix, in double precision.
fn dense<T: Real>(a: &Csr<T>) -> Vec<Vec<f64>> {
    (0..a.rows()).map(|i| (0..a.cols()).map(|j| a.get(i, j).f64()).collect()).collect()
}

fn dense_product(a: &[Vec<f64>], b: &[Vec<f64>], cols: usize) -> Vec<Vec<f64>> {
    let entry = |row: &[f64], j: usize| row.iter().zip(b).map(|(a, b)| a * b[j]).sum();
    a.iter().map(|row| (0..cols).map(|j| entry(row, j)).collect()).collect()
}

/// Shapes and densities that meet every path: empty, one row, short rows, long rows, tall, wide.
const CASES: [([usize; 2], f64); 8] = [
    ([0, 0], 0.5),
    ([0, 3], 0.5),
    ([4, 0], 0.5),
    ([1, 1], 0.4),
    ([7, 7], 0.3),
    ([40, 90], 0.05),
    ([90, 40], 0.2),
    ([33, 61], 0.34),
];

fn products_of<T: Real>(tolerance: f64) {
    for (seed, (shape, share)) in CASES.into_iter().enumerate() {
        let a: Csr<T> = random(seed as u64, shape, share);
        let d = dense(&a);
        let (x, b) = (vector::<T>(1, shape[1]), vector::<T>(2, shape[0]));
        let (mut y, mut z) = (vec![T::NAN; shape[0]], vec![T::NAN; shape[1]]);
        a.apply(&x, &mut y);
        for (i, y) in y.iter().enumerate() {
            let want: f64 = d[i].iter().zip(&x).map(|(a, x)| a * x.f64()).sum();
            assert!((y.f64() - want).abs() <= tolerance, "{shape:?} row {i}: {y} for {want}");
        }
        a.apply_transpose(&b, &mut z);
        for (j, z) in z.iter().enumerate() {
            let want: f64 = d.iter().zip(&b).map(|(row, b)| row[j] * b.f64()).sum();
            assert!((z.f64() - want).abs() <= tolerance, "{shape:?} column {j}: {z} for {want}");
        }
        let mut r = vec![T::NAN; shape[0]];
        a.residual(&b, &x, &mut r);
        assert!((0..shape[0]).all(|i| r[i] == b[i] - y[i]), "the residual rounds as the product does");
        let mut sum = b.clone();
        a.apply_add(&x, &mut sum, &mut []);
        assert!((0..shape[0]).all(|i| sum[i] == b[i] + y[i]));
    }
}

#[test]
fn products_with_vectors_are_the_dense_ones() {
    products_of::<f64>(1e-14);
    products_of::<f32>(1e-5);
}

#[test]
fn products_with_blocks_are_those_of_their_columns() {
    for (seed, (shape, share)) in CASES.into_iter().enumerate() {
        let a: Csr<f64> = random(seed as u64, shape, share);
        for columns in 0..=15 {
            let x: Vec<f64> = vector(3, shape[1] * columns);
            let mut y = vec![f64::NAN; shape[0] * columns];
            a.apply_block(&x, &mut y, columns).unwrap();
            for k in 0..columns {
                let mut want = vec![f64::NAN; shape[0]];
                a.apply(&x[k * shape[1]..][..shape[1]], &mut want);
                for (y, want) in y[k * shape[0]..][..shape[0]].iter().zip(want) {
                    assert!((y - want).abs() <= 1e-14, "{shape:?}, column {k} of {columns}");
                }
            }
        }
    }
}

#[test]
fn sparse_products_are_the_dense_ones() {
    for (seed, (shape, share)) in CASES.into_iter().enumerate() {
        let a: Csr<f64> = random(seed as u64, shape, share);
        // Rows of the widest are ordered by sorting, of the others by counting.
        for cols in [0, 1, 50, 200] {
            let b: Csr<f64> = random(70 + seed as u64, [shape[1], cols], 0.2);
            let c = a.matmul(&b).unwrap();
            let want = dense_product(&dense(&a), &dense(&b), cols);
            // Sorted, in range, and nothing beyond the pattern: `new` checks the first two.
            let checked = Csr::new(
                [shape[0], cols],
                c.row_starts().to_vec(),
                c.columns().to_vec(),
                c.values().to_vec(),
            );
            assert_eq!(checked.unwrap(), c);
            for i in 0..shape[0] {
                for j in 0..cols {
                    assert!((c.get(i, j) - want[i][j]).abs() <= 1e-13, "{shape:?} ({i}, {j})");
                    let reached = a.row(i).0.iter().any(|&k| b.row(k as usize).0.contains(&(j as u32)));
                    assert_eq!(c.row(i).0.contains(&(j as u32)), reached, "the pattern at ({i}, {j})");
                }
            }
        }
    }
}

#[test]
fn galerkin_products_are_the_dense_ones() {
    let (a, p) = (random::<f64>(1, [40, 40], 0.1), random::<f64>(2, [40, 15], 0.2));
    let r = p.transpose();
    let c = a.galerkin(&r, &p).unwrap();
    let want = dense_product(&dense(&r), &dense_product(&dense(&a), &dense(&p), 15), 15);
    for i in 0..15 {
        for j in 0..15 {
            assert!((c.get(i, j) - want[i][j]).abs() <= 1e-12);
        }
    }
}

/// What an operation that must fail says.
fn refusal<T>(result: odeon::Result<T>) -> String {
    result.err().expect("it must be refused").to_string()
}

fn entries(a: &Csr<f64>) -> Vec<(usize, usize, f64)> {
    let row = |i| a.row(i).0.iter().zip(a.row(i).1).map(move |(&j, &v)| (i, j as usize, v));
    (0..a.rows()).flat_map(row).collect()
}

#[test]
fn what_is_no_csr_matrix_is_refused_with_the_place() {
    let new = |shape, starts: &[usize], columns: &[u32], values: &[f64]| {
        refusal(Csr::new(shape, starts.to_vec(), columns.to_vec(), values.to_vec()))
    };
    let message = new([2, 3], &[0, 1], &[0], &[1.0]);
    assert_eq!(message, "row_starts has length 2, but 3 (rows + 1) is needed");
    let message = new([1, 3], &[0, 1], &[0], &[]);
    assert_eq!(message, "values has length 0, but 1 (one for each column index) is needed");
    let message = new([1, 3], &[1, 1], &[0], &[1.0]);
    assert_eq!(message, "row_starts is 1 … 1, but it must run from 0 to 1, the number of entries");
    let message = new([2, 3], &[0, 2, 1], &[0], &[1.0]);
    assert_eq!(message, "row_starts is 0 … 2 at row 0, but it must not decrease nor pass the entries");
    let message = new([3, 3], &[0, 2, 1, 2], &[0, 1], &[1.0, 2.0]);
    assert!(message.starts_with("row_starts is 2 … 1 at row 1"), "{message}");
    let message = new([2, 3], &[0, 1, 2], &[0, 3], &[1.0, 2.0]);
    assert_eq!(message, "a column index of row 1 is 3, but columns must be below 3");
    for columns in [[2, 1], [1, 1]] {
        let message = new([1, 3], &[0, 2], &columns, &[1.0, 2.0]);
        assert!(message.starts_with("the column order of row 0 is"), "{message}");
        assert!(message.contains("must increase strictly"), "{message}");
    }
    let message = new([1, 3], &[0, 2], &[0, 1], &[1.0, f64::NAN]);
    assert_eq!(message, "the matrix's values[1] is NaN: every entry must be finite");
    let message = new([1, 1 << 32], &[0, 0], &[], &[]);
    assert!(message.contains("the number of columns is 4294967296"), "{message}");
    let message = new([usize::MAX, 1], &[0, 0], &[], &[]);
    assert!(message.starts_with("the number of rows is"), "{message}");
}

#[test]
fn triplets_are_sorted_and_added() {
    let triplets = [(1, 2, 1.0), (0, 1, 2.0), (1, 0, 3.0), (1, 2, 0.5), (1, 2, -4.0), (3, 0, 0.0)];
    let a = Csr::from_triplets([4, 3], &triplets).unwrap();
    assert_eq!(entries(&a), [(0, 1, 2.0), (1, 0, 3.0), (1, 2, -2.5), (3, 0, 0.0)]);
    assert_eq!(a.row_starts(), [0, 1, 3, 3, 4]);
    let of = |t: &[(usize, usize, f64)]| refusal(Csr::from_triplets([4, 3], t));
    assert_eq!(
        of(&[(0, 3, 1.0)]),
        "a triplet's place is (0, 3), but rows must be below 4 and columns below 3"
    );
    assert!(of(&[(4, 0, 1.0)]).contains("(4, 0)"));
    assert_eq!(of(&[(2, 1, f64::INFINITY)]), "the entry (2, 1) is inf, but it must be finite");
    assert!(of(&[(2, 1, f64::MAX), (2, 1, f64::MAX)]).starts_with("the sum of the entries (2, 1) is inf"));
    assert!(refusal(Csr::from_triplets([1 << 40, 1], &[(0, 0, 1.0)])).contains("the number of rows"));
    let d = Csr::from_diagonal(&[1.0, 2.0]).unwrap();
    assert_eq!(entries(&d), [(0, 0, 1.0), (1, 1, 2.0)]);
    assert!(refusal(Csr::from_diagonal(&[f64::NAN])).contains("the diagonal[0]"));
}

#[test]
fn sums_and_multiples_are_the_dense_ones() {
    let (a, b) = (random::<f64>(1, [30, 20], 0.2), random::<f64>(2, [30, 20], 0.3));
    let c = a.plus(2.0, &b, -0.5).unwrap();
    let (mut by_rows, mut by_cols) = (a.clone(), a.clone());
    let (r, s) = (vector::<f64>(3, 30), vector::<f64>(4, 20));
    by_rows.scale_rows(&r).unwrap();
    by_cols.scale_cols(&s).unwrap();
    for i in 0..30 {
        for j in 0..20 {
            assert!((c.get(i, j) - (2.0 * a.get(i, j) - 0.5 * b.get(i, j))).abs() <= 1e-15);
            assert_eq!(by_rows.get(i, j), a.get(i, j) * r[i]);
            assert_eq!(by_cols.get(i, j), a.get(i, j) * s[j]);
            let stored = |m: &Csr<f64>| m.row(i).0.contains(&(j as u32));
            assert_eq!(stored(&c), stored(&a) || stored(&b));
        }
    }
    let square = random::<f64>(5, [9, 9], 0.3);
    let shifted = square.shift(1.5).unwrap();
    assert!((0..9).all(|i| shifted.get(i, i) == square.get(i, i) + 1.5));
    assert_eq!(shifted.diagonal_places().unwrap().len(), 9);
    let mut scaled = square.clone();
    scaled.scale(-3.0);
    assert!(entries(&scaled).iter().zip(entries(&square)).all(|(s, a)| s.2 == -3.0 * a.2));
    assert!(refusal(a.plus(1.0, &a.transpose(), 1.0)).contains("B in the sum is 20 × 30"));
    assert!(refusal(a.plus(f64::NAN, &a, 1.0)).contains("the factors of a sum[0] is NaN"));
    assert!(refusal(a.shift(1.0)).contains("it must be square"));
    assert!(refusal(by_rows.scale_rows(&s)).contains("the factors of the rows has length 20"));
    assert!(refusal(by_rows.scale_cols(&[f64::NAN; 20])).contains("must be finite"));
}

#[test]
fn norms_are_the_dense_ones() {
    let a = random::<f64>(6, [25, 35], 0.2);
    let d = dense(&a);
    let most = |sums: Vec<f64>| sums.into_iter().fold(0.0, f64::max);
    let inf = most(d.iter().map(|row| row.iter().map(|v| v.abs()).sum()).collect());
    let one = most((0..35).map(|j| d.iter().map(|row| row[j].abs()).sum()).collect());
    let frobenius = d.iter().flatten().map(|v| v * v).sum::<f64>().sqrt();
    assert!((a.norm_inf() - inf).abs() <= 1e-14 && (a.norm_one() - one).abs() <= 1e-14);
    assert!((a.norm_frobenius() - frobenius).abs() <= 1e-14);
    assert_eq!(a.norm_max(), most(d.concat().iter().map(|v| v.abs()).collect()));
    let huge = Csr::from_diagonal(&[3e200_f64, 4e200]).unwrap();
    assert!((huge.norm_frobenius() / 5e200 - 1.0_f64).abs() < 1e-15, "no overflow on the way");
    let none = Csr::<f64>::from_triplets([3, 3], &[]).unwrap();
    assert_eq!([none.norm_inf(), none.norm_one(), none.norm_frobenius(), none.norm_max()], [0.0; 4]);
    assert!(refusal(huge.cast::<f32>()).contains("the values in the other precision[0]"));
    assert_eq!(a.cast::<f32>().unwrap().get(3, 4), a.get(3, 4) as f32);
}

#[test]
fn transposes_and_parts_have_the_entries_at_their_places() {
    let a = random::<f64>(7, [30, 22], 0.25);
    let t = a.transpose();
    assert_eq!(t.transpose(), a);
    assert!(entries(&a).iter().all(|&(i, j, v)| t.get(j, i) == v) && t.nnz() == a.nnz());
    // Repeated and reordered rows, reordered columns.
    let (rows, cols) = (vec![4, 29, 4, 0], vec![21, 3, 8, 0, 1]);
    let b = a.submatrix(&rows, &cols).unwrap();
    for (p, &i) in rows.iter().enumerate() {
        for (q, &j) in cols.iter().enumerate() {
            assert_eq!(b.get(p, q), a.get(i, j));
        }
    }
    let valid = Csr::new([4, 5], b.row_starts().to_vec(), b.columns().to_vec(), b.values().to_vec()).unwrap();
    assert_eq!(valid, b, "sorted, though the columns were not in order");
    let lower = a.lower();
    assert!(entries(&lower).iter().all(|&(i, j, _)| j <= i));
    assert_eq!(lower.nnz() + a.upper().nnz(), a.nnz() + entries(&a).iter().filter(|e| e.0 == e.1).count());
    assert!(refusal(a.submatrix(&[30], &[0])).contains("a row of the submatrix is 30"));
    assert!(refusal(a.submatrix(&[0], &[22])).contains("a column of the submatrix is 22"));
    assert!(refusal(a.submatrix(&[0], &[1, 2, 1])).contains("1 at 0 and at 2"));
}

#[test]
fn permutations_move_rows_and_columns() {
    let a = random::<f64>(8, [6, 6], 0.5);
    let order = [3, 0, 5, 1, 2, 4];
    let (p, q, both) = (a.permute_rows(&order), a.permute_cols(&order), a.permute(&order));
    let (p, q, both) = (p.unwrap(), q.unwrap(), both.unwrap());
    for i in 0..6 {
        for j in 0..6 {
            assert_eq!(p.get(i, j), a.get(order[i], j));
            assert_eq!(q.get(i, j), a.get(i, order[j]));
            assert_eq!(both.get(i, j), a.get(order[i], order[j]));
        }
    }
    let message = refusal(a.permute(&[0, 1, 2, 2, 4, 5]));
    assert_eq!(message, "an index of the order is 2, but each of 0..6 must occur once");
    assert!(refusal(a.permute_rows(&[0])).contains("the order has length 1"));
    assert!(refusal(a.permute_cols(&[0, 1, 2, 3, 4, 6])).contains("is 6"));
    assert!(refusal(a.submatrix(&[0], &[0, 1]).unwrap().permute(&[0])).contains("square"));
}

#[test]
fn symmetry_and_missing_diagonals_are_seen() {
    let a = random::<f64>(9, [12, 12], 0.3);
    let symmetric = a.plus(0.5, &a.transpose(), 0.5).unwrap();
    assert!(symmetric.is_symmetric(0.0) && symmetric.has_symmetric_pattern());
    assert!(!a.is_symmetric(1e-3) && !a.has_symmetric_pattern());
    let mut off = symmetric.clone();
    let k = (0..12).flat_map(|i| off.row(i).0.iter().map(move |&j| j as usize > i)).position(|up| up);
    off.values_mut()[k.unwrap()] += 1e-3;
    assert!((off.asymmetry().unwrap() - 1e-3).abs() < 1e-15);
    assert!(off.is_symmetric(1e-2) && !off.is_symmetric(1e-4) && off.has_symmetric_pattern());
    let wide = random::<f64>(10, [3, 4], 0.5);
    assert!(!wide.is_symmetric(1.0) && wide.asymmetry().is_err());
    let full = symmetric.shift(1.0).unwrap();
    for (i, k) in full.diagonal_places().unwrap().into_iter().enumerate() {
        assert_eq!(full.values()[k], full.get(i, i));
    }
    let message = refusal(full.filter(|i, j, _| (i, j) != (7, 7)).diagonal_places());
    assert_eq!(message, "the diagonal entry of row 7 is not stored, but every row needs one");
}

#[test]
fn matrices_of_sprs_come_and_go() {
    let a = random::<f64>(11, [20, 31], 0.2);
    let values = a.values().as_ptr();
    let s = a.clone().into_sprs();
    assert_eq!((s.rows(), s.cols(), s.nnz()), (20, 31, a.nnz()));
    assert_eq!(Csr::from_sprs(s.clone()).unwrap(), a);
    assert_eq!(Csr::from_sprs(s.to_csc()).unwrap(), a);
    assert_eq!(Csr::from_sprs(a.clone().into_sprs_usize()).unwrap(), a);
    assert_eq!(Csr::from_sprs(s.transpose_into()).unwrap(), a.transpose());
    let unsigned: sprs::CsMatI<f64, u16, u32> = a.clone().into_sprs_usize().to_other_types();
    assert_eq!(Csr::from_sprs(unsigned).unwrap(), a);
    let back = Csr::from_sprs(a.into_sprs()).unwrap();
    assert_eq!(back.values().as_ptr(), values, "moved, not copied");
    let bad = sprs::CsMat::new((1, 2), vec![0, 1], vec![1], vec![f64::NAN]);
    assert!(refusal(Csr::from_sprs(bad.clone())).contains("must be finite"));
    assert!(refusal(Csr::from_sprs(bad.to_csc())).contains("must be finite"));
}

#[test]
fn matrices_of_faer_come_and_go() {
    let a = random::<f64>(12, [20, 31], 0.2);
    let (rows, cols) = (a.to_faer_rows(), a.to_faer_cols());
    assert_eq!(rows.to_dense(), cols.to_dense());
    assert!(entries(&a).iter().all(|&(i, j, v)| rows.as_ref().get(i, j) == Some(&v)));
    assert_eq!(Csr::from_faer_rows(rows.as_ref()).unwrap(), a);
    assert_eq!(Csr::from_faer_cols(cols.as_ref()).unwrap(), a);
    assert_eq!(Csr::from_faer(rows.to_dense().as_ref()).unwrap(), a);
    // Uncompressed columns with rows out of order: the second place of column 0 is unused.
    use faer::sparse::{SparseColMat, SparseRowMat, SymbolicSparseColMat, SymbolicSparseRowMat};
    let parts = || (vec![0u32, 3, 5], Some(vec![2u32, 2]), vec![1u32, 0, 7, 2, 0]);
    let (starts, counts, indices) = parts();
    let pattern = SymbolicSparseColMat::<u32>::new_unsorted_checked(3, 2, starts, counts, indices);
    let uncompressed = SparseColMat::new(pattern, vec![1.0, 2.0, f64::NAN, 3.0, 4.0]);
    let b = Csr::from_faer_cols(uncompressed.as_ref()).unwrap();
    assert_eq!(entries(&b), [(0, 0, 2.0), (0, 1, 4.0), (1, 0, 1.0), (2, 1, 3.0)]);
    let (starts, counts, indices) = parts();
    let pattern = SymbolicSparseRowMat::<u32>::new_unsorted_checked(2, 3, starts, counts, indices);
    let unsorted = SparseRowMat::new(pattern, vec![1.0, 2.0, f64::NAN, 3.0, 4.0]);
    assert!(refusal(Csr::from_faer_rows(unsorted.as_ref())).contains("the column order of row 0"));
}

#[test]
fn dense_matrices_come_and_go() {
    let a = random::<f64>(13, [7, 11], 0.4);
    let n = a.to_nalgebra().unwrap();
    assert!((0..7).all(|i| (0..11).all(|j| n[(i, j)] == a.get(i, j))));
    assert_eq!(Csr::from_nalgebra(&n).unwrap(), a);
    assert_eq!(Csr::from_nalgebra(&n.transpose()).unwrap(), a.transpose());
    assert_eq!(Csr::from_dense([7, 11], &a.to_dense().unwrap()).unwrap(), a);
    assert!(refusal(Csr::from_dense([2, 2], &[1.0])).contains("the dense matrix has length 1"));
    assert!(refusal(Csr::from_dense([1, 1], &[f64::NAN])).contains("must be finite"));
    let vast = Csr::<f64>::from_triplets([1 << 21; 2], &[]).unwrap();
    let message = refusal(vast.to_dense());
    assert!(message.contains("is 3.5e13 bytes, but it must fit into memory"), "{message}");
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let a = random::<f64>(14, [4, 5], 0.5);
    let message = refusal(a.matmul(&a));
    assert_eq!(message, "B in the product A B is 4 × 5, but B must have 5 rows, as many as A has columns");
    assert!(refusal(a.galerkin(&a, &a)).contains("B in the product"));
    assert!(refusal(a.apply_block(&[0.0; 9], &mut [0.0; 8], 2)).contains("X has length 9"));
    assert!(refusal(a.apply_block(&[0.0; 10], &mut [0.0; 9], 2)).contains("Y has length 9"));
    assert!(refusal(a.square()).contains("is 4 × 5"));
    assert!(Csr::<f64>::identity(0).square().is_err());
}

/// A large band with a few full-width rows: enough work for the parallel paths.
fn large() -> Csr<f64> {
    let n = 30_000usize;
    let mut triplets = Vec::new();
    for i in 0..n {
        for j in [i.wrapping_sub(170), i.wrapping_sub(1), i, i + 1, i + 170, (i * 7919) % n] {
            if j < n {
                triplets.push((i, j, ((i * 31 + j * 17) % 101) as f64 - 50.3));
            }
        }
    }
    Csr::from_triplets([n, n], &triplets).unwrap()
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let a = large();
    let x = vector::<f64>(20, a.rows() * 3);
    let all = |threads| {
        let work = || {
            let n = a.rows();
            let mut out = vec![vec![0.0; n]; 4];
            a.apply(&x[..n], &mut out[0]);
            a.apply_transpose(&x[..n], &mut out[1]);
            a.residual(&x[n..2 * n], &x[..n], &mut out[2]);
            a.apply_add(&x[..n], &mut out[3], &mut []);
            let mut block = vec![0.0; 3 * n];
            a.apply_block(&x, &mut block, 3).unwrap();
            (out, block, a.matmul(&a).unwrap())
        };
        odeon::num::parallel::with_threads(threads, work).unwrap()
    };
    let (one, three) = (all(1), all(3));
    assert!(one.0 == three.0 && one.1 == three.1, "products with vectors");
    assert!(one.2 == three.2, "sparse products");
    let t = a.transpose();
    let mut want = vec![0.0; a.rows()];
    t.apply(&x[..a.rows()], &mut want);
    let far = want.iter().zip(&one.0[1]).fold(0.0, |most: f64, (a, b)| most.max((a - b).abs()));
    assert!(far <= 1e-12, "{far}");
}
