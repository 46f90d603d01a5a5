//! The pictures.

use crate::common::Session;
use crate::experiment1::Totals;
use odeon::Result;
use odeon::plot::{Color, Dash, Figure, Panel, Style};

const COLORS: [Color; 5] = [Color::Blue, Color::Vermillion, Color::Green, Color::Orange, Color::Purple];

/// The mean cost so far of the policies, one panel for each law.
pub fn sor(session: &mut Session, laws: &[(&str, Vec<Totals>)]) -> Result<()> {
    let mut figure =
        Figure::new(1100, 460)?.titled("SOR with a learned ω: mean iterations so far").columns(2);
    for (law, all) in laws {
        let mut panel = Panel::new(*law);
        panel.x_label("systems solved").y_label("iterations a system").log_x();
        let shown = ["Tsallis-INF", "Tsallis-INF-CB", "ChebCB", "guided"];
        let t: Vec<f64> = (1..=all.first().map_or(0, |r| r.running.len())).map(|t| t as f64).collect();
        for (name, color) in shown.into_iter().zip(COLORS) {
            for row in all.iter().filter(|r| r.name == name) {
                panel.line(&t, &row.running, Style::new(name).color(color))?;
            }
        }
        for (name, dash) in [("best fixed ω of 20", Dash::Dotted), ("ω*(c), exact β", Dash::Dashed)] {
            for row in all.iter().filter(|r| r.name == name) {
                panel.line(&t, &row.running, Style::new(name).color(Color::Grey).dash(dash))?;
            }
        }
        figure = figure.with(panel);
    }
    session.picture("sor", &figure)
}

/// Iterations of each step over one period of κ, and the totals.
pub fn heat(session: &mut Session, rows: &[Totals], kappa: fn(f64) -> f64, dt: f64) -> Result<()> {
    let mut steps = Panel::new("Iterations of each step (mean of 20)");
    steps.x_label("t").y_label("iterations");
    let shown = rows.iter().filter(|r| !r.name.starts_with('ω') || r.name.contains("best"));
    let shown: Vec<&Totals> =
        shown.filter(|r| r.name != "CG, matrix" && !r.name.starts_with("Tsallis")).collect();
    for (row, color) in shown.iter().zip(COLORS) {
        let means: Vec<f64> =
            row.running.chunks(20).map(|c| c.iter().sum::<f64>() / c.len() as f64).collect();
        let t: Vec<f64> = (0..means.len()).map(|i| (i as f64 + 0.5) * 20.0 * dt).collect();
        steps.line(&t, &means, Style::new(row.name.clone()).color(color))?;
    }
    let count = rows.first().map_or(0, |r| r.running.len());
    let t: Vec<f64> = (0..count).map(|i| i as f64 * dt).collect();
    let k: Vec<f64> = t.iter().map(|t| kappa(*t)).collect();
    steps.line(&t, &k, Style::new("κ(t)").color(Color::LightGrey))?;
    let mut totals = Panel::new("Total");
    let names: Vec<String> = rows.iter().filter(|r| r.name != "CG, matrix").map(|r| r.name.clone()).collect();
    let length: Vec<f64> = rows.iter().filter(|r| r.name != "CG, matrix").map(|r| r.totals[0]).collect();
    totals.bars(&names, &length, Style::default().color(Color::Blue))?;
    totals.x_label("iterations");
    let figure = Figure::new(1200, 480)?.titled("Heat equation, SSOR-PCG with a learned ω").columns(2);
    session.picture("heat", &figure.with(steps).with(totals))
}
