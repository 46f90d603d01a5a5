//! Additive noise: [`Additive`], a promise about any diffusion, and [`Constant`], a matrix of parameters.

use super::{Diffusion, NoiseClass, Shape};
use crate::dynamics::{Point, Tangent};
use crate::error::{Error, Result};
use crate::num::Real;

/// Any diffusion whose G does not depend on y, by promise.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Additive<G>(pub G);

impl<T: Real, G: Diffusion<T>> Diffusion<T> for Additive<G> {
    type Scratch = G::Scratch;
    fn class(&self) -> NoiseClass {
        NoiseClass::Additive
    }
    fn shape(&self) -> Shape {
        self.0.shape()
    }
    fn dim(&self) -> usize {
        self.0.dim()
    }
    fn components(&self) -> usize {
        self.0.components()
    }
    fn num_params(&self) -> usize {
        self.0.num_params()
    }
    fn scratch(&self, batch: usize) -> G::Scratch {
        self.0.scratch(batch)
    }
    fn scratch_bytes(&self, batch: usize) -> usize {
        self.0.scratch_bytes(batch)
    }
    #[inline(always)]
    fn eval(&self, at: Point<'_, T>, g: &mut [T], scratch: &mut G::Scratch) {
        self.0.eval(at, g, scratch);
    }
    fn vjp(
        &self,
        at: Point<'_, T>,
        g_bar: &[T],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        scratch: &mut G::Scratch,
    ) -> T {
        self.0.vjp(at, g_bar, y_bar, theta_bar, scratch)
    }
    fn tape_len(&self, batch: usize) -> usize {
        self.0.tape_len(batch)
    }
    #[inline(always)]
    fn eval_taped(&self, at: Point<'_, T>, g: &mut [T], tape: &mut [T], scratch: &mut G::Scratch) {
        self.0.eval_taped(at, g, tape, scratch);
    }
    fn vjp_taped(
        &self,
        at: Point<'_, T>,
        taped: (&[T], &[T]),
        g_bar: &[T],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        scratch: &mut G::Scratch,
    ) -> T {
        self.0.vjp_taped(at, taped, g_bar, y_bar, theta_bar, scratch)
    }
    fn jvp(&self, at: Point<'_, T>, dot: Tangent<'_, T>, g_dot: &mut [T], scratch: &mut G::Scratch) {
        self.0.jvp(at, dot, g_dot, scratch);
    }
    fn validate(&self) -> Result<()> {
        self.0.validate()
    }
    fn locate_non_finite(&self, at: Point<'_, T>) -> Option<String> {
        self.0.locate_non_finite(at)
    }
}

/// The constant matrix G = θ (`dim × m`, or its diagonal), additive noise whose entries are parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Constant {
    dim: usize,
    components: usize,
    shape: Shape,
}

impl Constant {
    /// G = diag(θ), θ of length `dim`.
    pub fn diagonal(dim: usize) -> Self {
        Self { dim, components: dim, shape: Shape::Diagonal }
    }

    /// G = θ, `dim × components`, column-major.
    pub fn matrix(dim: usize, components: usize) -> Self {
        Self { dim, components, shape: Shape::Matrix }
    }
}

impl<T: Real> Diffusion<T> for Constant {
    type Scratch = ();
    fn class(&self) -> NoiseClass {
        NoiseClass::Additive
    }
    fn shape(&self) -> Shape {
        self.shape
    }
    fn dim(&self) -> usize {
        self.dim
    }
    fn components(&self) -> usize {
        self.components
    }
    fn num_params(&self) -> usize {
        Diffusion::<T>::entries(self)
    }
    fn scratch(&self, _: usize) {}
    fn eval(&self, at: Point<'_, T>, g: &mut [T], _: &mut ()) {
        g.chunks_mut(at.theta.len()).for_each(|g| g.copy_from_slice(at.theta));
    }
    fn vjp(&self, _: Point<'_, T>, g_bar: &[T], _: &mut [T], theta_bar: &mut [T], _: &mut ()) -> T {
        for g_bar in g_bar.chunks(theta_bar.len()) {
            theta_bar.iter_mut().zip(g_bar).for_each(|(bar, g)| *bar += *g);
        }
        T::zero()
    }
    fn jvp(&self, _: Point<'_, T>, dot: Tangent<'_, T>, g_dot: &mut [T], _: &mut ()) {
        if dot.theta.is_empty() {
            g_dot.fill(T::zero());
        } else {
            g_dot.chunks_mut(dot.theta.len()).for_each(|g| g.copy_from_slice(dot.theta));
        }
    }
    fn validate(&self) -> Result<()> {
        if self.dim == 0 || self.components == 0 {
            let given = format!("{} × {}", self.dim, self.components);
            return Err(Error::invalid("the constant diffusion", given, "both extents must be positive"));
        }
        Ok(())
    }
}
