//! Answers brought to a tolerance.

use crate::{Tested, wave};
use odeon::linalg::LinearOperator;
use odeon::operator::pde::{Darcy, Generator};

fn norm(v: &[f64]) -> f64 {
    v.iter().map(|v| v * v).sum::<f64>().sqrt()
}

#[test]
fn corrections_meet_the_tolerance_and_say_what_they_took() -> Tested {
    let darcy = Darcy::rough([31, 23]);
    let n = 31 * 23;
    let (a, f) = (darcy.input(2, 0)?, wave::<f64>(n, 0.4));
    let mut corrector = darcy.corrector(&a)?;
    let truth = corrector.correct(&f, &vec![0.0; n], 1e-11)?;
    assert!((truth.before - 1.0).abs() < 1e-14, "the residual of 0 is f");
    let noise = wave::<f64>(n, 1.3);
    let size = norm(&truth.u);
    let mut iterations = Vec::new();
    for level in [1e-1, 1e-3, 1e-5] {
        let scale = level * size / norm(&noise);
        let answer: Vec<f64> = truth.u.iter().zip(&noise).map(|(u, e)| u + scale * e).collect();
        let corrected = corrector.correct(&f, &answer, 1e-8)?;
        let mut r = vec![0.0; n];
        corrector.operator().residual(&f, &answer, &mut r);
        assert!((corrected.before - norm(&r) / norm(&f)).abs() < 1e-12 * corrected.before);
        corrector.operator().residual(&f, &corrected.u, &mut r);
        assert!(norm(&r) <= 1e-8 * norm(&f));
        let report = &corrected.report;
        assert_eq!(report.residuals.len(), report.iterations + 1);
        assert!((report.residuals[0] - corrected.before * report.scale).abs() < 1e-12 * report.residuals[0]);
        assert!(corrected.warm_s() > 0.0 && corrected.cold_s() > corrected.warm_s());
        iterations.push(report.iterations);
        // At once, the same.
        let again = darcy.correct(&a, &f, &answer, 1e-8)?;
        assert_eq!(again.u, corrected.u);
    }
    assert!(iterations.windows(2).all(|w| w[0] > w[1]), "better answers take fewer: {iterations:?}");
    Ok(())
}

#[test]
fn what_cannot_be_corrected_is_refused() -> Tested {
    let darcy = Darcy::smooth([9, 9]);
    let (a, f, u) = (darcy.input(0, 0)?, vec![1.0; 81], vec![0.0; 81]);
    let reason = |a: &[f64], f: &[f64], u: &[f64], tolerance: f64| {
        darcy.correct(a, f, u, tolerance).err().map(|e| e.to_string()).unwrap_or_default()
    };
    assert_eq!(reason(&a, &f, &u, 1e-6), "");
    for tolerance in [0.0, -1.0, f64::NAN] {
        assert!(reason(&a, &f, &u, tolerance).contains("rtol"), "{tolerance}");
    }
    assert!(reason(&a, &f[1..], &u, 1e-6).contains("81"));
    assert!(reason(&a, &f, &u[1..], 1e-6).contains("81"));
    let mut bad = u.clone();
    bad[5] = f64::NAN;
    assert!(reason(&a, &f, &bad, 1e-6).contains("NaN"));
    let mut bad = a.clone();
    bad[7] = -1.0;
    assert!(!reason(&bad, &f, &u, 1e-6).is_empty());
    // Beyond what double precision can tell.
    assert!(!reason(&a, &f, &u, 1e-19).is_empty());
    Ok(())
}
