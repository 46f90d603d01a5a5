//! [`Converted`]: the same process in the other calculus.
//!
//! dX = f dt + G dW and dX = f̃ dt + G ∘ dW have the same solutions where f̃ = f − ½ Σ_k (∂g_k/∂y) g_k (Kloeden &
//! Platen, eq. 4.9.3). The converted drift depends on all of θ, so that its range of θ overlaps that of the
//! diffusion ([`System::drift_params`]).

use super::diffusion::{Diffusion, NoiseClass};
use super::second_order::SecondOrderDiffusion;
use super::system::{Calculus, System};
use crate::dynamics::{Dynamics, Point, Tangent};
use crate::error::Result;
use crate::linalg::Pattern;
use crate::num::Real;
use std::ops::Range;

/// The system `S` in the other calculus: Itô's where it is Stratonovich's, and the reverse. θ is that of `S`.
///
/// ```
/// use odeon::dynamics::gallery::Lorenz;
/// use odeon::dynamics::generic::Generic;
/// use odeon::sde::{Calculus, Converted, Diagonal, Sde, System};
/// let ito = Sde::ito(Generic(Lorenz), Diagonal(Generic(Lorenz)));
/// let stratonovich = Converted::new(ito);
/// assert_eq!(System::<f64>::calculus(&stratonovich), Calculus::Stratonovich);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Converted<S>(ConvertedDrift<S>);

/// The drift f ∓ ½ Σ_k (∂g_k/∂y) g_k of a [`Converted`] system; its parameters are all of θ.
///
/// Its Jacobian–vector products take `dim` reverse products for each path (one for all where the noise is
/// diagonal): there is no forward second-order product. Use it in implicit methods for small systems only.
#[derive(Clone, Debug, PartialEq)]
pub struct ConvertedDrift<S>(S);

/// Memory of a [`ConvertedDrift`]: `F`, `G` and `M` are those of drift, diffusion and its second derivatives.
#[derive(Debug)]
pub struct ConvertedScratch<T, F, G, M> {
    drift: F,
    diffusion: G,
    memory: M,
    /// G and its cotangent.
    g: [Vec<T>; 2],
    /// The correction, then its cotangent.
    sum: Vec<T>,
    work: Vec<T>,
    /// A row of the correction's Jacobian in y and in θ.
    row: Vec<T>,
    theta_row: Vec<T>,
    unit: Vec<T>,
}

impl<S> Converted<S> {
    /// In the calculus that `system` is not in.
    pub fn new(system: S) -> Self {
        Self(ConvertedDrift(system))
    }

    /// The system it was made of.
    pub fn original(&self) -> &S {
        &self.0.0
    }
}

impl<T: Real, S: System<T>> System<T> for Converted<S>
where
    S::Diffusion: SecondOrderDiffusion<T>,
{
    type Drift = ConvertedDrift<S>;
    type Diffusion = S::Diffusion;

    fn drift(&self) -> &ConvertedDrift<S> {
        &self.0
    }

    fn diffusion(&self) -> &S::Diffusion {
        self.original().diffusion()
    }

    fn calculus(&self) -> Calculus {
        match self.original().calculus() {
            Calculus::Ito => Calculus::Stratonovich,
            Calculus::Stratonovich => Calculus::Ito,
        }
    }

    fn diffusion_params(&self) -> Range<usize> {
        self.original().diffusion_params()
    }
}

/// Memory of the drift made of `S`.
type Scratch<T, S> = ConvertedScratch<
    T,
    <<S as System<T>>::Drift as Dynamics<T>>::Scratch,
    <<S as System<T>>::Diffusion as Diffusion<T>>::Scratch,
    <<S as System<T>>::Diffusion as SecondOrderDiffusion<T>>::Memory,
>;

impl<S> ConvertedDrift<S> {
    /// ∓½.
    fn half<T: Real>(&self) -> T
    where
        S: System<T>,
    {
        match self.0.calculus() {
            Calculus::Ito => T::of(-0.5),
            Calculus::Stratonovich => T::of(0.5),
        }
    }

    fn additive<T: Real>(&self) -> bool
    where
        S: System<T>,
    {
        self.0.diffusion().class() == NoiseClass::Additive
    }

    /// ACCUMULATES the reverse of ∓½ Σ_k (∂g_k/∂y) g_k; returns the cotangent of t.
    fn correction_vjp<T: Real>(
        &self,
        at: Point<'_, T>,
        bar: &[T],
        [y_bar, theta_bar]: [&mut [T]; 2],
        scratch: &mut Scratch<T, S>,
    ) -> T
    where
        S: System<T>,
        S::Diffusion: SecondOrderDiffusion<T>,
    {
        let (diffusion, range) = (self.0.diffusion(), self.0.diffusion_params());
        let ConvertedScratch { diffusion: memory, memory: second, g: [g, g_bar], sum, .. } = scratch;
        let (n, entries) = (at.y.len(), diffusion.entries() * at.y.len() / diffusion.dim());
        let (g, g_bar, sum) = (&mut g[..entries], &mut g_bar[..entries], &mut sum[..n]);
        let at = Point { theta: &at.theta[range.clone()], ..at };
        let half = self.half::<T>();
        sum.iter_mut().zip(bar).for_each(|(sum, bar)| *sum = half * *bar);
        diffusion.eval(at, g, memory);
        g_bar.fill(T::zero());
        let theta_bar = &mut theta_bar[range];
        let bars = [&mut *g_bar, &mut *y_bar, &mut *theta_bar];
        let t_bar = diffusion.contraction_vjp(at, [g, sum], bars, second, memory);
        t_bar + diffusion.vjp(at, g_bar, y_bar, theta_bar, memory)
    }
}

impl<T: Real, S: System<T>> Dynamics<T> for ConvertedDrift<S>
where
    S::Diffusion: SecondOrderDiffusion<T>,
{
    type Scratch = Scratch<T, S>;

    fn dim(&self) -> usize {
        self.0.drift().dim()
    }

    fn num_params(&self) -> usize {
        System::num_params(&self.0)
    }

    fn scratch(&self, batch: usize) -> Self::Scratch {
        let zeros = |n| vec![T::zero(); n];
        let (diffusion, n) = (self.0.diffusion(), self.0.drift().dim() * batch);
        let entries = diffusion.entries() * batch;
        ConvertedScratch {
            drift: self.0.drift().scratch(batch),
            diffusion: diffusion.scratch(batch),
            memory: diffusion.memory(batch),
            g: [zeros(entries), zeros(entries)],
            sum: zeros(n),
            work: zeros(n + entries),
            row: zeros(n),
            theta_row: zeros(System::num_params(&self.0)),
            unit: zeros(n),
        }
    }

    fn scratch_bytes(&self, batch: usize) -> usize {
        let (diffusion, n) = (self.0.diffusion(), self.0.drift().dim() * batch);
        let own = 4 * n + 3 * diffusion.entries() * batch + System::num_params(&self.0);
        self.0.drift().scratch_bytes(batch) + diffusion.scratch_bytes(batch) + own * size_of::<T>()
    }

    fn eval(&self, at: Point<'_, T>, dy: &mut [T], scratch: &mut Self::Scratch) {
        let theta = &at.theta[self.0.drift_params()];
        self.0.drift().eval(Point { theta, ..at }, dy, &mut scratch.drift);
        if self.additive() {
            return;
        }
        let diffusion = self.0.diffusion();
        let ConvertedScratch { diffusion: memory, g: [g, _], sum, work, .. } = scratch;
        let (n, entries) = (at.y.len(), diffusion.entries() * at.y.len() / diffusion.dim());
        let (g, sum) = (&mut g[..entries], &mut sum[..n]);
        let at = Point { theta: &at.theta[self.0.diffusion_params()], ..at };
        diffusion.eval(at, g, memory);
        diffusion.contraction(at, g, sum, work, memory);
        let half = self.half::<T>();
        dy.iter_mut().zip(sum).for_each(|(dy, sum)| *dy = half.mul_add(*sum, *dy));
    }

    fn vjp(
        &self,
        at: Point<'_, T>,
        dy_bar: &[T],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        scratch: &mut Self::Scratch,
    ) -> T {
        let range = self.0.drift_params();
        let own = Point { theta: &at.theta[range.clone()], ..at };
        let t_bar = self.0.drift().vjp(own, dy_bar, y_bar, &mut theta_bar[range], &mut scratch.drift);
        match self.additive() {
            true => t_bar,
            false => t_bar + self.correction_vjp(at, dy_bar, [y_bar, theta_bar], scratch),
        }
    }

    fn jvp(&self, at: Point<'_, T>, dot: Tangent<'_, T>, dy_dot: &mut [T], scratch: &mut Self::Scratch) {
        let range = self.0.drift_params();
        let along = if dot.theta.is_empty() { &[] } else { &dot.theta[range.clone()] };
        let own = Point { theta: &at.theta[range], ..at };
        self.0.drift().jvp(own, Tangent { theta: along, ..dot }, dy_dot, &mut scratch.drift);
        if self.additive() {
            return;
        }
        let (mut row, mut theta_row) =
            (std::mem::take(&mut scratch.row), std::mem::take(&mut scratch.theta_row));
        let mut unit = std::mem::take(&mut scratch.unit);
        let d = self.dim();
        if self.0.diffusion().class() == NoiseClass::Diagonal && dot.t == T::zero() && dot.theta.is_empty() {
            // The correction's Jacobian is diagonal: its transpose is itself.
            let row = &mut row[..dot.y.len()];
            row.fill(T::zero());
            self.correction_vjp(at, dot.y, [row, &mut theta_row], scratch);
            dy_dot.iter_mut().zip(row).for_each(|(dy, row)| *dy += *row);
        } else {
            let (row, unit) = (&mut row[..d], &mut unit[..d]);
            let paths = at.y.chunks(d).zip(dot.y.chunks(d)).zip(dy_dot.chunks_mut(d));
            for ((y, y_dot), dy_dot) in paths {
                for (i, dy_dot) in dy_dot.iter_mut().enumerate() {
                    row.fill(T::zero());
                    theta_row.fill(T::zero());
                    unit.fill(T::zero());
                    unit[i] = T::one();
                    let t_row =
                        self.correction_vjp(Point { y, ..at }, unit, [&mut *row, &mut theta_row], scratch);
                    let along_y = row.iter().zip(y_dot).fold(t_row * dot.t, |s, (a, b)| a.mul_add(*b, s));
                    *dy_dot += theta_row.iter().zip(dot.theta).fold(along_y, |s, (a, b)| a.mul_add(*b, s));
                }
            }
        }
        (scratch.row, scratch.theta_row, scratch.unit) = (row, theta_row, unit);
    }

    /// That of f, with the diagonal where the noise is diagonal; unknown for other noise.
    fn sparsity(&self) -> Option<Pattern> {
        let drift = self.0.drift().sparsity()?;
        match self.0.diffusion().class() {
            NoiseClass::Additive => Some(drift),
            NoiseClass::Diagonal => drift.union(&Pattern::diagonal(self.dim())).ok(),
            _ => None,
        }
    }

    fn validate(&self) -> Result<()> {
        self.0.validate()
    }

    fn locate_non_finite(&self, at: Point<'_, T>) -> Option<String> {
        let theta = &at.theta[self.0.drift_params()];
        let found = self.0.drift().locate_non_finite(Point { theta, ..at });
        found.or_else(|| {
            let theta = &at.theta[self.0.diffusion_params()];
            let part = self.0.diffusion().locate_non_finite(Point { theta, ..at })?;
            Some(format!("the diffusion: {part}"))
        })
    }
}
