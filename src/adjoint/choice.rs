//! One door for all adjoints: [`value_and_gradient`] with an [`Adjoint`] as a value.
//!
//! | | exact for the computed solution | memory | serves |
//! |---|---|---|---|
//! | [`Discrete`](Adjoint::Discrete) | yes | by budget, down to one state | every method with a reverse, penalties, mass matrices |
//! | [`Reversible`](Adjoint::Reversible) | yes | a few states | reversible methods, penalties |
//! | [`Continuous`](Adjoint::Continuous) | no: of the equation | a few states, or by budget | explicit methods |
//! | [`Forward`](Adjoint::Forward) | yes | a state for each direction | explicit methods, few parameters |
//!
//! What an adjoint cannot serve it refuses, saying which can. [`Auto`](Adjoint::Auto) takes `Reversible` where
//! the method is reversible and else `Discrete` within the bytes: both are exact for the computed solution, and
//! a gradient that is not must be asked for by name. In `examples/adjoints`, at 2048 steps, `Discrete` in 256 KiB
//! takes 1.6 times as long as with every stage kept, `Reversible` 2.2 times, and backsolve, not exact, 1.1 times.

use super::checkpoint::Memory;
use super::continuous::{Augmented, Continuous, ContinuousAdjoint, WayBack};
use super::discrete::{AdjointStatistics, DiscreteAdjoint, Evaluation, Weighted};
use super::forward::forward_gradient;
use super::reversible::ReversibleAdjoint;
use super::times::time_gradients;
use crate::dynamics::{Dynamics, check_shapes};
use crate::error::{Error, Result};
use crate::integrate::{Options, Problem, Reverse, Reversible, Solution, Warning};
use crate::num::Real;
use crate::ode::StepMethod;
use crate::ode::imex::{KenCarp3, KenCarp4};
use crate::ode::implicit::{Configured, ImplicitMethod};
use crate::ode::radau::RadauIia5;
use crate::ode::reversible::{AsynchronousLeapfrog, Coupled};
use crate::ode::rosenbrock::{RosenbrockMethod, RosenbrockTableau};
use crate::ode::sdirk::{Esdirk54I8L2SA, Kvaerno3, Kvaerno5, SdirkTableau, TrBdf2};
use crate::ode::switch::AutoSwitch;
use crate::ode::tableau::ExplicitRk;
use crate::ode::tableaux_rosenbrock::{Rodas4, Rodas5P, Rosenbrock23};

/// How a gradient is computed.
#[derive(Clone, Debug, PartialEq)]
pub enum Adjoint<T> {
    /// Through the accepted steps, backwards ([`DiscreteAdjoint`]).
    Discrete(Memory),
    /// Through the accepted steps, which are taken back algebraically ([`ReversibleAdjoint`]).
    Reversible,
    /// By the adjoint equation ([`ContinuousAdjoint`]).
    Continuous {
        /// How the way back has the state.
        kind: Continuous,
        /// How the way back is solved.
        back: WayBack<T>,
    },
    /// By tangents carried along ([`ForwardSensitivity`](super::ForwardSensitivity)).
    Forward,
    /// `Reversible` where the method is, else `Discrete` within so many bytes.
    Auto {
        /// The budget.
        bytes: usize,
    },
}

impl<T> Adjoint<T> {
    /// Every stage kept, as far as memory goes.
    pub fn discrete() -> Self {
        Self::Discrete(Memory::Unlimited)
    }

    /// The adjoint equation with the state integrated backwards, θ̄ left out of the norm.
    pub fn backsolve() -> Self {
        Self::Continuous { kind: Continuous::Backsolve, back: WayBack::seminorm() }
    }

    /// The adjoint equation against the kept dense output.
    pub fn interpolating() -> Self {
        Self::Continuous { kind: Continuous::Interpolating(Memory::Unlimited), back: WayBack::seminorm() }
    }

    /// The adjoint equation against the kept dense output, θ̄ by quadrature.
    pub fn quadrature() -> Self {
        Self::Continuous { kind: Continuous::Quadrature(Memory::Unlimited), back: WayBack::default() }
    }

    /// A name for tables and messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Discrete(_) => "discrete",
            Self::Reversible => "reversible",
            Self::Continuous { kind: Continuous::Backsolve, .. } => "backsolve",
            Self::Continuous { kind: Continuous::Interpolating(_), .. } => "interpolating",
            Self::Continuous { kind: Continuous::Quadrature(_), .. } => "quadrature",
            Self::Forward => "forward",
            Self::Auto { .. } => "automatic",
        }
    }
}

/// What a gradient comes with.
#[derive(Clone, Debug)]
pub struct Gradient<T> {
    /// Loss, penalties and their weighted sum.
    pub value: Evaluation<T>,
    /// Cotangent of y0.
    pub y0: Vec<T>,
    /// Cotangent of θ.
    pub theta: Vec<T>,
    /// Derivatives with respect to t0 and t1 ([`time_gradients`]); `None` with penalties, which depend on them too.
    pub times: Option<[T; 2]>,
    /// The solution.
    pub solution: Solution<T>,
    /// What the way back cost.
    pub statistics: AdjointStatistics,
    /// What the user should know of it.
    pub warnings: Vec<Warning>,
    /// Which adjoint it was ([`Adjoint::name`]).
    pub adjoint: &'static str,
}

/// A loss: sees the solution and writes the cotangents of its saved states.
pub type Loss<'l, T> = &'l mut dyn FnMut(&Solution<T>, &mut [T]) -> Result<T>;

/// A [`StepMethod`] that says whether its steps can be taken back. For a method of one's own that is not
/// reversible an empty implementation does.
pub trait GradientMethod<T: Real, D: Dynamics<T>>: StepMethod<T, D> {
    /// Loss and gradient by [`ReversibleAdjoint`], or a refusal.
    ///
    /// # Errors
    /// A method that is not reversible; otherwise as [`ReversibleAdjoint::value_and_gradient`].
    fn reversible_gradient(
        &self,
        dynamics: &D,
        problem: &Problem<'_, T>,
        options: &Options<T>,
        penalties: &mut [Weighted<'_, T>],
        loss: Loss<'_, T>,
    ) -> Result<Gradient<T>> {
        let _ = (dynamics, problem, options, penalties, loss);
        let needed = "its steps must be reversible: take Coupled::new(method) for an explicit one or AsynchronousLeapfrog, or \
                      Adjoint::Discrete, which serves every method";
        Err(Error::invalid("the method of the reversible adjoint", "not a reversible one", needed))
    }
}

impl<T: Real, D: Dynamics<T>, M: ExplicitRk> GradientMethod<T, D> for M {}
impl<T: Real, D: Dynamics<T>, M: ImplicitMethod<T, D>> GradientMethod<T, D> for Configured<M, T> {}
impl<T, D, M, I> GradientMethod<T, D> for AutoSwitch<M, I>
where
    T: Real,
    D: Dynamics<T>,
    M: ExplicitRk,
    I: RosenbrockMethod,
{
}

macro_rules! not_reversible {
    ($($name:ty),* $(,)?) => {$(
        impl<T: Real, D: Dynamics<T>> GradientMethod<T, D> for $name {}
    )*};
}
not_reversible!(Rosenbrock23, Rodas4, Rodas5P, RosenbrockTableau, RadauIia5, KenCarp3, KenCarp4);
not_reversible!(SdirkTableau, TrBdf2, Kvaerno3, Kvaerno5, Esdirk54I8L2SA);

macro_rules! reversible_methods {
    ($($name:ty $(, $m:ident: $bound:ident)?);* $(;)?) => {$(
        impl<T: Real, D: Dynamics<T> $(, $m: $bound)?> GradientMethod<T, D> for $name {
            fn reversible_gradient(
                &self,
                dynamics: &D,
                problem: &Problem<'_, T>,
                options: &Options<T>,
                penalties: &mut [Weighted<'_, T>],
                loss: Loss<'_, T>,
            ) -> Result<Gradient<T>> {
                let stepper = self.stepper(dynamics, batch(dynamics, problem)?);
                reversible(stepper, dynamics, (problem, options), penalties, loss)
            }
        }
    )*};
}
reversible_methods!(Coupled<M>, M: ExplicitRk; AsynchronousLeapfrog);

fn batch<T: Real, D: Dynamics<T>>(dynamics: &D, problem: &Problem<'_, T>) -> Result<usize> {
    check_shapes(dynamics, problem.y0, problem.theta)
}

/// A loss that leaves its cotangents behind.
fn noting<'l, T: Real>(
    loss: Loss<'l, T>,
    noted: &'l mut Vec<T>,
) -> impl FnOnce(&Solution<T>, &mut [T]) -> Result<T> + 'l {
    move |solution, y_bar| {
        let value = loss(solution, y_bar)?;
        noted.extend_from_slice(y_bar);
        Ok(value)
    }
}

fn reversible<T: Real, D: Dynamics<T>, S: Reversible<T>>(
    stepper: S,
    dynamics: &D,
    (problem, options): (&Problem<'_, T>, &Options<T>),
    penalties: &mut [Weighted<'_, T>],
    loss: Loss<'_, T>,
) -> Result<Gradient<T>> {
    let (mut adjoint, mut y_bar) = (ReversibleAdjoint::new(stepper), Vec::new());
    let value = adjoint.value_and_gradient(problem, options, penalties, noting(loss, &mut y_bar))?;
    let (y0, theta) = (adjoint.y0_gradient().to_vec(), adjoint.theta_gradient().to_vec());
    let (solution, statistics) = (adjoint.solution().clone(), adjoint.statistics());
    let times = match penalties.is_empty() {
        true => Some(time_gradients(dynamics, problem, &solution, &y_bar, &y0)?),
        false => None,
    };
    Ok(Gradient {
        value,
        y0,
        theta,
        times,
        solution,
        statistics,
        warnings: Vec::new(),
        adjoint: "reversible",
    })
}

/// Loss, penalties and their gradient by any adjoint. Adjoints that are called many times are better made once
/// ([`DiscreteAdjoint`], [`ReversibleAdjoint`], [`ContinuousAdjoint`]): they keep their memory.
///
/// ```
/// use odeon::adjoint::{Adjoint, value_and_gradient};
/// use odeon::dynamics::{gallery::LotkaVolterra, generic::Generic};
/// use odeon::integrate::{Options, Problem};
/// use odeon::ode::tableaux::Tsit5;
///
/// let f = Generic(LotkaVolterra);
/// let problem = Problem { y0: &[1.0, 1.0], span: [0.0, 2.0], theta: &LotkaVolterra::THETA };
/// let options = Options::tol(1e-8, 1e-8);
/// let gradient = |adjoint: Adjoint<f64>| {
///     value_and_gradient(&f, &Tsit5, &adjoint, &problem, &options, &mut [], &mut |solution, y_bar| {
///         y_bar[0] = 1.0; // the loss is y₁(2)
///         Ok(solution.last()[0])
///     })
/// };
/// let discrete = gradient(Adjoint::discrete())?;
/// for other in [Adjoint::backsolve(), Adjoint::quadrature(), Adjoint::Forward] {
///     let other = gradient(other)?;
///     assert!((other.theta[0] - discrete.theta[0]).abs() < 1e-5 * discrete.theta[0].abs());
/// }
/// # Ok::<(), odeon::Error>(())
/// ```
///
/// # Errors
/// What the adjoint cannot serve, by name and with those that can; otherwise what its own `value_and_gradient`
/// returns.
pub fn value_and_gradient<'a, T, D, M>(
    dynamics: &'a D,
    method: &'a M,
    adjoint: &Adjoint<T>,
    problem: &Problem<'_, T>,
    options: &Options<T>,
    penalties: &mut [Weighted<'_, T>],
    loss: Loss<'_, T>,
) -> Result<Gradient<T>>
where
    T: Real,
    D: Dynamics<T>,
    M: GradientMethod<T, D> + StepMethod<T, Augmented<'a, T, D>>,
    <M as StepMethod<T, D>>::Stepper<'a>: Reverse<T>,
{
    let carried = <M as StepMethod<T, D>>::CARRIED;
    let own = !penalties.is_empty() && matches!(adjoint, Adjoint::Continuous { .. } | Adjoint::Forward);
    if own {
        let needed = format!(
            "the {} adjoint does not see the steps: take Adjoint::Discrete, or Adjoint::Reversible with a reversible method",
            adjoint.name()
        );
        return Err(Error::invalid("a penalty on the steps", "given", needed));
    }
    let mut y_bar = Vec::new();
    let batch = batch(dynamics, problem)?;
    let memory = match adjoint {
        Adjoint::Reversible => None,
        Adjoint::Auto { .. } if carried > 1 => None,
        Adjoint::Auto { bytes } => Some(Memory::Bytes(*bytes)),
        Adjoint::Discrete(memory) => Some(*memory),
        Adjoint::Continuous { kind, back } => {
            if carried > 1 {
                return Err(only_reversible(adjoint.name()));
            }
            let mut run = ContinuousAdjoint::new(dynamics, method, batch, *kind, back.clone())?;
            let value = run.value_and_gradient(problem, options, noting(loss, &mut y_bar))?;
            return Ok(Gradient {
                value,
                y0: run.y0_gradient().to_vec(),
                theta: run.theta_gradient().to_vec(),
                times: Some(run.time_gradients(&y_bar)?),
                solution: run.solution().clone(),
                statistics: run.statistics(),
                warnings: run.warnings().to_vec(),
                adjoint: adjoint.name(),
            });
        }
        Adjoint::Forward => {
            let run = forward_gradient(dynamics, method, problem, options, loss)?;
            let solution = run.sensitivity.solution();
            return Ok(Gradient {
                times: Some(time_gradients(dynamics, problem, solution, &run.y_bar, &run.y0)?),
                value: run.value,
                y0: run.y0,
                theta: run.theta,
                statistics: run.sensitivity.statistics(),
                solution: run.sensitivity.into_solution(),
                warnings: Vec::new(),
                adjoint: adjoint.name(),
            });
        }
    };
    let Some(memory) = memory else {
        return method.reversible_gradient(dynamics, problem, options, penalties, loss);
    };
    if carried > 1 {
        return Err(only_reversible("discrete"));
    }
    let mut run = DiscreteAdjoint::new(StepMethod::<T, D>::stepper(method, dynamics, batch), memory);
    let value = run.value_and_gradient(problem, options, penalties, noting(loss, &mut y_bar))?;
    let (y0, theta, solution) =
        (run.y0_gradient().to_vec(), run.theta_gradient().to_vec(), run.solution().clone());
    let times = match penalties.is_empty() {
        true => Some(time_gradients(dynamics, problem, &solution, &y_bar, &y0)?),
        false => None,
    };
    let statistics = run.statistics();
    Ok(Gradient { value, y0, theta, times, solution, statistics, warnings: Vec::new(), adjoint: "discrete" })
}

#[cold]
fn only_reversible(name: &str) -> Error {
    let needed = format!(
        "the {name} adjoint would have to see what a reversible method carries: take Adjoint::Reversible, which gives the \
         gradient of the same steps in less memory, or the base method"
    );
    Error::invalid("the method", "a reversible one", needed)
}
