//! Gradients with the step sizes as variables: through the controller, or moving with the ends of time.
//!
//! The discrete adjoint holds every h_j constant. Here they are what they are: sizes that the controller makes of the
//! error estimates ([`StepSizes::Controlled`]), or fixed fractions of the interval ([`StepSizes::Scaled`]). One attempt of
//! an explicit Runge–Kutta method from (t, y) with size h,
//!
//! g_i = y + h Σ a_ij k_j,  k_i = f(t + c_i h, g_i),  y1 = y + h Σ b_i k_i,  ũ = h Σ b̃_i (k_i − k_1),  E² = mean((ũ/scale(y, y1))²),
//!
//! has with the cotangents ȳ1 of y1 and ŭ of ũ the reverse k̄_i = h (b_i ȳ1 + Σ a_li ḡ_l) + h b̃_i ŭ (less h Σ b̃ ŭ for i = 1),
//! ḡ_i = (∂f/∂y)ᵀk̄_i, t̄_i = (∂f/∂t)ᵀk̄_i, and further
//!
//! h̄ = ȳ1·Σ b_i k_i + Σ_i (ḡ_i·Σ a_ij k_j + c_i t̄_i) + ŭ·ũ/h,   t̄ = Σ t̄_i.
//!
//! Rejected attempts are part of it: their E makes the size of the next one. What the controller does with E and h, and
//! what it remembers, is reversed in [`Decision`]. Held constant are the decisions themselves (accepted or not, which clamp
//! acted) and the first step, automatic or given. As every decision is a branch of a piecewise smooth function, differences of
//! whole adaptive solves agree wherever none flips.
//!
//! When it matters: a loss that sees the error of the solve (coarse tolerances, penalties on E_j h_j, numbers of steps) moves
//! as much by its step sizes as by its steps. At tight tolerances the solution hardly depends on the steps, and frozen steps
//! give the better behaved gradient: this one inherits the controller's noise.

use super::discrete::Evaluation;
use crate::dynamics::{Dynamics, Point, check_shapes};
use crate::error::{Error, Result};
use crate::integrate::{
    ControlCotangent, Decision, Drive, Observer, Options, Problem, Save, Solution, StepView, Stepper,
};
use crate::num::{ErrorNorm, Real, accumulate, combine, combine_differences};
use crate::ode::tableau::ExplicitRk;
use crate::ode::{ExplicitStepper, Method};

/// What the step sizes are functions of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepSizes {
    /// The controller's: of the error estimates before them, rejected attempts included.
    Controlled,
    /// Fixed fractions of the interval: t_j = t0 + c_j (t1 − t0). Then the derivatives by t0 and t1 are those of the
    /// computed solution, saved times moving along.
    Scaled,
}

/// A loss and its derivatives.
#[derive(Clone, Debug, PartialEq)]
pub struct StepSizeGradient<T> {
    /// The loss.
    pub value: Evaluation<T>,
    /// By y0.
    pub y0: Vec<T>,
    /// By θ.
    pub theta: Vec<T>,
    /// By \[t0, t1\]; saved times inside stay with [`StepSizes::Controlled`] and move with
    /// [`StepSizes::Scaled`].
    pub span: [T; 2],
}

/// Keeps every attempt and the state that each step starts from.
struct Log<T> {
    attempts: Vec<Decision<T>>,
    states: Vec<T>,
}

impl<T: Real> Observer<T> for Log<T> {
    const ATTEMPTS: bool = true;

    fn attempted(&mut self, decision: &Decision<T>) {
        self.attempts.push(*decision);
    }

    fn accepted(&mut self, step: &StepView<'_, T>) {
        self.states.extend_from_slice(step.y0);
    }
}

/// The memory of one attempt and its reverse.
struct Attempt<'a, T: Real, D: Dynamics<T>> {
    dynamics: &'a D,
    method: Method,
    theta: &'a [T],
    norm: ErrorNorm<T>,
    scratch: D::Scratch,
    k: Vec<T>,
    g: Vec<T>,
    y1: Vec<T>,
    u: Vec<T>,
    grads: Vec<T>,
    k_bar: Vec<T>,
    sum: Vec<T>,
}

fn dot<T: Real>(a: &[T], b: &[T]) -> T {
    a.iter().zip(b).fold(T::zero(), |sum, (a, b)| a.mul_add(*b, sum))
}

impl<'a, T: Real, D: Dynamics<T>> Attempt<'a, T, D> {
    fn new(dynamics: &'a D, method: &impl ExplicitRk, theta: &'a [T], norm: &ErrorNorm<T>, n: usize) -> Self {
        let method = Method::new(method.tableau());
        let zeros = |n: usize| vec![T::zero(); n];
        let stages = method.stages;
        Self {
            scratch: dynamics.scratch(n / dynamics.dim()),
            k: zeros(stages * n),
            g: zeros(n),
            y1: zeros(n),
            u: zeros(n),
            grads: zeros(stages * n),
            k_bar: zeros(n),
            sum: zeros(n),
            norm: norm.clone(),
            dynamics,
            method,
            theta,
        }
    }

    /// Argument of stage `i` into `g`.
    fn argument(&mut self, y: &[T], h: T, i: usize) {
        let n = y.len();
        match i {
            0 => self.g.copy_from_slice(y),
            _ => combine(&mut self.g, y, h, &self.method.a[i], &self.k[..i * n]),
        }
    }

    /// The reverse of the attempt from (t, y) with size `h`: `bar` from the cotangent of y1 to that of y, that of E²
    /// being `square_bar`. ACCUMULATES θ̄ and returns \[t̄, h̄\].
    fn pull(&mut self, (t, h): (T, T), y: &[T], bar: &mut [T], square_bar: T, theta_bar: &mut [T]) -> [T; 2] {
        let (n, stages) = (y.len(), self.method.stages);
        let time = |c: f64| h.mul_add(T::of(c), t);
        for i in 0..stages {
            self.argument(y, h, i);
            let at = Point { t: time(self.method.c[i]), y: &self.g, theta: self.theta };
            self.dynamics.eval(at, &mut self.k[i * n..(i + 1) * n], &mut self.scratch);
        }
        combine(&mut self.y1, y, h, &self.method.b, &self.k);
        // u ← ũ's cotangent; y's through the scale waits in `sum`.
        self.sum.fill(T::zero());
        let mut h_bar = T::zero();
        let squared = square_bar != T::zero() && self.method.error_power.is_some();
        if squared {
            combine_differences(&mut self.u, h, &self.method.error, &self.k);
            let before = self.u.clone();
            let (ends, into) = ([y, &self.y1[..]], [&mut self.sum[..], &mut *bar]);
            self.norm.mean_square_pullback(&mut self.u, ends, square_bar, into, self.dynamics.dim());
            h_bar += dot(&self.u, &before) / h;
        }
        // ȳ1·Σ b_i k_i.
        self.g.fill(T::zero());
        accumulate(&mut self.g, T::one(), &self.method.b, &self.k);
        h_bar += dot(bar, &self.g);
        let mut t_bar = T::zero();
        let total: f64 = self.method.error.iter().skip(1).sum();
        for i in (0..stages).rev() {
            self.k_bar.fill(T::zero());
            let b = self.method.b.get(i).copied().unwrap_or(0.0);
            accumulate(&mut self.k_bar, h, &[b], bar);
            let a: Vec<f64> =
                (i + 1..stages).map(|l| self.method.a[l].get(i).copied().unwrap_or(0.0)).collect();
            accumulate(&mut self.k_bar, h, &a, &self.grads[(i + 1) * n..]);
            if squared {
                let w = if i == 0 { -total } else { self.method.error.get(i).copied().unwrap_or(0.0) };
                accumulate(&mut self.k_bar, h, &[w], &self.u);
            }
            self.argument(y, h, i);
            let at = Point { t: time(self.method.c[i]), y: &self.g, theta: self.theta };
            let g_bar = &mut self.grads[i * n..(i + 1) * n];
            g_bar.fill(T::zero());
            let found = self.dynamics.vjp(at, &self.k_bar, g_bar, theta_bar, &mut self.scratch);
            t_bar += found;
            h_bar = T::of(self.method.c[i]).mul_add(found, h_bar);
            // ḡ_i·Σ a_ij k_j = ḡ_i·(g_i − y)/h, but without the cancellation.
            if i > 0 {
                self.k_bar.fill(T::zero());
                accumulate(&mut self.k_bar, T::one(), &self.method.a[i], &self.k[..i * n]);
                h_bar += dot(&self.grads[i * n..(i + 1) * n], &self.k_bar);
            }
        }
        let ones = vec![1.0; stages];
        accumulate(bar, T::one(), &ones, &self.grads);
        accumulate(bar, T::one(), &[1.0], &self.sum);
        [t_bar, h_bar]
    }
}

/// Loss and gradient of an adaptive solve with the step sizes as variables. `loss` sees the solution and writes the
/// cotangents of its saved states. Steps end at every saved time that is named. Every state is kept.
///
/// ```
/// use odeon::adjoint::{StepSizes, step_size_gradient};
/// use odeon::dynamics::{gallery::LotkaVolterra, generic::Generic};
/// use odeon::integrate::{Options, Problem};
/// use odeon::ode::tableaux::Tsit5;
///
/// let f = Generic(LotkaVolterra);
/// let problem = Problem { y0: &[1.0, 1.0], span: [0.0, 2.0], theta: &LotkaVolterra::THETA };
/// let options = Options::tol(1e-2, 1e-2);
/// let found = step_size_gradient(&f, &Tsit5, &problem, &options, StepSizes::Controlled, |solution, bar| {
///     bar[0] = 1.0; // the loss is y₁(2)
///     Ok(solution.last()[0])
/// })?;
/// assert_eq!(found.theta.len(), 4);
/// # Ok::<(), odeon::Error>(())
/// ```
///
/// # Errors
/// Inputs that do not fit, a mass matrix, a method with two error estimates, saved times that are not named
/// ([`Save::Dense`] and every step), a solve that stops early, what `loss` returns, or a gradient that is not finite.
pub fn step_size_gradient<T: Real, D: Dynamics<T>, M: ExplicitRk>(
    dynamics: &D,
    method: &M,
    problem: &Problem<'_, T>,
    options: &Options<T>,
    sizes: StepSizes,
    loss: impl FnOnce(&Solution<T>, &mut [T]) -> Result<T>,
) -> Result<StepSizeGradient<T>> {
    let batch = check_shapes(dynamics, problem.y0, problem.theta)?;
    if !method.tableau().error_low.is_empty() {
        let needed =
            "gradients through the controller are for pairs with one estimate (Tsit5, Dp5, Vern7, …)";
        return Err(Error::invalid("the method's second error estimate", "given", needed));
    }
    let mut options = options.clone();
    match &options.save {
        Save::End => {}
        Save::At(times) => options.tstops.extend_from_slice(times),
        _ => {
            let needed = "Save::End or Save::At is needed: a loss of every step's state has as many terms as the \
                          controller takes steps";
            return Err(Error::invalid("what is saved for a gradient with step sizes", "every step", needed));
        }
    }
    let n = problem.y0.len();
    let mut stepper = ExplicitStepper::new(dynamics, method, batch);
    stepper.set_theta(problem.theta);
    let mut drive = Drive::new(n);
    let mut log = Log { attempts: Vec::new(), states: Vec::new() };
    drive.run(&mut stepper, problem.y0, problem.span, &options, &mut log)?;
    let solution = &drive.solution;
    let mut y_bar = vec![T::zero(); solution.y.len()];
    let value = Evaluation::new(loss(solution, &mut y_bar)?, &[])?;
    let mut attempt = Attempt::new(dynamics, method, problem.theta, &options.norm, n);
    let (mut bar, mut theta_bar) = (vec![T::zero(); n], vec![T::zero(); problem.theta.len()]);
    let [t0, t1] = problem.span;
    let (mut saved, power) = (solution.located.len(), stepper.error_power());
    let mut control = ControlCotangent { h: T::zero(), log: [T::zero(); 2] };
    // Cotangents of the time in hand, of t1, and Σ c_j h̄_j.
    let (mut t_bar, mut end_bar, mut stretch) = (T::zero(), T::zero(), T::zero());
    let mut rejected = vec![T::zero(); n];
    for decision in log.attempts.iter().rev() {
        let y = &log.states[decision.step * n..(decision.step + 1) * n];
        let [direct, square_bar] = match sizes {
            StepSizes::Controlled => decision.pullback(&options.controller, power, &mut control),
            StepSizes::Scaled => [T::zero(); 2],
        };
        let at = (solution.steps[decision.step].t, decision.h);
        if !decision.accepted {
            if square_bar != T::zero() || direct != T::zero() {
                rejected.fill(T::zero());
                let [own, size] = attempt.pull(at, y, &mut rejected, square_bar, &mut theta_bar);
                accumulate(&mut bar, T::one(), &[1.0], &rejected);
                let remaining = decision.proposal_pullback(direct + size, &mut control);
                t_bar += own - remaining;
                if decision.clipped && !decision.to_stop {
                    end_bar += remaining;
                }
            }
            continue;
        }
        while saved > 0 && solution.located[saved - 1].step == decision.step {
            saved -= 1;
            let into = &y_bar[saved * n..(saved + 1) * n];
            let at_start = solution.located[saved].theta == T::zero();
            if !at_start {
                accumulate(&mut bar, T::one(), &[1.0], into);
            }
        }
        let [own, size] = attempt.pull(at, y, &mut bar, square_bar, &mut theta_bar);
        match sizes {
            StepSizes::Scaled => {
                stretch = ((size + t_bar) * (decision.h / (t1 - t0))) + stretch;
                t_bar += own;
            }
            StepSizes::Controlled if decision.clipped => {
                // t1 of the step is the stop, whatever t and h are.
                let stop_bar = t_bar;
                let remaining = decision.proposal_pullback(direct + size, &mut control);
                t_bar = own - remaining;
                if !decision.to_stop {
                    end_bar += stop_bar + remaining;
                }
            }
            StepSizes::Controlled => {
                decision.proposal_pullback(direct + size + t_bar, &mut control);
                t_bar += own;
            }
        }
    }
    for (located, into) in solution.located.iter().zip(y_bar.chunks_exact(n)) {
        if located.step == 0 && located.theta == T::zero() {
            accumulate(&mut bar, T::one(), &[1.0], into);
        }
    }
    let span = match sizes {
        StepSizes::Controlled => [t_bar, end_bar],
        StepSizes::Scaled => [t_bar - stretch, stretch],
    };
    Error::check_finite("the gradient with respect to theta", &theta_bar)?;
    Error::check_finite("the gradient with respect to y0", &bar)?;
    Ok(StepSizeGradient { value, y0: bar, theta: theta_bar, span })
}
