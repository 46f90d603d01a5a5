//! The pictures: data, densities, samples, evaluations over the training.

use crate::common::Session;
use crate::data::Shape;
use crate::method::Method;
use crate::train::{Plan, Real, Trained};
use odeon::Result;
use odeon::ode::tableaux::Tsit5;
use odeon::plot::{Color, Figure, HeatMap, Panel, Style};

/// Cells along a side of a density.
const CELLS: usize = 96;
/// Points of a sample.
const POINTS: usize = 2000;
/// Iterations of which a training curve shows the mean.
const WINDOW: usize = 20;

fn look(method: Method) -> Color {
    match method {
        Method::None => Color::Blue,
        Method::Rnode => Color::Orange,
        Method::Error => Color::Green,
        Method::Steps => Color::Vermillion,
    }
}

/// All pictures.
pub fn draw(session: &mut Session, plan: &Plan, runs: &[Trained], chosen: &[&Trained]) -> Result<()> {
    let columns = (chosen.len() + 1) as u32;
    let mut page = Figure::new(400 * columns, 720)?.columns(columns as usize);
    let data: Vec<Real> = plan.shape.draw(7, POINTS);
    let mut top = vec![points(format!("{}: data", plan.shape), &data, Color::Black)?];
    let mut bottom = vec![evaluations(runs, session.common.seed)?];
    for run in chosen {
        top.push(density(plan, run)?);
        let x = run.flow.sample(&Tsit5, &run.theta, POINTS, 11, &plan.options())?;
        bottom.push(points(format!("{}: samples", run.task.method), &x, look(run.task.method))?);
    }
    for panel in top.into_iter().chain(bottom) {
        page = page.with(panel);
    }
    session.picture(plan.shape.name(), &page)
}

fn plane(title: String) -> Panel {
    let mut panel = Panel::new(title);
    panel.x_label("x₁").y_label("x₂");
    panel.x_axis().range = Some((-Shape::REACH, Shape::REACH));
    panel.y_axis().range = Some((-Shape::REACH, Shape::REACH));
    panel
}

fn points(title: String, x: &[Real], color: Color) -> Result<Panel> {
    let (a, b): (Vec<f64>, Vec<f64>) = x.chunks_exact(2).map(|p| (f64::from(p[0]), f64::from(p[1]))).unzip();
    let mut panel = plane(title);
    panel.points(&a, &b, Style::default().color(color).size(1.6))?;
    Ok(panel)
}

fn density(plan: &Plan, run: &Trained) -> Result<Panel> {
    let centre = |i: usize| (2.0 * (i as f64 + 0.5) / CELLS as f64 - 1.0) * Shape::REACH;
    let mut values = Vec::with_capacity(CELLS * CELLS);
    for row in 0..CELLS {
        let x: Vec<Real> = (0..CELLS).flat_map(|i| [centre(i), centre(row)]).map(|x| x as Real).collect();
        let (log_p, _) = run.flow.log_likelihood(&Tsit5, &run.theta, &x, &plan.options())?;
        values.extend(log_p.iter().map(|p| f64::from(*p).exp()));
    }
    let reach = (-Shape::REACH, Shape::REACH);
    let mut panel = plane(format!("{}: density, {:.2} nats, NFE {}", run.task.method, run.nll, run.nfe));
    panel.heat_map(HeatMap::new(CELLS, &values, reach, reach)?.label("p(x)"))?;
    Ok(panel)
}

fn evaluations(runs: &[Trained], seed: u64) -> Result<Panel> {
    let mut panel = Panel::new("Evaluations in training");
    panel.x_label("iteration").y_label("NFE of a forward solve");
    for run in runs.iter().filter(|r| r.task.seed == seed) {
        let windows = run.records.chunks(WINDOW);
        let y: Vec<f64> =
            windows.map(|w| w.iter().map(|r| r.nfe as f64).sum::<f64>() / w.len() as f64).collect();
        let x: Vec<f64> = (0..y.len()).map(|i| (WINDOW * i) as f64).collect();
        panel.line(&x, &y, Style::new(run.task.method.to_string()).color(look(run.task.method)))?;
    }
    Ok(panel)
}
