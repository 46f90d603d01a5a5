//! [`Reader`]: a recurrent unit over irregular observations, from the last to the first.

use crate::adjoint::{DiscreteAdjoint, Memory};
use crate::integrate::{Options, Problem};
use crate::model::NeuralOde;
use crate::model::elbo::Series;
use crate::model::neural_sde::NEXT_NETWORK;
use crate::nn::{Gru, Initializer, Layout};
use crate::num::Real;
use crate::ode::ExplicitStepper;
use crate::ode::tableaux::Rk4;
use crate::{Error, Result};

/// What reads a series, backwards in time, so that its last state belongs to the first time. The inputs of the unit are
/// the observation with 0 for what is missing, 1 for each row that is there and 0 for each that is not, and the time to
/// the observation read before: 2 rows + 1. A series without any observation at a time keeps its state.
#[derive(Clone, Debug)]
pub enum Reader {
    /// The state is constant between observations.
    Recurrent(Gru),
    /// ODE-RNN (Rubanova et al. 2019, section 3.2): between observations dh/dt = g(t, h).
    OdeRnn {
        /// The unit.
        gru: Gru,
        /// g.
        between: NeuralOde,
        /// Steps of the classical Runge–Kutta method between two times.
        steps: usize,
    },
}

/// The state that was read, and what its reverse needs.
pub(super) struct Read<'a, T: Real> {
    /// `hidden × series`.
    pub state: Vec<T>,
    /// In the order of reading.
    moments: Vec<Moment<'a, T>>,
}

struct Moment<'a, T: Real> {
    /// How the state came from the time read before.
    adjoint: Option<DiscreteAdjoint<T, ExplicitStepper<'a, T, NeuralOde>>>,
    inputs: Vec<T>,
    /// The state before the unit.
    before: Vec<T>,
    tape: Vec<T>,
    /// Whether anything was observed, series by series.
    seen: Vec<bool>,
}

impl Reader {
    /// The unit.
    pub fn gru(&self) -> &Gru {
        match self {
            Self::Recurrent(gru) | Self::OdeRnn { gru, .. } => gru,
        }
    }

    pub(super) fn layout(&self) -> Result<Layout> {
        let mut layout = Layout::new();
        layout.append("gru.", self.gru().layout())?;
        if let Self::OdeRnn { gru, between, steps } = self {
            let network = between.network();
            layout.append("between.", network.layout())?;
            if network.input_dim() != gru.hidden_dim() {
                let needed = format!("{}, the rows of the unit's state", gru.hidden_dim());
                return Err(Error::invalid("the rows between observations", network.input_dim(), needed));
            }
            if *steps == 0 {
                return Err(Error::invalid("the steps between observations", 0, "at least one is needed"));
            }
        }
        Ok(layout)
    }

    pub(super) fn init<T: Real>(&self, initializer: Initializer, seed: u64) -> Result<Vec<T>> {
        let mut theta = self.gru().init(initializer, seed)?;
        if let Self::OdeRnn { between, .. } = self {
            let seed = seed.wrapping_add(NEXT_NETWORK / 2);
            theta.extend(between.network().init::<T>(initializer, seed)?);
        }
        Ok(theta)
    }

    /// `theta` is the reader's own; `series` has been checked, with `batch` series.
    pub(super) fn read<T: Real>(
        &self,
        theta: &[T],
        series: &Series<'_, T>,
        batch: usize,
    ) -> Result<Read<'_, T>> {
        let gru = self.gru();
        let (of_gru, of_field) = theta.split_at(gru.layout().len());
        let mut state = vec![T::zero(); gru.hidden_dim() * batch];
        let mut moments = Vec::with_capacity(series.times.len());
        let mut scratch = gru.scratch(batch);
        let mut last = None;
        for (k, t) in series.times.iter().enumerate().rev() {
            let mut adjoint = None;
            if let (Self::OdeRnn { between, steps, .. }, Some(last)) = (self, last) {
                let stepper = ExplicitStepper::new(between, &Rk4, batch);
                let mut own = DiscreteAdjoint::new(stepper, Memory::Unlimited);
                let gap: T = last - *t;
                let options = Options::fixed(gap.f64() / *steps as f64);
                let problem = Problem { y0: &state, span: [last, *t], theta: of_field };
                state = own.forward(&problem, &options, &mut [])?.last().to_vec();
                adjoint = Some(own);
            }
            let (inputs, seen) = inputs(series, batch, k, last.map_or(T::zero(), |last| last - *t));
            let (mut next, mut tape) = (state.clone(), vec![T::zero(); gru.tape_rows() * batch]);
            gru.step(of_gru, (&inputs, &state), &mut next, &mut tape, &mut scratch);
            let before = std::mem::replace(&mut state, next);
            keep_unseen(&seen, &before, &mut state);
            moments.push(Moment { adjoint, inputs, before, tape, seen });
            last = Some(*t);
        }
        Ok(Read { state, moments })
    }

    /// ACCUMULATES the cotangent of `theta` for that of the state, which is used up.
    pub(super) fn pull<T: Real>(
        &self,
        (theta, theta_bar): (&[T], &mut [T]),
        read: &mut Read<'_, T>,
        bar: &mut Vec<T>,
    ) -> Result<()> {
        let gru = self.gru();
        let of_gru = &theta[..gru.layout().len()];
        let (gru_bar, field_bar) = theta_bar.split_at_mut(of_gru.len());
        let batch = bar.len() / gru.hidden_dim();
        let mut scratch = gru.scratch(batch);
        for moment in read.moments.iter_mut().rev() {
            // What was not seen passes the unit by.
            let (zeros, mut inputs_bar) = (vec![T::zero(); bar.len()], vec![T::zero(); moment.inputs.len()]);
            let mut next_bar = bar.clone();
            let unseen: Vec<bool> = moment.seen.iter().map(|s| !s).collect();
            keep_unseen(&moment.seen, &zeros, &mut next_bar);
            keep_unseen(&unseen, &zeros, bar);
            gru.pull(
                (of_gru, &mut *gru_bar),
                (&moment.inputs, &moment.before),
                (&moment.tape, &next_bar),
                (&mut inputs_bar, &mut *bar),
                &mut scratch,
            );
            if let Some(adjoint) = &mut moment.adjoint {
                adjoint.reverse(bar, &[], &mut [])?;
                field_bar.iter_mut().zip(adjoint.theta_gradient()).for_each(|(sum, bar)| *sum += *bar);
                bar.copy_from_slice(adjoint.y0_gradient());
            }
        }
        Ok(())
    }
}

/// `to` ← `from` in the columns that were not seen.
fn keep_unseen<T: Copy>(seen: &[bool], from: &[T], to: &mut [T]) {
    let rows = to.len() / seen.len();
    for (j, _) in seen.iter().enumerate().filter(|(_, seen)| !**seen) {
        let here = j * rows..(j + 1) * rows;
        to[here.clone()].copy_from_slice(&from[here]);
    }
}

/// The unit's inputs at time `k`, and which series were seen.
fn inputs<T: Real>(series: &Series<'_, T>, batch: usize, k: usize, gap: T) -> (Vec<T>, Vec<bool>) {
    let length = series.values.len() / batch;
    let rows = length / series.times.len();
    let (mut inputs, mut seen) = (Vec::with_capacity((2 * rows + 1) * batch), Vec::with_capacity(batch));
    for j in 0..batch {
        let x = &series.values[j * length + k * rows..][..rows];
        let there = |x: &T| !x.f64().is_nan();
        inputs.extend(x.iter().map(|x| if there(x) { *x } else { T::zero() }));
        inputs.extend(x.iter().map(|x| if there(x) { T::one() } else { T::zero() }));
        inputs.push(gap);
        seen.push(x.iter().any(there));
    }
    (inputs, seen)
}
