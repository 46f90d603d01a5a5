//! Forward sensitivities: the discrete adjoint's gradients to rounding, and least squares.

use crate::common::{TWIST, Twist, discrete, loss, network, off, wave};
use odeon::adjoint::{Directions, ForwardSensitivity, GaussNewton, Memory, forward_gradient};
use odeon::dynamics::Dynamics;
use odeon::dynamics::generic::Generic;
use odeon::integrate::{Options, Problem, Save};
use odeon::ode::tableaux::{Dop853, Tsit5};
use odeon::ode::tableaux_rosenbrock::Rodas5P;

#[test]
fn gradients_are_the_discrete_ones_to_rounding() {
    fn check<D: Dynamics<f64>>(f: &D, theta: &[f64]) {
        let y0 = wave(6, 0.2);
        for span in [[0.0, 1.5], [1.5, 0.0]] {
            let problem = Problem { y0: &y0, span, theta };
            let inside = if span[0] == 0.0 { vec![0.0, 0.4, 1.1] } else { vec![1.5, 1.1, 0.4] };
            for save in [Save::End, Save::At(inside), Save::EveryStep] {
                let options = Options { tstops: vec![0.7], ..Options::tol(1e-6, 1e-6).save(save) };
                let want = discrete(f, &problem, &options);
                let got = forward_gradient(f, &Tsit5, &problem, &options, loss).unwrap();
                let error = off(&[&got.y0[..], &got.theta].concat(), &want);
                assert!(error < 1e-12, "{:?}: {error:e}", options.save);
            }
        }
    }
    check(&Generic(Twist), &TWIST);
    // No dual numbers: products one by one.
    let (f, theta) = network();
    check(&f, &theta);
}

/// Extra stages of the dense output have tangents too.
#[test]
fn tangents_match_differences_of_the_replay() {
    let f = Generic(Twist);
    let y0 = wave(4, 0.2);
    let problem = Problem { y0: &y0, span: [0.0, 1.5], theta: &TWIST };
    let options = Options::tol(1e-5, 1e-5).save_at(vec![0.33, 1.2]);
    let direction = (wave(4, 1.0), wave(3, 2.0));
    let given = Directions::Given(vec![(vec![0.0; 4], vec![1.0, 0.0, 0.0]), direction.clone()]);
    let sensitivity = ForwardSensitivity::solve(&f, &Dop853, &problem, &options, given).unwrap();
    assert_eq!(sensitivity.count(), 2);
    let moved = |d: f64| {
        let add =
            |x: &[f64], along: &[f64]| -> Vec<f64> { x.iter().zip(along).map(|(x, a)| x + d * a).collect() };
        let (y0, theta) = (add(&y0, &direction.0), add(&TWIST, &direction.1));
        let mut solver = odeon::ode::Solver::new(&f, &Dop853, 2);
        let problem = Problem { y0: &y0, span: [0.0, 1.5], theta: &theta };
        let observer = &mut odeon::integrate::Silent;
        solver.replay(&problem, sensitivity.solution(), &options, observer).unwrap().y.clone()
    };
    let d = 1e-5;
    let (up, down) = (moved(d), moved(-d));
    let want: Vec<f64> = up.iter().zip(&down).map(|(a, b)| (a - b) / (2.0 * d)).collect();
    let got = [sensitivity.tangent(0, 1), sensitivity.tangent(1, 1)].concat();
    assert!(off(&got, &want) < 1e-9, "{:e}", off(&got, &want));
}

/// Levenberg–Marquardt steps on the normal matrix find the parameters that made the data.
#[test]
fn normal_matrices_solve_least_squares() {
    let f = Generic(Twist);
    let y0 = wave(2, 0.2);
    let times: Vec<f64> = (1..=8).map(|i| 0.2 * f64::from(i)).collect();
    let options = Options::tol(1e-8, 1e-8).save_at(times);
    let truth = Problem { y0: &y0, span: [0.0, 1.6], theta: &TWIST };
    let data = odeon::ode::solve(&f, &Tsit5, &truth, &options).unwrap().y;
    let mut theta = [1.2, 0.2, 0.9];
    let directions = || Directions::Parameters;
    for _ in 0..8 {
        let problem = Problem { theta: &theta, ..truth };
        let s = ForwardSensitivity::solve(&f, &Tsit5, &problem, &options, directions()).unwrap();
        let residual: Vec<f64> = s.solution().y.iter().zip(&data).map(|(y, d)| y - d).collect();
        let (matrix, gradient) = (s.normal_matrix(&[]).unwrap(), s.gradient(&residual).unwrap());
        // The matrix is symmetric, and its product with a direction is the gradient of J's product.
        for (j, row) in matrix.chunks(3).enumerate() {
            let product: Vec<f64> = (0..2 * 8).map(|i| s.tangent(i / 2, j)[i % 2]).collect();
            assert!(off(&s.gradient(&product).unwrap(), row) < 1e-13);
        }
        let step = solve_three(&matrix, &gradient);
        theta.iter_mut().zip(step).for_each(|(t, s)| *t -= s);
    }
    assert!(off(&theta, &TWIST) < 1e-9, "{theta:?}");
}

/// Cramer's rule.
fn solve_three(m: &[f64], b: &[f64]) -> [f64; 3] {
    let det = |m: &[f64]| {
        m[0] * (m[4] * m[8] - m[5] * m[7]) - m[3] * (m[1] * m[8] - m[2] * m[7])
            + m[6] * (m[1] * m[5] - m[2] * m[4])
    };
    [0, 1, 2].map(|k| {
        let mut replaced = m.to_vec();
        replaced[3 * k..3 * k + 3].copy_from_slice(b);
        det(&replaced) / det(m)
    })
}

#[test]
fn bad_input_is_refused_by_name() {
    let f = Generic(Twist);
    let problem = Problem { y0: &[1.0, 1.0], span: [0.0, 1.0], theta: &TWIST };
    let options = Options::default();
    let error = forward_gradient(&f, &Rodas5P, &problem, &options, loss).err().unwrap().to_string();
    assert!(error.contains("forward sensitivities") && error.contains("DiscreteAdjoint"), "{error}");
    let short = Directions::Given(vec![(vec![0.0; 2], vec![0.0; 2])]);
    let error = ForwardSensitivity::solve(&f, &Tsit5, &problem, &options, short).unwrap_err().to_string();
    assert!(error.contains("a direction of theta has length 2"), "{error}");
    let s = ForwardSensitivity::solve(&f, &Tsit5, &problem, &options, Directions::All).unwrap();
    assert!(s.gradient(&[1.0]).is_err() && s.normal_matrix(&[1.0]).is_err());
}

/// Products by one tangent and one adjoint are those of the matrix that all tangents form.
#[test]
fn gauss_newton_products_are_those_of_the_normal_matrix() {
    let (f, theta) = network();
    let y0 = wave(4, 0.2);
    let problem = Problem { y0: &y0, span: [0.0, 1.5], theta: &theta };
    let options = Options::tol(1e-6, 1e-6).save_at(vec![0.4, 0.9, 1.5]);
    let s = ForwardSensitivity::solve(&f, &Tsit5, &problem, &options, Directions::Parameters).unwrap();
    let p = theta.len();
    let weights: Vec<f64> = wave(s.solution().y.len(), 0.5).iter().map(|w| 1.5 + w).collect();
    let matrix = s.normal_matrix(&weights).unwrap();
    for memory in [Memory::Unlimited, Memory::Bytes(20_000)] {
        let mut newton = GaussNewton::new(&f, &Tsit5, &problem, &options, memory).unwrap();
        for seed in [0.1, 2.3] {
            let v = wave(p, seed);
            let mut got = vec![0.0; p];
            newton.product(&v, &weights, 0.25, &mut got).unwrap();
            let want: Vec<f64> =
                (0..p).map(|i| 0.25 * v[i] + (0..p).map(|j| matrix[j * p + i] * v[j]).sum::<f64>()).collect();
            assert!(off(&got, &want) < 1e-11, "{:e}", off(&got, &want));
        }
        assert_eq!(newton.solution().y, s.solution().y);
        let error = newton.product(&[1.0], &[], 0.0, &mut [0.0]).unwrap_err().to_string();
        assert!(error.contains("the direction has length 1"), "{error}");
    }
}
