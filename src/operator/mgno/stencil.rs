//! The numbers that make a cycle the classical one.

use super::cycle::{Level, Step};
use super::spec::{CoarsePoints, CycleSpec};
use crate::error::{Error, Result};
use crate::linalg::grid::Stencil;
use crate::num::Real;
use std::ops::Range;

/// What a kernel becomes.
#[derive(Clone, Copy, Debug)]
enum Role {
    /// The stencil of this grid.
    Operator(usize),
    /// ω over its centre.
    Smoother(usize),
    Weighting,
    /// The numbers that interpolate along each axis.
    Interpolation([[f64; 4]; 3], [usize; 3]),
}

/// A kernel `[to, from, k…]` (of T `[from, to, k…]`) by its place.
#[derive(Clone, Debug)]
struct Item {
    role: Role,
    start: usize,
    from: usize,
    to: usize,
}

/// The kernels of one cycle and what they become.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    dim: usize,
    levels: usize,
    items: Vec<Item>,
}

impl Plan {
    pub fn new(spec: &CycleSpec, dim: usize, levels: &[Level]) -> Self {
        let mut items = Vec::new();
        for (l, level) in levels.iter().enumerate() {
            let [u, f] = level.channels;
            let mut push = |role, params: &Range<usize>, from, to| {
                items.push(Item { role, start: params.start, from, to });
            };
            for Step { a, s } in level.before.iter().chain(&level.after) {
                if let Some(a) = a {
                    push(Role::Operator(l), &a.params, u, f);
                }
                push(Role::Smoother(l), &s.params, f, u);
            }
            if let (Some(transfer), Some(next)) = (&level.transfer, levels.get(l + 1)) {
                if let Some(a) = &transfer.a {
                    push(Role::Operator(l), &a.params, u, f);
                }
                push(Role::Weighting, &transfer.r.params, f, next.channels[1]);
                let (lines, counts) = interpolation(spec.coarse_points, level.extents);
                push(Role::Interpolation(lines, counts), &transfer.up.params, next.channels[0], u);
            }
        }
        Self { dim, levels: levels.len(), items }
    }

    /// ACCUMULATES: adds the classical numbers to the kernels in `theta`.
    pub fn write<T: Real>(&self, stencils: &[Stencil<f64>], omega: f64, theta: &mut [T]) -> Result<()> {
        Error::check_len("the stencils", stencils.len(), self.levels, "one for each grid")?;
        if !omega.is_finite() {
            return Err(Error::invalid("ω", omega, "it must be finite"));
        }
        for (l, stencil) in stencils.iter().enumerate() {
            stencil.check(self.dim)?;
            if stencil.get([0; 3]) == 0.0 {
                let what = format!("the centre of stencil {l}");
                return Err(Error::invalid(what, 0, "Jacobi's smoother divides by it"));
            }
        }
        self.items.iter().for_each(|item| self.write_one(item, stencils, omega, theta));
        Ok(())
    }

    fn write_one<T: Real>(&self, item: &Item, stencils: &[Stencil<f64>], omega: f64, theta: &mut [T]) {
        let widths = match item.role {
            Role::Interpolation(_, counts) => counts,
            _ => [3; 3],
        };
        let k: [usize; 3] = std::array::from_fn(|axis| if axis < self.dim { widths[axis] } else { 1 });
        let taps: usize = k.iter().product();
        for t in 0..taps {
            let tap = [t % k[0], t / k[0] % k[1], t / (k[0] * k[1])];
            let offset: [isize; 3] =
                std::array::from_fn(|axis| if axis < self.dim { tap[axis] as isize - 1 } else { 0 });
            let along = |weight: &dyn Fn(usize) -> f64| (0..self.dim).map(weight).product::<f64>();
            let value = match item.role {
                Role::Operator(l) => stencils[l].get(offset),
                Role::Smoother(l) if offset == [0; 3] => omega / stencils[l].get([0; 3]),
                Role::Smoother(_) => 0.0,
                Role::Weighting => along(&|axis| [0.25, 0.5, 0.25][tap[axis]]),
                Role::Interpolation(lines, _) => along(&|axis| lines[axis][tap[axis]]),
            };
            if value == 0.0 {
                continue;
            }
            for to in 0..item.to {
                for from in 0..item.from {
                    let pair = match item.role {
                        Role::Interpolation(..) => from * item.to + to,
                        _ => to * item.from + from,
                    };
                    theta[item.start + pair * taps + t] +=
                        T::of(value * joined([from, to], [item.from, item.to]));
                }
            }
        }
    }
}

/// What channel `from` of `n` gives to channel `to` of `m`: where there are more to give to, each takes
/// one; where there are fewer, each takes a mean.
fn joined([from, to]: [usize; 2], [n, m]: [usize; 2]) -> f64 {
    match n <= m {
        true => f64::from(to % n == from),
        false if from % m == to => 1.0 / (to..n).step_by(m).count() as f64,
        false => 0.0,
    }
}

/// Linear interpolation along each axis of a fine grid, and how many numbers that takes.
fn interpolation(points: CoarsePoints, extents: [usize; 3]) -> ([[f64; 4]; 3], [usize; 3]) {
    let line = |n: usize| match (n % 2, points) {
        (0, CoarsePoints::Odd) => [0.0, 0.5, 1.0, 0.5],
        _ => [0.5, 1.0, 0.5, 0.0],
    };
    (extents.map(line), extents.map(|n| 4 - n % 2))
}
