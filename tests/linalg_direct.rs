//! Direct solvers: exact identities, transposes, pivoting, refactorisation, refusals.

use odeon::linalg::{Budget, DenseLu, Direct, Factors, LinearOperator, LinearSolver};
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
