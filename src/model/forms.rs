//! Neural ODEs in other forms: [`SecondOrderOde`], and [`OdeModel`] with a start, a field and a readout.

use super::NeuralOde;
use super::neural_sde::NEXT_NETWORK;
use crate::adjoint::{DiscreteAdjoint, Memory, Weighted};
use crate::dynamics::{Dynamics, Point, Tangent};
use crate::integrate::{Options, Problem, Statistics};
use crate::nn::{Initializer, Input, Layout, Network, Scratch};
use crate::num::Real;
use crate::ode::tableau::ExplicitRk;
use crate::ode::{ExplicitStepper, Solver};
use crate::{Error, Result};
use std::ops::Range;

/// The second-order neural ODE x″ = N(t, x, x′; θ) as a system (x, v)' = (v, N(t, x, v; θ)) (Norcliffe et al., *On Second
/// Order Behaviour in Augmented Neural ODEs*, NeurIPS 2020): trajectories x may cross.
#[derive(Clone, Debug)]
pub struct SecondOrderOde {
    network: Network,
}

/// Scratch of a [`SecondOrderOde`].
#[derive(Clone, Debug)]
pub struct SecondOrderOdeScratch<T> {
    network: Scratch<T>,
    /// N of all columns, or its cotangent.
    acceleration: Vec<T>,
}

impl SecondOrderOde {
    /// `network`: 2n → n.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it does not give half as many rows as it takes.
    pub fn new(network: Network) -> Result<Self> {
        let (inputs, outputs) = (network.input_dim(), network.output_dim());
        if inputs != 2 * outputs {
            let given = format!("{inputs} rows in, {outputs} out");
            let needed = "a second-order equation takes x and x′ and gives x″: 2n rows in, n out";
            return Err(Error::invalid("network", given, needed));
        }
        Ok(Self { network })
    }

    fn input<'a, T>(at: Point<'a, T>) -> Input<'a, T> {
        Input { t: at.t, x: at.y, theta: at.theta }
    }

    /// `out` ← (the second half of `y`, `acceleration`) of each column.
    fn join<T: Copy>(y: &[T], acceleration: &[T], out: &mut [T], n: usize) {
        let columns = y.chunks_exact(2 * n).zip(acceleration.chunks_exact(n));
        for (out, (y, a)) in out.chunks_exact_mut(2 * n).zip(columns) {
            out[..n].copy_from_slice(&y[n..]);
            out[n..].copy_from_slice(a);
        }
    }
}

impl<T: Real> Dynamics<T> for SecondOrderOde {
    type Scratch = SecondOrderOdeScratch<T>;

    fn dim(&self) -> usize {
        self.network.input_dim()
    }

    fn num_params(&self) -> usize {
        self.network.layout().len()
    }

    fn scratch(&self, batch: usize) -> SecondOrderOdeScratch<T> {
        let acceleration = vec![T::zero(); self.network.output_dim() * batch];
        SecondOrderOdeScratch { network: self.network.scratch(batch), acceleration }
    }

    fn scratch_bytes(&self, batch: usize) -> usize {
        (self.network.scratch_len(batch) + self.network.output_dim() * batch) * size_of::<T>()
    }

    fn eval(&self, at: Point<'_, T>, dy: &mut [T], s: &mut SecondOrderOdeScratch<T>) {
        let acceleration = &mut s.acceleration[..at.y.len() / 2];
        self.network.forward(Self::input(at), acceleration, &mut s.network);
        Self::join(at.y, acceleration, dy, self.network.output_dim());
    }

    fn vjp(
        &self,
        at: Point<'_, T>,
        dy_bar: &[T],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        s: &mut SecondOrderOdeScratch<T>,
    ) -> T {
        let n = self.network.output_dim();
        let bars = &mut s.acceleration[..at.y.len() / 2];
        let columns = dy_bar.chunks_exact(2 * n).zip(y_bar.chunks_exact_mut(2 * n));
        for ((dy_bar, y_bar), bar) in columns.zip(bars.chunks_exact_mut(n)) {
            y_bar[n..].iter_mut().zip(&dy_bar[..n]).for_each(|(y, bar)| *y += *bar);
            bar.copy_from_slice(&dy_bar[n..]);
        }
        self.network.vjp(Self::input(at), bars, y_bar, theta_bar, &mut s.network)
    }

    fn jvp(&self, at: Point<'_, T>, dot: Tangent<'_, T>, dy_dot: &mut [T], s: &mut SecondOrderOdeScratch<T>) {
        let acceleration = &mut s.acceleration[..at.y.len() / 2];
        let along = Input { t: dot.t, x: dot.y, theta: dot.theta };
        self.network.jvp(Self::input(at), along, acceleration, &mut s.network);
        Self::join(dot.y, acceleration, dy_dot, self.network.output_dim());
    }

    fn locate_non_finite(&self, at: Point<'_, T>) -> Option<String> {
        self.network.locate_non_finite(Self::input(at))
    }
}

/// A field made of one network.
pub trait NeuralField<T: Real>: Dynamics<T> {
    /// The network, whose parameters are the field's.
    fn network(&self) -> &Network;
}

impl<T: Real> NeuralField<T> for NeuralOde {
    fn network(&self) -> &Network {
        self.network()
    }
}

impl<T: Real> NeuralField<T> for SecondOrderOde {
    fn network(&self) -> &Network {
        &self.network
    }
}

/// How the state at the start is made of an input x.
#[derive(Clone, Debug)]
pub enum Lift {
    /// y(0) = (x, 0): x itself, with further rows of 0 where the field has more (augmented neural ODEs: Dupont, Doucet
    /// & Teh, NeurIPS 2019; a second-order field starts at rest).
    Zeros {
        /// Rows of x.
        inputs: usize,
    },
    /// y(0) = L(x).
    Network(Network),
}

/// y(t₀) = lift(x), y' = f(t, y; θ), outputs R(y(t)) at the saved times: a classifier or a regression where the end is
/// saved, a model of time series where more is. f may be a [`NeuralOde`], on more rows than x has (augmented), with the
/// time as an input of its layers (time-conditioned), or a [`SecondOrderOde`].
#[derive(Clone, Debug)]
pub struct OdeModel<F> {
    lift: Lift,
    field: F,
    readout: Network,
    layout: Layout,
    places: [Range<usize>; 3],
}

impl<F> OdeModel<F> {
    /// `readout`: rows of the field → outputs.
    ///
    /// # Errors
    /// [`Error::Invalid`] for parts that do not fit together.
    pub fn new<T: Real>(lift: Lift, field: F, readout: Network) -> Result<Self>
    where
        F: NeuralField<T>,
    {
        let dim = field.dim();
        let (inputs, start) = match &lift {
            Lift::Zeros { inputs } => (*inputs, dim),
            Lift::Network(network) => (network.input_dim(), network.output_dim()),
        };
        if inputs == 0 || matches!(lift, Lift::Zeros { .. }) && inputs > dim {
            let needed = format!("it must be 1 to {dim}, the rows of the field");
            return Err(Error::invalid("the rows of the input", inputs, needed));
        }
        for (what, given) in [("the rows of the start", start), ("the readout's inputs", readout.input_dim())]
        {
            if given != dim {
                return Err(Error::invalid(what, given, format!("it must be {dim}, the rows of the field")));
            }
        }
        let mut layout = Layout::new();
        let of_lift = match &lift {
            Lift::Zeros { .. } => 0..0,
            Lift::Network(network) => layout.append("lift.", network.layout())?,
        };
        let of_field = layout.append("field.", field.network().layout())?;
        let of_readout = layout.append("readout.", readout.layout())?;
        Ok(Self { lift, field, readout, layout, places: [of_lift, of_field, of_readout] })
    }

    /// Names ("field.0.weight"), shapes and places of the parameters.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The field.
    pub fn field(&self) -> &F {
        &self.field
    }

    /// Parameters drawn by `initializer`.
    ///
    /// # Errors
    /// As [`Network::init`].
    pub fn init<T: Real>(&self, initializer: Initializer, seed: u64) -> Result<Vec<T>>
    where
        F: NeuralField<T>,
    {
        let next = |i: u64| seed.wrapping_add(NEXT_NETWORK.wrapping_mul(i));
        let mut theta = match &self.lift {
            Lift::Zeros { .. } => Vec::new(),
            Lift::Network(network) => network.init(initializer, next(1))?,
        };
        theta.extend(self.field.network().init::<T>(initializer, seed)?);
        theta.extend(self.readout.init::<T>(initializer, next(2))?);
        Ok(theta)
    }

    /// The start of each column of `x`.
    fn start<T: Real>(&self, t: T, theta: &[T], x: &[T]) -> Result<Vec<T>>
    where
        F: NeuralField<T>,
    {
        self.layout.check_len("theta", theta.len())?;
        let inputs = match &self.lift {
            Lift::Zeros { inputs } => *inputs,
            Lift::Network(network) => network.input_dim(),
        };
        if x.is_empty() || !x.len().is_multiple_of(inputs) {
            let needed = format!("a positive multiple of {inputs} (rows of the input)");
            return Err(Error::Length { what: "x", given: x.len(), needed });
        }
        let (batch, dim) = (x.len() / inputs, self.field.dim());
        let mut y0 = vec![T::zero(); dim * batch];
        match &self.lift {
            Lift::Zeros { .. } => {
                let columns = y0.chunks_exact_mut(dim).zip(x.chunks_exact(inputs));
                columns.for_each(|(y, x)| y[..inputs].copy_from_slice(x));
            }
            Lift::Network(network) => {
                let at = Input { t, x, theta: &theta[self.places[0].clone()] };
                network.forward(at, &mut y0, &mut network.scratch(batch));
            }
        }
        Ok(y0)
    }

    /// The outputs at the saved times (`outputs × batch` for each) of the inputs `x`, and what the solve cost.
    ///
    /// # Errors
    /// Inputs that do not fit, or a solve that stops early.
    pub fn outputs<T: Real>(
        &self,
        method: &impl ExplicitRk,
        theta: &[T],
        (x, span): (&[T], [T; 2]),
        options: &Options<T>,
    ) -> Result<(Vec<T>, Statistics)>
    where
        F: NeuralField<T>,
    {
        let y0 = self.start(span[0], theta, x)?;
        let problem = Problem { y0: &y0, span, theta: &theta[self.places[1].clone()] };
        let batch = y0.len() / self.field.dim();
        let mut solver = Solver::with(ExplicitStepper::new(&self.field, method, batch));
        let solution = solver.solve(&problem, options)?;
        let columns = solution.y.len() / self.field.dim();
        let mut out = vec![T::zero(); self.readout.output_dim() * columns];
        let at = Input { t: T::zero(), x: &solution.y, theta: &theta[self.places[2].clone()] };
        self.readout.forward(at, &mut out, &mut self.readout.scratch(columns));
        Ok((out, solution.stats.clone()))
    }

    /// A loss of the outputs plus weighted penalties on the steps; overwrites `gradient` with its derivatives, exact for
    /// the steps that were taken. `loss` sees what [`outputs`](Self::outputs) gives and writes its cotangents.
    ///
    /// # Errors
    /// As [`outputs`](Self::outputs), a gradient of another length, or what `loss` returns.
    pub fn value_and_gradient<T: Real>(
        &self,
        method: &impl ExplicitRk,
        (theta, gradient): (&[T], &mut [T]),
        (x, span, options): (&[T], [T; 2], &Options<T>),
        penalties: &mut [Weighted<'_, T>],
        loss: impl FnOnce(&[T], &mut [T]) -> Result<T>,
    ) -> Result<(T, Statistics)>
    where
        F: NeuralField<T>,
    {
        self.layout.check_len("the gradient", gradient.len())?;
        gradient.fill(T::zero());
        let y0 = self.start(span[0], theta, x)?;
        let [of_lift, of_field, of_readout] = self.places.clone();
        let batch = y0.len() / self.field.dim();
        let mut adjoint =
            DiscreteAdjoint::new(ExplicitStepper::new(&self.field, method, batch), Memory::Unlimited);
        let problem = Problem { y0: &y0, span, theta: &theta[of_field.clone()] };
        let readout_bar = &mut gradient[of_readout.clone()];
        let value = adjoint.value_and_gradient(&problem, options, penalties, |solution, y_bar| {
            let columns = solution.y.len() / self.field.dim();
            let mut scratch = self.readout.scratch(columns);
            let mut out = vec![T::zero(); self.readout.output_dim() * columns];
            let at = Input { t: T::zero(), x: &solution.y, theta: &theta[of_readout] };
            self.readout.forward(at, &mut out, &mut scratch);
            let mut out_bar = vec![T::zero(); out.len()];
            let value = loss(&out, &mut out_bar)?;
            self.readout.vjp(at, &out_bar, y_bar, readout_bar, &mut scratch);
            Ok(value)
        })?;
        gradient[of_field].copy_from_slice(adjoint.theta_gradient());
        if let Lift::Network(network) = &self.lift {
            let mut x_bar = vec![T::zero(); x.len()];
            let at = Input { t: span[0], x, theta: &theta[of_lift.clone()] };
            let bar = &mut gradient[of_lift];
            network.vjp(at, adjoint.y0_gradient(), &mut x_bar, bar, &mut network.scratch(batch));
        }
        Ok((value.total, adjoint.solution().stats.clone()))
    }
}
