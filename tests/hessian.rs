//! Products with the Hessian of losses on solves, forward over reverse.

use odeon::adjoint::{DiscreteAdjoint, GaussNewton, Hessian, HessianProduct, Memory};
use odeon::dynamics::gallery::{CubicSpiral, LotkaVolterra};
use odeon::dynamics::generic::Generic;
use odeon::dynamics::{SecondOrder, compose::Warp};
use odeon::integrate::{Options, Problem, Solution};
use odeon::model::NeuralOde;
use odeon::nn::{Activation, Network};
use odeon::ode::ExplicitStepper;
use odeon::ode::tableau::ExplicitRk;
use odeon::ode::tableaux::{Dp5, Euler, Tsit5, Vern9};
use odeon::{Error, Result};

/// A fixed, irregular sequence in (−1, 1).
fn wave(n: usize, seed: f64) -> Vec<f64> {
    (0..n).map(|i| (1.7 * i as f64 + 12.9 * seed + (i as f64).sqrt()).sin()).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// L = Σ w_i sin(y_i) + y_i y_{i+1}/3: gradient, and its Hessian's product with s.
fn loss([y, s]: [&[f64]; 2], [gradient, product]: [&mut [f64]; 2]) -> Result<()> {
    for (i, w) in wave(y.len(), 0.6).into_iter().enumerate() {
        let (before, after) = (i.checked_sub(1), (i + 1 < y.len()).then_some(i + 1));
        let near = |v: &[f64]| [before, after].into_iter().flatten().map(|j| v[j] / 3.0).sum::<f64>();
        gradient[i] = w * y[i].cos() + near(y);
        product[i] = near(s) - w * y[i].sin() * s[i];
    }
    Ok(())
}

/// The gradient (y0, then θ) of the loss at the frozen steps of `recorded`.
fn gradient<D: SecondOrder<f64>, M: ExplicitRk>(
    f: &D,
    method: &M,
    recorded: &Solution<f64>,
    at: &Problem<'_, f64>,
) -> Result<Vec<f64>> {
    let batch = at.y0.len() / f.dim();
    let mut adjoint = DiscreteAdjoint::new(ExplicitStepper::new(f, method, batch), Memory::Unlimited);
    let y = adjoint.replay(at, recorded, &Options::default(), &mut [])?.y.clone();
    let (mut bar, mut unused) = (vec![0.0; y.len()], vec![0.0; y.len()]);
    loss([&y, &y], [&mut bar, &mut unused])?;
    adjoint.reverse(&bar, &[], &mut [])?;
    Ok([adjoint.y0_gradient(), adjoint.theta_gradient()].concat())
}

fn all(product: HessianProduct<f64>) -> Vec<f64> {
    [product.y0, product.theta].concat()
}

/// Against central differences of the gradient, and symmetric to rounding; saved times within steps and at ends.
fn check<D: SecondOrder<f64>, M: ExplicitRk>(
    f: &D,
    method: &M,
    (y0, theta, end): (&[f64], &[f64], f64),
    options: &Options<f64>,
) -> Result<()> {
    let options = options.clone().save_at(vec![0.31 * end, 0.77 * end, end]);
    let problem = Problem { y0, span: [0.0, end], theta };
    let hessian = Hessian::new(f, method, &problem, &options, Memory::Unlimited)?;
    let (n, p) = (y0.len(), theta.len());
    let direction = |seed: f64| (wave(n, seed), wave(p, seed + 0.3));
    let ((y_dot, theta_dot), (y_other, theta_other)) = (direction(0.2), direction(1.9));
    let found = hessian.product([&y_dot, &theta_dot], &mut loss)?;
    let recorded = hessian.solution();
    let base = gradient(f, method, recorded, &problem)?;
    let slope = dot(&base, &[&y_dot[..], &theta_dot].concat());
    assert!((found.slope - slope).abs() < 1e-11 * (1.0 + slope.abs()), "{} {slope}", found.slope);
    let got = all(found);
    let moved = |d: f64| -> Result<Vec<f64>> {
        let step = |x: &[f64], dot: &[f64]| x.iter().zip(dot).map(|(x, v)| x + d * v).collect::<Vec<_>>();
        let (y0, theta) = (step(y0, &y_dot), step(theta, &theta_dot));
        gradient(f, method, recorded, &Problem { y0: &y0, span: [0.0, end], theta: &theta })
    };
    let d = 2e-4;
    let [far, near, back, farther] = [moved(2.0 * d)?, moved(d)?, moved(-d)?, moved(-2.0 * d)?];
    let size = got.iter().fold(0.0f64, |s, g| s.max(g.abs()));
    for (i, got) in got.iter().enumerate() {
        let want = (8.0 * (near[i] - back[i]) - far[i] + farther[i]) / (12.0 * d);
        assert!((got - want).abs() < 1e-8 * size, "{i}: {got} {want}");
    }
    let other = all(hessian.product([&y_other, &theta_other], &mut loss)?);
    let (ab, ba) =
        (dot(&other, &[&y_dot[..], &theta_dot].concat()), dot(&got, &[&y_other[..], &theta_other].concat()));
    assert!((ab - ba).abs() < 1e-12 * size * (n + p) as f64, "{ab} {ba}");
    // The same within a budget that keeps a few states only: bit by bit.
    let budget = Memory::Bytes(1 << 17);
    let thin = Hessian::new(f, method, &problem, &options, budget)?;
    assert_eq!(all(thin.product([&y_dot, &theta_dot], &mut loss)?), got);
    Ok(())
}

#[test]
fn products_of_generic_right_hand_sides() -> Result<()> {
    let tight = Options::tol(1e-6, 1e-6);
    let predators = (&[1.0, 1.2, 0.7, 0.9][..], &LotkaVolterra::THETA[..], 3.0);
    check(&Generic(LotkaVolterra), &Tsit5, predators, &tight)?;
    check(&Generic(LotkaVolterra), &Vern9, predators, &tight)?;
    let spiral = (&[2.0, 0.1][..], &CubicSpiral::THETA[..], 1.0);
    check(&Generic(CubicSpiral), &Dp5, spiral, &tight)?;
    check(&Generic(CubicSpiral), &Euler, spiral, &Options::fixed(0.02))
}

#[test]
fn products_of_networks() -> Result<()> {
    let network = Network::builder(2)
        .concat_time()
        .dense(9)
        .activation(Activation::Tanh)
        .layer_norm()
        .residual(|b| b.dense(12).activation(Activation::Softplus).dense(9))
        .concat_time()
        .dense(2)
        .build()?;
    let theta: Vec<f64> = wave(network.layout().len(), 0.3).iter().map(|w| 0.5 * w + 0.1).collect();
    let y0 = wave(6, 0.8);
    check(&NeuralOde::new(network)?, &Tsit5, (&y0, &theta, 1.0), &Options::tol(1e-5, 1e-5))
}

#[test]
fn the_gauss_newton_product_is_the_whole_where_nothing_is_left_to_fit() -> Result<()> {
    let f = Generic(LotkaVolterra);
    let theta = LotkaVolterra::THETA;
    let problem = Problem { y0: &[1.0, 1.2], span: [0.0, 3.0], theta: &theta };
    let options = Options::tol(1e-7, 1e-7).save_at((1..=6).map(|i| 0.5 * f64::from(i)).collect::<Vec<_>>());
    let hessian = Hessian::new(&f, &Tsit5, &problem, &options, Memory::Unlimited)?;
    let v = wave(theta.len(), 0.4);
    // L = Σ (y − data)²/2 at data = y.
    let found = hessian.product([&[0.0; 2], &v], &mut |[_, s], [gradient, product]| {
        gradient.fill(0.0);
        product.copy_from_slice(s);
        Ok(())
    })?;
    let mut newton = GaussNewton::new(&f, &Tsit5, &problem, &options, Memory::Unlimited)?;
    let mut want = vec![0.0; theta.len()];
    newton.product(&v, &[], 0.0, &mut want)?;
    for (got, want) in found.theta.iter().zip(&want) {
        assert!((got - want).abs() < 1e-11 * want.abs(), "{got} {want}");
    }
    assert_eq!(found.slope, 0.0);
    Ok(())
}

#[test]
fn what_cannot_be_served_is_refused() -> Result<()> {
    let f = Generic(LotkaVolterra);
    let problem = Problem { y0: &[1.0, 1.0], span: [0.0, 1.0], theta: &LotkaVolterra::THETA };
    let hessian = Hessian::new(&f, &Tsit5, &problem, &Options::tol(1e-6, 1e-6), Memory::Unlimited)?;
    let refused = |y: &[f64], theta: &[f64]| {
        let error = hessian.product([y, theta], &mut loss).unwrap_err();
        error.to_string()
    };
    assert!(refused(&[0.0], &[0.0; 4]).contains("a direction of y0"));
    assert!(refused(&[0.0; 2], &[0.0; 3]).contains("a direction of theta"));
    assert!(refused(&[0.0, f64::NAN], &[0.0; 4]).contains("a direction of y0"));
    let small = Hessian::new(&f, &Tsit5, &problem, &Options::tol(1e-6, 1e-6), Memory::Bytes(16))?;
    let error = small.product([&[0.0; 2], &[1.0; 4]], &mut loss).unwrap_err();
    assert!(error.to_string().contains("memory budget"), "{error}");
    let failing =
        hessian.product([&[0.0; 2], &[1.0; 4]], &mut |_, _| Err(Error::invalid("the loss", 1, "a reason")));
    assert!(failing.is_err());
    let warp = Warp::new(&f);
    let along = |place: usize| (0..8).map(|i| f64::from(u8::from(i == place))).collect::<Vec<_>>();
    assert!(SecondOrder::check_direction(&warp, &along(3)).is_ok());
    let error = SecondOrder::check_direction(&warp, &along(5)).unwrap_err();
    assert!(error.to_string().contains("moves the window"), "{error}");
    Ok(())
}
