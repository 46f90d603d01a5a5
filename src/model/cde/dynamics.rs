//! [`NeuralCde`]: a controlled equation as a right-hand side.

use super::path::ControlPath;
use crate::dynamics::{Dynamics, Point, Tangent};
use crate::nn::{Input, Network, Scratch};
use crate::num::Real;
use crate::{Error, Result};

/// dy = F(y; θ) dX(t), solved as dy/dt = F(y; θ) Ẋ(t) (Kidger et al. 2020, eq. 4 and 8).
///
/// F is a network h → h · channels, its outputs the rows of the h × channels matrix one after the other; a last tanh
/// keeps it bounded. Column j of the state is driven by series j of the path. Ẋ jumps at [`ControlPath::jumps`], which
/// must be among the solver's `tstops`; [`CdeModel`](super::CdeModel) sees to that. A state of more columns than the
/// path has series is not a number, and the error says why.
#[derive(Clone, Copy, Debug)]
pub struct NeuralCde<'a, T> {
    field: &'a Network,
    path: &'a ControlPath<T>,
}

impl<'a, T: Real> NeuralCde<'a, T> {
    /// Checks that the network fits the path.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a network that does not give `channels` numbers for each row that it takes.
    pub fn new(field: &'a Network, path: &'a ControlPath<T>) -> Result<Self> {
        let (inputs, outputs, channels) = (field.input_dim(), field.output_dim(), path.channels());
        if outputs != inputs * channels {
            let given = format!("{inputs} rows in, {outputs} out");
            let needed = format!("{inputs} · {channels} channels out: a matrix for the path to act on");
            return Err(Error::invalid("the network of a controlled equation", given, needed));
        }
        Ok(Self { field, path })
    }

    /// Whether there is a series for every column.
    fn covers(&self, y: &[T]) -> bool {
        y.len() <= self.field.input_dim() * self.path.series()
    }

    fn input<'b>(at: Point<'b, T>) -> Input<'b, T> {
        Input { t: at.t, x: at.y, theta: at.theta }
    }

    /// `out`_i ← Σ_c `field`_ic `rate`_c for each column.
    fn contract(&self, field: &[T], rate: &[T], out: &mut [T]) {
        let (rows, channels) = (self.field.input_dim(), self.path.channels());
        let columns = field.chunks_exact(rows * channels).zip(rate.chunks_exact(channels));
        for (out, (field, rate)) in out.chunks_exact_mut(rows).zip(columns) {
            for (out, row) in out.iter_mut().zip(field.chunks_exact(channels)) {
                *out = row.iter().zip(rate).fold(T::zero(), |a, (f, x)| f.mul_add(*x, a));
            }
        }
    }
}

/// Scratch of a [`NeuralCde`].
#[derive(Clone, Debug)]
pub struct CdeScratch<T> {
    network: Scratch<T>,
    /// F, and its cotangent or tangent.
    field: Vec<T>,
    bar: Vec<T>,
    /// Ẋ or Ẍ.
    rate: Vec<T>,
    /// F Ẍ.
    bend: Vec<T>,
    tape: Vec<T>,
}

impl<T: Real> Dynamics<T> for NeuralCde<'_, T> {
    type Scratch = CdeScratch<T>;

    const TAPED: bool = true;

    fn dim(&self) -> usize {
        self.field.input_dim()
    }

    fn num_params(&self) -> usize {
        self.field.layout().len()
    }

    fn scratch(&self, batch: usize) -> CdeScratch<T> {
        let zeros = |n: usize| vec![T::zero(); n * batch];
        CdeScratch {
            network: self.field.scratch(batch),
            field: zeros(self.field.output_dim()),
            bar: zeros(self.field.output_dim()),
            rate: zeros(self.path.channels()),
            bend: zeros(self.field.input_dim()),
            tape: vec![T::zero(); self.tape_len(batch)],
        }
    }

    fn scratch_bytes(&self, batch: usize) -> usize {
        let own = 2 * self.field.output_dim() + self.path.channels() + self.field.input_dim();
        (self.field.scratch_len(batch) + own * batch + self.tape_len(batch)) * size_of::<T>()
    }

    fn tape_len(&self, batch: usize) -> usize {
        self.field.tape_len(batch) + self.field.output_dim() * batch
    }

    fn eval(&self, at: Point<'_, T>, dy: &mut [T], s: &mut CdeScratch<T>) {
        let batch = at.y.len() / self.dim();
        if !self.covers(at.y) {
            return dy.fill(T::of(f64::NAN));
        }
        let (rate, field) =
            (&mut s.rate[..self.path.channels() * batch], &mut s.field[..self.field.output_dim() * batch]);
        self.path.derivative(at.t, rate);
        self.field.forward(Self::input(at), field, &mut s.network);
        self.contract(field, rate, dy);
    }

    fn vjp(
        &self,
        at: Point<'_, T>,
        dy_bar: &[T],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        s: &mut CdeScratch<T>,
    ) -> T {
        let (mut tape, mut dy) = (std::mem::take(&mut s.tape), std::mem::take(&mut s.bend));
        let n = self.tape_len(at.y.len() / self.dim());
        self.eval_taped(at, &mut dy[..at.y.len()], &mut tape[..n], s);
        let t_bar = self.vjp_taped(at, (&[], &tape[..n]), dy_bar, y_bar, theta_bar, s);
        (s.tape, s.bend) = (tape, dy);
        t_bar
    }

    fn eval_taped(&self, at: Point<'_, T>, dy: &mut [T], tape: &mut [T], s: &mut CdeScratch<T>) {
        let batch = at.y.len() / self.dim();
        if !self.covers(at.y) {
            return dy.fill(T::of(f64::NAN));
        }
        let rate = &mut s.rate[..self.path.channels() * batch];
        self.path.derivative(at.t, rate);
        let (tape, field) = tape.split_at_mut(self.field.tape_len(batch));
        self.field.forward_taped(Self::input(at), field, tape, &mut s.network);
        self.contract(field, rate, dy);
    }

    fn vjp_taped(
        &self,
        at: Point<'_, T>,
        (_, tape): (&[T], &[T]),
        dy_bar: &[T],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        s: &mut CdeScratch<T>,
    ) -> T {
        let (batch, channels) = (at.y.len() / self.dim(), self.path.channels());
        if !self.covers(at.y) {
            return T::of(f64::NAN);
        }
        let (tape, field) = tape.split_at(self.field.tape_len(batch));
        let rate = &mut s.rate[..channels * batch];
        // ∂(F Ẋ)/∂t at constant F is F Ẍ.
        self.path.second_derivative(at.t, rate);
        let rows = self.dim();
        let mut t_bar = T::zero();
        for (k, (row, bar)) in field.chunks_exact(channels).zip(dy_bar).enumerate() {
            let bend = &rate[k / rows * channels..][..channels];
            t_bar += *bar * row.iter().zip(bend).fold(T::zero(), |a, (f, x)| f.mul_add(*x, a));
        }
        self.path.derivative(at.t, rate);
        let bars = &mut s.bar[..field.len()];
        for (k, (row, bar)) in bars.chunks_exact_mut(channels).zip(dy_bar).enumerate() {
            let rate = &rate[k / rows * channels..][..channels];
            row.iter_mut().zip(rate).for_each(|(f, x)| *f = *bar * *x);
        }
        t_bar + self.field.vjp_taped(Self::input(at), (field, tape), bars, y_bar, theta_bar, &mut s.network)
    }

    fn jvp(&self, at: Point<'_, T>, dot: Tangent<'_, T>, dy_dot: &mut [T], s: &mut CdeScratch<T>) {
        if !self.covers(at.y) {
            return dy_dot.fill(T::of(f64::NAN));
        }
        let batch = at.y.len() / self.dim();
        let n = self.field.output_dim() * batch;
        let (rate, field) = (&mut s.rate[..self.path.channels() * batch], &mut s.field[..n]);
        self.path.second_derivative(at.t, rate);
        self.field.forward(Self::input(at), field, &mut s.network);
        let bend = &mut s.bend[..at.y.len()];
        self.contract(field, rate, bend);
        self.path.derivative(at.t, rate);
        let along = Input { t: dot.t, x: dot.y, theta: dot.theta };
        self.field.jvp(Self::input(at), along, field, &mut s.network);
        self.contract(field, rate, dy_dot);
        dy_dot.iter_mut().zip(bend).for_each(|(out, bend)| *out = dot.t.mul_add(*bend, *out));
    }

    fn locate_non_finite(&self, at: Point<'_, T>) -> Option<String> {
        if !self.covers(at.y) {
            let columns = at.y.len() / self.dim();
            return Some(format!("the control path: {} series for {columns} columns", self.path.series()));
        }
        self.field.locate_non_finite(Self::input(at))
    }
}
