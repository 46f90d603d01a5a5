//! The loss, the data, and a training run.

use super::{Tested, dot, normal};
use odeon::linalg::grid::{Boundary, Grid};
use odeon::linalg::{LinearOperator, model};
use odeon::operator::directions::{
    DirectionNet, Rates, RightHandSides, RitzMixtures, Spectra, Trainer, energy_loss, line_search_loss,
};

#[test]
fn the_loss_is_what_the_best_step_leaves_and_its_gradient_agrees_with_differences() -> Tested {
    let a = model::poisson::<f64>(Grid::vertices(&[6, 5], &[1.0; 2])?)?;
    let n = 30;
    let (b, f) = (normal(n, 1), normal(n, 2));
    let (mut f_bar, mut residual, mut work) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
    let loss = line_search_loss(&a, [&b, &f], &mut f_bar, &mut residual, &mut work)?;
    let mut af = vec![0.0; n];
    a.apply(&f, &mut af);
    let alpha = dot(&f, &b) / dot(&f, &af);
    let left: Vec<f64> = b.iter().zip(&af).map(|(b, q)| b - alpha * q).collect();
    assert!(
        (loss.alpha - alpha).abs() < 1e-14 && (loss.value - dot(&left, &left) / dot(&b, &b)).abs() < 1e-14
    );
    assert!(residual.iter().zip(&left).all(|(a, b)| (a - b).abs() < 1e-13));
    for i in 0..n {
        let mut at = |h: f64| -> Result<f64, odeon::Error> {
            let mut moved = f.clone();
            moved[i] += h;
            let mut bar = vec![0.0; n];
            Ok(line_search_loss(&a, [&b, &moved], &mut bar, &mut residual, &mut work)?.value)
        };
        let h = 1e-4;
        let difference = (8.0 * (at(h)? - at(-h)?) - (at(2.0 * h)? - at(-2.0 * h)?)) / (12.0 * h);
        assert!((difference - f_bar[i]).abs() < 1e-9, "{i}: {difference} {}", f_bar[i]);
    }
    let zero = line_search_loss(&a, [&b, &vec![0.0; n]], &mut f_bar, &mut residual, &mut work);
    assert!(zero.is_err_and(|e| e.to_string().contains("positive definite")));
    Ok(())
}

#[test]
fn the_energy_loss_is_what_the_best_step_leaves_in_the_a_norm() -> Tested {
    let a = model::poisson::<f64>(Grid::vertices(&[6, 5], &[1.0; 2])?)?;
    let n = 30;
    let (x, f) = (normal(n, 1), normal(n, 2));
    let energy = |e: &[f64]| {
        let mut ae = vec![0.0; n];
        a.apply(e, &mut ae);
        dot(e, &ae)
    };
    let mut b = vec![0.0; n];
    a.apply(&x, &mut b);
    let (mut f_bar, mut residual, mut work) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
    let loss = energy_loss(&a, [&b, &f, &x], &mut f_bar, &mut residual, &mut work)?;
    let left: Vec<f64> = x.iter().zip(&f).map(|(x, f)| x - loss.alpha * f).collect();
    assert!((loss.value - energy(&left) / energy(&x)).abs() < 1e-13);
    let mut want = vec![0.0; n];
    a.apply(&left, &mut want);
    assert!(residual.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-12));
    for i in 0..n {
        let mut at = |h: f64| -> Result<f64, odeon::Error> {
            let mut moved = f.clone();
            moved[i] += h;
            let mut bar = vec![0.0; n];
            Ok(energy_loss(&a, [&b, &moved, &x], &mut bar, &mut residual, &mut work)?.value)
        };
        let h = 1e-4;
        let difference = (8.0 * (at(h)? - at(-h)?) - (at(2.0 * h)? - at(-2.0 * h)?)) / (12.0 * h);
        assert!((difference - f_bar[i]).abs() < 1e-9, "{i}: {difference} {}", f_bar[i]);
    }
    Ok(())
}

/// Exponent 1 is A times exponent 0, in every dimension.
#[test]
fn spectra_are_powers_of_the_operator() -> Tested {
    for extents in [vec![9], vec![5, 7], vec![4, 3, 5]] {
        let spacing: Vec<f64> = (0..extents.len()).map(|a| 1.0 - 0.2 * a as f64).collect();
        let grid = Grid::vertices(&extents, &spacing)?;
        let a = model::poisson::<f64>(grid)?;
        let n = grid.len();
        let (mut white, mut rough, mut want) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
        let (mut w, mut r) = (Spectra::new(&grid, [0.0; 2], 4)?, Spectra::new(&grid, [1.0; 2], 4)?);
        for _ in 0..2 {
            w.draw(&mut white)?;
            r.draw(&mut rough)?;
            a.apply(&white, &mut want);
            let size = dot(&want, &want).sqrt();
            assert!(rough.iter().zip(&want).all(|(r, w)| (r - w / size).abs() < 1e-13), "{extents:?}");
            assert!((dot(&white, &white) - 1.0).abs() < 1e-13);
        }
    }
    let grid = Grid::vertices(&[4, 4], &[1.0; 2])?;
    assert!(Spectra::new(&grid, [1.0, 0.0], 0).is_err());
    assert!(Spectra::new(&grid.with_boundary(Boundary::Neumann)?, [0.0, 0.0], 0).is_err());
    Ok(())
}

/// With all Lanczos steps the Ritz pairs are the eigenpairs, so that the spectrum of the mixtures is
/// known: nine times larger below, seen as the mean square of the components.
#[test]
fn ritz_mixtures_weight_the_lower_half() -> Tested {
    let grid = Grid::vertices(&[6, 7], &[1.0; 2])?;
    let a = model::poisson::<f64>(grid)?;
    let n = 42;
    let mut data = RitzMixtures::new(&a, n, 3, 1)?;
    assert!(data.values().windows(2).all(|w| w[0] <= w[1]) && data.values().len() == n);
    let sum: f64 = data.values().iter().sum();
    assert!((sum - 4.0 * n as f64).abs() < 1e-10, "the trace: {sum}");
    // Rayleigh quotients lie below those of white noise (4), as the weights say.
    let (low, high) = data.values().split_at(n / 2 + 3);
    let weights = 81.0 * low.len() as f64 + high.len() as f64;
    let expected = (81.0 * low.iter().sum::<f64>() + high.iter().sum::<f64>()) / weights;
    let (mut b, mut ab, mut mean) = (vec![0.0; n], vec![0.0; n], 0.0);
    let draws = 400;
    for _ in 0..draws {
        data.draw(&mut b)?;
        assert!((dot(&b, &b) - 1.0).abs() < 1e-12);
        a.apply(&b, &mut ab);
        mean += dot(&b, &ab) / f64::from(draws);
    }
    assert!((mean - expected).abs() < 0.08, "{mean} {expected}");
    Ok(())
}

#[test]
fn training_lowers_the_loss_and_is_reproducible() -> Tested {
    let grid = Grid::vertices(&[8, 8], &[1.0; 2])?;
    let a = model::poisson::<f32>(grid)?;
    let net = DirectionNet::self_similar(2, 4, 0.2)?;
    let train = || -> Result<(Vec<f64>, Vec<f32>), odeon::Error> {
        let rates = Rates { first: 5e-3, last: 1e-3, steps: 60 };
        let mut trainer = Trainer::new(&net, grid.extents(), 4, rates, 2)?;
        let mut data = Spectra::new(&grid, [-1.0, 0.5], 1)?;
        let mut theta = net.init::<f32>(0)?;
        let losses = (0..60).map(|_| trainer.step(&mut theta, &a, &mut data)).collect::<Result<_, _>>()?;
        Ok((losses, theta))
    };
    let (losses, theta) = train()?;
    let mean = |l: &[f64]| l.iter().sum::<f64>() / l.len() as f64;
    let (first, last) = (mean(&losses[..15]), mean(&losses[45..]));
    assert!(last < 0.5 * first, "{first} {last}");
    assert_eq!(train()?.1, theta);
    assert!(
        Trainer::<f32>::new(&net, grid.extents(), 0, Rates { first: 1.0, last: 1.0, steps: 1 }, 0).is_err()
    );
    Ok(())
}
