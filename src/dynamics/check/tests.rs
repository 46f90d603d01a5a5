use super::*;
use crate::dynamics::gallery::{self, Visit};
use crate::dynamics::generic::{Generic, VectorField};
use std::marker::PhantomData;

/// Every entry of every gallery system, three ways.
struct ThreeWays<T>(PhantomData<T>);
impl<T: Real> Visit for ThreeWays<T> {
    fn visit<F: VectorField>(&mut self, name: &str, field: F, y0: &[f64], theta: &[f64]) {
        let y: Vec<T> = (0..2 * y0.len())
            .map(|i| T::of(y0[i % y0.len()] * (1.0 + 0.01 * i as f64) + 0.013 * (i % 5) as f64))
            .collect();
        let theta: Vec<T> = theta.iter().map(|&p| T::of(p)).collect();
        let report =
            check_gradient(&Generic(field), T::of(0.4), &y, &theta, &CheckOptions::default()).unwrap();
        assert!(report.passed(), "{name} {}: {report}", T::NAME);
        assert_eq!(report.entries, y.len() * (1 + y.len() + theta.len()));
        assert!(report.unresolved * 20 <= report.entries, "{name} {}: {report}", T::NAME);
        let bound = if T::NAME == "f64" { 1e-12 } else { 1e-3 };
        assert!(report.exact_error < bound, "{name}: {report}");
    }
}

#[test]
fn gallery_agrees_three_ways_in_both_precisions() {
    gallery::visit_all(&mut ThreeWays::<f64>(PhantomData));
    gallery::visit_all(&mut ThreeWays::<f32>(PhantomData));
}

/// y₁' = a y₁ y₂ + t², y₂' = b y₂ − y₁ by hand, and ways to get it wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Bug {
    None,
    VjpSign,
    JvpSign,
    BothSign,
    MissingTheta,
    OverwriteY,
    OverwriteTheta,
    MissingTime,
    ThetaOfLastColumn,
    MixedColumns,
    IgnoredThetaDot,
    RowsForColumns,
}

struct ByHand(Bug);

impl Dynamics<f64> for ByHand {
    type Scratch = ();
    fn dim(&self) -> usize {
        2
    }
    fn num_params(&self) -> usize {
        2
    }
    fn scratch(&self, _: usize) {}
    fn eval(&self, at: Point<'_, f64>, dy: &mut [f64], (): &mut ()) {
        let (a, b) = (at.theta[0], at.theta[1]);
        let n = at.y.len() / 2;
        for j in 0..n {
            let (i, k) = match self.0 {
                Bug::RowsForColumns => (j, n + j),
                _ => (2 * j, 2 * j + 1),
            };
            dy[i] = a * at.y[i] * at.y[k] + at.t * at.t;
            dy[k] = b * at.y[k] - at.y[i];
        }
        if self.0 == Bug::MixedColumns {
            dy[0] += 0.1 * at.y[at.y.len() - 1];
        }
    }
    fn vjp(
        &self,
        at: Point<'_, f64>,
        dy_bar: &[f64],
        y_bar: &mut [f64],
        theta_bar: &mut [f64],
        (): &mut (),
    ) -> f64 {
        let (a, b) = (at.theta[0], at.theta[1]);
        let (mut t_bar, bug) = (0.0, self.0);
        let wrong = if matches!(bug, Bug::VjpSign | Bug::BothSign) { -1.0 } else { 1.0 };
        if bug == Bug::OverwriteY {
            y_bar.fill(0.0);
        }
        if bug == Bug::OverwriteTheta {
            theta_bar.fill(0.0);
        }
        let before = theta_bar.to_vec();
        for j in 0..at.y.len() / 2 {
            let (i, k) = (2 * j, 2 * j + 1);
            y_bar[i] += a * at.y[k] * dy_bar[i] - wrong * dy_bar[k];
            y_bar[k] += a * at.y[i] * dy_bar[i] + b * dy_bar[k];
            if bug == Bug::ThetaOfLastColumn {
                theta_bar.copy_from_slice(&before);
            }
            theta_bar[0] += at.y[i] * at.y[k] * dy_bar[i];
            if bug != Bug::MissingTheta {
                theta_bar[1] += at.y[k] * dy_bar[k];
            }
            t_bar += 2.0 * at.t * dy_bar[i];
        }
        if bug == Bug::MissingTime { 0.0 } else { t_bar }
    }
    fn jvp(&self, at: Point<'_, f64>, dot: Tangent<'_, f64>, out: &mut [f64], (): &mut ()) {
        let (a, b) = (at.theta[0], at.theta[1]);
        let (da, db) = match (self.0, dot.theta) {
            (Bug::IgnoredThetaDot, []) => (1.0, 1.0),
            (_, []) => (0.0, 0.0),
            (_, d) => (d[0], d[1]),
        };
        let wrong = if matches!(self.0, Bug::JvpSign | Bug::BothSign) { -1.0 } else { 1.0 };
        for j in 0..at.y.len() / 2 {
            let (i, k) = (2 * j, 2 * j + 1);
            let (u, v, du, dv) = (at.y[i], at.y[k], dot.y[i], dot.y[k]);
            out[i] = da * u * v + a * (du * v + u * dv) + 2.0 * at.t * dot.t;
            out[k] = db * v + b * dv - wrong * du;
        }
    }
}

fn check(bug: Bug) -> GradientReport {
    let y = [0.7, -1.2, 0.4, 0.9, 1.6, 0.3];
    check_gradient(&ByHand(bug), 0.6, &y, &[1.3, -0.8], &CheckOptions::default()).unwrap()
}

#[test]
fn every_deliberate_bug_is_caught_and_named() {
    let report = check(Bug::None);
    assert!(report.passed() && report.unresolved == 0, "{report}");
    assert!(report.difference_error < 1e-9, "{report}");
    let found = |bug, fault, output, input| {
        let report = check(bug);
        let hit = |m: &&Mismatch| (m.fault, m.output, m.input) == (fault, output, input);
        let hit = report.mismatches.iter().find(hit);
        assert!(hit.is_some(), "{bug:?}: {report}");
    };
    use Input::{State, Theta, Time};
    found(Bug::VjpSign, Fault::Vjp, Some(3), Some(State(2)));
    found(Bug::JvpSign, Fault::Jvp, Some(3), Some(State(2)));
    found(Bug::BothSign, Fault::Both, Some(3), Some(State(2)));
    found(Bug::MissingTheta, Fault::Vjp, Some(1), Some(Theta(1)));
    found(Bug::OverwriteY, Fault::Accumulation, None, Some(State(0)));
    found(Bug::OverwriteTheta, Fault::Accumulation, None, Some(Theta(0)));
    found(Bug::MissingTime, Fault::Vjp, Some(0), Some(Time));
    found(Bug::ThetaOfLastColumn, Fault::OutputSum, None, Some(Theta(0)));
    found(Bug::MixedColumns, Fault::Columns, Some(0), None);
    found(Bug::MixedColumns, Fault::Both, Some(0), Some(State(5)));
    found(Bug::IgnoredThetaDot, Fault::EmptyTheta, Some(0), None);
    found(Bug::RowsForColumns, Fault::Columns, Some(1), None);
}

#[test]
fn a_bug_touches_only_the_entries_it_is_in() {
    let report = check(Bug::VjpSign);
    let entries = report.mismatches.iter().filter(|m| m.fault == Fault::Vjp);
    let entries: Vec<_> = entries.map(|m| (m.output, m.input)).collect();
    let expected = |j: usize| (Some(2 * j + 1), Some(Input::State(2 * j)));
    assert_eq!(entries.len(), 3);
    assert!((0..3).all(|j| entries.contains(&expected(j))), "{report}");
    let text = report.to_string();
    assert!(text.contains("vjp is off: ∂f[3]/∂y[2] is 1.000000000e0 by vjp, -1.0"), "{text}");
}

#[test]
fn bad_points_are_errors() {
    let f = ByHand(Bug::None);
    let options = CheckOptions::default();
    let fail =
        |t, y: &[f64], theta: &[f64]| check_gradient(&f, t, y, theta, &options).unwrap_err().to_string();
    assert!(fail(f64::NAN, &[1.0, 1.0], &[1.0, 1.0]).contains("t[0] is NaN"));
    assert!(fail(0.0, &[1.0], &[1.0, 1.0]).contains("multiple of 2"));
    assert!(fail(0.0, &[1e200, 1e200], &[1.0, 1.0]).contains("f[0] is inf"));
}

#[test]
fn sampling_covers_both_ends() {
    assert_eq!(spread(5, 10), [0, 1, 2, 3, 4]);
    assert_eq!(spread(101, 3), [0, 50, 100]);
    assert_eq!(spread(0, 3), [0usize; 0]);
}
