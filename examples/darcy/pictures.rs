//! The pictures: coefficient, solution, prediction, error; training and correction.

use crate::comparison::Tested;
use crate::training::Set;
use odeon::Result;
use odeon::plot::{Figure, HeatMap, Panel};

/// The first test sample, and what a surrogate says of it.
pub fn sample(n: usize, test: &Set, tested: &Tested) -> Result<Figure> {
    let dim = n * n;
    let wide = |field: &[f32]| -> Vec<f64> { field.iter().map(|v| f64::from(*v)).collect() };
    let (a, u) = (wide(&test.inputs.data()[..dim]), wide(&test.outputs.data()[..dim]));
    let guess = wide(&tested.first);
    let error: Vec<f64> = guess.iter().zip(&u).map(|(g, u)| g - u).collect();
    let highest = u.iter().chain(&guess).copied().fold(0.0, f64::max);
    let half = 0.5 / (n + 1) as f64;
    let side = (half, 1.0 - half);
    let mut figure = Figure::new(1000, 900)?.columns(2);
    let map = |values: &[f64], label: &str| {
        Ok::<_, odeon::Error>(HeatMap::new(n, values, side, side)?.label(label))
    };
    let panels = [
        ("Coefficient".into(), map(&a, "a")?),
        ("Solution by multigrid-CG".into(), map(&u, "u")?.range(0.0, highest)?),
        (format!("Prediction by {}", tested.name), map(&guess, "u")?.range(0.0, highest)?),
        ("Error of the prediction".into(), map(&error, "prediction − u")?),
    ];
    for (title, map) in panels {
        let mut panel = Panel::new(title);
        panel.x_label("x").y_label("y").heat_map(map)?;
        figure = figure.with(panel);
    }
    Ok(figure)
}

/// Validation errors against seconds of training, where there was any, and the residuals of corrections.
pub fn comparison(curves: &[(String, [Vec<f64>; 2])], tested: &[Tested]) -> Result<Figure> {
    let curves: Vec<_> = curves.iter().filter(|(_, [seconds, _])| seconds.len() > 1).collect();
    let trained = !curves.is_empty();
    let mut figure = Figure::new(if trained { 1200 } else { 700 }, 500)?.columns(if trained { 2 } else { 1 });
    if trained {
        let mut panel = Panel::new("Training at equal data, loss and schedule");
        panel.x_label("seconds of training").y_label("relative L2 error, validation").log_y();
        for (name, [seconds, errors]) in &curves {
            panel.line(seconds, errors, name.as_str())?;
        }
        figure = figure.with(panel);
    }
    let mut panel = Panel::new("Multigrid-CG from the answers to a test sample");
    panel.x_label("iteration").y_label("relative residual").log_y();
    for Tested { name, history, .. } in tested {
        let iterations: Vec<f64> = (0..history.len()).map(|k| k as f64).collect();
        panel.line(&iterations, history, format!("from {name}").as_str())?;
    }
    Ok(figure.with(panel))
}
