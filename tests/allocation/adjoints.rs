//! Reversible and continuous adjoints: as many allocations for few steps as for many, and memory that does not
//! grow where it must not.

use super::{Neural, calls, half_square, peak};
use odeon::Result;
use odeon::adjoint::{Continuous, ContinuousAdjoint, Memory, ReversibleAdjoint, WayBack};
use odeon::dynamics::Dynamics;
use odeon::dynamics::gallery::LotkaVolterra;
use odeon::dynamics::generic::Generic;
use odeon::integrate::{Options, Problem, Reversible};
use odeon::ode::StepMethod;
use odeon::ode::reversible::{AsynchronousLeapfrog, Coupled};
use odeon::ode::tableaux::Tsit5;

/// Runs a gradient over spans of one and four times `span`; the steps of each are what `run` returns.
fn compare(name: &str, span: f64, mut run: impl FnMut(f64) -> Result<usize>) -> Result<()> {
    run(4.0 * span)?;
    let (short, few) = calls(|| run(span));
    let (long, many) = calls(|| run(4.0 * span));
    let (few, many) = (few?, many?);
    assert!(few >= 5 && many >= 2 * few, "{name}: {few} and {many} steps");
    assert_eq!(short, long, "{name}: {few} and {many} steps");
    Ok(())
}

fn continuous<D: Dynamics<f64>>(name: &str, f: &D, y0: &[f64], theta: &[f64], span: f64) -> Result<()> {
    let options = Options::tol(1e-8, 1e-8);
    let batch = y0.len() / f.dim();
    for kind in [
        Continuous::Backsolve,
        Continuous::Interpolating(Memory::Unlimited),
        Continuous::Quadrature(Memory::Unlimited),
    ] {
        let settings = WayBack { drift_bound: Some(1e3), ..WayBack::seminorm() };
        let mut adjoint = ContinuousAdjoint::new(f, &Tsit5, batch, kind, settings)?;
        compare(&format!("{name}, {kind:?}"), span, |t1| {
            let problem = Problem { y0, span: [0.0, t1], theta };
            adjoint.value_and_gradient(&problem, &options, half_square)?;
            Ok(adjoint.statistics().accepted)
        })?;
    }
    // The state integrated backwards: no more bytes for many steps, but for the record of the steps.
    let bytes = |tol: f64| -> Result<(usize, usize)> {
        let (bytes, outcome) = peak(|| -> Result<(usize, usize)> {
            let settings = WayBack { drift_bound: Some(1e3), ..WayBack::default() };
            let mut adjoint = ContinuousAdjoint::new(f, &Tsit5, batch, Continuous::Backsolve, settings)?;
            let problem = Problem { y0, span: [0.0, span], theta };
            adjoint.value_and_gradient(&problem, &Options::tol(tol, tol), half_square)?;
            Ok((adjoint.statistics().accepted, adjoint.statistics().work_bytes))
        });
        let (steps, said) = outcome?;
        // What it says is what it holds, but for the records of steps, small vectors and the right-hand side's own.
        assert!(bytes < said + 2 * 96 * 2 * steps + 60_000, "{name}: {bytes} bytes, {said} said");
        Ok((bytes, steps))
    };
    let ((few_bytes, few), (many_bytes, many)) = (bytes(1e-5)?, bytes(1e-9)?);
    assert!(many > 2 * few, "{name}: {few} and {many} steps");
    // Forwards and backwards each keep a record of some 80 bytes a step, in vectors that double.
    assert!(many_bytes < few_bytes + 4 * 96 * many, "{name}: {few_bytes} and {many_bytes} bytes");
    Ok(())
}

fn reversible<S: Reversible<f64>>(
    tol: f64,
    name: &str,
    stepper: S,
    y0: &[f64],
    theta: &[f64],
    span: f64,
) -> Result<()> {
    let mut adjoint = ReversibleAdjoint::new(stepper).drift_bound(1e3)?;
    compare(name, span, |t1| {
        let problem = Problem { y0, span: [0.0, t1], theta };
        adjoint.value_and_gradient(&problem, &Options::tol(tol, tol), &mut [], half_square)?;
        Ok(adjoint.solution().steps.len())
    })
}

pub fn gradients_allocate_nothing_per_step(neural: &Neural) -> Result<()> {
    let f = Generic(LotkaVolterra);
    continuous("Lotka and Volterra", &f, &LotkaVolterra::Y0, &LotkaVolterra::THETA, 1.0)?;
    continuous("network", &neural.dynamics, &neural.y0, &neural.theta, 1.0)?;
    let (y0, theta) = (&LotkaVolterra::Y0, &LotkaVolterra::THETA);
    reversible(1e-5, "coupled", Coupled::new(Tsit5).stepper(&f, 1), y0, theta, 2.0)?;
    reversible(1e-3, "leapfrog", AsynchronousLeapfrog::default().stepper(&f, 1), y0, theta, 0.5)?;
    let (f, y0, theta) = (&neural.dynamics, &neural.y0, &neural.theta);
    reversible(1e-5, "coupled network", Coupled::new(Tsit5).stepper(f, 16), y0, theta, 4.0)?;
    reversible(1e-3, "leapfrog network", AsynchronousLeapfrog::default().stepper(f, 16), y0, theta, 0.5)
}
