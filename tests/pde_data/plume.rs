//! Smoke around obstacles.

use crate::Tested;
use odeon::Result;
use odeon::linalg::grid::{Mask, StencilOperator};
use odeon::linalg::krylov::Cg;
use odeon::linalg::{Identity, Settings};
use odeon::operator::pde::Plume;

fn cg(a: &StencilOperator<f64>, _: &Mask, b: &[f64], x: &mut [f64]) -> Result<()> {
    Cg::new(b.len(), Settings::tol(1e-12))?.solve(a, &mut Identity(b.len()), b, x)?.ok().map(|_| ())
}

/// A disc that crosses the plume.
fn moving([x, y, _]: [f64; 3], t: f64) -> bool {
    (x - 0.3 - 0.3 * t).hypot(y - 0.5) < 0.14
}

/// Extents, and what is solid.
type Case<'a> = (&'a [usize], fn([f64; 3], f64) -> bool);

#[test]
fn steps_leave_no_divergence_and_smoke_between_0_and_1() -> Tested {
    let boxes: [Case<'_>; 3] = [(&[24, 32], moving), (&[16, 16], |_, _| false), (&[10, 9, 12], moving)];
    for (extents, obstacle) in boxes {
        let mut plume = Plume::new(extents, 5.0, obstacle)?;
        let mut solids = Vec::new();
        for _ in 0..12 {
            plume.step(0.05, cg)?;
            let speed = plume.velocity(extents.len() - 1).iter().fold(0.0f64, |m, v| m.max(v.abs()));
            let largest = plume.divergence().iter().fold(0.0f64, |m, d| m.max(d.abs()));
            assert!(largest < 1e-10 * speed.max(1e-3), "{extents:?}: {largest} {speed}");
            assert!(plume.density().iter().all(|d| (0.0..=1.0).contains(d)), "{extents:?}");
            solids.push(plume.mask().solid().to_vec());
        }
        assert!((plume.time() - 0.6).abs() < 1e-12);
        assert!(solids.iter().flatten().all(|s| !s) || solids[0] != solids[11], "{extents:?}");
    }
    Ok(())
}

/// The mean height of the smoke grows; without buoyancy nothing moves.
#[test]
fn smoke_rises() -> Tested {
    let height = |plume: &Plume| {
        let (mut sum, mut mass) = (0.0, 0.0);
        for (at, d) in plume.density().iter().enumerate() {
            (sum, mass) = (sum + d * (at / 24) as f64, mass + d);
        }
        sum / mass
    };
    let mut plume = Plume::new(&[24, 32], 5.0, |_, _| false)?;
    let mut heights = Vec::new();
    for _ in 0..20 {
        plume.step(0.05, cg)?;
        heights.push(height(&plume));
    }
    assert!(heights[9] > heights[0] + 0.5 && heights[19] > heights[9] + 1.0, "{heights:?}");
    let mut still = Plume::new(&[24, 32], 0.0, |_, _| false)?;
    still.step(0.1, cg)?;
    assert!(still.velocity(1).iter().all(|v| *v == 0.0));
    Ok(())
}

/// What is symmetric stays so, and solids are not flowed through.
#[test]
fn plumes_are_symmetric_and_stop_at_solids() -> Tested {
    let mut plume = Plume::new(&[24, 24], 5.0, |[x, y, _], _| (x - 0.5).hypot(y - 0.5) < 0.15)?;
    for _ in 0..15 {
        plume.step(0.04, cg)?;
    }
    for j in 0..24 {
        for i in 0..24 {
            let apart = plume.density()[j * 24 + i] - plume.density()[j * 24 + 23 - i];
            assert!(apart.abs() < 1e-9, "({i}, {j}): {apart}");
        }
    }
    let solid = plume.mask().solid();
    for at in (0..576).filter(|at| solid[*at]) {
        assert_eq!(plume.velocity(1)[at], 0.0);
        assert_eq!(plume.velocity(1)[at + 24], 0.0);
        assert_eq!(plume.velocity(0)[at / 24 * 25 + at % 24], 0.0);
        assert_eq!(plume.density()[at], 0.0);
    }
    // Projecting again changes nothing: the right-hand side is 0 but for rounding.
    let before = plume.velocity(1).to_vec();
    let mut norm = f64::NAN;
    plume.project(|a, mask, b, x| {
        norm = b.iter().map(|b| b * b).sum::<f64>().sqrt();
        x.fill(0.0);
        cg(a, mask, b, x)
    })?;
    let moved = before.iter().zip(plume.velocity(1)).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(norm < 1e-9 && moved < 1e-9, "{norm} {moved}");
    Ok(())
}

#[test]
fn bad_boxes_are_explained() -> Tested {
    for (extents, buoyancy) in [(&[16][..], 1.0), (&[16, 4], 1.0), (&[16, 16], f64::NAN)] {
        assert!(Plume::new(extents, buoyancy, |_, _| false).is_err(), "{extents:?}");
    }
    assert!(Plume::new(&[16, 16], 1.0, |_, _| true).is_err());
    let mut plume = Plume::new(&[16, 16], 1.0, |_, _| false)?;
    assert!(plume.step(0.0, cg).is_err() && plume.step(f64::NAN, cg).is_err());
    let broken = plume.step(0.1, |_, _, _, x| {
        x[3] = f64::NAN;
        Ok(())
    });
    assert!(broken.unwrap_err().to_string().contains("the pressure[3]"));
    Ok(())
}
