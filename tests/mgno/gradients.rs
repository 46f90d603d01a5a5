//! Reverse passes against finite differences, for every feature of the architecture.

use crate::{Tested, check_gradient, wave};
use odeon::linalg::multigrid::Cycle;
use odeon::nn::conv::Padding;
use odeon::nn::{Activation, Initializer};
use odeon::operator::mgno::{Architecture, CoarsePoints, CycleSpec, Mgno, Restriction, Scratch};

fn architectures() -> Vec<(Architecture, Vec<usize>)> {
    use Padding::{Circular, Reflect, Zero};
    let darcy = |cycle| Architecture::darcy(2, 3, cycle);
    let sides = |x: [Padding; 2], y: [Padding; 2]| [x, y, [Zero; 2]];
    let base = CycleSpec::backslash(3);
    let odd =
        CycleSpec { coarse_points: CoarsePoints::Odd, restriction: Restriction::Residual, ..base.clone() };
    let v = CycleSpec { restriction: Restriction::Residual, ..base.clone().with_after(1) };
    let w = CycleSpec { visits: Cycle::W, ..v.clone() };
    let f = CycleSpec { visits: Cycle::F, steps: vec![[1, 0], [0, 1], [1, 1], [1, 0]], ..base.clone() };
    let mixed = CycleSpec { padding: sides([Reflect, Zero], [Circular; 2]), ..v.clone() };
    let wide = CycleSpec { widths: vec![1, 2, 3], ..base.clone() };
    let navier = Architecture { activation: Activation::Tanh, ..Architecture::navier_stokes(2, 3, 3) };
    vec![
        (darcy(base), vec![8, 8]),
        (darcy(odd.clone()), vec![7, 15]),
        (darcy(odd), vec![9, 6]),
        (darcy(v), vec![9, 6]),
        (Architecture { inputs: 2, outputs: 3, ..darcy(w) }, vec![7, 8]),
        (darcy(f), vec![11, 8]),
        (darcy(mixed), vec![9, 8]),
        (darcy(wide), vec![6, 5]),
        (navier, vec![8, 8]),
        (darcy(CycleSpec::backslash(3)), vec![13]),
        (darcy(CycleSpec::backslash(2)), vec![4, 3, 5]),
    ]
}

/// Σ over samples and outputs of c·y + y²/2 as the loss, in parameters and inputs.
#[test]
fn gradients_are_those_of_finite_differences() -> Tested {
    for (architecture, extents) in architectures() {
        let mgno = Mgno::new(&architecture, &extents)?;
        let mut scratch = Scratch::new();
        let batch = 2;
        let theta: Vec<f64> = mgno.init(Initializer::TorchLinear, 3)?;
        let x = wave::<f64>(batch * mgno.input_len(), 0.4);
        let m = mgno.output_len();
        let c = wave::<f64>(batch * m, 1.9);
        let loss = |sample: usize, y: &[f64], [y_bar, _]: [&mut [f64]; 2]| {
            let c = &c[sample * m..][..m];
            y_bar.iter_mut().zip(y.iter().zip(c)).for_each(|(bar, (y, c))| *bar = y + c);
            y.iter().zip(c).map(|(y, c)| y * (0.5 * y + c)).sum::<f64>()
        };
        let before = wave::<f64>(theta.len(), 0.2);
        let mut theta_bar = before.clone();
        let total = mgno.gradient(&theta, &x, loss, &mut theta_bar, &mut scratch)?;
        theta_bar.iter_mut().zip(&before).for_each(|(bar, b)| *bar -= b);
        let mut y = vec![0.0; batch * m];
        let mut value = |theta: &[f64], x: &[f64]| {
            mgno.forward(theta, x, &mut y, &mut scratch)?;
            Ok::<f64, odeon::Error>(y.iter().zip(&c).map(|(y, c)| y * (0.5 * y + c)).sum())
        };
        assert!((value(&theta, &x)? - total).abs() < 1e-11 * (1.0 + total.abs()), "{architecture:?}");
        check_gradient(&theta, &theta_bar, 6, |theta| value(theta, &x))?;
        let mut y_bar = vec![0.0; batch * m];
        mgno.forward(&theta, &x, &mut y_bar, &mut Scratch::new())?;
        y_bar.iter_mut().zip(&c).for_each(|(bar, c)| *bar += c);
        let (mut x_bar, mut again) = (vec![f64::NAN; x.len()], before.clone());
        mgno.pullback(&theta, [&x, &y_bar], Some(&mut x_bar), &mut again, &mut Scratch::new())?;
        again.iter_mut().zip(&before).for_each(|(bar, b)| *bar -= b);
        assert_eq!(again, theta_bar);
        check_gradient(&x, &x_bar, 3, |x| value(&theta, x))?;
    }
    Ok(())
}
