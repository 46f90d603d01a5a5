//! Automatic switching between an explicit and an implicit method: [`AutoSwitch`].
//!
//! One number decides in both directions: ρ = |h| S / (stability size of the explicit method), where S is the
//! value of the [`Stiffness`](crate::integrate::Stiffness) heuristic that the regularisers use. An explicit
//! method whose steps stability limits has ρ ≈ 1; one that accuracy limits has ρ ≪ 1. What the heuristic
//! sees, its two vectors, is
//!
//! * in an explicit step the method's own stage pair (Shampine; Hairer & Wanner II, IV.2);
//! * in an implicit step v and Jv, with J the step's Jacobian and v a vector that one power iteration a step
//!   turns towards the stiffest eigenvector. The pair of stages of a Rosenbrock method does not serve: its
//!   difference is the error estimate, a smooth vector, and on van der Pol's slow manifold (μ = 10⁶) it reads
//!   |h|S = 0.2 where |hλ| = 10¹¹.
//!
//! Forks. DOPRI5 (Hairer & Wanner II, IV.2) stops after 15 stiff steps, 6 steps without clear the count; the
//! AutoSwitch of OrdinaryDiffEq changes after 10 stiff steps, back after 3 non-stiff ones, both at 9/10 of
//! the stability size. Here stiff steps are counted in a window, since |h|S of a step limited by stability
//! goes up and down with rejections; and the way back has a smaller threshold than the way there
//! ([`Thresholds`]), so that a step size that sits at either does not switch to and fro.
//!
//! The explicit pair is read in the controller's norm
//! ([`StepTimesScaled`](crate::integrate::StiffnessKind::StepTimesScaled)). Unscaled, a stiff component that is
//! many orders smaller than the smooth ones is not seen: on Robertson's problem at a relative tolerance of 10⁻⁸
//! Tsit5 would read ρ = 0.1 where it is 0.97, and switch after 8800 steps instead of 60. The largest quotient of
//! single components would be seen too, but is above one in half of all steps on Lorenz's problem at 10⁻³ and on
//! the Pleiades.
//!
//! A switch costs one evaluation and nothing else: the new method evaluates the derivative at the point
//! reached, the controller forgets the other's errors, and an explicit method that takes over starts within
//! its stability region. Which method took a step is recorded
//! ([`StepInfo::member`](crate::integrate::StepInfo)); replays and gradients take the recorded ones.

mod chooser;
mod probe;
mod stepper;

pub use chooser::Thresholds;
pub use stepper::AutoStepper;

use super::implicit::{Configured, ImplicitMethod, ImplicitOptions};
use super::rosenbrock::RosenbrockMethod;
use super::solve::StepMethod;
use super::tableau::ExplicitRk;
use super::tableaux::{Tsit5, Vern7, Vern9};
use super::tableaux_rosenbrock::Rodas5P;
use crate::dynamics::Dynamics;
use crate::num::Real;

/// An explicit method `M` that hands over to the Rosenbrock method `I` where the problem is stiff, and takes
/// over again where it is not.
///
/// ```
/// use odeon::dynamics::{gallery::VanDerPol, generic::Generic};
/// use odeon::integrate::{Options, Problem};
/// use odeon::ode::{solve, switch::AutoTsit5};
///
/// let problem = Problem { y0: &[2.0, 0.0], span: [0.0, 2000.0], theta: &[1e3] };
/// let solution = solve(&Generic(VanDerPol), &AutoTsit5, &problem, &Options::tol(1e-6, 1e-6))?;
/// let [explicit, implicit] = solution.stats.taken_by;
/// assert!(explicit > 50 && implicit > 50 && solution.stats.switches == 5);
/// # Ok::<(), odeon::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AutoSwitch<M, I> {
    /// The explicit method; it must have a stiffness pair.
    pub explicit: M,
    /// The implicit one.
    pub implicit: I,
    /// When to switch.
    pub thresholds: Thresholds,
}

impl<M, I> AutoSwitch<M, I> {
    /// The two methods with the default thresholds.
    pub const fn new(explicit: M, implicit: I) -> Self {
        Self { explicit, implicit, thresholds: Thresholds::DEFAULT }
    }

    /// With other thresholds.
    pub fn thresholds(self, thresholds: Thresholds) -> Self {
        Self { thresholds, ..self }
    }
}

macro_rules! pairs {
    ($($(#[$doc:meta])* $name:ident $explicit:ident;)*) => {$(
        $(#[$doc])*
        pub type $name = AutoSwitch<$explicit, Rodas5P>;

        $(#[$doc])*
        #[allow(non_upper_case_globals)]
        pub const $name: $name = AutoSwitch::new($explicit, Rodas5P);
    )*};
}
pairs! {
    /// Tsit5 ⇄ Rodas5P.
    AutoTsit5 Tsit5;
    /// Vern7 ⇄ Rodas5P, for tight tolerances.
    AutoVern7 Vern7;
    /// Vern9 ⇄ Rodas5P, for the tightest.
    AutoVern9 Vern9;
}

impl<T, D, M, I> ImplicitMethod<T, D> for AutoSwitch<M, I>
where
    T: Real,
    D: Dynamics<T>,
    M: ExplicitRk,
    I: RosenbrockMethod,
{
    type Stepper<'a>
        = AutoStepper<'a, T, D>
    where
        D: 'a;

    fn stepper_with<'a>(
        &self,
        dynamics: &'a D,
        batch: usize,
        options: &ImplicitOptions<T>,
    ) -> AutoStepper<'a, T, D> {
        let tableaux = (self.explicit.tableau(), self.implicit.tableau());
        AutoStepper::new(dynamics, tableaux, self.thresholds, batch, options)
    }

    fn has_error(&self) -> bool {
        !self.explicit.tableau().error.is_empty()
    }
}

impl<T, D, M, I> StepMethod<T, D> for AutoSwitch<M, I>
where
    T: Real,
    D: Dynamics<T>,
    M: ExplicitRk,
    I: RosenbrockMethod,
{
    type Stepper<'a>
        = AutoStepper<'a, T, D>
    where
        D: 'a;

    fn stepper<'a>(&self, dynamics: &'a D, batch: usize) -> AutoStepper<'a, T, D> {
        self.stepper_with(dynamics, batch, &ImplicitOptions::default())
    }

    fn has_error(&self) -> bool {
        ImplicitMethod::<T, D>::has_error(self)
    }
}

impl<M: Clone, I: Clone> AutoSwitch<M, I> {
    /// With these options of the implicit method's equations.
    pub fn with<T>(&self, options: ImplicitOptions<T>) -> Configured<Self, T> {
        Configured { method: self.clone(), options }
    }
}
