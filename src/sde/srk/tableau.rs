//! Coefficients of stochastic Runge–Kutta methods.

use super::form::Form;
use crate::error::{Error, Result};
use crate::sde::{Calculus, NoiseClass};

/// The random vectors a step is made of, each of the size of √h, one entry for each motion of each path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variate {
    /// ΔW = I_(1).
    Increment,
    /// The space–time Lévy area H.
    Area,
    /// I_(1,0)/h = ½ΔW + H, with I_(1,0) = ∫(W(s) − W(t)) ds.
    TimeIntegral,
    /// √h.
    Root,
    /// I_(1,1)/√h = (ΔW² − h)/(2√h).
    Square,
    /// J_(1,1)/√h = ΔW²/(2√h), Stratonovich's.
    StratonovichSquare,
    /// I_(1,1,1)/h = (ΔW³ − 3hΔW)/(6h).
    Cube,
}

impl Variate {
    /// Whether it needs the Lévy area.
    pub fn needs_area(self) -> bool {
        matches!(self, Self::Area | Self::TimeIntegral)
    }
}

/// Lower triangular rows: row i holds the weights of values 0, …, i − 1 (missing ones are 0).
pub type Rows = &'static [&'static [f64]];

/// How one random vector enters: G_j ξ with weight b_ij in drift argument i, in diffusion argument i, in
/// the solution and in the error estimate. Empty lists are zeros.
#[derive(Clone, Copy, Debug)]
pub struct Couple {
    /// ξ.
    pub variate: Variate,
    /// b⁰.
    pub drift: Rows,
    /// b¹.
    pub diffusion: Rows,
    /// β.
    pub solution: &'static [f64],
    /// Weights of the error estimate.
    pub error: &'static [f64],
}

impl Couple {
    /// ξ in the solution only.
    pub const fn solution(variate: Variate, solution: &'static [f64]) -> Self {
        Self { variate, drift: &[], diffusion: &[], solution, error: &[] }
    }
}

/// The strong and weak order that a method has on a class of noise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Strength {
    /// The class.
    pub class: NoiseClass,
    /// E|X(T) − y_N| = O(h^strong).
    pub strong: f64,
    /// |E φ(X(T)) − E φ(y_N)| = O(h^weak), φ smooth.
    pub weak: f64,
}

/// A stochastic Runge–Kutta method as data.
#[derive(Clone, Copy, Debug)]
pub struct StochasticTableau {
    /// Name.
    pub name: &'static str,
    /// Whose integral it approximates. On additive noise both are the same.
    pub calculus: Calculus,
    /// The classes it takes, with its orders.
    pub strengths: &'static [Strength],
    /// Drift abscissae c⁰.
    pub c0: &'static [f64],
    /// Diffusion abscissae c¹, as many.
    pub c1: &'static [f64],
    /// a⁰: drift values in drift arguments.
    pub a0: Rows,
    /// a¹: drift values in diffusion arguments.
    pub a1: Rows,
    /// α.
    pub alpha: &'static [f64],
    /// The random vectors.
    pub noise: &'static [Couple],
    /// Drift weights of the error estimate; empty (with all [`Couple::error`]) without one.
    pub error: &'static [f64],
    /// The power of h that the estimate goes with, rounded up.
    pub error_power: usize,
    /// Two drift stages with the same abscissa, and the real-axis extent of the stability region.
    pub stiffness: Option<(usize, usize, f64)>,
}

/// Checks that the method of this name for equations in this sense (`None`: either) and noise of these classes
/// can integrate noise of `class` in the sense of `calculus`.
pub(crate) fn accepts(
    (name, own): (&str, Option<Calculus>),
    takes: &[NoiseClass],
    class: NoiseClass,
    calculus: Calculus,
) -> Result<()> {
    if !takes.contains(&class) {
        let takes: Vec<&str> = takes.iter().map(|class| class.name()).collect();
        let needed = format!("{name} takes {} noise only", takes.join(", "));
        return Err(Error::invalid("the noise", class, needed));
    }
    match own {
        Some(own) if own != calculus && class != NoiseClass::Additive => {
            let needed = format!(
                "{name} is a method for {own} equations: convert the equation (Converted) or take another method"
            );
            Err(Error::invalid("the calculus of the equation", calculus, needed))
        }
        _ => Ok(()),
    }
}

/// A stochastic Runge–Kutta method: what [`solve`](crate::sde::solve) takes.
pub trait StochasticRk: Sync {
    /// Its coefficients.
    fn tableau(&self) -> &StochasticTableau;
}

impl StochasticRk for StochasticTableau {
    fn tableau(&self) -> &StochasticTableau {
        self
    }
}

impl StochasticTableau {
    /// Values of each kind, s.
    pub fn stages(&self) -> usize {
        self.alpha.len()
    }

    /// Whether it estimates its error.
    pub fn has_error(&self) -> bool {
        !self.error.is_empty() || self.noise.iter().any(|c| !c.error.is_empty())
    }

    /// Whether it needs a source that knows the space–time Lévy area.
    pub fn needs_area(&self) -> bool {
        self.noise.iter().any(|c| c.variate.needs_area())
    }

    /// The orders on a class, where it takes the class.
    pub fn strength(&self, class: NoiseClass) -> Option<Strength> {
        self.strengths.iter().copied().find(|s| s.class == class)
    }

    /// Checks that it can integrate noise of this class in this sense.
    ///
    /// # Errors
    /// A class that it does not take, or the other calculus (on other than additive noise).
    pub fn accepts(&self, class: NoiseClass, calculus: Calculus) -> Result<()> {
        let takes: Vec<NoiseClass> = self.strengths.iter().map(|s| s.class).collect();
        accepts((self.name, Some(self.calculus)), &takes, class, calculus)
    }

    fn row(rows: Rows, i: usize, s: usize) -> Vec<f64> {
        let row = rows.get(i).copied().unwrap_or_default();
        (0..s).map(|j| row.get(j).copied().unwrap_or(0.0)).collect()
    }

    fn weights(list: &[f64], s: usize) -> Vec<f64> {
        (0..s).map(|j| list.get(j).copied().unwrap_or(0.0)).collect()
    }

    fn form(&self, drift: Vec<f64>, of: impl Fn(&Couple) -> Vec<f64>) -> Form {
        Form::new(drift, &self.noise.iter().map(of).collect::<Vec<_>>())
    }

    /// X_i − y.
    pub(crate) fn drift_argument(&self, i: usize) -> Form {
        let s = self.stages();
        self.form(Self::row(self.a0, i, s), |c| Self::row(c.drift, i, s))
    }

    /// Z_i − y.
    pub(crate) fn diffusion_argument(&self, i: usize) -> Form {
        let s = self.stages();
        self.form(Self::row(self.a1, i, s), |c| Self::row(c.diffusion, i, s))
    }

    /// y₁ − y.
    pub(crate) fn solution(&self) -> Form {
        let s = self.stages();
        self.form(Self::weights(self.alpha, s), |c| Self::weights(c.solution, s))
    }

    /// The error estimate.
    pub(super) fn error_form(&self) -> Form {
        let s = self.stages();
        self.form(Self::weights(self.error, s), |c| Self::weights(c.error, s))
    }
}
