//! The pictures: fit, phase portrait, training, loss against NFE, and the solver's steps.

use crate::common::Session;
use crate::data::{Data, END};
use crate::method::Method;
use crate::model::Model;
use crate::table::Summary;
use crate::train::{Plan, Trained};
use odeon::Result;
use odeon::error::Attempt;
use odeon::integrate::Save;
use odeon::num::Real;
use odeon::plot::{Color, Dash, Figure, Marker, Panel, Style, panels};
use odeon::train::Record;

/// Times of a drawn trajectory.
const FINE: usize = 600;
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
    label: String,
    color: Color,
    dash: Dash,
    t: Vec<f64>,
    y: Vec<f64>,
    attempts: Vec<Attempt>,
    nfe: usize,
}

impl<T: Real> Results<'_, T> {
    /// All pictures.
    pub fn draw(&self, session: &mut Session) -> Result<()> {
        let shown = self.shown()?;
        session.picture("trajectories", &page(self.trajectories(&shown)?)?)?;
        session.picture("phase", &page(self.phase(&shown)?)?)?;
        session.picture("training", &page(self.training()?)?)?;
        session.picture("nfe", &page(self.evaluations()?)?)?;
        session.picture("pareto", &page(self.pareto()?)?)?;
        if self.swept() {
            session.picture("pareto_lambda", &page(self.curves()?)?)?;
        }
        session.picture("steps", &steps(&shown)?)?;
        let overview = Figure::new(800, 600)?.columns(2);
        let overview = (overview.with(self.phase(&shown)?))
            .with(self.evaluations()?)
            .with(step_sizes(&shown)?)
            .with(self.pareto()?);
        session.picture("overview", &overview)
    }

    /// The plain model and the best regularised one, first seed: least NFE among methods with at
    /// most 1.5 times the plain test loss.
    fn shown(&self) -> Result<Vec<Shown>> {
        let plain = self.summaries.iter().find(|s| s.method == Method::None);
        let regularised = self.summaries.iter().filter(|s| s.method != Method::None);
        let good = |s: &&Summary| plain.is_none_or(|p| s.test.mean <= 1.5 * p.test.mean);
        let least = |a: &&Summary, b: &&Summary| a.nfe.mean.total_cmp(&b.nfe.mean);
        let best =
            (regularised.clone().filter(good).min_by(least)).or_else(|| regularised.min_by(least));
        let looks = [
            (plain, Color::Vermillion, Dash::Solid),
            (best, Color::Blue, Dash::Dashed),
        ];
        let mut shown = Vec::new();
        for (summary, color, dash) in looks {
            let Some(summary) = summary else { continue };
            let first = self
                .runs
                .iter()
                .find(|r| r.task.method == summary.method && r.task.lambda == summary.lambda);
            let Some(run) = first else { continue };
            let times: Vec<T> = (0..=FINE)
                .map(|i| T::of(END * i as f64 / FINE as f64))
                .collect();
            let options = self.plan.options().save(Save::At(times)).diagnostics();
            let solution = run.solve(self.model, &options)?;
            shown.push(Shown {
                label: run.task.method.to_string(),
                color,
                dash,
                t: numbers(&solution.t),
                y: numbers(&solution.y),
                attempts: solution.attempts,
                nfe: solution.stats.nfe,
            });
        }
        Ok(shown)
    }

    fn trajectories(&self, shown: &[Shown]) -> Result<Panel> {
        let mut panel = Panel::new("Fit");
        panel.x_label("t").y_label("u₁, u₂");
        for model in shown {
            for row in [0, 1] {
                let style = match row {
                    0 => Style::new(&model.label),
                    _ => Style::default(),
                };
                let style = style.color(model.color).dash(model.dash);
                panel.line(&model.t, &component(&model.y, row), style)?;
            }
        }
        let t = numbers(&self.data.training.t);
        for (row, name, marker) in [
            (0, "u₁, data", Marker::Circle),
            (1, "u₂, data", Marker::Ring),
        ] {
            let y = component(&numbers(&self.data.training.y), row);
            panel.points(&t, &y, Style::new(name).color(Color::Black).marker(marker))?;
        }
        Ok(panel)
    }

    fn phase(&self, shown: &[Shown]) -> Result<Panel> {
        let mut panel = Panel::new("Phase portrait");
        panel.x_label("u₁").y_label("u₂");
        for model in shown {
            let y = &model.y;
            let style = Style::new(&model.label).color(model.color).dash(model.dash);
            panel.line(&component(y, 0), &component(y, 1), style)?;
        }
        let y = numbers(&self.data.training.y);
        let style = Style::new("data").color(Color::Black).size(5.0);
        panel.points(&component(&y, 0), &component(&y, 1), style)?;
        Ok(panel)
    }

    /// The first run of each method.
    fn firsts(&self) -> impl Iterator<Item = &Trained<T>> {
        let same = |a: &Trained<T>, b: &Trained<T>| a.task.method == b.task.method;
        self.runs.chunk_by(same).filter_map(|group| group.first())
    }

    fn training(&self) -> Result<Panel> {
        let mut panel = Panel::new("Training loss (first seed, geometric mean over 1 %)");
        panel
            .x_label("iteration")
            .y_label("mean squared error")
            .log_y();
        for run in self.firsts() {
            let (x, y) = smooth(&run.records, |r| r.loss.ln());
            let y: Vec<f64> = y.into_iter().map(f64::exp).collect();
            panel.line(&x, &y, Style::new(run.task.method.name()).size(1.5))?;
        }
        Ok(panel)
    }

    fn evaluations(&self) -> Result<Panel> {
        let mut panel = Panel::new("NFE while training");
        panel.x_label("iteration").y_label("NFE");
        for run in self.firsts() {
            let (x, y) = smooth(&run.records, |r| r.nfe as f64);
            panel.line(&x, &y, Style::new(run.task.method.name()).size(1.5))?;
        }
        Ok(panel)
    }

    /// Loss against NFE of every run.
    fn pareto(&self) -> Result<Panel> {
        let runs: Vec<(&str, Vec<(f64, f64)>)> = (self.runs)
            .chunk_by(|a, b| a.task.method == b.task.method)
            .map(|group| {
                let points = group.iter().map(|r| (r.nfe as f64, r.test)).collect();
                (group[0].task.method.name(), points)
            })
            .collect();
        let runs: Vec<panels::ParetoRuns<'_>> = runs.iter().map(|(n, p)| (*n, &p[..])).collect();
        let mut panel = panels::pareto("Loss against NFE, every run", &runs)?;
        panel.y_label("test loss");
        Ok(panel)
    }

    /// Whether a method was trained with several λ.
    fn swept(&self) -> bool {
        self.summaries
            .chunk_by(|a, b| a.method == b.method)
            .any(|group| group.len() > 1)
    }

    /// Means over seeds along λ.
    fn curves(&self) -> Result<Panel> {
        let mut panel = Panel::new("Loss against NFE along λ (means over seeds)");
        panel.x_label("NFE").y_label("test loss").log_y();
        let groups = self.summaries.chunk_by(|a, b| a.method == b.method);
        for (i, group) in groups.enumerate() {
            let (x, y): (Vec<f64>, Vec<f64>) =
                group.iter().map(|s| (s.nfe.mean, s.test.mean)).unzip();
            let color = Color::CYCLE[i % Color::CYCLE.len()];
            let marker = Marker::CYCLE[i % Marker::CYCLE.len()];
            let style = Style::default().color(color).size(1.2);
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
        panel.line(
            &t,
            &s,
            Style::new(&model.label).color(model.color).size(1.4),
        )?;
    }
    figure = figure.with(panel);
    Ok(figure)
}

fn step_sizes(shown: &[Shown]) -> Result<Panel> {
    let mut panel = Panel::new("Step sizes");
    panel.x_label("t").y_label("|h|").log_y();
    for model in shown {
        let label = format!("{}: {} NFE", model.label, model.nfe);
        for (accepted, style) in [
            (true, Style::new(label).size(1.4)),
            (false, Style::default().marker(Marker::Cross).size(6.0)),
        ] {
            let chosen = model.attempts.iter().filter(|a| a.accepted == accepted);
            let (t, h): (Vec<f64>, Vec<f64>) = chosen.map(|a| (a.t, a.h.abs())).unzip();
            match accepted {
                true => panel.line(&t, &h, style.color(model.color))?,
                false if t.is_empty() => continue,
                false => panel.points(&t, &h, style.color(model.color))?,
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
