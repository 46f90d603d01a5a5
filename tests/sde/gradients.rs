//! The discrete adjoint through stochastic steps against sixth-order differences of the replay on the same
//! noise, along two directions: every method and class it takes, saves inside steps, memory modes, penalties.

use super::problems::{Drift, Other, Still, Visit, with};
use odeon::adjoint::{DiscreteAdjoint, Memory, Weighted};
use odeon::dynamics::generic::Generic;
use odeon::integrate::{ErrorEstimate, Options, Problem, Save, Solution, Stiffness};
use odeon::num::ErrorNorm;
use odeon::regularise::Global;
use odeon::sde::noise::{Brownian, FixedGrid, IntervalTree, Levy};
use odeon::sde::srk::{SrkStepper, StochasticTableau};
use odeon::sde::{Additive, Calculus, Crossed, Diffusion, General, NoiseClass, Sde, System, tableaux};

/// General noise of diagonal shape.
fn crossed() -> Sde<Generic<Drift>, Crossed<Generic<Other>>> {
    Sde::stratonovich(Generic(Drift), Crossed(Generic(Other)))
}

/// Additive noise, constant in time, of matrix shape.
fn still() -> Sde<Generic<Drift>, Additive<General<Generic<Still>>>> {
    Sde::ito(Generic(Drift), Additive(General(vec![Generic(Still); 3])))
}

const PATHS: usize = 3;
const START: [f64; 6] = [0.4, -0.3, 0.9, 0.1, -0.5, 0.7];

fn tree(components: usize) -> IntervalTree<f64> {
    IntervalTree::new(5, [0.0, 1.0], components, PATHS).unwrap().levy(Levy::SpaceTime)
}

/// L = Σ wᵢ yᵢ + ½|y|² over all saved numbers, with its cotangents.
fn loss(solution: &Solution<f64>, bar: &mut [f64]) -> f64 {
    let w = |i: usize| (1.7 * i as f64 + 0.4).sin();
    for (i, (b, y)) in bar.iter_mut().zip(&solution.y).enumerate() {
        *b = w(i) + y;
    }
    solution.y.iter().enumerate().map(|(i, y)| w(i) * y + 0.5 * y * y).sum()
}

#[derive(Clone, Copy, PartialEq)]
enum Penalties {
    None,
    Both,
}

/// The penalties, the error in a norm without max(|y0|, |y1|), whose kinks differences would straddle.
fn heuristics() -> (Global<f64, ErrorEstimate<f64>>, Global<f64, Stiffness<f64>>) {
    let norm = Some(ErrorNorm::new(0.0, 0.1));
    let error = ErrorEstimate { squared: true, norm, ..Default::default() };
    (Global::sum(error), Global::sum(Stiffness { squared: true, ..Default::default() }))
}

struct Gradient<'a> {
    method: &'a StochasticTableau,
    options: Options<f64>,
    penalties: Penalties,
    memory: Memory,
    grid: bool,
}

impl Gradient<'_> {
    /// The largest difference between adjoint and differences, relative to the largest derivative.
    fn off<S: System<f64>>(&self, sde: &S, theta: &[f64]) -> f64 {
        let m = sde.diffusion().components();
        let source = || -> Box<dyn Brownian<f64>> {
            match self.grid {
                true => Box::new(FixedGrid::new(5, [0.0, 1.0], 16, m, PATHS).unwrap().levy(Levy::SpaceTime)),
                false => Box::new(tree(m)),
            }
        };
        let made = || SrkStepper::new(sde, self.method, source()).unwrap();
        let mut adjoint = DiscreteAdjoint::new(made(), self.memory);
        let problem = Problem { y0: &START, span: [0.0, 1.0], theta };
        let (mut error, mut stiffness) = heuristics();
        let weights = match self.penalties {
            Penalties::None => vec![],
            Penalties::Both => vec![0.3, 0.02],
        };
        let scalar =
            |adjoint: &mut DiscreteAdjoint<f64, _>, problem: &Problem<'_, f64>, recorded: &Solution<f64>| {
                let (mut error, mut stiffness) = heuristics();
                let mut list: Vec<Weighted<'_, f64>> = Vec::new();
                if let [a, b] = weights[..] {
                    list.push(Weighted { weight: a, penalty: &mut error });
                    list.push(Weighted { weight: b, penalty: &mut stiffness });
                }
                let solution = adjoint.replay(problem, recorded, &self.options, &mut list).unwrap().clone();
                let value = loss(&solution, &mut vec![0.0; solution.y.len()]);
                list.iter().fold(value, |sum, p| sum + p.weight * p.penalty.value())
            };
        let mut list: Vec<Weighted<'_, f64>> = Vec::new();
        if let [a, b] = weights[..] {
            list.push(Weighted { weight: a, penalty: &mut error });
            list.push(Weighted { weight: b, penalty: &mut stiffness });
        }
        adjoint.value_and_gradient(&problem, &self.options, &mut list, |s, bar| Ok(loss(s, bar))).unwrap();
        let recorded = adjoint.solution().clone();
        let ours = [adjoint.y0_gradient(), adjoint.theta_gradient()].concat();
        let mut other = DiscreteAdjoint::new(made(), Memory::Unlimited);
        let all = [&START[..], theta].concat();
        let scale = ours.iter().fold(0.0, |s: f64, g| s.max(g.abs()));
        let step = 1e-3;
        // Two directions without symmetry see an error in any entry.
        (0..2)
            .map(|k| {
                let direction: Vec<f64> =
                    (0..all.len()).map(|i| (1.3 * i as f64 + 2.1 * k as f64 + 0.7).cos()).collect();
                let mut at = |by: f64| {
                    let moved: Vec<f64> = all.iter().zip(&direction).map(|(x, d)| x + by * d).collect();
                    let (y0, theta) = moved.split_at(START.len());
                    scalar(&mut other, &Problem { y0, span: [0.0, 1.0], theta }, &recorded)
                };
                let mut pair = |k: f64| at(k * step) - at(-k * step);
                let difference = (45.0 * pair(1.0) - 9.0 * pair(2.0) + pair(3.0)) / (60.0 * step);
                let along: f64 = ours.iter().zip(&direction).map(|(g, d)| g * d).sum();
                (along - difference).abs() / scale
            })
            .fold(0.0, f64::max)
    }
}

impl Visit for Gradient<'_> {
    type Output = f64;
    fn visit<G: Diffusion<f64>>(&mut self, sde: &Sde<Generic<Drift>, G>, theta: &[f64]) -> f64 {
        self.off(sde, theta)
    }
}

fn inside() -> Save<f64> {
    Save::At(vec![0.0, 0.13, 0.5, 0.77, 1.0])
}

#[test]
fn every_method_on_every_class_it_takes() {
    let mut count = 0;
    for method in tableaux::all() {
        for class in NoiseClass::ALL.into_iter().filter(|c| method.strength(*c).is_some()) {
            for (save, grid) in [(inside(), false), (Save::EveryStep, true)] {
                let options = Options::fixed(1.0 / 16.0).save(save);
                let mut check =
                    Gradient { method, options, penalties: Penalties::None, memory: Memory::Unlimited, grid };
                let off = with(class, method.calculus, &mut check);
                assert!(off < 1e-9, "{} on {class} noise, grid {grid}: {off:e}", method.name);
                count += 1;
            }
        }
    }
    assert!(count > 80, "{count}");
}

#[test]
fn adaptive_steps_and_penalties() {
    for method in tableaux::all().into_iter().filter(|t| t.has_error()) {
        for class in NoiseClass::ALL.into_iter().filter(|c| method.strength(*c).is_some()) {
            let options = Options::tol(3e-2, 3e-2).save(inside());
            let memory = Memory::Unlimited;
            let mut check = Gradient { method, options, penalties: Penalties::Both, memory, grid: false };
            let off = with(class, method.calculus, &mut check);
            assert!(off < 2e-8, "{} on {class} noise: {off:e}", method.name);
        }
    }
}

#[test]
fn thinned_checkpoints_give_the_same_gradient() {
    let method = tableaux::by_name("SOSRI").unwrap();
    let options = Options::fixed(1.0 / 64.0).save(inside());
    for bytes in [24_500, 30_000, 200_000] {
        let (penalties, memory) = (Penalties::None, Memory::Bytes(bytes));
        let mut check = Gradient { method, options: options.clone(), penalties, memory, grid: false };
        let off = with(NoiseClass::Diagonal, Calculus::Ito, &mut check);
        assert!(off < 1e-9, "{bytes} bytes: {off:e}");
    }
}

#[test]
fn diagonal_shape_of_general_noise_and_more_motions_than_rows() {
    let gradient = |name: &str| {
        let options = Options::fixed(1.0 / 16.0).save(inside());
        let method = tableaux::by_name(name).unwrap();
        Gradient { method, options, penalties: Penalties::None, memory: Memory::Unlimited, grid: false }
    };
    let off = gradient("Spark").off(&crossed(), &[1.1, 0.8, 0.6, 0.5]);
    assert!(off < 1e-9, "crossed: {off:e}");
    for name in ["SRA3", "Shark", "EulerMaruyama", "Heun"] {
        let off = gradient(name).off(&still(), &[1.1, 0.8, 0.6, 0.5, 0.2, 0.9, -0.3, 0.4]);
        assert!(off < 1e-9, "{name}: {off:e}");
    }
}
