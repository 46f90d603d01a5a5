//! A stochastic differential equation: drift, diffusion and the meaning of the integral.

use super::diffusion::{Diffusion, NoiseClass, Shape};
use super::noise::{Brownian, Levy};
use crate::dynamics::{Dynamics, Point, Tangent};
use crate::error::{Error, Result};
use crate::num::Real;
use std::ops::Range;

/// Which stochastic integral is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Calculus {
    /// dX = f dt + g dW, the integrand taken at the left of each interval.
    Ito,
    /// dX = f dt + g ∘ dW, the integrand taken at the middle: the ordinary chain rule holds.
    Stratonovich,
}

impl std::fmt::Display for Calculus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Ito => "Itô",
            Self::Stratonovich => "Stratonovich",
        })
    }
}

/// dX = f(t, X; θ_f) dt + G(t, X; θ_g) dW on `dim × paths` column-major states; θ = (θ_f, θ_g).
#[derive(Clone, Debug, PartialEq)]
pub struct Sde<F, G> {
    drift: F,
    diffusion: G,
    calculus: Calculus,
}

impl<F, G> Sde<F, G> {
    /// In Itô's sense.
    pub fn ito(drift: F, diffusion: G) -> Self {
        Self { drift, diffusion, calculus: Calculus::Ito }
    }

    /// In Stratonovich's sense.
    pub fn stratonovich(drift: F, diffusion: G) -> Self {
        Self { drift, diffusion, calculus: Calculus::Stratonovich }
    }
}

/// What the steppers see of a stochastic differential equation. [`Sde`] is one.
pub trait System<T: Real>: Sync {
    /// f.
    type Drift: Dynamics<T>;
    /// G.
    type Diffusion: Diffusion<T>;

    /// f.
    fn drift(&self) -> &Self::Drift;

    /// G.
    fn diffusion(&self) -> &Self::Diffusion;

    /// Whose integral.
    fn calculus(&self) -> Calculus;

    /// Rows of the state.
    fn dim(&self) -> usize {
        self.drift().dim()
    }

    /// Where θ_f lies in θ: first, where a system does not say otherwise.
    #[inline(always)]
    fn drift_params(&self) -> Range<usize> {
        0..self.drift().num_params()
    }

    /// Where θ_g lies in θ. The ranges may overlap: a [converted](super::Converted) drift takes all of θ.
    #[inline(always)]
    fn diffusion_params(&self) -> Range<usize> {
        let first = self.drift().num_params();
        first..first + self.diffusion().num_params()
    }

    /// Length of θ.
    fn num_params(&self) -> usize {
        self.drift_params().end.max(self.diffusion_params().end)
    }

    /// Checks that the parts fit together.
    ///
    /// # Errors
    /// Parts of different rows, a diagonal G with m ≠ dim, a mass matrix, or what a part finds.
    fn validate(&self) -> Result<()> {
        self.drift().validate()?;
        self.diffusion().validate()?;
        let (dim, rows) = (self.drift().dim(), self.diffusion().dim());
        if dim != rows || dim == 0 {
            let needed = format!("the drift has {dim} rows: both need the same, at least one");
            return Err(Error::invalid("the rows of the diffusion", rows, needed));
        }
        let m = self.diffusion().components();
        if m == 0 || (self.diffusion().shape() == Shape::Diagonal && m != dim) {
            let needed =
                format!("a diffusion of {dim} rows needs at least one motion, and a diagonal one {dim}");
            return Err(Error::invalid("the Brownian motions of the diffusion", m, needed));
        }
        if self.drift().mass().is_some() {
            let needed = "no stochastic method here takes one: solve M y' = f for y' first";
            return Err(Error::invalid("the drift's mass matrix", "present", needed));
        }
        Ok(())
    }
}

impl<T: Real, F: Dynamics<T>, G: Diffusion<T>> System<T> for Sde<F, G> {
    type Drift = F;
    type Diffusion = G;

    fn drift(&self) -> &F {
        &self.drift
    }

    fn diffusion(&self) -> &G {
        &self.diffusion
    }

    fn calculus(&self) -> Calculus {
        self.calculus
    }
}

impl<T: Real, S: System<T>> System<T> for &S {
    type Drift = S::Drift;
    type Diffusion = S::Diffusion;

    fn drift(&self) -> &S::Drift {
        (*self).drift()
    }

    fn diffusion(&self) -> &S::Diffusion {
        (*self).diffusion()
    }

    fn calculus(&self) -> Calculus {
        (*self).calculus()
    }

    fn drift_params(&self) -> Range<usize> {
        (*self).drift_params()
    }

    fn diffusion_params(&self) -> Range<usize> {
        (*self).diffusion_params()
    }

    fn validate(&self) -> Result<()> {
        (*self).validate()
    }
}

/// Refuses an equation in Itô's sense against time: its integral looks forward only.
pub(super) fn check_direction<T: Real, S: System<T>>(system: &S, span: [T; 2]) -> Result<()> {
    let additive = system.diffusion().class() == NoiseClass::Additive;
    if span[1] < span[0] && system.calculus() == Calculus::Ito && !additive {
        let needed =
            "Itô's integral looks forward only: give the equation in Stratonovich's sense to go back";
        return Err(Error::invalid("the time span", format!("{} to {}", span[0], span[1]), needed));
    }
    Ok(())
}

/// Checks an equation, and that a source drives as many motions as it has.
pub(crate) fn check_noise<T: Real, S: System<T>>(system: &S, noise: &impl Brownian<T>) -> Result<()> {
    system.validate()?;
    let m = system.diffusion().components();
    if noise.components() != m {
        let needed = format!("the diffusion has {m} Brownian motions");
        return Err(Error::invalid("the components of the noise", noise.components(), needed));
    }
    Ok(())
}

/// # Errors
/// A source that does not know the space–time Lévy area, which `method` needs.
pub(crate) fn check_area<T: Real>(method: &str, noise: &(impl Brownian<T> + ?Sized)) -> Result<()> {
    if noise.levy() < Levy::SpaceTime {
        let needed = format!("{method} needs the space–time Lévy area: make the source with it");
        return Err(Error::invalid("the noise source", "one of increments only", needed));
    }
    Ok(())
}

/// Tests the promise of a diffusion's class at (t, y; θ) for one path: that G is constant in y (additive),
/// that g_i depends on y_i only (diagonal), that the columns commute (commutative), to a relative `tol`.
///
/// # Errors
/// The entry where the promise is broken.
pub fn check_class<T: Real, G: Diffusion<T>>(g: &G, at: Point<'_, T>, tol: f64) -> Result<()> {
    g.validate()?;
    let (d, m) = (g.dim(), g.components());
    Error::check_len("y", at.y.len(), d, "one path")?;
    Error::check_len("theta", at.theta.len(), g.num_params(), "the diffusion's parameters")?;
    let mut scratch = g.scratch(1);
    let mut value = vec![T::zero(); g.entries()];
    g.eval(at, &mut value, &mut scratch);
    let along = |y: &[T], scratch: &mut G::Scratch| {
        let mut dot = vec![T::zero(); g.entries()];
        g.jvp(at, Tangent { t: T::zero(), y, theta: &[] }, &mut dot, scratch);
        dot
    };
    let broken = |what: String, by: f64| {
        let needed = format!("{what}: wrap the diffusion in the class that it has");
        Err(Error::invalid(format!("the promise of {} noise", g.class()), format!("off by {by:.1e}"), needed))
    };
    let scale = value.iter().fold(1e-300, |s: f64, v| s.max(v.f64().abs()));
    match (g.class(), g.shape()) {
        (NoiseClass::General | NoiseClass::Scalar, _) => {}
        (class @ (NoiseClass::Additive | NoiseClass::Diagonal), shape) => {
            for j in 0..d {
                let mut unit = vec![T::zero(); d];
                unit[j] = T::one();
                let dot = along(&unit, &mut scratch);
                let own = |i: usize| class == NoiseClass::Diagonal && shape == Shape::Diagonal && i == j;
                if let Some((i, v)) =
                    dot.iter().enumerate().find(|(i, v)| !own(*i) && v.f64().abs() > tol * scale)
                {
                    return broken(format!("entry {i} of G depends on component {j}"), v.f64().abs() / scale);
                }
            }
        }
        // No type makes a diagonal matrix of this class.
        (NoiseClass::Commutative, Shape::Diagonal) => {}
        (NoiseClass::Commutative, Shape::Matrix) => {
            let dots: Vec<Vec<T>> = (0..m).map(|l| along(&value[l * d..(l + 1) * d], &mut scratch)).collect();
            for (k, l) in (0..m).flat_map(|k| (0..k).map(move |l| (k, l))) {
                for i in 0..d {
                    let difference = (dots[l][k * d + i] - dots[k][l * d + i]).f64().abs();
                    let size = dots[l][k * d + i].f64().abs().max(dots[k][l * d + i].f64().abs());
                    if difference > tol * size.max(1e-300) {
                        return broken(
                            format!("columns {k} and {l} do not commute in row {i}"),
                            difference / size,
                        );
                    }
                }
            }
        }
    }
    Ok(())
}
