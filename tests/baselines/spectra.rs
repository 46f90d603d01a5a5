//! Spectral convolutions against the transform's definition.

use crate::{Tested, wave};
use odeon::nn::{Activation, Initializer};
use odeon::operator::baselines::Fno;
use odeon::operator::{Scratch, Surrogate};
use std::f64::consts::PI;

type Complex = [f64; 2];

fn times([a, b]: Complex, [c, d]: Complex) -> Complex {
    [a * c - b * d, a * d + b * c]
}

fn turn(angle: f64) -> Complex {
    [angle.cos(), angle.sin()]
}

/// One layer of one linear field from the definition: all modes, those that are kept multiplied, the others
/// 0, the conjugate half filled in, all summed.
fn layer(u: &[f64], [nx, ny]: [usize; 2], [half, full]: [usize; 2], weights: &[f64]) -> Vec<f64> {
    let modes = 2 * full * half;
    let mut spectrum = vec![[0.0; 2]; nx * ny];
    for l in 0..2 * full {
        let wave_y = if l < full { l } else { ny + l - 2 * full };
        for k in 0..half {
            let mut hat = [0.0; 2];
            for (p, u) in u.iter().enumerate() {
                let angle = k * (p % nx) * ny + wave_y * (p / nx) * nx;
                let e = turn(-2.0 * PI * angle as f64 / (nx * ny) as f64);
                hat = [hat[0] + u * e[0], hat[1] + u * e[1]];
            }
            let place = l * half + k;
            let value = times([weights[place], weights[modes + place]], hat);
            // The real inverse transform of a half spectrum: Re of what is its own conjugate, twice Re else.
            spectrum[wave_y * nx + k] = value;
        }
    }
    let value = |p: usize| {
        let mut sum = 0.0;
        for (at, value) in spectrum.iter().enumerate() {
            let (k, l) = (at % nx, at / nx);
            let angle = k * (p % nx) * ny + l * (p / nx) * nx;
            let own = if k == 0 || 2 * k == nx { 1.0 } else { 2.0 };
            sum += own * times(*value, turn(2.0 * PI * angle as f64 / (nx * ny) as f64))[0];
        }
        sum / (nx * ny) as f64
    };
    (0..nx * ny).map(value).collect()
}

/// A network of one layer, whose lift takes the input as it is and whose projection is the identity.
#[test]
fn one_layer_is_the_definition() -> Tested {
    for (extents, modes) in [([8, 8], [5, 4]), ([7, 9], [4, 3]), ([10, 5], [6, 2]), ([6, 12], [1, 6])] {
        let fno = Fno {
            layers: 1,
            modes,
            padding: 0,
            projection: 2,
            activation: Activation::Relu,
            ..Fno::darcy(1, 1)
        };
        let program = fno.compile(&extents)?;
        let mut theta: Vec<f64> = program.init(Initializer::TorchLinear, 4)?;
        let set = |theta: &mut [f64], name: &str, values: &[f64]| {
            program.layout().view_mut(name, theta).map(|to| to.copy_from_slice(values))
        };
        for name in ["lift", "layers.0.pointwise", "project.1"] {
            set(&mut theta, &format!("{name}.bias"), &[0.0])?;
        }
        set(&mut theta, "project.0.bias", &[0.0; 2])?;
        set(&mut theta, "lift.weight", &[1.0, 0.0, 0.0])?;
        set(&mut theta, "layers.0.pointwise.weight", &[0.0])?;
        // v = max(v, 0) − max(−v, 0).
        set(&mut theta, "project.0.weight", &[1.0, -1.0])?;
        set(&mut theta, "project.1.weight", &[1.0, -1.0])?;
        let weights = wave::<f64>(4 * modes[0] * modes[1], 0.9);
        set(&mut theta, "layers.0.spectral.weight", &weights)?;
        let u = wave::<f64>(extents[0] * extents[1], 0.2);
        let mut v = vec![0.0; u.len()];
        program.forward(&theta, &u, &mut v, &mut Scratch::new())?;
        let want = layer(&u, extents, modes, &weights);
        for (v, want) in v.iter().zip(&want) {
            assert!((v - want).abs() < 1e-13, "{extents:?} {modes:?}: {v} and {want}");
        }
    }
    Ok(())
}

/// With all modes and weights 1 a layer is the identity on odd extents, whose modes all come in pairs.
#[test]
fn all_modes_make_the_identity() -> Tested {
    let [nx, ny] = [9, 8];
    let fno = Fno {
        layers: 1,
        modes: [5, 4],
        padding: 0,
        projection: 2,
        activation: Activation::Relu,
        ..Fno::darcy(1, 1)
    };
    let program = fno.compile(&[nx, ny])?;
    let mut theta = vec![0.0; program.layout().len()];
    program.layout().view_mut("lift.weight", &mut theta)?[0] = 1.0;
    for name in ["project.0.weight", "project.1.weight"] {
        program.layout().view_mut(name, &mut theta)?.copy_from_slice(&[1.0, -1.0]);
    }
    program.layout().view_mut("layers.0.spectral.weight", &mut theta)?[..40].fill(1.0);
    let u = wave::<f64>(nx * ny, 0.2);
    let mut v = vec![0.0; u.len()];
    program.forward(&theta, &u, &mut v, &mut Scratch::new())?;
    let apart = u.iter().zip(&v).map(|(u, v)| (u - v).abs()).fold(0.0, f64::max);
    assert!(apart < 1e-14, "{apart:e}");
    Ok(())
}
