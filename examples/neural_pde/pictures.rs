//! The pictures: solutions beside the data, errors and evaluations.

use crate::train::Trained;
use crate::trajectories::Trajectories;
use odeon::Result;
use odeon::plot::panels::{nfe_curves, training_curves};
use odeon::plot::{Dash, Figure, Marker, Panel, Style};

/// The first test trajectory at three times.
pub fn solutions(test: &Trajectories, all: &[Trained], truth: &Trained, interval: f64) -> Result<Figure> {
    let last = test.length - 1;
    let x: Vec<f64> = (0..test.dim).map(|i| i as f64 / test.dim as f64).collect();
    let wide = |u: &[f32]| -> Vec<f64> { u.iter().map(|u| f64::from(*u)).collect() };
    let mut figure = Figure::new(1300, 430)?.columns(3);
    for k in [1, last.div_ceil(2), last] {
        let mut panel = Panel::new(format!("t = {:.2}", k as f64 * interval));
        panel.x_label("x").y_label("u");
        panel.points(&x, &wide(test.state(0, k)), Style::new("data").marker(Marker::Circle))?;
        for trained in all.iter().chain([truth]) {
            let u = &trained.first[(k - 1) * test.dim..k * test.dim];
            panel.line(&x, &wide(u), Style::new(trained.name.as_str()))?;
        }
        figure = figure.with(panel);
    }
    Ok(figure)
}

/// Losses and evaluations over the training, errors over time.
pub fn training(all: &[Trained], truth: &Trained, times: &[f64]) -> Result<Figure> {
    let column = |trained: &Trained, value: fn(&odeon::train::Record) -> f64| -> Vec<f64> {
        trained.records.iter().map(value).collect()
    };
    let losses: Vec<Vec<f64>> = all.iter().map(|t| column(t, |r| r.loss)).collect();
    let nfe: Vec<Vec<f64>> = all.iter().map(|t| column(t, |r| r.nfe as f64)).collect();
    let mut errors = Panel::new("Test trajectories");
    errors.x_label("t").y_label("relative L2 error").log_y();
    for trained in all {
        errors.line(times, &trained.errors, trained.name.as_str())?;
    }
    errors.line(times, &truth.errors, Style::new(truth.name.as_str()).dash(Dash::Dashed))?;
    let names = || all.iter().map(|t| t.name.as_str());
    let losses: Vec<(&str, &[f64])> = names().zip(losses.iter().map(Vec::as_slice)).collect();
    let nfe: Vec<(&str, &[f64])> = names().zip(nfe.iter().map(Vec::as_slice)).collect();
    let figure = Figure::new(1500, 450)?.columns(3);
    Ok(figure
        .with(training_curves("Training", "relative L2 error", &losses)?)
        .with(nfe_curves("Evaluations of a training solve", &nfe)?)
        .with(errors))
}
