//! [`GruOde`]: the gated recurrent unit in continuous time.

use crate::dynamics::{Dynamics, Point, Tangent};
use crate::nn::{Gru, GruScratch};
use crate::num::Real;
use crate::{Error, Result};

/// dh/dt = (1 − z) ⊙ (n − h) (De Brouwer, Simm, Arany & Moreau, *GRU-ODE-Bayes*, NeurIPS 2019, arXiv 1905.12374, eq. 3),
/// which is h' − h of the unit's own step h ↦ h'. The unit's one input is the time.
///
/// |h| ≤ 1 in each entry is never left, since n lies in (−1, 1), and f is Lipschitz: a solution exists for all times.
#[derive(Clone, Debug)]
pub struct GruOde {
    gru: Gru,
}

/// Scratch of a [`GruOde`].
#[derive(Clone, Debug)]
pub struct GruOdeScratch<T> {
    gru: GruScratch<T>,
    /// The time for each column, and its cotangents or tangents.
    t: Vec<T>,
    t_bar: Vec<T>,
    tape: Vec<T>,
    next: Vec<T>,
}

impl GruOde {
    /// Of a unit of one input.
    ///
    /// # Errors
    /// [`Error::Invalid`] for another number of inputs.
    pub fn new(gru: Gru) -> Result<Self> {
        if gru.input_dim() != 1 {
            let needed = "its one input is the time";
            return Err(Error::invalid("the inputs of a GRU-ODE's unit", gru.input_dim(), needed));
        }
        Ok(Self { gru })
    }

    /// The unit.
    pub fn gru(&self) -> &Gru {
        &self.gru
    }
}

impl<T: Real> Dynamics<T> for GruOde {
    type Scratch = GruOdeScratch<T>;

    const TAPED: bool = true;

    fn dim(&self) -> usize {
        self.gru.hidden_dim()
    }

    fn num_params(&self) -> usize {
        self.gru.layout().len()
    }

    fn scratch(&self, batch: usize) -> GruOdeScratch<T> {
        let zeros = |n: usize| vec![T::zero(); n * batch];
        GruOdeScratch {
            gru: self.gru.scratch(batch),
            t: zeros(1),
            t_bar: zeros(1),
            tape: zeros(self.gru.tape_rows()),
            next: zeros(self.gru.hidden_dim()),
        }
    }

    fn scratch_bytes(&self, batch: usize) -> usize {
        // The unit's own: both products of three gates, and two matrices.
        let h = self.gru.hidden_dim();
        (batch * (2 + 11 * h) + 6 * h * h.max(1) + 3 * h) * size_of::<T>()
    }

    fn eval(&self, at: Point<'_, T>, dy: &mut [T], s: &mut GruOdeScratch<T>) {
        let mut tape = std::mem::take(&mut s.tape);
        let n = Dynamics::<T>::tape_len(self, at.y.len() / self.gru.hidden_dim());
        self.eval_taped(at, dy, &mut tape[..n], s);
        s.tape = tape;
    }

    fn vjp(
        &self,
        at: Point<'_, T>,
        dy_bar: &[T],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        s: &mut GruOdeScratch<T>,
    ) -> T {
        let (mut tape, mut next) = (std::mem::take(&mut s.tape), std::mem::take(&mut s.next));
        let n = Dynamics::<T>::tape_len(self, at.y.len() / self.gru.hidden_dim());
        self.eval_taped(at, &mut next[..at.y.len()], &mut tape[..n], s);
        let t_bar = self.vjp_taped(at, (&[], &tape[..n]), dy_bar, y_bar, theta_bar, s);
        (s.tape, s.next) = (tape, next);
        t_bar
    }

    fn tape_len(&self, batch: usize) -> usize {
        self.gru.tape_rows() * batch
    }

    fn eval_taped(&self, at: Point<'_, T>, dy: &mut [T], tape: &mut [T], s: &mut GruOdeScratch<T>) {
        let t = &mut s.t[..at.y.len() / self.gru.hidden_dim()];
        t.fill(at.t);
        self.gru.step(at.theta, (t, at.y), dy, tape, &mut s.gru);
        dy.iter_mut().zip(at.y).for_each(|(dy, h)| *dy -= *h);
    }

    fn vjp_taped(
        &self,
        at: Point<'_, T>,
        (_, tape): (&[T], &[T]),
        dy_bar: &[T],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        s: &mut GruOdeScratch<T>,
    ) -> T {
        let batch = at.y.len() / self.gru.hidden_dim();
        let (t, t_bar) = (&mut s.t[..batch], &mut s.t_bar[..batch]);
        t.fill(at.t);
        t_bar.fill(T::zero());
        let theta = (at.theta, theta_bar);
        self.gru.pull(theta, (t, at.y), (tape, dy_bar), (t_bar, &mut *y_bar), &mut s.gru);
        y_bar.iter_mut().zip(dy_bar).for_each(|(y, bar)| *y -= *bar);
        t_bar.iter().copied().sum()
    }

    fn jvp(&self, at: Point<'_, T>, dot: Tangent<'_, T>, dy_dot: &mut [T], s: &mut GruOdeScratch<T>) {
        let batch = at.y.len() / self.gru.hidden_dim();
        let tape = &mut s.tape[..self.gru.tape_rows() * batch];
        let (t, t_dot) = (&mut s.t[..batch], &mut s.t_bar[..batch]);
        t.fill(at.t);
        t_dot.fill(dot.t);
        self.gru.step(at.theta, (t, at.y), dy_dot, tape, &mut s.gru);
        let theta = (at.theta, dot.theta);
        self.gru.tangent(theta, [t, at.y], [t_dot, dot.y], (tape, &mut *dy_dot), &mut s.gru);
        dy_dot.iter_mut().zip(dot.y).for_each(|(out, h)| *out -= *h);
    }
}
