//! Reverse passes against finite differences.

use crate::{Tested, check_gradient, small, wave};
use odeon::nn::Initializer;
use odeon::operator::Scratch;

/// Σ over samples and outputs of c·y + y²/2 as the loss, in parameters and inputs.
#[test]
fn gradients_are_those_of_finite_differences() -> Tested {
    for (model, extents) in small() {
        let name = format!("{} {extents:?}", model.name());
        let program = model.compile(&extents)?;
        let (batch, m) = (2, program.output_len());
        let mut scratch = Scratch::new();
        let theta: Vec<f64> = program.init(Initializer::TorchLinear, 3)?;
        let x = wave::<f64>(batch * program.input_len(), 0.4);
        let c = wave::<f64>(batch * m, 1.9);
        let loss = |sample: usize, y: &[f64], [y_bar, _]: [&mut [f64]; 2]| {
            let c = &c[sample * m..][..m];
            y_bar.iter_mut().zip(y.iter().zip(c)).for_each(|(bar, (y, c))| *bar = y + c);
            y.iter().zip(c).map(|(y, c)| y * (0.5 * y + c)).sum::<f64>()
        };
        // It is added to what is there.
        let before = wave::<f64>(theta.len(), 0.2);
        let mut theta_bar = before.clone();
        let total = program.gradient(&theta, &x, loss, &mut theta_bar, &mut scratch)?;
        theta_bar.iter_mut().zip(&before).for_each(|(bar, b)| *bar -= b);
        let mut y = vec![0.0; batch * m];
        let mut value = |theta: &[f64], x: &[f64]| {
            program.forward(theta, x, &mut y, &mut scratch)?;
            Ok::<f64, odeon::Error>(y.iter().zip(&c).map(|(y, c)| y * (0.5 * y + c)).sum())
        };
        assert!((value(&theta, &x)? - total).abs() < 1e-11 * (1.0 + total.abs()), "{name}");
        let explained = |e: Box<dyn std::error::Error>| format!("{name}: {e}");
        check_gradient(&theta, &theta_bar, 8, |theta| value(theta, &x)).map_err(explained)?;
        let mut y_bar = vec![0.0; batch * m];
        program.forward(&theta, &x, &mut y_bar, &mut Scratch::new())?;
        y_bar.iter_mut().zip(&c).for_each(|(bar, c)| *bar += c);
        let (mut x_bar, mut again) = (vec![f64::NAN; x.len()], before.clone());
        program.pullback(&theta, [&x, &y_bar], Some(&mut x_bar), &mut again, &mut Scratch::new())?;
        again.iter_mut().zip(&before).for_each(|(bar, b)| *bar -= b);
        assert_eq!(again, theta_bar, "{name}");
        check_gradient(&x, &x_bar, 4, |x| value(&theta, x))?;
    }
    Ok(())
}

/// Every named range has a gradient: nothing is cut off from the result.
#[test]
fn all_parameters_matter() -> Tested {
    for (model, extents) in small() {
        let program = model.compile(&extents)?;
        let theta: Vec<f64> = program.init(Initializer::TorchLinear, 5)?;
        let x = wave::<f64>(program.input_len(), 0.7);
        let y_bar = wave::<f64>(program.output_len(), 0.1);
        let mut theta_bar = vec![0.0; theta.len()];
        program.pullback(&theta, [&x, &y_bar], None, &mut theta_bar, &mut Scratch::new())?;
        for entry in program.layout().entries() {
            let largest = theta_bar[entry.range()].iter().fold(0.0f64, |m, g| m.max(g.abs()));
            assert!(largest > 1e-9, "{} {extents:?}: {} has no gradient", model.name(), entry.name);
        }
    }
    Ok(())
}
