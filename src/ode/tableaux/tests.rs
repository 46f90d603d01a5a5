//! Every coefficient of every built-in method, by the order conditions: what is claimed holds to
//! rounding, one order more does not, and a change of 1e-6 anywhere is seen.

use super::{all, by_name};
use crate::ode::tableau::{ExplicitRk, Row, Tableau};
use crate::ode::trees::{ElementaryWeights, difference, sized};
use std::borrow::Cow;

/// Coefficients are correctly rounded, so residuals are a few ulp of the rounding scale.
const ROUNDING: f64 = 1e-15;

/// Changes one coefficient of a copy of the method by `by`.
type Change = Box<dyn Fn(&mut Tableau, f64)>;

/// A field of coefficients: its name, its values, and how to reach it for a change.
type Field<'a> = (&'static str, &'a Row, fn(&mut Tableau) -> &mut Row);

/// A false claim, and words its error must contain.
type FalseClaim = (&'static str, fn(&mut Tableau));

#[test]
fn claims_hold_to_rounding() {
    for t in all() {
        t.check_to(ROUNDING).unwrap();
    }
}

#[test]
fn claimed_orders_are_exact() {
    for t in all() {
        let q = t.order + 1;
        let weights = ElementaryWeights::new(&t.all_rows(), q.max(t.dense.order + 1));
        assert_eq!(weights.order_of(&sized(&t.b), ROUNDING), t.order, "{}", t.name);
        // The next order fails by far more than rounding, so the claim is not a near miss.
        assert!(weights.violation(&sized(&t.b), q, 1e-9).is_some(), "{}", t.name);
        if t.error_low.is_empty() && t.embedded_order > 0 {
            let embedded = weights.order_of(&difference(&t.b, &t.error), ROUNDING);
            assert_eq!(embedded, t.embedded_order, "embedded, {}", t.name);
        }
        let dense = t.dense.order + 1;
        let beyond = weights.dense_violation(&t.dense.weights, t.dense_degree(), dense, 1e-10);
        assert!(beyond.is_some(), "dense, {}", t.name);
    }
}

#[test]
fn dop853_estimates_have_orders_five_and_three() {
    let t = by_name("dop853").unwrap();
    let weights = ElementaryWeights::new(&t.all_rows(), 6);
    assert_eq!(weights.order_of(&difference(&t.b, &t.error), ROUNDING), 5);
    assert_eq!(weights.order_of(&difference(&t.b, &t.error_low), ROUNDING), 3);
}

#[test]
fn stability_sizes_are_the_real_intervals() {
    // Published: alg_stability_size of OrdinaryDiffEq.jl; 2.785 and 2.513 in Hairer & Wanner II, IV.2.
    let published = [
        ("Euler", 2.0, 1e-9),
        ("Midpoint", 2.0, 1e-9),
        ("Rk4", 2.785293563405282, 1e-9),
        ("Bs3", 2.5127, 1e-4),
        ("Dp5", 3.3066, 1e-4),
        ("Tsit5", 3.5068, 1e-4),
        ("Vern6", 4.8553, 1e-4),
        ("Vern7", 4.6400, 1e-4),
        ("Vern9", 4.4762, 1e-4),
    ];
    for (name, size, tolerance) in published {
        let t = by_name(name).unwrap();
        approx::assert_abs_diff_eq!(t.real_stability(), size, epsilon = tolerance);
    }
    for t in all() {
        if let Some(pair) = t.stiffness {
            approx::assert_abs_diff_eq!(t.real_stability(), pair.stability_size, epsilon = 1e-4);
            // Extra pairs would be a missed claim; the stored one is the latest.
            let found = t.find_stiffness_pair().unwrap();
            assert_eq!((found.first, found.second), (pair.first, pair.second), "{}", t.name);
        } else {
            assert_eq!(t.find_stiffness_pair(), None, "{}", t.name);
        }
    }
}

#[test]
fn dense_output_is_c1() {
    // b_i'(0) = [i = 0], and b_i'(1) = [i is the stage f(t + h, y⁺)].
    for t in all() {
        let end = if t.fsal { t.stages() - 1 } else { t.stages() };
        let reused = if t.fsal { &t.a[end][..] } else { &t.dense.extra_a[0][..] };
        assert_eq!(reused, &t.b[..reused.len()], "{}", t.name);
        assert!(t.fsal || t.dense.extra_c[0] == 1.0, "{}", t.name);
        for (i, row) in t.dense.weights.iter().enumerate() {
            assert_eq!(row[0], if i == 0 { 1.0 } else { 0.0 }, "{} b_{i}'(0)", t.name);
            let terms = row.iter().enumerate().map(|(d, w)| (d + 1) as f64 * w);
            let (slope, scale) = terms.fold((0.0, 1.0), |(s, m), x| (s + x, m + x.abs()));
            let needed = if i == end { 1.0 } else { 0.0 };
            assert!((slope - needed).abs() <= ROUNDING * scale, "{} b_{i}'(1) = {slope}", t.name);
        }
    }
}

/// A change to entry `j` of row `i` of the field picked by `rows`.
fn nested(
    changes: &mut Vec<(String, Change)>,
    what: &'static str,
    rows: &[Row],
    pick: fn(&mut Tableau) -> &mut Cow<'static, [Row]>,
) {
    for (i, row) in rows.iter().enumerate() {
        for j in 0..row.len() {
            changes.push((
                format!("{what}[{i}][{j}]"),
                Box::new(move |t, by| pick(t).to_mut()[i].to_mut()[j] += by),
            ));
        }
    }
}

/// Every coefficient with a closure that changes it.
fn coefficients(t: &Tableau) -> Vec<(String, Change)> {
    let mut changes: Vec<(String, Change)> = Vec::new();
    let flat: [Field<'_>; 5] = [
        ("c", &t.c, |t| &mut t.c),
        ("b", &t.b, |t| &mut t.b),
        ("error", &t.error, |t| &mut t.error),
        ("error_low", &t.error_low, |t| &mut t.error_low),
        ("extra_c", &t.dense.extra_c, |t| &mut t.dense.extra_c),
    ];
    for (what, row, pick) in flat {
        for i in 0..row.len() {
            changes.push((format!("{what}[{i}]"), Box::new(move |t, by| pick(t).to_mut()[i] += by)));
        }
    }
    nested(&mut changes, "a", &t.a, |t| &mut t.a);
    nested(&mut changes, "extra_a", &t.dense.extra_a, |t| &mut t.dense.extra_a);
    nested(&mut changes, "weights", &t.dense.weights, |t| &mut t.dense.weights);
    changes
}

#[test]
fn any_coefficient_changed_by_1e_6_is_seen() {
    let mut changed = 0;
    for t in all() {
        for (what, change) in coefficients(t) {
            for by in [1e-6, -1e-6] {
                let mut broken = t.clone();
                change(&mut broken, by);
                assert!(broken.check().is_err(), "{} {what} by {by}", t.name);
                changed += 1;
            }
        }
    }
    assert!(changed > 2 * 1500, "only {changed} coefficients were found");
}

#[test]
fn compensated_changes_are_seen_by_the_order_conditions() {
    // Two neighbours changed by ±1e-6: row sums still hold, so only conditions of order ≥ 2 can
    // see it. Below order 3 some rows enter by their sum alone, which the test leaves out.
    let kinds = ["a", "extra_a", "b", "error", "error_low"];
    for t in all().into_iter().filter(|t| t.order >= 3) {
        let changes = coefficients(t);
        for pair in changes.windows(2) {
            let [(first, one), (second, other)] = pair else { unreachable!() };
            let row = |s: &str| s[..s.rfind('[').unwrap_or(0)].to_string();
            let kind = first.split('[').next().unwrap_or_default();
            // A cubic Hermite's extra row enters its order conditions by the sum alone where two
            // stages share an abscissa (Rk4); `dense_output_is_c1` compares it with b exactly.
            let hermite = kind == "extra_a" && t.dense.order <= 3;
            if row(first) != row(second) || !kinds.contains(&kind) || hermite {
                continue;
            }
            let mut broken = t.clone();
            one(&mut broken, 1e-6);
            other(&mut broken, -1e-6);
            let seen = broken.check_to(ROUNDING).is_err();
            assert!(seen, "{} {first} and {second}", t.name);
        }
    }
}

#[test]
fn false_claims_are_refused() {
    let tsit5 = by_name("Tsit5").unwrap();
    let claims: [FalseClaim; 8] = [
        ("order 6 needs", |t| t.order = 6),
        ("b − error of Tsit5", |t| t.embedded_order = 5),
        ("dense.weights of Tsit5", |t| t.dense.order = 5),
        ("stability size", |t| t.stiffness.as_mut().unwrap().stability_size = 3.6),
        ("must be equal", |t| t.stiffness.as_mut().unwrap().first = 4),
        ("earlier first", |t| t.stiffness.as_mut().unwrap().second = 7),
        ("dense.weights has length 6", |t| {
            t.dense.weights.to_mut().pop();
        }),
        ("all zeros", |t| t.error = Cow::Owned(vec![0.0; 7])),
    ];
    for (needle, claim) in claims {
        let mut t = tsit5.clone();
        claim(&mut t);
        let message = t.check().unwrap_err().to_string();
        assert!(message.contains(needle), "{needle}: {message}");
    }
    let mut rk4 = by_name("rk4").unwrap().clone();
    rk4.fsal = true;
    assert!(rk4.check().unwrap_err().to_string().contains("fsal"));
    let mut dop = by_name("Dop853").unwrap().clone();
    dop.embedded_order = 8;
    assert!(dop.check().unwrap_err().to_string().contains("2·5 − 3"));
}

#[test]
fn methods_are_found_by_name_and_by_type() {
    assert_eq!(super::Tsit5.tableau(), by_name("TSIT5").unwrap());
    assert_eq!(super::Vern9.tableau(), by_name("vern9").unwrap());
    let message = by_name("rk45").unwrap_err().to_string();
    assert!(message.contains("rk45") && message.contains("Dp5"), "{message}");
    let mut names: Vec<_> = all().iter().map(|t| t.name.clone()).collect();
    names.dedup();
    assert_eq!(names.len(), 12);
}
