//! Every coefficient of every built-in method by the order conditions, coupling conditions included, and
//! the linear stability of the methods.

use super::tableau::SdirkTableau;
use crate::num::Scalar;
use crate::ode::imex;
use crate::ode::tableau::Row;
use crate::ode::trees::{difference, sized};
use std::borrow::Cow;

/// Coefficients are correctly rounded (Kværnø's are published to 17 digits).
const ROUNDING: f64 = 2e-15;

fn methods() -> impl Iterator<Item = &'static SdirkTableau> {
    super::all().into_iter().chain(imex::all())
}

#[test]
fn claims_hold_to_rounding_and_orders_are_exact() {
    for t in methods() {
        t.check_to(ROUNDING).unwrap();
        let weights = t.elementary_weights(t.order.max(t.embedded_order).max(t.dense_order) + 1);
        let b = t.weights();
        assert_eq!(weights.order_of(&sized(&b), ROUNDING), t.order, "{}", t.name);
        assert!(weights.violation(&sized(&b), t.order + 1, 1e-6).is_some(), "{}", t.name);
        let embedded = weights.order_of(&difference(&b, &t.error), ROUNDING);
        assert_eq!(embedded, t.embedded_order, "{}", t.name);
        let degree = t.dense[0].len();
        let beyond = weights.dense_violation(&t.dense, degree, t.dense_order + 1, 1e-6);
        assert!(beyond.is_some(), "{}", t.name);
    }
}

/// Changes one coefficient of a copy of the method by `by`.
type Change = Box<dyn Fn(&mut SdirkTableau, f64)>;

fn coefficients(t: &SdirkTableau) -> Vec<(String, Change)> {
    let mut changes: Vec<(String, Change)> = vec![("γ".into(), Box::new(|t, by| t.gamma += by))];
    type Flat<'a> = (&'static str, &'a Row, fn(&mut SdirkTableau) -> &mut Row);
    let flat: [Flat<'_>; 2] = [("c", &t.c, |t| &mut t.c), ("error", &t.error, |t| &mut t.error)];
    for (what, row, pick) in flat {
        for i in 0..row.len() {
            changes.push((format!("{what}[{i}]"), Box::new(move |t, by| pick(t).to_mut()[i] += by)));
        }
    }
    type Nested<'a> = (&'static str, &'a [Row], fn(&mut SdirkTableau) -> &mut Cow<'static, [Row]>);
    let nested: [Nested<'_>; 3] = [
        ("a", &t.a, |t| &mut t.a),
        ("explicit", &t.explicit, |t| &mut t.explicit),
        ("dense", &t.dense, |t| &mut t.dense),
    ];
    for (what, rows, pick) in nested {
        for (i, row) in rows.iter().enumerate() {
            for j in 0..row.len() {
                let change: Change = Box::new(move |t, by| pick(t).to_mut()[i].to_mut()[j] += by);
                changes.push((format!("{what}[{i}][{j}]"), change));
            }
        }
    }
    changes
}

#[test]
fn any_coefficient_changed_by_1e_6_is_seen() {
    let mut changed = 0;
    for t in methods() {
        for (what, change) in coefficients(t) {
            for by in [1e-6, -1e-6] {
                let mut broken = t.clone();
                change(&mut broken, by);
                assert!(broken.check().is_err(), "{} {what} by {by}", t.name);
                changed += 1;
            }
        }
    }
    assert!(changed > 500, "only {changed}");
}

#[test]
fn compensated_changes_of_a_are_seen_by_the_order_conditions() {
    for t in methods().filter(|t| t.order >= 3) {
        for part in 0..if t.is_additive() { 2 } else { 1 } {
            for i in 2..t.stages() {
                for j in 1..i {
                    let mut broken = t.clone();
                    let rows = if part == 0 { &mut broken.a } else { &mut broken.explicit };
                    let row = rows.to_mut()[i].to_mut();
                    row[j - 1] += 1e-6;
                    row[j] -= 1e-6;
                    assert!(broken.check().is_err(), "{} part {part} row {i} at {j}", t.name);
                }
            }
        }
    }
}

#[test]
fn false_claims_are_refused_with_their_reason() {
    let t = super::all()[2];
    type Claim = (&'static str, fn(&mut SdirkTableau));
    let claims: [Claim; 7] = [
        ("order 6 needs", |t| t.order = 6),
        ("b − error", |t| t.embedded_order = 5),
        ("degree of dense", |t| t.dense_order = 5),
        ("it must be positive", |t| t.gamma = -0.26),
        ("equal abscissa", |t| t.stiffness = Some((4, 6))),
        ("the end", |t| t.end = 0),
        ("a has length 6", |t| {
            t.a.to_mut().pop();
        }),
    ];
    for (needle, claim) in claims {
        let mut broken = t.clone();
        claim(&mut broken);
        let message = broken.check().unwrap_err().to_string();
        let found = message.contains(needle) || (needle == "equal abscissa" && message.contains("abscissa"));
        assert!(found, "{needle}: {message}");
    }
}

/// A complex number, as much as the stability function needs.
#[derive(Clone, Copy, Debug)]
struct C(f64, f64);

impl C {
    fn times(self, o: C) -> C {
        C(self.0 * o.0 - self.1 * o.1, self.0 * o.1 + self.1 * o.0)
    }
    fn plus(self, o: C) -> C {
        C(self.0 + o.0, self.1 + o.1)
    }
    fn over(self, o: C) -> C {
        let d = o.0 * o.0 + o.1 * o.1;
        let n = self.times(C(o.0, -o.1));
        C(n.0 / d, n.1 / d)
    }
    fn abs(self) -> f64 {
        self.0.hypot(self.1)
    }
}

/// Stages of y' = λy, y = 1, z = hλ, and the sum 1 + z Σ w_i Y_i.
fn stability(t: &SdirkTableau, w: &[f64], z: C) -> (f64, f64) {
    let mut stages: Vec<C> = Vec::new();
    for i in 0..t.stages() {
        let mut sum = C(0.0, 0.0);
        for (a, y) in t.a[i].iter().zip(&stages) {
            sum = sum.plus(C(*a, 0.0).times(*y));
        }
        let g = C(1.0, 0.0).plus(z.times(sum));
        let gamma = if i == 0 { 0.0 } else { t.gamma };
        stages.push(g.over(C(1.0 - gamma * z.0, -gamma * z.1)));
    }
    let mut sum = C(0.0, 0.0);
    for (w, y) in w.iter().zip(&stages) {
        sum = sum.plus(C(*w, 0.0).times(*y));
    }
    (stages[t.end].abs(), C(1.0, 0.0).plus(z.times(sum)).abs())
}

#[test]
fn methods_are_a_and_l_stable() {
    for t in methods() {
        let b = t.weights();
        let embedded: Vec<f64> = b.iter().zip(&t.error[..]).map(|(b, e)| b - e).collect();
        // Along the imaginary axis |R| ≤ 1, and R has no pole in the left half plane (γ > 0): A-stable.
        for k in -400..400 {
            let z = C(0.0, (0.02 * k as f64).exp2());
            let (end, by_weights) = stability(t, &b, z);
            assert!(by_weights <= 1.0 + 1e-12, "{} at {z:?}: {by_weights}", t.name);
            if !t.is_additive() && z.1 < 1e3 {
                assert!((end - by_weights).abs() < 1e-11, "{}", t.name);
            }
        }
        // R(∞) = 0, and the embedded solution stays bounded.
        for size in [1e5, 1e6] {
            assert!(stability(t, &b, C(-size, 0.0)).0 < 30.0 / size, "{}", t.name);
            let (_, low) = stability(t, &embedded, C(-size, 0.0));
            assert!(low < 2.0, "embedded of {}: {low}", t.name);
        }
        assert_eq!(t.stiff_limit().len(), t.stages());
    }
}

#[test]
fn dense_output_stays_bounded_on_stiff_components() {
    for t in methods() {
        for theta in [0.1, 0.35, 0.6, 0.85, 1.0] {
            let w: Vec<f64> = t.dense.iter().map(|row| crate::integrate::polynomial(row, theta)).collect();
            let (_, inside) = stability(t, &w, C(-1e7, 0.0));
            assert!(inside < 2.5, "{} at {theta}: {inside}", t.name);
        }
        // The dense output is of order 3 on stiff components where the stages allow it, and else ends
        // with the slope f(t + h, y⁺) of the last stage.
        if ["Esdirk54I8L2SA", "KenCarp4"].contains(&&*t.name) {
            let slopes = t.stiff_slopes(3);
            for d in 0..t.dense[0].len() {
                let sum: f64 = t.dense.iter().zip(&slopes).map(|(row, k)| row[d] * k).sum();
                let needed = f64::from(u8::from(d == 2));
                assert!(Scalar::abs(sum - needed) < 1e-11, "{} ϑ^{}: {sum}", t.name, d + 1);
            }
        } else if !t.is_additive() {
            for (i, row) in t.dense.iter().enumerate() {
                let slope: f64 = row.iter().enumerate().map(|(d, w)| (d + 1) as f64 * w).sum();
                let needed = f64::from(u8::from(i == t.end));
                assert!(Scalar::abs(slope - needed) < 1e-12, "{} {i}", t.name);
            }
        }
    }
}
