//! A solve of a [`LatentSde`]'s posterior cut where its context changes, and its reverse.

use super::encoder::{Encoded, Encoder};
use super::latent_sde::{LatentSde, LatentSystem};
use crate::adjoint::{DiscreteAdjoint, Memory};
use crate::error::{Error, Result};
use crate::integrate::{Options, Problem};
use crate::num::{Real, random};
use crate::sde::noise::{Brownian, IntervalTree, Levy};
use crate::sde::srk::{SrkStepper, StochasticRk};

/// An interval on which the context is constant.
pub(super) struct Segment<T> {
    system: LatentSystem,
    span: [T; 2],
    /// Where the state is saved: the end always, the start in the first segment only when asked for.
    saved: Vec<T>,
    /// Whether the state at the end was asked for.
    end_asked: bool,
    seed: u64,
}

/// A motion whose components after those of the source are 0: the context and ℓ have no noise.
#[derive(Clone, Debug)]
struct Padded<B> {
    source: B,
    rows: usize,
}

impl<T: Real, B: Brownian<T>> Brownian<T> for Padded<B> {
    fn components(&self) -> usize {
        self.rows
    }
    fn paths(&self) -> usize {
        self.source.paths()
    }
    fn levy(&self) -> Levy {
        self.source.levy()
    }
    fn prepare(&mut self, span: [T; 2]) -> Result<()> {
        self.source.prepare(span)
    }
    fn snap(&self, t: T, h: T) -> T {
        self.source.snap(t, h)
    }
    fn increment(&mut self, from: T, to: T, w: &mut [T], area: &mut [T]) -> Result<()> {
        let (m, paths) = (self.source.components(), self.source.paths());
        let areas = if area.is_empty() { 0 } else { m * paths };
        self.source.increment(from, to, &mut w[..m * paths], &mut area[..areas])?;
        for all in [w, area] {
            // From the last path on: no column is overwritten before it was moved.
            let columns = all.len() / self.rows;
            for j in (0..columns).rev() {
                all.copy_within(j * m..(j + 1) * m, j * self.rows);
                all[j * self.rows + m..(j + 1) * self.rows].fill(T::zero());
            }
        }
        Ok(())
    }
    fn bytes(&self) -> usize {
        self.source.bytes()
    }
}

/// Id of the seeds of segments, beside that of starts.
const SEGMENT: u64 = 0xfc << 56;

/// Times this close, in lengths of an interval between observations, are one.
const SAME: f64 = 1e-9;

pub(super) type Adjoint<'a, T> = DiscreteAdjoint<T, SrkStepper<'a, T, LatentSystem>>;

/// A finished forward pass.
pub(super) struct Forward<'a, T: Real> {
    adjoints: Vec<Adjoint<'a, T>>,
    /// States at the times asked for, one after the other.
    pub y: Vec<T>,
    /// The state at the end.
    pub last: Vec<T>,
}

impl LatentSde {
    /// The segments of a solve from the first observation on, saving the states at `times`.
    pub(super) fn segments<T: Real>(
        &self,
        observed: &[T],
        times: &[T],
        seed: u64,
    ) -> Result<Vec<Segment<T>>> {
        if let Some(i) = times.windows(2).position(|t| t[1] < t[0]) {
            let needed = format!("it must not be before the one before it, {}", times[i]);
            return Err(Error::invalid(format!("saved time {}", i + 1), times[i + 1], needed));
        }
        let Encoder::Backward { .. } = self.encoder else {
            let end = times.iter().chain(observed).fold(observed[0], |a, b| a.max(*b));
            let span = [observed[0], end];
            let end_asked = times.last() == Some(&end);
            let mut saved = times.to_vec();
            if !end_asked {
                saved.push(end);
            }
            return Ok(vec![Segment { system: self.system().clone(), span, saved, end_asked, seed }]);
        };
        let mut left = times;
        let mut segments = Vec::with_capacity(observed.len() - 1);
        for (i, ends) in observed.windows(2).enumerate() {
            let &[a, b] = ends else { continue };
            let slack = T::of(SAME) * (b - a);
            let (mine, rest) = left.split_at(left.partition_point(|t| *t <= b + slack));
            left = rest;
            let mut saved: Vec<T> = mine.iter().map(|t| if *t >= b - slack { b } else { *t }).collect();
            let end_asked = saved.last() == Some(&b);
            if !end_asked {
                saved.push(b);
            }
            let system = self.system().within([a.f64(), b.f64()]);
            let own = random::at(seed, SEGMENT | i as u64, 0)[0];
            segments.push(Segment { system, span: [a, b], saved, end_asked, seed: own });
        }
        match left.first() {
            None => Ok(segments),
            Some(t) => {
                let last = observed[observed.len() - 1];
                let needed = format!(
                    "the posterior ends with the last observation, at {last}: solve the prior from there"
                );
                Err(Error::invalid("a time of the posterior", t, needed))
            }
        }
    }

    /// Solves segment after segment from (z, ·, 0), `state`.
    pub(super) fn forward<'a, T: Real>(
        &self,
        (theta, encoded): (&[T], &Encoded<T>),
        mut state: Vec<T>,
        segments: &'a [Segment<T>],
        method: &impl StochasticRk,
        options: &Options<T>,
    ) -> Result<Forward<'a, T>> {
        let table = method.tableau();
        let levy = if table.needs_area() { Levy::SpaceTime } else { Levy::None };
        let (d, rows) = (self.latent(), self.latent() + self.context() + 1);
        let (mut adjoints, mut y) = (Vec::with_capacity(segments.len()), Vec::new());
        for (i, segment) in segments.iter().enumerate() {
            let outputs = encoded.out[encoded.block(i)].chunks_exact(self.encoder.output_dim());
            for (state, e) in state.chunks_exact_mut(rows).zip(outputs) {
                state[d..rows - 1].copy_from_slice(&e[..rows - 1 - d]);
            }
            let source = IntervalTree::new(segment.seed, segment.span, d, encoded.batch())?.levy(levy);
            let stepper = SrkStepper::new(&segment.system, table, Padded { source, rows })?;
            let mut adjoint = DiscreteAdjoint::new(stepper, Memory::Unlimited);
            let problem = Problem { y0: &state, span: segment.span, theta };
            let options = options.clone().save_at(&segment.saved[..]);
            let solution = adjoint.forward(&problem, &options, &mut [])?;
            let asked = solution.y.len() - if segment.end_asked { 0 } else { state.len() };
            y.extend_from_slice(&solution.y[..asked]);
            state.copy_from_slice(solution.last());
            adjoints.push(adjoint);
        }
        Ok(Forward { adjoints, y, last: state })
    }

    /// The reverse of [`forward`](Self::forward) where all ends were asked for: `y_bar` as `y`. ACCUMULATES the
    /// cotangents of the solver's θ and of what was encoded; returns that of the first state.
    pub(super) fn reverse<T: Real>(
        &self,
        forward: &mut Forward<'_, T>,
        y_bar: &mut [T],
        theta_bar: &mut [T],
        (encoded, encoded_bar): (&Encoded<T>, &mut [T]),
    ) -> Result<Vec<T>> {
        let (d, rows) = (self.latent(), self.latent() + self.context() + 1);
        let mut carried = vec![T::zero(); forward.last.len()];
        let mut end = y_bar.len();
        for (i, adjoint) in forward.adjoints.iter_mut().enumerate().rev() {
            let start = end - adjoint.solution().y.len();
            let last = end - carried.len();
            y_bar[last..end].iter_mut().zip(&carried).for_each(|(bar, c)| *bar += *c);
            adjoint.reverse(&y_bar[start..end], &[], &mut [])?;
            theta_bar.iter_mut().zip(adjoint.theta_gradient()).for_each(|(sum, bar)| *sum += *bar);
            carried.copy_from_slice(adjoint.y0_gradient());
            let outputs = encoded_bar[encoded.block(i)].chunks_exact_mut(self.encoder.output_dim());
            for (carried, e) in carried.chunks_exact_mut(rows).zip(outputs) {
                let context = &mut carried[d..rows - 1];
                e.iter_mut().zip(&*context).for_each(|(e, c)| *e += *c);
                context.fill(T::zero());
            }
            end = start;
        }
        Ok(carried)
    }
}
