//! [`SecondOrderDiffusion`]: the gradient of the sums Σ_k (∂g_k/∂y) u_k, which the reverse of Milstein's method
//! and of the conversion of calculus needs.

use super::diffusion::{
    Additive, Columns, Commutative, Constant, Crossed, Diagonal, Diffusion, General, Scalar, each, only,
    place, take,
};
use crate::dynamics::{Dynamics, Point, SecondOrder};
use crate::num::Real;

/// A diffusion whose [`contraction`](Diffusion::contraction) has gradients.
pub trait SecondOrderDiffusion<T: Real>: Diffusion<T> {
    /// Memory that calls reuse.
    type Memory: Send;

    /// Memory for `batch` paths.
    fn memory(&self, batch: usize) -> Self::Memory;

    /// ACCUMULATES the gradient of φ = `out_bar`ᵀ Σ_k (∂g_k/∂y) u_k at constant `out_bar`: `u_bar` += ∂φ/∂u
    /// (laid out as G), `y_bar` += ∂φ/∂y and `theta_bar` += ∂φ/∂θ at constant u; returns ∂φ/∂t. `inputs` is
    /// \[u, `out_bar`\], `bars` \[`u_bar`, `y_bar`, `theta_bar`\].
    fn contraction_vjp(
        &self,
        at: Point<'_, T>,
        inputs: [&[T]; 2],
        bars: [&mut [T]; 3],
        memory: &mut Self::Memory,
        scratch: &mut Self::Scratch,
    ) -> T;
}

/// [`SecondOrderDiffusion::contraction_vjp`] of some diffusion, with its memory.
pub(crate) trait SecondDerivatives<T> {
    fn contraction_vjp(&mut self, at: Point<'_, T>, inputs: [&[T]; 2], bars: [&mut [T]; 3]);
}

struct Of<'a, T: Real, G: SecondOrderDiffusion<T>> {
    diffusion: &'a G,
    memory: G::Memory,
    scratch: G::Scratch,
}

impl<T: Real, G: SecondOrderDiffusion<T>> SecondDerivatives<T> for Of<'_, T, G> {
    fn contraction_vjp(&mut self, at: Point<'_, T>, inputs: [&[T]; 2], bars: [&mut [T]; 3]) {
        // The cotangent of t is nobody's.
        self.diffusion.contraction_vjp(at, inputs, bars, &mut self.memory, &mut self.scratch);
    }
}

/// For steppers whose reverse alone needs second derivatives.
pub(crate) fn second_derivatives<'a, T: Real, G: SecondOrderDiffusion<T>>(
    diffusion: &'a G,
    batch: usize,
) -> Box<dyn SecondDerivatives<T> + 'a> {
    Box::new(Of { diffusion, memory: diffusion.memory(batch), scratch: diffusion.scratch(batch) })
}

/// Memory of the diffusions made of right-hand sides.
#[derive(Debug)]
pub struct ContractionMemory<T, M> {
    each: Vec<M>,
    /// Cotangents of θ that nobody asked for.
    theta: Vec<T>,
    direction: Vec<T>,
    bar: Vec<T>,
}

impl<T: Real, M> ContractionMemory<T, M> {
    fn new(each: Vec<M>, params: usize, n: usize) -> Self {
        let zeros = |n| vec![T::zero(); n];
        Self { each, theta: zeros(params), direction: zeros(n), bar: zeros(n) }
    }
}

/// One product serves all rows: row i is g_i alone, of y_i alone, or there is one column only.
macro_rules! alone {
    ($($name:ident),*) => {$(
        impl<T: Real, D: SecondOrder<T>> SecondOrderDiffusion<T> for $name<D> {
            type Memory = ContractionMemory<T, D::Memory>;

            fn memory(&self, batch: usize) -> Self::Memory {
                ContractionMemory::new(vec![self.0.memory(batch)], self.0.num_params(), 0)
            }

            fn contraction_vjp(
                &self,
                at: Point<'_, T>,
                [u, out_bar]: [&[T]; 2],
                [u_bar, y_bar, theta_bar]: [&mut [T]; 3],
                memory: &mut Self::Memory,
                scratch: &mut Self::Scratch,
            ) -> T {
                self.0.vjp(at, out_bar, u_bar, &mut memory.theta, scratch);
                self.0.jvp_vjp(at, [u, out_bar], y_bar, theta_bar, &mut memory.each[0])
            }
        }
    )*};
}

alone!(Diagonal, Scalar);

impl<T: Real, D: SecondOrder<T>> SecondOrderDiffusion<T> for Crossed<D> {
    type Memory = ContractionMemory<T, D::Memory>;

    fn memory(&self, batch: usize) -> Self::Memory {
        let n = self.0.dim() * batch;
        let mut memory = ContractionMemory::new(vec![self.0.memory(batch)], self.0.num_params(), n);
        // The cotangent of the direction too.
        memory.bar.resize(2 * n, T::zero());
        memory
    }

    fn contraction_vjp(
        &self,
        at: Point<'_, T>,
        [u, out_bar]: [&[T]; 2],
        [u_bar, y_bar, theta_bar]: [&mut [T]; 3],
        memory: &mut Self::Memory,
        scratch: &mut Self::Scratch,
    ) -> T {
        let (n, d, mut t_bar) = (at.y.len(), self.0.dim(), T::zero());
        let ContractionMemory { each, theta, direction, bar } = memory;
        let direction = &mut direction[..n];
        let (bar, direction_bar) = bar.split_at_mut(n);
        let direction_bar = &mut direction_bar[..n];
        for k in 0..d {
            only(u, direction, [d, k]);
            only(out_bar, bar, [d, k]);
            direction_bar.fill(T::zero());
            self.0.vjp(at, bar, direction_bar, theta, scratch);
            let rows = u_bar.iter_mut().zip(&*direction_bar).skip(k).step_by(d);
            rows.for_each(|(u_bar, bar)| *u_bar += *bar);
            t_bar += self.0.jvp_vjp(at, [direction, bar], y_bar, theta_bar, &mut each[0]);
        }
        t_bar
    }
}

/// Column by column.
macro_rules! columns {
    ($($name:ident),*) => {$(
        impl<T: Real, D: SecondOrder<T>> SecondOrderDiffusion<T> for $name<D> {
            type Memory = ContractionMemory<T, D::Memory>;

            fn memory(&self, batch: usize) -> Self::Memory {
                let each = self.0.iter().map(|d| d.memory(batch)).collect();
                let params = self.0.iter().map(Dynamics::num_params).max().unwrap_or(0);
                ContractionMemory::new(each, params, Diffusion::<T>::dim(self) * batch)
            }

            fn contraction_vjp(
                &self,
                at: Point<'_, T>,
                [u, out_bar]: [&[T]; 2],
                [u_bar, y_bar, theta_bar]: [&mut [T]; 3],
                memory: &mut Self::Memory,
                Columns { each: scratch, .. }: &mut Self::Scratch,
            ) -> T {
                let (n, m, dim) = (at.y.len(), self.0.len(), Diffusion::<T>::dim(self));
                let (mut t_bar, mut first) = (T::zero(), 0);
                let ContractionMemory { each: memory, theta: unused, direction, bar } = memory;
                let (direction, bar) = (&mut direction[..n], &mut bar[..n]);
                for (k, (d, theta)) in each(&self.0, at.theta).enumerate() {
                    let at = Point { theta, ..at };
                    take(u, direction, [dim, k, m]);
                    take(u_bar, bar, [dim, k, m]);
                    d.vjp(at, out_bar, bar, &mut unused[..theta.len()], &mut scratch[k]);
                    place(bar, u_bar, [dim, k, m]);
                    let own = &mut theta_bar[first..first + theta.len()];
                    first += theta.len();
                    t_bar += d.jvp_vjp(at, [direction, out_bar], y_bar, own, &mut memory[k]);
                }
                t_bar
            }
        }
    )*};
}

columns!(Commutative, General);

impl<T: Real> SecondOrderDiffusion<T> for Constant {
    type Memory = ();
    fn memory(&self, _: usize) {}
    fn contraction_vjp(&self, _: Point<'_, T>, _: [&[T]; 2], _: [&mut [T]; 3], _: &mut (), _: &mut ()) -> T {
        T::zero()
    }
}

/// G does not depend on y: every sum is zero.
impl<T: Real, G: Diffusion<T>> SecondOrderDiffusion<T> for Additive<G> {
    type Memory = ();
    fn memory(&self, _: usize) {}
    fn contraction_vjp(
        &self,
        _: Point<'_, T>,
        _: [&[T]; 2],
        _: [&mut [T]; 3],
        _: &mut (),
        _: &mut G::Scratch,
    ) -> T {
        T::zero()
    }
}
