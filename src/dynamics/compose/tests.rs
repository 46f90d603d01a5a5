use super::*;
use crate::dynamics::check::{CheckOptions, check_gradient};
use crate::dynamics::gallery::{Lorenz, LotkaVolterra, Oscillator, Swirl, VanDerPol};
use crate::dynamics::generic::Generic;
use crate::dynamics::{Dynamics, Point};
use crate::num::LANES;

/// The gradient check, batch = single and lanes = scalar, for any combination.
fn exercise<D: Dynamics<f64>>(f: &D) {
    let (dim, batch) = (f.dim(), LANES + 1);
    let y: Vec<f64> = (0..dim * batch).map(|i| 1.2 + (0.9 * i as f64).sin() * 0.4).collect();
    let theta: Vec<f64> = (0..f.num_params()).map(|i| 0.5 + 0.3 * i as f64).collect();
    for n in [1, 2, batch] {
        let report = check_gradient(f, 0.35, &y[..n * dim], &theta, &CheckOptions::default()).unwrap();
        assert!(report.passed(), "batch {n}: {report}");
    }
    let mut scratch = f.scratch(batch);
    let mut all = vec![0.0; y.len()];
    f.eval(Point { t: 0.35, y: &y, theta: &theta }, &mut all, &mut scratch);
    let mut one = vec![0.0; dim];
    for (y, all) in y.chunks_exact(dim).zip(all.chunks_exact(dim)) {
        f.eval(Point { t: 0.35, y, theta: &theta }, &mut one, &mut scratch);
        assert_eq!(one, all);
    }
    assert!(D::SIMD_LANES);
    let t = Lanes(std::array::from_fn(|lane| 0.1 * lane as f64 - 0.2));
    let wide_y: Vec<_> = (0..dim).map(|row| Lanes(std::array::from_fn(|lane| y[lane * dim + row]))).collect();
    let scale = |lane: usize| 1.0 + 0.1 * lane as f64;
    let wide_theta: Vec<_> =
        theta.iter().map(|p| Lanes(std::array::from_fn(|lane| p * scale(lane)))).collect();
    let mut wide = vec![Lanes::splat(f64::NAN); dim];
    f.eval_lanes(t, &wide_y, &wide_theta, &mut wide);
    for lane in 0..LANES {
        let theta: Vec<f64> = theta.iter().map(|p| p * scale(lane)).collect();
        let at = Point { t: t[lane], y: &y[lane * dim..][..dim], theta: &theta };
        f.eval(at, &mut one, &mut scratch);
        for (a, b) in one.iter().zip(&wide) {
            assert_eq!(a.to_bits(), b[lane].to_bits(), "lane {lane}");
        }
    }
}

#[test]
fn combinations_have_right_derivatives_and_bits() {
    exercise(&Sum(Generic(LotkaVolterra), Generic(Swirl)));
    exercise(&Scaled { inner: Generic(Swirl), factor: -1.75 });
    exercise(&Forced {
        inner: Generic(VanDerPol),
        input: (|t: f64| [t.sin(), t * t], |t: f64| [t.cos(), 2.0 * t]),
    });
    let samples = Sampled::new(vec![-0.3, 0.1, 0.6], vec![1.0, 0.5, 2.0, -1.0, 0.3, 4.0]).unwrap();
    exercise(&Forced { inner: Generic(Oscillator), input: samples });
    exercise(&Frozen::new(Generic(LotkaVolterra), &[(3, 0.4), (0, 1.1)]));
    exercise(&Frozen::new(Generic(Lorenz), &[(1, 20.0)]));
    exercise(&Embed::new(Generic(LotkaVolterra), 4, &[3, 1], &[0, 3]));
    exercise(&Embed::new(Generic(Lorenz), 3, &[2, 2, 0], &[1]));
}

#[test]
fn a_universal_differential_equation_nests() {
    let physics = Frozen::new(Generic(LotkaVolterra), &[(1, 0.0), (3, 0.0)]);
    let network = Embed::new(Generic(Swirl), 2, &[1, 0], &[0, 1]);
    let f = Sum(physics, Scaled { inner: network, factor: 0.3 });
    assert_eq!(Dynamics::<f64>::num_params(&f), 3);
    exercise(&f);
    exercise(&Sum(Generic(Lorenz), Embed::new(f, 3, &[0, 2], &[2, 0])));
}

#[test]
fn freezing_binds_the_right_entries() {
    let f = Frozen::new(Generic(Lorenz), &[(2, 3.0), (0, 2.0)]);
    let (mut dy, mut whole) = ([0.0; 3], [0.0; 3]);
    let y = [1.0, 2.0, 5.0];
    f.eval(Point { t: 0.0, y: &y, theta: &[7.0] }, &mut dy, &mut f.scratch(1));
    let inner = f.inner();
    let at = Point { t: 0.0, y: &y, theta: &[2.0, 7.0, 3.0] };
    inner.eval(at, &mut whole, &mut inner.scratch(1));
    assert_eq!(dy, whole);
}

#[test]
fn sampled_input_is_linear_between_and_constant_outside() {
    let u = Sampled::new(vec![0.0, 1.0, 3.0], vec![1.0, 2.0, 6.0]).unwrap();
    let at = |t: f64| {
        let (mut value, mut rate) = ([0.0], [0.0]);
        u.value(t, &mut value);
        u.rate(t, &mut rate);
        (value[0], rate[0])
    };
    assert_eq!(at(-1.0), (1.0, 0.0));
    assert_eq!(at(0.0), (1.0, 1.0));
    assert_eq!(at(0.5), (1.5, 1.0));
    assert_eq!(at(2.0), (4.0, 2.0));
    assert_eq!(at(3.0), (6.0, 0.0));
    assert_eq!(at(9.0), (6.0, 0.0));
}

#[test]
fn what_does_not_fit_is_named() {
    fn fails<D: Dynamics<f64>>(f: D, part: &str) {
        let message = f.validate().unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    }
    let lv = Generic(LotkaVolterra);
    fails(Sum(lv, Generic(Lorenz)), "second term of a Sum is 3, but it must be 2");
    fails(Scaled { inner: lv, factor: f64::NAN }, "factor of a Scaled[0] is NaN");
    let input = (|t: f64| [t], |_: f64| [1.0]);
    fails(Forced { inner: lv, input }, "input of a Forced is 1, but it must be 2");
    fails(Frozen::new(lv, &[(4, 1.0)]), "frozen parameter is 4");
    fails(Frozen::new(lv, &[(2, 1.0), (2, 1.0)]), "given twice");
    fails(Frozen::new(lv, &[(2, f64::NAN)]), "frozen parameters[0] is NaN");
    fails(Embed::new(lv, 3, &[0], &[0]), "inputs of an Embed has length 1");
    fails(Embed::new(lv, 3, &[0, 1], &[]), "outputs of an Embed has length 0");
    fails(Embed::new(lv, 3, &[0, 3], &[0]), "row of an Embed is 3");
    fails(Embed::new(lv, 3, &[0, 1], &[1, 1]), "driven once");
    let bad = |times: &[f64], values: &[f64], part: &str| {
        let message = Sampled::new(times.to_vec(), values.to_vec()).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    };
    bad(&[], &[], "values has length 0");
    bad(&[0.0, 1.0], &[1.0, 2.0, 3.0], "multiple of the number of times, 2");
    bad(&[0.0, 0.0], &[1.0, 2.0], "times[1] is 0");
    bad(&[0.0, f64::NAN], &[1.0, 2.0], "times[1] is NaN");
    bad(&[0.0], &[f64::INFINITY], "values[0] is inf");
}

#[test]
fn non_finite_parts_are_named_through_combinators() {
    let f = Sum(Generic(Oscillator), Embed::new(Generic(LotkaVolterra), 2, &[0, 1], &[0, 1]));
    let theta = [1.0, 1.5, 1.0, 3.0, 1.0];
    let named = f.locate_non_finite(Point { t: 0.0, y: &[1e200, 1e200], theta: &theta });
    let expected = "second term, embedded part, derivative of row 0 of column 0 (-inf)";
    assert_eq!(named.as_deref(), Some(expected));
    let push = (|t: f64| [0.0, 1.0 / t], |t: f64| [0.0, -1.0 / (t * t)]);
    let f = Scaled { inner: Forced { inner: Generic(Oscillator), input: push }, factor: 2.0 };
    let named = f.locate_non_finite(Point { t: 0.0, y: &[1.0, 1.0], theta: &[1.0] });
    assert_eq!(named.as_deref(), Some("row 1 of the input signal (inf)"));
}
