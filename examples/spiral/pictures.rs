//! The pictures: fit, phase portrait, training, loss against NFE, and the solver's steps.

use crate::common::Session;
use crate::data::Data;
use crate::method::Method;
use crate::model::Model;
use crate::table::{self, Summary};
use crate::train::{Plan, Trained};
use odeon::Result;
use odeon::error::Attempt;
use odeon::num::Real;
use odeon::plot::{Color, Dash, Figure, Marker, Panel, Style};
use odeon::train::Record;

/// Points of a drawn training curve.
const CURVE: u64 = 100;

/// What is drawn.
pub struct Results<'a, T> {
    pub model: &'a Model,
    pub data: &'a Data<T>,
    pub plan: &'a Plan,
    pub runs: &'a [Trained<T>],
    pub summaries: &'a [Summary],
}

/// A model that is drawn in detail.
struct Shown {
    label: &'static str,
    look: (Color, Dash, Marker),
    /// At the held-out times.
    t: Vec<f64>,
    y: Vec<f64>,
    attempts: Vec<Attempt>,
    nfe: usize,
}

/// A method looks the same in every picture.
fn look(method: Method) -> (Color, Dash, Marker) {
    match method {
        Method::None => (Color::Blue, Dash::Solid, Marker::Circle),
        Method::Steer => (Color::Grey, Dash::Solid, Marker::Diamond),
        Method::Rnode => (Color::Orange, Dash::Solid, Marker::Triangle),
        Method::Taylor => (Color::Orange, Dash::Dashed, Marker::Ring),
        Method::Error => (Color::Green, Dash::Solid, Marker::Square),
        Method::Stiffness => (Color::Purple, Dash::Solid, Marker::Square),
        Method::ErrorStiffness => (Color::Sky, Dash::Solid, Marker::Square),
        Method::LocalUnbiased => (Color::Green, Dash::Dashed, Marker::Ring),
        Method::LocalBiased => (Color::Purple, Dash::Dashed, Marker::Ring),
        Method::LocalStep => (Color::Sky, Dash::Dashed, Marker::Ring),
        Method::Steps => (Color::Vermillion, Dash::Solid, Marker::Triangle),
        Method::LogError => (Color::Black, Dash::Dashed, Marker::Diamond),
    }
}

/// The method's line.
fn line(method: Method, size: f64) -> Style {
    let (color, dash, _) = look(method);
    Style::new(method.name()).color(color).dash(dash).size(size)
}

impl<T: Real> Results<'_, T> {
    /// All pictures.
    pub fn draw(&self, session: &mut Session) -> Result<()> {
        let chosen = table::chosen(self.summaries);
        let shown = self.shown(&chosen)?;
        let all: Vec<&Summary> = self.summaries.iter().collect();
        let fit = Figure::new(800, 600)?.with(self.trajectories(&shown)?);
        session.picture("trajectories", &fit.with(self.errors(&shown)?))?;
        session.picture("phase", &page(self.phase(&shown)?)?)?;
        session.picture("training", &page(self.training(&all)?)?)?;
        session.picture("nfe", &page(self.evaluations(&all)?)?)?;
        session.picture("pareto", &page(self.pareto(&all)?)?)?;
        if self.swept() {
            session.picture("pareto_lambda", &page(self.curves()?)?)?;
        }
        session.picture("steps", &steps(&shown)?)?;
        let overview = (Figure::new(800, 600)?.columns(2))
            .with(self.phase(&shown)?)
            .with(self.evaluations(&chosen)?)
            .with(step_sizes(&shown)?)
            .with(self.pareto(&chosen)?);
        session.picture("overview", &overview)
    }

    /// The first run of a row.
    fn first(&self, summary: &Summary) -> Option<&Trained<T>> {
        let mine = |r: &&Trained<T>| r.task.method == summary.method && r.task.lambda == summary.lambda;
        self.runs.iter().find(mine)
    }

    fn shown(&self, chosen: &[&Summary]) -> Result<Vec<Shown>> {
        let times = &self.data.held_out.t[..];
        let options = self.plan.options().save_at(times).diagnostics();
        let runs = chosen.iter().filter_map(|summary| self.first(summary));
        runs.map(|run| {
            let solution = run.solve(self.model, &options)?;
            let (color, _, marker) = look(run.task.method);
            let dash = match run.task.method {
                Method::None => Dash::Solid,
                _ => Dash::Dashed,
            };
            Ok(Shown {
                label: run.task.method.name(),
                look: (color, dash, marker),
                t: numbers(&solution.t),
                y: numbers(&solution.y),
                attempts: solution.attempts,
                nfe: solution.stats.nfe,
            })
        })
        .collect()
    }

    fn trajectories(&self, shown: &[Shown]) -> Result<Panel> {
        let mut panel = Panel::new("Fit (first seed)");
        panel.x_label("t").y_label("u₁, u₂");
        for model in shown {
            for row in [0, 1] {
                let label = if row == 0 { model.label } else { "" };
                let (color, dash, _) = model.look;
                let style = Style::new(label).color(color).dash(dash);
                panel.line(&model.t, &component(&model.y, row), style)?;
            }
        }
        let t = numbers(&self.data.training.t);
        let points = numbers(&self.data.training.y);
        for (row, name, marker) in [(0, "u₁, data", Marker::Circle), (1, "u₂, data", Marker::Ring)] {
            let style = Style::new(name).color(Color::Black).marker(marker);
            panel.points(&t, &component(&points, row), style)?;
        }
        Ok(panel)
    }

    /// Distance from the true solution.
    fn errors(&self, shown: &[Shown]) -> Result<Panel> {
        let mut panel = Panel::new("Error at the held-out times");
        panel.x_label("t").y_label("|u − truth|").log_y();
        let truth = numbers(&self.data.held_out.y);
        for model in shown {
            let pairs = model.y.chunks_exact(2).zip(truth.chunks_exact(2));
            let distance: Vec<f64> = pairs.map(|(a, b)| (a[0] - b[0]).hypot(a[1] - b[1])).collect();
            let style = Style::new(model.label).color(model.look.0).size(1.4);
            panel.line(&model.t, &distance, style)?;
        }
        Ok(panel)
    }

    fn phase(&self, shown: &[Shown]) -> Result<Panel> {
        let mut panel = Panel::new("Phase portrait");
        panel.x_label("u₁").y_label("u₂");
        for model in shown {
            let (color, dash, _) = model.look;
            let style = Style::new(model.label).color(color).dash(dash);
            panel.line(&component(&model.y, 0), &component(&model.y, 1), style)?;
        }
        let y = numbers(&self.data.training.y);
        let style = Style::new("data").color(Color::Black).size(5.0);
        panel.points(&component(&y, 0), &component(&y, 1), style)?;
        Ok(panel)
    }

    fn training(&self, rows: &[&Summary]) -> Result<Panel> {
        let mut panel = Panel::new("Training loss (first seed, geometric mean over 1 %)");
        panel.x_label("iteration").y_label("mean squared error").log_y();
        for run in rows.iter().filter_map(|row| self.first(row)) {
            let (x, y) = smooth(&run.records, |r| r.loss.ln());
            let y: Vec<f64> = y.into_iter().map(f64::exp).collect();
            panel.line(&x, &y, line(run.task.method, 1.5))?;
        }
        Ok(panel)
    }

    fn evaluations(&self, rows: &[&Summary]) -> Result<Panel> {
        let mut panel = Panel::new("NFE while training (first seed)");
        panel.x_label("iteration").y_label("NFE");
        for run in rows.iter().filter_map(|row| self.first(row)) {
            let (x, y) = smooth(&run.records, |r| r.nfe as f64);
            panel.line(&x, &y, line(run.task.method, 1.5))?;
        }
        Ok(panel)
    }

    /// Loss against NFE of every run; `named` methods in their colours, the others in grey.
    fn pareto(&self, named: &[&Summary]) -> Result<Panel> {
        let mut panel = Panel::new("Loss against NFE, every run");
        panel.x_label("NFE").y_label("test loss").log_y();
        let is_named = |run: &Trained<T>| named.iter().any(|s| s.method == run.task.method);
        let others = self.runs.iter().filter(|run| !is_named(run));
        let (x, y): (Vec<f64>, Vec<f64>) = others.map(|r| (r.nfe as f64, r.test)).unzip();
        if !x.is_empty() {
            let style = Style::new("others").color(Color::LightGrey).size(6.0);
            panel.points(&x, &y, style)?;
        }
        for group in (self.runs).chunk_by(|a, b| a.task.method == b.task.method) {
            if !is_named(&group[0]) {
                continue;
            }
            let (x, y): (Vec<f64>, Vec<f64>) = group.iter().map(|r| (r.nfe as f64, r.test)).unzip();
            let method = group[0].task.method;
            let (color, _, marker) = look(method);
            let style = Style::new(method.name()).color(color).marker(marker);
            panel.points(&x, &y, style.size(7.0))?;
        }
        Ok(panel)
    }

    /// Whether a method was trained with several λ.
    fn swept(&self) -> bool {
        self.summaries.chunk_by(|a, b| a.method == b.method).any(|group| group.len() > 1)
    }

    /// Means over seeds along λ.
    fn curves(&self) -> Result<Panel> {
        let mut panel = Panel::new("Loss against NFE along λ (means over seeds)");
        panel.x_label("NFE").y_label("test loss").log_y();
        for group in self.summaries.chunk_by(|a, b| a.method == b.method) {
            let (x, y): (Vec<f64>, Vec<f64>) = group.iter().map(|s| (s.nfe.mean, s.test.mean)).unzip();
            let (color, dash, marker) = look(group[0].method);
            let style = Style::default().color(color).dash(dash).size(1.2);
            panel.line(&x, &y, style)?;
            let style = Style::new(group[0].method.name()).color(color);
            panel.points(&x, &y, style.marker(marker).size(8.0))?;
        }
        Ok(panel)
    }
}

fn page(panel: Panel) -> Result<Figure> {
    Ok(Figure::new(800, 600)?.with(panel))
}

/// Step sizes and error estimates of the models shown, rejected attempts crossed.
fn steps(shown: &[Shown]) -> Result<Figure> {
    let mut figure = Figure::new(800, 600)?.with(step_sizes(shown)?);
    let mut panel = Panel::new("Stiffness along the solution");
    panel.x_label("t").y_label("S");
    for model in shown {
        let accepted = model.attempts.iter().filter(|a| a.accepted);
        let (t, s): (Vec<f64>, Vec<f64>) = accepted.map(|a| (a.t, a.stiffness)).unzip();
        panel.line(&t, &s, Style::new(model.label).color(model.look.0).size(1.4))?;
    }
    figure = figure.with(panel);
    Ok(figure)
}

fn step_sizes(shown: &[Shown]) -> Result<Panel> {
    let mut panel = Panel::new("Step sizes");
    panel.x_label("t").y_label("|h|").log_y();
    for model in shown {
        // The last step is cut to the end of the span and says nothing.
        let attempts = &model.attempts[..model.attempts.len().saturating_sub(1)];
        let label = format!("{}: {} NFE", model.label, model.nfe);
        for (accepted, style) in
            [(true, Style::new(label).size(1.4)), (false, Style::default().marker(Marker::Cross).size(6.0))]
        {
            let chosen = attempts.iter().filter(|a| a.accepted == accepted);
            let (t, h): (Vec<f64>, Vec<f64>) = chosen.map(|a| (a.t, a.h.abs())).unzip();
            match accepted {
                true => panel.line(&t, &h, style.color(model.look.0))?,
                false if t.is_empty() => continue,
                false => panel.points(&t, &h, style.color(model.look.0))?,
            };
        }
    }
    Ok(panel)
}

/// Means over at most [`CURVE`] stretches of the training, at the middle of each.
fn smooth(records: &[Record], value: impl Fn(&Record) -> f64) -> (Vec<f64>, Vec<f64>) {
    let window = (records.len() as u64).div_ceil(CURVE).max(1) as usize;
    records
        .chunks(window)
        .map(|part| {
            let n = part.len() as f64;
            let middle = part.iter().map(|r| r.iteration as f64).sum::<f64>() / n;
            (middle, part.iter().map(&value).sum::<f64>() / n)
        })
        .unzip()
}

fn component(y: &[f64], row: usize) -> Vec<f64> {
    y.iter().skip(row).step_by(2).copied().collect()
}

fn numbers<T: Real>(x: &[T]) -> Vec<f64> {
    x.iter().map(|x| x.f64()).collect()
}
