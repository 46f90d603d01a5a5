//! The pictures.

use crate::common::Session;
use crate::divergence::{Divergence, LYAPUNOV, SNAPSHOTS};
use crate::row;
use crate::sweep::Sweep;
use odeon::Result;
use odeon::integrate::Solution;
use odeon::plot::{Color, Dash, Figure, Panel, Style, panels};

/// What is drawn.
pub struct Results<'a> {
    pub orbit: &'a Solution<f64>,
    pub steps: &'a Solution<f64>,
    pub stability: Option<f64>,
    pub divergence: &'a Divergence,
    pub cloud: &'a [[Vec<f64>; 2]],
    pub sweep: &'a Sweep,
}

/// Draws them all.
pub fn draw(session: &mut Session, results: &Results<'_>) -> Result<()> {
    session.picture("attractor", &attractor(results.orbit)?)?;
    let title = "Lorenz system: the solver's steps";
    let page = panels::diagnostics(title, &results.steps.attempts, results.stability)?;
    session.picture("steps", &page)?;
    session.picture("divergence", &divergence(results.divergence)?)?;
    session.picture("cloud", &cloud(results.orbit, results.cloud)?)?;
    session.picture("maxima", &maxima(results.sweep)?)
}

fn attractor(orbit: &Solution<f64>) -> Result<Figure> {
    let (x, z) = (row(&orbit.y, 0), row(&orbit.y, 2));
    let shown = x.len().min(12_001);
    let mut panel = Panel::new("Lorenz attractor, ρ = 28");
    let style = Style::default().color(Color::Blue).size(0.7);
    panel.x_label("x").y_label("z").line(&x[..shown], &z[..shown], style)?;
    Ok(Figure::new(800, 700)?.with(panel))
}

fn divergence(d: &Divergence) -> Result<Figure> {
    let mut panel = Panel::new("Distance of neighbours");
    let style = Style::new("10–90 % of the pairs").color(Color::Sky);
    panel.x_label("t").y_label("distance").log_y();
    panel.band(&d.t, &d.low, &d.high, style)?.line(
        &d.t,
        &d.typical,
        Style::new("geometric mean").color(Color::Blue),
    )?;
    let (slope, intercept) = d.line;
    let ends = [d.fitted.0, d.fitted.1];
    let heights = ends.map(|t| (intercept + slope * t).exp());
    let label = format!("exp(λt), λ = {slope:.3} (literature {LYAPUNOV:.3})");
    let style = Style::new(label).color(Color::Vermillion).dash(Dash::Dashed);
    panel.line(&ends, &heights, style)?;
    Ok(Figure::new(800, 560)?.with(panel))
}

fn cloud(orbit: &Solution<f64>, snapshots: &[[Vec<f64>; 2]]) -> Result<Figure> {
    let (x, z) = (row(&orbit.y, 0), row(&orbit.y, 2));
    let title = format!("{} neighbours of one point", snapshots.first().map_or(0, |s| s[0].len()));
    let mut figure = Figure::new(1000, 860)?.titled(title).columns(2);
    for (t, [cx, cz]) in SNAPSHOTS.iter().zip(snapshots) {
        let mut panel = Panel::new(format!("t = {t}"));
        panel.x_axis().range = Some((-22.0, 22.0));
        panel.y_axis().range = Some((0.0, 50.0));
        panel
            .x_label("x")
            .y_label("z")
            .line(&x, &z, Style::default().color(Color::LightGrey).size(0.5))?
            .points(cx, cz, Style::default().color(Color::Vermillion).size(1.5))?;
        figure = figure.with(panel);
    }
    Ok(figure)
}

fn maxima(sweep: &Sweep) -> Result<Figure> {
    let mut panel = Panel::new("Lorenz system: maxima of z");
    let style = Style::default().color(Color::Black).size(0.8);
    panel.x_label("ρ").y_label("z at its maxima").points(&sweep.rho, &sweep.z, style)?;
    Ok(Figure::new(1000, 640)?.with(panel))
}
