//! [`SmoothedAggregation`]: coarsening by aggregates of strongly coupled unknowns.

use super::aggregation::{Aggregates, Aggregation, tentative};
use super::amg::{Amg, AmgOptions, Coarsening};
use super::strength::{Edges, Graph, Weak, dominated, without_weak};
use crate::error::{Error, Result};
use crate::linalg::csr::Factor;
use crate::linalg::{Csr, LinearOperator};
use crate::num::Real;
use std::borrow::Cow;
use std::sync::Arc;

/// Smoothed aggregation (P. Vaněk, J. Mandel & M. Brezina, "Algebraic multigrid by smoothed aggregation
/// for second and fourth order elliptic problems", Computing 56, 1996), for symmetric positive definite
/// matrices: P = (I − ω/λ D⁻¹ A_F) T, where T is constant (or the given near-null vectors) on aggregates,
/// A_F is A without its weak couplings, and λ bounds the eigenvalues of D⁻¹ A_F.
///
/// ```
/// use odeon::linalg::krylov::Cg;
/// use odeon::linalg::multigrid::SmoothedAggregation;
/// use odeon::linalg::{Settings, model};
///
/// let a = model::poisson_2d::<f64>([100, 100])?;
/// let mut amg = SmoothedAggregation::default().build(a)?;
/// let (a, b, mut x) = (amg.matrix(), vec![1.0; 10_000], vec![0.0; 10_000]);
/// let report = Cg::new(10_000, Settings::tol(1e-8))?.solve(&*a, &mut amg, &b, &mut x)?.ok()?;
/// assert!(report.iterations <= 12 && amg.report().operator_complexity() < 1.5);
/// # Ok::<(), odeon::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SmoothedAggregation {
    /// θ: coupling (i, j) is strong when |aᵢⱼ|² ≥ θ² |aᵢᵢ aⱼⱼ|.
    pub strength: f64,
    /// θ is multiplied by this on every coarser level.
    pub strength_decay: f64,
    /// How aggregates are formed.
    pub aggregation: Aggregation,
    /// ω of the prolongator's smoothing; 0 is plain aggregation.
    pub omega: f64,
    /// θ_F: the prolongator's smoothing leaves out couplings |aᵢⱼ| < θ_F aᵢᵢ; it decays as θ does. 0
    /// leaves nothing out. The measure is of the row alone, so that a small coefficient beside a large
    /// one is interpolated from it: the symmetric one of 1996 leaves a step there, whose energy grows
    /// with the size of aggregates.
    pub filter: f64,
    /// Unknowns of each node (2 or 3 for displacements, numbered node by node).
    pub block: usize,
    /// What every algebraic hierarchy has.
    pub options: AmgOptions,
}

impl Default for SmoothedAggregation {
    fn default() -> Self {
        Self {
            strength: 0.08,
            strength_decay: 0.5,
            aggregation: Aggregation::Standard,
            omega: 4.0 / 3.0,
            filter: 0.02,
            block: 1,
            options: AmgOptions::default(),
        }
    }
}

impl SmoothedAggregation {
    /// The hierarchy of `a`, with the constant as near-null vector (with blocks, one for each of their
    /// unknowns).
    ///
    /// # Errors
    /// A matrix that is not square, is empty, or has a diagonal entry that is not positive; settings out
    /// of range; a singular coarsest matrix.
    pub fn build<T: Real>(&self, a: impl Into<Arc<Csr<T>>>) -> Result<Amg<T>> {
        let a = a.into();
        let (n, k) = (a.square()?, self.block.max(1));
        let unit = |at: usize| if at / k % k == at % k { T::one() } else { T::zero() };
        let near_null: Vec<T> = (0..n * k).map(unit).collect();
        self.build_with(a, &near_null, k)
    }

    /// The hierarchy of `a` for `k` near-null vectors, `near_null` being n × k, row-major: what A makes
    /// small compared with its diagonal (constants for diffusion, rigid motions for elasticity).
    ///
    /// # Errors
    /// As [`build`](Self::build); near-null vectors of the wrong length or not finite.
    pub fn build_with<T: Real>(
        &self,
        a: impl Into<Arc<Csr<T>>>,
        near_null: &[T],
        k: usize,
    ) -> Result<Amg<T>> {
        let a = a.into();
        let n = a.square()?;
        self.check(n)?;
        if k == 0 {
            return Err(Error::invalid("the number of near-null vectors", 0, "at least one is needed"));
        }
        Error::check_len("the near-null vectors", near_null.len(), n * k, "unknowns × vectors")?;
        Error::check_finite("the near-null vectors", near_null)?;
        let nodes = (self.block > 1).then(|| (0..n).map(|i| (i / self.block) as u32).collect());
        let setup =
            Setup { method: self.clone(), near_null: near_null.to_vec(), k, nodes, plans: Vec::new() };
        Amg::build(a, Box::new(setup), &self.options)
    }

    fn check(&self, n: usize) -> Result<()> {
        for (what, value, most) in [
            ("θ", self.strength, 1.0),
            ("θ_F", self.filter, 1.0),
            ("the decay of θ", self.strength_decay, 1.0),
            ("ω", self.omega, 2.0),
        ] {
            if !(0.0..=most).contains(&value) {
                return Err(Error::invalid(what, value, format!("it must lie between 0 and {most}")));
            }
        }
        if self.block == 0 || !n.is_multiple_of(self.block) {
            let needed = format!("it must divide the number of unknowns, {n}");
            return Err(Error::invalid("the block size", self.block, needed));
        }
        Ok(())
    }
}

/// What is kept between set-ups: the tentative prolongators.
struct Setup<T> {
    method: SmoothedAggregation,
    /// Of the level that is planned next.
    near_null: Vec<T>,
    k: usize,
    nodes: Option<Vec<u32>>,
    plans: Vec<Csr<T>>,
}

impl<T: Real> Setup<T> {
    fn theta(&self, depth: usize) -> f64 {
        self.method.strength * self.method.strength_decay.powi(depth as i32)
    }

    fn aggregate(&self, a: &Csr<T>, diagonal: &[T], theta: f64) -> Aggregates {
        let strong = without_weak(a, diagonal, Weak::Symmetric(theta));
        let graph;
        let edges = match &self.nodes {
            Some(nodes) => {
                let count = nodes.last().map_or(0, |last| *last as usize + 1);
                graph = Graph::of_nodes(&strong, nodes, count);
                graph.edges()
            }
            // Where a θ above 0 finds nothing weak, no entry is 0 and the diagonal is stored.
            None if theta > 0.0 && matches!(strong, Cow::Borrowed(_)) => Edges::all(a),
            None => {
                graph = Graph::of(&strong, |_, _, v| v != T::zero());
                graph.edges()
            }
        };
        let mut aggregates = Aggregates::new(edges, self.method.aggregation);
        if self.nodes.is_none() {
            aggregates.keep_alone(|i| !dominated(a, i));
        }
        aggregates
    }
}

impl<T: Real> Coarsening<T> for Setup<T> {
    fn plan(&mut self, a: &Csr<T>, diagonal: &[T]) -> Result<usize> {
        check_positive(diagonal)?;
        let mut theta = self.theta(self.plans.len());
        let aggregates = loop {
            let aggregates = self.aggregate(a, diagonal, theta);
            let unknowns = aggregates.count * if self.nodes.is_some() { self.k } else { 1 };
            // Too few strong couplings to coarsen by: with a lower θ more count.
            if theta == 0.0 || 10 * unknowns <= 7 * a.rows() {
                break aggregates;
            }
            theta = if theta > 0.01 { 0.5 * theta } else { 0.0 };
        };
        let coarse = tentative(&aggregates, self.nodes.as_deref(), &self.near_null, self.k);
        let m = coarse.t.cols();
        if m > 0 && m < a.rows() {
            self.nodes = (self.k > 1).then_some(coarse.node_of);
            self.near_null = coarse.near_null;
            self.plans.push(coarse.t);
        }
        Ok(m)
    }

    fn prolongation(&self, a: &Csr<T>, diagonal: &[T], depth: usize) -> Result<Csr<T>> {
        let t = &self.plans[depth];
        if self.method.omega == 0.0 {
            return Ok(t.clone());
        }
        check_positive(diagonal)?;
        let theta = self.method.filter * self.method.strength_decay.powi(depth as i32);
        let filtered = without_weak(a, diagonal, Weak::InRow(theta));
        let diagonal = match &filtered {
            Cow::Borrowed(_) => Cow::Borrowed(diagonal),
            Cow::Owned(filtered) => Cow::Owned(filtered.diagonal().unwrap_or_default()),
        };
        let bound = spectral_bound(&filtered, &diagonal);
        let weight = T::of(self.method.omega) / bound;
        filtered.matmul_with(t, Smoothing { weight, diagonal: &diagonal })
    }
}

/// Every entry of the diagonal is positive.
fn check_positive<T: Real>(diagonal: &[T]) -> Result<()> {
    match diagonal.iter().position(|d| *d <= T::zero() || !d.is_finite()) {
        None => Ok(()),
        Some(i) => {
            let needed = "it must be positive: smoothed aggregation is for symmetric positive definite \
                          matrices (Ruge–Stüben or a Krylov method for others)";
            Err(Error::invalid(format!("the diagonal entry of row {i}"), diagonal[i], needed))
        }
    }
}

/// max over rows of Σⱼ |aᵢⱼ|/aᵢᵢ ≥ λmax(D⁻¹A) (Gershgorin), tightened by power iteration where it is
/// loose: for diffusion it is 2, which is what λmax tends to.
fn spectral_bound<T: Real>(a: &Csr<T>, diagonal: &[T]) -> T {
    let row = |i: usize| a.row(i).1.iter().fold(T::zero(), |s, v| s + v.abs()) / diagonal[i];
    let gershgorin = (0..a.rows()).map(row).fold(T::zero(), T::max);
    if gershgorin <= T::of(2.1) {
        return gershgorin;
    }
    // ρ(D⁻¹A) by power iteration on a vector without structure; 1.1 for what ten steps lack.
    let n = a.rows();
    let mut x: Vec<T> = (0..n).map(|i| T::of(((i * 7919 + 13) % 1009) as f64 / 1009.0 - 0.5)).collect();
    let mut y = vec![T::zero(); n];
    let mut largest = T::zero();
    for _ in 0..10 {
        a.apply(&x, &mut y);
        y.iter_mut().zip(diagonal).for_each(|(y, d)| *y /= *d);
        let energy = |x: &[T]| x.iter().zip(diagonal).fold(T::zero(), |s, (x, d)| (*x * *x).mul_add(*d, s));
        let growth = (energy(&y) / energy(&x)).sqrt();
        if !growth.is_finite() || growth <= T::zero() {
            return gershgorin;
        }
        largest = growth;
        let scale = T::one() / growth;
        x.iter_mut().zip(&y).for_each(|(x, y)| *x = *y * scale);
    }
    gershgorin.min(T::of(1.1) * largest)
}

/// I − weight D⁻¹ A in the place of A.
#[derive(Clone, Copy)]
struct Smoothing<'a, T> {
    weight: T,
    diagonal: &'a [T],
}

impl<T: Real> Factor<T> for Smoothing<'_, T> {
    #[inline(always)]
    fn of_row(self, i: usize) -> T {
        -self.weight / self.diagonal[i]
    }
    #[inline(always)]
    fn of_entry(self, of_row: T, on_diagonal: bool, a: T) -> T {
        if on_diagonal { of_row.mul_add(a, T::one()) } else { of_row * a }
    }
}
