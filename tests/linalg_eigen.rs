//! Spectra against the known ones of Laplacians.
// Matrices are indexed by row and column.
#![allow(clippy::needless_range_loop)]

mod linalg_support;

use linalg_support::{convection, inner, norm, poisson, product, random, with_spectrum};
use odeon::linalg::eigen::{EigenSettings, Eigenpairs, End, Lanczos, ShiftInvert};
use odeon::linalg::eigen::{arnoldi, extreme_eigenvalues, lanczos, lobpcg, power, settled_eigenvalues};
use odeon::linalg::krylov::{Cg, Gmres, Owned};
use odeon::linalg::{Claims, Csr, Identity, LinearOperator, LinearSolver, Outcome, Preconditioner, Settings};
use std::f64::consts::PI;

/// tridiag(−1, 2, −1) of size n; eigenvalues 4 sin²(jπ/(2(n + 1))).
fn laplacian(n: usize) -> Csr<f64> {
    shifted(n, 0.0)
}

fn shifted(n: usize, shift: f64) -> Csr<f64> {
    let mut t = Vec::new();
    for i in 0..n {
        t.push((i, i, 2.0 + shift));
        if i > 0 {
            t.push((i, i - 1, -1.0));
            t.push((i - 1, i, -1.0));
        }
    }
    Csr::from_triplets([n, n], &t).unwrap()
}

fn eigenvalue(n: usize, j: usize) -> f64 {
    4.0 * (j as f64 * PI / (2.0 * (n as f64 + 1.0))).sin().powi(2)
}

/// M = diagonal.
struct Diagonal(Vec<f64>);
impl Preconditioner<f64> for Diagonal {
    fn len(&self) -> usize {
        self.0.len()
    }
    fn claims(&self) -> Claims {
        Claims::SPD
    }
    fn apply(&mut self, r: &[f64], z: &mut [f64]) {
        for ((z, r), d) in z.iter_mut().zip(r).zip(&self.0) {
            *z = r / d;
        }
    }
}

#[test]
fn bounds_enclose_the_spectrum() {
    let n = 60;
    let a = laplacian(n);
    let exact = [eigenvalue(n, 1), eigenvalue(n, n)];
    let all = extreme_eigenvalues(&a, &mut Identity(n), 2 * n).unwrap();
    assert!((all.min - exact[0]).abs() < 1e-10 && (all.max - exact[1]).abs() < 1e-10, "{all:?}");
    let few = extreme_eigenvalues(&a, &mut Identity(n), 10).unwrap();
    assert!(few.max <= exact[1] && exact[1] <= few.max + few.max_error, "{few:?}");
    assert!(few.max > 0.95 * exact[1] && few.min >= exact[0], "{few:?}");
    assert_eq!(few.steps, 10);
    // Ends that have settled end the process early, near where they are.
    let settled = settled_eigenvalues(&shifted(n, 1.0), &mut Identity(n), 1e-3, n).unwrap();
    assert!(settled.steps < n && settled.steps % 5 == 0, "{settled:?}");
    assert!((settled.min / (exact[0] + 1.0) - 1.0).abs() < 1e-2, "{settled:?}");
    assert!((settled.max / (exact[1] + 1.0) - 1.0).abs() < 1e-2, "{settled:?}");
}

/// D⁻¹A for A = D^{1/2} L D^{1/2} has the eigenvalues of L, whatever D.
#[test]
fn bounds_of_the_preconditioned_operator() {
    let n = 40usize;
    let d: Vec<f64> = (0..n).map(|i| 10f64.powi(i as i32 % 5)).collect();
    let l = laplacian(n);
    let mut t = Vec::new();
    for i in 0..n {
        let (columns, values) = l.row(i);
        for (&j, &v) in columns.iter().zip(values) {
            t.push((i, j as usize, v * (d[i] * d[j as usize]).sqrt()));
        }
    }
    let a = Csr::from_triplets([n, n], &t).unwrap();
    let e = extreme_eigenvalues(&a, &mut Diagonal(d), n).unwrap();
    assert!((e.max - eigenvalue(n, n)).abs() < 1e-9 && (e.min - eigenvalue(n, 1)).abs() < 1e-9, "{e:?}");
    assert_eq!(a.rows(), n);
}

/// The j-th eigenvector of the 1-D Laplacian, of norm 1.
fn eigenvector(n: usize, j: usize) -> Vec<f64> {
    let h = PI / (n as f64 + 1.0);
    let length = (2.0 / (n as f64 + 1.0)).sqrt();
    (1..=n).map(|i| length * (j as f64 * i as f64 * h).sin()).collect()
}

fn fine(max_iterations: usize) -> EigenSettings {
    EigenSettings { tol: 1e-12, max_iterations }
}

/// Values, vectors (up to sign) and residuals are right to 1e-10, and orthonormal.
fn check(a: &Csr<f64>, pairs: &Eigenpairs<f64>, exact: &[(f64, Vec<f64>)], name: &str) {
    assert!(pairs.converged(), "{name}: {:?} {:?}", pairs.outcome, pairs.residuals);
    for (j, (value, vector)) in exact.iter().enumerate() {
        assert!((pairs.values[j] - value).abs() < 1e-10, "{name} {j}: {} {value}", pairs.values[j]);
        let v = pairs.vector(j);
        let sign = inner(v, vector).signum();
        let apart = v.iter().zip(vector).map(|(v, w)| (v - sign * w).abs()).fold(0.0, f64::max);
        assert!(apart < 1e-10, "{name} {j}: {apart}");
        let av = product(a, v);
        let r: Vec<f64> = av.iter().zip(v).map(|(av, v)| av - pairs.values[j] * v).collect();
        assert!((norm(&r) - pairs.residuals[j]).abs() < 1e-14, "{name}");
    }
}

#[test]
fn extreme_pairs_of_the_laplacian() {
    let n = 50;
    let a = laplacian(n);
    let pairs = |end| -> Vec<(f64, Vec<f64>)> {
        let js: Vec<usize> =
            if end == End::Smallest { (1..=4).collect() } else { (n - 3..=n).rev().collect() };
        js.into_iter().map(|j| (eigenvalue(n, j), eigenvector(n, j))).collect()
    };
    for end in [End::Smallest, End::Largest] {
        check(&a, &lanczos(&a, 4, end, fine(50)).unwrap(), &pairs(end), "lanczos");
        let found = lobpcg(&a, &mut Identity(n), 4, end, fine(500)).unwrap();
        check(&a, &found, &pairs(end), "lobpcg");
    }
    let top = power(&a, fine(40_000)).unwrap();
    check(&a, &top, &[(eigenvalue(n, n), eigenvector(n, n))], "power");
    let few = power(&a, fine(3)).unwrap();
    assert_eq!((few.outcome, few.iterations), (Outcome::MaxIterations, 3));
    assert_eq!(lanczos(&a, 4, End::Smallest, fine(12)).unwrap().outcome, Outcome::MaxIterations);
}

/// Shift and invert turns the smallest into the largest: in a few steps, and inside the spectrum too.
#[test]
fn shift_and_invert() {
    let n = 60;
    let a = laplacian(n);
    let s = Settings::tol(1e-12);
    let inverse = ShiftInvert::new(Owned::new(Gmres::new(n, n, s).unwrap(), &a, Identity(n)), 0.0);
    let found = lanczos(&inverse, 3, End::Largest, EigenSettings { tol: 1e-11, max_iterations: 40 }).unwrap();
    inverse.check().unwrap();
    assert!(found.converged() && found.iterations < 30, "{}", found.iterations);
    for j in 0..3 {
        assert!((inverse.eigenvalue(found.values[j]) - eigenvalue(n, j + 1)).abs() < 1e-10);
    }
    // A − σI with σ near the 20th eigenvalue.
    let sigma = eigenvalue(n, 20) + 1e-3;
    let mut t = Vec::new();
    for i in 0..n {
        let (columns, values) = a.row(i);
        let at = |j: usize, v: f64| v - if i == j { sigma } else { 0.0 };
        t.extend(columns.iter().zip(values).map(|(&j, &v)| (i, j as usize, at(j as usize, v))));
    }
    let shifted = Csr::from_triplets([n, n], &t).unwrap();
    let loose = Settings::tol(1e-12);
    let inverse =
        ShiftInvert::new(Owned::new(Gmres::new(n, n, loose).unwrap(), &shifted, Identity(n)), sigma);
    let found = arnoldi(&inverse, 1, EigenSettings { tol: 1e-9, max_iterations: 30 }).unwrap();
    inverse.check().unwrap();
    let [re, im] = inverse.complex_eigenvalue(found.values[0]);
    assert!((re - eigenvalue(n, 20)).abs() < 1e-10 && im.abs() < 1e-10, "{re} {im}");
    // CG cannot solve with the indefinite matrix, and the reason is kept.
    let broken = ShiftInvert::new(Owned::new(Cg::new(n, loose).unwrap(), &shifted, Identity(n)), sigma);
    assert!(lanczos(&broken, 1, End::Largest, fine(9)).is_err());
    assert!(broken.check().unwrap_err().to_string().contains("Indefinite"));
    assert!(broken.into_inner().len() == n);
}

/// The 2-D Laplacian has double eigenvalues; LOBPCG finds both copies, Lanczos in n steps as well.
#[test]
fn multiple_eigenvalues() {
    let k = 9;
    let a = poisson::<f64>(k);
    let n = k * k;
    let mut all: Vec<f64> =
        (1..=k).flat_map(|i| (1..=k).map(move |j| eigenvalue(k, i) + eigenvalue(k, j))).collect();
    all.sort_by(f64::total_cmp);
    let found = lobpcg(&a, &mut Identity(n), 6, End::Smallest, fine(500)).unwrap();
    assert!(found.converged());
    for j in 0..6 {
        assert!((found.values[j] - all[j]).abs() < 1e-10, "{j}");
        for i in 0..=j {
            let expected = if i == j { 1.0 } else { 0.0 };
            assert!((inner(found.vector(i), found.vector(j)) - expected).abs() < 1e-10);
        }
    }
    let mut process = Lanczos::new(&random::<f64>(n, 3)).unwrap();
    process.extend(&a, 2 * n).unwrap();
    assert_eq!(process.steps(), n);
    let ritz = process.ritz().unwrap();
    for (found, exact) in ritz.values.iter().zip(&all) {
        assert!((found - exact).abs() < 1e-10);
    }
    let vectors = process.vectors(&ritz, [0, 5]);
    for (j, v) in [0, 5].into_iter().zip(vectors.chunks(n)) {
        let av = product(&a, v);
        let r: Vec<f64> = av.iter().zip(v).map(|(av, v)| av - all[j] * v).collect();
        assert!(norm(&r) < 1e-10 && (norm(v) - 1.0).abs() < 1e-12);
    }
}

/// The recurrence of Lanczos: V orthonormal, VᵀAV = T, and the residuals are true.
#[test]
fn lanczos_keeps_its_basis_orthonormal() {
    let n = 120;
    // Converged Ritz values are what destroys orthogonality: a spectrum with outliers.
    let values: Vec<f64> =
        (0..n).map(|i| if i < 3 { 1e3 * (i + 1) as f64 } else { i as f64 / n as f64 }).collect();
    let a = with_spectrum(&values, 7);
    let mut process = Lanczos::new(&random::<f64>(n, 4)).unwrap();
    process.extend(&a, 20).unwrap();
    process.extend(&a, 20).unwrap();
    let basis: Vec<&[f64]> = process.basis().chunks(n).collect();
    assert_eq!(basis.len(), 40);
    for (i, v) in basis.iter().enumerate() {
        for (j, w) in basis.iter().enumerate() {
            let expected = if i == j { 1.0 } else { 0.0 };
            assert!((inner(v, w) - expected).abs() < 1e-13, "{i} {j}");
            if i.abs_diff(j) > 1 {
                assert!(inner(v, &product(&a, w)).abs() < 1e-9);
            }
        }
    }
    let ritz = process.ritz().unwrap();
    let vectors = process.vectors(&ritz, 0..40);
    for ((v, value), residual) in vectors.chunks(n).zip(&ritz.values).zip(&ritz.residuals) {
        let r: Vec<f64> = product(&a, v).iter().zip(v).map(|(av, v)| av - value * v).collect();
        assert!((norm(&r) - residual).abs() < 1e-10, "{value}");
    }
}

/// Complex pairs of a matrix with known spectrum: blocks [[a, b], [−b, a]] under a similarity.
#[test]
fn arnoldi_finds_complex_pairs() {
    let n = 24;
    let mut t = Vec::new();
    for block in 0..n / 2 {
        let (i, j) = (2 * block, 2 * block + 1);
        let (re, im) = (1.0 + block as f64, 0.5 * block as f64);
        t.extend([(i, i, re), (i, j, im), (j, i, -im), (j, j, re)]);
        if j + 1 < n {
            // Above the blocks: the eigenvalues stay.
            t.extend([(i, j + 1, 0.7), (j, j + 1, -0.3)]);
        }
    }
    let a = Csr::from_triplets([n, n], &t).unwrap();
    let found = arnoldi(&a, 4, fine(n)).unwrap();
    assert_eq!(found.outcome, Outcome::Converged);
    for (j, exact) in [[12.0, 5.5], [12.0, -5.5], [11.0, 5.0], [11.0, -5.0]].into_iter().enumerate() {
        let [re, im] = found.values[j];
        assert!((re - exact[0]).abs() < 1e-10 && (im - exact[1]).abs() < 1e-10, "{j}: {re} {im}");
        assert!(found.residuals[j] < 1e-10);
        let (x, y) = (&found.vectors[0][j * n..(j + 1) * n], &found.vectors[1][j * n..(j + 1) * n]);
        let (ax, ay) = (product(&a, x), product(&a, y));
        for i in 0..n {
            assert!((ax[i] - re * x[i] + im * y[i]).abs() < 1e-10);
            assert!((ay[i] - re * y[i] - im * x[i]).abs() < 1e-10);
        }
        assert!((norm(x).hypot(norm(y)) - 1.0).abs() < 1e-12);
    }
    let c = convection::<f64>(20, 0.5);
    let found = arnoldi(&c, 2, EigenSettings { tol: 1e-9, max_iterations: 200 }).unwrap();
    assert!(found.outcome == Outcome::Converged && found.iterations < 200, "{}", found.iterations);
    let h = PI / 21.0;
    // 4 + 2 cos h + 2 √(1 − c²) cos h: tensor sum of Toeplitz matrices.
    let exact = 4.0 + 2.0 * h.cos() * (1.0 + 0.75f64.sqrt());
    assert!((found.values[0][0] - exact).abs() < 1e-9, "{:?} {exact}", found.values);
}

/// A preconditioner saves iterations: the inverse needs a handful.
#[test]
fn lobpcg_uses_its_preconditioner() {
    let n = 100;
    let a = laplacian(n);
    struct Inverse<'a>(&'a Csr<f64>, Gmres<f64>);
    impl Preconditioner<f64> for Inverse<'_> {
        fn len(&self) -> usize {
            self.0.rows()
        }
        fn claims(&self) -> Claims {
            Claims::NONE
        }
        fn apply(&mut self, r: &[f64], z: &mut [f64]) {
            z.fill(0.0);
            self.1.solve(self.0, &mut Identity(r.len()), r, z).unwrap();
        }
    }
    let s = EigenSettings { tol: 1e-10, max_iterations: 500 };
    let plain = lobpcg(&a, &mut Identity(n), 3, End::Smallest, s).unwrap();
    let mut m = Inverse(&a, Gmres::new(n, n, Settings::tol(1e-10)).unwrap());
    let helped = lobpcg(&a, &mut m, 3, End::Smallest, s).unwrap();
    assert!(plain.converged() && helped.converged());
    assert!(helped.iterations <= 12 && plain.iterations > 3 * helped.iterations, "{}", helped.iterations);
    assert!((helped.values[2] - eigenvalue(n, 3)).abs() < 1e-10);
}

#[test]
fn single_precision_spectra() {
    let a = poisson::<f32>(8);
    let exact = 2.0 * eigenvalue(8, 8);
    let s = EigenSettings { tol: 1e-5, max_iterations: 64 };
    let found = lanczos(&a, 1, End::Largest, s).unwrap();
    assert!(found.converged() && (found.values[0] - exact).abs() < 1e-5 * exact);
    let found = lobpcg(&a, &mut Identity(64), 2, End::Largest, s).unwrap();
    assert!(found.converged() && (found.values[0] - exact).abs() < 1e-5 * exact);
}

#[test]
fn bad_input_is_refused() {
    let a = laplacian(6);
    let s = EigenSettings::default();
    assert!(lanczos(&a, 0, End::Largest, s).is_err());
    assert!(lanczos(&a, 7, End::Largest, s).is_err());
    assert!(arnoldi(&a, 7, s).is_err());
    assert!(lobpcg(&a, &mut Identity(6), 3, End::Largest, s).is_err());
    assert!(lobpcg(&a, &mut Identity(5), 1, End::Largest, s).is_err());
    assert!(power(&a, EigenSettings { tol: 0.0, ..s }).is_err());
    assert!(power(&a, EigenSettings { max_iterations: 0, ..s }).is_err());
    assert!(extreme_eigenvalues(&a, &mut Identity(6), 0).is_err());
    assert!(settled_eigenvalues(&a, &mut Identity(6), -1.0, 5).is_err());
    assert!(Lanczos::new(&[0.0; 3]).is_err() && Lanczos::new(&[1.0, f64::NAN]).is_err());
    assert!(Lanczos::new(&[1.0; 3]).unwrap().extend(&a, 1).is_err());
    assert!(Lanczos::new(&[1.0; 6]).unwrap().ritz().is_err());
    struct Nan;
    impl LinearOperator<f64> for Nan {
        fn rows(&self) -> usize {
            4
        }
        fn cols(&self) -> usize {
            4
        }
        fn apply(&self, _: &[f64], y: &mut [f64]) {
            y.fill(f64::NAN);
        }
        fn apply_transpose(&self, _: &[f64], x: &mut [f64]) {
            x.fill(f64::NAN);
        }
    }
    assert!(lanczos(&Nan, 1, End::Largest, s).is_err() && arnoldi(&Nan, 1, s).is_err());
    assert!(lobpcg(&Nan, &mut Identity(4), 1, End::Largest, s).is_err());
    assert!(extreme_eigenvalues(&Nan, &mut Identity(4), 3).is_err());
    assert_eq!(power(&Nan, s).unwrap().outcome, Outcome::NonFinite);
}
