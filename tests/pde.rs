//! Method of lines: orders in space, exact derivatives, Jacobians, the benchmark's definition.

use odeon::dynamics::check::{CheckOptions, check_gradient};
use odeon::dynamics::jacobian::Jacobian;
use odeon::dynamics::pde::{
    AllenCahn, Around, Brusselator, Burgers, Edge, GrayScott, Heat, Medium, MethodOfLines, Transport,
};
use odeon::dynamics::{Dynamics, Point};
use odeon::linalg::Pattern;
use odeon::num::Scalar;
use std::f64::consts::PI;

fn rate<M: Medium>(f: &MethodOfLines<M>, t: f64, y: &[f64], p: &[f64]) -> Vec<f64> {
    let mut dy = vec![0.0; y.len()];
    f.eval(Point { t, y, theta: p }, &mut dy, &mut Dynamics::<f64>::scratch(f, 1));
    dy
}

/// Slope of the largest error of the discrete right-hand side over four grids, for the solution
/// `u(x, s)` whose rate is `exact(x, s)`.
fn order<M: Medium + Copy>(
    medium: M,
    (dims, length, edge): (usize, f64, Edge),
    p: &[f64],
    u: impl Fn([f64; 2], usize) -> f64,
    exact: impl Fn([f64; 2], usize) -> f64,
) -> f64 {
    let sizes = [24usize, 36, 54, 81];
    let error = |&n: &usize| {
        let f = MethodOfLines::new(medium, &vec![n; dims], &vec![length; dims], edge).unwrap();
        let (y, expected): (Vec<f64>, Vec<f64>) = (f.sample(&u), f.sample(&exact));
        let dy = rate(&f, 0.0, &y, p);
        dy.iter().zip(&expected).fold(0.0, |m: f64, (a, b)| m.max((a - b).abs()))
    };
    let points: Vec<(f64, f64)> = sizes.iter().map(|n| ((*n as f64).ln(), error(n).ln())).collect();
    let mean = |g: &dyn Fn(&(f64, f64)) -> f64| points.iter().map(g).sum::<f64>() / 4.0;
    let (mx, my) = (mean(&|p| p.0), mean(&|p| p.1));
    let slope = points.iter().map(|p| (p.0 - mx) * (p.1 - my)).sum::<f64>();
    -slope / points.iter().map(|p| (p.0 - mx).powi(2)).sum::<f64>()
}

fn second(order: f64, what: &str) {
    assert!((order - 2.0).abs() < 0.1, "{what}: {order}");
}

#[test]
fn every_model_is_of_second_order_in_space() {
    // u = 2 + sin(x) cos(2y) with period 2π: Δu = −5 (u − 2), and its slopes.
    let circle = (2, 2.0 * PI, Edge::Periodic);
    let wave = |[x, y]: [f64; 2], s: usize| 2.0 + (x + s as f64).sin() * (2.0 * y).cos();
    let laplacian = move |at: [f64; 2], s: usize| -5.0 * (wave(at, s) - 2.0);
    let ux = |[x, y]: [f64; 2]| x.cos() * (2.0 * y).cos();
    let uy = |[x, y]: [f64; 2]| -2.0 * x.sin() * (2.0 * y).sin();
    second(order(Heat, circle, &[0.7], wave, |at, s| 0.7 * laplacian(at, s)), "heat");
    let transport = |at, s| {
        let u = wave(at, s);
        0.3 * laplacian(at, s) - 1.1 * ux(at) + 0.6 * uy(at) + 0.8 * u * (1.0 - u)
    };
    second(order(Transport, circle, &[0.3, 1.1, -0.6, 0.8], wave, transport), "transport");
    let burgers = |at, s| 0.2 * laplacian(at, s) - wave(at, s) * ux(at);
    second(order(Burgers, circle, &[0.2], wave, burgers), "Burgers");
    let allen_cahn = |at, s| 0.2 * laplacian(at, s) + 1.5 * (wave(at, s) - wave(at, s).powi(3));
    second(order(AllenCahn, circle, &[0.2, 1.5], wave, allen_cahn), "Allen–Cahn");
    let brusselator = |at, s| {
        let (u, v) = (wave(at, 0), wave(at, 1));
        let local = [1.0 + u * u * v - 4.4 * u, 3.4 * u - u * u * v];
        local[s] + 0.4 * laplacian(at, s)
    };
    second(order(Brusselator, circle, &[0.4, 3.4, 1.0], wave, brusselator), "Brusselator");
    let gray_scott = |at, s| {
        let (u, v) = (wave(at, 0), wave(at, 1));
        let local = [0.04 * (1.0 - u) - u * v * v, u * v * v - 0.1 * v];
        local[s] + [0.2, 0.1][s] * laplacian(at, s)
    };
    second(order(GrayScott, circle, &[0.2, 0.1, 0.04, 0.06], wave, gray_scott), "Gray–Scott");
}

#[test]
fn edges_are_of_second_order_too() {
    let line = |edge| (1, 1.0, edge);
    let sine = |[x, _]: [f64; 2], _: usize| 3.0 + (PI * x).sin();
    let fixed = order(Heat, line(Edge::Fixed(3.0)), &[1.0], sine, |[x, _], _| -PI * PI * (PI * x).sin());
    second(fixed, "fixed");
    let cosine = |[x, _]: [f64; 2], _: usize| (2.0 * PI * x).cos();
    let mirrored =
        order(Heat, line(Edge::Insulated), &[1.0], cosine, |[x, _], _| -4.0 * PI * PI * (2.0 * PI * x).cos());
    second(mirrored, "insulated");
}

/// Two unknowns with a time-dependent rate and five parameters: more than sixteen directions, and an
/// unknown that sees only some of its neighbours.
#[derive(Clone, Copy)]
struct Busy;

impl Medium for Busy {
    const SPECIES: usize = 3;
    fn num_params(&self) -> usize {
        5
    }
    #[inline(always)]
    fn rate<S: Scalar>(&self, t: S, u: &Around<'_, S>, p: &[S], rate: &mut [S]) {
        rate[0] = p[0] * u.laplacian(2) + (t * u.at(1)).sin() * p[4];
        rate[1] = u.slope(0, 1) * p[1] + u.at(0) * S::of(u.position[0]);
        rate[2] = p[2] * u.at(2) * u.beside(1, 0)[1] + t * t * p[3];
    }
}

fn derivatives_are_exact<M: Medium>(medium: M, edge: Edge, p: &[f64], what: &str) {
    let f = MethodOfLines::new(medium, &[4, 5], &[1.0, 1.3], edge).unwrap();
    let n = Dynamics::<f64>::dim(&f);
    let y: Vec<f64> = (0..2 * n).map(|i| 0.8 + 0.5 * (1.3 * i as f64).sin()).collect();
    let report = check_gradient(&f, 0.6, &y, p, &CheckOptions::default()).unwrap();
    assert!(report.passed(), "{what}: {report}");
    // The analytic sparse Jacobian against one product a column.
    let (at, mut scratch) = (Point { t: 0.6, y: &y[..n], theta: p }, Dynamics::<f64>::scratch(&f, 1));
    let pattern = Dynamics::<f64>::sparsity(&f).unwrap();
    let mut sparse = Jacobian::sparse(&pattern).unwrap().and_time();
    let mut dense = Jacobian::dense(n).and_time();
    let mut wide = Jacobian::sparse(&pattern.union(&Pattern::full(n)).unwrap()).unwrap();
    for round in 0..2 {
        f.jacobian(at, &mut sparse, &mut scratch);
        f.jacobian(at, &mut dense, &mut scratch);
        f.jacobian(at, &mut wide, &mut scratch);
        let close =
            |a: f64, b: f64| assert!((a - b).abs() < 1e-12 * (1.0 + b.abs()), "{what}, {round}: {a} {b}");
        for i in 0..n {
            for j in 0..n {
                close(sparse.matrix().unwrap().get(i, j), dense.values()[j * n + i]);
                close(wide.matrix().unwrap().get(i, j), dense.values()[j * n + i]);
            }
            close(sparse.time().unwrap()[i], dense.time().unwrap()[i]);
        }
    }
}

#[test]
fn derivatives_of_every_model_are_exact() {
    for edge in [Edge::Periodic, Edge::Fixed(0.4), Edge::Insulated] {
        derivatives_are_exact(Heat, edge, &[0.7], "heat");
        derivatives_are_exact(Transport, edge, &[0.3, 1.1, -0.6, 0.8], "transport");
        derivatives_are_exact(Burgers, edge, &[0.2], "Burgers");
        derivatives_are_exact(AllenCahn, edge, &[0.2, 1.5], "Allen–Cahn");
        derivatives_are_exact(Brusselator, edge, &[0.4, 3.4, 1.0], "Brusselator");
        derivatives_are_exact(GrayScott, edge, &[0.2, 0.1, 0.04, 0.06], "Gray–Scott");
        derivatives_are_exact(Busy, edge, &[0.2, 0.1, 0.4, 0.6, 0.9], "busy");
    }
}

#[test]
fn the_brusselator_is_the_benchmark_s() {
    let n = 35;
    let f = Brusselator::benchmark(n).unwrap();
    let y: Vec<f64> = Brusselator::initial(&f);
    assert_eq!(Dynamics::<f64>::dim(&f), 2450);
    let x = |i: usize| i as f64 / 34.0;
    let alpha = 10.0 * 34.0 * 34.0;
    for t in [0.0, 1.0999, 1.1, 5.0] {
        let dy = rate(&f, t, &y, &Brusselator::THETA);
        for i in 0..n {
            for j in 0..n {
                let at = |i: usize, j: usize, s: usize| y[2 * ((i % n) * n + j % n) + s];
                let (u, v) = (at(i, j, 0), at(i, j, 1));
                assert!((u - 22.0 * (x(j) * (1.0 - x(j))).powf(1.5)).abs() < 1e-13);
                assert!((v - 27.0 * (x(i) * (1.0 - x(i))).powf(1.5)).abs() < 1e-13);
                let lap = |s| {
                    at(i + 1, j, s) + at(i + n - 1, j, s) + at(i, j + 1, s) + at(i, j + n - 1, s)
                        - 4.0 * at(i, j, s)
                };
                let inside = (x(i) - 0.3).powi(2) + (x(j) - 0.6).powi(2) <= 0.01;
                let source = if t >= 1.1 && inside { 5.0 } else { 0.0 };
                let expected = [
                    1.0 + u * u * v - 4.4 * u + alpha * lap(0) + source,
                    3.4 * u - u * u * v + alpha * lap(1),
                ];
                for s in 0..2 {
                    let got = dy[2 * (i * n + j) + s];
                    assert!(
                        (got - expected[s]).abs() < 1e-9,
                        "t = {t}, ({i}, {j}, {s}): {got} {}",
                        expected[s]
                    );
                }
            }
        }
    }
    assert_eq!(Dynamics::<f64>::sparsity(&f).unwrap().nnz(), 6 * 2450);
}

#[test]
fn bad_grids_are_refused() {
    let say = |r: odeon::Result<MethodOfLines<Heat>>| r.unwrap_err().to_string();
    assert!(say(MethodOfLines::new(Heat, &[2], &[1.0], Edge::Periodic)).contains("at least 3"));
    assert!(say(MethodOfLines::new(Heat, &[4, 4, 4], &[1.0; 3], Edge::Periodic)).contains("1 or 2"));
    assert!(say(MethodOfLines::new(Heat, &[], &[], Edge::Periodic)).contains("1 or 2"));
    assert!(
        say(MethodOfLines::new(Heat, &[4, 4], &[1.0], Edge::Periodic)).contains("one for each dimension")
    );
    assert!(say(MethodOfLines::new(Heat, &[4], &[-1.0], Edge::Periodic)).contains("positive"));
    assert!(say(MethodOfLines::new(Heat, &[4], &[f64::NAN], Edge::Periodic)).contains("positive"));
    assert!(say(MethodOfLines::new(Heat, &[4], &[1.0], Edge::Fixed(f64::NAN))).contains("finite"));
    assert!(say(MethodOfLines::new(Heat, &[1 << 20, 1 << 20], &[1.0; 2], Edge::Periodic)).contains("2³²"));
}
