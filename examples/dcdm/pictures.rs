//! Residual histories, and a solution around each obstacle.

use crate::common::Session;
use crate::solve::Case;
use odeon::Result;
use odeon::plot::{Color, Dash, Figure, HeatMap, Panel, Style};

/// Colours and dashes of the methods.
fn style(method: &str) -> Style {
    let (color, dash) = match method {
        "CG" => (Color::Grey, Dash::Solid),
        "IC(0)-CG" => (Color::Green, Dash::Solid),
        "SA-AMG-CG" => (Color::Blue, Dash::Solid),
        "MG-CG" => (Color::Sky, Dash::Dashed),
        _ => (Color::Vermillion, Dash::Solid),
    };
    Style::new(method).color(color).dash(dash)
}

/// The picture of all problems.
pub fn draw(session: &mut Session, cases: &[Case]) -> Result<()> {
    let mut figure = Figure::new(1200, 760)?
        .titled("Directions from a network trained on the first problem alone")
        .columns(3);
    for case in cases {
        let mut panel = Panel::new(case.name.clone());
        panel.x_label("iterations").y_label("relative residual").log_y();
        // The windows' histories would cover each other.
        for o in case.outcomes.iter().filter(|o| o.method != "learned, k=8") {
            let shown: Vec<f64> = o.history.iter().copied().take(81).collect();
            let k: Vec<f64> = (0..shown.len()).map(|k| k as f64).collect();
            panel.line(&k, &shown, style(o.method))?;
        }
        figure = figure.with(panel);
    }
    session.picture("residuals", &figure)?;
    let title = "Solutions of −Δu = b with random b around obstacles";
    let mut figure = Figure::new(1200, 400)?.titled(title).columns(3);
    for case in cases.iter().filter(|c| !c.solid.is_empty()) {
        let [nx, ny, nz] = case.extents;
        // In three dimensions the middle section.
        let plane = nz / 2 * nx * ny..(nz / 2 + 1) * nx * ny;
        let points = case.solution[plane.clone()].iter().zip(&case.solid[plane]);
        let shown: Vec<f64> = points.map(|(x, s)| if *s { f64::NAN } else { *x }).collect();
        let mut panel = Panel::new(case.name.clone());
        panel.x_label("i").y_label("j");
        panel.heat_map(HeatMap::new(nx, &shown, (1.0, nx as f64), (1.0, ny as f64))?.label("u"))?;
        figure = figure.with(panel);
    }
    session.picture("obstacles", &figure)
}
