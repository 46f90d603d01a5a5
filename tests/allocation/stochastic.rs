//! Stochastic steps on every source: adaptive and fixed, forward and through the discrete adjoint.

use super::{Case, calls};
use odeon::Result;
use odeon::adjoint::{DiscreteAdjoint, Memory};
use odeon::dynamics::generic::{Generic, VectorField};
use odeon::integrate::{Options, Problem};
use odeon::num::Scalar;
use odeon::ode::Solver;
use odeon::sde::noise::{Brownian, FixedGrid, IntervalTree, Levy, VirtualTree};
use odeon::sde::srk::{SrkStepper, StochasticRk, StochasticTableau};
use odeon::sde::{Calculus, Diagonal, NoiseClass, Sde, SdeMethod, tableaux};

/// (p₀ sin y₁ − y₀, p₁ cos y₀ − y₁).
struct Drift;

/// p (1 + ½ sin y).
struct Spread;

impl VectorField for Drift {
    fn dim(&self) -> usize {
        2
    }
    fn num_params(&self) -> usize {
        2
    }
    #[inline(always)]
    fn eval<S: Scalar>(&self, _: S, y: &[S], p: &[S], dy: &mut [S]) {
        dy[0] = p[0] * y[1].sin() - y[0];
        dy[1] = p[1] * y[0].cos() - y[1];
    }
}

impl VectorField for Spread {
    fn dim(&self) -> usize {
        2
    }
    fn num_params(&self) -> usize {
        1
    }
    #[inline(always)]
    fn eval<S: Scalar>(&self, _: S, y: &[S], p: &[S], dy: &mut [S]) {
        dy[0] = p[0] * (S::one() + S::of(0.5) * y[0].sin());
        dy[1] = p[0] * (S::one() + S::of(0.5) * y[1].sin());
    }
}

const THETA: [f64; 3] = [1.1, 0.8, 0.4];
/// The span of the shorter solve; the sources cover four of them.
const SPAN: f64 = 1.0;
/// Fixed steps in it.
const STEPS: usize = 64;

type Equation = Sde<Generic<Drift>, Diagonal<Generic<Spread>>>;
type Source = Box<dyn Brownian<f64>>;

/// Each source of areas, and whether adaptive steps may be taken on it.
fn sources(paths: usize) -> Result<Vec<(&'static str, bool, Source)>> {
    let span = [0.0, 4.0 * SPAN];
    let resolution = 1.0 / (1 << 20) as f64;
    let levy = Levy::SpaceTime;
    Ok(vec![
        ("virtual tree", true, Box::new(VirtualTree::new(5, span, 2, paths, resolution)?.levy(levy))),
        ("interval tree", true, Box::new(IntervalTree::new(5, span, 2, paths)?.levy(levy))),
        ("grid", false, Box::new(FixedGrid::new(5, span, 4 * STEPS, 2, paths)?.levy(levy))),
    ])
}

pub fn steps_allocate_nothing() -> Result<()> {
    for table in tableaux::all() {
        let sde = match table.calculus {
            Calculus::Ito => Sde::ito(Generic(Drift), Diagonal(Generic(Spread))),
            Calculus::Stratonovich => Sde::stratonovich(Generic(Drift), Diagonal(Generic(Spread))),
        };
        for paths in [1, 5] {
            let y0: Vec<f64> = [0.4, -0.3].repeat(paths);
            let case = Case { dynamics: &Generic(Drift), y0: &y0, theta: &THETA, span: SPAN };
            for fixed in [false, true] {
                if !fixed && !table.has_error() {
                    continue;
                }
                let options =
                    if fixed { Options::fixed(SPAN / STEPS as f64) } else { Options::tol(1e-3, 1e-3) };
                for (name, adaptive, source) in sources(paths)? {
                    if table.strength(NoiseClass::Diagonal).is_some() && (fixed || adaptive) {
                        let what = format!("{}, {name}, {paths} paths, fixed: {fixed}", table.name);
                        forward(&sde, table, source, &case.problem(1.0), &options, &what)?;
                    }
                }
            }
        }
    }
    for fixed in [false, true] {
        gradients(fixed)?;
    }
    Ok(())
}

/// A solver used once for the longer solve allocates as often for it as for the shorter: a constant.
fn forward(
    sde: &Equation,
    table: &'static StochasticTableau,
    source: Source,
    problem: &Problem<'_, f64>,
    options: &Options<f64>,
    what: &str,
) -> Result<()> {
    let mut solver = Solver::with(table.stepper(sde, source)?);
    let mut run = |times: f64| -> Result<(usize, usize)> {
        let problem = Problem { span: [0.0, times * SPAN], ..*problem };
        let (count, accepted) =
            calls(|| solver.solve(&problem, options).map(|solution| solution.stats.accepted));
        Ok((count, accepted?))
    };
    run(4.0)?;
    let [(short, few), (long, many)] = [run(1.0)?, run(4.0)?];
    assert!(few >= 5 && many >= 2 * few, "{what}: {few} and {many} steps");
    assert_eq!(short, long, "{what}: {few} and {many} steps");
    assert!(long <= 2, "{what}: {long} allocations for a solve");
    Ok(())
}

/// With memory for every stage. (Under 64 KiB a shorter solve after a longer one allocates once more: unexplained.)
fn gradients(fixed: bool) -> Result<()> {
    let sde = Sde::ito(Generic(Drift), Diagonal(Generic(Spread)));
    let options = if fixed { Options::fixed(SPAN / STEPS as f64) } else { Options::tol(1e-3, 1e-3) };
    let y0 = [0.4, -0.3].repeat(3);
    let case = Case { dynamics: &Generic(Drift), y0: &y0, theta: &THETA, span: SPAN };
    let memory = Memory::Unlimited;
    for (_, adaptive, source) in sources(3)? {
        if fixed || adaptive {
            let stepper = SrkStepper::new(&sde, tableaux::Sosri.tableau(), source)?;
            case.reverse(DiscreteAdjoint::new(stepper, memory), memory, &options)?;
        }
    }
    Ok(())
}
