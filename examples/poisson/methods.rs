//! The solvers and preconditioners.

use crate::problem::Problem;
use odeon::linalg::krylov::{BiCgStab, Cg, Gmres, MinRes};
use odeon::linalg::multigrid::{Geometric, RugeStuben, SmoothedAggregation};
use odeon::linalg::precondition::{IncompleteCholesky, IncompleteLu, Ssor};
use odeon::linalg::relax::{GaussSeidel, Jacobi, Stationary, Sweep};
use odeon::linalg::{Identity, LinearSolver, Preconditioner, Report, Settings};
use odeon::{Error, Result};
use std::fmt;
use std::time::Instant;

/// An iteration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Solver {
    Cg,
    MinRes,
    Gmres,
    BiCgStab,
    /// The preconditioner is the solver.
    Alone,
}

/// A preconditioner, or a solver of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inner {
    None,
    Jacobi,
    Ssor,
    Ic0,
    Ilu0,
    Sor,
    Geometric,
    SmoothedAggregation,
    RugeStuben,
}

/// What is run.
#[derive(Clone, Copy, Debug)]
pub struct Combination {
    solver: Solver,
    inner: Inner,
}

/// A finished solve.
pub struct Run {
    /// Seconds of set-up.
    pub setup: f64,
    pub report: Report,
}

/// All combinations that make sense for some matrix.
pub fn methods() -> Vec<Combination> {
    use Inner::{Geometric, Ic0, Ilu0, Jacobi, None, RugeStuben, SmoothedAggregation, Sor, Ssor};
    use Solver::{Alone, BiCgStab, Cg, Gmres, MinRes};
    let table: [(Solver, &[Inner]); 5] = [
        (Cg, &[None, Jacobi, Ssor, Ic0, Geometric, SmoothedAggregation, RugeStuben]),
        (MinRes, &[None, Jacobi]),
        (Gmres, &[None, Ilu0, SmoothedAggregation]),
        (BiCgStab, &[None, Ilu0]),
        (Alone, &[Sor, Geometric, SmoothedAggregation, RugeStuben]),
    ];
    let rows = table.iter();
    rows.flat_map(|(solver, inner)| inner.iter().map(|&inner| Combination { solver: *solver, inner }))
        .collect()
}

/// ω of SSOR and SOR.
const OMEGA: f64 = 1.6;

impl Combination {
    /// Sets up and solves.
    ///
    /// # Errors
    /// Why the combination does not fit the problem.
    pub fn run(self, problem: &Problem, settings: Settings) -> Result<Run> {
        let start = Instant::now();
        let mut x = vec![0.0; problem.b.len()];
        if self.solver == Solver::Alone {
            let mut solver = alone(self.inner, problem, settings)?;
            let setup = start.elapsed().as_secs_f64();
            return Ok(Run { setup, report: solver.solve(&problem.b, &mut x)? });
        }
        let mut m = preconditioner(self.inner, problem)?;
        let setup = start.elapsed().as_secs_f64();
        let (n, a, b, m) = (x.len(), &problem.matrix, &problem.b, &mut *m);
        if matches!(self.solver, Solver::Cg | Solver::MinRes) && !problem.symmetric {
            let needed = "CG and MINRES need a symmetric one (GMRES and BiCGStab do not)";
            return Err(Error::invalid("the matrix", "not symmetric", needed));
        }
        let report = match self.solver {
            Solver::Cg => Cg::new(n, settings)?.solve(a, m, b, &mut x)?,
            Solver::MinRes => MinRes::new(n, settings)?.solve(a, m, b, &mut x)?,
            Solver::Gmres => Gmres::new(n, 30, settings)?.solve(a, m, b, &mut x)?,
            _ => BiCgStab::new(n, settings)?.solve(a, m, b, &mut x)?,
        };
        Ok(Run { setup, report })
    }
}

fn preconditioner<'a>(inner: Inner, problem: &'a Problem) -> Result<Box<dyn Preconditioner<f64> + 'a>> {
    let a = &problem.matrix;
    Ok(match inner {
        Inner::Jacobi => Box::new(Jacobi::new(a, 1.0)?),
        Inner::Ssor | Inner::Sor => Box::new(Ssor::new(a, OMEGA)?),
        Inner::Ic0 => Box::new(IncompleteCholesky::new(a)?),
        Inner::Ilu0 => Box::new(IncompleteLu::new(a)?),
        Inner::Geometric => Box::new(Geometric::symmetric().build(stencil(problem)?)?),
        Inner::SmoothedAggregation => Box::new(SmoothedAggregation::default().build(a.clone())?),
        Inner::RugeStuben => Box::new(RugeStuben::default().build(a.clone())?),
        Inner::None => Box::new(Identity(a.rows())),
    })
}

fn alone<'a>(
    inner: Inner,
    problem: &'a Problem,
    settings: Settings,
) -> Result<Box<dyn LinearSolver<f64> + 'a>> {
    let a = &problem.matrix;
    Ok(match inner {
        Inner::Geometric => {
            Box::new(Geometric { settings, ..Geometric::default() }.build(stencil(problem)?)?)
        }
        Inner::SmoothedAggregation => {
            let mut method = SmoothedAggregation::default();
            method.options.settings = settings;
            Box::new(method.build(a.clone())?)
        }
        Inner::RugeStuben => {
            let mut method = RugeStuben::default();
            method.options.settings = settings;
            Box::new(method.build(a.clone())?)
        }
        _ => Box::new(Stationary::new(a, GaussSeidel::sor(a, OMEGA, Sweep::Natural)?, settings)?),
    })
}

fn stencil(problem: &Problem) -> Result<odeon::linalg::grid::StencilOperator<f64>> {
    let needed = "geometric multigrid needs the grid: a model problem";
    problem.stencil.clone().ok_or_else(|| Error::invalid("the system", "a file", needed))
}

impl fmt::Display for Combination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = match self.inner {
            Inner::None => "",
            Inner::Jacobi => "Jacobi",
            Inner::Ssor => "SSOR(1.6)",
            Inner::Ic0 => "IC(0)",
            Inner::Ilu0 => "ILU(0)",
            Inner::Sor => "SOR(1.6)",
            Inner::Geometric => "geometric V(1,1)",
            Inner::SmoothedAggregation => "SA-AMG",
            Inner::RugeStuben => "RS-AMG",
        };
        let solver = match self.solver {
            Solver::Cg => "CG",
            Solver::MinRes => "MINRES",
            Solver::Gmres => "GMRES(30)",
            Solver::BiCgStab => "BiCGStab",
            Solver::Alone => return f.write_str(inner),
        };
        f.write_str(solver)?;
        if !inner.is_empty() {
            write!(f, " + {inner}")?;
        }
        Ok(())
    }
}
