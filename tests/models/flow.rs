//! Continuous normalising flows: traces, likelihoods against closed forms, gradients, samples.

use crate::differences::difference;
use crate::{relative, wave};
use odeon::Result;
use odeon::adjoint::{DiscreteAdjoint, Memory};
use odeon::dynamics::check::{CheckOptions, check_gradient};
use odeon::dynamics::{Dynamics, Point};
use odeon::integrate::{Options, Problem};
use odeon::model::{Flow, Probe, Trace};
use odeon::nn::{Activation, Input, Network};
use odeon::ode::ExplicitStepper;
use odeon::ode::tableaux::{Tsit5, Vern7};

const DRAWS: usize = 2;

fn hutchinson(probe: Probe) -> Trace {
    Trace::Hutchinson { probe, draws: DRAWS }
}

fn network(dim: usize) -> Result<Network> {
    let hidden = Network::builder(dim).concat_time().dense(8).activation(Activation::Tanh);
    hidden.concat_time().dense(6).activation(Activation::Softplus).dense(dim).build()
}

fn theta(network: &Network) -> Vec<f64> {
    wave(network.layout().len(), 0.9).iter().map(|w| 0.7 * w).collect()
}

/// z' = A z + b: ln p(x) is known.
fn linear() -> Result<(Network, Vec<f64>)> {
    // Row-major A, then b.
    Ok((Network::builder(2).dense(2).build()?, vec![0.4, -0.9, 0.5, -0.2, 0.3, -0.1]))
}

/// (e^A, ∫₀¹ e^{As} b ds) by their series.
fn exponential(theta: &[f64]) -> ([f64; 4], [f64; 2]) {
    let a = [theta[0], theta[1], theta[2], theta[3]];
    let (mut power, mut factor) = ([1.0, 0.0, 0.0, 1.0], 1.0);
    let (mut e, mut s) = ([0.0; 4], [0.0; 4]);
    for n in 0..30 {
        for ((e, s), p) in e.iter_mut().zip(&mut s).zip(&power) {
            *e += factor * p;
            *s += factor / f64::from(n + 1) * p;
        }
        let p = power;
        power = [
            p[0] * a[0] + p[1] * a[2],
            p[0] * a[1] + p[1] * a[3],
            p[2] * a[0] + p[3] * a[2],
            p[2] * a[1] + p[3] * a[3],
        ];
        factor /= f64::from(n + 1);
    }
    let b = [theta[4], theta[5]];
    (e, [s[0] * b[0] + s[1] * b[1], s[2] * b[0] + s[3] * b[1]])
}

#[test]
fn the_likelihood_of_a_linear_flow_is_its_closed_form() -> Result<()> {
    let (network, theta) = linear()?;
    let flow = Flow::new(network, Trace::Exact, 1.0)?;
    let x = wave(10, 0.4);
    let (got, stats) = flow.log_likelihood(&Vern7, &theta, &x, &Options::tol(1e-12, 1e-12))?;
    assert!(stats.accepted > 0);
    let (e, s) = exponential(&theta);
    for (x, got) in x.chunks_exact(2).zip(got) {
        let z = [e[0] * x[0] + e[1] * x[1] + s[0], e[2] * x[0] + e[3] * x[1] + s[1]];
        let normal = -0.5 * (z[0] * z[0] + z[1] * z[1]) - std::f64::consts::TAU.ln();
        let want = normal + theta[0] + theta[3];
        assert!((got - want).abs() < 1e-11, "{got} {want}");
    }
    Ok(())
}

#[test]
fn samples_of_a_linear_flow_have_its_moments() -> Result<()> {
    let (network, theta) = linear()?;
    let flow = Flow::new(network, Trace::Exact, 1.0)?;
    let n = 4000;
    let x = flow.sample(&Tsit5, &theta, n, 3, &Options::tol(1e-6, 1e-6))?;
    assert_eq!(x, flow.sample(&Tsit5, &theta, n, 3, &Options::tol(1e-6, 1e-6))?);
    // z = E x + s is standard normal, entry by entry.
    let (e, s) = exponential(&theta);
    let z: Vec<[f64; 2]> = (x.chunks_exact(2))
        .map(|x| [e[0] * x[0] + e[1] * x[1] + s[0], e[2] * x[0] + e[3] * x[1] + s[1]])
        .collect();
    let mean = |f: &dyn Fn(&[f64; 2]) -> f64| z.iter().map(f).sum::<f64>() / n as f64;
    // Four standard errors: 1/√n of a mean and a product, √2/√n of a square.
    let bound = 4.0 / (n as f64).sqrt();
    assert!(mean(&|z| z[0]).abs() < bound && mean(&|z| z[1]).abs() < bound);
    assert!(mean(&|z| z[0] * z[1]).abs() < bound);
    for i in 0..2 {
        assert!((mean(&|z| z[i] * z[i]) - 1.0).abs() < bound * 2f64.sqrt());
    }
    Ok(())
}

#[test]
fn a_nonlinear_density_integrates_to_one() -> Result<()> {
    let network = network(2)?;
    let theta: Vec<f64> = theta(&network).iter().map(|w| 0.5 * w).collect();
    let flow = Flow::new(network, Trace::Exact, 1.0)?;
    // The trapezoidal rule on a smooth function that has died away at the border.
    let (n, reach) = (20, 5.0);
    let at = |i: usize| (2.0 * i as f64 / n as f64 - 1.0) * reach;
    let x: Vec<f64> = (0..=n).flat_map(|i| (0..=n).flat_map(move |j| [at(i), at(j)])).collect();
    let (log_p, _) = flow.log_likelihood(&Tsit5, &theta, &x, &Options::tol(1e-6, 1e-6))?;
    let cell = (2.0 * reach / n as f64).powi(2);
    let total: f64 = log_p.iter().map(|p| cell * p.exp()).sum();
    assert!((total - 1.0).abs() < 1e-4, "{total}");
    Ok(())
}

/// f, tr J and |J|² of single columns by d Jacobian–vector products.
fn by_hand(network: &Network, t: f64, z: &[f64], theta: &[f64]) -> (Vec<f64>, f64, f64) {
    let dim = z.len();
    let mut scratch = network.scratch(1);
    let (mut f, mut trace, mut square) = (vec![0.0; dim], 0.0, 0.0);
    let at = Input { t, x: z, theta };
    network.forward(at, &mut f, &mut scratch);
    for i in 0..dim {
        let mut e = vec![0.0; dim];
        e[i] = 1.0;
        let mut column = vec![0.0; dim];
        network.jvp(at, Input { t: 0.0, x: &e, theta: &[] }, &mut column, &mut scratch);
        trace += column[i];
        square += column.iter().map(|c| c * c).sum::<f64>();
    }
    (f, trace, square)
}

#[test]
fn rows_are_their_formulas_and_the_mean_over_all_signs_is_exact() -> Result<()> {
    let (dim, batch, t) = (3, 2, 0.3);
    let net = network(dim)?;
    let theta = theta(&net);
    let z = wave(dim * batch, 0.4);
    let rows = dim + 3;
    let exact = Flow::new(net.clone(), Trace::Exact, 1.0)?.regularised();
    let mut y = Vec::new();
    exact.start(&z, &mut y)?;
    let at = Point { t, y: &y, theta: &theta };
    let mut dy = vec![0.0; y.len()];
    exact.eval(at, &mut dy, &mut exact.scratch(batch));
    // All 2³ signs, as draws of one estimate.
    let signs = 1 << dim;
    let draws = Trace::Hutchinson { probe: Probe::Rademacher, draws: signs };
    let mut all = Flow::new(net.clone(), draws, 1.0)?.regularised();
    let sign = |i: usize| move |row: usize| if i >> row & 1 == 0 { 1.0 } else { -1.0 };
    all.set_probes((0..signs).flat_map(|i| (0..dim).map(sign(i))).collect())?;
    let mut averaged = vec![0.0; y.len()];
    all.eval(at, &mut averaged, &mut all.scratch(batch));
    for j in 0..batch {
        let (f, trace, square) = by_hand(&net, t, &z[j * dim..(j + 1) * dim], &theta);
        let kinetic = f.iter().map(|f| f * f).sum::<f64>() / dim as f64;
        let want = [&f[..], &[trace, kinetic, square / dim as f64]].concat();
        let here = j * rows..(j + 1) * rows;
        assert!(relative(&dy[here.clone()], &want) < 1e-13);
        assert!(relative(&averaged[here], &want) < 1e-13);
    }
    Ok(())
}

#[test]
fn right_hand_sides_pass_the_gradient_check() -> Result<()> {
    let net = network(2)?;
    let theta = theta(&net);
    for trace in [Trace::Exact, hutchinson(Probe::Rademacher), hutchinson(Probe::Gauss)] {
        for regularised in [false, true] {
            let flow = Flow::new(net.clone(), trace, 1.0)?;
            let flow = if regularised { flow.regularised() } else { flow };
            let mut y = Vec::new();
            flow.start(&wave(6, 0.7), &mut y)?;
            let report = check_gradient(&flow, 0.3, &y, &theta, &CheckOptions::default())?;
            assert!(report.passed(), "{trace:?} {regularised}: {report}");
        }
    }
    Ok(())
}

#[test]
fn likelihoods_have_exact_gradients_at_replayed_steps() -> Result<()> {
    let net = network(2)?;
    let (theta, batch) = (theta(&net), 4);
    for trace in [Trace::Exact, hutchinson(Probe::Rademacher)] {
        let mut flow = Flow::new(net.clone(), trace, 1.0)?.regularised();
        flow.redraw(batch, 5);
        let mut y0 = Vec::new();
        flow.start(&wave(2 * batch, 0.2), &mut y0)?;
        let plain = Options::tol(1e-3, 1e-3);
        let options = Options { norm: flow.norm(&plain.norm), ..plain };
        let problem = Problem { y0: &y0, span: flow.span(), theta: &theta };
        let stepper = ExplicitStepper::new(&flow, &Tsit5, batch);
        let mut adjoint = DiscreteAdjoint::new(stepper, Memory::Unlimited);
        let weights = [0.3, 0.7];
        let value = adjoint.value_and_gradient(&problem, &options, &mut [], |solution, bar| {
            let loss = flow.loss(solution.last(), weights, bar)?;
            Ok(loss.nll + weights[0] * loss.kinetic + weights[1] * loss.jacobian)
        })?;
        assert!(value.loss.is_finite());
        let recorded = adjoint.solution().clone();
        let gradient = adjoint.theta_gradient().to_vec();
        let mut at = |k: usize, d: f64| -> f64 {
            let mut theta = theta.clone();
            theta[k] += d;
            let problem = Problem { theta: &theta, ..problem };
            let solution = adjoint.replay(&problem, &recorded, &options, &mut []).unwrap();
            let mut bar = vec![0.0; solution.y.len()];
            let loss = flow.loss(solution.last(), weights, &mut bar).unwrap();
            loss.nll + weights[0] * loss.kinetic + weights[1] * loss.jacobian
        };
        let scale = gradient.iter().fold(0.0f64, |a, g| a.max(g.abs()));
        for k in (0..theta.len()).step_by(11) {
            let want = difference(|d| at(k, d));
            assert!((gradient[k] - want).abs() < 1e-8 * scale, "{k}: {} {want}", gradient[k]);
        }
    }
    Ok(())
}

#[test]
fn one_seed_gives_one_set_of_probes_and_columns_have_their_own() -> Result<()> {
    let net = network(2)?;
    let theta = theta(&net);
    let mut flow = Flow::new(net, hutchinson(Probe::Rademacher), 1.0)?;
    let y = wave(3, 0.1).repeat(64);
    let at = Point { t: 0.1, y: &y, theta: &theta };
    let mut rates = |seed: u64| {
        flow.redraw(64, seed);
        let mut dy = vec![0.0; y.len()];
        flow.eval(at, &mut dy, &mut flow.scratch(64));
        dy
    };
    let (first, again, other) = (rates(1), rates(1), rates(2));
    assert_eq!(first, again);
    assert_ne!(first, other);
    // Four sign patterns, of which ±ε give the same number: two values, both taken.
    let mut traces: Vec<u64> = first.chunks_exact(3).map(|c| (1e9 * c[2]).round() as i64 as u64).collect();
    traces.sort_unstable();
    traces.dedup();
    assert!(traces.len() >= 2, "{traces:?}");
    Ok(())
}

#[test]
fn what_does_not_fit_is_refused() -> Result<()> {
    let fails = |result: Result<Flow<f64>>, part: &str| {
        let message = result.unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    };
    fails(Flow::new(Network::builder(2).dense(3).build()?, Trace::Exact, 1.0), "2 rows in, 3 out");
    fails(Flow::new(Network::builder(65).dense(65).build()?, Trace::Exact, 1.0), "Hutchinson");
    let none = Trace::Hutchinson { probe: Probe::Gauss, draws: 0 };
    fails(Flow::new(network(2)?, none, 1.0), "at least one");
    fails(Flow::new(network(2)?, Trace::Exact, 0.0), "positive");
    let mut flow = Flow::new(network(2)?, Trace::Exact, 1.0)?;
    assert!(flow.set_probes(vec![1.0; 2]).is_err());
    assert!(flow.start(&[1.0; 3], &mut Vec::new()).is_err());
    let error = flow.loss(&[0.0; 3], [0.1, 0.0], &mut [0.0; 3]).unwrap_err().to_string();
    assert!(error.contains("regularised()"), "{error}");
    assert!(flow.log_densities(&[0.0; 4]).is_err());
    let mut flow = Flow::new(network(2)?, hutchinson(Probe::Gauss), 1.0)?;
    assert!(flow.set_probes(vec![1.0; 5]).is_err());
    assert!(flow.set_probes(vec![1.0, 2.0, f64::NAN, 1.0]).is_err());
    Ok(())
}

/// A batch that passes the network in several groups is its columns one by one, each with its own probes.
#[test]
fn wide_batches_are_their_columns() -> Result<()> {
    let (dim, columns) = (2, 3001);
    let theta = theta(&network(dim)?);
    let flow = |probes: Vec<f64>| -> Result<Flow<f64>> {
        let mut flow = Flow::new(network(dim)?, hutchinson(Probe::Rademacher), 1.0)?.regularised();
        flow.set_probes(probes)?;
        Ok(flow)
    };
    let probes: Vec<f64> = wave(DRAWS * dim * columns, 0.3).iter().map(|w| w.signum()).collect();
    let rows = Dynamics::<f64>::dim(&flow(probes.clone())?);
    let run = |flow: &Flow<f64>, y: &[f64], dy_bar: &[f64]| {
        let mut scratch = flow.scratch(y.len() / rows);
        let at = Point { t: 0.3, y, theta: &theta };
        let (mut dy, mut y_bar, mut theta_bar) =
            (vec![0.0; y.len()], vec![0.0; y.len()], vec![0.0; theta.len()]);
        flow.eval(at, &mut dy, &mut scratch);
        let t_bar = flow.vjp(at, dy_bar, &mut y_bar, &mut theta_bar, &mut scratch);
        theta_bar.push(t_bar);
        [dy, y_bar, theta_bar]
    };
    let (y, dy_bar) = (wave(rows * columns, 0.7), wave(rows * columns, 1.2));
    let [dy, y_bar, theta_bar] = run(&flow(probes.clone())?, &y, &dy_bar);
    let mut sum = vec![0.0; theta_bar.len()];
    for j in 0..columns {
        let own = (0..DRAWS).flat_map(|k| &probes[(k * columns + j) * dim..][..dim]).copied().collect();
        let here = j * rows..(j + 1) * rows;
        let [one, bar, theta_bar] = run(&flow(own)?, &y[here.clone()], &dy_bar[here.clone()]);
        assert!(
            relative(&dy[here.clone()], &one) < 1e-12 && relative(&y_bar[here], &bar) < 1e-12,
            "column {j}"
        );
        sum.iter_mut().zip(theta_bar).for_each(|(sum, bar)| *sum += bar);
    }
    assert!(relative(&theta_bar, &sum) < 1e-11);
    Ok(())
}
