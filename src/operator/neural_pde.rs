//! [`NeuralPde`]: a network on a grid as a right-hand side.

use super::{Program, Scratch};
use crate::dynamics::{Dynamics, Point, Tangent};
use crate::num::Real;
use crate::{Error, Result};

/// The method of lines with a learned right-hand side, u' = N(u; θ): the fields u at the points of a grid, N a network
/// on that grid ([`Mgno`](super::mgno::Mgno), or any other [`Surrogate`](super::Surrogate)'s program).
///
/// A state's column is a sample: the channels' fields one after the other, the first axis fastest. Equations that are
/// known in part are sums, [`Sum`](crate::dynamics::compose::Sum) of
/// [`MethodOfLines`](crate::dynamics::pde::MethodOfLines), which has the same layout for one species, and this. Every
/// integrator, discrete adjoint and penalty takes it; time does not enter.
///
/// ```
/// use odeon::adjoint::{DiscreteAdjoint, Memory};
/// use odeon::integrate::{Options, Problem};
/// use odeon::nn::conv::Padding;
/// use odeon::ode::{ExplicitStepper, tableaux::Tsit5};
/// use odeon::operator::mgno::{Architecture, CycleSpec};
/// use odeon::operator::{NeuralPde, Surrogate};
///
/// let cycle = CycleSpec { padding: [[Padding::Circular; 2]; 3], ..CycleSpec::backslash(3) };
/// let pde = NeuralPde::new(Architecture::darcy(2, 4, cycle).compile(&[16])?)?;
/// let theta: Vec<f64> = pde.program().init(Default::default(), 0)?;
/// let u: Vec<f64> = (0..16).map(|i| (0.39 * f64::from(i)).sin()).collect();
/// let mut adjoint = DiscreteAdjoint::new(ExplicitStepper::new(&pde, &Tsit5, 1), Memory::Unlimited);
/// let problem = Problem { y0: &u, span: [0.0, 0.1], theta: &theta };
/// adjoint.value_and_gradient(&problem, &Options::tol(1e-4, 1e-4), &mut [], |solution, bar| {
///     bar.fill(1.0);
///     Ok(solution.last().iter().sum())
/// })?;
/// assert_eq!(adjoint.theta_gradient().len(), theta.len());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct NeuralPde {
    program: Program,
}

/// Scratch of a [`NeuralPde`].
#[derive(Debug)]
pub struct NeuralPdeScratch<T> {
    passes: Scratch<T>,
    y_bar: Vec<T>,
}

impl NeuralPde {
    /// Wraps a network.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it does not give as many numbers as it takes.
    pub fn new(program: Program) -> Result<Self> {
        let (inputs, outputs) = (program.input_len(), program.output_len());
        if inputs != outputs {
            let given = format!("{inputs} numbers in, {outputs} out");
            let needed = "a right-hand side must give as many fields as the state has";
            return Err(Error::invalid("the network on the grid", given, needed));
        }
        Ok(Self { program })
    }

    /// The network.
    pub fn program(&self) -> &Program {
        &self.program
    }
}

// Lengths are the solver's to check (see `Dynamics`), and nothing else stops a program: should one be wrong all the
// same, NaN tells the solver.
impl<T: Real> Dynamics<T> for NeuralPde {
    type Scratch = NeuralPdeScratch<T>;

    fn dim(&self) -> usize {
        self.program.input_len()
    }

    fn num_params(&self) -> usize {
        self.program.layout().len()
    }

    fn scratch(&self, batch: usize) -> NeuralPdeScratch<T> {
        NeuralPdeScratch { passes: Scratch::new(), y_bar: vec![T::zero(); self.program.input_len() * batch] }
    }

    /// Counted after an evaluation and a product of zeros.
    fn scratch_bytes(&self, batch: usize) -> usize {
        let mut scratch = Dynamics::<T>::scratch(self, batch);
        let zeros = |n: usize| vec![T::zero(); n];
        let (y, theta) = (zeros(scratch.y_bar.len()), zeros(self.program.layout().len()));
        let (mut out, mut theta_bar) = (y.clone(), theta.clone());
        let at = Point { t: T::zero(), y: &y, theta: &theta };
        self.eval(at, &mut out, &mut scratch);
        self.vjp(at, &y, &mut out, &mut theta_bar, &mut scratch);
        scratch.passes.bytes() + scratch.y_bar.len() * size_of::<T>()
    }

    fn eval(&self, at: Point<'_, T>, dy: &mut [T], scratch: &mut NeuralPdeScratch<T>) {
        if self.program.forward(at.theta, at.y, dy, &mut scratch.passes).is_err() {
            dy.fill(T::of(f64::NAN));
        }
    }

    fn vjp(
        &self,
        at: Point<'_, T>,
        dy_bar: &[T],
        y_bar: &mut [T],
        theta_bar: &mut [T],
        scratch: &mut NeuralPdeScratch<T>,
    ) -> T {
        let own = &mut scratch.y_bar[..at.y.len()];
        let given = [at.y, dy_bar];
        match self.program.pullback(at.theta, given, Some(&mut *own), theta_bar, &mut scratch.passes) {
            Ok(()) => y_bar.iter_mut().zip(own).for_each(|(bar, own)| *bar += *own),
            Err(_) => y_bar.fill(T::of(f64::NAN)),
        }
        T::zero()
    }

    fn jvp(&self, at: Point<'_, T>, dot: Tangent<'_, T>, dy_dot: &mut [T], s: &mut NeuralPdeScratch<T>) {
        let done = self.program.tangent([at.theta, dot.theta], [at.y, dot.y], dy_dot, &mut s.passes);
        if done.is_err() {
            dy_dot.fill(T::of(f64::NAN));
        }
    }
}
