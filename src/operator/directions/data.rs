//! Right-hand sides to train on.

use crate::error::{Error, Result};
use crate::linalg::LinearOperator;
use crate::linalg::eigen::Lanczos;
use crate::linalg::grid::{Boundary, Centring, Grid};
use crate::linalg::vector::{norm2, scale};
use crate::num::random::{self, Consecutive, at, fill_normal_pairs, stream};
use crate::num::{Real, accumulate};
use std::f64::consts::PI;

/// A source of right-hand sides of unit length.
pub trait RightHandSides<T> {
    /// `b` ← the next one.
    ///
    /// # Errors
    /// A length that does not fit.
    fn draw(&mut self, b: &mut [T]) -> Result<()>;
}

/// Standard normal numbers: the `count`-th vector of a seed.
fn normals(seed: u64, count: u32, out: &mut [f64]) {
    let half = out.len().div_ceil(2);
    let mut other = vec![0.0; half];
    let (first, rest) = out.split_at_mut(half);
    fill_normal_pairs(seed, Consecutive { first: 0, stream: stream(count, 0) }, first, &mut other);
    rest.copy_from_slice(&other[..rest.len()]);
}

/// A uniform number in [0, 1).
pub(super) fn uniform(seed: u64, id: u64, component: u32) -> f64 {
    random::uniform(at(seed, id, stream(u32::MAX, component))[0])
}

/// b = Σ λ_k^s ξ_k φ_k normalised: φ_k and λ_k the eigenvectors (sines) and eigenvalues of −Δ_h on a box
/// with Dirichlet sides, ξ_k standard normal, s uniform in a range for each b. s = 0 is white noise,
/// s < 0 smooth, s > 0 rough: A x for x of decay λ^{s−1}.
///
/// The sine transforms are products with the orthonormal matrices √(2/(n+1)) sin(πjk/(n+1)), one for
/// each axis: N Σ nₐ multiply-adds for N points, at the lengths of training (n ≤ some hundred) no slower
/// than fast transforms, and exact for every n.
#[derive(Clone, Debug)]
pub struct Spectra {
    extents: [usize; 3],
    sines: [Vec<f64>; 3],
    /// λ_k of every k.
    eigenvalues: Vec<f64>,
    range: [f64; 2],
    seed: u64,
    count: u32,
    field: Vec<f64>,
    work: Vec<f64>,
}

impl Spectra {
    /// On this grid, s in `range`.
    ///
    /// # Errors
    /// A grid of cells or with sides other than Dirichlet, a range that is not finite or falls.
    pub fn new(grid: &Grid, range: [f64; 2], seed: u64) -> Result<Self> {
        let dim = grid.dim();
        let dirichlet = grid.boundaries()[..dim].iter().flatten().all(|b| *b == Boundary::Dirichlet);
        if grid.centring() != Centring::Vertex || !dirichlet {
            let given = format!("{:?} with sides {:?}", grid.centring(), &grid.boundaries()[..dim]);
            return Err(Error::invalid("the grid of the sines", given, "vertices with Dirichlet sides"));
        }
        if !(range[0].is_finite() && range[1].is_finite() && range[0] <= range[1]) {
            return Err(Error::invalid("the range of exponents", format!("{range:?}"), "finite and rising"));
        }
        let (extents, spacing) = (grid.extents(), grid.spacing());
        let sines = extents.map(|n| {
            let angle = PI / (n + 1) as f64;
            let factor = (2.0 / (n + 1) as f64).sqrt();
            (0..n * n).map(|i| factor * (angle * ((i % n + 1) * (i / n + 1)) as f64).sin()).collect()
        });
        let along = |axis: usize, k: usize| match axis < dim {
            true => {
                let half = PI * (k + 1) as f64 / (2 * (extents[axis] + 1)) as f64;
                (2.0 * half.sin() / spacing[axis]).powi(2)
            }
            false => 0.0,
        };
        let value = |i| (0..3).map(|axis| along(axis, grid.point(i)[axis])).sum();
        let n = grid.len();
        Ok(Self {
            extents,
            sines,
            eigenvalues: (0..n).map(value).collect(),
            range,
            seed,
            count: 0,
            field: vec![0.0; n],
            work: vec![0.0; n],
        })
    }

    /// The transform along one axis.
    fn transform(&mut self, axis: usize) {
        let n = self.extents[axis];
        if n == 1 {
            return;
        }
        let below: usize = self.extents[..axis].iter().product();
        let sines = &self.sines[axis];
        if axis == 0 {
            let columns = self.field.len() / n;
            f64::gemm([n, columns, n], 1.0, (sines, false), (&self.field, false), 0.0, &mut self.work);
        } else {
            let slabs = self.field.chunks_exact(below * n).zip(self.work.chunks_exact_mut(below * n));
            for (from, to) in slabs {
                f64::gemm([below, n, n], 1.0, (from, false), (sines, false), 0.0, to);
            }
        }
        std::mem::swap(&mut self.field, &mut self.work);
    }
}

impl<T: Real> RightHandSides<T> for Spectra {
    fn draw(&mut self, b: &mut [T]) -> Result<()> {
        Error::check_len("b", b.len(), self.field.len(), "the points of the grid")?;
        let [low, high] = self.range;
        let s = low + (high - low) * uniform(self.seed, self.count.into(), 0);
        normals(self.seed, self.count, &mut self.field);
        for (c, lambda) in self.field.iter_mut().zip(&self.eigenvalues) {
            *c *= lambda.powf(s);
        }
        self.count += 1;
        (0..3).for_each(|axis| self.transform(axis));
        let size = norm2(&self.field);
        for (b, v) in b.iter_mut().zip(&self.field) {
            *b = T::of(v / size);
        }
        Ok(())
    }
}

/// b = Σ c_j v_j normalised, v_j the Ritz vectors of m Lanczos steps from A ξ, c_j ~ 9 N(0, 1) for the
/// ⌊m/2⌋ + θ lowest Ritz values and N(0, 1) for the others (Kaneda et al., section on training; published
/// m = 10 000 and θ = 500 on 64³). Holds m vectors.
#[derive(Clone, Debug)]
pub struct RitzMixtures<T> {
    n: usize,
    vectors: Vec<T>,
    values: Vec<f64>,
    low: usize,
    seed: u64,
    count: u32,
}

impl<T: Real> RitzMixtures<T> {
    /// `m` steps on `a`, the lowest m/2 + `theta` Ritz values weighted.
    ///
    /// # Errors
    /// m = 0, as [`Lanczos::extend`].
    pub fn new<A: LinearOperator<T> + ?Sized>(a: &A, m: usize, theta: usize, seed: u64) -> Result<Self> {
        let n = a.rows();
        let mut noise = vec![0.0; n];
        normals(seed, u32::MAX, &mut noise);
        let noise: Vec<T> = noise.into_iter().map(T::of).collect();
        let mut start = vec![T::zero(); n];
        a.apply(&noise, &mut start);
        let mut process = Lanczos::new(&start)?;
        process.extend(a, m)?;
        let ritz = process.ritz()?;
        let steps = process.steps();
        let vectors = process.vectors(&ritz, 0..steps);
        Ok(Self { n, vectors, values: ritz.values, low: (steps / 2 + theta).min(steps), seed, count: 0 })
    }

    /// The Ritz values, ascending.
    pub fn values(&self) -> &[f64] {
        &self.values
    }
}

impl<T: Real> RightHandSides<T> for RitzMixtures<T> {
    fn draw(&mut self, b: &mut [T]) -> Result<()> {
        Error::check_len("b", b.len(), self.n, "the rows of the operator")?;
        let mut c = vec![0.0; self.values.len()];
        normals(self.seed, self.count, &mut c);
        c[..self.low].iter_mut().for_each(|c| *c *= 9.0);
        self.count += 1;
        b.fill(T::zero());
        accumulate(b, T::one(), &c, &self.vectors);
        scale(1.0 / norm2(b), b);
        Ok(())
    }
}
