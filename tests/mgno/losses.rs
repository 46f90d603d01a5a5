//! Norms of fields against their definitions, gradients, normalisers.

use crate::{Tested, check_gradient, wave};
use odeon::nn::conv::Padding;
use odeon::num::Real;
use odeon::operator::surrogate::{FieldNorm, Normaliser, Scope};
use std::f64::consts::PI;

/// Σ w(k) |ê_k|² of a plane field by the plain double sum.
fn spectral_square(e: &[f64], [nx, ny]: [usize; 2], weight: impl Fn([i64; 2]) -> f64) -> f64 {
    let wave_number = |m: usize, n: usize| if 2 * m < n { m as i64 } else { m as i64 - n as i64 };
    let mut sum = 0.0;
    for p in 0..nx {
        for q in 0..ny {
            let (mut re, mut im) = (0.0, 0.0);
            for (at, e) in e.iter().enumerate() {
                let (i, j) = (at % nx, at / nx);
                let angle = -2.0 * PI * ((p * i) as f64 / nx as f64 + (q * j) as f64 / ny as f64);
                re += e * angle.cos();
                im += e * angle.sin();
            }
            let k = [wave_number(p, nx), wave_number(q, ny)];
            sum += weight(k) * (re * re + im * im) / (nx * ny) as f64;
        }
    }
    sum
}

fn norms<T: Real>(extents: [usize; 2]) -> Result<Vec<FieldNorm<T>>, odeon::Error> {
    let sides = [[Padding::Zero, Padding::Reflect], [Padding::Circular; 2], [Padding::Zero; 2]];
    Ok(vec![
        FieldNorm::l2(&extents)?,
        FieldNorm::differences(&extents, &[0.1, 0.2], sides)?,
        FieldNorm::spectral(&extents, &[1.0, 0.7])?,
        FieldNorm::published(&extents)?,
    ])
}

/// The four definitions, the spectral ones by the double sum; 45 points so that the published norm cuts.
#[test]
fn norms_are_their_definitions() -> Tested {
    let extents = [45, 6];
    let [nx, ny] = extents;
    let e = wave::<f64>(nx * ny, 0.5);
    let plain: f64 = e.iter().map(|e| e * e).sum();
    let (mut faces, at) = (0.0, |i: usize, j: usize| e[i + nx * j]);
    for j in 0..ny {
        faces += (0..nx - 1).map(|i| ((at(i + 1, j) - at(i, j)) / 0.1).powi(2)).sum::<f64>();
        faces += (at(0, j) / 0.1).powi(2);
        faces += (0..nx).map(|i| ((at(i, (j + 1) % ny) - at(i, j)) / 0.2).powi(2)).sum::<f64>();
    }
    let square = |k: i64, l: f64| (2.0 * PI * k as f64 / l).powi(2);
    let cut = |k: i64| if k.abs() < 20 { (k * k) as f64 } else { 0.0 };
    let wants = [
        plain,
        plain + faces,
        spectral_square(&e, extents, |[p, q]| 1.0 + square(p, 1.0) + square(q, 0.7)),
        spectral_square(&e, extents, |[p, q]| 1.0 + cut(p) + cut(q)),
    ];
    for (norm, want) in norms::<f64>(extents)?.iter().zip(wants) {
        let given = norm.norm(&e)?;
        assert!((given - want.sqrt()).abs() <= 1e-12 * want.sqrt(), "{given} {}", want.sqrt());
        // Channels are added up.
        let both = [&e[..], &e[..]].concat();
        assert!((norm.norm(&both)? - (2.0 * want).sqrt()).abs() <= 1e-12 * want.sqrt());
    }
    Ok(())
}

#[test]
fn relative_norms_have_their_gradients() -> Tested {
    let extents = [9, 7];
    let e = wave::<f64>(2 * 63, 0.5);
    for norm in norms::<f64>(extents)? {
        let size = norm.norm(&wave::<f64>(2 * 63, 3.0))?;
        let (mut bar, mut other) = (vec![f64::NAN; e.len()], vec![0.0; e.len()]);
        let value = norm.relative(&e, size, &mut bar)?;
        assert!((value - norm.norm(&e)? / size).abs() < 1e-14);
        check_gradient(&e, &bar, 20, |e| norm.relative(e, size, &mut other))?;
        assert_eq!(norm.relative(&vec![0.0; 63], size, &mut bar[..63])?, 0.0);
        assert!(bar[..63].iter().all(|b| *b == 0.0));
        let single: Vec<f32> = e.iter().map(|e| *e as f32).collect();
        let narrow = norms::<f32>(extents)?;
        assert!((narrow[0].norm(&single)? - norms::<f64>(extents)?[0].norm(&e)?).abs() < 1e-5);
    }
    Ok(())
}

#[test]
fn three_axes_and_bad_fields() -> Tested {
    let norm = FieldNorm::<f64>::spectral(&[4, 3, 5], &[1.0; 3])?;
    // One wave along the last axis: (1 + (2π)²) times its L2 norm.
    let e: Vec<f64> = (0..60).map(|i| (2.0 * PI * (i / 12) as f64 / 5.0).sin()).collect();
    let plain: f64 = e.iter().map(|e| e * e).sum();
    assert!((norm.norm(&e)? - (plain * (1.0 + 4.0 * PI * PI)).sqrt()).abs() < 1e-11);
    assert!(norm.norm(&e[1..]).is_err() && norm.norm(&[]).is_err());
    assert!(norm.norm(&vec![f64::NAN; 60]).is_err());
    let mut bar = vec![0.0; 60];
    assert!(norm.relative(&e, 0.0, &mut bar).is_err() && norm.relative(&e, f64::NAN, &mut bar).is_err());
    assert!(norm.relative(&e, 1.0, &mut bar[1..]).is_err());
    assert!(FieldNorm::<f64>::l2(&[]).is_err() && FieldNorm::<f64>::l2(&[3, 0]).is_err());
    assert!(FieldNorm::<f64>::spectral(&[3], &[0.0]).is_err());
    let one_sided = [[Padding::Circular, Padding::Zero]; 3];
    assert!(FieldNorm::<f64>::differences(&[3], &[1.0], one_sided).is_err());
    assert!(FieldNorm::<f64>::differences(&[3, 3], &[1.0], [[Padding::Zero; 2]; 3]).is_err());
    Ok(())
}

#[test]
fn normalisers_are_fitted_and_undone() -> Tested {
    // Two samples of two channels with two points; the last point never changes.
    let samples = [1.0, 3.0, 10.0, 5.0, 3.0, 5.0, 30.0, 5.0];
    let channel = Normaliser::fit(&samples, 4, 2, Scope::Channel)?;
    let point = Normaliser::fit(&samples, 4, 2, Scope::Point)?;
    let mut x = samples;
    channel.encode(&mut x)?;
    // Channel 0 is {1, 3, 3, 5}: mean 3, variance 8/3.
    assert!((x[0] + 2.0 / (8.0f64 / 3.0).sqrt()).abs() < 1e-3 && x[1].abs() < 1e-12);
    channel.decode(&mut x)?;
    assert!(x.iter().zip(samples).all(|(x, s)| (x - s).abs() < 1e-12));
    point.encode(&mut x)?;
    assert!((x[0] + 0.5f64.sqrt()).abs() < 1e-3 && (x[4] - 0.5f64.sqrt()).abs() < 1e-3);
    assert!(x[3] == 0.0 && x[7] == 0.0);
    let (mut ahead, mut bar) = (x, [1.0; 8]);
    ahead.iter_mut().for_each(|x| *x += 1.0);
    point.decode(&mut x)?;
    point.decode(&mut ahead)?;
    point.decode_pullback(&mut bar)?;
    assert!(bar.iter().zip(ahead.iter().zip(&x)).all(|(b, (a, x))| (a - x - b).abs() < 1e-10));
    assert!(point.encode(&mut [0.0; 3]).is_err());
    let fit = |samples: &[f64], dim, channels| Normaliser::fit(samples, dim, channels, Scope::Point).is_err();
    assert!(fit(&samples, 3, 1) && fit(&samples, 4, 3) && fit(&[], 1, 1) && fit(&samples, 8, 1));
    assert!(fit(&[1.0; 8], 4, 1) && fit(&[1.0, f64::NAN], 1, 1));
    Ok(())
}
