//! The picture: residuals against iterations.

use crate::methods::Run;
use crate::problem::Problem;
use odeon::Result;
use odeon::plot::{Color, Dash, Figure, Panel, Style};

/// Colours in turn; past the last one lines are dashed.
const COLORS: [Color; 7] =
    [Color::Blue, Color::Vermillion, Color::Green, Color::Purple, Color::Sky, Color::Orange, Color::Black];

/// ‖r_k‖/‖b‖ of every method that converged, in two panels: simple ones and multilevel ones.
pub fn residuals(problem: &Problem, runs: &[(String, &Run)]) -> Result<Figure> {
    let mut figure =
        Figure::new(1200, 560)?.titled(format!("{}, {} unknowns", problem.name, problem.b.len()));
    let multilevel = |name: &str| name.contains("AMG") || name.contains("geometric");
    for (title, wanted) in [("One level", false), ("Multilevel", true)] {
        let mut panel = Panel::new(title);
        panel.x_label("iteration").y_label("residual / right-hand side").log_y();
        let chosen: Vec<_> =
            runs.iter().filter(|(name, run)| multilevel(name) == wanted && run.report.converged()).collect();
        if chosen.is_empty() {
            continue;
        }
        for (i, (name, run)) in chosen.into_iter().enumerate() {
            let y: Vec<f64> = run.report.residuals.iter().map(|r| r / run.report.scale).collect();
            let x: Vec<f64> = (0..y.len()).map(|k| k as f64).collect();
            let dash = if i < COLORS.len() { Dash::Solid } else { Dash::Dashed };
            panel.line(&x, &y, Style::new(name.as_str()).color(COLORS[i % COLORS.len()]).dash(dash))?;
        }
        figure = figure.with(panel);
    }
    Ok(figure)
}
