//! [`CdeModel`]: start, controlled equation and readout, with the gradient of a loss.

use super::dynamics::NeuralCde;
use super::path::ControlPath;
use crate::adjoint::{DiscreteAdjoint, Memory, Weighted};
use crate::integrate::{Options, Problem, Statistics};
use crate::model::neural_sde::NEXT_NETWORK;
use crate::nn::{Initializer, Input, Layout, Network};
use crate::num::Real;
use crate::ode::tableau::ExplicitRk;
use crate::ode::{ExplicitStepper, Solver};
use crate::{Error, Result};
use std::ops::Range;

/// y(t₀) = ℓ₁(X(t₀)), dy = F(y) dX, outputs ℓ₂(y(t)) at the saved times (Kidger et al. 2020, section 3.1): a classifier
/// where the end is saved, a model of time series where more is.
#[derive(Clone, Debug)]
pub struct CdeModel {
    initial: Network,
    field: Network,
    readout: Network,
    channels: usize,
    layout: Layout,
    places: [Range<usize>; 3],
}

impl CdeModel {
    /// `initial`: channels → h, `field`: h → h · channels, `readout`: h → outputs.
    ///
    /// # Errors
    /// [`Error::Invalid`] for networks that do not fit together.
    pub fn new(initial: Network, field: Network, readout: Network) -> Result<Self> {
        let (channels, hidden) = (initial.input_dim(), initial.output_dim());
        let shapes = [
            ("the inputs of the controlled equation's network", field.input_dim(), hidden),
            ("its outputs", field.output_dim(), hidden * channels),
            ("the inputs of the readout", readout.input_dim(), hidden),
        ];
        for (what, given, needed) in shapes {
            if given != needed {
                let needed =
                    format!("it must be {needed}: the start makes {hidden} rows of {channels} channels");
                return Err(Error::invalid(what, given, needed));
            }
        }
        let mut layout = Layout::new();
        let places = [
            layout.append("initial.", initial.layout())?,
            layout.append("field.", field.layout())?,
            layout.append("readout.", readout.layout())?,
        ];
        Ok(Self { initial, field, readout, channels, layout, places })
    }

    /// Names ("field.0.weight"), shapes and places of the parameters.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Parameters drawn by `initializer`.
    ///
    /// # Errors
    /// As [`Network::init`].
    pub fn init<T: Real>(&self, initializer: Initializer, seed: u64) -> Result<Vec<T>> {
        let mut theta = Vec::with_capacity(self.layout.len());
        for (i, network) in [&self.initial, &self.field, &self.readout].into_iter().enumerate() {
            let seed = seed.wrapping_add(NEXT_NETWORK.wrapping_mul(i as u64));
            theta.extend(network.init::<T>(initializer, seed)?);
        }
        Ok(theta)
    }

    fn check<T: Real>(&self, theta: &[T], path: &ControlPath<T>) -> Result<()> {
        self.layout.check_len("theta", theta.len())?;
        Error::check_finite("theta", theta)?;
        if path.channels() != self.channels {
            let needed = format!("the model takes {}", self.channels);
            return Err(Error::invalid("the channels of the path", path.channels(), needed));
        }
        Ok(())
    }

    /// The path's start, the state's, and the options with the path's jumps as stops.
    fn begin<T: Real>(
        &self,
        theta: &[T],
        path: &ControlPath<T>,
        options: &Options<T>,
    ) -> ([Vec<T>; 2], Options<T>) {
        let (series, [t, _]) = (path.series(), path.span());
        let mut x = vec![T::zero(); self.channels * series];
        path.value(t, &mut x);
        let mut y0 = vec![T::zero(); self.field.input_dim() * series];
        let at = Input { t, x: &x, theta: &theta[self.places[0].clone()] };
        self.initial.forward(at, &mut y0, &mut self.initial.scratch(series));
        let mut options = options.clone();
        options.tstops.extend_from_slice(path.jumps());
        ([x, y0], options)
    }

    /// The outputs at the saved times (`outputs × series` for each), and what the solve cost.
    ///
    /// # Errors
    /// A θ or path that does not fit, or a solve that stops early.
    pub fn outputs<T: Real>(
        &self,
        method: &impl ExplicitRk,
        theta: &[T],
        path: &ControlPath<T>,
        options: &Options<T>,
    ) -> Result<(Vec<T>, Statistics)> {
        self.check(theta, path)?;
        let ([_, y0], options) = self.begin(theta, path, options);
        let equation = NeuralCde::new(&self.field, path)?;
        let problem = Problem { y0: &y0, span: path.span(), theta: &theta[self.places[1].clone()] };
        let mut solver = Solver::with(ExplicitStepper::new(&equation, method, path.series()));
        let solution = solver.solve(&problem, &options)?;
        let columns = solution.y.len() / self.field.input_dim();
        let mut out = vec![T::zero(); self.readout.output_dim() * columns];
        let at = Input { t: T::zero(), x: &solution.y, theta: &theta[self.places[2].clone()] };
        self.readout.forward(at, &mut out, &mut self.readout.scratch(columns));
        Ok((out, solution.stats.clone()))
    }

    /// A loss of the outputs plus weighted penalties on the steps; overwrites `gradient` with its derivatives, exact
    /// for the steps that were taken. `loss` sees what [`outputs`](Self::outputs) gives and writes its cotangents.
    ///
    /// # Errors
    /// As [`outputs`](Self::outputs), a gradient of another length, or what `loss` returns.
    pub fn value_and_gradient<T: Real>(
        &self,
        method: &impl ExplicitRk,
        (theta, gradient): (&[T], &mut [T]),
        (path, options): (&ControlPath<T>, &Options<T>),
        penalties: &mut [Weighted<'_, T>],
        loss: impl FnOnce(&[T], &mut [T]) -> Result<T>,
    ) -> Result<(T, Statistics)> {
        self.check(theta, path)?;
        self.layout.check_len("the gradient", gradient.len())?;
        gradient.fill(T::zero());
        let ([x, y0], options) = self.begin(theta, path, options);
        let [of_initial, of_field, of_readout] = self.places.clone();
        let equation = NeuralCde::new(&self.field, path)?;
        let stepper = ExplicitStepper::new(&equation, method, path.series());
        let mut adjoint = DiscreteAdjoint::new(stepper, Memory::Unlimited);
        let problem = Problem { y0: &y0, span: path.span(), theta: &theta[of_field.clone()] };
        let readout_bar = &mut gradient[of_readout.clone()];
        let value = adjoint.value_and_gradient(&problem, &options, penalties, |solution, y_bar| {
            let columns = solution.y.len() / self.field.input_dim();
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
        let mut x_bar = vec![T::zero(); x.len()];
        let at = Input { t: path.span()[0], x: &x, theta: &theta[of_initial.clone()] };
        let mut scratch = self.initial.scratch(path.series());
        self.initial.vjp(at, adjoint.y0_gradient(), &mut x_bar, &mut gradient[of_initial], &mut scratch);
        Ok((value.total, adjoint.solution().stats.clone()))
    }
}
