//! Roll-outs of one-step networks.

use crate::{Tested, check_gradient, wave};
use odeon::nn::conv::Padding;
use odeon::operator::mgno::{Architecture, CycleSpec};
use odeon::operator::surrogate::{
    Rollout, Through, add_noise, correlation, high_correlation_time, shell_spectrum,
};
use odeon::operator::{Program, Scratch, Surrogate};

fn step() -> Result<Program, odeon::Error> {
    let cycle = CycleSpec { padding: [[Padding::Circular; 2]; 3], ..CycleSpec::backslash(3) };
    Architecture { skip: true, ..Architecture::darcy(2, 3, cycle) }.compile(&[8])
}

/// Σ w_k (c·u + u²/2), w_k = 1/k, which tells the steps and the samples apart.
fn loss([sample, k]: [usize; 2], u: &[f64], [bar, _]: [&mut [f64]; 2]) -> f64 {
    let c = wave::<f64>(u.len(), 0.5 + sample as f64);
    bar.iter_mut().zip(u.iter().zip(&c)).for_each(|(bar, (u, c))| *bar = (c + u) / k as f64);
    u.iter().zip(&c).map(|(u, c)| u * (c + 0.5 * u)).sum::<f64>() / k as f64
}

#[test]
fn states_are_repeated_applications() -> Tested {
    let program = step()?;
    let theta: Vec<f64> = program.init(Default::default(), 2)?;
    let start = wave::<f64>(16, 0.1);
    let mut rollout = Rollout::new(&program, 3, Through::Window)?;
    let mut expected = start.clone();
    let states = rollout.forward(&theta, &start, &mut Scratch::new())?.to_vec();
    assert_eq!(states[..16], expected);
    for k in 1..=3 {
        let mut next = vec![0.0; 16];
        program.forward(&theta, &expected, &mut next, &mut Scratch::new())?;
        assert_eq!(states[16 * k..][..16], next);
        expected = next;
    }
    Ok(())
}

#[test]
fn the_windows_gradient_is_that_of_differences() -> Tested {
    let program = step()?;
    let theta: Vec<f64> = program.init(Default::default(), 2)?;
    let start = wave::<f64>(16, 0.1);
    for steps in [1, 3] {
        let mut rollout = Rollout::new(&program, steps, Through::Window)?;
        let before = wave::<f64>(theta.len(), 0.2);
        let mut theta_bar = before.clone();
        let total = rollout.gradient(&theta, &start, loss, &mut theta_bar, &mut Scratch::new())?;
        theta_bar.iter_mut().zip(&before).for_each(|(bar, before)| *bar -= before);
        let mut value = |theta: &[f64]| {
            let states = rollout.forward(theta, &start, &mut Scratch::new())?;
            let of = |k: usize, sample: usize| {
                let u = &states[16 * k + 8 * sample..][..8];
                loss([sample, k], u, [&mut [0.0; 8], &mut []])
            };
            Ok::<f64, odeon::Error>((1..=steps).map(|k| of(k, 0) + of(k, 1)).sum())
        };
        assert!((value(&theta)? - total).abs() < 1e-12 * total.abs().max(1.0));
        check_gradient(&theta, &theta_bar, 8, value)?;
    }
    Ok(())
}

/// With channels that stay: the same as a network of states and constants, stepped by hand; its window's gradient.
#[test]
fn channels_that_stay_are_given_to_every_step() -> Tested {
    let cycle = CycleSpec { padding: [[Padding::Circular; 2]; 3], ..CycleSpec::backslash(3) };
    let program = Architecture { inputs: 2, skip: true, ..Architecture::darcy(2, 3, cycle) }.compile(&[8])?;
    let theta: Vec<f64> = program.init(Default::default(), 2)?;
    let (start, fixed) = (wave::<f64>(16, 0.1), wave::<f64>(8, 2.5));
    let mut rollout = Rollout::with_fixed(&program, 3, Through::Window, fixed.clone())?;
    let states = rollout.forward(&theta, &start, &mut Scratch::new())?.to_vec();
    for sample in 0..2 {
        let mut u = start[8 * sample..][..8].to_vec();
        for k in 1..=3 {
            let input: Vec<f64> = u.iter().chain(&fixed).copied().collect();
            program.forward(&theta, &input, &mut u, &mut Scratch::new())?;
            assert_eq!(states[16 * k + 8 * sample..][..8], u);
        }
    }
    let mut theta_bar = vec![0.0; theta.len()];
    rollout.gradient(&theta, &start, loss, &mut theta_bar, &mut Scratch::new())?;
    check_gradient(&theta, &theta_bar, 8, |theta| {
        let states = rollout.forward(theta, &start, &mut Scratch::new())?;
        let of = |k: usize, sample: usize| {
            loss([sample, k], &states[16 * k + 8 * sample..][..8], [&mut [0.0; 8], &mut []])
        };
        Ok((1..=3).map(|k| of(k, 0) + of(k, 1)).sum())
    })?;
    let (mut pushed, mut last) =
        (vec![0.0; theta.len()], Rollout::with_fixed(&program, 3, Through::Last, fixed)?);
    last.gradient(&theta, &start, loss, &mut pushed, &mut Scratch::new())?;
    assert!(pushed != theta_bar && pushed.iter().any(|p| *p != 0.0));
    assert!(Rollout::with_fixed(&program, 1, Through::Last, vec![0.0; 7]).is_err());
    assert!(Rollout::with_fixed(&program, 1, Through::Last, vec![f64::NAN; 8]).is_err());
    assert!(rollout.forward(&theta, &start[..7], &mut Scratch::new()).is_err());
    Ok(())
}

/// Push-forward is one step's gradient from where the network brings the start.
#[test]
fn push_forward_differentiates_the_last_step_alone() -> Tested {
    let program = step()?;
    let theta: Vec<f64> = program.init(Default::default(), 2)?;
    let start = wave::<f64>(16, 0.1);
    let mut scratch = Scratch::new();
    let mut pushed = vec![0.0; theta.len()];
    let mut long = Rollout::new(&program, 3, Through::Last)?;
    let value =
        long.gradient(&theta, &start, |[s, k], u, bars| loss([s, k], u, bars), &mut pushed, &mut scratch)?;
    let mut two = Rollout::new(&program, 2, Through::Window)?;
    let there = two.forward(&theta, &start, &mut scratch)?[32..].to_vec();
    let mut alone = vec![0.0; theta.len()];
    let last = |[sample, _]: [usize; 2], u: &[f64], bars: [&mut [f64]; 2]| loss([sample, 3], u, bars);
    let mut one = Rollout::new(&program, 1, Through::Window)?;
    assert_eq!(one.gradient(&theta, &there, last, &mut alone, &mut scratch)?, value);
    assert_eq!(pushed, alone);
    Ok(())
}

#[test]
fn noise_has_its_deviation_and_its_seed() {
    let mut u = vec![1.0; 40_001];
    add_noise(&mut u, 0.3, 7, 1);
    let mean = u.iter().sum::<f64>() / u.len() as f64;
    let variance = u.iter().map(|u| (u - mean).powi(2)).sum::<f64>() / u.len() as f64;
    // Five standard errors.
    assert!((mean - 1.0).abs() < 5.0 * 0.3 / 200.0, "{mean}");
    assert!((variance - 0.09).abs() < 5.0 * 0.09 * (2.0f64 / 40_001.0).sqrt(), "{variance}");
    let draw = |seed, stream| {
        let mut u = [0.0; 5];
        add_noise(&mut u, 1.0, seed, stream);
        u
    };
    assert_eq!(draw(7, 1), draw(7, 1));
    assert!(draw(7, 1) != draw(7, 2) && draw(7, 1) != draw(8, 1));
}

#[test]
fn correlations_and_their_times() -> Tested {
    let a = [1.0, 2.0, 4.0];
    assert!((correlation(&a, &[3.0, 5.0, 9.0])? - 1.0).abs() < 1e-15);
    assert!((correlation(&a, &[-1.0, -2.0, -4.0])? + 1.0).abs() < 1e-15);
    // Σ (a − ā)(b − b̄) = (−4/3)(0) + (−1/3)(−1) + (5/3)(1) = 2, Σ (a − ā)² = 14/3, Σ (b − b̄)² = 2.
    let exact = 2.0 / (14.0f64 / 3.0 * 2.0).sqrt();
    assert!((correlation(&a, &[1.0, 0.0, 2.0])? - exact).abs() < 1e-15);
    assert_eq!(correlation(&a, &[1.0; 3])?, 0.0);
    let times = [0.0, 1.0, 3.0];
    assert_eq!(high_correlation_time(&times, &[1.0, 0.9, 0.5], 0.8)?, 1.5);
    assert_eq!(high_correlation_time(&times, &[1.0, 0.9, 0.85], 0.8)?, 3.0);
    assert_eq!(high_correlation_time(&times, &[0.1, 0.9, 0.85], 0.8)?, 0.0);
    assert!(high_correlation_time(&[0.0, 0.0], &[1.0, 1.0], 0.8).is_err());
    assert!(high_correlation_time(&[], &[], 0.8).is_err());
    assert!(correlation(&a, &[1.0]).is_err() && correlation::<f64>(&[], &[]).is_err());
    Ok(())
}

#[test]
fn bad_roll_outs_are_explained() -> Tested {
    let program = step()?;
    assert!(Rollout::<f64>::new(&program, 0, Through::Window).is_err());
    let cycle = CycleSpec::backslash(2);
    let uneven = Architecture { inputs: 2, ..Architecture::darcy(2, 3, cycle) }.compile(&[8])?;
    let error = Rollout::<f64>::new(&uneven, 1, Through::Window).unwrap_err().to_string();
    assert!(error.contains("16 numbers in, 8 out"), "{error}");
    // Weights of 1e200 overflow in the second step.
    let theta = vec![1e200; program.layout().len()];
    let mut rollout = Rollout::new(&program, 2, Through::Window)?;
    let error = rollout.forward(&theta, &[1.0; 8], &mut Scratch::new()).unwrap_err().to_string();
    assert!(error.contains("after step 1 of the roll-out"), "{error}");
    Ok(())
}

/// Cosines of known wavenumbers: |û|² = a²/4 at ±κ; and Parseval.
#[test]
fn spectra_are_sums_over_shells() -> Tested {
    let wave = |[k, l]: [usize; 2], at: usize| {
        let [x, y] = [(at % 12) as f64 / 12.0, (at / 12) as f64 / 10.0];
        (std::f64::consts::TAU * (k as f64 * x + l as f64 * y)).cos()
    };
    let u: Vec<f64> =
        (0..120).map(|at| 0.3 + 2.0 * wave([3, 0], at) + wave([2, 2], at) + wave([5, 4], at)).collect();
    let shells = shell_spectrum(&[12, 10], &u)?;
    // |(2, 2)| = 2.83, |(5, 4)| = 6.4.
    let expected = [0.09, 0.0, 0.0, 2.5, 0.0, 0.0, 0.5];
    assert_eq!(shells.len(), 7);
    assert!(shells.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-14), "{shells:?}");
    let mean_square = u.iter().map(|u| u * u).sum::<f64>() / 120.0;
    assert!((shells.iter().sum::<f64>() - mean_square).abs() < 1e-13);
    assert!(shell_spectrum(&[12], &u).is_err() && shell_spectrum::<f64>(&[0], &[]).is_err());
    assert!(shell_spectrum(&[2, 2, 2], &[0.0; 8]).is_err());
    Ok(())
}
