//! [`Gru`]: the gated recurrent unit on a batch, its reverse, and both over a whole series.

use super::dense::{Dense, Room};
use super::init::{self, Initializer};
use super::params::{Layout, Role};
use super::run::{Input, dense_tangent};
use crate::num::Real;
use crate::{Error, Result};

/// The gated recurrent unit of Cho et al., *Learning Phrase Representations using RNN Encoder–Decoder* (EMNLP
/// 2014), with the gates of PyTorch's `GRUCell`:
///
/// r = σ(W_ir x + b_ir + W_hr h + b_hr)
///
/// z = σ(W_iz x + b_iz + W_hz h + b_hz)
///
/// n = tanh(W_in x + b_in + r ⊙ (W_hn h + b_hn))
///
/// h' = (1 − z) ⊙ n + z ⊙ h
///
/// (Cho et al. apply r to h before the product with W_hn, and exchange z and 1 − z.) The parameters are PyTorch's
/// too: "weight_ih" `[3H, inputs]`, "weight_hh" `[3H, H]`, "bias_ih" and "bias_hh" `[3H]`, the rows of r, z and n
/// one after the other, so that a `GRUCell`'s tensors can be copied as they are.
///
/// ```
/// use odeon::nn::{Direction, Gru};
/// let gru = Gru::new(1, 8)?;
/// let theta: Vec<f64> = gru.init(Default::default(), 0)?;
/// // Three times of two series, read from the last to the first.
/// let x = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6];
/// let unrolled = gru.unroll(&theta, &x, 2, Direction::Backwards)?;
/// assert_eq!(unrolled.hidden().len(), 3 * 8 * 2);
/// # Ok::<(), odeon::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Gru {
    /// W_i· x + b_i· and W_h· h + b_h·.
    input: Dense,
    state: Dense,
    layout: Layout,
}

/// In which order a series is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Direction {
    /// From the first time to the last: h_k knows x_0, …, x_k.
    #[default]
    Forwards,
    /// From the last time to the first: h_k knows x_k, …, x_{N−1}.
    Backwards,
}

impl Gru {
    /// From `inputs` rows to a state of `hidden` rows.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there are none of one of them.
    pub fn new(inputs: usize, hidden: usize) -> Result<Self> {
        for (what, rows) in [("the inputs of a recurrent unit", inputs), ("its state", hidden)] {
            if rows == 0 {
                return Err(Error::invalid(what, rows, "it must have at least one row"));
            }
        }
        let outputs = 3 * hidden;
        let mut layout = Layout::new();
        // PyTorch draws all of them from U(−1/√H, 1/√H): H is the fan-in of all.
        let (weight, bias) =
            (Role::Weight { fan_in: hidden, fan_out: hidden }, Role::Bias { fan_in: hidden });
        let weight_ih = layout.push("weight_ih", &[outputs, inputs], weight)?;
        let weight_hh = layout.push("weight_hh", &[outputs, hidden], weight)?;
        let bias_ih = layout.push("bias_ih", &[outputs], bias)?;
        let bias_hh = layout.push("bias_hh", &[outputs], bias)?;
        let dense = |inputs, weight, bias| Dense { inputs, outputs, time: false, weight, bias: Some(bias) };
        let (input, state) = (dense(inputs, weight_ih, bias_ih), dense(hidden, weight_hh, bias_hh));
        Ok(Self { input, state, layout })
    }

    /// Rows of the input.
    pub fn input_dim(&self) -> usize {
        self.input.inputs
    }

    /// Rows H of the state.
    pub fn hidden_dim(&self) -> usize {
        self.state.inputs
    }

    /// Names, shapes and places of the parameters.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Parameters drawn by `initializer`, H being every tensor's fan-in and fan-out: `TorchLinear` is what PyTorch
    /// draws for its recurrent layers.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a scale that is negative or not finite.
    pub fn init<T: Real>(&self, initializer: Initializer, seed: u64) -> Result<Vec<T>> {
        init::draw(&self.layout, |_| initializer, seed)
    }

    /// Numbers that a step keeps for its reverse, for each column: r, z, n and W_hn h + b_hn.
    pub fn tape_rows(&self) -> usize {
        4 * self.hidden_dim()
    }

    /// Memory for steps of up to `batch` columns.
    pub fn scratch<T: Real>(&self, batch: usize) -> GruScratch<T> {
        let zeros = |n: usize| vec![T::zero(); n];
        let outputs = self.state.outputs;
        let weight = outputs * self.input_dim().max(self.hidden_dim());
        GruScratch {
            of_input: zeros(outputs * batch),
            of_state: zeros(outputs * batch),
            weight: zeros(weight),
            grad: zeros(weight),
            rows: zeros(outputs),
        }
    }

    /// `next` ← h' of the states `h` (`H × batch`) and inputs `x` (`inputs × batch`); `tape`
    /// ([`tape_rows`](Self::tape_rows) × batch) is what [`pull`](Self::pull) needs. Lengths are the caller's to check.
    pub fn step<T: Real>(
        &self,
        theta: &[T],
        (x, h): (&[T], &[T]),
        next: &mut [T],
        tape: &mut [T],
        scratch: &mut GruScratch<T>,
    ) {
        let hidden = self.hidden_dim();
        let n = self.state.outputs * (h.len() / hidden);
        let GruScratch { of_input, of_state, weight, grad, rows } = scratch;
        let (of_input, of_state) = (&mut of_input[..n], &mut of_state[..n]);
        let mut room = Room { weight, grad, rows };
        self.input.forward((T::zero(), x), theta, None, false, of_input, &mut room);
        self.state.forward((T::zero(), h), theta, None, false, of_state, &mut room);
        let columns = of_input.chunks_exact(3 * hidden).zip(of_state.chunks_exact(3 * hidden));
        let states = h.chunks_exact(hidden).zip(next.chunks_exact_mut(hidden));
        for (((a, b), (h, next)), tape) in columns.zip(states).zip(tape.chunks_exact_mut(4 * hidden)) {
            for i in 0..hidden {
                let (j, k) = (hidden + i, 2 * hidden + i);
                let (r, z) = ((a[i] + b[i]).sigmoid(), (a[j] + b[j]).sigmoid());
                let n = (a[k] + r * b[k]).tanh();
                next[i] = n + z * (h[i] - n);
                [tape[i], tape[j], tape[k], tape[3 * hidden + i]] = [r, z, n, b[k]];
            }
        }
    }

    /// The reverse of [`step`](Self::step) at the same `x` and `h` with its `tape`: ACCUMULATES the cotangents of x, h
    /// and θ for that of h'.
    pub fn pull<T: Real>(
        &self,
        (theta, theta_bar): (&[T], &mut [T]),
        (x, h): (&[T], &[T]),
        (tape, next_bar): (&[T], &[T]),
        (x_bar, h_bar): (&mut [T], &mut [T]),
        scratch: &mut GruScratch<T>,
    ) {
        let (hidden, one) = (self.hidden_dim(), T::one());
        let n = self.state.outputs * (h.len() / hidden);
        let GruScratch { of_input, of_state, weight, grad, rows } = scratch;
        let (of_input, of_state) = (&mut of_input[..n], &mut of_state[..n]);
        let columns = of_input.chunks_exact_mut(3 * hidden).zip(of_state.chunks_exact_mut(3 * hidden));
        let states = h.chunks_exact(hidden).zip(h_bar.chunks_exact_mut(hidden));
        let kept = tape.chunks_exact(4 * hidden).zip(next_bar.chunks_exact(hidden));
        for (((a, b), (h, h_bar)), (tape, bar)) in columns.zip(states).zip(kept) {
            for i in 0..hidden {
                let (j, k) = (hidden + i, 2 * hidden + i);
                let (r, z, n, m) = (tape[i], tape[j], tape[k], tape[3 * hidden + i]);
                let n_bar = bar[i] * (one - z) * (one - n * n);
                let r_bar = n_bar * m * r * (one - r);
                let z_bar = bar[i] * (h[i] - n) * z * (one - z);
                h_bar[i] += bar[i] * z;
                [a[i], a[j], a[k]] = [r_bar, z_bar, n_bar];
                [b[i], b[j], b[k]] = [r_bar, z_bar, n_bar * r];
            }
        }
        let mut room = Room { weight, grad, rows };
        self.input.reverse((T::zero(), x), (theta, &mut *theta_bar), of_input, (x_bar, true), &mut room);
        self.state.reverse((T::zero(), h), (theta, theta_bar), of_state, (h_bar, true), &mut room);
    }

    /// `next_dot` ← the tangent of h' at the `x` and `h` of a [`step`](Self::step) with its `tape`, along
    /// (ẋ, ḣ) = `dots` and `theta_dot` (empty for zero).
    pub fn tangent<T: Real>(
        &self,
        (theta, theta_dot): (&[T], &[T]),
        [x, h]: [&[T]; 2],
        [x_dot, h_dot]: [&[T]; 2],
        (tape, next_dot): (&[T], &mut [T]),
        scratch: &mut GruScratch<T>,
    ) {
        let (hidden, one, t) = (self.hidden_dim(), T::one(), T::zero());
        let n = self.state.outputs * (h.len() / hidden);
        let GruScratch { of_input, of_state, weight, grad, rows } = scratch;
        let (of_input, of_state) = (&mut of_input[..n], &mut of_state[..n]);
        let mut room = Room { weight, grad, rows };
        for (dense, x, x_dot, out) in
            [(&self.input, x, x_dot, &mut *of_input), (&self.state, h, h_dot, &mut *of_state)]
        {
            let along = Input { t, x: x_dot, theta: theta_dot };
            dense_tangent(dense, Input { t, x, theta }, along, out, &mut room);
        }
        let columns = of_input.chunks_exact(3 * hidden).zip(of_state.chunks_exact(3 * hidden));
        let states = h.chunks_exact(hidden).zip(h_dot.chunks_exact(hidden));
        let kept = tape.chunks_exact(4 * hidden).zip(next_dot.chunks_exact_mut(hidden));
        for (((a, b), (h, h_dot)), (tape, out)) in columns.zip(states).zip(kept) {
            for i in 0..hidden {
                let (j, k) = (hidden + i, 2 * hidden + i);
                let (r, z, n, m) = (tape[i], tape[j], tape[k], tape[3 * hidden + i]);
                let r_dot = r * (one - r) * (a[i] + b[i]);
                let z_dot = z * (one - z) * (a[j] + b[j]);
                let n_dot = (one - n * n) * (a[k] + r_dot * m + r * b[k]);
                out[i] = (one - z) * n_dot + z_dot * (h[i] - n) + z * h_dot[i];
            }
        }
    }

    /// Reads series from a state of 0: `x` is `inputs × batch` for each time.
    ///
    /// # Errors
    /// [`Error::Length`] for a `theta` of another length, or an `x` that is not a positive multiple of
    /// `inputs × batch`.
    pub fn unroll<T: Real>(
        &self,
        theta: &[T],
        x: &[T],
        batch: usize,
        direction: Direction,
    ) -> Result<Unrolled<T>> {
        self.layout.check_len("theta", theta.len())?;
        let (rows, hidden) = (self.input_dim() * batch, self.hidden_dim() * batch);
        if rows == 0 || x.is_empty() || !x.len().is_multiple_of(rows) {
            let needed = format!("a positive multiple of {rows} ({} inputs × {batch})", self.input_dim());
            return Err(Error::Length { what: "x", given: x.len(), needed });
        }
        let times = x.len() / rows;
        let mut unrolled = Unrolled {
            direction,
            batch,
            hidden: vec![T::zero(); times * hidden],
            tape: vec![T::zero(); times * 4 * hidden],
            zero: vec![T::zero(); hidden],
            scratch: self.scratch(batch),
        };
        let mut h = unrolled.zero.clone();
        for i in 0..times {
            let k = unrolled.time(i, times);
            let next = &mut unrolled.hidden[k * hidden..(k + 1) * hidden];
            let tape = &mut unrolled.tape[k * 4 * hidden..(k + 1) * 4 * hidden];
            self.step(theta, (&x[k * rows..(k + 1) * rows], &h), next, tape, &mut unrolled.scratch);
            h.copy_from_slice(next);
        }
        Ok(unrolled)
    }
}

/// Scratch of a [`Gru`].
#[derive(Clone, Debug)]
pub struct GruScratch<T> {
    /// W_i· x + b_i·, W_h· h + b_h·, or their cotangents.
    of_input: Vec<T>,
    of_state: Vec<T>,
    weight: Vec<T>,
    grad: Vec<T>,
    rows: Vec<T>,
}

/// The states of a [`Gru`] over series, and what their reverse needs.
#[derive(Clone, Debug)]
pub struct Unrolled<T> {
    direction: Direction,
    batch: usize,
    hidden: Vec<T>,
    tape: Vec<T>,
    zero: Vec<T>,
    scratch: GruScratch<T>,
}

impl<T: Real> Unrolled<T> {
    /// The state after each time was read, `H × batch` for each, in the order of the times.
    pub fn hidden(&self) -> &[T] {
        &self.hidden
    }

    /// Times of the series.
    pub fn times(&self) -> usize {
        self.hidden.len() / self.zero.len()
    }

    /// The time that is read i-th.
    fn time(&self, i: usize, times: usize) -> usize {
        match self.direction {
            Direction::Forwards => i,
            Direction::Backwards => times - 1 - i,
        }
    }

    /// The reverse: `hidden_bar` holds the cotangents of [`hidden`](Self::hidden) and is used up; ACCUMULATES those of
    /// `x` and θ, where `gru`, `theta` and `x` are what was unrolled.
    ///
    /// # Errors
    /// [`Error::Length`] for lengths that are not those of the forward pass.
    pub fn pull(
        &mut self,
        gru: &Gru,
        (theta, theta_bar): (&[T], &mut [T]),
        x: &[T],
        hidden_bar: &mut [T],
        x_bar: &mut [T],
    ) -> Result<()> {
        let (rows, hidden) = (gru.input_dim() * self.batch, gru.hidden_dim() * self.batch);
        let times = self.times();
        gru.layout.check_len("theta", theta.len())?;
        gru.layout.check_len("the cotangent of theta", theta_bar.len())?;
        for (what, given, needed) in [
            ("x", x.len(), times * rows),
            ("the cotangent of x", x_bar.len(), times * rows),
            ("the cotangent of the states", hidden_bar.len(), self.hidden.len()),
        ] {
            Error::check_len(what, given, needed, "as in the forward pass")?;
        }
        let mut bar = vec![T::zero(); hidden];
        for i in (0..times).rev() {
            let k = self.time(i, times);
            let at = |k: usize, n: usize| k * n..(k + 1) * n;
            bar.copy_from_slice(&hidden_bar[at(k, hidden)]);
            // The state before, and where its cotangent goes.
            let before = i.checked_sub(1).map(|i| at(self.time(i, times), hidden));
            let h = before.clone().map_or(&self.zero[..], |at| &self.hidden[at]);
            let h_bar = match before {
                Some(at) => &mut hidden_bar[at],
                None => &mut hidden_bar[at(k, hidden)],
            };
            gru.pull(
                (theta, &mut *theta_bar),
                (&x[at(k, rows)], h),
                (&self.tape[at(k, 4 * hidden)], &bar),
                (&mut x_bar[at(k, rows)], h_bar),
                &mut self.scratch,
            );
        }
        Ok(())
    }
}
