//! W4: Robertson's kinetics to t = 1e5, the gradient of its rate constants, and the two-dimensional
//! Brusselator. The tolerances are those at which our error is no larger than the peers' (CVODE at rtol
//! 1e-6, atol 1e-10 and 1e-8).

use crate::Failure;
use crate::measure::{Clock, Facts, load, relative_error};
use odeon::adjoint::{DiscreteAdjoint, Memory};
use odeon::dynamics::gallery::Robertson;
use odeon::dynamics::generic::Generic;
use odeon::dynamics::pde::Brusselator;
use odeon::integrate::{Options, Problem, Solution};
use odeon::ode::sdirk::Esdirk54I8L2SA;
use odeon::ode::tableaux_rosenbrock::Rodas5P;
use odeon::ode::{Solver, StepMethod};

const T1: f64 = 1e5;
/// Rate constants that the gradient is taken at.
const GUESS: [f64; 3] = [0.05, 2.5e7, 1.2e4];

/// One solve; the error is the largest relative one of the three components.
pub fn robertson(clock: &Clock) -> Result<(Vec<f64>, Facts), Failure> {
    let reference = load::<f64>("robertson_end")?;
    let dynamics = Generic(Robertson);
    let theta = [0.04, 3e7, 1e4];
    let problem = Problem { y0: &Robertson::Y0, span: [0.0, T1], theta: &theta };
    let options = Options::tol(RTOL, ATOL);
    let mut solver = Solver::new(&dynamics, &Rodas5P, 1);
    let times = clock.time(|| {
        solver.solve(&problem, &options)?;
        Ok(())
    })?;
    let solution = solver.solve(&problem, &options)?;
    let errors = solution.last().iter().zip(&reference).map(|(y, r)| (y / r - 1.0).abs());
    let facts = Facts { err_rel: Some(errors.fold(0.0, f64::max)), ..Facts::of(&solution.stats) };
    Ok((times, facts))
}

const RTOL: f64 = 8e-6;
const ATOL: f64 = 1e-9;
const GRADIENT_RTOL: f64 = 1e-6;
const GRADIENT_ATOL: f64 = 1e-10;

/// ½ Σ_i Σ_c w_c² (y_c(t_i) − d_ic)² and its gradient with respect to log k, by the discrete adjoint.
pub fn robertson_gradient(clock: &Clock) -> Result<(Vec<f64>, Facts), Failure> {
    let (data, reference) = (load::<f64>("robertson_data")?, load::<f64>("robertson_gradient")?);
    let dynamics = Generic(Robertson);
    let theta = GUESS;
    let problem = Problem { y0: &Robertson::Y0, span: [0.0, T1], theta: &theta };
    let saved: Vec<f64> = (0..20).map(|i| f64::powf(10.0, -4.0 + 9.0 * f64::from(i) / 19.0)).collect();
    let options = Options::tol(GRADIENT_RTOL, GRADIENT_ATOL).save_at([&saved[..19], &[T1]].concat());
    let loss = |solution: &Solution<f64>, y_bar: &mut [f64]| {
        let mut sum = 0.0;
        for (i, (bar, (y, d))) in y_bar.iter_mut().zip(solution.y.iter().zip(&data)).enumerate() {
            let weight = if i % 3 == 1 { 1e8 } else { 1.0 };
            *bar = weight * (y - d);
            sum += 0.5 * *bar * (y - d);
        }
        Ok(sum)
    };
    let mut adjoint = DiscreteAdjoint::new(Rodas5P.stepper(&dynamics, 1), Memory::Unlimited);
    let times = clock.time(|| {
        adjoint.value_and_gradient(&problem, &options, &mut [], loss)?;
        Ok(())
    })?;
    let evaluation = adjoint.value_and_gradient(&problem, &options, &mut [], loss)?;
    // d/d log k = k d/dk.
    let gradient = adjoint.theta_gradient().iter().zip(theta).map(|(g, k)| g * k);
    let facts = Facts {
        loss: Some(evaluation.loss),
        grad_rel_err: Some(relative_error(gradient, &reference)),
        ..Facts::of(&adjoint.solution().stats)
    };
    Ok((times, facts))
}

/// 2450 unknowns by sparse LU; the error is relative, in the 2-norm. The forcing sets in at a stop.
pub fn brusselator(clock: &Clock) -> Result<(Vec<f64>, Facts), Failure> {
    let reference = load::<f64>("brusselator_end")?;
    let grid = Brusselator::benchmark(35)?;
    let y0: Vec<f64> = Brusselator::initial(&grid);
    let problem = Problem { y0: &y0, span: [0.0, Brusselator::T_END], theta: &Brusselator::THETA };
    let mut options = Options::tol(1e-5, 1e-6);
    options.tstops = vec![Brusselator::T_JUMP];
    let mut solver = Solver::new(&grid, &Esdirk54I8L2SA, 1);
    let times = clock.time(|| {
        solver.solve(&problem, &options)?;
        Ok(())
    })?;
    let solution = solver.solve(&problem, &options)?;
    let error = relative_error(solution.last().iter().copied(), &reference);
    let facts = Facts { err_rel: Some(error), ..Facts::of(&solution.stats) };
    Ok((times, facts))
}
