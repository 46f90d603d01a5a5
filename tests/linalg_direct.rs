//! Direct solvers: exact identities, transposes, pivoting, refactorisation, refusals.

use odeon::linalg::{BandedLu, DenseCholesky, DenseQr, SparseCholesky, SparseQr};
use odeon::linalg::{Budget, Csr, DenseLu, Direct, Factors, LinearOperator, LinearSolver, Pattern, SparseLu};
use odeon::num::Real;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Uniform in [−1, 1].
fn random<T: Real>(n: usize, seed: u64) -> Vec<T> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..n).map(|_| T::of(rng.random_range(-1.0..1.0))).collect()
}

/// A dense column-major matrix.
#[derive(Clone, Debug)]
struct Dense<T>(usize, Vec<T>);

impl<T: Real> LinearOperator<T> for Dense<T> {
    fn rows(&self) -> usize {
        self.0
    }
    fn cols(&self) -> usize {
        self.1.len() / self.0
    }
    fn apply(&self, x: &[T], y: &mut [T]) {
        y.fill(T::zero());
        for (column, &x) in self.1.chunks(self.0).zip(x) {
            for (y, &a) in y.iter_mut().zip(column) {
                *y += a * x;
            }
        }
    }
    fn apply_transpose(&self, y: &[T], x: &mut [T]) {
        for (column, x) in self.1.chunks(self.0).zip(x) {
            *x = column.iter().zip(y).map(|(&a, &y)| a * y).sum();
        }
    }
}

fn largest<T: Real>(x: &[T]) -> f64 {
    x.iter().fold(0.0, |m: f64, v| m.max(v.f64().abs()))
}

/// ‖b − op(A) x‖∞ for both solves with a known solution, relative to ‖x‖∞ n.
fn backward_errors<T: Real>(a: &dyn LinearOperator<T>, f: &mut dyn Factors<T>, seed: u64) -> [f64; 2] {
    let n = f.len();
    let b = random::<T>(n, seed);
    [false, true].map(|transposed| {
        let (mut x, mut r) = (b.clone(), vec![T::zero(); n]);
        if transposed {
            f.solve_transpose(&mut x)
        } else {
            f.solve(&mut x)
        }
        if transposed {
            a.apply_transpose(&x, &mut r)
        } else {
            a.apply(&x, &mut r)
        }
        let r: Vec<T> = r.iter().zip(&b).map(|(&r, &b)| r - b).collect();
        largest(&r) / (largest(&x) * n as f64)
    })
}

const SIZES: [usize; 16] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 31, 64, 65, 191, 200];

fn dense_lu_is_backward_stable<T: Real>() {
    for n in SIZES {
        let a = Dense(n, random::<T>(n * n, n as u64));
        let mut lu = DenseLu::new(n);
        lu.factor(&random::<T>(n * n, 99)).unwrap();
        lu.factor(&a.1).unwrap();
        for error in backward_errors(&a, &mut lu, 7) {
            assert!(error < 4.0 * T::EPSILON.f64(), "n = {n}: {error:e}");
        }
    }
}

#[test]
fn dense_lu_is_backward_stable_at_every_size_and_its_transpose_too() {
    dense_lu_is_backward_stable::<f64>();
    dense_lu_is_backward_stable::<f32>();
}

#[test]
fn dense_lu_exchanges_rows_where_the_diagonal_is_zero() {
    for n in SIZES {
        // The cyclic shift: x_i = b_{i+1}, every diagonal entry 0 (n > 1); exact.
        let mut a = vec![0.0; n * n];
        (0..n).for_each(|i| a[((i + 1) % n) * n + i] = 1.0);
        let mut lu = DenseLu::new(n);
        lu.factor(&a).unwrap();
        let b: Vec<f64> = (0..n).map(|i| i as f64).collect();
        let (mut x, mut y) = (b.clone(), b.clone());
        lu.solve(&mut x);
        lu.solve_transpose(&mut y);
        for i in 0..n {
            assert_eq!(x[(i + 1) % n], b[i], "n = {n}");
            assert_eq!(y[i], b[(i + 1) % n], "n = {n}");
        }
    }
}

#[test]
fn dense_lu_names_the_pivot_that_fails() {
    for n in [2, 3, 8, 9, 40, 200] {
        // Column n − 1 repeats column 0; small integers, so the elimination is exact for the shift.
        let mut a = vec![0.0; n * n];
        (0..n).for_each(|i| a[i * n + i] = 2.0);
        a[(n - 1) * n + n - 1] = 0.0;
        a[(n - 1) * n] = 2.0;
        let mut lu = DenseLu::new(n);
        let message = lu.factor(&a).unwrap_err().to_string();
        assert!(
            message.starts_with(&format!("the pivot of column {} in the dense LU is 0", n - 1)),
            "{message}"
        );
        let good = random::<f64>(n * n, 3);
        lu.factor(&good).unwrap();
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            for at in [0, 1, n - 1, n * n / 2, n * (n - 1), n * n - 1] {
                let mut a = good.clone();
                a[at] = bad;
                let message = lu.factor(&a).unwrap_err().to_string();
                assert!(message.contains("must be finite"), "n = {n}, {bad} at {at}: {message}");
            }
        }
    }
    let message = DenseLu::new(3).factor(&[1.0; 8]).unwrap_err().to_string();
    assert_eq!(message, "the matrix of a dense LU has length 8, but 9 (n² with n = 3) is needed");
}

#[test]
fn dense_memory_beyond_the_budget_is_refused_before_allocation() {
    let message = DenseLu::<f64>::within(1 << 30, Budget::default()).unwrap_err().to_string();
    assert!(message.contains("8388608.0 TiB"), "{message}");
    assert!(DenseLu::<f64>::within(0, Budget::default()).is_err());
    assert!(DenseLu::<f64>::within(100, Budget::bytes(80_000)).is_ok());
    assert!(DenseLu::<f64>::within(100, Budget::bytes(79_999)).is_err());
}

#[test]
fn a_direct_solver_reports_the_true_residual() {
    let n = 30;
    let a = Dense(n, random::<f64>(n * n, 1));
    let mut lu = DenseLu::new(n);
    lu.factor(&a.1).unwrap();
    let mut solver = Direct::new(a.clone(), lu.clone()).unwrap();
    let (b, mut x, mut r) = (random::<f64>(n, 2), vec![0.0; n], vec![0.0; n]);
    let report = solver.solve(&b, &mut x).unwrap();
    assert!(report.converged());
    a.residual(&b, &x, &mut r);
    assert_eq!(report.residual(), r.iter().map(|v| v * v).sum::<f64>().sqrt());
    let report = solver.solve_transpose(&b, &mut x).unwrap();
    assert!(report.converged() && report.relative_residual() < 1e-12);
    // The factors of another matrix do not pass for those of this one.
    let other = Dense(n, random::<f64>(n * n, 5));
    let report = Direct::new(other, lu.clone()).unwrap().solve(&b, &mut x).unwrap();
    assert!(!report.converged() && report.ok().is_err());
    assert!(Direct::new(Dense(2, vec![1.0; 4]), lu).is_err());
    assert!(solver.solve(&b[1..], &mut x).is_err());
    assert!(solver.solve(&vec![f64::NAN; n], &mut x).is_err());
}

/// The periodic five-point Laplacian of two coupled species, I − γ(L + reaction): what an implicit step
/// for the 2-D Brusselator factors.
fn coupled(n: usize, gamma: f64, seed: u64) -> Csr<f64> {
    let at = |i: usize, j: usize, s: usize| 2 * ((i % n) * n + j % n) + s;
    let noise = random::<f64>(4 * n * n, seed);
    let mut entries = Vec::new();
    for k in 0..n * n {
        let (i, j) = (k / n + n, k % n + n);
        for s in 0..2 {
            let row = at(i, j, s);
            for (a, b) in [(i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)] {
                entries.push((row, at(a, b, s), -gamma));
            }
            entries.push((row, row, 1.0 + 4.0 * gamma + 0.3 * noise[4 * k + s]));
            entries.push((row, at(i, j, 1 - s), noise[4 * k + 2 + s]));
        }
    }
    Csr::from_triplets([2 * n * n; 2], &entries).unwrap()
}

/// A sparse matrix with `per_row` random entries a row beside a diagonal of size `diagonal`.
fn scattered(n: usize, per_row: usize, diagonal: f64, seed: u64) -> Csr<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut entries = Vec::new();
    for i in 0..n {
        entries.push((i, i, diagonal));
        for _ in 0..per_row {
            entries.push((i, rng.random_range(0..n), rng.random_range(-1.0..1.0)));
        }
    }
    Csr::from_triplets([n, n], &entries).unwrap()
}

#[test]
fn sparse_lu_is_backward_stable_and_refactors_without_analysis() {
    let matrices = [
        coupled(9, 10.0, 1),
        coupled(4, 0.1, 2),
        Csr::identity(1),
        Csr::identity(7),
        scattered(60, 3, 4.0, 3),
        scattered(150, 2, 3.0, 4),
        scattered(40, 30, 9.0, 5),
    ];
    for (k, a) in matrices.into_iter().enumerate() {
        let mut lu = SparseLu::of(&a, Budget::default()).unwrap();
        for round in 0..3 {
            let mut b = a.clone();
            let noise = random::<f64>(a.nnz(), 10 + round);
            b.values_mut().iter_mut().zip(noise).for_each(|(v, e)| *v *= 1.0 + 0.1 * e);
            lu.factor(b.values()).unwrap();
            assert!(!lu.is_general(), "matrix {k}");
            for error in backward_errors(&b, &mut lu, 7) {
                assert!(error < 4e-15, "matrix {k}, round {round}: {error:e}");
            }
        }
    }
}

#[test]
fn sparse_lu_in_single_precision() {
    let a = coupled(8, 2.0, 1);
    let values = a.values().iter().map(|&v| v as f32).collect();
    let a = Csr::new([a.rows(); 2], a.row_starts().to_vec(), a.columns().to_vec(), values).unwrap();
    let mut lu = SparseLu::of(&a, Budget::default()).unwrap();
    for error in backward_errors(&a, &mut lu, 7) {
        assert!(error < 1e-6, "{error:e}");
    }
}

#[test]
fn sparse_lu_exchanges_rows_anywhere_where_the_diagonal_gives_nothing() {
    // Zero diagonals: the cyclic shift, and a saddle point.
    let shift: Vec<_> = (0..50).map(|i| (i, (i + 1) % 50, 2.0)).collect();
    let shift = Csr::from_triplets([50, 50], &shift).unwrap();
    let mut saddle: Vec<_> = (0..30).map(|i| (i, i, 1.0 + i as f64)).collect();
    for i in 0..10 {
        saddle.extend([
            (3 * i, 30 + i, 1.0),
            (30 + i, 3 * i, 1.0),
            (3 * i + 1, 30 + i, 1.0),
            (30 + i, 3 * i + 1, -1.0),
        ]);
    }
    let saddle = Csr::from_triplets([40, 40], &saddle).unwrap();
    let mut tiny = coupled(6, 1.0, 3);
    for i in 0..72 {
        let k = Pattern::of(&tiny).find(i, i).unwrap();
        tiny.values_mut()[k] = 1e-12;
    }
    for (a, general) in [(&shift, true), (&saddle, false), (&tiny, false)] {
        let mut lu = SparseLu::of(a, Budget::default()).unwrap();
        assert!(lu.is_general() || !general);
        for error in backward_errors(a, &mut lu, 7) {
            assert!(error < 1e-13, "{error:e}");
        }
        lu.factor(a.values()).unwrap();
        for error in backward_errors(a, &mut lu, 8) {
            assert!(error < 1e-13, "{error:e}");
        }
    }
}

#[test]
fn sparse_lu_refuses_what_it_cannot_factor() {
    // A row of zeros, a repeated row, a pattern without an entry in a column.
    let zero = Csr::from_triplets([3, 3], &[(0, 0, 1.0), (1, 1, 0.0), (2, 2, 1.0), (1, 0, 0.0)]).unwrap();
    let twice = Csr::from_triplets([2, 2], &[(0, 0, 1.0), (0, 1, 2.0), (1, 0, 1.0), (1, 1, 2.0)]).unwrap();
    let empty = Csr::from_triplets([3, 3], &[(0, 0, 1.0), (1, 0, 2.0), (2, 2, 1.0)]).unwrap();
    for a in [zero, twice, empty] {
        let error = SparseLu::of(&a, Budget::default()).unwrap_err().to_string();
        assert!(error.contains("sparse LU") && error.contains("singular"), "{error}");
    }
    let a = coupled(5, 1.0, 1);
    let mut lu = SparseLu::of(&a, Budget::default()).unwrap();
    let mut values = a.values().to_vec();
    assert!(lu.factor(&values[1..]).is_err());
    values[3] = f64::NAN;
    assert!(lu.factor(&values).unwrap_err().to_string().contains("[3] is NaN"));
    lu.factor(a.values()).unwrap();
    assert!(
        SparseLu::<f64>::new(&Pattern::from_rows([2, 3], &[vec![], vec![]]).unwrap(), Budget::default())
            .is_err()
    );
    let message = SparseLu::<f64>::new(&Pattern::of(&a), Budget::bytes(1000)).unwrap_err().to_string();
    assert!(message.starts_with("the memory that a sparse LU of 50 unknowns needs is"), "{message}");
}

#[test]
fn sparse_lu_fills_in_as_nested_orders_do() {
    // Pinned, so that a worse order or grouping is seen: 2450 unknowns of the Brusselator.
    let a = coupled(35, 1.0, 1);
    let lu = SparseLu::<f64>::new(&Pattern::of(&a), Budget::default()).unwrap();
    assert!(lu.nnz_factors() < 300_000, "{}", lu.nnz_factors());
}

#[test]
fn banded_lu_is_backward_stable_with_and_without_exchanges() {
    for (n, lower, upper) in
        [(1, 0, 0), (2, 1, 1), (9, 0, 2), (9, 2, 0), (40, 1, 1), (40, 3, 2), (40, 2, 5), (12, 11, 11)]
    {
        let width = lower + upper + 1;
        for dominant in [0.0, 8.0] {
            let mut band = random::<f64>(width * n, n as u64);
            (0..n).for_each(|j| band[j * width + upper] += dominant);
            let mut entries = Vec::new();
            for j in 0..n {
                for i in j.saturating_sub(upper)..(j + lower + 1).min(n) {
                    entries.push((i, j, band[j * width + upper + i - j]));
                }
            }
            let a = Csr::from_triplets([n, n], &entries).unwrap();
            assert_eq!(Pattern::of(&a).bandwidth(), [lower, upper]);
            let mut lu = BandedLu::new(n, [lower, upper], Budget::default()).unwrap();
            lu.factor(&band).unwrap();
            let first = backward_errors(&a, &mut lu, 5);
            lu.factor_sparse(&Pattern::of(&a), a.values()).unwrap();
            assert_eq!(backward_errors(&a, &mut lu, 5), first);
            for error in first {
                assert!(error < 2e-15, "n = {n}, {lower}, {upper}: {error:e}");
            }
        }
    }
}

#[test]
fn banded_lu_refuses_what_it_cannot_factor() {
    assert!(BandedLu::<f64>::new(0, [0, 0], Budget::default()).is_err());
    assert!(BandedLu::<f64>::new(3, [3, 0], Budget::default()).is_err());
    assert!(BandedLu::<f64>::new(1000, [10, 10], Budget::bytes(1000 * 31 * 8 - 1)).is_err());
    let mut lu = BandedLu::new(3, [1, 1], Budget::default()).unwrap();
    assert!(lu.factor(&[1.0; 8]).is_err());
    let message = lu.factor(&[9.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 9.0]).unwrap_err().to_string();
    assert!(message.starts_with("the pivot of column 1 in the banded LU is 0"), "{message}");
    assert!(lu.factor(&[9.0, 1.0, f64::NAN, 0.0, 1.0, 0.0, 0.0, 1.0, 9.0]).is_err());
    let wide = Csr::from_triplets([3, 3], &[(0, 2, 1.0)]).unwrap();
    assert!(
        lu.factor_sparse(&Pattern::of(&wide), wide.values()).unwrap_err().to_string().contains("bandwidths")
    );
}

/// M Mᵀ + I, column-major.
fn spd(n: usize) -> Vec<f64> {
    let m = random::<f64>(n * n, 3);
    let entry = |i: usize, j: usize| (0..n).map(|k| m[k * n + i] * m[k * n + j]).sum::<f64>();
    (0..n * n).map(|k| entry(k % n, k / n) + if k % n == k / n { 1.0 } else { 0.0 }).collect()
}

#[test]
fn dense_cholesky_solves_spd_and_names_the_pivot_of_others() {
    for n in [1, 2, 3, 8, 17, 60] {
        let a = Dense(n, spd(n));
        let mut f = DenseCholesky::new(n);
        f.factor(&a.1).unwrap();
        for error in backward_errors(&a, &mut f, 4) {
            assert!(error < 4e-15 * n as f64, "n = {n}: {error:e}");
        }
    }
    // The leading 2 × 2 block is indefinite: its second pivot is 1 − 4.
    let message = DenseCholesky::new(2).factor(&[1.0, 2.0, 2.0, 1.0]).unwrap_err().to_string();
    assert_eq!(
        message,
        "the pivot of column 1 in the dense Cholesky is -3, but it must be positive: the matrix is not SPD (use LU)"
    );
    assert!(DenseCholesky::new(2).factor(&[1.0, f64::NAN, 0.0, 1.0]).is_err());
    assert!(DenseCholesky::new(2).factor(&[1.0; 3]).is_err());
    assert!(DenseCholesky::<f64>::within(1000, Budget::bytes(7_999_999)).is_err());
}

#[test]
fn sparse_cholesky_solves_spd_and_refuses_others() {
    let n = 12;
    let at = |i: usize, j: usize| i * n + j;
    let mut entries = Vec::new();
    for i in 0..n {
        for j in 0..n {
            entries.push((at(i, j), at(i, j), 4.0));
            if i + 1 < n {
                entries.extend([(at(i, j), at(i + 1, j), -1.0), (at(i + 1, j), at(i, j), -1.0)]);
            }
            if j + 1 < n {
                entries.extend([(at(i, j), at(i, j + 1), -1.0), (at(i, j + 1), at(i, j), -1.0)]);
            }
        }
    }
    let mut a = Csr::from_triplets([n * n, n * n], &entries).unwrap();
    let mut f = SparseCholesky::of(&a, Budget::default()).unwrap();
    for scale in [1.0, 3.0] {
        a.values_mut().iter_mut().for_each(|v| *v *= scale);
        f.factor(a.values()).unwrap();
        for error in backward_errors(&a, &mut f, 4) {
            assert!(error < 1e-15, "{error:e}");
        }
    }
    let diagonal = Pattern::of(&a).find(5, 5).unwrap();
    a.values_mut()[diagonal] = -4.0;
    assert!(f.factor(a.values()).unwrap_err().to_string().contains("not SPD"));
    let lopsided = Csr::from_triplets([2, 2], &[(0, 0, 1.0), (0, 1, 0.5), (1, 1, 1.0)]).unwrap();
    let message = SparseCholesky::of(&lopsided, Budget::default()).unwrap_err().to_string();
    assert!(message.contains("the entry (0, 1)") && message.contains("symmetric"), "{message}");
    assert!(SparseCholesky::<f64>::new(&Pattern::of(&a), Budget::bytes(100)).is_err());
}

#[test]
fn least_squares_residuals_are_orthogonal_to_the_columns() {
    let (m, n) = (20, 6);
    let dense = Dense(m, random::<f64>(m * n, 8));
    let mut qr = DenseQr::new([m, n], Budget::default()).unwrap();
    qr.factor(&dense.1).unwrap();
    let tall = {
        let mut entries: Vec<_> = (0..n).map(|j| (j, j, 2.0)).collect();
        entries.extend((0..m).map(|i| (i, (3 * i) % n, 0.3 + i as f64 / 7.0)));
        Csr::from_triplets([m, n], &entries).unwrap()
    };
    let mut sparse = SparseQr::of(&tall, Budget::default()).unwrap();
    sparse.factor(tall.values()).unwrap();
    let b = random::<f64>(m, 2);
    let check = |a: &dyn LinearOperator<f64>, x: &[f64], norm: Option<f64>| {
        let (mut r, mut normal) = (vec![0.0; m], vec![0.0; n]);
        a.residual(&b, x, &mut r);
        a.apply_transpose(&r, &mut normal);
        assert!(largest(&normal) < 1e-13, "{normal:?}");
        let size = r.iter().map(|v| v * v).sum::<f64>().sqrt();
        assert!(size > 0.1 && norm.is_none_or(|n| (n - size).abs() < 1e-13));
    };
    let mut work = b.clone();
    let x = qr.solve(&mut work).to_vec();
    check(&dense, &x, Some(work[n..].iter().map(|v| v * v).sum::<f64>().sqrt()));
    let mut work = b.clone();
    check(&tall, sparse.solve(&mut work), None);
}

#[test]
fn least_squares_refuses_dependent_columns_and_wrong_shapes() {
    let mut qr = DenseQr::new([3, 2], Budget::default()).unwrap();
    let message = qr.factor(&[1.0, 2.0, 3.0, 2.0, 4.0, 6.0]).unwrap_err().to_string();
    assert!(message.contains("the diagonal entry 1 of R") && message.contains("depends"), "{message}");
    assert!(qr.factor(&[0.0; 6]).is_err());
    assert!(qr.factor(&[1.0, 2.0, f64::NAN, 2.0, 4.0, 6.0]).unwrap_err().to_string().contains("finite"));
    assert!(qr.factor(&[1.0; 5]).is_err());
    assert!(DenseQr::<f64>::new([2, 3], Budget::default()).is_err());
    assert!(DenseQr::<f64>::new([3, 0], Budget::default()).is_err());
    assert!(DenseQr::<f64>::new([300, 200], Budget::bytes(1)).is_err());
    let wide = Csr::from_triplets([2, 3], &[(0, 0, 1.0)]).unwrap();
    assert!(SparseQr::of(&wide, Budget::default()).is_err());
    let empty_column = Csr::from_triplets([3, 2], &[(0, 0, 1.0), (1, 0, 2.0)]).unwrap();
    assert!(SparseQr::of(&empty_column, Budget::default()).is_err());
}
