//! [`Trainer`]: the parameters of a direction network by Adam on the line-search loss.

use super::data::{RightHandSides, uniform};
use super::loss::{energy_loss, line_search_loss};
use super::net::DirectionNet;
use super::run::NetRun;
use crate::error::{Error, Result};
use crate::linalg::LinearOperator;
use crate::linalg::grid::Mask;
use crate::linalg::vector::{axpy, norm2, scale, scaled};
use crate::nn::{Clip, Optimizer, Rule, Schedule};
use crate::num::Real;

/// The learning rate: from `first` to `last` by half a cosine over `steps`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// η(0).
    pub first: f64,
    /// η(steps).
    pub last: f64,
    /// Steps of the descent.
    pub steps: u64,
}

/// A batch of right-hand sides, some fresh, the others what the network's own line searches have left of
/// earlier ones (its iteration without conjugacy): what it meets in a solve. Each step is one Adam step
/// on the mean loss, its gradient clipped to norm 1.
#[derive(Clone, Debug)]
pub struct Trainer<T> {
    run: NetRun<T>,
    optimizer: Optimizer<T>,
    batch: usize,
    /// How often an iteration goes on with its residual, and how often at most.
    carry_on: f64,
    longest: u32,
    /// Steps of the iteration that each sample has behind it; `None` is to be drawn.
    ages: Vec<Option<u32>>,
    seed: u64,
    steps: u64,
    /// Solutions, where the loss is that of the energy; else empty.
    x: Vec<T>,
    r: Vec<T>,
    z: Vec<T>,
    z_bar: Vec<T>,
    residual: Vec<T>,
    work: Vec<T>,
    theta_bar: Vec<T>,
}

impl<T: Real> Trainer<T> {
    /// For `net` on a grid of these extents, `batch` right-hand sides a step.
    ///
    /// # Errors
    /// No batch, unusable rates, extents that do not fit.
    pub fn new(
        net: &DirectionNet,
        extents: [usize; 3],
        batch: usize,
        rates: Rates,
        seed: u64,
    ) -> Result<Self> {
        if batch == 0 {
            return Err(Error::invalid("the batch", batch, "it must be at least 1"));
        }
        let run = NetRun::new(net, extents)?;
        let schedule = Schedule::Cosine { initial: rates.first, last: rates.last, over: rates.steps };
        let n = run.points();
        let zeros = |length| vec![T::zero(); length];
        Ok(Self {
            optimizer: Optimizer::new(Rule::adam(), schedule, net.layout().clone())?,
            run,
            batch,
            carry_on: 0.75,
            longest: 12,
            ages: vec![None; batch],
            seed,
            steps: 0,
            x: Vec::new(),
            r: zeros(n * batch),
            z: zeros(n * batch),
            z_bar: zeros(n * batch),
            residual: zeros(n),
            work: zeros(n),
            theta_bar: zeros(net.layout().len()),
        })
    }

    /// Going on with a residual with this probability, at most `longest` times (0.75, 12); 0 trains on
    /// fresh right-hand sides alone, as published.
    ///
    /// # Errors
    /// A probability outside [0, 1].
    pub fn own_residuals(self, probability: f64, longest: u32) -> Result<Self> {
        if !(0.0..=1.0).contains(&probability) {
            return Err(Error::invalid("the probability to go on", probability, "it must be in [0, 1]"));
        }
        Ok(Self { carry_on: probability, longest, ..self })
    }

    /// On the loss of the energy: the data are then solutions, and b = A x.
    pub fn energy(mut self) -> Self {
        self.x = vec![T::zero(); self.r.len()];
        self
    }

    /// From now on the grid has these obstacles; running iterations are dropped.
    ///
    /// # Errors
    /// A mask of another grid.
    pub fn set_mask(&mut self, mask: &Mask) -> Result<()> {
        self.ages.fill(None);
        self.run.set_mask(mask)
    }

    /// One step on A; `theta` moves. Returns the mean loss.
    ///
    /// # Errors
    /// Lengths that do not fit, a gradient that is not finite, an A that is not positive definite.
    pub fn step<A, D>(&mut self, theta: &mut [T], a: &A, data: &mut D) -> Result<f64>
    where
        A: LinearOperator<T> + ?Sized,
        D: RightHandSides<T> + ?Sized,
    {
        let n = self.run.points();
        Error::check_len("the operator", a.rows(), n, "the points of the network's grid")?;
        for (i, (b, age)) in self.r.chunks_exact_mut(n).zip(&mut self.ages).enumerate() {
            if age.is_none() {
                data.draw(b)?;
                if let Some(x) = self.x.chunks_exact_mut(n).nth(i) {
                    x.copy_from_slice(b);
                    a.apply(x, b);
                    let size = norm2(b);
                    scale(1.0 / size, x);
                    scale(1.0 / size, b);
                }
                *age = Some(0);
            }
        }
        self.run.forward(theta, &self.r, &mut self.z)?;
        let (mut total, weight) = (0.0, 1.0 / self.batch as f64);
        let fields = self.r.chunks_exact_mut(n).zip(self.z.chunks_exact(n));
        let fields = fields.zip(self.z_bar.chunks_exact_mut(n));
        for (i, ((b, f), f_bar)) in fields.enumerate() {
            let x = self.x.chunks_exact_mut(n).nth(i);
            let loss = match &x {
                None => line_search_loss(a, [b, f], f_bar, &mut self.residual, &mut self.work)?,
                Some(x) => energy_loss(a, [b, f, x], f_bar, &mut self.residual, &mut self.work)?,
            };
            total += weight * loss.value;
            f_bar.iter_mut().for_each(|v| *v *= T::of(weight));
            let left = norm2(&self.residual);
            let coin = uniform(self.seed, self.steps * self.batch as u64 + i as u64, 1);
            let age = self.ages[i].unwrap_or(0) + 1;
            self.ages[i] = (coin < self.carry_on && age <= self.longest && left > 0.0).then_some(age);
            if self.ages[i].is_some() {
                scaled(1.0 / left, &self.residual, b);
                if let Some(x) = x {
                    axpy(-loss.alpha, f, x);
                    scale(1.0 / left, x);
                }
            }
        }
        self.steps += 1;
        self.theta_bar.fill(T::zero());
        self.run.backward(theta, &self.z_bar, &mut self.theta_bar)?;
        Clip::Norm(1.0).apply(&mut self.theta_bar)?;
        self.optimizer.step(theta, &self.theta_bar)?;
        Ok(total)
    }
}
