//! Spectra against the known ones of Laplacians.

use odeon::linalg::eigen::extreme_eigenvalues;
use odeon::linalg::{Claims, Csr, Identity, Preconditioner};
use std::f64::consts::PI;

/// tridiag(−1, 2, −1) of size n; eigenvalues 4 sin²(jπ/(2(n + 1))).
fn laplacian(n: usize) -> Csr<f64> {
    let mut t = Vec::new();
    for i in 0..n {
        t.push((i, i, 2.0));
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
