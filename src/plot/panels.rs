//! Ready-made panels and pages, from slices.

use super::{Color, Dash, Figure, Marker, Panel, Style};
use crate::error::Attempt;
use crate::integrate::{Solution, StepInfo};
use crate::num::Real;
use crate::{Error, Result};

/// A sampled trajectory: `y` is column-major `dim × t.len()`.
#[derive(Clone, Copy, Debug)]
pub struct Trajectory<'a> {
    /// Times.
    pub t: &'a [f64],
    /// States, `dim` numbers a time.
    pub y: &'a [f64],
}

impl Trajectory<'_> {
    fn row(&self, row: usize, dim: usize) -> Vec<f64> {
        self.y.iter().skip(row).step_by(dim).copied().collect()
    }

    fn check(&self, dim: usize) -> Result<()> {
        if self.t.is_empty() || dim == 0 {
            let needed = "it needs at least one time and one component";
            return Err(Error::invalid("a plotted trajectory", "empty", needed));
        }
        Error::check_len("y", self.y.len(), dim * self.t.len(), "components × times")
    }
}

/// Every component against time, the data as points in the same colours.
///
/// `names` names the components of both (hence `dim = names.len()`).
///
/// # Errors
/// Wrong lengths, nothing finite.
pub fn trajectories(
    title: &str,
    names: &[&str],
    model: Trajectory<'_>,
    data: Option<Trajectory<'_>>,
) -> Result<Panel> {
    let dim = names.len();
    model.check(dim)?;
    let mut panel = Panel::new(title);
    panel.x_label("t");
    for (row, name) in names.iter().enumerate() {
        let color = Color::CYCLE[row % Color::CYCLE.len()];
        panel.line(model.t, &model.row(row, dim), Style::new(*name).color(color))?;
        if let Some(data) = data {
            data.check(dim)?;
            let style = Style::new(format!("{name}, data")).color(color);
            let style = style.marker(Marker::CYCLE[row % Marker::CYCLE.len()]);
            panel.points(data.t, &data.row(row, dim), style)?;
        }
    }
    Ok(panel)
}

/// Component `rows.1` against component `rows.0`, the data as points, the start marked.
///
/// # Errors
/// Wrong lengths, a row that does not exist, nothing finite.
pub fn phase_portrait(
    title: &str,
    names: &[&str],
    rows: (usize, usize),
    model: Trajectory<'_>,
    data: Option<Trajectory<'_>>,
) -> Result<Panel> {
    let dim = names.len();
    model.check(dim)?;
    for row in [rows.0, rows.1] {
        if row >= dim {
            let needed = format!("there are {dim} components");
            return Err(Error::invalid("component", row, needed));
        }
    }
    let mut panel = Panel::new(title);
    panel.x_label(names[rows.0]).y_label(names[rows.1]);
    let (x, y) = (model.row(rows.0, dim), model.row(rows.1, dim));
    // Long orbits overlap themselves: thinner lines keep them apart.
    let width = if x.len() > 2000 { 0.7 } else { 1.8 };
    panel.line(&x, &y, Style::new("model").color(Color::Blue).size(width))?;
    if let Some(data) = data {
        data.check(dim)?;
        let (x, y) = (data.row(rows.0, dim), data.row(rows.1, dim));
        panel.points(&x, &y, Style::new("data").color(Color::Vermillion))?;
    }
    if x[0].is_finite() && y[0].is_finite() {
        let start = Style::new("start").color(Color::Black).marker(Marker::Square);
        panel.points(&x[..1], &y[..1], start)?;
    }
    Ok(panel)
}

/// Curves over iterations 1, 2, 3, … on a logarithmic axis: losses, penalties, gradient norms.
///
/// # Errors
/// No curves, an empty one, or nothing positive and finite.
pub fn training_curves(title: &str, label: &str, curves: &[(&str, &[f64])]) -> Result<Panel> {
    let mut panel = over_iterations(title, label, curves)?;
    panel.log_y();
    Ok(panel)
}

/// Right-hand side evaluations per iteration (or any count), on a linear axis that starts at 0.
///
/// # Errors
/// No curves, an empty one, or nothing finite.
pub fn nfe_curves(title: &str, curves: &[(&str, &[f64])]) -> Result<Panel> {
    let mut panel = over_iterations(title, "NFE", curves)?;
    let finite = curves.iter().flat_map(|(_, c)| c.iter()).filter(|v| v.is_finite());
    let largest = finite.copied().fold(0.0, f64::max);
    panel.y_axis().range = (largest > 0.0).then_some((0.0, 1.06 * largest));
    Ok(panel)
}

fn over_iterations(title: &str, label: &str, curves: &[(&str, &[f64])]) -> Result<Panel> {
    if curves.is_empty() {
        return Err(Error::invalid("the curves", "none", "at least one is needed"));
    }
    let mut panel = Panel::new(title);
    panel.x_label("iteration").y_label(label);
    for (name, values) in curves {
        let iterations: Vec<f64> = (1..=values.len()).map(|i| i as f64).collect();
        panel.line(&iterations, values, Style::new(*name).size(1.5))?;
    }
    Ok(panel)
}

/// One bar per method, of the median over its runs, the single runs as points.
///
/// # Errors
/// No methods, or a method without a finite value.
pub fn comparison(title: &str, label: &str, methods: &[(&str, &[f64])]) -> Result<Panel> {
    let names: Vec<String> = methods.iter().map(|(name, _)| name.to_string()).collect();
    let medians: Vec<f64> = methods.iter().map(|(_, runs)| median(runs)).collect();
    if let Some(i) = medians.iter().position(|m| m.is_nan()) {
        let what = format!("method '{}'", names[i]);
        return Err(Error::invalid(what, "without a finite value", "at least one is needed"));
    }
    let mut panel = Panel::new(title);
    panel.x_label(label).bars(&names, &medians, Style::new("median").color(Color::Sky))?;
    let all =
        methods.iter().enumerate().flat_map(|(i, (_, runs))| runs.iter().map(move |&run| (run, i as f64)));
    let (x, y): (Vec<f64>, Vec<f64>) = all.unzip();
    if x.len() > methods.len() {
        let style = Style::new("single runs").color(Color::Black).marker(Marker::Ring);
        panel.points(&x, &y, style.size(6.0))?;
    }
    Ok(panel)
}

/// The middle of the finite values (mean of the two middle ones); NaN without any.
fn median(values: &[f64]) -> f64 {
    let mut finite: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    finite.sort_by(f64::total_cmp);
    match (finite.len() / 2, finite.len() % 2) {
        (0, 0) => f64::NAN,
        (half, 1) => finite[half],
        (half, _) => 0.5 * (finite[half - 1] + finite[half]),
    }
}

/// One method of a [`pareto`] picture: its name and for each run the pair (NFE, loss).
pub type ParetoRuns<'a> = (&'a str, &'a [(f64, f64)]);

/// Loss against NFE, each run a point, a colour and marker to each method, both axes logarithmic,
/// with the staircase of runs that no other run beats in both.
///
/// # Errors
/// No methods, or one without a finite run.
pub fn pareto(title: &str, methods: &[ParetoRuns<'_>]) -> Result<Panel> {
    let mut panel = Panel::new(title);
    panel.x_label("NFE").y_label("loss").log_x().log_y();
    let all = methods.iter().flat_map(|(_, runs)| runs.iter().copied());
    let front = front(all.filter(|(n, l)| n.is_finite() && l.is_finite()).collect());
    let mut stairs: Vec<(f64, f64)> = Vec::with_capacity(2 * front.len());
    for (nfe, loss) in front {
        if let Some(&(_, before)) = stairs.last() {
            stairs.push((nfe, before));
        }
        stairs.push((nfe, loss));
    }
    if stairs.len() > 1 {
        let (x, y): (Vec<f64>, Vec<f64>) = stairs.into_iter().unzip();
        let style = Style::new("Pareto front").color(Color::Grey).dash(Dash::Dashed);
        panel.line(&x, &y, style.size(1.2))?;
    }
    for (i, (name, runs)) in methods.iter().enumerate() {
        let (x, y): (Vec<f64>, Vec<f64>) = runs.iter().copied().unzip();
        let marker = Marker::CYCLE[i % Marker::CYCLE.len()];
        panel.points(&x, &y, Style::new(*name).marker(marker).size(8.0))?;
    }
    Ok(panel)
}

/// The points with no other at most as large in both, by increasing first coordinate.
fn front(mut points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    points.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let mut lowest = f64::INFINITY;
    points.retain(|&(_, loss)| {
        let better = loss < lowest;
        lowest = lowest.min(loss);
        better
    });
    points
}

/// The solver's page: |h|, E and |h|·S of every attempted step against t, rejections marked.
///
/// `stability` is the method's stability size (S in units of 1/h above which steps are limited by
/// stability rather than accuracy), drawn as a line. A row whose quantity was never available (all
/// NaN) is left out.
///
/// # Errors
/// No attempts.
pub fn diagnostics(title: &str, attempts: &[Attempt], stability: Option<f64>) -> Result<Figure> {
    if attempts.is_empty() {
        return Err(Error::invalid("the step history", "empty", "it needs at least one attempt"));
    }
    let rows: [(&str, &str, Quantity); 3] = [
        ("step size", "|h|", |a| a.h.abs()),
        ("error estimate", "E", |a| a.error),
        ("stiffness", "|h|·S", |a| a.h.abs() * a.stiffness),
    ];
    let mut figure = Figure::new(800, 860)?.titled(title);
    for (name, label, quantity) in rows {
        // Exact zeros (no error at all) cannot stand on a logarithmic axis.
        if !attempts.iter().map(quantity).any(|v| v.is_finite() && v > 0.0) {
            continue;
        }
        let mut panel = Panel::new(name);
        panel.x_label("t").y_label(label).log_y();
        attempt_series(&mut panel, attempts, quantity)?;
        if label == "E" {
            let style = Style::new("tolerance").color(Color::Black).dash(Dash::Dashed);
            panel.rule_y(1.0, style)?;
        }
        if let (Some(size), "|h|·S") = (stability, label) {
            let style = Style::new("stability size").color(Color::Black).dash(Dash::Dashed);
            panel.rule_y(size, style)?;
        }
        figure = figure.with(panel);
    }
    Ok(figure)
}

/// The page of a whole solve: [`diagnostics`], and below it what the equations of every accepted step took,
/// where the method is implicit: iterations of Newton's method, and of the linear solver where that is
/// iterative. Attempts must have been recorded.
///
/// # Errors
/// No attempts.
pub fn solver_page<T: Real>(title: &str, solution: &Solution<T>, stability: Option<f64>) -> Result<Figure> {
    let mut figure = diagnostics(title, &solution.attempts, stability)?;
    let rows: [(&str, Count<T>); 2] = [
        ("Newton iterations", |s| f64::from(s.iterations.newton)),
        ("linear iterations", |s| f64::from(s.iterations.linear)),
    ];
    for (name, count) in rows {
        let t: Vec<f64> = solution.steps.iter().map(|s| s.t.f64()).collect();
        let counts: Vec<f64> = solution.steps.iter().map(count).collect();
        if counts.iter().all(|c| *c == 0.0) {
            continue;
        }
        let mut panel = Panel::new(name);
        panel.x_label("t").y_label("a step, all stages");
        let dot = if t.len() > 200 { 2.5 } else { 4.5 };
        let style = Style::new("accepted").color(Color::Blue);
        panel.line(&t, &counts, style.clone().size(1.1))?.points(&t, &counts, style.size(dot))?;
        figure = figure.with(panel).taller(290);
    }
    Ok(figure)
}

type Count<T> = fn(&StepInfo<T>) -> f64;

type Quantity = fn(&Attempt) -> f64;

fn attempt_series(panel: &mut Panel, attempts: &[Attempt], quantity: Quantity) -> Result<()> {
    for (accepted, label) in [(true, "accepted"), (false, "rejected")] {
        let chosen = attempts.iter().filter(|a| a.accepted == accepted);
        let (t, v): (Vec<f64>, Vec<f64>) = chosen.map(|a| (a.t, quantity(a))).unzip();
        if !v.iter().any(|v| v.is_finite() && *v > 0.0) {
            continue;
        }
        if accepted {
            // Crowded dots merge into a line anyway; a few are told apart by dots on it.
            let dot = if t.len() > 200 { 2.5 } else { 4.5 };
            let style = Style::new(label).color(Color::Blue);
            panel.line(&t, &v, style.clone().size(1.1))?.points(&t, &v, style.size(dot))?;
        } else {
            let style = Style::new(label).color(Color::Vermillion).marker(Marker::Cross);
            panel.points(&t, &v, style.size(7.5))?;
        }
    }
    Ok(())
}
