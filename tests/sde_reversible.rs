//! Reversible Heun: the published step and its exact adjoint without stored states against the discrete
//! adjoint (1e-10) and finite differences of the replay (1e-6), for every class of noise.

mod sde_adjoint_support;

use odeon::Result;
use odeon::adjoint::{DiscreteAdjoint, Memory, ReversibleAdjoint, Weighted};
use odeon::dynamics::generic::{Generic, VectorField};
use odeon::dynamics::{Dynamics, Point};
use odeon::integrate::{Options, Penalty, Problem, Save, Silent, Solution, Stepper};
use odeon::model::NeuralOde;
use odeon::nn::{Activation, Network};
use odeon::num::Scalar as Number;
use odeon::ode::Solver;
use odeon::regularise::Global;
use odeon::sde::noise::{Brownian, FixedGrid, IntervalTree};
use odeon::sde::tableaux::Heun;
use odeon::sde::{Constant, Diagonal, Diffusion, ReversibleHeun, Sde, SdeMethod, Shape, System, solve};
use sde_adjoint_support::*;

const PATHS: usize = 3;

/// A source for `system`, and the problem's initial state.
fn setup<S: System<f64>>(system: &S, paths: usize) -> (usize, Vec<f64>) {
    let y0 = wave(system.dim() * paths, 0.3);
    (system.diffusion().components(), y0)
}

/// Algorithm 1 in plain loops: all states.
fn by_hand<S: System<f64>>(system: &S, theta: &[f64], mut noise: FixedGrid<f64>, steps: usize) -> Vec<f64> {
    let (m, y0) = setup(system, PATHS);
    let (d, h) = (system.dim(), 1.0 / steps as f64);
    let (theta_f, theta_g) = theta.split_at(system.drift().num_params());
    let increment = |t: f64, hat: &[f64], w: &[f64]| -> Vec<f64> {
        let (f, g) = (system.drift(), system.diffusion());
        let mut drift = vec![0.0; hat.len()];
        f.eval(Point { t, y: hat, theta: theta_f }, &mut drift, &mut f.scratch(PATHS));
        let mut values = vec![0.0; g.entries() * PATHS];
        g.eval(Point { t, y: hat, theta: theta_g }, &mut values, &mut g.scratch(PATHS));
        let noise = |i: usize, path: usize| -> f64 {
            match g.shape() {
                Shape::Diagonal => values[path * d + i] * w[path * d + i],
                Shape::Matrix => (0..m).map(|k| values[(path * m + k) * d + i] * w[path * m + k]).sum(),
            }
        };
        (0..hat.len()).map(|i| drift[i] * h + noise(i % d, i / d)).collect()
    };
    let (mut y, mut hat, mut all) = (y0.clone(), y0.clone(), y0);
    let mut w = vec![0.0; m * PATHS];
    for n in 0..steps {
        let t = n as f64 * h;
        noise.increment(t, t + h, &mut w, &mut []).unwrap();
        let before = increment(t, &hat, &w);
        hat = (0..y.len()).map(|i| 2.0 * y[i] - hat[i] + before[i]).collect();
        let after = increment(t + h, &hat, &w);
        (0..y.len()).for_each(|i| y[i] += 0.5 * (before[i] + after[i]));
        all.extend_from_slice(&y);
    }
    all
}

fn check_by_hand<S: System<f64>>(system: &S) -> Result<()> {
    let theta = theta(system.diffusion().num_params());
    let (m, y0) = setup(system, PATHS);
    let noise = FixedGrid::new(5, [0.0, 1.0], 8, m, PATHS)?;
    let problem = Problem { y0: &y0, span: [0.0, 1.0], theta: &theta };
    let options = Options::fixed(0.125).save(Save::EveryStep);
    let solution = solve(system, &ReversibleHeun, noise.clone(), &problem, &options)?;
    assert_eq!((solution.dim, solution.batch, solution.t.len()), (2, PATHS, 9));
    assert_eq!(solution.stats.nfe, 9, "one evaluation a step, and one at the start");
    let error = relative(&solution.y, &by_hand(system, &theta, noise, 8));
    assert!(error < 1e-14, "{error:.1e}");
    Ok(())
}

#[test]
fn steps_are_those_of_algorithm_1() -> Result<()> {
    check_by_hand(&diagonal())?;
    check_by_hand(&crossed())?;
    check_by_hand(&scalar())?;
    check_by_hand(&additive())?;
    check_by_hand(&constant())?;
    check_by_hand(&commutative())?;
    check_by_hand(&general())
}

#[test]
fn without_noise_the_order_is_two() -> Result<()> {
    let quiet = Sde::stratonovich(Generic(Twist), Constant::diagonal(2));
    let theta = [&DRIFT[..], &[0.0, 0.0]].concat();
    let y0 = [0.4; 2];
    let problem = Problem { y0: &y0, span: [0.0, 1.0], theta: &theta };
    let end = |n: usize| -> Result<Vec<f64>> {
        let noise = FixedGrid::new(1, [0.0, 1.0], n, 2, 1)?;
        Ok(solve(&quiet, &ReversibleHeun, noise, &problem, &Options::fixed(1.0 / n as f64))?.y)
    };
    let (exact, counts) = (end(16384)?, [64, 128, 256, 512]);
    let errors = counts.iter().map(|n| Ok(relative(&end(*n)?, &exact))).collect::<Result<Vec<f64>>>()?;
    let h: Vec<f64> = counts.iter().map(|n| 1.0 / *n as f64).collect();
    let found = slope(&h, &errors);
    assert!((found - 2.0).abs() < 0.1, "slope {found:.3} of the ordinary equation: {errors:?}");
    Ok(())
}

#[test]
fn a_path_is_the_same_alone_and_in_a_batch() -> Result<()> {
    let (system, theta) = (general(), theta(6));
    let y0 = wave(2 * 300, 0.3);
    let options = Options::fixed(0.125);
    let end = |first: usize, paths: usize| -> Result<Vec<f64>> {
        let noise = FixedGrid::new(5, [0.0, 1.0], 8, 3, paths)?.paths_from(first)?;
        let y0 = &y0[2 * first..2 * (first + paths)];
        let problem = Problem { y0, span: [0.0, 1.0], theta: &theta };
        Ok(solve(&system, &ReversibleHeun, noise, &problem, &options)?.y)
    };
    let all = end(0, 300)?;
    for path in [0, 127, 128, 299] {
        assert_eq!(end(path, 1)?, all[2 * path..2 * path + 2]);
    }
    Ok(())
}

/// Σ w·y + |y|²/2 over all saved states.
fn loss(y: &[f64]) -> f64 {
    wave(y.len(), 0.4).iter().zip(y).map(|(w, y)| w * y + 0.5 * y * y).sum()
}

fn loss_bars(y: &[f64]) -> Vec<f64> {
    wave(y.len(), 0.4).iter().zip(y).map(|(w, y)| w + y).collect()
}

/// One case: a gradient three ways.
struct Case<'a, S, B> {
    system: &'a S,
    noise: B,
    theta: Vec<f64>,
    y0: Vec<f64>,
    options: Options<f64>,
    penalised: bool,
}

/// λ of the penalty.
const WEIGHT: f64 = 0.7;

impl<S: System<f64>, B: Brownian<f64> + Clone> Case<'_, S, B> {
    /// (y0, θ) by the reversible adjoint, and the solution.
    fn reversible(&self) -> Result<(Vec<f64>, Solution<f64>)> {
        let mut adjoint = ReversibleAdjoint::new(ReversibleHeun.stepper(self.system, self.noise.clone())?);
        let mut error = Global::error();
        let mut penalties = [Weighted { weight: WEIGHT, penalty: &mut error }];
        let penalties = &mut penalties[..usize::from(self.penalised)];
        let problem = Problem { y0: &self.y0, span: [0.0, 1.0], theta: &self.theta };
        adjoint.value_and_gradient(&problem, &self.options, penalties, |solution, bar| {
            bar.copy_from_slice(&loss_bars(&solution.y));
            Ok(loss(&solution.y))
        })?;
        assert!(adjoint.drift() < 1e-11, "{}", adjoint.drift());
        let gradient = [adjoint.y0_gradient(), adjoint.theta_gradient()].concat();
        Ok((gradient, adjoint.solution().clone()))
    }

    /// The same by the discrete adjoint through the recorded steps.
    fn discrete(&self, recorded: &Solution<f64>) -> Result<Vec<f64>> {
        let stepper = ReversibleHeun.stepper(self.system, self.noise.clone())?;
        let mut adjoint = DiscreteAdjoint::new(stepper, Memory::Unlimited);
        let mut error = Global::error();
        let mut penalties = [Weighted { weight: WEIGHT, penalty: &mut error }];
        let penalties = &mut penalties[..usize::from(self.penalised)];
        let n = self.y0.len();
        let y0 = self.y0.repeat(2);
        let problem = Problem { y0: &y0, span: [0.0, 1.0], theta: &self.theta };
        adjoint.replay(&problem, recorded, &self.options, penalties)?;
        let bars = loss_bars(&visible(adjoint.solution(), n));
        let mut all = vec![0.0; 2 * bars.len()];
        for (all, bar) in all.chunks_mut(2 * n).zip(bars.chunks(n)) {
            all[..n].copy_from_slice(bar);
        }
        adjoint.reverse(&all, &[], penalties)?;
        assert!(adjoint.y0_gradient()[n..].iter().all(|v| *v == 0.0));
        Ok([&adjoint.y0_gradient()[..n], adjoint.theta_gradient()].concat())
    }

    /// The loss through the recorded steps.
    fn replayed(&self, y0: &[f64], theta: &[f64], recorded: &Solution<f64>) -> Result<f64> {
        let y0 = y0.repeat(2);
        let problem = Problem { y0: &y0, span: [0.0, 1.0], theta };
        let stepper = ReversibleHeun.stepper(self.system, self.noise.clone())?;
        if self.penalised {
            let mut adjoint = DiscreteAdjoint::new(stepper, Memory::Unlimited);
            let mut error = Global::error();
            let penalties = &mut [Weighted { weight: WEIGHT, penalty: &mut error }];
            adjoint.replay(&problem, recorded, &self.options, penalties)?;
            let data = loss(&visible(adjoint.solution(), self.y0.len()));
            return Ok(data + WEIGHT * error.value());
        }
        let mut solver = Solver::with(stepper);
        let solution = solver.replay(&problem, recorded, &self.options, &mut Silent)?;
        Ok(loss(&visible(solution, self.y0.len())))
    }

    fn differences(&self, recorded: &Solution<f64>) -> Result<Vec<f64>> {
        let point = [&self.y0[..], &self.theta[..]].concat();
        let at = |i: usize, by: f64| {
            let mut moved = point.clone();
            moved[i] += by;
            let (y0, theta) = moved.split_at(self.y0.len());
            self.replayed(y0, theta, recorded)
        };
        let step = 3e-5;
        (0..point.len()).map(|i| Ok((at(i, step)? - at(i, -step)?) / (2.0 * step))).collect()
    }

    fn check(&self, name: &str) -> Result<()> {
        let (gradient, recorded) = self.reversible()?;
        let error = relative(&gradient, &self.discrete(&recorded)?);
        assert!(error < 1e-10, "{name}: {error:.1e} off the discrete adjoint");
        let error = relative(&gradient, &self.differences(&recorded)?);
        assert!(error < 1e-6, "{name}: {error:.1e} off the differences");
        Ok(())
    }
}

/// The leading n numbers of every saved state of 2n.
fn visible(solution: &Solution<f64>, n: usize) -> Vec<f64> {
    solution.y.chunks(2 * n).flat_map(|y| y[..n].iter().copied()).collect()
}

fn check_gradients<S: System<f64>>(name: &str, system: &S) -> Result<()> {
    let (m, y0) = setup(system, PATHS);
    let theta = theta(system.diffusion().num_params());
    let grid = FixedGrid::new(5, [0.0, 1.0], 10, m, PATHS)?;
    let tree = IntervalTree::new(5, [0.0, 1.0], m, PATHS)?;
    for penalised in [false, true] {
        for save in [Save::End, Save::EveryStep, Save::At(vec![0.0, 0.3, 0.3, 0.7])] {
            let name = format!("{name}, {save:?}, penalised {penalised}");
            let (theta, y0) = (theta.clone(), y0.clone());
            let options = Options::fixed(0.1).save(save.clone());
            Case { system, noise: grid.clone(), theta, y0, options, penalised }.check(&name)?;
        }
        let (theta, y0) = (theta.clone(), y0.clone());
        let options = Options::tol(0.1, 0.1).save_at(vec![0.25, 0.6]);
        let options = Options { tstops: vec![0.5], ..options };
        Case { system, noise: tree.clone(), theta, y0, options, penalised }
            .check(&format!("{name}, adaptive, penalised {penalised}"))?;
    }
    Ok(())
}

#[test]
fn gradients_are_exact_for_every_class() -> Result<()> {
    check_gradients("diagonal", &diagonal())?;
    check_gradients("crossed", &crossed())?;
    check_gradients("scalar", &scalar())?;
    check_gradients("additive", &additive())?;
    check_gradients("constant", &constant())?;
    check_gradients("commutative", &commutative())?;
    check_gradients("general", &general())
}

type Neural = Sde<NeuralOde, Diagonal<NeuralOde>>;

/// Drift and diagonal diffusion 2–8–2.
fn neural() -> Result<(Neural, Vec<f64>)> {
    let network = || Network::builder(2).concat_time().dense(8).activation(Activation::Tanh).dense(2).build();
    let theta = [network()?.init(Default::default(), 1)?, network()?.init(Default::default(), 2)?].concat();
    Ok((Sde::stratonovich(NeuralOde::new(network()?)?, Diagonal(NeuralOde::new(network()?)?)), theta))
}

#[test]
fn networks_and_blocks_of_paths_give_the_same_gradient() -> Result<()> {
    let (system, theta) = neural()?;
    for (paths, penalised) in [(1, false), (128, false), (300, false), (300, true)] {
        let (y0, noise) = (wave(2 * paths, 0.2), FixedGrid::new(9, [0.0, 1.0], 20, 2, paths)?);
        let options = Options::fixed(0.05).save_at(vec![0.5, 1.0]);
        let case = Case { system: &system, noise, theta: theta.clone(), y0, options, penalised };
        let (gradient, recorded) = case.reversible()?;
        let error = relative(&gradient, &case.discrete(&recorded)?);
        assert!(error < 1e-10, "{paths} paths: {error:.1e}");
    }
    Ok(())
}

#[test]
fn memory_does_not_depend_on_the_steps_and_rounding_is_measured() -> Result<()> {
    let (system, theta) = neural()?;
    let y0 = wave(2 * 50, 0.2);
    let problem = Problem { y0: &y0, span: [0.0, 1.0], theta: &theta };
    let mut found = Vec::new();
    for steps in [64_usize, 4096] {
        let noise = FixedGrid::new(9, [0.0, 1.0], steps, 2, 50)?;
        let mut adjoint = ReversibleAdjoint::new(ReversibleHeun.stepper(&system, noise)?);
        adjoint.value_and_gradient(&problem, &Options::fixed(1.0 / steps as f64), &mut [], |s, bar| {
            bar.copy_from_slice(&s.y);
            Ok(0.5 * s.y.iter().map(|y| y * y).sum::<f64>())
        })?;
        let stats = adjoint.statistics();
        assert_eq!((stats.nvjp, stats.nfe, stats.replayed), (steps + 1, steps + 1, 0));
        assert_eq!(stats.checkpoint_bytes, 0);
        println!("{steps} steps: drift {:.1e}, {} bytes", adjoint.drift(), stats.work_bytes);
        assert!(adjoint.drift() < 1e-12, "{steps} steps: {:.1e}", adjoint.drift());
        found.push(stats.work_bytes);
    }
    assert_eq!(found[0], found[1]);
    Ok(())
}

/// y' = −θ y.
#[derive(Clone, Copy)]
struct Decay;

impl VectorField for Decay {
    fn dim(&self) -> usize {
        1
    }
    fn num_params(&self) -> usize {
        1
    }
    #[inline(always)]
    fn eval<S: Number>(&self, _: S, y: &[S], p: &[S], dy: &mut [S]) {
        dy[0] = -p[0] * y[0];
    }
}

#[test]
fn a_way_back_that_rounding_has_spoilt_is_an_error() -> Result<()> {
    let system = Sde::stratonovich(Generic(Decay), Constant::diagonal(1));
    let gradient = |rate: f64, bound: Option<f64>| -> Result<f64> {
        let noise = FixedGrid::new(1, [0.0, 1.0], 1000, 1, 1)?;
        let mut adjoint = ReversibleAdjoint::new(ReversibleHeun.stepper(&system, noise)?);
        if let Some(bound) = bound {
            adjoint = adjoint.drift_bound(bound)?;
        }
        let problem = Problem { y0: &[1.0], span: [0.0, 1.0], theta: &[rate, 0.1] };
        adjoint.value_and_gradient(&problem, &Options::fixed(1e-3), &mut [], |_, bar| {
            bar[0] = 1.0;
            Ok(0.0)
        })?;
        Ok(adjoint.drift())
    };
    assert!(gradient(1.0, None)? < 1e-13);
    let error = gradient(60.0, None).unwrap_err().to_string();
    assert!(error.contains("the inverted y0") && error.contains("DiscreteAdjoint"), "{error}");
    assert!(gradient(60.0, Some(1e30))? > 1e-7);
    assert!(gradient(1.0, Some(0.0)).unwrap_err().to_string().contains("must be positive"));
    Ok(())
}

#[test]
fn what_does_not_fit_is_refused() -> Result<()> {
    let (system, theta) = (diagonal(), theta(2));
    let grid = |m: usize| FixedGrid::new(1, [0.0, 1.0], 10, m, PATHS);
    let ito = Sde::ito(Generic(Twist), Diagonal(Generic(Root)));
    let message = ReversibleHeun.stepper(&ito, grid(2)?).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(message.contains("Stratonovich"), "{message}");
    assert!(ReversibleHeun.stepper(&Sde::ito(Generic(Twist), Constant::diagonal(2)), grid(2)?).is_ok());
    let message = ReversibleHeun.stepper(&system, grid(3)?).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(message.contains("2 Brownian motions"), "{message}");

    let y0 = wave(2 * PATHS, 0.1);
    let problem = Problem { y0: &y0, span: [0.0, 1.0], theta: &theta };
    let options = Options::fixed(0.1);
    let fails = |problem: &Problem<'_, f64>, options: &Options<f64>, part: &str| {
        let error = solve(&system, &ReversibleHeun, grid(2).unwrap(), problem, options).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    };
    fails(&Problem { y0: &y0[..4], ..problem }, &options, "y0 has length 4, but 6");
    fails(&problem, &options.clone().save(Save::Dense), "Save::Dense");
    fails(&problem, &Options::fixed(0.07), "grid");

    let mut adjoint = ReversibleAdjoint::new(ReversibleHeun.stepper(&system, grid(2)?)?);
    let says = |outcome: Result<()>, part: &str| {
        let error = outcome.unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    says(adjoint.reverse(&[], &mut []), "a forward pass must come first");
    adjoint.forward(&problem, &options, &mut [])?;
    says(adjoint.reverse(&[1.0], &mut []), "the cotangent of the saved states has length 1");
    adjoint.reverse(&[1.0; 6], &mut [])?;
    says(adjoint.reverse(&[1.0; 6], &mut []), "a forward pass must come first");
    // A saved time inside a step of a record made elsewhere.
    let tree = IntervalTree::new(1, [0.0, 1.0], 2, PATHS)?;
    let recorded = solve(&system, &Heun, tree.clone(), &problem, &options.clone().save_at(vec![0.25]))?;
    let mut adjoint = ReversibleAdjoint::new(ReversibleHeun.stepper(&system, tree)?);
    let error = adjoint.replay(&problem, &recorded, &options, &mut []).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("ends of steps only"), "{error}");
    Ok(())
}

#[test]
fn saved_times_inside_steps_lie_on_the_bridge() -> Result<()> {
    // G = 1 and f = 0: y = y0 + W, at any time.
    let system = Sde::stratonovich(Generic(Decay), Constant::diagonal(1));
    let mut noise = IntervalTree::new(3, [0.0, 1.0], 1, 2)?;
    let problem = Problem { y0: &[0.5, -1.0], span: [0.0, 1.0], theta: &[0.0, 1.0] };
    let times = vec![0.1, 0.37, 0.9];
    let options = Options::fixed(0.25).save_at(times.clone());
    let solution = solve(&system, &ReversibleHeun, noise.clone(), &problem, &options)?;
    let mut w = [0.0; 2];
    for (i, t) in times.iter().enumerate() {
        noise.increment(0.0, *t, &mut w, &mut [])?;
        for (path, y0) in problem.y0.iter().enumerate() {
            assert!((solution.state(i)[path] - y0 - w[path]).abs() < 1e-13);
        }
    }
    assert_eq!(ReversibleHeun.stepper(&system, noise)?.dim(), 1);
    Ok(())
}
