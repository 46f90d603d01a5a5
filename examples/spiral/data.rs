//! The true spiral: what is fitted, what is held out.

use crate::model::DIM;
use odeon::Result;
use odeon::dynamics::gallery::CubicSpiral;
use odeon::dynamics::generic::Generic;
use odeon::integrate::{Options, Problem};
use odeon::num::Real;
use odeon::ode::{
    solve,
    tableaux::{Tsit5, Vern9},
};

/// Start of the training trajectory.
pub const START: [f64; DIM] = [2.0, 0.0];
/// End of the time span.
pub const END: f64 = 1.5;
/// Equispaced training points, both ends included.
pub const POINTS: usize = 30;
/// Held-out times between two training points.
const BETWEEN: usize = 9;

/// States at equispaced times.
pub struct Samples<T> {
    pub t: Vec<T>,
    /// Column-major `2 × t.len()`.
    pub y: Vec<T>,
}

/// Training and held-out points of the true trajectory.
pub struct Data<T> {
    pub training: Samples<T>,
    /// Nine times in each gap between training points; the training times are not among them.
    pub held_out: Samples<T>,
}

impl<T: Real> Data<T> {
    /// The true solution at tolerance 1e-13, rounded to `T`.
    pub fn new() -> Result<Self> {
        let fine = (POINTS - 1) * (BETWEEN + 1);
        let times: Vec<f64> = (0..=fine).map(|i| END * i as f64 / fine as f64).collect();
        let problem = Problem { y0: &START, span: [0.0, END], theta: &[0.1, 2.0] };
        let options = Options::tol(1e-13, 1e-13).save_at(&times[..]);
        let solution = solve(&Generic(CubicSpiral), &Vern9, &problem, &options)?;
        let pick = |training: bool| {
            let chosen = (0..=fine).filter(|i| (i % (BETWEEN + 1) == 0) == training);
            let (t, y): (Vec<T>, Vec<[T; DIM]>) =
                chosen.map(|i| (T::of(times[i]), [0, 1].map(|r| T::of(solution.state(i)[r])))).unzip();
            Samples { t, y: y.concat() }
        };
        Ok(Self { training: pick(true), held_out: pick(false) })
    }
}

/// Right-hand side evaluations that the true right-hand side takes.
pub fn true_nfe<T: Real>(options: &Options<T>) -> Result<usize> {
    let problem =
        Problem { y0: &START.map(T::of), span: [T::zero(), T::of(END)], theta: &[0.1, 2.0].map(T::of) };
    Ok(solve(&Generic(CubicSpiral), &Tsit5, &problem, options)?.stats.nfe)
}
