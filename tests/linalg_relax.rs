//! Stationary iterations and the preconditioners made of them, against their dense formulae.

use odeon::linalg::relax::{GaussSeidel, Jacobi, Richardson, Sweep};
use odeon::linalg::{Csr, Relaxation};

/// Small dense matrices, by columns of nalgebra.
type Dense = nalgebra::DMatrix<f64>;

fn dense(a: &Csr<f64>) -> Dense {
    Dense::from_fn(a.rows(), a.cols(), |i, j| a.get(i, j))
}

/// Numbers without pattern in [−1, 1].
fn noise(n: usize, seed: f64) -> Vec<f64> {
    (0..n).map(|i| ((i as f64 + 1.3) * 12.9898 * seed).sin() * 43758.5453 % 1.0).collect()
}

/// A sparse diagonally dominant matrix; symmetric or not. The rows are irregular: some have no
/// neighbour i ± 1, some only lower, some only upper entries.
fn random(n: usize, symmetric: bool) -> Csr<f64> {
    let mut triplets = Vec::new();
    for i in 0..n {
        triplets.push((i, i, 4.0 + (i as f64).sin()));
        for (k, step) in [1, 3, 7, 12].into_iter().enumerate() {
            let j = i + step;
            if j < n && (i * 7 + k * 5) % 4 != 0 {
                let v = ((i * 31 + k * 17) as f64).sin();
                triplets.push((i, j, v));
                if symmetric {
                    triplets.push((j, i, v));
                } else if (i + k) % 3 != 0 {
                    triplets.push((j, i, 0.7 * v + 0.1));
                }
            }
        }
    }
    Csr::from_triplets([n, n], &triplets).unwrap()
}

/// The 5-point Laplacian on an m × m grid, diagonal 4.
fn poisson(m: usize) -> Csr<f64> {
    let mut triplets = Vec::new();
    for i in 0..m * m {
        triplets.push((i, i, 4.0));
        for (j, there) in [(i + 1, i % m + 1 < m), (i + m, i + m < m * m)] {
            if there {
                triplets.extend([(i, j, -1.0), (j, i, -1.0)]);
            }
        }
    }
    Csr::from_triplets([m * m, m * m], &triplets).unwrap()
}

fn near(what: &str, a: &[f64], b: &[f64]) {
    let size = b.iter().fold(1.0f64, |m, v| m.max(v.abs()));
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        assert!((a - b).abs() <= 1e-13 * size, "{what}: entry {i} is {a}, not {b}");
    }
}

fn vector(x: &[f64]) -> nalgebra::DVector<f64> {
    nalgebra::DVector::from_column_slice(x)
}

/// A sweep, its adjoint, the one from zero and the transposed one, against M.
fn check<R: Relaxation<f64, Csr<f64>>>(what: &str, a: &Csr<f64>, mut relaxation: R, m: &Dense) {
    let n = a.rows();
    let (b, x0) = (noise(n, 1.0), noise(n, 2.0));
    let inverse = m.clone().try_inverse().unwrap();
    let residual = vector(&b) - dense(a) * vector(&x0);
    let mut x = x0.clone();
    relaxation.sweep(a, &b, &mut x);
    near(&format!("{what}: sweep"), &x, (vector(&x0) + &inverse * &residual).as_slice());
    let mut x = vec![f64::NAN; n];
    relaxation.sweep_from_zero(a, &b, &mut x);
    near(&format!("{what}: from zero"), &x, (&inverse * vector(&b)).as_slice());
    let mut x = vec![f64::NAN; n];
    relaxation.transpose_from_zero(a, &b, &mut x).unwrap();
    near(&format!("{what}: transpose"), &x, (inverse.transpose() * vector(&b)).as_slice());
    if dense(a) == dense(a).transpose() {
        let mut x = x0.clone();
        relaxation.sweep_adjoint(a, &b, &mut x);
        let adjoint = vector(&x0) + inverse.transpose() * residual;
        near(&format!("{what}: adjoint"), &x, adjoint.as_slice());
    }
    let spd = m == &m.transpose() || (m - m.transpose()).norm() < 1e-12 * m.norm();
    let spd = spd && m.clone().cholesky().is_some();
    assert!(spd || !relaxation.is_spd(), "{what} claims to be SPD");
}

/// D, L, U as dense matrices.
fn split(a: &Csr<f64>) -> [Dense; 3] {
    let a = dense(a);
    [
        Dense::from_diagonal(&a.diagonal()),
        a.lower_triangle() - Dense::from_diagonal(&a.diagonal()),
        a.upper_triangle() - Dense::from_diagonal(&a.diagonal()),
    ]
}

#[test]
fn sweeps_are_their_formulae() {
    for a in [random(30, false), random(30, true), poisson(5)] {
        let [d, l, u] = split(&a);
        let n = a.rows();
        check("Richardson", &a, Richardson::new(&a, 0.2).unwrap(), &(Dense::identity(n, n) / 0.2));
        for omega in [1.0, 0.6] {
            check("Jacobi", &a, Jacobi::new(&a, omega).unwrap(), &(&d / omega));
        }
        for omega in [1.0, 0.6, 1.7] {
            let sor = |sweep| GaussSeidel::sor(&a, omega, sweep).unwrap();
            check("SOR", &a, sor(Sweep::Natural), &(&d / omega + &l));
            check("reverse SOR", &a, sor(Sweep::Reverse), &(&d / omega + &u));
            let inverse = d.clone().try_inverse().unwrap();
            let m = (&d + omega * &l) * inverse * (&d + omega * &u) / (omega * (2.0 - omega));
            check("SSOR", &a, sor(Sweep::Symmetric), &m);
        }
    }
}

/// Claims hold where they should, too.
#[test]
fn spd_claims() {
    let (symmetric, skew) = (random(30, true), random(30, false));
    for order in [Sweep::Natural, Sweep::Reverse] {
        assert!(!GaussSeidel::new(&symmetric, order).unwrap().is_spd());
    }
    assert!(GaussSeidel::new(&symmetric, Sweep::Symmetric).unwrap().is_spd());
    assert!(GaussSeidel::new(&symmetric, Sweep::Symmetric).unwrap().sweeps_are_spd(2));
    assert!(!GaussSeidel::new(&skew, Sweep::Symmetric).unwrap().is_spd());
    let mut one_off = symmetric.clone();
    let last = one_off.nnz() - 2;
    one_off.values_mut()[last] += 1e-9;
    assert!(!GaussSeidel::new(&one_off, Sweep::Symmetric).unwrap().is_spd());
    let negative = Csr::from_triplets([2, 2], &[(0, 0, 1.0), (1, 1, -1.0)]).unwrap();
    assert!(!GaussSeidel::new(&negative, Sweep::Symmetric).unwrap().is_spd());
    let jacobi = Jacobi::new(&negative, 1.0).unwrap();
    assert!(!Relaxation::<f64, Csr<f64>>::is_spd(&jacobi));
}
