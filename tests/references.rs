//! Solves against the 20-digit references of `data/reference`, and exact counts of steps.
//!
//! Error control bounds the error of each step; the problem amplifies it on the way. So the global
//! error allowed here is a multiple of the tolerance, documented for each problem: near one where
//! trajectories attract each other, large where they part (Lorenz, close encounters of bodies). The
//! multiples are about twice those of the worst of the five methods; saved times lie inside steps, so
//! dense output is held to them too.

use odeon::dynamics::gallery::{Arenstorf, CubicSpiral, Kepler, Lorenz, LotkaVolterra, Pleiades, VanDerPol};
use odeon::dynamics::generic::{Generic, VectorField};
use odeon::integrate::{Options, Problem, Statistics};
use odeon::num::Scalar;
use odeon::ode::solve;
use odeon::ode::tableau::ExplicitRk;
use odeon::ode::tableaux::{Dop853, Dp5, Tsit5, Vern7, Vern9};
use odeon::{Error, Result};
use std::path::PathBuf;

/// Defines a parameterless system: its dimension and right-hand side.
macro_rules! detest {
    ($(#[$doc:meta])* $name:ident, $dim:literal, |$t:ident, $y:ident, $dy:ident| $body:block) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        struct $name;

        impl VectorField for $name {
            fn dim(&self) -> usize {
                $dim
            }
            fn num_params(&self) -> usize {
                0
            }
            #[inline(always)]
            fn eval<S: Scalar>(&self, $t: S, $y: &[S], _: &[S], $dy: &mut [S]) $body
        }
    };
}

detest!(
    /// DETEST A3: y' = y cos t.
    A3, 1, |t, y, dy| { dy[0] = y[0] * t.cos(); }
);
detest!(
    /// DETEST A4: y' = y/4 (1 − y/20).
    A4, 1, |_t, y, dy| {
        dy[0] = S::of(0.25) * y[0] * (S::one() - y[0] / S::of(20.0));
    }
);
detest!(
    /// DETEST A5: y' = (y − t)/(y + t).
    A5, 1, |t, y, dy| { dy[0] = (y[0] - t) / (y[0] + t); }
);
detest!(
    /// DETEST C1, a chain of decays: y₁' = −y₁, yᵢ' = yᵢ₋₁ − yᵢ, y₁₀' = y₉.
    C1, 10, |_t, y, dy| {
        dy[0] = -y[0];
        for i in 1..9 {
            dy[i] = y[i - 1] - y[i];
        }
        dy[9] = y[8];
    }
);

/// The times and states of `data/reference/{name}.csv`, the initial one first.
fn reference(name: &str) -> Result<(Vec<f64>, Vec<Vec<f64>>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data/reference");
    let read = std::fs::read_to_string(folder.join(format!("{name}.csv")));
    let text = read.map_err(|e| Error::invalid("the reference", name, e.to_string()))?;
    let rows = text.lines().filter(|l| !l.starts_with(['#', 't']));
    let mut table = (Vec::new(), Vec::new());
    for row in rows {
        let numbers: std::result::Result<Vec<f64>, _> = row.split(',').map(str::parse).collect();
        let numbers = numbers.map_err(|e| Error::invalid("the reference", row, e.to_string()))?;
        table.0.push(numbers[0]);
        table.1.push(numbers[1..].to_vec());
    }
    Ok(table)
}

/// Largest |error|/(tol (1 + |y|)) over components and times of a solve at rtol = atol = `tol`.
fn amplification<F: VectorField + Copy>(
    (name, field, theta): (&str, F, &[f64]),
    method: &impl ExplicitRk,
    tol: f64,
) -> Result<f64> {
    let (t, y) = reference(name)?;
    let problem = Problem { y0: &y[0], span: [t[0], t[t.len() - 1]], theta };
    let options = Options::tol(tol, tol).save_at(t);
    let solution = solve(&Generic(field), method, &problem, &options)?;
    assert_eq!(solution.t.len(), y.len(), "{name}");
    let entries = y.iter().flatten().zip(&solution.y);
    let scaled = entries.map(|(exact, got)| (got - exact).abs() / (tol * (1.0 + exact.abs())));
    Ok(scaled.fold(0.0, f64::max))
}

/// Every method at two tolerances stays within `multiple` tolerances.
fn holds<F: VectorField + Copy>(problem: (&str, F, &[f64]), multiple: f64) -> Result<()> {
    for tol in [1e-7, 1e-11] {
        let achieved = [
            ("Tsit5", amplification(problem, &Tsit5, tol)?),
            ("Dp5", amplification(problem, &Dp5, tol)?),
            ("Vern7", amplification(problem, &Vern7, tol)?),
            ("Vern9", amplification(problem, &Vern9, tol)?),
            ("Dop853", amplification(problem, &Dop853, tol)?),
        ];
        for (method, a) in achieved {
            assert!(a <= multiple, "{} {method} {tol:e}: {a} > {multiple}", problem.0);
            assert!(a > 0.0, "{} {method} {tol:e}: no error at all", problem.0);
        }
    }
    Ok(())
}

#[test]
fn detest_problems_are_within_tolerance() -> Result<()> {
    holds(("detest_a3", A3, &[]), 100.0)?;
    holds(("detest_a4", A4, &[]), 5.0)?;
    holds(("detest_a5", A5, &[]), 15.0)?;
    holds(("detest_b1", LotkaVolterra, &[2.0, 2.0, 1.0, 1.0]), 40.0)?;
    holds(("detest_c1", C1, &[]), 2.0)?;
    holds(("detest_d5", Kepler, &[1.0]), 400.0)?;
    holds(("detest_e2", VanDerPol, &[1.0]), 25.0)
}

#[test]
fn classic_problems_are_within_tolerance() -> Result<()> {
    holds(("lotka_volterra", LotkaVolterra, &LotkaVolterra::THETA), 40.0)?;
    holds(("spiral", CubicSpiral, &CubicSpiral::THETA), 20.0)?;
    holds(("van_der_pol_5", VanDerPol, &VanDerPol::THETA), 3.0)?;
    holds(("kepler", Kepler, &Kepler::THETA), 300.0)?;
    holds(("pleiades", Pleiades, &Pleiades::THETA), 1500.0)?;
    holds(("lorenz", Lorenz, &Lorenz::THETA), 500.0)?;
    holds(("arenstorf", Arenstorf, &Arenstorf::THETA), 5e4)
}

/// After one period the orbit is where it began, at a tolerance of 1e-13 (amplified as in the test
/// above, 4 orders).
#[test]
fn arenstorf_returns_to_its_start() -> Result<()> {
    let problem = Problem { y0: &Arenstorf::Y0, span: [0.0, Arenstorf::T_END], theta: &Arenstorf::THETA };
    let options = Options::tol(1e-13, 1e-13);
    for (name, back) in [
        ("Tsit5", solve(&Generic(Arenstorf), &Tsit5, &problem, &options)?),
        ("Vern9", solve(&Generic(Arenstorf), &Vern9, &problem, &options)?),
        ("Dop853", solve(&Generic(Arenstorf), &Dop853, &problem, &options)?),
    ] {
        let miss = back.last().iter().zip(Arenstorf::Y0);
        let miss = miss.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(miss < 2e-9, "{name} misses its start by {miss:e}");
    }
    Ok(())
}

fn counts(stats: &Statistics) -> [usize; 3] {
    [stats.accepted, stats.rejected, stats.nfe]
}

/// Accepted and rejected steps and evaluations of Tsit5 with the default controller. Arithmetic is
/// the same on every machine, and so are they; a change of method, error norm, controller or first
/// step shows here.
#[test]
fn counts_are_exact() -> Result<()> {
    let options = Options::tol(1e-8, 1e-8);
    let (t, y) = reference("lorenz")?;
    let lorenz = Problem { y0: &y[0], span: [t[0], 5.0], theta: &Lorenz::THETA };
    let solution = solve(&Generic(Lorenz), &Tsit5, &lorenz, &options)?;
    assert_eq!(counts(&solution.stats), [361, 3, 2186]);
    let arenstorf = Problem { y0: &Arenstorf::Y0, span: [0.0, Arenstorf::T_END], theta: &Arenstorf::THETA };
    let solution = solve(&Generic(Arenstorf), &Tsit5, &arenstorf, &options)?;
    assert_eq!(counts(&solution.stats), [328, 31, 2156]);
    Ok(())
}
