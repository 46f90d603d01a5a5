//! The pictures: a series with its forecasts, and errors against the part that is missing.

use crate::common::Session;
use crate::data::{POINTS, SEEN, times};
use crate::model::Method;
use crate::spread;
use crate::train::{Plan, Trained};
use odeon::Result;
use odeon::plot::{Color, Dash, Figure, Marker, Panel, Style};

/// A method looks the same in every picture.
fn look(method: Method) -> (Color, Marker) {
    match method {
        Method::Ode => (Color::Black, Marker::Circle),
        Method::Sde => (Color::Blue, Marker::Square),
        Method::Langevin => (Color::Vermillion, Marker::Triangle),
        Method::LinearNoise => (Color::Green, Marker::Diamond),
        Method::Geometric => (Color::Orange, Marker::Ring),
    }
}

/// Panels of paths.
const SHOWN: usize = 3;

/// All pictures.
pub fn draw(session: &mut Session, plan: &Plan, runs: &[Trained]) -> Result<()> {
    let mut figure = Figure::new(800, 600)?.columns(2).with(errors(runs)?);
    // The most that is missing, the first seed; the method's paths, in the order of the command line.
    let most = runs.iter().map(|r| r.task.missing).fold(0.0, f64::max);
    let seed = runs[0].task.seed;
    let firsts = runs.iter().filter(|r| r.task.missing == most && r.task.seed == seed);
    let chosen = |r: &&Trained| !matches!(r.task.method, Method::Sde | Method::Geometric);
    let some: Vec<&Trained> = firsts.clone().filter(chosen).chain(firsts.filter(|r| !chosen(r))).collect();
    for run in some.iter().take(SHOWN) {
        figure = figure.with(paths(run, plan)?);
    }
    session.picture("overview", &figure)
}

fn errors(runs: &[Trained]) -> Result<Panel> {
    let mut panel = Panel::new("Error of the forecast");
    panel.x_label("missing (%)").y_label("RMSE, last 10 times").log_y();
    for group in runs.chunk_by(|a, b| a.task.method == b.task.method) {
        let method = group[0].task.method;
        let (color, marker) = look(method);
        let mut parts: Vec<f64> = group.iter().map(|r| r.task.missing).collect();
        parts.dedup();
        let x: Vec<f64> = parts.iter().map(|p| 100.0 * p).collect();
        let y: Vec<f64> = parts.iter().map(|p| spread(group, (method, *p), |r| r.forecast)[0]).collect();
        if x.len() > 1 {
            panel.line(&x, &y, Style::default().color(color).size(1.2))?;
        }
        panel.points(&x, &y, Style::new(method.name()).color(color).marker(marker).size(7.0))?;
    }
    Ok(panel)
}

/// The first held-out series: truth, observations, paths.
fn paths(run: &Trained, plan: &Plan) -> Result<Panel> {
    let (method, missing) = (run.task.method, run.task.missing);
    let mut panel = Panel::new(format!("{method}, {:.0} % missing", 100.0 * missing));
    panel.x_label("t").y_label("x");
    let (t, data) = (times(), run.task.held_out(plan));
    let (color, _) = look(method);
    for (i, path) in run.paths.iter().enumerate() {
        let label = if i == 0 { "predicted" } else { "" };
        panel.line(&t, &path[..POINTS], Style::new(label).color(color).size(1.0))?;
    }
    panel.line(
        &t,
        &data.truth[..POINTS],
        Style::new("truth").color(Color::Grey).dash(Dash::Dashed).size(2.0),
    )?;
    let seen = (0..SEEN).filter(|k| data.mask[*k] == 1.0);
    let (x, y): (Vec<f64>, Vec<f64>) = seen.map(|k| (t[k], data.values[k])).unzip();
    if !x.is_empty() {
        panel.points(&x, &y, Style::new("observed").color(Color::Black).size(5.0))?;
    }
    panel.rule_x(t[SEEN - 1], Style::default().color(Color::LightGrey).dash(Dash::Dashed))?;
    Ok(panel)
}
