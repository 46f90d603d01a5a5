use super::RosenbrockTableau;
use crate::ode::tableaux_rosenbrock;
use std::borrow::Cow;

/// Coefficients are printed to 16 digits; sums of products that cancel lose one or two.
const DIGITS: f64 = 1e-13;

#[test]
fn order_conditions_hold_to_the_printed_digits() {
    for tableau in tableaux_rosenbrock::all() {
        let outcome = tableau.check_to(DIGITS);
        assert!(outcome.is_ok(), "{}: {}", tableau.name, outcome.unwrap_err());
    }
}

#[test]
fn claims_are_not_too_modest() {
    for tableau in tableaux_rosenbrock::all() {
        let more = [
            RosenbrockTableau { order: tableau.order + 1, ..tableau.clone() },
            RosenbrockTableau { embedded_order: tableau.embedded_order + 1, ..tableau.clone() },
            RosenbrockTableau { dense_order: tableau.dense_order + 1, ..tableau.clone() },
        ];
        for more in more {
            assert!(more.check_to(1e-6).is_err(), "{} has a higher order than it says", tableau.name);
        }
    }
}

/// Moves the `k`-th coefficient by 1e-6; `None` past the last.
fn mutated(tableau: &RosenbrockTableau, k: usize) -> Option<RosenbrockTableau> {
    let mut t = tableau.clone();
    let mut all = vec![&mut t.gamma];
    for row in [&mut t.c, &mut t.d, &mut t.m, &mut t.error] {
        all.extend(row.to_mut());
    }
    for rows in [&mut t.a, &mut t.coupling, &mut t.dense] {
        for row in rows.to_mut() {
            all.extend(row.to_mut());
        }
    }
    **all.get_mut(k)? += 1e-6;
    Some(t)
}

#[test]
fn every_coefficient_matters() {
    for tableau in tableaux_rosenbrock::all() {
        let mut count = 0;
        while let Some(other) = mutated(tableau, count) {
            assert!(other.check_to(1e-12).is_err(), "{}: coefficient {count} is free", tableau.name);
            count += 1;
        }
        assert!(count > 20, "{count}");
        assert!(matches!(tableau.c, Cow::Borrowed(_)));
    }
}
