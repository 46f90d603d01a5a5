//! Model problems, dense algebra and preconditioners for the tests of linear solvers.
#![allow(dead_code)]

use odeon::Result;
use odeon::linalg::{Claims, Csr, LinearOperator, Preconditioner};
use odeon::num::Real;
use std::cell::{Cell, RefCell};

/// Numbers in (−1, 1), the same in every run.
pub fn random<T: Real>(n: usize, seed: u64) -> Vec<T> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 * 2f64.powi(-52) - 1.0
    };
    (0..64).for_each(|_| {
        next();
    });
    (0..n).map(|_| T::of(next())).collect()
}

/// The 5-point Laplacian on k × k interior points, diagonal 4.
pub fn poisson<T: Real>(k: usize) -> Csr<T> {
    convection(k, 0.0)
}

/// The 5-point Laplacian plus upwind-free convection of strength `c` along the rows: not symmetric.
pub fn convection<T: Real>(k: usize, c: f64) -> Csr<T> {
    let mut t = Vec::new();
    for i in 0..k {
        for j in 0..k {
            let row = i * k + j;
            t.push((row, row, T::of(4.0)));
            let mut at = |inside: bool, column: usize, v: f64| {
                if inside {
                    t.push((row, column, T::of(v)));
                }
            };
            at(i > 0, row.wrapping_sub(k), -1.0);
            at(i + 1 < k, row + k, -1.0);
            at(j > 0, row.wrapping_sub(1), -1.0 - c);
            at(j + 1 < k, row + 1, -1.0 + c);
        }
    }
    Csr::from_triplets([k * k, k * k], &t).unwrap()
}

/// A dense matrix (rows × cols, by rows) as a Csr.
pub fn from_dense(shape: [usize; 2], a: &[f64]) -> Csr<f64> {
    let t: Vec<_> = a.iter().enumerate().map(|(k, &v)| (k / shape[1], k % shape[1], v)).collect();
    Csr::from_triplets(shape, &t).unwrap()
}

/// Q diag(values) Qᵀ for a random orthogonal Q.
pub fn with_spectrum(values: &[f64], seed: u64) -> Csr<f64> {
    let n = values.len();
    let q = orthonormal(&(0..n).map(|j| random(n, 1000 * seed + 500 + j as u64)).collect::<Vec<_>>());
    let at = |i: usize, j: usize| (0..n).map(|k| q[k][i] * values[k] * q[k][j]).sum::<f64>();
    from_dense([n, n], &(0..n * n).map(|k| at(k / n, k % n)).collect::<Vec<_>>())
}

pub fn dense<A: LinearOperator<f64>>(a: &A) -> Vec<Vec<f64>> {
    (0..a.cols())
        .map(|j| {
            let mut e = vec![0.0; a.cols()];
            e[j] = 1.0;
            product(a, &e)
        })
        .collect()
}

pub fn product<A: LinearOperator<f64>>(a: &A, x: &[f64]) -> Vec<f64> {
    let mut y = vec![f64::NAN; a.rows()];
    a.apply(x, &mut y);
    y
}

pub fn inner(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

pub fn norm(x: &[f64]) -> f64 {
    inner(x, x).sqrt()
}

pub fn minus(x: &[f64], y: &[f64]) -> Vec<f64> {
    x.iter().zip(y).map(|(x, y)| x - y).collect()
}

/// x + Σ c_j v_j.
pub fn plus(x: &[f64], c: &[f64], v: &[Vec<f64>]) -> Vec<f64> {
    let mut x = x.to_vec();
    for (c, v) in c.iter().zip(v) {
        x.iter_mut().zip(v).for_each(|(x, v)| *x += c * v);
    }
    x
}

/// Solves the system with these columns by elimination with row exchanges.
pub fn eliminate(columns: &[Vec<f64>], b: &[f64]) -> Vec<f64> {
    let n = b.len();
    let mut m: Vec<Vec<f64>> = (0..n).map(|i| columns.iter().map(|c| c[i]).chain([b[i]]).collect()).collect();
    for k in 0..n {
        let pivot = (k..n).max_by(|&i, &j| m[i][k].abs().total_cmp(&m[j][k].abs())).unwrap();
        m.swap(k, pivot);
        for i in k + 1..n {
            let f = m[i][k] / m[k][k];
            #[allow(clippy::needless_range_loop)] // Two rows of one array.
            for j in k..=n {
                m[i][j] -= f * m[k][j];
            }
        }
    }
    let mut x = vec![0.0; n];
    for i in (0..n).rev() {
        let known: f64 = (i + 1..n).map(|j| m[i][j] * x[j]).sum();
        x[i] = (m[i][n] - known) / m[i][i];
    }
    x
}

/// Gram–Schmidt, twice; vectors that depend on those before are left out.
pub fn orthonormal(vectors: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let mut q: Vec<Vec<f64>> = Vec::new();
    for v in vectors {
        let mut w = v.clone();
        for _ in 0..2 {
            for q in &q {
                let c = inner(q, &w);
                w = plus(&w, &[-c], std::slice::from_ref(q));
            }
        }
        let length = norm(&w);
        if length > 1e-10 * norm(v) {
            q.push(w.iter().map(|w| w / length).collect());
        }
    }
    q
}

/// An orthonormal basis of span{r, Br, …, Bᵏ⁻¹r}, built by orthogonalising as it grows.
pub fn krylov(b: impl Fn(&[f64]) -> Vec<f64>, r: &[f64], k: usize) -> Vec<Vec<f64>> {
    let mut q = orthonormal(&[r.to_vec()]);
    while q.len() < k {
        let mut next = q.clone();
        next.push(b(q.last().unwrap()));
        q = orthonormal(&next);
    }
    q
}

/// The c that minimises ‖b − Σ c_j v_j‖.
pub fn least_squares(v: &[Vec<f64>], b: &[f64]) -> Vec<f64> {
    let q = orthonormal(v);
    let columns: Vec<_> = v.iter().map(|v| q.iter().map(|q| inner(q, v)).collect()).collect();
    eliminate(&columns, &q.iter().map(|q| inner(q, b)).collect::<Vec<_>>())
}

/// M⁻¹ as a dense matrix by rows, with these claims.
#[derive(Clone)]
pub struct DenseInverse {
    pub n: usize,
    pub rows: Vec<f64>,
    pub claims: Claims,
}

impl DenseInverse {
    /// A random matrix near 2 I; symmetric when `spd`.
    pub fn random(n: usize, spd: bool, seed: u64) -> Self {
        let noise: Vec<f64> = random(n * n, seed);
        let s = 0.5 / (n as f64).sqrt();
        let at = |i: usize, j: usize| {
            let v = if spd { noise[i * n + j] + noise[j * n + i] } else { noise[i * n + j] };
            s * v + if i == j { 2.0 } else { 0.0 }
        };
        let rows = (0..n * n).map(|k| at(k / n, k % n)).collect();
        Self { n, rows, claims: if spd { Claims::SPD } else { Claims::LINEAR } }
    }
    pub fn times(&self, r: &[f64]) -> Vec<f64> {
        self.rows.chunks(self.n).map(|row| inner(row, r)).collect()
    }
}

impl Preconditioner<f64> for DenseInverse {
    fn len(&self) -> usize {
        self.n
    }
    fn claims(&self) -> Claims {
        self.claims
    }
    fn apply(&mut self, r: &[f64], z: &mut [f64]) {
        z.copy_from_slice(&self.times(r));
    }
    fn apply_transpose(&mut self, r: &[f64], z: &mut [f64]) -> Result<()> {
        for (j, z) in z.iter_mut().enumerate() {
            *z = (0..self.n).map(|i| self.rows[i * self.n + j] * r[i]).sum();
        }
        Ok(())
    }
}

/// Jacobi's M = diag(A).
pub struct Jacobi<T>(pub Vec<T>);
impl<T: Real> Jacobi<T> {
    pub fn new(a: &Csr<T>) -> Self {
        Self(a.diagonal().unwrap())
    }
}
impl<T: Real> Preconditioner<T> for Jacobi<T> {
    fn len(&self) -> usize {
        self.0.len()
    }
    fn claims(&self) -> Claims {
        Claims::SPD
    }
    fn apply(&mut self, r: &[T], z: &mut [T]) {
        for ((z, r), d) in z.iter_mut().zip(r).zip(&self.0) {
            *z = *r / *d;
        }
    }
}

/// Any map, with these claims.
pub struct Map<F>(pub usize, pub Claims, pub F);
impl<T: Real, F: FnMut(&[T], &mut [T])> Preconditioner<T> for Map<F> {
    fn len(&self) -> usize {
        self.0
    }
    fn claims(&self) -> Claims {
        self.1
    }
    fn apply(&mut self, r: &[T], z: &mut [T]) {
        (self.2)(r, z);
    }
}

/// An operator that keeps the vectors it is applied to, and gives NaN at one of its applications.
pub struct Watched<'a, A> {
    pub inner: &'a A,
    pub seen: RefCell<Vec<Vec<f64>>>,
    pub nan_at: usize,
    pub count: Cell<usize>,
}
impl<'a, A> Watched<'a, A> {
    pub fn new(inner: &'a A, nan_at: usize) -> Self {
        Self { inner, seen: RefCell::default(), nan_at, count: Cell::new(0) }
    }
}
impl<A: LinearOperator<f64>> LinearOperator<f64> for Watched<'_, A> {
    fn rows(&self) -> usize {
        self.inner.rows()
    }
    fn cols(&self) -> usize {
        self.inner.cols()
    }
    fn apply(&self, x: &[f64], y: &mut [f64]) {
        self.seen.borrow_mut().push(x.to_vec());
        self.inner.apply(x, y);
        self.count.set(self.count.get() + 1);
        if self.count.get() == self.nan_at {
            y[0] = f64::NAN;
        }
    }
    fn apply_transpose(&self, y: &[f64], x: &mut [f64]) {
        self.inner.apply_transpose(y, x);
        self.count.set(self.count.get() + 1);
        if self.count.get() == self.nan_at {
            x[0] = f64::NAN;
        }
    }
}
