//! [`RugeStuben`]: coarsening by a C/F splitting.

use super::amg::{Amg, AmgOptions, Coarsening};
use super::interpolation::{Interpolation, interpolation};
use super::splitting::{Point, first_pass, independent_set, second_pass};
use super::strength::Graph;
use crate::error::{Error, Result};
use crate::linalg::Csr;
use crate::num::Real;
use std::sync::Arc;

/// When unknown i strongly depends on unknown j.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Strength {
    /// −aᵢⱼ ≥ θ maxₖ(−aᵢₖ) (Ruge & Stüben 1987, equation 4.5): for M-matrices and near ones.
    Classical(f64),
    /// |aᵢⱼ| ≥ θ maxₖ |aᵢₖ|: where positive couplings count too.
    Absolute(f64),
    /// |aᵢⱼ|² ≥ θ² |aᵢᵢ aⱼⱼ|: the measure of smoothed aggregation.
    Symmetric(f64),
}

impl Strength {
    fn theta(self) -> f64 {
        let (Self::Classical(theta) | Self::Absolute(theta) | Self::Symmetric(theta)) = self;
        theta
    }

    fn graph<T: Real>(self, a: &Csr<T>, diagonal: &[T]) -> Graph {
        let theta = T::of(self.theta());
        if let Self::Symmetric(_) = self {
            let limit = |i: usize, j: usize| theta * theta * (diagonal[i] * diagonal[j]).abs();
            return Graph::of(a, |i, j, v| v * v >= limit(i, j) && v != T::zero());
        }
        let classical = matches!(self, Self::Classical(_));
        // The sign against the diagonal's, so that −A is treated as A is.
        let size = |i: usize, v: T| match classical {
            true if diagonal[i] < T::zero() => v,
            true => -v,
            false => v.abs(),
        };
        let limit = |i: usize| {
            let (columns, values) = a.row(i);
            let others = columns.iter().zip(values).filter(|e| *e.0 as usize != i);
            theta * others.fold(T::zero(), |m, e| m.max(size(i, *e.1)))
        };
        let mut row = (usize::MAX, T::zero());
        Graph::of(a, |i, _, v| {
            if row.0 != i {
                row = (i, limit(i));
            }
            size(i, v) > T::zero() && size(i, v) >= row.1
        })
    }
}

/// How C unknowns are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Splitting {
    /// The first pass of Ruge & Stüben 1987.
    #[default]
    FirstPass,
    /// Both passes: every strong F–F pair shares a C unknown.
    TwoPasses,
    /// The independent set of De Sterck, Yang & Heys 2006 (PMIS): the fewest C unknowns.
    IndependentSet,
}

/// Classical algebraic multigrid (J. W. Ruge & K. Stüben, in Multigrid Methods, SIAM 1987), for
/// M-matrices and near ones, symmetric or not; R = Pᵀ.
#[derive(Clone, Debug, PartialEq)]
pub struct RugeStuben {
    /// Which couplings are strong.
    pub strength: Strength,
    /// How C unknowns are chosen.
    pub splitting: Splitting,
    /// How F unknowns are interpolated.
    pub interpolation: Interpolation,
    /// Interpolation weights below this part of their row's largest are left out, and the others
    /// scaled to the same sum.
    pub truncation: f64,
    /// What every algebraic hierarchy has.
    pub options: AmgOptions,
}

impl Default for RugeStuben {
    fn default() -> Self {
        Self {
            strength: Strength::Classical(0.25),
            splitting: Splitting::FirstPass,
            interpolation: Interpolation::Classical,
            truncation: 0.0,
            options: AmgOptions::default(),
        }
    }
}

impl RugeStuben {
    /// The hierarchy of `a`.
    ///
    /// # Errors
    /// A matrix that is not square, is empty, or has a zero on the diagonal; settings out of range; a
    /// singular coarsest matrix.
    pub fn build<T: Real>(&self, a: impl Into<Arc<Csr<T>>>) -> Result<Amg<T>> {
        let theta = self.strength.theta();
        for (what, value) in [("θ", theta), ("the truncation", self.truncation)] {
            if !(0.0..=1.0).contains(&value) {
                return Err(Error::invalid(what, value, "it must lie between 0 and 1"));
            }
        }
        Amg::build(a.into(), Box::new(Setup { method: self.clone(), plans: Vec::new() }), &self.options)
    }
}

/// What is kept between set-ups: strong couplings and splittings.
struct Setup {
    method: RugeStuben,
    plans: Vec<(Graph, Vec<Point>)>,
}

impl<T: Real> Coarsening<T> for Setup {
    fn plan(&mut self, a: &Csr<T>, diagonal: &[T]) -> Result<usize> {
        let strong = self.method.strength.graph(a, diagonal);
        let influences = strong.transpose();
        let mut points = match self.method.splitting {
            Splitting::IndependentSet => independent_set(&strong, &influences),
            _ => first_pass(&strong, &influences),
        };
        if self.method.splitting == Splitting::TwoPasses {
            second_pass(&strong, &mut points);
        }
        let m = points.iter().filter(|p| **p == Point::Coarse).count();
        if m > 0 && m < a.rows() {
            self.plans.push((strong, points));
        }
        Ok(m)
    }

    fn prolongation(&self, a: &Csr<T>, _diagonal: &[T], depth: usize) -> Result<Csr<T>> {
        let (strong, points) = &self.plans[depth];
        Ok(interpolation(a, strong, points, self.method.interpolation, self.method.truncation))
    }
}
