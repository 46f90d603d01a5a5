//! The pictures: the pattern as it grows, and the step sizes.

use crate::Named;
use crate::simulation::Setup;
use odeon::Result;
use odeon::integrate::Solution;
use odeon::plot::{Color, Dash, Figure, HeatMap, Marker, Panel, Style};

/// v at the start and at the saved times, one scale of colours for all.
pub fn pattern(setup: &Setup, solution: &Solution<f64>) -> Result<Figure> {
    let [_, _, feed, kill] = setup.theta;
    let title = format!("Gray–Scott reaction, F = {feed}, k = {kill}");
    let mut figure = Figure::new(1000, 920)?.titled(title).columns(2);
    let saved = solution.t.iter().enumerate().map(|(i, &t)| (t, solution.state(i)));
    let frames: Vec<(f64, Vec<f64>)> =
        [(0.0, &setup.y0[..])].into_iter().chain(saved).map(|(t, y)| (t, setup.concentration(y))).collect();
    let highest = frames.iter().flat_map(|(_, v)| v).copied().fold(0.0, f64::max);
    for (t, v) in &frames {
        let mut panel = Panel::new(format!("t = {t:.0}"));
        panel.x_label("x").y_label("y");
        let map = HeatMap::new(setup.n(), v, (0.0, setup.side), (0.0, setup.side))?;
        panel.heat_map(map.range(0.0, highest)?.label("concentration v"))?;
        figure = figure.with(panel);
    }
    Ok(figure)
}

/// |h| of every accepted step against t.
pub fn steps(setup: &Setup, runs: &[Named<'_>]) -> Result<Figure> {
    let mut panel = Panel::new(format!("Step sizes, {0} × {0} points", setup.n()));
    panel.x_label("t").y_label("step size h").log_y();
    for ((name, solution, _), color) in runs.iter().zip([Color::Blue, Color::Vermillion]) {
        let (t, h): (Vec<f64>, Vec<f64>) = solution.steps.iter().map(|s| (s.t, s.h)).unzip();
        let label = format!("{name}: {} steps", t.len());
        let style = Style::new(label).color(color).marker(Marker::Circle);
        panel.line(&t, &h, style.clone().size(1.0))?;
        // More would hide the line.
        if t.len() <= 500 {
            panel.points(&t, &h, style.size(4.0))?;
        }
    }
    // Five points: −8 D/h² is the lowest eigenvalue of D Δ.
    let spacing = setup.side / setup.n() as f64;
    let limit = odeon::ode::tableaux::by_name("Tsit5")?.real_stability()
        / (8.0 * setup.theta[0] / (spacing * spacing));
    let style = Style::new("stability limit of Tsit5 for the diffusion of u").color(Color::Black);
    panel.rule_y(limit, style.dash(Dash::Dashed))?;
    Ok(Figure::new(900, 600)?.with(panel))
}
