//! The continuous stochastic adjoint: it tends to the discrete gradient with the order of the method, path by path.

mod sde_adjoint_support;

use odeon::Result;
use odeon::adjoint::{Backsolve, DiscreteAdjoint, Memory};
use odeon::dynamics::generic::Generic;
use odeon::integrate::{Options, Problem, Save};
use odeon::sde::noise::{FixedGrid, IntervalTree, Levy};
use odeon::sde::srk::StochasticRk;
use odeon::sde::tableaux::{
    EulerHeun, EulerMaruyama, GeneralShark, Heun, Midpoint, RkMilsteinStratonovich, Sea, Shark, Spark,
};
use odeon::sde::{Constant, Diffusion, Sde, SdeMethod, System, solve};
use sde_adjoint_support::*;

/// Losses at two times: Σ w·y + |y|²/2.
fn loss_bars(y: &[f64]) -> Vec<f64> {
    wave(y.len(), 0.4).iter().zip(y).map(|(w, y)| w + y).collect()
}

/// The gradients (y0, θ) by the adjoint equation and through the steps, and y0 as the way back found it.
struct Both {
    continuous: [Vec<f64>; 2],
    discrete: [Vec<f64>; 2],
    start: f64,
}

fn gradients<S: System<f64>>(
    system: &S,
    method: &impl StochasticRk,
    seed: u64,
    (paths, steps): (usize, usize),
) -> Result<Both> {
    let m = system.diffusion().components();
    let theta = theta(system.diffusion().num_params());
    let levy = if method.tableau().needs_area() { Levy::SpaceTime } else { Levy::None };
    let noise = FixedGrid::new(seed, [0.0, 1.0], 512, m, paths)?.levy(levy);
    let y0 = wave(2 * paths, 0.3);
    let problem = Problem { y0: &y0, span: [0.0, 1.0], theta: &theta };
    let options = Options { tstops: vec![0.5], ..Options::fixed(1.0 / steps as f64) };
    let options = options.save_at(vec![0.5, 1.0]);
    let mut discrete = DiscreteAdjoint::new(method.stepper(system, noise.clone())?, Memory::Unlimited);
    let y_bar = loss_bars(&discrete.forward(&problem, &options, &mut [])?.y);
    discrete.reverse(&y_bar, &[], &mut [])?;
    let mut adjoint = Backsolve::new(system, method, noise)?;
    adjoint.reverse(discrete.solution(), &theta, &y_bar)?;
    Ok(Both {
        continuous: [adjoint.y0_gradient().to_vec(), adjoint.theta_gradient().to_vec()],
        discrete: [discrete.y0_gradient().to_vec(), discrete.theta_gradient().to_vec()],
        start: relative(adjoint.found_start(), &y0),
    })
}

const STEPS: [usize; 4] = [64, 128, 256, 512];

/// The slope of the difference, root mean square over paths, with its width.
fn order_of<S: System<f64>>(system: &S, method: &impl StochasticRk) -> Result<(f64, f64)> {
    let h: Vec<f64> = STEPS.iter().map(|n| 1.0 / *n as f64).collect();
    let (mut errors, mut widths) = (Vec::new(), Vec::new());
    for steps in STEPS {
        let both = gradients(system, method, 7, (800, steps))?;
        let (error, width) = strong_error(&both.continuous[0], &both.discrete[0], 2);
        errors.push(error);
        widths.push(width);
        assert!(both.start < 0.2, "y0 was found {:.1e} away", both.start);
    }
    let found = (slope(&h, &errors), slope_width(&h, &errors, &widths));
    let class = system.diffusion().class();
    println!("{} on {class}: {:.3} ± {:.3}, {errors:?}", method.tableau().name, found.0, found.1);
    Ok(found)
}

#[test]
#[cfg_attr(debug_assertions, ignore = "slopes over many paths: cargo test --release --test sde_backsolve")]
fn gradients_tend_to_the_discrete_ones_with_the_order_of_the_method() -> Result<()> {
    let mut wrong = Vec::new();
    let mut check = |name: &str, (found, width): (f64, f64), [least, most]: [f64; 2]| {
        if !(least..=most).contains(&found) {
            wrong.push(format!("{name}: slope {found:.3} ± {width:.3}"));
        }
    };
    let (system, one) = (diagonal(), [0.85, 1.15]);
    check("Heun", order_of(&system, &Heun)?, one);
    check("EulerHeun", order_of(&system, &EulerHeun)?, one);
    check("Midpoint", order_of(&system, &Midpoint)?, one);
    check("GeneralShark", order_of(&system, &GeneralShark)?, one);
    check("Spark", order_of(&system, &Spark)?, one);
    check("commutative", order_of(&commutative(), &Heun)?, one);
    check("additive EulerHeun", order_of(&additive(), &EulerHeun)?, one);
    check("additive Sea", order_of(&additive(), &Sea)?, one);

    check("RkMilsteinStratonovich", order_of(&system, &RkMilsteinStratonovich)?, one);
    // The two gradients share more of their error here than the method's order says.
    check("scalar", order_of(&scalar(), &Heun)?, [0.85, 2.1]);
    assert!(wrong.is_empty(), "{wrong:#?}");
    Ok(())
}

#[test]
#[cfg_attr(debug_assertions, ignore = "slopes over many paths: cargo test --release --test sde_backsolve")]
fn gradients_of_parameters_have_that_order_too() -> Result<()> {
    let system = diagonal();
    let h: Vec<f64> = STEPS.iter().map(|n| 1.0 / *n as f64).collect();
    let (seeds, mut errors) = (150, Vec::new());
    for steps in STEPS {
        let mut square = 0.0;
        for seed in 0..seeds {
            let both = gradients(&system, &Heun, seed, (1, steps))?;
            let differences = both.continuous[1].iter().zip(&both.discrete[1]).map(|(a, b)| a - b);
            square += differences.map(|d| d * d).sum::<f64>();
        }
        errors.push((square / seeds as f64).sqrt());
    }
    let found = slope(&h, &errors);
    println!("θ: slope {found:.3}, {errors:?}");
    assert!((found - 1.0).abs() < 0.2, "slope {found}: {errors:?}");
    Ok(())
}

#[test]
fn many_paths_at_small_steps_agree_in_every_entry() -> Result<()> {
    fn close<S: System<f64>>(system: &S, method: &impl StochasticRk, tol: f64) -> Result<()> {
        let both = gradients(system, method, 3, (40, 128))?;
        for (a, b) in both.continuous.iter().zip(&both.discrete) {
            let error = relative(a, b);
            assert!(error < tol, "{} on {}: {error:.1e}", method.tableau().name, system.diffusion().class());
        }
        Ok(())
    }
    close(&diagonal(), &Heun, 1e-2)?;
    close(&scalar(), &Spark, 1e-2)?;
    close(&constant(), &Shark, 1e-2)?;
    close(&additive(), &Shark, 1e-2)?;
    close(&commutative(), &Midpoint, 1e-2)?;
    // Half an order: the Lévy area that no increment knows.
    close(&general(), &Heun, 1e-1)?;
    close(&crossed(), &Heun, 1e-1)
}

#[test]
fn where_all_is_linear_the_gradient_is_exact() -> Result<()> {
    // θ_f = 0 stops the drift but for −t y₂/4: y₁ = y₁(0) + θ W₁, exactly.
    let system = Sde::stratonovich(Generic(Twist), Constant::diagonal(2));
    let theta = [0.0, 0.0, 0.0, 0.7, 0.2];
    let noise = IntervalTree::new(4, [0.0, 1.0], 2, 1)?;
    let problem = Problem { y0: &[0.3, -0.2], span: [0.0, 1.0], theta: &theta };
    let options = Options { tstops: vec![0.4], ..Options::fixed(0.125) }.save(Save::EveryStep);
    let solution = solve(&system, &Heun, noise.clone(), &problem, &options)?;
    let mut adjoint = Backsolve::new(&system, &Heun, noise.clone())?;
    let mut y_bar = vec![0.0; solution.y.len()];
    let at = solution.t.iter().position(|t| *t == 0.4).expect("a stop is an end of a step");
    (y_bar[2 * at], y_bar[solution.y.len() - 2]) = (2.0, 1.0);
    adjoint.reverse(&solution, &theta, &y_bar)?;
    let w: Vec<f64> = [0.4, 1.0]
        .map(|t| (solution.state(solution.t.iter().position(|s| *s == t).unwrap())[0] - 0.3) / 0.7)
        .to_vec();
    assert!((adjoint.theta_gradient()[3] - (2.0 * w[0] + w[1])).abs() < 1e-12);
    assert!((adjoint.y0_gradient()[0] - 3.0).abs() < 1e-12);
    Ok(())
}

#[test]
fn what_does_not_fit_is_refused() -> Result<()> {
    let system = diagonal();
    let grid = |m: usize| FixedGrid::new(1, [0.0, 1.0], 10, m, 1);
    let refused = |outcome: Result<()>, part: &str| {
        let message = outcome.unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    };
    refused(Backsolve::new(&system, &EulerMaruyama, grid(2)?).map(|_| ()), "calculus of the method is Itô");
    let ito = Sde::ito(Generic(Twist), Constant::diagonal(2));
    refused(Backsolve::new(&ito, &Heun, grid(2)?).map(|_| ()), "calculus of the equation is Itô");
    refused(Backsolve::new(&system, &Heun, grid(3)?).map(|_| ()), "2 Brownian motions");
    refused(Backsolve::new(&system, &Spark, grid(2)?).map(|_| ()), "Lévy area");
    refused(Backsolve::new(&general(), &RkMilsteinStratonovich, grid(3)?).map(|_| ()), "noise only");

    let theta = theta(2);
    let problem = Problem { y0: &[0.3, -0.2], span: [0.0, 1.0], theta: &theta };
    let tree = IntervalTree::new(1, [0.0, 1.0], 2, 1)?;
    let mut adjoint = Backsolve::new(&system, &Heun, tree.clone())?;
    let solved = |options: Options<f64>| solve(&system, &Heun, tree.clone(), &problem, &options);
    let solution = solved(Options::fixed(0.1))?;
    refused(adjoint.reverse(&solution, &theta, &[1.0]), "has length 1");
    refused(adjoint.reverse(&solution, &theta[..4], &[1.0, 1.0]), "theta has length 4");
    let inside = solved(Options::fixed(0.1).save_at(vec![0.25, 1.0]))?;
    refused(adjoint.reverse(&inside, &theta, &[1.0; 4]), "ends of steps only");
    let early = solved(Options { tstops: vec![0.5], ..Options::fixed(0.1) }.save_at(vec![0.5]))?;
    refused(adjoint.reverse(&early, &theta, &[1.0; 2]), "save it");
    adjoint.reverse(&solution, &theta, &[1.0, 1.0])
}

/// Root of the mean of |a − b|² over the paths, with half the width of its 95 % interval.
fn strong_error(a: &[f64], b: &[f64], dim: usize) -> (f64, f64) {
    let squares: Vec<f64> = a
        .chunks(dim)
        .zip(b.chunks(dim))
        .map(|(a, b)| a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum())
        .collect();
    let n = squares.len() as f64;
    let mean = squares.iter().sum::<f64>() / n;
    let spread = (squares.iter().map(|s| (s - mean) * (s - mean)).sum::<f64>() / (n * (n - 1.0))).sqrt();
    (mean.sqrt(), 1.96 * spread / (2.0 * mean.sqrt()))
}

/// Half the width of the 95 % interval of a slope fitted to errors with the given half widths.
fn slope_width(h: &[f64], error: &[f64], width: &[f64]) -> f64 {
    let x: Vec<f64> = h.iter().map(|h| h.ln()).collect();
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    let scale: f64 = x.iter().map(|x| (x - mean) * (x - mean)).sum();
    // Errors on one set of paths hang together, so widths are added, not their squares.
    x.iter().zip(error.iter().zip(width)).map(|(x, (e, w))| ((x - mean) / scale).abs() * w / e).sum()
}
