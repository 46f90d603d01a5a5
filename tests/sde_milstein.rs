//! Milstein's method, the log-ODE method and the conversion of calculus: the step against its formula, gradients against differences of the replay, the converted drift against formulas.

#[macro_use]
#[path = "sde_support/fields.rs"]
mod fields;
#[path = "sde_support/replay.rs"]
mod replay;

use fields::{Column, Drift, Tanh, TanhIto};
use odeon::Result;
use odeon::dynamics::check::{CheckOptions, check_gradient};
use odeon::dynamics::generic::Generic;
use odeon::dynamics::{Dynamics, Point};
use odeon::integrate::{Observer, Options, Problem, StepView};
use odeon::ode::Solver;
use odeon::sde::noise::{Brownian, IntervalTree, Levy, VirtualTree};
use odeon::sde::tableaux::{EulerMaruyama, Heun};
use odeon::sde::{
    Additive, Calculus, Commutative, Constant, Converted, Crossed, Diagonal, Diffusion, General, LogOde,
    Milstein, MilsteinDifferences, Scalar, Sde, SdeMethod, SecondOrderDiffusion, System, solve,
};
use replay::gradient_error;

field!(
    /// g_i(t, y_i).
    Own, 2, 2, |t, y, p, dy| {
        dy[0] = p[0] * (S::of(1.0) + S::of(0.5) * (y[0] + t).sin());
        dy[1] = p[1] * (-(y[1] * y[1])).exp() + S::of(0.2) * t;
    }
);
/// The last step's error estimate.
#[derive(Default)]
struct Seen(Vec<f64>);

impl Observer<f64> for Seen {
    fn accepted(&mut self, step: &StepView<'_, f64>) {
        self.0 = vec![0.0; step.len()];
        assert!(step.estimates.error_vector(step, false, &mut self.0));
    }
}

/// One step, written out for one path with columns and their derivatives by hand.
#[test]
fn one_step_is_the_formula() -> Result<()> {
    let theta = [0.5, 0.4, 0.7, 0.6, 0.5, -0.4, 0.3];
    let (y0, h) = ([0.4, 0.9], 0.25);
    for calculus in [Calculus::Ito, Calculus::Stratonovich] {
        let columns = Commutative(vec![Generic(Column), Generic(Column)]);
        let system = match calculus {
            Calculus::Ito => Sde::ito(Generic(Drift), columns),
            Calculus::Stratonovich => Sde::stratonovich(Generic(Drift), columns),
        };
        let mut noise = IntervalTree::new(3, [0.0, h], 2, 1)?;
        let mut w = [0.0; 2];
        Brownian::increment(&mut noise, 0.0, h, &mut w, &mut [])?;
        let problem = Problem { y0: &y0, span: [0.0, h], theta: &theta };
        let mut solver = Solver::with(Milstein.stepper(&system, noise)?);
        let mut seen = Seen::default();
        let y1 = solver.observe(&problem, &Options::fixed(h), &mut seen)?.y.clone();
        let g = |k: usize, y: [f64; 2]| {
            let p = &theta[3 + 2 * k..];
            [p[0] * (y[0] * y[1]).sin() + 0.3, p[1] * y[0].cos() * y[1]]
        };
        let along = |k: usize, v: [f64; 2]| {
            let (p, c) = (&theta[3 + 2 * k..], (y0[0] * y0[1]).cos());
            [
                p[0] * c * (y0[1] * v[0] + y0[0] * v[1]),
                p[1] * (y0[0].cos() * v[1] - y0[0].sin() * y0[1] * v[0]),
            ]
        };
        let drift = |t: f64, y: &[f64]| {
            let second = (y[0] * theta[2]).sin() - theta[1] * y[1] + 0.2 * t;
            [theta[0] * y[1] * t.cos() - theta[1] * y[0], second]
        };
        let (drift, end_drift) = (drift(0.0, &y0), drift(h, &y1));
        for i in 0..2 {
            let mut want = y0[i] + h * drift[i];
            let mut error = 0.5 * h * (end_drift[i] - drift[i]);
            for k in 0..2 {
                want += g(k, y0)[i] * w[k];
                for l in 0..2 {
                    let less = if k == l && calculus == Calculus::Ito { h } else { 0.0 };
                    let term = 0.5 * along(k, g(l, y0))[i] * (w[k] * w[l] - less);
                    want += term;
                    error += term;
                }
            }
            assert!((seen.0[i] - error).abs() < 1e-15, "{calculus}, estimate {i}: {} {error}", seen.0[i]);
            assert!((y1[i] - want).abs() < 1e-15, "{calculus}, row {i}: {} {want}", y1[i]);
        }
    }
    Ok(())
}

/// The step of the log-ODE method, written out for one path with columns and their derivatives by hand.
#[test]
fn one_log_ode_step_is_the_formula() -> Result<()> {
    let theta = [0.5, 0.4, 0.7, 0.6, 0.5, -0.4, 0.3];
    let (y0, h) = ([0.4, 0.9], 0.25);
    let system = Sde::stratonovich(Generic(Drift), General(vec![Generic(Column), Generic(Column)]));
    let mut noise = IntervalTree::new(3, [0.0, h], 2, 1)?.levy(Levy::SpaceTime);
    let (mut w, mut area) = ([0.0; 2], [0.0; 2]);
    Brownian::increment(&mut noise, 0.0, h, &mut w, &mut area)?;
    let problem = Problem { y0: &y0, span: [0.0, h], theta: &theta };
    let mut solver = Solver::with(LogOde.stepper(&system, noise)?);
    let y1 = solver.observe(&problem, &Options::fixed(h), &mut Seen::default())?.y.clone();
    let g = |k: usize, t: f64, y: [f64; 2]| {
        let p = &theta[3 + 2 * k..];
        [p[0] * (y[0] * y[1]).sin() + 0.3, p[1] * (y[0] + t).cos() * y[1]]
    };
    let along = |k: usize, t: f64, y: [f64; 2], v: [f64; 2]| {
        let (p, c, (sin, cos)) = (&theta[3 + 2 * k..], (y[0] * y[1]).cos(), (y[0] + t).sin_cos());
        [p[0] * c * (y[1] * v[0] + y[0] * v[1]), p[1] * (cos * v[1] - sin * y[1] * v[0])]
    };
    let drift = |t: f64, y: [f64; 2]| {
        let second = (y[0] * theta[2]).sin() - theta[1] * y[1] + 0.2 * t;
        [theta[0] * y[1] * t.cos() - theta[1] * y[0], second]
    };
    let step = |from: [f64; 2], t: f64, at: [f64; 2], h: f64, w: [f64; 2]| {
        let (f, g) = (drift(t, at), [g(0, t, at), g(1, t, at)]);
        [0, 1].map(|i| from[i] + h * f[i] + g[0][i] * w[0] + g[1][i] * w[1])
    };
    let middle = step(y0, 0.0, y0, 0.5 * h, w.map(|w| 0.5 * w));
    let plain = step(y0, 0.5 * h, middle, h, w);
    // A [g_1, g_2] with the mean area.
    let expected_area = area[0] * w[1] - w[0] * area[1];
    let t = 0.5 * h;
    let second = along(1, t, middle, g(0, t, middle));
    let first = along(0, t, middle, g(1, t, middle));
    for i in 0..2 {
        let want = plain[i] + expected_area * (second[i] - first[i]);
        assert!((y1[i] - want).abs() < 1e-15, "row {i}: {} {want}", y1[i]);
    }
    Ok(())
}

field!(
    /// (p_0, p_1 y_0).
    Shear, 2, 2, |t, y, p, dy| {
        dy[0] = p[0];
        dy[1] = p[1] * y[0];
    }
);
field!(
    /// Nothing.
    Still, 2, 0, |t, y, p, dy| {
        dy.fill(S::of(0.0));
        let _ = y;
    }
);

/// Columns (1, 0) and (0, y_1): y_2 is the iterated integral ∫W_1 dW_2, of which one step lacks the area alone.
#[test]
fn expected_areas_leave_a_third_of_the_mean_square() -> Result<()> {
    let system = Sde::stratonovich(Generic(Still), General(vec![Generic(Shear), Generic(Shear)]));
    let theta = [1.0, 0.0, 0.0, 1.0];
    let paths = 4000;
    let y0 = vec![0.0; 2 * paths];
    let problem = Problem { y0: &y0, span: [0.0, 1.0], theta: &theta };
    let noise = || IntervalTree::new(9, [0.0, 1.0], 2, paths).map(|tree| tree.levy(Levy::SpaceTime));
    let fine = solve(&system, &LogOde, noise()?, &problem, &Options::fixed(1.0 / 256.0))?;
    let off = |y: &[f64]| {
        let sum = y.iter().zip(fine.last()).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
        sum / paths as f64
    };
    let options = Options::fixed(1.0);
    let with = off(solve(&system, &LogOde, noise()?, &problem, &options)?.last());
    let without = off(solve(&system, &odeon::sde::tableaux::Midpoint, noise()?, &problem, &options)?.last());
    // h²/12 and h²/4; the spread of a mean over 4000 paths is about 3 %.
    assert!((with * 12.0 - 1.0).abs() < 0.12, "{with:.4}");
    assert!((without * 4.0 - 1.0).abs() < 0.12, "{without:.4}");
    Ok(())
}

#[test]
fn the_converted_drift_is_the_formula_and_converts_back() -> Result<()> {
    let system = Sde::ito(Generic(TanhIto), Scalar(Generic(Tanh)));
    let (theta, y) = ([0.4, 0.8, 0.8], [0.3, -0.7, 0.1]);
    let converted = Converted::new(&system);
    let drift = System::<f64>::drift(&converted);
    let mut scratch = Dynamics::<f64>::scratch(drift, 3);
    let mut dy = [0.0; 3];
    drift.eval(Point { t: 0.2, y: &y, theta: &theta }, &mut dy, &mut scratch);
    for (dy, y) in dy.iter().zip(y) {
        assert!((dy + 0.4 * (1.0 - y * y)).abs() < 1e-15);
    }
    let back = Converted::new(&converted);
    assert_eq!(System::<f64>::calculus(&back), Calculus::Ito);
    let mut scratch = Dynamics::<f64>::scratch(System::<f64>::drift(&back), 3);
    System::<f64>::drift(&back).eval(Point { t: 0.2, y: &y, theta: &theta }, &mut dy, &mut scratch);
    let mut want = [0.0; 3];
    let f = Generic(TanhIto);
    f.eval(Point { t: 0.2, y: &y, theta: &theta[..2] }, &mut want, &mut Dynamics::<f64>::scratch(&f, 3));
    for (dy, want) in dy.iter().zip(want) {
        assert!((dy - want).abs() < 1e-15, "{dy} {want}");
    }
    Ok(())
}

const THETA: [f64; 7] = [0.5, 0.4, 0.7, 0.6, 0.5, -0.4, 0.3];
const Y0: [f64; 6] = [0.4, 0.9, -0.3, 0.5, 1.1, 0.2];

fn converted_derivatives<G: SecondOrderDiffusion<f64>>(g: G) {
    let theta = &THETA[..3 + g.num_params()];
    let name = format!("{}, {:?}", g.class(), g.shape());
    let system = Converted::new(Sde::ito(Generic(Drift), g));
    let report = check_gradient(System::<f64>::drift(&system), 0.3, &Y0, theta, &CheckOptions::default());
    assert!(report.as_ref().is_ok_and(|r| r.passed()), "{name}: {report:?}");
    // Twice converted it is the original, with its products, to rounding.
    let back = Converted::new(system);
    let (twice, f) = (System::<f64>::drift(&back), Generic(Drift));
    let bar = [0.3, -0.8, 0.5, 0.9, -0.2, 0.7];
    let (mut got, mut want) =
        ((vec![0.0; 6], vec![0.0; theta.len()]), (vec![0.0; 6], vec![0.0; theta.len()]));
    let at = Point { t: 0.3, y: &Y0, theta };
    let t_got = twice.vjp(at, &bar, &mut got.0, &mut got.1, &mut Dynamics::<f64>::scratch(twice, 3));
    let at = Point { theta: &theta[..3], ..at };
    let t_want = f.vjp(at, &bar, &mut want.0, &mut want.1[..3], &mut Dynamics::<f64>::scratch(&f, 3));
    let pairs = got.0.iter().chain(&got.1).zip(want.0.iter().chain(&want.1));
    let off = pairs.fold((t_got - t_want).abs(), |s: f64, (a, b)| s.max((a - b).abs()));
    assert!(off < 1e-14, "{name}, back: {off:.1e}");
}

#[test]
fn the_converted_drift_has_its_derivatives() {
    converted_derivatives(Diagonal(Generic(Own)));
    converted_derivatives(Crossed(Generic(Column)));
    converted_derivatives(Scalar(Generic(Column)));
    converted_derivatives(Commutative(vec![Generic(Column); 2]));
    converted_derivatives(General(vec![Generic(Column); 2]));
    converted_derivatives(Additive(Scalar(Generic(Column))));
    converted_derivatives(Constant::matrix(2, 2));
}

/// Three paths, with areas.
fn source(components: usize) -> VirtualTree<f64> {
    VirtualTree::new(5, [0.0, 0.75], components, 3, 1e-4).unwrap().levy(Levy::SpaceTime)
}

/// Gradients of a method on drift [`Drift`] and this noise, in the calculi it takes.
fn gradients<G, M>(method: &M, g: G, calculi: &[Calculus]) -> Result<()>
where
    G: Diffusion<f64> + Clone + 'static,
    M: SdeMethod<f64, Sde<Generic<Drift>, G>>,
    for<'a> M::Stepper<'a>: odeon::integrate::Reverse<f64>,
{
    let theta = &THETA[..3 + g.num_params()];
    let m = g.components();
    for calculus in calculi {
        let system = match calculus {
            Calculus::Ito => Sde::ito(Generic(Drift), g.clone()),
            Calculus::Stratonovich => Sde::stratonovich(Generic(Drift), g.clone()),
        };
        let make = || method.stepper(&system, source(m)).unwrap();
        let [off, thinned] = gradient_error(make, &Y0, theta)?;
        let name = format!("{calculus} {} {:?}", g.class(), g.shape());
        println!("{name}: {off:.1e}, thinned {thinned:.1e}");
        assert!(off < 1e-7, "{name}: {off:.1e}");
        assert!(thinned == 0.0, "{name}: {thinned:.1e}");
    }
    Ok(())
}

macro_rules! all_noise {
    ($method:expr, $calculi:expr) => {
        gradients($method, Diagonal(Generic(Own)), $calculi)?;
        gradients($method, Scalar(Generic(Column)), $calculi)?;
        gradients($method, Commutative(vec![Generic(Column); 2]), $calculi)?;
        gradients($method, Constant::matrix(2, 2), $calculi)?;
        gradients($method, Additive(Constant::diagonal(2)), $calculi)?;
    };
}

#[test]
fn gradients_are_those_of_the_replay() -> Result<()> {
    all_noise!(&Milstein, &[Calculus::Ito, Calculus::Stratonovich]);
    all_noise!(&MilsteinDifferences, &[Calculus::Ito]);
    all_noise!(&LogOde, &[Calculus::Stratonovich]);
    gradients(&LogOde, General(vec![Generic(Column); 2]), &[Calculus::Stratonovich])?;
    Ok(())
}

#[test]
fn gradients_through_a_converted_equation() -> Result<()> {
    let make_noise = || VirtualTree::new(5, [0.0, 0.75], 2, 3, 1e-4).unwrap();
    let columns = Commutative(vec![Generic(Column); 2]);
    let system = Converted::new(Sde::ito(Generic(Drift), columns.clone()));
    let [off, _] = gradient_error(|| Heun.stepper(&system, make_noise()).unwrap(), &Y0, &THETA)?;
    assert!(off < 1e-7, "Heun: {off:.1e}");
    let [off, _] = gradient_error(|| Milstein.stepper(&system, make_noise()).unwrap(), &Y0, &THETA)?;
    assert!(off < 1e-7, "Milstein: {off:.1e}");
    let system = Converted::new(Sde::stratonovich(Generic(Drift), Crossed(Generic(Column))));
    let make = || EulerMaruyama.stepper(&system, make_noise()).unwrap();
    let [off, _] = gradient_error(make, &Y0, &THETA[..5])?;
    assert!(off < 1e-7, "Euler–Maruyama: {off:.1e}");
    Ok(())
}

#[test]
fn what_it_does_not_take_is_said() -> Result<()> {
    let noise = || IntervalTree::new(1, [0.0, 1.0], 2, 1).unwrap();
    let general = Sde::ito(Generic(Drift), General(vec![Generic(Column); 2]));
    let say = |error: Option<odeon::Error>| error.map(|e| e.to_string()).unwrap_or_default();
    let message = say(Milstein.stepper(&general, noise()).err());
    let part = "Milstein takes additive, scalar, diagonal, commutative noise only";
    assert!(message.contains(part), "{message}");
    let crossed = Sde::ito(Generic(Drift), Crossed(Generic(Column)));
    let message = say(MilsteinDifferences.stepper(&crossed, noise()).err());
    assert!(message.contains("MilsteinDifferences takes additive, scalar"), "{message}");
    let scalar = Sde::stratonovich(Generic(Drift), Scalar(Generic(Column)));
    let message = say(MilsteinDifferences.stepper(&scalar, noise()).err());
    assert!(message.contains("MilsteinDifferences is a method for Itô equations"), "{message}");
    let message = say(Milstein.stepper(&scalar, noise()).err());
    assert!(message.contains("the diffusion has 1 Brownian motions"), "{message}");
    let general = Sde::stratonovich(Generic(Drift), General(vec![Generic(Column); 2]));
    let message = say(LogOde.stepper(&general, noise()).err());
    assert!(message.contains("LogOde on general noise needs the space–time Lévy area"), "{message}");
    let crossed = Sde::stratonovich(Generic(Drift), Crossed(Generic(Column)));
    let message = say(LogOde.stepper(&crossed, noise().levy(Levy::SpaceTime)).err());
    assert!(message.contains("give them one by one"), "{message}");
    let ito = Sde::ito(Generic(Drift), General(vec![Generic(Column); 2]));
    let message = say(LogOde.stepper(&ito, noise()).err());
    assert!(message.contains("LogOde is a method for Stratonovich equations"), "{message}");
    // Against time, Itô's equation is refused and Stratonovich's goes back to where it came from.
    let problem = Problem { y0: &Y0[..2], span: [1.0, 0.0], theta: &THETA[..5] };
    let ito = Sde::ito(Generic(Drift), Diagonal(Generic(Own)));
    let message = say(solve(&ito, &Milstein, noise(), &problem, &Options::fixed(0.1)).err().map(|p| p.error));
    assert!(message.contains("looks forward only"), "{message}");
    let system = Sde::stratonovich(Generic(Drift), Diagonal(Generic(Own)));
    for steps in [64, 256] {
        let options = Options::fixed(1.0 / f64::from(steps));
        let problem = Problem { y0: &Y0[..2], span: [0.0, 1.0], theta: &THETA[..5] };
        let there = solve(&system, &Milstein, noise(), &problem, &options)?.y;
        let problem = Problem { y0: &there, span: [1.0, 0.0], ..problem };
        let back = solve(&system, &Milstein, noise(), &problem, &options)?.y;
        let off = back.iter().zip(&Y0).fold(0.0, |s: f64, (a, b)| s.max((a - b).abs()));
        assert!(off < 2.0 / f64::from(steps), "{steps}: {off:.1e}");
    }
    Ok(())
}
