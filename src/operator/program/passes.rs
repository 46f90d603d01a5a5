//! The passes of a [`Program`] over batches: samples one by one, groups of samples in parallel.

use super::assembly::Program;
use super::run::Room;
use crate::error::{Error, Result};
use crate::linalg::vector::axpy;
use crate::nn::Role;
use crate::num::{Real, parallel};

/// Memory of networks; it grows to what the largest one needs and can serve any number of them, one
/// after the other. A call with warm memory allocates nothing on one thread.
#[derive(Clone, Debug, Default)]
pub struct Scratch<T> {
    rooms: Vec<Room<T>>,
    /// Where what does not depend on the input is computed.
    common: Room<T>,
    common_bar: Vec<T>,
    /// For each sample a gradient and the cotangents of what is common.
    partial: Vec<T>,
    losses: Vec<f64>,
    /// Parameters without biases and shifts.
    linear: Vec<T>,
}

impl<T: Real> Scratch<T> {
    /// Empty.
    pub fn new() -> Self {
        Self {
            rooms: Vec::new(),
            common: Room::default(),
            common_bar: Vec::new(),
            partial: Vec::new(),
            losses: Vec::new(),
            linear: Vec::new(),
        }
    }

    /// Bytes that it has grown to.
    pub fn bytes(&self) -> usize {
        let own = self.common_bar.capacity() + self.partial.capacity() + self.linear.capacity();
        let rooms: usize = self.rooms.iter().map(Room::bytes).sum();
        rooms + self.common.bytes() + own * size_of::<T>() + self.losses.capacity() * size_of::<f64>()
    }

    /// Samples of each of the groups that are worked on at once; a room for every group.
    fn group(&mut self, batch: usize) -> usize {
        let groups = batch.min(parallel::threads()).max(1);
        if self.rooms.len() < groups {
            self.rooms.resize_with(groups, Room::default);
        }
        batch.div_ceil(groups)
    }
}

/// Runs `work` on every job, in parallel; the first error.
fn all<J: Send>(jobs: Vec<J>, work: impl Fn(J) -> Result<()> + Sync) -> Result<()> {
    let mut results: Vec<Result<()>> = jobs.iter().map(|_| Ok(())).collect();
    let pairs = jobs.into_iter().zip(&mut results).collect();
    parallel::each(pairs, |(job, result): (J, &mut Result<()>)| *result = work(job));
    results.into_iter().collect()
}

impl Program {
    fn batch(&self, theta: usize, x: usize) -> Result<usize> {
        self.layout.check_len("theta", theta)?;
        let n = self.input_len();
        if x == 0 || !x.is_multiple_of(n) {
            let needed = format!("a multiple of {n} (numbers of one sample's input), at least one sample");
            return Err(Error::Length { what: "x", given: x, needed });
        }
        Ok(x / n)
    }

    /// `y` ← the outputs for the inputs `x`, any number of samples.
    ///
    /// # Errors
    /// Lengths that do not fit.
    pub fn forward<T: Real>(
        &self,
        theta: &[T],
        x: &[T],
        y: &mut [T],
        scratch: &mut Scratch<T>,
    ) -> Result<()> {
        let (n, m) = (self.input_len(), self.output_len());
        let batch = self.batch(theta.len(), x.len())?;
        Error::check_len("y", y.len(), m * batch, "the outputs of every sample")?;
        let group = scratch.group(batch);
        let Scratch { rooms, common, .. } = scratch;
        common.prepare(self, theta)?;
        let common = &*common;
        let run = |room: &mut Room<T>, x: &[T], y: &mut [T]| {
            let mut samples = x.chunks_exact(n).zip(y.chunks_exact_mut(m));
            samples.try_for_each(|(x, y)| room.infer((self, common), theta, x, y))
        };
        match &mut rooms[..] {
            [room, ..] if group >= batch => run(room, x, y),
            rooms => {
                let parts = x.chunks(group * n).zip(y.chunks_mut(group * m)).zip(rooms).collect();
                all(parts, |((x, y), room)| run(room, x, y))
            }
        }
    }

    /// Forward, `loss` and backward for each sample in turn: `loss(sample, y, [y_bar, work])` returns the
    /// sample's loss for its output `y` and writes the cotangent of y to `y_bar`; `work` is free memory of
    /// the same length. ACCUMULATES: `theta_bar` += the gradient of the sum of the losses, which is
    /// returned.
    ///
    /// # Errors
    /// Lengths that do not fit.
    pub fn gradient<T: Real>(
        &self,
        theta: &[T],
        x: &[T],
        loss: impl Fn(usize, &[T], [&mut [T]; 2]) -> f64 + Sync,
        theta_bar: &mut [T],
        scratch: &mut Scratch<T>,
    ) -> Result<f64> {
        self.reverse(theta, x, None, &loss, theta_bar, scratch)
    }

    fn reverse<T: Real>(
        &self,
        theta: &[T],
        x: &[T],
        x_bar: Option<&mut [T]>,
        loss: &(impl Fn(usize, &[T], [&mut [T]; 2]) -> f64 + Sync),
        theta_bar: &mut [T],
        scratch: &mut Scratch<T>,
    ) -> Result<f64> {
        let (n, p) = (self.input_len(), theta.len());
        let batch = self.batch(p, x.len())?;
        Error::check_len("theta_bar", theta_bar.len(), p, "one for each parameter")?;
        if let Some(x_bar) = &x_bar {
            Error::check_len("x_bar", x_bar.len(), x.len(), "the length of x")?;
        }
        let group = scratch.group(batch);
        let Scratch { rooms, common, common_bar, partial, losses, .. } = scratch;
        common.prepare(self, theta)?;
        let known = &*common;
        losses.resize(batch, 0.0);
        let one = |room: &mut Room<T>,
                   (at, x): (usize, &[T]),
                   x_bar: Option<&mut [T]>,
                   bars: [&mut [T]; 2],
                   value: &mut f64| {
            room.forward((self, known), theta, x)?;
            let (y, places) = room.result(self);
            *value = loss(at, y, places);
            room.backward(self, theta, x_bar, bars)
        };
        if let ([room, ..], true) = (&mut rooms[..], self.direct && group >= batch) {
            let mut x_bars = x_bar.map(|x_bar| x_bar.chunks_exact_mut(n));
            for (i, (x, value)) in x.chunks_exact(n).zip(losses.iter_mut()).enumerate() {
                let x_bar = x_bars.as_mut().and_then(Iterator::next);
                one(room, (i, x), x_bar, [&mut *theta_bar, &mut []], value)?;
            }
            return Ok(losses.iter().sum());
        }
        let tail: usize = self.trained.iter().map(|value| self.lengths[*value]).sum();
        let width = p + tail;
        if partial.len() < batch * width {
            partial.resize(batch * width, T::zero());
        }
        let partial = &mut partial[..batch * width];
        let run = |room: &mut Room<T>,
                   first: usize,
                   x: &[T],
                   x_bar: Option<&mut [T]>,
                   out: (&mut [T], &mut [f64])| {
            let mut x_bars = x_bar.map(|x_bar| x_bar.chunks_exact_mut(n));
            let outs = out.0.chunks_exact_mut(width).zip(out.1);
            for (i, (x, (bars, value))) in x.chunks_exact(n).zip(outs).enumerate() {
                let (theta_bar, common_bar) = bars.split_at_mut(p);
                theta_bar.fill(T::zero());
                let x_bar = x_bars.as_mut().and_then(Iterator::next);
                one(room, (first + i, x), x_bar, [theta_bar, common_bar], value)?;
            }
            Ok(())
        };
        match &mut rooms[..] {
            [room, ..] if group >= batch => run(room, 0, x, x_bar, (&mut *partial, &mut losses[..]))?,
            rooms => {
                let mut x_bars = x_bar.map(|x_bar| x_bar.chunks_mut(group * n));
                let outs = partial.chunks_mut(group * width).zip(losses.chunks_mut(group));
                let parts = x.chunks(group * n).zip(outs).zip(rooms).enumerate();
                let jobs = parts.map(|(g, part)| (g, part, x_bars.as_mut().and_then(Iterator::next)));
                all(jobs.collect(), |(g, ((x, out), room), x_bar)| run(room, g * group, x, x_bar, out))?;
            }
        }
        // One sample after the other, so that threads change nothing.
        common_bar.clear();
        common_bar.resize(tail, T::zero());
        for partial in partial.chunks_exact(width) {
            axpy(1.0, &partial[..p], theta_bar);
            axpy(1.0, &partial[p..], common_bar);
        }
        common.conclude(self, theta, common_bar, theta_bar)?;
        Ok(losses.iter().sum())
    }

    /// `x_bar` ← the cotangent of x, where it is wanted. ACCUMULATES: `theta_bar` += that of the
    /// parameters. `y_bar` is the cotangent of the outputs.
    ///
    /// # Errors
    /// Lengths that do not fit.
    pub fn pullback<T: Real>(
        &self,
        theta: &[T],
        [x, y_bar]: [&[T]; 2],
        x_bar: Option<&mut [T]>,
        theta_bar: &mut [T],
        scratch: &mut Scratch<T>,
    ) -> Result<()> {
        let m = self.output_len();
        let batch = self.batch(theta.len(), x.len())?;
        Error::check_len("y_bar", y_bar.len(), m * batch, "the outputs of every sample")?;
        let given = |sample: usize, _: &[T], [bar, _]: [&mut [T]; 2]| {
            bar.copy_from_slice(&y_bar[sample * m..][..m]);
            0.0
        };
        self.reverse(theta, x, x_bar, &given, theta_bar, scratch)?;
        Ok(())
    }

    /// `y_dot` ← the derivatives of the outputs along (θ̇, ẋ) at (θ, x); θ̇ may be empty for none.
    ///
    /// # Errors
    /// Lengths that do not fit.
    pub fn tangent<T: Real>(
        &self,
        [theta, theta_dot]: [&[T]; 2],
        [x, x_dot]: [&[T]; 2],
        y_dot: &mut [T],
        scratch: &mut Scratch<T>,
    ) -> Result<()> {
        let (n, m) = (self.input_len(), self.output_len());
        let batch = self.batch(theta.len(), x.len())?;
        Error::check_len("x_dot", x_dot.len(), x.len(), "the length of x")?;
        Error::check_len("y_dot", y_dot.len(), m * batch, "the outputs of every sample")?;
        if !theta_dot.is_empty() {
            Error::check_len("theta_dot", theta_dot.len(), theta.len(), "one for each parameter, or none")?;
        }
        let group = scratch.group(batch);
        let Scratch { rooms, linear, .. } = scratch;
        linear.clear();
        linear.extend_from_slice(theta);
        for entry in self.layout.entries() {
            if matches!(entry.role, Role::Bias { .. } | Role::Shift) {
                linear[entry.range()].fill(T::zero());
            }
        }
        let params = [theta, &*linear, theta_dot];
        let run = |room: &mut Room<T>, [x, x_dot]: [&[T]; 2], y_dot: &mut [T]| {
            let samples = x.chunks_exact(n).zip(x_dot.chunks_exact(n)).zip(y_dot.chunks_exact_mut(m));
            samples.into_iter().try_for_each(|((x, x_dot), y)| room.tangent(self, params, [x, x_dot], y))
        };
        match &mut rooms[..] {
            [room, ..] if group >= batch => run(room, [x, x_dot], y_dot),
            rooms => {
                let inputs = x.chunks(group * n).zip(x_dot.chunks(group * n));
                let parts = inputs.zip(y_dot.chunks_mut(group * m)).zip(rooms).collect();
                all(parts, |(((x, x_dot), y), room)| run(room, [x, x_dot], y))
            }
        }
    }
}
