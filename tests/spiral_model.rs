//! The spiral example's hand-written second-order product against differences of its first-order one.

#[path = "../examples/spiral/model.rs"]
mod model;

use model::{DIM, Model};
use odeon::dynamics::{Dynamics, Point, SecondOrder, Tangent};

#[test]
fn second_order_product_matches_differences_in_every_entry() -> odeon::Result<()> {
    let model = Model::new()?;
    let mut theta: Vec<f64> = model.init(3)?;
    // Biases start at 0, where some of the derivatives vanish.
    for (i, p) in theta.iter_mut().enumerate() {
        *p += 0.1 * (i as f64).sin();
    }
    let y = [0.9, -0.7, 0.4, 1.1];
    let (direction, bar) = ([0.3, -1.2, 0.8, 0.5], [1.0, -0.4, -0.6, 0.9]);
    let mut scratch = Dynamics::<f64>::scratch(&model, y.len() / DIM);
    let mut phi = |y: &[f64], theta: &[f64]| {
        let mut out = [0.0; 4];
        let dot = Tangent { t: 0.0, y: &direction, theta: &[] };
        model.jvp(Point { t: 0.0, y, theta }, dot, &mut out, &mut scratch);
        out.iter().zip(&bar).map(|(a, b)| a * b).sum::<f64>()
    };
    let (mut y_bar, mut theta_bar) = ([0.5; 4], vec![-0.25; theta.len()]);
    let at = Point { t: 0.0, y: &y, theta: &theta };
    model.jvp_vjp(at, [&direction, &bar], &mut y_bar, &mut theta_bar, &mut ());
    let d = 1e-6;
    let mut moved = theta.clone();
    for i in 0..theta.len() {
        moved[i] = theta[i] + d;
        let up = phi(&y, &moved);
        moved[i] = theta[i] - d;
        let want = (up - phi(&y, &moved)) / (2.0 * d);
        moved[i] = theta[i];
        let got = theta_bar[i] + 0.25;
        assert!((got - want).abs() < 1e-7, "θ[{i}]: {got} {want}");
    }
    let mut moved = y;
    for i in 0..y.len() {
        moved[i] = y[i] + d;
        let up = phi(&moved, &theta);
        moved[i] = y[i] - d;
        let want = (up - phi(&moved, &theta)) / (2.0 * d);
        moved[i] = y[i];
        let got = y_bar[i] - 0.5;
        assert!((got - want).abs() < 1e-7, "y[{i}]: {got} {want}");
    }
    Ok(())
}
