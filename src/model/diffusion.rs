//! [`NeuralDiffusion`]: a network as the diffusion coefficient of a stochastic equation.

use super::neural::input;
use crate::dynamics::{Point, Tangent};
use crate::error::{Error, Result};
use crate::nn::{Initializer, Input, Layout, Network, Scratch};
use crate::num::Real;
use crate::sde::{Diffusion, NoiseClass, Shape};
use std::ops;

/// Values that a coefficient may take, by a smooth map of a network's output x.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Range {
    /// x itself.
    #[default]
    Any,
    /// floor + ln(1 + eˣ), more than `floor` ≥ 0.
    Positive {
        /// The infimum.
        floor: f64,
    },
    /// low + (high − low)/(1 + e⁻ˣ), between 0 ≤ `low` < `high`.
    Between {
        /// The infimum.
        low: f64,
        /// The supremum.
        high: f64,
    },
}

impl Range {
    /// Checks the bounds.
    ///
    /// # Errors
    /// Bounds that are negative, not finite or in the wrong order.
    pub fn check(self) -> Result<()> {
        let (given, good) = match self {
            Self::Any => return Ok(()),
            Self::Positive { floor } => (format!("{floor}"), floor >= 0.0 && floor.is_finite()),
            Self::Between { low, high } => {
                (format!("[{low}, {high}]"), low >= 0.0 && high > low && high.is_finite())
            }
        };
        if good {
            return Ok(());
        }
        Err(Error::invalid("the range of a coefficient", given, "0 ≤ low < high, both finite, is needed"))
    }

    /// Whether all values are above a positive number, so that one may divide by them.
    pub fn is_away_from_zero(self) -> bool {
        matches!(self, Self::Positive { floor: low } | Self::Between { low, .. } if low > 0.0)
    }

    /// The value.
    #[inline]
    pub fn value<T: Real>(self, x: T) -> T {
        match self {
            Self::Any => x,
            Self::Positive { floor } => T::of(floor) + x.softplus(),
            Self::Between { low, high } => T::of(high - low).mul_add(x.sigmoid(), T::of(low)),
        }
    }

    /// Its derivative.
    #[inline]
    pub fn slope<T: Real>(self, x: T) -> T {
        match self {
            Self::Any => T::one(),
            Self::Positive { .. } => x.sigmoid(),
            Self::Between { low, high } => {
                let s = x.sigmoid();
                T::of(high - low) * s * (T::one() - s)
            }
        }
    }

    pub(super) fn values<T: Real>(self, x: &mut [T]) {
        if self != Self::Any {
            x.iter_mut().for_each(|x| *x = self.value(*x));
        }
    }

    /// `bar` ← slope(x) ⊙ `bar`.
    pub(super) fn scale<T: Real>(self, x: &[T], bar: &mut [T]) {
        if self != Self::Any {
            bar.iter_mut().zip(x).for_each(|(bar, x)| *bar *= self.slope(*x));
        }
    }
}

/// How a network's outputs make G, and which class is promised of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoiseForm {
    /// g_i = N(t, y_i; θ_i): one network of one input and one output for each row, θ = (θ_1, …, θ_dim). The
    /// noise is truly diagonal.
    Rows {
        /// Rows of the state.
        dim: usize,
    },
    /// g = N(t, y; θ) is the diagonal of G, and diagonal noise is promised. Where the network mixes rows, as those of
    /// the published neural SDEs do (a dense layer of all rows), the promise is broken: with G = diag(g), the columns
    /// commute, (∂G_k/∂y) G_l = (∂G_l/∂y) G_k, only if g_l ∂g_k/∂y_l = 0 for k ≠ l, hence where g_k depends on y_k
    /// alone (Kloeden & Platen, section 10.3: eq. 3.12 for diagonal noise). Methods for diagonal noise leave out the
    /// double integrals I_(l,k), k ≠ l, with these coefficients: they run, with strong order ½ in place of 1 or 1.5.
    /// These integrals have mean 0 and do not correlate with the increments, so that weak order 1 remains: moments
    /// may be fitted so, paths not. [`check_class`](crate::sde::check_class) finds the entry; honest are
    /// [`Rows`](Self::Rows) and [`Crossed`](Self::Crossed).
    Diagonal,
    /// g = N(t, y; θ) is the diagonal of G; the noise is general.
    Crossed,
    /// G = N(t, y; θ) is one column: scalar noise.
    Scalar,
    /// The `dim · components` outputs are G, column-major: general noise.
    General {
        /// Brownian motions m.
        components: usize,
    },
}

/// G(t, y; θ) by a network, its outputs mapped into a [`Range`].
#[derive(Clone, Debug)]
pub struct NeuralDiffusion {
    network: Network,
    form: NoiseForm,
    range: Range,
    dim: usize,
    layout: Layout,
}

impl NeuralDiffusion {
    /// Checks that the network fits the form.
    ///
    /// # Errors
    /// [`Error::Invalid`] for outputs that do not make a G of as many rows as the network takes, or a range out
    /// of order.
    pub fn new(network: Network, form: NoiseForm, range: Range) -> Result<Self> {
        range.check()?;
        let (inputs, outputs) = (network.input_dim(), network.output_dim());
        let (dim, needed) = match form {
            NoiseForm::Rows { dim } => (dim, [1, 1]),
            NoiseForm::General { components } => (inputs, [inputs, inputs * components]),
            _ => (inputs, [inputs, inputs]),
        };
        if [inputs, outputs] != needed || dim == 0 || needed[1] == 0 {
            let given = format!("{inputs} rows in, {outputs} out");
            let needed = format!("{form:?} noise needs {} in, {} out, at least one", needed[0], needed[1]);
            return Err(Error::invalid("the diffusion's network", given, needed));
        }
        let mut layout = Layout::new();
        match form {
            NoiseForm::Rows { dim } => {
                for i in 0..dim {
                    layout.append(&format!("row{i}."), network.layout())?;
                }
            }
            _ => layout = network.layout().clone(),
        }
        Ok(Self { network, form, range, dim, layout })
    }

    /// The network (of one row, where there is one for each).
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// How its outputs make G.
    pub fn form(&self) -> NoiseForm {
        self.form
    }

    /// The values that the entries may take.
    pub fn range(&self) -> Range {
        self.range
    }

    /// Names, shapes and places of the parameters.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Parameters drawn by `initializer`, different ones for each row's network.
    ///
    /// # Errors
    /// As [`Network::init`].
    pub fn init<T: Real>(&self, initializer: Initializer, seed: u64) -> Result<Vec<T>> {
        let mut theta = Vec::with_capacity(self.layout.len());
        for i in 0..self.layout.len() / self.network.layout().len() {
            theta.extend(self.network.init::<T>(initializer, seed.wrapping_add(i as u64))?);
        }
        Ok(theta)
    }

    /// Rows that have a network each; 0 where one network serves all.
    fn rows(&self) -> usize {
        if matches!(self.form, NoiseForm::Rows { .. }) { self.dim } else { 0 }
    }

    /// Place of row i's parameters.
    fn own(&self, i: usize) -> ops::Range<usize> {
        let n = self.network.layout().len();
        i * n..(i + 1) * n
    }

    /// The network's outputs before the range.
    fn outputs<T: Real>(&self, at: Point<'_, T>, out: &mut [T], memory: &mut Memory<T>) {
        if self.rows() == 0 {
            return self.network.forward(input(at), out, &mut memory.network);
        }
        let batch = at.y.len() / self.dim;
        let [x, y, _] = memory.rows.each_mut().map(|v| &mut v[..batch]);
        for i in 0..self.dim {
            take_row(at.y, x, (i, self.dim));
            let own = Input { t: at.t, x, theta: &at.theta[self.own(i)] };
            self.network.forward(own, y, &mut memory.network);
            for (out, y) in out[i..].iter_mut().step_by(self.dim).zip(&*y) {
                *out = *y;
            }
        }
    }
}

fn take_row<T: Copy>(from: &[T], to: &mut [T], (i, dim): (usize, usize)) {
    to.iter_mut().zip(from[i..].iter().step_by(dim)).for_each(|(to, from)| *to = *from);
}

/// Scratch of a [`NeuralDiffusion`].
#[derive(Debug)]
pub struct Memory<T> {
    network: Scratch<T>,
    /// The outputs, their cotangents.
    raw: Vec<T>,
    bar: Vec<T>,
    /// A row's inputs, outputs and a cotangent or tangent.
    rows: [Vec<T>; 3],
}

impl<T: Real> Diffusion<T> for NeuralDiffusion {
    type Scratch = Memory<T>;

    fn class(&self) -> NoiseClass {
        match self.form {
            NoiseForm::Rows { .. } | NoiseForm::Diagonal => NoiseClass::Diagonal,
            NoiseForm::Scalar => NoiseClass::Scalar,
            NoiseForm::Crossed | NoiseForm::General { .. } => NoiseClass::General,
        }
    }

    fn shape(&self) -> Shape {
        match self.form {
            NoiseForm::Scalar | NoiseForm::General { .. } => Shape::Matrix,
            _ => Shape::Diagonal,
        }
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn components(&self) -> usize {
        match self.form {
            NoiseForm::Scalar => 1,
            NoiseForm::General { components } => components,
            _ => self.dim,
        }
    }

    fn num_params(&self) -> usize {
        self.layout.len()
    }

    fn scratch(&self, batch: usize) -> Memory<T> {
        let zeros = |n: usize| vec![T::zero(); n * batch];
        let entries = Diffusion::<T>::entries(self);
        let row = usize::from(self.rows() > 0);
        Memory {
            network: self.network.scratch(batch),
            raw: zeros(entries),
            bar: zeros(entries),
            rows: std::array::from_fn(|_| zeros(row)),
        }
    }

    fn scratch_bytes(&self, batch: usize) -> usize {
        let rows = 3 * usize::from(self.rows() > 0);
        let own = (2 * Diffusion::<T>::entries(self) + rows) * batch;
        (self.network.scratch_len(batch) + own) * size_of::<T>()
    }

    fn eval(&self, at: Point<'_, T>, g: &mut [T], memory: &mut Memory<T>) {
        self.outputs(at, g, memory);
        self.range.values(g);
    }

    fn vjp(
        &self,
        at: Point<'_, T>,
        g_bar: &[T],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        memory: &mut Memory<T>,
    ) -> T {
        let mut raw = std::mem::take(&mut memory.raw);
        let mut bar = std::mem::take(&mut memory.bar);
        let bars = &mut bar[..g_bar.len()];
        bars.copy_from_slice(g_bar);
        if self.range != Range::Any {
            self.outputs(at, &mut raw[..g_bar.len()], memory);
            self.range.scale(&raw, bars);
        }
        let mut t_bar = T::zero();
        if self.rows() == 0 {
            t_bar = self.network.vjp(input(at), bars, y_bar, theta_bar, &mut memory.network);
        }
        let batch = at.y.len() / self.dim;
        for i in 0..self.rows() {
            let [x, out, x_bar] = memory.rows.each_mut().map(|v| &mut v[..batch]);
            take_row(at.y, x, (i, self.dim));
            take_row(bars, out, (i, self.dim));
            x_bar.fill(T::zero());
            let own = self.own(i);
            let at = Input { t: at.t, x, theta: &at.theta[own.clone()] };
            t_bar += self.network.vjp(at, out, x_bar, &mut theta_bar[own], &mut memory.network);
            for (y_bar, x_bar) in y_bar[i..].iter_mut().step_by(self.dim).zip(&*x_bar) {
                *y_bar += *x_bar;
            }
        }
        (memory.raw, memory.bar) = (raw, bar);
        t_bar
    }

    fn jvp(&self, at: Point<'_, T>, dot: Tangent<'_, T>, g_dot: &mut [T], memory: &mut Memory<T>) {
        if self.rows() == 0 {
            let along = Input { t: dot.t, x: dot.y, theta: dot.theta };
            self.network.jvp(input(at), along, g_dot, &mut memory.network);
        }
        let batch = at.y.len() / self.dim;
        for i in 0..self.rows() {
            let [x, out, x_dot] = memory.rows.each_mut().map(|v| &mut v[..batch]);
            take_row(at.y, x, (i, self.dim));
            take_row(dot.y, x_dot, (i, self.dim));
            let theta = if dot.theta.is_empty() { dot.theta } else { &dot.theta[self.own(i)] };
            let along = Input { t: dot.t, x: x_dot, theta };
            let at = Input { t: at.t, x, theta: &at.theta[self.own(i)] };
            self.network.jvp(at, along, out, &mut memory.network);
            for (g_dot, out) in g_dot[i..].iter_mut().step_by(self.dim).zip(&*out) {
                *g_dot = *out;
            }
        }
        if self.range != Range::Any {
            let mut raw = std::mem::take(&mut memory.raw);
            self.outputs(at, &mut raw[..g_dot.len()], memory);
            self.range.scale(&raw, g_dot);
            memory.raw = raw;
        }
    }

    fn locate_non_finite(&self, at: Point<'_, T>) -> Option<String> {
        if self.rows() == 0 {
            return self.network.locate_non_finite(input(at));
        }
        (0..self.dim).find_map(|i| {
            let x: Vec<T> = at.y[i..].iter().step_by(self.dim).copied().collect();
            let own = Input { t: at.t, x: &x, theta: &at.theta[self.own(i)] };
            let part = self.network.locate_non_finite(own)?;
            Some(format!("the network of row {i}, {part}"))
        })
    }
}
