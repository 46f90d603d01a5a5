//! [`Burgers`], [`Advection`] and [`Heat`] on the torus: equations that Fourier modes solve.

use super::semilinear::{Semilinear, Snapshots};
use super::{Generator, PeriodicField, json};
use crate::error::{Error, Result};
use crate::operator::fourier::Fourier;
use rustfft::num_complex::Complex64;
use serde::{Deserialize, Serialize};
use std::f64::consts::TAU;

/// u_t + (u²/2)_x = ν u_xx on [0, 1), periodic, from random fields; pseudo-spectral as [`NavierStokes`](super::NavierStokes).
///
/// Samples are u(0) `[n]` and the states at the times of the snapshots, `[count, n]`. Fronts are about ν/|u| wide: with
/// fewer than a handful of points across them the truncated series rings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Burgers {
    /// Points.
    pub points: usize,
    /// ν ≥ 0.
    pub viscosity: f64,
    /// The law of u(0).
    pub field: PeriodicField,
    /// When states are kept.
    pub snapshots: Snapshots,
}

impl Burgers {
    /// u(0) ~ 𝒩(0, 625 (−Δ + 25)^{−2}) (Li et al. 2021, section 5.1); `count` snapshots at this interval.
    pub fn new(points: usize, viscosity: f64, interval: f64, count: usize) -> Self {
        let field = PeriodicField { scale: 25.0, alpha: 2.0, tau: 5.0, modes: (points.max(4) - 1) / 3 };
        Self { points, viscosity, field, snapshots: Snapshots::new(interval, count) }
    }
}

impl Generator for Burgers {
    fn equation(&self) -> &'static str {
        "burgers"
    }

    fn parameters(&self) -> Result<serde_json::Value> {
        json(self)
    }

    fn check(&self) -> Result<()> {
        if self.points < 4 {
            return Err(Error::invalid("the points of the line", self.points, "at least 4 are needed"));
        }
        not_negative("the viscosity", self.viscosity)?;
        self.field.check(1)?;
        self.snapshots.check()
    }

    fn shapes(&self) -> [Vec<usize>; 2] {
        [vec![self.points], vec![self.snapshots.count, self.points]]
    }

    fn input(&self, seed: u64, index: u32) -> Result<Vec<f64>> {
        self.check()?;
        self.field.on(&[self.points], seed, index)
    }

    fn output(&self, input: &[f64]) -> Result<Vec<f64>> {
        self.check()?;
        Error::check_len("u(0)", input.len(), self.points, "one for each point")?;
        let mut solver = Semilinear::new([self.points, 1], self.viscosity);
        let mut u = vec![Complex64::ZERO; self.points];
        let points = self.points as f64;
        let mut rate = |fourier: &mut Fourier, state: &[Complex64], rate: &mut [Complex64]| {
            u.copy_from_slice(state);
            fourier.inverse(&mut u);
            let mut speed = 0.0f64;
            for u in &mut u {
                speed = if u.re.is_nan() { f64::NAN } else { speed.max(u.re.abs() * points) };
                *u = Complex64::new(0.5 * u.re * u.re, 0.0);
            }
            fourier.forward(&mut u);
            for (i, (rate, flux)) in rate.iter_mut().zip(&u).enumerate() {
                *rate = flux * Complex64::new(0.0, -TAU * fourier.wave(i)[0]);
            }
            speed
        };
        solver.trajectory(input, &self.snapshots, &mut rate)
    }
}

/// u_t + c·∇u = 0 on the torus: exact, u(t, x) = u(0, x − ct), for the trigonometric polynomial through the points.
///
/// Samples are u(0) `[ny, nx]` (ny = 1 for one axis) and the states at the times of the snapshots, `[count, ny, nx]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Advection {
    /// Points along each axis.
    pub extents: [usize; 2],
    /// c.
    pub velocity: [f64; 2],
    /// The law of u(0).
    pub field: PeriodicField,
    /// When states are kept; steps are not taken.
    pub snapshots: Snapshots,
}

/// u_t = κ Δu on the torus: exact, û_k(t) = e^{−4π²|k|²κt} û_k(0), for the trigonometric polynomial through the points.
///
/// Samples are as those of [`Advection`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Heat {
    /// Points along each axis.
    pub extents: [usize; 2],
    /// κ ≥ 0.
    pub diffusivity: f64,
    /// The law of u(0).
    pub field: PeriodicField,
    /// When states are kept; steps are not taken.
    pub snapshots: Snapshots,
}

/// What both have in common: linear equations with constant coefficients, û_k(t) = û_k(0) e^{tσ_k}.
fn linear(
    [n, m]: [usize; 2],
    input: &[f64],
    snapshots: &Snapshots,
    symbol: impl Fn([f64; 2]) -> Complex64,
) -> Result<Vec<f64>> {
    Error::check_len("u(0)", input.len(), n * m, "one for each point")?;
    Error::check_finite("u(0)", input)?;
    let mut fourier = Fourier::new([n, m]);
    let mut start: Vec<Complex64> = input.iter().map(|u| Complex64::new(*u, 0.0)).collect();
    fourier.forward(&mut start);
    let (mut out, mut state) = (Vec::with_capacity(snapshots.count * input.len()), start.clone());
    for number in 1..=snapshots.count {
        let t = number as f64 * snapshots.interval;
        for (i, (u, start)) in state.iter_mut().zip(&start).enumerate() {
            *u = start * (symbol(fourier.wave(i)) * t).exp();
        }
        fourier.inverse(&mut state);
        // The real part: where an extent is even, the highest cosine of an axis has no sine to turn into.
        out.extend(state.iter().map(|u| u.re));
    }
    Ok(out)
}

fn not_negative(what: &'static str, value: f64) -> Result<()> {
    if value >= 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(Error::invalid(what, value, "it must be finite and not negative"))
}

fn check_torus(extents: [usize; 2], field: &PeriodicField, snapshots: &Snapshots) -> Result<()> {
    if extents[0] < 2 || extents[1] == 0 {
        let needed = "at least 2 points along the first axis and 1 along the second are needed";
        return Err(Error::invalid("the extents of the torus", format!("{extents:?}"), needed));
    }
    field.check(axes(&extents).len())?;
    snapshots.check()
}

/// The extents without a second axis of one point.
fn axes(extents: &[usize; 2]) -> &[usize] {
    if extents[1] == 1 { &extents[..1] } else { extents }
}

fn torus_shapes([n, m]: [usize; 2], snapshots: &Snapshots) -> [Vec<usize>; 2] {
    [vec![m, n], vec![snapshots.count, m, n]]
}

impl Generator for Advection {
    fn equation(&self) -> &'static str {
        "advection"
    }

    fn parameters(&self) -> Result<serde_json::Value> {
        json(self)
    }

    fn check(&self) -> Result<()> {
        Error::check_finite("the velocity", &self.velocity)?;
        check_torus(self.extents, &self.field, &self.snapshots)
    }

    fn shapes(&self) -> [Vec<usize>; 2] {
        torus_shapes(self.extents, &self.snapshots)
    }

    fn input(&self, seed: u64, index: u32) -> Result<Vec<f64>> {
        self.check()?;
        self.field.on(axes(&self.extents), seed, index)
    }

    fn output(&self, input: &[f64]) -> Result<Vec<f64>> {
        self.check()?;
        let [a, b] = self.velocity;
        let symbol = |[k, l]: [f64; 2]| Complex64::new(0.0, -TAU * (a * k + b * l));
        linear(self.extents, input, &self.snapshots, symbol)
    }
}

impl Generator for Heat {
    fn equation(&self) -> &'static str {
        "heat"
    }

    fn parameters(&self) -> Result<serde_json::Value> {
        json(self)
    }

    fn check(&self) -> Result<()> {
        not_negative("the diffusivity", self.diffusivity)?;
        check_torus(self.extents, &self.field, &self.snapshots)
    }

    fn shapes(&self) -> [Vec<usize>; 2] {
        torus_shapes(self.extents, &self.snapshots)
    }

    fn input(&self, seed: u64, index: u32) -> Result<Vec<f64>> {
        self.check()?;
        self.field.on(axes(&self.extents), seed, index)
    }

    fn output(&self, input: &[f64]) -> Result<Vec<f64>> {
        self.check()?;
        let factor = -TAU * TAU * self.diffusivity;
        let symbol = |[k, l]: [f64; 2]| Complex64::new(factor * (k * k + l * l), 0.0);
        linear(self.extents, input, &self.snapshots, symbol)
    }
}
