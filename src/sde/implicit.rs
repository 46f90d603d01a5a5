//! Drift-implicit methods for Itô equations with a stiff drift (Kloeden & Platen, eqs. 12.2.7 and 12.2.8):
//!
//! y₁ = y + h ((1 − ϑ) f(t, y) + ϑ f(t + h, y₁)) + G(t, y) ΔW
//!
//! with ϑ = 1 ([`DriftImplicitEuler`]) or ½ ([`DriftImplicitTrapezoid`]): strong order ½ (1 on additive noise) and
//! weak order 1, any noise. The noise is explicit, so that ΔW need not be bounded. With z = hϑ f(t + h, y₁) the
//! step solves αz = f(t + h, base + z), α = 1/(hϑ), base = y + h(1 − ϑ)f(t, y) + GΔW, by the simplified Newton
//! iteration of the implicit methods for ordinary equations; a step whose equations cannot be solved is
//! rejected. The error estimate is the difference to Euler's step on the same noise ([`companion`](super::companion)).

mod pullback;

use super::bound::{Bound, stepper_methods};
use super::companion::EulerDifference;
use super::diffusion::{Diffusion, NoiseClass};
use super::noise::Brownian;
use super::solve::SdeMethod;
use super::srk::{accepts, product};
use super::system::{Calculus, System};
use crate::dynamics::{Dynamics, Point};
use crate::error::Result;
use crate::integrate::{ImplicitWork, Iterations, Stepper, end_time};
use crate::num::{ErrorNorm, Real, combine};
use crate::ode::implicit::newton::{Equations, Iteration, Newton};
use crate::ode::implicit::{Configured, ImplicitOptions, IterationMatrix};

/// Factor on h after an iteration that converged too slowly, and after one that broke down.
const SLOW: f64 = 0.5;
const BROKEN: f64 = 0.25;
/// New Jacobians at the iterate before a step fails.
const RENEWALS: usize = 8;

/// The method named by a unit type, with its ϑ.
macro_rules! method {
    ($(#[$doc:meta])* $name:ident, $weight:expr, $weights:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name;

        impl $name {
            /// The method with these options of its equations.
            pub fn with<T>(self, options: ImplicitOptions<T>) -> Configured<Self, T> {
                Configured { method: self, options }
            }
        }

        impl<T: Real, S: System<T>> SdeMethod<T, S> for $name {
            type Stepper<'a>
                = DriftImplicitStepper<'a, T, S>
            where
                S: 'a;

            fn stepper<'a>(
                &self,
                system: &'a S,
                noise: impl Brownian<T> + 'a,
            ) -> Result<DriftImplicitStepper<'a, T, S>> {
                self.with(ImplicitOptions::default()).stepper(system, noise)
            }
        }

        impl<T: Real, S: System<T>> SdeMethod<T, S> for Configured<$name, T> {
            type Stepper<'a>
                = DriftImplicitStepper<'a, T, S>
            where
                S: 'a;

            fn stepper<'a>(
                &self,
                system: &'a S,
                noise: impl Brownian<T> + 'a,
            ) -> Result<DriftImplicitStepper<'a, T, S>> {
                let own = (stringify!($name), $weight, &$weights[..]);
                DriftImplicitStepper::new(system, own, noise, &self.options)
            }
        }
    };
}

method!(
    /// Implicit Euler for the drift, y₁ = y + h f(t + h, y₁) + G(t, y)ΔW, in Itô's sense (Kloeden & Platen, eq. 12.2.7):
    /// strong order ½ (1 on additive noise), weak order 1, any noise. Adaptive steps on additive noise only, elsewhere
    /// the path's choice of steps would bias it ([`Estimates::steers`](crate::integrate::Estimates::steers)). L-stable: a linear drift of rate
    /// −λ damps every step by 1/(1 + λh).
    DriftImplicitEuler, 1.0, &[0.0, 1.0]
);
method!(
    /// The trapezoidal rule for the drift, y₁ = y + ½h(f(t, y) + f(t + h, y₁)) + G(t, y)ΔW, in Itô's sense (Kloeden &
    /// Platen, eq. 12.2.8): the orders of [`DriftImplicitEuler`], and 2 without noise. A-stable, and of the exact
    /// stationary variance on dX = −λX dt + σ dW at any step; but where λh is large, what is not at rest rings on,
    /// as −1 to the number of steps.
    DriftImplicitTrapezoid, 0.5, &[0.5, 0.5]
);

/// Steps of [`DriftImplicitEuler`] and [`DriftImplicitTrapezoid`].
pub struct DriftImplicitStepper<'a, T: Real, S: System<T>> {
    bound: Bound<'a, T, S>,
    estimates: EulerDifference,
    /// ϑ.
    weight: T,
    options: ImplicitOptions<T>,
    /// Made by [`prepare`](Stepper::prepare), which can refuse.
    matrix: Option<IterationMatrix<T>>,
    newton: Iteration<T>,
    /// α of the factors; 0 when there are none.
    factored: T,
    /// Whether J was evaluated at the start of the step in hand.
    current: bool,
    /// Whether the last step's iterations ask for a new Jacobian.
    stale: bool,
    /// The explicit part of y₁.
    base: Vec<T>,
    /// G(t + h, y₁), the next step's, and the half of its difference to G(t, y).
    end: [Vec<T>; 2],
    /// base + z, z, the residual (the error estimate after it).
    argument: Vec<T>,
    z: Vec<T>,
    r: Vec<T>,
    /// Cotangents of a drift value, of c and of G.
    bars: [Vec<T>; 3],
    failed: Option<T>,
    failures: usize,
    iterations: usize,
}

/// αz = f(t, base + z).
struct Stage<'s, T: Real, D: Dynamics<T>> {
    drift: &'s D,
    theta: &'s [T],
    scratch: &'s mut D::Scratch,
    matrix: &'s mut IterationMatrix<T>,
    norm: &'s ErrorNorm<T>,
    t: T,
    alpha: T,
    y: &'s [T],
    base: &'s [T],
    argument: &'s mut [T],
    nfe: usize,
}

impl<T: Real, D: Dynamics<T>> Equations<T> for Stage<'_, T, D> {
    #[inline(always)]
    fn residual(&mut self, z: &[T], r: &mut [T]) {
        sum(self.argument, self.base, z);
        let at = Point { t: self.t, y: self.argument, theta: self.theta };
        self.drift.eval(at, r, self.scratch);
        self.nfe += 1;
        self.matrix.add_mass(-self.alpha, z, r);
    }

    #[inline(always)]
    fn start(&mut self) {
        self.matrix.start_iteration();
    }

    #[inline(always)]
    fn inexactness(&self) -> T {
        self.matrix.inexactness()
    }

    #[inline(always)]
    fn correct(&mut self, r: &mut [T], wanted: T) -> bool {
        self.matrix.correct(self.drift, self.scratch, r, wanted)
    }

    #[inline(always)]
    fn mean_square(&self, dz: &[T]) -> T {
        self.norm.mean_square(dz, self.y, self.argument, self.drift.dim())
    }

    fn state_square(&self) -> T {
        self.norm.mean_square(self.argument, self.y, self.argument, self.drift.dim())
    }
}

#[inline(always)]
fn sum<T: Real>(out: &mut [T], a: &[T], b: &[T]) {
    out.iter_mut().zip(a).zip(b).for_each(|((out, a), b)| *out = *a + *b);
}

impl<'a, T: Real, S: System<T>> DriftImplicitStepper<'a, T, S> {
    fn new(
        system: &'a S,
        (name, weight, weights): (&str, f64, &'static [f64]),
        noise: impl Brownian<T> + 'a,
        options: &ImplicitOptions<T>,
    ) -> Result<Self> {
        let class = system.diffusion().class();
        accepts((name, Some(Calculus::Ito)), &NoiseClass::ALL, class, system.calculus())?;
        let bound = Bound::new(system, noise)?;
        let zeros = |n| vec![T::zero(); n];
        let n = bound.layout.len();
        Ok(Self {
            estimates: EulerDifference {
                correction: bound.blocks() - 1,
                steers: class == NoiseClass::Additive,
                weights,
            },
            weight: T::of(weight),
            matrix: None,
            newton: Iteration::new(&options.newton),
            options: options.clone(),
            factored: T::zero(),
            current: false,
            stale: true,
            base: zeros(n),
            end: [zeros(bound.layout.entries()), zeros(bound.layout.entries())],
            argument: zeros(n),
            z: zeros(n),
            r: zeros(n),
            bars: [const { Vec::new() }; 3],
            failed: None,
            failures: 0,
            iterations: 0,
            bound,
        })
    }

    /// A new Jacobian at (t, y) and factors for α; false when there are none.
    #[cold]
    fn renew(&mut self, alpha: T, t: T, y: &[T]) -> bool {
        let Self { bound, matrix: Some(matrix), .. } = self else {
            return false;
        };
        self.factored = T::zero();
        let theta = &bound.theta[bound.system.drift_params()];
        let finite = matrix.evaluate(bound.system.drift(), Point { t, y, theta }, &mut bound.scratch.0);
        finite && self.factor(alpha)
    }

    fn factor(&mut self, alpha: T) -> bool {
        self.newton.new_matrix();
        let done = self.matrix.as_mut().is_some_and(|matrix| matrix.factor(alpha));
        self.factored = if done { alpha } else { T::zero() };
        done
    }

    /// Factors for α with the Jacobian of an earlier step's start, or of this one's.
    #[inline(always)]
    fn ready(&mut self, alpha: T, y: &[T]) -> bool {
        if self.stale && !self.current {
            (self.current, self.stale) = (true, false);
            return self.renew(alpha, self.bound.start, y);
        }
        self.factored == alpha || self.factor(alpha)
    }

    /// Iterates the equation at time `t` from the z at hand; base + z is then in `argument`.
    #[inline(always)]
    fn iterate(&mut self, t: T, alpha: T, y: &[T], norm: &ErrorNorm<T>) -> Newton {
        let Self { bound, matrix: Some(matrix), newton, base, argument, z, r, .. } = self else {
            return Newton::Broken;
        };
        let (drift, theta) = (bound.system.drift(), &bound.theta[bound.system.drift_params()]);
        let scratch = &mut bound.scratch.0;
        let mut stage = Stage { drift, theta, scratch, matrix, norm, t, alpha, y, base, argument, nfe: 0 };
        let outcome = newton.solve(&mut stage, z, r);
        bound.nfe += stage.nfe;
        sum(argument, base, z);
        outcome
    }

    /// base + z = y. The first iterate is then the linearly implicit step; from z = 0 the iteration would see f at
    /// an explicit half step, where a stiff drift that is not linear has thrown it.
    #[inline(always)]
    fn guess(&mut self, y: &[T]) {
        self.z.iter_mut().zip(y).zip(&self.base).for_each(|((z, y), base)| *z = *y - *base);
    }

    /// Solves for y₁; the factor on h where it cannot.
    #[inline(always)]
    fn implicit(&mut self, (t, h): (T, T), y: &[T], norm: &ErrorNorm<T>) -> Option<f64> {
        let alpha = T::one() / (h * self.weight);
        if !self.ready(alpha, y) {
            return Some(BROKEN);
        }
        let t1 = end_time(t, h, self.bound.to_stop);
        self.guess(y);
        let mut outcome = self.iterate(t1, alpha, y, norm);
        if outcome != Newton::Converged && !self.current {
            (self.current, self.stale) = (true, false);
            if !self.renew(alpha, self.bound.start, y) {
                return Some(BROKEN);
            }
            self.guess(y);
            outcome = self.iterate(t1, alpha, y, norm);
        }
        // The last resort before the step fails, which at a fixed size ends the solve: Newton's own iteration,
        // the Jacobian where the last one has led.
        for _ in 0..RENEWALS {
            if outcome != Newton::Slow {
                break;
            }
            let argument = std::mem::take(&mut self.argument);
            let ready = self.renew(alpha, t1, &argument);
            self.argument = argument;
            (self.current, self.stale) = (false, true);
            if !ready {
                return Some(BROKEN);
            }
            outcome = self.iterate(t1, alpha, y, norm);
        }
        match outcome {
            Newton::Converged => None,
            Newton::Slow => Some(SLOW),
            Newton::Broken => Some(BROKEN),
        }
    }
}

impl<T: Real, S: System<T>> Stepper<T> for DriftImplicitStepper<'_, T, S> {
    stepper_methods!();

    fn set_theta(&mut self, theta: &[T]) {
        self.bound.theta.copy_from_slice(theta);
        (self.current, self.stale) = (false, true);
    }

    fn bytes(&self) -> usize {
        let own =
            [&self.base, &self.argument, &self.z, &self.r].into_iter().chain(&self.end).chain(&self.bars);
        self.bound.bytes(own.map(|v| v.len()).sum()) + self.matrix.as_ref().map_or(0, |m| m.bytes())
    }

    fn prepare(&mut self, _: T, _: &mut [T], norm: &ErrorNorm<T>) -> Result<()> {
        if self.matrix.is_none() {
            let (drift, batch) = (self.bound.system.drift(), self.bound.layout.batch);
            self.matrix = Some(IterationMatrix::new(drift, batch, &self.options)?);
        }
        self.newton.prepare(&self.options.newton, norm);
        self.stale = true;
        Ok(())
    }

    fn begin(&mut self, t: T, y: &[T]) {
        self.bound.begin(t, y);
        self.current = false;
    }

    #[inline(always)]
    fn attempt(&mut self, at: (T, T), to_stop: bool, y: &[T], y1: &mut [T], norm: &ErrorNorm<T>) -> T {
        self.bound.to_stop = to_stop;
        self.failed = None;
        self.newton.start_step();
        if let Some(matrix) = &mut self.matrix {
            matrix.start_step();
        }
        if !self.bound.draw(at) {
            return T::NAN;
        }
        combine(&mut self.base, y, at.1 * (T::one() - self.weight), &[1.0], self.bound.drift(0));
        self.bound.add_noise(T::one(), &mut self.base);
        let failed = self.implicit(at, y, norm);
        self.iterations += self.newton.count as usize;
        if let Some(factor) = failed {
            self.failed = Some(T::of(factor));
            self.failures += 1;
            self.stale = true;
            // A replay, which cannot take a smaller step, must see it.
            y1.fill(T::NAN);
            return T::NAN;
        }
        let rate = self.options.newton.refresh_rate(self.bound.layout.dim);
        self.stale |= self.newton.worst >= T::of(rate);
        y1.copy_from_slice(&self.argument);
        let (alpha, range) = (T::one() / (at.1 * self.weight), self.bound.layout.drift(1));
        self.bound.record[range].iter_mut().zip(&self.z).for_each(|(k, z)| *k = alpha * *z);
        let t1 = end_time(at.0, at.1, to_stop);
        let Self { bound, end: [end, half], r: c, .. } = self;
        bound.eval_diffusion(t1, y1, end);
        for ((half, g1), g0) in half.iter_mut().zip(&*end).zip(bound.diffusion()) {
            *half = T::of(0.5) * (*g1 - *g0);
        }
        c.fill(T::zero());
        product(c, half, T::one(), &bound.w, &bound.layout);
        bound.estimate(at.1, [y, y1], norm, c)
    }

    #[inline(always)]
    fn unsolved(&self) -> Option<T> {
        self.failed
    }

    #[inline(always)]
    fn iterations(&self) -> Iterations {
        let linear = self.matrix.as_ref().map_or(0, |m| m.linear_iterations());
        Iterations { newton: self.newton.count, linear }
    }

    fn implicit_work(&self) -> ImplicitWork {
        let counts = self.matrix.as_ref().map(|m| m.counts).unwrap_or_default();
        ImplicitWork { newton_iterations: self.iterations, failures: self.failures, ..counts }
    }

    /// f(t₁, y₁) is z/(hϑ): evaluated at the rounded y₁ it would have its rounding times the stiffness.
    fn accept(&mut self, t1: T, _: &[T]) {
        self.current = false;
        self.bound.pass_drift();
        self.bound.start = t1;
        let range = self.bound.layout.diffusion(0);
        self.bound.record[range].copy_from_slice(&self.end[0]);
    }

    fn locate_non_finite(&self, (t, h): (T, T), y: &[T]) -> Option<String> {
        self.bound.locate_non_finite(y, (end_time(t, h, self.bound.to_stop), &self.argument))
    }
}
