//! What solves, gradients and ensembles allocate: nothing per accepted step once their memory is
//! warm, and under a budget no more bytes than it allows. Counted by the global allocator of this
//! test alone, so there is one test function: a second would be counted with it.

use odeon::Result;
use odeon::adjoint::{DiscreteAdjoint, Memory};
use odeon::dynamics::compose::WithMass;
use odeon::dynamics::gallery::{Arenstorf, Pleiades, VanDerPol};
use odeon::dynamics::generic::{Generic, VectorField};
use odeon::dynamics::{Dynamics, Mass};
use odeon::integrate::{Options, Problem, Reverse, Save, Solution, StepInfo};
use odeon::model::NeuralOde;
use odeon::nn::{Activation, Initializer, Network};
use odeon::num::{Scalar, parallel};
use odeon::ode::switch::AutoTsit5;
use odeon::ode::tableau::ExplicitRk;
use odeon::ode::tableaux::{self, Dop853, Tsit5};
use odeon::ode::tableaux_rosenbrock;
use odeon::ode::{ExplicitStepper, Solver, StepMethod, solve_ensemble};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

#[path = "allocation/adjoints.rs"]
mod adjoints;
#[path = "allocation/stochastic.rs"]
mod stochastic;

struct Counting;

static CALLS: AtomicUsize = AtomicUsize::new(0);
static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn grow(bytes: usize) {
    CALLS.fetch_add(1, Relaxed);
    let live = LIVE.fetch_add(bytes, Relaxed) + bytes;
    PEAK.fetch_max(live, Relaxed);
}

// SAFETY: every call goes to the system's allocator unchanged; counting touches atomics alone.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LIVE.fetch_sub(layout.size(), Relaxed);
        grow(size);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Calls of the allocator during `work`, and what it returns.
fn calls<R>(work: impl FnOnce() -> R) -> (usize, R) {
    let before = CALLS.load(Relaxed);
    let result = work();
    (CALLS.load(Relaxed) - before, result)
}

/// Most bytes that live at a time during `work`, those from before it not counted.
fn peak<R>(work: impl FnOnce() -> R) -> (usize, R) {
    let before = LIVE.load(Relaxed);
    PEAK.store(before, Relaxed);
    let result = work();
    (PEAK.load(Relaxed) - before, result)
}

#[test]
fn steps_allocate_nothing_and_budgets_hold() -> Result<()> {
    let (counted, kept) = calls(|| std::hint::black_box(vec![1.0; 9]));
    assert_eq!(counted, 1, "the counter counts");
    drop(kept);
    let (bytes, ()) = peak(|| drop(std::hint::black_box(vec![1.0; 9])));
    assert_eq!(bytes, 72, "the peak is seen");
    let neural = neural()?;
    solves_allocate_nothing_per_step(&neural)?;
    rosenbrock_steps_allocate_nothing()?;
    gradients_allocate_nothing_per_step(&neural)?;
    adjoints::gradients_allocate_nothing_per_step(&neural)?;
    ensembles_allocate_nothing_per_step()?;
    stochastic::steps_allocate_nothing()?;
    budgets_hold_in_bytes(&neural)
}

/// A network with its parameters and a batch of states.
struct Neural {
    dynamics: NeuralOde,
    theta: Vec<f64>,
    y0: Vec<f64>,
}

fn neural() -> Result<Neural> {
    let network =
        Network::builder(8).concat_time().dense(24).activation(Activation::Tanh).dense(8).build()?;
    Ok(Neural {
        theta: network.init(Initializer::GlorotNormal, 1)?,
        y0: (0..8 * 16).map(|i| f64::from(i).sin()).collect(),
        dynamics: NeuralOde::new(network)?,
    })
}

/// A system and data to solve it with; `span` is that of the shorter of two solves.
struct Case<'a, D> {
    dynamics: &'a D,
    y0: &'a [f64],
    theta: &'a [f64],
    span: f64,
}

impl<'a, D: Dynamics<f64>> Case<'a, D> {
    fn problem(&self, times: f64) -> Problem<'a, f64> {
        Problem { y0: self.y0, span: [0.0, times * self.span], theta: self.theta }
    }

    /// A solver used once for the longer solve allocates as often for it as for the shorter, and
    /// that is a constant.
    fn solve(&self, method: &impl StepMethod<f64, D>, options: &Options<f64>) -> Result<()> {
        let mut solver = Solver::new(self.dynamics, method, self.y0.len() / self.dynamics.dim());
        let mut run = |times: f64| -> Result<(usize, usize)> {
            let (count, solution) = calls(|| {
                let solved = solver.solve(&self.problem(times), options);
                solved.map(|s| s.stats.accepted)
            });
            Ok((count, solution?))
        };
        run(4.0)?;
        let [(short, few), (long, many)] = [run(1.0)?, run(4.0)?];
        assert!(few >= 5 && many >= 2 * few, "{few} and {many} steps");
        assert_eq!(short, long, "{few} and {many} steps");
        assert!(long <= 2, "{long} allocations for a solve");
        Ok(())
    }

    fn adjoint(&self, memory: Memory) -> DiscreteAdjoint<f64, ExplicitStepper<'a, f64, D>> {
        let batch = self.y0.len() / self.dynamics.dim();
        DiscreteAdjoint::new(ExplicitStepper::new(self.dynamics, &Tsit5, batch), memory)
    }

    fn gradient(&self, memory: Memory, options: &Options<f64>) -> Result<()> {
        self.reverse(self.adjoint(memory), memory, options)
    }

    /// As [`solve`](Self::solve), for a solve and its reverse.
    fn reverse<S: Reverse<f64>>(
        &self,
        mut adjoint: DiscreteAdjoint<f64, S>,
        memory: Memory,
        options: &Options<f64>,
    ) -> Result<()> {
        let y_bar = vec![1.0; self.y0.len()];
        let mut run = |times: f64| -> Result<(usize, usize)> {
            let (count, steps) = calls(|| -> Result<usize> {
                let problem = self.problem(times);
                let steps = adjoint.forward(&problem, options, &mut [])?.steps.len();
                adjoint.reverse(&y_bar, &[], &mut [])?;
                Ok(steps)
            });
            Ok((count, steps?))
        };
        run(4.0)?;
        let [(short, few), (long, many)] = [run(1.0)?, run(4.0)?];
        assert!(few >= 5 && many >= 2 * few, "{few} and {many} steps");
        assert_eq!(short, long, "{memory:?}: {few} and {many} steps");
        assert!(long <= 2, "{memory:?}: {long} allocations for a gradient");
        Ok(())
    }

    /// Work space that a gradient reports with the least of memory, and the steps of the solve.
    fn work_bytes(&self, options: &Options<f64>) -> Result<(usize, usize)> {
        let mut adjoint = self.adjoint(Memory::Unlimited);
        let steps = adjoint.forward(&self.problem(1.0), options, &mut [])?.steps.len();
        Ok((adjoint.statistics().work_bytes, steps))
    }

    /// Bytes that lived at the peak of a gradient, from before the adjoint was made, beyond those
    /// that no budget counts: two copies of θ (the stepper's and the gradient), the saved states with
    /// their cotangents and times, and the steps' record.
    fn beyond(&self, memory: Memory, options: &Options<f64>) -> Result<Measured> {
        let (bytes, outcome) = peak(|| -> Result<_> {
            let mut adjoint = self.adjoint(memory);
            adjoint.value_and_gradient(&self.problem(1.0), options, &mut [], half_square)?;
            let solution = adjoint.solution();
            let saved = 2 * size_of_val(&solution.y[..])
                + size_of_val(&solution.t[..])
                + size_of_val(&solution.located[..]);
            let record = solution.steps.capacity() * size_of::<StepInfo<f64>>();
            Ok((saved + record, adjoint.statistics()))
        });
        let (uncounted, stats) = outcome?;
        Ok(Measured {
            bytes: bytes.saturating_sub(uncounted + 2 * size_of_val(self.theta)),
            replayed: stats.replayed,
            nfe: stats.nfe,
        })
    }
}

struct Measured {
    bytes: usize,
    replayed: usize,
    nfe: usize,
}

/// Σ y²/2.
fn half_square(solution: &Solution<f64>, y_bar: &mut [f64]) -> Result<f64> {
    y_bar.copy_from_slice(&solution.y);
    Ok(solution.y.iter().map(|y| 0.5 * y * y).sum())
}

fn solves_allocate_nothing_per_step(neural: &Neural) -> Result<()> {
    let times: Vec<f64> = (0..20).map(|i| 0.05 * f64::from(i)).collect();
    for method in tableaux::all() {
        if method.error.is_empty() {
            continue;
        }
        for options in [Options::tol(1e-6, 1e-6), Options::tol(1e-6, 1e-6).save_at(times.clone())] {
            Case { dynamics: &Generic(VanDerPol), y0: &VanDerPol::Y0, theta: &VanDerPol::THETA, span: 10.0 }
                .solve(method, &options)?;
        }
    }
    for save in [Save::EveryStep, Save::Dense] {
        Case {
            dynamics: &Generic(Pleiades),
            y0: &Pleiades::Y0.repeat(9),
            theta: &Pleiades::THETA,
            span: 0.75,
        }
        .solve(Dop853.tableau(), &Options::tol(1e-8, 1e-8).save(save.clone()))?;
        Case { dynamics: &neural.dynamics, y0: &neural.y0, theta: &neural.theta, span: 2.0 }
            .solve(Tsit5.tableau(), &Options::tol(1e-8, 1e-8).save(save))?;
    }
    Ok(())
}

/// Dense and sparse matrices, one system and a batch, ordinary and differential-algebraic; gradients too.
fn rosenbrock_steps_allocate_nothing() -> Result<()> {
    let options = Options::tol(1e-6, 1e-6);
    let case = Case { dynamics: &Generic(VanDerPol), y0: &VanDerPol::Y0, theta: &[1e3], span: 500.0 };
    case.solve(&AutoTsit5, &options)?;
    let adjoint = DiscreteAdjoint::new(AutoTsit5.stepper(case.dynamics, 1), Memory::Unlimited);
    case.reverse(adjoint, Memory::Unlimited, &options)?;
    let dae = WithMass { inner: Generic(VanDerPol), mass: Mass::Diagonal(vec![1.0, 0.5]) };
    let diffusion = Generic(Diffusion);
    for method in tableaux_rosenbrock::all() {
        let (y0, theta) = (&VanDerPol::Y0, &VanDerPol::THETA);
        for y0 in [&y0[..], &y0.repeat(3)] {
            let case = Case { dynamics: &Generic(VanDerPol), y0, theta, span: 10.0 };
            case.solve(method, &options)?;
            let adjoint =
                DiscreteAdjoint::new(method.stepper(case.dynamics, y0.len() / 2), Memory::Unlimited);
            case.reverse(adjoint, Memory::Unlimited, &options)?;
        }
        Case { dynamics: &dae, y0, theta, span: 10.0 }.solve(method, &options)?;
        let y0: Vec<f64> = (0..40).map(|i| f64::from(i).sin()).collect();
        let options = Options { dt_max: Some(0.01), ..options.clone() };
        Case { dynamics: &diffusion, y0: &y0, theta: &[], span: 2.0 }.solve(method, &options)?;
    }
    Ok(())
}

/// y_i' = 20 (y_{i−1} − 2y_i + y_{i+1}) − y_i³, sparse.
struct Diffusion;

impl VectorField for Diffusion {
    fn dim(&self) -> usize {
        40
    }
    fn num_params(&self) -> usize {
        0
    }
    #[inline(always)]
    fn eval<S: Scalar>(&self, _: S, y: &[S], _: &[S], dy: &mut [S]) {
        for i in 0..40 {
            let (left, right) = (y[i.max(1) - 1], y[(i + 1).min(39)]);
            dy[i] = S::of(20.0) * (left - S::of(2.0) * y[i] + right) - y[i] * y[i] * y[i];
        }
    }
}

fn gradients_allocate_nothing_per_step(neural: &Neural) -> Result<()> {
    let options = Options::tol(1e-8, 1e-8);
    // The last two budgets are too small for the longer solve's stages, then for its states.
    for bytes in [usize::MAX, 1 << 20, 40 << 10, 4 << 10] {
        let memory = match bytes {
            usize::MAX => Memory::Unlimited,
            bytes => Memory::Bytes(bytes),
        };
        Case { dynamics: &Generic(VanDerPol), y0: &VanDerPol::Y0, theta: &VanDerPol::THETA, span: 8.0 }
            .gradient(memory, &options)?;
    }
    let case = Case { dynamics: &neural.dynamics, y0: &neural.y0, theta: &neural.theta, span: 1.0 };
    let (work, _) = case.work_bytes(&options)?;
    let state = size_of_val(&neural.y0[..]);
    case.gradient(Memory::Unlimited, &options)?;
    case.gradient(Memory::Bytes(work + 100_000_000), &options)?;
    case.gradient(Memory::Bytes(work + 4 * state), &options)
}

/// In lanes, where nothing is kept per step, exactly; one at a time the record of steps doubles,
/// once in a chunk of trajectories, when a solve is longer than any before.
fn ensembles_allocate_nothing_per_step() -> Result<()> {
    let y0: Vec<f64> = (0..100).flat_map(|i| [2.0 + 0.01 * f64::from(i), 0.0]).collect();
    let in_lanes = Options::tol(1e-7, 1e-7);
    let one_by_one = Options { max_nfe: 1_000_000, ..in_lanes.clone() };
    parallel::with_threads(1, || {
        for (options, doublings) in [(in_lanes, 0), (one_by_one, 3)] {
            let run = |t1: f64| -> Result<(usize, usize)> {
                let problem = Problem { y0: &y0, span: [0.0, t1], theta: &VanDerPol::THETA };
                let (count, ensemble) =
                    calls(|| solve_ensemble(&Generic(VanDerPol), &Tsit5, &problem, &options));
                Ok((count, ensemble?.stats.iter().map(|s| s.accepted).sum()))
            };
            run(10.0)?;
            let [(short, few), (long, many)] = [run(10.0)?, run(40.0)?];
            assert!(many > 3 * few, "{few} and {many} steps");
            assert!(
                (short..=short + doublings).contains(&long),
                "{short} allocations in {few} steps, {long} in {many}"
            );
        }
        Ok(())
    })?
}

/// Bytes beyond the budget that bookkeeping of a fixed size takes: the method's layout, options,
/// weights and flags of stages.
const CONSTANT: usize = 8 << 10;

fn budgets_hold_in_bytes(neural: &Neural) -> Result<()> {
    let generic = Case {
        dynamics: &Generic(Arenstorf),
        y0: &Arenstorf::Y0.repeat(40),
        theta: &Arenstorf::THETA,
        span: 4.0,
    };
    holds(&generic)?;
    holds(&Case { dynamics: &neural.dynamics, y0: &neural.y0, theta: &neural.theta, span: 8.0 })
}

/// Budgets for all stages, for all states, and for an eighth of the states.
fn holds<D: Dynamics<f64>>(case: &Case<'_, D>) -> Result<()> {
    let options = Options::tol(1e-8, 1e-8);
    let (work, steps) = case.work_bytes(&options)?;
    let state = size_of_val(case.y0);
    assert!(steps >= 24, "{steps} steps");
    for (what, states) in [("stages", 40 * steps), ("states", steps), ("binomial", steps / 8)] {
        let budget = work + states * state;
        let measured = case.beyond(Memory::Bytes(budget), &options)?;
        match what {
            "stages" => assert_eq!((measured.nfe, measured.replayed), (0, 0), "{what}"),
            "states" => assert_eq!(measured.replayed, steps, "{what}"),
            _ => assert!(measured.replayed > steps, "{what}"),
        }
        assert!(
            measured.bytes <= budget + CONSTANT,
            "{what}: {} bytes, {budget} allowed ({work} of work space)",
            measured.bytes
        );
    }
    Ok(())
}
