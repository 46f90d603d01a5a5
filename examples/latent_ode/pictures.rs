//! The pictures: series with what was read, predictions, evaluations, errors over the time.

use crate::common::Session;
use crate::data::Data;
use crate::method::Method;
use crate::train::Trained;
use odeon::Result;
use odeon::plot::{Color, Dash, Figure, Marker, Panel, Style};

/// Iterations of which a training curve shows the mean.
const WINDOW: usize = 20;

fn look(method: Method) -> (Color, Dash) {
    match method {
        Method::None => (Color::Blue, Dash::Solid),
        Method::Global => (Color::Vermillion, Dash::Solid),
        Method::Local => (Color::Green, Dash::Dashed),
    }
}

fn line(method: Method, size: f64) -> Style {
    let (color, dash) = look(method);
    Style::new(method.to_string()).color(color).dash(dash).size(size)
}

/// The page; `known` when the truth holds at every time.
pub fn draw(session: &mut Session, data: &Data, runs: &[Trained], known: bool) -> Result<()> {
    let mine: Vec<&Trained> = runs.iter().filter(|r| r.task.seed == runs[0].task.seed).collect();
    let mut page = Figure::new(900, 720)?.columns(2);
    for j in 0..2.min(data.count()) {
        let plane = known && data.rows == 2;
        page = page.with(if plane { on_the_plane(data, &mine, j)? } else { over_time(data, &mine, j)? });
    }
    page = page.with(evaluations(&mine)?).with(errors(data, &mine)?);
    session.picture("overview", &page)
}

/// Entry (row, time) of series j of the data.
fn own(data: &Data, j: usize, row: usize) -> impl Fn(&[f64], usize) -> f64 {
    let (rows, points) = (data.rows, data.times.len());
    move |values, k| values[(j * points + k) * rows + row]
}

fn predicted(data: &Data, run: &Trained, j: usize, row: usize) -> Vec<f64> {
    let (rows, count) = (data.rows, data.count());
    (0..data.times.len()).map(|k| run.predicted[(k * count + j) * rows + row]).collect()
}

fn on_the_plane(data: &Data, runs: &[&Trained], j: usize) -> Result<Panel> {
    let mut panel = Panel::new(format!("Held-out spiral {}", j + 1));
    panel.x_label("x₁").y_label("x₂");
    let times = || 0..data.times.len();
    let [a, b] = [0, 1].map(|row| times().map(|k| own(data, j, row)(&data.truth, k)).collect::<Vec<f64>>());
    panel.line(&a, &b, Style::new("truth").color(Color::Grey).size(2.5))?;
    for run in runs {
        panel.line(&predicted(data, run, j, 0), &predicted(data, run, j, 1), line(run.task.method, 1.3))?;
    }
    let there = (0..data.seen).filter(|k| !own(data, j, 0)(&data.values, *k).is_nan());
    let (a, b): (Vec<f64>, Vec<f64>) =
        there.map(|k| (own(data, j, 0)(&data.values, k), own(data, j, 1)(&data.values, k))).unzip();
    if !a.is_empty() {
        panel.points(&a, &b, Style::new("read").color(Color::Black).size(5.0))?;
    }
    Ok(panel)
}

/// The row with the most observations of series j.
fn over_time(data: &Data, runs: &[&Trained], j: usize) -> Result<Panel> {
    let points = data.times.len();
    let seen = |row: usize| (0..points).filter(|k| !own(data, j, row)(&data.values, *k).is_nan()).count();
    let row = (0..data.rows).max_by_key(|row| seen(*row)).unwrap_or(0);
    let mut panel = Panel::new(format!("Held-out record {}: {}", j + 1, data.names[row]));
    panel.x_label("t (of the record)").y_label("value (standardised)");
    for run in runs {
        panel.line(&data.times, &predicted(data, run, j, row), line(run.task.method, 1.3))?;
    }
    let values: Vec<f64> = (0..points).map(|k| own(data, j, row)(&data.values, k)).collect();
    if values.iter().any(|x| !x.is_nan()) {
        panel.points(
            &data.times,
            &values,
            Style::new("observed").color(Color::Black).marker(Marker::Ring).size(5.0),
        )?;
    }
    panel.rule_x(data.times[data.seen - 1], Style::default().color(Color::LightGrey).dash(Dash::Dashed))?;
    Ok(panel)
}

fn evaluations(runs: &[&Trained]) -> Result<Panel> {
    let mut panel = Panel::new("Evaluations in training");
    panel.x_label("iteration").y_label("NFE of a forward solve");
    for run in runs {
        let windows = run.records.chunks(WINDOW);
        let y: Vec<f64> =
            windows.map(|w| w.iter().map(|r| r.nfe as f64).sum::<f64>() / w.len() as f64).collect();
        let x: Vec<f64> = (0..y.len()).map(|i| (WINDOW * i) as f64).collect();
        panel.line(&x, &y, line(run.task.method, 1.3))?;
    }
    Ok(panel)
}

/// Root mean square of the error at each time, over series and rows.
fn errors(data: &Data, runs: &[&Trained]) -> Result<Panel> {
    let mut panel = Panel::new("Error over the time");
    panel.x_label("t (read up to the dashed line)").y_label("RMSE").log_y();
    for run in runs {
        let at = |k: usize| {
            let (mut sum, mut n) = (0.0, 0.0);
            for j in 0..data.count() {
                for row in 0..data.rows {
                    let truth = own(data, j, row)(&data.truth, k);
                    let off = run.predicted[(k * data.count() + j) * data.rows + row] - truth;
                    if !truth.is_nan() {
                        (sum, n) = (sum + off * off, n + 1.0);
                    }
                }
            }
            f64::sqrt(sum / n)
        };
        let y: Vec<f64> = (0..data.times.len()).map(at).collect();
        panel.line(&data.times, &y, line(run.task.method, 1.3))?;
    }
    panel.rule_x(data.times[data.seen - 1], Style::default().color(Color::LightGrey).dash(Dash::Dashed))?;
    Ok(panel)
}
