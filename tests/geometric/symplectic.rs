//! Orders, symplecticity, energy, gradients, refusals.

use super::{Failed, Outcome};
use odeon::adjoint::{DiscreteAdjoint, Memory};
use odeon::dynamics::generic::{Generic, VectorField};
use odeon::integrate::{Options, Problem, Reverse, Save, Silent, Solution};
use odeon::num::Scalar;
use odeon::ode::symplectic::{Composition, ImplicitMidpoint, Verlet, Yoshida4, Yoshida6, Yoshida8};
use odeon::ode::tableaux::{Tsit5, Vern9};
use odeon::ode::{Solver, StepMethod, solve};

/// A pendulum pushed in time, of inertia p₁ and strength p₀; the force of time keeps it separable.
struct Pushed;
impl VectorField for Pushed {
    fn dim(&self) -> usize {
        2
    }
    fn num_params(&self) -> usize {
        3
    }
    #[inline(always)]
    fn eval<S: Scalar>(&self, t: S, y: &[S], p: &[S], dy: &mut [S]) {
        dy[0] = p[1] * y[1] * (S::one() + S::of(0.3) * t.sin());
        dy[1] = -p[0] * y[0].sin() + p[2] * t.cos();
    }
}

/// Kepler's problem, (x, y, p_x, p_y).
struct Kepler;
impl VectorField for Kepler {
    fn dim(&self) -> usize {
        4
    }
    fn num_params(&self) -> usize {
        0
    }
    #[inline(always)]
    fn eval<S: Scalar>(&self, _t: S, y: &[S], _p: &[S], dy: &mut [S]) {
        let square = y[0] * y[0] + y[1] * y[1];
        let cube = square * square.sqrt();
        (dy[0], dy[1]) = (y[2], y[3]);
        (dy[2], dy[3]) = (-y[0] / cube, -y[1] / cube);
    }
}

/// A Hamiltonian that is not separable: H = (1 + q²)(1 + p²)/2.
struct Mixed;
impl VectorField for Mixed {
    fn dim(&self) -> usize {
        2
    }
    fn num_params(&self) -> usize {
        0
    }
    #[inline(always)]
    fn eval<S: Scalar>(&self, _t: S, y: &[S], _p: &[S], dy: &mut [S]) {
        dy[0] = y[1] * (S::one() + y[0] * y[0]);
        dy[1] = -y[0] * (S::one() + y[1] * y[1]);
    }
}

/// From eccentricity e at the pericentre.
fn orbit(e: f64) -> [f64; 4] {
    [1.0 - e, 0.0, 0.0, ((1.0 + e) / (1.0 - e)).sqrt()]
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).fold(0.0, |m, (a, b)| m.max((a - b).abs()))
}

const THETA: [f64; 3] = [1.3, 0.8, 0.4];

/// Slope of the error at the end (and at points inside) against h.
fn slopes<M>(method: &M, sizes: &[f64]) -> Result<[f64; 2], Failed>
where
    M: StepMethod<f64, Generic<Pushed>>,
{
    let inside: Vec<f64> = (1..60).map(|k| 0.3 + 2.2 * f64::from(k) / 60.0).collect();
    let span = [0.3, 2.5];
    let problem = Problem { y0: &[0.7, 0.9], span, theta: &THETA };
    let times = Save::At(inside.iter().copied().chain([span[1]]).collect());
    let exact = solve(&Generic(Pushed), &Vern9, &problem, &Options::tol(1e-14, 1e-14).save(times.clone()))?;
    let mut points = Vec::new();
    for &h in sizes {
        let s = solve(&Generic(Pushed), method, &problem, &Options::fixed(h).save(times.clone()))?;
        points.push([h, distance(s.last(), exact.last()), distance(&s.y[..118], &exact.y[..118])]);
    }
    // Least squares in logarithms.
    let fit = |k: usize| {
        let n = points.len() as f64;
        let logs: Vec<[f64; 2]> = points.iter().map(|p| [p[0].ln(), p[k].ln()]).collect();
        let mean = |i: usize| logs.iter().map(|l| l[i]).sum::<f64>() / n;
        let (x, y) = (mean(0), mean(1));
        logs.iter().map(|l| (l[0] - x) * (l[1] - y)).sum::<f64>()
            / logs.iter().map(|l| (l[0] - x).powi(2)).sum::<f64>()
    };
    Ok([fit(1), fit(2)])
}

#[test]
fn methods_have_their_orders_on_a_system_of_time() -> Outcome {
    let halves = |from: f64, n: i32| -> Vec<f64> { (0..n).map(|k| from * 0.5f64.powi(k)).collect() };
    let thirds = |from: f64| -> Vec<f64> { (0..4).map(|k| from * 0.75f64.powi(k)).collect() };
    for (name, order, [end, between]) in [
        ("Verlet", 2.0, slopes(&Verlet, &halves(2.2 / 16.0, 5))?),
        ("Yoshida4", 4.0, slopes(&Yoshida4, &halves(2.2 / 24.0, 4))?),
        ("Yoshida6", 6.0, slopes(&Yoshida6, &thirds(2.2 / 8.0))?),
        ("Yoshida8", 8.0, slopes(&Yoshida8, &thirds(2.2 / 5.0))?),
        ("ImplicitMidpoint", 2.0, slopes(&ImplicitMidpoint, &halves(2.2 / 16.0, 5))?),
    ] {
        assert!((end - order).abs() < 0.15, "{name}: {end}");
        // Cubic Hermite between points of order p.
        assert!(between > order.min(4.0) - 0.2, "{name} inside: {between}");
    }
    Ok(())
}

#[test]
fn the_shares_of_compositions_are_symmetric_and_sum_to_one() {
    let all: [&dyn Composition; 4] = [&Verlet, &Yoshida4, &Yoshida6, &Yoshida8];
    for (method, order) in all.iter().zip([2, 4, 6, 8]) {
        let w = method.shares();
        assert_eq!(method.order(), order);
        assert!((w.iter().sum::<f64>() - 1.0).abs() < 1e-14);
        assert!(w.iter().eq(w.iter().rev()));
        // The condition of order 4: Σ w³ = 0; of order 6: Σ w⁵ = 0.
        let power = |n| w.iter().map(|w| w.powi(n)).sum::<f64>();
        assert!(order < 4 || power(3).abs() < 1e-14, "{}", power(3));
        assert!(order < 6 || power(5).abs() < 1e-14, "{}", power(5));
        assert!(order < 8 || power(7).abs() < 1e-14, "{}", power(7));
    }
}

/// Largest entry of JᵀΩJ − Ω after `steps` steps, J by the discrete adjoint.
fn defect<D, M>(f: &D, method: &M, y0: &[f64], h: f64) -> Result<f64, Failed>
where
    D: odeon::dynamics::Dynamics<f64>,
    M: StepMethod<f64, D>,
    for<'a> M::Stepper<'a>: Reverse<f64>,
{
    let n = y0.len();
    let mut rows = Vec::new();
    let mut adjoint = DiscreteAdjoint::new(method.stepper(f, 1), Memory::Unlimited);
    for i in 0..n {
        let problem = Problem { y0, span: [0.0, 7.3 * h], theta: &[] };
        adjoint.forward(&problem, &Options::fixed(h), &mut [])?;
        let mut bar = vec![0.0; n];
        bar[i] = 1.0;
        adjoint.reverse(&bar, &[], &mut [])?;
        rows.push(adjoint.y0_gradient().to_vec());
    }
    let half = n / 2;
    // (JᵀΩJ)_{ab} = Σ_i J_{ia} J_{i+d,b} − J_{i+d,a} J_{ib}.
    let mut worst = 0.0f64;
    for a in 0..n {
        for b in 0..n {
            let product: f64 =
                (0..half).map(|i| rows[i][a] * rows[i + half][b] - rows[i + half][a] * rows[i][b]).sum();
            let wanted = if b == a + half {
                1.0
            } else if a == b + half {
                -1.0
            } else {
                0.0
            };
            worst = worst.max((product - wanted).abs());
        }
    }
    Ok(worst)
}

#[test]
fn steps_are_symplectic_and_those_of_tsit5_are_not() -> Outcome {
    let (f, y0) = (Generic(Kepler), orbit(0.3));
    for (name, off) in [
        ("Verlet", defect(&f, &Verlet, &y0, 0.1)?),
        ("Yoshida4", defect(&f, &Yoshida4, &y0, 0.1)?),
        ("Yoshida6", defect(&f, &Yoshida6, &y0, 0.1)?),
        ("Yoshida8", defect(&f, &Yoshida8, &y0, 0.1)?),
        ("ImplicitMidpoint", defect(&f, &ImplicitMidpoint, &y0, 0.1)?),
        ("ImplicitMidpoint, not separable", defect(&Generic(Mixed), &ImplicitMidpoint, &[0.4, 0.8], 0.2)?),
    ] {
        assert!(off < 1e-12, "{name}: {off:e}");
    }
    let off = defect(&f, &Tsit5, &y0, 0.1)?;
    assert!(off > 1e-7, "Tsit5: {off:e}");
    Ok(())
}

#[test]
fn energy_stays_where_that_of_tsit5_drifts() -> Outcome {
    let (f, y0) = (Generic(Kepler), orbit(0.4));
    let energy = |y: &[f64]| 0.5 * (y[2] * y[2] + y[3] * y[3]) - 1.0 / y[0].hypot(y[1]);
    let problem = Problem { y0: &y0, span: [0.0, 40.0 * std::f64::consts::TAU], theta: &[] };
    // Largest deviations in the first and in the last fifth.
    fn drift<M: StepMethod<f64, Generic<Kepler>>>(
        f: &Generic<Kepler>,
        method: &M,
        problem: &Problem<'_, f64>,
        h: f64,
        energy: impl Fn(&[f64]) -> f64,
    ) -> Result<[f64; 2], Failed> {
        let s: Solution<f64> = solve(f, method, problem, &Options::fixed(h).save(Save::EveryStep))?;
        let off: Vec<f64> = (0..s.t.len()).map(|i| (energy(s.state(i)) - energy(s.state(0))).abs()).collect();
        let most = |part: &[f64]| part.iter().fold(0.0f64, |m, x| m.max(*x));
        Ok([most(&off[..off.len() / 5]), most(&off[off.len() * 4 / 5..])])
    }
    for (name, [early, late]) in [
        ("Verlet", drift(&f, &Verlet, &problem, 0.05, energy)?),
        ("Yoshida4", drift(&f, &Yoshida4, &problem, 0.1, energy)?),
        ("ImplicitMidpoint", drift(&f, &ImplicitMidpoint, &problem, 0.1, energy)?),
    ] {
        assert!(late < 1.3 * early && early > 1e-6, "{name}: {early:e} {late:e}");
    }
    let [early, late] = drift(&f, &Tsit5, &problem, 0.15, energy)?;
    assert!(late > 2.5 * early, "Tsit5: {early:e} {late:e}");
    // Kepler's angular momentum is quadratic: both kinds keep it to rounding.
    let momentum = |y: &[f64]| y[0] * y[3] - y[1] * y[2];
    let [_, late] = drift(&f, &ImplicitMidpoint, &problem, 0.1, momentum)?;
    assert!(late < 1e-11, "{late:e}");
    let [_, late] = drift(&f, &Yoshida6, &problem, 0.1, momentum)?;
    assert!(late < 1e-11, "{late:e}");
    Ok(())
}

/// Gradients of a loss on saved states against differences of the replayed solve.
fn check_gradient<M>(name: &str, method: &M) -> Outcome
where
    M: StepMethod<f64, Generic<Pushed>>,
    for<'a> M::Stepper<'a>: Reverse<f64>,
{
    let f = Generic(Pushed);
    let weights = |n: usize| -> Vec<f64> { (0..n).map(|i| (1.7 * i as f64 + 0.4).sin()).collect() };
    let loss = |y: &[f64]| y.iter().zip(weights(y.len())).map(|(y, w)| w * y + 0.5 * y * y).sum::<f64>();
    for (save, stops) in [
        (Save::End, vec![]),
        (Save::EveryStep, vec![1.0]),
        (Save::At(vec![0.3, 0.5, 1.0, 1.37, 1.6]), vec![1.0]),
    ] {
        for batch in [1, 2] {
            let y0: Vec<f64> = weights(2 * batch).iter().map(|w| 0.6 + 0.5 * w).collect();
            let options = Options { tstops: stops.clone(), ..Options::fixed(0.17) }.save(save.clone());
            let problem = Problem { y0: &y0, span: [0.3, 1.6], theta: &THETA };
            let mut adjoint = DiscreteAdjoint::new(method.stepper(&f, batch), Memory::Unlimited);
            let solution = adjoint.forward(&problem, &options, &mut [])?.clone();
            let bar: Vec<f64> =
                solution.y.iter().zip(weights(solution.y.len())).map(|(y, w)| w + y).collect();
            adjoint.reverse(&bar, &[], &mut [])?;
            let gradient = [adjoint.y0_gradient(), adjoint.theta_gradient()].concat();
            let size = gradient.iter().fold(0.0f64, |a, g| a.max(g.abs()));
            let mut solver = Solver::new(&f, method, batch);
            for (e, g) in gradient.iter().enumerate() {
                let mut moved = |d: f64| -> Result<f64, Failed> {
                    let (mut y0, mut theta) = (y0.clone(), THETA);
                    if e < y0.len() {
                        y0[e] += d
                    } else {
                        theta[e - y0.len()] += d
                    }
                    let problem = Problem { y0: &y0, span: [0.3, 1.6], theta: &theta };
                    Ok(loss(&solver.replay(&problem, &solution, &options, &mut Silent)?.y))
                };
                let d = 1e-4;
                let want =
                    (8.0 * (moved(d)? - moved(-d)?) - (moved(2.0 * d)? - moved(-2.0 * d)?)) / (12.0 * d);
                assert!((g - want).abs() < 1e-8 * size, "{name} {save:?} {batch} entry {e}: {g} {want}");
            }
            // Recomputed from states, the same.
            let bytes = adjoint.statistics().work_bytes + 4 * 16 * batch;
            let mut thin = DiscreteAdjoint::new(method.stepper(&f, batch), Memory::Bytes(bytes));
            thin.forward(&problem, &options, &mut [])?;
            thin.reverse(&bar, &[], &mut [])?;
            assert!(distance(thin.y0_gradient(), adjoint.y0_gradient()) < 1e-12 * size, "{name}");
            assert!(distance(thin.theta_gradient(), adjoint.theta_gradient()) < 1e-12 * size, "{name}");
        }
    }
    Ok(())
}

#[test]
fn gradients_are_those_of_the_replayed_steps() -> Outcome {
    check_gradient("Verlet", &Verlet)?;
    check_gradient("Yoshida4", &Yoshida4)?;
    check_gradient("Yoshida6", &Yoshida6)?;
    check_gradient("ImplicitMidpoint", &ImplicitMidpoint)
}

/// Damped: not Hamiltonian, not separable.
struct Damped;
impl VectorField for Damped {
    fn dim(&self) -> usize {
        2
    }
    fn num_params(&self) -> usize {
        0
    }
    #[inline(always)]
    fn eval<S: Scalar>(&self, _t: S, y: &[S], _p: &[S], dy: &mut [S]) {
        dy[0] = y[1];
        dy[1] = -y[0] - S::of(0.1) * y[1];
    }
}

#[test]
fn what_the_methods_cannot_do_is_refused() -> Outcome {
    let problem = Problem { y0: &[0.4, 0.8], span: [0.0, 1.0], theta: &[] };
    let message =
        |error: Option<odeon::integrate::Partial<f64>>| error.map(|e| e.to_string()).unwrap_or_default();
    let mixed = message(solve(&Generic(Mixed), &Verlet, &problem, &Options::fixed(0.1)).err());
    assert!(
        mixed.contains("positions depend on the positions") && mixed.contains("ImplicitMidpoint"),
        "{mixed}"
    );
    let damped = message(solve(&Generic(Damped), &Yoshida8, &problem, &Options::fixed(0.1)).err());
    assert!(damped.contains("momenta depend on the momenta"), "{damped}");
    let adaptive =
        message(solve(&Generic(Damped), &ImplicitMidpoint, &problem, &Options::tol(1e-6, 1e-6)).err());
    assert!(adaptive.contains("no error estimate"), "{adaptive}");
    // h‖J‖/2 > 1: the iteration cannot converge.
    let long = Problem { span: [0.0, 6.0], ..problem };
    let large = message(solve(&Generic(Damped), &ImplicitMidpoint, &long, &Options::fixed(3.0)).err());
    assert!(large.contains("did not converge"), "{large}");
    Ok(())
}
