//! The picture: coefficient, solution, prediction, error.

use crate::training::Set;
use odeon::Result;
use odeon::plot::{Figure, HeatMap, Panel};

/// The first test sample.
pub fn sample(n: usize, test: &Set, prediction: &[f32]) -> Result<Figure> {
    let dim = n * n;
    let wide = |field: &[f32]| -> Vec<f64> { field.iter().map(|v| f64::from(*v)).collect() };
    let (a, u, guess) =
        (wide(&test.inputs.data()[..dim]), wide(&test.outputs.data()[..dim]), wide(prediction));
    let error: Vec<f64> = guess.iter().zip(&u).map(|(g, u)| g - u).collect();
    let highest = u.iter().chain(&guess).copied().fold(0.0, f64::max);
    let half = 0.5 / (n + 1) as f64;
    let side = (half, 1.0 - half);
    let mut figure = Figure::new(1000, 900)?.columns(2);
    let map = |values: &[f64], label: &str| {
        Ok::<_, odeon::Error>(HeatMap::new(n, values, side, side)?.label(label))
    };
    let panels = [
        ("Coefficient", map(&a, "a")?),
        ("Solution by multigrid-CG", map(&u, "u")?.range(0.0, highest)?),
        ("Prediction by MgNO", map(&guess, "u")?.range(0.0, highest)?),
        ("Error of the prediction", map(&error, "prediction − u")?),
    ];
    for (title, map) in panels {
        let mut panel = Panel::new(title);
        panel.x_label("x").y_label("y").heat_map(map)?;
        figure = figure.with(panel);
    }
    Ok(figure)
}
