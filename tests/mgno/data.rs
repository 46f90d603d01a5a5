//! Random fields, Darcy's law against a manufactured solution, data sets in files.

use crate::Tested;
use odeon::dataset::Simulated;
use odeon::num::parallel;
use odeon::operator::pde::{Coefficient, CosineField, Darcy, Generator};
use std::f64::consts::{PI, SQRT_2};
use std::path::Path;

fn centres(n: usize) -> Vec<f64> {
    (0..n).map(|i| (i as f64 + 0.5) / n as f64).collect()
}

/// On the cells' centres the cosines are orthogonal: the coefficients come back, are the amplitudes
/// times numbers of mean 0 and variance 1, and are independent of the points and of the number of modes.
#[test]
fn fields_have_the_coefficients_of_their_law() -> Tested {
    let law = CosineField { alpha: 2.0, tau: 3.0, modes: 8 };
    let x = centres(8);
    let phi = |k: usize, x: f64| if k == 0 { 1.0 } else { SQRT_2 * (PI * k as f64 * x).cos() };
    let (mut sum, mut square, mut count) = (0.0, 0.0, 0.0);
    for index in 0..12 {
        let field = law.at(5, index, [&x, &x])?;
        for k in 0..8 {
            for l in 0..8 {
                let terms = field.iter().enumerate().map(|(at, u)| u * phi(k, x[at % 8]) * phi(l, x[at / 8]));
                let coefficient = terms.sum::<f64>() / 64.0;
                if k + l == 0 {
                    assert!(coefficient.abs() < 1e-14);
                    continue;
                }
                let size = 3.0 * (PI * PI * (k * k + l * l) as f64 + 9.0).powf(-1.0);
                assert!((size - law.amplitude([k, l])).abs() < 1e-15);
                let xi = coefficient / size;
                (sum, square, count) = (sum + xi, square + xi * xi, count + 1.0);
            }
        }
    }
    // 756 numbers: four standard errors.
    assert!((sum / count).abs() < 4.0 / f64::sqrt(count), "{}", sum / count);
    assert!((square / count - 1.0).abs() < 4.0 * (2.0 / count).sqrt(), "{}", square / count);
    let few = [0.3, 0.8];
    let one = law.at(5, 3, [&few, &few[..1]])?;
    assert_eq!(one[1], law.at(5, 3, [&few[1..], &few[..1]])?[0]);
    assert_ne!(law.at(6, 3, [&few, &few])?, law.at(5, 3, [&few, &few])?);
    let finer = CosineField { modes: 9, ..law }.at(5, 3, [&few, &few])?;
    let apart = (finer[0] - law.at(5, 3, [&few, &few])?[0]).abs();
    assert!(apart > 0.0 && apart < 0.5, "one more row of modes adds detail only: {apart}");
    for bad in
        [CosineField { alpha: 1.0, ..law }, CosineField { tau: 0.0, ..law }, CosineField { modes: 1, ..law }]
    {
        assert!(bad.at(0, 0, [&few, &few]).is_err());
    }
    assert!(law.at(0, 0, [&few, &[]]).is_err());
    Ok(())
}

/// u = sin πx sin 2πy with a = 1 + x + y²/2: second order.
#[test]
fn darcy_converges_with_order_two_to_a_manufactured_solution() -> Tested {
    let mut points = Vec::new();
    for n in [7, 11, 15, 23, 31] {
        let darcy = Darcy::smooth([n, n]);
        let grid = darcy.grid()?;
        let (mut a, mut f, mut want) = (Vec::new(), Vec::new(), Vec::new());
        for at in 0..grid.len() {
            let [x, y, _] = grid.position(grid.point(at));
            let ([sx, cx], [sy, cy]) = ((PI * x).sin_cos().into(), (2.0 * PI * y).sin_cos().into());
            let k = 1.0 + x + 0.5 * y * y;
            a.push(k);
            want.push(sx * sy);
            // −∂x(k ∂x u) − ∂y(k ∂y u) with ∂x k = 1, ∂y k = y.
            f.push(5.0 * PI * PI * k * sx * sy - PI * cx * sy - y * 2.0 * PI * sx * cy);
        }
        let mut u = vec![0.0; a.len()];
        let report = darcy.solve(&a, &f, &mut u)?;
        assert!(report.relative_residual() <= 1e-10 && report.iterations < 20, "{}", report.iterations);
        let worst = u.iter().zip(&want).fold(0.0f64, |m, (u, w)| m.max((u - w).abs()));
        points.push(((n as f64 + 1.0).ln(), worst.ln()));
    }
    let count = points.len() as f64;
    let mean = |f: fn(&(f64, f64)) -> f64| points.iter().map(f).sum::<f64>() / count;
    let (mx, my) = (mean(|p| p.0), mean(|p| p.1));
    let slope = points.iter().map(|p| (p.0 - mx) * (p.1 - my)).sum::<f64>()
        / points.iter().map(|p| (p.0 - mx).powi(2)).sum::<f64>();
    assert!((slope + 2.0).abs() < 0.1, "order {}", -slope);
    Ok(())
}

#[test]
fn darcy_refuses_what_it_cannot_solve() -> Tested {
    let darcy = Darcy::smooth([7, 5]);
    let mut a = darcy.input(1, 0)?;
    assert!(a.iter().all(|a| [12.0, 3.0].contains(a)) && a.contains(&12.0) && a.contains(&3.0));
    assert!(darcy.output(&a)?.iter().all(|u| *u > 0.0), "the maximum principle");
    assert!(darcy.output(&a[1..]).is_err());
    a[9] = -1.0;
    assert!(darcy.output(&a).is_err_and(|e| e.to_string().contains("[2, 1, 0]")));
    a[9] = f64::NAN;
    assert!(darcy.output(&a).is_err());
    let Coefficient::TwoValued { field, .. } = darcy.coefficient else { return Err("two values".into()) };
    let coefficient = Coefficient::TwoValued { field, values: [1.0, 0.0] };
    assert!(Darcy { coefficient, ..darcy }.check().is_err());
    assert!(Darcy { tolerance: -1.0, ..darcy }.check().is_err());
    assert!(Darcy { extents: [0, 5], ..darcy }.check().is_err());
    Ok(())
}

/// The bound holds and the estimate is near, for rough and for smooth errors; a correction starts from the
/// answer and ends at the tolerance.
#[test]
fn certificates_tell_the_error() -> Tested {
    let darcy = Darcy::smooth([15, 11]);
    let a = darcy.input(4, 0)?;
    let f = vec![1.0; a.len()];
    let u = darcy.output(&a)?;
    let smooth = |i: usize| (PI * (i % 15 + 1) as f64 / 16.0).sin() * (PI * (i / 15 + 1) as f64 / 12.0).sin();
    let rough = |i: usize| f64::from(u8::from(i.is_multiple_of(2))) - 0.5;
    for error in [&smooth as &dyn Fn(usize) -> f64, &rough] {
        let guess: Vec<f64> = u.iter().enumerate().map(|(i, u)| u + 1e-3 * error(i)).collect();
        let size = (0..u.len()).map(|i| (1e-3 * error(i)).powi(2)).sum::<f64>().sqrt();
        let certificate = darcy.certificate(&a, &f, &guess)?;
        assert!(certificate.bound >= size, "{certificate:?}, error {size}");
        assert!((certificate.estimate / size - 1.0).abs() < 0.3, "{certificate:?}, error {size}");
        let mut corrected = guess.clone();
        let report = Darcy { tolerance: 1e-8, ..darcy }.solve(&a, &f, &mut corrected)?;
        assert!((report.true_residuals[0].1 / report.scale - certificate.residual).abs() < 1e-12);
        assert!(darcy.certificate(&a, &f, &corrected)?.residual <= 1e-8);
    }
    assert!(darcy.certificate(&a, &f, &u[1..]).is_err());
    assert!(darcy.certificate(&a, &f, &vec![f64::NAN; u.len()]).is_err());
    Ok(())
}

fn generate(darcy: &Darcy, samples: u32, seed: u64, directory: &Path) -> Result<Simulated, odeon::Error> {
    Simulated::generate(darcy, [samples, 2], seed, directory, |_| Ok(()))
}

/// Interrupted, resumed, on other threads, in other cuts: the same numbers.
#[test]
fn data_sets_are_the_same_however_they_were_made() -> Tested {
    let (whole, parts) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let darcy = Darcy { tolerance: 1e-9, ..Darcy::smooth([9, 7]) };
    let mut seen = Vec::new();
    let set = Simulated::generate(&darcy, [5, 2], 3, whole.path(), |n| {
        seen.push(n);
        Ok(())
    })?;
    assert_eq!(seen, [2, 4, 5]);
    let [x, y] = set.read_all::<f64>()?;
    assert_eq!((x.count(), x.shape(), y.shape()), (5, &[7, 9][..], &[7, 9][..]));
    assert_eq!(y.get(4), Some(&darcy.output(&darcy.input(3, 4)?)?[..]));
    // Stopped after the first file, one output lost: the rest is made, and the same.
    let stopped = Simulated::generate(&darcy, [5, 2], 3, parts.path(), |_| {
        Err(odeon::Error::invalid("the user", "gone", "nothing"))
    });
    assert!(stopped.is_err() && !parts.path().join("inputs_0001.npy").exists());
    std::fs::remove_file(parts.path().join("outputs_0000.npy"))?;
    let again = parallel::with_threads(3, || generate(&darcy, 5, 3, parts.path()))??;
    assert_eq!(again.read_all::<f64>()?, [x, y]);
    assert_eq!(again.read_shard::<f32>(2)?[0].count(), 1);
    assert!(again.read_shard::<f32>(3).is_err());
    Ok(())
}

#[test]
fn data_that_do_not_match_are_refused() -> Tested {
    let directory = tempfile::tempdir()?;
    let path = |name: &str| directory.path().join(name);
    let darcy = Darcy { tolerance: 1e-9, ..Darcy::smooth([7, 7]) };
    let set = generate(&darcy, 3, 3, directory.path())?;
    let refused = |darcy: &Darcy, samples, seed, word: &str| {
        let reason = generate(darcy, samples, seed, directory.path()).err().map(|e| e.to_string());
        assert!(reason.as_ref().is_some_and(|r| r.contains(word)), "{reason:?} does not say {word}");
    };
    refused(&Darcy { tolerance: 1e-8, ..darcy }, 3, 3, "parameters");
    refused(&darcy, 4, 3, "samples");
    refused(&darcy, 3, 4, "seed");
    refused(&darcy, 0, 3, "positive");
    // Another shard's inputs, of the right shape.
    let first = std::fs::read(path("inputs_0000.npy"))?;
    let other = tempfile::tempdir()?;
    generate(&darcy, 3, 8, other.path())?;
    std::fs::copy(other.path().join("inputs_0000.npy"), path("inputs_0000.npy"))?;
    refused(&darcy, 3, 3, "first sample");
    // A NaN, with file and place.
    let mut bytes = first.clone();
    let end = bytes.len();
    bytes[end - 8..].copy_from_slice(&f64::NAN.to_le_bytes());
    std::fs::write(path("inputs_0000.npy"), &bytes)?;
    let reason = set.read_all::<f64>().err().map(|e| e.to_string()).unwrap_or_default();
    assert!(reason.contains("inputs_0000.npy") && reason.contains("NaN"), "{reason}");
    std::fs::write(path("inputs_0000.npy"), &first)?;
    // Another shape than the manifest's.
    let text = std::fs::read_to_string(path("manifest.json"))?;
    std::fs::write(path("manifest.json"), text.replace("\"samples\": 3", "\"samples\": 4"))?;
    let reason = Simulated::open(directory.path())?.read_shard::<f64>(1).err().map(|e| e.to_string());
    assert!(reason.is_some_and(|r| r.contains("1 samples") && r.contains("says 2")));
    std::fs::write(path("manifest.json"), text.replace("version 1", "version 9"))?;
    assert!(Simulated::open(directory.path()).is_err());
    std::fs::write(path("manifest.json"), "{")?;
    assert!(Simulated::open(directory.path()).is_err_and(|e| e.to_string().contains("manifest.json:1")));
    assert!(Simulated::open(path("nowhere")).is_err());
    Ok(())
}
