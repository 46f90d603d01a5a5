//! One level of a hierarchy: [`Level`], what a cycle asks of it, and [`Pieces`], the level put
//! together from an operator, relaxations and transfers.

use crate::error::{Error, Result};
use crate::linalg::{Claims, LinearOperator, Relaxation};
use crate::num::Real;

/// What a [`Multigrid`](super::Multigrid) cycle asks of every level but the coarsest: an operator A,
/// smoothing sweeps before and after the coarse correction, a restriction R to the next level and a
/// prolongation P from it. Neither needs to be the other's transpose, and none needs to be linear: a
/// multigrid neural operator puts its learned pieces here.
///
/// The provided methods are the plain composition; levels that can fuse two steps override them.
pub trait Level<T: Real> {
    /// A on this level.
    fn operator(&self) -> &dyn LinearOperator<T>;

    /// Unknowns of the next coarser level.
    fn coarse_len(&self) -> usize;

    /// One smoothing sweep on A x = `b` before the coarse correction.
    fn sweep_before(&mut self, b: &[T], x: &mut [T]);

    /// [`sweep_before`](Self::sweep_before) from x = 0; what `x` held does not matter.
    fn sweep_from_zero(&mut self, b: &[T], x: &mut [T]) {
        x.fill(T::zero());
        self.sweep_before(b, x);
    }

    /// One smoothing sweep after the coarse correction.
    fn sweep_after(&mut self, b: &[T], x: &mut [T]);

    /// `coarse` ← R `fine`.
    fn restrict(&mut self, fine: &[T], coarse: &mut [T]);

    /// ACCUMULATES: `fine` += P `coarse`. `scratch` is free memory of the fine length.
    fn prolong_add(&mut self, coarse: &[T], fine: &mut [T], scratch: &mut [T]);

    /// `r` ← `b` − A `x`.
    fn residual(&mut self, b: &[T], x: &[T], r: &mut [T]) {
        self.operator().residual(b, x, r);
    }

    /// [`sweep_from_zero`](Self::sweep_from_zero), then `r` ← `b` − A `x`.
    fn sweep_from_zero_with_residual(&mut self, b: &[T], x: &mut [T], r: &mut [T]) {
        self.sweep_from_zero(b, x);
        self.residual(b, x, r);
    }

    /// [`Claims::SPD`] when A is symmetric and positive definite, R = c Pᵀ with c > 0 and
    /// `sweep_after` is the adjoint of `sweep_before`, which contracts in the A-norm; the cycle is then
    /// symmetric and positive definite. [`Claims::LINEAR`] when only every piece is linear.
    fn claims(&self) -> Claims {
        Claims::LINEAR
    }
}

impl<T: Real, L: Level<T> + ?Sized> Level<T> for Box<L> {
    fn operator(&self) -> &dyn LinearOperator<T> {
        (**self).operator()
    }
    fn coarse_len(&self) -> usize {
        (**self).coarse_len()
    }
    fn sweep_before(&mut self, b: &[T], x: &mut [T]) {
        (**self).sweep_before(b, x);
    }
    fn sweep_from_zero(&mut self, b: &[T], x: &mut [T]) {
        (**self).sweep_from_zero(b, x);
    }
    fn sweep_after(&mut self, b: &[T], x: &mut [T]) {
        (**self).sweep_after(b, x);
    }
    fn restrict(&mut self, fine: &[T], coarse: &mut [T]) {
        (**self).restrict(fine, coarse);
    }
    fn prolong_add(&mut self, coarse: &[T], fine: &mut [T], scratch: &mut [T]) {
        (**self).prolong_add(coarse, fine, scratch);
    }
    fn residual(&mut self, b: &[T], x: &[T], r: &mut [T]) {
        (**self).residual(b, x, r);
    }
    fn sweep_from_zero_with_residual(&mut self, b: &[T], x: &mut [T], r: &mut [T]) {
        (**self).sweep_from_zero_with_residual(b, x, r);
    }
    fn claims(&self) -> Claims {
        (**self).claims()
    }
}

/// A [`Level`] of given pieces. Operators of different types per level go in as
/// `Box<dyn LinearOperator<T> + Send>`.
pub struct Pieces<T: Real, A> {
    operator: A,
    before: Box<dyn Relaxation<T, A> + Send>,
    after: Option<Box<dyn Relaxation<T, A> + Send>>,
    restriction: Box<dyn LinearOperator<T> + Send>,
    prolongation: Box<dyn LinearOperator<T> + Send>,
    claims: Claims,
}

impl<T: Real, A: LinearOperator<T>> Pieces<T, A> {
    /// A level with operator A (n × n), R (m × n) and P (n × m), smoothed by `relaxation` before the
    /// coarse correction and by its adjoint after it. It claims to be linear.
    ///
    /// # Errors
    /// Shapes that do not fit together.
    pub fn new(
        operator: A,
        relaxation: Box<dyn Relaxation<T, A> + Send>,
        restriction: Box<dyn LinearOperator<T> + Send>,
        prolongation: Box<dyn LinearOperator<T> + Send>,
    ) -> Result<Self> {
        let (n, m) = (operator.rows(), restriction.rows());
        let shapes = [
            ("the level's operator", [n, operator.cols()], [n, n]),
            ("the restriction", [m, restriction.cols()], [m, n]),
            ("the prolongation", [prolongation.rows(), prolongation.cols()], [n, m]),
        ];
        for (what, given, needed) in shapes {
            if given != needed || given.contains(&0) {
                let given = format!("{} × {}", given[0], given[1]);
                let needed = format!("it must be {} × {} and not empty", needed[0], needed[1]);
                return Err(Error::invalid(what, given, needed));
            }
        }
        let claims = Claims::LINEAR;
        Ok(Self { operator, before: relaxation, after: None, restriction, prolongation, claims })
    }

    /// With another relaxation (its plain sweep) after the coarse correction.
    pub fn after(self, relaxation: Box<dyn Relaxation<T, A> + Send>) -> Self {
        Self { after: Some(relaxation), ..self }
    }

    /// With these claims, see [`Level::claims`].
    pub fn claiming(self, claims: Claims) -> Self {
        Self { claims, ..self }
    }
}

impl<T: Real, A: LinearOperator<T>> Level<T> for Pieces<T, A> {
    fn operator(&self) -> &dyn LinearOperator<T> {
        &self.operator
    }
    fn coarse_len(&self) -> usize {
        self.restriction.rows()
    }
    fn sweep_before(&mut self, b: &[T], x: &mut [T]) {
        self.before.sweep(&self.operator, b, x);
    }
    fn sweep_from_zero(&mut self, b: &[T], x: &mut [T]) {
        self.before.sweep_from_zero(&self.operator, b, x);
    }
    fn sweep_after(&mut self, b: &[T], x: &mut [T]) {
        match &mut self.after {
            Some(after) => after.sweep(&self.operator, b, x),
            None => self.before.sweep_adjoint(&self.operator, b, x),
        }
    }
    fn restrict(&mut self, fine: &[T], coarse: &mut [T]) {
        self.restriction.apply(fine, coarse);
    }
    fn prolong_add(&mut self, coarse: &[T], fine: &mut [T], scratch: &mut [T]) {
        self.prolongation.apply_add(coarse, fine, scratch);
    }
    fn residual(&mut self, b: &[T], x: &[T], r: &mut [T]) {
        self.operator.residual(b, x, r);
    }
    fn claims(&self) -> Claims {
        self.claims
    }
}
