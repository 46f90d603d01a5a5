//! [`Local`]: regularisation by a few extra steps a solve, in the published samplings and as unbiased
//! estimators of the global sum R = Σ_j v_j |h_j|.
//!
//! How steps are found: after the solve every step's size and error is known, so steps are drawn
//! exactly from the finished record, and [`AcceptedSteps::step_start`] brings the drawn steps'
//! states back (from the checkpoints of the discrete adjoint, or a solution that kept every step).

use super::extra::{ExtraStep, FirstStage, Size};
use crate::error::{Error, Result};
use crate::integrate::{AcceptedSteps, Heuristic, Injection, Solution, Stepper, take};
use crate::num::Real;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// How steps are drawn and weighted.
///
/// | | draw | estimate | k_1 |
/// |---|---|---|---|
/// | `UnbiasedInTime` | t* ~ U\[t0, t1\], u* by dense output, h* automatic | v·\|h*\| | constant |
/// | `BiasedInTime` | t* uniform over the step starts, h* automatic | v·\|h*\| | constant |
/// | `UniformTime` | step j with P(j) = \|h_j\|/T | T·v_j | differentiated |
/// | `UniformStep` | step j with P(j) = 1/n | n·v_j·\|h_j\| | differentiated |
/// | `ByError` | step j with P(j) ∝ E_j, mixed with 1/n | v_j·\|h_j\|/P(j) | differentiated |
///
/// The first two are those of Pal, Edelman & Rackauckas (ICML 2023), "unbiased" and "biased" there;
/// neither estimates R. The last three do, without bias: they take the solve's own step j again, and
/// Σ_j P(j)·(v_j|h_j|/P(j)) = R. K draws are averaged; stratified draws take one from each K-th of
/// the probability.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sampling {
    /// Published "unbiased": t* ~ U\[t0, t1\].
    UnbiasedInTime,
    /// Published "biased": t* uniform over the start points of the accepted steps.
    BiasedInTime,
    /// Own step at a uniform time: T·v_j.
    UniformTime,
    /// Own step, uniformly: n·v_j·|h_j|.
    #[default]
    UniformStep,
    /// Own step in proportion to E_j: P(j) = (1 − α) E_j/ΣE + α/n with α = 0.05, which bounds the
    /// variance for heuristics other than E (and for E_j = 0).
    ByError,
}

/// α of [`Sampling::ByError`].
const DEFENSIVE: f64 = 0.05;

impl Sampling {
    /// Whether it is one of the published samplings (automatic h*, k_1 constant).
    fn is_published(self) -> bool {
        matches!(self, Self::UnbiasedInTime | Self::BiasedInTime)
    }
}

/// One extra step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Draw<T> {
    /// The accepted step it is, or that t* lies in.
    pub step: usize,
    /// ϑ = (t* − t_j)/h_j ∈ [0, 1]; 0 at a step's start.
    pub theta: T,
    /// Start time t*.
    pub t: T,
    /// Signed size h*.
    pub h: T,
    /// P(j), the probability of this draw (1 in the published samplings).
    pub probability: T,
    /// The heuristic v.
    pub value: T,
}

/// Local regularisation with heuristic `H`. One seed, one sequence of draws.
///
/// With the discrete adjoint, between its two passes:
///
/// ```
/// use odeon::adjoint::{DiscreteAdjoint, Injection, Memory};
/// use odeon::dynamics::{gallery, generic::Generic};
/// use odeon::integrate::{ErrorEstimate, Options, Problem};
/// use odeon::ode::{ExplicitStepper, tableaux::Tsit5};
/// use odeon::regularise::{Local, Sampling};
///
/// let lorenz = Generic(gallery::Lorenz);
/// let mut adjoint = DiscreteAdjoint::new(ExplicitStepper::new(&lorenz, &Tsit5, 1), Memory::Unlimited);
/// let problem = Problem { y0: &[1.0, 0.0, 0.0], span: [0.0, 1.0], theta: &[10.0, 28.0, 8.0 / 3.0] };
/// let mut local = Local::new(ErrorEstimate::default(), Sampling::UniformStep, 7).through_state();
/// let (lambda, mut theta_bar) = (0.1, [0.0; 3]);
///
/// adjoint.forward(&problem, &Options::tol(1e-6, 1e-6), &mut [])?;
/// let r = local.evaluate(&mut adjoint, lambda, &mut theta_bar)?;
/// let injections: Vec<Injection<'_, f64>> = local.injections().collect();
/// adjoint.reverse(&[1.0, 0.0, 0.0], &injections, &mut [])?;
/// for (total, part) in theta_bar.iter_mut().zip(adjoint.theta_gradient()) {
///     *total += part; // ∇θ (y_1(1) + λ R)
/// }
/// assert!(r > 0.0);
/// # Ok::<(), odeon::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Local<T, H> {
    heuristic: H,
    sampling: Sampling,
    draws: usize,
    stratified: bool,
    through_state: bool,
    first: FirstStage,
    rng: ChaCha8Rng,
    extra: ExtraStep<T>,
    picked: Vec<Draw<T>>,
    /// Probabilities of the steps and their partial sums.
    chances: Vec<[f64; 2]>,
    u: Vec<T>,
    /// Cotangent of each draw's u*.
    u_bar: Vec<T>,
}

impl<T: Real, H: Heuristic<T>> Local<T, H> {
    /// One draw a solve, u* a constant, k_1 as the sampling's source has it.
    pub fn new(heuristic: H, sampling: Sampling, seed: u64) -> Self {
        Self {
            heuristic,
            sampling,
            draws: 1,
            stratified: false,
            through_state: false,
            first: match sampling.is_published() {
                true => FirstStage::Constant,
                false => FirstStage::Differentiated,
            },
            rng: ChaCha8Rng::seed_from_u64(seed),
            extra: ExtraStep::default(),
            picked: Vec::new(),
            chances: Vec::new(),
            u: Vec::new(),
            u_bar: Vec::new(),
        }
    }

    /// With the mean of `draws` extra steps.
    ///
    /// # Errors
    /// No draws.
    pub fn draws(self, draws: usize) -> Result<Self> {
        if draws == 0 {
            return Err(Error::invalid("draws", draws, "at least one is needed"));
        }
        Ok(Self { draws, ..self })
    }

    /// With one draw from each K-th of the probability: less variance, no bias.
    pub fn stratified(self) -> Self {
        Self { stratified: true, ..self }
    }

    /// With cotangents of the states u* ([`injections`](Self::injections)), which are constants otherwise.
    pub fn through_state(self) -> Self {
        Self { through_state: true, ..self }
    }

    /// With k_1 constant or differentiated, whatever the sampling's source does.
    pub fn first_stage(self, first: FirstStage) -> Self {
        Self { first, ..self }
    }

    /// The last solve's draws.
    pub fn last_draws(&self) -> &[Draw<T>] {
        &self.picked
    }

    /// Draws from the finished `solve`, returns the estimate R and ACCUMULATES `seed` · ∂R/∂θ (along
    /// the extra steps, at given u*) into `theta_bar`. Cost: s + 1 evaluations a draw at most (s for
    /// an own step), s more where u(t*) has to be interpolated.
    ///
    /// # Errors
    /// A solve without steps, a λ < 0, states that were not kept, or a step that goes non-finite.
    pub fn evaluate<A: AcceptedSteps<T>>(
        &mut self,
        solve: &mut A,
        seed: T,
        theta_bar: &mut [T],
    ) -> Result<T> {
        self.pick(solve.parts().0)?;
        self.replay(solve, seed, theta_bar)
    }

    /// The same at the draws of the last [`evaluate`](Self::evaluate) (their steps, ϑ and sizes
    /// h*): the function whose gradient is exact.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate), or no draws yet.
    pub fn replay<A: AcceptedSteps<T>>(&mut self, solve: &mut A, seed: T, theta_bar: &mut [T]) -> Result<T> {
        if !(seed.is_finite() && seed >= T::zero()) {
            let needed = "it must be finite and not negative";
            return Err(Error::invalid("a penalty's weight λ", seed, needed));
        }
        if self.picked.is_empty() {
            return Err(Error::invalid("the draws", "none", "evaluate first"));
        }
        let (_, stepper, _) = solve.parts();
        let n = stepper.len();
        if !self.extra.fits(stepper) {
            self.extra = ExtraStep::new(stepper);
        }
        self.u.resize(n, T::zero());
        self.u_bar.clear();
        let mut sum = T::zero();
        for i in 0..self.picked.len() {
            sum += self.extra_step(solve, i, seed, theta_bar)?;
        }
        Ok(sum / T::of(self.picked.len() as f64))
    }

    /// The cotangents of the draws' states u*, for the reverse of whichever adjoint runs; none
    /// unless [`through_state`](Self::through_state).
    pub fn injections(&self) -> impl Iterator<Item = Injection<'_, T>> {
        let bars = self.u_bar.chunks_exact(self.u.len().max(1));
        self.picked.iter().zip(bars).map(|(draw, y_bar)| Injection {
            step: draw.step,
            theta: draw.theta,
            y_bar,
        })
    }

    /// Evaluates draw `i`; returns its estimate of R.
    fn extra_step<A: AcceptedSteps<T>>(
        &mut self,
        solve: &mut A,
        i: usize,
        seed: T,
        theta_bar: &mut [T],
    ) -> Result<T> {
        let draw = self.picked[i];
        self.state(solve, &draw)?;
        let (solution, stepper, norm) = solve.parts();
        let info = solution.steps[draw.step];
        let end = solution.steps.last().map_or(info.t1, |s| s.t1);
        let size = if !self.sampling.is_published() {
            Size::Recorded(info)
        } else if draw.h == T::zero() {
            Size::Automatic { t: draw.t, end }
        } else {
            Size::Recorded(crate::integrate::StepInfo {
                t: draw.t,
                h: draw.h,
                t1: draw.t + draw.h,
                to_stop: false,
                from_stop: false,
                error: T::zero(),
                iterations: Default::default(),
                member: info.member,
            })
        };
        stepper.select(info.member);
        let value = self.extra.take(stepper, &self.heuristic, (size, &self.u), norm)?;
        let h = self.extra.h();
        let factor = h.abs() / draw.probability;
        (self.picked[i].value, self.picked[i].h) = (value, h);
        let seed = seed * factor / T::of(self.picked.len() as f64);
        let along = (&self.u[..], seed, self.first);
        let u_bar = self.extra.pullback(stepper, &self.heuristic, along, norm, theta_bar)?;
        if self.through_state {
            self.u_bar.extend_from_slice(u_bar);
        }
        Ok(value * factor)
    }

    /// u* of a draw into `self.u`.
    fn state<A: AcceptedSteps<T>>(&mut self, solve: &mut A, draw: &Draw<T>) -> Result<()> {
        let (solution, _, _) = solve.parts();
        let saved = solution
            .located
            .iter()
            .position(|l| l.step == draw.step && l.theta == draw.theta && draw.theta != T::zero());
        if let Some(i) = saved {
            self.u.copy_from_slice(solution.state(i));
            return Ok(());
        }
        solve.step_start(draw.step, &mut self.u)?;
        if draw.theta == T::zero() {
            return Ok(());
        }
        let (solution, stepper, norm) = solve.parts();
        let info = solution.steps[draw.step];
        let n = self.u.len();
        let mut ends = std::mem::take(&mut self.u_bar);
        let kept = ends.len();
        ends.resize(kept + 2 * n, T::zero());
        let (y1, out) = ends[kept..].split_at_mut(n);
        stepper.select(info.member);
        stepper.begin(info.start(), &self.u);
        take(stepper, &info, &self.u, y1, norm);
        stepper.interpolate((info.t, info.h), draw.theta, [&self.u, y1], out);
        self.u.copy_from_slice(out);
        ends.truncate(kept);
        self.u_bar = ends;
        Ok(())
    }

    /// Draws steps and times.
    fn pick(&mut self, solution: &Solution<T>) -> Result<()> {
        let (Some(first), Some(last)) = (solution.steps.first(), solution.steps.last()) else {
            return Err(Error::invalid("the solve", "without steps", "solve before drawing from it"));
        };
        let span = [first.t.f64(), last.t1.f64()];
        self.accumulate(solution);
        self.picked.clear();
        for i in 0..self.draws {
            let mut x: f64 = self.rng.random();
            if self.stratified {
                x = (i as f64 + x) / self.draws as f64;
            }
            let draw = match self.sampling {
                Sampling::UnbiasedInTime => inside(solution, T::of(span[0] + x * (span[1] - span[0]))),
                _ => self.start(solution, x),
            };
            self.picked.push(draw);
        }
        Ok(())
    }

    /// Probabilities of the steps and their partial sums.
    fn accumulate(&mut self, solution: &Solution<T>) {
        let steps = &solution.steps;
        let n = steps.len() as f64;
        let total = |f: &dyn Fn(usize) -> f64| (0..steps.len()).map(f).sum::<f64>();
        let length = |j: usize| steps[j].h.f64().abs();
        let error = |j: usize| steps[j].error.f64();
        let (span, errors) = (total(&length), total(&error));
        let sampling = self.sampling;
        let probability = |j: usize| match sampling {
            Sampling::UniformTime => length(j) / span,
            Sampling::ByError if errors > 0.0 => (1.0 - DEFENSIVE) * error(j) / errors + DEFENSIVE / n,
            _ => 1.0 / n,
        };
        self.chances.clear();
        let mut sum = 0.0;
        for j in 0..steps.len() {
            let p = probability(j);
            sum += p;
            self.chances.push([p, sum]);
        }
    }

    /// The step at which the cumulative probability passes x, drawn at its start.
    fn start(&self, solution: &Solution<T>, x: f64) -> Draw<T> {
        let last = self.chances.len() - 1;
        let x = x * self.chances[last][1];
        let step = self.chances.partition_point(|c| c[1] <= x).min(last);
        let published = self.sampling.is_published();
        let probability = match published {
            true => 1.0,
            false => self.chances[step][0],
        };
        Draw {
            step,
            theta: T::zero(),
            t: solution.steps[step].t,
            h: if published { T::zero() } else { solution.steps[step].h },
            probability: T::of(probability),
            value: T::zero(),
        }
    }
}

/// The draw at time t in the span.
fn inside<T: Real>(solution: &Solution<T>, t: T) -> Draw<T> {
    let steps = &solution.steps;
    let forward = steps[0].h > T::zero();
    let before = |end: T| if forward { end <= t } else { end >= t };
    let step = steps.partition_point(|s| before(s.t1)).min(steps.len() - 1);
    let info = &steps[step];
    let theta = ((t - info.t) / info.h).max(T::zero()).min(T::one());
    Draw { step, theta, t, h: T::zero(), probability: T::one(), value: T::zero() }
}
