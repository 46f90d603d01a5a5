//! One step re-evaluated outside the solve, with its reverse: the core of local regularisation.

use crate::error::{Error, Result};
use crate::integrate::{Backward, Heuristic, Reverse, StepInfo, StepView, initial_step, take};
use crate::num::{ErrorNorm, Real};

/// How long the extra step is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Size<T> {
    /// The automatic initial step from (t, u) ([`initial_step`]), at most up to `end`.
    Automatic {
        /// Start time.
        t: T,
        /// End of the solve's span, which also gives the direction.
        end: T,
    },
    /// An accepted step's own.
    Recorded(StepInfo<T>),
}

/// What becomes of the first stage's derivative k_1 = f(t, u).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FirstStage {
    /// A constant, as in the published code: the gradient flows through k_2…k_s only.
    Constant,
    /// Differentiated like the others.
    #[default]
    Differentiated,
}

/// Memory for extra steps of one stepper; reused from step to step.
#[derive(Clone, Debug, Default)]
pub struct ExtraStep<T> {
    y1: Vec<T>,
    work: Vec<T>,
    back: Backward<T>,
    info: Option<StepInfo<T>>,
}

impl<T: Real> ExtraStep<T> {
    /// Memory for `stepper`'s steps.
    pub fn new(stepper: &impl Reverse<T>) -> Self {
        let n = stepper.len();
        Self {
            y1: vec![T::zero(); n],
            work: vec![T::zero(); 2 * n],
            back: Backward::new(n, stepper.total_stages(), true),
            info: None,
        }
    }

    /// Whether this memory fits `stepper`.
    pub(super) fn fits(&self, stepper: &impl Reverse<T>) -> bool {
        self.y1.len() == stepper.len() && self.back.touched.len() == stepper.total_stages()
    }

    /// Takes the step from `u` and returns the heuristic's value v. The step's size is a constant.
    /// Costs s evaluations, one more with an automatic size.
    ///
    /// # Errors
    /// A `u` of the wrong length, or a step that goes non-finite.
    pub fn take<S: Reverse<T>>(
        &mut self,
        stepper: &mut S,
        heuristic: &dyn Heuristic<T>,
        (size, u): (Size<T>, &[T]),
        norm: &ErrorNorm<T>,
    ) -> Result<T> {
        Error::check_len("u", u.len(), self.y1.len(), "the state's length")?;
        let info = match size {
            Size::Recorded(info) => {
                stepper.select(info.member);
                stepper.begin(info.start(), u);
                info
            }
            Size::Automatic { t, end } => {
                stepper.begin(t, u);
                let h = initial_step(stepper, (t, u), end - t, norm, &mut self.work);
                let h = h.copysign(end - t);
                StepInfo {
                    t,
                    h,
                    t1: t + h,
                    to_stop: false,
                    from_stop: false,
                    error: T::zero(),
                    iterations: Default::default(),
                    member: stepper.member(),
                }
            }
        };
        let square = take(stepper, &info, u, &mut self.y1, norm);
        let info = StepInfo { error: square.sqrt(), ..info };
        self.info = Some(info);
        let value = heuristic.value(&view(stepper, &info, [u, &self.y1], norm), &mut self.work);
        if !value.is_finite() {
            return Err(Error::invalid(
                format!("{} of the extra step at t = {}", heuristic.name(), info.t),
                value,
                "it must be finite: the model left its domain there",
            ));
        }
        Ok(value)
    }

    /// Signed size of the last step; 0 before the first.
    pub fn h(&self) -> T {
        self.info.map_or(T::zero(), |info| info.h)
    }

    /// ACCUMULATES `seed` · ∂v/∂θ of the last step [taken](Self::take) from `u` into `theta_bar`,
    /// and returns `seed` · ∂v/∂u. Costs at most s vector–Jacobian products.
    ///
    /// # Errors
    /// No step to reverse, or lengths that do not fit.
    pub fn pullback<S: Reverse<T>>(
        &mut self,
        stepper: &mut S,
        heuristic: &dyn Heuristic<T>,
        (u, seed, first): (&[T], T, FirstStage),
        norm: &ErrorNorm<T>,
        theta_bar: &mut [T],
    ) -> Result<&[T]> {
        Error::check_len("u", u.len(), self.y1.len(), "the state's length")?;
        let why = "the right-hand side's parameters";
        Error::check_len("theta_bar", theta_bar.len(), stepper.num_params(), why)?;
        let Some(info) = self.info else {
            return Err(Error::invalid("the extra step", "missing", "take it first"));
        };
        let ends = [u, self.y1.as_slice()];
        self.back.clear();
        self.back.first_constant = first == FirstStage::Constant;
        let step = view(stepper, &info, ends, norm);
        heuristic.pullback(&step, seed, &mut self.back.cotangent());
        stepper.pullback(&info, ends, true, &mut self.back, theta_bar);
        Ok(&self.back.y)
    }
}

fn view<'a, T: Real, S: Reverse<T>>(
    stepper: &'a S,
    info: &StepInfo<T>,
    ends: [&'a [T]; 2],
    norm: &'a ErrorNorm<T>,
) -> StepView<'a, T> {
    crate::integrate::view(stepper, 0, info, ends, norm)
}
