//! Forward sensitivities: the derivatives of the saved states carried along with the state.
//!
//! For directions (ẏ0, θ̇)_j the tangents S_j = ∂y/∂(y0, θ)·(ẏ0, θ̇)_j follow the variational equation
//!
//! S_j' = (∂f/∂y) S_j + (∂f/∂θ) θ̇_j,  S_j(t0) = ẏ0_j
//!
//! (Hairer, Nørsett & Wanner I, I.14). The solve is taken first, then once more at its frozen steps with the
//! tangents: an explicit method applied to the variational equation is the derivative of the method, so the
//! tangents are those of the computed solution, to rounding, as the discrete adjoint's gradients are. Tangents
//! of f come from dual numbers, eight directions an evaluation ([`Dynamics::jvps`]).
//!
//! For all of θ and y0 there are p + dim directions, whatever the batch: its columns do not see each other, so one
//! direction moves a row of all of them. That is cheaper than any adjoint for a handful of parameters, keeps no
//! states, and gives the whole Jacobian of the saved states, which least squares need
//! ([`ForwardSensitivity::normal_matrix`]).

use super::discrete::{AdjointStatistics, Evaluation};
use crate::dynamics::{Dynamics, Point, Tangent, check_shapes};
use crate::error::{Error, Result};
use crate::integrate::{Drive, Options, Partial, Problem, Silent, Solution, Stepper};
use crate::num::Real;
use crate::ode::tableau::ExplicitRk;
use crate::ode::{ExplicitStepper, StepMethod};

/// y and its tangents as one right-hand side: z = (y, S_1, S_2, …), all columns in one. Its own derivatives would be
/// second ones of f: its products are NaN, and methods that need them are not offered ([`Hessian`](super::Hessian) adds
/// them).
pub(super) struct Variational<'a, T: Real, D: Dynamics<T>> {
    pub dynamics: &'a D,
    pub n: usize,
    pub count: usize,
    /// θ̇ of each direction.
    pub theta_dots: &'a [T],
}

impl<T: Real, D: Dynamics<T>> Dynamics<T> for Variational<'_, T, D> {
    type Scratch = D::Scratch;

    fn dim(&self) -> usize {
        (1 + self.count) * self.n
    }

    fn num_params(&self) -> usize {
        self.dynamics.num_params()
    }

    fn scratch(&self, _: usize) -> D::Scratch {
        self.dynamics.scratch(self.n / self.dynamics.dim())
    }

    fn eval(&self, at: Point<'_, T>, dz: &mut [T], scratch: &mut D::Scratch) {
        let (y, tangents) = at.y.split_at(self.n);
        let (dy, dots) = dz.split_at_mut(self.n);
        let at = Point { y, ..at };
        self.dynamics.eval(at, dy, scratch);
        self.dynamics.jvps(at, [tangents, self.theta_dots], dots, scratch);
    }

    fn vjp(&self, _: Point<'_, T>, _: &[T], y: &mut [T], theta: &mut [T], _: &mut D::Scratch) -> T {
        y.fill(T::NAN);
        theta.fill(T::NAN);
        T::NAN
    }

    fn jvp(&self, _: Point<'_, T>, _: Tangent<'_, T>, dy_dot: &mut [T], _: &mut D::Scratch) {
        dy_dot.fill(T::NAN);
    }
}

/// Directions in (y0, θ).
#[derive(Clone, Debug, PartialEq)]
pub enum Directions<T> {
    /// Every parameter, then every row of y0 (moved in all columns at once).
    All,
    /// Every parameter.
    Parameters,
    /// Given ones: ẏ0 (a state) and θ̇ for each.
    Given(Vec<(Vec<T>, Vec<T>)>),
}

/// Derivatives of the saved states along directions.
///
/// ```
/// use odeon::adjoint::{Directions, ForwardSensitivity};
/// use odeon::dynamics::{gallery::LotkaVolterra, generic::Generic};
/// use odeon::integrate::{Options, Problem};
/// use odeon::ode::tableaux::Tsit5;
///
/// let f = Generic(LotkaVolterra);
/// let problem = Problem { y0: &[1.0, 1.0], span: [0.0, 2.0], theta: &LotkaVolterra::THETA };
/// let options = Options::tol(1e-8, 1e-8).save_at(vec![1.0, 2.0]);
/// let sensitivity = ForwardSensitivity::solve(&f, &Tsit5, &problem, &options, Directions::Parameters)?;
/// assert_eq!(sensitivity.count(), 4);
/// let [at, along] = [1, 3];
/// assert_eq!(sensitivity.tangent(at, along).len(), 2); // ∂y(2)/∂δ
/// # Ok::<(), odeon::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ForwardSensitivity<T> {
    solution: Solution<T>,
    count: usize,
    parameters: usize,
    /// All tangents of every saved state.
    tangents: Vec<T>,
    stats: AdjointStatistics,
}

impl<T: Real> ForwardSensitivity<T> {
    /// Solves, and carries the tangents along the steps that were taken.
    ///
    /// # Errors
    /// Inputs or directions that do not fit, a mass matrix, or a solve that stops early.
    pub fn solve<D: Dynamics<T>>(
        dynamics: &D,
        method: &impl ExplicitRk,
        problem: &Problem<'_, T>,
        options: &Options<T>,
        directions: Directions<T>,
    ) -> Result<Self, Partial<T>> {
        let batch = check_shapes(dynamics, problem.y0, problem.theta)?;
        let solution = {
            let mut drive = Drive::new(problem.y0.len());
            let mut stepper = ExplicitStepper::new(dynamics, method, batch);
            stepper.set_theta(problem.theta);
            let outcome = drive.run(&mut stepper, problem.y0, problem.span, options, &mut Silent);
            outcome.map_err(|error| Partial {
                error,
                solution: Box::new(std::mem::take(&mut drive.solution)),
            })?;
            drive.solution
        };
        Ok(Self::along(dynamics, method, problem, solution, directions)?)
    }

    /// The tangents along the frozen steps of `solution`, of the same problem.
    ///
    /// # Errors
    /// Inputs or directions that do not fit, or a state that goes non-finite.
    pub fn along<D: Dynamics<T>>(
        dynamics: &D,
        method: &impl ExplicitRk,
        problem: &Problem<'_, T>,
        solution: Solution<T>,
        directions: Directions<T>,
    ) -> Result<Self> {
        check_shapes(dynamics, problem.y0, problem.theta)?;
        let (n, p) = (problem.y0.len(), problem.theta.len());
        let (count, y_dots, theta_dots) = lay_out(directions, dynamics.dim(), [n, p])?;
        let directions = (count, &y_dots[..], &theta_dots[..]);
        let (tangents, stats) = carry(dynamics, method, problem, &solution, directions)?;
        Ok(Self { solution, count, parameters: count.min(p), tangents, stats })
    }

    /// The solution.
    pub fn solution(&self) -> &Solution<T> {
        &self.solution
    }

    /// The solution, the tangents dropped.
    pub fn into_solution(self) -> Solution<T> {
        self.solution
    }

    /// The number of directions.
    pub fn count(&self) -> usize {
        self.count
    }

    /// What the tangents cost.
    pub fn statistics(&self) -> AdjointStatistics {
        self.stats
    }

    /// The tangent of the `saved`-th saved state along the `direction`-th direction, `dim × batch`.
    pub fn tangent(&self, saved: usize, direction: usize) -> &[T] {
        let n = self.solution.dim * self.solution.batch;
        let start = (saved * self.count + direction) * n;
        &self.tangents[start..start + n]
    }

    /// The derivatives of a loss along all directions, from the cotangents of the saved states.
    ///
    /// # Errors
    /// Cotangents of the wrong length.
    pub fn gradient(&self, y_bar: &[T]) -> Result<Vec<T>> {
        let why = "one for each saved number";
        Error::check_len("the cotangent of the saved states", y_bar.len(), self.solution.y.len(), why)?;
        let n = self.solution.dim * self.solution.batch;
        let along = |j: usize| {
            let states = y_bar.chunks_exact(n).enumerate();
            let terms = states.flat_map(|(i, bar)| bar.iter().zip(self.tangent(i, j)));
            terms.fold(T::zero(), |sum, (bar, dot)| bar.mul_add(*dot, sum))
        };
        Ok((0..self.count).map(along).collect())
    }

    /// JᵀWJ, column-major `count × count`, with J the Jacobian of all saved numbers along the directions and W
    /// = diag of `weights` (empty for the identity): the Gauss–Newton matrix of Σ w (y − data)²/2, whose gradient is
    /// [`gradient`](Self::gradient) of w (y − data).
    ///
    /// # Errors
    /// Weights of the wrong length.
    pub fn normal_matrix(&self, weights: &[T]) -> Result<Vec<T>> {
        if !weights.is_empty() {
            let why = "one for each saved number";
            Error::check_len("the weights", weights.len(), self.solution.y.len(), why)?;
        }
        let n = self.solution.dim * self.solution.batch;
        let weight = |i: usize| weights.get(i).copied().unwrap_or(T::one());
        let mut matrix = vec![T::zero(); self.count * self.count];
        for j in 0..self.count {
            for k in 0..=j {
                let mut sum = T::zero();
                for saved in 0..self.solution.t.len() {
                    let pairs = self.tangent(saved, j).iter().zip(self.tangent(saved, k)).enumerate();
                    sum = pairs.fold(sum, |s, (i, (a, b))| (weight(saved * n + i) * *a).mul_add(*b, s));
                }
                matrix[j * self.count + k] = sum;
                matrix[k * self.count + j] = sum;
            }
        }
        Ok(matrix)
    }

    /// Splits a gradient along [`Directions::All`] into those of θ and of y0.
    fn split(&self, y_bar: &[T]) -> Result<[Vec<T>; 2]> {
        let mut theta = self.gradient(y_bar)?;
        theta.truncate(self.parameters);
        let (dim, batch) = (self.solution.dim, self.solution.batch);
        let n = dim * batch;
        let mut y0 = vec![T::zero(); n];
        for row in 0..dim {
            for (i, bar) in y_bar.chunks_exact(n).enumerate() {
                let tangent = self.tangent(i, self.parameters + row);
                let columns = bar.chunks_exact(dim).zip(tangent.chunks_exact(dim));
                for (column, (bar, dot)) in columns.enumerate() {
                    let place = &mut y0[column * dim + row];
                    *place = bar.iter().zip(dot).fold(*place, |sum, (bar, dot)| bar.mul_add(*dot, sum));
                }
            }
        }
        Ok([theta, y0])
    }
}

/// The tangents of every saved state of `recorded` along `count` directions (ẏ0, θ̇).
pub(super) fn carry<T: Real, D: Dynamics<T>>(
    dynamics: &D,
    method: &impl ExplicitRk,
    problem: &Problem<'_, T>,
    recorded: &Solution<T>,
    (count, y_dots, theta_dots): (usize, &[T], &[T]),
) -> Result<(Vec<T>, AdjointStatistics)> {
    if dynamics.mass().is_some() {
        let needed = "forward sensitivities take none: take DiscreteAdjoint";
        return Err(Error::invalid("the mass matrix", "given", needed));
    }
    let n = problem.y0.len();
    let z0 = [problem.y0, y_dots].concat();
    let system = Variational { dynamics, n, count, theta_dots };
    let mut stepper = ExplicitStepper::new(&system, method, 1);
    stepper.set_theta(problem.theta);
    let mut drive = Drive::new(z0.len());
    let steps = (&recorded.steps[..], &recorded.located[..], &recorded.t[..]);
    drive.replay(&mut stepper, &z0, steps, &Options::default(), &mut Silent)?;
    let states = drive.solution.y.chunks_exact((1 + count) * n);
    let tangents = states.flat_map(|z| z[n..].iter().copied()).collect();
    let stats = AdjointStatistics {
        nfe: stepper.nfe(),
        replayed: recorded.steps.len(),
        work_bytes: stepper.bytes() + drive.bytes(),
        ..AdjointStatistics::default()
    };
    Ok((tangents, stats))
}

/// Number, ẏ0 and θ̇ of directions.
fn lay_out<T: Real>(
    directions: Directions<T>,
    dim: usize,
    [n, p]: [usize; 2],
) -> Result<(usize, Vec<T>, Vec<T>)> {
    let rows = match directions {
        Directions::All => dim,
        Directions::Parameters => 0,
        Directions::Given(given) => {
            let (mut y_dots, mut theta_dots) = (Vec::new(), Vec::new());
            for (y, theta) in &given {
                Error::check_len("a direction of y0", y.len(), n, "dim × batch")?;
                Error::check_len("a direction of theta", theta.len(), p, "the parameters")?;
                Error::check_finite("a direction of y0", y)?;
                Error::check_finite("a direction of theta", theta)?;
                y_dots.extend_from_slice(y);
                theta_dots.extend_from_slice(theta);
            }
            return Ok((given.len(), y_dots, theta_dots));
        }
    };
    let count = p + rows;
    let (mut y_dots, mut theta_dots) = (vec![T::zero(); count * n], vec![T::zero(); count * p]);
    for k in 0..p {
        theta_dots[k * p + k] = T::one();
    }
    for row in 0..rows {
        let dots = &mut y_dots[(p + row) * n..(p + row + 1) * n];
        dots.iter_mut().skip(row).step_by(dim).for_each(|dot| *dot = T::one());
    }
    Ok((count, y_dots, theta_dots))
}

/// What a forward gradient gives: the value, ȳ0 and θ̄, and the sensitivities they were made of.
pub struct ForwardGradient<T> {
    /// The loss.
    pub value: Evaluation<T>,
    /// Cotangent of y0.
    pub y0: Vec<T>,
    /// Cotangent of θ.
    pub theta: Vec<T>,
    /// Cotangents of the saved states.
    pub y_bar: Vec<T>,
    /// Along [`Directions::All`].
    pub sensitivity: ForwardSensitivity<T>,
}

/// Loss and gradient by forward sensitivities, through any explicit method.
///
/// # Errors
/// As [`ForwardSensitivity::solve`], or what `loss` returns.
pub fn forward_gradient<T: Real, D: Dynamics<T>, M: StepMethod<T, D>>(
    dynamics: &D,
    method: &M,
    problem: &Problem<'_, T>,
    options: &Options<T>,
    loss: impl FnOnce(&Solution<T>, &mut [T]) -> Result<T>,
) -> Result<ForwardGradient<T>> {
    let Some(tableau) = method.explicit() else {
        let needed = "forward sensitivities go with explicit Runge–Kutta methods: take one, or DiscreteAdjoint, which \
                      serves every method";
        return Err(Error::invalid("the method of forward sensitivities", "not an explicit one", needed));
    };
    let sensitivity = ForwardSensitivity::solve(dynamics, tableau, problem, options, Directions::All)?;
    let mut y_bar = vec![T::zero(); sensitivity.solution.y.len()];
    let value = Evaluation::new(loss(&sensitivity.solution, &mut y_bar)?, &[])?;
    let [theta, y0] = sensitivity.split(&y_bar)?;
    Error::check_finite("the gradient with respect to theta", &theta)?;
    Error::check_finite("the gradient with respect to y0", &y0)?;
    Ok(ForwardGradient { value, y0, theta, y_bar, sensitivity })
}
