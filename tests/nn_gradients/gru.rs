//! The gated recurrent unit: PyTorch's gates against a transcription (`data/nn/gru_reference.py`), its reverse and
//! that of a whole series against finite differences.

use super::wave;
use odeon::Result;
use odeon::nn::{Direction, Gru, Initializer};

fn parameters(gru: &Gru, scale: f64) -> Vec<f64> {
    wave(gru.layout().len(), 0.3).iter().map(|w| scale * w + 0.1).collect()
}

fn close(what: &str, got: &[f64], expected: &[f64], tol: f64) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (i, (g, e)) in got.iter().zip(expected).enumerate() {
        assert!((g - e).abs() <= tol, "{what}[{i}]: {g} against {e}");
    }
}

fn inner(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Central differences of sixth order: at h = 1e-2 with an error of about 1e-12.
fn differences(x: &[f64], f: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let h = 1e-2;
    let mut moved = x.to_vec();
    (0..x.len())
        .map(|i| {
            let mut at = |s: f64| {
                moved[i] = x[i] + s * h;
                let value = f(&moved);
                moved[i] = x[i];
                value
            };
            let [one, two, three] = [1.0, 2.0, 3.0].map(|s| at(s) - at(-s));
            (45.0 * one - 9.0 * two + three) / (60.0 * h)
        })
        .collect()
}

#[test]
fn the_gates_are_pytorchs() -> Result<()> {
    let gru = Gru::new(2, 3)?;
    let theta = parameters(&gru, 0.9);
    let names: Vec<&str> = gru.layout().entries().iter().map(|e| &e.name[..]).collect();
    assert_eq!(names, ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]);
    let (mut h, mut next, mut tape) = ([0.5, -0.25, 0.75], [0.0; 3], [0.0; 12]);
    let expected = [
        [0.602054641984167, -0.42587834854074014, 0.7258029167269606],
        [0.3147819328874701, -0.40925352178176433, 0.6450935860309631],
    ];
    for (x, expected) in [[0.3, -1.1], [-0.7, 0.2]].iter().zip(&expected) {
        gru.step(&theta, (x, &h), &mut next, &mut tape, &mut gru.scratch(1));
        h = next;
        close("h", &h, expected, 1e-14);
    }
    Ok(())
}

#[test]
fn a_step_has_its_reverse() -> Result<()> {
    let (inputs, hidden, batch) = (2, 5, 3);
    let gru = Gru::new(inputs, hidden)?;
    let theta = parameters(&gru, 0.6);
    let (x, h) = (wave(inputs * batch, 1.0), wave(hidden * batch, 2.0));
    let bar = wave(hidden * batch, 3.0);
    let value = |theta: &[f64], x: &[f64], h: &[f64]| {
        let (mut next, mut tape) = (vec![0.0; hidden * batch], vec![0.0; gru.tape_rows() * batch]);
        gru.step(theta, (x, h), &mut next, &mut tape, &mut gru.scratch(batch));
        (inner(&next, &bar), tape)
    };
    let (_, tape) = value(&theta, &x, &h);
    // Accumulated: onto ones.
    let (mut x_bar, mut h_bar, mut theta_bar) =
        (vec![1.0; x.len()], vec![1.0; h.len()], vec![1.0; theta.len()]);
    let cotangents = (&mut x_bar[..], &mut h_bar[..]);
    gru.pull((&theta, &mut theta_bar), (&x, &h), (&tape, &bar), cotangents, &mut gru.scratch(batch));
    let less = |bar: &[f64]| bar.iter().map(|b| b - 1.0).collect::<Vec<_>>();
    close("x", &less(&x_bar), &differences(&x, |x| value(&theta, x, &h).0), 1e-10);
    close("h", &less(&h_bar), &differences(&h, |h| value(&theta, &x, h).0), 1e-10);
    close("theta", &less(&theta_bar), &differences(&theta, |theta| value(theta, &x, &h).0), 1e-10);
    Ok(())
}

#[test]
fn a_series_has_its_reverse_in_both_directions() -> Result<()> {
    let (inputs, hidden, batch, times) = (2, 4, 2, 5);
    let gru = Gru::new(inputs, hidden)?;
    let theta = parameters(&gru, 0.6);
    let x = wave(inputs * batch * times, 1.0);
    let bar = wave(hidden * batch * times, 3.0);
    for direction in [Direction::Forwards, Direction::Backwards] {
        let value = |theta: &[f64], x: &[f64]| {
            gru.unroll(theta, x, batch, direction).map_or(f64::NAN, |u| inner(u.hidden(), &bar))
        };
        let mut unrolled = gru.unroll(&theta, &x, batch, direction)?;
        let (mut theta_bar, mut x_bar) = (vec![0.0; theta.len()], vec![0.0; x.len()]);
        unrolled.pull(&gru, (&theta, &mut theta_bar), &x, &mut bar.clone(), &mut x_bar)?;
        close("x", &x_bar, &differences(&x, |x| value(&theta, x)), 1e-10);
        close("theta", &theta_bar, &differences(&theta, |theta| value(theta, &x)), 1e-10);
        // Again from the same forward pass: the same.
        let mut again = vec![0.0; theta.len()];
        unrolled.pull(&gru, (&theta, &mut again), &x, &mut bar.clone(), &mut x_bar)?;
        assert_eq!(theta_bar, again);
    }
    Ok(())
}

#[test]
fn directions_know_the_past_or_the_future() -> Result<()> {
    let gru = Gru::new(1, 3)?;
    let theta: Vec<f64> = gru.init(Initializer::TorchLinear, 4)?;
    let (x, mut moved) = (wave(6, 1.0), wave(6, 1.0));
    moved[2] += 0.5;
    let changed = |direction| -> Result<Vec<bool>> {
        let (a, b) = (gru.unroll(&theta, &x, 1, direction)?, gru.unroll(&theta, &moved, 1, direction)?);
        Ok(a.hidden().chunks(3).zip(b.hidden().chunks(3)).map(|(a, b)| a != b).collect())
    };
    assert_eq!(changed(Direction::Forwards)?, [false, false, true, true, true, true]);
    assert_eq!(changed(Direction::Backwards)?, [true, true, true, false, false, false]);
    // A column alone has the bits that it has in a batch.
    let (first, second) = (wave(6, 1.0), wave(6, 2.0));
    let both: Vec<f64> = first.iter().zip(&second).flat_map(|(a, b)| [*a, *b]).collect();
    let both = gru.unroll(&theta, &both, 2, Direction::Backwards)?;
    let alone = gru.unroll(&theta, &first, 1, Direction::Backwards)?;
    let column: Vec<f64> = both.hidden().chunks(6).flat_map(|c| &c[..3]).copied().collect();
    assert_eq!(column, alone.hidden());
    Ok(())
}

#[test]
fn wrong_lengths_are_explained() -> Result<()> {
    assert!(Gru::new(0, 3).is_err() && Gru::new(3, 0).is_err());
    let gru = Gru::new(2, 3)?;
    let theta = vec![0.0; gru.layout().len()];
    let say = |theta: &[f64], x: &[f64]| gru.unroll(theta, x, 2, Direction::Forwards).map(drop);
    assert!(say(&theta[1..], &[0.0; 8]).is_err());
    for x in [&[][..], &[0.0; 6]] {
        let message = say(&theta, x).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(message.contains("a positive multiple of 4"), "{message}");
    }
    let mut unrolled = gru.unroll(&theta, &[0.0; 8], 2, Direction::Forwards)?;
    let (mut bar, mut x_bar) = (theta.clone(), [0.0; 8]);
    assert!(unrolled.pull(&gru, (&theta, &mut bar), &[0.0; 8], &mut [0.0; 11], &mut x_bar).is_err());
    Ok(())
}
