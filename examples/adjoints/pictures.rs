//! The picture: memory, time and error against the number of steps.

use crate::measure::Method;
use crate::{Curve, Point};
use odeon::Result;
use odeon::plot::{Color, Dash, Figure, Marker, Panel, Style};

/// Exact adjoints are drawn solid, those of the adjoint equation dashed.
fn style(method: Method) -> Style {
    let (color, marker, dash) = match method {
        Method::Discrete => (Color::Blue, Marker::Circle, Dash::Solid),
        Method::Budgeted => (Color::Sky, Marker::Square, Dash::Solid),
        Method::Reversible => (Color::Green, Marker::Diamond, Dash::Solid),
        Method::Leapfrog => (Color::Black, Marker::Triangle, Dash::Solid),
        Method::Forward => (Color::Purple, Marker::Cross, Dash::Solid),
        Method::Backsolve => (Color::Vermillion, Marker::Circle, Dash::Dashed),
        Method::Interpolating => (Color::Orange, Marker::Ring, Dash::Dashed),
        Method::Quadrature => (Color::Orange, Marker::Square, Dash::Dashed),
        Method::Checkpoints => (Color::Sky, Marker::Diamond, Dash::Dashed),
    };
    Style::new(method.name()).color(color).marker(marker).dash(dash)
}

/// What a panel shows.
type Measure = fn(&Point) -> f64;

pub fn against_steps(curves: &[Curve]) -> Result<Figure> {
    let mut figure = Figure::new(1500, 640)?.titled("One neural ODE, every adjoint").columns(3);
    let measures: [(&str, Measure); 3] = [
        ("memory (KiB)", |p| p.bytes as f64 / 1024.0),
        ("time of a gradient (ms)", |p| 1e3 * p.seconds),
        ("error of the gradient", |p| p.error),
    ];
    for (i, (label, measure)) in measures.into_iter().enumerate() {
        let mut panel = Panel::new("");
        panel.x_label("steps").y_label(label).log_x().log_y();
        for Curve { method, points } in curves.iter().filter(|c| !c.points.is_empty()) {
            let x: Vec<f64> = points.iter().map(|p| p.steps as f64).collect();
            let y: Vec<f64> = points.iter().map(measure).collect();
            let mut style = style(*method);
            // One legend does for all.
            style.label = style.label.filter(|_| i == 0);
            panel.line(&x, &y, style.clone().size(1.3))?.points(&x, &y, style.size(5.5))?;
        }
        figure = figure.with(panel);
    }
    Ok(figure)
}
