//! Trajectories of states on grids, and the relative L2 loss of one.

use odeon::dataset::Samples;
use odeon::operator::surrogate::FieldNorm;
use odeon::{Error, Result};

/// Trajectories over their deviation: states one after the other, the initial one first.
pub struct Trajectories {
    pub states: Vec<f32>,
    /// Points of a state.
    pub dim: usize,
    /// States of a trajectory.
    pub length: usize,
    /// What they were divided by.
    #[allow(dead_code, reason = "for examples in which states are scaled")]
    pub scale: f32,
    norm: FieldNorm<f32>,
}

impl Trajectories {
    /// From initial states and those after them, over `scale` or, without, over their own deviation.
    ///
    /// # Errors
    /// States that are all 0.
    pub fn new(start: &Samples<f32>, later: &Samples<f32>, scale: Option<f32>) -> Result<Self> {
        let dim = start.dim();
        let square: f64 = later.data().iter().map(|u| f64::from(*u).powi(2)).sum();
        let scale = scale.unwrap_or((square / later.data().len() as f64).sqrt() as f32);
        if scale == 0.0 {
            return Err(Error::invalid("the deviation of the states", scale, "something must move"));
        }
        let mut states = Vec::with_capacity(start.data().len() + later.data().len());
        for (start, later) in start.data().chunks_exact(dim).zip(later.data().chunks_exact(later.dim())) {
            states.extend(start.iter().chain(later).map(|u| u / scale));
        }
        let norm = FieldNorm::l2(start.shape())?;
        Ok(Self { states, dim, length: later.dim() / dim + 1, scale, norm })
    }

    pub fn count(&self) -> usize {
        self.states.len() / (self.dim * self.length)
    }

    pub fn state(&self, trajectory: usize, step: usize) -> &[f32] {
        &self.states[(trajectory * self.length + step) * self.dim..][..self.dim]
    }

    /// `share` times the relative L2 error of `u` for this state, and its cotangent; `work` is free memory.
    pub fn loss(
        &self,
        u: &[f32],
        [trajectory, step]: [usize; 2],
        share: f64,
        [bar, work]: [&mut [f32]; 2],
    ) -> Result<f64> {
        let target = self.state(trajectory, step);
        work.iter_mut().zip(u.iter().zip(target)).for_each(|(work, (u, target))| *work = u - target);
        let error = self.norm.relative(work, self.norm.norm(target)?, bar)?;
        bar.iter_mut().for_each(|bar| *bar *= share as f32);
        Ok(share * error)
    }

    /// The relative L2 error of `u` for this state.
    pub fn error(&self, u: &[f32], [trajectory, step]: [usize; 2]) -> Result<f64> {
        let target = self.state(trajectory, step);
        let error: Vec<f32> = u.iter().zip(target).map(|(u, target)| u - target).collect();
        Ok(self.norm.norm(&error)? / self.norm.norm(target)?)
    }
}
