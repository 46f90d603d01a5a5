//! W3, f32: x' = tanh(W2 [tanh(W1 [x; t] + b1); t] + b2), 785→100, 101→784, batch 512, t ∈ [0, 1].

use crate::Failure;
use crate::heap::peak_of;
use crate::measure::{Clock, Facts, load, max_error, relative_error};
use odeon::adjoint::{
    Continuous, ContinuousAdjoint, DiscreteAdjoint, Evaluation, Memory, OnDrift, ReversibleAdjoint, WayBack,
};
use odeon::dynamics::{Dynamics, Point};
use odeon::integrate::{BelowResolution, Options, Problem, Reversible, Solution};
use odeon::model::NeuralOde;
use odeon::nn::{Activation, Network};
use odeon::ode::reversible::{AsynchronousLeapfrog, Coupled};
use odeon::ode::tableaux::Tsit5;
use odeon::ode::{ExplicitStepper, Solver, StepMethod};

const DIM: usize = 784;
const HIDDEN: usize = 100;
const BATCH: usize = 512;
/// Where one right-hand side or vector–Jacobian product is evaluated, the initial state as cotangent.
const T_EVAL: f32 = 0.5;

struct Mlp {
    dynamics: NeuralOde,
    theta: Vec<f32>,
    x0: Vec<f32>,
}

type Adjoint<'a> = DiscreteAdjoint<f32, ExplicitStepper<'a, f32, NeuralOde>>;

impl Mlp {
    fn new() -> Result<Self, Failure> {
        let network = Network::builder(DIM)
            .concat_time()
            .dense(HIDDEN)
            .activation(Activation::Tanh)
            .concat_time()
            .dense(DIM)
            .activation(Activation::Tanh)
            .build()?;
        Ok(Self { dynamics: NeuralOde::new(network)?, theta: load("mlp_params")?, x0: load("mlp_x0")? })
    }

    fn problem(&self) -> Problem<'_, f32> {
        Problem { y0: &self.x0, span: [0.0, 1.0], theta: &self.theta }
    }

    fn point(&self) -> Point<'_, f32> {
        Point { t: T_EVAL, y: &self.x0, theta: &self.theta }
    }

    /// faer reserves 64 MiB of addresses for packing at a thread's first product, whatever its size; it touches
    /// few of them, and they are the thread's and not a gradient's.
    fn reserve(&self) {
        let columns = Point { y: &self.x0[..4 * DIM], ..self.point() };
        let (mut out, mut scratch) = (vec![0.0; 4 * DIM], self.dynamics.scratch(4));
        self.dynamics.eval(columns, &mut out, &mut scratch);
    }

    fn adjoint(&self, memory: Memory) -> Adjoint<'_> {
        let stepper = ExplicitStepper::new(&self.dynamics, &Tsit5, BATCH);
        DiscreteAdjoint::new(stepper, memory)
    }

    fn gradient(
        &self,
        adjoint: &mut Adjoint<'_>,
        options: &Options<f32>,
    ) -> Result<Evaluation<f32>, Failure> {
        Ok(adjoint.value_and_gradient(&self.problem(), options, &mut [], sum_of_squares)?)
    }
}

impl Mlp {
    /// `facts` with the peak of the heap and the error of the gradient.
    fn facts(&self, facts: Facts, peak: usize, gradient: &[f32]) -> Result<Facts, Failure> {
        let error = relative_error(gradient.iter().copied(), &load::<f64>("mlp_gradient")?);
        Ok(Facts { grad_rel_err: Some(error), peak_bytes: Some(peak), ..facts })
    }

    /// The gradient by the reversible adjoint of `method`.
    fn reversible<'a, M>(
        &'a self,
        method: &M,
        options: &Options<f32>,
        clock: &Clock,
    ) -> Result<(Vec<f64>, Facts), Failure>
    where
        M: StepMethod<f32, NeuralOde>,
        M::Stepper<'a>: Reversible<f32>,
    {
        let run = |adjoint: &mut ReversibleAdjoint<f32, M::Stepper<'a>>| -> Result<(), Failure> {
            adjoint.value_and_gradient(&self.problem(), options, &mut [], sum_of_squares)?;
            Ok(())
        };
        let (first, peak) = peak_of(|| {
            let mut adjoint = ReversibleAdjoint::new(method.stepper(&self.dynamics, BATCH));
            run(&mut adjoint).map(|()| adjoint)
        });
        let mut adjoint = first?;
        let times = clock.time(|| run(&mut adjoint))?;
        let stats = &adjoint.solution().stats;
        Ok((times, self.facts(Facts::of(stats), peak, adjoint.theta_gradient())?))
    }
}

/// Σ x(1)² and its cotangent, added in f64.
fn sum_of_squares(solution: &Solution<f32>, y_bar: &mut [f32]) -> odeon::Result<f32> {
    let mut sum = 0.0;
    for (bar, &x) in y_bar.iter_mut().zip(&solution.y) {
        sum += f64::from(x) * f64::from(x);
        *bar = 2.0 * x;
    }
    Ok(sum as f32)
}

fn options(tolerance: &str) -> Result<Options<f32>, Failure> {
    let tolerance: f32 = tolerance.parse()?;
    Ok(Options {
        // 1.4e-8 is what the papers used in f32, below its ε.
        below_resolution: BelowResolution::Warn,
        ..Options::tol(tolerance, tolerance)
    })
}

/// The right-hand side and its products in f64, by plain loops over columns.
struct Reference {
    value: Vec<f64>,
    x_bar: Vec<f64>,
    theta_bar: Vec<f64>,
}

/// A matrix [rows, width], row-major, and its bias, at `start` of the flat parameters; the last column is time's.
struct Layer {
    start: usize,
    rows: usize,
    inputs: usize,
}

impl Layer {
    fn weight(&self, row: usize, column: usize) -> usize {
        self.start + row * (self.inputs + 1) + column
    }

    fn bias(&self, row: usize) -> usize {
        self.weight(self.rows, row)
    }

    fn forward(&self, theta: &[f32], x: &[f64]) -> Vec<f64> {
        let row = |i| {
            let sum: f64 = (0..self.inputs).map(|j| f64::from(theta[self.weight(i, j)]) * x[j]).sum();
            let time = f64::from(theta[self.weight(i, self.inputs)]) * f64::from(T_EVAL);
            (sum + time + f64::from(theta[self.bias(i)])).tanh()
        };
        (0..self.rows).map(row).collect()
    }

    /// x̄ from the cotangent of `value` = tanh(…), adding to θ̄.
    fn reverse(
        &self,
        theta: &[f32],
        x: &[f64],
        value: &[f64],
        bar: &[f64],
        theta_bar: &mut [f64],
    ) -> Vec<f64> {
        let mut x_bar = vec![0.0; self.inputs];
        for i in 0..self.rows {
            let z_bar = bar[i] * (1.0 - value[i] * value[i]);
            for j in 0..self.inputs {
                let at = self.weight(i, j);
                theta_bar[at] += z_bar * x[j];
                x_bar[j] += f64::from(theta[at]) * z_bar;
            }
            theta_bar[self.weight(i, self.inputs)] += z_bar * f64::from(T_EVAL);
            theta_bar[self.bias(i)] += z_bar;
        }
        x_bar
    }
}

fn reference(mlp: &Mlp) -> Reference {
    let first = Layer { start: 0, rows: HIDDEN, inputs: DIM };
    let second = Layer { start: first.bias(HIDDEN), rows: DIM, inputs: HIDDEN };
    let theta = &mlp.theta;
    let mut all = Reference { value: Vec::new(), x_bar: Vec::new(), theta_bar: vec![0.0; theta.len()] };
    for column in mlp.x0.chunks_exact(DIM) {
        let x: Vec<f64> = column.iter().map(|&x| f64::from(x)).collect();
        let hidden = first.forward(theta, &x);
        let value = second.forward(theta, &hidden);
        let hidden_bar = second.reverse(theta, &hidden, &value, &x, &mut all.theta_bar);
        let x_bar = first.reverse(theta, &x, &hidden, &hidden_bar, &mut all.theta_bar);
        all.value.extend(value);
        all.x_bar.extend(x_bar);
    }
    all
}

/// One right-hand side.
pub fn rhs(clock: &Clock) -> Result<(Vec<f64>, Facts), Failure> {
    let mlp = Mlp::new()?;
    let mut out = vec![0.0; DIM * BATCH];
    let mut scratch = mlp.dynamics.scratch(BATCH);
    let times = clock.time(|| {
        mlp.dynamics.eval(mlp.point(), &mut out, &mut scratch);
        Ok(())
    })?;
    let facts =
        Facts { nfe: Some(1.0), err_max: Some(max_error(&out, &reference(&mlp).value)), ..Facts::default() };
    Ok((times, facts))
}

/// One vector–Jacobian product.
pub fn vjp(clock: &Clock) -> Result<(Vec<f64>, Facts), Failure> {
    let mlp = Mlp::new()?;
    let mut x_bar = vec![0.0; DIM * BATCH];
    let mut theta_bar = vec![0.0; mlp.theta.len()];
    let mut scratch = mlp.dynamics.scratch(BATCH);
    let times = clock.time(|| {
        x_bar.fill(0.0);
        theta_bar.fill(0.0);
        let bar = &mlp.x0;
        mlp.dynamics.vjp(mlp.point(), bar, &mut x_bar, &mut theta_bar, &mut scratch);
        Ok(())
    })?;
    let exact = reference(&mlp);
    let bars = x_bar.iter().chain(&theta_bar).copied();
    let facts = Facts {
        nfe: Some(1.0),
        grad_rel_err: Some(relative_error(bars, &[exact.x_bar, exact.theta_bar].concat())),
        ..Facts::default()
    };
    Ok((times, facts))
}

/// x(1).
pub fn forward(tolerance: &str, clock: &Clock) -> Result<(Vec<f64>, Facts), Failure> {
    let (mlp, options) = (Mlp::new()?, options(tolerance)?);
    let end = load::<f64>("mlp_end")?;
    let problem = mlp.problem();
    let mut solver = Solver::new(&mlp.dynamics, &Tsit5, BATCH);
    let times = clock.time(|| {
        solver.solve(&problem, &options)?;
        Ok(())
    })?;
    let solution = solver.solve(&problem, &options)?;
    let facts = Facts { err_max: Some(max_error(solution.last(), &end)), ..Facts::of(&solution.stats) };
    Ok((times, facts))
}

/// Loss and the gradient of all parameters, within `budget_mib` when given.
pub fn gradient(
    tolerance: &str,
    budget_mib: Option<u32>,
    clock: &Clock,
) -> Result<(Vec<f64>, Facts), Failure> {
    let (mlp, options) = (Mlp::new()?, options(tolerance)?);
    let reference = load::<f64>("mlp_gradient")?;
    let budget = budget_mib.map(|mib| mib as usize * (1 << 20));
    let memory = budget.map_or(Memory::Unlimited, Memory::Bytes);
    mlp.reserve();
    let (first, peak) = peak_of(|| {
        let mut adjoint = mlp.adjoint(memory);
        mlp.gradient(&mut adjoint, &options).map(|_| adjoint)
    });
    let mut adjoint = first?;
    // What stays outside the budget: the gradient, as long as θ, and a state and its cotangent.
    let outside = 4 * (mlp.theta.len() + 2 * mlp.x0.len());
    if let Some(budget) = budget.filter(|budget| peak > budget + outside) {
        let most = budget + outside;
        return Err(format!("{peak} bytes were allocated, but the budget allows {most}").into());
    }
    let times = clock.time(|| mlp.gradient(&mut adjoint, &options).map(drop))?;
    let evaluation = mlp.gradient(&mut adjoint, &options)?;
    let facts = Facts {
        loss: Some(evaluation.loss.into()),
        grad_rel_err: Some(relative_error(adjoint.theta_gradient().iter().copied(), &reference)),
        peak_bytes: Some(peak),
        ..Facts::of(&adjoint.solution().stats)
    };
    Ok((times, facts))
}

/// Loss and gradient by the adjoint equation, the state integrated backwards with it, in the full norm.
pub fn backsolve(tolerance: &str, clock: &Clock) -> Result<(Vec<f64>, Facts), Failure> {
    let (mlp, options) = (Mlp::new()?, options(tolerance)?);
    let reference = load::<f64>("mlp_gradient")?;
    let problem = mlp.problem();
    mlp.reserve();
    let settings = || WayBack { on_drift: OnDrift::Warn, ..WayBack::default() };
    let (first, peak) = peak_of(|| {
        let kind = Continuous::Backsolve;
        let mut adjoint = ContinuousAdjoint::new(&mlp.dynamics, &Tsit5, BATCH, kind, settings())?;
        adjoint.value_and_gradient(&problem, &options, sum_of_squares)?;
        Ok::<_, Failure>(adjoint)
    });
    let mut adjoint = first?;
    let times = clock.time(|| {
        adjoint.value_and_gradient(&problem, &options, sum_of_squares)?;
        Ok(())
    })?;
    let evaluation = adjoint.value_and_gradient(&problem, &options, sum_of_squares)?;
    let facts = Facts {
        loss: Some(evaluation.loss.into()),
        grad_rel_err: Some(relative_error(adjoint.theta_gradient().iter().copied(), &reference)),
        peak_bytes: Some(peak),
        ..Facts::of(&adjoint.solution().stats)
    };
    Ok((times, facts))
}

/// Steps of [`long`]: ten times the three that the adaptive solve at 1e-5 takes.
const LONG: usize = 30;

/// Loss and gradient over [`LONG`] equal steps: the discrete adjoint with every stage kept, the reversible one by
/// `Coupled(Tsit5)` in as many steps, and by the asynchronous leapfrog in as many evaluations.
pub fn long(adjoint: &str, clock: &Clock) -> Result<(Vec<f64>, Facts), Failure> {
    let mlp = Mlp::new()?;
    mlp.reserve();
    let steps = if adjoint == "leapfrog" { 6 * LONG } else { LONG };
    let options = Options::fixed(1.0 / steps as f64);
    match adjoint {
        "discrete" => {
            let (first, peak) = peak_of(|| {
                let mut adjoint = mlp.adjoint(Memory::Unlimited);
                mlp.gradient(&mut adjoint, &options).map(|_| adjoint)
            });
            let mut adjoint = first?;
            let times = clock.time(|| mlp.gradient(&mut adjoint, &options).map(drop))?;
            let stats = &adjoint.solution().stats;
            Ok((times, mlp.facts(Facts::of(stats), peak, adjoint.theta_gradient())?))
        }
        "leapfrog" => mlp.reversible(&AsynchronousLeapfrog::default(), &options, clock),
        _ => mlp.reversible(&Coupled::new(Tsit5), &options, clock),
    }
}
