//! The continuous stochastic adjoint: the adjoint equation solved backwards along the same Brownian path.
//!
//! For dy = f dt + G ∘ dW in Stratonovich's sense the cotangent a(t) of y(t) follows
//!
//! da = −(∂f/∂y)ᵀ a dt − Σ_k (∂G_k/∂y)ᵀ a ∘ dW_k,   dθ̄ = −(∂f/∂θ)ᵀ a dt − Σ_k (∂G_k/∂θ)ᵀ a ∘ dW_k,
//!
//! backwards in time from the end, a jumping by the loss's cotangent at every saved time (Li, Wong, Chen & Duvenaud,
//! *Scalable gradients for stochastic differential equations*, AISTATS 2020, section 3). (y, a, θ̄) is one equation
//! whose noise commutes where that of y does, so a Stratonovich method of [`tableaux`](crate::sde::tableaux) keeps its
//! order up to 1, on every class that it takes. Memory does not depend on the number of steps.
//!
//! The gradient is that of the equation, not of the steps: it differs from [`DiscreteAdjoint`]'s by the error of both
//! solves, O(h^order) on each path, and is no gradient of the loss that was computed.
//! [`ReversibleAdjoint`] is exact in the same memory.
//!
//! The way back takes the steps of the solve in reverse. The matrix of products ∂G_k is never formed: a line of the
//! method with the multiplier ω asks for Σ_k ω_k (∂G_k/∂y)ᵀ a, one vector–Jacobian product of G with the cotangent
//! a ⊗ ω. As θ̄ enters no argument, its share is added where the solution is formed.
//!
//! [`DiscreteAdjoint`]: super::DiscreteAdjoint
//! [`ReversibleAdjoint`]: super::ReversibleAdjoint

use super::reversible::check_ends;
use crate::dynamics::{Dynamics, Point};
use crate::error::{Error, Result};
use crate::integrate::{Solution, StepInfo, end_time};
use crate::num::{Real, accumulate};
use crate::sde::check_noise;
use crate::sde::noise::{Brownian, Levy};
use crate::sde::srk::form::{Form, Layout};
use crate::sde::srk::{StochasticRk, StochasticTableau, Variate, draw_variate};
use crate::sde::{Calculus, Diffusion, System};

/// Gradients of losses on the solution of a Stratonovich equation, by its adjoint equation.
///
/// ```
/// use odeon::adjoint::Backsolve;
/// use odeon::dynamics::{gallery::CubicSpiral, generic::Generic};
/// use odeon::integrate::{Options, Problem};
/// use odeon::sde::{Constant, Sde, noise::FixedGrid, solve, tableaux::Heun};
///
/// let sde = Sde::stratonovich(Generic(CubicSpiral), Constant::diagonal(2));
/// let theta = [&CubicSpiral::THETA[..], &[0.1, 0.1]].concat();
/// let noise = FixedGrid::new(7, [0.0, 1.0], 100, 2, 1)?;
/// let problem = Problem { y0: &[2.0, 0.0], span: [0.0, 1.0], theta: &theta };
/// let solution = solve(&sde, &Heun, noise.clone(), &problem, &Options::fixed(0.01))?;
///
/// let mut adjoint = Backsolve::new(&sde, &Heun, noise)?;
/// adjoint.reverse(&solution, &theta, &[1.0, 0.0])?; // the loss is y₁(1)
/// assert_eq!(adjoint.theta_gradient().len(), 4);
/// # Ok::<(), odeon::Error>(())
/// ```
pub struct Backsolve<'a, T: Real, S: System<T>> {
    system: &'a S,
    noise: Box<dyn Brownian<T> + 'a>,
    lines: Lines,
    work: Work<T, S>,
    motion: [Vec<T>; 2],
    y: Vec<T>,
    y_bar: Vec<T>,
    theta_bar: Vec<T>,
}

/// What a step works on.
struct Work<T: Real, S: System<T>> {
    layout: Layout,
    scratch: (<S::Drift as Dynamics<T>>::Scratch, <S::Diffusion as Diffusion<T>>::Scratch),
    /// f, G and the random vectors of a step.
    values: Vec<T>,
    /// (∂f/∂y)ᵀ a at the drift's arguments.
    slopes: Vec<T>,
    /// Arguments of the diffusion, and a there.
    arguments: [Vec<T>; 2],
    /// When the diffusion is taken.
    times: Vec<T>,
    /// The argument in hand, and a there.
    point: [Vec<T>; 2],
    /// Cotangents of the values.
    bars: Vec<T>,
    /// Parts of θ̄ that are not wanted, or not yet weighed.
    spare: Vec<T>,
}

/// The lines of a method, with minus the lines of its noise, value by value.
struct Lines {
    c: [Vec<f64>; 2],
    drift: Vec<Line>,
    diffusion: Vec<Line>,
    solution: Line,
    variates: Vec<Variate>,
    /// Whether any line takes f_j, and G_j.
    taken: [Vec<bool>; 2],
    /// Whether f_j and G_j have one argument.
    same: Vec<bool>,
}

struct Line {
    form: Form,
    /// −G_j Σ_r v_rj ξ_r for each j that the line takes.
    minus: Vec<(usize, Form)>,
}

impl Line {
    fn new(form: Form) -> Self {
        let alone = |(j, w): &(usize, Vec<f64>)| {
            (*j, Form { drift: Vec::new(), noise: vec![(*j, w.clone())] }.negated())
        };
        Self { minus: form.noise.iter().map(alone).collect(), form }
    }
}

impl Lines {
    fn new(table: &StochasticTableau) -> Self {
        let s = table.stages();
        let drift: Vec<Line> = (0..s).map(|i| Line::new(table.drift_argument(i))).collect();
        let diffusion: Vec<Line> = (0..s).map(|i| Line::new(table.diffusion_argument(i))).collect();
        let solution = Line::new(table.solution());
        let any = |takes: &dyn Fn(&Form) -> bool| {
            drift.iter().chain(&diffusion).chain([&solution]).any(|line| takes(&line.form))
        };
        let taken = [
            (0..s).map(|j| any(&|form| form.takes_drift(j))).collect(),
            (0..s).map(|j| any(&|form| form.takes_diffusion(j))).collect(),
        ];
        Self {
            c: [table.c0.to_vec(), table.c1.to_vec()],
            same: drift.iter().zip(&diffusion).map(|(a, b)| a.form == b.form).collect(),
            variates: table.noise.iter().map(|c| c.variate).collect(),
            drift,
            diffusion,
            solution,
            taken,
        }
    }
}

impl<'a, T: Real, S: System<T>> Backsolve<'a, T, S> {
    /// Gradients through `system` by `method`, along the noise that drove the solve (a copy of its source).
    ///
    /// # Errors
    /// An Itô equation or method, a noise class that the method does not take, or a source that does not fit.
    pub fn new(system: &'a S, method: &impl StochasticRk, noise: impl Brownian<T> + 'a) -> Result<Self> {
        let table = method.tableau();
        for (what, calculus) in [("equation", system.calculus()), ("method", table.calculus)] {
            if calculus != Calculus::Stratonovich {
                let needed = "the adjoint equation is Stratonovich's: convert the equation (Converted), take a \
                              Stratonovich method, or the discrete adjoint";
                return Err(Error::invalid(format!("the calculus of the {what}"), calculus, needed));
            }
        }
        let g = system.diffusion();
        table.accepts(g.class(), system.calculus())?;
        check_noise(system, &noise)?;
        if table.needs_area() && noise.levy() < Levy::SpaceTime {
            let needed = format!("{} needs the space–time Lévy area: make the source with it", table.name);
            return Err(Error::invalid("the noise source", "one of increments only", needed));
        }
        let layout = Layout {
            dim: system.dim(),
            batch: noise.paths(),
            components: g.components(),
            shape: g.shape(),
            stages: table.stages(),
            variates: table.noise.len(),
        };
        let zeros = |n| vec![T::zero(); n];
        let area = if table.needs_area() { layout.motions() } else { 0 };
        Ok(Self {
            system,
            noise: Box::new(noise),
            lines: Lines::new(table),
            work: Work::new(system, layout),
            motion: [zeros(layout.motions()), zeros(area)],
            y: zeros(layout.len()),
            y_bar: zeros(layout.len()),
            theta_bar: zeros(system.num_params()),
        })
    }

    /// Cotangent of y0 from the last reverse.
    pub fn y0_gradient(&self) -> &[T] {
        &self.y_bar
    }

    /// Cotangent of θ from the last reverse.
    pub fn theta_gradient(&self) -> &[T] {
        &self.theta_bar
    }

    /// y at t0 as the way back found it, to be compared with y0.
    pub fn found_start(&self) -> &[T] {
        &self.y
    }

    /// Solves back over the steps of `solution`, whose end must be saved; `y_bar` holds the cotangents of its
    /// saved states. The way back takes y from every saved state that it passes.
    ///
    /// # Errors
    /// Lengths that do not fit, a saved time inside a step, an end that was not saved, noise that does not cover
    /// the steps, or a gradient that is not finite.
    pub fn reverse(&mut self, solution: &Solution<T>, theta: &[T], y_bar: &[T]) -> Result<()> {
        let n = self.y.len();
        Error::check_len("theta", theta.len(), self.theta_bar.len(), "the parameters of the equation")?;
        Error::check_finite("theta", theta)?;
        let why = "one for each saved number";
        Error::check_len("the cotangent of the saved states", y_bar.len(), solution.y.len(), why)?;
        Error::check_len("a saved state", solution.dim * solution.batch, n, "dim × paths")?;
        check_ends(&solution.located, &solution.t)?;
        let steps = solution.steps.len();
        let last = solution.located.last().filter(|l| l.step + 1 == steps && l.theta == T::one());
        let (Some(_), Some(first), Some(end)) = (last, solution.steps.first(), solution.steps.last()) else {
            let needed = "the way back starts at the end of the solve: save it";
            return Err(Error::invalid("the end of the solution", "not saved", needed));
        };
        self.noise.prepare([end.t1, first.t])?;
        self.y_bar.fill(T::zero());
        self.theta_bar.fill(T::zero());
        let mut saved = solution.located.len();
        let mut jump = |adjoint: &mut Self, j: usize, at: T| {
            while saved > 0
                && (solution.located[saved - 1].step, solution.located[saved - 1].theta) == (j, at)
            {
                saved -= 1;
                adjoint.y.copy_from_slice(solution.state(saved));
                accumulate(&mut adjoint.y_bar, T::one(), &[1.0], &y_bar[saved * n..(saved + 1) * n]);
            }
        };
        for (j, step) in solution.steps.iter().enumerate().rev() {
            jump(self, j, T::one());
            self.step_back(step, theta)?;
        }
        jump(self, 0, T::zero());
        Error::check_finite("the gradient with respect to theta", &self.theta_bar)?;
        Error::check_finite("the gradient with respect to y0", &self.y_bar)
    }

    /// One step of the method for (y, a, θ̄), from the end of `step` to its start.
    fn step_back(&mut self, step: &StepInfo<T>, theta: &[T]) -> Result<()> {
        let Self { system, noise, lines, work, motion: [w, area], y, y_bar, theta_bar } = self;
        let h = -step.h;
        noise.increment(step.t + step.h, step.t, w, area)?;
        for (r, variate) in lines.variates.iter().enumerate() {
            let range = work.layout.variate(r);
            draw_variate(*variate, h, [w, area], &mut work.values[range]);
        }
        let time = |c: f64| match c {
            0.0 => end_time(step.t, step.h, step.to_stop),
            1.0 => step.start(),
            c => h.mul_add(T::of(c), step.t + step.h),
        };
        let mut spare = std::mem::take(&mut work.spare);
        for i in 0..work.layout.stages {
            if lines.taken[0][i] {
                work.form(*system, &lines.drift[i], (h, theta), [y, y_bar], &mut spare);
                let weight = T::of(lines.solution.form.drift[i]);
                work.drift(*system, i, (time(lines.c[0][i]), theta), &mut spare);
                let own = system.drift_params();
                let shares = theta_bar[own.clone()].iter_mut().zip(&spare[own]);
                shares.for_each(|(bar, share)| *bar -= h * weight * *share);
            }
            if lines.taken[1][i] {
                if !(lines.taken[0][i] && lines.same[i]) {
                    work.form(*system, &lines.diffusion[i], (h, theta), [y, y_bar], &mut spare);
                }
                work.diffusion(*system, i, (time(lines.c[1][i]), theta));
            }
        }
        work.spare = spare;
        work.form(*system, &lines.solution, (h, theta), [y, y_bar], theta_bar);
        y.copy_from_slice(&work.point[0]);
        y_bar.copy_from_slice(&work.point[1]);
        Ok(())
    }
}

impl<T: Real, S: System<T>> Work<T, S> {
    fn new(system: &S, layout: Layout) -> Self {
        let zeros = |n| vec![T::zero(); n];
        let (n, stages) = (layout.len(), layout.stages);
        Self {
            scratch: (system.drift().scratch(layout.batch), system.diffusion().scratch(layout.batch)),
            values: zeros(layout.total()),
            slopes: zeros(stages * n),
            arguments: [zeros(stages * n), zeros(stages * n)],
            times: zeros(stages),
            point: [zeros(n), zeros(n)],
            bars: zeros(layout.values() * n),
            spare: zeros(system.num_params()),
            layout,
        }
    }

    /// `point` ← a line of the method for y and a. ACCUMULATES the noise's share of θ̄ into `theta_bar`.
    fn form(
        &mut self,
        system: &S,
        line: &Line,
        (h, theta): (T, &[T]),
        [y, y_bar]: [&[T]; 2],
        theta_bar: &mut [T],
    ) {
        let (n, params) = (self.layout.len(), system.diffusion_params());
        let [state, bar] = &mut self.point;
        state.copy_from_slice(y);
        line.form.add(state, h, &self.values, &self.layout);
        bar.copy_from_slice(y_bar);
        accumulate(bar, -h, &line.form.drift, &self.slopes);
        for (j, minus) in &line.minus {
            let stage = j * n..(j + 1) * n;
            let g_bar = self.layout.diffusion(*j);
            self.bars[g_bar.clone()].fill(T::zero());
            minus.send(&self.arguments[1][stage.clone()], h, &self.values, &self.layout, &mut self.bars);
            let at = Point { t: self.times[*j], y: &self.arguments[0][stage], theta: &theta[params.clone()] };
            let theta_bar = &mut theta_bar[params.clone()];
            system.diffusion().vjp(at, &self.bars[g_bar], bar, theta_bar, &mut self.scratch.1);
        }
    }

    /// f_i and its products at `point`; `share` ← (∂f/∂θ)ᵀ a.
    fn drift(&mut self, system: &S, i: usize, (t, theta): (T, &[T]), share: &mut [T]) {
        let (n, f) = (self.layout.len(), system.drift());
        let [y, bar] = &self.point;
        let at = Point { t, y, theta: &theta[system.drift_params()] };
        f.eval(at, &mut self.values[i * n..(i + 1) * n], &mut self.scratch.0);
        let slope = &mut self.slopes[i * n..(i + 1) * n];
        let share = &mut share[system.drift_params()];
        slope.fill(T::zero());
        share.fill(T::zero());
        f.vjp(at, bar, slope, share, &mut self.scratch.0);
    }

    /// G_i at `point`, which is kept for the products.
    fn diffusion(&mut self, system: &S, i: usize, (t, theta): (T, &[T])) {
        let n = self.layout.len();
        let at = Point { t, y: &self.point[0], theta: &theta[system.diffusion_params()] };
        let g = &mut self.values[self.layout.diffusion(i)];
        system.diffusion().eval(at, g, &mut self.scratch.1);
        self.times[i] = t;
        for (kept, now) in self.arguments.iter_mut().zip(&self.point) {
            kept[i * n..(i + 1) * n].copy_from_slice(now);
        }
    }
}
