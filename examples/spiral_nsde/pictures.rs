//! The pictures: moments with bands, training, MSE against NFE.

use crate::Swept;
use crate::common::Session;
use crate::data::{DIM, times};
use crate::method::Method;
use crate::table::{self, Summary};
use crate::train::Trained;
use odeon::Result;
use odeon::model::Moments;
use odeon::plot::{Color, Dash, Figure, Marker, Panel, Style};
use odeon::train::Record;

/// A method looks the same in every picture.
fn look(method: Method) -> (Color, Dash, Marker) {
    match method {
        Method::None => (Color::Blue, Dash::Solid, Marker::Circle),
        Method::Error => (Color::Green, Dash::Solid, Marker::Square),
        Method::Local => (Color::Vermillion, Dash::Dashed, Marker::Ring),
        Method::Steps => (Color::Orange, Dash::Dashed, Marker::Triangle),
        Method::NoneSosri2 => (Color::Sky, Dash::Solid, Marker::Circle),
        Method::Stiffness => (Color::Purple, Dash::Solid, Marker::Diamond),
    }
}

/// All pictures.
pub fn draw(session: &mut Session, truth: &Moments<f64>, runs: &[Trained], rows: &[Summary]) -> Result<()> {
    let first = |method: Method, lambda: [f64; 2]| {
        runs.iter().find(|r| r.task.method == method && r.task.lambda == lambda)
    };
    let best = table::best(rows).map(|(row, _)| row);
    let chosen = rows.first().into_iter().chain(best);
    let shown: Vec<&Trained> = chosen.filter_map(|row| first(row.method, row.lambda)).collect();
    let mut figure = Figure::new(800, 600)?.columns(2);
    for row in 0..DIM {
        figure = figure.with(bands(truth, &shown, row)?).with(spreads(truth, &shown, row)?);
    }
    session.picture("moments", &figure)?;
    let firsts: Vec<&Trained> = rows.iter().filter_map(|r| first(r.method, r.lambda)).collect();
    let loss = curve("Training loss (first seed)", "distance of the moments", &firsts, |r| r.loss)?;
    let nfe = curve("NFE while training (first seed)", "NFE", &firsts, |r| r.nfe as f64)?;
    session.picture("training", &Figure::new(800, 600)?.with(loss).with(nfe))
}

/// MSE against NFE, a panel for each estimate.
pub fn pareto(session: &mut Session, swept: &[Swept]) -> Result<()> {
    let mut figure = Figure::new(800, 600)?;
    for swept in swept {
        figure = figure.with(front(swept)?);
    }
    session.picture("pareto", &figure)
}

fn component(values: &[f64], row: usize) -> Vec<f64> {
    values[row..].iter().step_by(DIM).copied().collect()
}

/// Means with a standard deviation on both sides.
fn bands(truth: &Moments<f64>, shown: &[&Trained], row: usize) -> Result<Panel> {
    let mut panel = Panel::new(format!("Mean of u{} ± standard deviation", row + 1));
    panel.x_label("t").y_label(format!("u{}", row + 1));
    let t = times();
    let edges = |moments: &Moments<f64>| -> [Vec<f64>; 3] {
        let mean = component(&moments.mean, row);
        let spread: Vec<f64> = component(&moments.variance, row).iter().map(|v| v.sqrt()).collect();
        let side = |sign: f64| mean.iter().zip(&spread).map(|(m, s)| m + sign * s).collect();
        [side(-1.0), mean.clone(), side(1.0)]
    };
    let [low, mean, high] = edges(truth);
    panel.band(&t, &low, &high, Style::new("truth").color(Color::LightGrey))?;
    panel.points(&t, &mean, Style::default().color(Color::Black).size(5.0))?;
    for run in shown {
        let (color, dash, _) = look(run.task.method);
        let [low, mean, high] = edges(&run.moments);
        panel.line(&t, &mean, Style::new(run.task.method.name()).color(color).dash(dash))?;
        for edge in [low, high] {
            panel.line(&t, &edge, Style::default().color(color).dash(Dash::Dashed).size(1.0))?;
        }
    }
    Ok(panel)
}

fn spreads(truth: &Moments<f64>, shown: &[&Trained], row: usize) -> Result<Panel> {
    let mut panel = Panel::new(format!("Variance of u{}", row + 1));
    panel.x_label("t").y_label(format!("Var u{}", row + 1));
    let t = times();
    panel.points(&t, &component(&truth.variance, row), Style::new("truth").color(Color::Black).size(5.0))?;
    for run in shown {
        let (color, dash, _) = look(run.task.method);
        let style = Style::new(run.task.method.name()).color(color).dash(dash);
        panel.line(&t, &component(&run.moments.variance, row), style)?;
    }
    Ok(panel)
}

/// Means over fiftieths of the training.
fn curve(title: &str, label: &str, runs: &[&Trained], pick: fn(&Record) -> f64) -> Result<Panel> {
    let mut panel = Panel::new(title);
    panel.x_label("iteration").y_label(label).log_y();
    for run in runs {
        let window = run.records.len().div_ceil(50).max(1);
        let mean =
            |part: &[Record], f: fn(&Record) -> f64| part.iter().map(f).sum::<f64>() / part.len() as f64;
        let parts = run.records.chunks(window);
        let (x, y): (Vec<f64>, Vec<f64>) =
            parts.map(|part| (mean(part, |r| r.iteration as f64), mean(part, pick))).unzip();
        let (color, dash, _) = look(run.task.method);
        panel.line(&x, &y, Style::new(run.task.method.name()).color(color).dash(dash).size(1.5))?;
    }
    Ok(panel)
}

/// Every run, the means over seeds along λ, and what the true process takes.
fn front(swept: &Swept) -> Result<Panel> {
    let title = format!("MSE of the moments against NFE, {} estimate", swept.estimate.name());
    let mut panel = Panel::new(title);
    panel.x_label("NFE of a prediction").y_label("MSE").log_y();
    for group in swept.runs.chunk_by(|a, b| a.task.method == b.task.method) {
        let method = group[0].task.method;
        let (color, dash, marker) = look(method);
        let (x, y): (Vec<f64>, Vec<f64>) = group.iter().map(|r| (r.nfe, r.test)).unzip();
        panel.points(&x, &y, Style::new(method.name()).color(color).marker(marker).size(5.0))?;
        let means = swept.rows.iter().filter(|r| r.method == method);
        let (x, y): (Vec<f64>, Vec<f64>) = means.map(|r| (r.nfe[0], r.test[0])).unzip();
        if x.len() > 1 {
            panel.line(&x, &y, Style::default().color(color).dash(dash).size(1.2))?;
        }
    }
    let method = swept.rows.first().map_or(Method::None, |r| r.method);
    let style = Style::new("true process").color(Color::Black).dash(Dash::Dashed);
    panel.rule_x(swept.true_nfe(method), style)?;
    Ok(panel)
}
