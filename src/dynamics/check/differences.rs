//! Finite differences with a sweep of the increment.

use super::{Checker, Input};
use crate::dynamics::{Dynamics, Point};
use crate::num::Real;

/// Halvings of the increment, from a tenth of the input's size: down to 1e-6 of it.
const LEVELS: usize = 17;

impl<T: Real, D: Dynamics<T>> Checker<'_, T, D> {
    /// ∂f/∂input of every output with the uncertainty of each.
    ///
    /// Central differences D(h) at h halved again and again, extrapolated to R = (4 D(h/2) − D(h))/3
    /// (error h⁴). The uncertainty of an R is the larger difference to its two neighbours plus what
    /// rounding f once contributes (neighbours can agree by accident where f's last digits are all
    /// that moves); the R of least uncertainty counts. Increments at which f is not finite are left
    /// out.
    pub(super) fn differences(&mut self, input: Input) -> Vec<(f64, f64)> {
        let levels: Vec<_> = (0..LEVELS).map(|k| self.central(input, k)).collect();
        (0..self.value.len())
            .map(|output| {
                let d: Vec<(f64, f64)> = levels.iter().map(|l| l[output]).collect();
                let extrapolate = |w: &[(f64, f64)]| ((4.0 * w[1].0 - w[0].0) / 3.0, 2.0 * w[1].1);
                let r: Vec<(f64, f64)> = d.windows(2).map(extrapolate).collect();
                let settled = r.windows(3).map(|w| {
                    let gap = (w[1].0 - w[0].0).abs().max((w[2].0 - w[1].0).abs()) + w[1].1;
                    (w[1].0, if gap.is_finite() { gap } else { f64::INFINITY })
                });
                let best = settled.min_by(|a, b| a.1.total_cmp(&b.1));
                best.unwrap_or((f64::NAN, f64::INFINITY))
            })
            .collect()
    }

    /// (f(x + h) − f(x − h)) / 2h for every output, h at its level, and its rounding error.
    fn central(&mut self, input: Input, level: usize) -> Vec<(f64, f64)> {
        let h = T::of(0.1 * self.size(input) * 0.5f64.powi(level as i32));
        let (up, x_up) = self.shifted(input, h);
        let (down, x_down) = self.shifted(input, -h);
        // What was really added, after rounding.
        let width = x_up.f64() - x_down.f64();
        let difference = |(u, d): (&T, &T)| {
            let (u, d) = (u.f64(), d.f64());
            let rounding = T::EPSILON.f64() * u.abs().max(d.abs()) / width;
            ((u - d) / width, rounding)
        };
        up.iter().zip(&down).map(difference).collect()
    }

    /// Size of an input: its own, or that of its kind if it is zero, or 1.
    pub(super) fn size(&self, input: Input) -> f64 {
        let (own, kind): (f64, &[T]) = match input {
            Input::Time => (self.at.t.f64(), &[]),
            Input::State(i) => (self.at.y[i].f64(), self.at.y),
            Input::Theta(k) => (self.at.theta[k].f64(), self.at.theta),
        };
        let largest = kind.iter().map(|x| x.f64().abs()).fold(0.0, f64::max);
        match (own.abs(), largest) {
            (own, _) if own > 0.0 => own,
            (_, largest) if largest > 0.0 => largest,
            _ => 1.0,
        }
    }

    fn shifted(&mut self, input: Input, h: T) -> (Vec<T>, T) {
        let (mut t, mut y, mut theta) = (self.at.t, self.at.y.to_vec(), self.at.theta.to_vec());
        let x = match input {
            Input::Time => &mut t,
            Input::State(i) => &mut y[i],
            Input::Theta(k) => &mut theta[k],
        };
        *x += h;
        let x = *x;
        let mut out = vec![T::of(0.0); y.len()];
        let at = Point { t, y: &y, theta: &theta };
        self.dynamics.eval(at, &mut out, &mut self.scratch);
        (out, x)
    }
}
