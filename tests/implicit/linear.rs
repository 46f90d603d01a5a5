//! The linear solvers of implicit steps: matrix-free Krylov methods against direct ones, Radau IIA sparse and
//! banded against dense, what is refused, what is stored.

use crate::common::{Failed, Method, Twist, additive};
use crate::gradients::{cotangents, loss};
use odeon::adjoint::{DiscreteAdjoint, Memory};
use odeon::dynamics::Dynamics;
use odeon::dynamics::generic::Generic;
use odeon::dynamics::pde::{Brusselator, Edge, Heat, MethodOfLines};
use odeon::error::Failure;
use odeon::integrate::{Options, Problem, Solution, Stepper};
use odeon::linalg::{Claims, Settings};
use odeon::num::ErrorNorm;
use odeon::ode::implicit::{
    ImplicitOptions, KrylovChoice, KrylovMethod, LinearChoice, MatrixFree, NewtonOptions,
};
use odeon::ode::radau::{RadauIia5, RadauStepper};
use odeon::ode::sdirk::{self, Kvaerno3, SdirkStepper};
use odeon::ode::tableaux_rosenbrock::Rodas5P;
use odeon::ode::{StepMethod, solve};

type Grid = MethodOfLines<Brusselator>;

fn grid(n: usize, edge: Edge) -> Result<Grid, Failed> {
    Ok(MethodOfLines::new(Brusselator, &[n, n + 1], &[1.0, 1.0], edge)?)
}

fn tight(linear: LinearChoice) -> ImplicitOptions {
    ImplicitOptions { linear, newton: NewtonOptions::tight(), ..Default::default() }
}

/// The solution and its gradient (y0, then θ).
fn run<D: Dynamics<f64>>(
    f: &D,
    method: Method,
    (problem, options): (&Problem<'_, f64>, &Options<f64>),
    implicit: &ImplicitOptions,
) -> Result<(Solution<f64>, Vec<f64>), Failed> {
    macro_rules! adjoint {
        ($stepper:expr) => {{
            let mut adjoint = DiscreteAdjoint::new($stepper, Memory::Unlimited);
            let solution = adjoint.forward(problem, options, &mut [])?.clone();
            adjoint.reverse(&cotangents(&solution), &[], &mut [])?;
            Ok((solution, [adjoint.y0_gradient(), adjoint.theta_gradient()].concat()))
        }};
    }
    match method {
        Method::Sdirk(table) => adjoint!(SdirkStepper::new(f, table, 1, implicit)),
        Method::Radau => adjoint!(RadauStepper::new(f, 1, implicit)),
    }
}

fn close(place: &str, got: &[f64], want: &[f64], relative: f64) {
    let size = want.iter().fold(0.0f64, |m, w| m.max(w.abs()));
    for (a, b) in got.iter().zip(want) {
        assert!((a - b).abs() < relative * size, "{place}: {a} {b} of {size}");
    }
}

/// The diagonal of W of the Brusselator's diffusion alone.
fn jacobi(spacing: [f64; 2]) -> MatrixFree {
    MatrixFree::default().preconditioned(move |w| {
        let d = w.theta[0] * 2.0 * spacing.iter().map(|h| h.powi(-2)).sum::<f64>();
        let (n, scale) = (w.y.len(), 1.0 / (w.alpha + d));
        let apply = move |r: &[f64], z: &mut [f64]| z.iter_mut().zip(r).for_each(|(z, r)| *z = scale * r);
        // A closure is not Send; the multigrid of the crate is, and so is this.
        Ok(Box::new(Scaled { n, apply: Box::new(apply) }))
    })
}

struct Scaled {
    n: usize,
    apply: Box<dyn FnMut(&[f64], &mut [f64]) + Send>,
}

impl odeon::linalg::Preconditioner<f64> for Scaled {
    fn len(&self) -> usize {
        self.n
    }
    fn claims(&self) -> Claims {
        Claims::SPD
    }
    fn apply(&mut self, r: &[f64], z: &mut [f64]) {
        (self.apply)(r, z);
    }
}

#[test]
fn matrix_free_steps_and_gradients_are_those_of_the_direct_solver() -> Result<(), Failed> {
    let [kvaerno, esdirk] = [sdirk::all()[2], sdirk::all()[3]].map(Method::Sdirk);
    let cases = [
        (Edge::Insulated, vec![kvaerno]),
        (Edge::Periodic, [vec![esdirk], additive()[1..].to_vec()].concat()),
    ];
    for (edge, methods) in cases {
        let f = grid(5, edge)?;
        let y0: Vec<f64> = f.sample(|[x, y], s| 1.0 + s as f64 + (3.0 * x).sin() * (2.0 * y).cos());
        let theta = [0.05, 3.4, 1.0];
        let problem = Problem { y0: &y0, span: [0.0, 0.2], theta: &theta };
        let options = Options::fixed(0.1);
        let settings = Settings::tol(1e-11);
        let choices = [
            MatrixFree::default(),
            MatrixFree { method: KrylovMethod::BiCgStab, settings, ..jacobi(f.spacing()) },
            MatrixFree { method: KrylovMethod::FlexibleGmres { restart: 20 }, ..jacobi(f.spacing()) },
            MatrixFree::multigrid(&f),
        ];
        for method in methods {
            let (direct, expected) = run(&f, method, (&problem, &options), &tight(LinearChoice::SparseLu))?;
            for choice in &choices {
                let place = format!("{} {edge:?} {choice:?}", method.name());
                let linear = LinearChoice::MatrixFree(choice.clone());
                let (solution, gradient) = run(&f, method, (&problem, &options), &tight(linear))?;
                close(&place, &solution.y, &direct.y, 1e-10);
                close(&place, &gradient, &expected, 1e-8);
                let counted: u32 = solution.steps.iter().map(|s| s.iterations.linear).sum();
                assert!(counted > 0 && counted as usize == solution.stats.implicit.linear_iterations);
            }
        }
    }
    Ok(())
}

/// The third way: differences of the loss, for Newton's forcing terms.
#[test]
fn matrix_free_gradients_are_those_of_differences() -> Result<(), Failed> {
    let f = grid(5, Edge::Fixed(1.0))?;
    let y0: Vec<f64> = f.sample(|[x, y], s| 1.0 + s as f64 + (3.0 * x).sin() * (2.0 * y).cos());
    let theta = [0.05, 3.4, 1.0];
    let options = Options::fixed(0.1);
    let implicit = tight(LinearChoice::MatrixFree(MatrixFree::multigrid(&f)));
    macro_rules! check {
        ($method:expr) => {{
            let stepper = || StepMethod::<f64, Grid>::stepper(&$method, &f, 1);
            let mut adjoint = DiscreteAdjoint::new(stepper(), Memory::Unlimited);
            let problem = Problem { y0: &y0, span: [0.0, 0.4], theta: &theta };
            let bar = cotangents(adjoint.forward(&problem, &options, &mut [])?);
            adjoint.reverse(&bar, &[], &mut [])?;
            for k in 0..3 {
                let moved = |by: f64| -> Result<f64, Failed> {
                    let mut theta = theta;
                    theta[k] += by;
                    let problem = Problem { y0: &y0, span: [0.0, 0.4], theta: &theta };
                    Ok(loss(&solve(&f, &$method, &problem, &options)?))
                };
                let h = 1e-3;
                let (near, far) = (moved(h)? - moved(-h)?, moved(2.0 * h)? - moved(-2.0 * h)?);
                let difference = (8.0 * near - far) / (12.0 * h);
                let g = adjoint.theta_gradient()[k];
                assert!((g - difference).abs() < 1e-6 * (1.0 + g.abs()), "θ[{k}]: {g} {difference}");
            }
        }};
    }
    check!(Kvaerno3.with(implicit.clone()));
    check!(sdirk::Kvaerno5.with(implicit.clone()));
    Ok(())
}

/// Rosenbrock stages and their transposed solves, matrix-free, against dense LU and against differences.
#[test]
fn matrix_free_rosenbrock_gradients_are_those_of_the_direct_solver_and_of_differences() -> Result<(), Failed>
{
    let f = Generic(Twist);
    let (theta, y0) = ([1.1, 0.7, 1.3], [0.4, -0.2]);
    let options = Options::fixed(0.2);
    let method = |linear| Rodas5P.with(ImplicitOptions { linear, ..Default::default() });
    let gradient = |linear| -> Result<Vec<f64>, Failed> {
        let problem = Problem { y0: &y0, span: [0.0, 1.0], theta: &theta };
        let stepper = StepMethod::<f64, Generic<Twist>>::stepper(&method(linear), &f, 1);
        let mut adjoint = DiscreteAdjoint::new(stepper, Memory::Unlimited);
        let bar = cotangents(adjoint.forward(&problem, &options, &mut [])?);
        adjoint.reverse(&bar, &[], &mut [])?;
        Ok([adjoint.y0_gradient(), adjoint.theta_gradient()].concat())
    };
    let direct = gradient(LinearChoice::DenseLu)?;
    let choices = [KrylovMethod::Gmres { restart: 20 }, KrylovMethod::BiCgStab];
    for choice in choices.map(|method| MatrixFree { method, ..MatrixFree::default() }) {
        let place = format!("{choice:?}");
        let linear = LinearChoice::MatrixFree(choice);
        let free = gradient(linear.clone())?;
        close(&place, &free, &direct, 1e-9);
        for k in 0..5 {
            let moved = |by: f64| -> Result<f64, Failed> {
                let (mut y0, mut theta) = (y0, theta);
                if k < 2 {
                    y0[k] += by
                } else {
                    theta[k - 2] += by
                };
                let problem = Problem { y0: &y0, span: [0.0, 1.0], theta: &theta };
                Ok(loss(&solve(&f, &method(linear.clone()), &problem, &options)?))
            };
            let h = 1e-3;
            let (near, far) = (moved(h)? - moved(-h)?, moved(2.0 * h)? - moved(-2.0 * h)?);
            let difference = (8.0 * near - far) / (12.0 * h);
            assert!(
                (free[k] - difference).abs() < 1e-7 * (1.0 + difference.abs()),
                "{place} {k}: {} {difference}",
                free[k]
            );
        }
    }
    Ok(())
}

/// The direct solver's orders are tested elsewhere: equal errors at every step size are equal orders.
#[test]
fn orders_are_kept() -> Result<(), Failed> {
    let (theta, y0) = ([1.1, 0.7, 1.3], [0.4, -0.2]);
    let problem = Problem { y0: &y0, span: [0.0, 1.6], theta: &theta };
    for h in [0.4, 0.2, 0.1, 0.05] {
        let free = LinearChoice::MatrixFree(MatrixFree::default());
        let ends = [LinearChoice::DenseLu, free].map(|linear| {
            let rosenbrock = Rodas5P.with(ImplicitOptions { linear: linear.clone(), ..Default::default() });
            let first = solve(&Generic(Twist), &rosenbrock, &problem, &Options::fixed(h));
            let second =
                solve(&Generic(Twist), &sdirk::Kvaerno5.with(tight(linear)), &problem, &Options::fixed(h));
            first.and_then(|a| second.map(|b| [a.last().to_vec(), b.last().to_vec()].concat()))
        });
        let [direct, free] = ends;
        close(&format!("h = {h}"), &free?, &direct?, 1e-9);
    }
    Ok(())
}

#[test]
fn multigrid_keeps_the_iterations_and_newton_its_tolerance() -> Result<(), Failed> {
    let mut per_solve = Vec::new();
    for n in [15, 31] {
        let f = MethodOfLines::new(Heat, &[n, n], &[1.0, 1.0], Edge::Fixed(0.0))?;
        let pi = std::f64::consts::PI;
        let y0: Vec<f64> = f.sample(|[x, y], _| (pi * x).sin() * (pi * y).sin() + (3.0 * pi * x).sin());
        let problem = Problem { y0: &y0, span: [0.0, 0.05], theta: &[1.0] };
        let options = Options::tol(1e-5, 1e-7);
        let free = ImplicitOptions {
            linear: LinearChoice::MatrixFree(MatrixFree::multigrid(&f)),
            ..Default::default()
        };
        let direct = solve(&f, &sdirk::Kvaerno5, &problem, &options)?;
        let solution = solve(&f, &sdirk::Kvaerno5.with(free), &problem, &options)?;
        let norm = ErrorNorm::new(1e-5, 1e-7);
        let off: Vec<f64> = solution.last().iter().zip(direct.last()).map(|(a, b)| a - b).collect();
        let off = norm.value(&off, solution.last(), direct.last(), n * n);
        assert!(off < 1.0, "n = {n}: off by {off} tolerances");
        let work = solution.stats.implicit;
        assert!(solution.stats.accepted < 2 * direct.stats.accepted, "{}", solution.stats.accepted);
        per_solve.push(work.linear_iterations as f64 / work.linear_solves as f64);
    }
    assert!(per_solve[1] < 4.0 && per_solve[1] < 1.5 * per_solve[0], "{per_solve:?}");
    Ok(())
}

/// Ten thousand times ten unknowns: vectors only.
#[test]
fn nothing_of_the_size_of_the_jacobian_is_stored() -> Result<(), Failed> {
    let f = MethodOfLines::new(Heat, &[316, 317], &[1.0, 1.0], Edge::Fixed(0.0))?;
    let (n, theta) = (316 * 317, [1.0]);
    let implicit = ImplicitOptions {
        linear: LinearChoice::MatrixFree(MatrixFree {
            method: KrylovMethod::Gmres { restart: 20 },
            ..MatrixFree::default()
        }),
        ..Default::default()
    };
    let mut stepper = SdirkStepper::new(&f, sdirk::all()[2], 1, &implicit);
    stepper.set_theta(&theta);
    stepper.prepare(0.0, &mut vec![1.0; n], &ErrorNorm::new(1e-4, 1e-6))?;
    let vectors = stepper.bytes() as f64 / (8 * n) as f64;
    // 24 of GMRES, 7 stages, the point, work space; the Jacobian would be 5 more twice, its factors 60.
    assert!(vectors < 40.0, "{vectors} vectors");
    Ok(())
}

#[test]
fn a_krylov_method_that_stagnates_rejects_the_step_and_is_counted() -> Result<(), Failed> {
    let f = MethodOfLines::new(Heat, &[20], &[1.0], Edge::Fixed(0.0))?;
    let y0: Vec<f64> = f.sample(|[x, _], _| (40.0 * x * x).sin());
    let problem = Problem { y0: &y0, span: [0.0, 1e-2], theta: &[1.0] };
    let settings = Settings { rtol: 1e-10, max_iterations: 6, ..Settings::default() };
    let choice = LinearChoice::MatrixFree(MatrixFree { settings, ..MatrixFree::default() });
    let implicit = ImplicitOptions { linear: choice, ..Default::default() };
    let fixed =
        solve(&f, &Rodas5P.with(implicit.clone()), &problem, &Options::fixed(1e-2)).err().ok_or("solved")?;
    assert!(
        fixed.error.to_string().contains("could not be solved")
            || fixed.solution.stats.implicit.failures == 1
    );
    assert!(
        matches!(&fixed.error, odeon::Error::Solve(p) if p.failure == Failure::Nonlinear),
        "{}",
        fixed.error
    );
    let options = Options { h0: Some(1e-2), ..Options::tol(1e-3, 1e-3) };
    let adaptive = solve(&f, &Rodas5P.with(implicit), &problem, &options)?;
    let stats = &adaptive.stats;
    assert!(stats.implicit.failures > 0 && stats.rejected >= stats.implicit.failures, "{stats:?}");
    let direct = solve(&f, &Rodas5P, &problem, &Options::tol(1e-6, 1e-6))?;
    close("the solution", adaptive.last(), direct.last(), 1e-2);
    Ok(())
}

#[test]
fn what_cannot_be_done_is_refused_by_name() -> Result<(), Failed> {
    let f = MethodOfLines::new(Heat, &[20], &[1.0], Edge::Fixed(0.0))?;
    let y0 = vec![1.0; 20];
    let problem = Problem { y0: &y0, span: [0.0, 1e-2], theta: &[1.0] };
    let options = Options::fixed(5e-3);
    let with = |linear| ImplicitOptions { linear, ..Default::default() };
    for linear in
        [LinearChoice::MatrixFree(MatrixFree::default()), LinearChoice::Krylov(KrylovChoice::default())]
    {
        let refused = solve(&f, &RadauIia5.with(with(linear)), &problem, &options).err().ok_or("solved")?;
        let message = refused.error.to_string();
        assert!(message.contains("RadauIia5") && message.contains("Esdirk54I8L2SA"), "{message}");
    }
    // A preconditioner of a claim, a length, and one without a transpose.
    let claiming = |claims, n| {
        MatrixFree::default().preconditioned(move |_| {
            Ok(Box::new(Plain { n, claims }) as Box<dyn odeon::linalg::Preconditioner<f64> + Send>)
        })
    };
    for (choice, needle) in
        [(claiming(Claims::NONE, 20), "FlexibleGmres"), (claiming(Claims::LINEAR, 19), "length 19")]
    {
        let implicit = with(LinearChoice::MatrixFree(choice));
        let errors = [
            solve(&f, &Kvaerno3.with(implicit.clone()), &problem, &options).err().ok_or("solved")?,
            solve(&f, &Rodas5P.with(implicit), &problem, &options).err().ok_or("solved")?,
        ];
        for error in errors {
            assert!(error.error.to_string().contains(needle), "{}", error.error);
        }
    }
    let implicit = with(LinearChoice::MatrixFree(claiming(Claims::LINEAR, 20)));
    let method = Method::Sdirk(sdirk::all()[2]);
    let message = match run(&f, method, (&problem, &options), &implicit) {
        Ok(_) => "a gradient".to_string(),
        Err(error) => error.to_string(),
    };
    assert!(message.contains("transpose"), "{message}");
    Ok(())
}

/// z = r, with claims.
struct Plain {
    n: usize,
    claims: Claims,
}

impl odeon::linalg::Preconditioner<f64> for Plain {
    fn len(&self) -> usize {
        self.n
    }
    fn claims(&self) -> Claims {
        self.claims
    }
    fn apply(&mut self, r: &[f64], z: &mut [f64]) {
        z.copy_from_slice(r);
    }
}

#[test]
fn radau_sparse_and_banded_are_radau_dense() -> Result<(), Failed> {
    let f = grid(5, Edge::Fixed(1.0))?;
    let y0: Vec<f64> = f.sample(|[x, y], s| 1.0 + s as f64 + (3.0 * x).sin() * (2.0 * y).cos());
    // Long steps through the reaction: the refinement of the reverse needs the stages' own Jacobians.
    let theta = [0.05, 3.4, 1.0];
    let problem = Problem { y0: &y0, span: [0.0, 0.9], theta: &theta };
    let options = Options::fixed(0.3);
    let (dense, expected) = run(&f, Method::Radau, (&problem, &options), &tight(LinearChoice::DenseLu))?;
    for linear in [LinearChoice::SparseLu, LinearChoice::Banded, LinearChoice::Auto] {
        let place = format!("{linear:?}");
        let (solution, gradient) = run(&f, Method::Radau, (&problem, &options), &tight(linear))?;
        close(&place, &solution.y, &dense.y, 1e-10);
        close(&place, &gradient, &expected, 1e-9);
    }
    Ok(())
}

/// A size that dense systems would refuse within this budget, against ESDIRK.
#[test]
fn radau_solves_a_brusselator_sparse() -> Result<(), Failed> {
    let f = Brusselator::benchmark(16)?;
    let y0: Vec<f64> = Brusselator::initial(&f);
    let problem = Problem { y0: &y0, span: [0.0, 1.0], theta: &Brusselator::THETA };
    let budget = odeon::linalg::Budget::bytes(8 << 20);
    let within = |linear| ImplicitOptions { linear, budget, ..Default::default() };
    let dense = RadauIia5.with(within(LinearChoice::DenseLu));
    assert!(solve(&f, &dense, &problem, &Options::tol(1e-5, 1e-5)).is_err());
    let radau = solve(&f, &RadauIia5.with(within(LinearChoice::Auto)), &problem, &Options::tol(1e-6, 1e-6))?;
    let esdirk = solve(&f, &sdirk::Esdirk54I8L2SA, &problem, &Options::tol(1e-7, 1e-7))?;
    close("the end", radau.last(), esdirk.last(), 2e-5);
    Ok(())
}
