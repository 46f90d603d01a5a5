//! Sparse matrices against dense ones, entry by entry, on random patterns.

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
        for cols in [0, 1, 50] {
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
