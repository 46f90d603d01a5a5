//! The pictures: a series with its control path, training, and the verdict as observations come in.

use crate::common::Session;
use crate::data::{CHANNELS, TIMES};
use crate::train::{Kind, Plan, Trained, path};
use odeon::Result;
use odeon::integrate::Save;
use odeon::model::Interpolation;
use odeon::ode::tableaux::Tsit5;
use odeon::plot::{Color, Dash, Figure, Marker, Panel, Style};

/// Points of a drawn path.
const FINE: usize = 400;
/// Spirals whose verdict is drawn.
const SHOWN: usize = 24;

fn look(kind: Kind) -> Color {
    match kind.0 {
        Interpolation::Linear => Color::Blue,
        Interpolation::Rectilinear { .. } => Color::Orange,
        Interpolation::Hermite => Color::Green,
        Interpolation::NaturalSpline => Color::Purple,
    }
}

/// The page.
pub fn draw(session: &mut Session, plan: &Plan, runs: &[Trained]) -> Result<()> {
    let page = Figure::new(900, 720)?.columns(2);
    let page = page.with(series(&runs[0], plan)?).with(training(runs, session.common.seed)?);
    session.picture("overview", &page.with(channels(&runs[0], plan)?).with(verdicts(&runs[0], plan)?))
}

/// Control path and observations of the first held-out spiral, coordinate by coordinate.
fn channels(run: &Trained, plan: &Plan) -> Result<Panel> {
    let data = plan.held_out(run.task.seed)?;
    let (values, _) = data.pick(&[0]);
    let path = path(run.task.kind, &data, &values)?;
    let mut panel = Panel::new(format!("Control path ({})", run.task.kind));
    panel.x_label("t").y_label("x₁, x₂");
    let mut x = [0.0; CHANNELS];
    let [start, end] = path.span();
    let curve: Vec<[f64; CHANNELS]> = (0..=FINE)
        .map(|i| {
            path.value(start + (end - start) * i as f64 / FINE as f64, &mut x);
            x
        })
        .collect();
    for (c, color, marker) in [(1, Color::Blue, Marker::Circle), (2, Color::Vermillion, Marker::Square)] {
        let (t, y): (Vec<f64>, Vec<f64>) = curve.iter().map(|x| (x[0], x[c])).unzip();
        panel.line(&t, &y, Style::default().color(color).size(1.2))?;
        let (t, y): (Vec<f64>, Vec<f64>) = values.chunks_exact(CHANNELS).map(|x| (x[0], x[c])).unzip();
        panel.points(
            &t,
            &y,
            Style::new(format!("x{}", ["₁", "₂"][c - 1])).color(color).marker(marker).size(4.0),
        )?;
    }
    Ok(panel)
}

/// The same spiral on the plane, where both coordinates were observed.
fn series(run: &Trained, plan: &Plan) -> Result<Panel> {
    let data = plan.held_out(run.task.seed)?;
    let mut panel = Panel::new(format!("Two spirals, {:.0} % missing", 100.0 * plan.missing));
    panel.x_label("x₁").y_label("x₂");
    let find = |label: usize| data.labels.iter().position(|l| *l == label);
    for (label, name, color) in [(0, "right", Color::Blue), (1, "left", Color::Vermillion)] {
        let Some(j) = find(label) else { continue };
        let (values, _) = data.pick(&[j]);
        let path = path(Kind(Interpolation::Hermite), &data, &values)?;
        let mut x = [0.0; CHANNELS];
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for i in 0..=FINE {
            path.value(i as f64 / FINE as f64, &mut x);
            a.push(x[1]);
            b.push(x[2]);
        }
        panel.line(&a, &b, Style::new(name).color(color).size(1.0))?;
        let both = values.chunks_exact(CHANNELS).filter(|x| !(x[1] + x[2]).is_nan());
        let (a, b): (Vec<f64>, Vec<f64>) = both.map(|x| (x[1], x[2])).unzip();
        if !a.is_empty() {
            panel.points(&a, &b, Style::default().color(color).size(5.0))?;
        }
    }
    Ok(panel)
}

fn training(runs: &[Trained], seed: u64) -> Result<Panel> {
    let mut panel = Panel::new("Training");
    panel.x_label("iteration").y_label("cross-entropy").log_y();
    for run in runs.iter().filter(|r| r.task.seed == seed) {
        let window = (run.records.len() / 60).max(1);
        let means =
            run.records.chunks(window).map(|w| w.iter().map(|r| r.loss).sum::<f64>() / w.len() as f64);
        let y: Vec<f64> = means.collect();
        let x: Vec<f64> = (0..y.len()).map(|i| (i * window) as f64).collect();
        let label = format!("{} ({:.1} %)", run.task.kind, 100.0 * run.accuracy);
        panel.line(&x, &y, Style::new(label).color(look(run.task.kind)))?;
    }
    Ok(panel)
}

/// P(left) of some held-out spirals from the state at each time.
fn verdicts(run: &Trained, plan: &Plan) -> Result<Panel> {
    let data = plan.held_out(run.task.seed)?;
    let count = SHOWN.min(data.labels.len());
    let (values, labels) = data.pick(&(0..count).collect::<Vec<_>>());
    let path = path(run.task.kind, &data, &values)?;
    let [start, end] = path.span();
    let save: Vec<f64> = (0..TIMES).map(|i| start + (end - start) * i as f64 / (TIMES - 1) as f64).collect();
    let options = plan.options().save(Save::At(save));
    let (out, _) = run.model.outputs(&Tsit5, &run.theta, &path, &options)?;
    let mut panel = Panel::new("Verdict from what was seen");
    panel.x_label("t").y_label("P(turns left)");
    let mut named = [false; 2];
    for (j, label) in labels.iter().enumerate() {
        let at = |k: usize| &out[2 * (k * count + j)..2 * (k * count + j) + 2];
        let y: Vec<f64> = (0..TIMES).map(at).map(|z| 1.0 / (1.0 + (z[0] - z[1]).exp())).collect();
        let (color, name) = if *label == 1 { (Color::Vermillion, "left") } else { (Color::Blue, "right") };
        let name = if std::mem::replace(&mut named[*label], true) { "" } else { name };
        panel.line(&data.times, &y, Style::new(name).color(color).size(1.0))?;
    }
    panel.rule_y(0.5, Style::default().color(Color::LightGrey).dash(Dash::Dashed))?;
    Ok(panel)
}
