//! [`NavierStokes`]: two-dimensional incompressible flow on the torus.

use super::semilinear::{Semilinear, Snapshots};
use super::{Generator, PeriodicField, json};
use crate::error::{Error, Result};
use crate::operator::fourier::Fourier;
use rustfft::num_complex::Complex64;
use serde::{Deserialize, Serialize};
use std::f64::consts::TAU;

/// The vorticity w of a flow on the torus [0, 1)²,
///
/// w_t + v·∇w = ν Δw + A (sin 2π(x + y) + cos 2π(x + y)),   v = (∂ψ/∂y, −∂ψ/∂x),   −Δψ = w,
///
/// from random fields w(0) (Li et al., *Fourier Neural Operator*, ICLR 2021, section 5.3).
///
/// Pseudo-spectral: v·∇w = ∇·(v w) is multiplied out at the points, and only wavenumbers below n/3 are kept (the 2/3
/// rule, so that energy and enstrophy of an inviscid flow change by the time steps' error alone); Crank–Nicolson for
/// the viscosity, Heun's method for the rest, of order 2, with steps by the Courant number. The mean of w does not move.
///
/// Samples are an initial field `[ny, nx]` and the states at the times of the snapshots, `[count, ny, nx]`; pairs of one
/// step are neighbours in a trajectory.
///
/// ```
/// use odeon::operator::pde::{Generator, NavierStokes};
///
/// let flow = NavierStokes::new([16, 16], 1e-3, 0.5, 3);
/// let w0 = flow.input(7, 0)?;
/// assert_eq!(flow.output(&w0)?.len(), 3 * 16 * 16);
/// # Ok::<(), odeon::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct NavierStokes {
    /// Points along each axis.
    pub extents: [usize; 2],
    /// ν ≥ 0.
    pub viscosity: f64,
    /// A.
    pub forcing: f64,
    /// The law of w(0).
    pub field: PeriodicField,
    /// When states are kept.
    pub snapshots: Snapshots,
}

impl NavierStokes {
    /// The published forcing A = 0.1 and law w(0) ~ 𝒩(0, 7^{3/2} (−Δ + 49)^{−2.5}), as many modes as are resolved;
    /// `count` snapshots at this interval.
    pub fn new(extents: [usize; 2], viscosity: f64, interval: f64, count: usize) -> Self {
        let modes = (extents[0].min(extents[1]).max(4) - 1) / 3;
        let field = PeriodicField { scale: 7f64.powf(0.75), alpha: 2.5, tau: 7.0, modes };
        Self { extents, viscosity, forcing: 0.1, field, snapshots: Snapshots::new(interval, count) }
    }

    /// The velocity of a vorticity, both of its components at every point, and its energy ½⟨|v|²⟩.
    ///
    /// # Errors
    /// Another length than the points.
    pub fn velocity(&self, w: &[f64]) -> Result<([Vec<f64>; 2], f64)> {
        Error::check_len("w", w.len(), self.extents[0] * self.extents[1], "one for each point")?;
        let mut fourier = Fourier::new(self.extents);
        let mut state: Vec<Complex64> = w.iter().map(|w| Complex64::new(*w, 0.0)).collect();
        fourier.forward(&mut state);
        let mut v = vec![Complex64::ZERO; w.len()];
        velocity(&fourier, &fourier.laplacian(), &state, &mut v);
        fourier.inverse(&mut v);
        let energy = 0.5 * v.iter().map(Complex64::norm_sqr).sum::<f64>() / w.len() as f64;
        Ok(([v.iter().map(|v| v.re).collect(), v.iter().map(|v| v.im).collect()], energy))
    }
}

/// v̂_x + i v̂_y of ŵ: both components in one transform.
fn velocity(fourier: &Fourier, laplacian: &[f64], w: &[Complex64], v: &mut [Complex64]) {
    for (i, ((v, w), square)) in v.iter_mut().zip(w).zip(laplacian).enumerate() {
        let [k, l] = fourier.wave(i);
        let psi = if *square > 0.0 { w / square } else { Complex64::ZERO };
        // i v̂_y = −i · 2πi k ψ̂.
        *v = psi * Complex64::new(TAU * k, TAU * l);
    }
}

impl Generator for NavierStokes {
    fn equation(&self) -> &'static str {
        "navier-stokes"
    }

    fn parameters(&self) -> Result<serde_json::Value> {
        json(self)
    }

    fn check(&self) -> Result<()> {
        if let Some(n) = self.extents.iter().find(|n| **n < 4) {
            return Err(Error::invalid("an extent of the flow", n, "at least 4 points are needed"));
        }
        if !(self.viscosity >= 0.0 && self.viscosity.is_finite()) {
            return Err(Error::invalid(
                "the viscosity",
                self.viscosity,
                "it must be finite and not negative",
            ));
        }
        if !self.forcing.is_finite() {
            return Err(Error::invalid("the forcing", self.forcing, "it must be finite"));
        }
        self.field.check(2)?;
        self.snapshots.check()
    }

    fn shapes(&self) -> [Vec<usize>; 2] {
        let [nx, ny] = self.extents;
        [vec![ny, nx], vec![self.snapshots.count, ny, nx]]
    }

    fn input(&self, seed: u64, index: u32) -> Result<Vec<f64>> {
        self.check()?;
        self.field.on(&self.extents, seed, index)
    }

    fn output(&self, input: &[f64]) -> Result<Vec<f64>> {
        self.check()?;
        let [n, m] = self.extents;
        Error::check_len("w(0)", input.len(), n * m, "one for each point")?;
        let mut solver = Semilinear::new(self.extents, self.viscosity);
        let laplacian = solver.fourier.laplacian();
        let zeros = || vec![Complex64::ZERO; n * m];
        let (mut v, mut w) = (zeros(), zeros());
        let sides = [n as f64, m as f64];
        let forced = [[1, 1], [-1, -1]].map(|wave| solver.fourier.place(wave));
        let force = Complex64::new(0.5 * self.forcing, -0.5 * self.forcing);
        let mut rate = |fourier: &mut Fourier, state: &[Complex64], rate: &mut [Complex64]| {
            velocity(fourier, &laplacian, state, &mut v);
            fourier.inverse(&mut v);
            w.copy_from_slice(state);
            fourier.inverse(&mut w);
            let speed = v.iter().fold(0.0, |most: f64, v| {
                let speed = v.re.abs() * sides[0] + v.im.abs() * sides[1];
                if speed.is_nan() { speed } else { most.max(speed) }
            });
            v.iter_mut().zip(&w).for_each(|(v, w)| *v *= w.re);
            fourier.forward(&mut v);
            for (i, rate) in rate.iter_mut().enumerate() {
                let ([k, l], one, other) = (fourier.wave(i), v[i], v[fourier.opposite(i)].conj());
                // The transforms of v_x w and v_y w; i times their divergence is 2π (k …, l …).
                let flux = [0.5 * (one + other), Complex64::new(0.0, -0.5) * (one - other)];
                *rate = Complex64::new(0.0, -TAU) * (flux[0] * k + flux[1] * l);
            }
            rate[forced[0]] += force;
            rate[forced[1]] += force.conj();
            speed
        };
        solver.trajectory(input, &self.snapshots, &mut rate)
    }
}
